"""The tables that notebooks hand to each other, as Parquet in the run folder."""

from __future__ import annotations

import pandera.pandas as pa

from clv.data.schemas import NOT_NEGATIVE as _NOT_NEGATIVE
from clv.data.schemas import SHARE as _SHARE
from clv.data.schemas import column as _column
from clv.data.schemas import schema_of as _schema

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
            "score": _column(
                "number",
                "What its best tier is expected to add, net of cost; empty where nothing is known.",
                required=False,
            ),
            "rank": _column("integer", "Place by score, 1 is best."),
            "selected": _column("flag", "Taken."),
            "p_selected": _column("number", "Probability that it belongs to the set.", _SHARE, required=False),
            "reason": _column("text", "Why, in words."),
            "as_of": _column("date", "Last day that was known.", required=False),
            "kind": _column("text", "customer or prospect.", required=False),
            "tier": _column("text", "The tier that adds most to it, whether it is taken or not.", required=False),
            "base": _column("number", "Expected margin over the horizon without the programme.", required=False),
            "gain": _column("number", "What the tier adds to it, before its cost.", required=False),
            "cost": _column("number", "What the tier costs.", required=False),
            "lower": _column("number", "Lower end of the interval of the score.", required=False),
            "upper": _column("number", "Upper end of the interval of the score.", required=False),
            "stage": _column("text", "Churn stage.", required=False),
            "grade": _column("text", "gold, silver, future gold or bronze.", required=False),
            "why": _column("text", "Why, in a few words.", required=False),
            "flips": _column("text", "The smallest change that puts it on the other side.", required=False),
        },
    ),
    "tier_options": _schema(
        "tier_options",
        "One row an account and tier: what the programme is expected to change about the account in that tier.",
        {
            "account_id": _column("id", "The account, customer or prospect."),
            "tier": _column("text", "Name of the tier."),
            "value": _column("number", "Expected incremental margin over the horizon, before the tier's cost."),
            "cost": _column("number", "Cost in that tier.", _NOT_NEGATIVE),
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
            "arm": _column(
                "text", "treatment, holdout (left out by lot), or empty where no tier was meant for it.", required=False
            ),
            "stratum": _column(
                "text", "Tier that it would have if nobody were left out; within it the lot was drawn.", required=False
            ),
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
