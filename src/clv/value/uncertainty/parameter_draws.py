"""Draws of a fitted model's parameters: from the exact posterior while its data are there, else from what was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from clv.errors import SettingsError
from clv.value.estimation.best_fit import Likelihood
from clv.value.estimation.checks import Floats, check_fitted
from clv.value.estimation.priors import WeakPrior
from clv.value.uncertainty.posterior import explore

if TYPE_CHECKING:
    from clv.value.estimation.base import Estimator


class Source(NamedTuple):
    """What the posterior of a fitted model is made of."""

    likelihood: Likelihood
    prior: WeakPrior | None
    mode: Floats
    laplace: Floats


class Saved(NamedTuple):
    """Draws that came with a saved model: log-parameters, shape (draws, k), and how they were made."""

    logs: Floats
    about: dict[str, Any]


def draw_parameters(model: Estimator, draws: int, seed: int | np.random.Generator) -> pd.DataFrame:
    """Draw parameters from a model's posterior; see `Estimator.sample_posterior`."""
    check_fitted(model)
    if draws < 1 or int(draws) != draws:
        raise SettingsError(f"draws is {draws}.", mend="Draw a whole number of times, at least once.")
    rng = np.random.default_rng(seed)
    logs, about = _logs(model, int(draws), rng)
    names = [str(name) for name in model.params_.index]
    drawn = pd.DataFrame(np.exp(logs), columns=names, index=pd.RangeIndex(draws, name="draw"))
    held = [name for name, spread in zip(names, np.diag(model.log_covariance_), strict=True) if spread == 0]
    about = {**about, "prior": _prior_words(model), "draws": int(draws), "unit": model.unit_}
    if held:
        about["held"] = held
    drawn.attrs["clv"] = about
    return drawn


def _logs(model: Estimator, draws: int, rng: np.random.Generator) -> tuple[Floats, dict[str, Any]]:
    """Draw log-parameters, shape (draws, k), and say how."""
    source: Source | None = getattr(model, "_source", None)
    if source is not None:
        sample = explore(*source, draws=draws, rng=rng)
        return sample.resampled(draws, rng) + source.likelihood.shift, dict(sample.about)
    saved: Saved | None = getattr(model, "_saved_draws", None)
    if saved is not None:
        kept = len(saved.logs)
        rounds = [rng.permutation(kept) for _ in range(-(-draws // kept))]
        method = str(saved.about.get("method", "")).removeprefix("saved ")
        about = {**saved.about, "method": f"saved {method}", "distinct": kept}
        return saved.logs[np.concatenate(rounds)[:draws]], about
    centre = np.log(model.params_.to_numpy())
    covariance = model.log_covariance_
    free = np.flatnonzero(np.diag(covariance) > 0)
    logs = np.tile(centre, (draws, 1))
    if not len(free):
        return logs, {"method": "given"}
    root = np.linalg.cholesky(covariance[np.ix_(free, free)])
    logs[:, free] += rng.standard_normal((draws, len(free))) @ root.T
    return logs, {"method": "laplace", "reason": "the saved model has neither data nor draws"}


def _prior_words(model: Estimator) -> str:
    """Name the prior under which the parameters were found."""
    kind = getattr(model, "estimate_", "")
    if kind == "given":
        return "none"
    return "flat in log-parameters" if kind == "maximum likelihood" else "weak"


def saved_record(model: Estimator, draws: int) -> dict[str, Any]:
    """Turn draws into plain values for a file."""
    drawn = draw_parameters(model, draws, 0)
    return {"logs": np.log(drawn.to_numpy()).tolist(), "about": _plain(drawn.attrs["clv"])}


def restored(record: dict[str, Any], size: int) -> Saved:
    """Read back what `saved_record` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    logs = np.array(record["logs"], dtype=float)
    if logs.ndim != 2 or logs.shape[1] != size or not len(logs) or not np.isfinite(logs).all():
        raise ValueError("draws")
    anew = ("prior", "draws", "unit", "held")
    about = {key: value for key, value in dict(record["about"]).items() if key not in anew}
    return Saved(logs, about)


def _plain(about: dict[str, Any]) -> dict[str, Any]:
    """Leave out what JSON cannot hold."""
    return {key: value for key, value in about.items() if not (isinstance(value, float) and not np.isfinite(value))}
