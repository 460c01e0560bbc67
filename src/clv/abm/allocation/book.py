"""Options as a book: one row an account, one column a tier, whatever order the table came in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from clv.errors import DataError

#: beyond this, sums in floating point lose the cents.
LARGEST = 1e15
#: options may carry hours by role, in columns of this prefix.
ROLE = "hours_"
_REQUIRED = ("account_id", "tier", "value", "cost")


@dataclass(frozen=True, eq=False)
class Book:
    """Options of N accounts in M tiers.

    Attributes
    ----------
    accounts : pandas.Index
        (N,) ids as text, ascending.
    tiers : list of str
        (M,) names, ascending.
    has : numpy.ndarray
        (N, M) flags: the account could get the tier.
    parts : dict of str to numpy.ndarray
        (N, M) value, cost, hours and hours_<role>; 0 where there is no option.
    limitable : list of str
        The columns that may be limited.
    about : pandas.DataFrame
        (N,) what else is known of each account: segment, manager, cluster and the like.
    """

    accounts: pd.Index
    tiers: list[str]
    has: np.ndarray
    parts: dict[str, np.ndarray]
    limitable: list[str]
    about: pd.DataFrame = field(repr=False)

    @property
    def net(self) -> np.ndarray:
        """(N, M) value − cost."""
        return self.parts["value"] - self.parts["cost"]

    def column(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return (N,) codes and the names of the groups of an account's attribute; −1 where it is empty.

        Raises
        ------
        DataError
            There is no such column.
        """
        if name not in self.about.columns:
            raise DataError(
                f"a limit is by {name!r}, but the column is missing.",
                mend="Add it to the options or to accounts, one value an account.",
                table="options",
                column=name,
            )
        codes, names = pd.factorize(self.about[name].astype(object), sort=False)
        texts = np.array([str(text) for text in names], dtype=object)
        order = np.argsort(texts, kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return np.where(codes >= 0, place[codes] if len(place) else codes, -1), list(texts[order])

    def positions(self, accounts: pd.Index | list[str], named: str) -> np.ndarray:
        """Find accounts by id; an unknown one is an error that says who names it."""
        asked = pd.Index([str(account) for account in accounts], dtype=object)
        at = self.accounts.get_indexer(asked)
        if (at < 0).any():
            raise DataError(
                f"{named} names account {asked[int(np.argmax(at < 0))]!r}, which has no option.",
                mend="Give it an option, or leave it out of the limit.",
                table="options",
                column="account_id",
            )
        return at


def read_book(options: pd.DataFrame, accounts: pd.DataFrame | None = None) -> Book:
    """Check a table of options and lay it out by account and tier.

    Parameters
    ----------
    options : pandas.DataFrame
        Columns account_id, tier, value, cost; hours, and hours_<role>, where there are any. Other columns say
        something of the account (segment, manager, ...) and must not differ between its rows.
    accounts : pandas.DataFrame, optional
        Index or column account_id: more that is known of the accounts.

    Returns
    -------
    Book
        Hours are the sum over roles, or 0, where the column is missing.

    Raises
    ------
    DataError
        Names the column and the row (counted from 1) of the first fault.
    """
    for name in _REQUIRED:
        if name not in options.columns:
            raise DataError(
                "the column is missing.", mend="Make the table with tier_options().", table="options", column=name
            )
    if options.empty:
        raise DataError("there is no option.", mend="Give at least one account and tier.", table="options")
    row, ids = _codes(options, "account_id")
    column, tiers = _codes(options, "tier")
    if "none" in tiers:
        raise _fault(
            "'none' is what an account without a tier is called.",
            "tier",
            column == list(tiers).index("none"),
            "Rename the tier; leaving an account out is always possible and needs no row.",
        )
    shape = (len(ids), len(tiers))
    cell = row * shape[1] + column
    held = np.bincount(cell, minlength=shape[0] * shape[1])
    if (held > 1).any():
        first = pd.Series(cell).duplicated().to_numpy()
        at = int(np.argmax(first))
        raise _fault(
            f"account {ids[row[at]]!r} has tier {tiers[column[at]]!r} twice.",
            "tier",
            first,
            "Give one row an account and tier.",
        )
    roles = [str(name) for name in options.columns if str(name).startswith(ROLE)]
    has_hours = "hours" in options.columns
    parts = {}
    for name in ["value", "cost", *(["hours"] if has_hours else []), *roles]:
        numbers = floats(options[name], "options")
        if name != "value" and (numbers < 0).any():
            raise _fault(f"{numbers.min():g} is negative.", name, numbers < 0, "Give 0 or more.")
        parts[name] = np.zeros(shape[0] * shape[1])
        parts[name][cell] = numbers + 0.0
        parts[name] = parts[name].reshape(shape)
    if not has_hours:
        parts["hours"] = np.sum([parts[name] for name in roles], axis=0) if roles else np.zeros(shape)
    limitable = ["cost", *(["hours"] if has_hours or roles else []), *roles]
    known = {"account_id", "tier", "value", "cost", "hours", *roles}
    extra = [name for name in options.columns if name not in known]
    about = _about(options, extra, row, shape[0], ids)
    if accounts is not None:
        about = _with_accounts(about, accounts, ids)
    return Book(pd.Index(ids, dtype=object), list(tiers), (held > 0).reshape(shape), parts, limitable, about)


def floats(column: pd.Series, table: str) -> np.ndarray:
    """Read finite numbers, or say where there is none."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.abs(numbers) <= LARGEST)
    if bad.any():
        at = int(np.argmax(bad))
        who = f" (account {column.index[at]!r})" if column.index.name == "account_id" else ""
        raise DataError(
            f"{column.iloc[at]!r} is no number of money or hours{who}.",
            mend="Give a number, or leave the row out.",
            table=table,
            column=str(column.name),
            row=at + 1,
        )
    return numbers


def _codes(options: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Code each row by the place of its text among the different ones, ascending."""
    column = options[name]
    codes, found = _factorized(column)
    whole = isinstance(column.dtype, pd.StringDtype)
    if whole:
        blank = np.asarray(found.str.strip() == "", dtype=bool)
        order = np.asarray(found.argsort())
        texts = found.to_numpy(dtype=object)[order]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
    else:
        each = np.array([str(text) for text in found.to_numpy(dtype=object)], dtype=object)
        blank = np.array([not text or text.isspace() for text in each], dtype=bool)
        # Two values may have one text (1 and "1").
        unique, place = np.unique(each.astype(str), return_inverse=True)
        texts, place = unique.astype(object), place.astype(np.int64)
    if (len(codes) and codes.min() < 0) or blank.any():
        empty = (codes < 0) | (blank[codes] if blank.any() else False)
        if empty.any():
            raise _fault("empty.", name, empty, "Fill it in or leave the row out.")
    return place[codes], texts


def _factorized(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Codes and different values; rows of one account often follow each other, and then runs are counted, not rows."""
    if isinstance(column.dtype, pd.StringDtype) and len(column) > 1:
        changed = column.array[1:] != column.array[:-1]
        begins = np.concatenate([[True], np.asarray(pd.array(changed).fillna(True), dtype=bool)])
        if 2 * np.count_nonzero(begins) <= len(column):
            codes, found = pd.factorize(column.array[begins])
            return codes[np.cumsum(begins) - 1], pd.Index(found)
    codes, found = pd.factorize(column)
    return codes, pd.Index(found)


def _about(options: pd.DataFrame, extra: list[str], row: np.ndarray, n: int, ids: np.ndarray) -> pd.DataFrame:
    first = np.empty(n, dtype=np.int64)
    first[row[::-1]] = np.arange(len(row) - 1, -1, -1)
    about = pd.DataFrame(index=range(n))
    for name in extra:
        codes = pd.factorize(options[name])[0]
        differs = codes != codes[first][row]
        if not differs.any():
            about[str(name)] = options[name].to_numpy(dtype=object)[first]
            continue
        at = int(np.argmax(differs))
        # Columns that say something of the option and not of its account are of no use to a limit.
        about.attrs.setdefault("differs", {})[str(name)] = f"{ids[row[at]]!r} in row {at + 1}"
    return about


def _with_accounts(about: pd.DataFrame, accounts: pd.DataFrame, ids: np.ndarray) -> pd.DataFrame:
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    keys = pd.Index([str(key) for key in table.index], dtype=object)
    if keys.has_duplicates:
        raise DataError(
            f"account {keys[keys.duplicated()][0]!r} is there twice.",
            mend="Give one row an account.",
            table="accounts",
            column="account_id",
            row=int(np.argmax(keys.duplicated())) + 1,
        )
    at = keys.get_indexer(pd.Index(ids, dtype=object))
    more = {}
    for name in table.columns:
        values = np.full(len(ids), None, dtype=object)
        values[at >= 0] = table[name].to_numpy(dtype=object)[at[at >= 0]]
        more[str(name)] = values
    return about.drop(columns=[name for name in more if name in about.columns]).assign(**more)


def _fault(message: str, column: str, where: np.ndarray, mend: str) -> DataError:
    return DataError(message, mend=mend, table="options", column=column, row=int(np.argmax(where)) + 1)
