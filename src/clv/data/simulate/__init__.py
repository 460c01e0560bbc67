r"""A business-to-business universe drawn from known distributions, so that every model can be scored.

A supplier of industrial parts, every account a market of its own. Process time is in weeks, money in EUR. Constants are
in `Process`, `INDUSTRIES` and `TIERS` (`clv.data.simulate.parameters`); their values in a drawn universe are in
``truth["parameters"]``. Each part draws from its own child of the seed, so a change in one part leaves the others'
numbers as they were.

Firmographics
    Industry i; region given i; ln(employees) ~ Normal(m_i, 1), size = ln(employees) − 4.5; technology (paper, ERP, EDI)
    by an ordered logit in size; manager given region. Cells of the table `accounts` are missing completely at random.

Purchases: BG/NBD with covariates (Fader, Hardie & Lee 2005; Fader & Hardie 2007)
    While alive an account buys at rate λ; the first purchase is at its acquisition; after each repeat purchase it stops
    for good with probability p::

        λ ~ Gamma(r, α_i),  α_i = α exp(−x'β),  x'β = industry + rate_size · size + rate_erp · ERP + rate_edi · EDI
        p ~ Beta(a, b_i),   b_i = b exp(z'γ),   z'γ = dropout_size · size + dropout_edi · EDI + dropout_abroad · abroad

    λ and p are independent given the covariates. Waits are Gamma(k, kλ); k = 1, the exponential, unless `regularity`
    says otherwise (BG/CNBD-k: Reutterer, Platzer & Schröder 2021). Moments fall on days: two orders of one day stay two
    invoices.

Spend: Gamma-Gamma (Fader & Hardie 2013)
    Money of an order ~ Gamma(p, ν), ν ~ Gamma(q, γ), independent of rate, dropout and covariates (this p is a shape,
    not the dropout probability); mean order μ = p/ν. An order is split into invoice lines of whole units at prices in
    cents (the sum differs from the draw by up to half a cent a unit). Fewer than one line in a hundred is credited in
    part; ``truth["invoices"]`` has what was billed and what is left.

Relationship
    Rapport ρ₀ ~ Normal(0, 1) before the first order, relationship ρ ~ Normal(0, 1) as a customer, independent: were
    they one, winning would select on it and customers' p and θ would no longer be beta. They move sentiment
    (tanh(0.15 + 0.5ρ + noise), lower after drop-out), contacts' attitude and the win logit. p and the contract churn θ
    are tied to ρ by a Gaussian copula, u = Φ(−cρ + √(1−c²)ε): their beta distributions stay exact.

Deals
    An account that we approach is asked in attempts one after the other until it says yes, each decided after a
    Gamma(2) cycle and won with probability::

        logistic(intercept + win_size · size + win_edi · EDI + win_abroad · abroad + industry
                 + win_relationship · ρ₀ + manager),   manager ~ Normal(0, win_manager_sd)

    The first yes is the acquisition. The intercept is solved so that the expected share never won is `prospects`. Deals
    with customers come at a Poisson rate until drop-out, with ρ instead of ρ₀ and win_customer more in the logit; they
    change no purchase.

Stages of deals
    A deal's days are shared among its stages by Gamma(4) weights; some deals go back once.

Costs
    Every touch before the first purchase costs its channel's mean times a log-normal error; overheads follow the
    accounts known, service the customers still buying. What the programme spent is booked once more, in parts that sum
    to the cost in the table `programmes`: a reader must not count it twice.

Contracts: shifted beta-geometric (Fader & Hardie 2007)
    A share of customers signs yearly terms; each is renewed with probability 1 − θ, θ ~ Beta(contract_a, contract_b).

Programme
    Accounts with revenue in the 52 weeks before the start are ranked by it and cut into tiers; treatment is drawn in
    permuted blocks of three neighbours (2 treated : 1 control). Under tier t, from the start on::

        λ → λ (1 + gain_t · h),   h = exp(response_size · size + response_erp · ERP + response_edi · EDI) / its mean
        p → p · dropout_factor_t

    The mean of h is one over all accounts of the universe. The programme ends with the last day; its effects too.

Wallet
    Yearly demand W = 2 · (365.25/7) λμ + elsewhere, elsewhere log-normal in size and industry: an expectation, which a
    good year can exceed. A survey asks a share of accounts and errs log-normally.

What an account is worth
    A living account's discounted purchases over the horizon H, with δ = ln(1 + discount_rate) · 7/365.25 a week::

        E = ∫₀ᴴ λ e^{−(δ + λp)s} ds = λ (1 − e^{−(δ + λp)H}) / (δ + λp)

    ``margin_52`` = margin · μ · E without any programme, 0 once dropped. A tier's ``incremental_margin`` is the same
    with λ and p under that tier, less ``margin_52``. A prospect's ``margin_if_won`` = margin · μ · (1 + E).
"""

from __future__ import annotations

from clv.data.simulate.demo import draw_demo, write_demo
from clv.data.simulate.parameters import Process
from clv.data.simulate.universe import Universe, draw

__all__ = ["Process", "Universe", "draw", "draw_demo", "write_demo"]
