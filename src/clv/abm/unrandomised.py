"""A programme that nobody randomised: several methods side by side, each with what it rests on and its own checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.experiments.observational import LABEL, ObservationalEffect
from clv.abm.experiments.outcomes import EARLIEST
from clv.abm.experiments.selection_checks import SelectionChecks, selection_checks
from clv.abm.forecast.wording import percent
from clv.abm.wording import accounts as counted
from clv.abm.wording import listed, money, money_range
from clv.data.summary_checks import checked
from clv.errors import ClvError, DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Date = dt.date | str | pd.Timestamp
#: days of a period, where the programme has run for so long; a shorter one makes one period.
PERIOD = 91
#: periods before the start that are looked at, at most.
BEFORE = 8
#: accounts on a side of the comparison, at most; of more, so many are drawn.
MOST = 1000
#: days around the first start within which accounts began together.
TOGETHER = 31


@dataclass(frozen=True, eq=False)
class UnrandomisedEvidence(Result):
    """What can be said of a programme without a lot.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a method: method, evidence ("not randomised"), effect (margin an account over the window), lower, upper,
        verdict (passes its checks, do not use, could not be checked, not possible), roi (of all treated, where their
        cost is known), assumption, says (why not to use it, or how far its assumption may bend).
    checks : pandas.DataFrame
        method, check, verdict, says: placebos, trends, balance, overlap.
    selection : SelectionChecks
        Best accounts chosen, regression to the mean, immortal time.
    data : pandas.DataFrame
        One row an account: arm, margin and what was known before the start.
    panel : pandas.DataFrame
        account_id, period, margin, treated.
    effects : dict of str to ObservationalEffect
    window : float
        Days counted after the start.
    left_out : list of str
        Accounts that are not in it, and why.
    spread : float
        Days from the first start to the last, from which everybody is counted.
    confidence : float
    currency : str
    randomised : bool
        Always false.
    """

    checks: pd.DataFrame
    selection: SelectionChecks
    data: pd.DataFrame = field(repr=False)
    panel: pd.DataFrame = field(repr=False)
    effects: dict[str, ObservationalEffect]
    window: float
    left_out: list[str]
    spread: float
    confidence: float
    currency: str
    randomised: bool = False

    @property
    def usable(self) -> pd.DataFrame:
        """Rows of methods that pass their own checks."""
        return self.table[self.table["verdict"] == "passes its checks"]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each method says, with its interval; those not to be used are marked."""
        from clv.abm.experiments.pictures import effects

        shown = self.table[self.table["effect"].notna()]
        note = np.where(shown["verdict"] == "passes its checks", "", "\n(" + shown["verdict"].astype(str) + ")")
        title = f"Margin an account, {self.confidence:.0%} interval ({LABEL})"
        return effects(shown.assign(label=shown["method"] + note), title, self.currency, ax)


def unrandomised_evidence(
    treated: pd.DataFrame,
    transactions: pd.DataFrame,
    *,
    controls: Iterable[str] | None = None,
    accounts: pd.DataFrame | None = None,
    margin: float = 0.3,
    as_of: Date | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    currency: str = "",
) -> UnrandomisedEvidence:
    """Compare accounts that somebody put into a programme with others that nobody did.

    Parameters
    ----------
    treated : pandas.DataFrame
        account_id, start and, where known, cost. Accounts that began within a month of most others are compared, from
        the last of these starts on; costs of an account that is there several times are added up.
    transactions : pandas.DataFrame
        account_id, date, amount.
    controls : iterable of str, optional
        Accounts to compare with; None: all that bought before the start and are not in `treated`.
    accounts : pandas.DataFrame, optional
        account_id with employees, which the choice may have gone by, and parent_id: accounts that belong to one company
        with a treated one are no controls.
    margin : float
        Contribution margin as a share of sales.
    as_of : date, optional
        Last day known; None: the last transaction.

    Returns
    -------
    UnrandomisedEvidence

    Raises
    ------
    DataError
        Nothing was seen after the start, or fewer than two treated accounts or controls had bought before it.

    Notes
    -----
    Difference-in-differences, its synthetic version, doubly robust estimation and matching (see the functions of
    these names) rest on different assumptions: where they agree, the result hangs less on any of them; where a check of
    one is broken, it is not to be used. None of them replaces a lot: in simulated books without any effect, 95 %
    intervals of methods that passed their checks held 0 in 97 of 100 cases where chance had chosen the accounts, in 91
    where the best had been chosen, in 84 where those with a good quarter had (`selection` says which it was). Accounts
    without a purchase before the start are left out on both sides: how they came to be customers is what is to be found
    out.
    """
    lines = checked(transactions)
    end = (pd.Timestamp(as_of) if as_of is not None else lines["date"].max()).normalize() + pd.Timedelta(days=1)
    chosen, start, spread, left_out = _cohort(treated, end)
    lines = lines[lines["date"] < end]
    span = (end - start) / pd.Timedelta(days=1)
    after = max(1, round(span / PERIOD))
    days = span / after
    known = lines[lines["date"] < start]
    old = set(known.loc[known["amount"] > 0, "account_id"])
    pool = set(map(str, controls)) if controls is not None else set(lines["account_id"])
    pool = (pool - set(treated["account_id"].astype(str))) & old
    kin = _kin(pool, treated, accounts)
    if kin:
        pool -= kin
        left_out.append(f"{counted(len(kin))} of companies to which treated accounts belong")
    mine = [a for a in chosen.index if a in old]
    if len(mine) < len(chosen):
        left_out.append(f"{counted(len(chosen) - len(mine))} that had bought nothing before the start")
    if len(mine) < 2 or len(pool) < 2:
        raise DataError(
            f"{len(mine)} treated accounts and {len(pool)} others had bought before {start:%Y-%m-%d}: there is nothing"
            " to compare.",
            table="programmes", column="start", mend="Leave a control group next time.",
        )  # fmt: skip
    treats, others = len(mine), len(pool)
    mine, beside = _drawn(mine, seed), _drawn(sorted(pool), seed)
    if len(mine) < treats or len(beside) < others:
        left_out.append(
            f"all but {len(mine):,} of {treats:,} treated accounts and {len(beside):,} of {others:,} others, drawn at"
            " random"
        )
    ids = pd.Index([*mine, *beside], name="account_id")
    flag = np.arange(len(ids)) < len(mine)
    before = int(min(BEFORE, np.floor((start - lines["date"].min()) / pd.Timedelta(days=days))))
    panel = _panel(lines, ids, flag, start, days, before, after, margin)
    data = _accounts(lines, ids, flag, start, span, margin, accounts)
    data = data.merge(chosen.reset_index()[["account_id", "start"]], on="account_id", how="left")
    data = data.assign(start=data["start"].fillna(start), counted_from=start)
    effects, rows, checks = {}, [], []
    for name, make in _methods(panel, data, confidence, seed, currency).items():
        row: dict[str, Any] = {"method": name, "evidence": LABEL}
        try:
            found = make()
        except ClvError as error:
            rows.append(row | {"effect": np.nan, "lower": np.nan, "upper": np.nan, "verdict": "not possible",
                               "assumption": "", "says": error.message})  # fmt: skip
            continue
        effects[name] = found
        one = found.table.iloc[0]
        broken = " ".join(found.checks.loc[found.checks["verdict"] == "broken", "says"])
        rows.append(
            row | {"effect": one["effect"], "lower": one["lower"], "upper": one["upper"],
                   "verdict": _verdict(found), "assumption": found.assumption, "says": broken or _bends(found)}
        )  # fmt: skip
        checks.append(found.checks.assign(method=name))
    table = pd.DataFrame(rows)
    cost = chosen.loc[mine, "cost"] if "cost" in chosen else pd.Series(np.nan, index=mine)
    spent = float(cost.sum()) if cost.notna().all() else np.nan
    table["roi"] = table["effect"] * len(mine) / spent - 1 if spent > 0 else np.nan
    # Who was no customer yet grew into one, which is no luck that goes by again; the first purchase may lie a little
    # after the window's beginning.
    full = data.assign(**{"margin earlier": data["margin earlier"].where(data["days known"] >= 1.75 * span)})
    looks = selection_checks(
        full, outcome="margin", before="margin before", earlier="margin earlier", currency=currency
    )
    draft = UnrandomisedEvidence(
        table, "", pd.concat(checks, ignore_index=True) if checks else pd.DataFrame(), looks, data, panel, effects,
        float(span), left_out, spread, confidence, currency,
    )  # fmt: skip
    return replace(draft, text=_text(draft))


def _cohort(treated: pd.DataFrame, end: pd.Timestamp) -> tuple[pd.DataFrame, pd.Timestamp, float, list[str]]:
    """Accounts that began together, the largest such group; their common start is its latest."""
    for name in ("account_id", "start"):
        if name not in treated.columns:
            raise DataError("there is no such column.", table="programmes", column=name, mend="Add it.")
    rows = treated.assign(account_id=treated["account_id"].astype(str), start=pd.to_datetime(treated["start"]))
    nameless, rows = int(rows["start"].isna().sum()), rows.dropna(subset=["start"])
    rows = rows.sort_values("start", kind="stable")
    late = rows["start"].dt.normalize() >= end - pd.Timedelta(days=1)
    begun = rows[~late].drop_duplicates("account_id").set_index("account_id")
    if begun.empty:
        raise DataError(
            "no programme had begun before the data end: the outcome would be from before the treatment.",
            table="programmes", column="start", mend="Wait, or check the dates.",
        )  # fmt: skip
    if "cost" in rows:
        paid = rows[~late].groupby("account_id")["cost"]
        begun["cost"] = paid.sum().where(paid.count() == paid.size())  # a cost that is not known is not nought
    day = begun["start"].dt.normalize()
    month = pd.Timedelta(days=TOGETHER)
    first = max(sorted(set(day)), key=lambda d: int(((day >= d) & (day <= d + month)).sum()))
    together = (day >= first) & (day <= first + month)
    left_out = [f"{counted(nameless)} without a start"] if nameless else []
    yet = len(set(rows["account_id"]) - set(begun.index))
    if yet:
        left_out.append(f"{counted(yet)} whose start is yet to come")
    if not together.all():
        left_out.append(f"{counted(int((~together).sum()))} that began at another time")
    last = day[together].max()
    return begun[together], last, float((last - first) / pd.Timedelta(days=1)), left_out


def _kin(pool: set[str], treated: pd.DataFrame, accounts: pd.DataFrame | None) -> set[str]:
    """Accounts that belong to one company with a treated one: what is done to a part may reach the rest."""
    if accounts is None or "parent_id" not in accounts:
        return set()
    from clv.abm.selecting.groups import topmost_parents

    top = topmost_parents(accounts)
    reached = set(top.reindex(treated["account_id"].astype(str)).dropna())
    return pool & set(top.index[top.isin(reached)])


def _drawn(accounts: list[str], seed: int) -> list[str]:
    """All of them, or as many as are compared at most, at random."""
    if len(accounts) <= MOST:
        return accounts
    at = np.random.default_rng(seed).choice(len(accounts), size=MOST, replace=False)
    return [accounts[k] for k in np.sort(at)]


def _panel(
    lines: pd.DataFrame, ids: pd.Index, flag: np.ndarray, start: pd.Timestamp, days: float, before: int, after: int,
    margin: float,
) -> pd.DataFrame:  # fmt: skip
    """Margin by account and period, as if each period lasted the whole window: effects are then of the window."""
    mine = lines[lines["account_id"].isin(ids)]
    period = np.floor((mine["date"] - start).dt.total_seconds() / 86_400 / days).astype(int)
    inside = (period >= -before) & (period < after)
    sums = mine[inside].groupby(["account_id", period[inside]])["amount"].sum()
    grid = pd.MultiIndex.from_product([ids, range(-before, after)], names=["account_id", "period"])
    table = (sums * margin * after).rename_axis(["account_id", "period"]).reindex(grid).fillna(0.0)
    return table.rename("margin").reset_index().assign(treated=np.repeat(flag, before + after))


def _accounts(
    lines: pd.DataFrame, ids: pd.Index, flag: np.ndarray, start: pd.Timestamp, span: float, margin: float,
    firms: pd.DataFrame | None,
) -> pd.DataFrame:  # fmt: skip
    """One row an account: the outcome, and what was known on the day of the start."""
    width = pd.Timedelta(days=span)
    bought = lines[lines["amount"] > 0]

    def money_in(low: pd.Timestamp, high: pd.Timestamp) -> pd.Series:
        mine = lines[(lines["date"] >= low) & (lines["date"] < high)]
        return margin * mine.groupby("account_id")["amount"].sum().reindex(ids).fillna(0.0)

    past = bought[bought["date"] < start].groupby("account_id")["date"].agg(["min", "max"]).reindex(ids)
    last = bought[(bought["date"] >= start - width) & (bought["date"] < start)]
    day = last.assign(day=last["date"].dt.normalize()).groupby("account_id")["day"].nunique()
    data = pd.DataFrame(
        {
            "account_id": ids, "arm": np.where(flag, "treatment", "control"),
            "margin": money_in(start, start + width).to_numpy(),
            "margin before": money_in(start - width, start).to_numpy(),
            "margin earlier": money_in(start - 2 * width, start - width).to_numpy(),
            "purchases before": day.reindex(ids).fillna(0).to_numpy(float),
            "days silent": ((start - past["max"]).dt.total_seconds() / 86_400).to_numpy(),
            "days known": ((start - past["min"]).dt.total_seconds() / 86_400).to_numpy(),
        }
    )  # fmt: skip
    if firms is not None and "employees" in firms:
        size = firms.set_index("account_id")["employees"].astype(float).reindex(ids).to_numpy()
        if np.isfinite(size).mean() > 0.5:
            data["size"] = np.log1p(np.where(np.isfinite(size), size, np.nanmedian(size)))
    # Skewed money: alike in logarithms is what an account team means by alike.
    for name in ("margin before", "margin earlier"):
        data[f"log {name}"] = np.log1p(data[name].clip(lower=0.0))
    return data


def _methods(
    panel: pd.DataFrame, data: pd.DataFrame, confidence: float, seed: int, currency: str
) -> dict[str, Callable[[], ObservationalEffect]]:
    from clv.abm.experiments.did import difference_in_differences
    from clv.abm.experiments.doubly_robust import doubly_robust
    from clv.abm.experiments.matching import matched_comparison
    from clv.abm.experiments.synthetic_did import synthetic_difference_in_differences

    alike = [
        "log margin before",
        "purchases before",
        "days silent",
        "days known",
        *(["size"] if "size" in data else []),
    ]
    common: dict[str, Any] = {"confidence": confidence, "currency": currency}
    return {
        "difference-in-differences": lambda: difference_in_differences(panel, start=0, **common),
        "synthetic difference-in-differences": lambda: synthetic_difference_in_differences(
            panel, start=0, seed=seed, **common
        ),
        "doubly robust": lambda: doubly_robust(
            data, covariates=["margin before", *alike], placebo="margin earlier", seed=seed, **common
        ),
        "matched accounts": lambda: matched_comparison(data, covariates=alike, placebo="margin earlier", **common),
    }


def _verdict(found: ObservationalEffect) -> str:
    if found.checks.empty:
        return "could not be checked"
    return "do not use" if found.flagged else "passes its checks"


def _bends(found: ObservationalEffect) -> str:
    """Take the sentence on how far the assumption may give from the method's own words."""
    parts = [p for p in found.text.split("\n\n") if not p.startswith(("Not randomised", "Do not use", "Mind"))]
    return parts[0] if parts else ""


def _text(found: UnrandomisedEvidence) -> str:
    treated = int((found.data["arm"] == "treatment").sum())
    others = len(found.data) - treated
    currency, good = found.currency, found.usable
    said = (
        f"Not randomised: {counted(treated)} were put into the programme and {others:,} others, which had bought"
        " before, were not; nobody drew lots."
    )
    if found.spread:
        said += f" They began within {found.spread:.0f} days; what was before the last start counts as before."
    if found.window < EARLIEST:
        said += f" Only {found.window:.0f} days have passed since: nothing is worth measuring before a month."
    if good.empty:
        said += " None of the methods passes its own checks: what the programme changed cannot be told from these data."
    else:
        low, high = good["lower"].min(), good["upper"].max()
        names = listed([str(m) for m in good["method"]])
        point = good["effect"].min(), good["effect"].max()
        reach = money(point[0], currency) if len(good) == 1 else money_range(*point, currency)
        said += (
            f" What passes its own checks ({names}) puts the effect at {reach} of margin an account in"
            f" {found.window:.0f} days; all {found.confidence:.0%} intervals together reach from"
            f" {money_range(low, high)}."
        )
        roi = good["roi"].dropna()
        if len(roi):
            ends = list(dict.fromkeys(percent(x) for x in (roi.min(), roi.max())))
            said += f" That would be a return of {' to '.join(ends)} on the cost, not randomised."
        said += (
            " Something unseen may still have made the choice and the outcome both better; and what the programme did"
            " to the others, or before its start, no method takes into account."
        )
        if (found.selection.table["verdict"] == "broken").any():
            said += " Since the choice itself misleads here, even these intervals are narrower than they should be."
    for verdict, words in (("do not use", "Not to be used"), ("could not be checked", "Could not be checked")):
        bad = found.table.loc[found.table["verdict"] == verdict, "method"]
        said += f" {words}: {listed([str(m) for m in bad])}." if len(bad) else ""
    tail = f" Left out: {listed(found.left_out)}." if found.left_out else ""
    return f"{said}{tail}\n\n{found.selection.text}"
