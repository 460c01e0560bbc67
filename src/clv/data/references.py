"""Ids that one table of a study uses and another does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from clv.data.tables import INPUTS

if TYPE_CHECKING:
    from clv.data.study import Study

#: column, the table that it refers to, the key there.
_REFERENCES = (
    ("account_id", "accounts", "account_id"),
    ("parent_id", "accounts", "account_id"),
    ("contact_id", "contacts", "contact_id"),
    ("opportunity_id", "opportunities", "opportunity_id"),
)


def find_lost(study: Study) -> pd.DataFrame:
    """Find them in all tables; see `clv.data.study.Study.references`."""
    lines = []
    for table in study.settings.tables:
        for column, target, key in _REFERENCES:
            if column not in INPUTS[table].columns or not study.has(target) or (table, column) == (target, key):
                continue
            ids = study.read(table).table.get(column, pd.Series(dtype=str)).dropna()
            lost = ids[~ids.isin(study.read(target).table[key])]
            distinct = sorted(set(lost))
            lines.append((table, column, target, len(lost), len(distinct), ", ".join(distinct[:5])))
    return pd.DataFrame(lines, columns=["table", "column", "refers_to", "rows", "ids", "examples"])
