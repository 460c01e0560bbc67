"""ABC-XYZ and concentration: closed forms, the luck of twelve periods, seasons, and bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.classes.concentration import gini
from clv.abm.classes.demand import class_probabilities
from clv.abm.classes.shares import cumulative_classes
from clv.data.settings import ClassRules
from clv.errors import DataError, SettingsError
from clv.value.lifetime import LifetimeValue


def monthly(money: np.ndarray, start: str = "2022-01") -> pd.DataFrame:
    """One line an account and month, on the first; rows are accounts."""
    months = pd.period_range(start, periods=money.shape[1], freq="M").to_timestamp()
    ids = [f"A{i:04d}" for i in range(len(money))]
    lines = pd.DataFrame(
        {"account_id": np.repeat(ids, len(months)), "date": np.tile(months, len(ids)), "amount": money.ravel()}
    )
    return lines[lines["amount"] != 0].reset_index(drop=True)


def end_of(months: int, start: str = "2022-01") -> pd.Timestamp:
    return (pd.Period(start, "M") + months - 1).end_time.normalize()


def test_twelve_periods_make_a_quarter_erratic_z_44_percent_of_the_time():
    g = np.random.default_rng(11)
    found = clv.abc_xyz(monthly(g.normal(100, 25, (4000, 12))), as_of=end_of(12), draws=0)
    share = (found.table["xyz"] == "Z").mean()
    assert abs(share - 0.44) < 3 * math.sqrt(0.44 * 0.56 / 4000)
    # Where the true variation lies on the cut, the probability of Z is uniform: an exact confidence distribution.
    p = found.table["p_Z"]
    for level in (0.1, 0.5, 0.9):
        assert abs((p < level).mean() - level) < 4 * math.sqrt(level * (1 - level) / 4000)


def test_class_probabilities_are_calibrated_over_a_mixed_book():
    g = np.random.default_rng(5)
    true = np.exp(g.normal(np.log(0.2), 0.6, 6000))
    found = clv.abc_xyz(monthly(g.normal(100, 100 * true[:, None], (6000, 12))), as_of=end_of(12), draws=0).table
    is_z = pd.Series(true > 0.25, index=[f"A{i:04d}" for i in range(6000)]).reindex(found.index)
    by = pd.cut(found["p_Z"], [0, 0.2, 0.4, 0.6, 0.8, 1.0], include_lowest=True)
    told, seen = found["p_Z"].groupby(by, observed=True).mean(), is_z.groupby(by, observed=True).mean()
    assert (told - seen).abs().max() < 0.10
    np.testing.assert_allclose(found[["p_X", "p_Y", "p_Z"]].sum(axis=1), 1)


def test_probabilities_agree_with_draws_of_the_posterior():
    g = np.random.default_rng(2)
    cv, n = 0.22, 18
    sigma = cv * np.sqrt((n - 1) / g.chisquare(n - 1, 200_000))
    mu = 1 + sigma * g.standard_normal(200_000) / math.sqrt(n)
    drawn = sigma / mu
    x, y, z = class_probabilities(np.array([cv]), np.array([n - 1.0]), np.array([float(n)]), (0.1, 0.25))
    assert z[0] == pytest.approx(((drawn > 0.25) | (mu <= 0)).mean(), abs=0.005)
    assert x[0] == pytest.approx((drawn < 0.1).mean(), abs=0.005)
    assert x[0] + y[0] + z[0] == pytest.approx(1)


@pytest.mark.parametrize("known", [False, True])
def test_a_predictable_season_is_not_erratic(known):
    g = np.random.default_rng(4)
    wave = 1 + 0.8 * np.sin(2 * np.pi * np.arange(36) / 12)
    lines = monthly(100 * wave * g.normal(1, 0.05, (20, 36)))
    season = pd.Series(1 + 0.8 * np.sin(2 * np.pi * np.arange(12) / 12), index=range(1, 13))
    plain = clv.abc_xyz(lines, as_of=end_of(36), season="none", draws=0).table
    without = clv.abc_xyz(lines, as_of=end_of(36), season=season if known else "auto", draws=0).table
    assert (plain["xyz"] == "Z").all()
    assert (without["xyz"] == "X").all()
    assert without["seasonal"].all() != known


def test_without_a_season_few_accounts_seem_to_have_one():
    g = np.random.default_rng(9)
    found = clv.abc_xyz(monthly(g.normal(100, 20, (1000, 36))), as_of=end_of(36), draws=0).table
    assert abs(found["seasonal"].mean() - 0.05) < 0.025


def test_abc_cuts_and_incomplete_periods():
    assert cumulative_classes(np.array([50.0, 30, 10, 6, 4, 0, -5]), (0.8, 0.95)).tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert cumulative_classes(np.array([90.0, 10]), (0.8, 0.95)).tolist() == [0, 1]
    assert cumulative_classes(np.zeros(3), (0.8, 0.95)).tolist() == [2, 2, 2]
    lines = monthly(np.full((2, 8), 100.0))
    late = pd.concat([lines[lines["account_id"] == "A0000"], lines[lines["account_id"] == "A0001"].iloc[3:]])
    found = clv.abc_xyz(late, as_of=end_of(8) - pd.Timedelta(days=3), draws=0).table
    assert found.loc["A0000", "periods"] == 7  # the last month is not over
    assert found.loc["A0001", "periods"] == 3  # nor does the month count in which it began
    assert found.loc["A0001", "cell"] == "unknown"
    assert pd.isna(found.loc["A0001", "sure"])
    assert found.loc["A0000", ["p_X", "p_Z"]].tolist() == [1, 0]


def test_abc_by_draws_of_value_and_by_season_of_nothing():
    lines = monthly(np.array([[100.0] * 6, [50.0] * 6, [1.0] * 6]))
    table = pd.DataFrame({"clv": [10.0, 9.0, 1.0]}, index=pd.Index(["A0000", "A0001", "A0002"], name="account_id"))
    value = LifetimeValue.from_table(table)
    draws = np.array([[10, 0, 10], [9, 10, 0], [1, 1, 1]], dtype=np.float32)
    value = LifetimeValue(**{**vars(value), "draws": draws})
    found = clv.abc_xyz(lines, value=value, as_of=end_of(6)).table
    assert found.loc["A0001", "p_A"] == pytest.approx(2 / 3)
    with pytest.raises(SettingsError, match="season"):
        clv.abc_xyz(lines, season="yearly")
    with pytest.raises(SettingsError, match="period"):
        clv.abc_xyz(lines, period="D")
    with pytest.raises(DataError, match="12 has no index"):
        clv.abc_xyz(lines, season=pd.Series(1.0, index=range(1, 12)))


def test_picture_and_text_of_the_demo():
    study = clv.load_study("demo")
    found = clv.abc_xyz(study.read("transactions").table, as_of="2026-01-01", draws=50)
    assert found.cells.to_numpy().sum() == len(found.table)
    assert "erratically" in found.text
    assert found.plot().get_title()
    again = clv.abc_xyz(study.read("transactions").table, as_of="2026-01-01", draws=50)
    pd.testing.assert_frame_equal(found.table, again.table)


def sales(*values: float) -> pd.Series:
    return pd.Series(values, index=[f"A{i}" for i in range(len(values))], dtype=float)


def test_concentration_closed_forms():
    n = 20_000
    u = (np.arange(n) + 0.5) / n
    assert gini((1 - u) ** (-1 / 3)) == pytest.approx(1 / (2 * 3 - 1), abs=2e-3)  # Pareto with exponent 3
    assert gini(np.ones(7)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 0, 1])) == pytest.approx(3 / 4)
    from scipy.special import erf, ndtri

    assert gini(np.exp(0.8 * ndtri(u))) == pytest.approx(erf(0.8 / 2), abs=1e-3)
    equal = clv.concentration(sales(*[5.0] * 10))
    assert equal.measures.loc["Herfindahl", "value"] == pytest.approx(0.1)
    assert equal.measures.loc["equal accounts", "value"] == pytest.approx(10)
    assert equal.measures.loc["top 20%", "value"] == pytest.approx(0.2)
    held = equal.lorenz
    np.testing.assert_allclose(held["held"], held["accounts"])


def test_key_dependence_and_mono_client():
    found = clv.concentration(sales(50, 15, 9, 9, 9, 8), profit=sales(60, 5, 5, 5, 5, -50), currency="EUR")
    assert found.table["kind"].tolist() == ["dependence", "key", "none", "none", "none", "none"]
    assert found.table.loc["A0", "profit_share"] == pytest.approx(60 / 80)
    assert found.table["mono_client"].tolist() == [True, False, False, False, False, False]
    assert "mono-client" in found.text
    assert found.stress.loc["A0", "left"] == pytest.approx(-30)
    blind = clv.concentration(sales(6, 4))
    assert blind.table["mono_client"].isna().all()
    assert "unknown without margins" in blind.text
    loose = clv.concentration(sales(50, 15, 9, 9, 9, 8), rules=ClassRules(key=0.6, dependence=0.7))
    assert (loose.table["kind"] == "none").all()
    assert found.plot().get_title().startswith("Concentration")


def test_stress_test_with_draws():
    table = pd.DataFrame({"clv": [60.0, 40.0]}, index=pd.Index(["A0", "A1"], name="account_id"))
    draws = np.array([[50, 70, 60], [40, 40, 40]], dtype=np.float32)
    value = LifetimeValue(**{**vars(LifetimeValue.from_table(table)), "draws": draws})
    found = clv.concentration(sales(60, 40), book=value, confidence=0.9)
    assert found.stress.loc["A0", "lost"] == pytest.approx(0.6)
    assert 50 / 90 <= found.stress.loc["A0", "lost_lower"] < 0.6 < found.stress.loc["A0", "lost_upper"] <= 70 / 110
    assert "interval" in found.text


def test_concentration_refuses_nonsense():
    with pytest.raises(DataError, match="nobody"):
        clv.concentration(sales(0, -1))
    with pytest.raises(DataError, match="twice"):
        clv.concentration(pd.Series([1.0, 2.0], index=["a", "a"]))
    with pytest.raises(DataError, match="no finite number"):
        clv.concentration(sales(1, float("nan")))
