"""Which model? A likelihood-ratio test where one is a special case of the other, information criteria where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.errors import SettingsError
from clv.result import Result
from clv.value.estimation.checks import check_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.value.estimation.base import Estimator


@dataclass(frozen=True, eq=False)
class LikelihoodRatioTest(Result):
    """Whether the additional parameters of a larger model are needed.

    Attributes
    ----------
    table : pandas.DataFrame
        Index model; parameters, log_likelihood.
    statistic : float
        Twice the difference of log-likelihoods.
    degrees_of_freedom : int
    p_value : float
        Upper tail of chi² with these degrees of freedom.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the two log-likelihoods."""
        return _bars(self.table["log_likelihood"], "log-likelihood", ax)


@dataclass(frozen=True, eq=False)
class InformationCriteria(Result):
    """Models of the same data, the best first.

    Attributes
    ----------
    table : pandas.DataFrame
        Index model; parameters, log_likelihood, aic, bic, weight (Akaike weight: relative support, sums to 1).
    """

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each model is behind the best one."""
        return _bars(self.table["aic"] - self.table["aic"].min(), "AIC behind the best", ax)


def _bars(values: pd.Series, label: str, ax: Axes | None) -> Axes:
    import matplotlib.pyplot as plt
    import seaborn as sns

    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.8 + 0.4 * len(values)))
    sns.barplot(
        x=values.to_numpy(), y=values.index.to_numpy(), orient="h", color=sns.color_palette("colorblind")[0], ax=ax
    )
    if (values < 0).all():  # bars from zero would hide the difference
        span = max(float(values.max() - values.min()), 1.0)
        ax.set_xlim(float(values.min()) - span, float(values.max()) + span / 2)
    ax.set(xlabel=label, ylabel="")
    return ax


def parameter_count(model: Estimator) -> int:
    """Count what was fitted to the data: the parameters, and k where it was chosen."""
    chosen = hasattr(model, "log_likelihoods_")
    return len(model.params_) + int(chosen)


def likelihood_ratio_test(small: Estimator, large: Estimator) -> LikelihoodRatioTest:
    """Test a model against a larger one of which it is a special case.

    Parameters
    ----------
    small, large : fitted models
        By maximum likelihood, to the same accounts. Nested are models of one family, the parameters of one among those
        of the other (with fewer covariates, for instance), and what `large` says of itself in ``_nests``.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    clv.errors.SettingsError
        If they are not nested, were fitted to different data, or one of them not by maximum likelihood.

    Notes
    -----
    Wilks' theorem: large samples, and the small model inside the large one rather than at its boundary. A whole number
    such as k of (M)BG/CNBD-k is no such parameter: `information_criteria` compares those.
    """
    _comparable([small, large])
    freedom = len(large.params_) - len(small.params_)
    if freedom <= 0 or not nested(small, large):
        raise SettingsError(
            f"{_name(small)} is not a special case of {_name(large)} with fewer parameters.",
            mend="Give the smaller model first, or use clv.information_criteria.",
        )
    from scipy.stats import chi2

    statistic = 2 * (large.log_likelihood_ - small.log_likelihood_)
    if statistic < -1e-6 * max(1.0, abs(small.log_likelihood_) * 1e-6):
        raise SettingsError(
            f"the larger model fits worse (by {-statistic / 2:.3g}), which a maximum cannot.",
            mend="Fit both without penalty or prior.",
        )
    statistic = max(statistic, 0.0)
    p_value = float(chi2.sf(statistic, freedom))
    names = _labels([small, large])
    table = pd.DataFrame(
        {
            "parameters": [len(m.params_) for m in (small, large)],
            "log_likelihood": [small.log_likelihood_, large.log_likelihood_],
        },
        index=pd.Index(names, name="model"),
    )
    what = "are needed" if p_value < 0.05 else "are not shown to be needed"
    text = (
        f"The {freedom} additional parameter{'s' if freedom > 1 else ''} of {names[1]} {what}: likelihood ratio chi² "
        f"{statistic:.3f}, {freedom} degree{'s' if freedom > 1 else ''} of freedom, p = {p_value:.3g}."
    )
    return LikelihoodRatioTest(table, text, float(statistic), freedom, p_value)


def nested(small: Estimator, large: Estimator) -> bool:
    """Say whether one model is a special case of another by fixing parameters inside their range."""
    says = getattr(large, "_nests", None)
    if says is not None and says(small):
        return True
    if getattr(small, "k_", 1) != getattr(large, "k_", 1):
        return False
    related = isinstance(large, type(small)) or isinstance(small, type(large))
    return related and set(small.params_.index) < set(large.params_.index)


def information_criteria(*models: Estimator) -> InformationCriteria:
    """Compare models of the same data, nested or not.

    Parameters
    ----------
    *models : fitted models

    Returns
    -------
    InformationCriteria
        aic = 2 × parameters − 2 × log-likelihood (Akaike 1974), bic with ln(accounts) in place of 2 (Schwarz 1978);
        k of (M)BG/CNBD-k counts as a parameter where it was chosen.

    Raises
    ------
    clv.errors.SettingsError
        If there are fewer than two, or they were fitted to different data.
    """
    if len(models) < 2:
        raise SettingsError("there is nothing to compare.", mend="Give two fitted models or more.")
    _comparable(models)
    count = np.array([parameter_count(model) for model in models], dtype=float)
    value = np.array([model.log_likelihood_ for model in models])
    aic = 2 * count - 2 * value
    table = pd.DataFrame(
        {
            "parameters": count.astype(int), "log_likelihood": value, "aic": aic,
            "bic": count * np.log(models[0].n_accounts_) - 2 * value,
        },
        index=pd.Index(_labels(models), name="model"),
    )  # fmt: skip
    support = np.exp((aic.min() - aic) / 2)
    table["weight"] = support / support.sum()
    table = table.sort_values("aic", kind="stable")
    text = (
        f"Of {len(models)} models {table.index[0]} fits best for its number of parameters (AIC "
        f"{table['aic'].iloc[0]:,.1f}), {table['aic'].iloc[1] - table['aic'].iloc[0]:,.1f} ahead of {table.index[1]}; "
        f"by BIC it is {table['bic'].idxmin()}."
    )
    return InformationCriteria(table, text)


def _comparable(models: Any) -> None:
    """Refuse models that did not see the same accounts, or whose likelihood is not a maximum."""
    for model in models:
        check_fitted(model)
        if getattr(model, "estimate_", "maximum likelihood") != "maximum likelihood":
            raise SettingsError(f"{_name(model)} is not a maximum-likelihood fit.", mend="Fit it with prior=None.")
    first = models[0]
    for model in models[1:]:
        mark, other = getattr(first, "data_mark_", np.nan), getattr(model, "data_mark_", np.nan)
        same = mark == other and np.isclose(first.n_accounts_, model.n_accounts_) and first.unit_ == model.unit_
        if not same:  # also where a mark is not known
            raise SettingsError(
                f"{_name(first)} and {_name(model)} were fitted to different data.", mend="Fit both to one summary."
            )


def _name(model: Any) -> str:
    name = type(model).__name__.removesuffix("Model")
    return f"{name} (k = {int(model.k_)})" if hasattr(model, "k_") else name


def _labels(models: Any) -> list[str]:
    """Name models; by their additional parameters where classes are the same, by number where that is not enough."""
    names = [_name(model) for model in models]
    if len(set(names)) < len(names):
        names = [
            f"{name} ({', '.join(map(str, model.params_.index))})" for name, model in zip(names, models, strict=True)
        ]
    if len(set(names)) < len(names):
        names = [f"{place}. {name}" for place, name in enumerate(names, 1)]
    return names
