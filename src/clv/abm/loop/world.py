"""A universe of known truth as a book in which one quarter after the other can be planned, lived through and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.loop.shrinkage import Floats
from clv.data.simulate.truth import discounted_purchases
from clv.errors import SettingsError

if TYPE_CHECKING:
    from clv.data.settings import Tier
    from clv.data.simulate import Universe

#: weeks in a quarter of a year.
WEEKS = 13


@dataclass(frozen=True)
class World:
    """The customers of a universe at its end.

    Attributes
    ----------
    ids : numpy.ndarray of str, shape (N,)
    expected : numpy.ndarray, shape (N,)
        Margin of the next quarter as a planner forecasts it from the purchases (BG/NBD and Gamma-Gamma).
    segment : numpy.ndarray of str, shape (N,)
    added : numpy.ndarray, shape (N, tiers)
        True expected margin that each tier adds in a quarter.
    """

    ids: NDArray[np.object_]
    expected: Floats
    segment: NDArray[np.object_]
    added: Floats
    alive: NDArray[np.bool_]
    rate: Floats
    dropout: Floats
    spend: Floats
    rate_factor: Floats
    dropout_factor: Floats
    margin: float
    shape: float

    @classmethod
    def of(cls, universe: Universe, tiers: Sequence[Tier], *, segment: str | None = "technology") -> World:
        """Read the truth of a universe; tiers must be those of its programme, by name."""
        parameters = universe.truth["parameters"].set_index("name")["value"]
        if int(parameters["regularity"]) != 1:
            raise SettingsError("the loop is simulated for buyers at random.", mend="Draw with regularity=1.")
        truth = universe.truth["tiers"]
        names = [tier.name for tier in tiers]
        unknown = sorted(set(names) - set(truth["tier"]))
        if unknown:
            raise SettingsError(
                f"the universe has no tier {unknown[0]!r}.", mend=f"It has {', '.join(dict.fromkeys(truth['tier']))}."
            )
        expected = _forecast(universe, float(parameters["margin"]))
        people = universe.truth["accounts"].set_index("account_id").loc[expected.index]
        if segment is not None and segment not in people:
            raise SettingsError(f"accounts have no {segment!r}.", mend="Use industry, region or technology.")
        wide = truth.pivot_table(index="account_id", columns="tier", values=["rate_factor", "dropout_factor"])
        wide = wide.loc[expected.index]
        rate, dropout = people["rate"].to_numpy(float), people["dropout"].to_numpy(float)
        faster = np.column_stack([wide["rate_factor", name] for name in names])
        longer = np.column_stack([wide["dropout_factor", name] for name in names])
        base = discounted_purchases(rate, dropout, horizon=WEEKS)
        treated = discounted_purchases(rate[:, None] * faster, dropout[:, None] * longer, horizon=WEEKS)
        margin, alive = float(parameters["margin"]), people["alive"].to_numpy(bool)
        unit = margin * people["spend"].to_numpy(float) * alive
        label = people[segment].astype(str).to_numpy(object) if segment else np.full(len(people), "", dtype=object)
        return cls(
            expected.index.to_numpy(object), expected.to_numpy(float), label, unit[:, None] * (treated - base[:, None]),
            alive, rate, dropout, people["spend"].to_numpy(float), faster, longer, margin, float(parameters["p"]),
        )  # fmt: skip

    def true_uplift(self) -> Floats:
        """Return added over expected margin of each tier, shape (tiers,).

        Weighted with the square of what is expected, since large accounts are those that get a tier.
        """
        return (self.added * self.expected[:, None]).sum(axis=0) / float((self.expected**2).sum())

    def live(self, tier: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """Let a quarter pass with each account in its tier (−1: none) and return the margin that came."""
        rate, dropout = self.rate.copy(), self.dropout.copy()
        at = np.flatnonzero(tier >= 0)
        rate[at] *= self.rate_factor[at, tier[at]]
        dropout[at] *= self.dropout_factor[at, tier[at]]
        came = np.zeros(len(rate))
        buying = np.flatnonzero(self.alive)
        clock = rng.exponential(1 / rate[buying])
        while len(buying):
            due = clock <= WEEKS
            buying, clock = buying[due], clock[due]
            came[buying] += self.margin * self.spend[buying] / self.shape * rng.standard_gamma(self.shape, len(buying))
            stays = rng.random(len(buying)) >= dropout[buying]
            buying, clock = buying[stays], clock[stays]
            clock = clock + rng.exponential(1 / rate[buying])
        return came


def _forecast(universe: Universe, margin: float) -> pd.Series:
    """Forecast the margin of the next quarter from the purchases alone."""
    from clv.data.summary import summarise
    from clv.value.beta_geo import BetaGeoModel
    from clv.value.gamma_gamma import GammaGammaModel
    from clv.value.lifetime import lifetime_value

    lines = universe.tables["transactions"]
    lines = lines[lines["amount"] > 0]
    summary = summarise(lines[["account_id", "date", "amount"]], as_of=universe.as_of, unit="W")
    purchases, spend = BetaGeoModel(prior="auto").fit(summary), GammaGammaModel(prior="auto").fit(summary)
    value = lifetime_value(purchases, spend, summary, horizon=WEEKS, discount_rate=0.0, margin=margin)
    return value.table["clv"]
