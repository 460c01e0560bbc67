"""Bookkeeping of a reading: read = accepted + rejected, exactly, in rows and in money.

Money is added up in whole millionths of the currency, so that equality is equality and not a tolerance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.data.accounting.ledger import MICRO, Read, describe, exact_sum, money_column, to_micros
from clv.data.reading.cell_text import to_text
from clv.data.reading.cells import Cells

Entry = tuple[str, int, int, int]


@dataclass
class Ledger:
    """Books each row of a source once: rejected for its first reason, or accepted.

    Parameters
    ----------
    name : str
        The table.
    cells : Cells
        What was read.
    amount : numpy.ndarray
        float per row: money as read, NaN where there is none.
    """

    name: str
    cells: Cells
    amount: np.ndarray
    lines: list[tuple[str, str, np.ndarray, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open = np.ones(len(self.cells.frame), dtype=bool)
        self.reasons: dict[int, str] = {}
        self.micros = to_micros(self.amount)

    def reject(
        self, rule: str, kind: str, mask: np.ndarray, reason: str | dict[int, str], *, remove: bool = True
    ) -> None:
        """Book rows that meet a check and are not yet rejected; `reason` for all of them or per row."""
        booked = mask & self.open if remove else np.zeros_like(mask)
        self.open &= ~booked
        for at in np.flatnonzero(booked).tolist():
            self.reasons[at] = reason if isinstance(reason, str) else reason[at]
        self.lines.append((rule, kind, mask, booked))

    def close(self, accepted: pd.DataFrame, taken: np.ndarray, *, max_rejected: float) -> Read:
        """Balance the books and hand over the reading.

        Parameters
        ----------
        accepted : pandas.DataFrame
            Canonical columns of the rows that are not rejected, amounts as they are to be used.
        taken : numpy.ndarray
            int64 per row: by how many millionths a row's money is less than what was read.
        max_rejected : float
            See `Read`.
        """
        rows = self.cells.rows
        body = [
            (rule, int(booked.sum()), exact_sum(self.micros[booked]), int(mask.sum()))
            for rule, _, mask, booked in self.lines
            if mask.any()
        ]
        kept = exact_sum(self.micros[self.open]) - exact_sum(taken[self.open])
        if taken[self.open].any():
            body.append(("netting", 0, exact_sum(taken[self.open]), int((taken[self.open] != 0).sum())))
        read = ("read", len(rows), exact_sum(self.micros), len(rows))
        entries = [read, *body, ("accepted", int(self.open.sum()), kept, int(self.open.sum()))]
        reconciliation = pd.DataFrame(
            {
                "table": self.name,
                "line": [entry[0] for entry in entries],
                "rows": np.array([entry[1] for entry in entries], dtype="int64"),
                "amount": [entry[2] / MICRO for entry in entries],
                "found": np.array([entry[3] for entry in entries], dtype="int64"),
            }
        )
        rejected = self._rejected()
        self._balance(entries, accepted, rejected)
        return Read(
            table=accepted,
            text=describe(self.name, entries, {rule for rule, kind, _, _ in self.lines if kind == "error"}),
            name=self.name,
            rejected=rejected,
            reconciliation=reconciliation,
            rows=rows[self.open],
            max_rejected=max_rejected,
        )

    def _rejected(self) -> pd.DataFrame:
        at = np.flatnonzero(~self.open)
        rule = np.empty(len(self.open), dtype=object)
        kind = np.empty(len(self.open), dtype=object)
        for name, sort, _, booked in self.lines:
            rule[booked], kind[booked] = name, sort
        return pd.DataFrame(
            {
                "table": pd.Series([self.name] * len(at), dtype=str),
                "row": self.cells.rows[at],
                "kind": pd.Series(kind[at].tolist(), dtype=str),
                "rule": pd.Series(rule[at].tolist(), dtype=str),
                "reason": pd.Series([self.reasons[position] for position in at.tolist()], dtype=str),
                "amount": self.amount[at].astype(float),
                "record": pd.Series(_records(self.cells, at), dtype=str),
            }
        )

    def _balance(self, entries: Sequence[Entry], accepted: pd.DataFrame, rejected: pd.DataFrame) -> None:
        """Refuse to hand over books that do not balance: that would be a fault of this package."""
        read, body = entries[0], entries[1:]
        if read[1] != sum(entry[1] for entry in body) or read[1] != len(accepted) + len(rejected):
            raise AssertionError(f"{self.name}: rows do not balance")
        if read[2] != sum(entry[2] for entry in body):
            raise AssertionError(f"{self.name}: money does not balance")
        column = money_column(self.name)
        if column in accepted and exact_sum(to_micros(accepted[column].to_numpy())) != entries[-1][2]:
            raise AssertionError(f"{self.name}: accepted money is not what the books say")


def _records(cells: Cells, at: np.ndarray) -> list[str]:
    """Write rows as JSON, as read; each distinct cell is written once."""
    part = cells.frame.iloc[at]
    columns = []
    for name in part.columns:
        codes, distinct = pd.factorize(part[name], use_na_sentinel=True)
        texts = to_text(pd.Series(distinct)).tolist()
        key = f"{_json(str(name))}: "
        written = np.array([*(key + _json(text) for text in texts), f"{key}null"], dtype=object)
        columns.append(written[codes])
    rows = [f"{{{', '.join(row)}}}" for row in zip(*columns, strict=True)]
    for place, position in enumerate(at.tolist()):
        if position in cells.broken:
            rows[place] = _json(cells.broken[position])
    return rows


def _json(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
