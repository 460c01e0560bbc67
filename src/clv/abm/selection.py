"""Which accounts a programme should take: by what they bring net of cost, with how sure, and why."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.options import account_ids, value_table
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.abm.reasons import incremental_reasons, reasons, selection_text
from clv.abm.selecting.contributions import incremental_contributions, value_contributions
from clv.abm.selecting.flips import bars, incremental_flips, value_flips
from clv.abm.selecting.groups import RolledUp, possible_duplicates, roll_up
from clv.abm.selecting.incremental import IncrementalValue
from clv.abm.selecting.net_draws import CHUNK, NetDraws, belonging
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.churn.stages import ChurnStages
    from clv.value.lifetime import LifetimeValue

#: cells of the draws that are looked at in one go.
_CHUNK = CHUNK
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
        Σ score of the selected: expected margin net of the cost to serve, or of the programme's change net of its cost.
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
        Index account_id: lower, upper of the score.
    currency : str
        Written after money.
    capacity : int or None
    contributions : pandas.DataFrame
        Index account_id: what makes the score, part by part; a row sums to it. See
        `clv.abm.selecting.contributions`.
    flips : pandas.DataFrame
        Index account_id: the smallest change of one driver that puts the account on the other side: driver, now,
        then, change.
    duplicates : pandas.DataFrame
        Pairs of accounts that may be one: account_id, other_id, alike, because.
    members : pandas.Series or None
        Index account_id -> the parent with which it is counted; None where accounts are counted apart.
    draws : NetDraws or None
        Draws of the scores, accounts by rank.
    about : pandas.DataFrame
        Index account_id, by rank: kind (customer or prospect), tier (the best one; empty where the score is a value),
        base (expected margin without the programme), gain (what makes the score, before cost), cost.
    expected_lower, expected_upper : float
        Interval of what the selected bring together; NaN without draws.
    p_pays : float
        Probability that together they bring more than they cost; NaN without draws.
    """

    expected: float
    total: float
    regret: float
    agreement: float
    unsure: int
    intervals: pd.DataFrame
    currency: str
    capacity: int | None = None
    contributions: pd.DataFrame = field(default_factory=pd.DataFrame)
    flips: pd.DataFrame = field(default_factory=pd.DataFrame)
    duplicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    members: pd.Series | None = None
    draws: NetDraws | None = field(default=None, repr=False)
    about: pd.DataFrame = field(default_factory=pd.DataFrame)
    expected_lower: float = float("nan")
    expected_upper: float = float("nan")
    p_pays: float = float("nan")

    @property
    def around_cut(self) -> pd.DataFrame:
        """The last ten accounts that came in and the first ten that stayed out."""
        taken = int(self.table["selected"].sum())
        return self.table.iloc[max(0, taken - 10) : taken + 10]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ranked scores with their intervals, and the cut."""
        from clv.abm.pictures import ranked_scores

        return ranked_scores(self, ax)

    def plot_belonging(self, ax: Axes | None = None) -> Axes:
        """Draw the probability of belonging by rank."""
        from clv.abm.selecting.pictures import belonging_by_rank

        return belonging_by_rank(self, ax)


def select_accounts(
    value: LifetimeValue | IncrementalValue | RolledUp | pd.DataFrame,
    *,
    capacity: int | None = None,
    cost_to_serve: float | pd.Series = 0.0,
    stages: ChurnStages | pd.DataFrame | pd.Series | None = None,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    parents: bool = False,
    confidence: float = 0.9,
    currency: str = "",
) -> Selection:
    """Take the accounts with the largest score, as long as it is positive, up to a capacity.

    ``score = clv − cost_to_serve``, or the net of an `IncrementalValue`: what the programme changes, for customers and
    prospects. Equal scores are ranked by account_id.

    Parameters
    ----------
    value : LifetimeValue, IncrementalValue, Shrunk, RolledUp or pandas.DataFrame
        Index account_id; clv and, where there are any, lower and upper. A result also brings its draws
        (accounts × draws), from which the probability of belonging is taken. Raw estimates with standard errors go
        through `clv.shrink_estimates` first.
    capacity : int, optional
        Most accounts.
    cost_to_serve : float or pandas.Series
        Money an account over the same horizon; a Series has the index account_id. An `IncrementalValue` is net already.
    stages : ChurnStages, pandas.DataFrame or pandas.Series, optional
        Churn stage by account_id, told in the reasons.
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts, customers and prospects (a table's column or index account_id). Those without a value are
        listed last, unselected, without a score: nothing is made up for them. A table with names or other attributes
        is searched for accounts that may be one under two ids.
    parents : bool
        Count children with their topmost parents (column parent_id of `accounts`): one score, one place.
    confidence : float
        Of the interval of what the selected bring together.
    currency : str
        Written after money in the text.

    Returns
    -------
    Selection

    Raises
    ------
    DataError
        A value or a cost is missing or no number, the draws do not fit the table, or parents run in a circle.
    SettingsError
        The capacity is not a whole number of 1 or more, or arguments do not go together.

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
    change = value if isinstance(value, IncrementalValue) else None
    if change is not None and (isinstance(cost_to_serve, pd.Series) or cost_to_serve != 0):
        raise SettingsError(
            "an incremental value is net of the cost to serve already.",
            mend="Give cost_to_serve to incremental_value.",
        )
    value, cost_to_serve, members = _with_parents(value, accounts, cost_to_serve) if parents else (
        value, cost_to_serve, value.members if isinstance(value, RolledUp) else None
    )  # fmt: skip
    draws = None if isinstance(value, pd.DataFrame) else getattr(value, "draws", None)
    plain: Any = value if change is None else change.table.assign(clv=change.table["net"])
    table = value_table(plain)
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
    chance, regret, net = np.full(len(score), np.nan), np.nan, None
    whole = np.full(3, np.nan)
    if draws is not None:
        net = NetDraws(draws, order, cost)
        chance, regret = belonging(net, capacity, selected, chunk=_CHUNK)
        net = net.sorted_by(by_rank)
        whole = _together(net, size, confidence)

    ranked = pd.DataFrame(
        {
            "account_id": table.index.to_numpy(dtype=str)[by_rank],
            "score": score[by_rank],
            "rank": np.arange(1, len(score) + 1),
            "selected": selected[by_rank],
            "p_selected": chance[by_rank],
        }
    ).astype({"account_id": str})
    ids = pd.Index(ranked["account_id"], name="account_id")
    ends = pd.DataFrame(index=ids)
    for name in ("lower", "upper"):
        column = table[name].to_numpy(float) if name in table.columns else np.full(len(score), np.nan)
        ends[name] = (column - cost)[by_rank]
    table, cost = table.iloc[by_rank], cost[by_rank]
    bar = bars(ranked["score"].to_numpy(float), size, capacity)
    stage_of = _stage_of(stages)
    if change is None:
        parts = value_contributions(table, cost)
        flips = value_flips(ids, table["clv"].to_numpy(float), cost, bar)
        ranked["reason"] = reasons(ranked, table["clv"].to_numpy(), cost, stage_of, currency, parts)
    else:
        parts = incremental_contributions(change).loc[ids]
        flips = incremental_flips(change, ids, bar)
        ranked["reason"] = incremental_reasons(ranked, change, parts, flips, stage_of, currency)
    about = _about(table, cost, change, ids)
    unknown = sorted(_told(accounts, members) - set(table.index)) if accounts is not None else []
    result = pd.concat([ranked, _unknown(unknown, len(ranked))], ignore_index=True) if unknown else ranked
    inside = chance[selected]
    twins = possible_duplicates(accounts) if isinstance(accounts, pd.DataFrame) else None
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
        capacity=None if capacity is None else int(capacity),
        contributions=parts,
        flips=flips,
        duplicates=pd.DataFrame() if twins is None else twins.table,
        members=members,
        draws=net,
        about=about,
        expected_lower=float(whole[0]),
        expected_upper=float(whole[1]),
        p_pays=float(whole[2]),
    )
    notes = [] if twins is None or not len(twins.table) else [twins.text]
    if isinstance(value, RolledUp):
        notes.insert(0, value.text)
    if change is None and not firmographics(accounts):
        notes.append("Nothing is known of the accounts but what they bought: the choice rests on their value alone.")
    return replace(draft, text=selection_text(draft, prospects=len(unknown), change=change, notes=notes))


def _together(net: NetDraws, size: int, confidence: float) -> np.ndarray:
    """Return the interval of what the first accounts bring together, and the probability that it is above 0."""
    many = net.shape[1]
    total = np.zeros(many)
    step = max(1, _CHUNK // many)
    for start in range(0, size, step):
        total += net.of(slice(start, min(start + step, size))).sum(axis=0)
    low, high = np.quantile(total, [(1 - confidence) / 2, (1 + confidence) / 2])
    return np.array([low, high, (total > 0).mean()])


def _about(table: pd.DataFrame, cost: np.ndarray, change: IncrementalValue | None, ids: pd.Index) -> pd.DataFrame:
    """Say what the score is made of: kind, tier, base, gain and cost of each account."""
    if change is not None:
        return change.table.loc[ids, ["kind", "tier", "base", "gain", "cost"]]
    clv = table["clv"].to_numpy(float)
    return pd.DataFrame({"kind": "customer", "tier": None, "base": clv, "gain": clv, "cost": cost}, index=ids)


def _with_parents(
    value: LifetimeValue | IncrementalValue | RolledUp | pd.DataFrame,
    accounts: Iterable[str] | pd.DataFrame | None,
    cost: float | pd.Series,
) -> tuple[RolledUp, float | pd.Series, pd.Series]:
    """Count children with their parents, their costs to serve as well."""
    if isinstance(value, IncrementalValue) or not isinstance(accounts, pd.DataFrame):
        raise SettingsError(
            "children cannot be counted with their parents here.",
            mend="Give the table of accounts with parent_id; an incremental value is made from clv.roll_up's values.",
        )
    whole = value if isinstance(value, RolledUp) else roll_up(value, accounts)
    if isinstance(value, RolledUp):
        return whole, cost, whole.members
    own = value_table(value).index
    owner = whole.members.reindex(own)
    owner = owner.where(owner.notna(), pd.Series(own, index=own)).astype(str)
    costs = pd.Series(_costs(cost, own), index=own).groupby(owner.to_numpy()).sum()
    return whole, costs, whole.members


def firmographics(accounts: Iterable[str] | pd.DataFrame | None) -> bool:
    """Whether a table of accounts says anything about them but who they are."""
    if not isinstance(accounts, pd.DataFrame):
        return False
    names = [name for name in accounts.columns if name not in (*NOT_ATTRIBUTES, "account_id")]
    return bool(accounts[names].notna().to_numpy().any())


def _told(accounts: Iterable[str] | pd.DataFrame | None, members: pd.Series | None) -> set[str]:
    """Accounts that were named; children stand under their parent."""
    named = account_ids(accounts) if accounts is not None else []
    return set(named) if members is None else {str(members.get(account, account)) for account in named}


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


def _stage_of(stages: ChurnStages | pd.DataFrame | pd.Series | None) -> dict[str, str]:
    """Stage by account, from whatever holds it."""
    if stages is None:
        return {}
    if not isinstance(stages, pd.Series):
        frame = stages if isinstance(stages, pd.DataFrame) else stages.table
        stages = (frame.set_index("account_id") if "account_id" in frame.columns else frame)["stage"]
    return {str(account): str(stage) for account, stage in stages.items()}


def _unknown(unknown: list[str], ranked: int) -> pd.DataFrame:
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
