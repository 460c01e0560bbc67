"""The ADBUDG curve: response to spend that may start slowly and levels off (Little 1970)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.errors import SettingsError

#: bisections of a bracket: enough for double precision.
_HALVINGS = 80


@dataclass(frozen=True)
class Adbudg:
    """Response to spend: ``floor + (ceiling − floor) · spend^shape / (half^shape + spend^shape)``.

    Little (1970), *Management Science* 16, equation for the share of brand sales, with his δ written as
    ``half^shape``. A shape of up to 1 is concave; above 1 the curve is S-shaped.

    Attributes
    ----------
    floor, ceiling : float
        Response without spend, and the most that any spend reaches: multiples of an option's value, or money.
    half : float
        Spend at which half of what can be gained is gained; money for one account.
    shape : float
        Above 0.
    """

    floor: float
    ceiling: float
    half: float
    shape: float

    def __post_init__(self) -> None:
        sound = all(np.isfinite(part) for part in (self.floor, self.ceiling, self.half, self.shape))
        if not sound or self.half <= 0 or self.shape <= 0 or self.ceiling < self.floor:
            raise SettingsError(
                f"a response curve cannot have {self}.",
                mend="Give a ceiling not below the floor, and half and shape above 0.",
            )

    def __call__(self, spend: np.ndarray | float) -> np.ndarray:
        """Response to a spend of 0 or more."""
        return self.floor + (self.ceiling - self.floor) * self._share(spend)

    def _share(self, spend: np.ndarray | float) -> np.ndarray:
        with np.errstate(divide="ignore"):
            log = self.shape * (np.log(np.asarray(spend, dtype=float)) - np.log(self.half))
        return np.asarray(1 / (1 + np.exp(np.clip(-log, -700, 700))))

    def marginal(self, spend: np.ndarray | float) -> np.ndarray:
        """Response to the next unit of spend; infinite at 0 if the shape is below 1."""
        spend = np.asarray(spend, dtype=float)
        share = self._share(spend)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (self.ceiling - self.floor) * self.shape * share * (1 - share) / spend
        at_zero = {True: np.inf, False: 0.0}[self.shape < 1]
        if self.shape == 1:
            at_zero = (self.ceiling - self.floor) / self.half
        return np.asarray(np.where(spend > 0, slope, at_zero if self.ceiling > self.floor else 0.0))

    @property
    def inflection(self) -> float:
        """Spend up to which each unit brings more than the one before; 0 if the curve is concave."""
        return self.half * ((self.shape - 1) / (self.shape + 1)) ** (1 / self.shape) if self.shape > 1 else 0.0

    @property
    def threshold(self) -> float:
        """Spend with the largest gain per unit: no plan spends between 0 and this on an account of its choice.

        Where the straight line from no spend touches the curve, above which curve and concave envelope are one:
        ``half · (shape − 1)^(1/shape)``; 0 if the curve is concave.
        """
        return self.half * (self.shape - 1) ** (1 / self.shape) if self.shape > 1 else 0.0

    def envelope(self, spend: np.ndarray | float) -> np.ndarray:
        """Return the smallest concave function that is nowhere below the curve: what mixtures of spends can reach."""
        spend = np.asarray(spend, dtype=float)
        touch = self.threshold
        if touch == 0:
            return self(spend)
        line = self.floor + (self(touch) - self.floor) * spend / touch
        return np.asarray(np.where(spend < touch, line, self(spend)))

    def best_spend(
        self, worth: np.ndarray, price: np.ndarray, lowest: np.ndarray | float, highest: np.ndarray | float
    ) -> np.ndarray:
        """Spend with the largest ``worth · response − price · spend`` between two ends.

        Parameters
        ----------
        worth, price : numpy.ndarray
            (N,) value of one unit of response, and of one unit of spend.
        lowest, highest : float or numpy.ndarray

        Returns
        -------
        numpy.ndarray
            (N,) the smaller one of equally good spends.
        """
        worth, price = np.asarray(worth, dtype=float), np.asarray(price, dtype=float)
        low = np.broadcast_to(np.asarray(lowest, dtype=float), worth.shape)
        high = np.broadcast_to(np.asarray(highest, dtype=float), worth.shape)
        # Beyond the inflection the marginal response falls: its one crossing with the price is found by halving.
        left, right = np.clip(self.inflection, low, high), high.copy()
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            up = worth * self.marginal(middle) > price
            left, right = np.where(up, middle, left), np.where(up, right, middle)
        candidates = np.stack([low, (left + right) / 2, high])
        net = worth * self(candidates) - price * candidates
        return np.asarray(np.take_along_axis(candidates, net.argmax(axis=0)[None], axis=0)[0])


def adbudg_from_judgement(
    *, without: float, present: float, half_more: float, saturation: float, spend: float
) -> Adbudg:
    """Make the curve from four judgements, as Little (1970) asks for them.

    Parameters
    ----------
    without : float
        Response without any spend.
    present : float
        With the present spend.
    half_more : float
        With half as much again.
    saturation : float
        With unlimited spend.
    spend : float
        The present spend on an account.

    Returns
    -------
    Adbudg
        It goes through all four exactly.

    Raises
    ------
    SettingsError
        The judgements do not rise strictly, or the spend is not above 0.
    """
    points = (without, present, half_more, saturation)
    if not (all(np.isfinite(p) for p in points) and without < present < half_more < saturation and 0 < spend < np.inf):
        raise SettingsError(
            f"four judgements {points} at a spend of {spend!r} make no curve.",
            mend="Responses must rise: without < present < half_more < saturation; the spend is above 0.",
        )

    def log_odds(response: float) -> float:
        return float(np.log(response - without) - np.log(saturation - response))

    shape = (log_odds(half_more) - log_odds(present)) / float(np.log(1.5))
    return Adbudg(without, saturation, spend * float(np.exp(-log_odds(present) / shape)), shape)
