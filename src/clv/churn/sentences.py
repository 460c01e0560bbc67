"""What a stage means for an account, in one sentence; each distinct wording is made once, however large the book is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.words import chance, duration, interval
from clv.data.settings import Unit

Floats = NDArray[np.float64]

_ONCE = "once"


class _Part(NamedTuple):
    """A part of all sentences: which of its wordings each account has."""

    code: NDArray[np.int64]
    wordings: list[str]


def sentences(table: pd.DataFrame, frequency: Floats, unit: Unit, alive_below: float) -> list[str]:
    """Write each account's sentence.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of `ChurnStages`; silent, usual_low, usual_high in `unit`; slowed, earlier_interval and
        recent_interval where the rhythm was looked at.
    frequency : numpy.ndarray
        Repeat purchases of each account.
    unit : {"D", "W", "M", "Y"}
        Unit of the durations.
    alive_below : float
        P(alive) is mentioned where it is below this, since it may then have decided the stage.

    Returns
    -------
    list of str
    """
    p, alive = (table[name].to_numpy(float) for name in ("silence_probability", "p_alive"))
    silent = _told(table["silent"].to_numpy(float))
    start, nouns = _rhythms(table, unit, frequency == 0)
    quiet = _silences(silent, nouns, unit)
    parts = (start, quiet, _chances(p, silent == 0), _doubts(alive, alive < alive_below))
    columns = (map(part.wordings.__getitem__, part.code.tolist()) for part in parts)
    return [f"{a}{b}{c}{d}." for a, b, c, d in zip(*columns, strict=True)]


def share(p: float) -> str:
    """Say a share in per cent; "under 1%" where it is small."""
    return "under 1%" if p < 0.01 else f"{p:.0%}"


def _told(x: Floats) -> Floats:
    """Round to what `words.number` can still tell apart, with room to spare."""
    return np.where(x >= 3, np.rint(x), np.round(x, 4))


def _each(say: Callable[[float], str], values: Floats) -> _Part:
    code, distinct = pd.factorize(values)
    return _Part(code.astype(np.int64), [say(float(value)) for value in distinct])


def _both(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Find the distinct pairs of two codes."""
    many = int(second.max(initial=0)) + 1
    code, keys = pd.factorize(first * many + second)
    return code.astype(np.int64), [(int(key) // many, int(key) % many) for key in keys]


def _pairs(low: Floats, high: Floats) -> tuple[NDArray[np.int64], list[tuple[float, float]]]:
    """Find the distinct pairs of two columns of numbers."""
    (first, lows), (second, highs) = pd.factorize(low), pd.factorize(high)
    code, pairs = _both(first.astype(np.int64), second.astype(np.int64))
    return code, [(float(lows[a]), float(highs[b])) for a, b in pairs]


def _rhythms(table: pd.DataFrame, unit: Unit, once: NDArray[np.bool_]) -> tuple[_Part, _Part]:
    """Say "Usually orders every …" and what has changed of that; beside it the noun in which each wording ends."""
    low, high = (np.where(once, -1.0, _told(table[name].to_numpy(float))) for name in ("usual_low", "usual_high"))
    before = now = np.full(len(table), -1.0)
    if "slowed" in table and table["slowed"].any():
        slowed = table["slowed"].to_numpy(bool) & ~once
        before, now = (
            np.where(slowed, _told(table[name].to_numpy(float)), -1.0)
            for name in ("earlier_interval", "recent_interval")
        )
    (usual, usuals), (change, changes) = _pairs(low, high), _pairs(before, now)
    code, kinds = _both(usual, change)
    texts, nouns = [], []
    for a, b in kinds:
        if usuals[a][0] < 0:
            text, noun = "Bought once, ", _ONCE
        else:
            text = f"Usually orders every {interval(*usuals[a], unit)}"
            noun = _noun(text)
            if changes[b][0] >= 0:
                text += f"; {_change(*changes[b], unit)}"
                noun = _noun(duration(changes[b][1], unit))
        texts.append(text)
        nouns.append(noun)
    place, distinct = pd.factorize(np.array(nouns, dtype=object))
    return _Part(code, texts), _Part(place[code].astype(np.int64), [str(noun) for noun in distinct])


def _change(before: float, now: float, unit: Unit) -> str:
    """Say "was every 3 weeks, now every 6"; the noun once where both have the same."""
    was, then = duration(before, unit), duration(now, unit)
    if _noun(was) == _noun(then) and not then.startswith("1 "):
        then = then.split(" ")[0]
    return f"was every {was.removeprefix('1 ')}, now every {then.removeprefix('1 ')}"


def _noun(text: str) -> str:
    return text.rsplit(" ", 1)[1].rstrip("s")


def _silences(silent: Floats, nouns: _Part, unit: Unit) -> _Part:
    """Say how long it is silent, without the noun where the part before ends in the same one."""
    said = _each(lambda x: duration(x, unit) if x else "", silent)
    code, kinds = _both(said.code, nouns.code)
    texts = []
    for a, b in kinds:
        text, noun = said.wordings[a], nouns.wordings[b]
        if noun == _ONCE:
            texts.append(f"{text + ' ago' if text else 'on the closing day'}; its own rhythm is not known yet")
        elif not text:
            texts.append("; ordered on the closing day")
        else:
            same = _noun(text) == noun and not text.startswith("1 ")
            texts.append(f"; silent for {text.split(' ')[0] if same else text}")
    return _Part(code, texts)


def _chances(p: Floats, today: NDArray[np.bool_]) -> _Part:
    """Say how rare the silence is; rounded first as a person would say it, a million have some two hundred wordings."""
    small = np.where(p < 0.001, 0.0, np.rint(p * 1000) / 1000)
    rounded = np.select([today, p >= 1, p > 0.99, p >= 0.0095], [-1.0, 1.0, 0.995, np.rint(p * 100) / 100], small)
    return _each(lambda q: f"; a living account like this is silent that long {chance(q)}" if q >= 0 else "", rounded)


def _doubts(alive: Floats, doubt: NDArray[np.bool_]) -> _Part:
    """Say P(alive) where it may have decided the stage."""
    rounded = np.where(doubt, np.where(alive < 0.01, 0.0, np.rint(alive * 100) / 100), -1.0)
    return _each(lambda q: f"; it is still a customer with probability {share(q)}" if q >= 0 else "", rounded)
