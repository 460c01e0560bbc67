"""The notebook `account_selection` and its steps: what they show, what they say where data lack, and no look-ahead."""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

import clv
from clv.data import simulate
from clv.errors import DataError, SettingsError
from clv.report.steps.last_run import as_known_on
from clv.result import Missing

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "account_selection.ipynb"


def read(study: str | Path, folder: Path | None = None, **overrides) -> str:
    """Run the notebook's cells here, without a kernel, and return all that it shows as text."""
    with mpl.rc_context():  # the notebook sets the style of its charts
        return _read(study, folder, overrides)


def _read(study: str | Path, folder: Path | None, overrides: dict) -> str:
    space: dict = {}
    shown: list[str] = []
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space.update(study=str(study), run_folder=folder, overrides={"draws": 60, **overrides})
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else "")
    return html.unescape(re.sub(r"<[^>]+>", " ", "\n".join(shown)))


@pytest.fixture(scope="module")
def universe() -> simulate.Universe:
    return simulate.draw(accounts=120, seed=3, years=2)


ALL = ("transactions", "accounts", "contacts", "touches", "opportunities", "contracts", "wallets")


def write(universe: simulate.Universe, folder: Path, changed=None, tables=ALL, **settings) -> Path:
    """Write a study with changed tables: name -> function of the table."""
    folder.mkdir(parents=True)
    for name, table in universe.tables.items():
        change = (changed or {}).get(name, lambda table: table)
        change(table.copy()).to_csv(folder / f"{name}.csv", index=False)
    study = {
        "name": "small", "title": "Small", "as_of": "2024-12-28", "margin": 0.35, "draws": 60,
        "rules": {"latest": "2025-01-05"}, "selection": {"capacity": 30, "cost_to_serve": 100},
        "tables": {name: {"path": f"{name}.csv"} for name in tables}, **settings,
    }  # fmt: skip
    (folder / "study.yml").write_text(yaml.safe_dump(study))
    return folder


def faulty(universe: simulate.Universe, folder: Path) -> tuple[Path, dict[str, str]]:
    """A study with a wallet below sales, an unknown industry, one company under two ids, and a family."""
    sales = universe.tables["transactions"].groupby("account_id")["amount"].sum()
    rich = str(sales.idxmax())
    some = [str(a) for a in universe.tables["accounts"]["account_id"] if str(a) != rich]
    who = {"wallet": rich, "twin": some[0], "copy": some[1], "child": some[2], "odd": some[3]}

    def accounts(table):
        table = table.set_index("account_id")
        table.loc[[who["twin"], who["copy"]], "name"] = ["Nord Mill GmbH", "Nord Mill"]
        table["parent_id"] = None
        table.loc[who["child"], "parent_id"] = rich
        table["industry"] = table["industry"].astype(object)
        table.loc[who["odd"], "industry"] = "basket weaving"
        return table.reset_index()

    def wallets(table):
        table = table[table["account_id"] != rich]
        return pd.concat([table, pd.DataFrame({"account_id": [rich], "date": ["2024-12-01"], "wallet": [5.0]})])

    tables = [name for name in ALL if name not in ("opportunities", "contracts")]
    return write(universe, folder, {"accounts": accounts, "wallets": wallets}, tables), who


def test_faults_in_the_data_are_shown_and_nothing_is_made_up(universe, tmp_path):
    study, who = faulty(universe, tmp_path / "faulty")
    said = read(study, tmp_path / "run")
    assert f"such as that of {who['wallet']} (share of wallet" in said
    assert "Surveyed wallets that cannot be true" in said
    assert "faults in the data (1)" in said
    assert "may be one company" not in said  # it is a question to a team, in its list
    run = clv.open_run(study, tmp_path / "run", {"draws": 60})
    asked = run.question_list.set_index("account_id")["question"]
    assert "is smaller than our sales" in asked[who["wallet"]]
    assert f"Is {max(who['twin'], who['copy'])} the same company" in asked[min(who["twin"], who["copy"])]
    assert f"It owns {who['child']}, chosen apart from it" in asked[who["wallet"]]
    odd = run.incremental.table.loc[who["odd"]]
    assert np.isfinite(odd["net"])  # an industry nobody has seen is average, and no error
    assert len(run.selection.table) == len(run.accounts)
    exported = pd.read_csv(tmp_path / "run" / "exports" / "account_selection.csv", dtype={"account_id": str})
    assert exported["account_id"].tolist() == run.selection.table["account_id"].tolist()
    assert {"kind", "tier", "score", "lower", "upper", "p_selected", "why", "flips", "grade", "stage"} <= set(exported)
    assert (tmp_path / "run" / "exports" / "account_questions.xlsx").is_file()
    kept = pd.read_parquet(tmp_path / "run" / "tables" / "account_selection.parquet")
    assert kept["selected"].sum() == run.selection.table["selected"].sum()


def test_a_study_of_purchases_alone_falls_back_to_value_and_says_so():
    said = read("cdnow")
    assert "the choice rests on their value alone" in said
    for lacking in (
        "no table of accounts: who fits", "no table of accounts: likes cannot", "no table of accounts: nobody can be",
        "value alone decides", "what its customers buy elsewhere cannot be told", "This study has no deals",
        "Strategic criteria are not weighed", "one of data: Who decides?",
    ):  # fmt: skip
        assert lacking in said, lacking
    assert "No way of choosing beats past spend" in said
    assert "Traceback" not in said


def test_what_came_later_has_no_say_in_the_earlier_choice(universe, tmp_path):
    """Purchases, credit notes, touches, deals, accounts and surveys after the day change nothing about it."""
    day = pd.Timestamp("2024-11-15")
    ids = universe.tables["accounts"]["account_id"].astype(str)
    buys = universe.tables["transactions"].tail(1)
    late = "2024-12-05"

    def poison(name, row):
        return lambda table: pd.concat([table, pd.DataFrame([{**table.iloc[-1].to_dict(), **row}])], ignore_index=True)

    one = str(buys["account_id"].iloc[0])
    first = universe.tables["transactions"].iloc[0]
    credit = {**first.to_dict(), "date": late, "quantity": -first["quantity"], "amount": -first["amount"],
              "invoice": "C1"}  # fmt: skip
    dirty = {
        "transactions": lambda t: pd.concat(
            [t, pd.DataFrame([{**t.iloc[-1].to_dict(), "date": late, "amount": 9e6, "quantity": 1, "unit_price": 9e6},
                              credit])], ignore_index=True,
        ),
        "touches": poison("touches", {"account_id": one, "date": late, "inbound": True, "sentiment": 1.0}),
        "opportunities": poison("opportunities", {"opportunity_id": "ZZ", "account_id": ids.iloc[-1],
                                                  "created": "2024-10-01", "closed": late, "outcome": "won"}),
        "accounts": poison("accounts", {"account_id": "NEW", "name": "New", "created": late}),
        "wallets": poison("wallets", {"account_id": one, "date": late, "wallet": 9e7}),
    }  # fmt: skip
    clean = as_known_on(clv.open_run(write(universe, tmp_path / "clean")), day)
    soiled = as_known_on(clv.open_run(write(universe, tmp_path / "soiled", dirty)), day)
    assert clean.as_of == day
    a, b = clean.selection.table, soiled.selection.table
    # The open deal counts as one more deal in progress on both days; nothing else is known of it.
    pd.testing.assert_frame_equal(a[["account_id", "selected"]], b[["account_id", "selected"]])
    np.testing.assert_allclose(a["score"], b["score"], rtol=1e-6)
    assert "NEW" not in set(b["account_id"])
    assert soiled.transactions["date"].max() <= day + pd.Timedelta(days=1)


def test_the_last_run_is_a_folder_or_a_file(universe, tmp_path):
    study = write(universe, tmp_path / "study", tables=ALL[:2])
    first = clv.open_run(study, tmp_path / "first", {"as_of": "2024-09-28"})
    assert len(first.selection_list)
    changes = {}
    for place in ("first", "first/exports/account_selection.csv", "first/tables/account_selection.parquet"):
        run = clv.open_run(study, None, {"selection.last_run": f"../{place}"})
        changes[place] = run.changes
        assert run.changes.text.startswith("Since the last run (as of 2024-09-28), ")
    a, b, c = (found.table.drop(columns="unsure") for found in changes.values())
    pd.testing.assert_frame_equal(a, c)
    assert a["account_id"].tolist() == b["account_id"].tolist()
    # The same folder twice: what the last run left is read before this run takes its place.
    again = clv.open_run(study, tmp_path / "first", {"selection.last_run": "../first"})
    pd.testing.assert_frame_equal(again.changes.table, changes["first"].table)
    with pytest.raises(DataError, match=r"nowhere is not there.*selection.last_run"):
        _ = clv.open_run(study, None, {"selection.last_run": "nowhere"}).changes
    (study / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="account_id"):
        _ = clv.open_run(study, None, {"selection.last_run": "odd.csv"}).changes


def test_without_enough_history_no_earlier_choice_is_made_up(universe, tmp_path):
    run = clv.open_run(write(universe, tmp_path / "study", tables=ALL[:1], selection={"compare_days": 5000}))
    assert isinstance(run.changes, Missing)
    assert "cannot be told" in run.changes.text
    assert run.change_list.shape == (0, 0)
    assert run.selection_decision.text


def test_strategic_weights_come_from_the_settings(universe, tmp_path):
    study = write(universe, tmp_path / "study", tables=ALL[:4])
    free = clv.open_run(study)
    assert "states no weights" in free.strategy_criteria.text
    assert {"money", "stage"} <= set(free.strategy.costs.columns)
    bound = clv.open_run(study, None, {"selection.criteria": {"money": [0.9, 1.0], "stage": [0.0, 0.1]}})
    assert set(bound.strategy.costs.columns) == {"money", "stage", "cost"}
    assert bound.strategy.costs["money"].min() >= 0.9
    assert bound.strategy.cost <= free.strategy.cost
    with pytest.raises(SettingsError, match="sum to more than 1"):
        clv.open_run(study, None, {"selection.criteria": {"money": [0.9, 1.0], "stage": [0.2, 0.3]}})
    with pytest.raises(SettingsError, match="allowed are"):
        clv.open_run(study, None, {"selection.criteria": {"beauty": [0.0, 1.0]}})


def test_children_are_counted_with_their_parents_where_the_study_says_so(universe, tmp_path):
    study, who = faulty(universe, tmp_path / "families")
    apart = clv.open_run(study)
    run = clv.open_run(study, None, {"selection.parents": True})
    ids = set(run.selection.table["account_id"])
    assert who["child"] not in ids
    assert len(ids) == len(run.accounts) - 1
    value, owner = apart.value.table["clv"], who["wallet"]
    together = value[owner] + value.get(who["child"], 0.0)
    assert run.incremental.table.loc[owner, "base"] == pytest.approx(together)
    assert "It owns" not in run.questions.text
    assert not run.questions.table["question"].str.contains("It owns").any()
    assert any("belong to" in said or "belong to one parent" in said for said in run.notes)


def test_values_from_elsewhere_are_not_compared_with_our_own_of_before(universe, tmp_path):
    study = write(universe, tmp_path / "study", tables=ALL[:2])
    values = clv.open_run(study).value.table.drop(columns=["lower", "upper"]).reset_index()
    (tmp_path / "run" / "tables").mkdir(parents=True)
    values.to_parquet(tmp_path / "run" / "tables" / "customer_value.parquet")
    run = clv.open_run(study, tmp_path / "run")
    assert isinstance(run.changes, Missing)
    assert "values come from elsewhere" in run.changes.text
    assert isinstance(run.learning, Missing)
    assert isinstance(run.luck, Missing)
    assert run.learning_list.shape == (0, 0)
    assert "probability" not in run.selection_decision.text


def test_where_nobody_is_worth_a_place_the_page_says_so(universe, tmp_path):
    dear = [{"name": "gold plated", "cost": 1e7, "uplift": 0.1}]
    run = clv.open_run(write(universe, tmp_path / "study", tables=ALL[:1], tiers=dear))
    assert run.selection_decision.text.startswith("Take nobody")
    assert run.selected.shape == run.learning_list.shape == run.contributions.shape == (0, 0)
    assert "Nobody is taken" in run.changes.text
    assert isinstance(run.luck, Missing)
    assert isinstance(run.strategy, Missing)
