"""The lifecycle: five stages and fourteen segments, as of a date and at every month-end before it (rule C2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.churn.left_out import left_out_text
from clv.churn.non_buyers import NonBuyers
from clv.churn.purchases import MICRO, Date, day_of, month_ends, purchases_until, snapshots
from clv.churn.rfm import SEGMENT_OF_CODE, choose_cuts
from clv.churn.rfm_cuts import RFMCuts
from clv.churn.rfm_segments import LIFE_STAGES, NON_BUYERS, SEGMENTS
from clv.churn.rfm_values import Values
from clv.churn.stays import History, make_history, make_stays
from clv.data.settings import Grain
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: fourteen segments: eleven of buyers, three of those who never bought.
ALL_SEGMENTS = SEGMENTS + NON_BUYERS
_STAGE_OF = np.array(
    [list(LIFE_STAGES).index(s) for name in ALL_SEGMENTS for s in LIFE_STAGES if name in LIFE_STAGES[s]]
)


@dataclass(frozen=True, eq=False)
class Lifecycle(Result):
    """Where each account is in its life, and where it was.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: stage, segment, since (first month-end of the present stay in the stage, the as-of date if it
        entered after the last one), rfm (empty for those who never bought), purchases, silent (days).
    by_stage, by_segment : pandas.DataFrame
        All five stages, all fourteen segments: accounts, share.
    history, segments : History
        Stays in stages, and in segments, over the month-ends up to the as-of date.
    cuts : RFMCuts
        The same for all dates.
    left_out : pandas.DataFrame
        account_id, reason, rows.
    """

    by_stage: pd.DataFrame
    by_segment: pd.DataFrame
    history: History
    segments: History
    cuts: RFMCuts
    left_out: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts are in each stage of life."""
        from clv.churn.pictures import stage_map

        ax = stage_map(self.by_stage, ax)
        ax.set_title(f"Stages of life of {len(self.table):,} accounts")
        return ax


def lifecycle(
    transactions: pd.DataFrame,
    *,
    as_of: Date | None = None,
    since: Date | None = None,
    accounts: Iterable[str] | pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    cuts: RFMCuts | Mapping[str, Any] | Literal["quintile"] | None = None,
    grain: Grain = "D",
    quiet_days: float = 90,
) -> Lifecycle:
    """Place accounts in five stages of life (acquisition, activation, growth, loyalty, reactivation).

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    since : date, optional
        Where the history begins; None: with the month of the first purchase.
    accounts, touches, opportunities : optional
        Tables that tell of accounts which never bought (see `clv.churn.non_buyers.NonBuyers`); without them, accounts
        are there from their first purchase on. Of `accounts` a list of ids will do.
    cuts : RFMCuts, mapping or "quintile", optional
        As in `clv.rfm_scores`; quintiles are those of the as-of date, and one set of cuts holds for all dates.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one.
    quiet_days : float
        After so many days without a word an enquiry counts as abandoned.

    Returns
    -------
    Lifecycle

    Raises
    ------
    clv.errors.DataError
        A column or a value is missing, or nothing was bought by then.
    clv.errors.SettingsError
        A date, the grain or the cuts are impossible, or no month ends in between.

    Notes
    -----
    Fourteen segments make the five stages: the eleven of RFM, and visitor, identified non-buyer and abandoned enquiry
    among those who never bought. The assignment is our reconstruction of a scheme whose figure is lost. Each date is
    judged by what was known on it.
    """
    if not (np.isfinite(quiet_days) and quiet_days > 0):
        raise SettingsError(f"quiet_days: found {quiet_days!r}.", mend="Give a positive number of days.")
    purchases = purchases_until(transactions, as_of=as_of, grain=grain)
    last = purchases.as_of
    start = day_of(since) if since is not None else pd.Timestamp(np.datetime64(int(purchases.day[0]), "D"))
    dates = month_ends(start, last)
    if not len(dates):
        raise SettingsError(
            f"no month ends between {start:%Y-%m-%d} and {last:%Y-%m-%d}.", mend="Correct 'since' or 'as_of'."
        )
    points = dates if dates[-1] == last else pd.DatetimeIndex([*dates, last]).as_unit("ns")
    others = NonBuyers(accounts, touches, opportunities, as_of=last, quiet_days=quiet_days)
    ids = pd.Index(purchases.accounts, dtype=object).union(others.accounts)
    buyers, known = ids.get_indexer(pd.Index(purchases.accounts, dtype=object)), ids.get_indexer(others.accounts)
    views = list(snapshots(transactions, list(points), purchases))
    now = views[-1]
    bought = now.purchases > 0
    book = pd.DataFrame(
        {"recency": now.silent[bought], "frequency": now.purchases[bought], "monetary": now.money[bought] / MICRO}
    )
    used = choose_cuts(cuts, Values(book, "total", grain, f"{last:%Y-%m-%d}", purchases.left_out))
    codes = np.full((len(ids), len(points)), -1, dtype=np.int8)
    for column, (date, view) in enumerate(zip(points, views, strict=True)):
        codes[known, column] = np.where((found := others.at(date)) >= 0, found + len(SEGMENTS), -1)
        real = view.purchases > 0
        R, F, M = used.score(view.silent[real], view.purchases[real], view.money[real] / MICRO).astype(np.int64)
        codes[buyers[real], column] = SEGMENT_OF_CODE[100 * R + 10 * F + M]
    stages = np.where(codes >= 0, _STAGE_OF[codes], -1).astype(np.int8)
    there = codes[:, -1] >= 0
    names = tuple(LIFE_STAGES)
    latest = make_stays(stages, ids, points, names).groupby("account_id")["from"].last()
    table = pd.DataFrame(
        {
            "stage": np.array(names, dtype=object)[stages[there, -1]],
            "segment": np.array(ALL_SEGMENTS, dtype=object)[codes[there, -1]],
            "since": latest.reindex(ids[there]).to_numpy(),
        },
        index=pd.Index(ids[there].astype(str), name="account_id"),
    )
    scores = used.score(book["recency"], book["frequency"], book["monetary"]).astype(str).astype(object)
    own = pd.Index(purchases.accounts[bought]).astype(str)
    table["rfm"] = pd.Series(scores[0] + scores[1] + scores[2], index=own).reindex(table.index)
    table["purchases"] = pd.Series(now.purchases[bought], index=own).reindex(table.index, fill_value=0)
    table["silent"] = pd.Series(now.silent[bought].astype(float), index=own).reindex(table.index)
    by_stage, by_segment = _count(table, "stage", names), _count(table, "segment", ALL_SEGMENTS)
    left_out = pd.concat([purchases.left_out, others.left_out], ignore_index=True)
    months = len(dates)
    return Lifecycle(
        table, _text(by_stage, last, left_out), by_stage, by_segment,
        make_history(stages[:, :months], ids, dates, names),
        make_history(codes[:, :months], ids, dates, ALL_SEGMENTS),
        used, left_out,
    )  # fmt: skip


def _count(table: pd.DataFrame, column: str, names: tuple[str, ...]) -> pd.DataFrame:
    counts = table[column].value_counts().reindex(pd.Index(names, name=column), fill_value=0)
    return counts.rename("accounts").to_frame().assign(share=counts / max(len(table), 1))


def _text(by_stage: pd.DataFrame, last: pd.Timestamp, left_out: pd.DataFrame) -> str:
    n = int(by_stage["accounts"].sum())
    spread = ", ".join(f"{row.accounts:,.0f} in {stage} ({row.share:.0%})" for stage, row in by_stage.iterrows())
    text = f"Of {n:,} account{'s' * (n != 1)} known on {last:%Y-%m-%d}: {spread}."
    return "\n\n".join(part for part in (text, left_out_text(left_out)) if part)
