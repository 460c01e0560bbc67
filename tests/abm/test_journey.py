"""Funnel, velocity, channels and managers: against counts by hand, other packages and simulations of known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from clv.abm.channels import _limits, channel_returns
from clv.abm.journey import deal_funnel
from clv.abm.managers import manager_effects
from clv.abm.stage_log import stage_log, stage_order
from clv.abm.velocity import stage_velocity
from clv.errors import DataError, FitError, SettingsError

DEALS = pd.DataFrame(
    [
        ("D1", "a", "2025-01-10", "2025-02-09", "signed", "won", 100.0),
        ("D2", "a", "2024-12-01", "2025-01-20", "proposal", "lost", 50.0),
        ("D3", "b", "2025-02-01", None, "negotiation", "open", 70.0),
        ("D4", "c", "2025-02-01", "2025-03-01", "qualification", "lost", 10.0),
        ("D5", "c", "2025-03-01", "2025-03-11", "signed", "won", 30.0),
        ("D6", "x", "2025-03-01", "2025-03-21", "negotiation", "lost", 30.0),
    ],
    columns=["opportunity_id", "account_id", "created", "closed", "stage", "outcome", "amount"],
)
PROGRAMME = pd.DataFrame(
    {"account_id": ["a", "b", "c"], "tier": ["1:1", "1:1", "1:1"], "arm": ["treatment", "treatment", "control"],
     "start": "2025-01-06"}
)  # fmt: skip


def test_deals_are_counted_where_they_belong():
    found = deal_funnel(DEALS, PROGRAMME, as_of="2025-06-30")
    rows = found.table.set_index("group")
    assert list(rows.index) == ["1:1, treatment", "1:1, control", "no programme"]
    # D2 was opened before the programme: it is none of its deals.
    assert rows.loc["1:1, treatment", ["opened", "won", "lost", "open"]].tolist() == [2, 1, 0, 1]
    assert rows.loc["1:1, control", ["opened", "won", "lost", "open"]].tolist() == [2, 1, 1, 0]
    assert rows.loc["no programme", ["opened", "won", "lost", "open"]].tolist() == [2, 0, 2, 0]
    stages = found.stages.set_index(["group", "stage"])
    assert stages.loc[("1:1, treatment", "negotiation"), ["reached", "passed", "open"]].tolist() == [2, 1, 1]
    assert stages.loc[("1:1, control", "qualification"), ["reached", "passed", "stopped"]].tolist() == [2, 1, 1]
    assert rows.loc["1:1, treatment", "days_to_close"] == 30
    assert rows.loc["1:1, control", "p_won_half_year"] == pytest.approx(0.5)


def test_what_comes_after_the_date_is_not_known():
    early = deal_funnel(DEALS, as_of="2025-02-05").table.iloc[0]
    assert early[["opened", "won", "lost", "open"]].tolist() == [4, 0, 1, 3]


def test_censoring_is_taken_into_account():
    """Where wins take longer than losses, the incidence is right and the win rate of decided deals is not."""
    g, n = np.random.default_rng(3), 6000
    opened = pd.Timestamp("2024-01-01") + pd.to_timedelta(g.integers(0, 300, n), "D")
    won = g.random(n) < 0.4
    # Wins take twice as long as losses, so that decided deals are mostly lost ones.
    length = np.where(won, g.exponential(120, n), g.exponential(60, n)).round()
    closed = opened + pd.to_timedelta(length, "D")
    deals = pd.DataFrame(
        {"opportunity_id": [f"D{i}" for i in range(n)], "account_id": "a", "created": opened, "closed": closed,
         "outcome": np.where(won, "won", "lost")}
    )  # fmt: skip
    row = deal_funnel(deals, as_of="2024-12-01").table.iloc[0]
    truth = 0.4 * (1 - np.exp(-182.5 / 120))
    assert row["p_won_half_year"] == pytest.approx(truth, abs=0.02)
    assert row["p_lower"] < truth < row["p_upper"]
    assert row["win_rate"] < 0.38


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"closed": "2020-01-01"}, "before it was opened"),
        ({"outcome": "won", "closed": None}, None),
        ({"outcome": "lost", "closed": None}, "no one says when"),
        ({"stage": "dreaming"}, "dreaming"),
        ({"created": None}, "no opening date"),
    ],
)
def test_faults_in_deals_are_named(change, said):
    deals = DEALS.copy()
    for column, value in change.items():
        deals.loc[3, column] = value
    if said is None:
        with pytest.raises(DataError):
            deal_funnel(deals)
        return
    with pytest.raises(DataError, match=said):
        deal_funnel(deals, as_of="2025-06-30") if "created" not in change else deal_funnel(deals)


def test_time_in_stage_by_kaplan_meier():
    log = pd.DataFrame(
        {"opportunity_id": list("abcd"), "stage": "proposal", "tier": ["1:1", "1:1", "1:1", "1:few"],
         "entered": "2025-01-01", "left": ["2025-01-11", "2025-01-21", None, "2025-01-05"]}
    )  # fmt: skip
    table = stage_velocity(log, by="tier", as_of="2025-01-16").table.set_index("group")
    # On the 16th only one of three has left: the median is not known.
    assert table.loc["1:1", ["stays", "left"]].tolist() == [3, 1]
    assert np.isinf(table.loc["1:1", "median"])
    assert table.loc["1:1", "p_left_30"] == pytest.approx(1 / 3)
    assert stage_velocity(log, as_of="2025-02-16").table["median"].tolist() == [10]
    with pytest.raises(DataError, match="left before it entered"):
        stage_velocity(log.assign(left="2024-01-01"), as_of="2025-02-01")


TOUCHES = pd.DataFrame(
    {"account_id": ["a", "a", "b", "b", "c"], "channel": ["web", "fair", "web", "web", "fair"],
     "date": ["2025-01-01", "2025-01-20", "2025-01-05", "2025-03-05", "2023-01-01"]}
)  # fmt: skip
WON = pd.DataFrame({"account_id": ["a", "b", "c", "d"], "date": ["2025-02-01"] * 4})
WORTH = pd.DataFrame({"clv": [1000.0, 400.0, 600.0]}, index=pd.Index(["a", "b", "c"], name="account_id"))
SPENT = pd.DataFrame({"channel": ["web", "fair"], "cost": [300.0, 900.0]})
YEAR = {"horizon": 12, "unit": "M", "discount_rate": 0.0}


@pytest.mark.parametrize(("credit", "web"), [("even", 1.5), ("first", 2.0), ("last", 1.0)])
def test_wins_are_credited_once(credit, web):
    found = channel_returns(SPENT, TOUCHES, WON, WORTH, credit=credit, **YEAR)
    rows = found.table.set_index("channel")
    assert rows.loc["web", "won"] == pytest.approx(web)
    assert rows["won"].drop("all").sum() + found.unassigned == rows.loc["all", "won"] == 4
    assert rows.loc["web", "cac"] == pytest.approx(300 / web)
    # The touch on c is too old, the one on b in March came after; d has none.
    assert found.unassigned == 2
    assert rows.loc["all", "clv_to_cac"] == pytest.approx(2000 / 1200)
    assert rows.loc["all", "payback"] == pytest.approx(12 * 1200 / 2000)


def test_spellings_of_a_channel_are_one_channel():
    typed = SPENT.assign(channel=["Web ", "fair"])
    found = channel_returns(typed, TOUCHES.assign(channel=["web", "fair", "web", " WEB", "Fair"]), WON, WORTH, **YEAR)
    plain = channel_returns(SPENT, TOUCHES, WON, WORTH, **YEAR)
    pd.testing.assert_frame_equal(found.table, plain.table)
    assert "counted as one channel: 'fair' (also 'Fair') and 'web' (also ' WEB', 'Web ')." in found.text
    assert "several ways" not in plain.text
    none = channel_returns(SPENT.assign(channel=[None, "fair"]), TOUCHES, WON, WORTH, **YEAR)
    assert none.general == 300


def test_costs_by_stage_and_their_faults():
    staged = pd.DataFrame({"channel": "web", "stage": ["education", "first contact"], "cost": [100.0, 300.0]})
    found = channel_returns(staged, TOUCHES, WON, WORTH, **YEAR)
    assert found.stages["cost_per_won"].tolist() == [25.0, 75.0]
    assert found.stages["cac"].tolist() == [25.0, 100.0]
    assert found.stages["clv_to_cac"].tolist() == [20.0, 5.0]
    assert found.stages["payback"].iloc[-1] == pytest.approx(found.table["payback"].iloc[-1])
    assert found.cells["cost"].sum() == 400
    with pytest.raises(DataError, match="golf"):
        channel_returns(staged.assign(stage="golf"), TOUCHES, WON, WORTH, **YEAR)
    with pytest.raises(DataError, match="without cost there is no CAC"):
        channel_returns(SPENT.assign(cost=[1.0, np.nan]), TOUCHES, WON, WORTH, **YEAR)
    with pytest.raises(DataError, match="won twice"):
        channel_returns(SPENT, TOUCHES, pd.concat([WON, WON]), WORTH, **YEAR)
    with pytest.raises(SettingsError, match="horizon"):
        channel_returns(SPENT, TOUCHES, WON, WORTH)
    none = channel_returns(SPENT, TOUCHES, WON.iloc[:0], WORTH, **YEAR)
    assert np.isinf(none.table.iloc[-1]["cac"])
    assert set(none.table["verdict"]) == {"cannot be told"}
    assert "no account was won" in none.text


def managed(seed, managers=12, each=25, confounded=1.0):
    """Good managers get more treated accounts; the programme adds 10."""
    g = np.random.default_rng(seed)
    skill = 8 * g.standard_normal(managers)
    manager = np.repeat(np.arange(managers), each)
    chance = 1 / (1 + np.exp(-confounded * skill / 5))
    treated = g.random(len(manager)) < np.clip(chance, 0.1, 0.9)[manager]
    y = 100 + 10 * treated + skill[manager] + 15 * g.standard_normal(len(manager))
    data = pd.DataFrame(
        {"margin": y, "manager": [f"M{m:02d}" for m in manager], "arm": np.where(treated, "treatment", "control")}
    )
    return data, skill


def test_the_programme_is_told_from_managers_who_got_the_treated_accounts():
    effect, naive, held, skills, effects = [], [], [], [], []
    for seed in range(120):
        data, skill = managed(seed)
        found = manager_effects(data, confidence=0.95)
        effect.append(found.treatment["effect"])
        naive.append(found.treatment["naive"])
        held.append(found.treatment["lower"] < 10 < found.treatment["upper"])
        skills.append(skill - skill.mean())
        effects.append(found.table["effect"])
    effect, naive = np.array(effect), np.array(naive)
    assert effect.mean() == pytest.approx(10, abs=4 * effect.std() / np.sqrt(120))
    assert naive.mean() > 15
    assert np.mean(held) == pytest.approx(0.95, abs=0.05)
    assert np.corrcoef(np.ravel(skills), np.ravel(effects))[0, 1] > 0.75


def test_without_confounding_manager_effects_are_calibrated():
    spread, held = [], []
    for seed in range(80):
        data, skill = managed(seed, confounded=0.0)
        found = manager_effects(data, confidence=0.9)
        spread.append(found.sd_manager**2)
        held.append(((found.table["lower"] < skill) & (skill < found.table["upper"])).mean())
    assert np.sqrt(np.mean(spread)) == pytest.approx(8, rel=0.12)
    assert np.mean(held) == pytest.approx(0.9, abs=0.04)


def test_it_is_what_statsmodels_finds():
    import statsmodels.api as sm

    data, _ = managed(5)
    found = manager_effects(data)
    treated = (data["arm"] == "treatment").to_numpy(float)
    share = pd.Series(treated).groupby(data["manager"].to_numpy()).transform("mean").to_numpy()
    x = np.column_stack([np.ones(len(data)), treated, share - share.mean()])
    other = sm.MixedLM(data["margin"].to_numpy(), x, groups=data["manager"].to_numpy()).fit(reml=True)
    assert found.treatment["effect"] == pytest.approx(other.fe_params[1], rel=1e-4)
    assert found.treatment["se"] == pytest.approx(other.bse_fe[1], rel=1e-3)
    rest = data["margin"].to_numpy() - other.fe_params[1] * treated
    own = sm.MixedLM(rest, np.ones(len(rest)), groups=data["manager"].to_numpy()).fit(reml=True)
    assert found.sd_manager**2 == pytest.approx(float(np.asarray(own.cov_re).item()), rel=1e-3)
    theirs = pd.Series({k: float(v.iloc[0]) for k, v in own.random_effects.items()}).sort_index()
    assert found.table["effect"].to_numpy() == pytest.approx(theirs.to_numpy(), rel=2e-3, abs=1e-3)


def test_accounts_without_a_manager_are_told_and_rows_are_those_of_the_table():
    data = managed(2)[0]
    data.loc[:2, "manager"] = None
    assert "3 accounts without a manager are left out." in manager_effects(data).text
    with pytest.raises(DataError, match="is no number") as refused:
        manager_effects(data.assign(margin=data["margin"].where(data.index != 8)))
    assert refused.value.row == 9
    with pytest.raises(DataError, match="is empty") as refused:
        manager_effects(data.assign(arm=data["arm"].where(data.index != 5)))
    assert (refused.value.column, refused.value.row) == ("arm", 6)


def test_managers_that_do_not_differ_are_not_told_apart():
    g = np.random.default_rng(2)
    data = pd.DataFrame({"margin": g.normal(0, 1, 80), "manager": np.tile(list("abcdefgh"), 10),
                         "arm": np.repeat(["treatment", "control"], 40)})  # fmt: skip
    data["margin"] -= data.groupby(["manager", "arm"])["margin"].transform("mean")
    found = manager_effects(data)
    assert found.sd_manager == pytest.approx(0, abs=1e-6)
    assert found.table["effect"].abs().max() < 1e-9
    assert "None of 8" in found.text


def test_what_cannot_be_told_apart_is_refused():
    data, _ = managed(1)
    apart = data.assign(arm=np.where(data["manager"] < "M06", "treatment", "control"))
    with pytest.raises(DataError, match="cannot be told from the managers"):
        manager_effects(apart)
    with pytest.raises(FitError, match="too few"):
        manager_effects(data[data["manager"] == "M01"])
    with pytest.raises(DataError, match="is no number"):
        manager_effects(data.assign(margin=np.nan))


def test_many_deals_are_written_and_drawn_as_a_person_would():
    import seaborn as sns

    many = pd.concat([DEALS.assign(opportunity_id=DEALS["opportunity_id"] + f"-{k}") for k in range(400)])
    two = PROGRAMME.assign(tier=["1:1", "1:few", "1:1"])
    found = deal_funnel(many, two, as_of="2025-06-30")
    assert "no programme: 0 of 800 " in found.text
    assert "800 of 2,000 " in deal_funnel(many, as_of="2025-06-30").text
    lines = found.plot().get_lines()
    assert [line.get_color() for line in lines] == list(sns.color_palette("colorblind", 3))


def test_pictures_can_be_drawn():
    import matplotlib as mpl

    mpl.use("Agg")
    assert deal_funnel(DEALS, PROGRAMME, as_of="2025-06-30").plot().get_title() == "Deals won over time"
    assert (
        channel_returns(SPENT, TOUCHES, WON, WORTH, **YEAR).plot().get_title() == "CLV : CAC by channel, 90% interval"
    )
    assert "Managers" in manager_effects(managed(1)[0]).plot().get_title()


ENTRIES = pd.DataFrame(
    [
        ("D1", "qualification", "2025-01-10"), ("D1", "proposal", "2025-01-20"), ("D1", "qualification", "2025-01-25"),
        ("D1", "proposal", "2025-01-30"), ("D2", "proposal", "2024-12-11"), ("D2", "qualification", "2024-12-01"),
        ("D3", "qualification", "2025-02-01"), ("D3", "negotiation", "2025-03-01"), ("D9", "proposal", "2025-01-01"),
    ],
    columns=["opportunity_id", "stage", "entered"],
).assign(entered=lambda d: pd.to_datetime(d["entered"]))  # fmt: skip
DATED = DEALS.assign(created=pd.to_datetime(DEALS["created"]), closed=pd.to_datetime(DEALS["closed"]))


def test_entries_become_stays_with_their_end():
    log = stage_log(ENTRIES, DATED, PROGRAMME, order=["qualification", "proposal", "negotiation"], as_of="2025-06-30")
    assert log.attrs["clv"]["unknown"] == 1  # D9 is no deal
    first = log[log["opportunity_id"] == "D1"]
    assert first["exit"].tolist() == ["on", "back", "on", "on"]  # back once, then won
    assert first["left"].tolist()[-1] == pd.Timestamp("2025-02-09")
    assert (log["group"][log["opportunity_id"] == "D1"] == "1:1, treatment").all()
    assert log.loc[log["opportunity_id"] == "D2", "exit"].tolist() == ["on", "lost"]
    open_deal = log[log["opportunity_id"] == "D3"]
    assert open_deal["exit"].tolist()[0] == "on"  # a stage may be skipped
    assert pd.isna(open_deal["left"].iloc[-1])
    # What is known on an earlier day: D1 was not won yet, and stood in the proposal.
    early = stage_log(ENTRIES, DATED, as_of="2025-02-01")
    assert pd.isna(early.loc[early["opportunity_id"] == "D1", "exit"].iloc[-1])
    assert early["entered"].max() <= pd.Timestamp("2025-02-01")


def test_spellings_of_a_stage_are_one_stage():
    typed = ENTRIES.assign(stage=ENTRIES["stage"].where(ENTRIES["opportunity_id"] != "D3", "Qualification "))
    typed.loc[7, "stage"] = "Negotiation"
    assert stage_order(typed) == stage_order(
        ENTRIES.assign(stage=ENTRIES["stage"].replace("negotiation", "Negotiation"))
    )
    order = ["qualification", "proposal", "negotiation"]
    log = stage_log(typed, DATED, PROGRAMME, order=order, as_of="2025-06-30")
    pd.testing.assert_frame_equal(log, stage_log(ENTRIES, DATED, PROGRAMME, order=order, as_of="2025-06-30"))
    deals = DEALS.assign(stage=DEALS["stage"].replace("negotiation", "Negotiation"))
    pd.testing.assert_frame_equal(
        deal_funnel(deals, PROGRAMME, as_of="2025-06-30").stages,
        deal_funnel(DEALS, PROGRAMME, as_of="2025-06-30").stages,
    )


def test_the_order_of_stages_is_what_deals_do():
    assert stage_order(ENTRIES) == ["qualification", "proposal", "negotiation"]
    assert stage_order(None, DATED) == ["qualification", "proposal", "negotiation"]
    assert stage_order(None, DATED.assign(stage="dreaming")) == []
    assert stage_order(None) == []


@pytest.mark.parametrize(
    ("day", "said"), [("2024-01-01", "before it was opened"), ("2026-01-01", "after it was closed")]
)
def test_stages_outside_the_deal_are_refused(day, said):
    wrong = ENTRIES.assign(entered=ENTRIES["entered"].where(ENTRIES.index != 1, pd.Timestamp(day)))
    with pytest.raises(DataError, match=f"'D1' entered 'proposal' {said}"):
        stage_log(wrong, DATED)


def test_stages_without_a_day_or_a_place_are_refused():
    gap = ENTRIES.assign(entered=ENTRIES["entered"].mask(ENTRIES.index == 1))
    with pytest.raises(DataError, match="'D1' entered 'proposal' on a day that is not given"):
        stage_log(gap, DATED)
    with pytest.raises(DataError, match="'negotiation', which is not in order"):
        stage_log(ENTRIES, DATED, order=["qualification", "proposal"])
    log = stage_log(ENTRIES, DATED)
    with pytest.raises(DataError, match=r"row 1.*is empty"):
        stage_velocity(log.assign(entered=log["entered"].mask(log.index == 0)))


def test_who_goes_on_is_told_from_who_is_lost():
    """Half leave at rate 1/20 a day, 60 % of them on; within 90 days that is known in closed form."""
    g, n = np.random.default_rng(8), 4000
    groups = ["1:1, treatment", "1:few, treatment", "1:1, control", "no programme"]
    entered = pd.Timestamp("2024-01-01") + pd.to_timedelta(g.integers(0, 300, n), "D")
    stays = g.exponential(20, n).round()
    log = pd.DataFrame({"opportunity_id": [f"D{i}" for i in range(n)], "stage": "proposal", "entered": entered,
                        "left": entered + pd.to_timedelta(stays, "D"),
                        "exit": np.where(g.random(n) < 0.6, "on", "lost"),
                        "group": np.tile(groups, n // 4)})  # fmt: skip
    found = stage_velocity(log, by="group", as_of="2024-11-15").table.set_index("group")
    assert list(found.index) == ["1:1, treatment", "1:1, control", "1:few, treatment", "all tiers, treatment",
                                 "all tiers, control", "no programme", "all"]  # fmt: skip
    whole = found.loc["all"]
    truth = 0.6 * (1 - np.exp(-90.5 / 20))
    assert whole["on_lower"] < truth < whole["on_upper"]
    assert whole["median"] == pytest.approx(20 * np.log(2), abs=1.5)
    assert found.loc["all tiers, treatment", "stays"] == n // 2
    assert "Fewest go on from proposal" in stage_velocity(log, by="group", as_of="2024-11-15").text


def test_a_short_window_is_warned_of():
    said = deal_funnel(DEALS, PROGRAMME, as_of="2025-01-20").text
    assert "nothing is worth measuring before a month" in said
    slow = DEALS.assign(closed=DEALS["closed"].where(DEALS["outcome"] != "won", "2025-06-29"))
    assert "short against a sales cycle" in deal_funnel(slow, PROGRAMME, as_of="2025-06-30").text


def test_tiers_are_also_put_together():
    two = PROGRAMME.assign(tier=["1:1", "1:few", "1:1"])
    found = deal_funnel(DEALS, two, as_of="2025-06-30").table.set_index("group")
    both = found.loc[["1:1, treatment", "1:few, treatment"], ["opened", "won", "lost"]].sum()
    assert found.loc["all tiers, treatment", ["opened", "won", "lost"]].tolist() == both.tolist()


def test_what_accounts_brought_since_they_were_won_counts():
    margins = pd.DataFrame({"account_id": ["a", "a", "b"], "margin": [100.0, 50.0, 80.0],
                            "date": ["2025-02-01", "2025-08-01", "2025-03-01"]})  # fmt: skip
    found = channel_returns(SPENT, TOUCHES, WON, WORTH, margins=margins, as_of="2025-12-31", discount_rate=0.0)
    assert found.measured
    assert found.table.iloc[-1]["value"] == pytest.approx(2000 + 230)
    with pytest.raises(SettingsError, match="discount_rate"):
        channel_returns(SPENT, TOUCHES, WON, WORTH, margins=margins)
    general = pd.concat([SPENT, pd.DataFrame({"channel": [None], "cost": [100.0]})])
    told = channel_returns(general, TOUCHES, WON, WORTH, **YEAR)
    assert told.general == 100
    assert told.table.iloc[-1]["cost"] == 1300
    assert told.table.iloc[:-1]["cost"].sum() == 1200
    assert "belongs to no channel" in told.text


def test_the_interval_of_a_ratio_covers_and_the_verdict_follows_it():
    """Accounts won by one channel are worth 100 on average; it costs 100 each: the ratio is 1."""
    held = 0
    for seed in range(120):
        g = np.random.default_rng(seed)
        n = int(g.poisson(60))
        ids = [f"A{i}" for i in range(n)]
        worth = pd.DataFrame({"clv": 100 * np.exp(g.normal(0, 0.8, n) - 0.32)}, index=pd.Index(ids, name="account_id"))
        won = pd.DataFrame({"account_id": ids, "date": "2025-02-01"})
        touch = pd.DataFrame({"account_id": ids, "channel": "web", "date": "2025-01-01"})
        found = channel_returns(pd.DataFrame({"channel": ["web"], "cost": [6000.0]}), touch, won, worth, **YEAR)
        row = found.table.iloc[0]
        held += row["lower"] <= 1 <= row["upper"]
        expected = "pays" if row["lower"] > 1 else "does not pay" if row["upper"] < 1 else "cannot be told"
        assert row["verdict"] == expected
    assert 0.82 <= held / 120 <= 0.97


@pytest.mark.slow
def test_a_channel_of_few_wins_is_not_called_a_loss_for_bad_luck():
    """Three wins are expected and just pay: resampling those that came called it a loss in a quarter of all cases."""
    wrong = []
    for seed in range(300):
        g = np.random.default_rng(seed)
        many, few = 30, int(g.poisson(3))
        ids = [f"A{i}" for i in range(many + few)]
        clv = 100 * np.exp(g.normal(0, 0.8, many + few) - 0.32)
        won = pd.DataFrame({"account_id": ids, "date": "2025-02-01"})
        touch = won.assign(channel=np.where(np.arange(many + few) < many, "web", "fair"), date="2025-01-01")
        cost = pd.DataFrame({"channel": ["web", "fair"], "cost": [1.0, 300.0]})
        worth = pd.DataFrame({"clv": clv}, index=pd.Index(ids, name="account_id"))
        row = channel_returns(cost, touch, won, worth, **YEAR).table.set_index("channel").loc["fair"]
        wrong.append((row["verdict"] == "does not pay", row["verdict"] == "pays"))
    assert np.mean(wrong, axis=0).max() <= 0.09


def test_a_channel_without_a_win_may_have_had_bad_luck():
    spent = pd.DataFrame({"channel": ["web", "fair"], "cost": [10.0, 50.0]})
    touches = TOUCHES[TOUCHES["channel"] == "web"]
    row = channel_returns(spent, touches, WON, WORTH, **YEAR).table.set_index("channel").loc["fair"]
    assert row["won"] == row["clv_to_cac"] == row["lower"] == 0
    # Of no win the mean is below 3 with 95 %; an account won is worth 500 on average.
    assert row["upper"] == pytest.approx(-np.log(0.05) * 500 / 50, rel=1e-6)
    assert row["verdict"] == "cannot be told"
    dear = channel_returns(spent.assign(cost=[10.0, 5000.0]), touches, WON, WORTH, **YEAR).table
    assert dear.set_index("channel").loc["fair", "verdict"] == "does not pay"


def test_the_interval_of_wins_is_exact_for_equal_accounts_and_holds_losses_apart():
    for n in (1, 4, 12):
        low, high = _limits(np.full(n, 7.0), 7.0, 0.9)
        assert (low / 7, high / 7) == pytest.approx((chi2.ppf(0.05, 2 * n) / 2, chi2.ppf(0.95, 2 * n + 2) / 2))
    gain, loss = _limits(np.array([7.0, 7.0]), 0.0, 0.9), _limits(np.array([5.0]), 0.0, 0.9)
    low, high = _limits(np.array([7.0, 7.0, -5.0]), 0.0, 0.9)
    assert low == pytest.approx(9 - np.hypot(14 - gain[0], loss[1] - 5))
    assert high == pytest.approx(9 + np.hypot(gain[1] - 14, 5 - loss[0]))
    costly = channel_returns(SPENT, TOUCHES, WON, -WORTH, **YEAR)
    assert costly.table["verdict"].iloc[-1] == "does not pay"
    assert "worth −1.7 times" in costly.text


def test_costs_as_text_and_touches_with_hours():
    later = TOUCHES.assign(date=pd.to_datetime(TOUCHES["date"]) + pd.Timedelta("14h"))
    later.loc[1, "date"] = pd.Timestamp("2025-02-01 14:00")  # the day of the win
    found = channel_returns(SPENT.assign(cost=["300", "900"]), later, WON, WORTH, **YEAR).table.set_index("channel")
    assert found.loc["all", "cost"] == 1200
    assert found.loc["fair", "won"] == 0.5


def test_too_few_accounts_tell_no_payback():
    margins = pd.DataFrame({"account_id": ["a", "b"], "margin": 1e6, "date": "2025-03-01"})
    few = channel_returns(SPENT, TOUCHES, WON, WORTH, margins=margins, as_of="2025-12-31", discount_rate=0.0)
    assert few.table["payback"].isna().all()
    assert "not paid back yet" not in few.text
    ids = list("abcdef")
    won = pd.DataFrame({"account_id": ids, "date": "2025-02-01"})
    every = pd.DataFrame({"account_id": ids, "margin": 1e6, "date": "2025-03-01"})
    known = channel_returns(SPENT, TOUCHES, won, WORTH, margins=every, as_of="2025-12-31", discount_rate=0.0)
    assert known.table["payback"].iloc[-1] == pytest.approx(28 / (365.25 / 12))


def test_managers_of_whom_nothing_is_known_are_not_called_equal():
    """Where the variance between managers is estimated as 0, the intervals still hold what they promise."""
    held, boundary = [], 0
    for seed in range(150):
        g = np.random.default_rng(seed)
        skill = 4 * g.standard_normal(6)
        manager = np.repeat(np.arange(6), 8)
        y = skill[manager] + 15 * g.standard_normal(48)
        data = pd.DataFrame({"margin": y, "manager": [f"M{m}" for m in manager], "arm": ["treatment", "control"] * 24})
        found = manager_effects(data)
        boundary += found.sd_manager == 0
        held.append(((found.table["lower"] < skill) & (skill < found.table["upper"])).mean())
        assert found.sd_upper >= found.sd_manager
    assert boundary > 20
    assert np.mean(held) >= 0.85


def test_the_last_day_counts_to_its_end():
    """What happens in the afternoon of the day that a study ends on has happened."""
    hours = pd.Timedelta(hours=14)
    later = DEALS.assign(**{name: pd.to_datetime(DEALS[name]) + hours for name in ("created", "closed")})
    for day in pd.to_datetime(DEALS["closed"].dropna()).unique():
        pd.testing.assert_frame_equal(deal_funnel(later, as_of=day).table, deal_funnel(DEALS, as_of=day).table)
    dated = DATED.assign(**{name: pd.to_datetime(DATED[name]) + hours for name in ("created", "closed")})
    entered = ENTRIES.assign(entered=pd.to_datetime(ENTRIES["entered"]) + hours)
    for day in entered["entered"].dt.normalize().unique():
        late, early = stage_log(entered, dated, as_of=day), stage_log(ENTRIES, DATED, as_of=day)
        assert late["stage"].tolist() == early["stage"].tolist()
        assert late["exit"].fillna("").tolist() == early["exit"].fillna("").tolist()
        assert (
            stage_velocity(late, as_of=day).table["stays"].tolist()
            == stage_velocity(early, as_of=day).table["stays"].tolist()
        )
