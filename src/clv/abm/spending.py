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
    fill in only where that is empty. What they hold beyond all accounts' cost is money of the programme that is on no
    account. Cost to acquire is in no value of an account, and in no return of a programme (rules B1, B2).
    """
    book = _checked(costs)
    end = pd.Timestamp(as_of) if as_of is not None else book["date"].max()
    late = (book["date"].dt.normalize() > end).to_numpy()
    kind = book["kind"].where(book["kind"].notna(), np.where(book["stage"].notna(), "acquisition", "not said"))
    kind = kind.astype(object).mask(late, "later")
    won = book[kind == "acquisition"].rename(columns={"amount": "cost"})
    again = book[kind == "programme"]
    known, filled, own = _programme_cost(programmes, again, end)
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
    notes = _notes(again, known, filled, booked, own, shared, n[1], currency)
    columns = ["date", "account_id", "channel", "stage", "cost"]
    return Spending(
        pd.DataFrame(lines), _text(a[1], s[1], booked, own, notes, known is not None, currency),
        won[columns].reset_index(drop=True), known, filled, shared, notes, currency,
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


def _programme_cost(
    programmes: pd.DataFrame | None, again: pd.DataFrame, end: pd.Timestamp
) -> tuple[pd.DataFrame | None, int, float]:
    """Cost of each row of a programme that has begun, from `costs` where its own table is silent."""
    if programmes is None:
        return None, 0, 0.0
    begun = (pd.to_datetime(programmes["start"]) <= end).to_numpy()
    cost = programmes.get("cost", pd.Series(np.nan, index=programmes.index)).astype(float)
    treated = (programmes["arm"] != "control") if "arm" in programmes else pd.Series(True, index=programmes.index)
    filled = 0
    if len(again):
        # An account of two programmes: nothing says to which of them its bookings belong.
        empty = cost.isna() & begun & ~programmes["account_id"].duplicated(keep=False)
        booked = again.dropna(subset=["account_id"]).groupby("account_id")["amount"].sum()
        own = programmes["account_id"].map(booked).where(empty)
        rest = empty & own.isna() & treated
        lump = float(again.loc[again["account_id"].isna(), "amount"].sum())
        cost = cost.where(cost.notna(), own.where(~rest, lump / max(int(rest.sum()), 1)))
        filled = int((empty & cost.notna()).sum())
    known = programmes.assign(cost=cost) if cost.notna().any() else programmes.drop(columns="cost", errors="ignore")
    return known, filled, float(cost[begun].fillna(0).sum())


def _notes(
    again: pd.DataFrame, known: pd.DataFrame | None, filled: int, booked: float, own: float, shared: float,
    unsaid: float, currency: str,
) -> list[str]:  # fmt: skip
    notes = []
    if filled:
        notes.append(
            f"what the programme spent on {accounts(filled)} is from the table costs; what is on no account there"
            " is divided evenly among treated accounts without a booking of their own"
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
