"""The tables of a study of calibration: by stage, from stage to stage, by forecast, and the model beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from clv.churn import calibration_scores as scores
from clv.churn.severity import STAGES

#: name of the model's own forecast.
MODEL = "model"


def by_stage(all_of: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Compare by stage, over all cutoffs."""
    grouped = all_of.groupby("stage")
    n = grouped.size().reindex(pd.Index(STAGES, name="stage"), fill_value=0)
    means = grouped[[MODEL, "silent", "in_rhythm"]].mean().reindex(n.index)
    table = pd.DataFrame({"accounts": n, "predicted": means[MODEL], "silent": means["silent"]})
    count = n.to_numpy(float)
    silent = (means["silent"].fillna(0) * n).round().to_numpy(float)
    limits = scores.jeffreys(silent, np.maximum(count, 1), confidence=confidence)
    for name, values in zip(("lower", "upper"), limits, strict=True):
        table[name] = np.where(count > 0, values, np.nan)
    table["in_rhythm"] = means["in_rhythm"]
    bought, expected = count - silent, (count * (1 - means["in_rhythm"].fillna(1))).to_numpy(float)
    table["kept"] = np.divide(bought, expected, out=np.full(len(n), np.nan), where=expected > 0)
    table["kept_lower"], table["kept_upper"] = scores.ratio_interval(bought, expected, confidence=confidence)
    return table


def order_of(table: pd.DataFrame) -> pd.DataFrame:
    """Say of each step from a stage to the next whether it goes the right way, and how surely."""
    there = table[table["accounts"] > 0]
    spread = np.sqrt((there["silent"] * (1 - there["silent"]) / there["accounts"]).to_numpy())
    kept_spread = spread / (1 - there["in_rhythm"]).to_numpy()
    rows = []
    for place in range(1, len(there)):
        before, after = there.iloc[place - 1], there.iloc[place]
        row: dict[str, Any] = {"stage": there.index[place - 1], "next": there.index[place]}
        for name, error in (("silent", spread), ("kept", kept_spread)):
            change, sd = after[name] - before[name], float(np.hypot(error[place - 1], error[place]))
            row |= {f"{name}_change": change, f"{name}_z": change / sd if sd > 0 else np.nan}
        rows.append(row)
    columns = ["stage", "next", "silent_change", "silent_z", "kept_change", "kept_z"]
    return pd.DataFrame(rows, columns=columns)


def curve_of(all_of: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
    """Return the reliability curve of a forecast, over all cutoffs where it has one."""
    rows = all_of[all_of[name].notna()]
    return scores.reliability(rows["silent"].to_numpy(), rows[name].to_numpy(), confidence=confidence)


def scores_of(all_of: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Score every forecast at each cutoff and over all."""
    rows = []
    groups = [("all", all_of), *((f"{date:%Y-%m-%d}", part) for date, part in all_of.groupby("cutoff"))]
    for name in names:
        for label, part in groups:
            used = part[part[name].notna()]
            if used.empty:
                continue
            y, p = used["silent"].to_numpy(), used[name].to_numpy()
            ece, chance = scores.expected_calibration_error(scores.reliability(y, p))
            level, slope = scores.cox(y, p)
            rows.append(
                {
                    "forecast": name, "cutoff": label, "accounts": len(used), "predicted": p.mean(), "silent": y.mean(),
                    "ece": ece, "ece_chance": chance, "level": level, "slope": slope,
                    "ece_levelled": _levelled(used, name),
                    "brier": scores.brier(y, p).mean(), "log_loss": scores.log_loss(y, p).mean(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows).set_index(["forecast", "cutoff"])


def _levelled(used: pd.DataFrame, name: str) -> float:
    """Return the calibration error of forecasts whose level is right at every cutoff."""
    y, p = used["silent"].to_numpy(), used[name].to_numpy(copy=True)
    for _, rows in used.groupby("cutoff").indices.items():
        p[rows] = scores.moved(p[rows], scores.cox(y[rows], p[rows])[0])
    return scores.expected_calibration_error(scores.reliability(y, p))[0]


def differences_of(all_of: pd.DataFrame, others: Sequence[str]) -> pd.DataFrame:
    """Compare the model with every other forecast on the same account-dates."""
    rows = []
    for name in others:
        used = all_of[all_of[name].notna()]
        row: dict[str, Any] = {"forecast": name, "accounts": len(used)}
        y, who = used["silent"].to_numpy(), pd.factorize(used["account_id"])[0]
        for score in (scores.brier, scores.log_loss):
            lost = score(y, used[MODEL].to_numpy()) - score(y, used[name].to_numpy())
            row[score.__name__] = lost.mean() if len(lost) else np.nan
            row[f"{score.__name__}_error"] = scores.clustered_error(lost, who)
        rows.append(row)
    return pd.DataFrame(rows).set_index("forecast")
