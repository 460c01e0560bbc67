"""What held-out rows say about a classifier: whether it can rank at all, how well, and whether its chances hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from clv.abm.propensity.auc import area_under_curve
from clv.abm.propensity.calibrate import recalibration
from clv.result import Result

#: fewest wins and fewest losses, in different groups, from which anything is learnt.
FEWEST = 20
#: a reading of the interval at this level decides whether anything can be ranked.
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Evidence(Result):
    """How good a classifier is on rows it did not see.

    Attributes
    ----------
    table : pandas.DataFrame
        Reliability: one row a tenth of the rows by foretold probability: foretold (mean), won (share), lower, upper
        (Wilson, of the share), rows.
    rows, wins, groups : int
    auc, auc_lower, auc_upper : float
        Area under the ROC curve, with an interval for groups.
    log_loss, base_log_loss : float
        Of the classifier, and of giving every row the share of wins of the rows learnt from.
    gain, gain_error : float
        How much lower the classifier's log loss is, and the standard error of that by groups.
    intercept, slope : float
        Of the outcomes on the foretold log-odds; 0 and 1 where probabilities hold.
    ranks : bool
        The interval of the AUC lies above one half, and the log loss is below that of the share of wins by more than
        1.64 of its standard errors.
    """

    rows: int
    wins: int
    groups: int
    auc: float
    auc_lower: float
    auc_upper: float
    log_loss: float
    base_log_loss: float
    gain: float
    gain_error: float
    intercept: float
    slope: float
    ranks: bool


def evidence(
    won: np.ndarray, chance: np.ndarray, base: np.ndarray, groups: np.ndarray, *, how: str, repeats: int = 1
) -> Evidence:
    """Score held-out probabilities.

    Parameters
    ----------
    won : numpy.ndarray of bool, shape (rows,)
    chance, base : numpy.ndarray, shape (rows,)
        Foretold by the classifier, and the share of wins of the rows that it learnt from.
    groups : numpy.ndarray, shape (rows,)
        Rows that belong together.
    how : str
        How rows were held out, for the words.
    repeats : int
        How often each row is there, foretold anew; its copies have its group.

    Returns
    -------
    Evidence
    """
    area = area_under_curve(won, chance, groups, confidence=CONFIDENCE)
    loss, plain = _log_loss(won, chance), _log_loss(won, base)
    code = np.unique(groups, return_inverse=True)[1]
    many = int(code.max()) + 1
    sums = np.bincount(code, plain - loss)
    gain = float((plain - loss).mean())
    spread = np.sum((sums - gain * np.bincount(code)) ** 2) * many / max(1, many - 1)
    error = float(np.sqrt(spread)) / len(won)
    line = recalibration(won, np.log(chance / (1 - chance)), plain=True)
    # The interval alone is too hopeful: it does not know that the rows also taught the models which foretold them.
    ranks = bool(area.lower > 0.5 and gain > norm.ppf(CONFIDENCE) * error)
    rows, wins = len(won) // repeats, int(won.sum()) // repeats
    text = (
        f"{wins:,} of {rows:,} deals were won. {how}, the model puts a won one above a lost one in "
        f"{area.value:.0%} of pairs ({CONFIDENCE:.0%} interval {area.lower:.0%} to {area.upper:.0%}; 50% is a coin). "
    )
    if ranks:
        text += (
            f"Its log loss is {loss.mean():.3f} against {plain.mean():.3f} for giving all the same chance. "
            + _held(line.slope)
        )
    else:
        text += (
            "That is no better than chance, so nothing is ranked here: every account gets the share of wins, "
            "and no fit."
        )
    return Evidence(
        table=_reliability(won, chance, repeats), text=text, rows=rows, wins=wins, groups=many,
        auc=area.value, auc_lower=area.lower, auc_upper=area.upper,
        log_loss=float(loss.mean()), base_log_loss=float(plain.mean()), gain=gain, gain_error=error,
        intercept=line.intercept, slope=line.slope, ranks=ranks,
    )  # fmt: skip


def too_few(won: np.ndarray, groups: np.ndarray) -> Evidence:
    """Say that there are too few outcomes to learn from.

    Parameters
    ----------
    won : numpy.ndarray of bool, shape (rows,)
    groups : numpy.ndarray, shape (rows,)

    Returns
    -------
    Evidence
        Nothing but counts; `ranks` is false.
    """
    text = (
        f"{int(won.sum()):,} of {len(won):,} deals were won. At least {FEWEST} won and {FEWEST} lost ones that differ "
        "are needed to learn from; with fewer, nothing is ranked: every account gets the share of wins, and no fit."
    )
    nan = float("nan")
    return Evidence(
        table=pd.DataFrame(columns=["foretold", "won", "lower", "upper", "rows"], dtype=float), text=text,
        rows=len(won), wins=int(won.sum()), groups=len(np.unique(groups)), auc=nan, auc_lower=nan, auc_upper=nan,
        log_loss=nan, base_log_loss=nan, gain=nan, gain_error=nan, intercept=nan, slope=nan, ranks=False,
    )  # fmt: skip


def _held(slope: float) -> str:
    if 0.8 <= slope <= 1.2:
        return f"Its probabilities hold on rows it did not see (slope {slope:.2f})."
    far = "too far apart" if slope < 1 else "too close together"
    return f"Its probabilities lie {far} on rows it did not see (slope {slope:.2f}, 1 is right)."


def _log_loss(won: np.ndarray, chance: np.ndarray) -> np.ndarray:
    kept = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.asarray(-np.where(won, np.log(kept), np.log1p(-kept)))


def _reliability(won: np.ndarray, chance: np.ndarray, repeats: int) -> pd.DataFrame:
    """Foretold against happened, by tenths of the rows (fewer where rows are few)."""
    bins = int(np.clip(len(won) // (20 * repeats), 1, 10))
    tenth = np.empty(len(won), dtype=int)
    tenth[np.argsort(chance, kind="stable")] = np.arange(len(won)) * bins // len(won)
    rows = np.bincount(tenth, minlength=bins)
    share = np.bincount(tenth, won, minlength=bins) / rows
    z = norm.ppf(0.5 + CONFIDENCE / 2)
    once = rows / repeats
    middle = (share + z**2 / (2 * once)) / (1 + z**2 / once)
    reach = z / (1 + z**2 / once) * np.sqrt(share * (1 - share) / once + z**2 / (4 * once**2))
    return pd.DataFrame(
        {
            "foretold": np.bincount(tenth, chance, minlength=bins) / rows,
            "won": share,
            "lower": middle - reach,
            "upper": middle + reach,
            "rows": once,
        }
    )
