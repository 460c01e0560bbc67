"""A study on its way from purchases to tiers: the steps of `clv.report.steps` in one object, which the notebooks call.

Each step takes its input from the run folder where that holds it (left by another notebook, or put there by somebody
else) and from the step before otherwise, so that any notebook runs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clv.data import units
from clv.data.study import load_study
from clv.report.show import Remarks
from clv.report.steps.learning import LearningSteps
from clv.report.store import Store


def open_run(
    study: str | Path, run_folder: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Run:
    """Open a study for a run.

    Parameters
    ----------
    study : str or Path
        A study's folder, or the name of a sample.
    run_folder : str or Path, optional
        Where tables and models are kept between notebooks; None keeps nothing.
    overrides : mapping, optional
        Settings that replace those of ``study.yml``; keys are dotted paths (``"tiers.0.cost"``).

    Returns
    -------
    Run
    """
    loaded = load_study(study, overrides)
    folder = Path(run_folder) if run_folder else None
    # Without a folder nothing can be stale, and the inputs need not be hashed.
    return Run(study=loaded, store=Store(folder, "" if folder is None else loaded.fingerprint()))


class Run(LearningSteps):
    """A study on its way from purchases to tiers: every step, and the words for a reader."""

    @property
    def unit_words(self) -> str:
        """The unit of time in words: ``weeks``."""
        return units.name(self.settings.unit)

    @property
    def horizon_words(self) -> str:
        """The horizon in words: ``52 weeks``."""
        return units.in_words(self.settings.horizon, self.settings.unit)

    @property
    def remarks(self) -> Remarks:
        """What a reader must know about how the numbers came about."""
        settings = self.settings
        as_of = self.summary.attrs.get("clv", {}).get("as_of")
        said = [
            f"Purchases up to {as_of} are used; value is counted over the {self.horizon_words} that follow.",
            f"The contribution margin is taken as {settings.margin:.0%} of sales, the discount rate as "
            f"{settings.discount_rate:.1%} a year, compounded continuously.",
            f"Intervals hold with probability {settings.confidence:.0%} and come from {settings.draws:,} draws with "
            f"the seed {settings.seed}; they contain what is not known about an account and about the parameters.",
        ]
        if settings.synthetic:
            said.insert(0, "These data are synthetic: drawn from known distributions, not from a company.")
        return Remarks((*said, *self.notes))
