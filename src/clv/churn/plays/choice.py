"""The choice of a play: by expected net margin, with what the draws say about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.plays.worth import Book, expectations, gains
from clv.data.settings import Play
from clv.value.estimation.checks import Floats

#: what is done where no play adds more than it costs.
NO_PLAY = "no play"


@dataclass(frozen=True)
class Choice:
    """The play chosen for each account, and what the draws say about it.

    Attributes
    ----------
    gain, lower, upper, worth : ndarray, shape (accounts, plays)
        Expected gain before cost; interval of the net; probability that the net is above 0.
    choice : ndarray of int, shape (accounts,)
        Place of the play; -1: none.
    best : ndarray, shape (accounts,)
        Probability that no other play, nor none, is better.
    sums : ndarray, shape (plays, 2)
        Interval of the net over the accounts that get the play.
    total : tuple of float
        The same over all plays.
    """

    gain: Floats
    lower: Floats
    upper: Floats
    worth: Floats
    choice: NDArray[np.intp]
    best: Floats
    sums: Floats
    total: tuple[float, float]

    @staticmethod
    def of(
        book: Book, plays: list[Play], drawn: list[Floats], eligible: NDArray[np.bool_], cost: Floats,
        confidence: float, rng: np.random.Generator,
    ) -> Choice:  # fmt: skip
        """Choose for each account the play with the largest expected net, if that is above 0."""
        shape, tail = eligible.shape, (1 - confidence) / 2
        gain, lower, upper, worth = (np.full(shape, np.nan) for _ in range(4))
        choice, best = np.zeros(shape[0], dtype=np.intp), np.zeros(shape[0])
        sums = np.zeros((len(plays), book.draws))
        for rows, mean, draws in gains(book, plays, drawn, eligible, expectations(book), rng):
            may = eligible[rows]
            net = draws - cost[:, None]
            gain[rows] = mean
            for place in range(len(plays)):
                at = np.flatnonzero(may[:, place])
                there = at + rows.start
                own = net[at, place]
                lower[there, place], upper[there, place] = np.quantile(own, [tail, 1 - tail], axis=1)
                worth[there, place] = (own > 0).mean(axis=1)
            expected = np.where(may, mean - cost, -np.inf)
            top = expected.argmax(axis=1)
            chosen = np.where(expected[np.arange(len(top)), top] > 0, top, -1)
            # No play stands beside the plays as one that adds nothing, for certain.
            options = np.concatenate([np.zeros((len(net), 1, book.draws)), np.where(may[..., None], net, -np.inf)], 1)
            own = options[np.arange(len(top)), chosen + 1]
            best[rows] = (own >= options.max(axis=1)).mean(axis=1)
            choice[rows] = chosen
            for place in range(len(plays)):
                sums[place] += net[chosen == place, place].sum(axis=0)
        limits = np.quantile(sums, [tail, 1 - tail], axis=1).T
        whole = np.quantile(sums.sum(axis=0), [tail, 1 - tail])
        return Choice(gain, lower, upper, worth, choice, best, limits, (float(whole[0]), float(whole[1])))


def account_tables(
    accounts: pd.Index, stage: np.ndarray, plays: list[Play], evidence: list[str], eligible: np.ndarray, cost: Floats,
    choice: Choice,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Make the tables of `Plays`: one row an account (without its sentence), and one an account and possible play."""
    names = np.array([play.name for play in plays], dtype=object)
    row, place = np.nonzero(eligible)
    options = pd.DataFrame(
        {
            "account_id": accounts.to_numpy()[row],
            "play": names[place],
            "gain": choice.gain[row, place],
            "cost": cost[place],
            "net": choice.gain[row, place] - cost[place],
            "lower": choice.lower[row, place],
            "upper": choice.upper[row, place],
            "p_worth": choice.worth[row, place],
            "evidence": np.array(evidence, dtype=object)[place],
            "chosen": choice.choice[row] == place,
        }
    )
    made = choice.choice >= 0
    at = (np.arange(len(accounts)), np.maximum(choice.choice, 0))

    def of(values: Floats) -> Floats:
        return np.where(made, values, 0.0)

    gain, price = of(choice.gain[at]), of(cost[at[1]])
    table = pd.DataFrame(
        {
            "stage": stage.astype(object),
            "play": np.where(made, names[at[1]], NO_PLAY),
            "gain": gain,
            "cost": price,
            "net": gain - price,
            "lower": of(choice.lower[at]),
            "upper": of(choice.upper[at]),
            "p_worth": np.where(made, choice.worth[at], np.nan),
            "p_best": choice.best,
            "evidence": np.where(made, np.array(evidence, dtype=object)[at[1]], ""),
        },
        index=accounts.rename("account_id"),
    )
    return table, options


def by_play(table: pd.DataFrame, plays: list[Play], evidence: list[str], choice: Choice) -> pd.DataFrame:
    """Add up what each play comes to over the accounts that get it."""
    names = [*(play.name for play in plays), NO_PLAY]
    by = table.groupby("play")[["gain", "cost", "net"]].sum().reindex(names, fill_value=0.0)
    counts = table["play"].value_counts().reindex(names, fill_value=0).to_numpy()
    by.insert(0, "accounts", counts)
    by["lower"], by["upper"] = np.append(choice.sums[:, 0], 0.0), np.append(choice.sums[:, 1], 0.0)
    by["evidence"] = [*evidence, ""]
    return by.rename_axis("play")
