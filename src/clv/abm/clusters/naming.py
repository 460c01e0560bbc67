"""Clusters named by what distinguishes them from the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.abm.profile.bands import between, round_to, told
from clv.abm.propensity.columns import UNKNOWN, Columns

#: parts of a name.
_MOST = 3
#: share of a cluster that must have a level that names it.
_SHARE = 0.5
#: how far a level's share must be above that of the others, and a number's rank from the middle, to name a cluster.
_APART, _SHIFTED = 0.2, 0.2
#: how far it sets a cluster apart, its place in a name, and its words.
Part = tuple[float, int, str]


def name_clusters(frame: pd.DataFrame, columns: Columns, labels: np.ndarray) -> list[str]:
    """Name every cluster: ``machinery, south, employees 50–200``.

    A category names a cluster with a level that at least half of its accounts have, and the others' share of it is
    lower by a fifth; a number with the middle half of the cluster's values where an account of the cluster exceeds one
    of the others in at least 70 % of pairs, or at most 30 %. The three parts that set it apart most are taken.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `Columns.take` gives it.
    columns : Columns
    labels : numpy.ndarray of int, shape (accounts,)
        From 0 on; none empty.

    Returns
    -------
    list of str
        All different.
    """
    clusters = int(labels.max()) + 1
    parts = _parts(frame, columns, labels, clusters)
    names = [_joined(found[:_MOST]) for found in parts]
    shared = [names.count(name) > 1 for name in names]
    # Two clusters of one name: what else sets them apart.
    names = [
        _joined(found[: _MOST + 1]) if same else name for name, found, same in zip(names, parts, shared, strict=True)
    ]
    out: list[str] = []
    for at, name in enumerate(names):
        again = names[:at].count(name)
        out.append(f"{name} ({again + 1})" if again else name)
    return out


def _joined(parts: list[Part]) -> str:
    return ", ".join(text for _, _, text in sorted(parts, key=lambda part: part[1])) or "no common trait"


def _parts(frame: pd.DataFrame, columns: Columns, labels: np.ndarray, clusters: int) -> list[list[Part]]:
    """List what sets each cluster apart, the strongest first; `unknown` only where nothing else does."""
    from scipy.stats import rankdata

    found: list[list[Part]] = [[] for _ in range(clusters)]
    size = np.bincount(labels, minlength=clusters)
    # Categories stand before numbers in a name, as people say it.
    for place, name in enumerate(columns.numbers, start=len(columns.categories)):
        x = frame[name].to_numpy(float)
        known = ~np.isnan(x)
        values, group = x[known], labels[known]
        rank = rankdata(values)
        for c in range(clusters):
            own = group == c
            m, n = int(own.sum()), int((~own).sum())
            if m < 2 or n < 2:
                continue
            above = (rank[own].mean() - (m + 1) / 2) / n
            if abs(above - 0.5) >= _SHIFTED:
                low, high = np.quantile(values[own], [0.25, 0.75])
                text = between(round_to(low, 2), round_to(high, 2))
                found[c].append((2 * abs(above - 0.5), place, f"{name.replace('_', ' ')} {text}"))
    for place, name in enumerate(columns.categories):
        code, levels = pd.factorize(frame[name], sort=True)
        count = np.bincount(labels * len(levels) + code, minlength=clusters * len(levels)).reshape(clusters, -1)
        for c in range(clusters):
            at = int(np.argmax(count[c]))
            share = count[c, at] / size[c]
            others = (count[:, at].sum() - count[c, at]) / max(1, size.sum() - size[c])
            if share >= _SHARE and share - others >= _APART:
                found[c].append((float(share - others), place, told(name, str(levels[at]))))
    ordered = [sorted(parts, key=lambda part: (-part[0], part[1])) for parts in found]
    return [[part for part in parts if not part[2].endswith(UNKNOWN)] or parts for parts in ordered]
