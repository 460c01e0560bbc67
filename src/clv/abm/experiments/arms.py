"""The table of an experiment, checked: who was in which arm, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from clv.abm.experiments.linear import Codes, Floats
from clv.abm.experiments.trial import Adjustment, Comparison
from clv.abm.wording import accounts, listed
from clv.errors import DataError, SettingsError

TABLE = "experiment"
#: treated and control accounts needed a covariate before each arm gets a slope of its own.
LIN_ACCOUNTS = 20
#: and before anything is taken off at all.
CUPED_ACCOUNTS = 4


@dataclass(frozen=True)
class Arms:
    """A checked experiment.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows as given, index 0, 1, …
    arm, block, cluster : pandas.Series of str
    control : str
    treatments : tuple of str
        The other arms, sorted.
    clustered, blocked : bool
    """

    frame: pd.DataFrame
    arm: pd.Series
    block: pd.Series
    cluster: pd.Series
    control: str
    treatments: tuple[str, ...]
    clustered: bool
    blocked: bool

    def rows(self, treatment: str, inside: np.ndarray | None = None) -> np.ndarray:
        """Positions of the rows of one treatment and of the control."""
        keep = self.arm.isin([treatment, self.control]).to_numpy()
        return np.flatnonzero(keep if inside is None else keep & inside)

    def comparison(
        self, treatment: str, rows: np.ndarray, covariates: Floats | None, adjustment: Adjustment
    ) -> Comparison:
        """Put treatment and control side by side; ``rows`` may hold other arms, which count as not treated."""
        return Comparison.of(
            (self.arm.iloc[rows] == treatment).to_numpy(),
            block=codes(self.block.iloc[rows]),
            cluster=codes(self.cluster.iloc[rows]),
            covariates=None if covariates is None else covariates[rows],
            adjustment=adjustment,
        )


def codes(labels: pd.Series) -> Codes:
    """Whole numbers for labels, in the labels' order."""
    return np.unique(labels.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)


def check_arms(
    data: pd.DataFrame,
    *,
    arm: str = "arm",
    control: str = "control",
    block: str | Sequence[str] | None = None,
    cluster: str | None = None,
) -> Arms:
    """Check who was in which arm.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account (a row a deal or recipient with `cluster`); columns account_id (optional) and `arm`.
    control : str
        The arm that got nothing.
    block : str or sequence of str, optional
        Columns of the randomisation blocks.
    cluster : str, optional
        Column of what was randomised, where that is not the row.

    Raises
    ------
    DataError
        No control, no treatment, an arm of one account, an account in two arms, a cluster or an account split, two
        spellings of an arm, an outcome from before the treatment.
    """
    if not isinstance(data, pd.DataFrame) or data.empty:
        raise DataError("has no rows.", table=TABLE, mend="Give a row an account with its arm and its outcome.")
    frame = data.reset_index() if data.index.name == "account_id" and "account_id" not in data else data
    frame, control = frame.reset_index(drop=True), str(control)
    blocks = [block] if isinstance(block, str) else list(block or [])
    for name in [arm, *blocks, *([cluster] if cluster else [])]:
        filled(frame, name)
    arms = frame[arm].astype(str)
    _refuse_spellings(arms, arm)
    treatments = tuple(sorted(set(arms) - {control}))
    if control not in set(arms):
        raise DataError(
            f"there is no account in the arm {control!r}, only in {listed(sorted(set(arms)))}: without a control"
            " nothing can be said about what the programme changed.",
            table=TABLE, column=arm, mend="Name the control arm, or leave a holdout next time.",
        )  # fmt: skip
    if not treatments:
        raise DataError("all accounts are controls.", table=TABLE, column=arm, mend="Give the treated accounts too.")
    clusters = _clusters(frame, arms, arm, cluster)
    block_of = frame[blocks].astype(str).agg("\x1f".join, axis=1) if blocks else pd.Series("", index=frame.index)
    spans = block_of.groupby(clusters).nunique()
    if (spans > 1).any():
        raise DataError(
            f"{spans.idxmax()!r} lies in {spans.max()} blocks.",
            table=TABLE, column=blocks[0], mend="What was randomised together belongs to one block.",
        )  # fmt: skip
    for name in (control, *treatments):
        units = clusters[arms == name].nunique()
        if units < 2:
            raise DataError(
                f"the arm {name!r} has one {'cluster' if cluster else 'account'}: its luck cannot be told from an"
                " effect.",
                table=TABLE, column=arm, mend="At least two, better twenty, are needed in every arm.",
            )  # fmt: skip
    _refuse_early(frame)
    return Arms(frame, arms, block_of, clusters, control, treatments, cluster is not None, bool(blocks))


def _refuse_spellings(arms: pd.Series, column: str) -> None:
    """Refuse arms whose names differ by capitals or blanks only: one arm would be taken for two."""
    names = sorted(set(arms))
    for one, other in combinations(names, 2):
        if one.strip().casefold() == other.strip().casefold():
            rare = min((one, other), key=lambda name: int((arms == name).sum()))
            raise DataError(
                f"{one!r} and {other!r} look like one arm written in two ways.",
                table=TABLE, column=column, row=int(np.argmax((arms == rare).to_numpy())) + 1,
                mend="Write each arm in one way.",
            )  # fmt: skip


def _refuse_early(frame: pd.DataFrame) -> None:
    """Refuse outcomes that were measured before the treatment began (columns start and measured_from, if there)."""
    if not {"start", "measured_from"} <= set(frame.columns):
        return
    early = (_dates(frame, "measured_from") < _dates(frame, "start")).to_numpy()
    if early.any():
        raise DataError(
            f"{int(early.sum())} outcomes were measured before the treatment began.",
            table=TABLE, column="measured_from", row=int(np.argmax(early)) + 1,
            mend="Count outcomes from the start on; what was before belongs into a covariate.",
        )  # fmt: skip


def _dates(frame: pd.DataFrame, name: str) -> pd.Series:
    """Read a column of dates; empty where it is."""
    dates = pd.to_datetime(frame[name], errors="coerce", format="ISO8601")
    wrong = (dates.isna() & frame[name].notna()).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{frame[name].iloc[row]!r} is no date.", table=TABLE, column=name, row=row + 1,
                        mend="Give dates such as 2025-03-31.")  # fmt: skip
    return dates


def _clusters(frame: pd.DataFrame, arms: pd.Series, arm: str, cluster: str | None) -> pd.Series:
    """Label what was randomised; each has one arm."""
    if cluster is None:
        if "account_id" not in frame.columns:
            return pd.Series(np.arange(len(frame)).astype(str), index=frame.index)
        filled(frame, "account_id")
        twice = frame["account_id"].duplicated().to_numpy()
        if twice.any():
            name = frame["account_id"].iloc[int(np.argmax(twice))]
            both = len(set(arms[frame["account_id"] == name])) > 1
            raise DataError(
                f"{name!r} is there twice{', in two arms' if both else ''}.",
                table=TABLE, column="account_id", row=int(np.argmax(twice)) + 1,
                mend="Give one row an account"
                + (" and the arm it was drawn into." if both else ", or cluster='account_id' for rows of deals."),
            )  # fmt: skip
        return frame["account_id"].astype(str)
    labels = frame[cluster].astype(str)
    split = arms.groupby(labels).nunique()
    if (split > 1).any():
        raise DataError(
            f"{split.idxmax()!r} is in {split.max()} arms, although it is said to have been randomised as a whole.",
            table=TABLE, column=arm, mend=f"Check {cluster!r}, or give the unit that was randomised.",
        )  # fmt: skip
    if "account_id" in frame.columns:
        two = arms.groupby(frame["account_id"].astype(str)).transform("nunique").to_numpy() > 1
        if two.any():
            row = int(np.argmax(two))
            raise DataError(
                f"{frame['account_id'].iloc[row]!r} is in two arms.",
                table=TABLE, column="account_id", row=row + 1, mend="Give the account the arm it was drawn into.",
            )  # fmt: skip
    return labels


def need(frame: pd.DataFrame, name: str) -> None:
    """Refuse a table that lacks a column."""
    if name not in frame.columns:
        have = ", ".join(map(str, frame.columns))
        raise DataError(f"there is no such column; there are {have}.", table=TABLE, column=name, mend="Name it.")


def filled(frame: pd.DataFrame, name: str) -> None:
    """Refuse a column that is not there, or is empty somewhere."""
    need(frame, name)
    empty = frame[name].isna().to_numpy()
    if empty.any():
        raise DataError(
            f"is empty for {int(empty.sum())} rows.",
            table=TABLE, column=name, row=int(np.argmax(empty)) + 1,
            mend="Say for every row which account it is, and in which arm, block and group.",
        )  # fmt: skip


def shared_blocks(arms: Arms, keep: np.ndarray) -> np.ndarray:
    """Leave out blocks in which one of the two arms has nobody left."""
    kept = _shared(arms, keep)
    if not len(kept):
        raise DataError("no block holds both arms.", table=TABLE, mend="Give the blocks within which arms were drawn.")
    return kept


def _shared(arms: Arms, keep: np.ndarray) -> np.ndarray:
    both = arms.arm.iloc[keep].groupby(arms.block.iloc[keep]).transform("nunique").to_numpy() == 2
    return keep[both]


def units_of(arms: Arms, rows: np.ndarray, treatment: str) -> list[int]:
    """Count the units of a treatment and of the control."""
    return [arms.cluster.iloc[rows][arms.arm.iloc[rows] == arm].nunique() for arm in (treatment, arms.control)]


def too_few(arms: Arms, rows: np.ndarray, treatment: str, label: str) -> str:
    """Say of a group that one of two arms has fewer than two units that can be compared; nothing if it has more."""
    for kept, where in ((rows, ""), (_shared(arms, rows), " in blocks of both")):
        units = units_of(arms, kept, treatment)
        if min(units) < 2:
            what = "groups" if arms.clustered else "accounts"
            return f"{label} has {units[0]} {what} in {treatment} and {units[1]} in {arms.control}{where}"
    return ""


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Read a column of finite numbers; NaN where it is empty."""
    need(frame, name)
    if not (pd.api.types.is_numeric_dtype(frame[name].dtype) or pd.api.types.is_bool_dtype(frame[name].dtype)):
        raise DataError("does not hold numbers.", table=TABLE, column=name, mend="Give numbers.")
    values = frame[name].to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise DataError("is infinite.", table=TABLE, column=name, row=row + 1, mend="Give a finite number.")
    return values


def covariate_matrix(frame: pd.DataFrame, names: Sequence[str]) -> tuple[Floats | None, list[str]]:
    """Covariates as numbers: empty ones set to the mean, which a flag beside tells apart; text as indicators.

    Returns
    -------
    matrix : numpy.ndarray, shape (rows, columns), or None
    notes : list of str
        What was filled.
    """
    table, notes = covariate_table(frame, names)
    return (table.to_numpy(dtype=float) if len(table.columns) else None), notes


def covariate_table(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Tabulate covariates as `covariate_matrix` does, each column with its name."""
    columns: dict[str, Floats] = {}
    notes = []
    for name in names:
        need(frame, name)
        if not pd.api.types.is_numeric_dtype(frame[name].dtype):
            levels = pd.get_dummies(frame[name].astype("str"), dtype=float)
            columns |= {f"{name} {level}": levels[level].to_numpy() for level in list(levels)[1:]}
            continue
        values = numbers(frame, name)
        gaps = np.isnan(values)
        if gaps.all():
            raise DataError("is empty.", table=TABLE, column=name, mend="Leave the covariate out.")
        columns[name] = np.where(gaps, values[~gaps].mean(), values)
        if gaps.any():
            columns[f"{name} unknown"] = gaps.astype(float)
            notes.append(f"{name} was unknown for {accounts(int(gaps.sum()))} and set to the mean")
    return pd.DataFrame(columns, index=frame.index), notes


def chosen_adjustment(asked: str, covariates: Floats | None, smallest_arm: int) -> Adjustment:
    """Choose by size alone, never by result: see `LIN_ACCOUNTS` and `CUPED_ACCOUNTS`."""
    if asked not in ("auto", "none", "cuped", "lin"):
        raise SettingsError(f"adjustment = {asked!r} is not known.", mend="Use 'auto', 'none', 'cuped' or 'lin'.")
    if covariates is None or asked == "none":
        return "none"
    if covariates.shape[1] >= smallest_arm:
        raise SettingsError(
            f"there are {covariates.shape[1]} covariates for {smallest_arm} in the smaller arm: they would explain all"
            " and show nothing.",
            mend="Give the few that predict the outcome best, such as its value before the start; or none.",
        )
    if asked == "auto":
        each = smallest_arm / covariates.shape[1]
        return "lin" if each >= LIN_ACCOUNTS else "cuped" if each >= CUPED_ACCOUNTS else "none"
    return asked  # type: ignore[return-value]
