"""The value of contracts: the discounted margin that running contracts may be expected to bring, renewals included."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from clv.data.settings import Unit
from clv.data.units import days_per_unit
from clv.errors import DataError, SettingsError
from clv.value.contract_payment import PAYMENTS, Clock, Payment
from clv.value.discount import continuous_rate
from clv.value.estimation.checks import Floats, check_fitted, check_unit, number_column, positive
from clv.value.forecast import Interval
from clv.value.lifetime import LifetimeValue, check_uncertainty, checked_margin
from clv.value.lifetime_text import concentrated, margin_words, total_words
from clv.value.uncertainty.predictive import future_of

_CELLS = 250_000
#: without a horizon renewals are drawn until a discount factor of e^−20.
_FADED = 20.0
#: keeps the random stream apart from that of `clv.lifetime_value` with the same seed.
_STREAM = 20100105


class Renewals(Protocol):
    """What `contract_value` asks of a renewal model; times are counted in terms."""

    def discounted_expected_purchases(
        self, summary: pd.DataFrame, rate: float, horizon: float | None = None
    ) -> pd.Series:
        """Return each relation's expected renewals, discounted."""

    def sample_posterior(self, draws: int, seed: int | np.random.Generator = 0) -> pd.DataFrame:
        """Draw parameters."""

    def draw_account_latent(
        self, parameters: Floats, summary: pd.DataFrame, rng: np.random.Generator
    ) -> tuple[np.ndarray, Floats, Floats]:
        """Draw alive, terms to the next renewal, and the hidden state."""

    def discounted_latent(self, wait: Floats, theta: Floats, *, horizon: float, discount: float) -> Floats:
        """Return discounted expected renewals, given the hidden state."""


def contract_value(
    renewals: Renewals,
    relations: pd.DataFrame,
    *,
    horizon: float | None,
    unit: Unit,
    discount_rate: float,
    margin: float | pd.Series,
    payment: Payment = "advance",
    draws: int = 0,
    seed: int = 0,
    confidence: float = 0.9,
    interval: Interval = "credible",
    currency: str = "",
) -> LifetimeValue:
    """Value each account's contracts by the discounted contribution margin that they may be expected to bring.

    Parameters
    ----------
    renewals : fitted renewal model
        `ShiftedBetaGeoModel`, fitted to such relations.
    relations : pandas.DataFrame
        From `clv.contract_relations`: with account_id, value and days beside what the model reads.
    horizon : float or None
        How far ahead value is counted, in `unit`; None: for ever.
    unit : {"D", "W", "M", "Y"}
        Of the horizon, not of the terms, each of which has its own length.
    discount_rate : float
        Effective yearly rate, applied continuously from the day on which money comes in.
    margin : float or pandas.Series
        Share of the contracts' money, or each account's own; see `clv.lifetime_value`.
    payment : {"advance", "arrears", "even"}
        When a term's money comes in: whole on its first day (the running term is paid then, and brings nothing more;
        a renewal within the horizon counts whole, as in Fader & Hardie 2010), whole on its last day (that of the
        running term is still to come), or evenly, of which only what falls into the horizon counts.
    draws, seed, confidence, interval, currency
        See `clv.lifetime_value`. The random stream differs from that of `lifetime_value` with the same seed, so that
        draws of the two can be added.

    Returns
    -------
    LifetimeValue
        Its table has a row for each account with a contract, lost ones too: p_alive (1 while a contract runs, else the
        chance that one that is due will be renewed), expected_purchases (renewals within the horizon), expected_spend
        (mean money of these renewals), clv, lower, upper, contracts (running or due).

    Raises
    ------
    clv.errors.DataError
        If a running contract has no value.
    clv.errors.SettingsError
        If an argument is impossible.

    Notes
    -----
    Contracts are renewed on the day after their term, for a term of the same length at the price of the last one:
    changes of price are not forecast. Who has left is not expected back. Renewals of one account's several contracts
    are independent given the model's parameters.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2010). Customer-base valuation in a contractual setting: the perils of ignoring
    heterogeneity. Marketing Science 29(1), 85-93.
    """
    end = np.inf if horizon is None else positive(horizon, "horizon")
    check_uncertainty(confidence=confidence, interval=interval, draws=draws)
    if payment not in PAYMENTS:
        raise SettingsError(f"payment is {payment!r}.", mend=f"Use one of {', '.join(PAYMENTS)}.")
    daily = continuous_rate(discount_rate, unit="D")
    if np.isinf(end) and daily == 0:
        raise SettingsError("contracts without end and without discounting.", mend="Give a horizon or a rate above 0.")
    if isinstance(renewals, BaseEstimator):
        check_fitted(renewals)
    check_unit(getattr(renewals, "unit_", None), relations)
    running, code, accounts = _running(relations)
    share = checked_margin(margin, accounts)
    money = running["value"].to_numpy(dtype=float) * (share if isinstance(share, float) else share[code])
    groups = [(rows, _clock(days, end * days_per_unit(unit), daily, payment)) for days, rows in _lengths(running)]

    value, count, goes_on = np.zeros((3, len(running)))
    for rows, clock in groups:
        part = running.iloc[rows]

        def counted(span: float, part: pd.DataFrame = part, rate: float = clock.rate) -> Floats:
            limit = None if np.isinf(span) else max(span, 0.0)
            return renewals.discounted_expected_purchases(part, rate, limit).to_numpy(dtype=float)

        wait = part["to_renewal"].to_numpy(dtype=float)
        value[rows] = clock.money(wait, counted)
        count[rows] = counted(clock.horizon, rate=0.0) if np.isfinite(end) else np.inf
        goes_on[rows] = np.where(wait == 0, counted(0.0, rate=0.0), 1.0)
    table = _table(running, code, accounts, count, goes_on)
    table["clv"] = np.bincount(code, value * money, minlength=len(accounts))
    table.insert(3, "lower", np.nan)
    table.insert(4, "upper", np.nan)
    table = table[["p_alive", "expected_purchases", "expected_spend", "clv", "lower", "upper", "contracts"]]
    drawn = None
    if draws:
        drawn = np.zeros((len(accounts), int(draws)), dtype=np.float32)
        rng = np.random.default_rng((int(seed), _STREAM))
        parameters = renewals.sample_posterior(int(draws), rng).to_numpy()
        make = _expected_money if interval == "credible" else _paid_money
        for rows, clock in groups:
            for block in _blocks(rows, int(draws)):
                each = make(renewals, running.iloc[block], parameters, clock, rng)
                np.add.at(drawn, code[block], (money[block, None] * each).astype(np.float32))
        tail = (1 - confidence) / 2
        limits = np.quantile(drawn.astype(float), [tail, 1 - tail], axis=1)
        table["lower"], table["upper"] = limits
    sales = np.bincount(code, value * running["value"].to_numpy(dtype=float), minlength=len(accounts))
    if isinstance(share, float):
        mean, margin_said = share, f"Margin is {100 * share:g}% of the contracts' money."
    else:
        mean, margin_said = margin_words(share, table["clv"], pd.Series(sales))
    text = _sentences(
        table, relations, drawn, end, unit, discount_rate, margin_said, payment, confidence, interval, currency
    )
    note = getattr(renewals, "note_", "")
    return LifetimeValue(
        table, f"{text}\n\n{note}" if note else text, drawn, end, unit, float(discount_rate), mean, float(confidence),
        interval,
    )  # fmt: skip


def _running(relations: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.Index]:
    """Return contracts that run or are due, the place of each one's account, and all accounts in order."""
    for column in ("account_id", "value", "days"):
        if column not in relations.columns:
            raise DataError(
                "the column is missing.", mend="Use clv.contract_relations.", table="relations", column=column
            )
    accounts = pd.Index(sorted(relations["account_id"].astype(str).unique()), name="account_id")
    running = relations[~relations["churned"].astype(bool)]
    if len(running):
        for column, least in (("value", 0.0), ("days", 1.0)):
            number_column(running, column, least=least)
    return running, accounts.get_indexer(running["account_id"].astype(str)), accounts


def _lengths(running: pd.DataFrame) -> list[tuple[float, np.ndarray]]:
    """Group contracts by the length of their terms."""
    days = running["days"].to_numpy(dtype=float)
    return [(float(each), np.flatnonzero(days == each)) for each in np.unique(days)]


def _clock(days: float, horizon_days: float, daily: float, payment: Payment) -> Clock:
    return Clock(horizon_days / days, daily * days, payment)


def _blocks(rows: np.ndarray, draws: int) -> list[np.ndarray]:
    size = max(1, _CELLS // draws)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _expected_money(
    renewals: Any, part: pd.DataFrame, parameters: Floats, clock: Clock, rng: np.random.Generator
) -> Floats:
    """Draw what each contract is itself expected to bring, in its term's money, shape (contracts, draws)."""
    alive, wait, theta = renewals.draw_account_latent(parameters, part, rng)

    def counted(span: float) -> Floats:
        return alive * renewals.discounted_latent(wait, theta, horizon=span, discount=clock.rate)

    return np.asarray(clock.money(wait, counted))


def _paid_money(
    renewals: Any, part: pd.DataFrame, parameters: Floats, clock: Clock, rng: np.random.Generator
) -> Floats:
    """Draw what each contract will in fact bring: renewal by renewal."""
    alive, wait, theta = renewals.draw_account_latent(parameters, part, rng)
    span = min(clock.horizon, _FADED / clock.rate) if clock.rate else clock.horizon
    count, when = future_of(renewals).draw_future(alive, wait, theta, horizon=span, rng=rng, times=True)
    cell = np.repeat(np.arange(count.size), count.ravel())
    paid = np.bincount(cell, clock.paid(np.asarray(when)), minlength=count.size).reshape(count.shape)
    return np.asarray(clock.sure(wait) + paid)


def _table(running: pd.DataFrame, code: np.ndarray, accounts: pd.Index, count: Floats, goes_on: Floats) -> pd.DataFrame:
    """Count each account's contracts and renewals; one that is due goes on with a probability below 1."""
    size = len(accounts)
    ends = np.ones(size)
    np.multiply.at(ends, code, 1 - goes_on)
    weight = np.where(np.isinf(count), 1.0, count)
    money = np.bincount(code, running["value"].to_numpy(dtype=float) * weight, minlength=size)
    each = np.bincount(code, weight, minlength=size)
    return pd.DataFrame(
        {
            "p_alive": 1 - ends,
            "expected_purchases": np.bincount(code, count, minlength=size),
            "expected_spend": np.divide(money, each, out=np.zeros(size), where=each > 0),
            "contracts": np.bincount(code, minlength=size).astype("int64"),
        },
        index=accounts,
    )


def _sentences(
    table: pd.DataFrame,
    relations: pd.DataFrame,
    drawn: np.ndarray | None,
    end: float,
    unit: str,
    discount_rate: float,
    margin: str,
    payment: Payment,
    confidence: float,
    interval: Interval,
    currency: str,
) -> str:
    """Say what contracts bring, and when their money is taken to come in."""
    lost = int(relations["churned"].astype(bool).sum())
    due = int(((relations["to_renewal"] == 0) & ~relations["churned"].astype(bool)).sum())
    said = f"{len(relations) - lost - due:,} contracts run"
    said += f", {due:,} {'has' if due == 1 else 'have'} ended and may still be renewed" if due else ""
    said += f", {lost:,} {'is' if lost == 1 else 'are'} lost."
    said += " They are expected to bring a discounted contribution margin of "
    said += total_words(table["clv"], drawn, end, unit, confidence, interval, currency) + concentrated(table["clv"])
    return (
        f"{said}\n\n{margin} The discount rate is {100 * discount_rate:g}% effective a year, applied continuously from"
        f" the day on which money comes in: {PAYMENTS[payment]}. Renewals are taken at the price of the last term."
    )
