"""The universe's clock: weeks since its first day on one side, calendar dates on the other; and its random streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: one child stream a part, by position: append only, or every universe changes.
STREAMS = (
    "accounts", "latent", "deals", "managers", "purchases", "spend", "invoices", "credits",
    "programmes", "expansion", "contracts", "contacts", "touches", "wallets", "deal_stages", "costs",
)  # fmt: skip


def stream(seed: int, part: str) -> np.random.Generator:
    """Return the part's own generator: what one part draws never moves another part's numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS.index(part),)))


@dataclass(frozen=True)
class Calendar:
    """Days of the universe, numbered from 0; process time is in weeks from the start of day 0.

    Attributes
    ----------
    start : pandas.Timestamp
        First day.
    days : int
        How many days; the last one is the as-of date.
    programme_day : int
        Day on which the programme starts: the first Monday of the last 52 weeks.
    """

    start: pd.Timestamp
    days: int
    programme_day: int

    @classmethod
    def of(cls, start: str, years: int) -> Calendar:
        """Build the calendar of whole years from a first day."""
        first = pd.Timestamp(start).tz_localize(None).normalize()
        days = (first + pd.DateOffset(years=years) - first).days
        earliest = days - 52 * 7
        weekday = (first + pd.Timedelta(days=earliest)).weekday()
        return cls(first, days, earliest + (-weekday) % 7)

    @property
    def end(self) -> float:
        """End of the last day, in weeks."""
        return self.days / 7

    @property
    def programme(self) -> float:
        """Start of the programme, in weeks."""
        return self.programme_day / 7

    @property
    def as_of(self) -> pd.Timestamp:
        """The last day."""
        return self.start + pd.Timedelta(days=self.days - 1)

    def day(self, weeks: np.ndarray) -> np.ndarray:
        """Return the number of the day that holds a moment (weeks); never past the last day."""
        return np.minimum(np.floor(np.asarray(weeks) * 7), self.days - 1).astype(np.int64)

    def dates(self, days: np.ndarray) -> np.ndarray:
        """Turn day numbers into dates (datetime64[ns])."""
        first = np.datetime64(self.start.date(), "D")
        return (first + np.asarray(days).astype("timedelta64[D]")).astype("datetime64[ns]")
