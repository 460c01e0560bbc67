"""Does measuring pay? The loop in several universes, where assumptions are right and where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.loop.evidence import tuples
from clv.abm.loop.simulation import simulate_loop
from clv.data.simulate import draw
from clv.errors import SettingsError
from clv.result import Result, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.data.settings import Tier
    from clv.data.simulate import Universe

#: share of the best return below which a difference is none.
MATTERS = 0.01
#: what a reader calls the policies.
NAMES = {
    "told": "knows the tiers' true effect",
    "measured": "measures",
    "fixed": "never measures",
    "rank and cut": "best accounts first",
}


@dataclass(frozen=True)
class Situation:
    """What management assumes, and what it may spend.

    Attributes
    ----------
    times : float or sequence of float
        Stated uplift of every tier, times this; a sequence has a number for each tier.
    money : float
        Stated budget and hours, times this.
    error : float
        If above 0, management assumes each tier's true uplift times exp(N(0, `error`²)) in place of the stated one.
    size : int
        Books have so many times as many accounts, with budget, hours and limits in proportion.
    """

    times: float | Sequence[float] = 1.0
    money: float = 1.0
    error: float = 0.0
    size: int = 1


SITUATIONS: Mapping[str, Situation] = {
    "effects as the study assumes": Situation(),
    "effects assumed 2.5 times too low, a book five times as large": Situation(0.4, size=5),
    "effects assumed 2.5 times too high, money for all": Situation(2.5, 4.0),
}


@dataclass(frozen=True, eq=False)
class LoopStudy(Result):
    """What each way to allocate brought in each situation.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a situation and policy: situation, policy, who (the policy in words), share (of the oracle's return,
        over all quarters), first and last (that of the first and last quarter), behind (share less that of "measured"),
        behind_se (over universes), worse (in how many universes it brought less than "measured").
    curves : pandas.DataFrame
        situation, policy, quarter, regret_share, regret_share_se.
    universes, quarters : int
    reach : dict of str to float
        Situation -> standard error with which the largest lots of the first quarter would show how many times as large
        as believed all effects are (see `clv.simulate_loop`).
    """

    curves: pd.DataFrame
    universes: int
    quarters: int
    reach: dict[str, float]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what is lost against the oracle by quarter, a panel a situation."""
        from clv.abm.loop.pictures import situations

        return situations(self, ax)


def study_loop(
    tiers: Sequence[Tier],
    *,
    budget: float | None = None,
    hours: float | None = None,
    universes: int | Sequence[Universe] = 4,
    quarters: int = 8,
    situations: Mapping[str, Situation] | None = None,
    accounts: int = 600,
    seed: int = 0,
) -> LoopStudy:
    """Let every policy live through the same quarters, in each situation and universe.

    Parameters
    ----------
    tiers : sequence of Tier
        Of a year, as in a study's settings.
    budget, hours : float, optional
        A year.
    universes : int or sequence of Universe
        How many to draw, of `accounts` each, or those that are given.
    quarters : int
    situations : mapping of str to Situation, optional
        Name -> situation; by default `SITUATIONS`. With more money a limit on the accounts of a tier is lifted. Books
        that are given have the size that they have.
    accounts : int
    seed : int

    Returns
    -------
    LoopStudy
    """
    asked = SITUATIONS if situations is None else situations
    if not asked:
        raise SettingsError("there is no situation.", mend="Give at least one.")
    if isinstance(universes, int) and universes < 1:
        raise SettingsError(f"universes = {universes}.", mend="Give 1 or more.")
    wrong = [name for name, one in asked.items() if one.size < 1]
    if wrong:
        raise SettingsError(f"{wrong[0]!r} has size = {asked[wrong[0]].size}.", mend="Give 1 or more.")
    # Situations of one size share their books.
    books = {size: _books(universes, accounts * size, seed) for size in {one.size for one in asked.values()}}
    rows, curves, reach = [], [], {}
    for name, one in asked.items():
        every = books[one.size]
        assumed = _assumed(tiers, one, name)
        means = one.money * one.size
        found = simulate_loop(
            every, assumed, budget=None if budget is None else budget * means,
            hours=None if hours is None else hours * means, quarters=quarters, belief_error=one.error, seed=seed,
        )  # fmt: skip
        reach[name] = found.reach
        nets = found.runs.pivot_table(index="universe", columns="policy", values="net", aggfunc="sum")
        best = nets["oracle"].to_numpy()
        by_quarter = found.table.set_index(["policy", "quarter"])["share"]
        for row in tuples(found.totals[found.totals["policy"] != "oracle"]):
            apart = (nets[row.policy] - nets["measured"]).to_numpy()
            behind = float(np.sum(apart) / np.sum(best)) + 0.0
            # Of a ratio of sums over universes, linearised.
            off = (apart - behind * best) / best.mean()
            error = float(off.std(ddof=1)) / len(off) ** 0.5 if len(off) > 1 else float("nan")
            rows.append((name, row.policy, NAMES[row.policy], row.share, by_quarter[row.policy, 1],
                         by_quarter[row.policy, quarters], behind, error, row.universes_better))  # fmt: skip
        curves.append(found.table[found.table["policy"] != "oracle"].assign(situation=name))
    columns = ["situation", "policy", "who", "share", "first", "last", "behind", "behind_se", "worse"]
    table = pd.DataFrame(rows, columns=columns)
    shown = ["situation", "policy", "quarter", "regret_share", "regret_share_se"]
    text = _text(table, reach, len(every), quarters)
    return LoopStudy(table, text, pd.concat(curves, ignore_index=True)[shown], len(every), quarters, reach)


def _books(universes: int | Sequence[Universe], accounts: int, seed: int) -> Sequence[Universe]:
    """Draw books of so many accounts, or take those that are given."""
    if not isinstance(universes, int):
        return universes
    return [draw(accounts=accounts, seed=seed + 1 + k) for k in range(universes)]


def _assumed(tiers: Sequence[Tier], one: Situation, name: str) -> list[Tier]:
    """Tiers as management believes in them, with the limits of a book of this size."""
    times = [one.times] * len(tiers) if isinstance(one.times, float | int) else list(one.times)
    if len(times) != len(tiers):
        raise SettingsError(
            f"{name!r} has {len(times)} times for {len(tiers)} tiers.", mend="Give one number, or one for each tier."
        )
    return [
        tier.model_copy(
            update={
                "uplift": tier.uplift * k,
                "at_least": one.size * tier.at_least,
                "at_most": None if tier.at_most is None or one.money > 1 else one.size * tier.at_most,
            }
        )
        for tier, k in zip(tiers, times, strict=True)
    ]


def _text(table: pd.DataFrame, reach: Mapping[str, float], universes: int, quarters: int) -> str:
    from scipy.stats import t

    said = []
    # 90 % intervals from few books: Student's.
    wide = float(t.ppf(0.95, universes - 1)) if universes > 1 else float("nan")
    for name in dict.fromkeys(table["situation"].astype(str)):
        by = {str(row.policy): row for row in tuples(table[table["situation"] == name])}
        ours, fixed = by["measured"], by["fixed"]
        apart, error = -float(fixed.behind), wide * float(fixed.behind_se)
        if abs(apart) < MATTERS:
            verdict = "measuring makes no difference that matters"
        elif error > 0 and abs(apart) > error:
            verdict = "measuring pays" if apart > 0 else "measuring costs more than it brings"
        else:
            verdict = f"measuring brought {'more' if apart > 0 else 'less'}, but books differ"
        give = f" ± {100 * error:.1f}" if error > 0 else ""
        points = signed(round(100 * apart, 1) + 0.0, ".1f") + give
        said.append(
            f"{name[0].upper()}{name[1:]}: {verdict}. Who measures gets {ours.share:.0%} of the best "
            f"possible return over {quarters} quarters ({ours.first:.0%} in the first, {ours.last:.0%} in the "
            f"last), who never measures {fixed.share:.0%}: {points} points, more in "
            f"{fixed.worse} of {universes}. Who takes the best accounts first gets "
            f"{by['rank and cut'].share:.0%}; who knew the tiers' true effect would get "
            f"{by['told'].share:.0%}."
        )
    books = "one made-up book" if universes == 1 else f"{universes} made-up books"
    about = "; intervals hold 90%" if universes > 1 else ""
    first = next(iter(reach.values()))
    if np.isfinite(first):
        said.append(
            "What can be learnt is limited by luck: the largest lots that a first plan allows tell in one quarter how "
            f"many times as large as believed effects are with a standard error of {first:.1f}, in {quarters} quarters "
            f"with one of {first / quarters**0.5:.2f} at best. A book with ten times as many accounts learns ten times "
            "as fast."
        )
    return "\n\n".join([f"Tried out in {books} whose truth is known, quarter by quarter{about}.", *said])
