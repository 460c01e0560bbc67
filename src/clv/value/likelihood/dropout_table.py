"""Dropout integrals of very many patterns from one table: times lie on a grid, so the integral over a cell is shared.

With A(t) = (α+t)^-R (β+t)^-s and V(t) = ∫ s (α+y)^-R (β+y)^-(s+1) dy from t to the end of the grid, an account's

    (α+T)^-R (β+T)^-s (1 + G) = A(T) − V(T) + V(t_x).

V and its derivatives are sums of cells from the right, for each frequency x; everything is kept relative to A(t), so
that no power overflows. All terms of the Hessian but one are linear in V: they are summed over the cells, after the
patterns have put their weights into the table, and only value and gradient are looked up a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats, History
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns, find_grid
from clv.value.expectation.living import legendre

#: below this many patterns rows are integrated one by one.
_FEWEST = 800
_BLOCK = 8_192
_BUSIEST = 1e6
#: (nepers by which the integrand falls in a cell, Gauss-Legendre nodes for 1e-13); beyond, the table is given up.
_CELL_NODES = ((0.3, 4), (1.0, 6), (3.0, 8), (8.0, 13))
#: nepers that a stretch of the grid may span.
_SPAN = 300.0
_HIGHEST = 2 * _SPAN
#: moments of the integrand that are tabulated: 1, ln(α+y), α/(α+y), ln(β+y), β/(β+y).
_MOMENTS = 5


class _Stretch(NamedTuple):
    """Cells between two grid points, integrated relative to A at the later one."""

    cells: slice
    base: Floats  # ln A at the end, shape (x,)
    relative: Floats  # A at the end over A(t), shape (cells, x)
    fall: Floats  # the integrand but for its constants, shape (cells, x, nodes)
    basis: Floats  # moments at each node, times s, cell width and Gauss weight, shape (cells, nodes, _MOMENTS)


class _Tables(NamedTuple):
    """Tables over (grid point t, frequency x), relative to A(t): its logarithm, and moments of V."""

    log_alive: Floats
    moments: Floats
    stretches: list[_Stretch]


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
        tables = self._fill(r, alpha, s, beta, moments=1)
        if tables is None:
            return None
        log_alive, gone = tables.log_alive.ravel(), tables.moments.ravel()
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
        shape, size = tables.log_alive.shape, tables.log_alive.size
        log_alive = tables.log_alive.ravel()
        # V and its derivatives by log-parameters, and what is left of A and its own: five numbers side by side
        gone = tables.moments * np.stack([R**0, -r * R**0, -R, -s * R**0, -(s + 1) * R**0], axis=-1)
        gone[..., 3] += gone[..., 0]
        left = self._alive_slopes(R, *parameters) - gone
        gone, left = gone.reshape(size, _MOMENTS), left.reshape(size, _MOMENTS)

        value, gradient, square = 0.0, np.zeros(4), np.zeros((4, 4))
        on_early, on_late = np.empty(len(weight)), np.empty(len(weight))
        for start in range(0, len(weight), _BLOCK):
            block = slice(start, start + _BLOCK)
            early, late, count = self.early[block], self.late[block], weight[block]
            top = log_alive.take(early)
            shrunk = np.exp(log_alive.take(late) - top)
            slope = left.take(late, axis=0)
            slope *= shrunk[:, None]
            slope += gone.take(early, axis=0)
            total = slope[:, 0].copy()
            value += float(count @ (top + np.log(total)))
            share = np.divide(count, total, out=on_early[block])
            np.multiply(share, shrunk, out=on_late[block])
            each = slope[:, 1:].T / total
            gradient += each @ count
            square += (each * count) @ each.T

        held, begun = (
            np.asarray(np.bincount(place, share, minlength=size), dtype=float).reshape(shape)
            for place, share in ((self.late, on_late), (self.early, on_early))
        )
        hessian = self._gone_curve(begun - held, tables.stretches, R, r, s) + self._alive_curve(held, R, *parameters)
        return value, gradient, hessian - square

    def _fill(self, r: float, alpha: float, s: float, beta: float, *, moments: int = _MOMENTS) -> _Tables | None:
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
        table = np.zeros((*log_alive.shape, moments))
        stretches: list[_Stretch] = []
        stop, carry = len(grid) - 1, np.zeros((len(R), moments))
        node, gauss = legendre(nodes)
        while stop > 0:
            drop = R[-1] * (log_a[stop] - log_a[:stop]) + s * (log_b[stop] - log_b[:stop])
            start = min(int(np.searchsorted(-drop, -_SPAN)), stop - 1)
            base = log_alive[stop]
            y = grid[start:stop, None] + h * node
            near_a, near_b = np.log(alpha + y), np.log(beta + y)
            basis = np.stack(
                [np.ones_like(y), near_a, alpha / (alpha + y), near_b, beta / (beta + y)][:moments], axis=-1
            )
            basis *= (s * h * gauss)[:, None]
            # before the first t_x of a frequency nothing is looked up: there the power may be cut
            fall = near_a[:, None, :] * -R[:, None]
            fall -= ((s + 1) * near_b)[:, None, :]
            fall -= base[:, None]
            np.exp(np.minimum(fall, _HIGHEST, out=fall), out=fall)
            cells = fall @ basis
            cells[-1] += carry
            for row in range(len(cells) - 2, -1, -1):  # three times as fast as a reversed cumsum
                cells[row] += cells[row + 1]
            relative = np.exp(base - log_alive[start:stop])
            np.multiply(cells, relative[..., None], out=table[start:stop])
            carry = cells[0] * np.exp(base - log_alive[start])[:, None]
            stretches.append(_Stretch(slice(start, stop), base, relative, fall, basis))
            stop = start
        return _Tables(log_alive, table, stretches)

    def _alive_slopes(self, R: Floats, r: float, alpha: float, s: float, beta: float) -> Floats:
        """Return 1 and the derivatives of ln A by log-parameters, shape (points, x, 5)."""
        late_a, late_b = (alpha + self.grid)[:, None], (beta + self.grid)[:, None]
        out = np.empty((len(self.grid), len(R), _MOMENTS))
        out[..., 0] = 1.0
        out[..., 1] = -r * np.log(late_a)
        out[..., 2] = -R * (alpha / late_a)
        out[..., 3] = -s * np.log(late_b)
        out[..., 4] = -s * beta / late_b
        return out

    def _gone_curve(self, weight: Floats, stretches: list[_Stretch], R: Floats, r: float, s: float) -> Floats:
        """Sum the second derivatives of V by log-parameters, relative to A, over the table.

        V(t) is a sum of cells from t on, so that a cell counts with the weights of all t before it; products of
        moments are then needed at the nodes only, summed over frequencies with 1, R and R².
        """
        powers = np.stack([R**0, R, R * R])
        sums = np.zeros((3, _MOMENTS, _MOMENTS))
        carry, last = np.zeros(len(R)), None
        for part in reversed(stretches):
            if last is not None:
                carry = carry * np.exp(part.base - last)
            passed = np.cumsum(weight[part.cells] * part.relative, axis=0)
            passed += carry
            carry, last = passed[-1], part.base
            at_nodes = (passed[:, None, :] * powers) @ part.fall  # (cells, 3, nodes)
            bare = part.basis / part.basis[..., :1]
            flat = part.basis.reshape(-1, _MOMENTS)
            for power in range(3):
                spread = bare.reshape(-1, _MOMENTS) * at_nodes[:, power].reshape(-1, 1)
                sums[power] += flat.T @ spread
        (one, a, u, b, v), once, twice = sums[0, 0], sums[1], sums[2]
        none = sums[0]
        out = np.empty((4, 4))
        out[0, 0] = r * (r * none[1, 1] - a)
        out[0, 1] = r * (once[1, 2] - u)
        out[0, 2] = r * (s * none[1, 3] - a)
        out[0, 3] = r * (s + 1) * none[1, 4]
        out[1, 1] = twice[2, 2] - once[0, 2] + once[2, 2]
        out[1, 2] = s * once[2, 3] - once[0, 2]
        out[1, 3] = (s + 1) * once[2, 4]
        out[2, 2] = one - 3 * s * b + s * s * none[3, 3]
        out[2, 3] = s * (s + 1) * none[3, 4] - (2 * s + 1) * v
        out[3, 3] = (s + 1) * ((s + 2) * none[4, 4] - v)
        return np.triu(out) + np.triu(out, 1).T

    def _alive_curve(self, weight: Floats, R: Floats, r: float, alpha: float, s: float, beta: float) -> Floats:
        """Sum the second derivatives of A by log-parameters, relative to A, over the table."""
        one, once, twice = (weight @ np.stack([R**0, R, R * R], axis=1)).T
        a, u = r * np.log(alpha + self.grid), alpha / (alpha + self.grid)
        b, v = s * np.log(beta + self.grid), beta / (beta + self.grid)
        out = np.empty((4, 4))
        out[0, 0] = one @ (a * a - a)
        out[0, 1] = once @ (a * u) - r * (one @ u)
        out[0, 2] = one @ (a * b)
        out[0, 3] = s * (one @ (a * v))
        out[1, 1] = twice @ (u * u) - once @ (u * (1 - u))
        out[1, 2] = once @ (u * b)
        out[1, 3] = s * (once @ (u * v))
        out[2, 2] = one @ (b * b - b)
        out[2, 3] = s * (one @ (b * v) - one @ v)
        out[3, 3] = s * s * (one @ (v * v)) - s * (one @ (v * (1 - v)))
        return np.triu(out) + np.triu(out, 1).T
