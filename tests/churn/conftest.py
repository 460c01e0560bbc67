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
