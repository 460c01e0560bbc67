"""What a covariate adds to a model: a parameter by name, its weak prior, and units in which it can be estimated."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from clv.errors import DataError
from clv.value.estimation.checks import Floats
from clv.value.estimation.priors import WeakPrior

#: standard deviation of the weak prior on γ, per unit of the covariate.
_SPREAD = 1.5
#: how far a covariate may lie from its mean, at least and at most; and its mean from 0, in units of the former.
_LEAST, _MOST, _OFF = 0.1, 200.0, 20.0


class _Names:
    """Parameters of a class; of an instance: with the effects of its covariates."""

    def __init__(self, *base: str) -> None:
        self.base = base

    def __get__(self, model: Any, owner: type | None = None) -> tuple[str, ...]:
        if model is None:
            return self.base
        return (*self.base, *(f"{process}:{covariate}" for process, covariate in model._effects()))


class _Weak:
    """Weak prior of a class; of an instance: with e^γ log-normal around 1."""

    def __init__(self, base: WeakPrior) -> None:
        self.base = base

    def __get__(self, model: Any, owner: type | None = None) -> WeakPrior:
        more = 0 if model is None else len(model._effects())
        return WeakPrior((*self.base.centre, *(1.0,) * more), (*self.base.spread, *(_SPREAD,) * more))


def parameter_names(*base: str) -> tuple[str, ...]:
    """Declare the parameters of a model that may have covariates."""
    return cast("tuple[str, ...]", _Names(*base))


def weak_prior(centre: tuple[float, ...], spread: tuple[float, ...]) -> WeakPrior:
    """Declare the weak prior of a model that may have covariates."""
    return cast("WeakPrior", _Weak(WeakPrior(centre=centre, spread=spread)))


def check_scale(design: Floats, columns: list[str]) -> None:
    """Refuse covariates in units in which effects e^γ of one unit cannot be numbers near 1."""
    centre = design.mean(axis=0)
    away = np.abs(design - centre).max(axis=0)
    for name, middle, most in zip(columns, centre, away, strict=True):
        flat = most <= 1e-12 * max(1.0, abs(middle))  # said elsewhere, as not identified
        if not flat and not (_LEAST <= most <= _MOST and abs(middle) <= _OFF * most):
            raise DataError(
                f"its mean is {middle:.4g} and it lies up to {most:.4g} away from it.",
                mend="Centre and scale it, or take its logarithm: an effect is per unit.", table="summary", column=name,
            )  # fmt: skip
