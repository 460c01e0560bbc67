"""What no one sees: each account's rate, dropout, spend, relationship, contract churn and wallet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clv.data.simulate.accounts import Firms
from clv.data.simulate.parameters import Process


@dataclass(frozen=True)
class Latent:
    """Latent truth, one entry an account, prospects included (what they would do once won).

    Attributes
    ----------
    rate : numpy.ndarray
        Purchases a week while alive, λ.
    dropout : numpy.ndarray
        Probability to stop after a repeat purchase, p.
    nu : numpy.ndarray
        Rate of the gamma distribution of an order's money, ν.
    spend : numpy.ndarray
        Mean money of an order, μ = p/ν.
    rapport, relationship : numpy.ndarray
        How well we get on before the first order, and as supplier and customer; standard normal, independent.
    contract_churn : numpy.ndarray
        Probability that a contract term is not renewed, θ.
    discount : numpy.ndarray
        Probability that an invoice line is discounted.
    response : numpy.ndarray
        Response to programmes relative to the mean account's, mean 1.
    wallet : numpy.ndarray
        Yearly demand for what we sell, ours included.
    rate_effect, dropout_effect : numpy.ndarray
        The covariates' sums: ln(alpha / alpha_i) and ln(b_i / b).
    """

    rate: np.ndarray
    dropout: np.ndarray
    nu: np.ndarray
    spend: np.ndarray
    rapport: np.ndarray
    relationship: np.ndarray
    contract_churn: np.ndarray
    discount: np.ndarray
    response: np.ndarray
    wallet: np.ndarray
    rate_effect: np.ndarray
    dropout_effect: np.ndarray


def draw_latent(rng: np.random.Generator, firms: Firms, process: Process) -> Latent:
    """Draw the latent truth given firmographics (the package's docstring has the equations)."""
    from scipy.special import betaincinv, ndtr

    accounts = len(firms)
    rapport, relationship = rng.standard_normal((2, accounts))

    def beta(a: float, b: np.ndarray | float, correlation: float) -> np.ndarray:
        # Gaussian copula: exactly Beta(a, b), yet lower where the relationship is better.
        noise = rng.standard_normal(accounts)
        rank = ndtr(-correlation * relationship + np.sqrt(1 - correlation**2) * noise)
        return betaincinv(a, b, rank)

    rate_effect = (
        firms.effect("rate")
        + process.rate_size * firms.size
        + process.rate_erp * firms.uses("ERP")
        + process.rate_edi * firms.uses("EDI")
    )
    dropout_effect = (
        process.dropout_size * firms.size
        + process.dropout_edi * firms.uses("EDI")
        + process.dropout_abroad * firms.lies("abroad")
    )
    rate = rng.gamma(process.r, 1.0, accounts) * np.exp(rate_effect) / process.alpha
    dropout = beta(process.a, process.b * np.exp(dropout_effect), process.dropout_relationship)
    nu = rng.gamma(process.q, 1.0, accounts) / process.gamma
    spend = process.p / nu
    elsewhere = np.exp(
        process.wallet_base
        + process.wallet_size * firms.size
        + firms.effect("wallet")
        + process.wallet_sd * rng.standard_normal(accounts)
    )
    ours = rate * spend * 365.25 / 7
    response = np.exp(
        process.response_size * firms.size
        + process.response_erp * firms.uses("ERP")
        + process.response_edi * firms.uses("EDI")
    )
    return Latent(
        rate=rate,
        dropout=dropout,
        nu=nu,
        spend=spend,
        rapport=rapport,
        relationship=relationship,
        contract_churn=beta(process.contract_a, process.contract_b, process.contract_relationship),
        discount=rng.beta(1.0, 2.5, accounts),
        response=response / response.mean(),
        wallet=ours * (1 + process.wallet_least) + elsewhere,
        rate_effect=rate_effect,
        dropout_effect=dropout_effect,
    )
