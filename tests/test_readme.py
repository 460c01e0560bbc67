"""What the README shows runs, and gives the numbers that were published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_python_examples_run():
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec("\n".join(code), names)
    # Fader, Hardie & Lee (2005), section 5: an account with x = 2, t_x = 30.43, T = 38.86 in the next 39 weeks.
    assert names["model"].expected_purchases(names["summary"], t=39).iloc[0] == pytest.approx(1.226, abs=0.0005)
    assert names["value"].table["clv"].gt(0).all()
    assert names["run"].plays.table["play"].notna().all()


def test_the_files_it_points_to_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
