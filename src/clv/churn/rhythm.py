"""Change of rhythm: an account's latest intervals against its own earlier ones, before its silence says anything.

Given when an account bought first and last and how often, a purchase model has nothing more to say of the times
between: its waits, Gamma(k, λ) with a rate of its own, are exchangeable, and the share of the last m of x waits in
their sum is Beta(km, k(x − m)) whatever the rate, the dropout and the parameters are (for k = 1 the F test of two
exponential means: Cox, D. R. (1953), Some simple approximate tests for Poisson variates, Biometrika 40). The test is
exact for few waits, and under the model independent of silence and P(alive), which depend on (x, t_x, T) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc, gammaln

from clv.churn.left_out import left_out_text
from clv.churn.purchases import Date, Purchases, purchases_until
from clv.churn.words import number, plural
from clv.data.settings import Grain, Unit
from clv.data.units import days_per_unit, name
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: fewest intervals: two lately against two before.
FEWEST = 4
#: most intervals that count as lately.
_LATELY = 6


@dataclass(frozen=True, eq=False)
class RhythmChange(Result):
    """Whose orders come more slowly than they used to.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id (accounts that bought): intervals (number), recent (how many of them count as lately),
        earlier_interval and recent_interval (means, in the unit), p_value (of waits that have not become longer),
        slowed. Empty cells, and not slowed, where there are fewer than four intervals.
    regularity : float
        k of the waits, of the whole book: 1 is random, more is regular, less comes in bursts.
    level : float
        p-value below which an account has slowed.
    left_out : pandas.DataFrame
        account_id, reason, rows.
    unit : {"D", "W", "M", "Y"}
    """

    regularity: float
    level: float
    left_out: pd.DataFrame
    unit: Unit

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each account's recent interval against its earlier one."""
        from clv.churn.pictures import rhythm_map

        return rhythm_map(self.table, self.unit, ax)


def rhythm_change(
    transactions: pd.DataFrame,
    *,
    as_of: Date | None = None,
    grain: Grain = "D",
    unit: Unit = "W",
    level: float = 0.05,
    regularity: float | None = None,
) -> RhythmChange:
    """Test for each account whether its latest intervals are longer than its earlier ones.

    Parameters
    ----------
    transactions : pandas.DataFrame
        Columns account_id, date, amount.
    as_of : date, optional
        The last day that counts; None: the day of the last line.
    grain : {"D", "W", "M"}
        Interval within which purchases count as one.
    unit : {"D", "W", "M", "Y"}
        Unit of the intervals in the table.
    level : float
        Share of accounts with an unchanged rhythm that are called slowed all the same; 0: none is.
    regularity : float, optional
        k of the waits; None: estimated from the book.

    Returns
    -------
    RhythmChange

    Raises
    ------
    clv.errors.DataError
        A column or a value of the transactions is missing, or nothing was bought by then.
    clv.errors.SettingsError
        An option is impossible.

    Notes
    -----
    Of x intervals the last √x, rounded, at least 2 and at most 6, count as lately; the number depends on x alone, so
    that nothing is picked after looking. The silence since the last purchase is not used: the stages judge it.

    k maximises the likelihood of the shares of each account's waits in their sum, Dirichlet(k, …, k), from which the
    accounts' rates have dropped out; a log-normal prior (median 1, spread 0.5) holds it in small books. Waits that
    came in bursts would set off false alarms at k = 1.

    Every account is tested, so that `level` of the unchanged ones are called slowed by chance; the text says how
    many that would be.
    """
    if not (isinstance(level, int | float) and 0 <= level < 1):
        raise SettingsError(f"level: found {level!r}.", mend="Give a probability of 0 or more, below 1.")
    if regularity is not None and not (np.isfinite(regularity) and regularity > 0):
        raise SettingsError(f"regularity: found {regularity!r}.", mend="Give a number above 0, or None.")
    return rhythm_of(
        purchases_until(transactions, as_of=as_of, grain=grain), unit=unit, level=level, regularity=regularity
    )


def rhythm_of(purchases: Purchases, *, unit: Unit, level: float, regularity: float | None = None) -> RhythmChange:
    """Test purchases that are in order already; see `rhythm_change`."""
    days = days_per_unit(unit)
    order = np.argsort(purchases.account, kind="stable")
    order = order[purchases.counts[order]]
    account, day = purchases.account[order], purchases.day[order]
    owners, first = np.unique(account, return_index=True)
    x = np.diff(np.append(first, len(account))) - 1
    k = _regularity(account, day, x) if regularity is None else float(regularity)
    m = np.clip(np.rint(np.sqrt(x)), 2, _LATELY).astype(np.intp)
    tested = x >= FEWEST
    last = first + x
    turn = np.where(tested, last - m, first)
    earlier, recent = (day[turn] - day[first]).astype(float), (day[last] - day[turn]).astype(float)
    none = np.full(len(x), np.nan)
    table = pd.DataFrame(
        {
            "intervals": x,
            "recent": np.where(tested, m, 0),
            "earlier_interval": np.divide(earlier / days, x - m, out=none.copy(), where=tested),
            "recent_interval": np.divide(recent / days, m, out=none.copy(), where=tested),
            "p_value": none,
        },
        index=pd.Index(pd.Series(purchases.accounts[owners], dtype=str), name="account_id"),
    )
    share = earlier[tested] / (earlier + recent)[tested]
    table.loc[tested, "p_value"] = betainc(k * (x - m)[tested], k * m[tested], share)
    table["slowed"] = (table["p_value"] < level).to_numpy()
    return RhythmChange(table, _text(table, k, level, purchases, unit), k, level, purchases.left_out, unit)


def _regularity(account: NDArray[np.int64], day: NDArray[np.int64], x: NDArray[np.intp]) -> float:
    """Estimate k from the shares of waits in their sums, by the mode of the posterior."""
    many = x >= 2
    if not many.any():
        return 1.0
    same = np.diff(account) == 0
    wait, of = np.diff(day)[same].astype(float), np.repeat(np.arange(len(x)), x)
    total = np.bincount(of, wait, minlength=len(x))
    logs = float((np.log(wait / total[of]) * many[of]).sum())
    sizes, times = np.unique(x[many], return_counts=True)

    def cost(log_k: float) -> float:
        k = np.exp(log_k)
        fit = float(times @ (gammaln(k * sizes) - sizes * gammaln(k))) + (k - 1) * logs
        return 0.5 * (log_k / 0.5) ** 2 - fit

    return float(np.exp(minimize_scalar(cost, bounds=(np.log(0.1), np.log(50.0)), method="bounded").x))


def _text(table: pd.DataFrame, k: float, level: float, purchases: Purchases, unit: Unit) -> str:
    tested, slowed = int(table["p_value"].notna().sum()), table[table["slowed"]]
    when = f"As of {purchases.as_of:%Y-%m-%d}"
    if not tested:
        text = f"{when}: no account has the {FEWEST} intervals that it takes to compare its rhythm with its own past."
    else:
        text = (
            f"{when}: {number(len(slowed))} of {plural(number(tested), 'account')} with at least {FEWEST} intervals "
            f"order more slowly than they used to; if nobody had changed, some {number(level * tested)} would seem to."
        )
        if len(slowed):
            before, now = slowed["earlier_interval"].median(), slowed["recent_interval"].median()
            text += (
                f" Of those that have slowed, the median interval was {number(before)} {name(unit)} and is now "
                f"{number(now)}."
            )
        text += f" Waits are {_regular(k)} (k = {k:.1f})."
    return "\n\n".join(part for part in (text, left_out_text(purchases.left_out)) if part)


def _regular(k: float) -> str:
    if 0.8 <= k <= 1.25:
        return "as random as a Poisson process"
    return "more regular than chance" if k > 1 else "in bursts"
