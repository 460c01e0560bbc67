"""Held-out accuracy on real books: our models beside lifetimes, pymc-marketing and boosted trees.

::

    python benchmarks/holdout.py                                   # CDNOW, Online Retail, demo; some minutes
    python benchmarks/holdout.py --books cdnow --peer-python peers/bin/python

At each cutoff every model is fitted to what was known then, and scored by the purchases of the horizon that followed:
mean Poisson deviance of an account. Differences are paired, account by account; an account that is seen at several
cutoffs counts once in their standard error. What learns from outcomes (boosted trees, and the weights of stacking)
learns them from an earlier date, over the same horizon or half of the history if that is shorter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import clv  # noqa: E402
from clv.errors import ClvError, FitError  # noqa: E402
from clv.value.boosted import BoostedModel  # noqa: E402
from clv.value.compare import parameter_count  # noqa: E402
from clv.value.validation import scores  # noqa: E402
from clv.value.validation.backtest import _drawn, _fit  # noqa: E402
from clv.value.validation.holdout import Holdout, hold_out  # noqa: E402
from clv.value.validation.peer import PeerModel  # noqa: E402

Forecasts = dict[str, np.ndarray]

#: comparison -> study, horizon in weeks, last known days.
BOOKS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "cdnow": ("cdnow", 26.0, ("1997-06-30", "1997-09-30", "1997-12-30")),
    "cdnow-long": ("cdnow", 39.0, ("1997-06-30", "1997-09-30")),
    "online_retail": ("online_retail", 13.0, ("2011-05-31", "2011-07-31", "2011-09-09")),
    "demo": ("demo", 26.0, ("2024-07-01", "2025-01-01", "2025-07-01")),
}
FAMILY = ("BG/NBD", "MBG/NBD", "Pareto/NBD", "BG/CNBD-k", "MBG/CNBD-k")
PEERS = ("BG/NBD, lifetimes", "Pareto/NBD, lifetimes", "BG/NBD, pymc MAP", "Pareto/NBD, pymc MAP")
BOOSTED = "boosted trees"
DRAWS, POSTERIOR = 400, 60


def family() -> dict[str, Any]:
    """Return our models, fitted by maximum likelihood where that is sharp."""
    from clv.value import (
        BetaGeoCNBDModel,
        BetaGeoModel,
        ModifiedBetaGeoCNBDModel,
        ModifiedBetaGeoModel,
        ParetoNBDModel,
    )

    makers = (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel, BetaGeoCNBDModel, ModifiedBetaGeoCNBDModel)
    return {name: maker(prior="auto") for name, maker in zip(FAMILY, makers, strict=True)}


def averaged(model: Any, cut: Holdout) -> np.ndarray:
    """Return expected purchases averaged over draws of the parameters from their posterior."""
    draws = model.sample_posterior(POSTERIOR, 0)
    given = {"k": int(model.k_)} if hasattr(model, "k_") else {}
    total = np.zeros(len(cut.summary))
    for row in draws.to_dict("records"):
        one = type(model).from_parameters(unit=model.unit_, **row, **given)
        total += one.expected_purchases(cut.summary, cut.horizon).to_numpy()
    return total / len(draws)


def akaike(models: Mapping[str, Any]) -> dict[str, float]:
    """Return Akaike weights of fitted models."""
    aic = {name: 2 * parameter_count(m) - 2 * m.log_likelihood_ for name, m in models.items()}
    least = min(aic.values())
    raw = {name: float(np.exp((least - value) / 2)) for name, value in aic.items()}
    return {name: value / sum(raw.values()) for name, value in raw.items()}


def stacked(outcome: np.ndarray, forecasts: Forecasts) -> dict[str, float]:
    """Return weights of 0 or more, sum 1, that minimise the deviance of the mixture: exponentiated gradient."""
    table = np.column_stack(list(forecasts.values()))
    table = np.maximum(table, 1e-3 * table.mean())
    weight = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(3_000):
        slope = ((1 - outcome / (table @ weight))[:, None] * table).mean(axis=0)
        weight = weight * np.exp(-0.5 * (slope - slope @ weight) / max(outcome.mean(), 1e-9))
        weight /= weight.sum()
    return dict(zip(forecasts, weight.tolist(), strict=True))


def ours(cut: Holdout, transactions: pd.DataFrame) -> tuple[Forecasts, dict[str, float], list[str]]:
    """Forecast by each of our models, and by what is made of several; with coverage of 90 % intervals, and notes."""
    found, cover, notes, fitted = Forecasts(), {}, [], {}
    actual = cut.outcome["purchases"].to_numpy(dtype=float)
    for name, model in family().items():
        try:
            one = model.fit(cut.summary)
        except ClvError as error:
            notes.append(f"{name}: {error.message}")
            continue
        fitted[name] = one
        found[name] = one.expected_purchases(cut.summary, cut.horizon).to_numpy()
        drawn = _drawn(one, cut, DRAWS, np.random.default_rng(0))
        cover[name] = scores.coverage(actual, drawn)
        if one.estimate_ != "maximum likelihood":
            notes.append(f"{name}: {one.estimate_}")
    weight = akaike(fitted)
    best = max(weight, key=weight.__getitem__)
    notes.append(f"AIC chooses {best}")
    found["chosen by AIC"], cover["chosen by AIC"] = found[best], cover[best]
    found["chosen by AIC, posterior mean"] = averaged(fitted[best], cut)
    found["mean of the five"] = np.mean([found[name] for name in fitted], axis=0)
    return found, cover, notes


def challengers(cut: Holdout, transactions: pd.DataFrame, found: Forecasts) -> list[str]:
    """Add boosted trees, and mixtures whose weights an earlier date has shown to be good."""
    options = {"unit": "W", "grain": "D", "covariates": None}
    known = transactions[transactions["date"].dt.normalize() <= cut.cutoff]
    notes = []
    try:
        trees = _fit(BoostedModel(), cut, transactions, **options)
        found[BOOSTED] = trees.expected_purchases(cut.summary, cut.horizon).to_numpy()
    except FitError as error:
        notes.append(f"{BOOSTED}: {error.message}")
    history = (cut.cutoff - known["date"].min().normalize()).days
    span = min(cut.horizon * 7, float(history // 2)) // 7
    try:
        early = hold_out(known, cutoff=cut.cutoff - pd.Timedelta(days=7 * span), horizon=span, as_of=cut.cutoff)
        before = {
            name: model.fit(early.summary).expected_purchases(early.summary, span).to_numpy()
            for name, model in family().items()
            if name in found
        }
        weight = stacked(early.outcome["purchases"].to_numpy(), before)
    except ClvError as error:
        notes.append(f"stacking: {error.message}")
        return notes
    found["stacked"] = sum(weight[name] * found[name] for name in weight)
    notes.append("stacked " + ", ".join(f"{w:.2f} {n}" for n, w in weight.items() if w > 0.005))
    if BOOSTED in found:
        found["stacked half and half with boosted trees"] = (found["stacked"] + found[BOOSTED]) / 2
    return notes


def lifetimes(cut: Holdout, found: Forecasts) -> list[str]:
    """Add what lifetimes forecasts."""
    try:
        from lifetimes import BetaGeoFitter, ParetoNBDFitter
    except ImportError:
        return ["lifetimes is not installed"]
    notes = []
    for name, fitter in ((PEERS[0], BetaGeoFitter()), (PEERS[1], ParetoNBDFitter())):
        np.random.seed(0)  # noqa: NPY002  the peer draws its start from the global generator
        try:
            model = PeerModel(fitter).fit(cut.summary)
            ahead = model.expected_purchases(cut.summary, cut.horizon).to_numpy()
            if not np.isfinite(ahead).all():
                raise FitError(f"{(~np.isfinite(ahead)).sum()} of its forecasts are no numbers")
            found[name] = ahead
        except FitError as error:
            notes.append(f"{name}: {error.message[:90]}")
    return notes


def pymc(cuts: list[Holdout], python: str, every: list[Forecasts]) -> list[str]:
    """Add what pymc-marketing forecasts, from its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for place, cut in enumerate(cuts):
            table = Path(folder) / f"{place}.parquet"
            cut.summary.reset_index()[["account_id", "frequency", "recency", "T"]].to_parquet(table)
            for name in PEERS[2:]:
                out = Path(folder) / f"{place}-{PEERS.index(name)}.parquet"
                jobs.append({
                    "model": name.split(",")[0], "table": str(table), "horizon": cut.horizon, "out": str(out),
                })  # fmt: skip
        path = Path(folder) / "jobs.json"
        path.write_text(json.dumps(jobs), encoding="utf-8")
        script = Path(__file__).parent / "peers" / "map_forecast.py"
        done = subprocess.run([python, str(script), str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"pymc-marketing failed: {done.stderr.strip().splitlines()[-1][:90]}"]
        for place, cut in enumerate(cuts):
            for name in PEERS[2:]:
                out = Path(folder) / f"{place}-{PEERS.index(name)}.parquet"
                if out.exists():
                    ahead = pd.read_parquet(out).set_index("account_id")["purchases"]
                    every[place][name] = ahead.reindex(cut.summary.index).to_numpy()
        return [f"pymc-marketing: {said}" for said in json.loads(done.stdout.splitlines()[-1]).values()]


def paired(cuts: list[Holdout], losses: list[dict[str, np.ndarray]], name: str, other: str) -> tuple[float, float]:
    """Return the mean difference of deviance over cutoffs, and its standard error, clustered by account."""
    parts = [
        pd.Series((loss[name] - loss[other]) / len(cut.summary) / len(losses), index=cut.summary.index)
        for cut, loss in zip(cuts, losses, strict=True)
    ]
    each = pd.concat(parts).groupby(level=0).sum()
    return float(each.sum()), float(np.sqrt(len(each)) * each.std())


def compare(name: str, python: str | None) -> None:
    """Print the table of one book."""
    started = time.monotonic()
    book, horizon, days = BOOKS[name]
    study = clv.load_study(book)
    transactions = study.read("transactions").table
    as_of = study.as_of(transactions)
    cuts = [hold_out(transactions, cutoff=day, horizon=horizon, as_of=as_of) for day in days]
    every, covers, notes = [], [], []
    for cut in cuts:
        found, cover, said = ours(cut, transactions)
        said += challengers(cut, transactions, found) + lifetimes(cut, found)
        notes += [f"{cut.cutoff:%Y-%m-%d}: {one}" for one in said]
        every.append(found)
        covers.append(cover)
    if python:
        notes += pymc(cuts, python, every)
    losses = [
        {n: scores.losses(cut.outcome["purchases"].to_numpy(dtype=float), np.asarray(f)) for n, f in found.items()}
        for cut, found in zip(cuts, every, strict=True)
    ]
    names = [n for n in every[0] if all(n in found for found in every)]
    rivals = [n for n in names if n in (*PEERS, BOOSTED)]
    mean = {n: float(np.mean([loss[n].mean() for loss in losses])) for n in names}
    rival = min(rivals, key=mean.__getitem__)
    accounts = ", ".join(f"{len(cut.summary):,} at {cut.cutoff:%Y-%m-%d}" for cut in cuts)
    print(f"\n### {name}: {horizon:g} weeks ahead; accounts: {accounts}\n")
    heads = " | ".join(f"{cut.cutoff:%Y-%m-%d}" for cut in cuts)
    print(f"| model | {heads} | mean deviance | minus {rival} | standard error | 90 % intervals cover |")
    print("|---" * (len(cuts) + 5) + "|")
    for n in sorted(names, key=mean.__getitem__):
        each = " | ".join(f"{loss[n].mean():.3f}" for loss in losses)
        gap, error = paired(cuts, losses, n, rival)
        behind = "| |" if n == rival else f"| {gap:+.3f} | {error:.3f} |"
        held = ", ".join(f"{cover[n]:.1%}" for cover in covers) if all(n in cover for cover in covers) else ""
        print(f"| {n} | {each} | {mean[n]:.3f} {behind} {held} |")
    print()
    for said in notes:
        print(f"- {said}")
    print(f"\n{time.monotonic() - started:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", nargs="+", choices=tuple(BOOKS), default=list(BOOKS))
    parser.add_argument("--peer-python", help="interpreter of an environment with pymc-marketing")
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for name in chosen.books:
        compare(name, chosen.peer_python)


if __name__ == "__main__":
    main()
