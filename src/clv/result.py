"""What every analysis returns: a table, a sentence and a picture.

And how the sentences of all rooms write money and changes.
"""

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


def money(x: float, currency: str = "", *, beside: float = 0.0) -> str:
    """Write money: whole from 100 up, or where an amount `beside` it is, to the cent below, with a proper minus sign.

    Examples
    --------
    >>> money(12345.6, "EUR"), money(-3.456), money(0.0), money(-0.001), money(-3.456, beside=200)
    ('12,346 EUR', '−3.46', '0', '0', '−3')
    """
    digits = 0 if max(abs(x), abs(beside)) >= 99.995 or round(x, 2) == 0 else 2
    text = f"{x:,.{digits}f}"
    text = "0" if text.strip("-") == "0" else text.replace("-", "\N{MINUS SIGN}")
    return f"{text} {currency}".rstrip()


def money_range(low: float, high: float, currency: str = "") -> str:
    """Write a range of money, both ends with the digits of the larger one.

    Examples
    --------
    >>> money_range(-32.14, 3272.4, "EUR"), money_range(0.5, 12.25)
    ('−32 to 3,272 EUR', '0.50 to 12.25')
    """
    return f"{money(low, beside=high)} to {money(high, currency, beside=low)}"


def signed(x: float, form: str = ".0%") -> str:
    """Write a number, by default a share, with its sign: a plus or a proper minus.

    Examples
    --------
    >>> signed(0.4), signed(-0.051, ".1%"), signed(-1234.5, ",.0f")
    ('+40%', '−5.1%', '−1,234')
    """
    return f"{x:+{form}}".replace("-", "\N{MINUS SIGN}")
