"""The register of claims: what surveys and vendors say of account-based marketing, beside what the study found itself.

A claim is never a prior, a default or an expectation: nothing that computes a result imports this module, which a test
asserts. The figures are those that rule D9 collects; where a claim was made by whom exactly is often not traceable any
more, and the register says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from clv.errors import DataError
from clv.result import Result

COLUMNS = ("claim_id", "topic", "claim", "figure", "unit", "source", "kind", "control_group", "compare_with")


@dataclass(frozen=True, eq=False)
class Claims(Result):
    """Claims, with the study's own evidence beside them.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a claim: claim_id, topic, claim (in words), figure, unit, source (named sources of the register),
        kind (survey or vendor), control_group (whether it was measured against one: none known), compare_with (the
        name of what a study can measure in its place), own (the study's figure, in words; empty where there is none).
    """


def claims_register() -> pd.DataFrame:
    """Read the register that ships with clv."""
    text = files("clv.abm").joinpath("claims.json").read_text(encoding="utf-8")
    table = pd.DataFrame(json.loads(text)["claims"])
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or table["claim_id"].duplicated().any():
        raise DataError("the register is damaged.", table="claims", column=(missing or ["claim_id"])[0])
    return table[list(COLUMNS)]


def show_claims(own: dict[str, str] | None = None) -> Claims:
    """Set what others claim beside what the study found.

    Parameters
    ----------
    own : dict of str to str, optional
        What is compared (see `compare_with`) -> the study's own finding, in words with its interval.

    Returns
    -------
    Claims

    Raises
    ------
    DataError
        Nothing in the register is compared with a key of `own`.
    """
    table = claims_register()
    own = own or {}
    known = set(table["compare_with"]) - {""}
    lost = sorted(set(own) - known)
    if lost:
        raise DataError(
            f"no claim is compared with {lost[0]!r}.", table="claims", column="compare_with",
            mend=f"Use {', '.join(sorted(known))}.",
        )  # fmt: skip
    table = table.assign(own=[own.get(str(name), "") for name in table["compare_with"]])
    beside = int((table["own"] != "").sum())
    text = (
        f"{len(table)} claims of surveys and vendors; {beside} have a finding of this study beside them. As far as is"
        " known none was measured against a control group, those who answered chose to, and none enters a number here."
    )
    sources = table["source"].unique()
    if len(sources) == 1:
        text += f" Named as source: {sources[0]}."
    return Claims(table, text)
