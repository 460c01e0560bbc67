"""RFM: how lately, how often and for how much accounts bought, in scores and eleven segments (rule C1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from clv.churn.left_out import left_out_table, left_out_text, without_purchases
from clv.churn.purchases import Date
from clv.churn.rfm_cuts import RFMCuts
from clv.churn.rfm_segments import SEGMENT_CODES, SEGMENTS
from clv.churn.rfm_values import Values, from_summary, from_transactions
from clv.data.settings import Grain
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: place in SEGMENTS of the code r·100 + f·10 + m.
SEGMENT_OF_CODE = np.full(556, -1, dtype=np.int8)
for _place, _codes in enumerate(SEGMENT_CODES.values()):
    SEGMENT_OF_CODE[[int(code) for code in _codes]] = _place


@dataclass(frozen=True, eq=False)
class RFM(Result):
    """The scores and segment of each account.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: recency (days since the last purchase), frequency (purchases, the first one included),
        monetary (money, see ``cuts.money``), R, F, M (1 to 5, 5 is best), rfm (such as "545"), segment.
    by_segment : pandas.DataFrame
        Index segment (all eleven, from best to lost): accounts, share, money, share_of_money, recency and frequency
        (medians).
    cuts : RFMCuts
        To be given to the scoring of another date.
    left_out : pandas.DataFrame
        account_id, reason, rows: what could not be scored, or was not used.
    """

    by_segment: pd.DataFrame
    cuts: RFMCuts
    left_out: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts, and how much of the money, are in each segment."""
        from clv.churn.pictures import stage_map

        bars = self.by_segment.rename(columns={"money": "value"}).rename_axis("stage")
        ax = stage_map(bars, ax)
        ax.set_title(f"RFM segments of {len(self.table):,} accounts")
        return ax


def rfm_scores(
    source: pd.DataFrame,
    *,
    as_of: Date | None = None,
    cuts: RFMCuts | Mapping[str, Any] | Literal["quintile"] | None = None,
    grain: Grain = "D",
    accounts: Iterable[str] | pd.DataFrame | None = None,
) -> RFM:
    """Score how lately, how often and for how much each account bought.

    Parameters
    ----------
    source : pandas.DataFrame
        Transactions (account_id, date, amount), or a summary as `clv.summarise` gives it. A summary does not know the
        money of the first purchase: without a column ``sales`` (all money), M is that of the purchases after it.
    as_of : date, optional
        The last day that counts; None: the day of the last line, or the summary's own date, which cannot be changed.
    cuts : RFMCuts, mapping or "quintile", optional
        Quintiles of this book, or fixed cuts: those of an earlier scoring (``.cuts``), or a mapping with four rising
        numbers each for recency (days), frequency (purchases) and monetary. None: quintiles.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one; a summary has its own.
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts that should be there; those that never bought are counted in `RFM.left_out`.

    Returns
    -------
    RFM

    Raises
    ------
    clv.errors.DataError
        The table is neither, a value is missing or impossible, or nothing was bought by then.
    clv.errors.SettingsError
        The date, the grain or the cuts are impossible, or the cuts measure something else than the table does.

    Notes
    -----
    Quintiles are values that occur (inverse of the empirical distribution), and a score depends on the value alone:
    equal accounts are never parted, so that scores need not hold a fifth of the book each. With frozen cuts a further
    day without a purchase never raises R, and nobody moves because others did.
    """
    if isinstance(source, pd.DataFrame) and {"frequency", "recency", "T"} <= set(source.columns):
        given = from_summary(source, as_of)
    else:
        given = from_transactions(source, as_of, grain)
    values = given.table
    never = without_purchases(accounts, [*values.index, *given.left_out["account_id"]])
    left_out = pd.concat([given.left_out, left_out_table(("never bought", never))], ignore_index=True)
    used = choose_cuts(cuts, given)
    R, F, M = used.score(values["recency"], values["frequency"], values["monetary"])
    code = 100 * R.astype(np.int64) + 10 * F + M
    table = values.assign(R=R.astype("int64"), F=F.astype("int64"), M=M.astype("int64"))
    table["rfm"] = np.arange(556).astype(str).astype(object)[code]
    table["segment"] = np.array(SEGMENTS, dtype=object)[SEGMENT_OF_CODE[code]]
    table.attrs["clv"] = {"as_of": given.date, "grain": given.grain, "cuts": used.to_dict()}
    by_segment = _count(table)
    return RFM(table, _text(by_segment, used, given.date, left_out), by_segment, used, left_out)


def choose_cuts(cuts: RFMCuts | Mapping[str, Any] | str | None, given: Values) -> RFMCuts:
    """Return the cuts that are asked for; they must measure what the table does."""
    if cuts is None or (isinstance(cuts, str) and cuts == "quintile"):
        return RFMCuts.quintiles(
            given.table, money=given.money, grain=given.grain, as_of=given.date, accounts=len(given.table)
        )
    if isinstance(cuts, Mapping):
        cuts = RFMCuts.from_dict({"money": given.money} | dict(cuts))
    if not isinstance(cuts, RFMCuts):
        raise SettingsError(
            f"cuts: found {cuts!r}.", mend='Give "quintile", a mapping or the .cuts of another scoring.'
        )
    for name, theirs, ours in (("money", cuts.money, given.money), ("grain", cuts.grain, given.grain)):
        if theirs is not None and ours is not None and theirs != ours:
            raise SettingsError(
                f"cuts.{name}: they were made for {theirs!r}, this table has {ours!r}.",
                mend="Score both dates from the same kind of table with the same grain.",
            )
    return cuts


def _count(table: pd.DataFrame) -> pd.DataFrame:
    grouped = table.groupby("segment")
    counts = pd.DataFrame({"accounts": grouped.size()}).reindex(pd.Index(SEGMENTS, name="segment"), fill_value=0)
    counts["share"] = counts["accounts"] / len(table)
    counts["money"] = grouped["monetary"].sum().reindex(counts.index, fill_value=0.0)
    total = counts["money"].sum()
    counts["share_of_money"] = counts["money"] / total if total > 0 else np.nan
    for name in ("recency", "frequency"):
        counts[name] = grouped[name].median().reindex(counts.index)
    return counts


def _text(by_segment: pd.DataFrame, cuts: RFMCuts, date: str | None, left_out: pd.DataFrame) -> str:
    n = int(by_segment["accounts"].sum())
    how = f"quintiles of {cuts.as_of or 'this book'}" if cuts.kind == "quintile" else "fixed cuts"
    spread = ", ".join(f"{name} {row.accounts:,.0f}" for name, row in by_segment.iterrows() if row.accounts)
    text = f"{n:,} account{'s' * (n != 1)} scored{f' as of {date}' if date else ''} by {how}: {spread}."
    if np.isfinite(by_segment["share_of_money"]).all():
        of = "of all money" if cuts.money == "total" else "of the money of repeat purchases"
        best = by_segment.loc[["Champions", "Loyal"]].sum()
        fading = by_segment.loc[["At Risk", "Cannot Lose"]].sum()
        if best.accounts:
            text += f" Champions and Loyal, {best.share:.0%} of the accounts, brought {best.share_of_money:.0%} {of}."
        if fading.accounts:
            text += f" At Risk and Cannot Lose, gone quiet, brought {fading.share_of_money:.0%}."
    return "\n\n".join(part for part in (text, left_out_text(left_out)) if part)
