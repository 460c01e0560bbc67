"""The data dictionary: what `clv.data.tables` and `clv.data.settings` declare, as a page a person can read.

``python -m clv.data.dictionary > data/README.md`` writes it; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pandera.pandas as pa

from clv.data.samples import list_samples
from clv.data.tables import INPUTS, RUN_TABLES, describe

_INTRODUCTION = """# Data dictionary

Generated from `clv.data.tables` by `python -m clv.data.dictionary > data/README.md`; do not edit it by hand.

A study is a folder with tables and a `study.yml` that says where they are and how their columns are called there.
Only `transactions` is required. Each further table unlocks its part of the reports.

Kinds: **id** text, whatever it looks like (`007` stays `007`, `NA` is an id); **text**; **date** a day or a moment
on the clock of the study, without time zone; **number**; **integer**; **flag** yes or no. A column that is not
required may be absent, and may be empty where it is present.

## How files are read

- Text files with `,` `;` tab or `|` (detected), or any `separator:`; UTF-8, UTF-16 with its mark, or an older
  encoding that its letters give away, else told by `encoding:`. Excel `.xlsx`, Parquet, DuckDB, and every database
  that SQLAlchemy reaches.
- The decimal sign is decided for all number columns of a table together, by the cells that can be read one way
  only. Where every cell is like `1,234`, that is one thousand two hundred thirty-four, and `1.234` a little more
  than one; in a file with semicolons neither is taken for granted and `decimal:` is asked for. Currency signs,
  blanks between thousands, `(12.50)` and `12.50-` for minus, and per-cent signs are understood.
- Dates: ISO, `date_format:` as told, or numbers whose day or month comes first, decided over the whole column;
  where no row decides it, `dayfirst:` is asked for. Numbers with dots are day first. Five-digit numbers are Excel
  dates. Times with an offset become UTC, or the clock told by `timezone:`; differing offsets need it.
- Rows are numbered as a person counts them: 2 is the first under the header of a text file or sheet, 1 the first in
  Parquet, a database or a file without header.
- Nothing is lost: read = accepted + rejected, in rows and, to the millionth, in money. A row whose money cannot be
  read counts as a row without money.

## Lines that are no purchases

A line is counted under the first of these that it meets; each can be overridden under `rules:`. Missing account ·
exact duplicate of an earlier row (in every column of the source) · negative price · zero price or amount ·
pseudo-item (postage, fees) · payment of a contract (`contract_items`, `contract_invoices`; by default no line is one) ·
credit. A credit (negative amount or quantity, or an invoice number that matches `credit_pattern`) is taken off the
purchases of the same account and product that are not later than it, the latest first, in part or in full; what finds
no purchase is set aside and takes nothing off others. A purchase of which a part was returned stays, with its quantity
and amount reduced in proportion; one that was returned in full is set aside.

What is left becomes purchases: all that an account buys within one interval of the `grain` is one. An order that was
netted to nothing is none, and an account that has no order left is not valued. An order of which every line is free
(with `zero_prices: keep`) counts, with money 0. With `credits: keep` an interval in which credits take all that was
bought, or more, is no purchase, and its money is set against no other; `clv.reconcile_spend` says how much that is.
Margins are one share of sales for the study (`margin`), or each account's own (`margin_by: accounts` or
`margin_by: transactions`, by the column `margin_share`).

A margin counts once, with a contract or as a purchase. Lines that are payments of contracts are named by
`contract_items` or `contract_invoices`; `clv.contract_payments` lists lines that look like one and are not named.
"""


def data_dictionary() -> str:
    """Write the dictionary.

    Returns
    -------
    str
        Markdown: how files are read, the input tables, the tables between notebooks, the samples.
    """
    parts = [_INTRODUCTION, "## Tables of a study\n"]
    parts += [line for schema in INPUTS.values() for line in _table(schema)]
    parts.append(
        "## Tables between the notebooks\n\nParquet files in the run folder, so that any notebook can be run alone.\n"
    )
    parts += [line for schema in RUN_TABLES.values() for line in _table(schema)]
    parts.append("## Samples\n")
    for sample in list_samples().to_dict("records"):
        kind = "synthetic" if sample["synthetic"] else "real"
        provenance = " ".join(str(sample["provenance"]).split())
        licence = " ".join(str(sample["licence"]).split())
        parts.append(f"- **{sample['name']}** ({kind}): {sample['title']}. {provenance} Licence: {licence}")
    return "\n".join(parts) + "\n"


def _table(schema: pa.DataFrameSchema) -> Iterator[str]:
    yield f"### {schema.name}\n"
    yield f"{schema.description}\n"
    yield "| column | kind | required | meaning |"
    yield "|---|---|---|---|"
    for name, kind, required, about in describe(schema):
        yield f"| `{name}` | {kind} | {'yes' if required else ''} | {about} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
