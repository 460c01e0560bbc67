"""Clusters of accounts for the one-to-few tier: found if they are there, stable, named, with a reference each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.clusters.balanced import equal_groups
from clv.abm.clusters.book import account_book, known_ids
from clv.abm.clusters.choose import Choice, choose_number
from clv.abm.clusters.consensus import item_consensus
from clv.abm.clusters.embedding import embed
from clv.abm.clusters.naming import name_clusters
from clv.abm.clusters.wording import clusters_text
from clv.abm.propensity.columns import describe_columns
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: fewest accounts in which clusters are looked for, and fewest a cluster on average.
_FEWEST, _EACH = 30, 5


@dataclass(frozen=True, eq=False)
class AccountClusters(Result):
    """Clusters of accounts.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: cluster (its name; missing for all where there is no structure), group (the same, or a part
        of it of the size asked for), stability (consensus with its cluster, 0–1: how often its members are with it
        when the clustering is repeated), next_cluster and next_stability, reference (a won account of the group, the
        one nearest its middle; missing where there is none), distance (to the cluster's middle; see `embed`). A
        column of the options for the limit `Clusters` of `allocate_tiers` is made from cluster or group.
    clusters : pandas.DataFrame
        One row a group: group, cluster, accounts, stability (mean), won, reference.
    choice : pandas.DataFrame
        Index clusters, the numbers tried: pac, pac_one_kind, stability, gap, gap_error.
    p_value : float
        Of the gap statistic: how often accounts of one kind look as clustered as these. NaN if not tested.
    structured : bool
    consensus : numpy.ndarray or None, shape (n, n)
        Consensus matrix of the sample, by clusters; None without structure.
    """

    clusters: pd.DataFrame
    choice: pd.DataFrame
    p_value: float
    structured: bool
    consensus: np.ndarray | None

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the consensus matrix by clusters; without structure, the gap for each number of clusters."""
        from clv.abm.clusters.pictures import consensus_picture

        return consensus_picture(self, ax)


def account_clusters(
    accounts: pd.DataFrame,
    *,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    won: Iterable[str] | None = None,
    clusters: int | tuple[int, int] = (2, 8),
    size: tuple[int, int] | None = None,
    level: float = 0.05,
    resamples: int = 40,
    references: int = 59,
    sample: int = 500,
    seed: int = 0,
) -> AccountClusters:
    """Find clusters of accounts that stay when the clustering is repeated, or say that there are none.

    Parameters
    ----------
    accounts : pandas.DataFrame
        One row an account: account_id (a column or the index), and what it is alike in: firmographics, needs.
    features, exclude : sequence of str
        Columns to look at, or not; None: all but names, managers, parents and dates.
    won : iterable of str, optional
        Accounts that were won, to serve as references.
    clusters : int or (int, int)
        Number of clusters, or fewest and most that are tried.
    size : (int, int), optional
        Fewest and most accounts of a group that is worked on together, such as (5, 15): clusters that are larger are
        cut into groups of neighbours of like size. The cut follows what people can handle, not the data. The most
        must be at least twice the fewest less one.
    level : float
        Accounts of one kind that look as clustered as these must be no more frequent than this.
    resamples : int
        Clusterings whose agreement is counted.
    references : int
        Books of one kind that the gap statistic is compared with.
    sample : int
        Accounts on which clusters are found; all others are assigned. Memory grows with its square.
    seed : int

    Returns
    -------
    AccountClusters

    Raises
    ------
    DataError
        An account is there twice, a column is missing, or a won account is not in the table.
    SettingsError
        Numbers that cannot be.

    Notes
    -----
    Rule A10. Points as in `embed`; structure: gap statistic on them with a Monte-Carlo p-value (Tibshirani et al. 2001)
    against accounts of one kind (`one_kind`); clusters: consensus clustering (Monti et al. 2003) by the attributes that
    go with others (`related_attributes`), k-means on resamples, average linkage of the consensus matrix; their number:
    lowest ambiguity relative to accounts of one kind (Șenbabaoğlu et al. 2014; John et al. 2020). Every account, in the
    sample or not, goes to the cluster with which its item consensus is highest. k-means favours round clusters of like
    size; a cluster here says that accounts are alike, not that they buy alike.
    """
    low, high = (clusters, clusters) if isinstance(clusters, int) else clusters
    _check(low, high, size, level, resamples, references, sample)
    book = account_book(accounts)
    references_won = None if won is None else known_ids(won, book.index)
    columns = describe_columns(book, only=features, exclude=["account_id", *NOT_ATTRIBUTES, *exclude])
    high = max(low, min(high, min(len(book), sample) // _EACH))
    if len(book) < max(_FEWEST, low * _EACH) or not columns.names:
        return _none(book, None, len(columns.names), level)
    frame = columns.take(book, table="accounts")
    mapped = embed(frame, columns)
    # By id, so that the order of the rows has no say in who is in the sample.
    order = np.argsort(book.index.to_numpy(dtype=str), kind="stable")
    rng = np.random.default_rng(seed)
    some = order if len(book) <= sample else np.sort(rng.choice(len(book), sample, replace=False))
    some = some if len(book) <= sample else order[some]
    base = mapped.points(frame.iloc[some])
    ks = [k for k in range(low, high + 1) if k < len(np.unique(base, axis=0))]
    if not ks:
        return _none(book, None, len(columns.names), level)
    choice = choose_number(base, mapped.blocks, ks, resamples=resamples, references=references, seed=seed)
    if choice.p_value > level or float(choice.table["stability"].max()) <= 0:
        return _none(book, choice, len(columns.names), level)

    points = mapped.points(frame)
    belongs = item_consensus(choice.found, base[:, choice.columns], points[:, choice.columns])
    label, belongs = _used(belongs)
    middles = np.array([points[label == c].mean(axis=0) for c in range(belongs.shape[1])])
    names = np.array(name_clusters(frame, columns, label), dtype=object)
    table = pd.DataFrame({"cluster": names[label]}, index=book.index)
    table["group"] = _groups(points, order, label, names, size)
    rows = np.arange(len(book))
    table["stability"] = belongs[rows, label].astype(float)
    rest = belongs.copy()
    rest[rows, label] = -1
    other = rest.argmax(axis=1)
    table["next_cluster"] = names[other] if belongs.shape[1] > 1 else None
    table["next_stability"] = np.maximum(rest[rows, other], 0).astype(float)
    away = ((points - middles[label]) ** 2).sum(axis=1) / len(columns.names)
    table["distance"] = np.sqrt(away.astype(float))
    summary = _summary(table, references_won)
    table.insert(5, "reference", table["group"].map(summary.set_index("group")["reference"]).astype(object))
    text = clusters_text(table, summary, choice, size=size, won=references_won is not None)
    by = np.argsort(choice.found.labels, kind="stable")
    return AccountClusters(
        table, text, summary, choice.table, choice.p_value, True, choice.found.matrix[np.ix_(by, by)]
    )


def _used(belongs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give numbers to the clusters that have accounts, the largest first."""
    label = belongs.argmax(axis=1)
    count = np.bincount(label, minlength=belongs.shape[1])
    by = [c for c in np.argsort(-count, kind="stable") if count[c]]
    place = np.zeros(belongs.shape[1], dtype=np.int64)
    place[by] = np.arange(len(by))
    return place[label], belongs[:, by]


def _groups(
    points: np.ndarray, order: np.ndarray, label: np.ndarray, names: np.ndarray, size: tuple[int, int] | None
) -> np.ndarray:
    out = names[label]
    if size is None:
        return out
    for c, name in enumerate(names):
        members = order[label[order] == c]
        if len(members) > size[1]:
            part = equal_groups(points[members], size[1])
            out[members] = [f"{name}, part {number + 1}" for number in part]
    return out


def _summary(table: pd.DataFrame, won: pd.Index | None) -> pd.DataFrame:
    """One row a group, in the order of clusters and parts; the reference is the won account nearest the middle."""
    ours = table.index.isin(won) if won is not None else np.zeros(len(table), dtype=bool)
    near = table.assign(ours=ours, account=table.index).sort_values(["distance", "account"], kind="stable")
    rows = []
    first = table.groupby("cluster", sort=False).size().sort_values(ascending=False, kind="stable").index
    place = {name: at for at, name in enumerate(first)}
    for (cluster, group), members in near.groupby(["cluster", "group"], sort=False):
        held = members[members["ours"]]
        rows.append(
            {
                "group": group,
                "cluster": cluster,
                "accounts": len(members),
                "stability": float(members["stability"].mean()),
                "won": len(held) if won is not None else pd.NA,
                "reference": held["account"].iloc[0] if len(held) else None,
            }
        )
    rows.sort(key=lambda row: (place[row["cluster"]], len(str(row["group"])), str(row["group"])))
    return pd.DataFrame(rows).astype({"won": "Int64", "reference": object})


def _none(book: pd.DataFrame, choice: Choice | None, attributes: int, level: float) -> AccountClusters:
    blank = pd.Series([None] * len(book), index=book.index, dtype=object)
    table = pd.DataFrame({"cluster": blank, "group": blank})
    table["stability"] = np.nan
    table["next_cluster"] = blank
    table["next_stability"] = np.nan
    table["reference"] = blank
    table["distance"] = np.nan
    summary = pd.DataFrame(columns=["group", "cluster", "accounts", "stability", "won", "reference"])
    tried = pd.DataFrame(columns=["pac", "pac_one_kind", "stability", "gap", "gap_error"], dtype=float)
    p_value = np.nan
    if choice is not None:
        tried, p_value = choice.table, choice.p_value
        text = (
            f"No clusters: accounts of one kind, without any, look as clustered as these {len(book):,} in {p_value:.0%}"
            f" of cases (gap statistic over {tried.index[0]} to {tried.index[-1]} clusters; at most {level:.0%} is"
            " asked for). Cutting them up would invent kinds that the data do not have; take single lookalikes instead."
        )
        if p_value <= level:
            text = (
                f"No clusters: these {len(book):,} accounts differ from accounts of one kind, but no number of clusters"
                " from"
                f" {tried.index[0]} to {tried.index[-1]} is more stable over resamples than it would be for those."
            )
    elif not attributes:
        text = "No clusters: there is no attribute in which accounts could be alike."
    else:
        text = f"No clusters: {len(book):,} accounts are too few to tell kinds apart; {_FEWEST} are needed at least."
    return AccountClusters(table, text, summary, tried, p_value, False, None)


def _check(
    low: int, high: int, size: tuple[int, int] | None, level: float, resamples: int, references: int, sample: int
) -> None:
    if not 2 <= low <= high:
        raise SettingsError(f"clusters are {low} to {high}.", mend="Give 2 or more, the fewest first.")
    if size is not None and not (size[0] >= 1 and 2 * size[0] - 1 <= size[1]):
        raise SettingsError(
            f"groups of {size[0]} to {size[1]} accounts cannot always be made.",
            mend="Give a most that is at least twice the fewest less one, such as (5, 15).",
        )
    if not 0 < level < 1 or (references + 1) * level < 1:
        raise SettingsError(
            f"{references} references cannot show a level of {level}.", mend="Give at least 1 ÷ level − 1 references."
        )
    if resamples < 10 or sample < _FEWEST:
        raise SettingsError(
            f"{resamples} resamples of {sample} accounts are too few.",
            mend=f"Give 10 or more, of {_FEWEST} accounts or more.",
        )
