"""The tables of a renewal hazard: by term, by coefficient, and what a reader should know of the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from clv.churn.calibration_scores import jeffreys
from clv.churn.contracts.competing_risks import competing_risks
from clv.churn.contracts.models import BoostedHazard, HazardModel, LogitHazard, ShiftedBetaGeoHazard, loss_probability
from clv.churn.contracts.terms import tenures
from clv.churn.words import plural


def by_term(
    decided: pd.DataFrame,
    model: HazardModel,
    sbg: ShiftedBetaGeoHazard,
    confidence: float,
) -> pd.DataFrame:
    """Make the table by the number of the term, as far as decisions were seen."""
    by = decided.assign(fitted=loss_probability(model, decided)).groupby("term")
    table = pd.DataFrame(
        {"at_risk": by.size(), "lost": by["lost"].sum().astype("int64"), "fitted": by["fitted"].mean()}
    )
    table = table.reindex(pd.RangeIndex(1, int(table.index.max()) + 1, name="term"))
    table[["at_risk", "lost"]] = table[["at_risk", "lost"]].fillna(0).astype("int64")
    n, d = table["at_risk"].to_numpy(float), table["lost"].to_numpy(float)
    table["hazard"] = np.divide(d, n, out=np.full(len(n), np.nan), where=n > 0)
    table["lower"], table["upper"] = jeffreys(d, n, confidence=confidence)
    relations = tenures(decided)
    curve = competing_risks(
        relations["duration"], entry=relations["entry"], cause=relations["churned"].map({True: "lost", False: None}),
        causes=["lost"], confidence=confidence,
    ).survival  # fmt: skip
    for name, column in (("retention", "survival"), ("retention_lower", "lower"), ("retention_upper", "upper")):
        table[name] = curve[column].reindex(table.index).ffill().fillna(1.0)
    new = pd.DataFrame({"term": table.index})
    # A term in which nobody was at risk: what the model says of those before it.
    table["fitted"] = table["fitted"].where(n > 0, 1 - renewal_of_like(decided, new["term"], model))
    table["fitted_retention"] = np.cumprod(1 - table["fitted"].to_numpy())
    table["sbg"] = loss_probability(sbg, new)
    table["sbg_retention"] = np.cumprod(1 - table["sbg"].to_numpy())
    order = ["at_risk", "lost", "hazard", "lower", "upper", "retention", "retention_lower", "retention_upper"]
    return table[[*order, "fitted", "fitted_retention", "sbg", "sbg_retention"]]


def renewal_of_like(decided: pd.DataFrame, terms: pd.Series, model: HazardModel) -> np.ndarray:
    """Return the mean P(renewal) of the book's contracts in each of some terms.

    Over the accounts that were at risk in that term; beyond the last term seen, over those at risk in the last.
    """
    seen = np.sort(decided["term"].unique())
    mean = {}
    for term in terms.unique():
        at = seen[max(int(np.searchsorted(seen, term, side="right")) - 1, 0)]
        rows = decided[decided["term"] == at].assign(term=term)
        mean[term] = 1 - float(loss_probability(model, rows).mean())
    return terms.map(mean).to_numpy(float)


def coefficient_table(model: HazardModel, confidence: float, freedom: float) -> pd.DataFrame:
    """Make the table of coefficients, with odds ratios and their intervals; empty where there are none."""
    names: list[str] = []
    values = np.zeros(0)
    if isinstance(model, LogitHazard):
        names, values = model.names, model.fit.coefficients
    elif isinstance(model, ShiftedBetaGeoHazard):
        names, values = ["ln alpha", "ln beta"], np.log(model.model.params_[["alpha", "beta"]].to_numpy(float))
    columns = ["coefficient", "standard_error", "odds_ratio", "lower", "upper"]
    index = pd.Index(pd.Series(names, dtype=str), name="name")
    if model.covariance is None:
        return pd.DataFrame(columns=columns, index=index, dtype=float)
    error = np.sqrt(np.diag(model.covariance))
    width = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    parts = [values, error, np.exp(values), np.exp(values - width), np.exp(values + width)]
    return pd.DataFrame(dict(zip(columns, parts, strict=True)), index=index)


def fit_note(
    model: HazardModel, sbg: ShiftedBetaGeoHazard, decided: pd.DataFrame, open_since: pd.Timestamp | None
) -> str:
    """Say what a reader should know of the fit; empty if there is nothing."""
    said: list[str] = []
    if isinstance(model, LogitHazard) and model.fit.estimate == "Firth":
        if model.fit.separated:
            which = ", ".join(name for name in model.fit.separated if name != "intercept") or "all decisions"
            said.append(f"losses and renewals are fully told apart by {which}: Firth's penalised likelihood is used")
        else:
            said.append("maximum likelihood did not converge: Firth's penalised likelihood is used")
    if isinstance(model, LogitHazard) and model.fit.estimate == "shrunk":
        lost, renewed, effects = int(decided["lost"].sum()), int((~decided["lost"]).sum()), len(model.design.names)
        few = f"{lost:,} losses" if lost <= renewed else f"{renewed:,} renewals"
        said.append(f"{few} are few for {plural(str(effects), 'effect')}, which are shrunk towards none")
    if isinstance(model, (LogitHazard, BoostedHazard)):
        said += model.design.about
    if sbg.model.estimate_ != "maximum likelihood":
        said.append("the shifted beta-geometric model rests on weak priors, these contracts alone do not identify it")
    if open_since is not None:
        said.append(
            f"renewals are due of terms that ended on {open_since:%Y-%m-%d}, so that what ended later is not used"
        )
    if isinstance(model, BoostedHazard):
        said.append("boosted trees have no intervals")
    return "; ".join(said)
