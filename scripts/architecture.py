"""Write the module map of ARCHITECTURE.md from the first line of each module's docstring; ``--check`` compares."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "clv"
TARGET = ROOT / "ARCHITECTURE.md"
START, END = "<!-- modules: written by scripts/architecture.py -->", "<!-- /modules -->"
#: Rooms in the order in which data flow, with the question each answers.
ROOMS = {
    "data": "what happened?",
    "value": "what is an account worth?",
    "churn": "where is it in its life?",
    "abm": "whom do we choose, in which tier, for what return?",
    "report": "how does a person read it?",
}


def about(path: Path) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not said:
        raise SystemExit(f"{path.relative_to(ROOT)} has no docstring")
    return said.splitlines()[0].rstrip(".")


def folder(path: Path, depth: int) -> list[str]:
    """List the modules of a folder, then its sub-folders."""
    modules = sorted(p for p in path.glob("*.py") if p.name not in ("__init__.py", "__main__.py"))
    lines = [f"{'  ' * depth}- `{p.stem}`: {about(p)}" for p in modules]
    for sub in sorted(p for p in path.iterdir() if (p / "__init__.py").exists()):
        lines += [f"{'  ' * depth}- `{sub.name}/`: {about(sub / '__init__.py')}", *folder(sub, depth + 1)]
    return lines


def module_map() -> str:
    """Return the map as Markdown."""
    under = "\n".join(f"- `{name}`: {about(SOURCE / f'{name}.py')}" for name in ("errors", "result"))
    parts = [f"### Under all rooms\n\n{under}"]
    for room, question in ROOMS.items():
        parts.append(f"### `clv.{room}`: {question}\n\n" + "\n".join(folder(SOURCE / room, 0)))
    parts.append(f"### `clv.cli`\n\n- `cli`: {about(SOURCE / 'cli.py')}")
    return "\n\n".join(parts)


def main() -> None:
    """Write the map between the two markers, or with ``--check`` only say whether it is current."""
    text = TARGET.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    wanted = f"{before}{START}\n\n{module_map()}\n\n{END}{after}"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if text == wanted else "ARCHITECTURE.md is out of date: run `make architecture`")
    TARGET.write_text(wanted, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
