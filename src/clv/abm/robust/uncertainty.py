"""Which tier when values are uncertain: how sure each choice is, what knowing more is worth, what averts risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.allocation.limits import Counts, Hours, Limit
from clv.abm.allocation.plan import Work
from clv.abm.allocation.verify import check_plan
from clv.abm.robust.draws import OptionDraws, by_cell, read_draws
from clv.abm.robust.information import groups_of, partial_information
from clv.abm.robust.replan import Replanner
from clv.abm.robust.shortfall import Averse, avert, expected_shortfall, measure
from clv.abm.tiers import Allocation, allocate_tiers
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: gap of the plan for the expected values, in books with more options than this.
_GAP = 1e-4
_EXACT = 400
#: multiplications up to which every draw's plan is tried in every other draw.
_TRIED = 1e9


@dataclass(frozen=True, eq=False)
class RobustAllocation(Result):
    """A plan under uncertain values, judged over their draws.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account: account_id, tier, value (expected), cost, hours, probability (share of draws in which the
        best plan gives it this tier), likeliest (the tier that it gets in most), averse (its tier in the risk-averse
        plan; missing where there is none).
    plan : Allocation
        The plan with the largest expected return, with its certificate.
    tier_probability : pandas.DataFrame
        Index account_id, a column a tier and "none": share of draws in which the best plan gives the account the tier.
    plans : pandas.DataFrame
        One row a plan ("expected", "risk-averse", "as stated"): plan, promised (by the values that it was made with),
        expected (over the draws), regret (expected), shortfall (expected net return in the worst draws), loss
        (probability of a negative net return), lower, upper (nine of ten draws between), accounts (in a tier).
    outcomes : pandas.DataFrame
        One row a draw: perfect (net return of the best plan found for its values), bound (no plan brings more), and the
        net return of each plan.
    evpi : float
        Expected value of perfect information, ≥ 0: what one would gain on average by knowing all values beforehand.
    evpi_bound : float
        The same with the bounds in place of the plans found: evpi lies between the two, but for chance in the draws.
    evpi_error : float
        Standard error of evpi by the number of draws.
    information : pandas.DataFrame
        Value of partial information: learn, kind, accounts, value; the most valuable first.
    averse_bound : float
        No plan's measure (see `risk_weight`) is larger; NaN without a risk-averse plan.
    averse_measure : float
        The measure of the risk-averse plan.
    level : float
    currency : str
    """

    plan: Allocation
    tier_probability: pd.DataFrame
    plans: pd.DataFrame
    outcomes: pd.DataFrame
    evpi: float
    evpi_bound: float
    evpi_error: float
    information: pd.DataFrame
    averse_measure: float
    averse_bound: float
    level: float
    currency: str
    replanner: Replanner = field(repr=False)

    @property
    def expected_regret(self) -> float:
        """What the plan for expected values falls short, on average, of the best plan in each draw."""
        return float(self.plans["regret"].iloc[0])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the spread of the net return of each plan, and of the best plan if all were known."""
        from clv.abm.robust.pictures import returns

        return returns(self, ax)


def allocate_under_uncertainty(
    options: pd.DataFrame,
    draws: np.ndarray | pd.DataFrame | OptionDraws,
    budget: float | None = None,
    hours: Hours | None = None,
    counts: Counts | None = None,
    *,
    limits: Sequence[Limit] | None = None,
    accounts: pd.DataFrame | None = None,
    groups: str | Mapping[str, Sequence[str]] | None = None,
    level: float = 0.9,
    risk_weight: float = 1.0,
    information_draws: int = 60,
    gap: float | None = None,
    draw_gap: float | None = None,
    time_limit: float = 60.0,
    currency: str = "",
) -> RobustAllocation:
    """Allocate over posterior draws of what options are worth.

    The plan with the largest expected return is that for the mean values, since the return is linear in them. Around
    it: how probable each tier is for each account, the expected regret of the plan, what perfect and partial
    information would be worth, and the plan that brings most where things go badly.

    Parameters
    ----------
    options : pandas.DataFrame
        As in `allocate_tiers`. Their own values serve only to say what a plan made with them would promise and bring.
    draws : numpy.ndarray, pandas.DataFrame or OptionDraws
        (options, draws) value of each row in each draw, as of `option_draws`.
    budget, hours, counts, limits, accounts
        As in `allocate_tiers`; limits on margins hold for expected values.
    groups : str or mapping, optional
        Groups of accounts whose values could be learnt together: a column of options or accounts, or name -> ids.
    level : float
        The expected shortfall is the mean of the worst ``1 − level`` of the draws.
    risk_weight : float
        Between 0 and 1: the risk-averse plan has the largest (1 − risk_weight) × mean + risk_weight × shortfall.
        0: no such plan is made.
    information_draws : int
        Of so many draws plans are made for each group of accounts.
    gap : float, optional
        Share by which the plan of each draw, and that for the expected values, may fall short of its bound. If None:
        exact up to 60 options; what repair gives in larger books, where the bounds say how much that can be.
    draw_gap : float, optional
        The same for the plans of draws alone, in place of `gap`.
    time_limit : float
        Seconds for the plan of expected values, and for branch and bound of the risk-averse one.
    currency : str
        Written after money in the text.

    Returns
    -------
    RobustAllocation

    Raises
    ------
    DataError
        Draws do not match the options, or as in `allocate_tiers`.
    SettingsError
        A level, a weight or a number of draws that cannot be.
    InfeasibleError
        No plan satisfies the limits.

    Notes
    -----
    Draws are equally probable. EVPI = mean over draws of the best plan's return − the largest mean return (Raiffa &
    Schlaifer 1961); it is the expected regret of the best plan. With S draws it is slightly too large on average, by
    the chance in S means. Partial information: Strong, Oakley & Brennan (2014); for groups of accounts what others'
    values have in common with the group's is taken to be linear in its mean in each tier. Expected shortfall:
    Rockafellar & Uryasev (2000).
    """
    if not 0 < level < 1 or not 0 <= risk_weight <= 1 or information_draws < 2:
        raise SettingsError(
            f"level {level!r}, risk_weight {risk_weight!r} or information_draws {information_draws!r} cannot be.",
            mend="Give a level between 0 and 1, a weight from 0 to 1, and two draws or more.",
        )
    given = read_draws(options, draws)
    if isinstance(groups, Mapping) and not groups:
        groups = None

    def allocated(values: np.ndarray) -> Allocation:
        return allocate_tiers(
            options.assign(value=values),
            budget,
            hours,
            counts,
            limits=limits,
            accounts=accounts,
            gap=gap if gap is not None else (None if len(options) <= _EXACT else _GAP),
            time_limit=time_limit,
            currency=currency,
        )

    mean = given.drawn.mean(axis=1, dtype=float)
    plan = allocated(mean)
    work = plan.work
    replanner = Replanner(work.book, work.rules, gap if draw_gap is None else draw_gap)
    values = by_cell(options, work.book, given.drawn)[replanner.account, replanner.tier]
    perfect, bound, found = _perfect(replanner, values, work.tier_of)
    made = {"expected": (work.tier_of, plan.objective)}
    averse_measure = averse_bound = float("nan")
    if risk_weight > 0:
        averse = avert(
            replanner, values, [work.tier_of, *found], level=level, weight=risk_weight, time_limit=time_limit
        )
        if not _holds(work, averse.tier_of):
            # The cap on an account's share of the margin is watched only near the plan for expected values.
            net = replanner.worth(work.tier_of, values)
            averse = Averse(work.tier_of, measure(net, level, risk_weight), averse.bound)
        own = float(replanner.worth(averse.tier_of, values).mean())
        made["risk-averse"] = (averse.tier_of, own)
        averse_measure, averse_bound = averse.measure, averse.bound
    stated = options["value"].to_numpy(float) if "value" in options.columns else mean
    if not np.allclose(stated, mean, rtol=1e-9, atol=0):
        by_stated = allocated(stated)
        made["as stated"] = (by_stated.work.tier_of, by_stated.objective)
    outcomes = pd.DataFrame({"perfect": perfect, "bound": bound})
    for name, (tier_of, _) in made.items():
        outcomes[name] = replanner.worth(tier_of, values)
    outcomes["perfect"] = outcomes.drop(columns="bound").max(axis=1)
    outcomes["bound"] = outcomes[["bound", "perfect"]].max(axis=1)
    # The best mean return known: a draw's plan may beat that for the mean values, if this has a gap.
    means = [float(replanner.worth(one, values).mean()) for one in [*(t for t, _ in made.values()), *found]]
    best = max(means)
    wanted = {} if groups is None else groups_of(
        groups, work.book.accounts, work.book.column(groups) if isinstance(groups, str) else None
    )  # fmt: skip
    known = partial_information(replanner, values, work.tier_of, wanted, given.parameters, information_draws)
    draft = RobustAllocation(
        table=_table(plan, found, made),
        text="",
        plan=plan,
        tier_probability=_probability(plan, found),
        plans=_plans(outcomes, made, level),
        outcomes=outcomes,
        evpi=max(0.0, float(outcomes["perfect"].mean()) - best),
        evpi_bound=max(0.0, float(outcomes["bound"].mean()) - best),
        evpi_error=float((outcomes["perfect"] - outcomes["expected"]).std(ddof=1) / np.sqrt(len(outcomes))),
        information=known.sort_values("value", ascending=False, kind="stable", ignore_index=True),
        averse_measure=averse_measure,
        averse_bound=averse_bound,
        level=level,
        currency=currency,
        replanner=replanner,
    )
    from clv.abm.robust.wording import robust_text

    return replace(draft, text=robust_text(draft))


def _perfect(
    replanner: Replanner, values: np.ndarray, plan: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Best plan found for each draw: worth (S,), bound (S,), and the plans."""
    draws = values.shape[1]
    worth, bound, plans = np.empty(draws), np.empty(draws), []
    for s in range(draws):
        found = replanner.best(np.asarray(values[:, s], dtype=float))
        plans.append(plan if found is None else found.tier_of)
        bound[s] = np.inf if found is None else found.bound
        worth[s] = float(replanner.worth(plans[s], values[:, s]))
    if len(values) * draws**2 <= _TRIED:
        # What is best in one draw is at times better in another than what was found there.
        takes = np.zeros((draws, len(values)))
        for s, one in enumerate(plans):
            takes[s, replanner.taken(one)] = 1.0
        every = takes @ values + np.array([replanner.fixed(one) for one in plans])[:, None]
        better = every.argmax(axis=0)
        better = np.where(every[better, np.arange(draws)] > worth + 1e-9 * np.abs(worth), better, np.arange(draws))
        plans = [plans[k] for k in better]
        worth = np.array([float(replanner.worth(one, values[:, s])) for s, one in enumerate(plans)])
    return worth, bound, plans


def _holds(work: Work, tier_of: np.ndarray) -> bool:
    """Whether a plan keeps all limits, by means that share nothing with the search."""
    names = np.array([*work.book.tiers, "none"], dtype=object)
    checked = check_plan(
        work.book, work.declared, pd.Series(work.book.accounts.astype(str)), pd.Series(names[tier_of].astype(str))
    )
    return not checked.faults


def _probability(plan: Allocation, found: list[np.ndarray]) -> pd.DataFrame:
    tiers = [*plan.work.book.tiers, "none"]
    index = pd.Index(plan.table["account_id"], name="account_id")
    chosen = np.stack(found, axis=1)
    chosen = np.where(chosen < 0, len(tiers) - 1, chosen)
    return pd.DataFrame({name: (chosen == k).mean(axis=1) for k, name in enumerate(tiers)}, index=index)


def _table(plan: Allocation, found: list[np.ndarray], made: dict[str, tuple[np.ndarray, float]]) -> pd.DataFrame:
    share = _probability(plan, found)
    names = np.array(share.columns, dtype=object)
    at = plan.work.tier_of
    averse = names[made["risk-averse"][0]] if "risk-averse" in made else np.full(len(at), None, dtype=object)
    own = share.to_numpy()[np.arange(len(at)), at]
    return plan.table.assign(
        probability=own, likeliest=names[share.to_numpy().argmax(axis=1)].astype(str), averse=averse
    )


def _plans(outcomes: pd.DataFrame, made: dict[str, tuple[np.ndarray, float]], level: float) -> pd.DataFrame:
    rows = []
    for name, (tier_of, promised) in made.items():
        net = outcomes[name].to_numpy()
        rows.append(
            {
                "plan": name,
                "promised": promised,
                "expected": float(net.mean()),
                "regret": float((outcomes["perfect"] - net).mean()),
                "shortfall": expected_shortfall(net, level),
                "loss": float((net < 0).mean()),
                "lower": float(np.quantile(net, 0.05)),
                "upper": float(np.quantile(net, 0.95)),
                "accounts": int((tier_of >= 0).sum()),
            }
        )
    return pd.DataFrame(rows)
