"""From a study's tables to what a programme changes about each account, customers and prospects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.propensity.known import NOT_ATTRIBUTES, decided_deals, known_at
from clv.abm.propensity.win_propensity import WinPropensity, win_propensity
from clv.abm.selecting.incremental import IncrementalValue, incremental_value
from clv.abm.selecting.level import FirmographicLevel, firmographic_level
from clv.abm.selecting.once_won import Prospects, value_prospects
from clv.data.units import years
from clv.errors import DataError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
    from clv.churn.plays.measured import MeasuredUplift
    from clv.data.settings import Settings
    from clv.value.lifetime import LifetimeValue

#: what is known of every account but would tell customers from prospects rather than good deals from bad ones.
_HISTORY = ("purchases_before", "days_since_purchase", "spent_before", "won_before")


def first_deals(
    opportunities: pd.DataFrame,
    accounts: pd.DataFrame,
    transactions: pd.DataFrame,
    *,
    as_of: pd.Timestamp,
    touches: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Gather decided deals with accounts that had not bought when the deal was opened, as known on that day.

    Parameters
    ----------
    opportunities, accounts, transactions, touches : pandas.DataFrame
        Tables of a study.
    as_of : pandas.Timestamp
        Deals decided after this day do not count.

    Returns
    -------
    pandas.DataFrame
        opportunity_id, account_id, date, decided, won, and what `known_at` tells.
    """
    deals = decided_deals(opportunities, as_of=as_of)
    known = transactions[transactions["date"].dt.normalize() <= as_of]
    began = known["date"].groupby(known["account_id"].astype(str)).min()
    bought = deals["account_id"].map(began).lt(deals["date"]).to_numpy(bool)
    listed = deals["account_id"].isin(_ids(accounts)).to_numpy(bool)
    deals = deals[~bought & listed]
    seen = known_at(deals, accounts=accounts, opportunities=opportunities, touches=touches)
    return pd.concat([deals, seen.drop(columns=[c for c in _HISTORY if c in seen])], axis=1)


def study_prospects(
    value: LifetimeValue,
    purchases: Any,
    spend: Any,
    *,
    settings: Settings,
    as_of: pd.Timestamp,
    transactions: pd.DataFrame,
    accounts: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    win: WinPropensity | None = None,
) -> tuple[Prospects | None, str]:
    """Value the accounts of a study that have not bought.

    Parameters
    ----------
    value : LifetimeValue
        Of the customers.
    purchases, spend : fitted models
    settings : Settings
        horizon, margin, discount_rate, draws, seed, unit and currency are used.
    as_of : pandas.Timestamp
    transactions, accounts, opportunities, touches : pandas.DataFrame
        Tables of the study; all but the first may be missing.
    win : WinPropensity, optional
        Made from `first_deals`; None: it is learnt here.

    Returns
    -------
    prospects : Prospects or None
        None without a table of accounts, or where all of them have bought.
    text : str
        What was learnt, or what is missing and what that means.
    """
    if accounts is None:
        return None, "There is no table of accounts: nothing is known of prospects, and value alone decides."
    table = accounts.set_index("account_id", drop=False) if "account_id" in accounts.columns else accounts
    ahead = table[~table.index.astype(str).isin(value.table.index.astype(str))]
    if not len(ahead):
        return None, "All accounts have bought: there are no prospects."
    notes: list[str] = []
    if win is None and opportunities is not None and {"closed", "outcome"} <= set(opportunities.columns):
        deals = first_deals(opportunities, accounts, transactions, as_of=as_of, touches=touches)
        try:
            win = win_propensity(
                deals, exclude=["opportunity_id", "account_id"], group="account_id", opened="date",
                decided="decided", seed=settings.seed,
            )  # fmt: skip
        except DataError as error:
            notes.append(f"The chance to win prospects cannot be learnt: {error.message}")
    if win is not None:
        notes.append(win.text)
    points = pd.DataFrame({"account_id": _ids(ahead), "date": as_of})
    seen = known_at(points, accounts=accounts, opportunities=opportunities, touches=touches)
    features = seen.set_axis(pd.Index(points["account_id"], name="account_id"), axis=0)
    level: FirmographicLevel | None = None
    attributes = [c for c in table.columns if c not in (*NOT_ATTRIBUTES, "account_id")]
    covariates = bool(purchases._effects()) if hasattr(purchases, "_effects") else False
    if not attributes:
        notes.append("There are no firmographics: what a prospect would bring is the same for all.")
    elif not covariates:
        level = firmographic_level(
            transactions, accounts, horizon=settings.horizon, unit=settings.unit, as_of=as_of, features=None,
            exclude=["account_id", "margin_share"], seed=settings.seed,
        )  # fmt: skip
        notes.append(level.text)
    found = value_prospects(
        features, purchases, spend, win=win, horizon=settings.horizon, discount_rate=settings.discount_rate,
        margin=settings.margin, level=level, draws=0 if value.draws is None else value.draws.shape[1],
        seed=settings.seed, currency=settings.currency,
    )  # fmt: skip
    return found, "\n\n".join([*notes, found.text])


def study_incremental(
    value: LifetimeValue,
    purchases: Any,
    spend: Any,
    *,
    settings: Settings,
    measured: Mapping[str, MeasuredUplift] | None = None,
    response: Response | None = None,
    win_uplift: float | Mapping[str, float] | None = None,
    **tables: Any,
) -> IncrementalValue:
    """Say what the study's programme changes about each of its accounts.

    Parameters
    ----------
    value, purchases, spend, settings
        As in `study_prospects`.
    measured : mapping, optional
        Tier -> what an experiment found.
    response : Response, optional
        What is believed of all tiers after all experiments, in place of `measured`.
    win_uplift : float or mapping, optional
        As in `incremental_value`.
    **tables
        as_of, transactions, accounts, opportunities, touches, win: as in `study_prospects`.

    Returns
    -------
    IncrementalValue
        The text says where the numbers about prospects are from, or why there are none.
    """
    prospects, said = study_prospects(value, purchases, spend, settings=settings, **tables)
    found = incremental_value(
        value, settings.tiers, prospects=prospects, measured=measured, response=response, win_uplift=win_uplift,
        cost_to_serve=settings.selection.cost_to_serve * years(settings.horizon, settings.unit),
        seed=settings.seed, confidence=settings.confidence, currency=settings.currency,
    )  # fmt: skip
    return replace(found, text=f"{found.text}\n\n{said}")


def _ids(accounts: pd.DataFrame) -> np.ndarray:
    column = accounts["account_id"] if "account_id" in accounts.columns else accounts.index
    return np.asarray(column.astype(str))
