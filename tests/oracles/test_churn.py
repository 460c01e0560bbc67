"""Published numbers of the churn room: the coverage of RFM, and Pfeifer & Carraway's chain; half of the last digit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

import clv
from clv.churn.markov_play import MarkovPlay
from clv.churn.rfm_segments import LIFE_STAGES, NON_BUYERS, SEGMENT_CODES, SEGMENTS

STATES = ("1", "2", "3", "4", "5")


def test_eleven_segments_cover_all_codes_exactly_once():
    codes = [code for part in SEGMENT_CODES.values() for code in part]
    assert len(SEGMENTS) == 11
    assert sorted(codes) == ["".join(code) for code in product("12345", repeat=3)]


@pytest.mark.parametrize(
    ("name", "code"), [("Champions", "555"), ("Lost", "111"), ("New", "511"), ("Cannot Lose", "155")]
)
def test_segments_are_those_in_common_use(name, code):
    assert code in SEGMENT_CODES[name]


def test_fourteen_segments_make_five_stages():
    assert sorted(s for part in LIFE_STAGES.values() for s in part) == sorted(SEGMENTS + NON_BUYERS)
    assert len(LIFE_STAGES) == 5


@pytest.fixture(scope="module")
def chain():
    """Recency states of Pfeifer & Carraway (2000): years since the last purchase; the fifth is left for good."""
    bought = pd.DataFrame(np.diag(np.ones(4), 1), index=STATES, columns=STATES)
    silent = bought.copy()
    for state, p in zip(STATES, (0.3, 0.2, 0.15, 0.05), strict=False):
        bought.loc[state] *= 1 - p
        bought.loc[state, "1"] += p
    bought.loc["5", "5"] = silent.loc["5", "5"] = 1.0
    return bought, silent


YEARLY = {"discount_rate": 0.2, "periods_per_year": 1}


def test_markov_values(chain):
    value = clv.markov_value(chain[0], reward=dict(zip(STATES, (36, -4, -4, -4, 0), strict=True)), **YEARLY)
    assert value.table["value"].to_numpy() == pytest.approx([52.320, 5.554, 1.251, -1.820, 0], abs=5e-4)


def test_markov_values_over_four_periods(chain):
    reward = dict(zip(STATES, (36, -4, -4, -4, 0), strict=True))
    value = clv.markov_value(chain[0], reward=reward, horizon=4, **YEARLY)
    assert value.table["value"].to_numpy() == pytest.approx([50.115, 4.220, 0.592, -1.980, 0], abs=5e-4)


def test_contact_pays_only_below_recency_four(chain):
    with_contact, without = chain
    play = MarkovPlay("contact", dict.fromkeys(STATES[:4], 4.0), matrix=with_contact, evidence="measured")
    reward = dict(zip(STATES, (40, 0, 0, 0, 0), strict=True))
    found = clv.markov_value(without, reward=reward, play=play, **YEARLY).table
    assert found["value_play"].to_numpy() == pytest.approx([52.320, 5.554, 1.251, -1.820, 0], abs=5e-4)
    assert found["value_best"].to_numpy() == pytest.approx([53.149, 6.621, 2.644, 0, 0], abs=5e-4)
    assert found["play_pays"].tolist() == [True, True, True, False, False]
