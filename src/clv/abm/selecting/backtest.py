"""Would the selection have been better than the best customers so far? Chosen at past dates, counted by what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.wording import listed
from clv.data.settings import Grain, Unit
from clv.data.summary import day_of
from clv.data.units import DAYS, in_words
from clv.errors import DataError, FitError, SettingsError
from clv.result import Result
from clv.value.validation.backtest import Date, fit_contender, fit_spend, forecasts
from clv.value.validation.contenders import contenders
from clv.value.validation.holdout import hold_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: what a selection has to beat, and what cannot be beaten.
BASELINE, BEST = "past spend", "best possible"
#: bootstrap samples × accounts that are worked on at a time.
_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class SelectionBacktest(Result):
    """How much of later money each way of choosing would have held.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a way of choosing, best first: method, share (of later money, mean over the dates), lower, upper,
        difference (to past spend), difference_lower, difference_upper, of_best (share ÷ that of the best possible).
    by_cutoff : pandas.DataFrame
        method, cutoff, accounts, places, share.
    beats : tuple of str
        Methods that are better than past spend beyond their intervals, all intervals holding together.
    confidence : float
    """

    by_cutoff: pd.DataFrame
    beats: tuple[str, ...]
    confidence: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of later money of each way of choosing, with its interval."""
        from clv.abm.selecting.pictures import later_shares

        return later_shares(self, ax)


def selection_backtest(
    transactions: pd.DataFrame,
    cutoffs: Sequence[Date],
    horizon: float | None = None,
    *,
    models: Mapping[str, Any] | None = None,
    spend: Any = None,
    share: float = 0.1,
    unit: Unit = "W",
    grain: Grain = "D",
    covariates: pd.DataFrame | None = None,
    as_of: Date | None = None,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.9,
) -> SelectionBacktest:
    """Choose the top share of accounts at past dates, and count the money that they brought afterwards.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount. Rows below 0 are refunds: they are taken off past and later money, and models do not
        see them.
    cutoffs : sequence of date
        Last known days.
    horizon : float, optional
        Time after each cutoff, in `unit`; None: until the data end (a different time for each date then).
    models : mapping, optional
        Name -> unfitted model, as for `clv.backtest`; None: its contenders.
    spend : estimator, optional
        Spend model; None: `DependentSpendModel`.
    share : float
        Of the accounts known at the date, to be chosen; rounded to whole accounts.
    unit, grain, covariates, as_of
        As in `clv.backtest`.
    samples : int
        Bootstrap samples.
    seed : int
    confidence : float

    Returns
    -------
    SelectionBacktest

    Raises
    ------
    SettingsError
        There is no cutoff, or share, confidence or samples cannot be.
    DataError
        Nothing was bought after a cutoff.

    Notes
    -----
    The bootstrap draws accounts, each with all of its dates, and dates (Davison & Hinkley 1997, section 3.8), chooses
    anew in every sample, and compares all ways on the same samples. A way beats past spend where the lower end of its
    difference is above 0 at a level at which all ways together hold with `confidence` (Bonferroni). Dates whose times
    overlap say less than as many independent ones, and a handful of dates says little about other years.
    """
    if not len(cutoffs):
        raise SettingsError("there is no date to choose at.", mend="Give at least one cutoff.")
    if not (0 < share < 1 and 0 < confidence < 1 and samples >= 100):
        raise SettingsError(
            f"share {share}, confidence {confidence} or samples {samples} cannot be.",
            mend="Give shares between 0 and 1, and 100 samples or more.",
        )
    from clv.value.dependent_spend import DependentSpendModel

    # "last year" is past spend by another name, and "recency" a rule: what is asked is whether models do better.
    rules = ("last year", "recency")
    usual = {name: model for name, model in contenders().items() if name not in rules}
    chosen = usual if models is None else dict(models)
    paying = DependentSpendModel(prior="weak") if spend is None else spend
    bought = transactions[transactions["amount"] > 0]
    when = transactions["date"].dt.normalize()
    last = when.max() if as_of is None else day_of(as_of)
    notes: list[str] = []
    dates = sorted({pd.Timestamp(day).normalize() for day in cutoffs})
    scores: dict[pd.Timestamp, pd.DataFrame] = {}
    for cutoff in dates:
        span = (last - cutoff).days / DAYS[unit] if horizon is None else horizon
        cut = hold_out(bought, cutoff=cutoff, horizon=span, unit=unit, grain=grain, covariates=covariates, as_of=last)
        ids = cut.summary.index
        past = _sums(transactions, when <= cutoff, ids)
        later = _sums(transactions, (when > cutoff) & (when <= cut.end), ids)
        if later.sum() <= 0:
            raise DataError(f"nothing was bought after {cutoff:%Y-%m-%d}.", table="transactions", mend="Cut earlier.")
        found = {BASELINE: past}
        fitted_spend = fit_spend(paying, cut, notes)
        for name, model in chosen.items():
            try:
                fitted = fit_contender(model, cut, bought, unit=unit, grain=grain, covariates=covariates)
                ahead = forecasts(fitted, fitted_spend, cut)
            except FitError as error:
                notes.append(f"{name}, {cutoff:%Y-%m-%d}: {error.message}")
                continue
            if "sales" in ahead:
                found[name] = ahead["sales"]
        scores[cutoff] = pd.DataFrame({**found, BEST: later}, index=ids)
    every = [name for name in (BASELINE, *chosen, BEST) if all(name in frame for frame in scores.values())]
    point, spread = _shares(scores, every, share, samples, seed)
    by_cutoff = pd.DataFrame(
        [
            {"method": name, "cutoff": day, "accounts": len(frame), "places": _places(share, len(frame)),
             "share": point[name][place]}
            for place, (day, frame) in enumerate(scores.items()) for name in every
        ]
    )  # fmt: skip
    rivals = [name for name in every if name not in (BASELINE, BEST)]
    together = 1 - (1 - confidence) / max(1, len(rivals))
    rows, beats = [], []
    for name in every:
        own, gap = spread[name], spread[name] - spread[BASELINE]
        tail = (1 - confidence) / 2
        low, high = np.quantile(own, [tail, 1 - tail])
        gap_low, gap_high = (
            np.quantile(gap, [(1 - together) / 2, (1 + together) / 2]) if name != BASELINE else (0.0, 0.0)
        )
        mean = float(point[name].mean())
        rows.append(
            {"method": name, "share": mean, "lower": low, "upper": high,
             "difference": mean - float(point[BASELINE].mean()), "difference_lower": gap_low,
             "difference_upper": gap_high, "of_best": mean / float(point[BEST].mean())}
        )  # fmt: skip
        if name in rivals and gap_low > 0:
            beats.append(name)
    table = pd.DataFrame(rows)
    table = table.iloc[np.argsort(-table["share"].to_numpy(), kind="stable")].reset_index(drop=True)
    text = _words(table, beats, rivals, dates, share, horizon, unit, confidence)
    for note in notes:
        text += f"\n\n{note}"
    return SelectionBacktest(table, text, by_cutoff, tuple(beats), float(confidence))


def _places(share: float, accounts: float) -> int:
    return max(1, round(share * accounts))


def _sums(transactions: pd.DataFrame, rows: pd.Series, ids: pd.Index) -> np.ndarray:
    """Money by account; summed in millionths, so that the order of rows does not matter."""
    part = transactions.loc[rows, ["account_id", "amount"]]
    micros = pd.Series(np.rint(part["amount"].to_numpy(float) * 1e6).astype("int64"))
    return (
        micros.groupby(part["account_id"].astype(str).to_numpy()).sum().reindex(ids, fill_value=0).to_numpy(float) / 1e6
    )


def _shares(
    scores: dict[pd.Timestamp, pd.DataFrame], names: list[str], share: float, samples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Shares of later money by method: at each date, and of bootstrap samples of accounts and dates."""
    rng = np.random.default_rng(seed)
    everyone = pd.Index(sorted(set().union(*(frame.index for frame in scores.values()))))
    dates = rng.integers(0, len(scores), (samples, len(scores)))
    point: dict[str, list[float]] = {name: [] for name in names}
    drawn = {name: np.empty((samples, len(scores))) for name in names}
    frames = [(everyone.get_indexer(frame.index), frame) for frame in scores.values()]
    orders = [{name: np.argsort(-frame[name].to_numpy(float), kind="stable") for name in names} for _, frame in frames]
    for place, (_, frame) in enumerate(frames):
        later = frame[BEST].to_numpy(float)
        for name in names:
            ones = np.ones((1, len(frame)))
            point[name].append(float(_held(ones, later, orders[place][name], share)[0]))
    step = max(1, _CELLS // len(everyone))
    for start in range(0, samples, step):
        many = min(step, samples - start)
        picked = rng.integers(0, len(everyone), (many, len(everyone)))
        weight = np.zeros((many, len(everyone)))
        np.add.at(weight, (np.arange(many)[:, None], picked), 1.0)
        for place, (at, frame) in enumerate(frames):
            later, some = frame[BEST].to_numpy(float), weight[:, at]
            for name in names:
                drawn[name][start : start + many, place] = _held(some, later, orders[place][name], share)
    rows = np.arange(samples)[:, None]
    return (
        {name: np.array(found) for name, found in point.items()},
        {name: found[rows, dates].mean(axis=1) for name, found in drawn.items()},
    )


def _held(weight: np.ndarray, later: np.ndarray, order: np.ndarray, share: float) -> np.ndarray:
    """Share of later money with the first `share` of the accounts, each as often as its weight says."""
    sorted_weight = weight[:, order]
    reached = np.cumsum(sorted_weight, axis=1)
    places = np.maximum(1, np.round(share * reached[:, -1]))[:, None]
    taken = np.clip(places - (reached - sorted_weight), 0, sorted_weight)
    return np.asarray((taken @ later[order]) / (sorted_weight @ later[order]))


def _words(
    table: pd.DataFrame, beats: list[str], rivals: list[str], dates: list[pd.Timestamp], share: float,
    horizon: float | None, unit: Unit, confidence: float,
) -> str:  # fmt: skip
    shares: dict[str, float] = dict(zip(table["method"], table["share"].astype(float), strict=True))
    row = table.set_index("method")
    span = "until the data end" if horizon is None else f"in the {in_words(horizon, unit)} after"
    when = f"on {dates[0]:%Y-%m-%d}" if len(dates) == 1 else f"at {len(dates)} dates"
    text = (
        f"Had the top {share:.0%} of the accounts been chosen {when} by past spend, they would have held"
        f" {shares[BASELINE]:.1%} of the money {span}; the best possible choice would have held"
        f" {shares[BEST]:.1%}."
    )
    if not rivals:
        return text + " No model could be compared."
    first = max(rivals, key=lambda name: shares[name])
    best = row.loc[first]
    gap = (
        f"{100 * best['difference']:+.1f} points, interval {100 * best['difference_lower']:+.1f} to"
        f" {100 * best['difference_upper']:+.1f}"
    ).replace("-", "\N{MINUS SIGN}")
    if beats:
        return text + (
            f" {listed(beats)} {'beats' if len(beats) == 1 else 'beat'} past spend beyond the interval: {first} holds"
            f" {best['share']:.1%} ({gap}; all intervals hold together with {confidence:.0%})."
        )
    return text + (
        f" No way of choosing beats past spend beyond its interval: the best of them, {first}, holds"
        f" {best['share']:.1%} ({gap}; all intervals hold together with {confidence:.0%}). On these data"
        " choosing by a model cannot be told to be better than choosing the largest customers so far."
    )
