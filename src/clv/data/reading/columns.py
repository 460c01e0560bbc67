"""What is known of one column on its way: how it is written, what it became, which rows are in fault."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.data.reading.dates import Reading
from clv.data.reading.numerals import Decimal


@dataclass(frozen=True, eq=False)
class Fault:
    """Rows of one column that fail one check."""

    check: str
    column: str
    mask: np.ndarray
    #: completes the sentence "COLUMN VALUE …".
    reason: str
    mend: str


@dataclass(frozen=True, eq=False)
class Converted:
    """A column in its canonical type; a row that is in fault is missing in it."""

    values: pd.Series
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Format:
    """How the numbers and dates of a column are written, once that is decided."""

    decimal: Decimal = "."
    thousands: str | None = None
    dates: Reading = field(default_factory=Reading)
    #: dates later than `Rules.latest` are faults: things that have happened cannot lie ahead.
    past: bool = False
