"""What a backtest found: scores, a recommendation in words, and calibration curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from clv.data.units import in_words
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Columns of scores, in the order of the table.
SCORES = ("predicted", "deviance", "mae", "bias", "lift", "top_share", "gini", "slope", "coverage")


@dataclass(frozen=True, eq=False)
class Backtest(Result):
    """Scores of models and rules at past dates.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a model, cutoff, target (purchases, sales) and segment ("all" first): accounts, actual and predicted
        (totals), deviance (mean Poisson deviance an account), mae, bias (of the total), lift (outcome of the best-
        forecast tenth over the mean), top_share (part of the outcome which that tenth holds), gini (order of accounts;
        1 is the best possible), slope (of outcome on forecast), coverage (of predictive intervals).
    calibration : pandas.DataFrame
        One row a model, cutoff, target and decile of forecasts: accounts, mean predicted, mean actual.
    ranking : pandas.DataFrame
        One row a model, best first: scores on purchases averaged over cutoffs, behind (deviance above the best) and
        its standard_error from differences account by account, recommended.
    sales_ranking : pandas.DataFrame
        The same on sales; empty where no model forecasts money.
    recommended : str
        Name of the model to use.
    horizon : float
    unit : str
    confidence : float
    notes : tuple of str
        What went wrong at which cutoff.
    """

    calibration: pd.DataFrame
    ranking: pd.DataFrame
    sales_ranking: pd.DataFrame
    recommended: str
    horizon: float
    unit: str
    confidence: float
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        calibration: pd.DataFrame,
        losses: Mapping[tuple[str, str, str], pd.Series],
        *,
        models: Sequence[str],
        horizon: float,
        unit: str,
        confidence: float,
        notes: Sequence[str],
    ) -> Self:
        """Rank models by their losses, and say which to use.

        Parameters
        ----------
        table, calibration : pandas.DataFrame
            As in the attributes.
        losses : mapping
            (model, target, cutoff) -> deviance by account.
        models : sequence of str
            In order of preference.
        horizon : float
        unit : str
        confidence : float
        notes : sequence of str

        Returns
        -------
        Backtest
        """
        purchases = _rank(table, losses, models, "purchases")
        sales = _rank(table, losses, models, "sales")
        best = str(purchases.loc[purchases["recommended"], "model"].iloc[0])
        columns = ["model", "cutoff", "target", "segment", "accounts", "actual", *SCORES]
        made = cls(
            table[columns],
            "",
            calibration,
            purchases,
            sales,
            best,
            float(horizon),
            unit,
            float(confidence),
            tuple(notes),
        )
        return replace(made, text=_sentences(made))

    @property
    def by_segment(self) -> pd.DataFrame:
        """Scores of the recommended model on purchases at the latest cutoff, the whole book first."""
        rows = self.table[(self.table["model"] == self.recommended) & (self.table["target"] == "purchases")]
        return rows[rows["cutoff"] == rows["cutoff"].max()].drop(columns=["model", "target"]).reset_index(drop=True)

    def plot(self, ax: Axes | None = None, *, target: str = "purchases", most: int = 4) -> Axes:
        """Draw calibration: mean outcome against mean forecast of tenths of the accounts, over all cutoffs.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        target : {"purchases", "sales"}
        most : int
            How many models, the best ones first.

        Returns
        -------
        matplotlib.axes.Axes
        """
        import matplotlib.pyplot as plt
        import seaborn as sns

        ranking = self.ranking if target == "purchases" else self.sales_ranking
        if ranking.empty or target not in ("purchases", "sales"):
            raise SettingsError(f"there is no forecast of {target!r}.", mend='Use "purchases", or give a spend model.')
        names = ranking["model"].head(most).tolist()
        chosen = self.calibration[(self.calibration["target"] == target) & self.calibration["model"].isin(names)]
        curve = chosen.groupby(["model", "decile"], as_index=False)[["predicted", "actual"]].mean()
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 5.2))
        end = float(curve[["predicted", "actual"]].max().max()) * 1.05 or 1.0
        # Most accounts lie near 0 and few far out: the root shows both.
        ax.set_xscale("function", functions=(_root, np.square))
        ax.set_yscale("function", functions=(_root, np.square))
        ax.plot([0, end], [0, end], color="0.6", linewidth=1, linestyle="--", zorder=0)
        sns.lineplot(
            curve, x="predicted", y="actual", hue="model", style="model", hue_order=names, style_order=names,
            markers=True, dashes=False, palette="colorblind", ax=ax,
        )  # fmt: skip
        ax.set(
            xlim=(0, end), ylim=(0, end), xlabel=f"mean forecast of {target}", ylabel=f"mean {target} that came",
            title="Calibration, by tenths of the accounts",
        )  # fmt: skip
        ax.legend(title=None, frameon=False)
        return ax


def _root(value: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(value, 0))


def _rank(
    table: pd.DataFrame, losses: Mapping[tuple[str, str, str], pd.Series], models: Sequence[str], target: str
) -> pd.DataFrame:
    """Order models by mean deviance over the cutoffs at which all that are ranked could be fitted."""
    whole = table[(table["target"] == target) & (table["segment"] == "all") & table["deviance"].notna()]
    if whole.empty:
        return pd.DataFrame(columns=["model", *SCORES[1:], "behind", "standard_error", "recommended"])
    counts = whole.groupby("model")["cutoff"].nunique()
    names = [name for name in models if counts.get(name, 0) == counts.max()]
    means = whole.groupby("model")[list(SCORES[1:])].mean().loc[names]
    # What differs by rounding only is equal: then the preferred one is the best.
    deviance = dict(zip(names, means["deviance"].to_numpy(dtype=float), strict=True))
    nearly = min(deviance.values()) * (1 + 1e-6)
    best = next(name for name in names if deviance[name] <= nearly)
    compared = {name: _behind(losses, name, best, target) for name in names}
    means["behind"] = [compared[name][0] for name in names]
    means["standard_error"] = [compared[name][1] for name in names]
    means["recommended"] = False
    # Breiman's rule of one standard error: the preferred among those that cannot be told from the best.
    within = [name for name in names if compared[name][0] <= compared[name][1]]
    means.loc[within[0], "recommended"] = True
    return means.loc[sorted(names, key=lambda name: float(f"{max(deviance[name], nearly):.6g}"))].reset_index()


def _behind(losses: Mapping[tuple[str, str, str], pd.Series], name: str, best: str, target: str) -> tuple[float, float]:
    """Return the mean difference in deviance to the best, and its standard error over accounts.

    An account counts once, with all its cutoffs: what it does at one date goes with what it does at another.
    """
    shared = [cut for model, what, cut in losses if model == name and what == target and (best, target, cut) in losses]
    parts = [(losses[name, target, cut] - losses[best, target, cut]) for cut in shared]
    by_account = pd.concat([part / (len(part) * len(parts)) for part in parts]).groupby(level=0).sum().to_numpy()
    error = float(np.sqrt(np.sum((by_account - by_account.mean()) ** 2)))
    behind, scale = float(by_account.sum()), float(pd.concat([losses[best, target, cut] for cut in shared]).mean())
    return (behind, error) if abs(behind) > 1e-6 * scale else (0.0, error)


def _sentences(found: Backtest) -> str:
    """Say which model is best, by how much, and what the rules of thumb would have cost."""
    ranking = found.ranking.set_index("model")
    whole = found.table[(found.table["segment"] == "all") & (found.table["target"] == "purchases")]
    dates = [f"{day:%Y-%m-%d}" for day in sorted(whole["cutoff"].unique())]
    when = dates[0] if len(dates) == 1 else f"{', '.join(dates[:-1])} and {dates[-1]}"
    accounts = int(whole.groupby("cutoff")["accounts"].first().max())
    best, chosen = str(ranking.index[0]), found.recommended
    said = (
        f"Use {chosen}. Forecasts made on {when} for the {in_words(found.horizon, found.unit)} that followed, of up to "
        f"{accounts:,} accounts, were closest to what came with {best} "
        f"(deviance {ranking['deviance'].iloc[0]:.3f} an account)"
    )
    if chosen != best:
        row = ranking.loc[chosen]
        said += (
            f"; {chosen} is {row['behind']:.3f} behind, less than one standard error ({row['standard_error']:.3f}), "
            "and stands before it in the order of preference"
        )
    bias, held = ranking[["bias", "coverage"]].to_numpy(dtype=float)[ranking.index.get_loc(chosen)]
    said += f". Its total was {_off(bias)}"
    if np.isfinite(held):
        said += f", and its {found.confidence:.0%} predictive intervals held {held:.0%} of the outcomes"
    said += "."
    if len(found.sales_ranking):
        sales = found.sales_ranking.set_index("model")["top_share"]
        said += " The tenth of accounts that each puts first brought, of all later sales: "
        said += ", ".join(f"{name} {share:.0%}" for name, share in sales.items()) + "."
    missing = [name for name in dict.fromkeys(whole["model"]) if name not in ranking.index]
    if missing:
        said += f" Not ranked, because they could not be fitted everywhere: {', '.join(missing)}."
    return said if not found.notes else said + "\n\n" + " ".join(found.notes)


def _off(bias: float) -> str:
    if not np.isfinite(bias):
        return "not comparable, since nobody bought"
    if abs(bias) < 0.005:
        return "right to half a per cent"
    return f"{abs(bias):.0%} too {'high' if bias > 0 else 'low'}"
