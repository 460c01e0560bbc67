"""Covariates by formula: the design matrix of the field's libraries, kept with the model, and nothing ever run."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import clv
from clv.errors import DataError, NotFittedError, SettingsError
from clv.value import BetaGeoModel, ParetoNBDModel
from clv.value.design import Design
from clv.value.formula import parse
from clv.value.validation.check import frequency_check

MODELS = [ParetoNBDModel, BetaGeoModel]
BASE = {
    ParetoNBDModel: {"r": 1.2, "alpha": 9.0, "s": 0.8, "beta": 25.0},
    BetaGeoModel: {"r": 0.9, "alpha": 7.0, "a": 0.9, "b": 3.0},
}


def firms(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "industry": rng.choice(["food", "metal", "paper"], count, p=[0.5, 0.3, 0.2]),
            "employees": np.rint(rng.lognormal(4, 1, count)) + 1,
            "listed": rng.random(count) < 0.4,
            "head count": rng.integers(1, 5, count),
        },
        index=pd.Index([f"A{i:05d}" for i in range(count)], name="account_id"),
    )


def drawn(kind, accounts: pd.DataFrame, seed: int, effects: dict[str, float]) -> pd.DataFrame:
    """Histories under effects of the columns of ``industry + scale-free log``, on the rate and on the lifetime."""
    design = pd.DataFrame(Design.learn(FORMULA, accounts).transform(accounts), index=accounts.index)
    known = kind(covariates=list(design.columns))
    plain = kind.from_parameters(unit="W", **BASE[kind])
    known.__dict__.update(plain.__dict__, covariates=list(design.columns))
    ratios = [
        np.exp(effects.get(f"{process}:{name}", 0.0)) for process in ("transaction", "lifetime") for name in design
    ]
    known._keep(np.append(plain.params_, ratios), np.zeros((4 + len(ratios),) * 2))
    book = known.simulate_accounts(design, 80.0, seed)
    out = pd.concat([book[["frequency", "recency", "T"]], accounts], axis=1)
    out.attrs["clv"] = {"unit": "W", "grain": None, "as_of": None}
    return out


FORMULA = "industry + center(np.log(employees))"
EFFECTS = {
    "transaction:industry[T.metal]": 0.8, "transaction:center(np.log(employees))": 0.4,
    "lifetime:industry[T.paper]": 0.7, "lifetime:center(np.log(employees))": -0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def books():
    return {kind: drawn(kind, firms(1_000, 3), 11, EFFECTS) for kind in MODELS}


@pytest.mark.parametrize(
    "formula",
    [
        "industry + np.log(employees)", "industry*listed", "C(industry, ref='metal') + employees",
        "industry*np.log1p(employees) + listed", "np.sqrt(employees) + I(employees/100 - 1)",
    ],
)  # fmt: skip
def test_the_design_is_that_of_the_fields_libraries(formula):
    formulaic = pytest.importorskip("formulaic", reason="an oracle that statsmodels may bring")
    accounts = firms(60, 1).drop(columns="head count")
    accounts["listed"] = accounts["listed"].astype(float)
    theirs = formula.replace("C(industry, ref='metal')", "C(industry, contr.treatment(base='metal'))")
    with np.errstate(all="ignore"):
        wanted = formulaic.model_matrix(theirs, accounts).drop(columns="Intercept")
    mine = Design.learn(formula, accounts).transform(accounts)
    assert len(mine) == wanted.shape[1]
    assert all(any(np.allclose(values, wanted[name]) for name in wanted) for values in mine.values())


def test_names_interactions_and_what_is_learnt():
    accounts = firms(50, 2)
    design = Design.learn("industry*scale(np.log(employees)) + C(Q('head count')) + 1 + listed", accounts)
    values = design.transform(accounts)
    assert tuple(values) == design.columns()
    assert values["listed"].tolist() == accounts["listed"].astype(float).tolist()
    scaled = values["scale(np.log(employees))"]
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-12)
    kind = (accounts["industry"] == "paper").to_numpy()
    assert np.array_equal(values["industry[T.paper]:scale(np.log(employees))"], kind * scaled)
    assert "C(Q('head count'))[T.2]" in values
    again = Design.restore(design.formula, json.loads(json.dumps(design.record())))
    assert again == design
    one = again.transform(accounts.iloc[[7]])  # one account, read by what all of them taught
    assert [float(one[name][0]) for name in one] == [float(values[name][7]) for name in values]
    assert parse("a:b + b:a + a + b") == parse("a*b")
    floats = accounts.assign(**{"head count": accounts["head count"].astype(float)})
    assert Design.learn("C(Q('head count'))", floats).levels == Design.learn("C(Q('head count'))", accounts).levels


@pytest.mark.parametrize(
    "formula",
    [
        "", "size +", "size ** 2", "__import__('os').system('true')", "open('x')", "np.linalg.norm(size)", "a.b",
        "size if size else 1", "(lambda: 1)()", "size[0]", "[size]", "size - 1", "-size", "0 + size", "1", "f'{size}'",
        "size:industry", "np.log(size, 2)", "C(size, 3)", "C(size + 1)", "C(size, base='x')", "center(size, 1)",
        "~ size", "'size'", "np.log(*size)", "I(size ** 2)", "I(True)", "exec('1')", "(y := size)",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused_and_never_run(formula):
    with pytest.raises(SettingsError) as error:
        Design.learn(formula, firms(5, 1).assign(size=1.0, a=1.0))
    assert error.value.mend


@pytest.mark.parametrize(
    "formula", [" + ".join(["size"] * 900), "*".join(f"x{i}" for i in range(30)), "(" * 900 + "size" + ")" * 900]
)
def test_formulas_that_would_take_for_ever_are_refused(formula):
    with pytest.raises(SettingsError):
        parse(formula)


@pytest.mark.parametrize("kind", MODELS)
def test_a_formula_is_the_list_of_its_columns(kind, books):
    book = books[kind]
    found = kind(covariates=FORMULA).fit(book)
    columns = Design.learn(FORMULA, book).transform(book)
    plain = kind(covariates=list(columns)).fit(book.assign(**columns))
    assert found.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-12)
    pd.testing.assert_series_equal(found.params_, plain.params_)
    gamma = found.coefficients_
    wanted = [EFFECTS.get(":".join(name), 0.0) for name in gamma.index]
    assert ((gamma["estimate"] - wanted).abs() < 4 * gamma["standard_error"]).all()
    ours, theirs = found.expected_purchases(book, 52), plain.expected_purchases(book.assign(**columns), 52)
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-12)
    here = found.at({"industry": "metal", "employees": 50})
    assert here.expected_purchases_new(52) == pytest.approx(
        found.expected_purchases_new(52, pd.DataFrame({"industry": ["metal"], "employees": [50.0]})).iloc[0]
    )
    assert clv.likelihood_ratio_test(kind(covariates="industry").fit(book), found).degrees_of_freedom == 2


@pytest.mark.parametrize("kind", MODELS)
def test_a_saved_formula_reads_new_accounts_as_before(kind, books, tmp_path):
    book = books[kind].iloc[:200]
    each = {"transaction": "C(industry, ref='paper') + scale(np.log(employees))", "lifetime": ["listed"]}
    model = kind(covariates=each, penalty=0.5, prior="weak").fit(book)
    model.save(tmp_path / "m.json", draws=20)
    text = (tmp_path / "m.json").read_text()
    assert "pickle" not in text
    assert json.loads(text)["designs"]
    again = clv.load_model(tmp_path / "m.json")
    # A prospect alone: its levels and its mean would be others if they were learnt anew.
    prospect = clv.no_history(firms(40, 77).iloc[[5]], unit="W")
    assert again.expected_purchases(prospect, 52).equals(model.expected_purchases(prospect, 52))
    assert again.coefficients_.equals(model.coefficients_)
    assert list(again.sample_posterior(20, 1).columns) == list(model.params_.index)
    spend = clv.GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0)
    ask = {"horizon": 52, "discount_rate": 0.1, "margin": 0.3, "draws": 10}
    assert again.get_params() == model.get_params()
    assert clv.lifetime_value(again, spend, prospect, **ask).table["clv"].iloc[0] > 0
    damaged = json.loads(text)
    damaged["designs"] = {}
    (tmp_path / "d.json").write_text(json.dumps(damaged))
    with pytest.raises(DataError, match="damaged"):
        clv.load_model(tmp_path / "d.json")
    hostile = json.loads(text)
    hostile["designs"]["__import__('os').system('true')"] = {"levels": {}, "moments": {}}
    (tmp_path / "h.json").write_text(json.dumps(hostile))
    with pytest.raises(SettingsError, match="formula"):
        clv.load_model(tmp_path / "h.json")


@pytest.mark.parametrize("kind", MODELS)
def test_equal_effects_and_penalty_work_with_formulas(kind, books):
    book = books[kind]
    free = kind(covariates=FORMULA).fit(book)
    same = kind(covariates=FORMULA, equal=["industry"]).fit(book)  # the term stands for its two columns
    assert len(same.params_) == len(free.params_) - 2
    assert clv.likelihood_ratio_test(same, free).degrees_of_freedom == 2
    one = kind(covariates=FORMULA, equal=["industry[T.metal]"]).fit(book)
    assert len(one.params_) == len(free.params_) - 1
    shrunk = kind(covariates=FORMULA, penalty=100.0).fit(book)
    assert (shrunk.coefficients_["estimate"] ** 2).sum() < (free.coefficients_["estimate"] ** 2).sum() / 2
    with pytest.raises(SettingsError, match="equal names"):
        kind(covariates=FORMULA, equal=["region"]).fit(book)
    with pytest.raises(SettingsError, match="equal names"):
        kind(covariates={"transaction": "industry"}, equal=["industry"]).fit(book)


def test_new_accounts_that_cannot_be_read_are_named(books):
    book = books[BetaGeoModel].iloc[:300]
    model = BetaGeoModel(covariates=FORMULA, prior="weak").fit(book)
    for table, match in (
        (book.assign(industry="glass"), r"column 'industry', row 1: .*'glass' was not there in the fit \(300 rows"),
        (
            book.assign(industry=book["industry"].where(book.index != "A00002")),
            "row 3: account 'A00002': it is missing",
        ),
        (book.assign(employees=0.0), r"center\(np.log\(employees\)\) is -inf \(employees 0\)"),
        (book.assign(employees=np.nan), "employees is nan"),
        (book.drop(columns="industry"), "column 'industry': the column is missing"),
    ):
        with pytest.raises(DataError, match=match) as error:
            model.expected_purchases(table, 52)
        assert error.value.mend
    with pytest.raises(SettingsError, match="no account has the level 'glass'"):
        BetaGeoModel(covariates="C(industry, ref='glass')").fit(book)
    with pytest.raises(NotFittedError):
        BetaGeoModel(covariates=FORMULA).expected_purchases(book, 52)
    with pytest.raises(NotFittedError):
        BetaGeoModel(covariates=FORMULA)._effects()


def test_levels_are_those_of_accounts_that_count(books):
    book = books[BetaGeoModel].iloc[:400]
    weight = (book["industry"] != "paper").astype(float).to_numpy()
    model = BetaGeoModel(covariates="industry", prior="weak").fit(book, sample_weight=weight)
    assert [name for _, name in model.coefficients_.index] == ["industry[T.metal]"] * 2


@pytest.mark.parametrize("kind", MODELS)
def test_frequencies_are_expected_account_by_account(kind, books):
    book = books[kind]
    model = kind(covariates=FORMULA).fit(book)
    check = frequency_check(model, book)
    assert check.table["counted"].sum() == len(book)
    assert check.table["expected"].sum() == pytest.approx(len(book))
    assert check.misplaced < 0.04
    few, spans = book.iloc[:5], np.array([0.0, 3.0, 10.0, 40.0, 80.0])
    mass = model.purchase_probability(np.arange(6), spans, few)
    for account, span in zip(few.index, spans, strict=True):
        alone = model.at(few.loc[account, ["industry", "employees"]])
        assert mass.loc[account].to_numpy() == pytest.approx(alone.purchase_probability(np.arange(6), span), rel=1e-12)
    # Without covariates accounts differ by their time alone: the check is coarser, and still adds up.
    plain = frequency_check(kind().fit(book), book)
    assert plain.table["expected"].sum() == pytest.approx(len(book))
    with pytest.raises(SettingsError, match="covariates"):
        model.purchase_probability(0, 10.0)
    with pytest.raises(SettingsError, match="t is"):
        model.purchase_probability(0, [-1.0] * 5, few)


def test_frequency_checks_follow_the_truth_of_single_groups(books):
    """Within each industry, counted and expected agree only if each account is expected to buy as its own kind."""
    book = books[BetaGeoModel]
    model = BetaGeoModel(covariates=FORMULA).fit(book)
    none = model.purchase_probability(0, book["T"].to_numpy(), book)[0]
    for _, rows in book.groupby("industry"):
        counted = (rows["frequency"] == 0).sum()
        expected = none.loc[rows.index].sum()
        assert abs(counted - expected) < 4 * np.sqrt((none.loc[rows.index] * (1 - none.loc[rows.index])).sum())
