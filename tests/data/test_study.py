"""A folder becomes a study: settings, overrides, inputs, references."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from clv.data.study import Study, load_study
from clv.errors import DataError, SettingsError

MINIMAL = "name: x\ntitle: X\ntables:\n  transactions: {path: t.csv}\n"
ROWS = "account_id,date,amount\n007,2011-01-01,10\nNA,2011-01-03,5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yml").write_text(MINIMAL)
    (tmp_path / "t.csv").write_text(ROWS)
    return tmp_path


def wrong(folder: Path, text: str, overrides: dict[str, object] | None = None) -> str:
    (folder / "study.yml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        load_study(folder, overrides)
    assert str(folder.parent) not in str(refusal.value)
    return str(refusal.value)


def test_a_study_is_found_by_folder_by_file_and_by_sample_name(folder: Path) -> None:
    for where in (folder, str(folder), folder / "study.yml"):
        assert load_study(where).name == "x"
    assert load_study("cdnow").settings.currency == "USD"


def test_a_table_is_read_once_and_the_study_says_what_it_has(folder: Path) -> None:
    study = load_study(folder)
    assert study.read("transactions") is study.read("transactions")
    assert study.has("transactions")
    assert not study.has("accounts")
    with pytest.raises(DataError, match=r"no table 'accounts'.*it under 'tables:'; the study has transactions"):
        study.read("accounts")
    with pytest.raises(DataError, match=r"no table 'account' \(did you mean 'accounts'\?\)"):
        study.read("account")


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("horizon", "26", 26.0),
        ("horizon", 26, 26.0),
        ("rules.credits", "drop", "drop"),
        ("rules.pseudo_items", "[POST, M]", ["POST", "M"]),
        ("as_of", "2011-01-02", "2011-01-02"),
        ("tiers.1.cost", "9000", 9000.0),
        ("title", "2024", "2024"),
        ("currency", "NO", "NO"),
        ("budget", "null", None),
    ],
)
def test_overrides(folder: Path, path: str, value: object, found: object) -> None:
    dumped = load_study(folder, {path: value}).settings.model_dump(mode="json")
    for step in path.split("."):
        dumped = dumped[int(step) if step.isdigit() else step]
    assert dumped == found


def test_an_override_into_default_tiers_keeps_the_others(folder: Path) -> None:
    tiers = load_study(folder, {"tiers.1.cost": 7}).settings.tiers
    assert [(tier.name, tier.cost) for tier in tiers] == [("1:1", 8000), ("1:few", 7), ("1:many", 100)]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"horizn": 5}, "horizn: unknown key 'horizn' (did you mean 'horizon'?)"),
        ({"tiers.9.cost": 5}, "tiers.9.cost: '9' is no place in a list of 3"),
        ({"title.x": 5}, "title.x: what holds 'x' has no parts"),
        ({"rules.credits": "nett"}, "rules.credits: found 'nett' (did you mean 'net'?); allowed are net, drop, keep"),
        ({"margin": "1.5"}, "margin: found 1.5"),
        ({"horizon": "soon"}, "horizon: found 'soon'"),
        ({"tables.transactions.columns.acount_id": "x"}, "unknown key 'acount_id' (did you mean 'account_id'?)"),
        ({"tables.transaction.path": "x"}, "unknown table 'transaction'"),
    ],
)
def test_overrides_that_cannot_be_meant(folder: Path, overrides: dict[str, object], said: str) -> None:
    assert said in wrong(folder, MINIMAL, overrides)


def test_all_faults_come_in_one_message(folder: Path) -> None:
    said = wrong(
        folder, MINIMAL + "unt: W\nmargin: 2\nrules: {duplicates: maybe}\ntiers: [{name: a, cost: -1, uplift: 0}]\n"
    )
    assert "4 settings are wrong" in said
    for part in (
        "unt: unknown key 'unt' (did you mean 'unit'?)",
        "margin: found 2",
        "rules.duplicates: found 'maybe'; allowed are drop, keep",
        "tiers.0.cost: found -1",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [x\ntitle: y\n", "line 2"),
        ("name: x\n\ttitle: y\n", "line 2, column 1"),
        ("name: x\nname: y\n", "line 2, column 1: the key 'name' is given twice"),
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("name: x\ntitle: X\n", "tables: is missing"),
        (
            "name: 007\ntitle: X\ntables: {transactions: {path: t.csv}}\n",
            "name: found 7, which YAML does not take for text; put it in quotes",
        ),
        ("name: x\ntitle: X\ntables: {accounts: {path: t.csv}}\n", "the table 'transactions' is required"),
        ("name: x\ntitle: X\ntables: {transactions: {}}\n", "give either 'path' or 'sql'"),
        (
            "name: x\ntitle: X\ntables: {transactions: t.csv}\n",
            "tables.transactions: found 't.csv'; should be a group of keys",
        ),
        ("name: x/y\ntitle: X\ntables: {transactions: {path: t.csv}}\n", "name: found 'x/y'"),
        ("name: x\ntitle: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
    ],
)
def test_files_that_are_no_settings(folder: Path, text: str, said: str) -> None:
    assert said in wrong(folder, text)


def test_no_study_at_all(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"has no study.yml.*clv init"):
        load_study(tmp_path)
    with pytest.raises(SettingsError, match=r"no sample 'cdnw' \(did you mean 'cdnow'\?\)"):
        load_study("cdnw")
    (tmp_path / "t.csv").write_text(ROWS)
    with pytest.raises(SettingsError, match=r"t\.csv is no study"):
        load_study(tmp_path / "t.csv")


def test_inputs_name_no_machine_and_their_hash_follows_the_bytes(folder: Path) -> None:
    inputs = load_study(folder).inputs()
    assert inputs[["table", "path", "bytes"]].to_numpy().tolist() == [["transactions", "t.csv", len(ROWS)]]
    before = load_study(folder).fingerprint()
    assert before == load_study(folder).fingerprint()
    assert before != load_study(folder, {"horizon": 5}).fingerprint()
    (folder / "t.csv").write_text(ROWS + "x,2011-01-01,1\n")
    assert before != load_study(folder).fingerprint()


def test_a_query_has_a_hash_and_keeps_its_password(folder: Path) -> None:
    (folder / "study.yml").write_text(
        "name: x\ntitle: X\ntables:\n  transactions: {sql: \"SELECT * FROM read_csv('t.csv', all_varchar=true)\", url: 'duckdb://'}\n"
    )
    study = load_study(folder)
    assert study.inputs()["path"].tolist() == ["query to duckdb://"]
    assert len(study.fingerprint()) == 64
    assert study.read("transactions").table["account_id"].tolist() == ["007", "NA"]
    from clv.data.study import _without_password

    assert _without_password("postgresql://me:s@cret@host/base") == "postgresql://me@host/base"


def test_as_of(folder: Path) -> None:
    study = load_study(folder)
    table = study.read("transactions").table
    assert study.as_of(table) == pd.Timestamp("2011-01-03")
    assert load_study(folder, {"as_of": "2011-01-02"}).as_of(table) == pd.Timestamp("2011-01-02")
    with pytest.raises(DataError, match=r"no purchase lies on or before as_of 2010-12-31; the first is of 2011-01-01"):
        load_study(folder, {"as_of": "2010-12-31"}).as_of(table)
    with pytest.raises(DataError, match="no purchases are left"):
        study.as_of(table.iloc[:0])


def test_references_that_point_to_nothing_are_reported_not_refused(folder: Path) -> None:
    (folder / "a.csv").write_text("account_id,parent_id\n007,\n008,009\n")
    (folder / "c.csv").write_text("contact_id,account_id\n1,007\n")
    (folder / "touch.csv").write_text("account_id,date,contact_id\n007,2011-01-01,1\nzz,2011-01-01,9\nzz,2011-01-02,\n")
    (folder / "study.yml").write_text(
        MINIMAL + "  accounts: {path: a.csv}\n  contacts: {path: c.csv}\n  touches: {path: touch.csv}\n"
    )
    report = load_study(folder).references()
    assert report[report["rows"] > 0].to_numpy().tolist() == [
        ["transactions", "account_id", "accounts", 1, 1, "NA"],
        ["accounts", "parent_id", "accounts", 1, 1, "009"],
        ["touches", "account_id", "accounts", 2, 1, "zz"],
        ["touches", "contact_id", "contacts", 1, 1, "9"],
    ]


def test_a_study_shows_itself(folder: Path) -> None:
    assert repr(load_study(folder)) == "Study('x', tables: transactions)"
    assert isinstance(load_study("demo"), Study)
