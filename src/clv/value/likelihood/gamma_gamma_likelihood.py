"""The Gamma-Gamma log-likelihood with its exact gradient and Hessian in log-parameters.

With m the mean of x purchases of one account (Fader & Hardie 2013, eq. 1a),

    ln L = lnΓ(px+q) − lnΓ(px) − lnΓ(q) + q ln v + (px−1) ln m + px ln x − (px+q) ln(v + x m)
         = px ln(s/(v+s)) + q ln(v/(v+s)) − ln B(px, q) − ln m,   s = x m,

of which the second form keeps its digits for large p and q. Beta functions are evaluated once for each x that occurs;
of each account only ln(v + s) and 1/(v + s) remain.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, zeta

from clv.value.estimation.checks import Floats
from clv.value.estimation.fingerprint import fingerprint
from clv.value.estimation.newton import Evaluation

_BLOCK = 8_192
#: points × accounts of values alone in one go.
_CELLS = 50_000
#: accounts from which the ascent's start is taken.
_LOOK = 4_000


def _counted(frequency: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return the distinct frequencies and the weight behind each; small whole numbers need no sorting."""
    if frequency.max() <= len(frequency) + 1_000.0 and (frequency == np.rint(frequency)).all():
        code = frequency.astype(np.intp)
        counts = np.flatnonzero(np.bincount(code))
        return counts.astype(float), np.asarray(np.bincount(code, weights=weight)[counts], dtype=float)
    counts, code = np.unique(frequency, return_inverse=True)
    return np.asarray(counts, dtype=float), np.asarray(np.bincount(code, weights=weight), dtype=float)


def _start(x: Floats, log_total: Floats, weight: Floats) -> Floats:
    """Return log-parameters near the maximum, from the spread of the logarithm of mean money.

    Its variance is ψ′(q) + ψ′(px), roughly 1/(q − ½) + 1/(px): a straight line in 1/x.
    """
    share = weight / max(float(weight.sum()), 1e-300)
    once = 1.0 / x
    log_mean = log_total + np.log(once)
    away = (log_mean - share @ log_mean) ** 2
    spread, middle = max(float(share @ away), 1e-6), float(share @ once)
    tilt = share * (once - middle)
    rise = float(tilt @ away) / max(float(tilt @ once), 1e-12)
    rise = min(max(rise, 0.02 * spread), 0.95 * spread / middle)
    p = min(max(1.0 / rise, 0.05), 100.0)
    q = min(max(1.0 / max(spread - rise * middle, 0.05 * spread) + 0.5, 1.05), 100.0)
    return np.log([p, q, max(q - 1.0, 0.3) / p])


class GammaGammaLikelihood:
    """Log-likelihood of (ln p, ln q, ln v), money divided by the mean spend.

    Parameters
    ----------
    frequency, spend, weight : ndarray, shape (accounts,)
        Repeat purchases (above 0), their mean money (above 0), sample weights.
    scale : float, optional
        What money is divided by; the mean of a purchase if None.
    """

    def __init__(self, frequency: Floats, spend: Floats, weight: Floats, *, scale: float | None = None) -> None:
        self._x, self._spend, self._weight = frequency, spend, weight
        self.accounts = float(weight.sum())
        bought = weight * frequency
        self.mean_spend = float(bought @ spend) / float(bought.sum())
        self._scale = self.mean_spend if scale is None else scale
        self.shift = np.array([0.0, 0.0, np.log(self._scale)])
        self.constant = -self.accounts * float(np.log(self._scale))
        scaled = spend / self._scale
        self._total = frequency * scaled
        self._log_total = np.log(self._total)
        few = slice(None, None, max(1, len(frequency) // _LOOK))
        self.start = _start(frequency[few], self._log_total[few], weight[few])
        self._sides = np.column_stack([weight, bought])  # sums over accounts come in these two kinds
        self._log_sum = float(weight @ self._log_total)
        self._counts, self._count = _counted(frequency, weight)
        self._fixed = self._log_sum - float(self._count @ np.log(self._counts))  # of the scaled mean money

    def __len__(self) -> int:
        return len(self._x)

    def mark(self) -> float:
        """Return the mark of the accounts, by their purchases: spend may be stated in other ways."""
        return fingerprint(self._x, weight=self._weight)

    def thinned(self, rows: int) -> GammaGammaLikelihood:
        """Keep every k-th account, on the same scale, with the same sum of weights."""
        part = slice(None, None, max(1, len(self) // rows))
        weight = self._weight[part]
        if not weight.sum() > 0:
            return self
        weight = weight * (self.accounts / weight.sum())
        return GammaGammaLikelihood(self._x[part], self._spend[part], weight, scale=self._scale)

    def unidentified(self) -> str | None:
        """Say what cannot be known from one account, or from accounts that all spend the same."""
        kept = self._spend[self._weight > 0]
        if kept.min() == kept.max():
            return "all accounts spend the same on average, so p, q and v are not identified"
        return None

    def correlation(self) -> float:
        """Return the weighted Pearson correlation of frequency and mean spend; NaN if one of them is constant."""
        w = self._weight / self.accounts
        x, m = self._x - w @ self._x, self._spend / self._scale
        m = m - w @ m
        spread = float(np.sqrt((w @ x**2) * (w @ m**2)))
        return float(w @ (x * m)) / spread if spread > 1e-12 else float("nan")

    def values(self, points: Floats) -> Floats:
        """Evaluate the value alone at many points, shape (n, 3), some thousand cells at a time."""
        out = np.empty(len(points))
        size = max(1, _CELLS // len(self._total))
        for start in range(0, len(points), size):
            p, q, v = np.exp(points[start : start + size]).T
            log_1, log_x = ((np.log(v[:, None] + self._total) - self._log_total) @ self._sides).T
            below = self.accounts * np.log(v) - log_1 - self._log_sum
            beta = betaln(p[:, None] * self._counts, q[:, None]) @ self._count
            out[start : start + size] = q * below - p * log_x - self._fixed - beta
        return out

    def __call__(self, at: Floats) -> Evaluation:
        """Evaluate value, gradient (3,) and Hessian (3, 3)."""
        p, q, v = np.exp(at)
        n, x, count = self.accounts, self._counts, self._count
        sums = np.zeros((3, 2))  # of ln((v+s)/s), 1/(v+s), 1/(v+s)² with s = x m; weights w and wx
        work = np.empty((3, _BLOCK))
        for start in range(0, len(self._total), _BLOCK):
            rows = slice(start, start + _BLOCK)
            total = self._total[rows]
            part = work[:, : len(total)]
            np.add(total, v, out=part[2])
            np.log(part[2], out=part[0])
            part[0] -= self._log_total[rows]
            np.reciprocal(part[2], out=part[1])
            np.square(part[1], out=part[2])
            sums += part @ self._sides[rows]
        (log_1, log_x), (inverse_1, inverse_x), (square_1, square_x) = sums
        shape = p * x + q
        gamma_p, gamma_q = digamma(shape) - digamma(p * x), digamma(shape)
        bent = zeta(2.0, shape)
        below = n * np.log(v) - log_1 - self._log_sum  # Σ w ln(v/(v+s))
        value = q * below - p * log_x - self._fixed - count @ betaln(p * x, q)
        slope = np.array(
            [
                count @ (x * gamma_p) - log_x,
                count @ gamma_q - n * digamma(q) + below,
                n * q / v - (p * inverse_x + q * inverse_1),
            ]
        )
        curve = np.empty((3, 3))
        curve[0, 0] = count @ (x * x * (bent - zeta(2.0, p * x)))
        curve[0, 1] = curve[1, 0] = count @ (x * bent)
        curve[1, 1] = count @ bent - n * zeta(2.0, q)
        curve[0, 2] = curve[2, 0] = -inverse_x
        curve[1, 2] = curve[2, 1] = n / v - inverse_1
        curve[2, 2] = p * square_x + q * square_1 - n * q / v**2
        natural = np.array([p, q, v])
        gradient = slope * natural
        return float(value), gradient, curve * np.outer(natural, natural) + np.diag(gradient)
