"""Does spend depend on how often an account buys? Gamma-Gamma assumes that it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from clv.errors import SettingsError
from clv.result import Result
from clv.value.estimation.checks import frequency_column, number_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Significance, and size of the correlation, from which the assumption is said to fail.
LEVEL, MATTERS = 0.05, 0.1
#: Repeat buyers from which the normal approximation is used.
FEWEST = 10


@dataclass(frozen=True, eq=False)
class IndependenceTest(Result):
    """Whether mean spend is uncorrelated with the number of purchases.

    Attributes
    ----------
    table : pandas.DataFrame
        One row: accounts, correlation, lower, upper, p_value, holds.
    correlation, lower, upper : float
        Of the logarithm of the number of repeat purchases with the mean spend; limits of its confidence interval.
        NaN where it cannot be told.
    p_value : float
    holds : bool
        False where the correlation is significant and large enough to matter.
    """

    correlation: float
    lower: float
    upper: float
    p_value: float
    holds: bool

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the correlation with its interval, and the band in which it does not matter."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.8))
        ax.axvspan(-MATTERS, MATTERS, color="0.9")
        ax.axvline(0, color="0.6", linewidth=1)
        colour = sns.color_palette("colorblind")[0]
        ax.hlines(0, self.lower, self.upper, color=colour, linewidth=3)
        ax.plot(self.correlation, 0, "o", color=colour)
        ax.set(xlim=(-1, 1), yticks=[], xlabel="correlation of purchases and mean spend", title="Is spend independent?")
        return ax


def independence_test(summary: pd.DataFrame, *, confidence: float = 0.95) -> IndependenceTest:
    """Test the assumption of Gamma-Gamma that spend does not depend on frequency.

    Parameters
    ----------
    summary : pandas.DataFrame
        Columns frequency and monetary_value; accounts without repeat purchases or money are left out.
    confidence : float

    Returns
    -------
    IndependenceTest

    Notes
    -----
    Under the assumption the mean spend of an account has the same expectation whatever its frequency, but not the same
    variance or median: it is a mean of so many purchases. Therefore not ranks but a correlation, of ln x with the mean,
    whose standard error comes from its influence function, z_x z_m − r (z_x² + z_m²)/2 (Devlin, Gnanadesikan &
    Kettenring 1975), valid whatever the variances; interval and p-value on Fisher's scale.
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence is {confidence}.", mend="Give a probability between 0 and 1.")
    frequency = frequency_column(summary)
    spend = number_column(summary, "monetary_value", least=-np.inf)
    used = (frequency > 0) & (spend > 0)
    count = int(used.sum())
    x, m = np.log(frequency[used]), spend[used]
    if count < FEWEST or np.ptp(x) == 0 or np.ptp(m) <= 1e-12 * abs(m).max():
        text = (
            f"Whether spend depends on frequency cannot be told from {count} accounts with repeat purchases"
            f"{'' if count < FEWEST else ', which do not differ'}. It is taken not to."
        )
        return _result(count, np.nan, np.nan, np.nan, np.nan, True, text)
    zx, zm = (x - x.mean()) / x.std(), (m - m.mean()) / m.std()
    r = float(np.clip(np.mean(zx * zm), -1 + 1e-12, 1 - 1e-12))
    influence = zx * zm - r * (zx**2 + zm**2) / 2
    error = float(np.sqrt(np.mean(influence**2) / (count - 3)))
    scale = error / (1 - r * r)
    fisher = np.arctanh(r)
    spread = float(ndtri((1 + confidence) / 2)) * scale
    low, high = float(np.tanh(fisher - spread)), float(np.tanh(fisher + spread))
    p_value = float(2 * ndtr(-abs(fisher) / scale)) if scale > 0 else 0.0
    holds = not (p_value < LEVEL and abs(r) >= MATTERS)
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    text = (
        f"The correlation of the number of purchases with the mean purchase is {r:.2f} ({confidence:.0%} interval "
        f"{low:.2f} to {high:.2f}, {chance}; {count:,} accounts with repeat purchases). "
    )
    text += (
        "Spend may be taken to be independent of frequency."
        if holds
        else f"Accounts that buy more often pay {'more' if r > 0 else 'less'} for a purchase: the assumption of "
        "Gamma-Gamma fails."
    )
    return _result(count, r, low, high, p_value, holds, text)


def _result(count: int, r: float, low: float, high: float, p_value: float, holds: bool, text: str) -> IndependenceTest:
    row = {"accounts": count, "correlation": r, "lower": low, "upper": high, "p_value": p_value, "holds": holds}
    return IndependenceTest(pd.DataFrame([row]), text, r, low, high, p_value, holds)
