"""Write environment.yml from pyproject.toml: the conda user's door to the same dependencies.

Every requirement of the project, and of its ``dev`` extra, becomes a conda spec of the same name and range; what
conda-forge names differently, or does not carry, is listed here and nowhere else.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
#: PyPI name -> conda-forge name, where they differ.
CONDA_NAMES = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
HEADER = "# Written by scripts/environment.py from pyproject.toml (`make environment`); edit that file, not this one.\n"


def spec(requirement: str) -> str:
    """Turn a PyPI requirement into a conda spec: ``pandas>=2.2,<4`` stays itself, an extra or marker is refused."""
    parsed = Requirement(requirement)
    if parsed.extras or parsed.marker or parsed.url:
        raise SystemExit(f"environment.py cannot express {requirement!r} as a conda spec")
    name = parsed.name.lower()
    clauses = sorted(str(parsed.specifier).split(","), reverse=True) if parsed.specifier else []
    return CONDA_NAMES.get(name, name) + ",".join(clauses)


def render(pyproject: dict) -> str:
    """Return the text of environment.yml."""
    project = pyproject["project"]
    specs = [spec(r) for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    lines = [
        HEADER,
        f"name: {project['name']}\n",
        "channels:\n  - conda-forge\n  - nodefaults\n",
        "dependencies:\n",
        f'  - "python{project["requires-python"]}"\n',
        *(f'  - "{s}"\n' for s in sorted(specs)),
        "  - pip\n  - pip:\n      - --editable .\n",
    ]
    return "".join(lines)


def main() -> None:
    """Write the file, or with ``--check`` only say whether it is current."""
    text = render(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    target = ROOT / "environment.yml"
    if "--check" in sys.argv[1:]:
        current = target.read_text(encoding="utf-8") if target.exists() else ""
        sys.exit(0 if current == text else "environment.yml is out of date: run `make environment`")
    target.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
