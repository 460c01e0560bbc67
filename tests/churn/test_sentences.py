from __future__ import annotations

import doctest

import pandas as pd
import pytest

from clv.churn import churn_stages, words


class Says:
    """A model that answers what a test wants."""

    def __init__(self, silence, low=3.2, high=5.1, alive=1.0):
        self.answers = (alive, silence, low, high)

    def probability_alive(self, s):
        return [self.answers[0]]

    def silence_probability(self, s):
        return [self.answers[1]]

    def purchase_interval(self, s, q):
        return [self.answers[2] if q == 0.25 else self.answers[3]]

    def expected_purchases(self, s, t):
        return [1.0]


def sentence(model, frequency=5, silent=11.0, unit="W"):
    recency = 20.0 if frequency else 0.0
    frame = pd.DataFrame({"frequency": [frequency], "recency": recency, "T": recency + silent}, index=["A"])
    frame.attrs["clv"] = {"unit": unit}
    return churn_stages(model, frame, 52).table["sentence"].item()


@pytest.mark.parametrize(
    ("model", "facts", "words"),
    [
        (
            Says(0.04),
            {},
            "Usually orders every 3–5 weeks; silent for 11; a living account like this is silent that long"
            " 4 times in 100.",
        ),
        (
            Says(0.3, 0.9, 1.1),
            {"silent": 1.0, "unit": "M"},
            "Usually orders every 27–33 days; silent for 1 month; a living account like this is silent that long"
            " 30 times in 100.",
        ),
        (
            Says(0.58, 30, 500),
            {"frequency": 0, "silent": 20.0},
            "Bought once, 20 weeks ago; its own rhythm is not known yet; a living account like this is silent that"
            " long 58 times in 100.",
        ),
        (
            Says(1.0, 30, 500),
            {"frequency": 0, "silent": 0.0},
            "Bought once, on the closing day; its own rhythm is not known yet.",
        ),
        (Says(1.0), {"silent": 0.0}, "Usually orders every 3–5 weeks; ordered on the closing day."),
        (
            Says(0.01, 9.9, 10.2, alive=0.004),
            {"silent": 40.0, "unit": "D"},
            "Usually orders every 10 days; silent for 40; a living account like this is silent that long once in 100;"
            " it is still a customer with probability under 1%.",
        ),
        (
            Says(0.0004, 12.0, 1e12, alive=0.31),
            {"silent": 100.0},
            "Usually orders every 12 weeks or more; silent for 100 weeks; a living account like this is silent that"
            " long less than once in 1,000; it is still a customer with probability 31%.",
        ),
    ],
)
def test_sentence_says_the_numbers(model, facts, words):
    assert sentence(model, **facts) == words


def test_examples_in_the_docstrings_hold():
    assert doctest.testmod(words) == (0, 4)


@pytest.mark.parametrize(
    ("length", "unit", "said"),
    [(1, "W", "1 week"), (2, "Y", "2 years"), (0.5, "W", "4 days"), (0.14, "W", "1 day"), (1.04, "M", "1 month")],
)
def test_durations_have_the_right_number(length, unit, said):
    assert words.duration(length, unit) == said


def test_chances_never_say_never_or_always_when_they_do_not_mean_it():
    for p in [i / 9973 for i in range(9974)]:
        said = words.chance(p)
        assert not said.startswith("0 ")
        assert (said == "100 times in 100") == (p == 1)
