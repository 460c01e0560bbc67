"""A panel: the outcome of each account in each period, some accounts treated from one period on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from clv.abm.experiments.linear import Floats
from clv.abm.wording import listed
from clv.errors import DataError


@dataclass(frozen=True)
class Panel:
    """Outcomes, accounts × periods.

    Attributes
    ----------
    outcome : numpy.ndarray, shape (accounts, periods)
    treated : numpy.ndarray of bool, shape (accounts,)
    before : int
        Number of periods before the start.
    accounts, periods : pandas.Index
    """

    outcome: Floats
    treated: np.ndarray
    before: int
    accounts: pd.Index
    periods: pd.Index

    @property
    def controls(self) -> Floats:
        """Outcomes of the controls."""
        return self.outcome[~self.treated]

    @property
    def mean_treated(self) -> Floats:
        """Mean outcome of the treated, by period."""
        return self.outcome[self.treated].mean(axis=0)

    def earlier(self, start: int) -> Panel:
        """Keep only what was before the treatment, with a start that never was."""
        return Panel(self.outcome[:, : self.before], self.treated, start, self.accounts, self.periods[: self.before])


def read_panel(
    data: pd.DataFrame, *, outcome: str, start: Any, period: str = "period", treated: str = "treated"
) -> Panel:
    """Make a panel from a long table.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account and period: account_id, `period`, `outcome`, `treated` (flag of the account, or "treatment"
        and "control").
    start
        First period of the treatment, the same for all treated.

    Raises
    ------
    DataError
        A column or a cell is missing or no number, there is no control, or nothing was seen before or after the start.
    """
    for name in ("account_id", period, outcome, treated):
        if name not in data.columns:
            raise DataError("there is no such column.", table="panel", column=name, mend="Name it.")
    for name in ("account_id", period):
        empty = data[name].isna().to_numpy()
        if empty.any():
            raise DataError("is empty.", table="panel", column=name, row=int(np.argmax(empty)) + 1, mend="Fill it in.")
    if not pd.api.types.is_numeric_dtype(data[outcome].dtype):
        raise DataError("does not hold numbers.", table="panel", column=outcome, mend="Give numbers.")
    endless = np.isinf(data[outcome].to_numpy(dtype=float, na_value=np.nan))
    if endless.any():
        row = int(np.argmax(endless)) + 1
        raise DataError("is infinite.", table="panel", column=outcome, row=row, mend="Give a finite number.")
    flag = data[treated]
    if not pd.api.types.is_bool_dtype(flag.dtype):
        known = {"treatment": True, "control": False, "1": True, "0": False, "True": True, "False": False}
        unknown = sorted(set(flag.astype(str)) - set(known))
        if unknown:
            raise DataError(
                f"holds {listed([repr(u) for u in unknown[:3]])}.",
                table="panel", column=treated, mend="Use true and false, or treatment and control.",
            )  # fmt: skip
        flag = flag.astype(str).map(known)
    if data.duplicated(["account_id", period]).any():
        row = int(np.argmax(data.duplicated(["account_id", period]).to_numpy()))
        raise DataError("an account is there twice in one period.", table="panel", row=row + 1, mend="Sum it first.")
    frame = data.assign(**{treated: flag.astype(bool)})
    own = frame.groupby("account_id")[treated].nunique()
    if (own > 1).any():
        raise DataError(
            f"{own.idxmax()!r} is treated in some periods and control in others.",
            table="panel", column=treated, mend="Give a flag of the account; `start` says from when it counts.",
        )  # fmt: skip
    wide = frame.pivot_table(index="account_id", columns=period, values=outcome, dropna=False, sort=True)
    if wide.isna().any(axis=None):
        account = wide.index[int(np.argmax(wide.isna().any(axis=1).to_numpy()))]
        raise DataError(
            f"{account!r} lacks a period ({int(wide.isna().sum().sum())} cells in all).",
            table="panel", column=outcome, mend="Give 0 where nothing was bought; leave out accounts that are unknown.",
        )  # fmt: skip
    of = frame.groupby("account_id")[treated].first().reindex(wide.index).to_numpy(dtype=bool)
    try:
        before = int((wide.columns < start).sum())
    except TypeError:
        raise DataError(
            f"cannot be compared with the start {start!r}.",
            table="panel", column=period, mend="Give both as dates or as numbers.",
        ) from None  # fmt: skip
    if not of.any() or of.all():
        what = "treated account" if not of.any() else "control"
        raise DataError(f"there is no {what}.", table="panel", column=treated, mend="Give both.")
    if (~of).sum() < 2:
        raise DataError("there is one control.", table="panel", column=treated, mend="Give at least two.")
    if before < 2 or before == wide.shape[1]:
        raise DataError(
            f"{before} periods lie before the start and {wide.shape[1] - before} after it.",
            table="panel", column=period, mend="At least two before and one after are needed.",
        )  # fmt: skip
    return Panel(wide.to_numpy(float), of, before, wide.index, wide.columns)
