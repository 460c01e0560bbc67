"""What accounts like this one buy at most: a high quantile of sales given firmographics, held out and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clv.abm.propensity.columns import Columns, describe_columns

Floats = NDArray[np.float64]

#: customers below which there is no model, and below which only a quantile without firmographics is taken.
FEWEST, FEWEST_TO_LEARN = 20, 60
#: customers up to which the linear program of quantile regression is solved; of more, only trees are tried.
_MOST_LINEAR = 4000
FOLDS = 5


class Potential(NamedTuple):
    """Quantiles of log sales.

    Attributes
    ----------
    log_quantiles : numpy.ndarray, shape (accounts, 3)
        At the lower, wanted and upper level, rising; of accounts that were learnt from, from folds without them.
    held_out : numpy.ndarray, shape (customers,)
        Held-out prediction at the wanted level, before the calibration below.
    shift : float
        Added to all, so that the wanted share of held-out customers lies below.
    method : str
    losses : dict
        Mean pinball loss on held-out customers, by method.
    crossings : int
        Accounts whose quantiles had to be put in order.
    levels : tuple of float
    columns : Columns
    """

    log_quantiles: Floats
    held_out: Floats
    shift: float
    method: str
    losses: dict[str, float]
    crossings: int
    levels: tuple[float, float, float]
    columns: Columns


def pinball(y: Floats, q: Floats, level: float) -> float:
    """Return the mean check loss of a quantile (Koenker & Bassett 1978)."""
    left = y - q
    return float(np.mean(np.maximum(level * left, (level - 1) * left)))


def potential_quantiles(
    frame: pd.DataFrame,
    log_sales: Floats,
    customer: NDArray[np.bool_],
    *,
    quantile: float,
    confidence: float,
    seed: int,
) -> Potential:
    """Learn a quantile of customers' log sales and tell it for all accounts.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (accounts, attributes)
        Numbers in logarithms where they are sizes.
    log_sales : numpy.ndarray, shape (accounts,)
        NaN for those that are not customers.
    customer : numpy.ndarray of bool
    quantile, confidence : float
    seed : int

    Notes
    -----
    Candidates are the quantile of all customers, linear quantile regression (Koenker & Bassett 1978) on numbers
    and levels, and boosted trees with the check loss; the one with the smallest held-out loss is taken, the simpler of
    two whose losses differ by less than two standard errors of the difference. Bounds are predictions at the levels
    ``q ± z √(q (1 − q) p / n)`` (the direct method of Zhou & Portnoy 1996, with mean leverage p / n); quantiles that
    cross are put in order (Chernozhukov, Fernández-Val & Galichon 2010). The shift is split-conformal (Romano,
    Patterson & Candès 2019) over the folds.
    """
    from threadpoolctl import threadpool_limits

    # The trees are small: threads would only wait for one another.
    with threadpool_limits(1, user_api="openmp"):
        return _learn(frame, log_sales, customer, quantile, confidence, seed)


def _learn(
    frame: pd.DataFrame, log_sales: Floats, customer: NDArray[np.bool_], quantile: float, confidence: float, seed: int
) -> Potential:
    """Choose a method on held-out customers and foretell all accounts by it."""
    from scipy.special import ndtri

    columns = describe_columns(frame) if frame.shape[1] else Columns((), ())
    n = int(customer.sum())
    table = columns.take(frame, table="accounts")
    y = log_sales[customer]
    learn = table[customer]
    folds = np.random.default_rng(seed).permutation(n) % FOLDS
    methods = ["all customers"]
    if n >= FEWEST_TO_LEARN and columns.names:
        methods += ["linear"] if n <= _MOST_LINEAR else []
        methods += ["trees"]
    held: dict[str, Floats] = {}
    for method in methods:
        held[method] = np.empty(n)
        for fold in range(FOLDS):
            out = folds == fold
            fit = _fit(method, columns, learn[~out], y[~out], quantile, seed)
            held[method][out] = fit(learn[out])
    losses = {method: pinball(y, q, quantile) for method, q in held.items()}
    best = _choose(held, y, quantile)
    p = 1 if best == "all customers" else 1 + _encoder(columns).fit_transform(learn).shape[1]
    width = float(ndtri((1 + confidence) / 2)) * np.sqrt(quantile * (1 - quantile) * p / n)
    levels = (max(0.02, quantile - width), quantile, min(0.995, quantile + width))
    raw = np.empty((len(frame), 3))
    for column, level in enumerate(levels):
        everyone = _fit(best, columns, learn, y, level, seed)
        raw[~customer, column] = everyone(table[~customer])
        inside = everyone(learn)
        for fold in range(FOLDS) if best != "all customers" else ():
            out = folds == fold
            inside[out] = _fit(best, columns, learn[~out], y[~out], level, seed)(learn[out])
        raw[customer, column] = inside
    ordered = np.sort(raw, axis=1)
    crossings = int(np.any(ordered != raw, axis=1).sum())
    if best == "linear":
        ordered = _widened(ordered, _leverage(columns, learn, table))
    scores = np.sort(y - held[best])
    rank = min(n, int(np.ceil(quantile * (n + 1))))
    shift = float(scores[rank - 1])
    return Potential(ordered + shift, held[best], shift, best, losses, crossings, levels, columns)


def _choose(held: dict[str, Floats], y: Floats, level: float) -> str:
    """Take the best method, unless a simpler one is as good within two standard errors."""

    def each(q: Floats) -> Floats:
        left = y - q
        return np.maximum(level * left, (level - 1) * left)

    names = list(held)
    best = min(names, key=lambda name: float(each(held[name]).mean()))
    for name in names:
        gap = each(held[name]) - each(held[best])
        if gap.mean() <= 2 * gap.std(ddof=1) / np.sqrt(len(y)):
            return name
    return best


def _fit(method: str, columns: Columns, x: pd.DataFrame, y: Floats, level: float, seed: int) -> Any:
    """Fit one method at one level; return a function from a table to predictions."""
    if method == "all customers":
        constant = float(np.quantile(y, level))
        return lambda table: np.full(len(table), constant)
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import QuantileRegressor
    from sklearn.pipeline import make_pipeline

    if method == "linear":
        model: Any = QuantileRegressor(quantile=level, alpha=0.5 / len(y), solver="highs")
        encoder = _encoder(columns)
    else:
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=80, learning_rate=0.06, max_leaf_nodes=7,
            min_samples_leaf=max(10, len(y) // 50), early_stopping=False, random_state=seed,
        )  # fmt: skip
        encoder = columns.encoder(ranks=False)
    fitted = make_pipeline(encoder, model).fit(x, y)
    return lambda table: np.asarray(fitted.predict(table), dtype=float) if len(table) else np.empty(0)


def _leverage(columns: Columns, learn: pd.DataFrame, table: pd.DataFrame) -> Floats:
    """Return how far each account is from those learnt from: x'(X'X)⁻¹x over its mean p / n."""
    encoder = _encoder(columns).fit(learn)
    x, new = (np.column_stack([np.ones(len(t)), encoder.transform(t)]) for t in (learn, table))
    inverse = np.linalg.pinv(x.T @ x)
    own = np.einsum("ij,jk,ik->i", new, inverse, new)
    return own / max(float(np.mean(np.einsum("ij,jk,ik->i", x, inverse, x))), 1e-12)


def _widened(quantiles: Floats, leverage: Floats) -> Floats:
    """Stretch bounds where an account is unlike those learnt from; the levels allow for mean leverage only."""
    middle = quantiles[:, 1:2]
    factor = np.sqrt(np.clip(leverage, 0.25, 16.0))[:, None]
    return middle + (quantiles - middle) * factor


def _encoder(columns: Columns) -> Any:
    """Numbers on one scale, the missing ones at the median with a flag; a column for each level."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    number = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    level = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = [("number", number, list(columns.numbers)), ("level", level, list(columns.categories))]
    return ColumnTransformer([part for part in parts if part[2]])


def in_logarithms(frame: pd.DataFrame, sizes: Sequence[str] = ("employees", "revenue")) -> pd.DataFrame:
    """Take the logarithm of sizes: an account ten times as large is so many steps larger, wherever it starts."""
    logs = {}
    for name in sizes:
        if name in frame.columns and pd.api.types.is_numeric_dtype(frame[name]):
            values = frame[name].to_numpy(dtype=float, na_value=np.nan)
            logs[name] = np.log1p(np.where(values >= 0, values, np.nan))
    return frame.assign(**logs)
