"""The run folder: tables survive as they are, stale ones are not read, somebody else's are, wrong ones are named."""

from __future__ import annotations

import pandas as pd
import pytest

from clv.errors import DataError
from clv.report.store import Store


@pytest.fixture
def summary() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "frequency": [0, 3],
            "recency": [0.0, 20.5],
            "T": [38.86, 38.86],
            "monetary_value": [0.0, 17.25],
            "first": pd.to_datetime(["1997-01-01", "1997-01-02"]),
            "last": pd.to_datetime(["1997-01-01", "1997-06-02"]),
        },
        index=pd.Index(["007", "NA"], name="account_id"),
    )
    frame.attrs["clv"] = {"unit": "W", "grain": "D", "as_of": "1997-09-30"}
    return frame


def test_round_trip_keeps_ids_values_and_units(tmp_path, summary):
    store = Store(tmp_path, "f1")
    assert store.put("summary", summary) is summary
    kept = store.get("summary").set_index("account_id")
    pd.testing.assert_frame_equal(kept, summary, check_dtype=False, check_index_type=False)
    assert kept.attrs["clv"]["unit"] == "W"
    assert list(kept.index) == ["007", "NA"]


def test_same_table_same_bytes(tmp_path, summary):
    for name in ("one", "two"):
        Store(tmp_path / name, "f1").put("summary", summary)
    first, second = ((tmp_path / n / "tables" / "summary.parquet").read_bytes() for n in ("one", "two"))
    assert first == second


def test_stale_is_not_read_and_foreign_is(tmp_path, summary):
    Store(tmp_path, "old").put("summary", summary)
    assert Store(tmp_path, "new").get("summary") is None
    assert Store(tmp_path, "new").get_foreign("summary") is None
    summary.reset_index().to_parquet(tmp_path / "tables" / "summary.parquet")
    assert len(Store(tmp_path, "new").get("summary")) == 2
    assert len(Store(tmp_path, "new").get_foreign("summary")) == 2


def test_all_faults_of_a_foreign_table_are_named(tmp_path, summary):
    (tmp_path / "tables").mkdir()
    broken = summary.reset_index().drop(columns="T").assign(frequency=-1, account_id="same")
    broken.to_parquet(tmp_path / "tables" / "summary.parquet")
    with pytest.raises(DataError, match="summary") as caught:
        Store(tmp_path, "new").get("summary")
    assert all(word in str(caught.value) for word in ("T", "frequency: -1 is below 0", "account_id", "Mend"))


def test_unreadable_file_is_named(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "summary.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"summary\.parquet.*cannot be read.*Mend"):
        Store(tmp_path, "f").get("summary")


def test_no_folder_keeps_nothing(summary):
    store = Store(None, "f")
    store.put("summary", summary)
    assert store.get("summary") is None
    store.keep_model("purchases", None)


def test_nothing_half_written_stays(tmp_path, summary, monkeypatch):
    import pyarrow.parquet as pq

    store = Store(tmp_path, "f")
    store.put("summary", summary)
    before = (tmp_path / "tables" / "summary.parquet").read_bytes()

    def full_disk(_table, where, **_kwargs):
        where.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space"):
        store.put("summary", summary)
    assert (tmp_path / "tables" / "summary.parquet").read_bytes() == before
    assert [p.name for p in (tmp_path / "tables").iterdir()] == ["summary.parquet"]
