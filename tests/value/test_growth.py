"""Why value changed: the parts add up exactly, and each is what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clv.data.study import load_study
from clv.errors import DataError, SettingsError
from clv.value.beta_geo import BetaGeoModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.growth import Drivers, decompose_growth, growth_over, value_drivers
from clv.value.lifetime import LifetimeValue, lifetime_value

TERMS = {"horizon": 52.0, "discount_rate": 0.1, "margin": 0.3}
factor = st.floats(1e-6, 1e9)


def product(accounts, rate, duration, money):
    return Drivers(accounts, rate, duration, money, accounts * rate * duration * money, "W", (52.0, 0.1, 0.3))


@given(st.tuples(factor, factor, factor, factor), st.tuples(factor, factor, factor, factor))
def test_parts_add_up_exactly(one, two):
    before, after = product(*one), product(*two)
    found = decompose_growth(before, after)
    size = np.abs(found.table["contribution"]).sum() + abs(found.change)
    assert found.table["contribution"].sum() == pytest.approx(found.change, rel=1e-9, abs=1e-9 * size)
    assert found.table["log_change"].sum() == pytest.approx(np.log(after.total / before.total), abs=1e-9)
    assert (np.sign(found.table["contribution"]) == np.sign(found.table["after"] - found.table["before"])).all()


def test_no_change_and_a_change_in_one_driver():
    same = decompose_growth(product(10, 0.5, 20, 30), product(10, 0.5, 20, 30))
    assert same.change == 0
    assert (same.table["contribution"] == 0).all()
    dearer = decompose_growth(product(10, 0.5, 20, 30), product(10, 0.5, 20, 36)).table.set_index("driver")
    assert dearer["contribution"].tolist() == pytest.approx([0, 0, 0, 600])
    assert dearer.loc["dearer", "growth"] == pytest.approx(0.2)
    cheaper = decompose_growth(product(10, 0.5, 20, 36), product(10, 0.5, 20, 30)).text
    assert cheaper.startswith("The value of the book went from 3,600 to 3,000, by −600 (−16.7%): dearer −600, ")


@pytest.fixture(scope="module")
def known():
    return (
        BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.7, b=3.0),
        GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0),
    )


def test_factors_multiply_to_the_value(known, drawn):
    value = lifetime_value(*known, drawn, **TERMS)
    found = value_drivers(value, known[0], drawn)
    assert found.accounts * found.rate * found.duration * found.money == pytest.approx(
        value.table["clv"].sum(), rel=1e-12
    )
    assert found.accounts == pytest.approx(value.table["p_alive"].sum())
    assert 0 < found.duration < 52


def test_twice_the_book_is_more_accounts_only_and_dearer_prices_dearer_only(known, drawn):
    purchases, spend = known
    one = value_drivers(lifetime_value(purchases, spend, drawn, **TERMS), purchases, drawn)
    twice = drawn.iloc[np.repeat(np.arange(len(drawn)), 2)]
    two = value_drivers(lifetime_value(purchases, spend, twice, **TERMS), purchases, twice)
    parts = decompose_growth(one, two).table["contribution"]
    assert parts.tolist() == pytest.approx([one.total, 0, 0, 0], abs=1e-6 * one.total)
    scaled = GammaGammaModel.from_parameters(p=6.0, q=4.0, v=30.0)
    rich = drawn.assign(monetary_value=2 * drawn["monetary_value"])
    rich.attrs = drawn.attrs
    three = value_drivers(lifetime_value(purchases, scaled, rich, **TERMS), purchases, rich)
    assert decompose_growth(one, three).table["contribution"].tolist() == pytest.approx(
        [0, 0, 0, one.total], abs=1e-6 * one.total
    )


def test_lower_dropout_is_longer_and_nothing_else_for_new_accounts(known, drawn):
    new = drawn.head(50).assign(frequency=0, recency=0.0, monetary_value=0.0)
    new.attrs = drawn.attrs
    loyal = BetaGeoModel.from_parameters(unit="W", r=0.6, alpha=6.0, a=0.07, b=3.0)
    one, two = (value_drivers(lifetime_value(m, known[1], new, **TERMS), m, new) for m in (known[0], loyal))
    parts = decompose_growth(one, two).table.set_index("driver")["contribution"]
    assert parts["longer"] > 0.85 * parts.sum() > 0
    assert parts["dearer"] == pytest.approx(0, abs=1e-9)


def test_infinite_horizon_and_no_discount(known, drawn):
    value = lifetime_value(*known, drawn, horizon=None, discount_rate=0.1, margin=0.3)
    assert value_drivers(value, known[0], drawn).total == pytest.approx(value.table["clv"].sum())
    value = lifetime_value(*known, drawn, horizon=52.0, discount_rate=0.0, margin=0.3)
    assert value_drivers(value, known[0], drawn).total == pytest.approx(value.table["clv"].sum())


def test_refuses_what_cannot_be_compared(known, drawn):
    value = lifetime_value(*known, drawn, **TERMS)
    one = value_drivers(value, known[0], drawn)
    with pytest.raises(SettingsError, match="different horizons"):
        decompose_growth(one, dataclasses.replace(one, terms=(26.0, 0.1, 0.3)))
    with pytest.raises(DataError, match="not the summary"):
        value_drivers(value, known[0], drawn.head(5))
    with pytest.raises(SettingsError, match="handed in"):
        value_drivers(LifetimeValue.from_table(value.table), known[0], drawn)


def test_the_demo_year():
    study = load_study("demo")
    lines, settings = study.read("transactions").table, study.settings
    found = growth_over(
        lines, as_of=study.as_of(lines), horizon=settings.horizon, discount_rate=settings.discount_rate,
        margin=settings.margin, unit=settings.unit, grain=settings.grain,
    )  # fmt: skip
    assert found.table["contribution"].sum() == pytest.approx(found.change, rel=1e-12)
    assert found.table.set_index("driver").loc["more accounts", "contribution"] > 0.3 * found.change > 0
    assert f"{found.change:+,.0f}" in found.text
    assert found.plot().get_xlabel() == "change in value"
