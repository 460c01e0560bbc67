"""The tables that clv reads and writes, as pandera schemas: one place that says which columns mean what.

Input tables come from the user (`INPUTS`); run tables are what notebooks hand to each other as Parquet in the
run folder (`RUN_TABLES`). Checks that need a person's decision (credit notes, postage, duplicates) are rules of
`clv.data.accounting.rules`, not schemas: a schema says what a table must be once the rules have been applied.
"""

from __future__ import annotations

from typing import Any, Literal

import pandera.pandas as pa

Kind = Literal["id", "text", "date", "number", "integer", "flag"]

_DTYPES: dict[str, Any] = {
    "id": str,
    "text": str,
    "date": "datetime64[ns]",
    "number": float,
    "integer": "int64",
    "flag": bool,
}
#: what may be empty needs a type that knows "unknown": a plain bool would read an empty cell as true.
_NULLABLE: dict[str, Any] = {"integer": "Int64", "flag": "boolean"}


def _column(kind: Kind, about: str, *checks: pa.Check, required: bool = True, unique: bool = False) -> pa.Column:
    """Describe one column; what is not required may be absent, and may be empty where it is present."""
    return pa.Column(
        _DTYPES[kind] if required else _NULLABLE.get(kind, _DTYPES[kind]),
        checks=list(checks),
        required=required,
        nullable=not required,
        unique=unique,
        coerce=True,
        description=about,
        metadata={"kind": kind},
    )


def _schema(name: str, about: str, columns: dict[str, pa.Column], **kwargs: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, name=name, description=about, strict=False, **kwargs)


_SHARE = pa.Check.in_range(0, 1)
_NOT_NEGATIVE = pa.Check.ge(0)
#: below 0 where serving costs more than it brings.
_MARGIN = pa.Check.le(1)
_ACCOUNT = _column("id", "The account: a company that buys or may buy. A string, whatever it looks like.")

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
}

RUN_TABLES: dict[str, pa.DataFrameSchema] = {
    "summary": _schema(
        "summary",
        "One row an account that bought: the purchase history in the statistics that the value models need.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "frequency": _column(
                "integer", "Purchases after the first (grain intervals with a purchase).", _NOT_NEGATIVE
            ),
            "recency": _column("number", "Time from first to last purchase, in the unit.", _NOT_NEGATIVE),
            "T": _column("number", "Time from first purchase to the as-of date, in the unit.", _NOT_NEGATIVE),
            "monetary_value": _column("number", "Mean money of a purchase after the first; 0 if there is none."),
            "first": _column("date", "First purchase."),
            "last": _column("date", "Last purchase."),
        },
    ),
    "customer_value": _schema(
        "customer_value",
        "One row an account that bought or has a contract: what it is worth over the horizon.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "p_alive": _column("number", "Probability that it still brings us money.", _SHARE),
            "expected_purchases": _column("number", "Expected purchases over the horizon.", _NOT_NEGATIVE),
            "expected_spend": _column("number", "Expected money of one purchase."),
            "expected_renewals": _column(
                "number", "Expected renewals of contracts over the horizon.", _NOT_NEGATIVE, required=False
            ),
            "clv_transactions": _column("number", "Part of clv that purchases bring.", required=False),
            "clv_contracts": _column("number", "Part of clv that contracts bring.", required=False),
            "clv": _column("number", "Discounted expected contribution margin over the horizon."),
            "lower": _column("number", "Lower end of its credible interval.", required=False),
            "upper": _column("number", "Upper end of its credible interval.", required=False),
        },
    ),
    "churn_stages": _schema(
        "churn_stages",
        "One row an account that bought: where it is in its life (rule C3).",
        {
            "account_id": _column("id", "The account.", unique=True),
            "stage": _column("text", "steady, slowing, overdue, at risk, lapsed or lost."),
            "p_alive": _column("number", "Probability that it still buys from us.", _SHARE),
            "silence_probability": _column("number", "Probability that it would be silent this long if alive.", _SHARE),
            "p_no_purchase": _column(
                "number", "Probability that it buys nothing in the next quarter, gone or quiet.", _SHARE, required=False
            ),
            "rhythm_p_value": _column(
                "number", "p-value of an unchanged rhythm: small where orders come more slowly.", _SHARE, required=False
            ),
            "silent": _column("number", "Time since the last purchase, in the unit.", _NOT_NEGATIVE),
            "expected_purchases": _column("number", "Expected purchases over the horizon.", _NOT_NEGATIVE),
            "rule_stage": _column("text", "Stage by the rule of thumb: active, lapsing or inactive."),
            "sentence": _column("text", "What the stage means for this account, in words."),
        },
    ),
    "stage_history": _schema(
        "stage_history",
        "One row a stay of an account in a churn stage, by month-ends.",
        {
            "account_id": _column("id", "The account."),
            "from": _column("date", "First month-end at which it was there."),
            "to": _column("date", "Last month-end at which it was there."),
            "stage": _column("text", "steady, slowing, overdue, at risk, lapsed or lost."),
        },
    ),
    "plays": _schema(
        "plays",
        "One row an account that bought: what to do about it (rule C4).",
        {
            "account_id": _column("id", "The account.", unique=True),
            "stage": _column("text", "steady, slowing, overdue, at risk, lapsed or lost."),
            "play": _column("text", "Name of the play, or no play."),
            "gain": _column("number", "Expected discounted margin that the play adds, before its cost."),
            "cost": _column("number", "Cost of the play; below 0 where cost to serve is saved."),
            "net": _column("number", "Gain less cost."),
            "lower": _column("number", "Lower end of the interval of net."),
            "upper": _column("number", "Upper end of the interval of net."),
            "p_worth": _column(
                "number", "Probability that net is above 0; empty without a play.", _SHARE, required=False
            ),
            "evidence": _column(
                "text", "Where the effect is from: assumed, partly measured, measured, by definition.", required=False
            ),
            "sentence": _column("text", "Why this play, in words."),
        },
    ),
    "account_selection": _schema(
        "account_selection",
        "One row an account: whether the programme should take it, and why.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "score": _column("number", "Value net of the cost to serve; empty where nothing is known.", required=False),
            "rank": _column("integer", "Place by score, 1 is best."),
            "selected": _column("flag", "Taken."),
            "p_selected": _column("number", "Probability that it belongs to the set.", _SHARE, required=False),
            "reason": _column("text", "Why, in words."),
        },
    ),
    "tier_allocation": _schema(
        "tier_allocation",
        "One row a selected account: the tier that it gets.",
        {
            "account_id": _column("id", "The account.", unique=True),
            "tier": _column("text", "Name of the tier, or none."),
            "value": _column("number", "Expected incremental margin in that tier."),
            "cost": _column("number", "Cost in that tier.", _NOT_NEGATIVE),
            "hours": _column("number", "Manager hours in that tier.", _NOT_NEGATIVE),
        },
    ),
    "programme_return": _schema(
        "programme_return",
        "One row a tier and arm of the programme, and one for all: what it brought for what it cost.",
        {
            "group": _column("text", "The tier, or all."),
            "arm": _column("text", "The arm that is compared with its controls.", required=False),
            "accounts": _column("integer", "Accounts treated.", _NOT_NEGATIVE),
            "controls": _column("integer", "Accounts in control.", _NOT_NEGATIVE),
            "margin": _column("number", "Margin that would not have come otherwise, of all treated."),
            "cost": _column("number", "What was spent on them beyond their controls."),
            "profit": _column("number", "Margin less cost."),
            "roi": _column("number", "Profit for each unit of cost."),
            "lower": _column("number", "Lower end of its interval (Fieller).", required=False),
            "upper": _column("number", "Upper end of its interval.", required=False),
        },
    ),
    "rejected": _schema(
        "rejected",
        "One row for each row of a source that was not used, with the reason.",
        {
            "table": _column("text", "The table."),
            "row": _column("integer", "Row number in the source, as a person counts it there.", _NOT_NEGATIVE),
            "kind": _column(
                "text",
                "error: the row cannot be read; rule: a rule of the study sets it aside.",
                pa.Check.isin(["error", "rule"]),
            ),
            "rule": _column("text", "Name of the check or rule."),
            "reason": _column("text", "What is wrong, in words, with the mend."),
            "amount": _column("number", "Money of the row as read; empty if it could not be read.", required=False),
            "record": _column("text", "The row as read, as JSON."),
        },
    ),
    "reconciliation": _schema(
        "reconciliation",
        "Read = accepted + rejected, in rows and in money, line by line.",
        {
            "table": _column("text", "The table."),
            "line": _column("text", "read, one line a reason, netting (taken off purchases that stay), accepted."),
            "rows": _column("integer", "Rows, each counted once, under its first reason."),
            "amount": _column("number", "Money, as read; exact to the millionth."),
            "found": _column("integer", "Rows that meet the check, whatever else they meet.", required=False),
        },
    ),
}


def describe(schema: pa.DataFrameSchema) -> list[tuple[str, str, bool, str]]:
    """List a schema's columns for the data dictionary: name, kind, required, meaning."""
    return [
        (str(name), str((column.metadata or {})["kind"]), bool(column.required), column.description or "")
        for name, column in schema.columns.items()
    ]
