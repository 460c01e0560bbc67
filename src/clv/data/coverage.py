"""What a study has, what it lacks, and what each table unlocks: said plainly, nothing made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clv.result import Result

if TYPE_CHECKING:
    from clv.data.study import Study

#: What each table is for; only transactions are required.
UNLOCKS = {
    "transactions": "value, stages, selection and tiers of accounts that buy",
    "accounts": "names, firmographics and prospects without a purchase",
    "contacts": "the buying committee of an account",
    "touches": "rhythm and tone of contact",
    "opportunities": "win rates and deals under way",
    "programmes": "measured effect of the programme against its control group",
    "contracts": "renewals",
    "offers": "what discounts add, net of the dip after them",
    "wallets": "share of wallet and room for growth",
    "assessments": "need, budget, service, complaints and payment of an account",
    "costs": "what it costs to win an account, by channel and step",
    "deal_stages": "how long deals stay in each stage",
    "team_tiers": "what the team's own list of tiers would bring beside the plan",
    "managers": "how much each manager can take on",
}


def coverage(study: Study) -> Result:
    """List each table that a study can have, how many rows were accepted, and what its absence costs.

    Parameters
    ----------
    study : Study

    Returns
    -------
    Result
        `.table` with the columns table, present, read, accepted, errors, set_aside, unlocks.

    Raises
    ------
    DataError
        A table that the study names cannot be read at all.
    """
    import pandas as pd

    rows = []
    for table, unlocks in UNLOCKS.items():
        if not study.has(table):
            rows.append((table, False, 0, 0, 0, 0, unlocks))
            continue
        reading = study.read(table)
        kinds = reading.rejected["kind"].value_counts()
        errors, ruled = int(kinds.get("error", 0)), int(kinds.get("rule", 0))
        accepted = len(reading.table)
        rows.append((table, True, accepted + errors + ruled, accepted, errors, ruled, unlocks))
    columns = ["table", "present", "read", "accepted", "errors", "set_aside", "unlocks"]
    frame = pd.DataFrame(rows, columns=columns)
    absent = frame.loc[~frame["present"]]
    faults = frame.loc[frame["errors"] > 0]
    text = f"The study has {len(frame) - len(absent)} of {len(frame)} tables."
    if len(absent):
        missing = "; ".join(f"without {row.table}, nothing is said on {row.unlocks}" for row in absent.itertuples())
        text += f" {missing[0].upper()}{missing[1:]}."
    if len(faults):
        listed = ", ".join(f"{row.table} ({row.errors:,})" for row in faults.itertuples())
        text += f" Rows that could not be read: {listed}."
    return Result(table=frame, text=text)
