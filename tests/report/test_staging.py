"""A report is replaced as a whole or not at all."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import clv.report.lock
from clv.errors import RunError
from clv.report.staging import MADE_BY, Place, claim, recover_all


def fill(folder, word="new"):
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(f'{{"made_by": "{MADE_BY}"}}')
    (folder / "index.html").write_text(word)


def test_publish_replaces_the_old_report_and_clears_the_failure(tmp_path):
    fill(tmp_path / "demo", "old")
    (tmp_path / "demo" / "gone.html").write_text("x")
    fill(tmp_path / "demo.failed", "failure")
    with claim(tmp_path, "demo") as place:
        fill(place.staging)
        place.publish()
    assert (tmp_path / "demo" / "index.html").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]
    assert not (tmp_path / "demo" / "gone.html").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_run_that_breaks_leaves_everything_as_it_was(tmp_path, error):
    fill(tmp_path / "demo", "old")

    def run():
        with claim(tmp_path, "demo") as place:
            fill(place.staging)
            raise error

    with pytest.raises(error):
        run()
    assert (tmp_path / "demo" / "index.html").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]


def test_an_interruption_between_the_two_renames_is_taken_back(tmp_path, monkeypatch):
    fill(tmp_path / "demo", "old")
    rename = type(tmp_path).rename

    def stumble(self, target):
        if self.name == ".staging-demo":
            raise KeyboardInterrupt
        return rename(self, target)

    def run():
        with claim(tmp_path, "demo") as place:
            fill(place.staging)
            monkeypatch.setattr(type(tmp_path), "rename", stumble)
            place.publish()

    with pytest.raises(KeyboardInterrupt):
        run()
    assert (tmp_path / "demo" / "index.html").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]


def test_a_killed_swap_is_mended_at_the_next_start(tmp_path):
    place = Place(tmp_path, "demo")
    fill(place.previous, "old")
    fill(place.staging, "half")
    with claim(tmp_path, "demo") as again:
        assert (again.published / "index.html").read_text() == "old"
        assert not any(again.staging.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]


def test_a_swap_killed_after_the_second_rename_keeps_the_new_report(tmp_path):
    place = Place(tmp_path, "demo")
    fill(place.previous, "old")
    fill(place.published, "new")
    recover_all(tmp_path)
    assert (place.published / "index.html").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]


def test_other_studies_are_mended_unless_somebody_works_on_them(tmp_path):
    fill(Place(tmp_path, "a").previous, "a")
    fill(Place(tmp_path, "b").previous, "b")
    holder = hold(tmp_path / ".lock-b")
    try:
        recover_all(tmp_path)
        assert (tmp_path / "a" / "index.html").read_text() == "a"
        assert not (tmp_path / "b").exists()
    finally:
        holder.communicate("done")


def hold(path):
    """Hold a lock in another process until it is told to end."""
    code = (
        "import fcntl, sys\nf = open(sys.argv[1], 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\ninput()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_runs_into_one_place_are_refused(tmp_path):
    holder = hold(tmp_path / ".lock-demo")
    try:
        with pytest.raises(RunError, match=r"Another run is writing the report 'demo'.*Wait"), claim(tmp_path, "demo"):
            pass
    finally:
        holder.communicate("done")
    with claim(tmp_path, "demo"):
        pass


@pytest.fixture
def windows_lock(monkeypatch):
    """Load the lock as Windows would: its own calls for locks, and a file that is open cannot be removed."""
    import fcntl

    open_files = {}
    real_open, real_close, real_unlink = os.open, os.close, Path.unlink

    def locking(handle, mode, size):
        assert (mode, size) in ((0, 1), (2, 1))
        try:
            fcntl.flock(handle, fcntl.LOCK_UN if mode == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    def note(path, *rest, **more):
        handle = real_open(path, *rest, **more)
        open_files[handle] = str(path)
        return handle

    def forget(handle):
        open_files.pop(handle, None)
        real_close(handle)

    def unlink(self, missing_ok=False):
        if str(self) in open_files.values():
            raise PermissionError(13, "The process cannot access the file because it is being used", str(self))
        real_unlink(self, missing_ok=missing_ok)

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_UNLCK=0, LK_NBLCK=2))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("lock_of_windows", clv.report.lock.__file__)
    found = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as there:
        there.setattr(sys, "platform", "win32")
        spec.loader.exec_module(found)
    monkeypatch.setattr(os, "open", note)
    monkeypatch.setattr(os, "close", forget)
    monkeypatch.setattr(Path, "unlink", unlink)
    return found.lock, open_files


def test_one_run_at_a_time_under_windows_too(windows_lock, tmp_path):
    lock, open_files = windows_lock
    path = tmp_path / ".lock-demo"
    for _ in range(2):
        with lock(path, busy="no"):
            with pytest.raises(RunError, match=r"^busy\. Mend: Wait"), lock(path, busy="busy."):
                pass
            assert path.exists()
            assert len(open_files) == 1
        assert not path.exists()
        assert not open_files
    # Somebody opens the file just before it is let go: it stays, and the next run takes it.
    with lock(path, busy="no"):
        other = os.open(path, os.O_RDWR)
    assert path.exists()
    os.close(other)
    with lock(path, busy="no"):
        pass
    assert not path.exists()


@pytest.mark.parametrize("name", ["demo", "demo.failed"])
def test_a_folder_that_is_not_ours_is_not_replaced(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.doc").write_text("years of work")
    with pytest.raises(RunError, match="not a report of clv"), claim(tmp_path, "demo"):
        pass
    assert (tmp_path / name / "thesis.doc").read_text() == "years of work"


def test_a_link_or_a_file_is_not_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="not a folder that clv made"), claim(tmp_path, "demo"):
        pass
    (tmp_path / "demo").unlink()
    (tmp_path / "demo").write_text("a file")
    with pytest.raises(RunError, match="not a folder that clv made"), claim(tmp_path, "demo"):
        pass
    assert (tmp_path / "demo").read_text() == "a file"


def test_out_that_is_a_file_is_told(tmp_path):
    (tmp_path / "reports").write_text("x")
    for out in (tmp_path / "reports", tmp_path / "reports" / "deeper"):
        with pytest.raises(RunError, match=r"is a file, not a folder.*--out"), claim(out, "demo"):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; tests/cli tries a read-only disk")
def test_no_right_to_write_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match=r"no right to write.*untouched"), claim(tmp_path, "demo"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(RunError, match=r"No space is left.*untouched.*Free some space"), claim(tmp_path, "demo"):
        raise OSError(28, "No space left on device")


def test_other_errors_of_the_system_pass_through(tmp_path):
    with pytest.raises(OSError, match="Input/output"), claim(tmp_path, "demo"):
        raise OSError(5, "Input/output error")
