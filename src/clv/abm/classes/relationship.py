"""The relationship tree: many labels an account, each a rule over data that exist, unknown where they do not (A2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.classes.evidence import behaviour, last_day, latest_answers, merge_flags
from clv.abm.classes.pioneers import pioneers
from clv.abm.classes.shares import known_accounts, lines_until
from clv.abm.wording import listed
from clv.churn.purchases import Date
from clv.data.settings import ClassRules
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: label -> branch, and the rule in words.
LABELS = {
    "enquirer": ("not yet ours", "never bought, but came to us"),
    "near_customer": ("not yet ours", "never bought, but met us or negotiated with us"),
    "lead_user": ("ours", "adapts our products before others do, by its team's answer"),
    "gold": ("ours", "makes the revenue: grade gold"),
    "small": ("ours", "grade bronze, and does not lose money"),
    "bad": ("ours", "meets the criteria of a bad account"),
    "pioneer": ("ours", "among the first to buy what is new, more often than by chance"),
    "loyal": ("ours", "buys at full price, all year, and most of what it needs from us"),
    "sleeping": ("ours", "bought regularly and is more likely gone than not"),
    "status": ("ours", "a name worth showing, by its team's answer"),
    "superconsumer": ("ours", "buys much, often and at full price"),
    "fan": ("ours", "its people speak well of us, whether it buys or not"),
    "potential": ("not ours", "never bought, and buys from nobody like us"),
    "competitors": ("not ours", "buys wholly or partly elsewhere"),
}


@dataclass(frozen=True, eq=False)
class Relationships(Result):
    """Labels of all accounts: a taxonomy in which an account can have several, or none.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: a nullable flag a label (unknown is missing, never no), then labels (those that hold, in
        words) and unknown (how many cannot be told).
    counts : pandas.DataFrame
        Index label: branch (ours, not yet ours, not ours), rule (in words), yes, no, unknown.
    """

    counts: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many accounts have each label, and of how many it is unknown."""
        from clv.abm.classes.pictures import counted_bars

        return counted_bars(self.counts, f"Relationship of {len(self.table):,} accounts", ax)


def relationship_labels(
    accounts: Iterable[str] | pd.DataFrame | None = None,
    *,
    transactions: pd.DataFrame | None = None,
    contacts: pd.DataFrame | None = None,
    touches: pd.DataFrame | None = None,
    opportunities: pd.DataFrame | None = None,
    assessments: pd.DataFrame | None = None,
    grades: Any = None,
    bad: Any = None,
    loyalty: Any = None,
    wallet: Any = None,
    as_of: Date | None = None,
    rules: ClassRules | None = None,
) -> Relationships:
    """Label accounts by what they are to us.

    Parameters
    ----------
    accounts : iterable of str or pandas.DataFrame, optional
        All accounts; None: those of the other tables.
    transactions, contacts, touches, opportunities, assessments : pandas.DataFrame, optional
        What is known; each label needs some of it.
    grades : Grades, optional
        Of `account_grade`, for gold and small; None: made from the transactions.
    bad : BadAccounts, optional
        Of `bad_accounts`; without it nobody is known to be bad, or not to be.
    loyalty : Loyalty or pandas.DataFrame, optional
        Of `clv.loyalty`, for loyal, sleeping and superconsumer.
    wallet : WalletPotential or pandas.DataFrame, optional
        Of `wallet_potential`, for competitors: only wallets that were surveyed say who buys elsewhere.
    as_of : date, optional
        None: the latest date in the tables.
    rules : ClassRules, optional
        fan_attitude, early_share.

    Returns
    -------
    Relationships

    Raises
    ------
    clv.errors.DataError
        There is no account, or a table is not what it should be.

    Notes
    -----
    A label is unknown where the table that it needs is missing, or says nothing of the account and its silence proves
    nothing. A complete table's silence does prove something: who is not among the transactions did not buy. Those who
    never bought are neither gold nor small nor loyal; those who did are neither enquirer nor potential.
    """
    rules = rules or ClassRules()
    tables = {"transactions": transactions, "contacts": contacts, "touches": touches, "opportunities": opportunities,
              "assessments": assessments}  # fmt: skip
    more: set[str] = set()
    for table in tables.values():
        if table is not None and accounts is None:
            more |= set(table["account_id"].dropna().astype(str))
    ids = known_accounts(accounts, more)
    if not len(ids):
        raise DataError("there is no account.", table="accounts", mend="Give accounts or transactions.")
    end = last_day(tables, as_of)
    did, said = behaviour(ids, tables, end, rules.recent_days), latest_answers(assessments, ids, end)
    bought = did["bought"]
    never = ~bought
    graded = _grades(grades, transactions, bought, end, rules)
    grade, earned = _text_column(graded, "grade", ids), _number_column(graded, "contribution", ids)
    none = pd.Series(pd.array([pd.NA] * len(ids), dtype="boolean"), index=ids)
    found = {
        "enquirer": never & did["enquired"],
        "near_customer": never & did["met"],
        "lead_user": said["lead_user"],
        "gold": _ours(_equals(grade, "gold"), bought),
        "small": _ours(
            _equals(grade, "bronze") & pd.Series(earned >= 0, dtype="boolean").where(earned.notna()), bought
        ),
        "bad": _ours(none if bad is None else _flag_column(bad.table, "bad", ids), bought),
        "pioneer": _ours(_pioneer(transactions, ids, end, rules), bought),
        "loyal": _ours(_loyal(loyalty, ids), bought),
        "sleeping": _ours(_yes_no(loyalty, "sleeping", ids), bought),
        "status": said["status_name"],
        "superconsumer": _ours(_yes_no(loyalty, "superconsumer", ids), bought),
        "fan": merge_flags(said["fan"], _fan(contacts, ids, rules)),
        "potential": _ours(never & said["greenfield"], never),
        "competitors": merge_flags(
            said["buys_elsewhere"], _elsewhere(wallet, ids), (~said["greenfield"]).where(never.fillna(False))
        ),
    }
    flags = pd.DataFrame({name: flag.astype("boolean") for name, flag in found.items()}, index=ids)
    counts = pd.DataFrame(
        {
            "branch": [LABELS[str(name)][0] for name in flags],
            "rule": [LABELS[str(name)][1] for name in flags],
            "yes": (flags == True).sum().to_numpy(int),  # noqa: E712
            "no": (flags == False).sum().to_numpy(int),  # noqa: E712
            "unknown": flags.isna().sum().to_numpy(int),
        },
        index=pd.Index(list(flags), name="label"),
    )
    yes = flags.fillna(False).to_numpy(bool)
    names = np.array([str(name).replace("_", " ") for name in flags], dtype=object)
    table = flags.assign(labels=np.array([", ".join(names[row]) for row in yes], dtype=object),
                         unknown=flags.isna().sum(axis=1).astype(int))  # fmt: skip
    return Relationships(table, _text(counts, len(ids), end), counts)


def _grades(grades: Any, lines: pd.DataFrame | None, bought: pd.Series, end: pd.Timestamp, rules: ClassRules) -> Any:
    if grades is not None or lines is None or not bought.fillna(False).any():
        return grades
    from clv.abm.classes.grades import account_grade

    return account_grade(lines, as_of=end, rules=rules)


def _ours(flag: pd.Series, bought: pd.Series) -> pd.Series:
    """Answer no for those whom a label of the branch cannot mean; leave the rest as it is."""
    return flag.astype("boolean").mask((~bought).fillna(False).astype(bool), False)


def _column(source: Any, name: str, ids: pd.Index) -> pd.Series | None:
    table = getattr(source, "table", source)
    if table is None or name not in table.columns:
        return None
    column = table[name].set_axis(table.index.astype(str))
    return column[~column.index.duplicated()].reindex(ids)


def _text_column(source: Any, name: str, ids: pd.Index) -> pd.Series:
    column = _column(source, name, ids)
    return pd.Series([None] * len(ids), index=ids, dtype=object) if column is None else column.astype(object)


def _number_column(source: Any, name: str, ids: pd.Index) -> pd.Series:
    column = _column(source, name, ids)
    return pd.Series(np.nan, index=ids) if column is None else column.astype(float)


def _flag_column(source: Any, name: str, ids: pd.Index) -> pd.Series:
    column = _column(source, name, ids)
    return pd.Series(pd.array([pd.NA] * len(ids), dtype="boolean"), index=ids) if column is None else column


def _equals(column: pd.Series, word: str) -> pd.Series:
    return pd.Series((column == word).to_numpy(bool), index=column.index, dtype="boolean").where(column.notna())


def _yes_no(source: Any, name: str, ids: pd.Index) -> pd.Series:
    column = _text_column(source, name, ids)
    return _equals(column, "yes").where(column.isin(["yes", "no"]))


def _loyal(loyalty: Any, ids: pd.Index) -> pd.Series:
    column = _text_column(loyalty, "label", ids)
    return _equals(column, "loyal").where(column.isin(["loyal", "retained"]))


def _pioneer(lines: pd.DataFrame | None, ids: pd.Index, end: pd.Timestamp, rules: ClassRules) -> pd.Series:
    if lines is None or "product" not in lines.columns or not lines["product"].notna().any():
        return pd.Series(pd.array([pd.NA] * len(ids), dtype="boolean"), index=ids)
    return pioneers(lines_until(lines, end)[0], ids, rules.early_share)["pioneer"]


def mean_attitude(contacts: pd.DataFrame | None, ids: pd.Index) -> pd.Series:
    """Average the attitude of an account's people, -1 to 1, the influential ones counting more; NaN where unknown."""
    if contacts is None or "attitude" not in contacts.columns:
        return pd.Series(np.nan, index=ids)
    known = contacts[contacts["attitude"].notna()]
    weight = (
        known["influence"].astype(float).fillna(0.5) if "influence" in known.columns else pd.Series(1.0, known.index)
    )
    weight = weight.clip(lower=0.01)
    sums = pd.DataFrame({"w": weight, "a": weight * known["attitude"].astype(float)})
    by = sums.groupby(known["account_id"].astype(str)).sum()
    return (by["a"] / by["w"]).reindex(ids)


def _fan(contacts: pd.DataFrame | None, ids: pd.Index, rules: ClassRules) -> pd.Series:
    """Tell whose people think well of us; unknown where nobody's attitude is."""
    mean = mean_attitude(contacts, ids)
    return pd.Series((mean >= rules.fan_attitude).to_numpy(bool), index=ids, dtype="boolean").where(mean.notna())


def _elsewhere(wallet: Any, ids: pd.Index) -> pd.Series:
    """Say who buys elsewhere by surveyed wallets: a twentieth or more that is not ours."""
    share, source = _number_column(wallet, "share", ids), _text_column(wallet, "source", ids)
    known = share.notna() & (source == "survey")
    return pd.Series((share < 0.95).to_numpy(bool), index=ids, dtype="boolean").where(known)


def _text(counts: pd.DataFrame, accounts: int, end: pd.Timestamp) -> str:
    held = [f"{n:,} {str(name).replace('_', ' ')}" for name, n in counts["yes"].items() if n]
    dark = [str(name).replace("_", " ") for name in counts.index[counts["unknown"] == accounts]]
    text = f"As of {end:%Y-%m-%d}, of {accounts:,} accounts: {listed(held) or 'no label holds'}."
    text += " An account can have several."
    if dark:
        text += f" Of no account is it known whether it is {listed(dark)}: there are no data for that."
    return text
