"""What is shared names no machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat

import clv
from clv.report.scrub import Scrubber, scrubber
from clv.report.tidy import tidy

PARAMETERS = {"study": "demo", "run_folder": None, "overrides": {}}


def test_known_folders_become_words(tmp_path):
    scrub = scrubber(run_folder=tmp_path / ".staging-demo", study=str(tmp_path / "demo"), name="demo")
    assert scrub(f"{tmp_path}/.staging-demo/tables/x.parquet") == "demo/tables/x.parquet"
    assert scrub(f"{tmp_path}/demo/tx.csv") == "demo/tx.csv"
    assert scrub(f"File {Path(clv.__file__).parent}/report/run.py") == "File clv/report/run.py"
    assert scrub(f"{sys.prefix}/bin/python") == "<python>/bin/python"


def test_a_folder_is_no_prefix_of_another():
    scrub = Scrubber({"/data/demo": "demo"})
    assert scrub("/data/demo2/x /data/demo-b/x /data/demo") == "/data/demo2/x /data/demo-b/x demo"


def test_what_changes_from_run_to_run_goes():
    scrub = Scrubber({})
    assert scrub("/tmp/ipykernel_4711/123456.py:3: UserWarning: x") == "<cell>:3: UserWarning: x"
    assert scrub("<object at 0x7f3a2b4c5d6e>") == "<object at 0x…>"


def test_half_characters_can_be_written():
    assert Scrubber({})("a\udc80b").encode() == b"a?b"


def test_megabytes_without_a_blank_take_no_time():
    """Embedded pictures are base64, which is full of slashes."""
    scrub = Scrubber({"/data/demo": "demo"})
    text = "ab/cd+" * 200_000
    begin = time.perf_counter()
    assert scrub(text) == text
    assert scrub.strictly(text) == text
    assert time.perf_counter() - begin < 2


def test_errors_lose_every_absolute_path():
    scrub = Scrubber({})
    assert scrub.strictly("no file '/srv/secret place/clients/tx.csv'") == "no file '…/tx.csv'"
    assert (
        scrub.strictly("rows / columns, 1/2, and/or, https://x.org/a/b")
        == "rows / columns, 1/2, and/or, https://x.org/a/b"
    )


def notebook(**data: str) -> nbformat.NotebookNode:
    node = nbformat.v4.new_notebook()
    injected = nbformat.v4.new_code_cell("study = '/home/me/demo'", metadata={"tags": ["injected-parameters"]})
    cell = nbformat.v4.new_code_cell("1", execution_count=2)
    cell.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=2, metadata={"x": 1})]
    cell.metadata["papermill"] = {"start_time": "2024-01-01T00:00:00", "duration": 0.1}
    cell.metadata["execution"] = {"iopub.status.busy": "2024-01-01T00:00:00"}
    node.cells = [injected, cell]
    node.metadata["papermill"] = {"start_time": "2024-01-01T00:00:00", "input_path": "/home/me/x.ipynb"}
    return node


def test_a_tidy_notebook_is_the_same_on_every_run():
    first = nbformat.writes(tidy(notebook(**{"text/plain": "<a at 0x7f0000000001>"}), Scrubber({}), PARAMETERS))
    second = nbformat.writes(tidy(notebook(**{"text/plain": "<a at 0x7f0000000002>"}), Scrubber({}), PARAMETERS))
    assert first == second
    for trace in ("papermill", "2024-01-01", "/home/me"):
        assert trace not in first


def test_a_tidy_notebook_is_valid_and_says_how_to_run_it_again():
    node = tidy(notebook(**{"text/plain": "1"}), Scrubber({}), PARAMETERS)
    nbformat.validate(node)
    names: dict[str, object] = {}
    exec(node.cells[0].source, names)
    assert {key: names[key] for key in PARAMETERS} == PARAMETERS


def test_what_a_cell_prints_is_joined_in_a_fixed_order():
    node = notebook(**{"text/plain": "1"})
    pieces = [("stderr", "w1\n"), ("stdout", "a"), ("stderr", "w2\n"), ("stdout", "b\n")]
    node.cells[1].outputs[:0] = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces]
    outputs = tidy(node, Scrubber({}), PARAMETERS).cells[1].outputs
    assert [(o.get("name"), o.get("text")) for o in outputs] == [
        ("stdout", "ab\n"),
        ("stderr", "w1\nw2\n"),
        (None, None),
    ]


def test_random_names_of_a_styled_table_are_numbered():
    html = (
        '<style>#T_a1b2c_row0 {color: red}</style><table id="T_a1b2c"><td id="T_a1b2c_row0">x</td></table>'
        '<table id="T_fffff"></table>'
    )
    cell = tidy(notebook(**{"text/html": html}), Scrubber({}), PARAMETERS).cells[1]
    text = cell.outputs[0].data["text/html"]
    assert "a1b2c" not in text
    assert text.count("T_00000") == 3
    assert text.count("T_00001") == 1
