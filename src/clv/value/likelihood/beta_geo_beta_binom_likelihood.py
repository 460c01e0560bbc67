"""The BG/BB log-likelihood of weighted patterns with its exact gradient and Hessian in log-parameters.

An account with x purchases, the last at opportunity t_x of n, was alive at m = t_x, …, n opportunities. With rising
factorials (c)_k = Γ(c+k)/Γ(c), each possibility has probability (Fader, Hardie & Shang 2010, eq. 5)

    (α)_x (β)_{m−x} / (α+β)_m · (δ)_m / (γ+δ)_m · [γ / (γ+δ+m) if m < n],

and the likelihood is their sum, taken on the log scale. Factors depend on whole numbers only: each is looked up in a
table of n + 1 entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clv.value.estimation.checks import Floats
from clv.value.estimation.newton import Evaluation
from clv.value.estimation.patterns import Patterns
from clv.value.likelihood.opportunities import rising, rising_logs

Whole = NDArray[np.intp]
_BLOCK = 50_000
#: points × possibilities of values alone in one go.
_CELLS = 50_000


@dataclass(frozen=True)
class _Terms:
    """One row a possibility: x purchases in m opportunities alive; `starts` marks where each pattern's begin."""

    x: Whole
    m: Whole
    lost: NDArray[np.bool_]
    starts: Whole
    weight: Floats


def _terms(patterns: Patterns, block: slice) -> _Terms:
    """List what may have happened in each pattern of a block."""
    x, last, n = (column[block].astype(np.intp) for column in (patterns.frequency, patterns.recency, patterns.T))
    count = n - last + 1
    starts = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.intp)
    m = np.repeat(last - starts, count) + np.arange(count.sum())
    return _Terms(np.repeat(x, count), m, m < np.repeat(n, count), starts, patterns.weight[block])


class BetaGeoBetaBinomLikelihood:
    """Log-likelihood of (ln α, ln β, ln γ, ln δ).

    Parameters
    ----------
    patterns : clv.value.estimation.patterns.Patterns
        Times in opportunities: whole numbers.
    """

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self.accounts = float(patterns.weight.sum())
        self.shift = np.zeros(4)
        self.start = np.log([1.0, 1.0, 1.0, 3.0])
        self.constant = 0.0
        self._most = int(patterns.T.max())
        alive = np.cumsum(patterns.T - patterns.recency + 1)
        edges = [0, *(np.flatnonzero(np.diff(alive // _BLOCK)) + 1).tolist(), len(patterns)]
        self._blocks = [_terms(patterns, slice(a, b)) for a, b in pairwise(edges) if b > a]

    def __len__(self) -> int:
        return sum(len(block.x) for block in self._blocks)

    def mark(self) -> float:
        """Return the mark of the accounts."""
        return self._patterns.mark()

    def thinned(self, rows: int) -> BetaGeoBetaBinomLikelihood:
        """Keep every k-th pattern, with the same sum of weights."""
        every = max(1, len(self) // rows)
        part = slice(every // 2, None, every)
        old = self._patterns
        if len(old) < 2 * every or not old.weight[part].sum() > 0:
            return self
        weight = old.weight[part] * (self.accounts / old.weight[part].sum())
        return BetaGeoBetaBinomLikelihood(
            Patterns(old.frequency[part], old.recency[part], old.T[part], weight, old.accounts)
        )

    def unidentified(self) -> str | None:
        """Say what cannot be known: without purchases, without opportunities passed over, from one history."""
        everything = "alpha, beta, gamma and delta are not identified"
        data = self._patterns
        if not data.frequency.any():
            return f"no account bought at any opportunity, so {everything}"
        if (data.frequency == data.T).all():
            return f"every account bought at every opportunity, so {everything}"
        if self._most < 2:
            return f"there is one opportunity only, so {everything}"
        if len(data) == 1 or self.accounts <= 1:
            return f"all accounts have one and the same history, so {everything}"
        return None

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (4,) and Hessian (4, 4)."""
        alpha, beta, gamma, delta = np.exp(at)
        tables = [rising(base, self._most) for base in (alpha, beta, alpha + beta, delta, gamma + delta)]
        value, slope, curve = 0.0, np.zeros(4), np.zeros((4, 4))
        for terms in self._blocks:
            value += _add(terms, tables, gamma, delta, slope, curve)
        natural = np.array([alpha, beta, gamma, delta])
        gradient = slope * natural
        return value, gradient, curve * np.outer(natural, natural) + np.diag(gradient)

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 4), some thousand cells at a time."""
        out = np.zeros(len(points))
        size = max(1, _CELLS // max(self._most, *(len(terms.x) for terms in self._blocks)))
        for start in range(0, len(points), size):
            rows = slice(start, start + size)
            each = self._each(points[rows])
            out[rows] = sum(part @ terms.weight for part, terms in zip(each, self._blocks, strict=True))
        return out

    def rows(self, at: Floats) -> Floats:
        """Return the log-likelihood of each pattern, shape (patterns,)."""
        return np.concatenate([part[0] for part in self._each(at[None, :])])

    def _each(self, points: Floats) -> list[Floats]:
        """Return the log-likelihood of each pattern of each block, shapes (points, patterns)."""
        alpha, beta, gamma, delta = np.exp(points[:, :, None]).swapaxes(0, 1)
        tables = [rising_logs(base, self._most) for base in (alpha, beta, alpha + beta, delta, gamma + delta)]
        return [_mix(terms, _logs(terms, tables, gamma, delta))[0] for terms in self._blocks]


def _logs(terms: _Terms, tables: list[Floats], gamma: Floats | float, delta: Floats | float) -> Floats:
    """Return the logarithm of each possibility's probability; points, if several, are the first axis."""
    buy, skip, either, stay, end = tables
    x, m = terms.x, terms.m
    loss = np.where(terms.lost, -np.log1p((delta + m) / gamma), 0.0)
    return np.asarray(buy[..., x] + skip[..., m - x] - either[..., m] + (stay - end)[..., m] + loss)


def _mix(terms: _Terms, logs: Floats) -> tuple[Floats, Floats]:
    """Add probabilities on the log scale: the total of each pattern, and each possibility's share."""
    size = np.diff(terms.starts, append=logs.shape[-1])
    peak = np.maximum.reduceat(logs, terms.starts, axis=-1)
    share = np.exp(logs - np.repeat(peak, size, axis=-1))
    total = np.add.reduceat(share, terms.starts, axis=-1)
    share /= np.repeat(total, size, axis=-1)
    return peak + np.log(total), share


def _add(
    terms: _Terms,
    tables: list[tuple[Floats, Floats, Floats]],
    gamma: float,
    delta: float,
    slope: Floats,
    curve: Floats,
) -> float:
    """Add a block's derivatives by the natural parameters, and return its value."""
    (_, buy, buy_2), (_, skip, skip_2), (_, either, either_2), (_, stay, stay_2), (_, end, end_2) = tables
    x, m, lost = terms.x, terms.m, terms.lost
    value, share = _mix(terms, _logs(terms, [table[0] for table in tables], gamma, delta))
    size = np.diff(terms.starts, append=len(x))
    weight = np.repeat(terms.weight, size) * share
    loss = np.where(lost, 1 / (gamma + delta + m), 0.0)  # from ln γ − ln(γ+δ+m)
    first = np.empty((4, len(x)))
    first[0] = buy[x] - either[m]
    first[1] = skip[m - x] - either[m]
    first[2] = np.where(lost, 1 / gamma, 0.0) - loss - end[m]
    first[3] = stay[m] - end[m] - loss
    slope += first @ weight
    mean = np.add.reduceat(first * share, terms.starts, axis=1)
    curve += (first * weight) @ first.T - (mean * terms.weight) @ mean.T
    shared, ended = float(weight @ either_2[m]), float(weight @ (end_2[m] - loss**2))
    curve[:2, :2] -= shared
    curve[2:, 2:] -= ended
    curve[0, 0] += float(weight @ buy_2[x])
    curve[1, 1] += float(weight @ skip_2[m - x])
    curve[2, 2] -= float(weight @ lost) / gamma**2
    curve[3, 3] += float(weight @ stay_2[m])
    return float(terms.weight @ value)
