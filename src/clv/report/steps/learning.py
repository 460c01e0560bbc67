"""Steps of `clv.abm` that ask whether measuring pays: the loop in made-up books whose truth is known."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from clv.report.steps.returns import ReturnSteps
from clv.result import Missing

if TYPE_CHECKING:
    from clv.abm.loop.study import LoopStudy

#: books that a report tries the loop out in: as many as a reader waits for.
_BOOKS = 4


class LearningSteps(ReturnSteps):
    """What is gained by measuring."""

    @cached_property
    def loop_study(self) -> LoopStudy | Missing:
        """The loop of planning, measuring and planning again, in books like this synthetic one; only `validation`."""
        settings = self.settings
        if not settings.synthetic:
            return Missing.because(
                "These are real data: what each tier truly adds is not known, so that no plan can be scored against it."
            )
        from clv.abm.loop.study import study_loop

        # Hours of roles are counted together: the books know no roles.
        hours = sum(settings.hours.values()) if isinstance(settings.hours, dict) else settings.hours
        return self._told(
            "The loop cannot be tried out with these tiers",
            lambda: study_loop(
                settings.tiers, budget=settings.budget, hours=hours, universes=_BOOKS, seed=settings.seed
            ),
        )
