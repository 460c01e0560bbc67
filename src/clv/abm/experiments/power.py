"""What an experiment of a given size can show: the smallest detectable effect, and the size that one needs."""

from __future__ import annotations

import math

from clv.errors import SettingsError


def smallest_detectable_effect(
    treated: float,
    controls: float,
    *,
    sd: float = 1.0,
    correlation: float = 0.0,
    power: float = 0.8,
    confidence: float = 0.95,
    comparisons: int = 1,
    cluster_size: float = 1.0,
    intraclass: float = 0.0,
) -> float:
    """Smallest difference in means that a two-sided test finds with a given power, by the normal formula.

    ``(z_{1−α/2} + z_{power}) · sd · √((1 − r²)(1/n₁ + 1/n₀) · (1 + (m − 1)ρ))``.

    Parameters
    ----------
    treated, controls : float
        Accounts in each arm.
    sd : float
        Standard deviation of the outcome within an arm; 1 gives the effect in standard deviations.
    correlation : float
        r, of the outcome with what is known before the start.
    comparisons : int
        Arms that are compared with the control; the level is divided by it (Bonferroni).
    cluster_size, intraclass : float
        m accounts go together, whose outcomes correlate with ρ (Kish 1965).

    Examples
    --------
    >>> round(smallest_detectable_effect(13, 13), 2), round(smallest_detectable_effect(50, 50), 2)
    (1.1, 0.56)
    """
    from scipy import stats

    if min(treated, controls) <= 0 or not -1 < correlation < 1 or not 0 < power < 1 or not 0 < confidence < 1:
        raise SettingsError("sizes, correlation, power or confidence are out of range.", mend="See the docstring.")
    z = stats.norm.ppf(1 - (1 - confidence) / comparisons / 2) + stats.norm.ppf(power)
    inflation = 1 + max(cluster_size - 1, 0.0) * max(intraclass, 0.0)
    return float(z * sd * math.sqrt((1 - correlation**2) * (1 / treated + 1 / controls) * inflation))


def accounts_needed(
    effect: float,
    *,
    sd: float = 1.0,
    correlation: float = 0.0,
    power: float = 0.8,
    confidence: float = 0.95,
    comparisons: int = 1,
    ratio: float = 1.0,
) -> int:
    """Count the controls needed to find a difference in means; `ratio` treated accounts go with each.

    Inverse of `smallest_detectable_effect`, rounded up.
    """
    if effect == 0:
        raise SettingsError("an effect of 0 cannot be shown.", mend="Give the smallest effect worth knowing.")
    one = smallest_detectable_effect(
        ratio, 1.0, sd=sd, correlation=correlation, power=power, confidence=confidence, comparisons=comparisons
    )
    return math.ceil((one / abs(effect)) ** 2 - 1e-9)


def accounts_needed_for_shares(
    control: float, treated: float, *, power: float = 0.8, confidence: float = 0.95, comparisons: int = 1
) -> int:
    """Accounts an arm needed to tell two shares apart (close rates), with the pooled variance under no effect.

    Fleiss, Levin & Paik (2003, eq. 4.14), without continuity correction.

    Examples
    --------
    >>> accounts_needed_for_shares(0.01, 0.02)
    2319
    """
    from scipy import stats

    if not (0 < control < 1 and 0 < treated < 1) or control == treated:
        raise SettingsError("two different shares between 0 and 1 are needed.", mend="Give them as .01 and .02.")
    level, hit = stats.norm.ppf(1 - (1 - confidence) / comparisons / 2), stats.norm.ppf(power)
    pooled = (control + treated) / 2
    spread = level * math.sqrt(2 * pooled * (1 - pooled)) + hit * math.sqrt(
        control * (1 - control) + treated * (1 - treated)
    )
    return math.ceil((spread / (treated - control)) ** 2 - 1e-9)
