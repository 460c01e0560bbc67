"""Where accounts move from month to month: a transition matrix with its posterior, time in stage, the year ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.churn.stays import History
from clv.churn.transition_counts import Counts, count_moves
from clv.churn.transition_tables import draw_matrices, moves, path, time_in_stage
from clv.errors import SettingsError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Transitions(Result):
    """Monthly transition probabilities.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a move: group ("all" without groups), from, to, count (account-months), probability (posterior mean;
        the moves from a stage sum to 1), lower, upper.
    time_in_stage : pandas.DataFrame
        One row a stage: group, stage, stays, ended (seen to end), months (expected length of a stay, 1/(1 − p)),
        lower, upper.
    path : pandas.DataFrame
        The accounts of the last month-end, from then on: group, month (0 is then), stage, accounts (expected), lower,
        upper.
    states, groups : tuple of str
    concentration : numpy.ndarray, shape (groups, states, states)
        Parameters of the rows' Dirichlet posteriors.
    confidence : float
    """

    time_in_stage: pd.DataFrame
    path: pd.DataFrame
    states: tuple[str, ...]
    groups: tuple[str, ...]
    concentration: NDArray[np.float64]
    confidence: float

    def matrix(self, group: str = "all") -> pd.DataFrame:
        """Return the posterior mean as a square table, from (rows) to (columns); rows sum to 1."""
        posterior = self.concentration[self._place(group)]
        means = posterior / posterior.sum(axis=1, keepdims=True)
        return pd.DataFrame(means, index=pd.Index(self.states, name="from"), columns=pd.Index(self.states, name="to"))

    def sample(self, draws: int, seed: int, group: str = "all") -> NDArray[np.float64]:
        """Draw matrices from the posterior, shape (draws, states, states)."""
        return draw_matrices(self.concentration[self._place(group)], draws, np.random.default_rng(seed))

    def _place(self, group: str) -> int:
        if group not in self.groups:
            raise SettingsError(f"group: found {group!r}.", mend=f"Known are {', '.join(self.groups)}.")
        return self.groups.index(group)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the matrix of the first group, in per cent; rows of which nothing was seen are left empty."""
        import seaborn as sns

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(1.6 + 0.62 * len(self.states), 1.2 + 0.52 * len(self.states)),
                                 layout="constrained")  # fmt: skip
        own = self.table[self.table["group"] == self.groups[0]]
        seen = own.groupby("from")["count"].sum().reindex(list(self.states)).to_numpy() > 0
        shown = (self.matrix(self.groups[0]) * 100).where(np.repeat(seen[:, None], len(self.states), axis=1))
        sns.heatmap(shown, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar=False, linewidths=0.5, ax=ax)
        group = "" if self.groups == ("all",) else f", {self.groups[0]}"
        ax.set(xlabel="a month later", ylabel="at a month's end", title=f"Where accounts move, %{group}")
        ax.tick_params(axis="y", rotation=0)
        return ax


def transition_matrix(
    history: pd.DataFrame | History,
    *,
    by: str | pd.Series | None = None,
    states: Sequence[str] | None = None,
    prior: float = 1.0,
    months: int = 12,
    confidence: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
) -> Transitions:
    """Estimate how accounts move between stages from one month-end to the next.

    Parameters
    ----------
    history : History or pandas.DataFrame
        Of `clv.lifecycle` (``.history``, ``.segments``) or `clv.stage_history`; or stays: account_id, from, to (first
        and last month-end), stage.
    by : str or pandas.Series, optional
        Groups, such as tiers: a column of the stays, or a Series indexed by account_id. Accounts that it lacks are the
        group "(unknown)".
    states : sequence of str, optional
        All stages in order; None: those of the history, or the vocabulary of `clv` to which most stays belong.
    prior : float
        Weight of the prior of a row, in account-months, before anything is seen.
    months : int
        Length of the path ahead.
    confidence : float
    draws, seed : int
        Draws from the posterior for the intervals of the path.

    Returns
    -------
    Transitions

    Raises
    ------
    clv.errors.DataError
        A column or value is missing, a stage is unknown (named, with its count), or stays of an account overlap.
    clv.errors.SettingsError
        An argument is out of range.

    Notes
    -----
    Rows are independent multinomials with a Dirichlet prior, so that the posterior is Dirichlet, and each probability
    Beta (intervals are its equal tails). The prior spreads `prior` months evenly over the stages (Perks 1947); with
    groups, each group's prior spreads them as the posterior mean of all accounts does, so that a group of which little
    is known looks like the book. Moves are taken to depend on the present stage alone (first-order Markov chain), and
    accounts as independent. The path is of the expected numbers, for the accounts of the last month-end: new ones are
    not in it, and its interval holds what is not known of the matrix, not the luck of single accounts.
    """
    for name, value, fine in (
        ("prior", prior, np.isfinite(prior) and prior > 0),
        ("months", months, isinstance(months, int | np.integer) and months >= 1),
        ("confidence", confidence, 0 < confidence < 1),
        ("draws", draws, isinstance(draws, int | np.integer) and draws >= 1),
    ):
        if not fine:
            raise SettingsError(f"{name}: found {value!r}.", mend="Give a positive number; a share for 'confidence'.")
    counts = count_moves(history, by, tuple(states) if states is not None else None)
    k = len(counts.states)
    book = counts.moves.sum(axis=0) + prior / k
    base = np.full((k, k), prior / k) if by is None else prior * book / book.sum(axis=1, keepdims=True)
    posterior = counts.moves + base
    ahead = path(counts, posterior, int(months), confidence, int(draws), seed)
    return Transitions(
        moves(counts, posterior, confidence), _text(counts, ahead, int(months)),
        time_in_stage(counts, posterior, confidence), ahead, counts.states, counts.groups, posterior, confidence,
    )  # fmt: skip


def _text(counts: Counts, path: pd.DataFrame, months: int) -> str:
    moves, now = counts.moves.sum(axis=0), counts.now.sum(axis=0)
    seen = moves.sum(axis=1) > 0
    share = moves / np.maximum(moves.sum(axis=1, keepdims=True), 1)
    said = [f"{int(moves.sum()):,} account-months up to {counts.last:%Y-%m-%d}."]
    for i in np.flatnonzero(seen):
        away = np.where(np.arange(len(share)) == i, -1.0, share[i])
        to = f", {_percent(away.max())} move to {counts.states[int(away.argmax())]}" if away.max() > 0 else ""
        said.append(f"Of accounts in {counts.states[i]}, {_percent(share[i, i])} still are a month later{to}.")
    if not seen.any():
        said.append("No move was seen: the matrix is the prior.")
    ahead = path[path["month"] == months].groupby("stage", sort=False)["accounts"].sum()
    shift = ", ".join(f"{state} {now[i]:,} to {ahead[state]:,.0f}" for i, state in enumerate(counts.states))
    said.append(f"Of the {int(now.sum()):,} accounts of that day, in {months} months: {shift}.")
    unseen = [state for i, state in enumerate(counts.states) if not seen[i]]
    if seen.any() and unseen:
        said.append(f"Nothing was seen of moves from {', '.join(unseen)}: what is shown there is the prior.")
    if counts.gaps:
        one = counts.gaps == 1
        said.append(
            f"{counts.gaps:,} move{'s' * (not one)} over missing months {'was' if one else 'were'} not counted."
        )
    return " ".join(said)


def _percent(share: float) -> str:
    return "under 1%" if 0 < share < 0.005 else "over 99%" if 0.995 <= share < 1 else f"{share:.0%}"
