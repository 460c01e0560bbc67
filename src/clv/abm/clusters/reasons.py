"""In what two accounts are alike and in what they are not, what is most telling first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clv.abm.clusters.embedding import Embedding
from clv.abm.profile.bands import figure, told
from clv.abm.propensity.columns import UNKNOWN
from clv.abm.wording import listed

#: squared distance up to which two numbers are alike (.45 standard deviations), and attributes told.
_ALIKE, _MOST = 0.1, 3


def why_alike(mapped: Embedding, frame: pd.DataFrame, points: np.ndarray, reference: pd.Series) -> list[str]:
    """Write for each account what it shares with its reference, and what not.

    What few accounts share with the reference comes first: it is more telling than what nearly all do.

    Parameters
    ----------
    mapped : Embedding
    frame : pandas.DataFrame
        Index account_id, as `Columns.take` gives it.
    points : numpy.ndarray, shape (accounts, width)
        Of all accounts of `frame`.
    reference : pandas.Series
        Index account_id, values account_id.

    Returns
    -------
    list of str
    """
    rows, models = frame.index.get_indexer(reference.index), frame.index.get_indexer(pd.Index(reference)).tolist()
    shared: list[list[tuple[float, str]]] = [[] for _ in rows]
    differ: list[list[tuple[float, str]]] = [[] for _ in rows]
    for block in mapped.blocks:
        own = points[:, block.at]
        values = frame[block.name].to_numpy()
        for model in sorted(set(models)):
            apart = ((own - own[model]) ** 2).sum(axis=1)
            ranked = np.sort(apart)
            for place in [at for at, other in enumerate(models) if other == model]:
                row = rows[place]
                here, there = _word(values[row]), _word(values[model])
                rarity = float(np.searchsorted(ranked, apart[row] + 1e-6) / len(ranked))
                if apart[row] > _ALIKE:
                    text = f"{block.name.replace('_', ' ')} ({here} against {there})"
                    differ[place].append((-float(apart[row]), text))
                elif there != UNKNOWN:
                    text = told(block.name, here)
                    if block.number and here != there:
                        text = f"{text} against {there}"
                    shared[place].append((rarity, text))
    out = []
    for place, name in enumerate(reference):
        same = [text for _, text in sorted(shared[place])[:_MOST]]
        other = [text for _, text in sorted(differ[place])[:_MOST]]
        parts = ([f"like {name}: {listed(same)}"] if same else [f"nothing known in common with {name}"]) + (
            [f"unlike in {listed(other)}"] if other else []
        )
        text = "; ".join(parts)
        out.append(f"{text[0].upper()}{text[1:]}.")
    return out


def _word(value: object) -> str:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return UNKNOWN if np.isnan(number) else figure(number)
