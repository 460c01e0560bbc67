"""Claims are shown beside own evidence and never enter a number."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import clv
from clv.abm.claims import claims_register, show_claims
from clv.errors import DataError

SOURCE = Path(clv.__file__).parent


def test_the_register_says_what_who_and_how():
    table = claims_register()
    assert table["claim_id"].is_unique
    assert (table[["claim", "source", "unit"]].map(len) > 0).all(axis=None)
    figures = dict(zip(table["claim_id"], table["figure"], strict=True))
    assert [figures[k] for k in ("roi_97", "roi_85", "roi_92", "closed_30", "stay_90")] == [97, 85, 92, 30, 90]
    assert set(table["kind"]) == {"survey", "vendor"}


def test_own_evidence_stands_beside():
    shown = show_claims({"roi": "+12% (−20% to +44%), against a control group"})
    assert shown.table.loc[shown.table["own"] != "", "claim_id"].tolist() == ["roi_97", "roi_85", "roi_92"]
    assert "3 have a finding" in shown.text
    assert "control group" in shown.text
    with pytest.raises(DataError, match="luck"):
        show_claims({"luck": "much"})


def test_nothing_on_the_path_of_a_result_reads_the_register():
    """Only what is shown may import it: the package's list of names, the report's steps and notebooks."""
    for path in SOURCE.rglob("*.py"):
        where = path.relative_to(SOURCE).parts
        if where[0] in ("report", "_shipped") or where in (
            ("__init__.py",),
            ("abm", "__init__.py"),
            ("abm", "claims.py"),
        ):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module or ""]
            assert not any(name.startswith("clv.abm.claims") for name in names), path
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "claims.json" not in node.value, path
