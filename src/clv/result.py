"""What every analysis returns: a table, a sentence and a picture."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Result:
    """A finding in three forms.

    Attributes
    ----------
    table : pandas.DataFrame
        The numbers, in the schema that `clv.data.tables` declares for them.
    text : str
        The finding in words, with its numbers; plain text, never markup.
    """

    table: pd.DataFrame
    text: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the finding.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
        """
        raise NotImplementedError(f"{type(self).__name__} has no picture")

    def _repr_html_(self) -> str:
        """Show the sentence in a notebook, escaped: account ids are other people's text."""
        paragraphs = (p for p in self.text.split("\n\n") if p.strip())
        return "".join(f'<p class="finding">{html.escape(p)}</p>' for p in paragraphs)


@dataclass(frozen=True, eq=False)
class Missing(Result):
    """What cannot be found because the data for it are not there: an empty table, and a sentence that says so."""

    @classmethod
    def because(cls, text: str) -> Missing:
        """Make one from its sentence."""
        import pandas as pd

        return cls(pd.DataFrame(), text)
