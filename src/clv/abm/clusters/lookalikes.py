"""Lookalikes: the accounts nearest to one or two that were won, how near that is, and in what they are alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.clusters.book import account_book, known_ids
from clv.abm.clusters.embedding import Embedding, embed
from clv.abm.clusters.reasons import why_alike
from clv.abm.propensity.auc import Area, area_under_curve
from clv.abm.propensity.columns import describe_columns
from clv.abm.propensity.evidence import CONFIDENCE, FEWEST
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.abm.wording import accounts as counted
from clv.abm.wording import listed
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: chance pairs that similarities are calibrated on.
_PAIRS = 20_000
#: attributes named in the text; more are counted.
_NAMED = 8


@dataclass(frozen=True, eq=False)
class Lookalikes(Result):
    """Accounts like the references.

    Attributes
    ----------
    table : pandas.DataFrame
        The nearest accounts, index account_id: rank, reference (the nearest of the references), distance, similarity,
        chance (see `area`; NaN where likeness tells nothing), why (in words).
    scores : pandas.DataFrame
        All accounts asked for, same index and order: reference, distance, similarity, chance.
    area : Area or None
        Probability that of two accounts with known outcomes, references aside, the won one is nearer to the
        references; None where there are too few outcomes.
    """

    scores: pd.DataFrame
    area: Area | None

    @property
    def tells(self) -> bool:
        """Whether likeness goes with the outcome, as far as outcomes are known."""
        return self.area is not None and self.area.lower > 0.5

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the similarity of the nearest accounts."""
        from clv.abm.clusters.pictures import lookalike_bars

        return lookalike_bars(self, ax)


def lookalikes(
    accounts: pd.DataFrame,
    of: Iterable[str],
    *,
    among: Iterable[str] | None = None,
    most: int = 20,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    outcome: pd.Series | None = None,
    seed: int = 0,
) -> Lookalikes:
    """Find the accounts that are most like one or a few reference accounts.

    Parameters
    ----------
    accounts : pandas.DataFrame
        One row an account: account_id (a column or the index), and what it is alike in.
    of : iterable of str
        The references, such as one or two won accounts.
    among : iterable of str, optional
        Accounts to choose from, such as prospects; None: all but the references.
    most : int
        Accounts in the table.
    features, exclude : sequence of str
        Columns to look at, or not; None: all but names, managers, parents and dates.
    outcome : pandas.Series, optional
        Index account_id, true or false (such as won and lost, or valuable and not), missing where not known: to test
        whether being like the references says anything about the outcome.
    seed : int
        Of the chance pairs.

    Returns
    -------
    Lookalikes

    Raises
    ------
    DataError
        An account is there twice or not at all, there is no attribute, or an outcome is neither true nor false.
    SettingsError
        `most` is below 1.

    Notes
    -----
    Distances: root of the mean over attributes of the squared distance of `embed`: 0 for equal accounts, and its square
    is 1 on average for two accounts drawn at random. Similarity, 0–100: the share of accounts drawn at random that are
    farther from as many references drawn at random than this account is from its own; so it does not depend on how
    many attributes there are or how they scatter. chance: a logistic regression (Cox 1958) of the known outcomes on the
    similarity, given only where the interval of the AUC (DeLong et al. 1988) lies above one half.
    """
    if most < 1:
        raise SettingsError(f"most is {most}.", mend="Ask for 1 account or more.")
    book = account_book(accounts)
    references = known_ids(of, book.index)
    if not len(references):
        raise DataError("there is no reference account.", mend="Name one or two won accounts.", column="account_id")
    asked = book.index if among is None else known_ids(among, book.index)
    asked = asked[~asked.isin(references)]
    columns = describe_columns(book, only=features, exclude=["account_id", *NOT_ATTRIBUTES, *exclude])
    if not columns.names:
        raise DataError("there is no attribute to be alike in.", mend="Give firmographics.", table="accounts")
    frame = columns.take(book, table="accounts")
    mapped = embed(frame, columns)
    points = mapped.points(frame)
    at = book.index.get_indexer(references)
    squared = np.stack([((points - points[r]) ** 2).sum(axis=1, dtype=float) for r in at], axis=1)
    near = squared.argmin(axis=1)
    distance = np.sqrt(squared[np.arange(len(book)), near] / len(columns.names))
    chance_pairs = _by_chance(points, len(at), len(columns.names), seed)
    every = pd.DataFrame(
        {"reference": references.to_numpy()[near], "distance": distance, "similarity": _share(chance_pairs, distance)},
        index=book.index,
    )
    area, every["chance"] = _outcomes(outcome, every, references)
    scores = every.loc[asked].rename_axis("account_id")
    order = np.lexsort([scores.index.to_numpy(dtype=str), scores["distance"].to_numpy()])
    scores = scores.iloc[order]
    table = scores.head(most).copy()
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table["why"] = why_alike(mapped, frame, points, table["reference"])
    return Lookalikes(table, _text(table, scores, references, area, outcome is not None, mapped), scores, area)


def _by_chance(points: np.ndarray, references: int, attributes: int, seed: int) -> np.ndarray:
    """Distances of random accounts to the nearest of random references, ascending."""
    rng, n = np.random.default_rng(seed), len(points)
    if n < 2:
        return np.zeros(1)
    one = rng.integers(0, n, _PAIRS)
    nearest = np.full(_PAIRS, np.inf)
    for _ in range(references):
        other = (one + rng.integers(1, n, _PAIRS)) % n
        for start in range(0, _PAIRS, 5_000):
            some = slice(start, start + 5_000)
            apart = ((points[one[some]] - points[other[some]]) ** 2).sum(axis=1, dtype=float)
            nearest[some] = np.minimum(nearest[some], apart)
    return np.sort(np.sqrt(nearest / attributes))


def _share(chance_pairs: np.ndarray, distance: np.ndarray) -> np.ndarray:
    # A little slack: equal accounts may differ in the last digit of a sum.
    low = np.searchsorted(chance_pairs, distance - 1e-6)
    high = np.searchsorted(chance_pairs, distance + 1e-6, side="right")
    return 100 * (1 - (low + high) / (2 * len(chance_pairs)))


def _outcomes(outcome: pd.Series | None, every: pd.DataFrame, references: pd.Index) -> tuple[Area | None, np.ndarray]:
    blank = np.full(len(every), np.nan)
    if outcome is None:
        return None, blank
    given = outcome.set_axis(outcome.index.astype(str)).dropna()
    if not given.index.is_unique:
        raise DataError("an account is there twice.", mend="Give one outcome an account.", column="outcome")
    if not given.isin([0, 1]).all():
        bad = given[~given.isin([0, 1])]
        raise DataError(
            f"{bad.iloc[0]!r} of account {bad.index[0]!r} is no outcome.",
            mend="Give true, false or nothing for every account.",
            column="outcome",
        )
    given = given[given.index.isin(every.index) & ~given.index.isin(references)]
    won = given.to_numpy().astype(bool)
    if min(int(won.sum()), int((~won).sum())) < FEWEST:
        return None, blank
    known = every.loc[given.index]
    area = area_under_curve(won, -known["distance"].to_numpy(), np.arange(len(won)), confidence=CONFIDENCE)
    if area.lower <= 0.5:
        return area, blank
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e4, max_iter=1000).fit(known[["similarity"]].to_numpy() / 100, won)
    return area, np.asarray(line.predict_proba(every[["similarity"]].to_numpy() / 100)[:, 1])


def _text(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    references: pd.Index,
    area: Area | None,
    tested: bool,
    mapped: Embedding,
) -> str:
    names = listed([str(name) for name in references[:3]]) + (" and others" if len(references) > 3 else "")
    if table.empty:
        return f"There is no account besides {names} to choose from."
    attributes = [name.replace("_", " ") for name in mapped.columns.names]
    over = listed(attributes) if len(attributes) <= _NAMED else f"{len(attributes):,} attributes"
    close = int((scores["similarity"] >= 95).sum())
    text = (
        f"Of {counted(len(scores))}, {close:,} are more like {names} than 95% of accounts drawn at random are like one"
        f" another, over {over}. The nearest is"
        f" {table.index[0]} (similarity {table['similarity'].iloc[0]:.0f} of 100). {table['why'].iloc[0]}"
    )
    if area is not None and area.lower > 0.5:
        text += (
            f" Likeness means something here: of two accounts with known outcomes, the won one is nearer in"
            f" {area.value:.0%} of pairs ({CONFIDENCE:.0%} interval {area.lower:.0%} to {area.upper:.0%})."
        )
    elif area is not None:
        text += (
            f" Beware: nearness to {'it' if len(references) == 1 else 'them'} does not go with the known outcomes (the"
            f" won one is nearer in {area.value:.0%} of pairs, {CONFIDENCE:.0%} interval {area.lower:.0%} to"
            f" {area.upper:.0%}; 50% is a coin). These accounts look alike; nothing shows that they will act alike."
        )
    elif tested:
        text += f" Whether likeness means anything cannot be told: {FEWEST} won and {FEWEST} other outcomes are needed."
    return text
