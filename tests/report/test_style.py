"""Figures as SVG: the same bytes each time, with or without a title."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from clv.report.style import draw_svg

mpl.use("Agg")


@pytest.mark.parametrize("title", ["", "Bars", "Two\nlines"])
def test_a_figure_is_drawn_with_its_title_or_without_any(title):
    figure = Figure()
    figure.subplots().set_title(title)
    drawn = draw_svg(figure)
    assert drawn.startswith("<?xml")
    assert ("<dc:title>" in drawn) == bool(title)
    assert " ".join(title.split()) in drawn
