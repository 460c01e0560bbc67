"""Steps of `clv.data`: what the study read, and one summary row an account."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from clv.data import units
from clv.data.study import Study
from clv.errors import ClvError, DataError
from clv.report.store import Store
from clv.result import Missing

if TYPE_CHECKING:
    import pandas as pd

    from clv.data.accounting.ledger import Read
    from clv.data.book import Book
    from clv.data.settings import Settings
    from clv.result import Result

_Found = TypeVar("_Found")
#: how a fault begins that says nothing without the column whose fault it is.
_BARE = re.compile(r"(is|are|was|has|does|holds|lacks|cannot|occurs) ")
_NO_COLUMN = re.compile(r"^(there is no such column|the column is missing)")


def reason(error: ClvError) -> str:
    """Say what is wrong without the place in a table that a reader of a report has never seen, and without the mend."""
    if not isinstance(error, DataError):
        return error.message
    if error.column is None:
        return f"the table {error.table} {error.fault}" if error.table and _BARE.match(error.fault) else error.fault
    if _BARE.match(error.fault):
        return f"{error.column.replace('_', ' ')} {error.fault}"
    return _NO_COLUMN.sub(f"there is no column {error.column!r}", error.fault)


@dataclass(frozen=True)
class DataSteps:
    """A study and its run folder, and what is read from them."""

    study: Study
    store: Store
    #: what a reader must know about how the numbers came about, said once by each step.
    notes: list[str] = field(default_factory=list)
    _read: dict[str, pd.DataFrame | None] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> Settings:
        """Settings of the study, overrides applied."""
        return self.study.settings

    @cached_property
    def reading(self) -> Read:
        """Transactions as read, checked against the study's tolerance, with all that was set aside."""
        reading = self.study.read("transactions")
        reading.check(self.settings.rules.max_rejected)
        self.store.put("transactions", reading.table)
        self.store.put("rejected", reading.rejected)
        self.store.put("reconciliation", reading.reconciliation)
        return reading

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """Accepted purchases."""
        kept = self.store.get("transactions")
        return self.reading.table if kept is None else kept

    @cached_property
    def as_of(self) -> pd.Timestamp:
        """Last day that counts."""
        return self.study.as_of(self.transactions)

    @cached_property
    def accounts(self) -> pd.DataFrame | None:
        """Firmographics of customers and prospects, or None where the study has none."""
        return self.table("accounts")

    def table(self, name: str) -> pd.DataFrame | None:
        """Read one of the study's further tables, checked against its tolerance; None where the study lacks it."""
        if name not in self._read:
            reading = self.study.read(name) if self.study.has(name) else None
            if reading is not None:
                reading.check(self.settings.rules.max_rejected)
            self._read[name] = None if reading is None else reading.table
        return self._read[name]

    @cached_property
    def contracts(self) -> pd.DataFrame | None:
        """Contract terms, or None where the study has none that had begun by the as-of date."""
        contracts = self.table("contracts")
        return None if contracts is None or not (contracts["start"] <= self.as_of).any() else contracts

    @property
    def cost_to_serve(self) -> float:
        """What serving an account costs over the horizon."""
        settings = self.settings
        return settings.selection.cost_to_serve * units.years(settings.horizon, settings.unit)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row an account that bought, index ``account_id``."""
        kept = self.store.get("summary")
        if kept is not None:
            return kept.set_index("account_id")
        from clv.data.summary import summarise

        settings = self.settings
        summary = summarise(self.transactions, as_of=settings.as_of, grain=settings.grain, unit=settings.unit)
        return self.store.put("summary", summary)

    @cached_property
    def coverage(self) -> Result:
        """What the study has, and what it lacks."""
        from clv.data.coverage import coverage

        return coverage(self.study)

    @cached_property
    def book(self) -> Book:
        """Purchases by month, and how concentrated they are."""
        from clv.data.book import describe_book

        return describe_book(self.transactions, currency=self.settings.currency)

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add a column ``account``: the account's name with its id where the study has names, else the id alone."""
        if table.shape == (0, 0):
            return table
        flat = table.reset_index() if table.index.name == "account_id" else table.copy()
        flat["account"] = flat["account_id"]
        if self.accounts is not None and "name" in self.accounts:
            names = flat["account_id"].map(self.accounts.set_index("account_id")["name"])
            flat["account"] = (names + " (" + flat["account_id"] + ")").fillna(flat["account_id"])
        return flat

    def _say(self, note: str) -> None:
        """Tell a reader something once."""
        if note not in self.notes:
            self.notes.append(note)

    @staticmethod
    def _told(otherwise: str, find: Callable[[], _Found]) -> _Found | Missing:
        """Find something, or say why it cannot be found."""
        try:
            return find()
        except ClvError as error:
            return Missing.because(f"{otherwise}: {reason(error)}")
