"""Potential, share of wallet and growth room of each account (rule B4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clv.abm.classes.shares import by_account, check_share, known_accounts, lines_until
from clv.abm.propensity.known import NOT_ATTRIBUTES
from clv.abm.wallet.quantile import FEWEST, Potential, in_logarithms, potential_quantiles
from clv.abm.wallet.surveys import Calibration, calibrate, latest_wallets
from clv.abm.wallet.wording import wallet_text
from clv.churn.purchases import Date, day_of
from clv.errors import DataError
from clv.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: relative standard deviation of a survey's error, for the interval around a surveyed wallet.
SURVEY_SD = 0.20


@dataclass(frozen=True, eq=False)
class WalletPotential(Result):
    """What each account needs in a year, and how much of it is ours.

    Attributes
    ----------
    table : pandas.DataFrame
        Index account_id: sales (ours, a year), potential, lower, upper, share (of wallet), share_lower, share_upper,
        growth_room (potential less sales), room_lower, room_upper, source (survey, estimate, unknown), estimate (the
        model's, also where a survey is used), at_ceiling (sales reach the estimate, so that the potential is only
        known to be no less), error (in words; empty where there is none).
    errors : pandas.DataFrame
        account_id, wallet, sales, share, reason: surveyed wallets that cannot be true; the estimate is used instead.
    coverage : pandas.DataFrame
        Index method: loss (held-out check loss), below (share of held-out customers below the quantile, before the
        calibration), chosen.
    below, below_lower, below_upper : float
        The same share for the chosen method, with its interval; should be the quantile.
    crossings : int
        Accounts whose lower, middle and upper quantile came in the wrong order and were put right.
    calibration : Calibration or None
        What the surveys say of the estimates.
    quantile : float
    currency : str
    left_out : dict
        Column of accounts -> why it was not learnt from.
    """

    errors: pd.DataFrame
    coverage: pd.DataFrame
    below: float
    below_lower: float
    below_upper: float
    crossings: int
    calibration: Calibration | None
    quantile: float
    currency: str
    left_out: dict[str, str] = field(default_factory=dict)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw potential against sales."""
        from clv.abm.wallet.pictures import potential_against_sales

        return potential_against_sales(self, ax)


def wallet_potential(
    accounts: pd.DataFrame,
    sales: Any,
    *,
    wallets: pd.DataFrame | None = None,
    quantile: float = 0.9,
    attributes: list[str] | None = None,
    as_of: Date | None = None,
    confidence: float = 0.9,
    seed: int = 0,
    currency: str = "",
) -> WalletPotential:
    """Estimate each account's yearly demand for what we sell, and the share of it that is ours.

    Parameters
    ----------
    accounts : pandas.DataFrame
        account_id and firmographics, customers and prospects; what is missing (an unknown industry) is a level of its
        own. Without firmographics all accounts get the same estimate, and the text says so.
    sales : pandas.DataFrame or pandas.Series
        Transactions (account_id, date, amount), of which the last 365 days are taken; or yearly sales by account_id.
    wallets : pandas.DataFrame, optional
        account_id, date, wallet: surveyed yearly demand. The latest counts, if not older than three years.
    quantile : float
        An account's potential is what this share of similar customers does not exceed.
    attributes : list of str, optional
        Columns of accounts to learn from; None: all but names, managers, parents and dates.
    as_of : date, optional
        None: the last line of the transactions, or the last survey.
    confidence : float
        Of all intervals.
    seed : int
        Of the folds.
    currency : str
        Written after money.

    Returns
    -------
    WalletPotential

    Raises
    ------
    clv.errors.DataError
        A table or column is missing, an account is there twice, or a number is none.
    clv.errors.SettingsError
        A share is impossible.

    Notes
    -----
    A high quantile of what similar customers buy is what an account could buy from us if we served it as well as we
    serve the best-served ones; it is not the whole demand of the account unless some similar customer buys all of it
    from us. Only surveys can tell how far apart the two are, and where there are some (five or more) the estimates are
    set to their level; the text says which is meant. Estimates are never below sales. A survey below sales (a share of
    wallet above 100 %) is an error of the data: it is listed, left out, and the estimate used.
    """
    check_share("quantile", quantile)
    check_share("confidence", confidence)
    if not isinstance(accounts, pd.DataFrame):
        raise DataError(f"it is a {type(accounts).__name__}.", table="accounts", mend="Give a DataFrame.")
    known_accounts(accounts)
    sold, end = _yearly(sales, wallets, as_of)
    firms = accounts.set_index("account_id") if "account_id" in accounts.columns else accounts
    firms = firms.set_axis(firms.index.astype(str), axis=0)
    ids = pd.Index(firms.index.union(sold.index, sort=True), name="account_id")
    names = attributes
    if names is None:
        names = [str(n) for n in firms.columns if n not in NOT_ATTRIBUTES and n != "margin_share"]
    missing = [n for n in names if n not in firms.columns]
    if missing:
        raise DataError("the column is missing.", table="accounts", column=missing[0], mend="Check its name.")
    frame = in_logarithms(firms[names].reindex(ids))
    ours = sold.reindex(ids).fillna(0.0)
    customer = (ours > 0).to_numpy()
    log_sales = np.log(ours.where(ours > 0)).to_numpy(float)
    surveyed = latest_wallets(wallets, end, ids)
    wrong = (surveyed < ours * (1 - 1e-9)) | (surveyed == 0)
    errors = _errors(surveyed[wrong], ours[wrong])
    sound = surveyed.where(~wrong)
    found: Potential | None = None
    calibration: Calibration | None = None
    nothing = np.full((len(ids), 3), np.nan)
    if customer.sum() >= FEWEST:
        found = potential_quantiles(frame, log_sales, customer, quantile=quantile, confidence=confidence, seed=seed)
        nothing = found.log_quantiles
        calibration = calibrate(nothing[:, 1], log_sales, np.log(sound).to_numpy(float), confidence=confidence)
    table = _table(ids, ours, sound, nothing, calibration, confidence)
    table["error"] = np.where(wrong.reindex(ids), "the surveyed wallet is smaller than our sales", "").astype(object)
    below, lower, upper = _below(found, log_sales[customer], confidence)
    coverage = _coverage(found, below)
    draft = WalletPotential(
        table, "", errors, coverage, below, lower, upper, found.crossings if found else 0,
        calibration if calibration and calibration.method != "none" else None, quantile, currency,
        dict(found.columns.left_out) if found else {},
    )  # fmt: skip
    text = wallet_text(
        draft, int(customer.sum()), int(sound.notna().sum()), found.method if found else None, confidence
    )
    return WalletPotential(**{**vars(draft), "text": text})


def _yearly(sales: Any, wallets: pd.DataFrame | None, as_of: Date | None) -> tuple[pd.Series, pd.Timestamp | None]:
    """Return sales of a year by account, and the day up to which surveys count."""
    if isinstance(sales, pd.DataFrame) and {"date", "amount"} <= set(sales.columns):
        lines, end = lines_until(sales, as_of)
        recent = lines[lines["date"] > end - pd.Timedelta(days=365)]
        sums = recent.groupby("account_id")["amount"].sum()
        return sums.reindex(pd.Index(sorted(lines["account_id"].unique()), dtype=object), fill_value=0.0), end
    until: pd.Timestamp | None = None if as_of is None else day_of(as_of)
    if until is None and wallets is not None and "date" in wallets.columns and len(wallets):
        until = pd.Timestamp(wallets["date"].max()).normalize()
    return by_account(sales, name="sales", table="sales"), until


def _errors(wallet: pd.Series, sales: pd.Series) -> pd.DataFrame:
    """List surveyed wallets that cannot be true."""
    share = np.divide(
        sales.to_numpy(), wallet.to_numpy(), out=np.full(len(wallet), np.inf), where=wallet.to_numpy() > 0
    )
    reason = [
        "a wallet of nothing" if w == 0 and s <= 0 else f"share of wallet {s / w:.0%}: above 100%" if w > 0
        else "a wallet of nothing, but it buys from us"
        for w, s in zip(wallet, sales, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(
        {"account_id": wallet.index.to_numpy(dtype=object), "wallet": wallet.to_numpy(), "sales": sales.to_numpy(),
         "share": share, "reason": np.array(reason, dtype=object)}
    )  # fmt: skip


def _table(
    ids: pd.Index, ours: pd.Series, surveyed: pd.Series, logs: np.ndarray, calibration: Calibration | None,
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Put surveys before estimates, and keep every potential at or above sales."""
    from scipy.special import ndtri

    middle, low, high = logs[:, 1], logs[:, 0], logs[:, 2]
    if calibration is not None and calibration.method != "none":
        middle = calibration.log_potential
        low, high = middle + calibration.lower, middle + calibration.upper
    sold = ours.clip(lower=0.0).to_numpy()
    estimate, lower, upper = np.exp(middle), np.exp(np.minimum(low, middle)), np.exp(np.maximum(high, middle))
    ceiling = estimate <= sold
    asked = surveyed.notna().to_numpy()
    spread = float(ndtri((1 + confidence) / 2)) * SURVEY_SD
    wallet = surveyed.to_numpy(float)
    potential = np.where(asked, wallet, np.maximum(estimate, sold))
    lower = np.maximum(np.where(asked, wallet * np.exp(-spread), lower), sold)
    upper = np.maximum(np.where(asked, wallet * np.exp(spread), upper), potential)
    source = np.where(asked, "survey", np.where(np.isfinite(potential), "estimate", "unknown")).astype(object)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = {"share": sold / potential, "share_lower": sold / upper, "share_upper": sold / lower}
    return pd.DataFrame(
        {
            "sales": ours.to_numpy(),
            "potential": potential,
            "lower": lower,
            "upper": upper,
            **{name: np.where(np.isfinite(values), values, np.nan) for name, values in share.items()},
            "growth_room": potential - sold,
            "room_lower": lower - sold,
            "room_upper": upper - sold,
            "source": source,
            "estimate": estimate,
            "at_ceiling": pd.array(ceiling & ~asked, dtype="boolean"),
        },
        index=ids,
    )


def _below(found: Potential | None, log_sales: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Return the share of held-out customers below the quantile, with Wilson's (1927) interval."""
    if found is None:
        return float("nan"), float("nan"), float("nan")
    from scipy.special import ndtri

    n, z = len(log_sales), float(ndtri((1 + confidence) / 2))
    share = float(np.mean(log_sales <= found.held_out))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return share, float(middle - half), float(middle + half)


def _coverage(found: Potential | None, below: float) -> pd.DataFrame:
    if found is None:
        return pd.DataFrame({"loss": [], "below": [], "chosen": []}).rename_axis("method")
    table = pd.DataFrame({"loss": pd.Series(found.losses)}).rename_axis("method")
    table["chosen"] = table.index == found.method
    table["below"] = np.where(table["chosen"], below, np.nan)
    return table[["loss", "below", "chosen"]]
