"""Which accounts a programme should take: by value net of the cost to serve, with how sure, and why."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.options import account_ids, value_table
from clv.abm.reasons import reasons, selection_text
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.churn.stages import ChurnStages
    from clv.value.lifetime import LifetimeValue

#: cells of the draws that are looked at in one go: bounds the memory to some tens of megabytes.
_CHUNK = 4_000_000
#: accounts with a probability of belonging between these could as well be on the other side of the cut.
UNSURE = (0.2, 0.8)


@dataclass(frozen=True, eq=False)
class Selection(Result):
    """Who is in, who is out, and how firm the cut is.

    Attributes
    ----------
    table : pandas.DataFrame
        Columns account_id, score, rank, selected, p_selected, reason; by rank.
    expected : float
        Σ score of the selected: expected margin net of the cost to serve.
    total : float
        Σ of all positive scores: what could be had without a capacity.
    regret : float
        How much more the best set of each draw brings than the chosen one, on average: what knowing every account's
        value would be worth. NaN without draws.
    agreement : float
        Expected share of the selected that would be in that best set; NaN without draws.
    unsure : int
        Accounts with .2 < p_selected < .8.
    intervals : pandas.DataFrame
        Index account_id: lower, upper of the value, net of the cost to serve.
    currency : str
        Written after money.
    """

    expected: float
    total: float
    regret: float
    agreement: float
    unsure: int
    intervals: pd.DataFrame
    currency: str

    @property
    def around_cut(self) -> pd.DataFrame:
        """The last ten accounts that came in and the first ten that stayed out."""
        taken = int(self.table["selected"].sum())
        return self.table.iloc[max(0, taken - 10) : taken + 10]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ranked scores with their intervals, and the cut."""
        from clv.abm.pictures import ranked_scores

        return ranked_scores(self, ax)


def select_accounts(
    value: LifetimeValue | pd.DataFrame,
    *,
    capacity: int | None = None,
    cost_to_serve: float | pd.Series = 0.0,
    stages: ChurnStages | pd.DataFrame | pd.Series | None = None,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    currency: str = "",
) -> Selection:
    """Take the accounts whose expected margin exceeds the cost to serve them, the best first, up to a capacity.

    ``score = clv − cost_to_serve``; selected where the score is positive and the rank within the capacity. Equal
    scores are ranked by account_id. The score is what an account is expected to be worth, not what a programme
    changes about it; that is the business of `allocate_tiers`.

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        Index account_id; clv and, where there are any, lower and upper. A LifetimeValue also brings its draws
        (accounts × draws), from which the probability of belonging is taken.
    capacity : int, optional
        Most accounts.
    cost_to_serve : float or pandas.Series
        Money an account over the same horizon; a Series has the index account_id.
    stages : ChurnStages, pandas.DataFrame or pandas.Series, optional
        Churn stage by account_id, told in the reasons.
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts, customers and prospects (a table's column or index account_id). Those without a value are
        listed last, unselected, without a score: nothing is made up for them.
    currency : str
        Written after money in the text.

    Returns
    -------
    Selection

    Raises
    ------
    DataError
        A value or a cost is missing or no number, or the draws do not fit the table.
    SettingsError
        The capacity is not a whole number of 1 or more.

    Notes
    -----
    ``p_selected`` is the share of draws in which the account would be in the set if it were chosen by that draw's
    values: the probability, under the model, that it belongs there. Choosing the best by estimates picks luck along
    with worth (Smith & Winkler 2006, the optimiser's curse). Posterior means are already drawn towards the book,
    which removes this as far as the model is right; ``agreement`` and ``regret`` say what doubt is left.
    """
    if capacity is not None and (
        isinstance(capacity, bool) or not isinstance(capacity, numbers.Integral) or capacity < 1
    ):
        raise SettingsError(
            f"capacity is {capacity!r}.", mend="Give a whole number of 1 or more, or None for no limit."
        )
    draws = None if isinstance(value, pd.DataFrame) else getattr(value, "draws", None)
    table = value_table(value)
    cost = _costs(cost_to_serve, table.index)
    if draws is not None:
        draws = np.asarray(draws)
        if draws.ndim != 2 or len(draws) != len(table):
            raise DataError(f"draws have the shape {draws.shape} for {len(table)} accounts.", table="value")
        draws = draws if draws.shape[1] else None

    # Everything below is in the order of the ids, which settles ties whatever order the table came in.
    order = np.argsort(table.index.to_numpy(dtype=str), kind="stable")
    table, cost = table.iloc[order], cost[order]
    score = table["clv"].to_numpy() - cost
    by_rank = np.argsort(-score, kind="stable")
    size = min(int((score > 0).sum()), len(score) if capacity is None else int(capacity))
    selected = np.zeros(len(score), dtype=bool)
    selected[by_rank[:size]] = True
    chance, regret = np.full(len(score), np.nan), np.nan
    if draws is not None:
        chance, regret = _belonging(draws, order, cost, capacity, selected)

    ranked = pd.DataFrame(
        {
            "account_id": table.index.to_numpy(dtype=str)[by_rank],
            "score": score[by_rank],
            "rank": np.arange(1, len(score) + 1),
            "selected": selected[by_rank],
            "p_selected": chance[by_rank],
        }
    ).astype({"account_id": str})
    ends = pd.DataFrame(index=pd.Index(ranked["account_id"]))
    for name in ("lower", "upper"):
        column = table[name].to_numpy(float) if name in table.columns else np.full(len(score), np.nan)
        ends[name] = (column - cost)[by_rank]
    unknown = sorted(set(account_ids(accounts)) - set(table.index)) if accounts is not None else []
    ranked["reason"] = reasons(ranked, table["clv"].to_numpy()[by_rank], cost[by_rank], _stage_of(stages), currency)
    result = pd.concat([ranked, _prospects(unknown, len(ranked))], ignore_index=True) if unknown else ranked
    inside = chance[selected]
    draft = Selection(
        table=result,
        text="",
        expected=float(score[selected].sum()),
        total=float(score[score > 0].sum()),
        regret=regret,
        agreement=float(inside.mean()) if draws is not None and size else np.nan,
        unsure=int(((chance > UNSURE[0]) & (chance < UNSURE[1])).sum()),
        intervals=ends,
        currency=currency,
    )
    text = selection_text(draft, capacity=capacity, prospects=len(unknown))
    return Selection(**{**draft.__dict__, "text": text})


def _costs(cost: float | pd.Series, accounts: pd.Index) -> np.ndarray:
    """Cost to serve of each account."""
    if isinstance(cost, pd.Series):
        series = cost.set_axis(cost.index.astype(str))
        if not series.index.is_unique:
            raise DataError("an account is there twice.", mend="Give one cost an account.", column="cost_to_serve")
        costs = pd.to_numeric(series.reindex(accounts), errors="coerce").to_numpy(float)
    else:
        costs = np.full(len(accounts), float(cost))
    bad = ~np.isfinite(costs) | (costs < 0)
    if bad.any():
        raise DataError(
            f"the cost of account {accounts[bad][0]!r} is {costs[bad][0]} ({int(bad.sum())} such in all).",
            mend="Give a cost of 0 or more for every account.",
            column="cost_to_serve",
        )
    return costs


def _belonging(
    draws: np.ndarray, order: np.ndarray, cost: np.ndarray, capacity: int | None, chosen: np.ndarray
) -> tuple[np.ndarray, float]:
    """Share of draws in which each account is in the draw's best set, and how much more than the chosen that brings."""
    n, many = draws.shape
    hits, more = np.zeros(n), 0.0
    step = max(1, _CHUNK // n)
    for start in range(0, many, step):
        net = draws[order, start : start + step].astype(float) - cost[:, None]
        if np.isnan(net).any():
            raise DataError("a draw is no number.", mend="Draw the values again.", table="value", column="draws")
        inside = net > 0
        if capacity is not None and capacity < n:
            least = np.partition(net, n - capacity, axis=0)[n - capacity]
            above = net > least
            # Equal to the last one in: the first ids, as in the ranking itself.
            level = net == least
            room = capacity - above.sum(axis=0)
            inside &= above | (level & (np.cumsum(level, axis=0) <= room))
        hits += inside.sum(axis=1)
        more += float(net[inside].sum() - net[chosen].sum())
    return hits / many, max(0.0, more / many)


def _stage_of(stages: ChurnStages | pd.DataFrame | pd.Series | None) -> dict[str, str]:
    """Stage by account, from whatever holds it."""
    if stages is None:
        return {}
    if not isinstance(stages, pd.Series):
        frame = stages if isinstance(stages, pd.DataFrame) else stages.table
        stages = (frame.set_index("account_id") if "account_id" in frame.columns else frame)["stage"]
    return {str(account): str(stage) for account, stage in stages.items()}


def _prospects(unknown: list[str], ranked: int) -> pd.DataFrame:
    """Accounts of which nothing is known, after all others."""
    frame = pd.DataFrame(
        {
            "account_id": unknown,
            "score": np.nan,
            "rank": np.arange(ranked + 1, ranked + len(unknown) + 1),
            "selected": False,
            "p_selected": np.nan,
            "reason": "Out: it has not bought yet, so that nothing is known of its value.",
        }
    )
    return frame.astype({"account_id": str, "reason": str})
