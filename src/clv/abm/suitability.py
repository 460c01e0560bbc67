"""Is an account-based programme right for us at all? Seven answers, computed where the data allow, asked where not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from clv.abm.classes.shares import lines_until
from clv.abm.wording import accounts as counted
from clv.abm.wording import amount, listed, money
from clv.churn.contracts.competing_risks import competing_risks
from clv.churn.purchases import Date
from clv.data.settings import SuitabilityRules, Tier
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.data.study import Study

QUESTIONS = ("deal size", "number of deciders", "cycle length", "number of target accounts", "growth room",
             "sales-marketing alignment", "data")  # fmt: skip
_ASK = {
    "deal size": "What does a typical deal bring, and which of the accounts are worth the cost of a tier?",
    "number of deciders": "How many people, in which roles, have a say in a purchase?",
    "cycle length": "How long does it take from the first talk to the signature?",
    "number of target accounts": "How many accounts do you want to win or grow?",
    "growth room": "How much of what the accounts need do they buy from others?",
    "sales-marketing alignment": "Do sales and marketing work on the same list of accounts, towards the same aim?",
    "data": "Which tables on accounts, people, contacts and deals can be had?",
}
#: decided deals below which nothing is said on the length of the cycle.
FEWEST_DEALS = 10


class Answer(NamedTuple):
    """One of the seven: yes, partly, no or asked; the figure behind it, and why."""

    answer: str
    figure: float
    reason: str


@dataclass(frozen=True, eq=False)
class Suitability(Result):
    """The checklist.

    Attributes
    ----------
    table : pandas.DataFrame
        Index question (seven): answer (yes, partly, no, asked), figure (what was computed; empty where asked), reason,
        ask (the question to put; empty where it is answered).
    overall : {"suitable", "partly", "not"}
        By the answers that are known.
    at_best, at_worst : str
        The same if all open questions were answered yes, or no.
    """

    overall: str
    at_best: str
    at_worst: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the seven answers."""
        from clv.abm.classes.pictures import new_axes

        ax = new_axes(ax)
        level = {"yes": 3, "partly": 2, "no": 1, "asked": 0}
        colour = {"yes": "#0173b2", "partly": "#56b4e9", "no": "#d55e00", "asked": "0.85"}
        answers = list(self.table["answer"])
        y = np.arange(len(answers))
        ax.barh(y, [max(level[a], 0.15) for a in answers], color=[colour[a] for a in answers])
        ax.set_yticks(y, list(self.table.index))
        ax.set_xticks([0, 1, 2, 3], ["asked", "no", "partly", "yes"])
        ax.invert_yaxis()
        ax.set_title(f"Is an account-based programme right for us? {self.overall}")
        return ax


def suitability(
    study: Study | Mapping[str, pd.DataFrame],
    *,
    wallet: Any = None,
    tiers: list[Tier] | None = None,
    margin: float | None = None,
    years: float | None = None,
    rules: SuitabilityRules | None = None,
    as_of: Date | None = None,
    currency: str | None = None,
) -> Suitability:
    """Answer the checklist of seven (rule D1).

    Parameters
    ----------
    study : Study or mapping of str to pandas.DataFrame
        A study, or its tables by name; only transactions are needed. Settings come from the study.
    wallet : WalletPotential or pandas.DataFrame, optional
        Of `wallet_potential`; None: surveyed wallets, where there are five or more.
    tiers : list of Tier, optional
        What a programme costs and is assumed to add; None: the study's.
    margin : float, optional
        Contribution margin as a share of sales; None: the study's.
    years : float, optional
        Horizon over which tiers cost and add; None: the study's.
    rules : SuitabilityRules, optional
        Thresholds, and the answer on alignment, which no table has; None: the study's.
    as_of : date, optional
    currency : str, optional
        Written after money; None: the study's.

    Returns
    -------
    Suitability
        suitable: five or more of the seven are yes and none is no; not: deals are too small, or three or more are no;
        else partly.

    Raises
    ------
    clv.errors.DataError
        There are no transactions.
    clv.errors.SettingsError
        Tables were given without margin or tiers.
    """
    tables, settings = _tables(study)
    rules = rules or (settings.suitability if settings else SuitabilityRules())
    tiers = tiers if tiers is not None else settings.tiers if settings else None
    margin = margin if margin is not None else settings.margin if settings else None
    if years is None:
        from clv.data.units import years as in_years

        years = in_years(settings.horizon, settings.unit) if settings else 1.0
    currency = currency if currency is not None else settings.currency if settings else ""
    as_of = as_of if as_of is not None else settings.as_of if settings else None
    if "transactions" not in tables:
        raise DataError("is missing.", table="transactions", mend="Give what accounts bought.")
    lines, end = lines_until(tables["transactions"], as_of)
    sales = lines[lines["date"] > end - pd.Timedelta(days=365)].groupby("account_id")["amount"].sum()
    steps: dict[str, Callable[[], Answer | None]] = {
        "deal size": lambda: _deal_size(sales, tables, tiers, margin, years, rules, end, currency),
        "number of deciders": lambda: _deciders(tables.get("contacts"), rules),
        "cycle length": lambda: _cycle(tables.get("opportunities"), rules, end),
        "number of target accounts": lambda: _targets(tables.get("accounts"), rules),
        "growth room": lambda: _room(wallet, tables.get("wallets"), sales, rules, end),
        "sales-marketing alignment": lambda: _alignment(rules),
        "data": lambda: _data(tables),
    }
    found = {question: step() for question, step in steps.items()}
    table = pd.DataFrame(
        [
            ("asked", np.nan, "no data say it", _ASK[question]) if answer is None else (*answer, "")
            for question, answer in found.items()
        ],
        columns=["answer", "figure", "reason", "ask"],
        index=pd.Index(list(found), name="question"),
    )
    overall = _overall(table["answer"])
    at_best = _overall(table["answer"].replace("asked", "yes"))
    at_worst = _overall(table["answer"].replace("asked", "no"))
    return Suitability(table, _text(table, overall, at_best, at_worst), overall, at_best, at_worst)


def _tables(study: Study | Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], Any]:
    if isinstance(study, Mapping):
        return {name: table for name, table in study.items() if table is not None}, None
    if not hasattr(study, "settings"):
        raise DataError(f"it is a {type(study).__name__}.", mend="Give a study, or its tables by name.")
    return {name: study.read(name).table for name in study.settings.tables}, study.settings


def _grade(figure: float, cuts: tuple[float, float]) -> str:
    return "yes" if figure >= cuts[1] else "partly" if figure >= cuts[0] else "no"


def _deal_size(
    sales: pd.Series, tables: dict[str, pd.DataFrame], tiers: list[Tier] | None, margin: float | None, years: float,
    rules: SuitabilityRules, end: pd.Timestamp, currency: str,
) -> Answer | None:  # fmt: skip
    """Count the accounts for which some tier would pay for itself at the assumed uplift."""
    if tiers is None or margin is None:
        raise SettingsError("tables were given without tiers or margin.", mend="Give both, or a study.")
    own = sales.clip(lower=0) * margin * years
    # The personal tiers decide: that everybody can be sent a newsletter makes no programme of accounts.
    personal = [tier for tier in tiers if tier.all_hours >= 5]
    if not personal:
        return None
    pays = np.zeros(len(own), dtype=bool)
    for tier in personal:
        pays |= (own * tier.uplift > tier.cost).to_numpy()
    n = int(pays.sum())
    cheapest = min(personal, key=lambda tier: tier.cost)
    reason = (
        f"{counted(n)} of {len(own):,} bring enough margin for a tier with personal work ({cheapest.name} costs "
        f"{money(cheapest.cost, currency)}) to pay for itself at the uplift assumed"
    )
    deals = tables.get("opportunities")
    if deals is not None and {"outcome", "amount"} <= set(deals.columns):
        won = deals.loc[(deals["outcome"] == "won") & (deals["created"].dt.normalize() <= end), "amount"].dropna()
        if len(won):
            reason += f"; the middle deal won is worth {money(float(won.median()), currency)}"
    return Answer(_grade(n, rules.paying_accounts), float(n), reason)


def _deciders(contacts: pd.DataFrame | None, rules: SuitabilityRules) -> Answer | None:
    if contacts is None or contacts.empty:
        return None
    by = contacts["account_id"].astype(str)
    people = contacts.groupby(by).size()
    if "role" in contacts.columns and contacts["role"].notna().mean() > 0.5:
        counts, what = contacts.groupby(by)["role"].nunique(), "different roles"
        counts = counts[counts > 0]
    else:
        counts, what = people, "people"
    middle = float(counts.median())
    return Answer(
        _grade(middle, rules.deciders), middle,
        f"{amount(middle)} {what} are known at the middle account of {len(counts):,} with contacts; there may be more",
    )  # fmt: skip


def _cycle(deals: pd.DataFrame | None, rules: SuitabilityRules, end: pd.Timestamp) -> Answer | None:
    """Median time to a signature among deals that are won, those still open taken as censored."""
    if deals is None or not {"created", "closed", "outcome"} <= set(deals.columns):
        return None
    known = deals[(deals["created"].dt.normalize() <= end) & ~(deals["closed"] < deals["created"])]
    decided = known["outcome"].isin(["won", "lost"]) & (known["closed"].dt.normalize() <= end)
    won = int((decided & (known["outcome"] == "won")).sum())
    if won < FEWEST_DEALS:
        return None
    days = (known["closed"].where(decided, end).dt.normalize() - known["created"].dt.normalize()).dt.days
    cause = known["outcome"].astype(object).where(decided, None)
    wins = competing_risks(days + 1.0, cause=cause, causes=("won", "lost")).incidence
    wins = wins[wins["cause"] == "won"]
    half = wins["incidence"] >= wins["incidence"].iloc[-1] / 2 * (1 - 1e-9)  # sums of parts miss it by rounding
    median = float(wins.loc[half, "time"].iloc[0]) - 1.0
    return Answer(
        _grade(median, rules.cycle_days), median,
        f"{amount(median)} days from opening to signature, the middle of {won:,} deals won (open ones allowed for)",
    )  # fmt: skip


def _targets(firms: pd.DataFrame | None, rules: SuitabilityRules) -> Answer | None:
    if firms is None or firms.empty:
        return None
    n, (least, most) = len(firms), rules.targets
    if n < least:
        return Answer("partly", float(n), f"{counted(n)} are so few that they can be managed without a programme")
    if n > most:
        return Answer("partly", float(n), f"{counted(n)} are too many to be treated one by one: a part of them is")
    return Answer("yes", float(n), f"{counted(n)} are in the books")


def _room(
    wallet: Any, wallets: pd.DataFrame | None, sales: pd.Series, rules: SuitabilityRules, end: pd.Timestamp
) -> Answer | None:
    """Share of customers' demand that is not ours."""
    table = getattr(wallet, "table", wallet)
    if table is not None:
        known = table[table["potential"].notna() & (table["sales"] > 0)]
        ours, whole, what = known["sales"], known["potential"], "by estimated and surveyed wallets"
    elif wallets is not None:
        from clv.abm.wallet.surveys import latest_wallets

        whole = latest_wallets(wallets, end, pd.Index(sales.index))
        sound = (whole >= sales) & (sales > 0)
        ours, whole, what = sales[sound], whole[sound], f"by {int(sound.sum())} surveyed wallets"
    else:
        return None
    if len(ours) < 5 or not whole.sum() > 0:
        return None
    room = 1 - float(ours.sum() / whole.sum())
    return Answer(_grade(room, rules.growth_room), room, f"{room:.0%} of customers' need is bought elsewhere, {what}")


def _alignment(rules: SuitabilityRules) -> Answer | None:
    if rules.alignment is None:
        return None
    return Answer(rules.alignment, float("nan"), "as answered in the study's settings")


def _data(tables: dict[str, pd.DataFrame]) -> Answer:
    wanted = ("accounts", "contacts", "touches", "opportunities")
    have = [name for name in wanted if name in tables and len(tables[name])]
    filled = float("nan")
    if "accounts" in have:
        from clv.abm.propensity.known import NOT_ATTRIBUTES

        facts = tables["accounts"].drop(columns=["account_id", *NOT_ATTRIBUTES], errors="ignore")
        filled = float(facts.notna().to_numpy().mean()) if facts.size else 0.0
    lacking = [name for name in wanted if name not in have]
    reason = "transactions" + (f", {listed(have)}" if have else " alone") + " are there"
    if lacking:
        reason += f"; {listed(lacking)} {'is' if len(lacking) == 1 else 'are'} not"
    if np.isfinite(filled):
        reason += f"; firmographics are filled to {filled:.0%}"
    answer = "yes" if not lacking and filled >= 0.7 else "partly" if "accounts" in have and len(have) > 1 else "no"
    return Answer(answer, float(len(have) + 1), reason)


def _overall(answers: pd.Series) -> str:
    yes, no = int((answers == "yes").sum()), int((answers == "no").sum())
    if answers["deal size"] == "no" or no >= 3:
        return "not"
    return "suitable" if yes >= 5 and no == 0 else "partly"


def _text(table: pd.DataFrame, overall: str, at_best: str, at_worst: str) -> str:
    said = {"suitable": "suits us", "partly": "suits us in part", "not": "does not suit us"}
    text = f"By what is known, an account-based programme {said[overall]}."
    for answer, lead in (("yes", "For it"), ("partly", "In part"), ("no", "Against it")):
        some = table[table["answer"] == answer]
        if len(some):
            text += f" {lead}: {'; '.join(f'{q} ({r})' for q, r in some['reason'].items())}."
    asked = table[table["answer"] == "asked"]
    if len(asked):
        text += f"\n\nTo be asked: {' '.join(asked['ask'])}"
        if at_best == at_worst:
            text += " The answers would not change the whole."
        else:
            text += f" With good answers it {said[at_best]}, with bad ones it {said[at_worst]}."
    return text
