"""What a play does to a purchase process: changed rates, changed dropout, a next purchase that comes sooner.

An account that is alive has a hidden state, drawn by its model from all that is known of it. A play multiplies the
purchase rate λ, the dropout probability p (or rate μ), or the rate of the next purchase only; what the account then
is expected to buy is closed, given the state:

- it leaves with a purchase (BG/NBD, MBG/NBD): purchases at time s ahead come at rate λ e^(−λps), so λ → fλ and p → dp
  turn the hazard λp into fdλp;
- it leaves at any time (Pareto/NBD): at rate λ e^(−μs), μ → dμ;
- it buys regularly (BG/CNBD-k, MBG/CNBD-k): steps at rate λ → fλ, dropout probability p → dp.

If the next purchase alone comes at n times its rate, then with V(h) the purchases expected over h thereafter

    ∫₀ᴴ nλ e^(−(nλ + μ + δ)s) [1 + (1 − p) V(H − s)] ds,

with μ = 0 where it leaves with a purchase, p = 0 where it leaves at any time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.special import exprel, gammainc

from clv.errors import SettingsError
from clv.value.beta_geo import BetaGeoModel
from clv.value.beta_geo_family import BetaGeoFamily
from clv.value.estimation.checks import Floats
from clv.value.expectation.erlang_future import known_purchases, pack_state, unpack_state
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.uncertainty.credible import discounted_rate

#: spans into which the wait of a regular buyer is cut; they are shortest at its start.
_SPANS = 48


class State(NamedTuple):
    """Hidden states of living accounts, shape (accounts, draws); what the two mean is the model's own."""

    first: Floats
    second: Floats


class Process(Protocol):
    """How an account of a model buys once its hidden state is known."""

    def changed(self, state: State, *, rate: Floats | float, dropout: Floats | float) -> State:
        """Return the state with the purchase rate and the dropout multiplied."""

    def purchases(self, state: State, *, horizon: float, discount: float) -> Floats:
        """Return discounted expected purchases over the horizon."""

    def sooner(self, state: State, factor: Floats | float, *, horizon: float, discount: float) -> Floats:
        """Return what discounted purchases gain if the next one comes at `factor` times its rate."""


def _decayed(x: Floats, y: Floats, span: float) -> Floats:
    """Return ∫₀ˢ e^(−xs − y(S − s)) ds = (e^(−yS) − e^(−xS)) / (x − y), without cancellation."""
    return span * np.exp(-np.minimum(x, y) * span) * exprel(-np.abs(x - y) * span)


def _gain(
    rate: Floats, leaving: Floats | float, stays: Floats | float, force: Floats, factor: Floats | float, horizon: float
) -> Floats:
    """Return the gain of a sooner next purchase; `force` is discount and hazard, `leaving` what ends the wait."""
    force = np.maximum(force, 1e-8 / horizon)  # V(h) = λ (1 − e^(−gh)) / g, g → 0

    def value(n: Floats | float) -> Floats:
        ends = n * rate + leaving
        now = n * rate * horizon * exprel(-ends * horizon)
        return now + stays * rate / force * (now - n * rate * _decayed(ends, force, horizon))

    return value(factor) - value(1.0)


@dataclass(frozen=True)
class LeavesWithPurchase:
    """State: λ and λp."""

    def changed(self, state: State, *, rate: Floats | float, dropout: Floats | float) -> State:
        """Multiply λ and p, which stays a probability."""
        pace = state.first * rate
        return State(pace, np.minimum(state.second * rate * dropout, pace))

    def purchases(self, state: State, *, horizon: float, discount: float) -> Floats:
        """Return λ (1 − e^(−(δ + λp)H)) / (δ + λp)."""
        return discounted_rate(*state, horizon=horizon, discount=discount)

    def sooner(self, state: State, factor: Floats | float, *, horizon: float, discount: float) -> Floats:
        """Return the gain of a sooner next purchase."""
        pace, hazard = state
        stays = 1 - hazard / np.maximum(pace, np.finfo(float).tiny)
        return _gain(pace, discount, stays, discount + hazard, factor, horizon)


@dataclass(frozen=True)
class LeavesAnyTime:
    """State: λ and μ."""

    def changed(self, state: State, *, rate: Floats | float, dropout: Floats | float) -> State:
        """Multiply λ and μ."""
        return State(state.first * rate, state.second * dropout)

    def purchases(self, state: State, *, horizon: float, discount: float) -> Floats:
        """Return λ (1 − e^(−(δ + μ)H)) / (δ + μ)."""
        return discounted_rate(*state, horizon=horizon, discount=discount)

    def sooner(self, state: State, factor: Floats | float, *, horizon: float, discount: float) -> Floats:
        """Return the gain of a sooner next purchase."""
        pace, hazard = state
        return _gain(pace, discount + hazard, 1.0, discount + hazard, factor, horizon)


@dataclass(frozen=True)
class BuysRegularly:
    """State: the rate of steps λ, and phase + p; k steps make a purchase."""

    k: int

    def changed(self, state: State, *, rate: Floats | float, dropout: Floats | float) -> State:
        """Multiply λ and p; the steps already done are done."""
        phase, p = unpack_state(state.second)
        return State(state.first * rate, pack_state(phase, p * dropout))

    def purchases(self, state: State, *, horizon: float, discount: float) -> Floats:
        """Return the expected purchases of Erlang-k waits."""
        phase, p = unpack_state(state.second)
        return known_purchases(state.first, p, self.k - phase, k=self.k, horizon=horizon, discount=discount)

    def sooner(self, state: State, factor: Floats | float, *, horizon: float, discount: float) -> Floats:
        """Return the gain of a sooner next purchase: the wait's exact chances in short spans, each at its middle."""
        phase, p = unpack_state(state.second)
        togo = self.k - phase
        edges = horizon * np.linspace(0, 1, _SPANS + 1) ** 3
        gain, before = np.zeros(np.shape(state.first)), np.zeros(np.shape(state.first))
        for start, end in itertools.pairwise(edges):
            middle = (start + end) / 2
            by_then = gammainc(togo, state.first * factor * end) - gammainc(togo, state.first * end)
            fresh = np.full(np.shape(p), float(self.k))
            after = known_purchases(state.first, p, fresh, k=self.k, horizon=horizon - middle, discount=discount)
            gain += (by_then - before) * np.exp(-discount * middle) * (1 + (1 - p) * after)
            before = by_then
        return gain


def process_of(model: Any) -> Process:
    """Return how accounts of a purchase model buy.

    Raises
    ------
    clv.errors.SettingsError
        If the model is not one in continuous time.
    """
    if isinstance(model, ParetoNBDModel):
        return LeavesAnyTime()
    if isinstance(model, BetaGeoModel | BetaGeoFamily):
        steps = int(getattr(model, "_steps", 1))
        return LeavesWithPurchase() if steps == 1 else BuysRegularly(steps)
    raise SettingsError(
        f"purchases: plays are not defined for a {type(model).__name__}.",
        mend="Fit a model in continuous time: (M)BG/NBD, (M)BG/CNBD-k or Pareto/NBD.",
    )
