"""The environment files say the same thing: pyproject.toml, the hashed locks, environment.yml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

LOCKS = ["requirements.lock", "tests/requirements-pandas2.lock"]
#: What the project was promised to be built on.
CARD = ["jupyterlab", "pandas", "statsmodels", "scikit-learn", "lifetimes", "seaborn", "papermill", "pytest"]
PYPI_NAMES = {"python-duckdb": "duckdb", "matplotlib-base": "matplotlib"}


def locked(name: str) -> dict[str, list[Version]]:
    """Versions by package; a universal lock may hold one a platform or Python."""
    versions: dict[str, list[Version]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        match = re.match(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", line)
        if match:
            versions.setdefault(canonicalize_name(match[1]), []).append(Version(match[2]))
    return versions


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_environment_yml_is_what_the_script_writes():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "environment.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def conda_specs() -> list[str]:
    document = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return [d for d in document["dependencies"] if isinstance(d, str) and d != "pip"]


@pytest.mark.parametrize("spec", conda_specs())
def test_every_conda_spec_parses_and_admits_the_locked_version(spec):
    match = re.fullmatch(r"([a-z0-9._-]+)((?:(?:>=|<=|<|>|==|!=)[0-9][0-9.]*,?)*)", spec)
    assert match, f"{spec!r} is no conda spec"
    name, ranges = canonicalize_name(PYPI_NAMES.get(match[1], match[1])), SpecifierSet(match[2])
    if name == "python":
        assert ranges == SpecifierSet(project()["requires-python"])
        return
    assert all(v in ranges for v in locked("requirements.lock")[name])


def test_environment_yml_lists_exactly_the_projects_requirements():
    names = {canonicalize_name(PYPI_NAMES.get(n, n)) for n in (re.split(r"[<>=!]", s)[0] for s in conda_specs())}
    wanted = [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    assert names - {"python"} == {canonicalize_name(Requirement(r).name) for r in wanted}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_hashed_without_addresses_and_satisfies_the_project(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    versions = locked(lock)
    for requirement in map(Requirement, [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]):
        found = versions.get(canonicalize_name(requirement.name))
        assert found, f"{requirement.name} is not locked"
        assert all(v in requirement.specifier for v in found)


def test_the_two_locks_hold_the_two_pandas_majors():
    assert {v.major for v in locked(LOCKS[0])["pandas"]} == {3}
    assert {v.major for v in locked(LOCKS[1])["pandas"]} == {2}


@pytest.mark.parametrize("package", CARD)
def test_card_packages_are_dependencies(package):
    assert package in {canonicalize_name(Requirement(r).name) for r in project()["dependencies"]}
