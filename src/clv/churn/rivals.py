"""Forecasts of silence that need no purchase process: rules, another package's P(alive) cut at one half, boosted trees.

A rule that sorts accounts into classes foretells nothing by itself. Each is given its best chance: the share of a class
that turned out silent, learnt at an earlier date from what came between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.severity import rule_of_thumb
from clv.data.settings import StageRules, Unit
from clv.errors import ClvError, DataError, FitError, SettingsError
from clv.value.boosted import BoostedModel
from clv.value.validation.holdout import Holdout, hold_out
from clv.value.validation.peer import silence

Floats = NDArray[np.float64]
#: from a summary to each account's P(alive): whoever compares brings the other package.
Peer = Callable[[pd.DataFrame], Any]


def earlier(cut: Holdout, transactions: pd.DataFrame, *, unit: Unit, grain: Any) -> Holdout | None:
    """Cut the book one horizon before a cutoff, with what came between the two; None if nobody had bought by then."""
    days = (cut.end - cut.cutoff).days
    known = transactions[transactions["date"].dt.normalize() <= cut.cutoff]
    try:
        return hold_out(
            known, cutoff=cut.cutoff - pd.Timedelta(days=days), horizon=cut.horizon, unit=unit, grain=grain,
            as_of=cut.cutoff,
        )  # fmt: skip
    except (DataError, SettingsError):
        return None


def rival_forecasts(
    cut: Holdout, past: Holdout | None, *, rules: StageRules, unit: Unit, peers: Mapping[str, Peer], seed: int
) -> tuple[dict[str, Floats], list[str]]:
    """Foretell who will buy nothing within the horizon, in every other way.

    Parameters
    ----------
    cut : Holdout
        Whose outcome is not looked at.
    past : Holdout or None
        Of `earlier`: all that is learnt from.
    rules : StageRules
    unit : {"D", "W", "M", "Y"}
    peers : mapping of str to callable
    seed : int

    Returns
    -------
    forecasts : dict
        Name -> probability of no purchase, an entry an account of ``cut.summary``; NaN where it cannot be told.
    notes : list of str
        Why, where it cannot.
    """
    names = rival_names(rules, peers)
    none, notes = np.full(len(cut.summary), np.nan), []
    if past is None:
        return dict.fromkeys(names, none), [f"{cut.cutoff:%Y-%m-%d}: there is no earlier date for rules to learn from."]
    silent = (past.outcome["purchases"] == 0).to_numpy(float)
    gone = [rule_of_thumb(each.summary, rules, unit) == 2 for each in (past, cut)]
    found = {names[0]: _learnt(gone[0], silent, gone[1])}
    for name, peer in peers.items():
        try:
            dead = [_dead(peer, each.summary) for each in (past, cut)]
            found[name] = _learnt(dead[0], silent, dead[1])
        except Exception as error:  # a peer may raise anything
            said = " ".join(f"{type(error).__name__}: {error}".split())
            notes.append(f"{name}, {cut.cutoff:%Y-%m-%d}: {said[:160]}")
            found[name] = none
    try:
        model = BoostedModel(horizon=past.horizon, seed=seed).fit(past.summary, past.outcome)
        found[names[-1]] = 1 - model.buying_probability(cut.summary).to_numpy(float)
    except ClvError as error:
        notes.append(f"{names[-1]}, {cut.cutoff:%Y-%m-%d}: {error.message}")
        found[names[-1]] = none
    return found, notes


def rival_names(rules: StageRules, peers: Mapping[str, Peer]) -> list[str]:
    """Name the other forecasts, in order."""
    return [f"{rules.inactive_months:g}-month rule", *peers, "boosted trees on RFM"]


def _learnt(then: Any, silent: Any, now: Any) -> Floats:
    """Give each class the share of it that was silent before; half an account each way, so that nothing is certain."""
    overall = (silent.sum() + 0.5) / (len(silent) + 1)
    shares = [
        (silent[then == each].sum() + 0.5) / ((then == each).sum() + 1) if (then == each).any() else overall
        for each in (False, True)
    ]
    # A class that nobody was in yet: by its rule, all of it is gone.
    if not then.any():
        shares[1] = 1 - 0.5 / (len(silent) + 1) if now.any() else overall
    return np.where(now, shares[1], shares[0])


def _dead(peer: Peer, summary: pd.DataFrame) -> NDArray[np.bool_]:
    with silence():
        alive = np.asarray(peer(summary), dtype=float).reshape(-1)
    if len(alive) != len(summary) or not np.isfinite(alive).all():
        raise FitError("its P(alive) is not a number for every account.")
    return alive < 0.5
