"""The `study.yml` that `clv init` writes, with comments that say what is guessed and what is a default."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from clv.data.reading.cell_text import Coded
from clv.data.reading.convert import date_reading
from clv.data.reading.dates import Reading
from clv.data.reading.numerals import decide_decimal
from clv.data.start.guess import Match
from clv.data.tables import INPUTS
from clv.errors import DataError

_SIGNS = {
    **{"€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP", "$": "USD", "USD": "USD"},
    **{"₽": "RUB", "руб": "RUB", "CHF": "CHF"},
}


def write_table(match: Match) -> tuple[str, list[str]]:
    """Write one table's entry under `tables:`.

    Returns
    -------
    entry : str
        Lines of YAML, what is open as comments.
    notes : list of str
        What a person should check.
    """
    notes = [f"{match.table}: which column is {name}? There are {', '.join(match.unused)}" for name in match.unknown]
    lines = [f"  {match.table}:", f"    path: {_scalar(match.source.path)}"]
    if match.source.sheet is not None:
        lines.append(f"    sheet: {_scalar(match.source.sheet)}")
    if match.source.columns or match.unknown:
        lines.append("    columns:")
        lines += [f"      {ours}: {_scalar(theirs)}" for ours, theirs in match.source.columns.items()]
        lines += [f"      # {name}: ???   could not be told from the names" for name in match.unknown]
        if not match.source.columns:
            lines[-len(match.unknown) - 1] = "    # columns:"
    if match.unused:
        lines.append(f"    # not used: {', '.join(map(str, match.unused))}")
    for setting, note in _undecided(match):
        lines.append(f"    # {setting}   {note}")
        notes.append(f"{match.table}: {note}")
    return "\n".join(line.replace("\n", " ") for line in lines), notes


def _undecided(match: Match) -> list[tuple[str, str]]:
    """List settings that the values leave open."""
    open_questions = []
    frame, kinds = match.cells.frame, {n: (c.metadata or {})["kind"] for n, c in INPUTS[match.table].columns.items()}
    for ours, kind in kinds.items():
        theirs = match.source.columns.get(ours, ours)
        if theirs not in frame:
            continue
        try:
            if kind == "date":
                date_reading(Coded(frame[theirs]), Reading(), table=None, column=theirs)
            elif kind == "number":
                decide_decimal(_texts(frame[theirs]), semicolon=match.cells.semicolon)
        except DataError as fault:
            setting = re.search(r"'((?:dayfirst|timezone|decimal):.*?)'", fault.mend or "")
            open_questions.append((setting[1] if setting else "", fault.message))
        if ours == "account_id" and match.table == "transactions" and (lost := int(Coded(frame[theirs]).empty.sum())):
            open_questions.append(("", f"{lost:,} rows have no account; see rules.missing_account"))
    return open_questions


def write_study(folder: Path, matches: list[Match], blocks: list[str], text: str) -> str:
    """Write the whole `study.yml`: what was guessed as comments, entries of the tables, and the usual choices."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_")[:64] or "study"
    currency, seen = _currency(next(match for match in matches if match.table == "transactions"))
    said = "\n".join(f"#   {line}" for line in text.splitlines())
    return f"""# Written by clv init; everything in it is a guess or a default, and yours to change.
#
{said}
#
# Then: clv check FOLDER shows what is read and what is rejected; clv report FOLDER writes the report.

name: {_scalar(name)}
title: {_scalar(folder.resolve().name or name)}
description: ""
provenance: ""            # where the data come from
licence: ""
currency: {currency}             # {"from the amounts" if seen else "an assumption"}
unit: W                   # unit of the horizon: D days, W weeks, M months, Y years
grain: D                  # purchases within one day (D), week (W) or month (M) count as one
as_of: null               # the last day that counts; null: the day of the last purchase
horizon: 52               # how far ahead value is counted, in the unit
margin: 0.3               # contribution margin as a share of sales: an assumption, put yours
discount_rate: 0.1        # a year

tables:
{chr(10).join(blocks)}

# Rows that are no plain purchases; every choice is counted in the reconciliation.
rules:
  duplicates: drop        # rows equal in every column: drop or keep
  credits: net            # credit notes: net against purchases, drop, or keep
  # credit_pattern: "^C"  # how an invoice number says that it cancels
  # pseudo_items: [POST]  # products that are no goods
  missing_account: error  # or set_aside
  max_rejected: 0.0       # share of rows that may be in error before a run stops

# What a tier costs an account, in money and in hours of a manager, over the horizon. The uplift (of the expected
# margin) is an assumption until an experiment measures it.
tiers:
  - {{name: "1:1", cost: 8000, hours: 120, uplift: 0.30}}
  - {{name: "1:few", cost: 1500, hours: 20, uplift: 0.12}}
  - {{name: "1:many", cost: 100, hours: 1, uplift: 0.03}}
# budget: 100000          # money for the whole programme
# hours: 2000             # manager hours for the whole programme

# What else limits the plan; take away the # of what you need. Unless you say otherwise, a tenth of each tier is left
# out by lot, so that the next plan knows what the tiers add.
# limits:
#   holdout: {{share: 0.1}}                               # null: nobody is left out
#   managers: {{at_most: 3, hours: 200, tiers: ["1:1"]}}  # of each; the table managers says it by name
#   groups: [{{by: region, at_most: 20}}]                 # accounts in each group; or of: money, of: hours
#   mix: [{{tier: "1:1", at_most: 0.2}}]                  # share of prospects among the accounts of a tier
#   clusters: {{tier: "1:few", cost: 500, at_least: 5, at_most: 15}}   # the tier is given to groups of like accounts
#   must_have: [some account]
#   must_not: [another account]
#   margin_cap: 0.3                                     # of the plan's margin from one account
#   keep_last: {{switching_cost: 500}}                    # needs the table programmes
#   reserved_hours: {{total: 200}}                        # for all other accounts; needs hours
"""


def _currency(match: Match) -> tuple[str, bool]:
    for ours in ("amount", "unit_price"):
        theirs = match.source.columns.get(ours, ours)
        if theirs in match.cells.frame:
            texts = " ".join([theirs, *_texts(match.cells.frame[theirs])[:100]])
            for sign, code in _SIGNS.items():
                if sign in texts:
                    return code, True
    return "EUR", False


def _texts(column: pd.Series) -> list[str]:
    return Coded(column).evidence(np.ones(len(column), dtype=bool))


def _scalar(value: object) -> str:
    """Write a value so that YAML reads it back as it is."""
    return (
        yaml.safe_dump(value, allow_unicode=True, width=10**6, default_flow_style=True)
        .splitlines()[0]
        .removesuffix("...")
        .strip()
    )
