"""What a programme made accounts buy is taken out of their purchases: arithmetic, a known truth, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import DataError, SettingsError
from clv.value.without_programme import without_programme

AS_OF = pd.Timestamp("2025-12-31")


def summary(first: str, last: str, account: str = "a") -> pd.DataFrame:
    begin, end = pd.Timestamp(first), pd.Timestamp(last)
    week = pd.Timedelta(days=7)
    frame = pd.DataFrame(
        {"frequency": [3], "recency": [(end - begin) / week], "T": [(AS_OF - begin) / week], "first": [begin],
         "last": [end], "monetary_value": [100.0]},
        index=pd.Index([account], name="account_id"),
    )  # fmt: skip
    frame.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "2025-12-31"}
    return frame


def programme(start: str, end: str | None = None, arm: str = "treatment", account: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        {"account_id": [account], "tier": ["1:1"], "arm": [arm], "start": [pd.Timestamp(start)],
         "end": [pd.NaT if end is None else pd.Timestamp(end)]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "start", "end", "recency", "whole"),
    [
        # 10 of the weeks before the as-of date; the last purchase lies before, within and after it.
        ("2024-12-31", "2025-06-01", "2025-10-22", None, 0.0, 5.0),
        ("2024-12-31", "2025-11-05", "2025-10-22", None, 1.0, 5.0),
        ("2024-12-31", "2025-12-31", "2025-10-22", None, 5.0, 5.0),
        # Over since; begun before the account was one; still to end.
        ("2024-12-31", "2025-11-05", "2025-10-22", "2025-10-29", 0.5, 0.5),
        ("2025-12-17", "2025-12-24", "2025-10-22", None, 0.5, 1.0),
        ("2024-12-31", "2025-12-31", "2025-10-22", "2026-10-22", 5.0, 5.0),
        # Not begun yet.
        ("2024-12-31", "2025-12-31", "2026-01-07", None, 0.0, 0.0),
    ],
)
def test_time_under_treatment_counts_for_more(first, last, start, end, recency, whole):
    before = summary(first, last)
    found = without_programme(before, programme(start, end), {"1:1": 0.5}, as_of=AS_OF)
    assert found.summary["recency"].item() - before["recency"].item() == pytest.approx(recency)
    assert found.summary["T"].item() - before["T"].item() == pytest.approx(whole)
    assert found.summary.attrs == before.attrs
    assert found.accounts == int(whole > 0)
    assert bool(found.text) == (whole > 0)


def test_controls_other_tiers_and_strangers_change_nothing():
    before = summary("2024-12-31", "2025-11-05")
    for rows, uplift in (
        (programme("2025-01-01", arm="control"), {"1:1": 0.5}),
        (programme("2025-01-01"), {"1:few": 0.5}),
        (programme("2025-01-01", account="b"), {"1:1": 0.5}),
    ):
        assert without_programme(before, rows, uplift, as_of=AS_OF).summary is before
    twice = pd.concat([programme("2025-01-01", "2025-01-08"), programme("2025-10-22")])
    found = without_programme(before, twice, {"1:1": 0.5}, as_of=AS_OF)
    assert found.summary["T"].item() - before["T"].item() == pytest.approx(5.5)
    assert found.accounts == 1


def test_accounts_made_to_buy_twice_as_fast_are_found_to_be_what_they_are_without():
    """BG/NBD buyers on a clock that runs twice as fast in the last half: the models' own truth comes out."""
    rng = np.random.default_rng(5)
    n, weeks, u = 4000, 104.0, 1.0
    rate, gone = rng.gamma(1.5, 0.1, n), rng.beta(1.2, 12, n)
    lines = []
    start = AS_OF - pd.Timedelta(weeks=weeks)
    half = weeks / 2
    treated = np.arange(n) % 2 == 0
    for i in range(n):
        # On the clock of purchases the second half of a treated account is 1 + u times as long.
        end, clock = half + (1 + u * treated[i]) * half, 0.0
        while clock <= end:
            at = clock if clock <= half or not treated[i] else half + (clock - half) / (1 + u)
            lines.append((f"c{i:04d}", start + pd.Timedelta(weeks=at)))
            if clock > 0 and rng.random() < gone[i]:
                break
            clock += rng.exponential(1 / rate[i])
    bought = pd.DataFrame(lines, columns=["account_id", "date"]).assign(amount=1.0)
    plain = clv.summarise(bought, as_of=AS_OF, unit="W")
    rows = pd.DataFrame(
        {"account_id": [f"c{i:04d}" for i in np.flatnonzero(treated)], "tier": "1:1", "arm": "treatment",
         "start": start + pd.Timedelta(weeks=half)}
    )  # fmt: skip
    base = without_programme(plain, rows, {"1:1": u}, as_of=AS_OF)
    assert base.accounts == pytest.approx(n / 2, rel=0.1)
    true = pd.Series(rate, index=[f"c{i:04d}" for i in range(n)]).reindex(plain.index)
    assert plain["frequency"][treated].sum() > 1.2 * plain["frequency"][~treated].sum()
    off = {}
    for name, table in (("plain", plain), ("base", base.summary)):
        model = clv.BetaGeoModel().fit(table)
        # Rates of the living, as a short wait tells them.
        expected = model.expected_purchases(table, t=0.01) / 0.01
        off[name] = float(expected[treated].sum() / expected[~treated].sum())
        if name == "base":
            assert model.params_[["r", "alpha"]].to_numpy() == pytest.approx([1.5, 10], rel=0.12)
    assert true[treated].mean() == pytest.approx(true[~treated].mean(), rel=0.06)
    assert off["plain"] > 1.2 * off["base"]
    # Twice as many purchases have had twice as many chances to be the last: fewer treated accounts still live.
    assert off["base"] == pytest.approx(_living(gone, rate, treated, half, u), rel=0.06)


def _living(gone, rate, treated, half, u):
    """True expected rate of the treated over that of the others, drop-out counted."""
    clock = np.where(treated, half * (2 + u), 2 * half)
    alive = rate * np.exp(-rate * gone * clock)
    return float(alive[treated].sum() / alive[~treated].sum())


def test_what_cannot_be_is_refused():
    good, rows = summary("2024-12-31", "2025-11-05"), programme("2025-01-01")
    with pytest.raises(SettingsError, match="'1:1' is -1"):
        without_programme(good, rows, {"1:1": -1.0}, as_of=AS_OF)
    with pytest.raises(DataError, match="missing"):
        without_programme(good.drop(columns="last"), rows, {"1:1": 0.1}, as_of=AS_OF)
    bare = good.copy()
    bare.attrs = {}
    with pytest.raises(DataError, match="unit"):
        without_programme(bare, rows, {"1:1": 0.1}, as_of=AS_OF)
