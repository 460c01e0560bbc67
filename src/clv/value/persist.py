"""Models as JSON: readable, comparable, harmless to open. Never pickle, which runs whatever a file says."""

from __future__ import annotations

import contextlib
import json
import math
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clv.errors import ClvError, DataError, SettingsError
from clv.value.estimation.checks import check_fitted
from clv.value.uncertainty.parameter_draws import restored, saved_record

if TYPE_CHECKING:
    from clv.value.estimation.base import Estimator

#: Raised with every change that an older reader would misread.
SCHEMA: Final = 1
_FORMAT: Final = "clv.model"

#: Classes that a file may name, and where each lives; nothing else is ever imported for a file.
MODELS: Final[dict[str, str]] = {
    "BetaGeoBetaBinomModel": "clv.value.beta_geo_beta_binom",
    "BetaGeoCNBDModel": "clv.value.beta_geo_cnbd",
    "BetaGeoModel": "clv.value.beta_geo",
    "DependentSpendModel": "clv.value.dependent_spend",
    "GammaGammaModel": "clv.value.gamma_gamma",
    "ModifiedBetaGeoCNBDModel": "clv.value.modified_beta_geo_cnbd",
    "ModifiedBetaGeoModel": "clv.value.modified_beta_geo",
    "ParetoNBDModel": "clv.value.pareto_nbd",
    "ShiftedBetaGeoModel": "clv.value.shifted_beta_geo",
}

_NUMBERS = ("log_likelihood_", "n_accounts_", "gradient_norm_", "data_mark_")


def to_record(model: Estimator, *, draws: int = 0) -> dict[str, Any]:
    """Turn a fitted model into plain values, with draws of its posterior if asked for.

    Raises
    ------
    clv.errors.NotFittedError
        If it is not fitted.
    """
    check_fitted(model)
    name = type(model).__name__
    if name not in MODELS:
        raise SettingsError(f"{name} is not a model that can be saved.", mend=f"Save one of {', '.join(MODELS)}.")
    posterior = saved_record(model, draws) if draws else None
    designs = {formula: design.record() for formula, design in getattr(model, "designs_", {}).items()}
    numbers = {key: _plain(getattr(model, key)) for key in (*_NUMBERS, *model._extra) if hasattr(model, key)}
    return {
        "format": _FORMAT,
        "schema": SCHEMA,
        "class": name,
        "settings": model.get_params(),
        "unit": model.unit_,
        "parameters": {key: float(value) for key, value in model.params_.items()},
        "log_covariance": model.log_covariance_.tolist(),
        "converged": bool(model.converged_),
        "evaluations": int(model.n_iter_),
        "numbers": numbers,
        "estimate": getattr(model, "estimate_", ""),
        "note": getattr(model, "note_", ""),
        "posterior": posterior,
        **({"designs": designs} if designs else {}),
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def save_model(model: Estimator, path: str | os.PathLike[str], *, draws: int = 0) -> None:
    """Write a fitted model; the file appears whole or not at all.

    Parameters
    ----------
    model : Estimator
    path : str or path-like
        The JSON file, replaced if it exists.
    draws : int
        Draws of the posterior that go with it.
    """
    target = Path(path)
    text = json.dumps(to_record(model, draws=draws), indent=1, sort_keys=True, allow_nan=False) + "\n"
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ClvError(
            f"{target}: the model could not be written ({error}).", mend="Check folder and rights."
        ) from error


def load_model(path: str | os.PathLike[str]) -> Estimator:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Estimator
        Of the class that was saved, fitted; it predicts exactly as it did.

    Raises
    ------
    clv.errors.DataError
        If the file is no model, of a newer schema, or of a class that is not known.
    """
    place = str(path)
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the file cannot be read ({error}).", mend="Check the path.", table=place) from None
    except ValueError as error:
        raise DataError(f"this is not JSON ({error}).", mend="Save the model again.", table=place) from None
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise DataError("this is JSON, but not a model of clv.", mend="Give a file that save() wrote.", table=place)
    if record.get("schema") != SCHEMA:
        raise DataError(
            f"schema {record.get('schema')!r} is not {SCHEMA}.",
            mend="Use the clv that wrote it, or fit anew.",
            table=place,
        )
    if str(record.get("class")) not in MODELS:
        raise DataError(f"class {record.get('class')!r} is not known.", mend="Update clv.", table=place)
    try:
        return _restore(record)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"it is damaged ({error!r}).", mend="Save the model again.", table=place) from None


def _restore(record: dict[str, Any]) -> Estimator:
    """Build the model from its record."""
    maker = getattr(import_module(MODELS[record["class"]]), record["class"])
    model: Estimator = maker(**record["settings"])
    if record.get("designs"):
        from clv.value.design import Design

        known = {formula: Design.restore(formula, each) for formula, each in record["designs"].items()}
        model.designs_ = known
    parameters = np.array([record["parameters"][name] for name in model._names], dtype=float)
    covariance = np.array(record["log_covariance"], dtype=float)
    size = len(model._names)
    if covariance.shape != (size, size) or not (np.isfinite(covariance).all() and (parameters > 0).all()):
        raise ValueError("parameters or covariance")
    for key in (*_NUMBERS, *model._extra):
        if key in record["numbers"]:
            value = record["numbers"][key]
            setattr(model, key, math.nan if value is None else float(value))
    model.unit_ = record["unit"]
    model.converged_ = bool(record["converged"])
    model.n_iter_ = int(record["evaluations"])
    model.estimate_, model.note_ = str(record.get("estimate", "")), str(record.get("note", ""))
    if record.get("posterior") is not None:
        model._saved_draws = restored(record["posterior"], size)
    model._keep(parameters, covariance)
    return model
