"""The mark of a data set: equal for the same accounts in any order, different (nearly surely) for any others."""

from __future__ import annotations

import numpy as np

from clv.value.estimation.checks import Floats

#: odd numbers of 64 random bits, as in splitmix64.
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
#: whole numbers up to here are exact in a float, and so in JSON.
_BITS = 2**53
#: weights count in steps of 2⁻¹⁶: sums of them do not depend on the order of accounts.
_FINE = 2.0**16
_BLOCK = 16_384


def fingerprint(*columns: Floats, weight: Floats) -> float:
    """Hash weighted rows, whatever their order, and whether equal rows are one or many.

    Parameters
    ----------
    *columns : ndarray, shape (rows,)
        Of purchase histories; five at most.
    weight : ndarray, shape (rows,)
        How often each row occurs.

    Returns
    -------
    float
        A whole number below 2⁵³.
    """
    total = 0
    number, state = np.empty(_BLOCK), np.empty(_BLOCK, dtype=np.uint64)
    for start in range(0, len(weight), _BLOCK):  # blocks stay in the cache
        size = min(_BLOCK, len(weight) - start)
        plain, mixed = number[:size], state[:size]
        bits = plain.view(np.uint64)
        mixed.fill(0)
        for column, odd in zip(columns, _ODD, strict=False):
            np.add(column[start : start + size], 0.0, out=plain)  # -0.0 becomes 0.0
            mixed ^= bits
            mixed *= np.uint64(odd)
            np.right_shift(mixed, np.uint64(29), out=bits)
            mixed ^= bits
        mixed *= np.rint(weight[start : start + size] * _FINE).astype(np.uint64)
        total += int(mixed.sum(dtype=np.uint64))
    return float(total % _BITS)
