"""Text becomes points in time: ISO, day or month first, month names, Excel serial numbers, time zones."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from clv.errors import DataError

_TIME = (
    r"(?:[T ]+(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?\s*(?P<ap>[AaPp]\.?[Mm]\.?)?)?"
    r"\s*(?P<z>Z|UTC|GMT|[-+]\d{2}(?::?\d{2})?)?"
)
_ISO = re.compile(r"(?P<y>\d{4})(?P<sep>[-/.]?)(?P<m>\d{2})(?P=sep)(?P<d>\d{2})" + _TIME)
_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?")
_LOOSE = re.compile(r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})" + _TIME)
_LOCAL = re.compile(r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d{2})" + _TIME)
_NAMED = re.compile(r"(?P<d>\d{1,2})[ .-]*(?P<mon>[A-Za-z]{3,9})[ .,-]*(?P<y>\d{4}|\d{2})" + _TIME)
_NAMED_US = re.compile(r"(?P<mon>[A-Za-z]{3,9})\.? +(?P<d>\d{1,2}),? +(?P<y>\d{4})" + _TIME)
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")
_NAMES = [
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
]
_MONTHS = {name[:3]: at for at, name in enumerate(_NAMES, start=1)}
#: day 0 of Excel's calendar, such that every serial number from 61 (1 March 1900) on is right.
_EXCEL = dt.datetime(1899, 12, 30)


@dataclass(frozen=True)
class Reading:
    """How the dates of one column are written."""

    dayfirst: bool | None = None
    date_format: str | None = None
    timezone: str | None = None


def decide_reading(
    cells: Iterable[str], told: Reading, *, table: str | None = None, column: str | None = None
) -> Reading:
    """Decide, over a whole column, whether the day or the month comes first, and what its time zones mean.

    With a time zone told, times with an offset are converted to its clock and times without one are taken to
    be on it. With none told, times that all carry the same offset are converted to UTC. Numbers with dots
    (``01.02.2011``) are read day first, as they are written only that way.

    Parameters
    ----------
    cells : iterable of str
        Distinct cells of the column.
    told : Reading
        What the study says.
    table, column : str
        For messages.

    Raises
    ------
    DataError
        Day and month cannot be told apart, or rows contradict each other; some times carry an offset and others
        none, or offsets differ, and no time zone is told; an unknown time zone.
    """
    if told.timezone is not None:
        _zone(told.timezone, table=table, column=column)
    if told.date_format is not None:
        return told
    day_first: dict[bool, str] = {}
    unclear = ""
    offsets: dict[str | None, str] = {}
    for cell in cells:
        if _PLAIN.fullmatch(cell):
            offsets.setdefault(None, cell)
            continue
        text = cell.strip()
        found = _LOCAL.fullmatch(text)
        if found is not None:
            first, second = int(found["a"]), int(found["b"])
            if second <= 12 and (first > 12 or found["sep"] == "."):
                day_first.setdefault(True, cell)
            elif first <= 12 < second:
                day_first.setdefault(False, cell)
            elif first != second and first <= 12:
                unclear = unclear or cell
        found = found or _match(text)
        if found is not None:
            offset = found["z"]
            offsets.setdefault("+00:00" if offset in {"Z", "UTC", "GMT"} else offset, cell)
    if told.dayfirst is None and len(day_first) == 2:
        raise DataError(
            f"{day_first[True]!r} has the day first, {day_first[False]!r} the month.",
            table=table,
            column=column,
            mend="Say 'dayfirst: true' or 'dayfirst: false'; what does not fit is then rejected row by row.",
        )
    if told.dayfirst is None and unclear and not day_first:
        raise DataError(
            f"{unclear!r} can be read day first or month first.",
            table=table,
            column=column,
            mend="Say 'dayfirst: true' or 'dayfirst: false'.",
        )
    if told.timezone is None and len(offsets) > 1:
        raise DataError(
            f"times are in different zones: {' and '.join(repr(cell) for cell in list(offsets.values())[:2])}.",
            table=table,
            column=column,
            mend="Say 'timezone:', e.g. Europe/Berlin, the clock that all of them are to be read on.",
        )
    dayfirst = told.dayfirst if told.dayfirst is not None else next(iter(day_first), True)
    return Reading(dayfirst=dayfirst, timezone=told.timezone)


def parse_date(text: str, reading: Reading) -> dt.datetime | None:
    """Read one cell on the clock that `reading` says; None where it is no date that exists."""
    text = text.strip()
    try:
        if reading.date_format is not None:
            return _on_clock(dt.datetime.strptime(text, reading.date_format), reading)
        found = _match(text) or _LOCAL.fullmatch(text)
        if found is None:
            return _EXCEL + dt.timedelta(days=float(text)) if _serial(text) else None
        parts = found.groupdict()
        year = int(parts["y"])
        if len(parts["y"]) == 2:
            year += 2000 if year < 69 else 1900  # as POSIX does
        if "a" in parts:
            day, month = (parts["a"], parts["b"]) if reading.dayfirst else (parts["b"], parts["a"])
        else:
            day, month = parts["d"], parts.get("m") or _month(parts["mon"])
        moment = dt.datetime(year, int(month), int(day), *_clock(parts))
        if parts["z"]:
            moment = moment.replace(tzinfo=_offset(parts["z"]))
        return _on_clock(moment, reading)
    except (ValueError, OverflowError):
        return None


def parse_dates(texts: Sequence[str], reading: Reading) -> np.ndarray:
    """Read many cells; datetime64[us], NaT where a cell is no date. Those in plain ISO are read all at once."""
    moments = np.full(len(texts), np.datetime64("NaT", "us"), dtype="datetime64[us]")
    plain = np.zeros(len(texts), dtype=bool)
    if reading.date_format is None:
        plain = np.array([_PLAIN.fullmatch(text) is not None for text in texts], dtype=bool)
        try:
            moments[plain] = np.array(
                [text for text, is_plain in zip(texts, plain, strict=True) if is_plain], "datetime64[us]"
            )
        except ValueError:  # one of them does not exist
            plain[:] = False
    for at in np.flatnonzero(~plain).tolist():
        moments[at] = parse_date(texts[at], reading)
    return moments


def _match(text: str) -> re.Match[str] | None:
    """Match what says by itself which number is the month."""
    for pattern in (_ISO, _LOOSE, _NAMED, _NAMED_US):
        found = pattern.fullmatch(text)
        if found is not None:
            return found
    return None


def _serial(text: str) -> bool:
    """Whether a number is an Excel date of the years 1954 to 2119 rather than just a number."""
    return bool(_SERIAL.fullmatch(text)) and 20000 <= float(text) < 80500


def _month(name: str) -> int:
    number = _MONTHS.get(name[:3].lower())
    if number is None or not (_NAMES[number - 1].startswith(name.lower()) or name.lower() == "sept"):
        raise ValueError(name)
    return number


def _clock(parts: dict[str, str | None]) -> tuple[int, int, int, int]:
    hour, half = int(parts["h"] or 0), (parts["ap"] or "").replace(".", "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half == "pm" else 0)
    fraction = int(((parts["f"] or "") + "000000")[:6])
    return hour, int(parts["mi"] or 0), int(parts["s"] or 0), fraction


def _offset(text: str) -> dt.timezone:
    if text in {"Z", "UTC", "GMT"}:
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    span = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(-span if text[0] == "-" else span)


def _on_clock(moment: dt.datetime, reading: Reading) -> dt.datetime:
    if moment.tzinfo is None:
        return moment
    zone: dt.tzinfo = ZoneInfo(reading.timezone) if reading.timezone else dt.UTC
    return moment.astimezone(zone).replace(tzinfo=None)


def _zone(name: str, *, table: str | None, column: str | None) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(
            f"{name!r} is no time zone.", table=table, column=column, mend="Say e.g. 'timezone: Europe/Berlin' or UTC."
        ) from None
