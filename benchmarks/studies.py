"""Small books against their truth: which estimate of the year ahead to trust, over many designs.

    python benchmarks/studies.py                    # eleven designs, some five minutes of one core
    python benchmarks/studies.py --books 20 --designs sparse "every two months, loyal"

Each design draws books from known parameters, with the year after them. An error is the logarithm of a book's expected
purchases over those that the true parameters expect of the same accounts. Prints the table of `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from clv.errors import FitError
from clv.value import BetaGeoModel, ParetoNBDModel, purchase_forecast
from clv.value.estimation.priors import WeakPrior

YEAR = 52.0


class Design(NamedTuple):
    """True parameters (weeks), accounts, and the span of T."""

    model: Any
    parameters: tuple[float, float, float, float]
    accounts: int
    span: tuple[float, float]


DESIGNS = {
    "sparse": Design(BetaGeoModel, (0.25, 4.4, 0.8, 2.4), 100, (5, 39)),
    "sparse, 50 accounts": Design(BetaGeoModel, (0.25, 4.4, 0.8, 2.4), 50, (5, 39)),
    "sparse, 10 accounts": Design(BetaGeoModel, (0.25, 4.4, 0.8, 2.4), 10, (5, 39)),
    "less than yearly": Design(BetaGeoModel, (0.6, 40.0, 0.6, 4.0), 100, (26, 104)),
    "every two months": Design(BetaGeoModel, (1.5, 12.0, 0.5, 8.0), 100, (20, 104)),
    "every two months, loyal": Design(BetaGeoModel, (1.5, 12.0, 0.5, 50.0), 100, (20, 104)),
    "fast, loyal": Design(BetaGeoModel, (2.0, 4.0, 0.5, 20.0), 100, (5, 39)),
    "leaving": Design(BetaGeoModel, (1.0, 8.0, 1.5, 2.5), 100, (20, 78)),
    "much alike": Design(BetaGeoModel, (5.0, 60.0, 2.0, 10.0), 100, (20, 104)),
    "Pareto, sparse": Design(ParetoNBDModel, (0.55, 10.6, 0.6, 11.7), 100, (5, 39)),
    "Pareto, loyal": Design(ParetoNBDModel, (1.5, 12.0, 1.0, 100.0), 100, (20, 104)),
}


def draw_book(design: Design, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw histories and what came in the year after: uniform purchases, cut where the account was gone."""
    n, (r, alpha, a, b) = design.accounts, design.parameters
    span = rng.uniform(*design.span, n)
    possible = rng.poisson(rng.gamma(r, 1 / alpha, n) * (span + YEAR))
    if design.model is BetaGeoModel:
        last, end = rng.geometric(np.clip(rng.beta(a, b, n), 1e-12, 1.0)), np.full(n, np.inf)
    else:
        last, end = (
            np.full(n, np.iinfo(np.int64).max),
            rng.exponential(1, n) / np.maximum(rng.gamma(a, 1 / b, n), 1e-300),
        )
    frequency, recency, later = np.zeros(n, dtype=int), np.zeros(n), np.zeros(n, dtype=int)
    for i in range(n):
        when = np.sort(rng.uniform(0, span[i] + YEAR, possible[i]))[: last[i]]
        when = when[when < end[i]]
        past = when[when <= span[i]]
        frequency[i], later[i] = len(past), len(when) - len(past)
        recency[i] = past[-1] if len(past) else 0.0
    index = pd.Index([f"A{i}" for i in range(n)], name="account_id")
    summary = pd.DataFrame({"frequency": frequency, "recency": recency, "T": span}, index=index)
    summary.attrs["clv"] = {"unit": "W", "grain": None, "as_of": None}
    return summary, later


def total(model: Any, parameters: Any, summary: pd.DataFrame) -> float:
    """Return what a model with these parameters expects of the book in the year ahead."""
    known = model.from_parameters(unit="W", **dict(zip(model._names, parameters, strict=True)))
    return float(known.expected_purchases(summary, YEAR).sum())


def estimates(model: Any, summary: pd.DataFrame, draws: int) -> Iterator[tuple[str, float]]:
    """Estimate the book's total in every way that is compared."""
    try:
        yield "maximum likelihood", model().fit(summary).expected_purchases(summary, YEAR).sum()
    except FitError:
        yield "maximum likelihood", np.nan
    weak = model(prior="weak").fit(summary)
    yield "posterior mode", weak.expected_purchases(summary, YEAR).sum()
    drawn = weak.sample_posterior(draws, 1)
    yield "at the mean of the log-parameters", total(model, np.exp(np.log(drawn).mean()), summary)
    each = [total(model, row, summary) for row in drawn.to_numpy()]
    yield "mean of the posterior's totals", float(np.mean(each))
    yield "median of the posterior's totals", float(np.median(each))
    always = model(prior="weak").fit(summary)
    logs = np.log(weak.sample_posterior(1_000, 0))
    always._keep(np.exp(logs.mean().to_numpy()), np.cov(logs.to_numpy().T))
    always.estimate_ = "posterior mean"
    yield "mean prediction over 8 points", always.expected_purchases(summary, YEAR).sum()
    prior = model._weak
    narrow = WeakPrior(prior.centre, tuple(min(spread, 1.0) if spread < 2 else spread for spread in prior.spread))
    tighter = type("Tighter", (model,), {"_weak": narrow})(prior="weak").fit(summary)
    logs = np.log(tighter.sample_posterior(1_000, 0))
    tighter._keep(np.exp(logs.mean().to_numpy()), np.cov(logs.to_numpy().T))
    tighter.estimate_ = "posterior mean"
    yield "the same, priors of spread 1", tighter.expected_purchases(summary, YEAR).sum()


def study(name: str, books: int, draws: int) -> pd.DataFrame:
    """Return errors and coverage, one row a book."""
    design, rows = DESIGNS[name], []
    for number in range(books):
        rng = np.random.default_rng([13, number])
        summary, later = draw_book(design, rng)
        truth = total(design.model, design.parameters, summary)
        if not summary["frequency"].any():
            continue
        row = {way: np.log(value / truth) for way, value in estimates(design.model, summary, draws)}
        fitted = design.model(prior="auto").fit(summary)
        row['prior="auto"'] = float(np.log(fitted.expected_purchases(summary, YEAR).sum() / truth))
        low, high = purchase_forecast(fitted, summary, YEAR, draws=1_000, seed=number).total[1:]
        rows.append({**row, "covered": low <= later.sum() <= high, "sharp": fitted.estimate_ == "maximum likelihood"})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=60)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--designs", nargs="+", default=list(DESIGNS), choices=list(DESIGNS))
    chosen = parser.parse_args()
    everything = []
    for name in chosen.designs:
        found = study(name, chosen.books, chosen.draws)
        ways = [column for column in found if column not in ("covered", "sharp")]
        everything.append(found.assign(design=name))
        cells = [f"{found[way].mean():+.3f} / {np.sqrt((found[way] ** 2).mean()):.3f}" for way in ways]
        if len(everything) == 1:
            print(
                "| design | "
                + " | ".join(ways)
                + " | sharp | 90 % interval covers |\n"
                + "|---" * (len(ways) + 3)
                + "|"
            )
        print(
            f"| {name} | {' | '.join(cells)} | {found['sharp'].mean():.0%} | {found['covered'].mean():.0%} |",
            flush=True,
        )
    pooled = pd.concat(everything)
    cells = [f"{pooled[way].mean():+.3f} / {np.sqrt((pooled[way] ** 2).mean()):.3f}" for way in ways]
    print(f"| all | {' | '.join(cells)} | {pooled['sharp'].mean():.0%} | {pooled['covered'].mean():.0%} |")


if __name__ == "__main__":
    main()
