"""ADBUDG curves from data: what accounts on which more and less was spent brought, by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.response.adbudg import Adbudg
from clv.abm.wording import money, money_range
from clv.errors import DataError, FitError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: shapes from which the search starts, and between which it stays.
_STARTS = (0.7, 1.5, 3.0)
_SHAPES = (0.1, 20.0)
_NAMES = ("floor", "ceiling", "half", "shape")


@dataclass(frozen=True, eq=False)
class AdbudgFit(Result):
    """A fitted curve.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a parameter: parameter, estimate, standard_error, lower, upper.
    curve : Adbudg
    r_squared : float
    observations : pandas.DataFrame
        spend, response, weight: what it was fitted to.
    covariance : numpy.ndarray
        (4, 4) of floor, ceiling, log half, log shape.
    currency : str
    """

    curve: Adbudg
    r_squared: float
    observations: pd.DataFrame
    covariance: np.ndarray
    currency: str

    def draw(self, draws: int, *, seed: int) -> list[Adbudg]:
        """Draw curves from the normal approximation; half and shape are drawn as logarithms."""
        at = np.array([self.curve.floor, self.curve.ceiling, np.log(self.curve.half), np.log(self.curve.shape)])
        values, vectors = np.linalg.eigh(self.covariance)
        normal = np.random.default_rng(seed).standard_normal((draws, 4))
        some = at + normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        # A ceiling below the floor is no response: none.
        return [Adbudg(f, max(c, f), float(np.exp(h)), float(np.exp(s))) for f, c, h, s in some]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve through its observations."""
        from clv.abm.response.pictures import fitted_curve

        return fitted_curve(self, ax)


def fit_adbudg(
    data: pd.DataFrame,
    *,
    spend: str = "spend",
    response: str = "response",
    weight: str | None = None,
    floor: float | None = None,
    confidence: float = 0.9,
    currency: str = "",
) -> AdbudgFit:
    """Fit an ADBUDG curve by weighted least squares.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account, or a group of accounts with equal spend.
    spend, response : str
        Columns: money spent on an account (≥ 0), and its response.
    weight : str, optional
        Column of weights (> 0), such as accounts behind a mean, or 1 / variance.
    floor : float, optional
        Response without spend, where it is known (0 for an effect against controls); otherwise it is estimated.
    confidence : float
        Of the intervals.
    currency : str

    Returns
    -------
    AdbudgFit
        Standard errors are robust to unequal variances (HC1: Hinkley 1977).

    Raises
    ------
    DataError
        A column is missing or a number cannot be.
    FitError
        Too few different spends, no response that rises, or a ceiling or shape that these data do not tell.

    Notes
    -----
    The curve is causal only if spend was not chosen by what accounts would have brought anyway: best where it was
    varied at random.
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    x, y, w = _read(data, spend, response, weight)
    free = 4 if floor is None else 3
    if len(np.unique(x)) < free:
        raise FitError(
            f"{len(np.unique(x))} different spends cannot tell {free} parameters.",
            mend="Vary the spend more, or use adbudg_from_judgement().",
        )
    from scipy.optimize import least_squares
    from scipy.special import ndtri

    unit, low, reach = float(x.max()), float(y.min()), float(np.ptp(y)) or 1.0
    root = np.sqrt(w / w.mean())

    def curve_of(p: np.ndarray) -> Adbudg:
        start = (floor - low) / reach if floor is not None else p[3]
        return Adbudg(start, start + np.exp(p[0]), float(np.exp(p[1])), float(np.exp(p[2])))

    def residual(p: np.ndarray) -> np.ndarray:
        return root * ((y - low) / reach - curve_of(p)(x / unit))

    bounds = ([-12.0, np.log(1e-3), np.log(_SHAPES[0]), -10.0], [8.0, np.log(1e3), np.log(_SHAPES[1]), 10.0])
    at_zero = float(np.average(y[x <= np.quantile(x, 0.1)], weights=w[x <= np.quantile(x, 0.1)]))
    starts = [
        np.array([0.0, np.log(half), np.log(shape), (at_zero - low) / reach])[: free if free == 4 else 3]
        for shape in _STARTS
        for half in (0.2, 0.6)
    ]
    tries = [least_squares(residual, s, bounds=tuple(b[: len(s)] for b in bounds), xtol=1e-12) for s in starts]
    best = min(tries, key=lambda one: one.cost)
    edge = np.minimum(best.x - np.array(bounds[0])[: len(best.x)], np.array(bounds[1])[: len(best.x)] - best.x)
    if (edge[:3] < 1e-3).any():
        which = ("ceiling", "half", "shape")[int(np.argmax(edge[:3] < 1e-3))]
        raise FitError(
            f"these data do not tell the {which} of the curve: the best value lies at the edge of what is tried.",
            mend="Add accounts with more (or less) spend, fix the floor, or use adbudg_from_judgement().",
        )
    found = curve_of(best.x)
    curve = Adbudg(low + reach * found.floor, low + reach * found.ceiling, unit * found.half, found.shape)
    covariance = _covariance(best.jac, best.fun, found.ceiling - found.floor, reach, free)
    estimate = np.array([curve.floor, curve.ceiling, curve.half, curve.shape])
    scale = np.array([1.0, 1.0, curve.half, curve.shape])
    error = np.sqrt(np.diag(covariance))
    z = float(ndtri(0.5 + confidence / 2))
    # Half and shape are above 0: their intervals are those of their logarithms.
    ends = [np.where(np.arange(4) < 2, estimate + k * error, estimate * np.exp(k * error)) for k in (-z, z)]
    table = pd.DataFrame(
        {"parameter": _NAMES, "estimate": estimate, "standard_error": error * scale, "lower": ends[0], "upper": ends[1]}
    )
    rest = float(w @ (y - curve(x)) ** 2)
    total = float(w @ (y - np.average(y, weights=w)) ** 2)
    shape_said = "S-shaped" if ends[0][3] > 1 else "concave" if ends[1][3] < 1 else "S-shaped or concave, undecided"
    text = (
        f"Response to spend of {len(x):,} observations: from {curve.floor:.4g} without spend to at most"
        f" {curve.ceiling:.4g} ({ends[0][1]:.4g} to {ends[1][1]:.4g}); half of that is gained at"
        f" {money(curve.half, currency)} ({money_range(ends[0][2], ends[1][2], currency)}). The curve is"
        f" {shape_said} (shape {curve.shape:.2f}, {ends[0][3]:.2f} to {ends[1][3]:.2f}). It explains"
        f" {1 - rest / total if total > 0 else 0:.0%} of what differs. Intervals hold {confidence:.0%}."
    )
    seen = pd.DataFrame({"spend": x, "response": y, "weight": w})
    return AdbudgFit(table, text, curve, 1 - rest / total if total > 0 else 0.0, seen, covariance, currency)


def _read(data: pd.DataFrame, spend: str, response: str, weight: str | None) -> tuple[np.ndarray, ...]:
    columns = []
    for name, least in ((spend, 0.0), (response, -np.inf), (weight, 0.0)):
        if name is None:
            columns.append(np.ones(len(data)))
            continue
        if name not in data.columns:
            raise DataError("the column is missing.", mend="Add it, or name it.", table="data", column=name)
        numbers = pd.to_numeric(data[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        bad = ~(np.isfinite(numbers) & (numbers >= least)) | ((numbers <= 0) if name == weight else False)
        if bad.any():
            at = int(np.argmax(bad))
            raise DataError(
                f"{data[name].iloc[at]!r} cannot be.", mend="Give a number that can be.", table="data", column=name,
                row=at + 1,
            )  # fmt: skip
        columns.append(numbers)
    if not len(data) or float(columns[0].max()) == 0:
        raise DataError("nothing was spent on any account.", mend="Give spends.", table="data", column=spend)
    return tuple(columns)


def _covariance(jac: np.ndarray, residual: np.ndarray, height: float, reach: float, free: int) -> np.ndarray:
    """(4, 4) covariance of floor, ceiling, log half, log shape: HC1 sandwich, in the units of the data."""
    n, k = jac.shape
    inner = np.linalg.pinv(jac.T @ jac)
    meat = (jac * residual[:, None]).T @ (jac * residual[:, None])
    parameters = inner @ meat @ inner * n / max(n - k, 1)
    # From (log height, log half, log shape, floor) to (floor, ceiling, log half, log shape).
    turn = np.zeros((4, free))
    turn[1, 0], turn[2, 1], turn[3, 2] = reach * height, 1.0, 1.0
    if free == 4:
        turn[0, 3] = turn[1, 3] = reach
    return np.asarray(turn @ parameters @ turn.T)
