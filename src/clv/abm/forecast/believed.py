"""A forecast from what a programme is believed to change: customers and prospects, by the draws behind the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clv.abm.forecast.engine import Accounts, own_stream
from clv.abm.loop.shrinkage import Floats
from clv.errors import DataError

if TYPE_CHECKING:
    from clv.abm.selecting.belief import Belief
    from clv.abm.selecting.incremental import IncrementalValue

#: by an effect nearer to nought than this nothing is divided; the effect with which its accounts are valued instead.
_NOUGHT, _SMALL = 1e-9, 0.01


@dataclass(frozen=True, eq=False)
class BelievedEffects:
    """Draws of what tiers do to customers and to prospects, in the place of a response.

    Attributes
    ----------
    belief : Belief
    prospects : frozenset of str
        Accounts that have not bought.
    """

    belief: Belief
    prospects: frozenset[str]

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Tier and kind of account of each effect."""
        return [(effect.name, kind) for effect in self.belief.effects for kind in ("customer", "prospect")]

    def cell(self, tier: Iterable[str], account: Iterable[str]) -> np.ndarray:
        """Row of each tier and account; −1 for a tier that is not known."""
        at = pd.Index([effect.name for effect in self.belief.effects]).get_indexer(pd.Index(list(tier)))
        kind = np.array([name in self.prospects for name in account], dtype=np.int64)
        return np.where(at < 0, -1, 2 * at + kind)

    @property
    def mean(self) -> Floats:
        """Mean effect of each cell."""
        return np.column_stack([self.belief.uplift.mean(axis=0), self.belief.win.mean(axis=0)]).ravel()

    def draw(self, draws: int, *, seed: int) -> Floats:
        """Joint draws of all effects, shape (draws, cells), from those of the belief."""
        pick = own_stream(seed, "effects").permutation(np.arange(draws) % self.belief.draws)
        both = np.stack([self.belief.uplift, self.belief.win], axis=2)
        return np.asarray(both.reshape(self.belief.draws, -1)[pick], dtype=float)


def believed_accounts(
    tables: Mapping[str, pd.DataFrame], ids: list[str], found: IncrementalValue, spread: float
) -> tuple[Accounts, BelievedEffects]:
    """Value each account of some plans per unit of its tier's effect.

    The gain of an account at the believed effect, divided by that effect: of a customer its value without the
    programme, of a prospect what a unit of raised odds brings, to first order (the gain bends slightly with the odds).
    Where plans put a prospect into different tiers, that of the first plan counts.

    Raises
    ------
    DataError
        There are no draws, or an account is none of `found`.
    """
    from clv.abm.robust.draws import incremental_draws

    if found.belief is None:
        raise DataError("there are no draws.", table="value", mend="Make it from lifetime_value(..., draws=400).")
    known = found.table.index.astype(str)
    lacking = [account for account in ids if account not in known]
    if lacking:
        raise DataError(
            f"account {lacking[0]!r} has no value ({len(lacking)} such).",
            table="plan", column="account_id", mend="Leave it out, or give its expected margin once it is won.",
        )  # fmt: skip
    every = pd.concat([table[["account_id", "tier"]] for table in tables.values()]).drop_duplicates("account_id")
    every = every.set_index("account_id").loc[ids].reset_index()
    gains = found.tiers.assign(account_id=found.tiers["account_id"].astype(str)).set_index(["account_id", "tier"])
    pairs = pd.MultiIndex.from_frame(every[["account_id", "tier"]].astype(str))
    lost = ~pairs.isin(gains.index)
    if lost.any():
        row = every.iloc[int(np.argmax(lost))]
        raise DataError(
            f"nothing is known or assumed of tier {row['tier']!r}.", table="plan", column="tier",
            mend=f"There are {', '.join(effect.name for effect in found.effects)}.",
        )  # fmt: skip
    options = every.assign(value=gains.loc[pairs, "value"].to_numpy(float))
    drawn = incremental_draws(options, found, effects="believed").drawn
    prospects = frozenset(known[found.table["kind"] == "prospect"])
    effects = BelievedEffects(found.belief, prospects)
    unit = effects.mean[effects.cell(options["tier"].astype(str), ids)][:, None]
    worth = np.divide(drawn, unit, out=np.zeros(drawn.shape, dtype=np.float32), where=np.abs(unit) > _NOUGHT)
    worth = worth.astype(np.float32)
    flat = np.flatnonzero(np.abs(unit[:, 0]) <= _NOUGHT)
    if len(flat):  # a tier believed to change nothing on average may well change something
        same = np.full_like(found.belief.uplift, _SMALL)
        rows = known.get_indexer(pd.Index(ids))[flat]
        worth[flat] = replace(found.belief, uplift=same, win=same).gain(0, rows) / np.float32(_SMALL)
    return Accounts(ids, worth.mean(axis=1, dtype=float), np.zeros(len(ids)), worth, spread), effects
