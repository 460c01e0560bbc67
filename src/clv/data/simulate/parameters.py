"""The numbers of the generating process: one frozen table of constants, no code that draws."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Industry:
    """An industry's share of the market and its effects, all on the log scale.

    Attributes
    ----------
    share : float
        Share of accounts.
    log_employees : float
        Mean of the log head count.
    rate, wallet, win : float
        Added to the log purchase rate, to the log of the demand covered elsewhere, to the logit of winning.
    """

    name: str
    share: float
    log_employees: float
    rate: float
    wallet: float
    win: float


INDUSTRIES = (
    Industry("machinery", 0.26, 4.6, 0.25, 0.15, 0.25),
    Industry("automotive", 0.12, 5.3, 0.35, 0.35, 0.00),
    Industry("food", 0.16, 4.5, 0.00, -0.10, 0.10),
    Industry("chemicals", 0.12, 4.9, -0.05, 0.10, -0.10),
    Industry("electronics", 0.15, 4.3, -0.20, -0.20, 0.00),
    Industry("construction", 0.19, 3.9, -0.35, -0.15, -0.30),
)
REGIONS = ("north", "south", "east", "west", "abroad")
#: share of each region by industry, rows as in `INDUSTRIES`.
REGION_SHARES = (
    (0.18, 0.38, 0.12, 0.22, 0.10),
    (0.10, 0.45, 0.10, 0.20, 0.15),
    (0.35, 0.20, 0.18, 0.20, 0.07),
    (0.18, 0.17, 0.15, 0.38, 0.12),
    (0.12, 0.35, 0.23, 0.14, 0.16),
    (0.26, 0.22, 0.24, 0.24, 0.04),
)
#: how orders are placed: on paper, from a planning system, by electronic data interchange.
TECHNOLOGIES = ("paper", "ERP", "EDI")
ROLES = ("buyer", "user", "engineer", "decider", "finance", "gatekeeper")
CHANNELS = ("email", "phone", "visit", "web", "webinar", "fair")
STAGES = ("qualification", "proposal", "negotiation")
REASONS = ("service", "quality", "broken promises", "not listened to", "forgotten")


@dataclass(frozen=True)
class TierTruth:
    """What a tier really does, and how it is staffed.

    Attributes
    ----------
    share : float
        Share of the eligible accounts that the tier takes, best past revenue first.
    rate_gain : float
        Mean relative gain of the purchase rate over all accounts of the universe.
    dropout_factor : float
        The dropout probability is multiplied by it.
    cost, hours : float
        Mean cost (EUR) and manager hours an account over a programme's year.
    touches : float
        Extra touches a week.
    """

    name: str
    share: float
    rate_gain: float
    dropout_factor: float
    cost: float
    hours: float
    touches: float


TIERS = (
    TierTruth("1:1", 0.10, 0.24, 0.60, 4000.0, 60.0, 0.40),
    TierTruth("1:few", 0.30, 0.11, 0.80, 800.0, 20.0, 0.15),
    TierTruth("1:many", 0.60, 0.04, 0.95, 80.0, 0.5, 0.06),
)


@dataclass(frozen=True)
class Process:
    """Constants of the distributions; the package's docstring has the equations. Time is in weeks, money in EUR."""

    # BG/NBD: rate ~ Gamma(r, alpha_i), dropout ~ Beta(a, b_i)
    r: float = 1.0
    alpha: float = 5.6
    a: float = 0.60
    b: float = 13.0
    rate_size: float = 0.30
    rate_erp: float = 0.15
    rate_edi: float = 0.40
    dropout_size: float = 0.25
    dropout_edi: float = 0.50
    dropout_abroad: float = -0.60
    dropout_relationship: float = 0.45
    # Gamma-Gamma: order ~ Gamma(p, nu), nu ~ Gamma(q, gamma)
    p: float = 5.0
    q: float = 3.4
    gamma: float = 580.0
    # Wallet: demand covered elsewhere, log-normal in size and industry
    wallet_base: float = 9.6
    wallet_size: float = 0.75
    wallet_sd: float = 0.60
    wallet_least: float = 1.0
    survey_share: float = 0.15
    survey_sd: float = 0.20
    # Logit of winning a deal (the intercept is solved for the wanted share of prospects)
    win_size: float = 0.20
    win_edi: float = 0.35
    win_abroad: float = -0.40
    win_relationship: float = 0.60
    win_customer: float = 0.50
    win_manager_sd: float = 0.25
    never_approached: float = 0.08
    deal_wait: float = 5.0
    deal_gap: float = 22.0
    deal_cycle: float = 8.0
    expansion_rate: float = 0.35 / 52
    # Contracts: yearly terms, shifted beta-geometric: churn ~ Beta(contract_a, contract_b)
    contract_share: float = 0.30
    contract_a: float = 0.9
    contract_b: float = 2.7
    contract_relationship: float = 0.50
    contract_value: float = 0.12
    # Response to a programme: exp(size and technology), mean one over the universe
    response_size: float = 0.40
    response_edi: float = -0.60
    response_erp: float = 0.15
    treated: int = 2
    control: int = 1
    # Invoices
    discount_levels: tuple[float, ...] = (0.03, 0.05, 0.08, 0.10, 0.15)
    credit_rate: float = 0.008
    # What the truth's margins are reckoned with; the demo's study.yml says the same
    margin: float = 0.35
    discount_rate: float = 0.10
    horizon: float = 52.0
    #: mean of log employees at which size is 0.
    log_size: float = 4.5

    @property
    def delta(self) -> float:
        """Continuous discount rate a week: ln(1 + yearly rate) · 7 / 365.25."""
        return float(np.log1p(self.discount_rate) * 7 / 365.25)

    def as_rows(self) -> list[tuple[str, str]]:
        """List name and value of every constant, tiers and industries included."""

        def text(value: object) -> str:
            return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

        rows = [(field.name, text(getattr(self, field.name))) for field in dataclasses.fields(self)]
        named: list[tuple[str, TierTruth | Industry]] = [("tier", tier) for tier in TIERS]
        named += [("industry", industry) for industry in INDUSTRIES]
        for kind, entry in named:
            rows += [(f"{kind} {entry.name} {key}", text(value)) for key, value in vars(entry).items() if key != "name"]
        return rows


#: the demo's catalogue: eight families of six products; list prices in EUR rise within the family.
FAMILIES = ("fasteners", "bearings", "seals", "lubricants", "safety", "abrasives", "pneumatics", "tools")
_FAMILY_BASE = (0.9, 4.2, 1.6, 5.5, 2.4, 1.9, 6.8, 8.5)
_LADDER = (1.0, 1.45, 2.1, 3.0, 4.4, 6.4)
LIST_PRICES = np.round(np.outer(_FAMILY_BASE, _LADDER), 2).ravel()
PRODUCTS = tuple(f"P{family + 1}{rung + 1:02d}" for family in range(len(FAMILIES)) for rung in range(len(_LADDER)))
#: relative demand for each family by industry, rows as in `INDUSTRIES`.
FAMILY_DEMAND = (
    (4, 4, 2, 2, 1, 2, 2, 2),
    (3, 3, 3, 2, 1, 2, 3, 2),
    (1, 2, 3, 2, 3, 1, 2, 1),
    (1, 1, 4, 3, 3, 1, 2, 1),
    (2, 1, 1, 1, 2, 1, 3, 3),
    (5, 1, 1, 1, 4, 3, 1, 4),
)
