"""P(alive) under BG/BB for many accounts and many draws of the parameters at once."""

from __future__ import annotations

import numpy as np

from clv.value.estimation.checks import Floats, History
from clv.value.estimation.distinct import distinct_rows
from clv.value.likelihood.opportunities import rising_logs


def alive_by_draw(parameters: Floats, history: History) -> Floats:
    """Return the probability that each account is alive at its next opportunity, for each draw.

    Parameters
    ----------
    parameters : ndarray, shape (draws, 4)
        alpha, beta, gamma, delta.
    history : History
        Arrays of shape (accounts,), times in opportunities.

    Returns
    -------
    ndarray, shape (accounts, draws)

    Notes
    -----
    An account that bought x of its first m opportunities, and at none between the m-th and the n-th, was lost after
    the m-th for some m from t_x to n − 1, or is alive (Fader, Hardie & Shang 2010, eqs. 3 and 11). The probabilities
    of all m are added up from the right once for each x; they fall in m, so that differences of sums keep their
    digits.
    """
    (x, last, n), code = distinct_rows(*history)
    counts, ends = x.astype(np.intp), n.astype(np.intp)
    most = int(ends.max(initial=0))
    alpha, beta, gamma, delta = (column[:, None] for column in np.asarray(parameters, dtype=float).T)
    skip, either, stay, end = (
        np.ascontiguousarray(rising_logs(base, most).T) for base in (beta, alpha + beta, delta, gamma + delta)
    )
    step = np.arange(most + 1.0)[:, None]
    leave = gamma.T / (gamma.T + delta.T + step)  # of the living after m opportunities, before the next
    stay -= end
    stay -= either
    out = np.empty((len(x), len(parameters)))
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        logs = skip[: most + 1 - count] + stay[count:]  # m = count … most; what depends on x alone cancels
        logs -= logs[0]
        living = np.exp(logs, out=logs)
        gone = living * leave[count:]
        np.cumsum(gone[::-1], axis=0, out=gone[::-1])
        first, final = last[rows].astype(np.intp) - count, ends[rows] - count
        here = living[final]
        out[rows] = here * (1 - leave[ends[rows]]) / (here + (gone[first] - gone[final]))
    return out[code]
