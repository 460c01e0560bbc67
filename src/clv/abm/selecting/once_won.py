"""What a prospect would bring once it is won, and how likely that is: the same kind of money as a customer's value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.wording import accounts as counted
from clv.abm.wording import money
from clv.errors import DataError, SettingsError
from clv.result import Result
from clv.value.discount import continuous_rate
from clv.value.estimation.checks import positive
from clv.value.expectation.hidden import hidden_states
from clv.value.prospects import no_history
from clv.value.uncertainty.credible import discounted_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.propensity.win_propensity import WinPropensity
    from clv.abm.selecting.level import FirmographicLevel

_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class Prospects(Result):
    """Prospects and what may come of them.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: chance (to win it within the horizon, without a programme), once_won (discounted expected
        contribution margin of the horizon that begins with its first order, that order included), expected (the
        product).
    chances, worth : numpy.ndarray of float32, shape (prospects, draws), or None
        Draws of chance and once_won.
    tell_apart : tuple of str
        What tells prospects apart: "chance", "value", both, or nothing.
    currency : str
    """

    chances: np.ndarray | None
    worth: np.ndarray | None
    tell_apart: tuple[str, ...]
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw chance against value once won."""
        from clv.abm.selecting.pictures import chance_and_worth

        return chance_and_worth(self, ax)


def value_prospects(
    prospects: pd.DataFrame,
    purchases: Any,
    spend: Any,
    *,
    win: WinPropensity | None,
    horizon: float,
    discount_rate: float,
    margin: float,
    level: FirmographicLevel | None = None,
    draws: int = 0,
    seed: int = 0,
    currency: str = "",
) -> Prospects:
    """Value accounts that have not bought yet: chance to win × margin once won.

    Parameters
    ----------
    prospects : pandas.DataFrame
        Index (or column) account_id; the columns that `win` looks at, as they are known today
        (`clv.abm.propensity.known.known_at`), the covariates of the purchase model, and those of `level`.
    purchases, spend : fitted models
        As for `clv.lifetime_value`. With covariates, prospects differ by them.
    win : WinPropensity or None
        Chance that a deal with the account is won; None: a chance of one half with all doubt (Beta(1, 1)).
    horizon : float
        In the models' unit; counted from the day the account is won.
    discount_rate : float
        Effective, a year.
    margin : float
        Contribution margin as a share of sales.
    level : FirmographicLevel, optional
        How much more or less than a new account of the models such an account brings; for models without covariates.
    draws : int
    seed : int
    currency : str

    Returns
    -------
    Prospects

    Raises
    ------
    DataError
        An account is there twice.
    SettingsError
        The margin is no share, or a level is given to a model that has covariates.

    Notes
    -----
    once_won = margin × E[spend] × (1 + discounted expected purchases of a new account over the horizon), under the
    purchase model without history (`clv.no_history`). One attempt to win the account is counted, and the wait until it
    is won is not discounted.
    """
    table = prospects.set_index("account_id") if "account_id" in prospects.columns else prospects
    table = table.set_axis(table.index.astype(str).rename("account_id"), axis=0)
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise DataError(f"account {twice!r} is there twice.", mend="Give one row an account.", table="accounts")
    if not 0 < margin <= 1:
        raise SettingsError(f"margin is {margin}.", mend="Give a share of sales above 0 and at most 1.")
    covariates = bool(purchases._effects()) if hasattr(purchases, "_effects") else False
    if covariates and level is not None:
        raise SettingsError("the purchase model has covariates already.", mend="Leave `level` out.")
    end, rate = positive(horizon, "horizon"), continuous_rate(discount_rate, unit=purchases.unit_)
    fresh = no_history(table, unit=purchases.unit_)
    again = purchases.discounted_expected_purchases(fresh, rate, end).to_numpy(float)
    factor = np.ones(len(table)) if level is None else level.predict(table).to_numpy(float)
    once = margin * spend.expected_spend(fresh).to_numpy(float) * (1 + again) * factor
    chance = np.full(len(table), 0.5) if win is None else win.predict(table)["chance"].to_numpy(float)
    chances = worth = None
    rng = np.random.default_rng(seed)
    if draws:
        own = int(rng.integers(2**63))
        drawn = rng.random((len(table), draws)) if win is None else win.draws(table, draws=draws, seed=own)
        chances = drawn.astype(np.float32)
        worth = np.empty((len(table), draws), dtype=np.float32)
        factors = None if level is None else level.draws(table, draws=draws, seed=int(rng.integers(2**63)))
        for rows, values in _margins(purchases, spend, fresh, horizon=end, discount=rate, draws=draws, rng=rng):
            worth[rows] = margin * values * (1.0 if factors is None else factors[rows])
    found = pd.DataFrame({"chance": chance, "once_won": once, "expected": chance * once}, index=table.index)
    apart = tuple(
        name
        for name, there in (
            ("chance", win is not None and win.ranks),
            ("value", covariates or (level is not None and level.tells)),
        )
        if there
    )
    return Prospects(found, _words(found, apart, win, currency), chances, worth, apart, currency)


def _margins(
    purchases: Any, spend: Any, fresh: pd.DataFrame, *, horizon: float, discount: float, draws: int,
    rng: np.random.Generator,
) -> Iterator[tuple[slice, np.ndarray]]:  # fmt: skip
    """Draw each new account's own expected sales of the horizon, its first order included, a block at a time."""
    buying = purchases.sample_posterior(draws, rng).to_numpy()
    paying = spend.sample_posterior(draws, rng).to_numpy()
    discounted = getattr(purchases, "discounted_latent", discounted_rate)
    block = max(1, _CELLS // draws)
    for start in range(0, len(fresh), block):
        rows = slice(start, start + block)
        alive, pace, hazard = hidden_states(purchases, buying, fresh.iloc[rows], rng)
        value = 1 + alive * discounted(pace, hazard, horizon=horizon, discount=discount)
        yield rows, value * spend.draw_spend(paying, fresh.iloc[rows], rng)


def _words(table: pd.DataFrame, apart: tuple[str, ...], win: WinPropensity | None, currency: str) -> str:
    if not len(table):
        return "There are no prospects."
    text = (
        f"{counted(len(table))} have not bought yet. A deal with one is won with a chance of"
        f" {table['chance'].mean():.0%} on average, and one that is won brings"
        f" {money(float(table['once_won'].mean()), currency)} over the horizon: together"
        f" {money(float(table['expected'].sum()), currency)}, before costs."
    )
    if win is None:
        text += " There are no decided deals to learn from: a chance of one half stands for not knowing."
    if not apart:
        text += " Nothing is known that tells prospects apart: all have the same chance and value."
    elif apart == ("chance",):
        text += " They differ by their chance alone: what one brings once won is the same for all."
    elif apart == ("value",):
        text += " They differ by what they bring once won: chances cannot be told apart."
    return text
