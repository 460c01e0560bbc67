"""Does measuring pay? Quarters lived through in universes of known truth, by policies that learn and that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.loop.evidence import tuples
from clv.abm.loop.planner import Means, Planner
from clv.abm.loop.policies import Learner, Policy
from clv.abm.loop.programme import past_programme
from clv.abm.loop.shrinkage import Scales
from clv.abm.loop.world import World
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.loop.response import Response
    from clv.data.settings import Tier
    from clv.data.simulate import Universe

POLICIES: tuple[Policy, ...] = ("oracle", "told", "measured", "fixed", "rank and cut")


@dataclass(frozen=True, eq=False)
class LoopSimulation(Result):
    """What each policy brought.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a policy and quarter: policy, quarter, net (true expected margin added less cost, mean over universes),
        share (of the oracle's), regret (oracle − net), regret_share, regret_share_se (over universes), planned_share
        (what the plan would bring without the lot, of the oracle's), exchanged (accounts that the lot moved).
    runs : pandas.DataFrame
        One row a universe, policy and quarter: universe, policy, quarter, net, planned, treated, exchanged.
    totals : pandas.DataFrame
        One row a policy: policy, net, share (over all quarters), against (net of the policy "measured" less this one's,
        mean over universes), against_se, universes_better (in how many "measured" brought more).
    response : Response or None
        What "measured" believed at the end, in the first universe.
    reach : float
        Standard error with which the largest lots of the first quarter would show how many times as large as believed
        all effects are, median over universes; NaN without "measured".
    """

    runs: pd.DataFrame = field(repr=False)
    totals: pd.DataFrame
    response: Response | None
    reach: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the regret by quarter."""
        from clv.abm.loop.pictures import regret_curves

        return regret_curves(self, ax)


def simulate_loop(
    universes: Universe | Sequence[Universe],
    tiers: Sequence[Tier],
    *,
    budget: float | None = None,
    hours: float | None = None,
    quarters: int = 8,
    policies: Sequence[Policy] = POLICIES,
    segment: str | None = "technology",
    belief_error: float = 0.0,
    optimism: float | None = None,
    scales: Scales | None = None,
    start: Literal["assumptions", "programme"] = "programme",
    seed: int = 0,
) -> LoopSimulation:
    """Allocate, let the lot decide where it pays, live, measure, learn and allocate again, where the truth is known.

    Parameters
    ----------
    universes : Universe or sequence of Universe
        Of `clv.data.simulate.draw`.
    tiers : sequence of Tier
        Cost, hours and limits a year; a quarter has a fourth of cost and hours. `uplift` is what management assumes.
    budget, hours : float, optional
        A year.
    quarters : int
    policies : sequence of {"oracle", "told", "measured", "fixed", "rank and cut"}
        The oracle knows what each tier adds to each account. "told" knows what each tier adds on average in each
        segment, and forecasts accounts as the others do: what measuring could bring at most. "measured" lets the lot
        decide for some pairs of accounts, learns, and plans with what it expects. "fixed" plans with the assumptions
        for ever; "rank and cut" takes accounts by their best assumed return, as long as money and hours last.
    segment : str, optional
        Column of the universe's accounts by which responses are told apart; None: not at all.
    belief_error : float
        If above 0, each universe's management assumes the tier's true uplift times exp(N(0, `belief_error`²)) in place
        of the stated one.
    optimism : float, optional
        It assumes so many times the true uplift of every tier (and errs about that by `belief_error`).
    scales : Scales, optional
        Doubt about the assumptions; by default that of `clv.response_prior`.
    start : {"assumptions", "programme"}
        Whether "measured" begins with what the universe's own last programme showed against its controls, as a study
        does that has had one, or with the assumptions alone.
    seed : int

    Returns
    -------
    LoopSimulation

    Notes
    -----
    Each quarter is the same situation with new luck: the customers of the universe at its end; who is lost is replaced
    by his like. Every policy forecasts its accounts anew each quarter from all purchases so far, those of accounts in a
    tier discounted by what the policy believes of it, so that all policies come to know their accounts and differ by
    what they know of tiers. "measured" sizes each quarter's lot by what it is worth in the quarters left
    (`clv.abm.loop.lots`), none where that is nothing. Net returns are scored in expectation, by closed form, so that
    luck moves what is learnt but not the score; and the same luck meets all policies (common random numbers).
    """
    if quarters < 1:
        raise SettingsError(f"quarters = {quarters}.", mend="Give 1 or more.")
    unknown = [p for p in policies if p not in POLICIES]
    if unknown:
        raise SettingsError(f"policy {unknown[0]!r} is not known.", mend=f"Use {', '.join(POLICIES)}.")
    if start not in ("assumptions", "programme"):
        raise SettingsError(f"start = {start!r}.", mend="Use assumptions or programme.")
    every = list(universes) if isinstance(universes, Sequence) else [universes]
    if not every:
        raise SettingsError("there is no universe.", mend="Draw one with clv.data.simulate.draw().")
    names: tuple[Policy, ...] = tuple(dict.fromkeys(("oracle", *policies)))
    lived: list[tuple] = []
    learnt: Response | None = None
    reaches: list[float] = []
    for number, universe in enumerate(every):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        world = World.of(universe, tiers, segment=segment)
        assumed = _of_quarter(tiers, world, belief_error, optimism, rng)
        means = Means(None if budget is None else budget / 4, None if hours is None else hours / 4)
        shown = [] if start == "assumptions" else past_programme(universe, margin=world.margin, segment=segment)
        planner = Planner(world.ids, assumed, means)
        for policy, own in zip(names, rng.spawn(len(names)), strict=True):
            learner = Learner.begin(policy, world, assumed, planner, scales or Scales(), quarters)
            if policy == "measured":
                learner.measurements += shown
            planned = given = np.empty(0, dtype=np.int64)
            for quarter in range(1, quarters + 1):
                if policy != "oracle" or quarter == 1:  # it does the same each time
                    luck = np.random.default_rng(np.random.SeedSequence([seed, number, quarter]))
                    planned, given = learner.quarter(quarter, own, luck)
                lived.append((number, policy, quarter, _net(world, given, planner.cost),
                              _net(world, planned, planner.cost), int((given >= 0).sum()),
                              int((given != planned).sum())))  # fmt: skip
            if policy == "measured":
                learnt = learner.response if learnt is None else learnt
                reaches.append(learner.reach)
    runs = pd.DataFrame(lived, columns=["universe", "policy", "quarter", "net", "planned", "treated", "exchanged"])
    table, totals = _by_quarter(runs, names), _totals(runs, names)
    text = _text(table, totals, len(every))
    reach = float(np.median(reaches)) if reaches else float("nan")
    return LoopSimulation(table, text, runs, totals, learnt, reach)


def _net(world: World, tier: np.ndarray, cost: np.ndarray) -> float:
    """Return the true expected margin added, less cost."""
    at = np.flatnonzero(tier >= 0)
    return float((world.added[at, tier[at]] - cost[tier[at]]).sum())


def _of_quarter(
    tiers: Sequence[Tier], world: World, error: float, optimism: float | None, rng: np.random.Generator
) -> list[Tier]:
    """Tiers with the cost and hours of a quarter, and what is assumed of them."""
    uplift = np.array([t.uplift for t in tiers])
    if error > 0 or optimism is not None:
        uplift = (
            (1.0 if optimism is None else optimism)
            * world.true_uplift()
            * np.exp(error * rng.standard_normal(len(tiers)))
        )
    return [
        t.model_copy(update={"cost": t.cost / 4, "hours": t.all_hours / 4, "uplift": float(u)})
        for t, u in zip(tiers, uplift, strict=True)
    ]


def _by_quarter(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Mean over universes; shares are of sums, their errors over universes by the linearised ratio."""
    wide = runs.pivot_table(index="universe", columns=["policy", "quarter"], values="net")
    means = runs.groupby(["policy", "quarter"])[["planned", "exchanged"]].mean()
    rows, n = [], len(wide)
    for name in names:
        for quarter in sorted(runs["quarter"].unique()):
            net, best = wide[name, quarter].to_numpy(), wide["oracle", quarter].to_numpy()
            share = net.sum() / best.sum()
            error = float(np.std(net - share * best, ddof=1) / np.sqrt(n) / best.mean()) if n > 1 else np.nan
            planned, held = means.loc[(name, quarter)]
            rows.append((name, int(quarter), net.mean(), share, (best - net).mean(), 1 - share, error,
                         planned / best.mean(), held))  # fmt: skip
    columns = ["policy", "quarter", "net", "share", "regret", "regret_share", "regret_share_se", "planned_share",
               "exchanged"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _totals(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    wide = runs.pivot_table(index="universe", columns="policy", values="net", aggfunc="sum")
    rows = []
    for name in names:
        apart = (wide["measured"] - wide[name]).to_numpy() if "measured" in wide else np.full(len(wide), np.nan)
        error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else np.nan
        rows.append((name, wide[name].mean(), wide[name].sum() / wide["oracle"].sum(), apart.mean(), error,
                     int((apart > 0).sum())))  # fmt: skip
    return pd.DataFrame(rows, columns=["policy", "net", "share", "against", "against_se", "universes_better"])


def _text(table: pd.DataFrame, totals: pd.DataFrame, universes: int) -> str:
    shares = table.set_index(["policy", "quarter"])["share"]
    last = int(table["quarter"].max())
    said = []
    for row in tuples(totals[totals["policy"] != "oracle"]):
        path = f"{shares[row.policy, 1]:.0%} of what an oracle would bring in the first quarter"
        path += f" and {shares[row.policy, last]:.0%} in quarter {last}" if last > 1 else ""
        said.append(f"{row.policy}: {path}, {row.share:.0%} over all")
    others = totals[~totals["policy"].isin(["oracle", "told", "measured"])]
    if "measured" in set(totals["policy"]) and len(others):
        better = [f"{row.policy} in {row.universes_better} of {universes} universes" for row in tuples(others)]
        said.append(f"measuring brought more than {' and than '.join(better)}")
    word = "universe" if universes == 1 else "universes"
    return f"In {universes} simulated {word} of known truth: {'; '.join(said)}."
