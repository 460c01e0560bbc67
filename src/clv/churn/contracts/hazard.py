"""Who renews: the hazard of not renewing by the number of the term and by what kind of account it is (rule C6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from clv.churn.contracts.design import with_covariates
from clv.churn.contracts.forecast import forecast
from clv.churn.contracts.hazard_tables import by_term, coefficient_table, fit_note, renewal_of_like
from clv.churn.contracts.models import (
    HazardModel,
    LogitHazard,
    Method,
    ShiftedBetaGeoHazard,
    fit_hazard,
    loss_probability,
)
from clv.churn.contracts.terms import REASONS, ContractTerms, Date, contract_terms, current_terms, decisions, tenures
from clv.churn.contracts.wording import hazard_text
from clv.errors import FitError, SettingsError
from clv.result import Result
from clv.value.shifted_beta_geo import ShiftedBetaGeoModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class RenewalHazard(Result):
    """How likely contracts are not renewed, by the number of the term, and for each that runs.

    Attributes
    ----------
    table : pandas.DataFrame
        Index term (1: the first): at_risk, lost, hazard (lost ÷ at risk), lower, upper (Jeffreys' interval);
        retention (Kaplan-Meier: share still there after that term's end), retention_lower, retention_upper;
        fitted, fitted_retention (the model's, for the accounts that were at risk); sbg, sbg_retention (the shifted
        beta-geometric model's). Where the first terms were not observed retention is that of those who came to the
        first term that was.
    running : pandas.DataFrame
        Index contract_id, of terms whose renewal is ahead or due: account_id, relation_id, term, start, end,
        days_to_end (negative: due), value, p_renew, lower, upper, expected_renewals, renewals_lower, renewals_upper,
        p_renew_like (of contracts in the same term, whatever the account), p_renew_sbg.
    coefficients : pandas.DataFrame
        Index name: coefficient, standard_error, odds_ratio, lower, upper; of the log-odds of loss, a number per
        standard deviation, a level against the reference. Empty for method "boosted".
    note : str
        What a reader should know of the fit: separation, levels pooled, values missing. Empty if there is nothing.
    terms : ContractTerms
        The terms that it rests on, with what is odd in them.
    model : HazardModel
    method : {"logit", "boosted", "sbg"}
    confidence : float
    ahead : pandas.DataFrame
        What `running` was forecast from: its terms, with their length in days and the covariates.
    decisions : pandas.DataFrame
        What the model was fitted to: one row a renewal decision, with lost and the covariates.
    covariates : tuple of str
    """

    running: pd.DataFrame
    coefficients: pd.DataFrame
    note: str
    terms: ContractTerms
    model: HazardModel
    method: Method
    confidence: float
    ahead: pd.DataFrame
    decisions: pd.DataFrame
    covariates: tuple[str, ...]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw retention by term, with its interval, and the models beside it."""
        from clv.churn.contracts.pictures import retention_curve

        return retention_curve(self.table, ax, confidence=self.confidence)


def renewal_hazard(
    contracts: pd.DataFrame,
    *,
    as_of: Date,
    accounts: pd.DataFrame | None = None,
    covariates: Sequence[str] = (),
    method: Method = "logit",
    renewals: int = 5,
    observed_from: Date | None = None,
    grace: int = 31,
    reasons: Sequence[str] = REASONS,
    faults: Literal["error", "set_aside"] = "error",
    confidence: float = 0.9,
    seed: int = 0,
) -> RenewalHazard:
    """Estimate the hazard of not renewing, term by term, and forecast each running contract.

    Each renewal decision is one observation (a person-period): relations that are still running count up to the
    decisions taken (right censoring); those that were older when observation began enter at the age they had (left
    truncation: `observed_from`, or a column ``term_number`` in `contracts`).

    Parameters
    ----------
    contracts : pandas.DataFrame
        contract_id, account_id, start, end; value, renewed, reason and term_number if known. One row a term.
    as_of : date
        What is known on this day is used, nothing later.
    accounts : pandas.DataFrame, optional
        One row an account: account_id and covariates.
    covariates : sequence of str
        Columns of `accounts`, or ``value`` and ``days`` of the term: numbers, or anything else as categories. Missing
        values and levels with fewer than 5 decisions count as the average account. Not used by "sbg".
    method : {"logit", "boosted", "sbg"}
        Discrete-time logit in ln(beta + renewals) and covariates (Allison 1982; Singer & Willett 1993), with the beta
        of the shifted beta-geometric model, standard errors robust to dependence within an account; calibrated
        boosted trees, which have no intervals; or that model itself (Fader & Hardie 2007).
        Where losses are few for the effects, or told apart fully, the logit is stabilised and `note` says so (see
        `clv.churn.contracts.logit`).
    renewals : int
        How many ends of terms ``expected_renewals`` looks ahead.
    observed_from, grace
        See `clv.summarise_contracts`.
    reasons : sequence of str
        Known reasons of loss.
    faults : {"error", "set_aside"}
        Whether unusable rows stop the analysis or are listed in ``terms.issues``.
    confidence : float
        Of all intervals.
    seed : int
        Of the boosted trees and their folds.

    Returns
    -------
    RenewalHazard

    Raises
    ------
    clv.errors.DataError
        A row cannot be used, a covariate is missing, or an account is there twice.
    clv.errors.FitError
        No renewal decision was observed, or the method needs more of them.
    clv.errors.SettingsError
        An option is none of those above.

    Notes
    -----
    Decisions of one account at one age differ by more than covariates say, yet no frailty is needed to forecast: the
    hazard of a term is that of the accounts that came so far, which is what the next one needs. Coefficients are
    those of such a mixture, smaller than an account's own (Vaupel & Yashin 1985).
    """
    if method not in ("logit", "boosted", "sbg"):
        raise SettingsError(f"method is {method!r}.", mend="Use 'logit', 'boosted' or 'sbg'.")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence!r}.", mend="Give a share between 0 and 1, such as 0.9.")
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    if len(set(covariates)) < len(covariates):
        raise SettingsError(f"covariates are {', '.join(covariates)}.", mend="Give each once.")
    if not (isinstance(renewals, int) and renewals >= 1):
        raise SettingsError(f"renewals is {renewals!r}.", mend="Give a whole number of 1 or more.")
    terms = contract_terms(
        contracts, as_of=as_of, observed_from=observed_from, grace=grace, reasons=reasons, faults=faults
    )
    decided, open_since = decisions(terms)
    decided = with_covariates(decided, accounts, covariates)
    if decided.empty:
        raise FitError("no renewal decision was observed.", mend="Wait until the first term ends, or widen the dates.")
    sbg = ShiftedBetaGeoHazard(ShiftedBetaGeoModel(prior="auto").fit(tenures(decided)))
    model = fit_hazard(
        decided, covariates, method=method, sbg=sbg, seed=seed, table="accounts" if covariates else "contracts"
    )
    table = by_term(decided, model, sbg, confidence)
    ahead = with_covariates(current_terms(terms), accounts, covariates)
    ahead = ahead[ahead["outcome"] != "lost"]
    freedom = float(model.fit.accounts - 1) if isinstance(model, LogitHazard) and model.fit.accounts > 1 else np.inf
    found = forecast(model, ahead, renewals=renewals, confidence=confidence, freedom=freedom)
    shown = ["account_id", "relation_id", "term", "start", "end", "days_to_end", "value"]
    running = ahead[shown].join(found)
    running["p_renew_like"] = renewal_of_like(decided, ahead["term"], model)
    running["p_renew_sbg"] = 1 - loss_probability(sbg, ahead)
    coefficients = coefficient_table(model, confidence, freedom)
    note = fit_note(model, sbg, decided, open_since)
    text = hazard_text(
        table, running, coefficients, note, terms.text, renewals=renewals, confidence=confidence,
        like=renewal_of_like(decided, pd.Series([1, 2, 3]), model),
    )  # fmt: skip
    return RenewalHazard(
        table, text, running=running, coefficients=coefficients, note=note, terms=terms, model=model, method=method,
        confidence=confidence, ahead=ahead, decisions=decided,
        covariates=() if method == "sbg" else covariates,
    )  # fmt: skip
