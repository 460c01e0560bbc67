"""Which model to trust: forecasts made at past dates, scored by what came after them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from clv.data.settings import Grain, Unit
from clv.data.units import DAYS
from clv.errors import ClvError, DataError, FitError, SettingsError
from clv.value.estimation.checks import Floats, positive
from clv.value.expectation.hidden import hidden_states
from clv.value.uncertainty.predictive import Counts
from clv.value.validation import scores
from clv.value.validation.backtest_result import SCORES, Backtest
from clv.value.validation.holdout import Holdout, hold_out

Date = dt.date | str | pd.Timestamp
Target = Literal["purchases", "sales"]

#: Classes of accounts, by forecast, of a calibration curve.
_CLASSES = 10
#: cells (accounts × draws) worked on at a time.
_CELLS = 250_000


def backtest(
    transactions: pd.DataFrame,
    cutoffs: Sequence[Date],
    models: Mapping[str, Any],
    horizon: float,
    *,
    unit: Unit = "W",
    grain: Grain = "D",
    spend: Any = None,
    segments: pd.Series | None = None,
    covariates: pd.DataFrame | None = None,
    as_of: Date | None = None,
    draws: int = 200,
    seed: int = 0,
    confidence: float = 0.9,
) -> Backtest:
    """Score models and rules at past dates; none of them sees anything of what it is scored by.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    cutoffs : sequence of date
        Last known days. At each, every model is fitted anew on the purchases up to that day.
    models : mapping of str to estimator
        Name -> purchase model, rule, `BoostedModel` or `PeerModel`, unfitted; they are cloned. In order of preference:
        of models that are equally good the first is recommended. A model with ``learns_from_outcomes`` is fitted on an
        earlier cutoff and what came between the two, over the same horizon or half of the history if that is shorter.
    horizon : float
        Time after each cutoff, in `unit`.
    unit, grain : str
        As in `clv.summarise`.
    spend : estimator, optional
        Spend model that turns the forecasts of purchase models into money; None: those are scored on purchases only.
    segments : pandas.Series, optional
        Index account_id, value: name of the segment; scores are given for each as well as for all.
    covariates : pandas.DataFrame, optional
        Index account_id: columns that models may use, known at all cutoffs.
    as_of : date, optional
        Last day of the data; None: day of the last purchase.
    draws : int
        Draws of the predictive distribution for the coverage of intervals; 0: coverage is not computed.
    seed : int
    confidence : float
        Nominal coverage.

    Returns
    -------
    Backtest

    Raises
    ------
    clv.errors.SettingsError
        If there is no model or cutoff, or the data end before a horizon does.

    Notes
    -----
    A model that cannot be fitted at a cutoff has empty scores there, and the text says why. Predictive distributions
    take the parameters' uncertainty from the normal approximation of the fit.
    """
    if not models or not len(cutoffs):
        raise SettingsError("there is nothing to compare.", mend="Give at least one model and one cutoff.")
    span = positive(horizon, "horizon")
    table: list[dict[str, Any]] = []
    curves: list[pd.DataFrame] = []
    lost: dict[tuple[str, str, str], pd.Series] = {}
    notes: list[str] = []
    days = sorted({pd.Timestamp(day).normalize() for day in cutoffs})
    for cutoff in days:
        cut = hold_out(
            transactions, cutoff=cutoff, horizon=span, unit=unit, grain=grain, covariates=covariates, as_of=as_of
        )
        groups = _groups(cut, segments)
        paying = fit_spend(spend, cut, notes)
        for place, (name, model) in enumerate(models.items()):
            about: dict[str, Any] = {"model": name, "cutoff": cut.cutoff}
            rng = np.random.default_rng([seed, place, cut.cutoff.toordinal()])
            try:
                fitted = fit_contender(model, cut, transactions, unit=unit, grain=grain, covariates=covariates)
                ahead = forecasts(fitted, paying, cut)
                drawn = _drawn(fitted, cut, draws, rng)
            except FitError as error:
                notes.append(f"{name}, {cut.cutoff:%Y-%m-%d}: {error.message}")
                table.extend(_row(about, target, "all", cut, None, None, confidence) for target in ("purchases",))
                continue
            for target, predicted in ahead.items():
                counts = drawn if target == "purchases" else None
                actual = cut.outcome[target].to_numpy(dtype=float).clip(0)
                loss = scores.losses(actual, predicted)
                lost[name, target, f"{cut.cutoff:%Y-%m-%d}"] = pd.Series(loss, index=cut.summary.index)
                curves.append(_curve(actual, predicted).assign(**about, target=target))
                table.extend(
                    _row(about, target, label, cut, (actual, predicted, loss, counts), rows, confidence)
                    for label, rows in groups.items()
                )
    scored = pd.DataFrame(table).astype({"accounts": "int64"})
    if not curves:
        raise FitError(f"no model could be fitted: {' '.join(notes)}", mend="Give later cutoffs or simpler models.")
    calibration = pd.concat(curves, ignore_index=True)[
        ["model", "cutoff", "target", "decile", "accounts", "predicted", "actual"]
    ]
    return Backtest.of(
        scored, calibration, lost, models=tuple(models), horizon=span, unit=unit, confidence=confidence, notes=notes
    )


def fit_contender(
    model: Any, cut: Holdout, transactions: pd.DataFrame, *, unit: Unit, grain: Grain, covariates: pd.DataFrame | None
) -> Any:
    """Fit a clone on what was known at the cutoff."""
    fresh = clone(model)
    if not getattr(model, "learns_from_outcomes", False):
        return fresh.fit(cut.summary)
    known = transactions[transactions["date"].dt.normalize() <= cut.cutoff]
    history = (cut.cutoff - known["date"].min().normalize()).days
    days = min(cut.horizon * DAYS[unit], float(history // 2))
    if days < 1:
        raise FitError(f"there are only {history} days before the cutoff to learn from.", mend="Cut later.")
    learn = hold_out(
        known, cutoff=cut.cutoff - pd.Timedelta(days=round(days)), horizon=round(days) / DAYS[unit], unit=unit,
        grain=grain, covariates=covariates, as_of=cut.cutoff,
    )  # fmt: skip
    return fresh.set_params(horizon=learn.horizon).fit(learn.summary, learn.outcome)


def fit_spend(spend: Any, cut: Holdout, notes: list[str]) -> Any:
    """Fit the spend model at the cutoff; without one where it cannot be."""
    if spend is None:
        return None
    try:
        return clone(spend).fit(cut.summary)
    except FitError as error:
        notes.append(f"Spend, {cut.cutoff:%Y-%m-%d}: {error.message}")
        return None


def forecasts(model: Any, spend: Any, cut: Holdout) -> dict[str, Floats]:
    """Forecast purchases, and money where the model or a spend model can tell it."""
    purchases = model.expected_purchases(cut.summary, cut.horizon)
    ahead = {"purchases": purchases.to_numpy(dtype=float)}
    if hasattr(model, "expected_sales"):
        ahead["sales"] = model.expected_sales(cut.summary, cut.horizon).to_numpy(dtype=float)
    elif spend is not None:
        ahead["sales"] = (purchases * spend.expected_spend(cut.summary)).to_numpy(dtype=float)
    for target, predicted in ahead.items():
        bad = ~(np.isfinite(predicted) & (predicted >= 0))
        if bad.any():
            raise FitError(
                f"{int(bad.sum()):,} of its {len(bad):,} forecasts of {target} are no numbers of 0 or more.",
                mend="Use another model.",
            )
    return ahead


def _drawn(model: Any, cut: Holdout, draws: int, rng: np.random.Generator) -> Counts | None:
    """Draw each account's purchases after the cutoff; None where the model has no such distribution."""
    if not draws or not hasattr(model, "draw_future"):
        return None
    # Normal in the log-parameters, as the fit left them: quick, and what an account hides matters far more here.
    logs = np.log(model.params_.to_numpy()) + rng.multivariate_normal(
        np.zeros(len(model.params_)), model.log_covariance_, draws, method="eigh", check_valid="ignore"
    )
    out = np.empty((len(cut.summary), draws), dtype=np.int64)
    size = max(1, _CELLS // draws)
    for start in range(0, len(out), size):
        rows = slice(start, start + size)
        hidden = hidden_states(model, np.exp(logs), cut.summary.iloc[rows], rng)
        out[rows] = model.draw_future(*hidden, horizon=cut.horizon, rng=rng)[0]
    return out


def _groups(cut: Holdout, segments: pd.Series | None) -> dict[str, np.ndarray]:
    """Return which accounts are in each segment, and all of them first."""
    accounts = cut.summary.index
    groups = {"all": np.ones(len(accounts), dtype=bool)}
    if segments is None:
        return groups
    if not segments.index.is_unique:
        raise DataError("an account occurs twice.", table="segments", mend="Give one segment an account.")
    label = segments.reindex(accounts)
    for name in sorted(label.dropna().astype(str).unique()):
        if name == "all":
            raise ClvError("a segment is called 'all', which stands for the whole book.", mend="Rename it.")
        groups[name] = (label.astype("string") == name).fillna(False).to_numpy(dtype=bool)
    return groups


def _row(
    about: dict[str, Any],
    target: str,
    segment: str,
    cut: Holdout,
    found: tuple[Floats, Floats, Floats, Counts | None] | None,
    rows: np.ndarray | None,
    confidence: float,
) -> dict[str, Any]:
    """Score one model on one group of accounts; empty scores where it could not be fitted."""
    head = {**about, "target": target, "segment": segment}
    if found is None or rows is None:
        return {
            **head,
            "accounts": len(cut.summary),
            "actual": cut.outcome[target].sum(),
            **dict.fromkeys(SCORES, np.nan),
        }
    actual, predicted, loss, drawn = found
    actual, predicted = actual[rows], predicted[rows]
    return {
        **head,
        "accounts": int(rows.sum()),
        "actual": actual.sum(),
        "predicted": predicted.sum(),
        "deviance": loss[rows].mean(),
        "mae": np.abs(actual - predicted).mean(),
        "bias": scores.total_bias(actual, predicted),
        "lift": scores.top_share(actual, predicted) / min(1.0, max(1, np.ceil(0.1 * rows.sum())) / rows.sum()),
        "top_share": scores.top_share(actual, predicted),
        "gini": scores.gini(actual, predicted),
        "slope": scores.slope(actual, predicted),
        "coverage": np.nan if drawn is None else scores.coverage(actual, drawn[rows], confidence=confidence),
    }


def _curve(actual: Floats, predicted: Floats) -> pd.DataFrame:
    """Return mean forecast and mean outcome of ten equal classes, the lowest forecasts first."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(_CLASSES, len(actual)))
    return pd.DataFrame(
        {
            "decile": np.arange(1, len(parts) + 1),
            "accounts": [len(part) for part in parts],
            "predicted": [predicted[part].mean() for part in parts],
            "actual": [actual[part].mean() for part in parts],
        }
    )
