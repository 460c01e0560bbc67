"""Ways to allocate quarter after quarter: one that measures, one that never does, and what everybody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.allocation.compare import rank_and_cut
from clv.abm.loop.effects import LEAST, measure_tiers, pooled_dispersion
from clv.abm.loop.response import Response, response_prior, update_response
from clv.abm.loop.shrinkage import Floats, Scales
from clv.abm.loop.world import World
from clv.abm.options import tier_options
from clv.abm.tiers import Allocation, allocate_tiers

if TYPE_CHECKING:
    from clv.data.settings import Tier

Policy = Literal["measured", "exploring", "fixed", "rank and cut", "oracle"]
#: plans need not be better proven than this share of their worth.
GAP = 1e-3


@dataclass(frozen=True)
class Means:
    """What may be spent in a quarter."""

    budget: float | None
    hours: float | None
    counts: dict[str, tuple[int | None, int | None]]

    def plan(self, options: pd.DataFrame) -> Allocation:
        """Allocate."""
        return allocate_tiers(options, budget=self.budget, hours=self.hours, counts=self.counts, gap=GAP)


@dataclass
class Learner:
    """One policy in one universe.

    Attributes
    ----------
    policy : str
        "measured" plans with the posterior means, "exploring" with one draw of the posterior (Thompson sampling).
    world, tiers, means
        Tiers with the cost and hours of a quarter, and the assumed uplift.
    lots : (float, float)
        Largest and smallest share of a tier's accounts that is put to the lot.
    response : Response
    last : int
        Number of the last quarter.
    dispersion : float
        Variance of an account's quarterly margin over the square of what is expected, for planning experiments.
    """

    policy: Policy
    world: World
    tiers: Sequence[Tier]
    means: Means
    lots: tuple[float, float]
    response: Response
    last: int
    dispersion: float = 1.0

    @classmethod
    def begin(
        cls,
        policy: Policy,
        world: World,
        tiers: Sequence[Tier],
        means: Means,
        lots: tuple[float, float],
        scales: Scales,
        last: int,
    ) -> Learner:
        """Start from the assumptions."""
        labels = sorted(set(world.segment) - {""})
        return cls(policy, world, tiers, means, lots, response_prior(tiers, segments=labels, scales=scales), last)

    def quarter(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Plan, let the lot decide at the margin, live, measure, learn.

        Returns
        -------
        planned, given : numpy.ndarray of int, shape (N,)
            The tier that the plan gives each account, and the one that it got after the lot; −1 for none.
        """
        sample = int(rng.integers(2**31)) if self.policy == "exploring" else None
        planned = self._planned(sample)
        if self.policy not in ("measured", "exploring"):
            return planned, planned
        given, drawn = self._exchange(planned, self.last - number + 1, rng)
        came = self.world.live(given, rng)
        at = drawn["at"].to_numpy(dtype=np.int64)
        seen = drawn.assign(
            account_id=self.world.ids[at], margin=came[at], expected=self.world.expected[at],
            segment=self.world.segment[at],
        )  # fmt: skip
        if seen.empty:
            return planned, given
        # The mean over the quarters so far: one quarter of few orders must not seem precise.
        now = pooled_dispersion(seen)
        self.dispersion = now if number == 1 else self.dispersion + (now - self.dispersion) / number
        found = measure_tiers(seen, experiment=f"quarter {number}", period=f"Q{number}", dispersion=self.dispersion)
        if found:
            self.response = update_response(self.response, found)
        return planned, given

    def _planned(self, sample: int | None) -> NDArray[np.int64]:
        world = self.world
        if self.policy == "oracle":
            options = self._options(world.added)
        else:
            value = pd.DataFrame({"clv": world.expected}, index=pd.Index(world.ids, name="account_id"))
            segment = dict(zip(world.ids, world.segment, strict=True))
            options = tier_options(value, self.tiers, response=self.response, segments=segment, sample=sample)
        plan = self.means.plan(options)
        table = rank_and_cut(plan.work.book, plan.work.rules) if self.policy == "rank and cut" else plan.table
        code = pd.Index([tier.name for tier in self.tiers]).get_indexer(pd.Index(table["tier"]))
        out = np.full(len(world.ids), -1, dtype=np.int64)
        out[pd.Index(world.ids).get_indexer(pd.Index(table["account_id"]))] = code
        return out

    def _options(self, value: Floats) -> pd.DataFrame:
        per = len(self.tiers)
        return pd.DataFrame(
            {
                "account_id": np.repeat(self.world.ids, per),
                "tier": np.tile(np.array([t.name for t in self.tiers], dtype=object), len(self.world.ids)),
                "value": value.ravel(),
                "cost": np.tile([float(t.cost) for t in self.tiers], len(self.world.ids)),
                "hours": np.tile([float(t.hours) for t in self.tiers], len(self.world.ids)),
            }
        )

    def _exchange(
        self, planned: NDArray[np.int64], left: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], pd.DataFrame]:
        """Let the lot decide between two tiers (or a tier and none) for pairs of accounts at the margin between them.

        Of a pair the plan puts one account into the dearer tier and one into the cheaper; with probability one half
        they change places. What the plan spends stays the same to the cent and the hour, every tier has its controls,
        and since both accounts are where the plan hardly minds, the experiment costs next to nothing. The more the
        quarters left could teach of a tier, the more pairs are drawn.
        """
        most, least = self.lots
        whole = self.response.table[self.response.table["segment"] == ""].set_index("tier")
        cost = np.array([tier.cost for tier in self.tiers])
        used = [int(k) for k in np.argsort(-cost, kind="stable") if (planned == k).any()]
        given, free, parts = planned.copy(), np.ones(len(planned), dtype=bool), []
        for upper, lower in pairwise([*used, -1]):
            tier = self.tiers[upper].name
            gain = self._gain(upper, lower)
            inside = np.flatnonzero((planned == upper) & free)
            outside = np.flatnonzero((planned == lower) & free)
            n = int((planned == upper).sum())
            known = float(whole["sd"][tier]) ** 2
            error = 2 * self.dispersion / (n * most * left)
            share = least + (most - least) * known / (known + error)
            pairs = min(max(LEAST, round(share * n)), len(inside), len(outside))
            if pairs < LEAST:
                continue
            inside = inside[np.argsort(gain[inside], kind="stable")[:pairs]]
            outside = outside[np.argsort(-gain[outside], kind="stable")[:pairs]]
            swap = rng.random(pairs) < 0.5
            given[inside[swap]], given[outside[swap]] = lower, upper
            free[inside] = free[outside] = False
            at = np.concatenate([inside, outside])
            treated = np.concatenate([~swap, swap])
            against = self.tiers[lower].name if lower >= 0 else ""
            parts.append(
                pd.DataFrame({"at": at, "tier": tier, "against": against,
                              "arm": np.where(treated, "treatment", "control")})
            )  # fmt: skip
        columns = ["at", "tier", "against", "arm"]
        return given, pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _gain(self, upper: int, lower: int) -> Floats:
        """Return what each account is believed to add more in one tier than in another, shape (N,)."""
        mean = self.response.table["mean"].to_numpy()
        count = len(self.world.ids)
        uplift = mean[self.response.cell([self.tiers[upper].name] * count, self.world.segment)]
        if lower >= 0:
            uplift = uplift - mean[self.response.cell([self.tiers[lower].name] * count, self.world.segment)]
        return uplift * self.world.expected
