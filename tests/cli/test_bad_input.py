"""Bad input at the command line: one clear message with the mend, status 1, and the report before it untouched."""

from __future__ import annotations

import json
import re

import pytest

from clv.cli import main
from clv.report.staging import MADE_BY

HEADER = "account_id,date,amount\n"
GOOD = HEADER + "a,2020-01-01,10\na,2020-02-01,12\nb,2020-01-05,7\n"
CASES = {
    "empty file": (b"", "is empty"),
    "header only": (HEADER.encode(), "no rows|no row|header only|only a header"),
    "missing column": (b"account_id,date\na,2020-01-01\n", "amount"),
    "text in amount": ((GOOD + "c,2020-01-01,ten\n").encode(), "ten"),
    "future date": ((GOOD + "c,2999-01-01,1\n").encode(), "2999-01-01"),
    "1899 date": ((GOOD + "c,1899-12-30,1\n").encode(), "1899-12-30"),
    "mixed time zones": (
        (HEADER + "a,2020-01-01T10:00:00+01:00,1\nb,2020-01-02T10:00:00-05:00,1\n").encode(),
        "different zones",
    ),
    "300-character id": ((GOOD + "x" * 300 + ",2020-01-01,1\n").encode(), "300|200"),
    "script id": ((GOOD + "<script>alert(1)</script>,2020-01-01,1\n").encode(), "unsafe_ids: keep"),
    "formula id": ((GOOD + "=cmd(),2020-01-01,1\n").encode(), "unsafe_ids: keep"),
    "duplicate column": (b"account_id,date,amount,amount\na,2020-01-01,1,2\n", "amount"),
    "wrong encoding told": (GOOD.replace("a,", "\u00e9,").encode("cp1252"), "encoding"),
}


@pytest.mark.parametrize("command", ["check", "report"])
@pytest.mark.parametrize("case", CASES)
def test_told_with_the_mend_and_nothing_lost(command, case, write_study, write_notebook, tmp_path, capsys):
    content, words = CASES[case]
    study = write_study("tiny", *(["    encoding: utf-8"] if "told" in case else []))
    before = tmp_path / "reports" / "tiny"
    before.mkdir(parents=True)
    (before / "index.html").write_text("the report before")
    (before / "manifest.json").write_text(json.dumps({"made_by": MADE_BY}))
    (study / "tx.csv").write_bytes(content)
    notebooks = write_notebook("read", "# Read", "import clv\nclv.open_run(study).transactions").parent
    extra = ["--out", str(tmp_path / "reports"), "--notebooks", str(notebooks)] if command == "report" else []
    with pytest.raises(SystemExit) as stopped:
        main([command, str(study), *extra])
    said = "".join(capsys.readouterr())
    assert stopped.value.code == 1
    assert re.search(words, said), said
    assert "Mend:" in said
    assert "Traceback" not in said
    assert (before / "index.html").read_text() == "the report before"


@pytest.mark.parametrize("content", [GOOD.encode("utf-8-sig"), GOOD.replace("b,", "ООО Ромашка,").encode("cp1251")])
def test_a_mark_or_an_old_encoding_is_no_fault(content, write_study, capsys):
    study = write_study("tiny")
    (study / "tx.csv").write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(study)])
    assert stopped.value.code == 0, capsys.readouterr()


def test_a_folder_instead_of_a_file(write_study, capsys):
    study = write_study("tiny")
    (study / "tx.csv").unlink()
    (study / "tx.csv").mkdir()
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(study)])
    assert stopped.value.code == 1
    assert "folder" in "".join(capsys.readouterr())
