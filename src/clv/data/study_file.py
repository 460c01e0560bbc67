"""`study.yml` as a document: YAML without surprises, and overrides by dotted path."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from clv.data.settings import Settings
from clv.errors import SettingsError


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that is given twice is an error: the first would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, refusing a key that is there already."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_study_file(file: Path) -> dict[str, Any]:
    """Read a `study.yml`.

    Raises
    ------
    SettingsError
        It cannot be read, is no YAML (with line and column), or holds no settings.
    """
    where = f"{file.parent.name}/{file.name}"
    try:
        document = yaml.load(file.read_bytes(), Loader=_Loader)
    except OSError as fault:
        raise SettingsError(f"{where} cannot be read ({fault.strerror}).", mend="Give it read permission.") from None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(
            f"{where}{place}: {fault.problem or fault.context}.",
            mend="Write 'key: value', indented by blanks; put text with : or # in quotes.",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as fault:
        raise SettingsError(
            f"{where} is no YAML: {str(fault).splitlines()[0]}", mend="Save it as UTF-8 text."
        ) from None
    if not isinstance(document, dict):
        raise SettingsError(f"{where} holds no settings.", mend="Write at least name, title and tables.")
    return document


def apply_overrides(document: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Set values by dotted path, in place; text is read as YAML.

    Raises
    ------
    SettingsError
        The path leads through something that has no parts, or beyond the end of a list.
    """
    for path, value in overrides.items():
        steps = str(path).split(".")
        holder = _holder(document, steps, path)
        _assign(holder, steps[-1], parse_value(value, path), path)


def parse_value(value: Any, path: str = "") -> Any:
    """Read text as a YAML value; anything else stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        return value  # text that happens to be no YAML, such as a regular expression


def take_literally(document: dict[str, Any], overrides: Mapping[str, Any], faults: ValidationError) -> bool:
    """Put overrides back as text where text is wanted (a title ``2024`` is no number); whether any was."""
    wanted = {".".join(map(str, fault["loc"])) for fault in faults.errors() if fault["type"] == "string_type"}
    literal = {path: value for path, value in overrides.items() if isinstance(value, str) and path in wanted}
    for path, value in literal.items():
        steps = str(path).split(".")
        _assign(_holder(document, steps, path), steps[-1], value, path)
    return bool(literal)


def _holder(document: Any, steps: list[str], path: str) -> Any:
    """Walk to what holds the last step; groups that the file leaves out are made."""
    holder = document
    for at, step in enumerate(steps[:-1]):
        if isinstance(holder, list):
            holder = holder[_index(holder, step, path)]
        elif isinstance(holder, dict):
            if holder.get(step) is None:
                holder[step] = _default(steps[: at + 1])
            holder = holder[step]
        else:
            raise SettingsError(f"{path}: {'.'.join(steps[:at])} has no parts.", mend="Correct the path.")
    return holder


def _default(steps: list[str]) -> Any:
    """Return what the settings hold where the file says nothing: the default tiers, else an empty group."""
    if steps == ["tiers"]:
        field = Settings.model_fields["tiers"]
        return [tier.model_dump() for tier in field.get_default(call_default_factory=True)]
    return {}


def _assign(holder: Any, step: str, value: Any, path: str) -> None:
    if isinstance(holder, list):
        holder[_index(holder, step, path)] = value
    elif isinstance(holder, dict):
        holder[step] = value
    else:
        raise SettingsError(f"{path}: what holds {step!r} has no parts.", mend="Correct the path.")


def _index(holder: list[Any], step: str, path: str) -> int:
    if not step.isdigit() or int(step) >= len(holder):
        raise SettingsError(
            f"{path}: {step!r} is no place in a list of {len(holder)}.",
            mend=f"Count from 0 to {len(holder) - 1}." if holder else "The list is empty.",
        )
    return int(step)
