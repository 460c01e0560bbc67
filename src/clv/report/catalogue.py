"""Which notebooks there are, in which order they run, and which of them rest on one another."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clv.errors import RunError

#: Notebooks that ship, in the order in which they run -> those whose failure makes them pointless.
#: A notebook of another name runs after these, in alphabetical order, and rests on none.
NEEDS: dict[str, tuple[str, ...]] = {
    "data_quality": (),
    "customer_value": (),
    "churn_stages": ("customer_value",),
    "account_selection": ("customer_value", "churn_stages"),
    "tier_allocation": ("account_selection",),
    "abm_roi": (),
    "validation": (),
}


@dataclass(frozen=True)
class Notebook:
    """A notebook that makes one page of a report.

    Attributes
    ----------
    name : str
        File name without its ending; also the name of the page.
    path : pathlib.Path
    needs : tuple of str
        Notebooks without which this one cannot say anything.
    """

    name: str
    path: Path
    needs: tuple[str, ...] = ()


def find_notebooks(folder: Path | None = None, *, only: Sequence[str] = ()) -> list[Notebook]:
    """List the notebooks of a report in running order.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they are; None: those that ship with clv.
    only : sequence of str
        Names to choose; empty: all.

    Returns
    -------
    list of Notebook

    Raises
    ------
    RunError
        There is no such folder, it holds no notebook, or a name is not among them.
    """
    if folder is None:
        from clv.data.places import notebooks_folder

        folder = notebooks_folder()
    if not folder.is_dir():
        raise RunError(
            f"There is no folder of notebooks at {str(folder)!r}.", mend="Give the folder that holds *.ipynb."
        )
    paths = {path.stem: path for path in folder.glob("*.ipynb") if not path.name.startswith(".")}
    names = in_order(paths)
    if not names:
        raise RunError(f"The folder {str(folder)!r} holds no notebook.", mend="Give the folder that holds *.ipynb.")
    for wanted in only:
        if wanted not in paths:
            near = difflib.get_close_matches(wanted, names, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise RunError(f"There is no notebook {wanted!r}.", mend=f"{hint}Known are {', '.join(names)}.")
    return [Notebook(name, paths[name], NEEDS.get(name, ())) for name in names if not only or name in only]


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of notebooks as they run and as their pages stand."""
    order = list(NEEDS)
    return sorted(names, key=lambda name: (order.index(name) if name in NEEDS else len(order), name))


def title_of(notebook: Notebook) -> str:
    """Return the first heading of a notebook, or its name where there is none or it cannot be read."""
    try:
        cells = json.loads(notebook.path.read_text("utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    except (OSError, ValueError, KeyError, TypeError):
        text = ""
    heading = next((line for line in text.splitlines() if line.startswith("# ")), "")
    return heading.removeprefix("# ").strip() or short_name(notebook.name)


#: words of notebooks' names that are written in capitals.
_CAPITALS = {"abm": "ABM", "roi": "ROI", "clv": "CLV"}


def short_name(name: str) -> str:
    """Write a notebook's name as a person would, for links and headings: ``abm_roi`` becomes ABM ROI."""
    words = " ".join(_CAPITALS.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]
