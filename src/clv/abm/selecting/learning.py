"""What it is worth to learn more about an account before choosing: which dossiers to refresh first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.selecting.flips import bars
from clv.abm.selecting.net_draws import CHUNK
from clv.abm.wording import accounts, listed, money
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.selection import Selection


@dataclass(frozen=True, eq=False)
class LearningValue(Result):
    """The value of learning about single accounts.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account, the most worthwhile first: account_id, rank (in the selection), selected, worth (expected
        gain from learning about it, before its cost), p_flips (probability that the decision changes), cost, net.
    worthwhile : int
        Accounts about which learning brings more than it costs.
    resolves : float
    all_known : float
        What knowing every account exactly would bring (the selection's regret).
    currency : str
    """

    worthwhile: int
    resolves: float
    all_known: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the accounts most worth learning about."""
        from clv.abm.selecting.pictures import worth_of_learning

        return worth_of_learning(self, ax)


def learning_value(selection: Selection, *, resolves: float = 1.0, cost: float | pd.Series = 0.0) -> LearningValue:
    """Say what learning more about each account is worth to the decision whom to take.

    Parameters
    ----------
    selection : Selection
        Made with draws.
    resolves : float
        Share of what is uncertain (variance) about an account that learning removes: 1, all of it, is the expected
        value of perfect information about that account.
    cost : float or pandas.Series
        Of learning about an account; a Series has the index account_id.

    Returns
    -------
    LearningValue

    Raises
    ------
    SettingsError
        The selection has no draws, or `resolves` is not above 0 and at most 1.
    DataError
        A cost is missing or below 0.

    Notes
    -----
    Learning changes the decision where it carries the account over the bar: the first one outside (or 0) for one that
    is in, the last one inside (or 0, where there is room) for one that is out. With X the account's score,

        worth = E max(bar − X̃, 0) if in, E max(X̃ − bar, 0) if out,

    which is the expected value of partial perfect information, EVPPI (Raiffa & Schlaifer 1961), and one step of the
    knowledge gradient (Gupta & Miescke 1996; Frazier, Powell & Dayanik 2008) where learning is imperfect:
    X̃ = E X + √resolves (X − E X), the preposterior mean in the Gaussian approximation of Jalal & Alarid-Escudero
    (2018). All other accounts stay at their expected scores: what one account teaches about others is left out, and
    the values of two accounts do not add up.
    """
    draws = selection.draws
    if draws is None:
        raise SettingsError(
            "the selection was made without draws, so nothing is known of its doubt.",
            mend="Value the accounts with draws.",
        )
    if not 0 < resolves <= 1:
        raise SettingsError(f"resolves is {resolves}.", mend="Give a share above 0 and at most 1.")
    n, many = draws.shape
    known = selection.table.iloc[:n]
    score, selected = known["score"].to_numpy(float), known["selected"].to_numpy(bool)
    size = int(selected.sum())
    bar = bars(score, size, selection.capacity)
    side = np.where(selected, -1.0, 1.0)
    worth, flips = np.empty(n), np.empty(n)
    step = max(1, CHUNK // many)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        drawn = draws.of(rows)
        away = np.sqrt(resolves) * (drawn - drawn.mean(axis=1, keepdims=True))
        over = side[rows, None] * (score[rows, None] + away - bar[rows, None])
        worth[rows] = np.maximum(over, 0.0).mean(axis=1)
        flips[rows] = (over > 0).mean(axis=1)
    costs = _costs(cost, known["account_id"])
    table = pd.DataFrame(
        {
            "account_id": known["account_id"].to_numpy(),
            "rank": known["rank"].to_numpy(),
            "selected": selected,
            "worth": worth,
            "p_flips": flips,
            "cost": costs,
            "net": worth - costs,
        }
    )
    table = table.iloc[np.argsort(-table["net"].to_numpy(), kind="stable")].reset_index(drop=True)
    worthwhile = int((table["net"] > 0).sum())
    text = _words(table, worthwhile, selection, resolves, costs)
    return LearningValue(table, text, worthwhile, float(resolves), selection.regret, selection.currency)


def _costs(cost: float | pd.Series, ids: pd.Series) -> np.ndarray:
    values = (
        cost.set_axis(cost.index.astype(str)).reindex(ids).to_numpy(dtype=float, na_value=np.nan)
        if isinstance(cost, pd.Series)
        else np.full(len(ids), float(cost))
    )
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise DataError(
            f"the cost of learning about account {ids[bad].iloc[0]!r} is {values[bad][0]}.",
            mend="Give a cost of 0 or more for every account.", column="cost",
        )  # fmt: skip
    return values


def _words(table: pd.DataFrame, worthwhile: int, selection: Selection, resolves: float, costs: np.ndarray) -> str:
    cur = selection.currency
    first = table.iloc[: min(3, worthwhile)]
    if not worthwhile:
        return (
            "Learning more about any single account would not pay: no finding about one would change the choice enough."
        )
    named = listed(
        [
            f"{a} ({'in' if s else 'out'}, worth {money(w, cur)}, changes sides with probability {p:.0%})"
            for a, s, w, p in zip(first["account_id"], first["selected"], first["worth"], first["p_flips"], strict=True)
        ]
    )
    how = "exactly" if resolves == 1 else f"so well that {resolves:.0%} of the doubt is gone"
    paid = f" at a cost of {money(float(costs.mean()), cur)} each on average" if costs.any() else ""
    return (
        f"Refresh first: {named}. To learn an account's worth {how} pays for {accounts(worthwhile)}{paid}; to know all"
        f" of them exactly would be worth {money(selection.regret, cur)}. The values of single accounts do not add up."
    )
