"""The mark of a data set: equal for the same accounts in any order, different (nearly surely) for any others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.value.estimation.checks import Floats

_COLUMNS = ("frequency", "recency", "T", "n_periods")
#: odd numbers of 64 random bits, as in splitmix64.
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
#: whole numbers up to here are exact in a float, and so in JSON.
_BITS = 2**53
_BLOCK = 16_384


def fingerprint(summary: pd.DataFrame, weight: Floats | None = None) -> float:
    """Hash the purchase histories of a summary, whatever the order of its rows.

    Parameters
    ----------
    summary : pandas.DataFrame
        Its columns frequency, recency, T and n_periods count, as far as it has them; covariates do not.
    weight : ndarray, optional
        Sample weights.

    Returns
    -------
    float
        A whole number below 2⁵³; NaN for a table without these columns.
    """
    columns = []
    for name in _COLUMNS:
        if name not in summary:
            continue
        try:
            columns.append(summary[name].to_numpy(dtype=float, na_value=np.nan))
        except (TypeError, ValueError):  # another kind of table: what is there in numbers counts
            continue
    if not columns:
        return float("nan")
    if weight is not None:
        columns.append(weight)
    total = 0
    number, state = np.empty(_BLOCK), np.empty(_BLOCK, dtype=np.uint64)
    for start in range(0, len(summary), _BLOCK):  # blocks stay in the cache
        size = min(_BLOCK, len(summary) - start)
        plain, mixed = number[:size], state[:size]
        bits = plain.view(np.uint64)
        mixed.fill(0)
        for column, odd in zip(columns, _ODD, strict=False):
            np.add(column[start : start + size], 0.0, out=plain)  # -0.0 becomes 0.0
            mixed ^= bits
            mixed *= np.uint64(odd)
            np.right_shift(mixed, np.uint64(29), out=bits)
            mixed ^= bits
        total += int(mixed.sum(dtype=np.uint64))
    return float(total % _BITS)
