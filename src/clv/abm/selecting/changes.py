"""Who came into the selection and who went out since another one, and which of its parts moved each score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.wording import accounts, listed, money
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clv.abm.selection import Selection

#: part of a change -> what is said of an account that it lifts, and of one that it lowers.
PARTS = {
    "value": ("worth more", "worth less"),
    "won": ("won since then", "no longer a customer"),
    "effect": ("its tier is believed to change more", "its tier is believed to change less"),
    "cost": ("its tier costs less", "its tier costs more"),
    "bar": ("the bar fell", "the bar rose"),
    "book": ("new in the book", "no longer in the book"),
}
_NEEDED = ("account_id", "score", "selected")
_SPLIT = ("base", "gain", "cost")


@dataclass(frozen=True, eq=False)
class SelectionChanges(Result):
    """What changed from one selection to the next.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an account that came in or went out, those that came in first, the largest change first: account_id,
        before, now (in or out), score_before, score_now, tier_before, tier_now, change (of the distance to the bar),
        value, won, effect, cost, bar, book (its parts; they sum to it; NaN where the other selection does not say what
        its scores are made of), unsure (it could have been on the other side both times), why (in words).
    parts : pandas.DataFrame
        Index account_id, all accounts that are ranked in either: the same columns.
    came_in, went_out, stayed : int
    bar_before, bar_now : float
        Score that an account had to pass.
    currency : str
    """

    parts: pd.DataFrame
    came_in: int
    went_out: int
    stayed: int
    bar_before: float
    bar_now: float
    currency: str

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what moved each account that came in or went out."""
        from clv.abm.selecting.pictures import moved_by

        return moved_by(self, ax)


def selection_changes(
    before: Selection | pd.DataFrame, now: Selection | pd.DataFrame, *, since: str = "the last run", currency: str = ""
) -> SelectionChanges:
    """Compare two selections, account by account.

    Parameters
    ----------
    before, now : Selection or pandas.DataFrame
        A table has account_id, score, selected and, for the parts of a change, base, gain and cost (see
        `clv.abm.selecting.listing.selection_list`); p_selected and tier are told where they are there.
    since : str
        What `before` is, in words.
    currency : str
        Written after money.

    Returns
    -------
    SelectionChanges

    Raises
    ------
    DataError
        A column is missing, or an account is there twice.

    Notes
    -----
    An account is in while its score is at or above the bar: the score of the last one in where places are short, 0
    where there is room. A customer's score is the best of u · base − c over the tiers, with u = gain ÷ base, so that
    its change is split between base, all u and all c by Shapley's (1953) values of that function: a change of tier
    that a larger base brings belongs to the base. Of prospects, and where the tables name no tiers, the tiers are
    taken as they are: (base₁ − base₀)(u₀ + u₁) / 2 is value, (u₁ − u₀)(base₀ + base₁) / 2 effect. A prospect that
    became a customer owes all to having been won. An account that was not ranked before (new, or without a value) owes
    its whole distance to the book, and so does one that is no longer ranked.
    """
    old, new = _table(before, "before"), _table(now, "now")
    bar0, bar1 = _bar(old), _bar(new)
    both = pd.Index(old.index.union(new.index, sort=True), name="account_id")
    a, b = old.reindex(both), new.reindex(both)
    was, is_in = (x["selected"].astype("boolean").fillna(False).to_numpy(bool) for x in (a, b))
    s0, s1 = a["score"].to_numpy(float), b["score"].to_numpy(float)
    parts = pd.DataFrame({"before": np.where(was, "in", "out"), "now": np.where(is_in, "in", "out")}, index=both)
    parts["score_before"], parts["score_now"] = s0, s1
    parts["tier_before"] = a["tier"].where(was, None) if "tier" in a else None
    parts["tier_now"] = b["tier"].where(is_in, None) if "tier" in b else None
    here = np.isfinite(s0) & np.isfinite(s1)
    parts["change"] = np.where(here, (s1 - bar1) - (s0 - bar0), np.where(np.isfinite(s1), s1 - bar1, bar0 - s0))
    split = _parts(a, b)
    turned = here & _turned(a, b)
    parts["value"] = np.where(here & ~turned, split["value"], 0.0)
    parts["won"] = np.where(turned, s1 - s0, 0.0)
    for name in ("effect", "cost"):
        parts[name] = np.where(here & ~turned, split[name], 0.0)
    parts["bar"] = np.where(here, bar0 - bar1, 0.0)
    parts["book"] = np.where(here, 0.0, parts["change"])
    parts["unsure"] = _unsure(a) & _unsure(b)
    parts[["value", "effect", "cost", "bar"]] += 0.0  # no negative nought
    moved = parts[was != is_in]
    moved = moved.assign(_size=-moved["change"].abs(), _out=(moved["now"] == "out").astype(int))
    table = moved.sort_values(["_out", "_size"], kind="stable").drop(columns=["_size", "_out"]).reset_index()
    table["why"] = [_why(row) for row in table.to_dict("records")]
    came, went, stayed = int((~was & is_in).sum()), int((was & ~is_in).sum()), int((was & is_in).sum())
    text = _words(table, came, went, stayed, (bar0, bar1), since, currency)
    return SelectionChanges(table, text, parts, came, went, stayed, bar0, bar1, currency)


def _table(selection: Selection | pd.DataFrame, name: str) -> pd.DataFrame:
    """One row an account that is ranked, with all columns that are looked at."""
    frame = selection if isinstance(selection, pd.DataFrame) else selection.table.join(selection.about, on="account_id")
    for column in _NEEDED:
        if column not in frame.columns:
            raise DataError(
                "the column is missing.", table=name, column=column, mend="Give a table of a selection as it was kept."
            )
    frame = frame.set_axis(frame["account_id"].astype(str), axis=0).rename_axis("account_id")
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise DataError(f"account {twice!r} is there twice.", table=name, mend="Give one row an account.")
    for column in (*_SPLIT, "p_selected"):  # what an older table does not have is not known
        if column not in frame.columns:
            frame = frame.assign(**{column: np.nan})
    return frame[frame["score"].notna()]


def _bar(table: pd.DataFrame) -> float:
    """Return the score that had to be passed: that of the last one in where somebody stayed out who would pay."""
    inside = table["selected"].to_numpy(bool)
    score = table["score"].to_numpy(float)
    if not inside.any() or not (score[~inside] > 0).any():
        return 0.0
    return max(0.0, float(score[inside].min()))


def _parts(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, np.ndarray]:
    """Split the change of each score into value, effect and cost; NaN where a date does not say what scores are."""
    plain = _split(a, b)
    then, now = _rates(a), _rates(b)
    if not then or not now:
        return plain
    names = sorted({*then, *now})
    # A tier that is nobody's best at one date is taken to have been then what it is at the other.
    rates = [
        np.array([both.get(name, other.get(name)) for name in names]) for both, other in ((then, now), (now, then))
    ]
    (up0, cost0), (up1, cost1) = (rate.T for rate in rates)
    base0, base1 = (np.maximum(x["base"].to_numpy(float), 0.0) for x in (a, b))

    def score(base: np.ndarray, up: np.ndarray, cost: np.ndarray) -> np.ndarray:
        return np.asarray((np.outer(base, up) - cost).max(axis=1))

    corners = {
        (i, j, k): score((base0, base1)[i], (up0, up1)[j], (cost0, cost1)[k])
        for i in (0, 1) for j in (0, 1) for k in (0, 1)
    }  # fmt: skip
    exact = {name: _shapley(corners, place) for place, name in enumerate(("value", "effect", "cost"))}
    change = b["score"].to_numpy(float) - a["score"].to_numpy(float)
    same = (a["kind"] == "customer").to_numpy() & (b["kind"] == "customer").to_numpy()
    with np.errstate(invalid="ignore"):
        holds = same & (np.abs(sum(exact.values()) - change) <= 1e-6 * (1 + np.abs(change)))
    return {name: np.where(holds, exact[name], plain[name]) for name in plain}


def _shapley(corners: dict[tuple[int, int, int], np.ndarray], place: int) -> np.ndarray:
    """Return what one of three inputs changes, averaged over the six orders in which they may move."""
    total = np.zeros_like(corners[0, 0, 0])
    for others, weight in (((0, 0), 2), ((0, 1), 1), ((1, 0), 1), ((1, 1), 2)):
        low, high = ([*others[:place], moved, *others[place:]] for moved in (0, 1))
        total += weight * (corners[high[0], high[1], high[2]] - corners[low[0], low[1], low[2]])
    return total / 6


def _rates(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Effect and cost of each tier, from the customers whose best it is; nothing where tiers are not told."""
    if not {"kind", "tier"} <= set(table.columns):
        return {}
    known = table[(table["kind"] == "customer") & (table["base"] > 0) & table["tier"].notna()]
    up = (known["gain"] / known["base"]).groupby(known["tier"]).median()
    cost = known["cost"].groupby(known["tier"]).median()
    return {str(name): (float(up[name]), float(cost[name])) for name in up.index}


def _split(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, np.ndarray]:
    """Split each change with the tiers as they are: gain = base × effect, a change of tier moves effect and cost."""
    base0, base1 = (np.maximum(x["base"].to_numpy(float), 0.0) for x in (a, b))
    gain0, gain1 = (x["gain"].to_numpy(float) for x in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        u0, u1 = gain0 / base0, gain1 / base1
    # Of nothing there is no share: the other date's is taken, so that the base alone has moved.
    u0, u1 = np.where(base0 > 0, u0, u1), np.where(base1 > 0, u1, u0)
    u0, u1 = (np.where(np.isnan(u) & (base0 + base1 == 0), 0.0, u) for u in (u0, u1))
    return {
        "value": (base1 - base0) * (u0 + u1) / 2,
        "effect": (u1 - u0) * (base0 + base1) / 2,
        "cost": a["cost"].to_numpy(float) - b["cost"].to_numpy(float),
    }


def _turned(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    """Mark accounts that were prospects at one date and customers at the other."""
    if "kind" not in a or "kind" not in b:
        return np.zeros(len(a), dtype=bool)
    return (a["kind"].notna() & b["kind"].notna() & (a["kind"] != b["kind"])).to_numpy(bool)


def _unsure(table: pd.DataFrame) -> np.ndarray:
    chance = table["p_selected"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        return np.asarray((chance > 0.2) & (chance < 0.8))


def _main(row: dict[Any, Any]) -> str | None:
    """Name the part that moved an account most in the direction in which it went."""
    direction = 1.0 if row["now"] == "in" else -1.0
    parts = {name: row[name] * direction for name in PARTS if np.isfinite(row[name])}
    if not parts or max(parts.values()) <= 0:
        return None
    return max(parts, key=lambda name: parts[name])


def _why(row: dict[Any, Any]) -> str:
    main = _main(row)
    said = "moved a little" if main is None else PARTS[main][0 if row["now"] == "in" else 1]
    doubt = "; a close call both times" if row["unsure"] else ""
    return f"{said}{doubt}"


def _words(
    table: pd.DataFrame, came: int, went: int, stayed: int, bar: tuple[float, float], since: str, currency: str
) -> str:
    if not came and not went and not stayed:
        return f"Nobody is taken, as little as by {since}."
    if not came and not went:
        return f"Nobody came in or went out since {since}: the same {accounts(stayed)} are taken."
    text = f"Since {since}, {accounts(came)} came in and {went:,} went out; {stayed:,} stayed."
    for place, word, side in ((0, "in", "in"), (1, "out", "out")):
        mains = [_main(row) for row in table[table["now"] == side].to_dict("records")]
        counts = pd.Series(mains, dtype=object).dropna().value_counts()
        if len(counts):
            order = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
            text += f" Why {word}: {listed([f'{PARTS[str(name)][place]} ({n:,})' for name, n in order])}."
    unsure = int(table["unsure"].sum())
    if unsure:
        text += (
            f" {unsure:,} of these moves {'was a close call' if unsure == 1 else 'were close calls'} both times: a"
            " little doubt moves them, and no plan should hang on them."
        )
    if money(bar[0]) != money(bar[1]):
        text += f" The bar moved from {money(bar[0], currency)} to {money(bar[1], currency)}."
    return text
