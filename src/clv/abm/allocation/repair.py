"""A plan from prices: best choices, then the cheapest changes until all limits hold, then what still fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from clv.abm.allocation.prices import Priced, net_of, place_prices
from clv.abm.allocation.program import Program

#: passes over the limits that are overrun, and changes looked at in each.
_PASSES = 60
_LOOKED_AT = 4_000


def repair(program: Program, priced: Priced) -> tuple[np.ndarray, np.ndarray] | None:
    """Make a plan that keeps all limits, if changes account by account lead to one.

    Returns
    -------
    tuple of numpy.ndarray or None
        Counts of options (E,) and open clusters (C,); None if none was found, which proves nothing.
    """
    if not len(program.gain):
        return None
    opened = priced.closed > 0
    for _ in range(4):
        draft = _Draft(program, priced, opened)
        draft.mend()
        if draft.holds():
            draft.fill()
            return draft.count, draft.opened.astype(float)
        wrong = draft.wrong_clusters()
        if not wrong.any():
            return None
        opened = opened & ~wrong
    return None


class _Draft:
    """A plan in the making: counts of options, with leaving out as option −1, and what it uses."""

    def __init__(self, program: Program, priced: Priced, opened: np.ndarray) -> None:
        from scipy.sparse import csr_array, hstack

        self.program, self.opened = program, opened
        k, c = len(program.limit), len(opened)
        self.allowed = np.ones(len(program.gain), dtype=bool)
        side: Any = program.side
        limit = program.reachable.copy()
        if c:
            inside = np.flatnonzero(program.cluster >= 0)
            self.allowed[inside] = opened[program.cluster[inside]]
            inside = inside[opened[program.cluster[inside]]]
            ones = np.ones(len(inside))
            places = csr_array((ones, (inside, program.cluster[inside])), shape=(len(program.gain), c))
            side = hstack([side, places, -places], format="csr")
            limit = np.concatenate(
                [limit, np.where(opened, program.most, np.inf), np.where(opened, -program.fewest, np.inf)]
            )
            if program.budget >= 0:
                limit[program.budget] -= float(program.open_side @ opened)
        side.sum_duplicates()
        self.side, self.limit, self.rows = side, limit, k
        self.columns = side.tocsc()
        self.columns.sort_indices()
        self.tolerance = 1e-10 * np.maximum(1.0, np.where(np.isfinite(limit), np.abs(limit), 1.0))
        # Regrets with the clusters as they are.
        net = net_of(program, priced.prices)
        if c:
            placed = program.cluster >= 0
            net[placed] -= place_prices(program, priced.prices)[program.cluster[placed]]
        net = np.where(self.allowed, net, -np.inf)
        floor = np.where(program.must, -np.inf, 0.0)
        best = floor.copy()
        np.maximum.at(best, program.owner, net)
        with np.errstate(invalid="ignore"):
            self.regret = np.where(self.allowed, best[program.owner] - net, np.inf)
        self.out = np.where(program.must, np.inf, best)
        self.choice = np.full(len(best), -1)
        zero = np.flatnonzero(self.regret <= 0)[::-1]
        self.choice[program.owner[zero]] = zero
        self.count = np.zeros(len(net), dtype=int)
        taken = self.choice[self.choice >= 0]
        self.count[taken] = program.size[program.owner[taken]]
        self.left = np.where(self.choice < 0, program.size, 0)
        self.used = side.T @ self.count.astype(float)

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
        here = np.zeros(len(self.left), dtype=bool)
        here[classes] = True
        entries = np.flatnonzero(here[self.program.owner]) if len(classes) > 1000 else self._entries(classes)
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
        able = np.flatnonzero((freed > 1e-12) & np.isfinite(cost) & movable[group])
        ratio = np.maximum(cost[able], 0.0) / freed[able]
        if len(able) > _LOOKED_AT:
            cheapest = np.argpartition(ratio, _LOOKED_AT)[:_LOOKED_AT]
            able, ratio = able[np.sort(cheapest)], ratio[np.sort(cheapest)]
        moved: set[int] = set()
        for at in able[np.argsort(ratio, kind="stable")]:
            over = self.used[row] - self.limit[row] - self.tolerance[row]
            if over <= 0:
                return
            g = int(group[at])
            origin = int(entries[source[g]]) if has[g] else -1
            if g not in moved and self._move(int(classes[g]), origin, int(target[at]), over / float(freed[at])):
                moved.add(g)

    def _entries(self, classes: np.ndarray) -> np.ndarray:
        """Options of a few classes, ascending."""
        begin = np.searchsorted(self.program.owner, classes)
        end = np.searchsorted(self.program.owner, classes, side="right")
        return np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)] or [np.zeros(0, dtype=int)])

    def _move(self, group: int, source: int, target: int, wanted: float) -> bool:
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
        owner, gain = self.program.owner, self.program.gain
        held = np.flatnonzero(self.count > 0)
        source = np.full(len(self.left), -1)
        source[owner[held]] = held
        worth = np.where(source >= 0, gain[source], 0.0)
        more = np.flatnonzero(self.allowed & (gain > worth[owner] + 1e-12))
        if len(more) > _LOOKED_AT:
            more = more[np.sort(np.argpartition(self.regret[more], _LOOKED_AT)[:_LOOKED_AT])]
        for at in more[np.argsort(self.regret[more], kind="stable")]:
            g = int(owner[at])
            now = int(source[g]) if self.left[g] == 0 else -1
            if now < 0 or gain[at] > gain[now]:
                many = self.left[g] if now < 0 else self.count[now]
                if self._move(g, now, int(at), float(many)) and self.program.size[g] == 1:
                    source[g] = at
