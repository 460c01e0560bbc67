"""The universe that ships as the sample `demo`."""

from __future__ import annotations

from pathlib import Path

from clv.data.simulate.universe import Universe, draw


def draw_demo() -> Universe:
    """Draw the universe behind the committed files."""
    return draw(accounts=600, seed=1, years=3)


def write_demo(folder: str | Path) -> list[Path]:
    """Write the demo's tables and truth into a folder; its `study.yml` is written by hand and not touched.

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    return draw_demo().write(folder)
