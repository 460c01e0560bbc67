"""Where scores begin and end: the cuts of an RFM scoring, frozen so that two dates can be compared (rule C1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.errors import SettingsError

Money = Literal["total", "repeat"]
_QUINTILES = (0.2, 0.4, 0.6, 0.8)
_FORMAT = "clv-rfm-cuts/1"


@dataclass(frozen=True)
class RFMCuts:
    """Four rising cuts for each of R, F and M.

    A silence up to and including the first cut of `recency` scores 5, one above the last cut scores 1. Frequency and
    money up to and including their first cut score 1, above the last one 5. A score is a function of the value alone,
    so that equal accounts have equal scores; where many accounts are equal, cuts fall together and scores in between
    stay empty.

    Attributes
    ----------
    recency : tuple of float
        Days since the last purchase.
    frequency : tuple of float
        Purchases, the first one included.
    monetary : tuple of float
        Money, in the currency of the data.
    money : {"total", "repeat"}
        What `monetary` measures: all money, or that of the purchases after the first (all that a summary knows).
    kind : {"quintile", "fixed"}
    grain : str or None
        Grain in which purchases were counted; None: not checked.
    as_of : str or None
        Date of the book of which these are the quintiles.
    accounts : int or None
        Accounts in that book.
    """

    recency: tuple[float, ...]
    frequency: tuple[float, ...]
    monetary: tuple[float, ...]
    money: Money = "total"
    kind: Literal["quintile", "fixed"] = "fixed"
    grain: str | None = None
    as_of: str | None = None
    accounts: int | None = None

    def __post_init__(self) -> None:
        for name in ("recency", "frequency", "monetary"):
            try:
                cuts = tuple(float(cut) for cut in getattr(self, name))
            except (TypeError, ValueError):
                cuts = ()
            if len(cuts) != 4 or not np.isfinite(cuts).all() or any(np.diff(cuts) < 0):
                raise SettingsError(
                    f"cuts.{name}: found {getattr(self, name)!r}.", mend="Give four numbers, none below the one before."
                )
            object.__setattr__(self, name, cuts)
        for name, allowed in (("money", ("total", "repeat")), ("kind", ("quintile", "fixed"))):
            if getattr(self, name) not in allowed:
                raise SettingsError(f"cuts.{name}: found {getattr(self, name)!r}; allowed are {', '.join(allowed)}.")

    @classmethod
    def quintiles(cls, values: pd.DataFrame, **about: Any) -> RFMCuts:
        """Take the quintiles of a book (columns recency, frequency, monetary): values that occur."""
        cuts: dict[str, Any] = {
            name: tuple(np.quantile(values[name].to_numpy(float), _QUINTILES, method="inverted_cdf").tolist())
            for name in ("recency", "frequency", "monetary")
        }
        return cls(**cuts, kind="quintile", **about)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> RFMCuts:
        """Read cuts from a plain mapping; unknown names are refused.

        Raises
        ------
        clv.errors.SettingsError
            A name is unknown or missing, or cuts are not four rising numbers.
        """
        known = {name: value for name, value in given.items() if name != "format"}
        unknown = sorted(set(map(str, known)) - set(cls.__dataclass_fields__))
        missing = [name for name in ("recency", "frequency", "monetary") if name not in known]
        if unknown or missing or given.get("format", _FORMAT) != _FORMAT:
            what = (
                f"{unknown[0]!r} is not known" if unknown else f"{missing[0]!r} is missing" if missing else "the format"
            )
            raise SettingsError(f"cuts: {what}.", mend=f"Give {', '.join(cls.__dataclass_fields__)}.")
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Return the cuts as a plain mapping that JSON can hold."""
        return {"format": _FORMAT} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    def save(self, path: str | Path) -> Path:
        """Write the cuts as JSON."""
        target = Path(path)
        target.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8", newline="\n")
        return target

    @classmethod
    def load(cls, path: str | Path) -> RFMCuts:
        """Read cuts that `save` wrote."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise SettingsError(f"cuts: {path} cannot be read: {fault}.", mend="Write it with RFMCuts.save.") from None
        if not isinstance(given, dict):
            raise SettingsError(f"cuts: {path} holds no cuts.", mend="Write it with RFMCuts.save.")
        return cls.from_dict(given)

    def score(self, recency: Any, frequency: Any, monetary: Any) -> NDArray[np.int8]:
        """Score accounts.

        Parameters
        ----------
        recency, frequency, monetary : array_like, shape (accounts,)

        Returns
        -------
        numpy.ndarray of int8, shape (3, accounts)
            R, F and M, from 1 to 5.
        """
        scores = [5 - _above(self.recency, recency), 1 + _above(self.frequency, frequency)]
        scores.append(1 + _above(self.monetary, monetary))
        return np.stack(scores).astype(np.int8)


def _above(cuts: tuple[float, ...], values: Any) -> NDArray[np.int64]:
    """Count the cuts that each value exceeds."""
    return np.searchsorted(np.asarray(cuts), np.asarray(values, dtype=float), side="left").astype(np.int64)
