"""`clv init`: a person's own files become a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from clv.data.reading.sources import read_cells
from clv.data.settings import Settings, TableSource
from clv.data.start.guess import Match, Sheet, match_tables
from clv.data.start.init_file import write_study, write_table
from clv.data.tables import INPUTS
from clv.errors import ClvError, DataError, RunError, SettingsError

_ENDINGS = {".csv", ".txt", ".tsv", ".tab", ".xlsx", ".xlsm", ".parquet", ".pq"}


@dataclass(frozen=True)
class Proposal:
    """A study that was guessed from files.

    Attributes
    ----------
    yaml : str
        The commented `study.yml`.
    text : str
        What was guessed, and what could not be, in words.
    """

    yaml: str
    text: str


def init_study(folder: str | Path) -> Path:
    """Look at the files in a folder and write a `study.yml` for them.

    Parameters
    ----------
    folder : str or pathlib.Path
        Holds CSV, Excel or Parquet files.

    Returns
    -------
    pathlib.Path
        The file that was written. What was guessed stands in it as comments.

    Raises
    ------
    SettingsError
        The folder is none, or has a `study.yml` already.
    DataError
        No file in it can be taken for transactions.
    RunError
        It cannot be written to.
    """
    folder = Path(folder)
    target = folder / "study.yml"
    if target.exists():
        raise SettingsError(f"{target} is there already.", mend="Edit it, or move it away first.")
    proposal = propose_study(folder)
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(proposal.yaml)
    except OSError as fault:
        raise RunError(f"{target} cannot be written ({fault.strerror}).", mend="Give yourself the right to.") from None
    return target


def propose_study(folder: str | Path) -> Proposal:
    """Guess a study from the files in a folder, writing nothing; arguments and errors as in `init_study`."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder.", mend="Give the folder that holds your files.")
    sheets, unread = _sheets(folder)
    matches = match_tables(sheets)
    if "transactions" not in {match.table for match in matches}:
        seen = "".join(f"\n  {sheet.source.path}: {', '.join(map(str, sheet.cells.frame.columns))}" for sheet in sheets)
        raise DataError(
            "no file here can be taken for transactions (who bought, when, for how much)."
            + (f" There are:{seen}" if seen else " There is no CSV, Excel or Parquet file that can be read.")
            + "".join(f"\n  {note}" for note in unread)
            + "\n",
            mend="Export invoices or orders with account, date and amount, and name the columns so.",
        )
    used = {(m.source.path, m.source.sheet) for m in matches}
    idle = [str(s.source.path) for s in sheets if (s.source.path, s.source.sheet) not in used]
    blocks = [write_table(match) for match in matches]
    notes = [note for _, block_notes in blocks for note in block_notes]
    notes += [f"not used, no table was recognised in it: {name}" for name in idle]
    notes += [f"not read: {note}" for note in unread]
    text = "\n".join([*(_sentence(match) for match in matches), *(f"Check: {note}" for note in notes)])
    document = write_study(folder, matches, [block for block, _ in blocks], text)
    Settings.model_validate(yaml.safe_load(document))
    return Proposal(document, text)


def _sheets(folder: Path) -> tuple[list[Sheet], list[str]]:
    """Read every file that may be a table; what cannot be read is told."""
    sheets: list[Sheet] = []
    unread: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith((".", "~$")) or not path.is_file():
            continue
        names: list[str] | list[None] = _sheet_names(path) if path.suffix.lower() in {".xlsx", ".xlsm"} else [None]
        for name in names:
            source = TableSource(path=path.name, sheet=name)
            try:
                sheets.append(Sheet(source, read_cells(source, folder=folder)))
            except ClvError as fault:
                unread.append(str(fault))
    return sheets, unread


def _sheet_names(path: Path) -> list[str] | list[None]:
    import openpyxl

    try:
        names = openpyxl.load_workbook(path, read_only=True).sheetnames
    except Exception:  # whatever is wrong with it, reading it will say so in our words
        return [None]
    return list(names) if len(names) > 1 else [None]


def _sentence(match: Match) -> str:
    required = [name for name, column in INPUTS[match.table].columns.items() if column.required]
    present = {ours: match.source.columns.get(ours, ours) for ours in INPUTS[match.table].columns}
    present = {ours: theirs for ours, theirs in present.items() if theirs in match.cells.frame}
    if match.table == "transactions" and "amount" not in present and "unit_price" in present:
        present["amount"] = f"{present['quantity']} × {present['unit_price']}"
    found = [f"{ours} = {present[ours]}" for ours in required if ours in present]
    sheet = f", sheet {match.source.sheet}" if match.source.sheet else ""
    return f"{match.table}: {match.source.path}{sheet} ({len(match.cells.rows):,} rows; {', '.join(found)})."
