"""Draw a universe part by part, and write it as files whose bytes depend on nothing but the arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms, accounts_table, draw_firms
from clv.data.simulate.calendar import Calendar, stream
from clv.data.simulate.contracts import contracts_table
from clv.data.simulate.costs import costs_table
from clv.data.simulate.deals import draw_acquisition, draw_expansion, draw_managers, win_score
from clv.data.simulate.invoices import Lines, draw_credits, draw_lines, draw_spend, transactions_table
from clv.data.simulate.latent import Latent, draw_latent
from clv.data.simulate.opportunities import opportunities_table
from clv.data.simulate.parameters import Process
from clv.data.simulate.people import draw_contacts, draw_touches, wallets_table
from clv.data.simulate.programmes import Assignment, applied, assign, programmes_table
from clv.data.simulate.purchases import Journeys
from clv.data.simulate.stages import deal_stages_table
from clv.data.simulate.truth_tables import account_truth, invoice_truth, parameter_truth, tier_truth
from clv.data.simulate.write import write_tables
from clv.errors import SettingsError


@dataclass(frozen=True)
class Universe:
    """A drawn universe.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        What a supplier would see, in the columns of `clv.data.tables.INPUTS`.
    truth : dict of str to pandas.DataFrame
        What nobody sees: ``accounts``, ``tiers``, ``programmes``, ``opportunities``, ``invoices``, ``parameters``.
    as_of : pandas.Timestamp
        The last day.
    """

    tables: dict[str, pd.DataFrame]
    truth: dict[str, pd.DataFrame]
    as_of: pd.Timestamp

    def write(self, folder: str | Path) -> list[Path]:
        """Write one CSV a table, the truth into the sub-folder ``truth``.

        Returns
        -------
        list of pathlib.Path
            The files written.
        """
        home = Path(folder)
        return write_tables(self.tables, home) + write_tables(self.truth, home / "truth")


def draw(
    *,
    accounts: int = 600,
    seed: int = 1,
    years: int = 3,
    start: str = "2023-01-02",
    prospects: float = 0.35,
    regularity: int = 1,
    process: Process | None = None,
) -> Universe:
    """Draw a business-to-business universe whose truth is known.

    Parameters
    ----------
    accounts : int
        Customers and prospects together; at least 10.
    seed : int
        Two universes of one seed are equal, cell by cell.
    years : int
        Years of history, at least 2: the last one holds the programme.
    start : str
        First day, ISO.
    prospects : float
        Expected share of accounts that never bought.
    regularity : int
        k of the waits between purchases, Gamma(k, kλ): 1 is the BG/NBD, more is the BG/CNBD-k.
    process : Process, optional
        Other constants of the distributions.

    Returns
    -------
    Universe

    Raises
    ------
    SettingsError
        An argument is out of its range.
    """
    _check(accounts, seed, years, regularity, prospects)
    process = process or Process()
    calendar = _calendar(start, years)
    firms = draw_firms(rng := stream(seed, "accounts"), accounts, calendar, process)
    tables = {"accounts": accounts_table(rng, firms, calendar)}
    latent = draw_latent(stream(seed, "latent"), firms, process)
    managers = draw_managers(stream(seed, "managers"), firms, process)
    score = win_score(firms, latent.rapport, managers, process)
    first, acquired, intercept = draw_acquisition(stream(seed, "deals"), firms, score, calendar, process, prospects)

    journeys = Journeys(acquired, latent.rate, latent.dropout, regularity, stream(seed, "purchases"))
    account, week, lines, assignment = _trade(seed, journeys, firms, latent, calendar, process)
    day = calendar.day(week)
    credit = draw_credits(stream(seed, "credits"), account, day, lines, calendar, process)
    tables["transactions"], invoice = transactions_table(account, day, lines, credit, firms, calendar)

    rng = stream(seed, "expansion")
    as_customer = win_score(firms, latent.relationship, managers, process)
    later = draw_expansion(rng, acquired, journeys.dropped, as_customer, intercept, calendar, process)
    tables["opportunities"], deal_truth = opportunities_table(rng, (first, later), firms, latent, calendar)
    tables["programmes"] = programmes_table(stream(seed, "programmes").spawn(1)[0], assignment, firms, calendar)
    tables["contracts"] = contracts_table(stream(seed, "contracts"), acquired, firms, latent, calendar, process)
    people = draw_contacts(stream(seed, "contacts"), firms, latent, acquired)
    tables["contacts"] = people.table
    tables["touches"] = draw_touches(
        stream(seed, "touches"), firms, latent, people, (account, week), (first, later),
        journeys, assignment, calendar,
    )  # fmt: skip
    tables["wallets"] = wallets_table(
        stream(seed, "wallets"), firms, latent, calendar, process.survey_share, process.survey_sd
    )
    tables["deal_stages"] = deal_stages_table(stream(seed, "deal_stages"), tables["opportunities"], calendar)
    tables["costs"] = costs_table(
        stream(seed, "costs"), tables["touches"], tables["programmes"], journeys, firms, calendar
    )
    tiers, programmes = tier_truth(firms, latent, journeys, assignment, calendar, process)
    truth = {
        "accounts": account_truth(firms, latent, journeys, score, intercept, calendar, process),
        "tiers": tiers,
        "programmes": programmes,
        "opportunities": deal_truth,
        "invoices": invoice_truth(invoice, account, week, lines, credit, firms),
        "parameters": parameter_truth(process, seed, intercept, managers, regularity),
    }
    return Universe(tables, truth, calendar.as_of)


def _trade(
    seed: int, journeys: Journeys, firms: Firms, latent: Latent, calendar: Calendar, process: Process
) -> tuple[np.ndarray, np.ndarray, Lines, Assignment]:
    """Let everybody buy until the programme starts, tier by what they bought, and go on to the end."""
    spends, splits = stream(seed, "spend"), stream(seed, "invoices")

    def period(until: float) -> tuple[np.ndarray, np.ndarray, Lines]:
        account, week = journeys.advance(until)
        spend = draw_spend(spends, account, latent, process)
        return account, week, draw_lines(splits, account, spend, firms, latent, process)

    account, week, lines = period(calendar.programme)
    recent = week >= calendar.programme - 52
    cents = lines.totals(len(account))
    past = np.bincount(account[recent], weights=cents[recent], minlength=len(firms)) / 100
    assignment = assign(stream(seed, "programmes"), past, process)
    journeys.treat(calendar.programme, *applied(assignment, latent))
    later_account, later_week, later_lines = period(calendar.end)
    return (
        np.concatenate([account, later_account]),
        np.concatenate([week, later_week]),
        lines.followed_by(later_lines, len(account)),
        assignment,
    )


def _calendar(start: str, years: int) -> Calendar:
    try:
        return Calendar.of(start, years)
    except (ValueError, OverflowError) as fault:
        raise SettingsError(f"start = {start!r}: no date.", mend="Give a day like 2023-01-02.") from fault


def _check(accounts: int, seed: int, years: int, regularity: int, prospects: float) -> None:
    """Refuse what cannot be drawn, by name."""
    least = {"accounts": (accounts, 10), "seed": (seed, 0), "years": (years, 2), "regularity": (regularity, 1)}
    for name, (value, lowest) in least.items():
        if not isinstance(value, int | np.integer) or value < lowest:
            raise SettingsError(f"{name} = {value!r}: a whole number of at least {lowest} is needed.")
    if not 0 < prospects < 1:
        raise SettingsError(f"prospects = {prospects!r}: a share between 0 and 1 is needed.")
