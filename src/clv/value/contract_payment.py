"""When the money of contracts comes in, and what that is worth today; time is counted in terms."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import numpy as np

from clv.value.estimation.checks import Floats

#: when the money of a term comes in: whole on its first day, whole on its last, or evenly from day to day.
Payment = Literal["advance", "arrears", "even"]

#: the same in words.
PAYMENTS: Final[dict[str, str]] = {
    "advance": "whole on the first day of a term; the running term is taken as paid",
    "arrears": "whole on the last day of a term; that of the running term is still to come, and sure",
    "even": "evenly over each term; what is left of the running term is sure",
}


_ROUNDING = 1e-9


class Clock(NamedTuple):
    """Time in terms of one length: horizon, discount rate, and when money comes in."""

    horizon: float
    rate: float
    payment: Payment

    def annuity(self, span: Any) -> Any:
        """Return the value, at its beginning, of one term's money over the first `span` of it."""
        return span if self.rate == 0 else -np.expm1(-self.rate * span) / self.rate

    def sure(self, wait: Any) -> Any:
        """Return what the running term still brings, as a share of its money; `wait` is what is left of it."""
        if self.payment == "advance":
            return np.zeros_like(wait)
        if self.payment == "arrears":
            return np.where((wait <= self.horizon) & (wait > 0), np.exp(-self.rate * wait), 0.0)
        return self.annuity(np.minimum(wait, self.horizon))

    def money(self, wait: Any, counted: Any) -> Any:
        """Return discounted money, in terms' money; ``counted(horizon)`` are discounted renewals within a horizon."""
        if self.payment == "advance":
            return self.sure(wait) + counted(self.horizon)
        ended = counted(self.horizon - 1) if self.horizon > 1 - _ROUNDING else np.zeros_like(wait)
        if self.payment == "arrears":
            return self.sure(wait) + np.exp(-self.rate) * ended
        value = self.sure(wait) + self.annuity(1.0) * ended
        if np.isinf(self.horizon):
            return value
        # The renewal after the last one that ends within the horizon counts with the part that falls into it.
        beyond = self.horizon - wait
        part = np.maximum(beyond - np.floor(beyond + _ROUNDING), 0.0)
        return value + self.annuity(part) * (counted(self.horizon) - ended)

    def paid(self, when: Floats) -> Floats:
        """Return what renewals at known times bring today, each as a share of a term's money."""
        value = np.exp(-self.rate * when)
        if self.payment == "arrears":
            return value * np.exp(-self.rate) * (when + 1 <= self.horizon + _ROUNDING)
        return value * (self.annuity(np.clip(self.horizon - when, 0.0, 1.0)) if self.payment == "even" else 1.0)
