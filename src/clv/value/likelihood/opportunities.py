"""Accounts that may be lost at each of a row of opportunities: what discrete and contractual models have in common.

Before each opportunity a living account is lost with its own probability θ ~ Beta(a, b). With v = e^(−δ), the
discount for one opportunity, what is still to come is a geometric sum, averaged over θ:

    E_θ[ Σ_{k=0}^{H−1} v^k (1 − θ)^k ] = E_θ[ (1 − q^H) / (1 − q) ],   q = v (1 − θ).

For H → ∞ this is 2F1(1, b; a + b; v) (Fader, Hardie & Shang 2010, eq. 14; Fader & Hardie 2010, eq. 6), whose usual
evaluations fail as v → 1. The average is a positive integral, smooth in ln(θ/(1−θ)), for which the trapezoid rule
converges exponentially.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from clv.errors import SettingsError
from clv.value.estimation.checks import Floats, quantile_level
from clv.value.estimation.distinct import distinct_rows
from clv.value.expectation.living import beta_nodes

_BLOCK = 1_000


def rising(at: float, most: int) -> tuple[Floats, Floats, Floats]:
    """Return ln[Γ(at+k)/Γ(at)] for k = 0 … `most`, and its first two derivatives by `at`.

    Sums of logarithms, which unlike differences of lnΓ keep their digits where `at` is large.
    """
    steps = at + np.arange(most)
    parts = np.log(steps), 1 / steps, -1 / steps**2
    value, first, second = (np.concatenate([[0.0], np.cumsum(part)]) for part in parts)
    return value, first, second


def rising_logs(at: Floats, most: int) -> Floats:
    """Return ln[Γ(at+k)/Γ(at)], k = 0 … `most` along the last axis; `at` of shape (points, 1)."""
    logs = np.zeros((len(at), most + 1))
    np.cumsum(np.log(at + np.arange(most)), axis=1, out=logs[:, 1:])
    return logs


def whole(value: float, name: str) -> float:
    """Check a number of opportunities: whole, or infinite."""
    if not np.isinf(value) and value != np.rint(value):
        raise SettingsError(f"{name} is {value}.", mend="This model counts opportunities: give a whole number.")
    return value


def geometric_sum(a: Floats | float, b: Floats | float, *, count: Floats | float, rate: float) -> Floats:
    """Average the geometric sum Σ_{k<count} e^(−rate·k) (1 − θ)^k over θ ~ Beta(a, b).

    Parameters
    ----------
    a, b : ndarray or float
    count : ndarray or float
        Number of terms, 0 or more; infinite is allowed.
    rate : float
        Continuous discount rate per opportunity.

    Returns
    -------
    ndarray
        Of the common shape. Relative error below 1e-9 for parameters between 1e-3 and 1e3.

    Raises
    ------
    clv.errors.SettingsError
        If neither count nor rate ends the sum and a ≤ 1, so that it is infinite.
    """
    shape = np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(count))
    rows = [np.broadcast_to(np.asarray(v, dtype=float), shape).ravel() for v in (a, b, count)]
    if not rows[0].size:
        return np.zeros(shape)
    distinct, code = distinct_rows(*rows)
    endless = np.isinf(distinct[2])
    least = distinct[0][endless].min(initial=np.inf)
    if rate == 0 and least <= 1:
        raise SettingsError(
            f"what comes without end and without discounting has no finite mean ({least:.4g} ≤ 1).",
            mend="Give a horizon or a discount rate above 0.",
        )
    out = np.empty(len(distinct[0]))
    for start in range(0, len(out), _BLOCK):
        block = slice(start, start + _BLOCK)
        out[block] = _integrate(*(column[block] for column in distinct), rate=rate)
    return out[code].reshape(shape)


def _integrate(a: Floats, b: Floats, count: Floats, *, rate: float) -> Floats:
    """Integrate a block of rows; closed where nothing ends the sum."""
    endless = np.isinf(count) & (rate == 0)
    some = np.where(endless, 1.0, count)
    longest = np.minimum(some, 1 / rate) if rate else some  # how far the sum can rise as θ → 0
    theta, weight = beta_nodes(longest, a, b)
    loss = -np.log1p(-np.minimum(theta, 1 - 1e-16)) + rate  # −ln q
    with np.errstate(under="ignore"):
        kept = -np.expm1(-loss * some[:, None])
        value = (weight * kept / -np.expm1(-loss)).sum(axis=1)
    closed = (a + b - 1) / np.where(endless, a - 1, 1.0)
    return np.where(endless, closed, value)


def silence_quantile(a: Floats, b: Floats, q: float) -> Floats:
    """Return the smallest whole m with P(M ≤ m) ≥ `q` for beta-geometric M = 1, 2, …: P(M > m) = B(a, b+m)/B(a, b).

    Parameters
    ----------
    a, b : ndarray
        Of the probability to buy at an opportunity.
    q : float
        0 ≤ q < 1.

    Returns
    -------
    ndarray
        At least 1; infinite beyond 2^53, where neighbouring whole numbers can no longer be told apart.
    """
    quantile_level(q)
    target = np.log1p(-q) * (1 - 1e-12)  # a quantile met exactly must not move by rounding
    base = betaln(a, b)
    low, high = np.zeros(np.shape(a)), np.full(np.shape(a), 2.0**53)
    endless = betaln(a, b + high) - base > target
    for _ in range(53):
        middle = np.floor((low + high) / 2)
        enough = betaln(a, b + middle) - base <= target
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(endless, np.inf, np.maximum(high, 1.0))
