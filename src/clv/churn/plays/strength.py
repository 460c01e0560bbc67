"""How strong a play's effect is: as assumed, with doubt, or as an experiment says.

Strength 1 is the effect that the study states, 0 is none: a factor f becomes 1 + κ(f − 1). The statement is a prior,
κ ~ Normal(1, doubt²). An experiment that measured the relative uplift u of purchases with standard error σ adds the
likelihood Normal(u; u(κ), σ²), where u(κ) is the uplift that the play at strength κ makes in the accounts' own purchase
processes. A sharp experiment overrules the statement, a vague one leaves it: this is the shrinkage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from clv.churn.plays.measured import MeasuredUplift
from clv.data.settings import Play
from clv.errors import SettingsError
from clv.value.estimation.checks import Floats

_NODES, _GRID, _REACH = 25, 2001, 6.0


class Effect(NamedTuple):
    """What a play multiplies at given strengths, each of shape (draws,)."""

    rate: Floats
    dropout: Floats
    spend: Floats
    next_purchase: Floats
    reactivation: Floats


def effect_at(play: Play, strength: Floats) -> Effect:
    """Return the effect of a play at some strengths."""
    rate, dropout, spend, following = (
        np.maximum(1 + strength * (factor - 1), 0.0)
        for factor in (play.rate, play.dropout, play.spend, play.next_purchase)
    )
    return Effect(rate, dropout, spend, following, np.clip(strength * play.reactivation, 0.0, 1.0))


def draw_strength(
    play: Play,
    draws: int,
    rng: np.random.Generator,
    *,
    measured: MeasuredUplift | None = None,
    uplift: Callable[[float], float] | None = None,
) -> Floats:
    """Draw the strength of a play's effect, shape (draws,).

    Parameters
    ----------
    play : Play
    draws : int
    rng : numpy.random.Generator
    measured : MeasuredUplift, optional
        What an experiment found.
    uplift : callable, optional
        u(κ), needed with `measured`.

    Raises
    ------
    clv.errors.SettingsError
        If the play changes nothing that the experiment could have measured.
    """
    # One draw in each of as many equally likely bands: the mean is that of the distribution, not of the luck.
    level = (rng.permutation(draws) + rng.random(draws)) / draws
    if play.doubt == 0:
        if measured is not None:
            raise SettingsError(
                f"the play {play.name!r} takes its effect as certain (doubt 0), so no experiment can say more.",
                mend="State a doubt above 0, or drop its experiment.",
            )
        return np.ones(draws)
    if measured is None or uplift is None:
        return 1 + play.doubt * ndtri(level)
    none, stated = uplift(0.0), uplift(1.0)
    if abs(stated - none) < 1e-12:
        raise SettingsError(
            f"the play {play.name!r} does not change what living accounts buy, so an uplift of purchases says nothing"
            " about it.",
            mend="State an effect on rate, dropout, spend or the next purchase, or drop its experiment.",
        )
    centre = (measured.uplift - none) / (stated - none)
    spread = measured.standard_error / abs(stated - none)
    low = min(1 - _REACH * play.doubt, centre - _REACH * spread)
    high = max(1 + _REACH * play.doubt, centre + _REACH * spread)
    # Where both are far apart or one is very sharp, the posterior lies between them, at the scale of the sharper one.
    weight = 1 / play.doubt**2 + 1 / spread**2
    middle, width = (1 / play.doubt**2 + centre / spread**2) / weight, weight**-0.5
    low, high = max(low, middle - 12 * width), min(high, middle + 12 * width)
    nodes = np.linspace(low, high, _NODES)
    grid = np.linspace(low, high, _GRID)
    at = np.interp(grid, nodes, [uplift(float(node)) for node in nodes])
    log = -(((grid - 1) / play.doubt) ** 2 + ((measured.uplift - at) / measured.standard_error) ** 2) / 2
    mass = np.cumsum(np.exp(log - log.max()))
    return np.interp(level, mass / mass[-1], grid)
