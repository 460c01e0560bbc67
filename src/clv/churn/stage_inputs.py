"""What the stages need of a summary, a model and a value: checked, and said by account where it is not so."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.data.settings import Unit
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError, UnitError

_NEEDED = ("frequency", "recency", "T")


class PurchaseModel(Protocol):
    """What a purchase model must answer here; every model of `clv.value` does."""

    def probability_alive(self, summary: pd.DataFrame) -> Any:
        """Return P(alive) of each account."""

    def silence_probability(self, summary: pd.DataFrame) -> Any:
        """Return P(a living account is silent this long or longer)."""

    def purchase_interval(self, summary: pd.DataFrame, q: float) -> Any:
        """Return quantile q of a living account's time to its next purchase."""

    def expected_purchases(self, summary: pd.DataFrame, t: float) -> Any:
        """Return expected purchases in the next t."""


def quarter(unit: Unit) -> float:
    """Return three months of 365.25/12 days in a unit."""
    return 3 * DAYS["M"] / DAYS[unit]


def check_horizon(horizon: float) -> float:
    """Check how far ahead to look: a positive number."""
    if not (isinstance(horizon, int | float | np.number) and np.isfinite(horizon) and horizon > 0):
        raise SettingsError(f"horizon is {horizon!r}.", mend="Give a positive number of the summary's units.")
    return float(horizon)


def checked_unit(summary: pd.DataFrame) -> Unit:
    """Check what the model will not check for us, and return the summary's unit."""
    missing = [name for name in _NEEDED if name not in summary.columns]
    if missing:
        raise DataError(
            "the column is missing.", mend="Make the table with summarise().", table="summary", column=missing[0]
        )
    if summary.empty:
        raise DataError("no account has bought yet.", mend="Check the as-of date.", table="summary")
    twice = summary.index.duplicated()
    if twice.any():
        raise DataError(
            f"account {summary.index[twice][0]!r} is there twice.",
            mend="Give one row an account.",
            table="summary",
            column="account_id",
            row=int(np.argmax(twice)) + 1,
        )
    for name in _NEEDED:
        values = summary[name].to_numpy(float)
        bad = ~np.isfinite(values) | (values < 0)
        if bad.any():
            raise DataError(
                f"{summary[name].iloc[int(np.argmax(bad))]!r} is no count or duration.",
                mend="Make the table with summarise().",
                table="summary",
                column=name,
                row=int(np.argmax(bad)) + 1,
            )
    unit = summary.attrs.get("clv", {}).get("unit")
    if unit not in DAYS:
        raise UnitError(
            f"the summary's unit is {unit!r}.",
            mend='Use summarise(), or set summary.attrs["clv"] = {"unit": "W"} (D, W, M or Y).',
        )
    found: Unit = unit
    return found


def answers(given: Any, summary: pd.DataFrame, name: str, *, at_most: float = np.inf) -> NDArray[np.float64]:
    """Take a model's answers in the summary's order; anything that is no number is an error, rounding is not."""
    if isinstance(given, pd.Series) and not given.index.equals(summary.index):
        given = given.reindex(summary.index)
    values = np.asarray(given, dtype=float).reshape(-1)
    if len(values) != len(summary):
        raise DataError(f"the model gave {len(values)} answers for {len(summary)} accounts.", column=name)
    bad = np.isnan(values) | (values < -1e-9) | (values > at_most + 1e-9)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"the model gave {values[at]} for account {summary.index[at]!r}.",
            mend="Check the account's row in the summary and that the model converged.",
            table="summary",
            column=name,
            row=at + 1,
        )
    return np.clip(values, 0.0, at_most)


def stake(value: pd.Series, accounts: pd.Index) -> NDArray[np.float64]:
    """Take the money of each account; one without is an error, since it would vanish from the totals."""
    found = value.reindex(accounts).to_numpy(float) if value.index.is_unique else np.full(len(accounts), np.nan)
    bad = ~np.isfinite(found)
    if bad.any():
        raise DataError(
            f"account {accounts[bad][0]!r} has no value, or more than one ({int(bad.sum())} in all).",
            mend="Give one finite value for every account of the summary.",
            column="value",
        )
    return found
