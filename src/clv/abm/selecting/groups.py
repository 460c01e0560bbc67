"""Accounts that are parts of one: children counted with their parents, and one company under two ids."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.options import value_table
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.abm.wording import accounts as counted
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from clv.value.lifetime import LifetimeValue

#: names at least so alike, on a scale to 1, may be one company.
ALIKE = 0.92
#: names that begin alike are compared pair by pair, unless so many do.
_MOST = 60
#: legal forms and little words, which tell no two companies apart.
_FORMS = frozenset(
    {
        "ab", "ag", "and", "aps", "as", "bv", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated",
        "kft", "kg", "limited", "llc", "llp", "ltd", "mbh", "nv", "oao", "ohg", "ooo", "oy", "pao", "plc", "sa", "sarl",
        "sas", "se", "sp", "spa", "srl", "the", "ug", "und", "zao", "zoo", "ао", "ип", "зао", "оао", "ооо", "пао",
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RolledUp(Result):
    """Values by parent; `clv.select_accounts` and `incremental_value` take this as values.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id (the topmost parents): clv and, where they were there, lower and upper (from draws; else
        empty), members.
    draws : numpy.ndarray or None
    members : pandas.Series
        Index account_id -> the topmost parent, of all accounts.
    """

    draws: np.ndarray | None
    members: pd.Series


def topmost_parents(accounts: pd.DataFrame) -> pd.Series:
    """Find the topmost parent of every account.

    Parameters
    ----------
    accounts : pandas.DataFrame
        account_id (column or index) and parent_id. A parent that is not in the table counts as an account of its own.

    Returns
    -------
    pandas.Series
        Index account_id; an account without a parent is its own.

    Raises
    ------
    DataError
        The column is missing, or accounts own one another in a circle.
    """
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    if "parent_id" not in table.columns:
        raise DataError(
            "the column is missing.", mend="Give each account's parent.", table="accounts", column="parent_id"
        )
    ids = table.index.astype(str)
    parent = {
        child: str(owner)
        for child, owner in zip(ids, table["parent_id"], strict=True)
        if pd.notna(owner) and str(owner) not in ("", child)
    }
    top: dict[str, str] = {}
    for child in ids:
        path, at = [], child
        while at in parent and at not in top:
            path.append(at)
            at = parent[at]
            if at in path:
                raise DataError(
                    f"{', '.join([*path[path.index(at) :], at])} own one another in a circle.",
                    mend="Correct a parent.", table="accounts", column="parent_id",
                )  # fmt: skip
        end = top.get(at, at)
        top.update(dict.fromkeys([*path, child], end))
    return pd.Series([top[child] for child in ids], index=ids.rename("account_id"), name="parent", dtype=object)


def roll_up(value: LifetimeValue | pd.DataFrame, accounts: pd.DataFrame, *, confidence: float = 0.9) -> RolledUp:
    """Add the values of children to those of their topmost parents.

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        Index account_id: clv; with draws they are added draw by draw.
    accounts : pandas.DataFrame
        account_id and parent_id.
    confidence : float
        Probability within lower and upper.

    Returns
    -------
    RolledUp

    Raises
    ------
    DataError
        As `topmost_parents`.
    """
    table = value_table(value)
    members = topmost_parents(accounts)
    owner = members.reindex(table.index)
    owner = owner.where(owner.notna(), pd.Series(table.index, index=table.index))
    code, names = pd.factorize(owner.astype(str), sort=True)
    clv = np.bincount(code, table["clv"].to_numpy(float), minlength=len(names))
    index = pd.Index(names.astype(str), name="account_id")
    found = pd.DataFrame({"clv": clv, "members": np.bincount(code, minlength=len(names))}, index=index)
    draws = None if isinstance(value, pd.DataFrame) else getattr(value, "draws", None)
    if draws is not None and draws.shape[1]:
        total = np.zeros((len(names), draws.shape[1]), dtype=np.float32)
        np.add.at(total, code, draws)
        draws = total
        ends = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
        found["lower"], found["upper"] = ends
    single = found["members"].to_numpy() == 1
    kept = [name for name in ("p_alive", "expected_spend", "clv_transactions") if name in table.columns]
    if single.all():
        found[kept] = table[kept].to_numpy()[np.argsort(code, kind="stable")]
    groups = found[found["members"] > 1]
    text = (
        f"{counted(int(groups['members'].sum()))} belong to {len(groups):,} parent"
        f"{'' if len(groups) == 1 else 's'} and are counted with them."
        if len(groups) else "No two accounts with a value belong to one parent."
    )  # fmt: skip
    return RolledUp(found, text, draws, members)


def under_parents(
    value: LifetimeValue | pd.DataFrame, accounts: pd.DataFrame, tables: Mapping[str, pd.DataFrame | None], *,
    confidence: float = 0.9,
) -> tuple[RolledUp, pd.DataFrame, dict[str, pd.DataFrame | None]]:  # fmt: skip
    """Put values, accounts and what happened under the topmost parents.

    Parameters
    ----------
    value : LifetimeValue or pandas.DataFrame
        As `roll_up`.
    accounts : pandas.DataFrame
        account_id and parent_id.
    tables : mapping of str to pandas.DataFrame
        Tables with a column account_id, such as transactions and deals; any may be None.
    confidence : float

    Returns
    -------
    whole : RolledUp
    accounts : pandas.DataFrame
        The topmost ones alone.
    tables : dict
        The same rows, under the parents' ids.
    """
    whole = roll_up(value, accounts, confidence=confidence)
    own = accounts["account_id"].astype(str)
    top = own.map(whole.members).astype(str)
    moved = {
        name: None
        if table is None
        else table.assign(account_id=[whole.members.get(a, a) for a in table["account_id"].astype(str)])
        for name, table in tables.items()
    }
    return whole, accounts[(own == top).to_numpy()], moved


def possible_duplicates(accounts: pd.DataFrame) -> Result:
    """Find accounts that may be one company under two ids.

    Parameters
    ----------
    accounts : pandas.DataFrame
        account_id (column or index); name, and other attributes.

    Returns
    -------
    Result
        One row a pair: account_id, other_id, alike (of the names, 1 is equal; empty without names), because.

    Notes
    -----
    Names are compared without case, accents, punctuation and legal form, words in any order: equal, or alike to .92
    (Ratcliff & Obershelp 1988) with the same numbers in them ("Plant 2" is not "Plant 3"). Without names, accounts
    with three or more attributes filled, all equal, one of them a fine number (equal in few others), are a pair.
    A parent and its child are no duplicates. Pairs are questions, not findings: nothing is merged.
    """
    table = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    table = table.set_axis(table.index.astype(str), axis=0)
    pairs: dict[tuple[str, str], tuple[float, str]] = {}
    if "name" in table.columns:
        named = table["name"].dropna().astype(str)
        pairs = _by_name(list(zip(named.index, map(_plain, named), strict=True)))
    for pair in _by_attributes(table):
        pairs.setdefault(pair, (np.nan, "all attributes are equal"))
    related: set[frozenset[str]] = set()
    siblings: dict[str, str] = {}
    if "parent_id" in table.columns:
        siblings = {str(child): str(owner) for child, owner in table["parent_id"].dropna().items()}
        related = {frozenset(link) for link in siblings.items()}
    rows = [
        (low, high, alike, because)
        for (low, high), (alike, because) in sorted(pairs.items())
        if frozenset((low, high)) not in related and not (low in siblings and siblings[low] == siblings.get(high))
    ]
    found = pd.DataFrame(rows, columns=["account_id", "other_id", "alike", "because"])
    found = found.astype({"account_id": str, "other_id": str, "alike": float, "because": str})
    if not len(found):
        return Result(found, "No two accounts look like one company under two ids.")
    row = found.iloc[0]
    many = "1 pair of accounts" if len(found) == 1 else f"{len(found):,} pairs of accounts"
    return Result(
        found,
        f"{many} may be one company under two ids, such as {row['account_id']} and {row['other_id']}"
        f" ({row['because']}): their values are counted apart until somebody decides.",
    )


def _plain(name: str) -> str:
    """Reduce a name to what tells companies apart: words in order of the alphabet."""
    apart = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss"))
    text = "".join(sign for sign in apart if not unicodedata.combining(sign))
    # "Mueller" is "Müller": an umlaut and its spelling with e become one.
    text = re.sub("([aou])e", r"\1", re.sub(r"[.'’]", "", text))
    words = re.findall(r"\w+", text)
    return " ".join(sorted(word for word in words if word not in _FORMS) or sorted(words))


def _by_name(named: list[tuple[str, str]]) -> dict[tuple[str, str], tuple[float, str]]:
    pairs: dict[tuple[str, str], tuple[float, str]] = {}
    equal: dict[str, list[str]] = {}
    for account, plain in named:
        if plain:
            equal.setdefault(plain, []).append(account)
    for same in equal.values():
        # A chain, not every pair: a name that hundreds share would be tens of thousands.
        for low, high in pairwise(sorted(same)):
            pairs[low, high] = (1.0, "their names are equal but for case, order and legal form")
    blocks: dict[tuple[str, str], set[str]] = {}
    for plain in equal:
        digits = " ".join(re.findall(r"\d+", plain))
        for word in {w for w in plain.split() if len(w) > 3 and not w.isdigit()}:
            blocks.setdefault((word, digits), set()).add(plain)
        blocks.setdefault((plain[:5], digits), set()).add(plain)
    for names in blocks.values():
        if not 1 < len(names) <= _MOST:
            continue
        for a, b in combinations(sorted(names), 2):
            if abs(len(a) - len(b)) > 0.2 * max(len(a), len(b)):
                continue
            match = difflib.SequenceMatcher(None, a, b, autojunk=False)
            if match.quick_ratio() >= ALIKE and match.ratio() >= ALIKE:
                low, high = sorted((min(equal[a]), min(equal[b])))
                pairs.setdefault((low, high), (match.ratio(), "their names are almost equal"))
    return pairs


def _by_attributes(table: pd.DataFrame) -> list[tuple[str, str]]:
    names = [n for n in table.columns if n not in NOT_ATTRIBUTES]
    if len(names) < 3:
        return []
    fine = [
        n for n in names
        if pd.api.types.is_numeric_dtype(table[n]) and table[n].nunique() > 0.5 * max(1, int(table[n].notna().sum()))
    ]  # fmt: skip
    if not fine:
        return []
    enough = (table[names].notna().sum(axis=1) >= 3) & table[fine].notna().any(axis=1)
    some = table.loc[enough, names]
    some = some[some.duplicated(keep=False)]
    found = []
    for _, rows in some.groupby(names, dropna=False, sort=True):
        ids = sorted(rows.index)
        found += list(pairwise(ids))
    return found
