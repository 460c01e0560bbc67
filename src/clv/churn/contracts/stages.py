"""Six stages for accounts under contract, on the same scale as those that just buy (rule C3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.churn.contracts.account_stages import account_stages, count_stages
from clv.churn.contracts.delays import renewal_delays
from clv.churn.contracts.design import with_covariates
from clv.churn.contracts.hazard import RenewalHazard, renewal_hazard
from clv.churn.contracts.models import Method
from clv.churn.contracts.relation_stages import relation_stages, slowed_accounts
from clv.churn.contracts.stage_words import contract_sentences, stages_text
from clv.churn.contracts.terms import REASONS, ContractTerms, Date, contract_terms, current_terms
from clv.churn.stage_inputs import stake
from clv.data.settings import StageRules, Unit
from clv.data.units import days_per_unit
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class ContractStages(Result):
    """The stage of each account that has or had a contract.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id, with the columns of `clv.churn_stages` where they mean the same: stage; p_alive (probability
        that it is still under contract, or will renew); silence_probability (that an account that renews is as late
        as this one, 1 while the term runs); silent (time for which the term has been over, in the unit, 0 while it
        runs); expected_purchases (renewals within the horizon); rule_stage; sentence; value if a value was given.
        Beside them contract_id, term, days_to_end (negative: over), p_renew (at the end of this term), p_renew_like
        (the book's contracts in the same term), slowed (its purchases come more slowly; missing without
        transactions), contracts (number of its relations that are not lost), lost_contracts.
    contracts : pandas.DataFrame
        The same, one row a relation: index contract_id of its current or last term; account_id, relation_id.
    by_stage : pandas.DataFrame
        Index stage (all six, in order): accounts, share, p_alive (mean), expected_purchases (sum); value (sum).
    hazard : RenewalHazard
        What the probabilities come from.
    terms : ContractTerms
        The terms as of the date, with what is odd in them.
    """

    contracts: pd.DataFrame
    by_stage: pd.DataFrame
    hazard: RenewalHazard
    terms: ContractTerms

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the stage map: how many accounts, and how much of the value, are in each stage."""
        from clv.churn.pictures import stage_map

        return stage_map(self.by_stage, ax)


def contract_stages(
    contracts: pd.DataFrame,
    *,
    as_of: Date,
    hazard: RenewalHazard | None = None,
    accounts: pd.DataFrame | None = None,
    covariates: Sequence[str] = (),
    method: Method = "logit",
    transactions: pd.DataFrame | None = None,
    rules: StageRules | None = None,
    horizon: float = 52.0,
    unit: Unit = "W",
    value: pd.Series | None = None,
    currency: str = "",
    observed_from: Date | None = None,
    grace: int = 31,
    reasons: Sequence[str] = REASONS,
    faults: Literal["error", "set_aside"] = "error",
    seed: int = 0,
) -> ContractStages:
    """Place each account under contract in one of six stages: steady, slowing, overdue, at risk, lapsed, lost.

    The stage is the worst that three scales say. *While the term runs*: an account whose loss at its end is
    ``rules.renewal_ratio`` times as likely as that of others in the same term, or whose purchases come more slowly
    than they did, is slowing; within ``rules.renewal_notice`` days of the end it is slowing below the first
    probability of ``rules.renewal``, at risk below the second. *Late renewal*: once the term is over, the probability
    that an account that renews would be as late as this one is judged by ``rules.silence``, as far as at risk: the
    same thresholds as for the silence of those that just buy. *P(alive)*: 1 while the term runs, then the probability
    that it will renew although it has not yet; below ``rules.alive`` it is lapsed, lost. A term that was said not to
    be renewed, or has been over for longer than the days of grace, is lost.

    With the hazard held fixed a further day without a renewal never moves an account up.

    Parameters
    ----------
    contracts : pandas.DataFrame
        contract_id, account_id, start, end; value, renewed, reason and term_number if known. One row a term.
    as_of : date
        What is known on this day is used, nothing later.
    hazard : RenewalHazard, optional
        Fitted before, perhaps to an earlier date; None: fitted here, with the options below.
    accounts, covariates, method, observed_from, grace, reasons, faults, seed
        See `renewal_hazard`. With `hazard` given its covariates are used, from `accounts`.
    transactions : pandas.DataFrame, optional
        account_id, date, amount: what accounts buy beside, for their change of rhythm (see `clv.rhythm_change`).
    rules : StageRules, optional
    horizon : float
        How far ahead renewals are expected, in `unit`.
    unit : {"D", "W", "M", "Y"}
    value : pandas.Series, optional
        Money at stake, indexed by account_id; accounts that it lacks are an error.
    currency : str
        Written before money in the text.

    Returns
    -------
    ContractStages

    Raises
    ------
    clv.errors.DataError
        A row cannot be used, a covariate or a value is missing.
    clv.errors.FitError
        No renewal decision was observed.
    clv.errors.SettingsError
        An option is impossible.

    Notes
    -----
    An account with several relations has the stage of the one that is best off; the others are in `contracts`, and
    the sentence says so. `rule_stage` is the rule of thumb: *active* while a term runs, *lapsing* once it is over,
    *inactive* after ``rules.inactive_months`` months.
    """
    if not (isinstance(horizon, int | float | np.number) and np.isfinite(horizon) and horizon > 0):
        raise SettingsError(f"horizon is {horizon!r}.", mend=f"Give a positive number of units ({unit}).")
    days = days_per_unit(unit)
    rules = StageRules() if rules is None else rules
    if hazard is None:
        hazard = renewal_hazard(
            contracts, as_of=as_of, accounts=accounts, covariates=covariates, method=method, seed=seed,
            observed_from=observed_from, grace=grace, reasons=reasons, faults=faults,
        )  # fmt: skip
        terms = hazard.terms
    else:
        terms = contract_terms(
            contracts, as_of=as_of, observed_from=observed_from, grace=grace, reasons=reasons, faults=faults
        )
    rows = with_covariates(current_terms(terms), accounts, hazard.covariates)
    slowed = slowed_accounts(transactions, as_of, rows["account_id"], rules.rhythm)
    delays = renewal_delays(hazard.terms)
    table = relation_stages(rows, hazard, delays, rules, slowed=slowed, horizon_days=horizon * days, unit=unit)
    table["sentence"] = contract_sentences(table, rows, len(delays.days), hazard.terms.table.attrs["clv"]["unit"])
    by_account = account_stages(table)
    if value is not None:
        by_account["value"] = stake(value, by_account.index)
    by_account.attrs["clv"] = {"unit": unit, "grain": None, "as_of": str(pd.Timestamp(as_of).date())}
    by_account.attrs["clv"] |= {"horizon": float(horizon)}
    by_stage = count_stages(by_account)
    text = stages_text(by_stage, by_account, horizon, unit, currency, terms.text)
    shown = table.drop(columns="severity")
    return ContractStages(by_account, text, contracts=shown, by_stage=by_stage, hazard=hazard, terms=terms)
