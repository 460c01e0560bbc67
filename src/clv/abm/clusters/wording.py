"""Clusters and lookalikes in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from clv.abm.wording import accounts, listed

if TYPE_CHECKING:
    from clv.abm.clusters.choose import Choice

#: clusters told in the text.
_MOST = 8
#: an account that is with its cluster's members in fewer resamples is on the border.
BORDER = 0.7


def clusters_text(
    table: pd.DataFrame, summary: pd.DataFrame, choice: Choice, *, size: tuple[int, int] | None, won: bool
) -> str:
    """Write how many clusters there are, how stable, what they are, and what is uncertain."""
    kinds = summary.groupby("cluster", sort=False)["accounts"].sum()
    border = int((table["stability"] < BORDER).sum())
    row = choice.table.loc[choice.best]
    text = (
        f"{accounts(len(table))} fall into {len(kinds):,} clusters: accounts of one kind look as clustered in"
        f" {choice.p_value:.1%} of cases or fewer. When the clustering is repeated on resamples, {row['pac']:.0%} of"
        f" pairs of accounts are neither together nor apart reliably ({row['pac_one_kind']:.0%} among accounts of one"
        f" kind); {accounts(border)} lie on a border, with their own cluster in fewer than {BORDER:.0%} of repetitions."
    )
    named = [f"{name} ({int(n):,})" for name, n in kinds.head(_MOST).items()]
    rest = len(kinds) - len(named)
    text += f"\n\nThe clusters, by what sets them apart: {'; '.join(named)}{f'; {rest:,} more' if rest else ''}."
    if size is not None:
        cut = summary.groupby("cluster")["group"].nunique()
        small = summary[summary["accounts"] < size[0]]
        text += (
            f" {int((cut > 1).sum()):,} of them are cut into groups of at most {size[1]} neighbours, {len(summary):,}"
            " groups in all; that cut follows what people can handle, not the data."
        )
        if len(small):
            text += f" {len(small):,} have fewer than {size[0]} accounts."
    if won:
        without = summary[summary["reference"].isna()]
        word = "cluster" if size is None else "group"
        if len(without):
            names = listed([f"“{name}”" for name in without["group"].head(4)])
            more = "" if len(without) <= 4 else f" and {len(without) - 4:,} more"
            text += f"\n\nNo won account to show as a reference in {len(without):,} {word}s: {names}{more}."
        else:
            text += f"\n\nEvery {word} has a won account to show as a reference."
    return text
