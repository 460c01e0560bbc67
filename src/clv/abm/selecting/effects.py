"""What a tier does to an account: as the study assumes, or as an experiment measured, each with its doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtri

from clv.churn.plays.measured import MeasuredUplift
from clv.errors import SettingsError

if TYPE_CHECKING:
    from clv.abm.loop.response import Response
    from clv.data.settings import Tier

Evidence = Literal["assumed", "partly measured", "measured"]


@dataclass(frozen=True, eq=False)
class TierEffect:
    """A tier and what is believed of it.

    Attributes
    ----------
    name : str
    cost : float
        An account, over the horizon.
    uplift, error : float
        Relative increase of a customer's expected margin: mean and standard deviation of what is believed.
    win : float
        Relative increase of the odds that a prospect is won.
    win_error : float
    evidence : {"assumed", "partly measured", "measured"}
        Of `uplift`: measured where the experiment counts for more than the assumption does.
    source : str
    """

    name: str
    cost: float
    uplift: float
    error: float
    win: float
    win_error: float
    evidence: Evidence
    source: str

    def drawn(self, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw the uplift and the increase of the odds, each of shape (draws,), at least −1."""
        # One draw in each of as many equally likely bands: the mean is that of the belief, not of the luck.
        level = (rng.permutation(draws) + rng.random(draws)) / draws
        other = (rng.permutation(draws) + rng.random(draws)) / draws
        return (
            np.maximum(self.uplift + self.error * ndtri(level), -1.0),
            np.maximum(self.win + self.win_error * ndtri(other), -1.0),
        )


def tier_effects(
    tiers: Sequence[Tier],
    *,
    measured: Mapping[str, MeasuredUplift] | None = None,
    response: Response | None = None,
    win_uplift: float | Mapping[str, float] | None = None,
    doubt: float = 0.5,
) -> list[TierEffect]:
    """Say what each tier is believed to do.

    Parameters
    ----------
    tiers : sequence of Tier
        As the study states them.
    measured : mapping, optional
        Tier -> the uplift that an experiment found, with its standard error.
    response : Response, optional
        What is believed of every tier after all experiments (`clv.update_response`); takes the place of `measured`.
    win_uplift : float or mapping from tier to float, optional
        Relative increase of the odds that a prospect is won; None: the same number as the tier's uplift.
    doubt : float
        Standard deviation of an assumed effect, as a share of it.

    Returns
    -------
    list of TierEffect

    Raises
    ------
    SettingsError
        No tier, two of one name, a name that is no tier, a tier of which the response says nothing, both `measured`
        and `response`, or a doubt below 0.

    Notes
    -----
    The assumption is a prior, Normal(u, (doubt · u)²); a measurement v with standard error s makes of it
    Normal((u/d² + v/s²) / (1/d² + 1/s²), 1 / (1/d² + 1/s²)), d = doubt · |u|: a sharp experiment overrules the
    assumption, a vague one leaves it. An assumption without doubt (0) is replaced by the measurement.
    """
    names = [tier.name for tier in tiers]
    if not names or len(set(names)) < len(names):
        raise SettingsError("at least one tier is needed, and names must differ.", mend="Check 'tiers' in study.yml.")
    if not (np.isfinite(doubt) and doubt >= 0):
        raise SettingsError(f"doubt is {doubt}.", mend="Give a number of 0 or more.")
    wins = win_uplift if isinstance(win_uplift, Mapping) else {}
    if measured and response is not None:
        raise SettingsError("measured and response are both given.", mend="Give one; a response holds measurements.")
    believed = {} if response is None else _believed(response, names)
    for name in (*(measured or {}), *wins):
        if name not in names:
            raise SettingsError(f"there is no tier {name!r}.", mend=f"There are {', '.join(names)}.")
    out: list[TierEffect] = []
    for tier in tiers:
        u, d = float(tier.uplift), doubt * abs(float(tier.uplift))
        found = (measured or {}).get(tier.name)
        win = (
            float(wins.get(tier.name, u))
            if win_uplift is None or isinstance(win_uplift, Mapping)
            else float(win_uplift)
        )
        mean, error = u, d
        evidence: Evidence = "assumed"
        if found is not None:
            evidence = "measured" if d == 0 or found.standard_error < d else "partly measured"
        if found is not None and d == 0:
            mean, error = found.uplift, found.standard_error
        elif found is not None:
            weight = 1 / d**2 + 1 / found.standard_error**2
            mean, error = (u / d**2 + found.uplift / found.standard_error**2) / weight, weight**-0.5
        source = "assumption of the study" if found is None else found.source
        if response is not None:
            mean, error, evidence, source = believed[tier.name]
        out.append(TierEffect(tier.name, float(tier.cost), mean, error, win, doubt * abs(win), evidence, source))
    return out


def _believed(response: Response, names: Sequence[str]) -> dict[str, tuple[float, float, Evidence, str]]:
    """Mean, standard deviation, evidence and source of each whole tier: measured where that took most doubt away."""
    whole = response.table[response.table["segment"] == ""]
    rows = {
        str(tier): (float(mean), float(sd), float(learnt))
        for tier, mean, sd, learnt in zip(whole["tier"], whole["mean"], whole["sd"], whole["learnt"], strict=True)
    }
    missing = [name for name in names if name not in rows]
    if missing:
        raise SettingsError(
            f"the response says nothing of tier {missing[0]!r}.", mend=f"It knows {', '.join(rows)}."
        )  # fmt: skip
    out: dict[str, tuple[float, float, Evidence, str]] = {}
    for name in names:
        mean, sd, learnt = rows[name]
        experiments = sorted({m.experiment for m in response.measurements if name in (m.tier, m.against)})
        evidence: Evidence = "assumed"
        if experiments:
            evidence = "measured" if learnt >= 0.5 else "partly measured"
        out[name] = (mean, sd, evidence, ", ".join(experiments) or "assumption of the study")
    return out


def odds_raised(chance: np.ndarray, increase: float | np.ndarray) -> np.ndarray:
    """Return the chance when its odds are multiplied by 1 + increase."""
    factor = 1 + np.asarray(increase)
    whole = 1 - chance + chance * factor
    # A certain win whose odds are taken away has no odds to speak of: it stays.
    return np.asarray(np.where(whole > 0, chance * factor / np.where(whole > 0, whole, 1.0), chance))
