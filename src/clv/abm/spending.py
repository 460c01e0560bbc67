"""What was spent, and where each amount counts: on winning accounts, on the programme, on service; each counts once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.wording import accounts, listed, money
from clv.data.tables import ACQUISITION_STAGES, COST_KINDS
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Date = dt.date | str | pd.Timestamp
#: share of a programme's cost by which two books of it may differ without a word.
TOLERANCE = 0.01
#: the least amount that is money.
CENT = 0.01


@dataclass(frozen=True, eq=False)
class Spending(Result):
    """Costs, each with the one place where it counts.

    Attributes
    ----------
    table : pandas.DataFrame
        line, source (the table that it is from), rows, amount, counted (the part that counts there), where. Amounts of
        the source "costs" sum to that table's; counted ones to what was spent.
    acquisition : pandas.DataFrame
        date, account_id, channel, stage, cost: what was spent on winning accounts, for `clv.channel_returns`.
    programmes : pandas.DataFrame or None
        The table given, its cost filled from `costs` where it was empty.
    filled : int
        Rows of `programmes` whose cost is from `costs`.
    shared : float
        Money of the programme that is on none of its accounts.
    notes : list of str
    currency : str
    """

    acquisition: pd.DataFrame
    programmes: pd.DataFrame | None
    filled: int
    shared: float
    notes: list[str]
    currency: str = field(default="")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what was spent, by where it counts."""
        import seaborn as sns

        from clv.abm.experiments.pictures import axes

        ax = axes(ax)
        shown = self.table[self.table["counted"] > 0]
        ax.barh(shown["line"], shown["counted"], color=sns.color_palette("colorblind")[0])
        ax.invert_yaxis()
        ax.set(xlabel=f"money, {self.currency}".rstrip(", "), ylabel="", title="What was spent, each amount once")
        ax.xaxis.set_major_formatter("{x:,.0f}")
        sns.despine(ax=ax, left=True)
        return ax


def reconcile_costs(
    costs: pd.DataFrame,
    programmes: pd.DataFrame | None = None,
    *,
    as_of: Date | None = None,
    currency: str = "",
) -> Spending:
    """Give every amount one place: the cost to win accounts, the return of the programme, or service.

    Parameters
    ----------
    costs : pandas.DataFrame
        date, amount and, where known, kind (acquisition, programme, service), account_id, channel, stage. An amount
        with a stage but no kind is one of acquisition; one with neither counts nowhere, which is said.
    programmes : pandas.DataFrame, optional
        account_id, start and, where known, end and cost.
    as_of : date, optional
        The last day that counts; None: the last date in `costs`.

    Returns
    -------
    Spending

    Raises
    ------
    DataError
        A column is missing, an amount is no number of 0 or more, a kind or a stage is not known.

    Notes
    -----
    What `programmes` says of an account is its cost; amounts of kind "programme" are the same money booked again, and
    fill in only where that is empty. An empty cost is what is booked on the account. Where nothing is, it gets its part
    of what is booked on no account, less the known costs that no booking on their own accounts meets: parts are as
    treated accounts of the tiers cost on average, even where that is not known for one of them. Where known costs use
    up the bookings, it stays empty, as it does for an account in two programmes. What bookings hold beyond all
    accounts' cost is money of the programme that is on no account. Cost to acquire is in no value of an account, and in
    no return of a programme (rules B1, B2).
    """
    book = _checked(costs)
    end = pd.Timestamp(as_of) if as_of is not None else book["date"].max()
    late = (book["date"].dt.normalize() > end).to_numpy()
    kind = book["kind"].where(book["kind"].notna(), np.where(book["stage"].notna(), "acquisition", "not said"))
    kind = kind.astype(object).mask(late, "later")
    won = book[kind == "acquisition"].rename(columns={"amount": "cost"})
    again = book[kind == "programme"]
    programme = _programme_cost(programmes, again, end)
    known, own = programme.known, programme.own
    booked = float(again["amount"].sum())
    shared = booked - own
    shared = shared if shared > TOLERANCE * max(own, 1e-300) else 0.0
    sums = book.groupby(kind)["amount"].agg(["size", "sum"]).reindex(["acquisition", "service", "not said", "later"])
    sums = sums.fillna(0.0)

    def line(name: str, source: str, rows: float, amount: float, counted: float, where: str) -> dict[str, Any]:
        return dict(line=name, source=source, rows=int(rows), amount=amount, counted=counted, where=where)  # noqa: C408

    a, s, n, f = ((float(sums.loc[k, "size"]), float(sums.loc[k, "sum"])) for k in sums.index)
    lines = [line("winning accounts", "costs", *a, a[1], "cost to win an account (CAC)")]
    if known is not None:
        spent = known["cost"].fillna(0).to_numpy(float) if "cost" in known else np.zeros(1)
        lines.append(
            line(
                "programme, on its accounts", "programmes", int((spent > 0).sum()), own, own, "return of the programme"
            )
        )
    lines.append(
        line("programme, booked in costs", "costs", len(again), booked, shared,
             "return of the programme, as far as it is on no account" if shared else "nowhere again: the same money")
    )  # fmt: skip
    lines.append(line("service of accounts", "costs", *s, s[1], "cost to serve, before an account is chosen"))
    if n[0]:
        lines.append(line("kind not said", "costs", *n, 0.0, "nowhere: say what it was for"))
    if f[0]:
        lines.append(line("after the as-of date", "costs", *f, 0.0, "nowhere yet"))
    notes = _notes(again, programme, booked, shared, n[1], currency)
    columns = ["date", "account_id", "channel", "stage", "cost"]
    return Spending(
        pd.DataFrame(lines), _text(a[1], s[1], booked, own, notes, known is not None, currency),
        won[columns].reset_index(drop=True), known, programme.filled, shared, notes, currency,
    )  # fmt: skip


def _checked(costs: pd.DataFrame) -> pd.DataFrame:
    for name in ("date", "amount"):
        if name not in costs.columns:
            raise DataError("there is no such column.", table="costs", column=name, mend="Add it.")
    book = costs.reset_index(drop=True)
    book = book.assign(**{name: None for name in ("kind", "account_id", "channel", "stage") if name not in book})
    amount = pd.to_numeric(book["amount"], errors="coerce")
    wrong = ~(np.isfinite(amount.to_numpy(float)) & (amount.to_numpy(float) >= 0))
    if len(book) == 0 or wrong.any():
        row = int(np.argmax(wrong)) + 1 if len(book) else None
        raise DataError(
            "there is no cost." if row is None else "what was spent is not known.",
            table="costs", column="amount", row=row, mend="Give amounts of 0 or more, or leave the table out.",
        )  # fmt: skip
    for name, allowed in (("kind", COST_KINDS), ("stage", ACQUISITION_STAGES)):
        given = book[name].dropna().astype(str)
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise DataError(
                f"{unknown[0]!r} is not known.", table="costs", column=name, mend=f"Use {', '.join(allowed)}."
            )
    return book.assign(amount=amount.astype(float), date=pd.to_datetime(book["date"]))


@dataclass(frozen=True)
class _Programme:
    """A programme with its cost: filled from bookings on the account, from those on none (`even`), or not at all."""

    known: pd.DataFrame | None
    own: float = 0.0
    booked: int = 0
    even: int = 0
    amount: float = 0.0
    empty: int = 0

    @property
    def filled(self) -> int:
        """Rows whose cost is from the bookings."""
        return self.booked + self.even


def _programme_cost(programmes: pd.DataFrame | None, again: pd.DataFrame, end: pd.Timestamp) -> _Programme:
    """Cost of each row of a programme that has begun, from `costs` where its own table is silent."""
    if programmes is None:
        return _Programme(None)
    begun = (pd.to_datetime(programmes["start"]) <= end).to_numpy()
    given = programmes.get("cost", pd.Series(np.nan, index=programmes.index)).astype(float)
    treated = (programmes["arm"] != "control") if "arm" in programmes else pd.Series(True, index=programmes.index)
    # An account of two programmes: nothing says to which of them its bookings belong.
    single = ~programmes["account_id"].duplicated(keep=False)
    silent = given.isna() & begun
    booked = programmes["account_id"].map(again.dropna(subset=["account_id"]).groupby("account_id")["amount"].sum())
    own = booked.where(silent & single)
    lump = again[again["account_id"].isna()]
    left = _left(programmes.assign(cost=given, booked=booked)[begun], lump)
    rest = silent & treated & booked.isna() & (left > 0)
    even = _shares(programmes, given.where(treated & begun), rest, left).where(single)
    cost = given.fillna(own).fillna(even)
    known = programmes.assign(cost=cost) if cost.notna().any() else programmes.drop(columns="cost", errors="ignore")
    return _Programme(
        known, float(cost[begun].fillna(0).sum()), int(own.notna().sum()), int(even.notna().sum()),
        float(even.sum()), int((cost.isna() & treated & begun).sum()),
    )  # fmt: skip


def _left(begun: pd.DataFrame, lump: pd.DataFrame) -> float:
    """Money booked on no account that known costs do not account for already.

    Known costs are met from the account's own bookings first. Costs of programmes that were over before the first
    booking on no account are in none of them.
    """
    total = float(lump["amount"].sum())
    if not total > 0:
        return 0.0
    over = pd.to_datetime(begun["end"]) < lump["date"].min() if "end" in begun else pd.Series(False, index=begun.index)
    stated = begun[~over & begun["cost"].notna()].groupby("account_id").agg(cost=("cost", "sum"), own=("booked", "max"))
    unmet = float((stated["cost"] - stated["own"].fillna(0.0)).clip(lower=0.0).sum())
    return total - unmet if total - unmet > CENT else 0.0


def _shares(programmes: pd.DataFrame, known: pd.Series, rest: pd.Series, left: float) -> pd.Series:
    """Divide what is left among rows, as treated accounts of their tiers cost; evenly if that is not known of one."""
    usual = pd.Series(1.0, index=programmes.index)
    if "tier" in programmes:
        of_tier = known.groupby(programmes["tier"]).transform("mean")[rest]
        if of_tier.notna().all() and (of_tier > 0).all():
            usual = usual.where(~rest, of_tier)
    usual = usual.where(rest)
    return left * usual / usual.sum()


def _notes(again: pd.DataFrame, found: _Programme, booked: float, shared: float, unsaid: float,
           currency: str) -> list[str]:  # fmt: skip
    notes, known, own = [], found.known, found.own
    if found.booked:
        notes.append(f"what the programme spent on {accounts(found.booked)} is from the table costs")
    if found.even:
        notes.append(
            f"the cost of {accounts(found.even)} was not given: {money(found.amount, currency)}, which the table costs"
            " books on no account and known costs do not explain, is taken for it"
            + ("" if found.even == 1 else ", divided as their tiers cost elsewhere, evenly where that is not known")
        )
    if found.empty and known is not None and len(again):
        notes.append(
            f"what was spent on {accounts(found.empty)} of the programme is not known: the table costs does not tell it"
        )
    if shared and known is not None:
        notes.append(
            f"{money(shared, currency)} of the programme is on none of its accounts and lowers the return of the whole,"
            " not that of a tier"
        )
    if known is None and booked:
        notes.append("money was spent on a programme, but no table says on which accounts")
    if 0 < booked < (1 - TOLERANCE) * own:
        notes.append(
            f"of the programme's {money(own, currency)} only {money(booked, currency)} is booked in costs: one of the"
            " two tables is not complete"
        )
    if unsaid:
        notes.append(f"{money(unsaid, currency)} has no kind and counts nowhere")
    lost = again["account_id"].dropna()
    strange = 0 if known is None else lost[~lost.isin(known["account_id"])].nunique()
    if strange:
        notes.append(f"programme costs are booked on {accounts(strange)} that no programme has")
    return notes


def _text(
    won: float, service: float, booked: float, own: float, notes: list[str], programme: bool, currency: str
) -> str:
    parts = [f"{money(won, currency)} on winning accounts"] if won else []
    if programme and own:
        parts.append(f"{money(own, currency)} on the programme's accounts")
    if service:
        parts.append(f"{money(service, currency)} on service")
    said = f"We spent {listed(parts)}." if parts else "Nothing was spent on winning accounts, programmes or service."
    if programme and own and booked:
        said += " The programme is booked in two tables: it is the same money and counts once."
    return said + "".join(f" {note[0].upper()}{note[1:]}." for note in notes)
