"""Whether a notebook ran is read from what its kernel answered, with real kernels."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from clv.report.catalogue import Notebook
from clv.report.execute import execute

PARAMETERS = {
    "study": 'a "quoted" {brace}\\',
    "run_folder": None,
    "overrides": {"horizon": "26", "as_of": "2011-07-01"},
}


def run(path, **options):
    return execute(Notebook(path.stem, path), PARAMETERS, **options)


def test_the_kernel_is_this_interpreter_in_a_clean_room(write_notebook, tmp_path, monkeypatch):
    """A user's own kernel, start-up files, backend and thread pools stay out."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("surprise = 1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00.py"))
    monkeypatch.setenv("MPLBACKEND", "pdf")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    path = write_notebook(
        "seen",
        "# Seen",
        "import os, sys, json, threading\n"
        "names = ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'PYTHONHASHSEED', 'MPLBACKEND']\n"
        "print(json.dumps({'python': sys.executable, 'cwd': os.getcwd(), 'surprise': 'surprise' in dir(),\n"
        "  'given': [study, run_folder, overrides], **{name: os.environ.get(name) for name in names}}))",
        "from clv.report import style\nimport matplotlib.pyplot as plt\n"
        "style.use()\nplt.plot([1, 2])\nplt.title('Up');",
    )
    done = run(path)
    assert done.fault is None
    seen = json.loads(done.node.cells[3].outputs[0].text)
    assert seen["python"] == sys.executable
    assert seen["cwd"] == str(Path.cwd())
    assert seen["given"] == list(PARAMETERS.values())
    assert not seen["surprise"]
    assert seen["PYTHONHASHSEED"] == "0"
    assert {seen[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"1"}
    assert seen["MPLBACKEND"] != "pdf"
    (output,) = done.node.cells[4].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}
    assert "<title>Up</title>" in output.data["image/svg+xml"]
    assert "dc:date" not in output.data["image/svg+xml"]


def test_our_own_errors_are_told_with_heading_and_mend(write_notebook):
    path = write_notebook(
        "bad",
        "# Title",
        "## Reading the file",
        "from clv.errors import DataError",
        "raise DataError('is no number', mend='Correct it.', table='transactions', row=7)",
        "never = 1",
    )
    fault = run(path).fault
    assert fault is not None
    assert (fault.kind, fault.name, fault.heading) == ("error", "DataError", "Reading the file")
    assert (fault.message, fault.mend) == ("table 'transactions', row 7: is no number", "Correct it.")
    assert "raise DataError" in fault.traceback
    assert "\x1b" not in fault.traceback


@pytest.mark.parametrize(
    "ending",
    ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "import os\nos._exit(0)"],
    ids=["SIGKILL", "os._exit"],
)
def test_a_kernel_that_dies_is_noticed(write_notebook, ending):
    fault = run(write_notebook("dies", "# T", "## Here", ending, "## Later", "2")).fault
    assert fault is not None
    assert (fault.kind, fault.heading) == ("killed", "Here")


def test_a_notebook_that_ends_itself_is_no_success(write_notebook):
    """papermill takes exit status 0 for success, whatever had still to come."""
    fault = run(write_notebook("ends", "# T", "import sys\nsys.exit(0)", "2")).fault
    assert fault is not None
    assert fault.message == "The notebook ended itself before its last cell."


def test_a_hung_kernel_is_stopped(write_notebook):
    path = write_notebook("hangs", "# T", "import os, signal\nprint(os.getpid())\nos.kill(os.getpid(), signal.SIGSTOP)")
    done = run(path, timeout=2)
    assert done.fault is not None
    assert done.fault.kind == "timeout"
    assert "--timeout" in str(done.fault.mend)


def test_a_broken_notebook_is_told(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text("{no json")
    fault = run(path).fault
    assert fault is not None
    assert "cannot be read" in fault.message
