"""Profiles, clusters and lookalikes on data that nobody here made: found where something is, refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clv

#: fewer repetitions than the defaults: nothing below hangs on the second digit.
QUICK = {"references": 29, "resamples": 12}


@pytest.fixture(scope="module")
def deals(data_home: Path) -> pd.DataFrame:
    """448 deals of a software company, by 22 answers of its sales team (Bohanec et al.)."""
    table = pd.read_csv(data_home / "salvirt_b2b" / "Salvirt_B2B_ML_dataset.csv", sep=";", keep_default_na=False)
    return table.assign(account_id=[f"D{i:03d}" for i in range(len(table))]).set_index("account_id")


@pytest.fixture(scope="module")
def crm(data_home: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """85 fictitious accounts, and what became of their deals: money won goes with size, the share won with nothing."""
    folder = data_home / "maven_crm"
    accounts = pd.read_csv(folder / "accounts.csv").rename(
        columns={"account": "account_id", "subsidiary_of": "parent_id"}
    )
    pipeline = pd.read_csv(folder / "sales_pipeline.csv")
    decided = pipeline[pipeline["deal_stage"].isin(["Won", "Lost"])]
    won = decided[decided["deal_stage"] == "Won"].groupby("account")["close_value"].agg(["sum", "size"])
    won["share"] = won["size"] / decided.groupby("account").size()
    return accounts, won.rename_axis("account_id")


@pytest.fixture(scope="module")
def prospects(data_home: Path) -> pd.DataFrame:
    """500 prospects of a textbook (Kumar & Petersen 2012): who was acquired goes with size, profit does not."""
    table = pd.read_csv(data_home / "smcrm" / "acquisitionRetention.csv")
    return table.assign(account_id=[f"K{i:03d}" for i in range(len(table))]).set_index("account_id")


FIRM = ["industry", "revenue", "employees"]


def test_size_tells_who_brings_most_and_is_named(crm: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    accounts, won = crm
    size = accounts.set_index("account_id")["revenue"]
    assert size.corr(won["sum"], method="spearman") > 0.6
    found = clv.ideal_customer_profile(accounts, won[["sum"]].set_axis(["clv"], axis=1), history=won["size"], repeats=1)
    assert found.model.ranks
    assert found.model.evidence.auc > 0.65
    assert "more often: revenue" in found.text
    fit = found.table["fit"]
    assert fit.corr(size.reindex(fit.index), method="spearman") > 0.5


def test_nothing_tells_who_wins_more_often_and_nobody_is_graded(crm: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    accounts, won = crm
    found = clv.ideal_customer_profile(
        accounts, won[["share"]].set_axis(["clv"], axis=1), history=won["size"], repeats=1
    )
    assert not found.model.ranks
    assert "no better than chance, so no account gets a fit" in found.text
    assert found.table["fit"].isna().all()
    assert (found.table["grade"] == "unknown").all()
    reference = won["share"].nlargest(2).index
    alike = clv.lookalikes(accounts, reference, outcome=won["share"] > won["share"].median())
    assert "nothing shows that they will act alike" in alike.text
    assert alike.area.lower < 0.5 < alike.area.upper


def test_accounts_drawn_without_kinds_are_not_cut_into_kinds(crm: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    accounts, won = crm
    found = clv.account_clusters(accounts, won=won.index, **QUICK)
    assert not found.structured
    assert found.p_value > 0.2
    assert "would invent kinds that the data do not have" in found.text


def test_likeness_to_won_deals_says_something_about_deals(deals: pd.DataFrame) -> None:
    won = deals["Status"] == "Won"
    found = clv.lookalikes(deals, won.index[won][:2], exclude=["Status"], outcome=won)
    assert found.area.lower > 0.65
    assert "Likeness means something here" in found.text
    # The answers of the sales team that are alike and not are named.
    assert found.table["why"].str.contains("unlike in").mean() > 0.9
    shuffled = pd.Series(np.random.default_rng(3).permutation(won), won.index)
    none = clv.lookalikes(deals, won.index[won][:2], exclude=["Status"], outcome=shuffled)
    assert none.area.lower < 0.5 < none.area.upper


@pytest.mark.slow
def test_real_deals_fall_into_new_and_current_clients(deals: pd.DataFrame) -> None:
    won = deals.index[deals["Status"] == "Won"]
    found = clv.account_clusters(deals, exclude=["Status"], won=won, **QUICK)
    assert found.structured
    assert len(found.clusters) == 2
    client = pd.crosstab(found.table["cluster"], deals["Client"].reindex(found.table.index))
    # The one kind is mostly of current clients who are sold more, the other of new ones.
    assert (client["Current"] / client.sum(axis=1)).max() > 0.6
    assert (client["New"] / client.sum(axis=1)).max() > 0.6
    assert "Every cluster has a won account" in found.text
    assert found.table["reference"].isin(won).all()


def test_firmographics_tell_who_is_acquired_but_not_who_is_profitable(prospects: pd.DataFrame) -> None:
    acquired = prospects["acquisition"] == 1
    best = prospects.loc[acquired, "profit"].nlargest(3).index
    found = clv.lookalikes(prospects[FIRM], best, outcome=acquired)
    assert found.area.lower > 0.7
    value = prospects.loc[acquired, ["profit"]].set_axis(["clv"], axis=1)
    judged = prospects.loc[acquired, "freq"].clip(lower=3)
    profile = clv.ideal_customer_profile(prospects[FIRM].reset_index(), value, history=judged, repeats=1)
    assert not profile.model.ranks
    assert "No level of any attribute stands out" in profile.text


@pytest.mark.slow
def test_textbook_prospects_have_no_kinds(prospects: pd.DataFrame) -> None:
    found = clv.account_clusters(prospects[FIRM], **QUICK)
    assert not found.structured
