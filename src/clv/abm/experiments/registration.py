"""What was decided before the start: main outcome, assignment, analysis. Kept as JSON, compared at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from clv.abm.wording import accounts
from clv.errors import DataError

_FORMAT = 1


@dataclass(frozen=True)
class Registration:
    """The plan of an experiment, fixed before its start.

    Attributes
    ----------
    outcome : str
        The one main outcome; all others are exploratory.
    control : str
    arms : dict of str to float
        Intended share of each arm.
    adjustment : str
    covariates : tuple of str
    confidence, power : float
    smallest_effect : float
        Smallest detectable effect, in the outcome's unit; NaN where unknown.
    window, lag : float
        Days measured, and left out after the start.
    looks : int
        Interim looks that were planned, the last one included.
    seed : int
        Seed of the assignment.
    assignment : dict of str to str
        Arm of each account.
    """

    outcome: str
    control: str
    arms: dict[str, float]
    adjustment: str = "auto"
    covariates: tuple[str, ...] = ()
    confidence: float = 0.95
    power: float = 0.8
    smallest_effect: float = float("nan")
    window: float = float("nan")
    lag: float = 0.0
    looks: int = 1
    seed: int = 0
    assignment: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Hash of all of it: two plans are equal if and only if theirs are."""
        return hashlib.sha256(self._json().encode()).hexdigest()[:16]

    def _json(self) -> str:
        content = asdict(self)
        content["covariates"] = list(self.covariates)
        for name in ("smallest_effect", "window"):
            content[name] = None if content[name] != content[name] else content[name]
        return json.dumps({"format": _FORMAT, **content}, indent=1, sort_keys=True, ensure_ascii=False)

    def save(self, path: str | Path) -> Path:
        """Write the plan, with its fingerprint, as JSON."""
        target = Path(path)
        body = json.loads(self._json()) | {"fingerprint": self.fingerprint}
        text = json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        target.write_text(text, encoding="utf-8", newline="\n")
        return target

    @classmethod
    def load(cls, path: str | Path) -> Registration:
        """Read a plan; one that was changed by hand no longer matches its fingerprint and is refused."""
        try:
            content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            kept, made = content.pop("fingerprint"), content.pop("format")
            for name in ("smallest_effect", "window"):
                content[name] = float("nan") if content[name] is None else content[name]
            content["covariates"] = tuple(content["covariates"])
            plan = cls(**content)
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise DataError(
                f"{Path(path).name} is no registration: {fault}.", mend="Give the file of save()."
            ) from None
        if made != _FORMAT or plan.fingerprint != kept:
            raise DataError(
                f"{Path(path).name} was changed after it was registered.",
                mend="Use the plan as it was before the start; report what was changed as exploratory.",
            )
        return plan

    def compare(self, arms: Mapping[str, str] | pd.Series) -> str | None:
        """Say what differs between the registered assignment and the one in the data; None if nothing does."""
        if not self.assignment:
            return None
        found = {str(account): str(arm) for account, arm in dict(arms).items()}
        moved = [a for a, arm in self.assignment.items() if found.get(a, arm) != arm]
        lost = [a for a in self.assignment if a not in found]
        new = [a for a in found if a not in self.assignment]
        parts = []
        if moved:
            parts.append(f"{accounts(len(moved))} changed arms (the first is {moved[0]!r})")
        if lost:
            parts.append(f"{accounts(len(lost))} {'is' if len(lost) == 1 else 'are'} missing")
        if new:
            parts.append(f"{accounts(len(new))} {'was' if len(new) == 1 else 'were'} never assigned")
        return "; ".join(parts) or None
