"""Labels that people type: capitals, blanks, hyphens and underscores do not make another label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd


def plain(label: object) -> str:
    """Write a label so that spellings of one are equal.

    Examples
    --------
    >>> plain(" First-Contact ") == plain("first contact")
    True
    """
    return " ".join(str(label).casefold().replace("_", " ").replace("-", " ").split())


def spelt_as(column: pd.Series, known: Sequence[str]) -> pd.Series:
    """Write the labels of a column as `known` does; those that are not known stay."""
    names = {plain(name): name for name in reversed(known)}
    own = set(known)
    return column.map(lambda label: label if label in own else names.get(plain(label), label), na_action="ignore")


def one_spelling(*columns: pd.Series) -> tuple[list[pd.Series], list[str]]:
    """Give each label one spelling in all columns: the one that most rows have, of equally many the first by name.

    Returns
    -------
    columns : list of pandas.Series
        As given, labels as text; what is empty stays so.
    several : list of str
        The labels that were written in several ways, each with its spellings.
    """
    counts = pd.concat([column.dropna().astype(str) for column in columns]).value_counts(sort=False)
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts.index, key=lambda one: (-int(counts[one]), one)):
        spellings[plain(label)].append(label)
    first = {label: known[0] for known in spellings.values() for label in known}
    several = [
        f"{known[0]!r} (also {', '.join(map(repr, known[1:]))})" for known in spellings.values() if len(known) > 1
    ]
    return [column.astype(object).where(column.isna(), column.astype(str).map(first)) for column in columns], several
