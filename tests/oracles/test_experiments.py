"""Published numbers of experiments: Hillstrom's e-mails, smallest detectable effects, a simulated California."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import clv
from clv.abm.experiments.power import accounts_needed_for_shares, smallest_detectable_effect


@pytest.fixture(scope="module")
def hillstrom(data_home):
    found = sorted((data_home / "hillstrom").glob("*.parquet"))
    if not found:
        pytest.skip("hillstrom/ holds no Parquet file")
    return pd.read_parquet(found[0])


def test_hillstrom_effects_and_standard_errors(hillstrom):
    found = clv.analyse_experiment(
        hillstrom, outcome="spend", arm="segment", control="No E-Mail", shares=dict.fromkeys(hillstrom["segment"], 1)
    )
    row = found.table.set_index("arm")
    assert row.loc["Mens E-Mail", "effect"] == pytest.approx(0.770, abs=5e-4)
    assert row.loc["Mens E-Mail", "se"] == pytest.approx(0.145, abs=5e-4)
    assert row.loc["Womens E-Mail", "effect"] == pytest.approx(0.424, abs=5e-4)
    assert row.loc["Womens E-Mail", "se"] == pytest.approx(0.130, abs=5e-4)
    # Two arms against one control: Holm doubles the smaller p-value only.
    assert row.loc["Mens E-Mail", "p_adjusted"] == pytest.approx(2 * row.loc["Mens E-Mail", "p_value"])
    assert found.sound


def test_hillstrom_covariates_make_it_sharper_and_do_not_move_it(hillstrom):
    options = {"outcome": "visit", "arm": "segment", "control": "No E-Mail"}
    plain = clv.analyse_experiment(hillstrom, **options).table
    adjusted = clv.analyse_experiment(
        hillstrom, **options, covariates=["recency", "history", "newbie", "mens", "womens"]
    ).table
    assert (adjusted["adjustment"] == "lin").all()
    assert (adjusted["se"] < plain["se"]).all()
    assert (np.abs(adjusted["effect"] - plain["effect"]) < 0.5 * plain["se"]).all()


def test_hillstrom_those_who_gain_from_the_womens_mail_are_found(hillstrom):
    found = clv.uplift(
        hillstrom, features=["recency", "history", "mens", "womens", "newbie"], outcome="visit", arm="segment",
        control="No E-Mail", treatment="Womens E-Mail",
    )  # fmt: skip
    # Buyers of women's wear respond to it, the others hardly: the split of held-out accounts must show that.
    assert found.p_value < 1e-6
    assert found.qini_lower > 0
    assert found.table["effect"].iloc[:2].min() > 3 * found.table["effect"].iloc[-1]


@pytest.mark.parametrize(("accounts", "published"), [(13, 1.10), (50, 0.56)])
def test_smallest_detectable_effects(accounts, published):
    assert smallest_detectable_effect(accounts, accounts) == pytest.approx(published, abs=0.005)


def test_smallest_detectable_effect_with_a_past_that_correlates():
    # The printed .79 is the printed 1.10 times √(1 − .7²) = .7856; unrounded it is .7848, hence the tolerance of .006.
    assert smallest_detectable_effect(13, 13, correlation=0.7) == pytest.approx(0.79, abs=0.006)


def test_accounts_needed_for_close_rates():
    assert accounts_needed_for_shares(0.01, 0.02) == 2319


def california(seed: int, effect: float = -15.6) -> pd.DataFrame:
    """Draw a panel shaped as Proposition 99: 39 states, 1970–2000, one treated from 1989, states that drift apart."""
    rng = np.random.default_rng(seed)
    years = np.arange(1970, 2001)
    smooth = np.stack([np.linspace(0, -45, 31), 12 * np.sin(np.arange(31) / 6), 8 * np.cos(np.arange(31) / 9)])
    load = np.column_stack([rng.uniform(0.3, 1.3, 39), rng.normal(0, 0.8, (39, 2))])
    # The treated state was falling faster than the mean of the others, within what some of them did.
    load[0] = [1.1, 0.4, -0.2]
    level = rng.normal(120, 20, 39)
    noise = np.zeros((39, 31))
    for t in range(31):
        noise[:, t] = (0.5 * noise[:, t - 1] if t else 0) + rng.normal(0, 1.5, 39)
    y = level[:, None] + load @ smooth + noise
    y[0, years >= 1989] += effect
    return pd.DataFrame(
        {
            "account_id": np.repeat([f"S{i:02d}" for i in range(39)], 31),
            "period": np.tile(years, 39),
            "packs": y.ravel(),
            "treated": np.repeat(np.arange(39) == 0, 31),
        }
    )


def test_a_simulated_california():
    """The data of Proposition 99 cannot be had here; its shape can. Plain DiD is far off, the synthetic one is not."""
    plain, synthetic, inside = [], [], 0
    for seed in range(12):
        panel = california(seed)
        # With one treated unit DiD has no standard error of its own: only its estimate is compared.
        wide = panel.pivot_table(index="treated", columns="period", values="packs")
        gap = wide.loc[True] - wide.loc[False]
        plain.append(gap.loc[1989:].mean() - gap.loc[:1988].mean())
        found = clv.synthetic_difference_in_differences(
            panel, start=1989, outcome="packs", placebos=38 if seed < 4 else 20
        )
        row = found.table.iloc[0]
        synthetic.append(row["effect"])
        inside += row["lower"] <= -15.6 <= row["upper"]
    error = np.std(synthetic, ddof=1) / np.sqrt(12)
    assert abs(np.mean(synthetic) + 15.6) < max(3 * error, 1.0)
    assert abs(np.mean(plain) + 15.6) > 3.0
    assert abs(np.mean(synthetic) + 15.6) < abs(np.mean(plain) + 15.6) / 3
    assert inside >= 10
