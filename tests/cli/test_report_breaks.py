"""What happens to a report when the world does not hold still: Ctrl-C, a full disk, no rights, two runs at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLV = [sys.executable, "-m", "clv.cli"]


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A dead child of an init that never collects it is no process any more.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def hear_interrupts() -> None:
    """Undo what a shell does to its background jobs: they, and all they start, are deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def slow(write_notebook, tmp_path):
    """A notebook that says who runs it, then takes its time."""
    write_notebook(
        "slow",
        "# Slow",
        "import os, time\nfrom pathlib import Path\n"
        "note = Path(study).parent / f'{Path(study).name}.running'\n"
        "note.with_suffix('.tmp').write_text(str(os.getpid()))\nnote.with_suffix('.tmp').rename(note)\ntime.sleep(120)",
        folder="slow",
    )
    return tmp_path / "slow"


@pytest.fixture
def quick(write_notebook, tmp_path):
    write_notebook("quick", "# Quick", ("print('done')", "decision"), folder="quick")
    return tmp_path / "quick"


@pytest.mark.parametrize(
    ("jobs", "number", "status"), [("1", signal.SIGINT, 130), ("2", signal.SIGINT, 130), ("2", signal.SIGTERM, 143)]
)
def test_an_interrupted_run_leaves_no_kernel_and_no_trace(slow, write_study, tmp_path, jobs, number, status):
    studies = [write_study("one"), write_study("two")]
    out = tmp_path / "reports"
    command = [*CLV, "report", *map(str, studies), "--jobs", jobs, "--notebooks", str(slow), "--out", str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    )
    notes = [tmp_path / f"{study.name}.running" for study in studies[: int(jobs)]]
    try:
        wait_for(lambda: all(note.exists() for note in notes) or process.poll() is not None)
        process.send_signal(number)
        printed, told = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == status, told
    assert printed == ""
    assert "Traceback" not in told
    assert "untouched" in told or number == signal.SIGTERM
    assert list(out.iterdir()) == []
    kernels = [int(note.read_text()) for note in notes]
    wait_for(lambda: not any(is_running(kernel) for kernel in kernels), 10)


def test_a_killed_run_is_cleared_away_by_the_next(slow, quick, write_study, tmp_path):
    study, out = write_study("one"), tmp_path / "reports"
    command = [*CLV, "report", str(study), "--out", str(out), "--notebooks"]
    first = subprocess.Popen([*command, str(slow)], stderr=subprocess.PIPE, text=True)
    note = tmp_path / "one.running"
    try:
        wait_for(lambda: note.exists() or first.poll() is not None)
        # While it runs, a second run into the same report is refused …
        refused = subprocess.run([*command, str(quick)], capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "Another run is writing the report 'one'" in refused.stderr
        assert "Wait" in refused.stderr
    finally:
        first.kill()
        first.communicate()
    # … its kernel ends with it …
    wait_for(lambda: not is_running(int(note.read_text())), 15)
    assert (out / ".staging-one").exists()
    # … and what it left is no obstacle.
    done = subprocess.run([*command, str(quick)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "one"]


def in_own_mounts(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which file systems can be mounted that nobody else sees."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed: no small disk can be mounted")
    probe = subprocess.run(
        [unshare, "-rm", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"no disk can be mounted here: {probe.stderr.strip()}")
    return subprocess.run(
        [unshare, "-rm", "sh", "-c", script, "sh", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("where", ["kernel", "pages"])
def test_a_full_disk_keeps_the_published_report(write_notebook, quick, write_study, tmp_path, where):
    filler = (
        "# Full",
        "from pathlib import Path\n(Path(run_folder) / 'tables').mkdir()\n"
        "with open(Path(run_folder) / 'tables' / 'x.bin', 'wb') as file:\n    file.write(b'x' * 3_000_000)"
        if where == "kernel"
        else "print('x' * 900_000)",
    )
    write_notebook("quick", *filler, folder="full")
    study = write_study("one")
    script = (
        'mkdir "$1" && mount -t tmpfs -o size=1m none "$1" && cd "$1" || exit 99\n'
        '"$2" -m clv.cli report "$3" --notebooks "$4" --out . || exit 98\ncp -r one "$6"\n'
        '"$2" -m clv.cli report "$3" --notebooks "$5" --out .; echo "status $?"; ls -A; cp -r one "$7"'
    )
    before, after = tmp_path / "before", tmp_path / "after"
    done = in_own_mounts(
        script, *map(str, (tmp_path / "disk", sys.executable, study, quick, tmp_path / "full", before, after))
    )
    assert "status 1" in done.stdout, done.stderr
    assert "No space is left on the disk" in done.stderr
    assert "Free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(after) == tree(before) != {}
    assert ".staging-one" not in done.stdout


def test_a_read_only_disk_is_told(quick, write_study, tmp_path):
    script = (
        'mkdir "$1" && mount -t tmpfs none "$1" && mount -o remount,ro "$1" || exit 99\n'
        '"$2" -m clv.cli report "$3" --notebooks "$4" --out "$1"; echo "status $?"'
    )
    done = in_own_mounts(script, *map(str, (tmp_path / "disk", sys.executable, write_study("one"), quick)))
    assert done.stdout == "status 1\n"
    assert "There is no right to write" in done.stderr
    assert "--out" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_in_place_of_the_folder_is_told(quick, write_study, tmp_path):
    (tmp_path / "reports").write_text("precious")
    command = [*CLV, "report", str(write_study("one")), "--notebooks", str(quick), "--out", str(tmp_path / "reports")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is a file, not a folder" in done.stderr
    assert (tmp_path / "reports").read_text() == "precious"
