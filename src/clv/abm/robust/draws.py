"""Draws of option values: from draws of account values and of what tiers add, or given as a table of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.book import LARGEST, Book
from clv.errors import DataError, SettingsError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
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
