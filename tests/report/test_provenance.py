"""A report says what it was made from, and gives nothing away."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from clv.data.settings import Settings
from clv.errors import DataError, RunError
from clv.report import provenance
from clv.report.catalogue import find_notebooks, title_of
from clv.report.fault import Fault, explain, from_exception


def settings(**values: object) -> Settings:
    table = {"sql": "select 1", "url": "postgresql://ann:s3cret@db.example/books"}
    return Settings(name="demo", title="Demo", tables={"transactions": table}, **values)


def test_no_password_and_no_folder_of_the_machine():
    text = json.dumps(provenance.shareable(settings()))
    assert "s3cret" not in text
    assert "ann" not in text
    assert "db.example/books" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("duckdb:////home/me/books.duckdb", "duckdb:///books.duckdb"),
        ("duckdb:///books.duckdb", "duckdb:///books.duckdb"),
        ("mysql://me:pw@host:3306/db", "mysql://…@host:3306/db"),
        ("mysql://host/db", "mysql://host/db"),
    ],
)
def test_addresses_of_databases(url, shown):
    assert provenance.shareable_url(url) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/home/me/tx.csv", "tx.csv"), ("~/tx.csv", "tx.csv"), ("../x/tx.csv", "../x/tx.csv"), ("26", "26")],
)
def test_paths(path, shown):
    assert provenance.shareable_path(path) == shown
    assert provenance.shareable_overrides({"tables.transactions.path": path}) == {"tables.transactions.path": shown}


def test_only_changed_settings_are_listed_and_those_of_the_run_are_marked():
    tiers = [{"name": "all", "cost": 10, "uplift": 0.1}]
    rows = provenance.changed_settings(
        settings(margin=0.2, horizon=26, tiers=tiers), {"horizon": "26", "tiers.0.cost": "10"}
    )
    said = {row["key"]: (row["value"], row["overridden"]) for row in rows}
    assert said == {
        "horizon": ("26", True),
        "margin": ("0.2", False),
        "tiers.0": ("name all, cost 10, uplift 0.1", True),
    }


def test_places_of_earlier_runs_are_cut_to_their_names():
    found = settings(response="/home/somebody/r.json", selection={"last_run": "/home/somebody/last"})
    for shown in (provenance.shareable(found), provenance.changed_settings(found, {})):
        assert "somebody" not in str(shown)
        assert "r.json" in str(shown)


def test_the_as_of_date_comes_from_the_summary_where_settings_leave_it_open(tmp_path):
    assert provenance._as_of_summary(tmp_path) is None
    frame = pd.DataFrame({"account_id": ["a"]})
    frame.attrs["clv"] = {"as_of": "2011-06-30"}
    (tmp_path / "tables").mkdir()
    frame.to_parquet(tmp_path / "tables" / "summary.parquet")
    assert provenance._as_of_summary(tmp_path) == "2011-06-30"


def test_notebooks_come_in_running_order(tmp_path):
    for name in ("zebra", "tier_allocation", "apple", "data_quality"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    found = find_notebooks(tmp_path)
    assert [n.name for n in found] == ["data_quality", "tier_allocation", "apple", "zebra"]
    assert found[1].needs == ("account_selection",)
    assert [n.name for n in find_notebooks(tmp_path, only=["zebra"])] == ["zebra"]
    assert title_of(found[2]) == "Apple"


def test_notebooks_that_are_not_there_are_told(tmp_path):
    with pytest.raises(RunError, match="no folder of notebooks"):
        find_notebooks(tmp_path / "none")
    with pytest.raises(RunError, match="holds no notebook"):
        find_notebooks(tmp_path)
    (tmp_path / "tier_allocation.ipynb").write_text("{}")
    with pytest.raises(RunError, match="Did you mean 'tier_allocation'"):
        find_notebooks(tmp_path, only=["tier_alocation"])


def test_faults_are_told_in_one_line_with_the_mend():
    error = DataError("is no number", table="transactions", row=7, mend="Correct\nthe cell.")
    fault = from_exception(error)
    assert fault.message == "table 'transactions', row 7: is no number"
    assert fault.mend == "Correct\nthe cell."
    assert fault.line == "table 'transactions', row 7: is no number Mend: Correct the cell."
    assert Fault("x", "error", "bad").line == "x: bad"


def test_errors_of_the_system_are_put_into_words():
    assert explain("OSError", "[Errno 28] No space left on device: '/x'")[0] == "No space is left on the disk."
    message, mend = explain("ZeroDivisionError", "division by zero")
    assert message == "ZeroDivisionError: division by zero"
    assert "not of your data" in mend
