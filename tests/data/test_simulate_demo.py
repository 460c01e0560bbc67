"""The committed sample is a fresh draw, and its study tells the same story as the generating process."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from clv.data.settings import Settings
from clv.data.simulate import Process, Universe, draw_demo, write_demo
from clv.data.simulate.__main__ import main
from clv.data.simulate.parameters import TIERS
from clv.data.study import load_study

DEMO = Path(__file__).parents[2] / "data" / "samples" / "demo"


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw_demo()


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.model_validate(yaml.safe_load((DEMO / "study.yml").read_text(encoding="utf-8")))


def test_committed_files_equal_a_fresh_draw(tmp_path):
    written = {file.relative_to(tmp_path) for file in write_demo(tmp_path)}
    committed = {file.relative_to(DEMO) for file in DEMO.rglob("*.csv")}
    assert written == committed
    differ = [str(name) for name in sorted(written) if (tmp_path / name).read_bytes() != (DEMO / name).read_bytes()]
    assert differ == [], "draw afresh: python -m clv.data.simulate data/samples/demo"


def test_the_command_writes_the_sample(tmp_path, capsys):
    main([str(tmp_path / "new")], standalone_mode=False)
    assert (tmp_path / "new" / "truth" / "accounts.csv").read_bytes() == (DEMO / "truth" / "accounts.csv").read_bytes()
    assert "transactions.csv" in capsys.readouterr().out


def test_the_study_agrees_with_the_process(universe, settings):
    process = Process()
    assert settings.synthetic
    assert "synthetic" in settings.title.lower()
    assert pd.Timestamp(settings.as_of) == universe.as_of
    assert (settings.margin, settings.discount_rate, settings.horizon) == (
        process.margin,
        process.discount_rate,
        process.horizon,
    )
    assert settings.unit == "W"
    assert [(tier.name, tier.cost, tier.hours) for tier in settings.tiers] == [
        (tier.name, tier.cost, tier.hours) for tier in TIERS
    ]
    assert {name: source.path for name, source in settings.tables.items()} == {
        name: f"{name}.csv" for name in universe.tables
    }


def test_the_sample_is_small_and_plausible(universe):
    assert sum(file.stat().st_size for file in DEMO.rglob("*")) < 2_500_000
    lines = universe.tables["transactions"]
    assert 12_000 < len(lines) < 20_000
    accounts = universe.truth["accounts"]
    customers = accounts[accounts["customer"]]
    assert 370 < len(customers) < 410
    assert 0.25 < 1 - customers["alive"].mean() < 0.40
    revenue = lines.groupby("account_id")["amount"].sum().sort_values(ascending=False)
    assert 0.4 < revenue.head(round(len(revenue) / 10)).sum() / revenue.sum() < 0.6
    assert 500 < universe.truth["invoices"]["net"].mean() < 3000


def test_every_tier_pays_for_some_accounts_and_for_few_the_dearest(universe):
    tiers = universe.truth["tiers"]
    net = tiers.assign(net=tiers["incremental_margin"] - tiers["mean_cost"])
    best = net.sort_values("net", kind="stable").groupby("account_id").tail(1)
    chosen = best.loc[best["net"] > 0, "tier"].value_counts()
    assert 5 <= chosen["1:1"] <= 20
    assert chosen["1:1"] < chosen["1:few"] < chosen["1:many"]
    assert (best["net"] <= 0).mean() > 0.5


def test_limits_bind(universe, settings):
    """What every account's best tier would cost, at the true values, is more than the study allows."""
    tiers = universe.truth["tiers"]
    hours = {tier.name: tier.hours for tier in TIERS}
    net = tiers.assign(net=tiers["incremental_margin"] - tiers["mean_cost"], hours=tiers["tier"].map(hours))
    best = net.sort_values("net", kind="stable").groupby("account_id").tail(1).query("net > 0")
    assert best["mean_cost"].sum() > settings.budget
    assert best["hours"].sum() > settings.hours


def test_every_table_reads_in_strict_mode_and_credits_net_to_the_truth(universe):
    study = load_study(DEMO)
    for name, table in universe.tables.items():
        read = study.read(name)
        read.check(0.0)
        assert not (read.rejected["kind"] == "error").any(), name
        if name != "transactions":
            assert len(read.table) == len(table), name
    net = study.read("transactions").table.groupby("invoice")["amount"].sum()
    truth = universe.truth["invoices"].set_index("invoice")["net"]
    assert set(net.index) == set(truth.index)
    assert net.loc[truth.index].to_numpy() == pytest.approx(truth.to_numpy(), abs=0.005)
