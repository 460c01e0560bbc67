"""Draws of option values: from draws of account values and of what tiers add, or given as a table of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.abm.allocation.book import LARGEST, Book
from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
    from clv.abm.selecting.incremental import IncrementalValue
    from clv.value.lifetime import LifetimeValue


@dataclass(frozen=True, eq=False)
class OptionDraws:
    """Joint draws of the values of options.

    Attributes
    ----------
    drawn : numpy.ndarray
        (options, draws) value of each row of the options in each draw.
    parameters : pandas.DataFrame
        (draws, parameters) what all accounts share in a draw, such as the uplift of a tier; may have no column.
    """

    drawn: np.ndarray
    parameters: pd.DataFrame


def option_draws(
    options: pd.DataFrame,
    value: LifetimeValue | pd.DataFrame,
    response: Response | Mapping[str, float],
    *,
    segments: Mapping[str, str] | pd.Series | None = None,
    seed: int = 0,
) -> OptionDraws:
    """Draw the values of options as ``uplift × clv``, both uncertain.

    Parameters
    ----------
    options : pandas.DataFrame
        As of `tier_options`: account_id, tier.
    value : LifetimeValue or pandas.DataFrame
        With draws of each account's value; or a table of them: index account_id, a column a draw.
    response : Response or mapping of str to float
        What is known of each tier's uplift, drawn once for all accounts (of a segment); or fixed uplifts.
    segments : mapping or Series, optional
        Account -> segment of `response`, as in `tier_options`.
    seed : int
        Of the draws of uplifts.

    Returns
    -------
    OptionDraws
        Values of accounts and uplifts are independent of each other.

    Raises
    ------
    DataError
        `value` has no draws, or an account has none.
    SettingsError
        Nothing is known of a tier.
    """
    for column in ("account_id", "tier"):
        if column not in options.columns:
            raise DataError(
                "the column is missing.", mend="Make it with tier_options().", table="options", column=column
            )
    if isinstance(value, pd.DataFrame):
        index, drawn = value.index.astype(str), value.to_numpy(float)
    elif value.draws is None:
        raise DataError("there are no draws.", mend="Make it with lifetime_value(..., draws=400).", table="value")
    else:
        index, drawn = value.table.index.astype(str), np.asarray(value.draws)
    ids, names = options["account_id"].astype(str), options["tier"].astype(str)
    at = index.get_indexer(pd.Index(ids))
    if (at < 0).any():
        raise DataError(
            f"account {ids.iloc[int(np.argmax(at < 0))]!r} has no draws.",
            mend="Give draws of every account with an option.",
            table="value",
            column="account_id",
        )
    many = drawn.shape[1]
    if isinstance(response, Mapping):
        unknown = sorted(set(names) - set(response))
        if unknown:
            raise SettingsError(f"no uplift is given for tier {unknown[0]!r}.", mend="Give tier -> uplift.")
        fixed = names.map({str(k): float(v) for k, v in response.items()}).to_numpy(float)
        return OptionDraws(drawn[at] * fixed[:, None], pd.DataFrame(index=range(many)))
    label = None if segments is None else [str(segments.get(account, "")) for account in ids]
    cell = response.cell(names, label)
    if (cell < 0).any():
        raise SettingsError(
            f"nothing was learnt or assumed of tier {names.iloc[int(np.argmax(cell < 0))]!r}.",
            mend=f"The response knows {', '.join(response.assumed)}.",
        )
    uplift = response.draw(many, seed=seed)
    used = np.unique(cell)
    heads = [
        f"uplift of {t}" + (f" in {s}" if s else "")
        for t, s in response.table.loc[used, ["tier", "segment"]].itertuples(index=False)
    ]
    return OptionDraws(drawn[at] * uplift.T[cell], pd.DataFrame(uplift[:, used], columns=heads))


def incremental_draws(
    options: pd.DataFrame,
    found: IncrementalValue,
    *,
    effects: Literal["drawn", "believed"] = "drawn",
    centred: bool = True,
    most: int | None = None,
) -> OptionDraws:
    """Draw the values of options from what a programme is believed to change, customers and prospects.

    Parameters
    ----------
    options : pandas.DataFrame
        account_id, tier, value: some of ``found.tiers``.
    found : IncrementalValue
        With draws.
    effects : {"drawn", "believed"}
        Whether what tiers do is uncertain as well, or taken to be what is believed: then only accounts differ.
    centred : bool
        Whether each option's draws are moved so that their mean is its value: what is expected is known better than
        from the mean of some hundred draws, and the plan for the mean is then the one for the values.
    most : int, optional
        So many draws at most, the first ones.

    Returns
    -------
    OptionDraws
        The same draws of tiers' effects as behind ``found.draws``; these effects are the parameters, and the rise of
        the odds to win prospects where there are prospects among the options.

    Raises
    ------
    DataError
        There are no draws, or an option is none of `found`.
    """
    if found.belief is None:
        raise DataError("there are no draws.", mend="Make it from lifetime_value(..., draws=400).", table="value")
    ids, names = options["account_id"].astype(str), options["tier"].astype(str)
    rows = found.table.index.get_indexer(pd.Index(ids))
    places = pd.Index([effect.name for effect in found.effects]).get_indexer(pd.Index(names))
    if (rows < 0).any() or (places < 0).any():
        k = int(np.argmax((rows < 0) | (places < 0)))
        raise DataError(
            f"account {ids.iloc[k]!r} in tier {names.iloc[k]!r} is no option of what the programme changes.",
            mend="Make the options from its tiers.", table="options", column="account_id", row=k + 1,
        )  # fmt: skip
    belief = found.belief if effects == "drawn" else found.belief.settled()
    many = belief.draws if most is None else min(most, belief.draws)
    drawn = np.empty((len(options), many), dtype=np.float32)
    heads, columns = [], []
    prospects = bool((rows >= belief.customers).any())
    for place, effect in enumerate(found.effects):
        at = np.flatnonzero(places == place)
        if not len(at):
            continue
        drawn[at] = belief.gain(place, rows[at])[:, :many]
        heads.append(f"uplift of {effect.name}")
        columns.append(belief.uplift[:many, place])
        if prospects:
            heads.append(f"rise of the odds to win in {effect.name}")
            columns.append(belief.win[:many, place])
    if centred:
        value, mean = options["value"].to_numpy(float), drawn.mean(axis=1, dtype=float)
        scale = np.divide(value, mean, out=np.ones(len(mean)), where=(mean > 0) & (value > 0))
        shift = np.where((mean > 0) & (value > 0), 0.0, value - mean)
        drawn = drawn * scale[:, None] + shift[:, None]
    known = dict(zip(heads, columns, strict=True)) if effects == "drawn" else {}
    return OptionDraws(drawn, pd.DataFrame(known, index=range(many)))


def read_draws(options: pd.DataFrame, draws: np.ndarray | pd.DataFrame | OptionDraws) -> OptionDraws:
    """Check draws against their options.

    Raises
    ------
    DataError
        Not one row an option, fewer than two draws, or a value that is no number.
    """
    given = draws if isinstance(draws, OptionDraws) else OptionDraws(np.asarray(draws), pd.DataFrame())
    values = np.asarray(given.drawn)
    if values.ndim != 2 or len(values) != len(options) or values.shape[1] < 2:
        raise DataError(
            f"draws have the shape {values.shape}; the options are {len(options):,} rows.",
            mend="Give one row an option, in the order of the options, and two draws or more as columns.",
            table="draws",
        )
    bad = ~(np.abs(values) <= LARGEST).all(axis=1)
    if bad.any():
        raise DataError(
            "a draw is no number of money.", mend="Give finite numbers.", table="draws", row=int(np.argmax(bad)) + 1
        )
    if len(given.parameters.columns) and len(given.parameters) != values.shape[1]:
        raise DataError(
            f"parameters have {len(given.parameters):,} rows, draws {values.shape[1]:,} columns.",
            mend="Give one row a draw.",
            table="parameters",
        )
    return OptionDraws(values, given.parameters)


def by_cell(options: pd.DataFrame, book: Book, values: np.ndarray) -> np.ndarray:
    """(N, M, S) draws by account and tier of the book, in whatever order the options came."""
    row = book.accounts.get_indexer(pd.Index(options["account_id"].astype(str), dtype=object))
    column = pd.Index(book.tiers).get_indexer(pd.Index(options["tier"].astype(str)))
    out = np.zeros((len(book.accounts), len(book.tiers), values.shape[1]), dtype=values.dtype)
    out[row, column] = values
    return out
