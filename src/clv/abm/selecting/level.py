"""How much more or less an account of some kind brings in its first horizon than the average new account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from clv.abm.propensity.columns import Columns, describe_columns
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.data.settings import Unit
from clv.data.summary import day_of
from clv.data.units import DAYS, in_words
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: strengths of the penalty that are tried, and folds in which they are.
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
_FOLDS = 5
#: fewest customers with a whole horizon behind them.
FEWEST = 40


@dataclass(frozen=True, eq=False)
class FirmographicLevel(Result):
    """What firmographics say about an account's money.

    Attributes
    ----------
    table : pandas.DataFrame
        The customers learnt from: index account_id, first (money of the first horizon), level (foretold without having
        seen the account).
    tells : bool
        Held out, the levels are better than none by more than 1.64 standard errors.
    gain, gain_error : float
        Mean reduction of the Poisson deviance, relative to the mean deviance, and its standard error.
    """

    tells: bool
    gain: float
    gain_error: float
    _columns: Columns | None
    _encoder: Any
    _coefficients: np.ndarray
    _covariance: np.ndarray

    def predict(self, accounts: pd.DataFrame) -> pd.Series:
        """Return the factor by which each account differs from the average new one; 1 where nothing is told."""
        if not self.tells:
            return pd.Series(1.0, index=accounts.index)
        return pd.Series(np.exp(self._matrix(accounts) @ self._coefficients), index=accounts.index)

    def draws(self, accounts: pd.DataFrame, *, draws: int, seed: int) -> np.ndarray:
        """Draw the factors from what is not known of the regression, shape (accounts, draws)."""
        if not self.tells:
            return np.ones((len(accounts), draws))
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_normal(self._coefficients, self._covariance, size=draws, method="eigh")
        matrix = self._matrix(accounts)
        with threadpool_limits(1):
            return np.exp(matrix @ drawn.T)

    def _matrix(self, accounts: pd.DataFrame) -> np.ndarray:
        assert self._columns is not None
        matrix = self._encoder.transform(self._columns.take(accounts, table="accounts"))
        return np.column_stack([np.ones(len(matrix)), matrix])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw foretold against actual money, by tenths."""
        from clv.abm.selecting.pictures import level_tenths

        return level_tenths(self, ax)


def firmographic_level(
    transactions: pd.DataFrame,
    accounts: pd.DataFrame,
    *,
    horizon: float,
    unit: Unit,
    as_of: pd.Timestamp | None = None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    seed: int = 0,
) -> FirmographicLevel:
    """Learn from customers what kind of account brings how much in its first horizon.

    Parameters
    ----------
    transactions : pandas.DataFrame
        account_id, date, amount.
    accounts : pandas.DataFrame
        account_id and attributes; a missing value is a level of its own, an unknown one counts as average.
    horizon : float
        In `unit`, from an account's first purchase on. Only accounts with all of it behind them are learnt from.
    unit : {"D", "W", "M", "Y"}
    as_of : pandas.Timestamp, optional
        Last day that is known; None: day of the last purchase.
    features, exclude : sequence of str
        Columns to look at, and not to.
    seed : int

    Returns
    -------
    FirmographicLevel

    Notes
    -----
    Poisson pseudo-likelihood with a log link and a ridge penalty (Gourieroux, Monfort & Trognon 1984: consistent for
    the mean whatever the distribution of money), the penalty chosen by five folds; covariance by the sandwich. Where
    held-out levels are not clearly better than none, every account has the level 1, and `tells` is false.
    """
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    table = table.set_axis(table.index.astype(str).rename("account_id"), axis=0)
    if not table.index.is_unique:
        raise DataError("an account is there twice.", mend="Give one row an account.", table="accounts")
    first = _first_money(transactions, horizon * DAYS[unit], as_of)
    first = first[first.index.isin(table.index)]
    seen = table.loc[first.index]
    useless = [name for name in NOT_ATTRIBUTES if name in seen.columns]
    columns = (
        describe_columns(seen, only=features, exclude=[*useless, *exclude], table="accounts") if len(seen) else None
    )
    nothing = pd.DataFrame({"first": first, "level": 1.0})
    if columns is None or not columns.names or len(first) < FEWEST or first.mean() <= 0:
        why = (
            "there are no attributes"
            if len(first) >= FEWEST
            else f"only {len(first)} customers have a whole horizon behind them"
        )
        said = f"What a new account brings cannot be told from firmographics: {why}. All count as average."
        return FirmographicLevel(nothing, said, False, 0.0, 0.0, None, None, np.zeros(1), np.zeros((1, 1)))
    money = first.to_numpy(float) / float(first.mean())
    taken = columns.take(seen, table="accounts")
    fold = np.random.default_rng(seed).permutation(len(money)) % _FOLDS
    told = {strength: np.ones(len(money)) for strength in _STRENGTHS}
    for k in range(_FOLDS):
        train, test = fold != k, fold == k
        encoder = columns.encoder(ranks=True, rows=int(train.sum())).fit(taken[train])
        a, b = encoder.transform(taken[train]), encoder.transform(taken[test])
        base = float(money[train].mean())
        for strength in _STRENGTHS:
            told[strength][test] = _fit(a, money[train], strength).predict(b) / base
    strength = min(_STRENGTHS, key=lambda s: float(_deviance(money, told[s]).mean()))
    plain = _deviance(money, np.ones(len(money)))
    gains = (plain - _deviance(money, told[strength])) / plain.mean()
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    tells = gain > 1.645 * error
    encoder = columns.encoder(ranks=True, rows=len(taken)).fit(taken)
    matrix = encoder.transform(taken)
    model = _fit(matrix, money, strength)
    coefficients = np.r_[model.intercept_, model.coef_]
    with_one = np.column_stack([np.ones(len(matrix)), matrix])
    mean = np.exp(with_one @ coefficients)
    hessian = (with_one * mean[:, None]).T @ with_one
    hessian[np.diag_indices_from(hessian)] += np.r_[0.0, np.full(matrix.shape[1], strength * len(money))] + 1e-9
    meat = (with_one * ((money - mean) ** 2)[:, None]).T @ with_one
    inverse = np.linalg.inv(hessian)
    found = pd.DataFrame({"first": first, "level": told[strength]})
    said = (
        f"Learnt from the first {in_words(horizon, unit)} of {len(first):,} customers, levels foretold for ones not"
        f" seen lower the deviance by {gain:.1%} (standard error {error:.1%})"
        + (": firmographics say something about money." if tells else ": no better than none, so all count as average.")
    )
    return FirmographicLevel(
        found, said, bool(tells), gain, error, columns, encoder, coefficients, inverse @ meat @ inverse
    )


def _first_money(transactions: pd.DataFrame, days: float, as_of: pd.Timestamp | None) -> pd.Series:
    """Money of each account's first `days` days, of accounts that have them behind them; 0 at least."""
    when = transactions["date"].dt.normalize()
    last = when.max() if as_of is None else day_of(as_of)
    known = when <= last
    ids = transactions.loc[known, "account_id"].astype(str)
    begun = when[known].groupby(ids).transform("min")
    within = (when[known] - begun).dt.days < days
    old = (last - begun).dt.days >= days
    sums = transactions.loc[known, "amount"].where(within, 0.0)[old].groupby(ids[old]).sum()
    return sums.clip(lower=0.0).rename_axis("account_id").sort_index()


def _fit(matrix: np.ndarray, money: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import PoissonRegressor

    # Threads of several libraries wait for one another here: four times the processor time for the same numbers.
    with threadpool_limits(1):
        return PoissonRegressor(alpha=strength, solver="newton-cholesky", max_iter=200).fit(matrix, money)


def _deviance(actual: np.ndarray, mean: np.ndarray) -> np.ndarray:
    from scipy.special import xlogy

    return np.asarray(2 * (xlogy(actual, actual / mean) - actual + mean))
