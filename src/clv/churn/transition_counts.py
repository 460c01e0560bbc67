"""Moves from month to month, counted from stays; what cannot be counted is said."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.rfm_segments import LIFE_STAGES, NON_BUYERS, SEGMENTS
from clv.churn.stages import STAGES
from clv.churn.stays import History
from clv.errors import DataError, SettingsError

#: stages that are known by name, in their order.
_KNOWN = (STAGES, tuple(LIFE_STAGES), SEGMENTS + NON_BUYERS)


class Counts(NamedTuple):
    """Moves of all accounts.

    Attributes
    ----------
    states, groups : tuple of str
    moves : numpy.ndarray of int64, shape (groups, states, states)
        Account-months, from row to column.
    now : numpy.ndarray of int64, shape (groups, states)
        Accounts at the last month-end.
    gaps : int
        Pairs of stays with months missing in between; the move is not known and not counted.
    stays : numpy.ndarray of int64, shape (groups, states, 2)
        Stays, and those that were seen to end.
    last : pandas.Timestamp
    """

    states: tuple[str, ...]
    groups: tuple[str, ...]
    moves: NDArray[np.int64]
    now: NDArray[np.int64]
    gaps: int
    stays: NDArray[np.int64]
    last: pd.Timestamp


def count_moves(history: pd.DataFrame | History, by: str | pd.Series | None, states: tuple[str, ...] | None) -> Counts:
    """Count the moves of a history, by group if there is one; see `clv.transition_matrix`."""
    stays = history.table if isinstance(history, History) else history
    if not isinstance(stays, pd.DataFrame):
        mend = "Give .history or .segments of clv.lifecycle, or what clv.stage_history returns."
        raise DataError(f"it is a {type(history).__name__}, not a history.", table="history", mend=mend)
    for name in ("account_id", "from", "to", "stage"):
        if name not in stays.columns:
            raise DataError("is missing.", table="history", column=name, mend="Use clv.lifecycle or clv.stage_history.")
        if stays[name].isna().any():
            row = int(np.argmax(stays[name].isna().to_numpy())) + 1
            raise DataError("is empty.", table="history", column=name, row=row, mend="Give every stay in full.")
    if stays.empty:
        raise DataError("has no stay.", table="history", mend="See what was left out of it.")
    names = _states(stays["stage"], states if states is not None else getattr(history, "states", None))
    group, groups = _groups(stays, by)
    stage = pd.Index(names).get_indexer(pd.Index(stays["stage"]))
    begin, end = _month(stays["from"]), _month(stays["to"])
    if (end < begin).any():
        row = int(np.argmax(end < begin))
        raise DataError(
            f"account {stays['account_id'].iloc[row]!r}: the stay ends before it begins.",
            table="history", column="to", row=row + 1, mend="Give the first and last month-end of each stay.",
        )  # fmt: skip
    account = pd.factorize(stays["account_id"])[0]
    order = np.lexsort((begin, account))
    account, begin, end, stage, group = (values[order] for values in (account, begin, end, stage, group))
    same = account[1:] == account[:-1]
    step = begin[1:] - end[:-1]
    if (same & (step < 1)).any():
        row = int(order[1:][same & (step < 1)][0])
        raise DataError(
            f"account {stays['account_id'].iloc[row]!r}: two stays overlap ({int((same & (step < 1)).sum())} in all).",
            table="history", column="from", row=row + 1, mend="An account is in one stage at a time.",
        )  # fmt: skip
    k, g = len(names), len(groups)
    moves, counted = np.zeros((g, k, k), dtype=np.int64), np.zeros((g, k, 2), dtype=np.int64)
    np.add.at(moves, (group, stage, stage), end - begin)
    follows = same & (step == 1)
    np.add.at(moves, (group[:-1][follows], stage[:-1][follows], stage[1:][follows]), 1)
    np.add.at(counted[..., 0], (group, stage), 1)
    np.add.at(counted[..., 1], (group[:-1][follows], stage[:-1][follows]), 1)
    now = np.zeros((g, k), dtype=np.int64)
    at_end = end == end.max()
    np.add.at(now, (group[at_end], stage[at_end]), 1)
    last = pd.Timestamp(stays["to"].max())
    return Counts(names, groups, moves, now, int((same & (step > 1)).sum()), counted, last)


def _month(dates: pd.Series) -> NDArray[np.int64]:
    return dates.to_numpy(dtype="datetime64[M]").astype("int64")


def _states(stage: pd.Series, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the stages in order; a stage that does not belong to the others is named and counted."""
    counts = stage.value_counts()
    if given is None:
        # The vocabulary to which most stays belong; none of them: the stages as they are, in the order of the alphabet.
        best = max(_KNOWN, key=lambda known: int(counts[counts.index.isin(known)].sum()))
        given = best if counts.index.isin(best).any() else tuple(sorted(counts.index))
    names = tuple(given)
    if len(set(names)) != len(names) or not names:
        raise SettingsError(f"states: found {given!r}.", mend="Name each stage once.")
    unknown = counts[~counts.index.isin(names)]
    if len(unknown):
        listed = ", ".join(f"{name!r} ({count:,})" for name, count in sorted(unknown.items()))
        raise DataError(
            f"{len(unknown)} unknown stage{'s' * (len(unknown) != 1)}: {listed}.",
            table="history", column="stage", row=int(np.argmax(~stage.isin(names).to_numpy())) + 1,
            mend=f"Known are {', '.join(names)}; correct them, or name all stages in 'states'.",
        )  # fmt: skip
    return names


def _groups(stays: pd.DataFrame, by: str | pd.Series | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if by is None:
        return np.zeros(len(stays), dtype=np.int64), ("all",)
    if isinstance(by, str):
        if by not in stays.columns:
            raise DataError("is missing.", table="history", column=by, mend="Give a Series indexed by account_id.")
        values = stays[by]
    else:
        if not by.index.is_unique:
            raise DataError("an account is there twice.", table="by", mend="Give one group an account.")
        values = by.reindex(stays["account_id"])
    text = values.astype(object).where(values.notna(), "(unknown)").astype(str).to_numpy(dtype=object)
    codes, groups = pd.factorize(text, sort=True)
    return codes.astype(np.int64), tuple(map(str, groups))
