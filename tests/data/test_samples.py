"""The samples and the data dictionary that come with clv."""

from __future__ import annotations

from pathlib import Path

import pytest

from clv.data.dictionary import data_dictionary
from clv.data.places import notebooks_folder, samples_folder
from clv.data.samples import list_samples, sample_folder
from clv.data.study import load_study
from clv.data.tables import INPUTS
from clv.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]


def test_the_list_says_what_each_sample_is_and_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLV_DATA_HOME", raising=False)
    samples = list_samples().set_index("name")
    assert list(samples.index) == ["cdnow", "demo", "online_retail"]
    assert samples["synthetic"].to_dict() == {"cdnow": False, "demo": True, "online_retail": False}
    assert samples["available"].to_dict() == {"cdnow": True, "demo": True, "online_retail": False}
    assert (samples[["title", "provenance", "licence"]].map(len) > 2).all(axis=None)


@pytest.mark.parametrize("name", ["cdnow", "demo"])
def test_samples_that_ship_read_without_an_error(name: str) -> None:
    study = load_study(name)
    for table in study.settings.tables:
        read = study.read(table).check(0.0)
        INPUTS[table].validate(read.table)
    assert (study.references()["rows"] == 0).all()


def test_a_synthetic_sample_says_so_in_its_title() -> None:
    for sample in list_samples().to_dict("records"):
        assert ("synthetic" in str(sample["title"]).lower()) == sample["synthetic"]


def test_places() -> None:
    assert sample_folder("cdnow") == samples_folder() / "cdnow"
    assert notebooks_folder().name == "notebooks"
    with pytest.raises(SettingsError, match=r"no sample 'demos' \(did you mean 'demo'\?\)"):
        sample_folder("demos")


def test_the_data_dictionary_is_current() -> None:
    written = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert written == data_dictionary(), "run: python -m clv.data.dictionary > data/README.md"
