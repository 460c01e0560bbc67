"""What an experiment says about a play: the relative uplift of purchases, treated against control."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from clv.churn.purchases import Date, purchases_until
from clv.data.settings import Grain, Play
from clv.errors import DataError, SettingsError
from clv.value.estimation.checks import Floats


@dataclass(frozen=True)
class MeasuredUplift:
    """A measured relative uplift of what accounts buy; any analysis of an experiment can be handed over as this.

    Attributes
    ----------
    uplift : float
        Relative, such as 0.08.
    standard_error : float
        Of `uplift`.
    source : str
        Which experiment and method, in words.
    accounts : tuple of str
        Accounts on which it was measured; empty: not known.
    """

    uplift: float
    standard_error: float
    source: str
    accounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.uplift) and np.isfinite(self.standard_error) and self.standard_error > 0):
            raise SettingsError(
                f"a measured uplift of {self.uplift} with a standard error of {self.standard_error} is none.",
                mend="Give a finite uplift and a standard error above 0.",
            )


def measured_uplift(
    programmes: pd.DataFrame,
    transactions: pd.DataFrame,
    *,
    tier: str | None = None,
    as_of: Date | None = None,
    outcome: Literal["purchases", "money"] = "purchases",
    grain: Grain = "D",
) -> MeasuredUplift:
    """Estimate the relative uplift of purchases in a programme with a control group.

    Parameters
    ----------
    programmes : pandas.DataFrame
        account_id, tier, arm (treatment or control), start, end.
    transactions : pandas.DataFrame
        account_id, date, amount.
    tier : str, optional
        None: all tiers as one.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    outcome : {"purchases", "money"}
    grain : {"D", "W", "M"}

    Returns
    -------
    MeasuredUplift

    Raises
    ------
    clv.errors.DataError
        A column is missing, an arm holds fewer than two accounts or bought nothing, or an account is in both arms.

    Notes
    -----
    log(ȳ_t/ȳ_c) − θ log(x̄_t/x̄_c): y is the outcome a day between start and end, x the same over as long a time before
    the start, and θ the slope of y/ȳ on x/x̄ within the arms, which takes out what the arms differed in before (Deng et
    al. 2013, CUPED, on the log-ratio scale). The standard error is that of the linearised estimate. It is causal where
    the arms were drawn at random.
    """
    table = _arms(programmes, tier)
    book = purchases_until(transactions, as_of=as_of, grain=grain)
    place = pd.Index(book.accounts).get_indexer(pd.Index(table["account_id"].astype(str), dtype=object))
    start = _days(table["start"])
    last = book.end
    end = np.minimum(_days(table["end"]), last) if "end" in table else np.full(len(table), last)
    span = end - start + 1
    if (span < 1).any():
        row = int(np.flatnonzero(span < 1)[0])
        raise DataError(
            f"account {table['account_id'].iloc[row]!r}: the programme starts after it ends, or after"
            f" {book.as_of:%Y-%m-%d}.",
            table="programmes", column="start", mend="Correct the dates, or analyse it later.",
        )  # fmt: skip
    worth = np.where(book.counts, 1.0, 0.0) if outcome == "purchases" else book.money / 1e6
    y, x = (
        _in_window(book.account, book.day, worth, place, first, first + span) / span for first in (start, start - span)
    )
    treated = table["arm"].to_numpy() == "treatment"
    log, error = _log_ratio(y, x, treated)
    name = "all tiers" if tier is None else f"tier {tier}"
    words = (
        f"{outcome} of {int(treated.sum())} treated and {int((~treated).sum())} control accounts of {name},"
        " adjusted for the time before"
    )
    uplift = float(np.expm1(log))
    return MeasuredUplift(uplift, float(np.exp(log) * error), words, tuple(table["account_id"].astype(str)))


def measured_plays(
    plays: Iterable[Play],
    programmes: pd.DataFrame | None,
    transactions: pd.DataFrame,
    *,
    as_of: Date | None = None,
    grain: Grain = "D",
) -> dict[str, MeasuredUplift]:
    """Measure each play that names the tier of a programme in which it was tried; none without programmes."""
    if programmes is None:
        return {}
    return {
        play.name: measured_uplift(programmes, transactions, tier=play.measured_by, as_of=as_of, grain=grain)
        for play in plays
        if play.measured_by is not None
    }


def _arms(programmes: pd.DataFrame, tier: str | None) -> pd.DataFrame:
    for name in ("account_id", "tier", "arm", "start"):
        if name not in programmes.columns:
            raise DataError("is missing.", table="programmes", column=name, mend="Rename the column.")
    table = programmes if tier is None else programmes[programmes["tier"] == tier]
    count = table["arm"].value_counts()
    if min(count.get("treatment", 0), count.get("control", 0)) < 2:
        which = "" if tier is None else f" of tier {tier!r}"
        raise DataError(
            f"{count.get('treatment', 0)} treated and {count.get('control', 0)} control accounts{which}.",
            table="programmes", column="arm", mend="It takes two in each to compare them.",
        )  # fmt: skip
    both = table.groupby("account_id")["arm"].nunique()
    if (both > 1).any():
        raise DataError(
            f"account {both.index[both > 1][0]!r} is in both arms.", table="programmes", column="arm",
            mend="Keep the arm it was drawn into.",
        )  # fmt: skip
    return table.drop_duplicates("account_id")


def _days(dates: pd.Series) -> np.ndarray:
    """Return days since 1970-01-01; what is empty becomes a very late day."""
    days = dates.to_numpy("datetime64[D]").astype("int64")
    return np.where(dates.isna().to_numpy(), np.int64(2**40), days)


def _in_window(
    account: np.ndarray, day: np.ndarray, worth: Floats, place: np.ndarray, first: np.ndarray, end: np.ndarray
) -> Floats:
    """Add up `worth` of each account's purchases in [first, end), one entry a row of the programme."""
    row = np.full(int(account.max(initial=0)) + 1, -1)
    row[place[place >= 0]] = np.flatnonzero(place >= 0)
    at = row[account]
    known = at >= 0
    within = known.copy()
    within[known] = (day[known] >= first[at[known]]) & (day[known] < end[at[known]])
    return np.bincount(at[within], weights=worth[within], minlength=len(place)).astype(float)


def _log_ratio(y: Floats, x: Floats, treated: np.ndarray) -> tuple[float, float]:
    """Return the adjusted log-ratio of means and its standard error."""
    arms = (treated, ~treated)
    means = [float(y[arm].mean()) for arm in arms]
    if min(means) <= 0:
        raise DataError(
            "one of the arms bought nothing during the programme.", table="programmes", column="arm",
            mend="Measure it over a longer time.",
        )  # fmt: skip
    before = [float(x[arm].mean()) for arm in arms]
    scaled = [y[arm] / mean - 1 for arm, mean in zip(arms, means, strict=True)]
    theta, log = 0.0, float(np.log(means[0] / means[1]))
    parts = scaled
    if min(before) > 0:
        past = [x[arm] / mean - 1 for arm, mean in zip(arms, before, strict=True)]
        pooled = np.concatenate(past)
        theta = float(pooled @ np.concatenate(scaled) / (pooled @ pooled)) if pooled @ pooled > 0 else 0.0
        parts = [now - theta * then for now, then in zip(scaled, past, strict=True)]
        log -= theta * float(np.log(before[0] / before[1]))
    variance = sum(float(part @ part) / (len(part) - 1) / len(part) for part in parts)
    return log, max(variance, 1e-12) ** 0.5
