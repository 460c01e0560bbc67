"""What accounts buy: orders become invoice lines; a few lines are credited in part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clv.data.simulate.accounts import Firms, pick
from clv.data.simulate.calendar import Calendar
from clv.data.simulate.latent import Latent
from clv.data.simulate.parameters import FAMILY_DEMAND, LIST_PRICES, PRODUCTS, Process


@dataclass(frozen=True)
class Lines:
    """Invoice lines as arrays of one length, money in cents.

    Attributes
    ----------
    order : numpy.ndarray of int
        Position of the purchase.
    product, quantity, cents : numpy.ndarray of int
        Product, units and price of one unit in cents.
    discount : numpy.ndarray of float
        Share of the list price given as discount.
    """

    order: np.ndarray
    product: np.ndarray
    quantity: np.ndarray
    cents: np.ndarray
    discount: np.ndarray

    @property
    def amount(self) -> np.ndarray:
        """Money of each line, in cents."""
        return self.quantity * self.cents

    def totals(self, orders: int) -> np.ndarray:
        """Money of each order, in cents."""
        return np.bincount(self.order, weights=self.amount, minlength=orders).astype(np.int64)

    def followed_by(self, later: Lines, orders: int) -> Lines:
        """Append the lines of later orders, whose positions go on after `orders`."""
        return Lines(
            np.concatenate([self.order, later.order + orders]),
            np.concatenate([self.product, later.product]),
            np.concatenate([self.quantity, later.quantity]),
            np.concatenate([self.cents, later.cents]),
            np.concatenate([self.discount, later.discount]),
        )


def draw_spend(rng: np.random.Generator, account: np.ndarray, latent: Latent, process: Process) -> np.ndarray:
    """Draw the money of each order: Gamma(p, ν) of its account."""
    return rng.gamma(process.p, 1.0, len(account)) / latent.nu[account]


def draw_lines(
    rng: np.random.Generator, account: np.ndarray, spend: np.ndarray, firms: Firms, latent: Latent, process: Process
) -> Lines:
    """Split orders into lines of distinct products.

    Units are whole and prices in cents, so an order's lines add up to `spend` within half a cent a unit.
    """
    orders = len(account)
    counts = 1 + np.minimum(rng.poisson(0.6 + np.minimum(spend / 900, 2.4)), 6)
    order = np.repeat(np.arange(orders), counts)
    weight = rng.gamma(2.5, 1.0, len(order)) + 0.15
    money = spend[order] * weight / np.bincount(order, weights=weight, minlength=orders)[order]

    demand = np.repeat(np.array(FAMILY_DEMAND, dtype=float), len(LIST_PRICES) // len(FAMILY_DEMAND[0]), axis=1)
    product = _distinct(order, pick(rng, demand, firms.industry[account[order]]))
    given = rng.random(len(order)) < latent.discount[account[order]]
    discount = np.where(given, rng.choice(process.discount_levels, len(order)), 0.0)
    quantity = np.maximum(np.rint(money / (LIST_PRICES[product] * (1 - discount))), 1).astype(np.int64)
    cents = np.maximum(np.rint(100 * money / quantity), 1).astype(np.int64)
    return Lines(order, product, quantity, cents, discount)


def _distinct(order: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Move a product that an order already has to the next in the catalogue, until all differ."""
    product = product.copy()
    while True:
        key = order * len(PRODUCTS) + product
        _, first = np.unique(key, return_index=True)
        again = np.ones(len(key), dtype=bool)
        again[first] = False
        if not again.any():
            return product
        product[again] = (product[again] + 1) % len(PRODUCTS)


def draw_credits(
    rng: np.random.Generator, account: np.ndarray, day: np.ndarray, lines: Lines, calendar: Calendar, process: Process
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose lines that are credited in part, one credit note each.

    A line is credited only while it is the account's latest purchase of its product, so that the usual rule (a credit
    nets against the latest earlier purchase) finds exactly this line. Never all units: no purchase disappears.

    Returns
    -------
    line, day, quantity : numpy.ndarray of int
        The line credited, the credit note's day and the units taken back.
    """
    buyer, bought = account[lines.order], day[lines.order]
    by_product = np.lexsort((bought, lines.product, buyer))
    same = (np.diff(buyer[by_product]) == 0) & (np.diff(lines.product[by_product]) == 0)
    earlier, later = by_product[:-1][same], by_product[1:][same]
    bought_again = np.full(len(buyer), np.iinfo(np.int64).max)
    bought_again[earlier] = bought[later]
    # Twice on one day: which of the two is the latest would be a matter of taste.
    bought_again[later[bought[earlier] == bought[later]]] = 0

    chosen = rng.random(len(buyer)) < process.credit_rate
    credited_on = bought + 1 + rng.poisson(9.0, len(buyer))
    back = 1 + np.floor(rng.random(len(buyer)) * (lines.quantity - 1)).astype(np.int64)
    possible = (lines.quantity >= 2) & (credited_on < calendar.days) & (credited_on < bought_again)
    line = np.flatnonzero(chosen & possible)
    return line, credited_on[line], back[line]


def transactions_table(
    account: np.ndarray,
    day: np.ndarray,
    lines: Lines,
    credit: tuple[np.ndarray, np.ndarray, np.ndarray],
    firms: Firms,
    calendar: Calendar,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Make the table `transactions`, credit notes included, in the order of the books.

    Returns
    -------
    table : pandas.DataFrame
    invoice : numpy.ndarray of object
        Invoice number of each purchase.
    """
    # Invoices are numbered by day, then by account.
    rank = np.empty(len(account), dtype=np.int64)
    by_day = np.lexsort((np.arange(len(account)), day))
    rank[by_day] = np.arange(1, len(account) + 1)
    width = max(6, len(str(len(account))))
    invoice = np.array([f"F{number:0{width}d}" for number in rank], dtype=object)
    line, credit_day, back = credit
    note = np.array([f"G{number:0{width}d}" for number in range(1, len(line) + 1)], dtype=object)
    note = note[np.argsort(np.argsort(credit_day, kind="stable"), kind="stable")]

    source = np.concatenate([np.arange(len(lines.order)), line])
    quantity = np.concatenate([lines.quantity, -back])
    days = np.concatenate([day[lines.order], credit_day])
    number = np.concatenate([rank[lines.order], np.full(len(line), len(account) + 1)])
    place = np.lexsort((source, number, days))
    source, quantity, days = source[place], quantity[place], days[place]
    numbers = np.concatenate([invoice[lines.order], note])[place]
    table = pd.DataFrame(
        {
            "account_id": firms.ids[account[lines.order[source]]],
            "date": calendar.dates(days),
            "invoice": numbers,
            "product": np.array(PRODUCTS, dtype=object)[lines.product[source]],
            "quantity": quantity.astype(float),
            "unit_price": lines.cents[source] / 100,
            "discount": lines.discount[source],
            "amount": quantity * lines.cents[source] / 100,
        }
    )
    return table, invoice
