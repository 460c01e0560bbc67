"""Any account-level likelihood with static covariates in its parameters: value, gradient and Hessian by the chain rule.

The log-parameters of account i are linear in the model's own: ln θᵢ = ln θ₀ + Σ ± γ z. With J the matrix of these
signs and covariates, the gradient is Σ Jᵢᵀ gᵢ and the Hessian Σ Jᵢᵀ Hᵢ Jᵢ, with nothing left over. At γ = 0 this is the
model without covariates, exactly (Fader & Hardie 2007, Incorporating time-invariant covariates into the Pareto/NBD
and BG/NBD models).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from clv.value.estimation.checks import Floats, History
from clv.value.estimation.distinct import distinct_rows
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import compress

#: log-parameters (rows, p) and histories to values (rows,), gradients (rows, p) and Hessians (rows, p, p)
RowLikelihood = Callable[[Floats, History], tuple[Floats, Floats, Floats]]
#: log-parameters (points, rows, p) and histories to values (points, rows)
RowValues = Callable[[Floats, History], Floats]
_BLOCK = 2_000
#: points × rows of values alone in one go.
_CELLS = 50_000


class Effect(NamedTuple):
    """One coefficient: which column of the covariates moves which base parameters, up (+1) or down (−1)."""

    column: int
    signs: dict[int, float]


class CovariateLikelihood:
    """Log-likelihood of the base log-parameters and the coefficients, times divided by their mean T.

    Parameters
    ----------
    rows : callable
        The model's likelihood of single accounts, with derivatives.
    row_values : callable
        The same without derivatives, at many points.
    history : History
    covariates : ndarray, shape (accounts, columns)
    effects : tuple of Effect
        One a coefficient.
    weight : ndarray, shape (accounts,), optional
    names : tuple of str
        Base parameters.
    scaled : tuple of bool
        Which base parameters are times.
    start : tuple of float
        Base parameters to begin with, times in units of the mean T.
    penalty : float
        Half of it times the sum of squared coefficients is taken off.
    """

    #: a row is dear: the posterior looks for a shorter way sooner
    costly: ClassVar[bool] = True

    def __init__(
        self,
        rows: RowLikelihood,
        row_values: RowValues,
        history: History,
        covariates: Floats,
        effects: tuple[Effect, ...],
        *,
        weight: Floats | None,
        names: tuple[str, ...],
        scaled: tuple[bool, ...],
        start: tuple[float, ...],
        penalty: float = 0.0,
    ) -> None:
        self._rows, self._row_values = rows, row_values
        self._effects, self._names, self._penalty = effects, names, penalty
        one = np.ones(len(covariates)) if weight is None else weight
        used = one > 0
        distinct, code = distinct_rows(*(column[used] for column in (*history, *covariates.T)))
        self._weight = np.asarray(np.bincount(code, weights=one[used]), dtype=float)
        self.accounts = float(self._weight.sum())
        mean = float(self._weight @ distinct[2]) / self.accounts
        scale = mean if mean > 0 else 1.0
        self._raw = History(*distinct[:3])
        self._history = History(distinct[0], distinct[1] / scale, distinct[2] / scale)
        self._covariates = np.column_stack(distinct[3:])
        self.shift = np.append(np.where(scaled, np.log(scale), 0.0), np.zeros(len(effects)))
        self.start = np.append(np.log(start), np.zeros(len(effects)))
        self.constant = -float(self._weight @ distinct[0]) * float(np.log(scale))

    def __len__(self) -> int:
        return len(self._weight)

    def mark(self) -> float:
        """Return the mark of the accounts' histories, as a model without covariates does."""
        return compress(self._raw, weight=self._weight).mark()

    def thinned(self, rows: int) -> CovariateLikelihood:
        """Keep every k-th row, with the same sum of weights."""
        part = slice(None, None, max(1, len(self) // rows))
        thin = object.__new__(CovariateLikelihood)
        thin.__dict__.update(self.__dict__)
        thin._weight = self._weight[part] * (self.accounts / self._weight[part].sum())
        thin._history = History(*(column[part] for column in self._history))
        thin._covariates = self._covariates[part]
        return thin

    def unidentified(self) -> str | None:
        """Say what cannot be known: without repeat purchases or time, from constant or redundant covariates."""
        everything = f"{', '.join(self._names)} are not identified"
        if not self._history.frequency.any():
            return f"no account bought twice, so {everything}"
        if not self._history.T[self._history.frequency > 0].max() > 0:
            return f"T is 0 for every repeat buyer, so {everything}"
        centred = self._covariates - self._covariates.mean(axis=0)
        spread = np.abs(centred).max(axis=0)
        if not self._penalty and (spread <= 1e-12 * np.abs(self._covariates).max(axis=0)).any():
            return "a covariate is the same for all accounts, so its effect is not identified"
        if not self._penalty and np.linalg.matrix_rank(centred / spread, tol=1e-9 * len(self)) < centred.shape[1]:
            return "covariates are sums of each other, so their effects are not identified"
        return None

    def _jacobian(self, block: slice) -> Floats:
        """Return derivatives of each account's log-parameters, shape (rows, p, k)."""
        z, p = self._covariates[block], len(self._names)
        out = np.zeros((len(z), p, p + len(self._effects)))
        out[:, np.arange(p), np.arange(p)] = 1.0
        for place, effect in enumerate(self._effects, start=p):
            for parameter, sign in effect.signs.items():
                out[:, parameter, place] = sign * z[:, effect.column]
        return out

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, k), some thousand cells at a time."""
        effects = points[:, len(self._names) :]
        out = np.asarray(-0.5 * self._penalty * np.sum(effects**2, axis=1))
        for first in range(0, len(self), _BLOCK):
            block = slice(first, first + _BLOCK)
            J, weight = self._jacobian(block), self._weight[block]
            history = History(*(column[block] for column in self._history))
            size = max(1, _CELLS // len(weight))
            for start in range(0, len(points), size):
                part = slice(start, start + size)
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    logs = np.einsum("rpk,nk->nrp", J, points[part])
                    out[part] += self._row_values(logs, history) @ weight
        return np.where(np.isfinite(out), out, -np.inf)

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (k,) and Hessian (k, k)."""
        p = len(self._names)
        coefficients = at[p:]
        value = -0.5 * self._penalty * float(coefficients @ coefficients)
        gradient = np.append(np.zeros(p), -self._penalty * coefficients)
        hessian = np.diag(np.append(np.zeros(p), np.full(len(coefficients), -self._penalty)))
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            J, weight = self._jacobian(block), self._weight[block]
            history = History(*(column[block] for column in self._history))
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a far step: the ascent turns back
                each, slope, curve = self._rows(J @ at, history)
            if not np.isfinite(each).all():
                return -np.inf, gradient, hessian
            value += float(weight @ each)
            flat = J.reshape(-1, len(at))
            gradient += (weight[:, None] * slope).ravel() @ flat
            hessian += flat.T @ ((weight[:, None, None] * curve) @ J).reshape(-1, len(at))
        return value, gradient, (hessian + hessian.T) / 2
