"""Attributes as levels that a person can read: categories as they are, numbers in bands with round ends."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from clv.abm.propensity.columns import UNKNOWN, Columns

#: a number with no more different values than this is shown value by value.
_FEW = 6
#: bands of a number with more, cut at quantiles.
_BANDS = 4


@dataclass(frozen=True)
class Bands:
    """Where numbers are cut.

    Attributes
    ----------
    columns : Columns
    edges : dict
        Number -> inner ends of its bands, ascending; None where each value is its own level.
    """

    columns: Columns
    edges: dict[str, np.ndarray | None]

    def levels(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn the table of `Columns.take` into levels, as text; missing ones are ``unknown``."""
        out: dict[str, np.ndarray] = {}
        for name in self.columns.names:
            column = frame[name]
            if name in self.columns.categories:
                out[name] = column.to_numpy(dtype=object)
                continue
            values, edges = column.to_numpy(float), self.edges[name]
            known = ~np.isnan(values)
            text = np.full(len(values), UNKNOWN, dtype=object)
            if edges is None:
                different, code = np.unique(values[known], return_inverse=True)
                names = np.array([figure(x) for x in different], dtype=object)
                text[known] = names[code] if len(names) else []
            else:
                text[known] = _named(edges)[np.searchsorted(edges, values[known], side="right")]
            out[name] = text
        return pd.DataFrame(out, index=frame.index)

    def order(self, name: str) -> list[str] | None:
        """List the bands of a number from low to high; None for a category."""
        if name in self.columns.categories:
            return None
        edges = self.edges[name]
        return None if edges is None else list(_named(edges))


def find_bands(frame: pd.DataFrame, columns: Columns) -> Bands:
    """Cut numbers at their quartiles, rounded to two digits.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Columns.take` gives it.
    columns : Columns

    Returns
    -------
    Bands
    """
    edges: dict[str, np.ndarray | None] = {}
    for name in columns.numbers:
        values = frame[name].to_numpy(float)
        values = values[~np.isnan(values)]
        different = np.unique(values)
        if len(different) <= _FEW:
            edges[name] = None
            continue
        cuts = np.quantile(values, np.arange(1, _BANDS) / _BANDS)
        near = np.unique([round_to(x, 2) for x in cuts])
        # A band nobody is in says nothing; too coarse a rounding is taken back.
        inner = near[(near > different[0]) & (near <= different[-1])]
        edges[name] = inner if len(inner) else np.unique(cuts[cuts > different[0]])
    return Bands(columns, edges)


def round_to(x: float, digits: int) -> float:
    """Round to so many significant digits.

    Examples
    --------
    >>> round_to(12345.0, 2), round_to(-0.0567, 1), round_to(0.0, 2)
    (12000.0, -0.06, 0.0)
    """
    return float(f"{x:.{digits - 1}e}") if np.isfinite(x) else float(x)


def figure(x: float) -> str:
    """Write a number as a person would: millions in words, no decimals that say nothing.

    Examples
    --------
    >>> figure(12000.0), figure(28_000_000.0), figure(0.25), figure(-3.0)
    ('12,000', '28 million', '0.25', '−3')
    """
    if abs(x) >= 1e6:
        text = f"{float(f'{x / 1e6:.3g}'):,.10g} million"
    elif abs(x) >= 100 or float(x).is_integer():
        text = f"{x:,.0f}"
    else:
        text = f"{x:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")


def between(low: float, high: float) -> str:
    """Write a range: ``50–200``, ``1.2–5 million``."""
    low_text, high_text = figure(low), figure(high)
    if low_text == high_text:
        return low_text
    if low_text.endswith(" million") and high_text.endswith(" million"):
        low_text = low_text.removesuffix(" million")
    joint = " to " if low < 0 else "\N{EN DASH}"
    return f"{low_text}{joint}{high_text}"


def told(column: str, level: str) -> str:
    """Name a level: a word that speaks for itself alone, anything else with its column."""
    plain = any(letter.isalpha() for letter in level) and level.lower() not in _MUTE
    plain = plain and not level.startswith("under ") and not level.endswith((" or more", " million"))
    return level if plain else f"{_words(column)} {level}"


_MUTE = {UNKNOWN, "true", "false", "yes", "no", "other", "none", "y", "n", "nan"}


def _words(column: str) -> str:
    return column.replace("_", " ")


def _named(edges: np.ndarray) -> np.ndarray:
    first, last = f"under {figure(edges[0])}", f"{figure(edges[-1])} or more"
    inner = [between(a, b) for a, b in pairwise(edges)]
    return np.array([first, *inner, last], dtype=object)
