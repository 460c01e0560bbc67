"""Power on the study's own accounts: the design drawn again and again over what really happened, zeros and all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.abm.experiments.linear import Floats
from clv.abm.experiments.reassign import reassign, statistics
from clv.abm.experiments.trial import Comparison

#: relative effects beyond this are called undetectable.
LARGEST = 20.0


@dataclass(frozen=True)
class SimulatedPower:
    """Statistics of many draws of one design, from which the power at any effect follows.

    Parameters
    ----------
    effect, covariance : numpy.ndarray
        Of the outcome without a programme and of the same in the treated only, draw by draw.
    critical : float
        Value that the studentised effect exceeds in a share 1 − confidence of the draws without an effect: that of
        the randomisation test.
    mean : float
        Mean outcome without a programme.
    """

    effect: Floats
    covariance: Floats
    critical: float
    mean: float

    def power(self, relative: float) -> float:
        """Chance to see a relative effect on every account's outcome (zeros stay zeros)."""
        w = relative
        top = self.effect[:, 0] + w * self.effect[:, 1]
        v = self.covariance
        bottom = v[:, 0, 0] + 2 * w * v[:, 0, 1] + w * w * v[:, 1, 1]
        t = np.divide(top, np.sqrt(np.maximum(bottom, 0.0)), out=np.zeros(len(top)), where=bottom > 0)
        return float(np.mean(t >= self.critical))

    def smallest(self, power: float) -> float:
        """Smallest relative effect seen with a given power; infinite beyond `LARGEST`."""
        low, high = 0.0, 0.05
        while self.power(high) < power:
            low, high = high, high * 1.5
            if high > LARGEST:
                return float("inf")
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high


def simulate_power(
    comparison: Comparison, outcome: Floats, *, confidence: float, draws: int, rng: np.random.Generator
) -> SimulatedPower:
    """Draw a design again over accounts whose outcome without a programme is known.

    Parameters
    ----------
    outcome : numpy.ndarray, shape (rows,)
        What accounts did in a past window of the same length, in the order of the comparison.
    """
    arm = comparison.treated.astype(np.int64)
    drawn = reassign(
        arm, block=comparison.block, units=comparison.units, cluster=comparison.cluster, draws=draws, rng=rng
    )
    columns = np.stack([np.broadcast_to(outcome, drawn.shape), outcome * drawn], axis=2)
    effect, covariance = statistics(comparison, columns, drawn)
    root = np.sqrt(np.maximum(covariance[:, 0, 0], 0.0))
    t = np.divide(effect[:, 0], root, out=np.zeros(draws), where=root > 0)
    return SimulatedPower(effect, covariance, float(np.quantile(np.abs(t), confidence)), float(outcome.mean()))
