"""From `study.yml` to limits to plans: every limit that a study can state, and everything it can state wrongly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from clv.abm import allocate_tiers, verify
from clv.abm.allocation.limits import GroupLimit, Holdout
from clv.abm.allocation.lot import allocate_with_holdout
from clv.abm.allocation.stated import stated_limits
from clv.abm.options import with_hours
from clv.data.settings import Settings
from clv.data.settings_errors import explain
from clv.data.settings_tiers import Tier
from clv.errors import DataError, InfeasibleError, SettingsError

TIERS = [
    {"name": "1:1", "cost": 150, "hours": 20, "uplift": 0.3},
    {"name": "1:few", "cost": 30, "hours": 5, "uplift": 0.12},
    {"name": "1:many", "cost": 4, "hours": 0.5, "uplift": 0.03},
]
ROLES = [
    {**tier, "hours": {"seller": tier["hours"], "writer": tier["hours"] / 4}} for tier in TIERS
]  # fmt: skip
DOCUMENT = {"name": "s", "title": "S", "tables": {"transactions": {"path": "t.csv"}}, "budget": 1100}


def settings(limits=None, tiers=TIERS, **more):
    return Settings.model_validate({**DOCUMENT, "tiers": tiers, "limits": limits or {}, **more})


def wrong(limits=None, tiers=TIERS, **more):
    """Give the message of settings that cannot be."""
    with pytest.raises(ValidationError) as caught:
        settings(limits, tiers, **more)
    return explain(caught.value, Settings)


@pytest.fixture(scope="module")
def about():
    g = np.random.default_rng(3)
    ids = [f"A{k:02d}" for k in range(60)]
    return pd.DataFrame(
        {
            "region": g.choice(["North", "South"], 60),
            "manager": g.choice(["Ann", "Bob", "Cy", None], 60),
            "group": g.choice(["g1", "g2", "g3", "g4", None], 60),
            "kind": np.where(np.arange(60) < 45, "customer", "prospect"),
        },
        index=pd.Index(ids, name="account_id"),
    )


def options_of(about, tiers=TIERS):
    worth = np.random.default_rng(4).lognormal(5.6, 0.6, len(about))
    made = [Tier.model_validate(tier) for tier in tiers]
    table = pd.DataFrame(
        [(who, t.name, t.uplift * v, t.cost) for who, v in zip(about.index, worth, strict=True) for t in made],
        columns=["account_id", "tier", "value", "cost"],
    )
    return with_hours(table, made)


def planned(given, about, *, only=None, **tables):
    """Plan as a study states it; the checked plan with what is known of the accounts."""
    tiers = [tier.model_dump() for tier in given.tiers]
    options = options_of(about, tiers)
    if only is not None:
        options = options[options["account_id"].isin(only)].reset_index(drop=True)
    stated = stated_limits(given, about, options["account_id"], valued=about.index, **tables)
    arguments = {"budget": stated.budget, "hours": stated.hours, "counts": stated.counts, "limits": stated.limits}
    plan = allocate_tiers(options, accounts=about, **arguments)
    assert verify(plan.table, options, accounts=about, **arguments).faults == ()
    return plan, plan.table.set_index("account_id").join(about), stated


@pytest.fixture(scope="module")
def free(about):
    return planned(settings(), about)[1]


def test_what_a_study_states_by_default(about, free):
    given = settings()
    assert given.limits.holdout.share == 0.1
    assert settings({"holdout": None}).limits.holdout is None
    stated = stated_limits(given, about, about.index)
    assert (stated.budget, stated.hours, stated.limits, stated.notes) == (1100.0, None, (), ())
    assert free["cost"].sum() <= 1100 < free["cost"].sum() + 150


def test_hours_by_role(about):
    given = settings(tiers=ROLES, hours={"seller": 200, "writer": 20})
    assert given.tiers[0].all_hours == 25
    plan, table, _ = planned(given, about)
    rates = {"1:1": 5.0, "1:few": 1.25, "1:many": 0.125, "none": 0.0}
    assert table["tier"].map(rates).sum() <= 20 + 1e-9
    assert {"hours of seller", "hours of writer"} <= set(plan.limits["limit"])
    assert bool(plan.limits.set_index("limit").loc["hours of writer", "binds"])


def test_groups_are_limited_and_owed(about, free):
    def inside(table, tier="1:few"):
        return (table["tier"] == tier).groupby(table["region"]).sum()

    assert inside(free)["North"] > 3
    rule = {"by": "region", "at_most": {"North": 3}, "tiers": ["1:few"]}
    assert inside(planned(settings({"groups": [rule]}), about)[1])["North"] == 3
    least = {"by": "region", "at_least": 2, "tiers": ["1:1"]}
    assert (inside(free, "1:1") < 2).any()
    assert (inside(planned(settings({"groups": [least]}), about)[1], "1:1") >= 2).all()
    money = {"by": "region", "at_most": 400, "of": "money"}
    table = planned(settings({"groups": [money]}), about)[1]
    assert table.groupby("region")["cost"].sum().max() <= 400 < free.groupby("region")["cost"].sum().max()
    role = {"by": "manager", "at_most": 8, "of": "writer"}
    plan = planned(settings({"groups": [role]}, ROLES), about)[0]
    assert any(name.startswith("at most 8 hours of writer") for name in plan.limits["limit"])


def test_new_against_existing(about, free):
    few = free[free["tier"] == "1:few"]
    assert (few["kind"] == "prospect").mean() < 0.5
    table = planned(settings({"mix": [{"tier": "1:few", "at_least": 0.5}]}), about)[1]
    few = table[table["tier"] == "1:few"]
    assert len(few)
    assert (few["kind"] == "prospect").mean() >= 0.5
    none = planned(settings({"mix": [{"tier": "1:few", "at_most": 0.0}]}), about)[1]
    assert not ((none["tier"] == "1:few") & (none["kind"] == "prospect")).any()


def test_managers_have_their_own_hours_and_accounts(about, free):
    taken = free[free["tier"].isin(["1:1", "1:few"])]
    assert taken["manager"].value_counts().max() > 3
    rule = {"managers": {"at_most": 3, "tiers": ["1:1", "1:few"]}}
    table = planned(settings(rule), about)[1]
    few = table[table["tier"].isin(["1:1", "1:few"])]
    assert few["manager"].value_counts().max() == 3
    # The table says it of each by name; the rule of those whom it does not name, or of whom it is empty.
    managers = pd.DataFrame({"manager": ["Ann", "Bob"], "hours": [12.0, np.nan], "at_most": [None, 5]})
    both = {"managers": {"at_most": 3, "hours": 30}}
    _, table, stated = planned(settings(both), about, managers=managers)
    used, held = table.groupby("manager")["hours"].sum(), table[table["tier"] != "none"]["manager"].value_counts()
    assert used["Ann"] <= 12
    assert used.max() <= 30
    assert held["Bob"] <= 5
    assert held.drop("Bob").max() <= 3
    assert any("no manager" in note for note in stated.notes)
    alone = stated_limits(settings(), about, about.index, managers=managers).limits
    assert alone == (
        GroupLimit("manager", most={"Ann": 12.0}, of="hours"), GroupLimit("manager", most={"Bob": 5.0}),
    )  # fmt: skip


def test_one_to_few_only_in_clusters(about):
    rule = {"clusters": {"tier": "1:few", "by": "group", "cost": {"g1": 10, "g2": 90}, "at_least": 3, "at_most": 6}}
    plan, table, _ = planned(settings(rule), about)
    sizes = table[table["tier"] == "1:few"]["group"].value_counts(dropna=False)
    assert len(sizes)
    assert sizes.index.notna().all()
    assert sizes.between(3, 6).all()
    assert plan.clusters["cost"].sum() == sum({"g1": 10, "g2": 90}.get(name, 0) for name in sizes.index)
    empty = about.assign(cluster=None)
    _, table, stated = planned(settings({"clusters": {"tier": "1:few"}}), empty)
    assert not (table["tier"] == "1:few").any()
    assert "given to clusters only" in stated.notes[0]


def test_margin_cap(about, free):
    assert free["value"].max() / free["value"].sum() > 0.06
    table = planned(settings({"margin_cap": 0.06}), about)[1]
    assert table["value"].max() / table["value"].sum() <= 0.06 + 1e-9


def test_single_accounts(about, free):
    out, into = free.index[free["tier"] == "none"][0], free.index[free["tier"] == "1:1"][0]
    table = planned(settings({"must_have": {out: "1:1"}, "must_not": [into]}), about)[1]
    assert table.loc[out, "tier"] == "1:1"
    assert table.loc[into, "tier"] == "none"
    assert planned(settings({"must_have": [out]}), about)[1].loc[out, "tier"] != "none"
    assert planned(settings({"must_not": {into: "1:1"}}), about)[1].loc[into, "tier"] == "1:few"


def test_last_period_is_kept_at_a_price(about, free):
    last = pd.Series("1:many", index=about.index[:20])
    now = planned(settings({"keep_last": {"changes": "forbidden"}}), about, last=last)[1]
    assert (now.loc[last.index, "tier"] == "1:many").all()
    moved = [
        int((planned(settings({"keep_last": {"switching_cost": cost}}), about, last=last)[1].loc[last.index, "tier"]
             != "1:many").sum())
        for cost in (0, 10, 40, 1000)
    ]  # fmt: skip
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > moved[-1] == 0


def test_hours_are_kept_back(about):
    plain = planned(settings(hours=120), about)[1]["hours"].sum()
    kept = planned(settings({"reserved_hours": {"total": 20, "each": 0.5}}, hours=120), about)[1]
    assert kept["hours"].sum() + 20 + 0.5 * (kept["tier"] == "none").sum() <= 120 < plain + 20
    role = {"reserved_hours": {"total": 15, "role": "writer"}}
    plan = planned(settings(role, ROLES, hours={"writer": 20}), about)[0]
    assert plan.limits.set_index("limit").loc["hours of writer", "used"] <= 20


def test_a_tier_has_fewest_and_most(about):
    tiers = [{**TIERS[0], "at_least": 6, "at_most": 7}, *TIERS[1:]]
    assert (planned(settings(tiers=tiers), about)[1]["tier"] == "1:1").sum() in (6, 7)


def test_all_at_once(about):
    limits = {
        "groups": [{"by": "region", "at_most": 12}],
        "mix": [{"tier": "1:many", "at_least": 0.2}],
        "managers": {"at_most": 8},
        "clusters": {"tier": "1:few", "by": "group", "cost": 15, "at_least": 2},
        "margin_cap": 0.3,
        "must_have": ["A05"],
        "must_not": ["A06"],
        "keep_last": {"switching_cost": 2},
        "reserved_hours": {"total": 5, "role": "seller"},
    }
    last = pd.Series("1:many", index=about.index[:10])
    plan, table, stated = planned(settings(limits, ROLES, hours={"seller": 150, "writer": 60}), about, last=last)
    assert plan.gap <= 1e-9
    assert len(stated.limits) == 9
    assert table.loc["A05", "tier"] != "none"


def test_what_touches_no_candidate_is_said(about):
    south = about.index[about["region"] == "South"]
    rules = {"groups": [{"by": "region", "at_most": {"North": 1}}], "mix": [{"tier": "1:1", "by": "region",
             "group": "North", "at_most": 0.5}]}  # fmt: skip
    _, _, stated = planned(settings(rules), about, only=south)
    assert stated.limits == ()
    assert [note.split(":")[0] for note in stated.notes] == ["limits.groups.0.at_most", "limits.mix.0"]
    for rule in (
        {"groups": [{"by": "region", "at_least": {"North": 1}}]},
        {"mix": [{"tier": "1:1", "by": "region", "group": "North", "at_least": 0.5}]},
    ):
        with pytest.raises(InfeasibleError, match=r"none of the .* in question is"):
            stated_limits(settings(rule), about, south)


def test_impossible_limits_name_what_clashes(about):
    given = settings({"groups": [{"by": "region", "at_least": 8, "tiers": ["1:1"]}]})
    with pytest.raises(InfeasibleError, match=r"budget.*at least 8 accounts in 1:1 of region"):
        planned(given, about)
    both = settings({"must_have": ["A01"], "must_not": ["A01"]})
    with pytest.raises(InfeasibleError, match=r"must-have A01.*must-not|must-not.*must-have A01"):
        planned(both, about)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"groups": [{"by": "regoin", "at_most": 1}]}, r"groups\.0\.by: 'regoin' is no column .*'region'.*manager"),
        (
            {"groups": [{"by": "region", "at_most": {"Nrth": 1}}]},
            r"groups\.0\.at_most: no account has region 'Nrth'.*There are North, South",
        ),
        (
            {"mix": [{"tier": "1:1", "group": "new", "at_most": 1}]},
            r"mix\.0\.group: no account has kind 'new'",
        ),
        ({"clusters": {"tier": "1:few", "by": "clutser"}}, r"clusters\.by: 'clutser' is no column"),
        ({"clusters": {"tier": "1:few", "by": "group", "cost": {"g": 1}}}, r"clusters\.cost: no account has group 'g'"),
        ({"must_have": ["A99"]}, r"must_have: there is no account 'A99'"),
        ({"must_not": {"A1": "1:1"}}, r"must_not: there is no account 'A1'.*did you mean 'A"),
        ({"keep_last": {}}, r"keep_last: there are no tiers of a last period.*programmes"),
    ],
)
def test_unknown_names_are_told(about, limits, said):
    with pytest.raises(SettingsError, match=said):
        stated_limits(settings(limits), about, about.index)


def test_a_must_have_needs_a_value_and_a_manager_a_column(about):
    with pytest.raises(SettingsError, match="nothing is known of what account 'A01' is worth"):
        stated_limits(settings({"must_have": ["A01"]}), about, about.index[5:], valued=about.index[5:])
    with pytest.raises(SettingsError, match="no column 'manager'"):
        stated_limits(settings({"managers": {"at_most": 3}}), about.drop(columns="manager"), about.index)
    table = pd.DataFrame({"manager": ["Annn"], "hours": [3.0]})
    assert "Annn, who has no account" in stated_limits(settings(), about, about.index, managers=table).notes[0]
    lost = stated_limits(settings(), about.drop(columns="manager"), about.index, managers=table)
    assert lost.limits == ()
    assert "limits nothing" in lost.notes[0]


REGION = {"by": "region", "at_most": 1}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"holdout": {"shre": 0.1}}, ".holdout.shre: unknown key 'shre' (did you mean 'share'?)"),
        ({"grups": []}, ".grups: unknown key 'grups' (did you mean 'groups'?)"),
        ({"holdout": {"share": 1}}, ".holdout.share: found 1"),
        ({"groups": [{"by": "region"}]}, ".groups.0: give at_least or at_most"),
        ({"groups": [{**REGION, "at_most": -1}]}, ".groups.0.at_most: found -1; give a number of 0 or more"),
        ({"groups": [{**REGION, "at_most": {"North": "x"}}]}, "0 or more for 'North', not 'x'"),
        (
            {"groups": [{**REGION, "tiers": ["1:2"]}]},
            ".groups.0.tiers: found '1:2' (did you mean '1:1'?); tiers are",
        ),
        ({"groups": [{**REGION, "of": "writer"}]}, ".groups.0.of: found 'writer'; the study has no roles"),
        ({"mix": [{"tier": "1:1", "at_least": 0.6, "at_most": 0.5}]}, ".mix.0: at_least 0.6 is above at_most 0.5"),
        ({"clusters": {"tier": "one"}}, ".clusters.tier: found 'one'"),
        ({"clusters": {"tier": "1:few", "at_least": 5, "at_most": 2}}, ".clusters: at_most 2 is below at_least 5"),
        ({"margin_cap": 0}, ".margin_cap: found 0"),
        ({"must_have": [12]}, ".must_have: 12 is not text, as an account must be; put it in quotes"),
        ({"must_have": "A01"}, "give a list of accounts, or account: tier, not 'A01'"),
        ({"must_have": ["A", "A"]}, "names account 'A' twice"),
        ({"must_have": {"A01": "1:x"}}, ".must_have.A01: found '1:x'"),
        ({"must_not": {"A01": ["1:x"]}}, ".must_not.A01: found '1:x'"),
        ({"keep_last": {"changes": "no"}}, ".keep_last.changes: found 'no'; allowed are allowed, forbidden"),
        ({"reserved_hours": {"total": 3}}, ".reserved_hours: hours are kept back but not limited"),
        ({"reserved_hours": {"role": "writer"}}, ".reserved_hours.role: found 'writer'; the study has no roles"),
        ({"managers": {"role": "writer"}}, ".managers.role: found 'writer'"),
    ],
)
def test_bad_settings_are_told(limits, said):
    assert said in wrong(limits)


def test_bad_hours_and_curves_are_told():
    mixed = [ROLES[0], TIERS[1]]
    assert "hours of '1:few' are one number, those of others by role" in wrong(tiers=mixed)
    assert "hours.writr: found 'writr' (did you mean 'writer'?)" in wrong(tiers=ROLES, hours={"writr": 3})
    assert "hours.writer: found 'writer'; the study has no roles" in wrong(hours={"writer": 3})
    assert "tiers.0.hours: found -1; give a number of 0 or more" in wrong(tiers=[{**TIERS[0], "hours": -1}])
    for curve, said in (
        ({"half_more": 1.5, "saturation": 1.2}, "half_more 1.5 must be below saturation 1.2"),
        ({"half_more": 0.9, "saturation": 1.2}, "tiers.0.curve.half_more: found 0.9"),
        ({"half_more": 1.1, "saturation": 1.2, "spend": [2, 1]}, "spend goes from 2 to 1"),
        ({"half_more": 1.1}, "tiers.0.curve.saturation: is missing"),
    ):
        assert said in wrong(tiers=[{**TIERS[0], "curve": curve}])
    free = {**TIERS[0], "cost": 0, "curve": {"half_more": 1.1, "saturation": 1.2}}
    assert "multiples of the tier's cost, which is 0" in wrong(tiers=[free])


def test_the_lot_leaves_out_the_same_share_of_each_tier(about):
    given = settings()
    options = options_of(about)
    found = allocate_with_holdout(options, 1100, share=0.25, seed=7, accounts=about, currency="EUR")
    table = found.table.set_index("account_id")
    held = table[table["arm"] == "holdout"]
    assert (held["tier"] == "none").all()
    assert set(held.index) == set(found.plan.holdout["account_id"])
    meant = table[table["stratum"] != "none"].groupby("stratum").size()
    drawn = held.groupby("stratum").size()
    assert abs(drawn.sum() - 0.25 * meant.sum()) <= 0.5
    assert ((drawn - 0.25 * meant).abs() < 1).all()
    # Nobody is drawn who would get nothing anyway, and the money that is free goes to others.
    assert not (held["stratum"] == "none").any()
    assert found.cost == found.full.objective - found.plan.objective > 0
    assert f"{len(held)} accounts are left out by lot" in found.plan.text
    assert found.lots["held_out"].sum() == len(held)
    treated = table[table["arm"] == "treatment"]["tier"].value_counts()
    assert (found.lots["treated"] == found.lots["tier"].map(treated)).all()
    again = allocate_with_holdout(options.sample(frac=1, random_state=1), 1100, share=0.25, seed=7, accounts=about)
    pd.testing.assert_frame_equal(again.table, found.table)
    other = allocate_with_holdout(options, 1100, share=0.25, seed=8, accounts=about)
    assert set(other.plan.holdout["account_id"]) != set(held.index)
    assert given.limits.holdout.seed is None


def test_a_lot_within_groups_and_none(about):
    options = options_of(about)
    by = allocate_with_holdout(options, 1100, share=0.4, by=["region"], seed=1, accounts=about)
    table = by.table.set_index("account_id").join(about)
    meant = table[table["stratum"] != "none"]
    share = (meant["arm"] == "holdout").groupby([meant["stratum"], meant["region"]]).agg(["sum", "size"])
    assert ((share["sum"] - 0.4 * share["size"]).abs() < 1).all()
    nobody = allocate_with_holdout(options, 1100, share=0, accounts=about)
    assert nobody.plan is nobody.full
    assert "will not show what its tiers add" in nobody.text
    tiny = allocate_with_holdout(options, 1100, share=0.01, accounts=about)
    assert tiny.plan.holdout.empty
    assert "less than one account of any tier" in tiny.text
    nothing = allocate_with_holdout(options, 0, share=0.2)
    assert nothing.lots.empty
    with pytest.raises(SettingsError, match="Give a share"):
        allocate_with_holdout(options, share=1.0)
    with pytest.raises(SettingsError, match="hold a Holdout already"):
        allocate_with_holdout(options, limits=[Holdout(0.1)])
    with pytest.raises(DataError, match="industry"):
        allocate_with_holdout(options, 1100, share=0.2, by=["industry"], accounts=about)


def test_tiers_of_few_accounts_keep_them(about):
    found = allocate_with_holdout(options_of(about), 1100, share=0.1, seed=2, accounts=about, currency="EUR")
    lots = found.lots.set_index("tier")
    assert lots.loc["1:1", "accounts"] < 5
    assert lots.loc["1:1", "held_out"] == 0
    assert lots["held_out"].sum() > 0
    assert "Nobody is left out of 1:1" in found.text
    found.plot()


def test_a_must_have_is_never_drawn(about):
    found = allocate_with_holdout(options_of(about), 1100, share=0.2, seed=2)
    drawn = str(found.plan.holdout["account_id"].iloc[0])
    stated = stated_limits(settings({"must_have": [drawn]}), about, about.index)
    kept = allocate_with_holdout(options_of(about), 1100, share=0.2, seed=2, limits=stated.limits)
    assert kept.table.set_index("account_id").loc[drawn, "tier"] != "none"
