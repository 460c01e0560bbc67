"""The Monte Carlo of sums: what groups of accounts are worth in each draw, by account or by matched moments.

An account's worth in a draw is its value times how much more or less than others it responds, both log-normal about
their means. Each account has a random stream of its own, made from the seed and its id: plans that are compared see the
same luck (common random numbers), whatever else is in them, in whatever order, on however many processors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv.abm.loop.shrinkage import Floats

#: of each group so many accounts, those that add most to its variance, are drawn one by one.
EXACT_ACCOUNTS = 200
_WORKERS = 2
#: accounts whose noise is in memory at once, a thread.
_CHUNK = 16


@dataclass(frozen=True)
class Accounts:
    """Accounts of one or several plans.

    Attributes
    ----------
    ids : list of str
        Distinct.
    mean : numpy.ndarray, shape (N,)
        Expected value of each.
    sd : numpy.ndarray, shape (N,)
        Standard deviation of its value that it does not share with others; 0 where `draws` are given.
    draws : numpy.ndarray of float32, shape (N, S), or None
        Joint draws of the values.
    spread : float
        Standard deviation of an account's response relative to that of its tier.
    """

    ids: Sequence[str]
    mean: Floats
    sd: Floats
    draws: NDArray[np.float32] | None
    spread: float

    def log_sd(self) -> Floats:
        """Return the standard deviation of the logarithm of each account's own noise."""
        ratio = np.divide(self.sd, np.abs(self.mean), out=np.zeros(len(self.mean)), where=self.mean != 0)
        return np.sqrt(np.log1p(ratio**2) + np.log1p(self.spread**2))


def group_sums(
    accounts: Accounts, group: NDArray[np.int64], groups: int, *, column: NDArray[np.int64], seed: int, exact: bool
) -> tuple[Floats, int]:
    """Sum of the accounts' worth in each group and draw.

    Parameters
    ----------
    accounts : Accounts
    group : numpy.ndarray of int, shape (N,)
        Group of each account, from 0.
    groups : int
    column : numpy.ndarray of int, shape (D,)
        Which joint draw of the values each draw uses.
    seed : int
    exact : bool
        Draw every account; else of each group the `EXACT_ACCOUNTS` that matter most, and of its rest the sum, from the
        shifted gamma distribution of the same mean, variance and skewness (Pearson's type III). A sum of many
        independent parts none of which dominates is close to normal (Berry & Esseen), and closer with its skewness;
        of a few accounts it is neither, so that small groups are drawn in full.

    Returns
    -------
    sums : numpy.ndarray, shape (groups, D)
    drawn : int
        Accounts that were drawn one by one.
    """
    size = len(column)
    noise = accounts.log_sd()
    chosen = np.flatnonzero(noise > 0)
    if not exact:
        weight = accounts.mean[chosen] ** 2 * np.expm1(noise[chosen] ** 2)
        order = np.lexsort((-weight, group[chosen]))
        own = group[chosen][order]
        chosen = np.sort(chosen[order[np.arange(len(own)) - np.searchsorted(own, own) < EXACT_ACCOUNTS]])
    sums = np.zeros((groups, size))
    _drawn_one_by_one(accounts, chosen, noise, group, sums, column, seed)
    rest = np.ones(len(noise), dtype=bool)
    rest[chosen] = False
    _by_moments(accounts, rest, noise, group, sums, column, seed)
    return sums, len(chosen)


def _drawn_one_by_one(
    accounts: Accounts,
    chosen: NDArray[np.int64],
    noise: Floats,
    group: NDArray[np.int64],
    sums: Floats,
    column: NDArray[np.int64],
    seed: int,
) -> None:
    """Add the chosen accounts, in two threads: numpy draws without the interpreter's lock."""
    # Accounts of one group stand together; the threads' shares are fixed, so that sums are added in one order.
    order = chosen[np.argsort(group[chosen], kind="stable")]
    shares = [part for part in np.array_split(order, _WORKERS) if len(part)]

    def work(share: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
        present = np.unique(group[share])
        out = np.zeros((len(present), len(column)))
        block = np.empty((_CHUNK, len(column)), dtype=np.float32)
        place = np.searchsorted(present, group[share])
        first = 0
        while first < len(share):
            last = min(first + _CHUNK, len(share), first + int(np.searchsorted(place[first:], place[first], "right")))
            rows = block[: last - first]
            for row, i in zip(rows, share[first:last], strict=True):
                _worth(accounts, int(i), float(noise[i]), column, seed, row)
            out[place[first]] += rows.sum(axis=0)
            first = last
        return out, present

    if len(shares) > 1 and len(order) > 64 and (os.cpu_count() or 1) > 1:
        with ThreadPoolExecutor(len(shares)) as pool:
            found = list(pool.map(work, shares))
    else:
        found = [work(share) for share in shares]
    for out, present in found:
        sums[present] += out


def _worth(
    accounts: Accounts, i: int, noise: float, column: NDArray[np.int64], seed: int, row: NDArray[np.float32]
) -> None:
    """Worth of one account in each draw, into `row`."""
    own_stream(seed, accounts.ids[i]).standard_normal(dtype=np.float32, out=row)
    row *= np.float32(noise)
    row -= np.float32(noise * noise / 2)
    np.exp(row, out=row)
    row *= np.float32(accounts.mean[i]) if accounts.draws is None else accounts.draws[i][column]


def _by_moments(
    accounts: Accounts,
    rest: NDArray[np.bool_],
    noise: Floats,
    group: NDArray[np.int64],
    sums: Floats,
    column: NDArray[np.int64],
    seed: int,
) -> None:
    """Add what is left of each group: its mean, and noise of its variance and skewness."""
    one = np.expm1(noise**2)  # variance of the account's own factor, whose mean is 1
    third = one**2 * (one + 3)  # its third central moment
    for k in np.unique(group[rest]):
        at = np.flatnonzero(rest & (group == k))
        if accounts.draws is None:
            mean, square, cube = (np.full(1, float(m)) for m in _moments(accounts.mean[at], one[at], third[at]))
            of = np.zeros(len(column), dtype=np.int64)
        else:
            parts = [np.zeros(accounts.draws.shape[1]) for _ in range(3)]
            for block in np.array_split(at, max(1, len(at) // 512)):
                values = accounts.draws[block].astype(float)
                for total, part in zip(parts, _moments(values, one[block, None], third[block, None]), strict=True):
                    total += part
            (mean, square, cube), of = parts, column
        sums[k] += mean[of]
        if square.max(initial=0.0) > 0:
            rng = own_stream(seed, f"rest of group \x1f{accounts.ids[int(at.min())]}\x1f{len(at)}")
            sums[k] += _pearson_three(rng, np.sqrt(square), cube, of)


def _moments(value: Floats, one: Floats, third: Floats) -> tuple[Floats, Floats, Floats]:
    return value.sum(axis=0), (value**2 * one).sum(axis=0), (value**3 * third).sum(axis=0)


def _pearson_three(rng: np.random.Generator, sd: Floats, cube: Floats, of: NDArray[np.int64]) -> Floats:
    """Centred noise with this standard deviation and third central moment, one a draw."""
    skew = np.divide(cube, sd**3, out=np.zeros(len(sd)), where=sd > 0)
    typical = float(np.average(skew))
    if abs(typical) < 1e-4:
        return sd[of] * rng.standard_normal(len(of))
    shape = 4 / typical**2
    return np.sign(typical) * sd[of] * (rng.standard_gamma(shape, len(of)) - shape) / np.sqrt(shape)


def own_stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream of a name: the same for every plan and order."""
    digest = hashlib.blake2b(name.encode(), digest_size=16, key=str(seed).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([int(w) for w in words])))
