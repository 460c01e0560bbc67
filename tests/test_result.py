"""How the sentences of all rooms write money."""

from __future__ import annotations

import doctest

import pandas as pd
import pytest

from clv import result
from clv.abm import wording
from clv.churn.plays import sentences
from clv.result import money, money_range, signed
from clv.value.lifetime_text import total_words


def test_examples_hold():
    assert doctest.testmod(result) == (0, 3)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (99.994, "99.99"),
        (99.996, "100"),
        (-99.6, "−99.60"),
        (-99.996, "−100"),
        (0.004, "0"),
        (-0.006, "−0.01"),
        (-1234.4, "−1,234"),
        (1e9, "1,000,000,000"),
    ],
)
def test_money_is_whole_from_a_hundred_up_and_to_the_cent_below(x, said):
    assert money(x) == said
    assert money(x, "EUR") == f"{said} EUR"


def test_a_range_has_the_digits_of_its_larger_end():
    assert money_range(-32.14, 3272.4) == "−32 to 3,272"
    assert money_range(-3272.4, 32.14, "EUR") == "−3,272 to 32 EUR"
    assert money_range(-0.3, 250) == "0 to 250"
    assert money_range(1.5, float("inf")) == "2 to inf"
    assert wording.alike([0.1063, -0.0001691, -0.102, 0.083]) == ["0.106", "0.000", "−0.102", "0.083"]
    assert wording.alike([20882.6, -17.0, float("nan")]) == ["20,883", "−17", "–"]
    assert wording.alike([0.0, 0.0]) == ["0", "0"]


def test_changes_have_a_sign_and_no_hyphen():
    assert [signed(x) for x in (0.0, -0.5, 12.3)] == ["+0%", "−50%", "+1230%"]


def test_the_rooms_write_the_same_money():
    assert wording.money is sentences.money is money
    words = total_words(pd.Series([-1234.5, -1.5]), None, 52, "W", 0.9, "credible", "EUR")
    assert words == "−1,236 EUR over the next 52 weeks."
