"""The chance that a deal is won, from what is known when it is opened, or a plain word that it cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import beta, norm
from threadpoolctl import threadpool_limits

from clv.abm.propensity.calibrate import Recalibration, recalibration
from clv.abm.propensity.classifiers import BlendedClassifier
from clv.abm.propensity.columns import Columns, describe_columns
from clv.abm.propensity.evidence import FEWEST, Evidence, evidence, too_few
from clv.abm.propensity.folds import Fold, alike, forward_folds, grouped_folds
from clv.abm.propensity.shapley import shapley_values
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: more rows than this are cut into fewer folds, once: the noise of the cut is small by then.
_MANY = 5_000
#: grades of the fit (rule A9): weak below the first, strong above the second.
GRADES = (50.0, 80.0)


@dataclass(frozen=True, eq=False)
class WinPropensity(Result):
    """A model of wins and what it is worth.

    Attributes
    ----------
    table : pandas.DataFrame
        Index of the deals: won, chance (foretold by a model that did not see the deal; NaN where none could), group.
    evidence : Evidence
    columns : Columns
        What the model looks at, and what was left out and why.
    share : float
        Share of wins.
    """

    evidence: Evidence
    columns: Columns
    share: float
    _model: BlendedClassifier | None
    _mend: Recalibration
    _seen: pd.DataFrame
    _name: str

    @property
    def ranks(self) -> bool:
        """Whether accounts can be told apart at all."""
        return self.evidence.ranks

    def predict(self, frame: pd.DataFrame, *, confidence: float = 0.9) -> pd.DataFrame:
        """Foretell.

        Parameters
        ----------
        frame : pandas.DataFrame
            The columns that the model looks at.
        confidence : float
            Of the interval, which holds what is not known about the model, not the toss of the deal itself.

        Returns
        -------
        pandas.DataFrame
            Index of `frame`: chance, lower, upper; fit, the share of the deals learnt from with a lower chance, 0–100,
            and grade: weak below 50, moderate to 80, strong above. Without a ranking all get the share of wins, and
            no fit.
        """
        tail = (1 - confidence) / 2
        if self._model is None or not self.ranks:
            wins, losses = self.evidence.wins, self.evidence.rows - self.evidence.wins
            lower, upper = beta.ppf([tail, 1 - tail], wins + 0.5, losses + 0.5)
            told = pd.DataFrame({"chance": self.share, "lower": lower, "upper": upper}, index=frame.index)
            return told.assign(fit=np.nan, grade="unknown")
        taken = self.columns.take(frame, table=self._name)
        middle = self._mend(self._model.log_odds(taken))
        reach = norm.ppf(1 - tail) * self._mend.slope * self._model.doubt(taken)
        seen = np.sort(self._mend(self._model.log_odds(self._seen)))
        fit = 50 * (np.searchsorted(seen, middle) + np.searchsorted(seen, middle, side="right")) / len(seen)
        grade = np.select([fit < GRADES[0], fit <= GRADES[1]], ["weak", "moderate"], "strong")
        return pd.DataFrame(
            {
                "chance": _chance(middle),
                "lower": _chance(middle - reach),
                "upper": _chance(middle + reach),
                "fit": fit,
                "grade": grade,
            },
            index=frame.index,
        )

    def draws(self, frame: pd.DataFrame, *, draws: int, seed: int) -> np.ndarray:
        """Draw chances from what is known of them, shape (rows, draws); rows share what is wrong with the model."""
        rng = np.random.default_rng(seed)
        if self._model is None or not self.ranks:
            wins, losses = self.evidence.wins, self.evidence.rows - self.evidence.wins
            return np.broadcast_to(rng.beta(wins + 0.5, losses + 0.5, draws), (len(frame), draws)).copy()
        taken = self.columns.take(frame, table=self._name)
        away = self._model.deviations(taken, draws, rng)
        return _chance(self._mend(self._model.log_odds(taken)[:, None] + away))

    def contributions(self, frame: pd.DataFrame, *, draws: int = 32, seed: int = 0) -> pd.DataFrame:
        """Split each row's log-odds of a win into what its columns add to the book's average.

        Returns
        -------
        pandas.DataFrame
            Index of `frame`; ``(average)`` and the columns looked at; a row sums to its mended log-odds exactly.
            Empty of columns where nothing can be ranked.
        """
        if self._model is None or not self.ranks:
            odds = np.log(self.share / (1 - self.share))
            return pd.DataFrame({"(average)": odds}, index=frame.index)
        model = self._model
        taken = self.columns.take(frame, table=self._name)
        return shapley_values(lambda rows: self._mend(model.log_odds(rows)), taken, self._seen, draws=draws, seed=seed)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw foretold against happened by tenths of the deals."""
        from clv.abm.propensity.pictures import reliability

        return reliability(self.evidence, ax)


def win_propensity(
    deals: pd.DataFrame,
    *,
    won: str = "won",
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    group: str | None = None,
    opened: str | None = None,
    decided: str | None = None,
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
    name: str = "deals",
) -> WinPropensity:
    """Learn from decided deals who is won, and test on deals held out whether that is better than chance.

    Parameters
    ----------
    deals : pandas.DataFrame
        One row a decided deal, with what was known **when it was opened**: a column that is filled in when a deal is
        won or lost (a closing date, a signed amount) foretells nothing and ruins the rest.
    won : str
        Column of outcomes: true or false, 1 or 0.
    features : sequence of str, optional
        Columns to look at; None: all that can be learnt from (see `describe_columns`).
    exclude : sequence of str
        Columns not to look at.
    group : str, optional
        Column that says which deals belong together, such as the account. Deals equal in all that the model looks at
        belong together in any case.
    opened, decided : str, optional
        Columns of dates. Given both, a deal is foretold only from deals decided before its block began.
    folds, repeats : int
        Parts into which deals are cut, and how often they are cut anew (not by time). Of more than 5,000 deals five
        parts are made, once.
    seed : int
    name : str
        What the table is called in errors.

    Returns
    -------
    WinPropensity

    Raises
    ------
    DataError
        A column is missing, an outcome is neither true nor false, or there is nothing to learn from.

    Notes
    -----
    The mean log-odds of a ridge-penalised logit and of boosted trees, recalibrated on held-out deals (Platt 1999) as
    far as the evidence goes. Fewer than 20 wins or 20 losses in different groups teach nothing, and a model whose
    interval of the AUC (DeLong et al. 1988, by groups Obuchowski 1997) reaches down to one half, or whose log loss is
    not clearly below that of the share of wins, ranks nobody. Numbers
    that are missing have a level of their own; they are never taken as zero.
    """
    outcome = _outcomes(deals, won, name)
    apart = [name for name in (won, group, opened, decided) if name is not None]
    columns = describe_columns(deals, only=features, exclude=[*apart, *exclude], table=name)
    if not columns.names:
        raise DataError("there is no column to learn from.", mend="Give firmographics or other attributes.", table=name)
    seen = columns.take(deals, table=name)
    groups = alike(seen, None if group is None else _column(deals, group, name))
    table = pd.DataFrame({"won": outcome, "chance": np.nan, "group": groups}, index=deals.index)
    share = float(outcome.mean())
    distinct = min(len(np.unique(groups[outcome])), len(np.unique(groups[~outcome])))
    if distinct < FEWEST:
        found = too_few(outcome, groups)
        return WinPropensity(table, found.text, found, columns, share, None, Recalibration(0.0, 1.0), seen, name)

    if opened is not None and decided is not None:
        start, end = _column(deals, opened, name), _column(deals, decided, name)
        cuts = [list(forward_folds(start, end, groups, folds=min(folds, 5)))]
        how = "Foretelling later deals from earlier ones"
    else:
        many = len(deals) > _MANY
        cuts = [
            list(grouped_folds(outcome, groups, folds=5 if many else folds, seed=seed + again))
            for again in range(1 if many else repeats)
        ]
        how = "On deals held out"
    # The matrices are small: threads would only wait for one another.
    with threadpool_limits(1):
        odds, base = _held_out(columns, seen, outcome, groups, cuts, seed)
        model = BlendedClassifier(columns, seed=seed).fit(seen, outcome, groups)
    told = np.isfinite(odds).all(axis=0)
    if not told.any() or outcome[told].all() or not outcome[told].any():
        found = too_few(outcome, groups)
        return WinPropensity(table, found.text, found, columns, share, None, Recalibration(0.0, 1.0), seen, name)
    # Each cutting is scored on its own: the mean of several foretellings would flatter the one that is used.
    found = evidence(
        np.tile(outcome[told], len(cuts)),
        _chance(odds[:, told].ravel()),
        base[:, told].ravel(),
        np.tile(groups[told], len(cuts)),
        repeats=len(cuts),
        how=how,
    )
    table["chance"] = _chance(odds.mean(axis=0))
    mend = recalibration(outcome[told], odds[:, told].mean(axis=0))
    return WinPropensity(table, found.text, found, columns, share, model, mend, seen, name)


def _held_out(
    columns: Columns,
    seen: pd.DataFrame,
    won: np.ndarray,
    groups: np.ndarray,
    cuts: list[list[Fold]],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Foretell each row from others, once a cutting; rows that no fold could foretell are NaN.

    Returns
    -------
    odds, base : numpy.ndarray, shape (cuttings, rows)
        Log-odds, mended by what was learnt on the other folds, and the share of wins of the rows learnt from.
    """
    odds, base = np.full((len(cuts), len(won)), np.nan), np.full((len(cuts), len(won)), np.nan)
    for again, cut in enumerate(cuts):
        fold_of = np.full(len(won), -1)
        for number, (train, test) in enumerate(cut):
            wins = int(won[train].sum())
            if min(wins, len(train) - wins) < 5:
                continue
            model = BlendedClassifier(columns, seed=seed).fit(seen.iloc[train], won[train], groups[train])
            odds[again, test] = model.log_odds(seen.iloc[test])
            base[again, test] = wins / len(train)
            fold_of[test] = number
        raw = odds[again].copy()
        for number in np.unique(fold_of[fold_of >= 0]):
            others = (fold_of >= 0) & (fold_of != number)
            if won[others].any() and not won[others].all():
                odds[again, fold_of == number] = recalibration(won[others], raw[others])(raw[fold_of == number])
    return odds, base


def _chance(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _column(deals: pd.DataFrame, column: str, table: str) -> pd.Series:
    if column not in deals.columns:
        raise DataError("the column is missing.", mend="Check its name.", table=table, column=column)
    return deals[column]


def _outcomes(deals: pd.DataFrame, won: str, table: str) -> np.ndarray:
    column = _column(deals, won, table)
    bad = ~column.isin([0, 1]).to_numpy()
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(
            f"{column.iloc[at]!r} is no outcome ({int(bad.sum()):,} such in all).",
            mend="Give true or false for every deal, and leave open deals out.",
            table=table,
            column=won,
            row=at + 1,
        )
    if not len(column):
        raise DataError("there is no decided deal.", mend="Give decided deals.", table=table)
    return column.to_numpy().astype(bool)
