"""A plan in the making: what it uses, the cheapest changes until all limits hold, and what still fits.

Changes are looked at all at once: what each would use more of each limit is one sparse table, and only those that fit
are tried one by one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from clv.abm.allocation.prices import Priced, net_of, place_prices
from clv.abm.allocation.program import Program

#: passes over the limits that are overrun, and changes looked at in each.
_PASSES = 60
_LOOKED_AT = 4_000
#: changes looked at for what still fits, how many are made before all are looked at again, and how often that is.
_POOL = 20_000
_MADE = 400
_FILLS = 12


class Draft:
    """Counts of options with clusters open or closed, what they use, and what is left of each limit.

    Attributes
    ----------
    count : numpy.ndarray
        (E,) accounts of the class that get the option.
    left : numpy.ndarray
        (G,) accounts of the class that are left out.
    side, limit : sparse array, numpy.ndarray
        (E, R), (R,): the limits of the program, then the most and the fewest accounts of each open cluster.
    prices : numpy.ndarray
        (R,) of these limits.
    used : numpy.ndarray
        (R,) what the counts use.
    regret : numpy.ndarray
        (E,) what an account loses by the option, clusters being as they are; infinite where it cannot have it.
    out : numpy.ndarray
        (G,) what it loses by being left out.
    """

    def __init__(self, program: Program, priced: Priced, opened: np.ndarray) -> None:
        from scipy.sparse import csr_array, hstack

        self.program, self.opened = program, opened
        k, c = len(program.limit), len(opened)
        self.allowed = np.ones(len(program.gain), dtype=bool)
        side: Any = program.side
        limit, prices = program.reachable.copy(), priced.prices
        # Regrets with the clusters as they are.
        net = net_of(program, priced.prices)
        if c:
            inside = np.flatnonzero(program.cluster >= 0)
            level = place_prices(program, priced.prices)
            net[inside] -= level[program.cluster[inside]]
            self.allowed[inside] = opened[program.cluster[inside]]
            inside = inside[opened[program.cluster[inside]]]
            ones = np.ones(len(inside))
            places = csr_array((ones, (inside, program.cluster[inside])), shape=(len(program.gain), c))
            side = hstack([side, places, -places], format="csr")
            limit = np.concatenate(
                [limit, np.where(opened, program.most, np.inf), np.where(opened, -program.fewest, np.inf)]
            )
            prices = np.concatenate([prices, np.maximum(level, 0.0), np.maximum(-level, 0.0)])
            if program.budget >= 0:
                limit[program.budget] -= float(program.open_side @ opened)
        side.sum_duplicates()
        self.side, self.limit, self.prices, self.rows = side, limit, prices, k
        self.tolerance = 1e-10 * np.maximum(1.0, np.where(np.isfinite(limit), np.abs(limit), 1.0))
        net = np.where(self.allowed, net, -np.inf)
        best = np.where(program.must, -np.inf, 0.0)
        first, groups = program.starts
        best[groups] = np.maximum(best[groups], np.maximum.reduceat(net, first))
        with np.errstate(invalid="ignore"):
            self.regret = np.where(self.allowed, best[program.owner] - net, np.inf)
        self.out = np.where(program.must, np.inf, best)
        choice = np.full(len(best), -1)
        zero = np.flatnonzero(self.regret <= 0)[::-1]
        choice[program.owner[zero]] = zero
        self.count = np.zeros(len(net), dtype=int)
        taken = choice[choice >= 0]
        self.count[taken] = program.size[program.owner[taken]]
        self.left = np.where(choice < 0, program.size, 0)
        self.used = side.T @ self.count.astype(float)

    @cached_property
    def columns(self) -> Any:
        """The limits by column."""
        columns = self.side.tocsc()
        columns.sort_indices()
        return columns

    @property
    def worth(self) -> float:
        """Scaled gain of the plan."""
        return self.program.worth(self.count, self.opened.astype(float))

    def excess(self) -> np.ndarray:
        """By how much each limit is overrun."""
        return np.maximum(0.0, self.used - self.limit - self.tolerance)

    def holds(self) -> bool:
        """Whether all limits hold, and all accounts have what they must."""
        return not self.excess().any() and not (self.program.must & (self.left > 0)).any()

    def wrong_clusters(self) -> np.ndarray:
        """(C,) open clusters whose size is out of bounds, or the dearest where the others overrun a limit."""
        c = len(self.opened)
        over = self.excess()[self.rows :] > 0
        wrong = over[:c] | over[c:] if c else np.zeros(0, dtype=bool)
        if c and not wrong.any() and self.opened.any():
            wrong = self.opened & (np.arange(c) == np.argmax(np.where(self.opened, -self.program.open_gain, -np.inf)))
        return wrong

    def mend(self) -> None:
        """Row after row, the one that is overrun most first: the changes that cost least for what they free."""
        tried = np.zeros(len(self.limit), dtype=int)
        for _ in range(_PASSES + 2 * int((self.excess() > 0).sum())):
            over = self.excess()
            if not over.any():
                return
            share = over / np.maximum(np.abs(np.where(np.isfinite(self.limit), self.limit, 1.0)), 1.0) / (1 + tried)
            row = int(np.argmax(share))
            tried[row] += 1
            self._mend_row(row)

    def _mend_row(self, row: int) -> None:
        part = slice(self.columns.indptr[row], self.columns.indptr[row + 1])
        touched, data = self.columns.indices[part], self.columns.data[part]
        classes = np.unique(self.program.owner[touched])
        entries = self.entries(classes)
        use = np.zeros(len(entries))
        use[np.searchsorted(entries, touched)] = data
        owner = np.searchsorted(classes, self.program.owner[entries])
        # Of a class the option in use that uses most stands for it; leaving out uses nothing.
        left, out, regret = self.left[classes], self.out[classes], self.regret[entries]
        now, now_regret = np.zeros(len(classes)), np.where(left > 0, out, np.inf)
        held = np.flatnonzero(self.count[entries] > 0)
        order = held[np.argsort(use[held], kind="stable")]
        source = np.full(len(classes), -1)
        source[owner[order]] = order
        has = source >= 0
        now[has], now_regret[has] = use[source[has]], regret[source[has]]
        movable = has | (left > 0)
        freed = np.concatenate([now[owner] - use, now])
        with np.errstate(invalid="ignore"):
            cost = np.concatenate([regret - now_regret[owner], out - now_regret])
        target = np.concatenate([entries, np.full(len(now), -1)])
        group = np.concatenate([owner, np.arange(len(now))])
        origin = np.where(has, entries[source], -1) if len(entries) else source
        able = np.flatnonzero((freed > 1e-12) & np.isfinite(cost) & movable[group] & (origin[group] != target))
        ratio = np.maximum(cost[able], 0.0) / freed[able]
        if len(able) > _LOOKED_AT:
            cheapest = np.sort(np.argpartition(ratio, _LOOKED_AT)[:_LOOKED_AT])
            able, ratio = able[cheapest], ratio[cheapest]
        fits = self.fitting(origin[group[able]], target[able])
        able, ratio = able[fits], ratio[fits]
        moved: set[int] = set()
        for at in able[np.argsort(ratio, kind="stable")].tolist():
            over = self.used[row] - self.limit[row] - self.tolerance[row]
            if over <= 0:
                return
            g = int(group[at])
            if g not in moved and self.move(int(classes[g]), int(origin[g]), int(target[at]), over / float(freed[at])):
                moved.add(g)

    def entries(self, classes: np.ndarray) -> np.ndarray:
        """Options of some classes, ascending."""
        begin = np.searchsorted(self.program.owner, classes)
        many = np.searchsorted(self.program.owner, classes, side="right") - begin
        return np.repeat(begin - np.concatenate([[0], np.cumsum(many)[:-1]]), many) + np.arange(many.sum())

    @cached_property
    def _padded(self) -> Any:
        """(E + 1, R) the limits, with a last row for leaving out."""
        from scipy.sparse import csr_array

        side = self.side
        ends = np.append(side.indptr, side.indptr[-1])
        return csr_array((side.data, side.indices, ends), shape=(side.shape[0] + 1, side.shape[1]))

    def fitting(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Flag changes of one account from one option to another (−1: left out) after which no overrun is larger."""
        change = self._padded[target] - self._padded[source]
        room = np.maximum(0.0, self.limit + self.tolerance - self.used)
        over = (change.data > 0) & (change.data > room[change.indices])
        fits = np.ones(len(target), dtype=bool)
        fits[np.searchsorted(change.indptr, np.flatnonzero(over), side="right") - 1] = False
        return fits

    def move(self, group: int, source: int, target: int, wanted: float) -> bool:
        """Move accounts of a class between options, as many as are wanted and fit; overruns may not grow."""
        there = int(self.left[group] if source < 0 else self.count[source])
        many = min(there, max(1, int(np.ceil(wanted - 1e-9))))
        if source == target or many == 0:
            return False
        change: dict[int, float] = {}
        for option, sign in ((target, 1.0), (source, -1.0)):
            if option >= 0:
                part = slice(self.side.indptr[option], self.side.indptr[option + 1])
                for k, use in zip(self.side.indices[part].tolist(), self.side.data[part].tolist(), strict=True):
                    change[k] = change.get(k, 0.0) + sign * use
        for k, use in change.items():
            if use > 0:
                room = max(0.0, self.limit[k] + self.tolerance[k] - self.used[k])
                many = min(many, int(room / use + 1e-12))
        if many <= 0:
            return False
        for k, use in change.items():
            self.used[k] += many * use
        for option, sign in ((target, 1), (source, -1)):
            if option >= 0:
                self.count[option] += sign * many
            else:
                self.left[group] += sign * many
        return True

    def fill(self) -> None:
        """Take what still fits and brings more, the smallest regret first."""
        owner, gain, size = self.program.owner, self.program.gain, self.program.size
        held = np.flatnonzero(self.count > 0)
        source = np.full(len(self.left), -1)
        source[owner[held]] = held
        source[self.left > 0] = -1
        worth = np.append(gain, 0.0)
        pool = np.flatnonzero(self.allowed & (gain > worth[source[owner]] + 1e-12))
        if len(pool) > _POOL:
            pool = pool[np.sort(np.argpartition(self.regret[pool], _POOL)[:_POOL])]
        pool = pool[np.argsort(self.regret[pool], kind="stable")]
        for _ in range(_FILLS):
            now = source[owner[pool]]
            pool = pool[worth[pool] > worth[now] + 1e-12]
            now = source[owner[pool]]
            fits = np.flatnonzero(self.fitting(now, pool))[:_MADE]
            moved: set[int] = set()
            for at, origin in zip(pool[fits].tolist(), now[fits].tolist(), strict=True):
                g = int(owner[at])
                if g in moved:
                    continue
                many = self.left[g] if origin < 0 else self.count[origin]
                if self.move(g, origin, at, float(many)):
                    moved.add(g)
                    if size[g] == 1 or (origin < 0 and self.left[g] == 0) or (origin >= 0 and self.count[origin] == 0):
                        source[g] = at
            if not moved:
                return
