"""What managers make of their accounts, apart from what a programme does (rule E4): a random intercept a manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.loop.shrinkage import Floats
from clv.abm.wording import accounts, money, money_range
from clv.errors import DataError, FitError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class ManagerEffects(Result):
    """Managers and treatment, apart.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a manager: manager, accounts, treated_share, raw (mean of his accounts beyond treatment and covariates,
        less that of all), effect (the same, shrunk towards 0), sd (of its error, with that of the variances), lower,
        upper.
    treatment : pandas.Series
        effect (within managers), se, lower, upper; naive, naive_se: the same without managers.
    sd_manager, sd_account : float
        Standard deviations between managers and of accounts within a manager.
    share : float
        Of the variance that is between managers.
    sd_upper : float
        Standard deviation between managers that the data still allow (95 %).
    confidence : float
    currency : str
    """

    treatment: pd.Series
    sd_manager: float
    sd_account: float
    share: float
    sd_upper: float
    confidence: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each manager's effect with its interval."""
        from clv.abm.experiments.pictures import effects

        shown = self.table.assign(label=self.table["manager"]).sort_values("effect", ascending=False)
        ax = effects(shown, "Managers, compared with the mean of all", self.currency, ax)
        ax.set_xlabel(f"difference to the mean manager{f', {self.currency}' if self.currency else ''}")
        return ax


def manager_effects(
    data: pd.DataFrame,
    *,
    outcome: str = "margin",
    manager: str = "manager",
    arm: str = "arm",
    control: str = "control",
    covariates: Sequence[str] = (),
    confidence: float = 0.9,
    currency: str = "",
) -> ManagerEffects:
    """Estimate managers as random effects, and the treatment within managers.

    ``y = β₀ + β₁ treated + β₂ (the manager's share of treated) + γ x + manager + error``, by restricted maximum
    likelihood. The share makes the treatment's effect the one *within* managers: managers who got more treated
    accounts, because they are better or have better accounts, do not lend it theirs (Mundlak 1978, *Econometrica* 46).
    Manager effects are best linear unbiased predictions (Henderson 1975) from what treatment and covariates leave:
    shrunk, the more so the fewer their accounts.

    Parameters
    ----------
    data : pandas.DataFrame
        One row an account: outcome, manager, arm, covariates. Accounts without a manager are left out, which the text
        says.
    covariates : sequence of str
        Known before the start, such as ``margin_pre``.

    Returns
    -------
    ManagerEffects

    Raises
    ------
    DataError
        A column is missing, a value is no number, or no manager has both treated accounts and controls.
    FitError
        Two managers are the least, and more accounts than parameters.

    Notes
    -----
    It assumes normal, exchangeable managers. What is left of a manager's effect beyond treatment and covariates may
    still be his accounts rather than himself: managers were not drawn by lot.
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence!r}.", mend="Give a probability between 0 and 1.")
    names = [outcome, manager, arm, *covariates]
    for name in names:
        if name not in data.columns:
            raise DataError("there is no such column.", table="experiment", column=name, mend="Add it.")
    known = np.flatnonzero(data[manager].notna())
    frame = data.iloc[known].reset_index(drop=True)
    unknown = frame[arm].isna().to_numpy()
    if unknown.any():
        raise DataError("is empty.", table="experiment", column=arm, row=int(known[np.argmax(unknown)]) + 1,
                        mend="Say for every account in which arm it is.")  # fmt: skip
    numbers = frame[[outcome, *covariates]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise DataError("is no number.", table="experiment", column=[outcome, *covariates][column],
                        row=int(known[row]) + 1, mend="Leave the account out, or give its value.")  # fmt: skip
    y, extra = numbers[:, 0], numbers[:, 1:] - numbers[:, 1:].mean(axis=0)
    labels, code = np.unique(frame[manager].astype(str), return_inverse=True)
    treated = (frame[arm].astype(str) != control).to_numpy(float)
    size = np.bincount(code)
    share = np.bincount(code, weights=treated) / size
    if len(labels) < 2 or len(y) < len(labels) + 3 + extra.shape[1]:
        raise FitError(f"{len(labels)} managers with {len(y)} accounts are too few.", mend="Leave managers out.")
    if not ((share > 0) & (share < 1)).any():
        raise DataError(
            "no manager has both treated accounts and controls: the programme cannot be told from the managers.",
            table="experiment", column=manager, mend="Draw the arms within managers next time.",
        )  # fmt: skip
    between = share[code] - share[code].mean()
    x = np.column_stack([np.ones(len(y)), treated, between, extra])
    if np.ptp(share) < 1e-12:
        x = np.delete(x, 2, axis=1)
    fit = _reml(y, x, code, size)
    naive = np.column_stack([np.ones(len(y)), treated, extra])
    plain, plain_se = _least_squares(y, naive)
    from scipy.stats import t as student

    q = float(student.ppf((1 + confidence) / 2, max(len(y) - len(labels) - 1 - extra.shape[1], 1)))
    effect, se = float(fit.beta[1]), float(fit.se[1])
    treatment = pd.Series({"effect": effect, "se": se, "lower": effect - q * se, "upper": effect + q * se,
                           "naive": plain, "naive_se": plain_se})  # fmt: skip
    # A manager's own part: what his accounts bring beyond treatment and covariates, whatever share of them was treated.
    residual = y - effect * treated - extra @ fit.beta[len(fit.beta) - extra.shape[1] :]
    own = _reml(residual, np.ones((len(y), 1)), code, size)
    # What the effects owe to not knowing how far managers differ: the error of the estimate over all such distances.
    doubt = _doubt(residual, code, size, own.effect)
    spread = np.sqrt(doubt.variance + (se * (share - treated.mean())) ** 2)
    table = pd.DataFrame({"manager": labels, "accounts": size, "treated_share": share,
                          "raw": np.bincount(code, weights=residual) / size - residual.mean(),
                          "effect": own.effect, "sd": spread})  # fmt: skip
    table = table.assign(lower=table["effect"] - q * table["sd"], upper=table["effect"] + q * table["sd"])
    sd_m, sd_e = float(np.sqrt(own.between)), float(np.sqrt(own.within))
    part = own.between / (own.between + own.within) if own.within > 0 else 0.0
    text = _text(table, treatment, (sd_m, doubt.upper), part, confidence, currency)
    if len(known) < len(data):
        gone = len(data) - len(known)
        text += f" {accounts(gone)} without a manager {'is' if gone == 1 else 'are'} left out."
    return ManagerEffects(table, text, treatment, sd_m, sd_e, part, doubt.upper, confidence, currency)


@dataclass(frozen=True)
class _Fit:
    beta: Floats
    se: Floats
    between: float
    within: float
    effect: Floats
    sd: Floats


@dataclass(frozen=True)
class _Doubt:
    variance: Floats
    upper: float


def _doubt(y: Floats, code: np.ndarray, size: np.ndarray, effect: Floats) -> _Doubt:
    """Mean squared error of the effects over all standard deviations between managers, uniform before the data.

    A uniform prior on the standard deviation (Gelman 2006, *Bayesian Analysis* 1) times the restricted likelihood, on a
    grid: where the estimate is 0, the managers are not known to be equal.
    """
    x, n = np.ones((len(y), 1)), len(y)
    zx, zy, yy = size.astype(float), np.bincount(code, weights=y), float(y @ y)
    ratios = np.linspace(0.0, 2.0, 201) ** 2
    k = ratios[:, None] / (1 + ratios[:, None] * size)
    a = n - (k * zx**2).sum(axis=1)
    b = float(y.sum()) - (k * zx * zy).sum(axis=1)
    rest = np.maximum(yy - (k * zy**2).sum(axis=1) - b**2 / a, 1e-300)
    deviance = (n - 1) * np.log(rest) + np.log1p(ratios[:, None] * size).sum(axis=1) + np.log(a)
    weight = np.exp(-(deviance - deviance.min()) / 2)
    weight /= weight.sum()
    keep = weight > 1e-6
    fits = [_fit_at(float(r), y, x, code, size) for r in ratios[keep]]
    w = weight[keep] / weight[keep].sum()
    error = sum(p * (fit.sd**2 + (fit.effect - effect) ** 2) for p, fit in zip(w, fits, strict=True))
    sds = np.array([np.sqrt(fit.between) for fit in fits])
    order = np.argsort(sds, kind="stable")
    upper = float(sds[order][np.searchsorted(np.cumsum(w[order]), 0.95).clip(max=len(sds) - 1)])
    return _Doubt(np.asarray(error, dtype=float), upper)


def _fit_at(ratio: float, y: Floats, x: Floats, code: np.ndarray, size: np.ndarray) -> _Fit:
    """Fit with a given ratio of the variances.

    With V = I + r ZZ′, products with V⁻¹ need sums by manager only: V⁻¹a = a − r/(1 + r n) Z(Z′a).
    """
    n, p = x.shape
    zx = np.column_stack([np.bincount(code, weights=column) for column in x.T])
    zy = np.bincount(code, weights=y)
    k = ratio / (1 + ratio * size)
    a = x.T @ x - zx.T @ (k[:, None] * zx)
    score = x.T @ y - zx.T @ (k * zy)
    beta = np.linalg.solve(a, score)
    rest = max(float(y @ y) - float((k * zy) @ zy) - float(beta @ score), 1e-300)
    within = rest / (n - p)
    inverse = np.linalg.inv(a)
    sums = np.bincount(code, weights=y - x @ beta)
    # Prediction error: of the manager, and of what is estimated beside.
    load = k[:, None] * zx
    own = np.einsum("mp,pq,mq->m", load, inverse, load)
    sd = np.sqrt(np.maximum(within * (ratio * (1 - k * size) + own), 0.0))
    return _Fit(np.asarray(beta, dtype=float), np.sqrt(within * np.diag(inverse)), ratio * within, within, k * sums, sd)


def _reml(y: Floats, x: Floats, code: np.ndarray, size: np.ndarray) -> _Fit:
    """Restricted maximum likelihood of a random intercept, over the ratio of variances alone."""
    from scipy.optimize import minimize_scalar

    n, p = x.shape
    xx, xy, yy = x.T @ x, x.T @ y, float(y @ y)
    zx = np.column_stack([np.bincount(code, weights=column) for column in x.T])
    zy = np.bincount(code, weights=y)

    def deviance(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        k = ratio / (1 + ratio * size)
        a = xx - zx.T @ (k[:, None] * zx)
        score = xy - zx.T @ (k * zy)
        rest = max(yy - float((k * zy) @ zy) - float(np.linalg.solve(a, score) @ score), 1e-300)
        return (n - p) * np.log(rest) + float(np.log1p(ratio * size).sum()) + float(np.linalg.slogdet(a)[1])

    found = minimize_scalar(deviance, bounds=(-16.0, 8.0), method="bounded", options={"xatol": 1e-8})
    ratio = float(np.exp(found.x)) if found.fun < deviance(-30.0) - 1e-9 else 0.0
    return _fit_at(ratio, y, x, code, size)


def _least_squares(y: Floats, x: Floats) -> tuple[float, float]:
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ beta
    variance = float(residual @ residual) / max(len(y) - x.shape[1], 1)
    return float(beta[1]), float(np.sqrt(variance * np.linalg.pinv(x.T @ x)[1, 1]))


def _text(
    table: pd.DataFrame, treatment: pd.Series, sd: tuple[float, float], part: float, confidence: float, currency: str
) -> str:
    best = table.iloc[int(np.argmax(table["effect"]))]
    clear = table[(table["lower"] > 0) | (table["upper"] < 0)]
    if len(clear):
        said = (
            f"Managers make {part:.0%} of the differences between accounts that programme and past leave open (standard"
            f" deviation {money(sd[0], currency)} an account). {len(clear)} of {len(table)} stand apart from the mean"
            f" at {confidence:.0%}; the highest is {best['manager']} with {money(best['effect'], currency)}"
            f" ({money_range(best['lower'], best['upper'])})."
        )
    else:
        said = (
            f"None of {len(table)} managers can be told from the mean at {confidence:.0%}: beyond the programme and"
            f" what accounts did before, managers may differ by {money(sd[1], currency)} an account (standard"
            " deviation) or by nothing."
        )
    return said + (
        f" Apart from that, the programme added {money(treatment['effect'], currency)} an account within managers"
        f" ({money_range(treatment['lower'], treatment['upper'])}); without regard to managers it would seem"
        f" {money(treatment['naive'], currency)}."
    )
