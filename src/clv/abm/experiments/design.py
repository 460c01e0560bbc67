"""An experiment before it starts: who gets what, what it can show, how long it must run. No promise beyond that."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.experiments.arms import LIN_ACCOUNTS, TABLE, codes, numbers
from clv.abm.experiments.assign import assign_arms
from clv.abm.experiments.design_text import design_text
from clv.abm.experiments.history import outcome_history, sales_cycle
from clv.abm.experiments.linear import Floats
from clv.abm.experiments.power import smallest_detectable_effect
from clv.abm.experiments.registration import Registration
from clv.abm.experiments.simulated_power import simulate_power
from clv.abm.experiments.trial import Comparison
from clv.errors import DataError, SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Date = dt.date | str | pd.Timestamp
_GRID = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class ExperimentDesign(Result):
    """A plan, and what it can show.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account: account_id, arm, block, cluster, before (the outcome in the last window, to adjust with).
    smallest : pandas.DataFrame
        One row a window and treated arm: window (days), arm, accounts, controls, mean, sd, zeros (share),
        correlation (with the window before), formula and formula_relative (smallest detectable effect by the normal
        formula, in the outcome's unit and as a share of the mean), simulated and simulated_relative (on the study's
        own accounts, by drawing the design again).
    power : pandas.DataFrame
        arm, effect (relative), power, for the planned window.
    effect : float
        Relative effect that was asked for; NaN if none was.
    power_at_effect : float
    can_show : bool or None
        Whether that effect would be seen with the power asked for; None if none was asked for.
    needed : int or None
        Accounts in the smaller arm that it would take.
    window, lag, duration : float
        Days measured; days left out before (the sales cycle); both together.
    registration : Registration
        To be saved before the start.
    currency : str
    """

    smallest: pd.DataFrame
    power: pd.DataFrame
    effect: float
    power_at_effect: float
    can_show: bool | None
    needed: int | None
    window: float
    lag: float
    duration: float
    registration: Registration
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw power against the size of the effect."""
        from clv.abm.experiments.pictures import curves

        ax = curves(
            self.power, x="effect", y="power", by="arm", title="What this experiment would see",
            labels=("true relative effect", "chance to see it"), ax=ax,
        )  # fmt: skip
        ax.axhline(self.registration.power, color="0.4", linewidth=0.8, linestyle="--")
        return ax


def design_experiment(
    accounts: pd.DataFrame,
    transactions: pd.DataFrame | None = None,
    *,
    history: pd.DataFrame | None = None,
    outcome: str = "margin",
    arms: Mapping[str, float] | None = None,
    control: str = "control",
    stratify: Sequence[str] = (),
    match: str | Sequence[str] | None = None,
    cluster: str | None = None,
    window: float = 182.0,
    windows: Sequence[float] = (),
    as_of: Date | None = None,
    margin: float = 0.3,
    opportunities: pd.DataFrame | None = None,
    effect: float | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
    looks: int = 1,
    draws: int = 1000,
    seed: int = 0,
    currency: str = "",
) -> ExperimentDesign:
    """Draw arms and say, before the start, what the experiment can show.

    Parameters
    ----------
    accounts : pandas.DataFrame
        Eligible accounts: account_id and the columns of `stratify`, `match` and `cluster`.
    transactions : pandas.DataFrame, optional
        Columns account_id, date, amount: what the accounts did in the last two windows says how they vary, how many
        buy nothing, and how well the past predicts.
    history : pandas.DataFrame, optional
        Instead: index account_id, the outcome in past windows as long as the planned one, the latest last.
    outcome : {"margin", "revenue", "purchases", "bought"}
        The main outcome; it is registered.
    arms : mapping of str to float, optional
        Share of each arm; None: treatment and control in equal parts.
    stratify, match, cluster
        See `clv.abm.experiments.assign.assign_arms`; ``match="before"`` makes blocks of accounts with like outcomes in
        the last window.
    window : float
        Days over which the outcome will be counted.
    windows : sequence of float
        Other lengths to compare with; from transactions only.
    as_of : date, optional
        Last day known; None: the last transaction.
    opportunities : pandas.DataFrame, optional
        Deals: their median length from opening to winning is the lag before anything can be counted.
    effect : float, optional
        Relative effect that one hopes to see, such as .1.
    power, confidence : float
    looks : int
        Looks that are planned, the last one included.
    draws : int
        Draws of the design for the simulated power.
    seed : int

    Returns
    -------
    ExperimentDesign

    Raises
    ------
    DataError
        No history, an account twice, too few accounts for the arms.
    SettingsError
        An impossible option.

    Notes
    -----
    The formula is the normal one, with the variance that the past takes off. The simulation draws the design over what
    the accounts really did in their last window, multiplies the treated ones' outcome, and counts how often the
    randomisation test would see it: heavy tails and zeros are in it, and so are blocks and clusters. Several arms
    share the level (Bonferroni).
    """
    arms = dict(arms or {"treatment": 1.0, control: 1.0})
    _check(arms, control, power, confidence, window, effect, looks, draws)
    frame = accounts.reset_index() if accounts.index.name == "account_id" and "account_id" not in accounts else accounts
    frame = frame.reset_index(drop=True)
    if "account_id" not in frame:
        raise DataError("there is no such column.", table="accounts", column="account_id", mend="Add it.")
    ids = pd.Index(frame["account_id"].astype(str))
    pasts = _histories(ids, transactions, history, outcome, (window, *windows), as_of, margin)
    frame = frame.assign(before=pasts[float(window)].iloc[:, -1].to_numpy())
    drawn = assign_arms(frame, arms=arms, stratify=stratify, match=match, cluster=cluster, seed=seed)
    sizes = drawn.groupby("arm")["cluster"].nunique().reindex(list(arms), fill_value=0)
    if int(sizes.min()) < 2:
        raise DataError(
            f"the arm {sizes.idxmin()!r} gets {int(sizes.min())} of {int(sizes.sum())} units: its luck cannot be told"
            " from an effect.",
            table=TABLE, mend="Take more accounts, fewer arms, or draw accounts instead of clusters.",
        )  # fmt: skip
    table = drawn.assign(before=frame["before"].to_numpy())
    rng = np.random.default_rng([seed, 1])
    rows, curve = [], []
    for days, past in pasts.items():
        # The design as it would have been drawn a window ago: blocks must not know the outcome that they are tried on.
        earlier = frame.assign(before=past.iloc[:, -2].to_numpy() if past.shape[1] > 1 else 0.0)
        mock = assign_arms(earlier, arms=arms, stratify=stratify, match=match, cluster=cluster, seed=seed)
        for name in (a for a in arms if a != control):
            row, simulated = _smallest(mock, name, control, past, power, confidence, len(arms) - 1, draws, rng)
            rows.append({"window": days, "arm": name, **row})
            if days == float(window):
                curve += [{"arm": name, "effect": e, "power": simulated.power(e)} for e in _GRID]
                if effect is not None:
                    rows[-1]["power_at_effect"] = simulated.power(effect)
    smallest = pd.DataFrame(rows)
    planned = smallest[smallest["window"] == float(window)]
    worst = planned.iloc[int(planned["simulated_relative"].to_numpy().argmax())]
    lag = sales_cycle(opportunities)
    can_show, needed, chance = None, None, math.nan
    if effect is not None:
        chance = float(planned.pop("power_at_effect").min())
        smallest = smallest.drop(columns="power_at_effect")
        can_show = bool(worst["simulated_relative"] <= effect)
        if not can_show and math.isfinite(worst["simulated_relative"]):
            fewer = min(worst["accounts"], worst["controls"])
            needed = math.ceil(fewer * (worst["simulated_relative"] / effect) ** 2)
    plan = Registration(
        outcome=outcome, control=control, arms={k: float(v) for k, v in arms.items()}, confidence=confidence,
        power=power, smallest_effect=float(worst["simulated"]), window=float(window), lag=lag, looks=looks, seed=seed,
        assignment=dict(zip(table["account_id"], table["arm"], strict=True)),
    )  # fmt: skip
    draft = ExperimentDesign(
        table, "", smallest, pd.DataFrame(curve), math.nan if effect is None else effect, chance, can_show, needed,
        float(window), lag, lag + float(window), plan, currency,
    )  # fmt: skip
    return ExperimentDesign(**{**draft.__dict__, "text": design_text(draft)})


def _histories(
    ids: pd.Index, transactions: pd.DataFrame | None, history: pd.DataFrame | None, outcome: str,
    windows: tuple[float, ...], as_of: Date | None, margin: float,
) -> dict[float, pd.DataFrame]:  # fmt: skip
    """Outcome of each account in past windows, by the length of the window."""
    if (transactions is None) == (history is None):
        raise SettingsError("power needs the accounts' past, once.", mend="Give either transactions or history.")
    if history is not None:
        if len(windows) > 1:
            raise SettingsError("a history is of one window.", mend="Give transactions, or no other windows.")
        if history.empty or not history.shape[1]:
            raise DataError("has no column.", table="history", mend="Give at least one past window.")
        past = history.set_axis(history.index.astype(str)).rename(columns=str).reindex(ids)
        if past.isna().any(axis=None):
            account = ids[int(np.argmax(past.isna().any(axis=1).to_numpy()))]
            raise DataError(f"nothing is known of {account!r}.", table="history", mend="Leave it out, or give a 0.")
        for name in past:
            numbers(past, str(name))
        return {float(windows[0]): past.astype(float)}
    assert transactions is not None
    return {
        float(days): outcome_history(transactions, ids, outcome=outcome, window=days, as_of=as_of, margin=margin)
        for days in dict.fromkeys(windows)
    }


def _smallest(  # type: ignore[no-untyped-def]
    table: pd.DataFrame, name: str, control: str, past: pd.DataFrame, power: float, confidence: float,
    comparisons: int, draws: int, rng: np.random.Generator,
):  # fmt: skip
    """Smallest detectable effect of one arm, by formula and by drawing the design again."""
    keep = table["arm"].isin([name, control]).to_numpy()
    rows = table[keep]
    latest = past.iloc[:, -1].to_numpy(float)[keep]
    before = past.iloc[:, -2].to_numpy(float)[keep] if past.shape[1] > 1 else None
    x: Floats | None = None if before is None or np.ptp(before) == 0 else before[:, None]
    treated = (rows["arm"] == name).to_numpy()
    sizes = int(treated.sum()), int((~treated).sum())
    r = 0.0 if x is None or np.ptp(latest) == 0 else float(np.corrcoef(latest, x[:, 0])[0, 1])
    both = rows.groupby("block")["arm"].transform("nunique").to_numpy() == 2
    comparison = Comparison.of(
        treated[both], block=codes(rows["block"][both]), cluster=codes(rows["cluster"][both]),
        covariates=None if x is None else x[both],
        adjustment="none" if x is None else "lin" if min(sizes) >= LIN_ACCOUNTS else "cuped",
    )  # fmt: skip
    level = 1 - (1 - confidence) / comparisons
    simulated = simulate_power(comparison, latest[both][comparison.order], confidence=level, draws=draws, rng=rng)
    sd, mean = float(latest.std(ddof=1)), float(latest.mean())
    sizes_of = rows.groupby("cluster").size().to_numpy(float)
    # As an account sees it: large groups weigh more (Kish 1965, §8.2).
    per_unit = float((sizes_of**2).sum() / sizes_of.sum())
    formula = smallest_detectable_effect(
        *sizes, sd=sd, correlation=min(max(r, -0.999), 0.999), power=power, confidence=confidence,
        comparisons=comparisons, cluster_size=per_unit, intraclass=_intraclass(latest, rows["cluster"]),
    )  # fmt: skip
    relative = simulated.smallest(power) if mean > 0 else math.inf
    row = {
        "accounts": sizes[0], "controls": sizes[1], "mean": mean, "sd": sd, "zeros": float((latest == 0).mean()),
        "correlation": r, "formula": formula, "formula_relative": formula / mean if mean > 0 else math.inf,
        "simulated": relative * mean if mean > 0 else math.inf, "simulated_relative": relative,
    }  # fmt: skip
    return row, simulated


def _intraclass(y: Floats, cluster: pd.Series) -> float:
    """Intraclass correlation by analysis of variance (Fisher 1925); 0 where every account is alone."""
    groups = pd.Series(y).groupby(cluster.to_numpy())
    size, mean = groups.size().to_numpy(float), groups.mean().to_numpy()
    many, n = len(size), len(y)
    if many == n or many < 2:
        return 0.0
    between = float((size * (mean - y.mean()) ** 2).sum()) / (many - 1)
    within = float(groups.var(ddof=0).to_numpy() @ size) / (n - many)
    typical = (n - float((size**2).sum()) / n) / (many - 1)
    total = between + (typical - 1) * within
    return max(0.0, (between - within) / total) if total > 0 else 0.0


def _check(
    arms: dict[str, float], control: str, power: float, confidence: float, window: float, effect: float | None,
    looks: int, draws: int,
) -> None:  # fmt: skip
    if control not in arms:
        raise SettingsError(
            f"none of the arms {', '.join(arms)} is the control {control!r}: without one nothing can be measured.",
            mend="Add it, or name the control.",
        )
    if not (0 < power < 1 and 0 < confidence < 1 and window > 0 and looks >= 1 and draws >= 200):
        raise SettingsError(
            f"power {power}, confidence {confidence}, window {window}, looks {looks} or draws {draws} are impossible.",
            mend="Probabilities lie between 0 and 1, a window is positive, 200 draws or more are needed.",
        )
    if effect is not None and not 0 < effect < math.inf:
        raise SettingsError(f"effect = {effect!r}.", mend="Give the relative increase worth seeing, such as .1.")
