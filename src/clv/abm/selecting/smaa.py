"""Strategic criteria beside money: who is in under which weights, and what giving them weight costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from clv.abm.wording import accounts, money
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.selection import Selection

#: the criterion that the selection's scores are.
MONEY = "money"
#: accounts × draws that are scored in one go.
_CELLS = 2_000_000
#: weights drawn for each one kept, at most.
_TRIES = 2_000


@dataclass(frozen=True, eq=False)
class Acceptability(Result):
    """Who belongs to the set under weights that nobody knows exactly.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account, by acceptability: account_id, acceptability (share of weights and draws under which it is in
        the set), first (… under which it is the very best), mean_rank, score, by_money (in by expected money alone),
        selected (in by acceptability).
    ranks : pandas.DataFrame
        Rank acceptability of the first accounts of the table: index account_id, columns 1 … places.
    central_weights : pandas.DataFrame
        Index account_id (as `ranks`), a column a criterion: the mean of the weights under which the account is in.
    cost : float
        Expected money that the set by acceptability brings less than the one by money alone.
    costs : pandas.DataFrame
        One row a drawn vector of weights: the weights, and cost, what the set under it brings less, as expected.
    places : int
    currency : str
    """

    ranks: pd.DataFrame
    central_weights: pd.DataFrame
    cost: float
    costs: pd.DataFrame
    places: int
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what is given up in money against the weight of money."""
        from clv.abm.selecting.pictures import cost_of_weights

        return cost_of_weights(self, ax)


def stochastic_acceptability(
    selection: Selection,
    criteria: pd.DataFrame,
    *,
    places: int | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    importance: Sequence[str] | None = None,
    scale: Literal["linear", "rank"] = "linear",
    draws: int = 1000,
    seed: int = 0,
    detail: int = 30,
) -> Acceptability:
    """Weigh strategic criteria against money without fixing the weights (SMAA-2; Lahdelma & Salminen 2001).

    Parameters
    ----------
    selection : Selection
        Its scores, in every draw if it has draws, are the criterion ``money``.
    criteria : pandas.DataFrame
        Index (or column) account_id; numbers or flags, more is better. A cell that is empty may be any of the values
        that others have.
    places : int, optional
        Size of the set; None: that of the selection.
    bounds : mapping, optional
        Criterion -> least and most weight; weights sum to 1.
    importance : sequence of str, optional
        Criteria from the most to the least important, ``money`` among them: weights fall in this order.
    scale : {"linear", "rank"}
        How a criterion becomes a number between 0 and 1: by its range, or by its place among the accounts.
    draws : int
        Weights drawn, evenly from all that the bounds and the order leave; each with its own draw of money.
    seed : int
    detail : int
        Accounts of which rank acceptabilities and central weights are kept.

    Returns
    -------
    Acceptability

    Raises
    ------
    DataError
        An account of the selection is missing, or a criterion is no number or the same for all.
    SettingsError
        No weights fit the bounds, or a criterion that they name is not there.

    Notes
    -----
    Rank acceptability bᵢʳ is the share of weights and criteria values for which account i has rank r;
    ``acceptability`` is Σ bᵢʳ over the places (k best ranks), and the central weights are the mean weights for which i
    is among them (Lahdelma & Salminen 2001, section 3). Utilities are additive. The cost in money compares expected
    scores only, so that it is what the strategy costs and not what luck does; accounts whose score is not above 0
    can be in by strategy, at that cost.
    """
    names, values, known = _criteria(selection, criteria)
    n = len(known)
    score = known["score"].to_numpy(float)
    size = int(known["selected"].sum()) if places is None else int(places)
    if not 1 <= size <= n:
        raise SettingsError(f"{size} places for {n} accounts.", mend=f"Give places between 1 and {n}.")
    rng = np.random.default_rng(seed)
    weights = _weights(names, bounds or {}, importance, int(draws), rng)
    by_money = np.zeros(n, dtype=bool)
    by_money[:size] = True
    best = float(score[:size].sum())
    kept = min(detail, n)
    hits, first, rank_sum, lost = np.zeros(n), np.zeros(n), np.zeros(n), np.empty(len(weights))
    tally, central = np.zeros((n if n <= 2_000 else 0, size)), np.zeros((n, len(names)))
    step = max(1, _CELLS // n)
    low, reach = float(score.min()), max(float(np.ptp(score)), 1e-12)
    for start in range(0, len(weights), step):
        some = weights[start : start + step]
        worth = _money(selection, n, len(some), start, score)
        part = np.column_stack([rankdata(column) - 1 for column in worth.T]) / max(1, n - 1) if scale == "rank" else (
            (worth - low) / reach
        )  # fmt: skip
        total = part * some[:, 0]
        for place, column in enumerate(values.T, start=1):
            cells = _scaled(_filled(column, len(some), rng), scale)
            total += cells * some[:, place]
        order = np.argsort(-total, axis=0, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(n)[:, None], order.shape), axis=0)
        inside = rank < size
        hits += inside.sum(axis=1)
        first += (rank == 0).sum(axis=1)
        rank_sum += (rank + 1).sum(axis=1)
        central += inside @ some
        lost[start : start + step] = best - (score[:, None] * inside).sum(axis=0)
        if len(tally):
            row, column_at = np.nonzero(inside)
            np.add.at(tally, (row, rank[row, column_at]), 1)
    share = hits / len(weights)
    by_share = np.lexsort([np.arange(n), -score, -share])
    chosen = np.zeros(n, dtype=bool)
    chosen[by_share[:size]] = True
    table = pd.DataFrame(
        {
            "account_id": known["account_id"].to_numpy(), "acceptability": share, "first": first / len(weights),
            "mean_rank": rank_sum / len(weights), "score": score, "by_money": by_money, "selected": chosen,
        }
    ).iloc[by_share].reset_index(drop=True)  # fmt: skip
    top = by_share[:kept]
    index = pd.Index(known["account_id"].to_numpy()[top], name="account_id")
    ranks = pd.DataFrame(
        tally[top] / len(weights) if len(tally) else np.full((kept, size), np.nan), index, range(1, size + 1)
    )
    with np.errstate(invalid="ignore"):
        middle = pd.DataFrame(central[top] / hits[top, None], index, names)
    cost = max(0.0, best - float(score[chosen].sum()))
    costs = pd.DataFrame(weights, columns=names).assign(cost=np.maximum(lost, 0.0))
    return Acceptability(
        table, _words(table, cost, costs, best, size, selection.currency), ranks, middle, cost, costs, size,
        selection.currency,
    )  # fmt: skip


def _criteria(selection: Selection, criteria: pd.DataFrame) -> tuple[list[str], np.ndarray, pd.DataFrame]:
    """Criteria of the ranked accounts, in the order of the ranking; NaN where unknown."""
    known = selection.table[selection.table["score"].notna()]
    given = criteria.set_index("account_id") if "account_id" in criteria.columns else criteria
    given = given.set_axis(given.index.astype(str), axis=0)
    missing = ~known["account_id"].isin(given.index)
    if missing.any() or not given.index.is_unique or MONEY in given.columns or not len(given.columns):
        what = (
            f"account {known.loc[missing, 'account_id'].iloc[0]!r} is missing" if missing.any()
            else "an account is there twice" if not given.index.is_unique
            else "there is no criterion" if not len(given.columns) else "a criterion is called 'money'"
        )  # fmt: skip
        raise DataError(f"{what}.", mend="Give one row an account, and a column a criterion.", table="criteria")
    columns = []
    for name in given.columns:
        values = pd.to_numeric(given.loc[known["account_id"], name], errors="coerce")
        column = values.to_numpy(dtype=float, na_value=np.nan)
        filled = given.loc[known["account_id"], name].notna().to_numpy()
        if (filled & ~np.isfinite(column)).any():
            raise DataError("a value is no number.", mend="Give numbers.", table="criteria", column=str(name))
        if not filled.any() or np.ptp(column[filled]) <= 0:
            raise DataError(
                "it is the same for all accounts.", mend="Leave it out.", table="criteria", column=str(name)
            )
        columns.append(column)
    return [MONEY, *map(str, given.columns)], np.column_stack(columns), known


def _money(selection: Selection, n: int, many: int, start: int, score: np.ndarray) -> np.ndarray:
    """Scores of the ranked accounts in some draws, over and over again; the expected ones where there are no draws."""
    if selection.draws is None:
        return np.repeat(score[:, None], many, axis=1)
    there = selection.draws.shape[1]
    at = (start + np.arange(many)) % there
    worth = np.empty((n, many))
    for first in range(0, many, there):
        part = at[first : first + there]
        low, high = int(part.min()), int(part.max()) + 1
        worth[:, first : first + len(part)] = selection.draws.at(slice(low, high))[:, part - low]
    return worth


def _filled(column: np.ndarray, many: int, rng: np.random.Generator) -> np.ndarray:
    """Return a criterion in every draw; what is not known is any of the values seen."""
    cells = np.repeat(column[:, None], many, axis=1)
    unknown = np.isnan(column)
    if unknown.any():
        cells[unknown] = rng.choice(column[~unknown], size=(int(unknown.sum()), many))
    return cells


def _scaled(cells: np.ndarray, scale: str) -> np.ndarray:
    if scale == "rank":
        return np.column_stack([rankdata(column) - 1 for column in cells.T]) / max(1, len(cells) - 1)
    low, high = float(cells.min()), float(cells.max())
    return (cells - low) / max(high - low, 1e-12)


def _weights(
    names: list[str],
    bounds: Mapping[str, tuple[float, float]],
    importance: Sequence[str] | None,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw weights evenly from the part of the simplex that bounds and order leave, shape (draws, criteria)."""
    for name in (*bounds, *(importance or ())):
        if name not in names:
            raise SettingsError(f"there is no criterion {name!r}.", mend=f"There are {', '.join(names)}.")
    if importance is not None and sorted(importance) != sorted(names):
        raise SettingsError("the order must name every criterion once.", mend=f"Order {', '.join(names)}.")
    low = np.array([bounds.get(name, (0.0, 1.0))[0] for name in names])
    high = np.array([bounds.get(name, (0.0, 1.0))[1] for name in names])
    free = 1 - low.sum()
    if (low < 0).any() or (high < low).any() or free < -1e-12 or high.sum() < 1 - 1e-12:
        raise SettingsError("no weights fit the bounds.", mend="Weights are 0 or more and sum to 1.")
    kept: list[np.ndarray] = []
    found = 0
    for _ in range(_TRIES):
        # The least weights are given; the rest is spread evenly, and what goes over the most is thrown away.
        some = low + max(free, 0.0) * rng.dirichlet(np.ones(len(names)), size=max(draws, 100))
        if importance is not None and not bounds:
            some = -np.sort(-some, axis=1)[:, [list(importance).index(name) for name in names]]
        elif importance is not None:
            ordered = some[:, [names.index(name) for name in importance]]
            some = some[(np.diff(ordered, axis=1) <= 1e-12).all(axis=1)]
        some = some[(some <= high + 1e-12).all(axis=1)]
        kept.append(some)
        found += len(some)
        if found >= draws:
            return np.concatenate(kept)[:draws]
    raise SettingsError("hardly any weights fit the bounds and the order.", mend="Widen the bounds.")


def _words(table: pd.DataFrame, cost: float, costs: pd.DataFrame, best: float, size: int, currency: str) -> str:
    new = table[table["selected"] & ~table["by_money"]]
    firm = int((table["acceptability"] >= 0.9).sum())
    share = f" ({cost / best:.1%} of what money alone would choose)" if best > 0 else ""
    if not len(new):
        text = f"The strategic criteria change nothing: the same {accounts(size)} are taken as for money alone."
    else:
        text = (
            f"With the strategic criteria {accounts(len(new))} of {size:,} are others than money alone would take; this"
            f" costs {money(cost, currency)} of expected money{share}."
        )
    low, high = np.quantile(costs["cost"], [0.05, 0.95])
    return (
        f"{text} Over all weights that are allowed, the cost lies between {money(float(low), currency, beside=high)}"
        f" and {money(float(high), currency, beside=low)} in nine of ten. {accounts(firm) if firm else 'No account'}"
        f" {'are' if firm > 1 else 'is'} in whatever the weights are, in nine of ten draws of them at least."
    )
