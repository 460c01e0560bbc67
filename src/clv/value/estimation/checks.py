"""What an account summary must be before a model looks at it; every fault is named by column, row and account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clv.errors import DataError, NotFittedError, SettingsError, UnitError

Floats = NDArray[np.float64]

#: recency may exceed T by rounding, not by more.
_ROUNDING = 1e-9
_BLOCK = 16_384


class History(NamedTuple):
    """Purchase history in arrays, one entry an account; times in the summary's unit."""

    frequency: Floats
    recency: Floats
    T: Floats


def unit_of(summary: pd.DataFrame) -> str | None:
    """Return the time unit that a summary carries, or None where it carries none."""
    about = getattr(summary, "attrs", {}).get("clv")
    return about.get("unit") if isinstance(about, dict) else None


def check_unit(fitted: str | None, summary: pd.DataFrame) -> None:
    """Refuse data measured in another unit than the model's; what carries no unit is taken on trust."""
    given = unit_of(summary)
    if fitted is not None and given is not None and fitted != given:
        raise UnitError(
            f"the model was fitted in unit {fitted!r}, the summary is in unit {given!r}.",
            mend=f"Summarise with unit={fitted!r}, or fit the model anew.",
        )


def check_fitted(model: Any) -> None:
    """Raise `NotFittedError` if a model has no parameters yet."""
    if not hasattr(model, "params_"):
        name = type(model).__name__
        raise NotFittedError(f"this {name} is not fitted.", mend=f"Call {name}.fit(summary) first.")


def fault(summary: pd.DataFrame, bad: NDArray[np.bool_], column: str, what: str, mend: str) -> DataError:
    """Describe the first faulty row of a column, and how many there are."""
    first = int(np.flatnonzero(bad)[0])
    count = int(bad.sum())
    more = "" if count == 1 else f" ({count} rows in all)"
    return DataError(
        f"account {summary.index[first]!r}: {what}{more}.", mend=mend, table="summary", column=column, row=first + 1
    )


def number_column(summary: pd.DataFrame, column: str, *, least: float = 0.0) -> Floats:
    """Read a column as finite numbers of at least `least`.

    Raises
    ------
    clv.errors.DataError
        If it is missing, not numeric, empty, below `least`, or not finite somewhere.
    """
    if not isinstance(summary, pd.DataFrame):
        raise DataError(
            f"a summary is a pandas DataFrame, not a {type(summary).__name__}.",
            mend="Use clv.summarise.",
            table="summary",
        )
    if column not in summary.columns:
        raise DataError(
            f"the column is missing; there are: {', '.join(map(str, summary.columns)) or 'none'}.",
            mend="Use clv.summarise, or rename the column.",
            table="summary",
            column=column,
        )
    if not len(summary):
        raise DataError("there is no account in it.", mend="Check the filters before it.", table="summary")
    try:
        values = summary[column].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"it is not a column of numbers ({error}).", mend="Convert it.", table="summary", column=column
        ) from None
    if values.ndim != 1:
        raise DataError("the column occurs more than once.", mend="Keep one.", table="summary", column=column)
    if not _within(values, least):
        bad = ~((values >= least) & (values < np.inf))
        value = values[np.flatnonzero(bad)[0]]
        raise fault(summary, bad, column, f"{column} is {value}", f"It must be a finite number of {least:g} or more.")
    return values


def frequency_column(summary: pd.DataFrame) -> Floats:
    """Read the column of repeat purchases: whole numbers of 0 or more."""
    frequency = number_column(summary, "frequency")
    if not pd.api.types.is_integer_dtype(summary["frequency"].dtype):
        bad = frequency != np.rint(frequency)
        if bad.any():
            value = frequency[np.flatnonzero(bad)[0]]
            raise fault(summary, bad, "frequency", f"frequency is {value}", "It counts purchases: a whole number.")
    return frequency


def purchase_history(summary: pd.DataFrame) -> History:
    """Read frequency, recency and T, and check that they can belong together.

    Raises
    ------
    clv.errors.DataError
        If a value is missing, negative, not finite; if a frequency is no whole number; if recency exceeds T;
        if an account without repeat purchases has a recency.
    """
    frequency = frequency_column(summary)
    recency = number_column(summary, "recency")
    T = number_column(summary, "T")
    late, odd = _strange(frequency, recency, T)
    if late:
        bad = recency > T * (1 + _ROUNDING)
        if bad.any():
            first = np.flatnonzero(bad)[0]
            raise fault(
                summary, bad, "recency", f"recency {recency[first]:g} exceeds T {T[first]:g}",
                "Recency runs from the first to the last purchase, T from the first purchase to the as-of date.",
            )  # fmt: skip
        recency = np.minimum(recency, T)
    if odd:
        bad = (frequency == 0) & (recency > 0)
        first = np.flatnonzero(bad)[0]
        raise fault(
            summary, bad, "recency", f"recency is {recency[first]:g} though frequency is 0",
            "Without a repeat purchase the last purchase is the first one: recency 0.",
        )  # fmt: skip
    return History(frequency, recency, T)


def _blocks(rows: int) -> Iterator[slice]:
    """Cut rows into blocks that stay in the cache: whole columns, and what is computed of them, would not."""
    return (slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK))


def _within(values: Floats, least: float) -> bool:
    """Say whether all values are finite and at least `least`; NaN is neither."""
    parts = (values[rows] for rows in _blocks(len(values)))
    return all(part.min() >= least and part.max() < np.inf for part in parts)


def _strange(frequency: Floats, recency: Floats, T: Floats) -> tuple[bool, bool]:
    """Say whether a recency exceeds its T, and whether there is one without a repeat purchase."""
    late = odd = False
    for rows in _blocks(len(T)):
        late = late or bool((recency[rows] > T[rows]).any())
        odd = odd or bool(((frequency[rows] == 0) & (recency[rows] > 0)).any())
    return late, odd


def weights(sample_weight: ArrayLike | None, summary: pd.DataFrame) -> Floats | None:
    """Check weights: one finite number of 0 or more for each account, and not all of them 0."""
    if sample_weight is None:
        return None
    values = np.asarray(sample_weight, dtype=float)
    if values.shape != (len(summary),):
        raise SettingsError(
            f"sample_weight has shape {values.shape} for {len(summary)} accounts.", mend="Give one weight an account."
        )
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise SettingsError("sample_weight must be finite, 0 or more, and not 0 throughout.", mend="Check the weights.")
    return values


def positive(value: float, name: str, *, zero: bool = False) -> float:
    """Check a number that is an argument: finite, and above 0 (or 0 where `zero` is allowed)."""
    number = float(value)
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise SettingsError(
            f"{name} is {value}.", mend=f"Give a finite number {'of 0 or more' if zero else 'above 0'}."
        )
    return number


def whole_numbers(values: ArrayLike, name: str) -> Floats:
    """Check an argument that counts: whole numbers of 0 or more."""
    count = np.asarray(values, dtype=float)
    if not (np.isfinite(count).all() and (count >= 0).all() and (count == np.rint(count)).all()):
        raise SettingsError(f"{name} is {values!r}.", mend="Give whole numbers of 0 or more.")
    return count


def quantile_level(q: float) -> float:
    """Return the probability of a quantile if it is one that every distribution of waits has: 0 ≤ q < 1."""
    if not 0 <= q < 1:
        raise SettingsError(f"q is {q}.", mend="Give a probability of 0 or more, below 1.")
    return q


def label_simulated(
    drawn: pd.DataFrame, unit: str | None, *, letter: str = "A", name: str = "account_id"
) -> pd.DataFrame:
    """Give drawn histories ids and what a summary says of its times; they are exact, so no grain and no date."""
    drawn.index = pd.Index([f"{letter}{i:07d}" for i in range(len(drawn))], name=name)
    drawn.attrs["clv"] = {"unit": unit, "grain": None, "as_of": None}
    return drawn
