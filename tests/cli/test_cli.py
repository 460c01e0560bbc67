"""The command line: what it says, and with which exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clv.cli import main


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(autouse=True)
def _signals():
    import signal

    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom clv.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n"
        "    heavy = {'numpy', 'pandas', 'matplotlib', 'scipy', 'nbformat', 'papermill', 'pydantic'}\n"
        "    print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "report" in done.stdout


@pytest.mark.parametrize("arguments", [["--version"], ["-h"], ["report", "--help"]])
def test_asking_is_no_error(capsys, arguments):
    assert call(capsys, *arguments)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["report"], "STUDY"),
        (["reprot", "x"], "reprot"),
        (["report", "x", "-p", "horizon"], "key=value"),
        (["report", "x", "-p", "=3"], "key=value"),
        (["report", "x", "--jobs", "0"], "--jobs"),
        (["report", "x", "--timeout", "soon"], "--timeout"),
    ],
)
def test_wrong_usage_is_told_with_status_two(capsys, arguments, word):
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert word in err


def test_every_wrong_setting_is_named_and_nothing_runs(capsys, write_study, tmp_path):
    study = write_study("tiny", "horizn: 3", "margin: 7")
    status, out, err = call(capsys, "report", str(study), "-p", "grain=fortnight", "--out", str(tmp_path / "reports"))
    assert (status, out) == (1, "")
    assert err.startswith("Error: ")
    for word in ("horizn", "did you mean 'horizon'", "margin", "grain"):
        assert word in err
    assert "Traceback" not in err
    assert not (tmp_path / "reports").exists()


def test_a_study_that_is_not_there_is_told(capsys):
    status, _, err = call(capsys, "report", "no_such_study")
    assert status == 1
    assert "no_such_study" in err
    assert "Mend:" in err


def test_a_notebook_that_is_not_there_is_told(capsys, write_study, tmp_path):
    status, _, err = call(
        capsys, "report", str(write_study()), "--only", "tier_alocation", "--out", str(tmp_path / "reports")
    )
    assert status == 1
    assert "Did you mean 'tier_allocation'?" in err


def test_debug_shows_where(write_study):
    study = write_study("tiny", "horizn: 3")
    command = [sys.executable, "-m", "clv.cli", "--debug", "check", str(study)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_fault_of_our_own_is_one_line(capsys, monkeypatch):
    import clv.data.samples

    def broken():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(clv.data.samples, "list_samples", broken)
    status, _, err = call(capsys, "samples")
    assert status == 1
    assert err.count("\n") == 1
    assert "ZeroDivisionError" in err
    assert "--debug" in err


def test_check_reconciles_and_writes_nothing(capsys, write_study):
    study = write_study()
    before = sorted(p.name for p in study.iterdir())
    status, out, err = call(capsys, "check", str(study), "-p", "currency=GBP")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["transactions", "rows", "GBP"] in lines
    assert ["read", "3", "29.00"] in lines
    assert ["accepted", "3", "29.00"] in lines
    assert sorted(p.name for p in study.iterdir()) == before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_check_tells_what_is_wrong_and_writes_rejected_rows_where_asked(capsys, write_study, tmp_path, ending):
    import pandas as pd

    study = write_study()
    with (study / "tx.csv").open("a") as file:
        file.write("c,2020-03-01,much\nc,1899-12-30,5\n")
    target = tmp_path / f"rejected.{ending}"
    status, out, err = call(capsys, "check", str(study), "--rejected", str(target))
    assert status == 1
    assert "Error: " in err
    assert "much" in err
    assert "accepted" in out
    rejected = pd.read_csv(target) if ending == "csv" else pd.read_parquet(target)
    assert rejected["row"].tolist() == [5, 6]


def test_check_refuses_an_unknown_kind_of_file(capsys, write_study, tmp_path):
    status, _, err = call(capsys, "check", str(write_study()), "--rejected", str(tmp_path / "rejected.doc"))
    assert status == 1
    assert ".parquet" in err


def test_samples_are_listed_with_origin_and_licence(capsys):
    status, out, _ = call(capsys, "samples")
    assert status == 0
    for word in ("cdnow", "demo", "online_retail", "provenance:", "licence:", "synthetic"):
        assert word in out


def test_init_writes_a_study_that_can_be_checked(capsys, tmp_path):
    (tmp_path / "sales.csv").write_text(
        "Customer No;Invoice Date;Amount\nA1;2020-01-05;10,50\nA2;2020-02-07;7,25\nA1;2020-03-09;3,00\n"
    )
    status, out, _ = call(capsys, "init", str(tmp_path))
    assert status == 0
    assert "study.yml" in out
    status, out, _ = call(capsys, "check", str(tmp_path))
    assert status == 0
    assert "20.75" in out
    status, _, err = call(capsys, "init", str(tmp_path))
    assert status == 1
    assert "study.yml" in err
