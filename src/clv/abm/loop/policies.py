"""Ways to allocate quarter after quarter: one that measures, one that never does, and what everybody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.loop.effects import measure_tiers
from clv.abm.loop.evidence import Measurement
from clv.abm.loop.lots import DRAWS, PLANS, Belief, Lots, Worth, best_sizes, comparisons, drawn, reach, standard_normals
from clv.abm.loop.planner import Codes, Planner
from clv.abm.loop.records import Noise, Records
from clv.abm.loop.response import Response, learnt_from
from clv.abm.loop.shrinkage import Floats, Posterior, Scales, posterior
from clv.abm.loop.world import World

if TYPE_CHECKING:
    from clv.data.settings import Tier

Policy = Literal["oracle", "told", "measured", "fixed", "rank and cut"]
#: base-2 logarithm of the points behind each quarter's belief: it needs fewer than what is published of it.
POINTS = 9


@dataclass
class Learner:
    """One policy in one universe.

    Attributes
    ----------
    policy : {"oracle", "told", "measured", "fixed", "rank and cut"}
    world : World
    tiers : sequence of Tier
        With the cost and hours of a quarter, and the assumed uplift.
    planner : Planner
    scales : Scales
    last : int
        Number of the last quarter.
    records : Records
        What is known of the accounts now.
    noise : Noise
        How far forecasts are off.
    measurements : list of Measurement
    reach : float
        Standard error with which the first quarter's largest lots would show how many times as large as assumed all
        effects are; NaN for policies that do not measure.
    """

    policy: Policy
    world: World
    tiers: Sequence[Tier]
    planner: Planner
    scales: Scales
    last: int
    records: Records
    noise: Noise
    measurements: list[Measurement] = field(default_factory=list)
    reach: float = float("nan")
    _seen: list[tuple[Floats, Floats]] = field(default_factory=list)

    @classmethod
    def begin(
        cls, policy: Policy, world: World, tiers: Sequence[Tier], planner: Planner, scales: Scales, last: int
    ) -> Learner:
        """Start from the assumptions."""
        return cls(policy, world, tiers, planner, scales, last, world.records, world.noise)

    def __post_init__(self) -> None:
        labels, code = np.unique(self.world.segment.astype(str), return_inverse=True)
        self.labels, self.segment = [str(label) for label in labels], np.asarray(code, dtype=np.int64)
        self.cells = [(tier.name, label) for tier in self.tiers for label in self.labels]
        self.assumed = {tier.name: float(tier.uplift) for tier in self.tiers}

    @property
    def response(self) -> Response:
        """What is believed now, with all its evidence."""
        labels = [label for label in self.labels if label]
        return learnt_from(self.tiers, self.measurements, segments=labels, scales=self.scales, version=len(self._seen))

    def quarter(self, number: int, lot: np.random.Generator, luck: np.random.Generator) -> tuple[Codes, Codes]:
        """Plan, let the lot decide at the margin, live, measure, learn.

        Parameters
        ----------
        number : int
        lot : numpy.random.Generator
            Draws the lot.
        luck : numpy.random.Generator
            Draws what accounts buy: the same for every policy.

        Returns
        -------
        planned, given : numpy.ndarray of int, shape (N,)
            The tier that the plan gives each account, and the one that it got after the lot; −1 for none.
        """
        world = self.world
        if self.policy == "oracle":
            best = self.planner.best(world.added)
            return best, best
        expected, belief = self.records.forecast(), self.belief()
        uplift = self._uplift(belief.mean)
        value = uplift * expected[:, None]
        planned = self.planner.rank_and_cut(value) if self.policy == "rank and cut" else self.planner.best(value)
        given, lots = planned, None
        if self.policy == "measured":
            given, lots = self._lots(planned, expected, belief, self.last - number + 1, lot)
        came = world.live(given, luck)
        believed = 1 + np.where(given >= 0, uplift[np.arange(len(given)), given], 0.0)
        margin = world.margin * came.sales
        if lots is not None:
            self._learn(lots, margin, expected, expected * np.maximum(believed, 0.1), number)
            # What forecasts miss is judged on the whole book, as it was in the last two quarters.
            self._seen.append((expected * believed, margin))
            self.noise = Noise.of(*(np.concatenate(one) for one in zip(*self._seen[-2:], strict=True)))
        self.records = self.records.after(came, np.maximum(believed, 0.1))
        return planned, given

    def belief(self) -> Belief:
        """Return what is believed of the uplift of each tier and segment."""
        if self.policy == "told":
            inside = [self.segment == s for s in range(len(self.labels))]
            mean = np.column_stack([self.world.true_uplift(one) for one in inside]).reshape(1, -1)
            sure = Posterior(np.ones(1), mean, np.zeros((1, mean.size, mean.size)), np.zeros((1, 3)))
            return Belief(sure, np.zeros(len(self.tiers)))
        found = posterior(self.cells, self.assumed, self.scales, self.measurements, points=POINTS)
        unit = np.array([max(abs(tier.uplift), self.scales.least) for tier in self.tiers])
        # Before any measurement nothing is known of what holds in one quarter only.
        period = float(found.weight @ found.scales[:, 2] ** 2) if self.measurements else self.scales.period**2
        return Belief(found, period * unit**2)

    def _uplift(self, mean: Floats) -> Floats:
        """Uplift of each account in each tier, shape (N, M)."""
        return mean.reshape(len(self.tiers), len(self.labels))[:, self.segment].T

    def _lots(
        self, planned: Codes, expected: Floats, belief: Belief, left: int, rng: np.random.Generator
    ) -> tuple[Codes, Lots]:
        """Size the lots by what they are worth, and draw them."""
        variance = self.noise.variance(expected)
        segments = len(self.labels)
        parts = comparisons(planned, self.planner, belief, expected, variance, self.segment, segments)
        sizes = [0] * len(parts)
        if np.isnan(self.reach):
            self.reach = reach(parts, belief, segments)
        if left > 1 and parts:
            plans = [planned]
            for draw in belief.posterior.draw(PLANS, rng):
                plans.append(self.planner.quick(self._uplift(draw) * expected[:, None]))
            use = np.array([self._use(plan, expected) for plan in plans])
            cost = np.array([self.planner.cost[plan[plan >= 0]].sum() for plan in plans])
            normal = standard_normals(rng, DRAWS, len(self.cells))
            worth = Worth(belief, use, cost, belief.posterior.draw(len(normal), rng), normal)
            sizes = best_sizes(worth, parts, left, segments)
        value = self._uplift(belief.mean) * expected[:, None]
        return drawn(parts, sizes, planned, self.planner, value, rng)

    def _use(self, plan: Codes, expected: Floats) -> Floats:
        """Margin expected of the accounts that a plan puts into each cell."""
        at = np.flatnonzero(plan >= 0)
        cell = plan[at] * len(self.labels) + self.segment[at]
        return np.asarray(np.bincount(cell, weights=expected[at], minlength=len(self.cells)), dtype=np.float64)

    def _learn(self, lots: Lots, margin: Floats, expected: Floats, likely: Floats, number: int) -> None:
        """Measure the quarter; `likely` is what was expected with the programme, about which giants are moderated."""
        at = lots.account
        if not len(at):
            return
        names = np.array([*(tier.name for tier in self.tiers), ""], dtype=object)
        variance = self.noise.variance(expected[at])
        seen = pd.DataFrame(
            {"account_id": self.world.ids[at], "tier": names[lots.upper], "against": names[lots.lower],
             "arm": np.where(lots.treated, "treatment", "control"), "expected": expected[at],
             "margin": self.noise.moderate(likely[at], margin[at]),
             "variance": np.maximum(variance, 1e-9), "segment": self.world.segment[at]}
        )  # fmt: skip
        self.measurements += measure_tiers(seen, experiment=f"quarter {number}", period=f"Q{number}")
