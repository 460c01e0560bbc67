"""One more day without purchases never moves an account up: all models, any history, with and without rhythm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import clv
import clv.data.simulate
from clv.churn import STAGES, churn_stages
from clv.churn.severity import severity, undecided
from clv.data.settings import StageRules
from clv.value import (
    BetaGeoCNBDModel,
    BetaGeoModel,
    ModifiedBetaGeoCNBDModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
)

REGULAR = {BetaGeoCNBDModel, ModifiedBetaGeoCNBDModel}
shapes = st.floats(0.05, 20)
# From books in which nobody leaves (1e-17: P(alive) rounds to 1 until day 41) to such in which all do.
dropout = st.one_of(st.floats(0.05, 20), st.sampled_from([1e-17, 1e-6, 200.0]))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    model=st.sampled_from([BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel, *sorted(REGULAR, key=str)]),
    parameters=st.tuples(shapes, st.floats(0.1, 100), dropout, shapes),
    k=st.integers(1, 6),
    x=st.integers(0, 200),
    recency=st.integers(1, 1_500),
    silences=st.lists(st.integers(0, 2_000), min_size=1, max_size=8),
    slowed=st.booleans(),
)
@example(
    model=ParetoNBDModel, parameters=(1.5, 5.0, 1e-17, 10.0), k=1, x=0, recency=1, silences=[40, 400], slowed=False
)  # fmt: skip
def test_no_day_of_silence_moves_an_account_up(model, parameters, k, x, recency, silences, slowed):
    names = ("r", "alpha", "s", "beta") if model is ParetoNBDModel else ("r", "alpha", "a", "b")
    chosen = dict(zip(names, parameters, strict=True)) | ({"k": k} if model in REGULAR else {})
    fitted = model.from_parameters(unit="D", **chosen)
    last = recency if x else 0
    days = sorted({d + more for d in silences for more in (0, 1)})
    table = pd.DataFrame({"frequency": x, "recency": float(last), "T": [float(last + d) for d in days]})
    table.attrs["clv"] = {"unit": "D"}
    found = severity(
        fitted.probability_alive(table).to_numpy(),
        fitted.silence_probability(table).to_numpy(),
        rules=StageRules(),
        once=undecided(fitted, table),
        slowed=np.full(len(table), slowed),
    )
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("model", [BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel])
def test_a_book_that_falls_silent_only_goes_down_day_by_day(model):
    """The whole way from lines to stages, rhythm included: nobody buys after the first date."""
    universe = clv.data.simulate.draw(accounts=250, seed=9)
    lines = universe.tables["transactions"][["account_id", "date", "amount"]]
    lines = lines[lines["amount"] > 0]
    start = pd.Timestamp("2025-06-30")
    lines = lines[lines["date"] <= start]
    fitted = model(prior="weak").fit(clv.summarise(lines, as_of=start))
    order, before, seen = {stage: place for place, stage in enumerate(STAGES)}, None, set()
    for day in [*range(8), *range(14, 400, 30)]:
        summary = clv.summarise(lines, as_of=start + pd.Timedelta(days=day))
        found = churn_stages(fitted, summary, 52, transactions=lines, sentences=False)
        after = found.table["stage"].map(order)
        assert before is None or (after >= before).all()
        before, seen = after, seen | set(found.table["stage"])
        assert found.table["slowed"].any(), "the rhythm was not put to the test"
    assert seen == set(STAGES)
