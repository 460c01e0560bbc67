"""What it would be worth to know: the value of partial information, for groups of accounts and for parameters.

``EVPPI(φ) = E_φ[max_plan E[net | φ]] − max_plan E[net]`` (Raiffa & Schlaifer 1961). The expectation given φ is a
regression of the drawn values on φ (Strong, Oakley & Brennan 2014), the best plan for it an allocation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from clv.abm.robust.replan import Replanner
from clv.errors import DataError

#: values of a single parameter at which plans are made: midpoints of equal shares of its draws.
_POINTS = 15
_DEGREE = 3


def groups_of(
    groups: str | Mapping[str, Sequence[str]], accounts: pd.Index, column: tuple[np.ndarray, list[str]] | None
) -> dict[str, np.ndarray]:
    """Flag (N,) the accounts of each group, by a column's codes and names, or by lists of ids."""
    if isinstance(groups, str):
        assert column is not None
        return {name: column[0] == k for k, name in enumerate(column[1])}
    found = {}
    for name, ids in groups.items():
        at = accounts.get_indexer(pd.Index([str(account) for account in ids], dtype=object))
        if (at < 0).any():
            raise DataError(
                f"group {name!r} names account {list(ids)[int(np.argmax(at < 0))]!r}, which has no option.",
                mend="Leave it out of the group.",
                table="groups",
                column="account_id",
            )
        found[str(name)] = np.isin(np.arange(len(accounts)), at)
    return found


def partial_information(
    replanner: Replanner,
    values: np.ndarray,
    plan: np.ndarray,
    groups: dict[str, np.ndarray],
    parameters: pd.DataFrame,
    draws: int,
) -> pd.DataFrame:
    """Value of learning the values of a group, or a parameter, before the plan is made.

    Parameters
    ----------
    replanner : Replanner
    values : numpy.ndarray
        (E, S) draws of the options' values.
    plan : numpy.ndarray
        (N,) the plan without more information.
    groups : dict of str to numpy.ndarray
        Name -> (N,) flags.
    parameters : pandas.DataFrame
        (S, P).
    draws : int
        Of so many draws plans are made for a group, evenly spaced.

    Returns
    -------
    pandas.DataFrame
        learn, kind ("accounts", "parameter", "parameters"), accounts, value (money, ≥ 0).
    """
    many = values.shape[1]
    some = np.unique(np.linspace(0, many - 1, min(draws, many)).round().astype(int))
    rows = []
    for name, flags in groups.items():
        inside = flags[replanner.account]
        if not inside.any():
            continue
        told = [values[inside & (replanner.tier == t)].mean(axis=0) for t in np.unique(replanner.tier[inside])]
        fitted = _expected(values, _basis(np.column_stack(told), 1), replanner.tier)
        fitted[inside] = values[inside]
        worth = _gained(replanner, fitted[:, some], np.full(len(some), 1 / len(some)), plan)
        rows.append((name, "accounts", int(flags.sum()), worth))
    for name in parameters.columns:
        phi = parameters[name].to_numpy(float)
        fitted = _expected(values, _basis(phi[:, None], _DEGREE), replanner.tier)
        # Plans are made at the middle of equal shares of the parameter's draws: the expectation is smooth in it.
        parts = np.array_split(np.argsort(phi, kind="stable"), min(_POINTS, many))
        centre = np.column_stack([fitted[:, part].mean(axis=1) for part in parts])
        share = np.array([len(part) / many for part in parts])
        rows.append((str(name), "parameter", 0, _gained(replanner, centre, share, plan)))
    if len(parameters.columns) > 1:
        fitted = _expected(values, _basis(parameters.to_numpy(float), 2), replanner.tier)
        worth = _gained(replanner, fitted[:, some], np.full(len(some), 1 / len(some)), plan)
        rows.append(("all parameters", "parameters", 0, worth))
    return pd.DataFrame(rows, columns=["learn", "kind", "accounts", "value"])


def _basis(phi: np.ndarray, degree: int) -> np.ndarray:
    """(S, p) orthonormal polynomials of each column of φ, with the constant."""
    sd = phi.std(axis=0)
    scaled = (phi - phi.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    columns = [np.ones((len(phi), 1)), *(scaled**power for power in range(1, degree + 1))]
    left, size, _ = np.linalg.svd(np.hstack(columns), full_matrices=False)
    return left[:, size > 1e-9 * size[0]]


def _expected(values: np.ndarray, basis: np.ndarray, tier: np.ndarray) -> np.ndarray:
    """(E, S) expected values given φ: least squares, shrunk by the share of its fit that is no chance.

    Of p columns some fit is had by chance: of what is fitted, R² adjusted for p (over all accounts of a tier) is kept,
    or else plans would be made for noise and information would look valuable that is not.
    """
    mean = values.mean(axis=1, keepdims=True, dtype=float)
    fitted = (values @ basis) @ basis.T - mean
    many, p = basis.shape
    for t in np.unique(tier):
        rows = tier == t
        total = float(((values[rows] - mean[rows]) ** 2).sum())
        share = float((fitted[rows] ** 2).sum()) / total if total > 0 else 0.0
        kept = 1 - (1 - share) * (many - 1) / max(many - p, 1)
        fitted[rows] *= np.clip(kept / share, 0.0, 1.0) if share > 0 else 0.0
    return np.asarray(fitted + mean)


def _gained(replanner: Replanner, expected: np.ndarray, share: np.ndarray, plan: np.ndarray) -> float:
    """Mean gain of planning for each column of the expected values over keeping to the plan."""
    stay = replanner.worth(plan, expected)
    gain = np.zeros(len(share))
    for column in range(len(share)):
        found = replanner.best(expected[:, column])
        if found is not None:
            gain[column] = max(0.0, found.worth - stay[column])
    return float(share @ gain)
