"""Faults in settings, said as a person would: where in `study.yml`, what was found, what is allowed."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from clv.data.reading.cells import did_you_mean


def explain(faults: ValidationError, model: type[BaseModel]) -> str:
    """Turn all faults of a validation into one message.

    Parameters
    ----------
    faults : pydantic.ValidationError
        From ``model.model_validate``.
    model : type
        The settings model, for the keys that are known at a place.

    Returns
    -------
    str
        One line a fault: its dotted path, what was found and what is allowed.
    """
    lines = [_line(fault, model) for fault in faults.errors(include_url=False)]
    return lines[0] if len(lines) == 1 else f"{len(lines)} settings are wrong:\n" + "\n".join(f"  {x}" for x in lines)


def _line(fault: Any, model: type[BaseModel]) -> str:
    location = tuple(fault["loc"])
    path = ".".join(map(str, location)) or "study.yml"
    found = fault["input"]
    if not location and fault["type"] == "value_error":
        # What concerns several settings says itself where they are.
        return f"{str(fault['msg']).removeprefix('Value error, ')}."
    if fault["type"] == "extra_forbidden":
        known = known_keys(model, location[:-1])
        near = did_you_mean(str(location[-1]), known)
        return f"{path}: unknown key {location[-1]!r}{near}; known are {', '.join(known)}."
    if fault["type"] == "missing":
        return f"{path}: is missing."
    said = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "literal_error":
        allowed = [value.strip("'") for value in str(fault["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        return f"{path}: found {found!r}{did_you_mean(str(found), allowed)}; allowed are {', '.join(allowed)}."
    if fault["type"] == "string_type" and not isinstance(found, (dict, list)):
        return f"{path}: found {found!r}, which YAML does not take for text; put it in quotes."
    if isinstance(found, (dict, list)) and fault["type"] == "value_error":
        return f"{path}: {said}."
    if fault["type"] in {"model_type", "dict_type", "model_attributes_type"}:
        said = "should be a group of keys"
    return f"{path}: found {found!r}; {said[0].lower()}{said[1:]}."


def known_keys(model: type[BaseModel], location: Iterable[Any]) -> list[str]:
    """List the keys that a model knows at a place within it."""
    kind: Any = model
    for step in location:
        kind = _within(kind, step)
    kind = _model(kind)
    return list(kind.model_fields) if kind is not None else []


def _within(kind: Any, step: Any) -> Any:
    held = _model(kind)
    if held is not None:
        field = held.model_fields.get(str(step))
        return field.annotation if field else None
    for option in _options(kind):
        if get_origin(option) in (dict, list, tuple):
            return get_args(option)[-1]
    return None


def _model(kind: Any) -> type[BaseModel] | None:
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _options(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) in (Union, types.UnionType):
        return get_args(kind)
    if get_origin(kind) is Literal:
        return ()
    return (kind,)
