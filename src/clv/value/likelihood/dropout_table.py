"""Dropout integrals of very many patterns from one table: times lie on a grid, so the integral over a cell is shared.

With A(t) = (α+t)^-R (β+t)^-s and V(t) = ∫ s (α+y)^-R (β+y)^-(s+1) dy from t to the end of the grid, an account's

    (α+T)^-R (β+T)^-s (1 + G) = A(T) − V(T) + V(t_x).

V and its derivatives are sums of cells from the right, for each frequency x; everything is kept relative to A(t), so
that no power overflows. All terms of the Hessian but one are linear in V: they are summed over the table, after the
patterns have put their weights into it, and only value and gradient are looked up a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats, History
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns, find_grid
from clv.value.likelihood.dropout_integral import _legendre

#: below this many patterns rows are integrated one by one.
_FEWEST = 800
_BLOCK = 8_192
_BUSIEST = 1e6
#: (nepers by which the integrand falls in a cell, Gauss-Legendre nodes for 1e-13); beyond, the table is given up.
_CELL_NODES = ((0.3, 4), (1.0, 6), (3.0, 8), (8.0, 13))
#: nepers that a stretch of the grid may span.
_SPAN = 300.0
_HIGHEST = 2 * _SPAN
#: moments of the integrand: 1, then ln(α+y), α/(α+y), ln(β+y), β/(β+y), then their ten products.
_PAIRS = tuple((i, j) for i in range(4) for j in range(i, 4))


@dataclass(frozen=True)
class _Tables:
    """Tables over (grid point t, frequency x), relative to A(t): its logarithm, and moments of V."""

    log_alive: Floats
    moments: Floats


@dataclass(frozen=True, eq=False)
class DropoutTable:
    """Patterns as places in a table of (grid point, frequency).

    Attributes
    ----------
    x : ndarray, shape (frequencies,)
    first : ndarray of int, shape (frequencies,)
        Smallest t_x of each frequency, as a grid point.
    grid : ndarray, shape (points,)
        Scaled times.
    early, late : ndarray of int, shape (patterns,)
        Places of (t_x, x) and (T, x).
    """

    x: Floats
    first: NDArray[np.intp]
    grid: Floats
    early: NDArray[np.intp]
    late: NDArray[np.intp]

    @classmethod
    def of(cls, history: History | Patterns, scale: float = 1.0) -> Self | None:
        """Lay histories, in any order, out on a grid; None where there is none, or where it does not pay.

        Parameters
        ----------
        history : History or Patterns
        scale : float
            What times are divided by.
        """
        if len(history.T) < _FEWEST or history.frequency.max() > _BUSIEST:
            return None
        steps = find_grid(history.T, history.recency)
        if steps is None:
            return None
        late, early = history.T * steps, history.recency * steps
        late_step, early_step = np.rint(late), np.rint(early)
        if max(np.abs(late - late_step).max(), np.abs(early - early_step).max()) > 1e-6:
            return None
        low, high = int(early_step.min()), int(late_step.max())
        late_at, early_at = late_step.astype(np.intp) - low, early_step.astype(np.intp) - low
        frequency = history.frequency.astype(np.intp)
        present = np.bincount(frequency) > 0
        code = (np.cumsum(present) - 1)[frequency]
        x = np.flatnonzero(present)
        first = np.full(len(x), high - low)
        np.minimum.at(first, code, early_at)
        grid = np.arange(low, high + 1) / (steps * scale)
        table = cls(x.astype(float), first, grid, early_at * len(x) + code, late_at * len(x) + code)
        return table if table.pays(len(late)) else None

    def pays(self, rows: int) -> bool:
        """Say whether filling the table costs less than `rows` integrals."""
        return rows >= _FEWEST and len(self.x) * len(self.grid) < 5 * rows / 2

    def thinned(self, part: NDArray[np.intp]) -> Self:
        """Keep some patterns."""
        return replace(self, early=self.early[part], late=self.late[part])

    def alive(self, r: float, alpha: float, s: float, beta: float) -> Floats | None:
        """Return P(alive) of each history; None if cells are too coarse."""
        tables = self._fill(r, alpha, s, beta)
        if tables is None:
            return None
        log_alive, gone = tables.log_alive.ravel(), np.ascontiguousarray(tables.moments[..., 0]).ravel()
        out = np.empty(len(self.early))
        for start in range(0, len(out), _BLOCK):
            block = slice(start, start + _BLOCK)
            early, late = self.early[block], self.late[block]
            shrunk = np.exp(log_alive[late] - log_alive[early])
            out[block] = shrunk / (gone[early] + shrunk * (1 - gone[late]))
        return np.clip(out, 0.0, 1.0)

    def evaluate(self, r: float, alpha: float, s: float, beta: float, weight: Floats) -> Evaluation | None:
        """Sum ln[A(T) − V(T) + V(t_x)], its gradient and Hessian by log-parameters; None if cells are too coarse."""
        tables = self._fill(r, alpha, s, beta)
        if tables is None:
            return None
        R, parameters = r + self.x, (r, alpha, s, beta)
        log_alive = tables.log_alive.ravel()
        gone = [column.ravel() for column in _first(tables.moments, R, r, s)]
        ends = self._alive_slopes(R, *parameters)
        left = [(end - part.reshape(end.shape)).ravel() for end, part in zip(ends, gone, strict=True)]

        size, value = log_alive.size, 0.0
        gradient, square = np.zeros(4), np.zeros((4, 4))
        on_early, on_late = np.zeros(size), np.zeros(size)
        for start in range(0, len(weight), _BLOCK):
            block = slice(start, start + _BLOCK)
            early, late, count = self.early[block], self.late[block], weight[block]
            top = log_alive[early]
            shrunk = np.exp(log_alive[late] - top)
            total = gone[0][early] + shrunk * left[0][late]
            value += float(count @ (top + np.log(total)))
            share = count / total
            fade = share * shrunk
            slope = np.stack([(gone[k][early] + shrunk * left[k][late]) for k in range(1, 5)])
            slope /= total
            gradient += slope @ count
            square += (slope * count) @ slope.T
            on_early += np.bincount(early, share, minlength=size)
            on_late += np.bincount(late, fade, minlength=size)

        shape = tables.log_alive.shape
        net = (on_early - on_late).reshape(shape)
        per_x = np.einsum("tx,txk->xk", net, tables.moments)
        hessian = _second(per_x, R, r, s) + self._alive_curve(on_late.reshape(shape), R, *parameters) - square
        return value, gradient, hessian

    def _fill(self, r: float, alpha: float, s: float, beta: float) -> _Tables | None:
        """Integrate every cell, and add cells up from the right."""
        grid, R = self.grid, r + self.x
        h = grid[1] - grid[0] if len(grid) > 1 else 1.0
        begin = grid[self.first]
        depth = float((h * (R / (alpha + begin) + (s + 1) / (beta + begin))).max())
        nodes = next((count for limit, count in _CELL_NODES if depth <= limit), None)
        if nodes is None:
            return None
        log_a, log_b = np.log(alpha + grid), np.log(beta + grid)
        log_alive = -log_a[:, None] * R - (s * log_b)[:, None]
        moments = np.zeros((*log_alive.shape, 15))
        stop, carry = len(grid) - 1, np.zeros((len(R), 15))
        while stop > 0:
            fall = R[-1] * (log_a[stop] - log_a[:stop]) + s * (log_b[stop] - log_b[:stop])
            start = min(int(np.searchsorted(-fall, -_SPAN)), stop - 1)
            base = log_alive[stop]
            node, gauss = _legendre(nodes)
            y = grid[start:stop, None] + h * node
            near_a, near_b = np.log(alpha + y), np.log(beta + y)
            parts = np.stack([near_a, alpha / (alpha + y), near_b, beta / (beta + y)], axis=-1)
            basis = np.concatenate([
                np.ones_like(y)[..., None], parts,
                np.stack([parts[..., i] * parts[..., j] for i, j in _PAIRS], axis=-1),
            ], axis=-1)  # fmt: skip
            basis *= (s * h * gauss)[:, None]
            # before the first t_x of a frequency nothing is looked up: there the power may be cut
            power = -near_a[:, None, :] * R[None, :, None] - (s + 1) * near_b[:, None, :] - base[None, :, None]
            cells = np.exp(np.minimum(power, _HIGHEST)) @ basis
            cells[-1] += carry
            for row in range(len(cells) - 2, -1, -1):  # three times as fast as a reversed cumsum
                cells[row] += cells[row + 1]
            relative = np.exp(base - log_alive[start:stop])
            np.multiply(cells, relative[..., None], out=moments[start:stop])
            carry = cells[0] * np.exp(base - log_alive[start])[:, None]
            stop = start
        return _Tables(log_alive, moments)

    def _alive_slopes(self, R: Floats, r: float, alpha: float, s: float, beta: float) -> list[Floats]:
        """Return 1 and the derivatives of ln A by log-parameters."""
        shape = (len(self.grid), len(R))
        late_a, late_b = (alpha + self.grid)[:, None], (beta + self.grid)[:, None]
        columns = [np.ones((1, 1)), -r * np.log(late_a), -R * (alpha / late_a), -s * np.log(late_b), -s * beta / late_b]
        return [np.broadcast_to(column, shape) for column in columns]

    def _alive_curve(self, weight: Floats, R: Floats, r: float, alpha: float, s: float, beta: float) -> Floats:
        """Sum the second derivatives of A by log-parameters, relative to A, over the table."""
        slopes = self._alive_slopes(R, r, alpha, s, beta)[1:]
        out = np.array([[float((weight * a * b).sum()) for b in slopes] for a in slopes])
        u, v = (alpha / (alpha + self.grid))[:, None], (beta / (beta + self.grid))[:, None]
        out[0, 0] += float((weight * slopes[0]).sum())
        cross = -r * float((weight * u).sum())
        out[1, 1] -= float((weight * R * u * (1 - u)).sum())
        out[2, 2] += float((weight * slopes[2]).sum())
        wear = -s * float((weight * v).sum())
        out[3, 3] -= s * float((weight * v * (1 - v)).sum())
        out[0, 1] += cross
        out[1, 0] += cross
        out[2, 3] += wear
        out[3, 2] += wear
        return out


def _first(moments: Floats, R: Floats, r: float, s: float) -> list[Floats]:
    """Return V and its derivatives by log-parameters, relative to A, from the moments."""
    one, log_a, u, log_b, v = (moments[..., k] for k in range(5))
    return [np.ascontiguousarray(one), -r * log_a, -R * u, one - s * log_b, -(s + 1) * v]


def _second(moments: Floats, R: Floats, r: float, s: float) -> Floats:
    """Return the sum over frequencies of the second derivatives of V, from weighted moments, shape (x, 15)."""
    one, log_a, u, log_b, v = (moments[:, k] for k in range(5))
    pair = {key: moments[:, 5 + place] for place, key in enumerate(_PAIRS)}
    out = np.empty((4, 4))
    out[0, 0] = (r * r * pair[0, 0] - r * log_a).sum()
    out[0, 1] = (r * R * pair[0, 1] - r * u).sum()
    out[0, 2] = (-r * (log_a - s * pair[0, 2])).sum()
    out[0, 3] = (r * (s + 1) * pair[0, 3]).sum()
    out[1, 1] = (R * R * pair[1, 1] - R * (u - pair[1, 1])).sum()
    out[1, 2] = (-R * (u - s * pair[1, 2])).sum()
    out[1, 3] = (R * (s + 1) * pair[1, 3]).sum()
    out[2, 2] = (one - 2 * s * log_b + s * s * pair[2, 2] - s * log_b).sum()
    out[2, 3] = (-(s + 1) * (v - s * pair[2, 3]) - s * v).sum()
    out[3, 3] = ((s + 1) ** 2 * pair[3, 3] - (s + 1) * (v - pair[3, 3])).sum()
    return np.triu(out) + np.triu(out, 1).T
