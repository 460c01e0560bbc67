"""Purchases to one row an account: small books by hand, both engines alike, and a slow second way of computing."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data.summary import interval_start, summarise
from clv.data.tables import RUN_TABLES
from clv.data.units import DAYS
from clv.errors import DataError, SettingsError


def lines(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["account_id", "date", "amount"])
    return frame.assign(
        date=pd.to_datetime(frame["date"], format="ISO8601"), account_id=frame["account_id"].astype(str)
    )


BOOK = lines(
    ("b", "2011-01-01 09:00", 10), ("b", "2011-01-01 17:00", 5), ("b", "2011-01-15", 20), ("b", "2011-01-29", 40),
    ("a", "2011-01-08", 7), ("c", "2011-02-01", 1),
)  # fmt: skip


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_a_small_book_by_hand(engine: str) -> None:
    summary = summarise(BOOK, as_of="2011-01-29", engine=engine)  # type: ignore[arg-type]
    assert summary.index.tolist() == ["a", "b"]
    assert summary.index.name == "account_id"
    assert summary["frequency"].tolist() == [0, 2]
    assert summary["recency"].tolist() == [0, 4]
    assert summary["T"].tolist() == [3, 4]
    assert summary["monetary_value"].tolist() == [0, 30]
    assert summary.loc["b", ["first", "last"]].tolist() == [pd.Timestamp("2011-01-01"), pd.Timestamp("2011-01-29")]
    assert summary.attrs["clv"] == {"unit": "W", "grain": "D", "as_of": "2011-01-29"}
    RUN_TABLES["summary"].validate(summary.reset_index())
    assert summary.dtypes.astype(str).to_dict() == {
        "frequency": "int64", "recency": "float64", "T": "float64", "monetary_value": "float64",
        "first": "datetime64[ns]", "last": "datetime64[ns]",
    }  # fmt: skip


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
@pytest.mark.parametrize(
    ("grain", "unit", "frequency", "recency", "age"),
    [
        ("D", "D", 2, 28, 31),
        ("W", "W", 2, 4, 5),
        ("M", "M", 0, 0, 31 / (365.25 / 12)),
        ("D", "Y", 2, 28 / 365.25, 31 / 365.25),
    ],
)
def test_grain_and_unit_are_two_things(
    engine: str, grain: str, unit: str, frequency: int, recency: float, age: float
) -> None:
    row = summarise(BOOK, grain=grain, unit=unit, engine=engine).loc["b"]  # type: ignore[arg-type]
    assert (row["frequency"], row["recency"], row["T"]) == (frequency, recency, age)


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    days = np.arange("1969-12-20", "1970-02-10", dtype="datetime64[D]")
    weeks = interval_start(days, "W")
    assert all(day.astype(dt.date).weekday() == 0 for day in weeks)
    assert ((days - weeks).astype(int) < 7).all()
    assert ((days - weeks).astype(int) >= 0).all()
    assert all(day.astype(dt.date).day == 1 for day in interval_start(days, "M"))


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_what_counts_as_a_purchase(engine: str) -> None:
    book = lines(
        ("free", "2011-01-01", 0), ("free", "2011-01-09", 0),
        ("returned", "2011-01-01", 9), ("returned", "2011-01-05", 5), ("returned", "2011-01-05", -5),
        ("more", "2011-01-01", 9), ("more", "2011-01-05", 5), ("more", "2011-01-05", -6), ("more", "2011-01-09", 4),
        ("never", "2011-01-01", -1),
    )  # fmt: skip
    summary = summarise(book, engine=engine)  # type: ignore[arg-type]
    assert summary["frequency"].to_dict() == {"free": 1, "more": 1, "returned": 0}
    assert summary["monetary_value"].to_dict() == {"free": 0, "more": 4, "returned": 0}


def test_a_day_counts_to_its_last_moment() -> None:
    assert len(summarise(lines(("a", "2011-01-01 23:59:59", 1)), as_of="2011-01-01")) == 1


@pytest.mark.parametrize(
    "as_of", ["2011-01-29", dt.date(2011, 1, 29), dt.datetime(2011, 1, 29, 8), pd.Timestamp("2011-01-29")]
)
def test_the_last_day_can_be_given_in_any_form(as_of: object) -> None:
    assert summarise(BOOK, as_of=as_of).attrs["clv"]["as_of"] == "2011-01-29"  # type: ignore[arg-type]


ROW = st.tuples(
    st.sampled_from(["a", "b", "B", "Ä", "007", "7", "漢", "\U0001f600", "\uffee"]),
    st.integers(-40, 900),
    st.one_of(st.integers(-5, 9), st.floats(-1e7, 1e7), st.sampled_from([0.1, 0.2, 1e-7, 5e-7, -1e-6, 2.5e-6])),
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=25),
    st.sampled_from("DWM"),
    st.sampled_from("DWMY"),
    st.one_of(st.none(), st.integers(0, 900)),
)
def test_both_engines_and_a_slow_reference_agree(
    rows: list[tuple[str, int, float]], grain: str, unit: str, end: int | None
) -> None:
    base = dt.datetime(1999, 12, 30, 13)
    book = lines(*((a, str(base + dt.timedelta(days=d)), float(m)) for a, d, m in rows))
    as_of = None if end is None else (base + dt.timedelta(days=end)).date()
    try:
        one = summarise(book, as_of=as_of, grain=grain, unit=unit)  # type: ignore[arg-type]
    except DataError:
        with pytest.raises(DataError, match="no purchase lies on or before"):
            summarise(book, as_of=as_of, grain=grain, unit=unit, engine="duckdb")  # type: ignore[arg-type]
        assert _reference(book, as_of, grain, unit) == {}
        return
    two = summarise(book, as_of=as_of, grain=grain, unit=unit, engine="duckdb")  # type: ignore[arg-type]
    both = [
        summarise(book, as_of=as_of, grain=grain, unit=unit, engine=engine, log_waits=True)  # type: ignore[arg-type]
        for engine in ("pandas", "duckdb")
    ]
    pd.testing.assert_frame_equal(*both, check_exact=True)
    pd.testing.assert_frame_equal(both[0].drop(columns="log_waits"), one, check_exact=True)
    waits = _waits(book, as_of, grain, unit)
    assert both[0]["log_waits"].to_dict() == pytest.approx(waits, abs=1e-9)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert one.attrs == two.attrs
    found = {account: tuple(row) for account, *row in one.reset_index().iloc[:, :5].itertuples(index=False)}
    assert found == _reference(book, as_of, grain, unit)
    assert one.index.tolist() == sorted(found)


def _waits(book: pd.DataFrame, as_of: dt.date | None, grain: str, unit: str) -> dict[str, float]:
    """Sum the logarithms of waits purchase by purchase."""
    return {
        account: sum(np.log((late - early).days / DAYS[unit]) for early, late in pairwise(paid))  # type: ignore[index]
        for account, (paid, _) in _purchases(book, as_of, grain).items()
    }


def _reference(book: pd.DataFrame, as_of: dt.date | None, grain: str, unit: str) -> dict[str, tuple[float, ...]]:
    found = {}
    for account, (paid, end) in _purchases(book, as_of, grain).items():
        first, *later = paid
        repeat = sum(paid[day] for day in later) / max(len(later), 1) / 1e6
        recency = ((later or [first])[-1] - first).days / DAYS[unit]  # type: ignore[index]
        found[account] = (len(later), recency, (end - first).days / DAYS[unit], repeat)  # type: ignore[index]
    return found


def _purchases(book: pd.DataFrame, as_of: dt.date | None, grain: str) -> dict[str, tuple[dict[dt.date, int], dt.date]]:
    """Each account's money by interval with a purchase, in order, and the beginning of the last interval of all."""

    def start(day: dt.date) -> dt.date:
        if grain == "M":
            return day.replace(day=1)
        return day - dt.timedelta(days=day.weekday()) if grain == "W" else day

    last = as_of or max(book["date"]).date()
    bought: dict[str, dict[dt.date, list[int]]] = {}
    for account, moment, amount in book.itertuples(index=False):
        if moment.date() <= last:
            bought.setdefault(account, {}).setdefault(start(moment.date()), []).append(round(amount * 1e6))
    kept = {
        account: {day: sum(m) for day, m in sorted(intervals.items()) if sum(m) > 0 or min(m) >= 0}
        for account, intervals in bought.items()
    }
    return {account: (paid, start(last)) for account, paid in kept.items() if paid}


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_waits_by_hand(engine: str) -> None:
    summary = summarise(BOOK, as_of="2011-01-29", engine=engine, log_waits=True)  # type: ignore[arg-type]
    assert summary["log_waits"].to_dict() == pytest.approx({"a": 0.0, "b": 2 * np.log(2.0)}, abs=1e-11)
    days = summarise(BOOK, as_of="2011-01-29", unit="D", engine=engine, log_waits=True)  # type: ignore[arg-type]
    assert days["log_waits"].to_dict() == pytest.approx({"a": 0.0, "b": 2 * np.log(14.0)}, abs=1e-11)
    assert "log_waits" not in summarise(BOOK, engine=engine)  # type: ignore[arg-type]


def test_duckdb_reads_parquet_in_place(tmp_path: Path) -> None:
    BOOK.to_parquet(tmp_path / "it's.parquet", index=False)
    from_file = summarise(tmp_path / "it's.parquet", engine="duckdb")
    pd.testing.assert_frame_equal(from_file, summarise(BOOK), check_exact=True)


def test_the_index_and_the_order_of_lines_do_not_matter() -> None:
    shuffled = BOOK.sample(frac=1, random_state=np.random.default_rng(3)).set_index("date", drop=False)
    pd.testing.assert_frame_equal(summarise(shuffled), summarise(BOOK), check_exact=True)


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (BOOK.drop(columns="amount"), "column 'amount': is missing; there are account_id, date"),
        (BOOK.assign(amount="5"), "column 'amount': does not hold numbers"),
        (BOOK.assign(date="2011-01-01"), "column 'date': does not hold dates"),
        (BOOK.assign(account_id=range(6)), "holds numbers, not text: 007 and 7"),
        (BOOK.assign(amount=[1, np.nan, 1, 1, 1, 1]), "column 'amount', row 2: is not a finite number"),
        (BOOK.assign(amount=[1, 1, np.inf, 1, 1, 1]), "column 'amount', row 3: is not a finite number"),
        (BOOK.assign(account_id=["a", None, None, "b", "c", "d"]), r"column 'account_id', row 2: is empty \(2 times\)"),
        (BOOK.assign(amount=1e13), "exceeds 9e"),
        (BOOK.iloc[:0], "has no rows"),
    ],
)
def test_frames_that_cannot_be_summarised(frame: pd.DataFrame, said: str, engine: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        summarise(frame, engine=engine)  # type: ignore[arg-type]
    assert refusal.value.mend


@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_money_of_an_account_that_no_whole_number_holds(engine: str) -> None:
    with pytest.raises(DataError, match="9e"):
        summarise(lines(*(("a", f"2011-01-0{day}", 8e12) for day in range(1, 9))), engine=engine)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (BOOK.drop(columns="date"), "column 'date': is missing"),
        (BOOK.assign(account_id=range(6)), "is of type BIGINT; VARCHAR is needed"),
        (BOOK.assign(date=BOOK["date"].dt.as_unit("us").dt.tz_localize("UTC")), "TIME ZONE"),
        (BOOK.assign(amount=[1, None, 1, 1, 1, 1]), "empty or impossible in 1 rows"),
        (BOOK.iloc[:0], "has no rows"),
    ],
)
def test_parquet_files_that_cannot_be_summarised(frame: pd.DataFrame, said: str, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(DataError, match=said):
        summarise(tmp_path / "t.parquet", engine="duckdb")


def test_options_that_cannot_be_meant(tmp_path: Path) -> None:
    for options, said in (
        ({"grain": "Y"}, "grain: found 'Y'; allowed are D, W, M"),
        ({"unit": "weeks"}, "unit: found 'weeks'"),
        ({"engine": "polars"}, "engine: found 'polars'"),
        ({"as_of": "soon"}, "as_of: found 'soon'"),
    ):
        with pytest.raises(SettingsError, match=said):
            summarise(BOOK, **options)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="engine='duckdb'"):
        summarise(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="there is no file"):
        summarise(tmp_path / "t.parquet", engine="duckdb")
    with pytest.raises(DataError, match="no purchase lies on or before 2001-01-01"):
        summarise(BOOK, as_of="2001-01-01")
