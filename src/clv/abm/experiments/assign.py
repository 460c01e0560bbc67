"""Who gets what, by lot: complete, stratified, matched or clustered, from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import TABLE, filled, need, numbers
from clv.abm.experiments.linear import Codes, Floats
from clv.errors import DataError, SettingsError


def assign_arms(
    accounts: pd.DataFrame,
    *,
    arms: Mapping[str, float],
    stratify: Sequence[str] = (),
    match: str | Sequence[str] | None = None,
    cluster: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw arms.

    Parameters
    ----------
    accounts : pandas.DataFrame
        Column account_id, and the columns named below.
    arms : mapping of str to float
        Share of each arm, such as ``{"treatment": 2, "control": 1}``.
    stratify : sequence of str
        Columns within whose values the shares are kept. Strata with fewer units than the smallest block are joined.
    match : str or sequence of str, optional
        Numbers known before the start. Units most alike become blocks of the smallest size that holds the shares
        (pairs at 1 : 1, triplets at 2 : 1); one block takes up what is left over.
    cluster : str, optional
        Accounts that share its value go together (manager, parent company); those without a value go alone.
    seed : int

    Returns
    -------
    pandas.DataFrame
        Columns account_id, arm, block, cluster; in the order of `accounts`.

    Notes
    -----
    Blocks of neighbours in what predicts the outcome best are the most precise there are (Bai 2022, *American Economic
    Review* 112). With several columns neighbours are found by Mahalanobis distance, each time from the unit that is
    farthest from the middle.
    """
    frame = _checked(accounts, arms)
    unit = _units(frame, cluster)
    rng = np.random.default_rng(seed)
    labels, of_account = np.unique(unit.to_numpy(dtype=str), return_inverse=True)
    # Units come in the order of their names: the draw does not depend on the order of the rows.
    strata = _strata(frame, of_account, list(stratify), len(labels))
    names, shares = list(arms), np.array([float(arms[a]) for a in arms])
    pattern = _pattern(shares)
    # A stratum that cannot hold every arm in its share would leave accounts without anybody to compare them with.
    strata = _joined(strata, len(pattern) if pattern else math.ceil(shares.sum() / shares.min()))
    block = np.array([f"{s}" for s in strata], dtype=object)
    chosen = np.empty(len(labels), dtype=np.int64)
    columns = [match] if isinstance(match, str) else list(match or [])
    numeric = _of_units(frame, columns, of_account, len(labels)) if columns else None
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        groups = [members]
        if numeric is not None and pattern is not None:
            groups = _alike(members, numeric[members], len(pattern))
        for number, group in enumerate(groups):
            chosen[group] = _lot(len(group), shares, rng)
            if numeric is not None:
                block[group] = f"{stratum}/{number + 1:04d}" if stratum else f"{number + 1:04d}"
    return pd.DataFrame(
        {
            "account_id": frame["account_id"].astype(str),
            "arm": np.array(names, dtype=object)[chosen[of_account]],
            "block": block[of_account],
            "cluster": labels[of_account],
        }
    ).astype(str)


def _checked(accounts: pd.DataFrame, arms: Mapping[str, float]) -> pd.DataFrame:
    frame = accounts.reset_index() if accounts.index.name == "account_id" and "account_id" not in accounts else accounts
    frame = frame.reset_index(drop=True)
    filled(frame, "account_id")
    if frame["account_id"].duplicated().any():
        row = int(np.argmax(frame["account_id"].duplicated().to_numpy()))
        raise DataError(
            "is there twice.", table=TABLE, column="account_id", row=row + 1, mend="Give each account once."
        )
    if len(arms) < 2 or not all(isinstance(v, Real) and math.isfinite(v) and v > 0 for v in arms.values()):
        raise SettingsError(
            f"arms = {dict(arms)!r}.",
            mend="Give at least two arms with shares above 0: {'treatment': 1, 'control': 1}.",
        )
    return frame


def _units(frame: pd.DataFrame, cluster: str | None) -> pd.Series:
    """Label what is drawn: the account, or its cluster where it has one."""
    own = frame["account_id"].astype(str)
    if cluster is None:
        return own
    need(frame, cluster)
    return frame[cluster].astype(object).where(frame[cluster].notna(), own).astype(str)


def _of_units(frame: pd.DataFrame, columns: list[str], of_account: Codes, units: int) -> Floats:
    """Means of columns over the accounts of each unit, standardised; unknown values are the mean."""
    out = []
    for name in columns:
        values = numbers(frame, name)
        values = np.where(np.isnan(values), np.nanmean(values) if (~np.isnan(values)).any() else 0.0, values)
        mean = np.bincount(of_account, weights=values, minlength=units) / np.bincount(of_account, minlength=units)
        out.append((mean - mean.mean()) / (mean.std() or 1.0))
    return np.column_stack(out)


def _strata(frame: pd.DataFrame, of_account: Codes, columns: list[str], units: int) -> np.ndarray:
    """Stratum of each unit: that of its first account."""
    if not columns:
        return np.full(units, "", dtype=object)
    for name in columns:
        need(frame, name)
    label = frame[columns].astype("str").agg(" · ".join, axis=1).to_numpy(dtype=object)
    out = np.empty(units, dtype=object)
    # Backwards, so that the first account has the last word; by id, not by row.
    for i in np.argsort(frame["account_id"].astype(str).to_numpy(), kind="stable")[::-1]:
        out[of_account[i]] = label[i]
    return out


def _joined(strata: np.ndarray, least: int) -> np.ndarray:
    """Join strata with fewer units than that: with one another, and if need be with the smallest other."""
    names, counts = np.unique(strata.astype(str), return_counts=True)
    small = names[counts < least]
    if not len(small) or len(names) == 1:
        return strata
    out = strata.copy()
    out[np.isin(strata.astype(str), small)] = "others"
    if (out == "others").sum() < least:
        rest = [(c, n) for n, c in zip(names, counts, strict=True) if n not in set(small)]
        if rest:
            out[out == "others"] = min(rest)[1]
    return out


def _pattern(shares: Floats) -> list[int] | None:
    """Arms of the smallest block that holds the shares exactly; None where that takes more than twelve."""
    for size in range(len(shares), 13):
        counts = shares / shares.sum() * size
        if np.allclose(counts, np.rint(counts), atol=1e-9) and (np.rint(counts) >= 1).all():
            return [arm for arm, n in enumerate(np.rint(counts).astype(int)) for _ in range(n)]
    return None


def _alike(members: Codes, values: Floats, size: int) -> list[Codes]:
    """Blocks of units that are alike; one also holds what is left over, where units are least apart."""
    many = max(1, len(members) // size)
    if many == 1:
        return [members]
    if values.shape[1] == 1:
        ordered = members[np.argsort(values[:, 0], kind="stable")]
        # Money is most apart at the top: what is left over is of the smallest.
        extra = len(ordered) - many * size
        blocks = np.split(ordered[extra:], many)
        return [np.concatenate([ordered[:extra], blocks[0]]), *blocks[1:]]
    whitening = np.linalg.cholesky(
        np.linalg.pinv(np.atleast_2d(np.cov(values.T)), hermitian=True) + 1e-12 * np.eye(values.shape[1])
    )
    z = values @ whitening
    left = np.ones(len(members), dtype=bool)
    order = np.argsort(-np.linalg.norm(z - z.mean(axis=0), axis=1), kind="stable")
    blocks = []
    for i in order:
        if len(blocks) == many - 1:
            break
        if not left[i]:
            continue
        distance = np.where(left, np.linalg.norm(z - z[i], axis=1), np.inf)
        nearest = np.argsort(distance, kind="stable")[:size]
        left[nearest] = False
        blocks.append(members[nearest])
    return [*blocks, members[left]]


def _lot(size: int, shares: Floats, rng: np.random.Generator) -> Codes:
    """Arms of one block: whole parts by share, what remains by lot.

    The remainder is drawn systematically (Madow 1949), so that each arm gets more as often as its share says.
    """
    exact = shares / shares.sum() * size
    counts = np.floor(exact + 1e-9).astype(np.int64)
    rest = size - int(counts.sum())
    if rest:
        parts = np.maximum(exact - counts, 0.0)
        edges = np.concatenate([[0.0], np.cumsum(parts) * (rest / parts.sum())])
        edges[-1] = rest
        counts += np.diff(np.ceil(edges - rng.random())).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(shares)), counts))
