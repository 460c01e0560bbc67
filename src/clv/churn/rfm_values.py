"""What RFM scores are made from: silence, purchases and money of each account, from transactions or a summary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from clv.churn.left_out import left_out_table
from clv.churn.purchases import MICRO, Date, day_of, purchases_until, snapshots
from clv.churn.rfm_cuts import Money
from clv.data.settings import Grain
from clv.data.units import days_per_unit
from clv.errors import DataError, SettingsError, UnitError


class Values(NamedTuple):
    """Index account_id: recency (days), frequency, monetary; and how they were measured."""

    table: pd.DataFrame
    money: Money
    grain: str | None
    date: str | None
    left_out: pd.DataFrame


def from_transactions(source: pd.DataFrame, as_of: Date | None, grain: Grain) -> Values:
    """Measure accounts from their lines up to a date."""
    purchases = purchases_until(source, as_of=as_of, grain=grain)
    now = next(snapshots(source, [purchases.as_of], purchases))
    bought = now.purchases > 0
    values = pd.DataFrame(
        {
            "recency": now.silent[bought].astype(float),
            "frequency": now.purchases[bought],
            "monetary": now.money[bought] / MICRO,
        },
        index=pd.Index(purchases.accounts[bought], dtype=object, name="account_id"),
    )
    values.index = values.index.astype(str)
    return Values(values, "total", grain, f"{purchases.as_of:%Y-%m-%d}", purchases.left_out)


def from_summary(source: pd.DataFrame, as_of: Date | None) -> Values:
    """Measure accounts from their summary, which is checked; a date must be the summary's own."""
    about = source.attrs.get("clv", {})
    if as_of is not None and f"{day_of(as_of):%Y-%m-%d}" != about.get("as_of"):
        raise SettingsError(
            f"as_of: the summary is of {about.get('as_of')}, not of {day_of(as_of):%Y-%m-%d}.",
            mend="Summarise the transactions as of that date, or give the transactions.",
        )
    if about.get("unit") is None:
        raise UnitError("the summary does not say its unit.", mend="Use clv.summarise.")
    total = "sales" in source.columns
    if not total and "monetary_value" not in source.columns:
        raise DataError("the column is missing.", table="summary", column="monetary_value", mend="Use clv.summarise.")
    names = ["frequency", "recency", "T", "sales" if total else "monetary_value"]
    for name in names:
        bad = ~np.isfinite(source[name].to_numpy(float))
        bad |= (source[name].to_numpy(float) < 0) & (name in names[:3])
        if name == "T":
            bad |= source["recency"].to_numpy(float) > source["T"].to_numpy(float) + 1e-9
        if bad.any():
            raise DataError(
                f"account {source.index[bad][0]!r}: {source[name][bad].iloc[0]!r} ({int(bad.sum())} rows in all).",
                table="summary", column=name, row=int(np.argmax(bad)) + 1,
                mend="No purchase can lie before the first one or after the as-of date: use clv.summarise.",
            )  # fmt: skip
    if source.empty or source.index.has_duplicates:
        what = "no account has bought yet." if source.empty else "an account is there twice."
        raise DataError(what, table="summary", mend="Use clv.summarise.")
    silent = (source["T"] - source["recency"]).clip(lower=0) * days_per_unit(about["unit"])
    repeat = source["monetary_value"] * source["frequency"] if not total else source["sales"]
    values = pd.DataFrame(
        # Whole days came from a division: rounding brings them back.
        {"recency": silent.round(6), "frequency": source["frequency"].astype("int64") + 1, "monetary": repeat.round(6)}
    ).rename_axis("account_id")
    money: Money = "total" if total else "repeat"
    return Values(values, money, about.get("grain"), about.get("as_of"), left_out_table())
