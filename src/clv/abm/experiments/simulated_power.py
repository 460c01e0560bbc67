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
        Of the outcome without a programme, of the same in the treated only, and of being treated, draw by draw.
    critical : float
        Value that the studentised effect reaches in at most a share 1 − confidence of the draws without an effect: that
        of the randomisation test, which is careful where few values are possible.
    mean : float
        Mean outcome without a programme.
    share : bool
        The outcome is 0 or 1, so that an effect makes ones of zeros.
    """

    effect: Floats
    covariance: Floats
    critical: float
    mean: float
    share: bool

    def power(self, relative: float) -> float:
        """Chance to see a relative effect on every account's outcome (zeros stay zeros; of shares, see Notes).

        Notes
        -----
        A share p that becomes q = p (1 + relative) has the variance q (1 − q): the treated have a + b y with that mean
        and variance. Beyond 1 there is no share.
        """
        w = np.array([1.0, relative, 0.0])
        if self.share:
            p, q = self.mean, self.mean * (1 + relative)
            if q > 1 or not 0 < p < 1:
                return 0.0
            slope = np.sqrt(q * (1 - q) / (p * (1 - p)))
            w = np.array([1.0, slope - 1, q - slope * p])
        top = self.effect @ w
        bottom = np.einsum("i,bij,j->b", w, self.covariance, w)
        t = np.divide(top, np.sqrt(np.maximum(bottom, 0.0)), out=np.zeros(len(top)), where=bottom > 0)
        return float(np.mean(t >= self.critical))

    def smallest(self, power: float) -> float:
        """Smallest relative effect seen with a given power; infinite beyond `LARGEST`."""
        most = min(LARGEST, 1 / self.mean - 1) if self.share and self.mean > 0 else LARGEST
        low, high = 0.0, min(0.05, most)
        while self.power(high) < power:
            if high >= most:
                return float("inf")
            low, high = high, min(high * 1.5, most)
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
    columns = np.stack([np.broadcast_to(outcome, drawn.shape), outcome * drawn, drawn], axis=2)
    effect, covariance = statistics(comparison, columns, drawn)
    root = np.sqrt(np.maximum(covariance[:, 0, 0], 0.0))
    # Rounded, so that draws that say the same do so to the last digit.
    t = np.divide(effect[:, 0], root, out=np.zeros(draws), where=root > 0).round(9)
    share = bool(np.isin(outcome, (0.0, 1.0)).all())
    return SimulatedPower(effect, covariance, _critical(np.abs(t), 1 - confidence), float(outcome.mean()), share)


def _critical(t: Floats, level: float) -> float:
    """Smallest value that at most a share `level` of the draws reaches, ties counted; infinite if there is none."""
    values, counts = np.unique(t, return_counts=True)
    reached = counts[::-1].cumsum()[::-1] / len(t)
    rare = values[reached <= level + 1e-12]
    return float(rare[0]) * (1 - 1e-9) if len(rare) else np.inf
