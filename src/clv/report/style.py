"""The look of charts in a notebook: one line, ``style.use()``, and the same bytes on every run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Wong's palette (Nature Methods 8, 2011), told apart with every common colour blindness; blue first.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b")

_INK = "#24292f"
_RC: dict[str, Any] = {
    "figure.figsize": (7.2, 4.0),
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 11.5,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#8c959f",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    # Ids inside the drawing are hashes: salted with a constant, they are the same on every run.
    "svg.hashsalt": "clv",
    # Letters as outlines: a page looks the same where the font is missing.
    "svg.fonttype": "path",
    "path.simplify": True,
}


def use() -> None:
    """Set seaborn's theme and, in a notebook, show figures as reproducible SVG.

    Whatever a user's own ``matplotlibrc`` says is undone first, so that a report looks the same everywhere.
    """
    import matplotlib as mpl
    import matplotlib.pyplot
    import seaborn as sns

    # Not rcdefaults(): it would put the notebook's backend back to matplotlib's own.
    mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if "backend" not in key})
    sns.set_theme(context="notebook", style="whitegrid", palette=list(PALETTE), rc=_RC)
    _show_as_svg()


def draw_svg(figure: Figure) -> str:
    """Draw a figure as SVG without date, generator or random ids.

    Returns
    -------
    str
        Its ``<title>`` is the figure's: what a screen reader says instead of the picture.
    """
    buffer = io.BytesIO()
    metadata: dict[str, str | None] = {"Date": None, "Creator": None, "Format": None, "Type": None}
    title = _title(figure)
    if title:
        metadata["Title"] = title
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata=metadata)
    return buffer.getvalue().decode()


def _title(figure: Figure) -> str:
    titles = [figure.get_suptitle()]
    for axes in figure.axes:
        titles += [axes.get_title(loc=place) for place in ("left", "center", "right")]
    return "; ".join(" ".join(title.split()) for title in titles if title)


def _show_as_svg() -> None:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if "inline" in mpl.get_backend().lower():
        # The backend sets its own formats when it is configured, later than this cell: have it done now.
        from matplotlib_inline.backend_inline import configure_inline_support

        configure_inline_support(shell, "inline")
    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, draw_svg)
