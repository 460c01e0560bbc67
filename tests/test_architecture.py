"""The house stands: rooms import only rooms above them, start-up is light, sizes stay small, notebooks are clean."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "clv"
#: In the order in which data flow; a room may import itself and what stands before it.
ROOMS = ["errors", "result", "data", "value", "churn", "abm", "report", "cli"]
MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports, wherever in it, leaving out what only the type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "clv" else {node.module or ""}
            )
    return {name.split(".")[1] for name in names if name.startswith("clv.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_rooms_import_only_rooms_above(path):
    if path == SOURCE / "__init__.py":
        return
    here = ROOMS.index(room_of(path))
    below = {room for room in imported_rooms(path) if room in ROOMS and ROOMS.index(room) > here}
    assert not below, f"{path.relative_to(ROOT)} imports {sorted(below)}, which stand below it"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 420, "split it: one job a module"


def test_the_module_map_is_current():
    script = ROOT / "scripts" / "architecture.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_resolve():
    import clv

    for name in clv.__all__:
        assert callable(getattr(clv, name))


def test_type_checker_sees_the_names_that_resolve():
    import clv

    block = next(
        n for n in ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8")).body if isinstance(n, ast.If)
    )
    seen = {(a.name, n.module) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == set(clv._EXPORTS.items())


def test_import_is_light():
    heavy = ["pandas", "scipy", "sklearn", "matplotlib", "statsmodels", "pandera", "duckdb"]
    code = f"import sys, clv; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lifetimes_is_never_imported():
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            banned = {"lifetimes", "pickle", "dill", "joblib", "cloudpickle", "shelve"}
            assert not banned & {n.split(".")[0] for n in names}, path
