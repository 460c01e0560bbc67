"""The tables that clv reads and writes, as pandera schemas: one place that says which columns mean what.

Input tables come from the user (`INPUTS`); run tables are what notebooks hand to each other as Parquet in the
run folder (`RUN_TABLES`). Checks that need a person's decision (credit notes, postage, duplicates) are rules of
`clv.data.accounting.rules`, not schemas: a schema says what a table must be once the rules have been applied.
"""

from __future__ import annotations

import pandera.pandas as pa

from clv.data.run_tables import RUN_TABLES as RUN_TABLES
from clv.data.schemas import ACCOUNT as _ACCOUNT
from clv.data.schemas import MARGIN as _MARGIN
from clv.data.schemas import NOT_NEGATIVE as _NOT_NEGATIVE
from clv.data.schemas import SHARE as _SHARE
from clv.data.schemas import Kind as Kind
from clv.data.schemas import column as _column
from clv.data.schemas import describe as describe
from clv.data.schemas import schema_of as _schema

#: what money was spent on.
COST_KINDS = ("acquisition", "programme", "service")
#: steps on the way to an account (rule B2), first step first.
ACQUISITION_STAGES = ("analysis", "preparation", "education", "first contact", "follow-up", "acquisition")

INPUTS: dict[str, pa.DataFrameSchema] = {
    "transactions": _schema(
        "transactions",
        "One row an invoice line or a payment: who bought, when, for how much.",
        {
            "account_id": _ACCOUNT,
            "date": _column(
                "date", "When; the time of day is kept, the grain of the study decides what counts as one."
            ),
            "amount": _column("number", "Money of the line, in the study's currency; quantity × unit_price if absent."),
            "invoice": _column("id", "Invoice or order number.", required=False),
            "product": _column("id", "Product code.", required=False),
            "quantity": _column("number", "Units; negative in a return.", required=False),
            "unit_price": _column("number", "Price of one unit.", required=False),
            "discount": _column("number", "Share of the list price given as discount.", _SHARE, required=False),
            "margin_share": _column(
                "number", "Contribution margin of the line, as a share of its amount.", _MARGIN, required=False
            ),
        },
    ),
    "accounts": _schema(
        "accounts",
        "One row an account, customers and prospects.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "name": _column("text", "Its name.", required=False),
            "industry": _column("text", "Industry.", required=False),
            "region": _column("text", "Region or country.", required=False),
            "employees": _column("number", "Head count.", _NOT_NEGATIVE, required=False),
            "revenue": _column("number", "Its yearly revenue, in the study's currency.", _NOT_NEGATIVE, required=False),
            "technology": _column("text", "Technology in use that matters for fit.", required=False),
            "manager": _column("text", "Our account manager.", required=False),
            "parent_id": _column("id", "The account that owns it.", required=False),
            "created": _column("date", "When it entered our books.", required=False),
            "margin_share": _column(
                "number", "Its contribution margin as a share of sales, if it has its own.", _MARGIN, required=False
            ),
        },
    ),
    "contacts": _schema(
        "contacts",
        "One row a person at an account; personal data stays out of shared reports (rule F3).",
        {
            "contact_id": _column("id", "The person.", unique=True),
            "account_id": _ACCOUNT,
            "role": _column("text", "Role in the buying committee.", required=False),
            "influence": _column("number", "Influence on the decision, 0 to 1.", _SHARE, required=False),
            "attitude": _column("number", "Attitude towards us, -1 to 1.", pa.Check.in_range(-1, 1), required=False),
            "consent": _column("flag", "May be contacted.", required=False),
        },
    ),
    "touches": _schema(
        "touches",
        "One row a contact between us and an account.",
        {
            "account_id": _ACCOUNT,
            "date": _column("date", "When."),
            "contact_id": _column("id", "With whom.", required=False),
            "channel": _column("text", "Channel.", required=False),
            "inbound": _column("flag", "They came to us.", required=False),
            "sentiment": _column("number", "How it went, -1 to 1.", pa.Check.in_range(-1, 1), required=False),
        },
    ),
    "opportunities": _schema(
        "opportunities",
        "One row a deal that was or is being negotiated.",
        {
            "opportunity_id": _column("id", "The deal.", unique=True),
            "account_id": _ACCOUNT,
            "created": _column("date", "When it was opened."),
            "closed": _column("date", "When it was won or lost; empty while open.", required=False),
            "stage": _column("text", "Stage of the sales process.", required=False),
            "outcome": _column("text", "won, lost or open.", pa.Check.isin(["won", "lost", "open"]), required=False),
            "amount": _column("number", "Expected or signed value.", _NOT_NEGATIVE, required=False),
        },
    ),
    "programmes": _schema(
        "programmes",
        "One row an account in a programme or in its control group.",
        {
            "account_id": _ACCOUNT,
            "programme": _column("id", "The programme.", required=False),
            "tier": _column("text", "Tier in which the account was, or would have been, treated."),
            "arm": _column("text", "treatment or control.", pa.Check.isin(["treatment", "control"])),
            "block": _column(
                "id", "Accounts among which the arms were drawn; empty: among all of the tier.", required=False
            ),
            "start": _column("date", "First day."),
            "end": _column("date", "Last day; empty while running.", required=False),
            "cost": _column("number", "What the programme spent on the account.", _NOT_NEGATIVE, required=False),
            "hours": _column("number", "Manager hours spent on the account.", _NOT_NEGATIVE, required=False),
        },
    ),
    "contracts": _schema(
        "contracts",
        "One row a contract term; a renewal is a new row.",
        {
            "contract_id": _column("id", "The contract term.", unique=True),
            "account_id": _ACCOUNT,
            "start": _column("date", "First day."),
            "end": _column("date", "Last day of the term."),
            "value": _column("number", "Money of the term.", _NOT_NEGATIVE),
            "renewed": _column("flag", "Was renewed; empty while running.", required=False),
            "reason": _column("text", "Reason of loss, if not renewed.", required=False),
            "term_number": _column(
                "integer",
                "Number of the term, 1 for the first; the first one seen may be a later one.",
                pa.Check.ge(1),
                required=False,
            ),
        },
    ),
    "offers": _schema(
        "offers",
        "One row an account and time in which it could buy at a discount, whether it did or not.",
        {
            "account_id": _ACCOUNT,
            "start": _column("date", "First day of the offer."),
            "end": _column("date", "Last day of the offer; empty: the first.", required=False),
            "discount": _column("number", "Share of the list price.", _SHARE, required=False),
        },
    ),
    "wallets": _schema(
        "wallets",
        "One row an account whose yearly demand for what we sell is known from a survey.",
        {
            "account_id": _ACCOUNT,
            "date": _column("date", "When it was asked."),
            "wallet": _column("number", "Yearly demand, in the study's currency.", _NOT_NEGATIVE),
        },
    ),
    "assessments": _schema(
        "assessments",
        "One row an account and day: what its team answered that no system knows. The latest answer counts, column by "
        "column; what is empty is unknown, never no.",
        {
            "account_id": _ACCOUNT,
            "date": _column("date", "When it was answered."),
            "need": _column("flag", "It needs what we sell.", required=False),
            "ability_to_pay": _column("flag", "It is able to pay.", required=False),
            "authority": _column("flag", "We know who may decide.", required=False),
            "wish": _column("flag", "It wishes to buy.", required=False),
            "budget": _column("flag", "It has a budget for it.", required=False),
            "greenfield": _column("flag", "It buys from nobody like us.", required=False),
            "buys_elsewhere": _column("flag", "It buys, wholly or partly, from a competitor.", required=False),
            "lead_user": _column("flag", "It adapts our products before others do.", required=False),
            "status_name": _column("flag", "Its name is worth showing.", required=False),
            "fan": _column("flag", "It speaks well of us to others.", required=False),
            "price_switcher": _column("flag", "It leaves for a lower price.", required=False),
            "many_demands": _column("flag", "It asks for much beside what it buys.", required=False),
            "bad_reputation": _column("flag", "To be seen with it would harm us.", required=False),
            "complaints": _column("number", "Complaints in the last twelve months.", _NOT_NEGATIVE, required=False),
            "days_late": _column("number", "Days by which it pays after the due date, on average.", required=False),
            "service_hours": _column(
                "number", "Hours of service in the last twelve months.", _NOT_NEGATIVE, required=False
            ),
        },
    ),
    "costs": _schema(
        "costs",
        "One row an amount that was spent on winning accounts, on a programme or on service (rule B2).",
        {
            "date": _column("date", "When it was spent."),
            "amount": _column("number", "Money, in the study's currency.", _NOT_NEGATIVE),
            "kind": _column(
                "text",
                "acquisition: to win accounts; programme: of an account-based programme; service: of accounts won.",
                pa.Check.isin(list(COST_KINDS)),
                required=False,
            ),
            "account_id": _column("id", "On which account; empty: on several.", required=False),
            "channel": _column("text", "Channel, as in touches.", required=False),
            "stage": _column(
                "text",
                "Step on the way to the account: analysis, preparation, education, first contact, follow-up or "
                "acquisition.",
                pa.Check.isin(list(ACQUISITION_STAGES)),
                required=False,
            ),
        },
    ),
    "deal_stages": _schema(
        "deal_stages",
        "One row a deal and the day on which it entered a stage; deals may go back.",
        {
            "opportunity_id": _column("id", "The deal, as in opportunities."),
            "stage": _column("text", "Stage of the sales process."),
            "entered": _column("date", "When the deal entered it."),
        },
    ),
    "team_tiers": _schema(
        "team_tiers",
        "One row an account: the tier that the team itself would give it, to be set beside the plan.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "tier": _column("text", "Name of a tier of the study, or none."),
        },
    ),
    "managers": _schema(
        "managers",
        "One row a manager: what he can take on beside the accounts that he has (rule D4).",
        {
            "manager": _column("id", "The manager, as in accounts.", unique=True),
            "hours": _column(
                "number", "His spare hours over the horizon; empty: not limited.", _NOT_NEGATIVE, required=False
            ),
            "at_most": _column("integer", "Accounts at most; empty: not limited.", _NOT_NEGATIVE, required=False),
        },
    ),
}
