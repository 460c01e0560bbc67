"""What taking an account into a programme changes, customers and prospects in one money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.options import value_table
from clv.abm.selecting.belief import Belief, draw_belief
from clv.abm.selecting.effects import TierEffect, odds_raised, tier_effects
from clv.abm.wording import accounts, listed, money
from clv.churn.plays.measured import MeasuredUplift
from clv.errors import DataError, SettingsError
from clv.result import Result, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.loop.response import Response
    from clv.abm.selecting.once_won import Prospects
    from clv.data.settings import Tier
    from clv.value.lifetime import LifetimeValue


@dataclass(frozen=True, eq=False)
class IncrementalValue(Result):
    """What the programme changes about each account; `clv.select_accounts` takes this as values.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: kind (customer or prospect), tier (the best one by expected net), base (expected margin
        without the programme), gain (what the tier adds to it, net of the cost to serve whom it wins), cost (of the
        tier), net (gain − cost), lower, upper, p_worth (probability that net is above 0; NaN without draws), evidence
        (of the effect: assumed, partly measured or measured), and of prospects chance, chance_with and once_won (net
        of the cost to serve).
    draws : numpy.ndarray of float32, shape (accounts, draws), or None
        Of net, in that tier.
    effects : list of TierEffect
    tiers : pandas.DataFrame
        One row an account and tier: account_id, tier, value (the gain), cost — the options of `clv.allocate_tiers`,
        hours left out.
    drivers : pandas.DataFrame
        Index account_id: clv and, where they are known, p_alive, expected_spend and clv_transactions of customers, for
        the reasons.
    tell_apart : tuple of str or None
        What tells prospects apart; None where there are none.
    currency : str
    belief : Belief or None
        The draws behind `draws`, of every tier.
    """

    draws: np.ndarray | None
    effects: list[TierEffect]
    tiers: pd.DataFrame
    drivers: pd.DataFrame
    tell_apart: tuple[str, ...] | None
    currency: str
    belief: Belief | None = field(default=None, repr=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw gain against value without the programme, customers and prospects apart."""
        from clv.abm.selecting.pictures import gain_and_base

        return gain_and_base(self, ax)


def incremental_value(
    value: LifetimeValue | pd.DataFrame,
    tiers: Sequence[Tier],
    *,
    prospects: Prospects | None = None,
    measured: Mapping[str, MeasuredUplift] | None = None,
    response: Response | None = None,
    win_uplift: float | Mapping[str, float] | None = None,
    cost_to_serve: float = 0.0,
    doubt: float = 0.5,
    seed: int = 0,
    confidence: float = 0.9,
    currency: str = "",
) -> IncrementalValue:
    """Say what each account brings more if the programme takes it, less what that costs.

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        Of customers: index account_id, clv; p_alive and expected_spend are told in the reasons where they are there.
    tiers : sequence of Tier
        Of the study: cost an account and relative uplift of its margin over the horizon.
    prospects : Prospects, optional
        From `clv.value_prospects`; None: customers only.
    measured : mapping of str to MeasuredUplift, optional
        Tier -> what an experiment found; the other tiers keep the study's assumption.
    response : Response, optional
        What is believed of all tiers after all experiments, in place of `measured`; their effects are drawn jointly.
    win_uplift : float or mapping, optional
        Relative increase of the odds that a prospect is won; None: the tier's uplift, read so.
    cost_to_serve : float
        Money an account over the horizon. A customer is served with the programme and without, so that it changes
        nothing; a prospect is served if it is won.
    doubt : float
        Standard deviation of assumed effects, as a share of them.
    seed : int
        Of the draws of the effects.
    confidence : float
        Probability within lower and upper.
    currency : str

    Returns
    -------
    IncrementalValue

    Raises
    ------
    DataError
        An account is a customer and a prospect, or draws do not fit.
    SettingsError
        Tiers, effects or cost cannot be.

    Notes
    -----
    With u the tier's uplift, o the increase of the odds and V the margin over the horizon::

        customer: gain = u · clv
        prospect: gain = (p' − p) · (V − cost to serve),   p' / (1 − p') = (1 + o) · p / (1 − p)

    A draw takes the effect (the same for all accounts of a tier), the account's own value and, of a prospect, its
    chance. Of each account the tier with the largest expected net is taken, whether that is above 0 or not. A value
    below 0 is not raised further: there the gain is 0 at most.
    """
    if not (np.isfinite(cost_to_serve) and cost_to_serve >= 0):
        raise SettingsError(f"cost_to_serve is {cost_to_serve}.", mend="Give 0 or more.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
    effects = tier_effects(tiers, measured=measured, response=response, win_uplift=win_uplift, doubt=doubt)
    table = value_table(value)
    clv = table["clv"].to_numpy(float)
    own = None if isinstance(value, pd.DataFrame) else getattr(value, "draws", None)
    ahead = (
        pd.DataFrame(columns=["chance", "once_won", "expected"], dtype=float) if prospects is None else prospects.table
    )
    both = table.index.intersection(ahead.index.astype(str))
    if len(both):
        raise DataError(
            f"account {both[0]!r} is a customer and a prospect ({len(both):,} such).",
            mend="Give as prospects only accounts that have not bought.", table="accounts", column="account_id",
        )  # fmt: skip
    n, m = len(table), len(ahead)
    chance, won = ahead["chance"].to_numpy(float), ahead["once_won"].to_numpy(float) - cost_to_serve
    up = np.array([e.uplift for e in effects])
    lift = np.column_stack([odds_raised(chance, e.win) - chance for e in effects]).reshape(m, len(effects))
    gain = np.vstack([np.outer(np.maximum(clv, 0.0), up), lift * won[:, None]])
    cost = np.array([e.cost for e in effects])
    net = gain - cost
    best = net.argmax(axis=1)
    rows = np.arange(n + m)
    ids = pd.Index([*table.index, *ahead.index.astype(str)], name="account_id")
    belief = draw_belief(own, prospects, effects, response, customers=n, serve=cost_to_serve, seed=seed)
    drawn = None if belief is None else belief.net(best)
    low = high = worth = np.full(n + m, np.nan)
    if drawn is not None:
        low, high = _limits(drawn, confidence)
        worth = (drawn > 0).mean(axis=1)
    found = pd.DataFrame(
        {
            "kind": np.repeat(["customer", "prospect"], [n, m]),
            "tier": np.array([e.name for e in effects], dtype=object)[best],
            "base": np.r_[clv, chance * won],
            "gain": gain[rows, best],
            "cost": cost[best],
            "net": net[rows, best],
            "lower": low,
            "upper": high,
            "p_worth": worth,
            "evidence": np.where(rows < n, np.array([e.evidence for e in effects], dtype=object)[best], "assumed"),
            "chance": np.r_[np.full(n, np.nan), chance],
            "chance_with": np.r_[np.full(n, np.nan), chance + lift[np.arange(m), best[n:]]],
            "once_won": np.r_[np.full(n, np.nan), won],
        },
        index=ids,
    )
    options = pd.DataFrame(
        {
            "account_id": np.repeat(ids.to_numpy(), len(effects)),
            "tier": np.tile(np.array([e.name for e in effects], dtype=object), n + m),
            "value": gain.ravel(),
            "cost": np.tile(cost, n + m),
        }
    )
    kept = [name for name in ("p_alive", "expected_spend", "clv_transactions", "clv") if name in table]
    apart = None if prospects is None else prospects.tell_apart
    return IncrementalValue(
        found, _words(found, effects, apart, currency), drawn, effects, options, table[kept], apart, currency, belief
    )


def _limits(drawn: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of every row, a block at a time."""
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.empty(len(drawn)), np.empty(len(drawn))
    step = max(1, 4_000_000 // drawn.shape[1])
    for start in range(0, len(drawn), step):
        rows = slice(start, start + step)
        low[rows], high[rows] = np.quantile(drawn[rows], levels, axis=1)
    return low, high


def _words(table: pd.DataFrame, effects: list[TierEffect], apart: tuple[str, ...] | None, currency: str) -> str:
    counts = table["kind"].value_counts()
    worth = table[table["net"] > 0]
    who = accounts(int(counts.get("customer", 0))) + " that bought"
    if apart is not None:
        who += f" and {accounts(int(counts.get('prospect', 0)))} that did not"
    whom = accounts(len(worth)) if len(worth) else "no account"
    text = f"Of {who}, taking {whom} into the programme is expected to bring more than it costs"
    if len(worth):
        text += f": {money(float(worth['net'].sum()), currency)} in all"
    if apart is not None and len(worth):
        new = worth[worth["kind"] == "prospect"]
        text += (
            f", {money(float(new['net'].sum()), currency)} of it by winning {accounts(len(new))} more often"
            if len(new)
            else ", all of it from customers: for no prospect does the chance rise enough"
        )
    parts = listed([f"{e.name} {signed(e.uplift, '.1%')} ± {1.645 * e.error:.1%} ({e.evidence})" for e in effects])
    text += f". Effects on the margin over the horizon: {parts}."
    if any(e.evidence == "assumed" for e in effects):
        text += " Assumed effects are what the study states, not what anything has shown: measure them."
    if any(e.evidence == "partly measured" for e in effects):
        text += " Partly measured ones rest more on the study's statement than on the experiment, which is vague."
    if apart is None:
        text += " Prospects are not among them: the choice rests on the value of customers alone."
    else:
        text += " That the programme also raises the odds to win a prospect is assumed."
        if not apart:
            text += " There is nothing that tells prospects apart: each stands for all of them."
    return text
