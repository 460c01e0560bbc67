"""The errors that clv raises: each says what is wrong, where, and what mends it."""

from __future__ import annotations


class ClvError(Exception):
    """Base of every error that clv raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence.
    mend : str, optional
        What the reader can do about it.
    """

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        self.message = message
        self.mend = mend
        super().__init__(message if mend is None else f"{message} Mend: {mend}")


class SettingsError(ClvError):
    """A setting is unknown, of the wrong type, or impossible; named by its path in ``study.yml``."""


class DataError(ClvError):
    """A table cannot be used as it is.

    Parameters
    ----------
    message, mend : str
        As in `ClvError`.
    table, column : str, optional
        Where the fault is.
    row : int, optional
        Row number in the source, counted as a person sees it: the first row under the header is 2 in a
        text file or a sheet, 1 in a database or Parquet.

    Attributes
    ----------
    fault : str
        The message without the place.
    """

    def __init__(
        self,
        message: str,
        *,
        mend: str | None = None,
        table: str | None = None,
        column: str | None = None,
        row: int | None = None,
    ) -> None:
        self.fault, self.table, self.column, self.row = message, table, column, row
        place = ", ".join(
            f"{kind} {value!r}" if kind != "row" else f"row {value}"
            for kind, value in (("table", table), ("column", column), ("row", row))
            if value is not None
        )
        super().__init__(f"{place}: {message}" if place else message, mend=mend)


class UnitError(ClvError):
    """Data in one time unit met a model that was fitted in another."""


class FitError(ClvError):
    """A model cannot be fitted to these data: no optimum, or parameters that the data do not identify."""


class NotFittedError(ClvError, ValueError, AttributeError):
    """A model was asked for a prediction before it was fitted."""


class InfeasibleError(ClvError):
    """No allocation satisfies the limits."""


class RunError(ClvError):
    """A report run could not be finished; what was there before is untouched."""
