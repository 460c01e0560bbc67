"""Whole runs with real kernels: what is published, what is kept, and that it is the same every time."""

from __future__ import annotations

import hashlib
import json

import pytest
from bs4 import BeautifulSoup

from clv.errors import RunError, SettingsError
from clv.report.jobs import run_studies
from clv.report.run import Request, run_study

EVIL = "<script>alert(1)</script>"
MAKES_TABLE = (
    "from pathlib import Path\nimport pandas as pd\nfolder = Path(run_folder) / 'tables'\nfolder.mkdir(exist_ok=True)\n"
    "assert not (folder / 'customer_value.parquet').exists()\n"
    "pd.DataFrame({'account_id': ['a', 'b']}).to_parquet(folder / 'customer_value.parquet')"
)
EXPORTS = (
    "from pathlib import Path\nPath(run_folder, 'exports').mkdir(exist_ok=True)\n"
    "Path(run_folder, 'exports', 'list.csv').write_text('a')\nPath(run_folder, 'response.json').write_text('{}');"
)
CHART = (
    "from clv.report import style\nimport matplotlib.pyplot as plt\nstyle.use()\n"
    "fig, ax = plt.subplots()\nax.bar(['a', 'b'], [1, 2])\nax.set_title('Bars');"
)
NOISE = (
    "import warnings, os\nwarnings.warn(run_folder)\nprint(object(), run_folder, os.getcwd())\n"
    "print({'a', 'b', 'c', 'd'})"
)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def notebooks(write_notebook, tmp_path):
    write_notebook("data_quality", f"# Data {EVIL}", NOISE, EXPORTS, ("print('All rows add up.')", "decision"))
    write_notebook("customer_value", "# Value", MAKES_TABLE, CHART, ("print('Worth', overrides)", "decision"))
    return tmp_path / "notebooks"


def test_two_runs_give_the_same_bytes_and_the_parts_can_be_run_again(notebooks, write_study, tmp_path):
    study = write_study("tiny", "horizon: 26", "synthetic: true", title=f"Title {EVIL}")
    out = tmp_path / "reports"
    request = Request(str(study), out, notebooks=notebooks, overrides={"margin": "0.25"})
    (outcome,) = run_studies([request])
    assert outcome.faults == ()
    first = tree(out)
    assert sorted(first) == [
        "index.html",
        "tiny/customer_value.html",
        "tiny/data_quality.html",
        "tiny/exports/list.csv",
        "tiny/index.html",
        "tiny/manifest.json",
        "tiny/notebooks/customer_value.ipynb",
        "tiny/notebooks/data_quality.ipynb",
        "tiny/response.json",
        "tiny/tables/customer_value.parquet",
    ]

    # The second run, from a place of another name: same bytes, so no path and no time is in them.
    elsewhere = tmp_path / "somewhere else"
    run_studies([Request(str(study), elsewhere, notebooks=notebooks, overrides={"margin": "0.25"})])
    assert tree(elsewhere) == first
    for name, text in ((n, (out / n).read_text()) for n in first if not n.endswith(".parquet")):
        assert str(tmp_path) not in text, name
        assert "staging" not in text, name
        assert name.endswith((".json", ".ipynb")) or "<script" not in text, name

    manifest = json.loads((out / "tiny" / "manifest.json").read_text())
    assert manifest["tables"]["tables/customer_value.parquet"]["rows"] == 2
    assert manifest["tables"]["tables/customer_value.parquet"]["sha256"] == first["tiny/tables/customer_value.parquet"]
    assert manifest["html"]["customer_value.html"] == first["tiny/customer_value.html"]
    assert manifest["inputs"][0]["sha256"] == hashlib.sha256((study / "tx.csv").read_bytes()).hexdigest()
    assert manifest["settings"]["margin"] == 0.25
    assert manifest["overrides"] == {"margin": "0.25"}
    assert {"python", "clv", "pandas", "numpy"} <= set(manifest["versions"])
    assert manifest["notebooks"]["customer_value"]["wrote"] == ["tables/customer_value.parquet"]
    assert manifest["exports"] == {"exports/list.csv": first["tiny/exports/list.csv"]}
    assert manifest["response"] == first["tiny/response.json"]

    index = soup(out / "tiny" / "index.html")
    assert [card.get_text(" ", strip=True) for card in index.find_all("li", class_="card")] == [
        f"Data {EVIL} All rows add up.",
        "Value Worth {'margin': '0.25'}",
    ]
    assert "customer_value" in index.find("section", class_="downloads").get_text()
    assert soup(out / "index.html").find("a", href="tiny/index.html").get_text() == f"Title {EVIL}"

    # --only runs one notebook; its table is made anew (the notebook asserts that), all else is kept.
    (outcome,) = run_studies(
        [Request(str(study), out, only=("customer_value",), notebooks=notebooks, overrides={"margin": "0.25"})]
    )
    assert outcome.faults == ()
    assert tree(out) == first

    # … but not beside pages that were made from other settings.
    with pytest.raises(RunError, match=r"other data, settings or software.*leave out --only"):
        run_study(Request(str(study), out, only=("customer_value",), notebooks=notebooks))
    assert tree(out) == first


def test_a_failed_notebook_leaves_the_published_report_alone(
    notebooks, write_notebook, write_study, tmp_path, monkeypatch
):
    study = write_study("tiny")
    other = write_study("other")
    out = tmp_path / "reports"
    run_studies([Request(str(study), out, only=("data_quality",), notebooks=notebooks)])
    published = tree(out / "tiny")

    bad = f"from clv.errors import DataError\nraise DataError({EVIL!r} + run_folder, mend='Mend {EVIL}.', table='t')"
    write_notebook("customer_value", "# Value", "## The place", f"if study.endswith('tiny'):\n    exec({bad!r})")
    write_notebook("churn_stages", "# Stages", "1")
    requests = [Request(str(s), out, notebooks=notebooks) for s in (study, other)]
    # Under Windows the ends of a pipe are of another class.
    monkeypatch.setattr("clv.report.jobs.Connection", type("Other", (), {}))
    outcomes = run_studies(requests, jobs=2)
    assert [outcome.name for outcome in outcomes] == ["tiny", "other"]
    assert [fault.kind for fault in outcomes[0].faults] == ["error", "skipped"]
    assert outcomes[1].faults == ()

    assert tree(out / "tiny") == published
    failed = out / "tiny.failed"
    page = soup(failed / "customer_value.html")
    assert page.find("script") is None
    told = page.find("section", class_="fault").get_text(" ", strip=True)
    assert f"table 't': {EVIL}" in told
    assert f"What to do: Mend {EVIL}." in told
    assert "The place" in told
    assert "open" not in page.find("details", class_="messages").attrs
    assert str(tmp_path) not in page.get_text()
    assert "rests on 'customer_value'" in soup(failed / "churn_stages.html").get_text()
    index = soup(failed / "index.html").get_text()
    assert "2 of 3 pages could not be made" in index
    assert "All rows add up." in index
    overview = soup(out / "index.html")
    assert overview.find("a", href="tiny.failed/index.html") is not None
    assert overview.find("a", href="other/index.html") is not None
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "other", "tiny", "tiny.failed"]

    # The next success clears the failure away.
    write_notebook("customer_value", "# Value", "1")
    run_studies([requests[0]])
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "other", "tiny"]
    assert "failed" not in soup(out / "index.html").get_text()


def test_a_study_whose_file_is_gone_leaves_a_readable_page(notebooks, write_study, tmp_path):
    study = write_study("tiny")
    (study / "tx.csv").unlink()
    (outcome,) = run_studies([Request(str(study), tmp_path / "reports", notebooks=notebooks)])
    (fault,) = outcome.faults
    assert "tx.csv" in fault.message
    assert fault.mend
    page = soup(tmp_path / "reports" / "tiny.failed" / "index.html")
    assert "tx.csv" in page.find("section", class_="fault").get_text()
    assert str(tmp_path) not in page.get_text()


def test_wrong_settings_of_any_study_stop_all_before_anything_runs(notebooks, write_study, tmp_path):
    good, bad, worse = write_study("good"), write_study("bad", "horizn: 3"), write_study("worse", "margin: 7")
    requests = [Request(str(s), tmp_path / "reports", notebooks=notebooks) for s in (good, bad, worse)]
    with pytest.raises(SettingsError) as caught:
        run_studies(requests)
    assert "horizn" in str(caught.value)
    assert "margin" in str(caught.value)
    assert not (tmp_path / "reports").exists()


def test_two_studies_of_one_name_are_refused(notebooks, write_study, tmp_path):
    first, second = write_study("a"), write_study("b")
    (second / "study.yml").write_text((second / "study.yml").read_text().replace("name: b", "name: A"))
    with pytest.raises(RunError, match="Two studies are called"):
        run_studies([Request(str(s), tmp_path / "reports", notebooks=notebooks) for s in (first, second)])
