"""The truth, written down: one table for each thing that a model may be scored on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.deals import logistic
from clv.data.simulate.invoices import Lines
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import INDUSTRIES, REGIONS, TECHNOLOGIES, TIERS, Process
from clv.data.simulate.programmes import Assignment, dropout_factors, rate_factors
from clv.data.simulate.purchases import Journeys
from clv.data.simulate.truth import discounted_purchases, discounted_purchases_regular


def _expected(
    rate: np.ndarray, dropout: np.ndarray, elapsed: np.ndarray, regularity: int, horizon: float, delta: float
) -> np.ndarray:
    """Discounted purchases of a living account; the wait already passed matters to regular buyers only."""
    if regularity == 1:
        return discounted_purchases(rate, dropout, horizon=horizon, delta=delta)
    return discounted_purchases_regular(rate, dropout, elapsed, regularity=regularity, horizon=horizon, delta=delta)


def _future(
    journeys: Journeys, calendar: Calendar, process: Process, *, rate: np.ndarray, dropout: np.ndarray, delta: float
) -> np.ndarray:
    """Purchases expected over the horizon from the end on; 0 once dropped, NaN for prospects."""
    elapsed = np.nan_to_num(journeys.operational(calendar.end) - journeys.last)
    expected = _expected(rate, dropout, elapsed, journeys.regularity, process.horizon, delta)
    expected = np.where(np.isnan(journeys.dropped), expected, 0.0)
    return np.where(np.isnan(journeys.acquired), np.nan, expected)


def account_truth(
    firms: Firms,
    latent: Latent,
    journeys: Journeys,
    score: np.ndarray,
    intercept: float,
    calendar: Calendar,
    process: Process,
) -> pd.DataFrame:
    """One row an account: its latent values, where it stands at the end, what it is worth without a programme.

    ``margin_52`` is the discounted contribution margin expected over the horizon; ``purchases_52`` is not discounted.
    ``margin_if_won`` values a prospect won on the last day: its first order and what follows in the horizon.
    """
    customer = ~np.isnan(journeys.acquired)
    purchases = _future(journeys, calendar, process, rate=latent.rate, dropout=latent.dropout, delta=0.0)
    discounted = _future(journeys, calendar, process, rate=latent.rate, dropout=latent.dropout, delta=process.delta)
    unit_margin = process.margin * latent.spend
    k = journeys.regularity
    fresh = _expected(latent.rate, latent.dropout, np.zeros(len(firms)), k, process.horizon, process.delta)

    def date(weeks: np.ndarray) -> pd.Series:
        known = ~np.isnan(weeks)
        return pd.Series(calendar.dates(calendar.day(np.where(known, weeks, 0.0)))).where(known)

    return pd.DataFrame(
        {
            "account_id": firms.ids,
            "customer": customer,
            "industry": np.array([entry.name for entry in INDUSTRIES], dtype=object)[firms.industry],
            "region": np.array(REGIONS, dtype=object)[firms.region],
            "technology": np.array(TECHNOLOGIES, dtype=object)[firms.technology],
            "size": firms.size,
            "rapport": latent.rapport,
            "relationship": latent.relationship,
            "rate": latent.rate,
            "rate_effect": latent.rate_effect,
            "dropout": latent.dropout,
            "dropout_effect": latent.dropout_effect,
            "spend": latent.spend,
            "contract_churn": latent.contract_churn,
            "discount_propensity": latent.discount,
            "response": latent.response,
            "wallet": latent.wallet,
            "acquired": date(journeys.acquired),
            "alive": customer & np.isnan(journeys.dropped),
            "dropped": date(journeys.dropped),
            "win_probability": np.where(customer, np.nan, logistic(intercept + score)),
            "purchases_52": purchases,
            "margin_52": unit_margin * discounted,
            "margin_if_won": np.where(customer, np.nan, unit_margin * (1 + fresh)),
        }
    )


def tier_truth(
    firms: Firms,
    latent: Latent,
    journeys: Journeys,
    assignment: Assignment,
    calendar: Calendar,
    process: Process,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a customer and tier, and one row an account in the programme.

    ``incremental_margin`` is the discounted margin over the horizon with the tier's factors on rate and dropout from
    the day after the last one, less ``margin_52``; cost is not subtracted.
    """
    customer = np.flatnonzero(~np.isnan(journeys.acquired))
    factors, drop = rate_factors(latent), dropout_factors()
    unit_margin = process.margin * latent.spend
    base = _future(journeys, calendar, process, rate=latent.rate, dropout=latent.dropout, delta=process.delta)
    columns = []
    for tier, entry in enumerate(TIERS):
        treated = _future(
            journeys,
            calendar,
            process,
            rate=latent.rate * factors[:, tier],
            dropout=latent.dropout * drop[tier],
            delta=process.delta,
        )
        columns.append(
            pd.DataFrame(
                {
                    "account_id": firms.ids[customer],
                    "tier": entry.name,
                    "rate_factor": factors[customer, tier],
                    "dropout_factor": drop[tier],
                    "margin_52": (unit_margin * base)[customer],
                    "incremental_margin": (unit_margin * (treated - base))[customer],
                    "mean_cost": entry.cost,
                }
            )
        )
    # Rows of one account together, tiers in their order.
    tiers = pd.concat(columns).sort_index(kind="stable").reset_index(drop=True)
    programmes = pd.DataFrame(
        {
            "account_id": firms.ids[assignment.account],
            "tier": np.array([entry.name for entry in TIERS], dtype=object)[assignment.tier],
            "block": assignment.block,
            "treated": assignment.treated,
            "past_revenue": assignment.past,
            "rate_factor": np.where(assignment.treated, factors[assignment.account, assignment.tier], 1.0),
            "dropout_factor": np.where(assignment.treated, drop[assignment.tier], 1.0),
        }
    )
    return tiers, programmes


def invoice_truth(
    invoice: np.ndarray,
    account: np.ndarray,
    week: np.ndarray,
    lines: Lines,
    credit: tuple[np.ndarray, np.ndarray, np.ndarray],
    firms: Firms,
) -> pd.DataFrame:
    """One row a purchase: its moment (weeks since the first day), money billed, and money left after credit notes."""
    line, _, back = credit
    cents = lines.totals(len(account))
    credited = np.bincount(lines.order[line], weights=back * lines.cents[line], minlength=len(account)).astype(np.int64)
    table = pd.DataFrame(
        {
            "invoice": invoice,
            "account_id": firms.ids[account],
            "week": week,
            "billed": cents / 100,
            "net": (cents - credited) / 100,
        }
    )
    return table.sort_values("invoice", kind="stable").reset_index(drop=True)


def parameter_truth(
    process: Process, seed: int, intercept: float, managers: np.ndarray, regularity: int
) -> pd.DataFrame:
    """List every constant of the process, as text."""
    rows = [("seed", str(seed)), ("regularity", str(regularity)), ("win intercept", f"{intercept:.6f}")]
    rows += [(f"win manager M{code + 1:02d}", f"{effect:.6f}") for code, effect in enumerate(managers)]
    return pd.DataFrame(rows + process.as_rows(), columns=["name", "value"])
