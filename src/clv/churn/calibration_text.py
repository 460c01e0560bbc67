"""What a study of calibration found, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clv.churn.words import number
from clv.result import signed


def calibration_text(
    table: pd.DataFrame, scores: pd.DataFrame, differences: pd.DataFrame, *, days: float, notes: Sequence[str]
) -> str:
    """Say how the stages and the probability of silence did.

    Parameters
    ----------
    table, scores, differences : pandas.DataFrame
        Of `clv.churn.calibration.StageCalibration`.
    days : float
        Length of the horizon.
    notes : sequence of str
    """
    there = table[table["accounts"] > 0]
    dates = sorted(set(scores.index.get_level_values("cutoff")) - {"all"})
    total = scores.xs("all", level="cutoff").loc["model"].astype(float)
    shares = ", ".join(f"{stage} {row.silent:.0%}" for stage, row in there.iterrows())
    kept = ", ".join(f"{stage} {row.kept:.0%}" for stage, row in there.iterrows())
    first = (
        f"At {len(dates)} date{'s' * (len(dates) != 1)} ({', '.join(dates)}), "
        f"{number(float(there['accounts'].sum()))} account-dates. Bought nothing in the {days:.0f} days that followed: "
        f"{shares}. Of the buyers expected if all kept their own rhythm, those there were: {kept}."
    )
    second = (
        f"The model foretold {total['predicted']:.1%} silent; {total['silent']:.1%} were. Its calibration error is "
        f"{total['ece']:.3f}, where {total['ece_chance']:.3f} would be chance, and {total['ece_levelled']:.3f} once "
        f"the level of each date is put right. Brier score {total['brier']:.4f}, log loss {total['log_loss']:.4f}."
    )
    parts = [first, second, *(_against(name, row) for name, row in differences.iterrows())]
    return "\n\n".join([" ".join(parts[:2]), " ".join(part for part in parts[2:] if part), " ".join(notes)]).strip()


def _against(name: object, row: pd.Series) -> str:
    """Say how the model compares with another forecast."""
    if not row["accounts"]:
        return ""
    said = []
    for score, label in (("brier", "Brier score"), ("log_loss", "log loss")):
        sure = abs(row[score]) > 1.96 * row[f"{score}_error"] if np.isfinite(row[f"{score}_error"]) else False
        word = ("better" if row[score] < 0 else "worse") if sure else "not surely different"
        said.append(f"{label} {signed(row[score], '.4f')} ± {1.96 * row[f'{score}_error']:.4f} ({word})")
    return f"Against the {name}: {', '.join(said)}."
