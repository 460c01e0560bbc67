"""What was spent: on the way to accounts, on the programme, on service: the table `costs`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.parameters import CHANNELS, TIERS
from clv.data.simulate.purchases import Journeys

#: mean money of a touch on the way to an account, EUR, as in `CHANNELS`; fairs are dear and webinars are not cheap.
_TOUCH = (12.0, 45.0, 380.0, 60.0, 180.0, 900.0)
#: monthly money for each known account, EUR: market data (analysis), content and lists (preparation).
_OVERHEAD = (("analysis", "web", 3.0), ("preparation", "email", 4.0))
#: yearly service of a customer, EUR; the demo's study.yml says the same.
_SERVICE = 250.0
#: days before the win in which a touch belongs to the last step.
_LAST_STEP = 21
#: the programme is booked in so many parts, in equal steps from its start.
_PARTS = 4
_COLUMNS = ["date", "amount", "kind", "account_id", "channel", "stage"]


def costs_table(
    rng: np.random.Generator,
    touches: pd.DataFrame,
    programmes: pd.DataFrame,
    journeys: Journeys,
    firms: Firms,
    calendar: Calendar,
) -> pd.DataFrame:
    """Make the table `costs`.

    Every touch before the first purchase costs its channel's mean times a log-normal error: visits are booked on their
    account, all else by month, channel and step. What the programme spent on accounts of the upper tiers is booked on
    them in four parts, that of the lowest tier in four lumps: together exactly the cost in the table `programmes`.
    """
    parts = [
        _touches(rng, touches, journeys, firms, calendar),
        _monthly(rng, journeys, firms, calendar),
        _programme(programmes, calendar),
    ]
    table = pd.concat(parts, ignore_index=True)[_COLUMNS]
    table = table[table["amount"] > 0]
    order = table.sort_values(["date", "kind", "channel", "stage", "account_id"], kind="stable", na_position="first")
    return order.reset_index(drop=True).astype(dict.fromkeys(_COLUMNS[2:], object))


def _touches(
    rng: np.random.Generator, touches: pd.DataFrame, journeys: Journeys, firms: Firms, calendar: Calendar
) -> pd.DataFrame:
    at = pd.Index(firms.ids).get_indexer(pd.Index(touches["account_id"]))
    day = (touches["date"] - calendar.start).dt.days.to_numpy()
    left = np.floor(journeys.acquired[at] * 7) - day
    amount = np.array(_TOUCH)[pd.Index(CHANNELS).get_indexer(pd.Index(touches["channel"]))]
    amount = amount * np.exp(0.3 * rng.standard_normal(len(touches)) - 0.3**2 / 2)
    table = touches[["account_id", "date", "channel"]].assign(amount=amount, left=left)
    table = table[~(table["left"] < 0)]
    first = ~table["account_id"].duplicated()
    stage = np.where(table["channel"].isin(["webinar", "fair"]), "education", "follow-up")
    stage = np.where(table["left"] <= _LAST_STEP, "acquisition", stage)
    table["stage"] = np.where(first, "first contact", stage)
    table["date"] = table["date"].where(table["channel"] == "visit", _month_end(table["date"], calendar))
    table["account_id"] = table["account_id"].where(table["channel"] == "visit")
    sums = table.groupby(["date", "account_id", "channel", "stage"], dropna=False, as_index=False)["amount"].sum()
    return sums.assign(kind="acquisition", amount=sums["amount"].round(2))


def _monthly(rng: np.random.Generator, journeys: Journeys, firms: Firms, calendar: Calendar) -> pd.DataFrame:
    """Book overheads by the accounts known in a month, service by the customers that were still buying."""
    ends = pd.date_range(calendar.start, calendar.as_of, freq="ME").union([calendar.as_of])
    week = (ends - calendar.start).days.to_numpy() / 7
    known = (firms.created[:, None] <= week).sum(axis=0)
    gone = np.nan_to_num(journeys.dropped, nan=np.inf)
    buying = ((journeys.acquired[:, None] <= week) & (gone[:, None] > week)).sum(axis=0)
    rows: list[tuple[str, str | None, str | None, np.ndarray]] = [
        ("acquisition", stage, channel, rate * known) for stage, channel, rate in _OVERHEAD
    ]
    rows.append(("service", None, None, _SERVICE / 12 * buying))
    tables = []
    for kind, stage, channel, mean in rows:
        amount = np.round(mean * np.exp(0.1 * rng.standard_normal(len(ends)) - 0.1**2 / 2), 2)
        tables.append(
            pd.DataFrame({"date": ends, "amount": amount, "kind": kind, "channel": channel, "stage": stage}).assign(
                account_id=None
            )
        )
    return pd.concat([table.astype(object) for table in tables]).astype({"date": "datetime64[ns]", "amount": float})


def _programme(programmes: pd.DataFrame, calendar: Calendar) -> pd.DataFrame:
    """Split the cost of the programme into parts that sum to it, to the cent."""
    spent = programmes[programmes["cost"] > 0]
    lowest = (spent["tier"] == TIERS[-1].name).to_numpy()
    lump = pd.DataFrame({"account_id": [None], "cost": [spent.loc[lowest, "cost"].sum()], "channel": ["email"]})
    own = spent.loc[~lowest, ["account_id", "cost"]].assign(channel="visit")
    whole = pd.concat([own.astype(object), lump.astype(object)], ignore_index=True)
    cents = np.rint(whole["cost"].to_numpy(float) * 100).astype(np.int64)
    cut = np.array([cents * k // _PARTS for k in range(_PARTS + 1)])
    step = (calendar.days - calendar.programme_day) // _PARTS
    days = np.repeat(calendar.programme_day + step * np.arange(1, _PARTS + 1) - 1, len(whole))
    return pd.DataFrame(
        {
            "date": calendar.dates(days),
            "amount": np.diff(cut, axis=0).ravel() / 100,
            "kind": "programme",
            "account_id": np.tile(whole["account_id"].to_numpy(dtype=object), _PARTS),
            "channel": np.tile(whole["channel"].to_numpy(dtype=object), _PARTS),
            "stage": None,
        }
    )


def _month_end(dates: pd.Series, calendar: Calendar) -> pd.Series:
    ends = dates + pd.offsets.MonthEnd(0)
    return ends.where(ends <= calendar.as_of, calendar.as_of)
