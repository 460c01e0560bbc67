"""Draws of a plan's added margin and cost, cell by cell; several plans share every draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clv.abm.forecast.engine import group_sums, own_stream
from clv.abm.forecast.inputs import Inputs
from clv.abm.loop.shrinkage import Floats
from clv.errors import SettingsError

#: plans of so many accounts and draws together are drawn account by account unless something else is asked for.
EXACT_UP_TO = 20_000_000


@dataclass(frozen=True)
class Draws:
    """Draws of one plan: a row for each part of it (a tier and segment).

    Attributes
    ----------
    tier, segment : numpy.ndarray of str, shape (K,)
    accounts : numpy.ndarray of int, shape (K,)
    worth : numpy.ndarray, shape (K, D)
        Value of the part's accounts without the programme, weighted with how they respond.
    uplift : numpy.ndarray, shape (K, D)
    cost : numpy.ndarray, shape (K, D)
        Present value.
    drawn : int
        Accounts drawn one by one.
    effect : numpy.ndarray of str, shape (K,), or None
        What the part's uplift is called; None: that of its tier.
    """

    tier: NDArray[np.object_]
    segment: NDArray[np.object_]
    accounts: NDArray[np.int64]
    worth: Floats
    uplift: Floats
    cost: Floats
    drawn: int
    effect: NDArray[np.object_] | None = None

    @property
    def margin(self) -> Floats:
        """Added margin, present value, shape (K, D)."""
        return self.uplift * self.worth


def simulate_plans(
    inputs: Inputs, *, draws: int, seed: int, shared_sd: float, method: Literal["auto", "exact", "moments"]
) -> dict[str, Draws]:
    """Draw all plans over the same values, responses and cost factors (common random numbers)."""
    if draws < 100:
        raise SettingsError(f"draws = {draws}.", mend="Give 100 or more; 10,000 for quantiles that stand still.")
    if method not in ("auto", "exact", "moments"):
        raise SettingsError(f"method = {method!r} is not known.", mend="Use 'auto', 'exact' or 'moments'.")
    if not (np.isfinite(shared_sd) and shared_sd >= 0):
        raise SettingsError(f"shared_sd = {shared_sd!r}.", mend="Give a relative standard deviation of 0 or more.")
    accounts, response = inputs.accounts, inputs.response
    exact = method == "exact" or (method == "auto" and len(accounts.ids) * draws <= EXACT_UP_TO)
    codes = np.unique(inputs.segment.astype(str), return_inverse=True)[1].ravel()
    # Accounts that every plan treats alike, in one segment, need only their sum.
    kind = np.column_stack([*(plan.cell for plan in inputs.plans.values()), codes])
    kinds, group = np.unique(kind, axis=0, return_inverse=True)
    column = np.zeros(draws, dtype=np.int64)
    if accounts.draws is not None:
        column = own_stream(seed, "values").permutation(np.arange(draws) % accounts.draws.shape[1])
    sums, drawn = group_sums(accounts, group.ravel(), len(kinds), column=column, seed=seed, exact=exact)
    if shared_sd > 0:
        sums *= _lognormal(seed, "all values", shared_sd, draws)
    # No account can lose more than it brings.
    uplift = np.maximum((response if inputs.effects is None else inputs.effects).draw(draws, seed=seed).T, -1.0)
    factor = {tier: _lognormal(seed, f"cost of {tier}", inputs.costs.of(tier), draws) for tier in response.assumed}
    out = {}
    for place, (name, plan) in enumerate(inputs.plans.items()):
        inside = plan.cell >= 0
        pairs = np.column_stack([plan.cell, codes])[inside]
        parts, part = pairs[:0], np.zeros(0, dtype=np.int64)
        if len(pairs):  # a plan may leave everybody out, to be compared with
            parts, part = np.unique(pairs, axis=0, return_inverse=True)
        part = part.ravel()
        k = len(parts)
        worth = np.zeros((k, draws))
        for row, (cell, code) in enumerate(parts):
            worth[row] = sums[(kinds[:, place] == cell) & (kinds[:, -1] == code)].sum(axis=0)
        won = np.bincount(part, weights=plan.acquisition[inside], minlength=k)
        planned = np.bincount(part, weights=plan.cost[inside], minlength=k) - won
        cells = inputs.cells
        tier = np.array([cells[cell][0] for cell, _ in parts], dtype=object)
        first = np.array([int(np.argmax(part == row)) for row in range(k)], dtype=np.int64)
        cost: Floats = np.array([planned[row] * factor[t] for row, t in enumerate(tier)]).reshape(k, draws)
        out[name] = Draws(
            tier,
            inputs.segment[inside][first],
            np.bincount(part, minlength=k),
            worth,
            uplift[parts[:, 0]],
            (cost + won[:, None]) * inputs.timing.cost_factor,
            drawn,
            np.array([_effect(*cells[cell], believed=inputs.effects is not None) for cell, _ in parts], dtype=object),
        )
    return out


def _effect(tier: str, kind: str, *, believed: bool) -> str:
    return f"odds to win by {tier}" if believed and kind == "prospect" else f"uplift of {tier}"


def _lognormal(seed: int, name: str, sd: float, draws: int) -> Floats:
    """Factors with mean 1 and this standard deviation; the same for a name and seed."""
    log = np.sqrt(np.log1p(sd**2))
    return np.exp(log * own_stream(seed, name).standard_normal(draws) - log**2 / 2)
