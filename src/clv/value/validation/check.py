"""Does the purchase model fit? Accounts by number of repeat purchases, counted against expected."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from clv.result import Result
from clv.value.covariates import StaticCovariates

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class FrequencyCheck(Result):
    """Accounts by number of repeat purchases.

    Attributes
    ----------
    table : pandas.DataFrame
        repeats (a class such as ``"0"``, ``"4–6"``, ``"7+"``), counted, expected.
    misplaced : float
        Share of accounts that would have to move for the two to agree: half the sum of absolute differences.
    """

    misplaced: float

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw counted beside expected."""
        import matplotlib.pyplot as plt
        import seaborn as sns

        if ax is None:
            _, ax = plt.subplots(figsize=(8, 3.6))
        long = self.table.melt("repeats", var_name="which", value_name="accounts")
        sns.barplot(long, x="repeats", y="accounts", hue="which", palette="colorblind", ax=ax)
        ax.set(xlabel="repeat purchases in the time observed", ylabel="accounts", title="Counted against expected")
        ax.legend(title=None, frameon=False)
        return ax


#: Lower ends of the classes: of few repeats in a consumer's book, of many in a company's.
_FEW = (0, 1, 2, 3, 4, 5, 6, 7)
_MANY = (0, 1, 2, 4, 7, 12, 20, 35, 60)


def _expected(model: Any, summary: pd.DataFrame, n: Any) -> Any:
    """Return the expected number of accounts with `n` repeat purchases, each in its own time and by its covariates."""
    import numpy as np

    spans = summary["T"].to_numpy(dtype=float)
    if isinstance(model, StaticCovariates) and model.covariates:
        return model.purchase_probability(n, spans, summary).to_numpy().sum(axis=0)
    distinct, accounts = np.unique(spans, return_counts=True)
    return accounts @ np.stack([model.purchase_probability(n, span) for span in distinct])


def frequency_check(model: Any, summary: pd.DataFrame) -> FrequencyCheck:
    """Compare the number of accounts by repeat purchases with what the fitted model expects.

    The expected number with n repeats is the sum over accounts of P(X(T) = n), each over its own time T
    (the check of Fader, Hardie & Lee 2005, figure 3). Classes widen where most accounts buy often.

    Parameters
    ----------
    model : fitted purchase model
        With ``purchase_probability(n, t)``; where it has covariates, each account is expected to buy as its own say.
    summary : pandas.DataFrame
        The accounts it was fitted on: columns frequency, T, and what the covariates are made of.

    Returns
    -------
    FrequencyCheck
    """
    import numpy as np
    import pandas as pd

    repeats = summary["frequency"].to_numpy(dtype=int)
    starts = _FEW if (repeats >= _FEW[-1]).mean() <= 1 / 3 else _MANY
    exact = _expected(model, summary, np.arange(starts[-1]))
    expected = np.add.reduceat(exact, starts[:-1])
    expected = np.append(expected, max(0.0, len(summary) - expected.sum()))
    counted = np.bincount(np.searchsorted(starts, repeats, side="right") - 1, minlength=len(starts))
    labels = [str(a) if b == a + 1 else f"{a}–{b - 1}" for a, b in pairwise(starts)]
    table = pd.DataFrame(
        {"repeats": [*labels, f"{starts[-1]}+"], "counted": counted.astype(float), "expected": expected}
    )
    misplaced = float(np.abs(counted - expected).sum() / 2 / max(1, len(summary)))
    text = (
        f"{counted[0]:,} accounts bought once only; the model expects {expected[0]:,.0f}. To agree in every class, "
        f"{misplaced:.1%} of the accounts would have to have bought a different number of times."
    )
    return FrequencyCheck(table=table, text=text, misplaced=misplaced)
