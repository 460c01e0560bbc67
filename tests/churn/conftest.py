"""BG/NBD with known parameters, written apart from `clv.value`: what the stages must do does not hang on a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

R, ALPHA, A, B = 0.8, 6.0, 0.8, 2.5


class KnownModel:
    """Closed forms of Fader, Hardie & Lee (2005) at fixed parameters."""

    def probability_alive(self, s):
        x, t_x, T = (s[c].to_numpy(float) for c in ("frequency", "recency", "T"))
        odds = A / (B + np.maximum(x, 1) - 1) * ((ALPHA + T) / (ALPHA + t_x)) ** (R + x)
        return pd.Series(np.where(x == 0, 1.0, 1 / (1 + odds)), index=s.index)

    def silence_probability(self, s):
        return ((ALPHA + s["recency"]) / (ALPHA + s["T"])) ** (R + s["frequency"])

    def purchase_interval(self, s, q):
        return (ALPHA + s["recency"]) * ((1 - q) ** (-1 / (R + s["frequency"])) - 1)

    def expected_purchases(self, s, t):
        return self.probability_alive(s) * (R + s["frequency"]) / (ALPHA + s["T"]) * t


def book(n: int = 400, seed: int = 7, unit: str = "W") -> pd.DataFrame:
    """Draw summaries that cover one-time buyers, regulars, the fresh and the long silent."""
    g = np.random.default_rng(seed)
    frequency = g.geometric(0.25, n) - 1
    recency = np.where(frequency > 0, g.uniform(1, 80, n), 0.0).round()
    T = recency + (g.exponential(14, n) * (g.random(n) > 0.1)).round()
    frame = pd.DataFrame(
        {"frequency": frequency, "recency": recency, "T": T, "monetary_value": g.gamma(2, 50, n)},
        index=pd.Index([f"A{i:04d}" for i in range(n)], name="account_id"),
    )
    frame.attrs["clv"] = {"unit": unit, "grain": "D", "as_of": "2025-12-31"}
    return frame


@pytest.fixture
def model():
    return KnownModel()


@pytest.fixture
def summary():
    return book()


def draw_contracts(
    accounts: int, *, seed: int, years: int = 6, level: float = -1.2, by_term: float = -0.5, by_x: float = 0.0,
    late: float = 0.0, told: float = 1.0, start: str = "2015-01-01",
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Draw yearly contracts whose log-odds of loss at the end of term j are level + by_term · ln j + by_x · x.

    A share `late` of renewals comes 1 to 30 days after the end, evenly; a share `told` of losses is flagged. Returns
    contracts (renewed is set for every term that ended within the years) and accounts (account_id, x, kind).
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(accounts)
    names = np.array([f"A{i:05d}" for i in range(accounts)], dtype=object)
    first, last_day = pd.Timestamp(start), years * 365
    begin, who, term, rows = rng.integers(0, last_day // 2, accounts), np.arange(accounts), 1, []
    while len(who):
        end = begin + 364
        lost = rng.random(len(who)) < 1 / (1 + np.exp(-(level + by_term * np.log(term) + by_x * x[who])))
        wait = np.where(rng.random(len(who)) < late, rng.integers(1, 31, len(who)), 0)
        decided = end < last_day
        said = decided & (~lost | (rng.random(len(who)) < told))
        rows.append(
            pd.DataFrame(
                {
                    "account_id": names[who],
                    "start": first + pd.to_timedelta(begin, unit="D"),
                    "end": first + pd.to_timedelta(end, unit="D"),
                    "value": 1000.0 + 100 * term,
                    "renewed": pd.arrays.BooleanArray(~lost & decided, ~said),
                }
            )
        )
        on = decided & ~lost & (end + 1 + wait < last_day)
        who, begin, term = who[on], (end + 1 + wait)[on], term + 1
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "contract_id", [f"K{i:06d}" for i in range(len(table))])
    kinds = np.where(x > 0.5, "large", np.where(x > -0.5, "middle", "small")).astype(object)
    return table, pd.DataFrame({"account_id": names, "x": x, "kind": kinds})


@pytest.fixture
def contract_book():
    return draw_contracts
