"""Our estimators are scikit-learn's: clone, parameters, pipelines, searches, weights.

Estimator checks that hand over arrays of anonymous features do not apply: a summary is a table whose columns have
names. Those that need no data are scikit-learn's own; the others are here again with summaries. Pickling is not
checked, because models are saved as JSON only.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from clv.errors import DataError, FitError, UnitError
from clv.errors import NotFittedError as OurNotFittedError
from clv.value.beta_geo import BetaGeoModel
from clv.value.beta_geo_cnbd import BetaGeoCNBDModel
from clv.value.boosted import BoostedModel
from clv.value.dependent_spend import DependentSpendModel
from clv.value.gamma_gamma import GammaGammaModel
from clv.value.modified_beta_geo import ModifiedBetaGeoModel
from clv.value.modified_beta_geo_cnbd import ModifiedBetaGeoCNBDModel
from clv.value.pareto_nbd import ParetoNBDModel
from clv.value.validation.rules import LastYearRule, RecencyRule

LIKELIHOOD = [
    BetaGeoModel, ParetoNBDModel, ModifiedBetaGeoModel, BetaGeoCNBDModel, ModifiedBetaGeoCNBDModel, GammaGammaModel,
    DependentSpendModel,
]  # fmt: skip
ALL = [*LIKELIHOOD, BoostedModel, LastYearRule, RecencyRule]
CHECKS = [
    "check_no_attributes_set_in_init", "check_parameters_default_constructible", "check_get_params_invariance",
    "check_set_params", "check_estimator_cloneable", "check_estimator_repr",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_valid_tag_types", "check_estimator_tags_renamed", "check_mixin_order",
]  # fmt: skip


def named(name: str):
    """scikit-learn renames a check now and then; a version that lacks one is told, not passed over."""
    found = [getattr(estimator_checks, full) for full in dir(estimator_checks) if full.startswith(name)]
    return found[0] if found else None


@pytest.fixture(scope="module")
def book(drawn) -> pd.DataFrame:
    """600 accounts with all columns that any of the estimators reads."""
    summary = drawn.head(600).copy()
    money = summary["monetary_value"] * summary["frequency"]
    return summary.assign(
        sales=money + 20, recent_sales=money / 2, recent_purchases=(summary["frequency"] // 2 + 1),
        region=pd.Series(["north", "south", None] * 200, index=summary.index), size=np.arange(600.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def later(book) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    purchases = rng.poisson(0.3 + 0.4 * book["frequency"] * (book["recency"] > book["T"] / 2))
    return pd.DataFrame({"purchases": purchases, "sales": purchases * rng.gamma(4, 10, 600)}, index=book.index)


def fitted(kind, book, later, **settings):
    return kind(**settings).fit(book, later)


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learns_own_checks(kind, check):
    run = named(check)
    if run is None:
        pytest.skip("not in this scikit-learn")
    run(kind.__name__, kind())


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_fitting_keeps_parameters_and_data_as_they_are(kind, book, later):
    model, before, copy = kind(), kind().get_params(), book.copy()
    assert model.fit(book, later) is model
    assert model.get_params() == before
    pd.testing.assert_frame_equal(book, copy)
    learnt = {name for name in vars(model) if not name.startswith("_")} - set(before)
    assert learnt
    assert all(name.endswith("_") for name in learnt)
    check_is_fitted(model)
    unfitted = clone(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)
    assert not [name for name in vars(unfitted) if name.endswith("_")]


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_fitting_twice_is_fitting_once(kind, book, later):
    once, again = fitted(kind, book, later), fitted(kind, book, later).fit(book, later)
    ask = "expected_spend" if issubclass(kind, GammaGammaModel) else "expected_purchases"
    args = () if ask == "expected_spend" else (10.0,)
    pd.testing.assert_series_equal(getattr(once, ask)(book, *args), getattr(again, ask)(book, *args), check_exact=True)
    part, turn = book.iloc[5:50], np.random.default_rng(1).permutation(600)
    whole = getattr(once, ask)(book, *args)
    pd.testing.assert_series_equal(getattr(once, ask)(part, *args), whole.iloc[5:50], rtol=1e-9)
    pd.testing.assert_series_equal(getattr(once, ask)(book.iloc[turn], *args), whole.iloc[turn], rtol=1e-9)


@pytest.mark.parametrize("kind", LIKELIHOOD, ids=lambda k: k.__name__)
def test_weights_are_repetitions(kind, book):
    weight = np.random.default_rng(2).integers(0, 4, 600)
    one = kind(prior="weak").fit(book, sample_weight=weight)
    many = kind(prior="weak").fit(book.iloc[np.repeat(np.arange(600), weight)])
    np.testing.assert_allclose(one.params_, many.params_, rtol=2e-4)
    assert one.log_likelihood_ == pytest.approx(many.log_likelihood_, rel=1e-9)
    assert one.n_accounts_ == many.n_accounts_
    assert one.score(book, sample_weight=weight) == pytest.approx(
        many.score(book.iloc[np.repeat(np.arange(600), weight)]), rel=1e-6
    )


def test_a_weight_of_zero_leaves_an_account_out_of_the_trees(book, later):
    keep = np.arange(600) % 3 > 0
    one = BoostedModel(max_iter=10).fit(book, later, sample_weight=keep.astype(float))
    two = BoostedModel(max_iter=10).fit(book, later, sample_weight=5.0 * keep)
    np.testing.assert_allclose(one.predict(book), two.predict(book), rtol=1e-6)
    odd = later.copy()
    odd.loc[~keep, :] = odd.loc[~keep, :] * 0 + 1  # outcomes of accounts that do not count
    np.testing.assert_allclose(
        BoostedModel(max_iter=10).fit(book, odd, sample_weight=keep * 1.0).sales_scale_, two.sales_scale_, rtol=0.05
    )


@pytest.mark.parametrize("kind", [BetaGeoModel, ParetoNBDModel, GammaGammaModel], ids=lambda k: k.__name__)
def test_grid_search_by_held_out_likelihood(kind, book):
    search = GridSearchCV(
        kind(), {"prior": [None, "weak"]}, cv=KFold(3, shuffle=True, random_state=0), error_score="raise"
    )
    search.fit(book)
    assert search.best_params_["prior"] in (None, "weak")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


def test_grid_search_over_trees(book, later):
    search = GridSearchCV(BoostedModel(), {"max_iter": [2, 40]}, cv=3, error_score="raise").fit(book, later)
    assert search.best_params_ == {"max_iter": 40}
    assert search.best_score_ < 0


def test_pipeline_with_set_output(book):
    """A step before the model keeps names through set_output, and the model reads them."""
    to_weeks = ColumnTransformer(
        [("days", FunctionTransformer(lambda days: days / 7), ["recency", "T"])], remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")  # fmt: skip
    days = book[["frequency", "recency", "T"]].assign(recency=book["recency"] * 7, T=book["T"] * 7)
    pipe = make_pipeline(to_weeks, BetaGeoModel(prior="weak")).fit(days)
    plain = BetaGeoModel(prior="weak").fit(book)
    np.testing.assert_allclose(pipe[-1].params_, plain.params_, rtol=1e-4)
    assert pipe.score(days) == pytest.approx(plain.score(book), rel=1e-9)
    assert clone(pipe).get_params()["betageomodel__prior"] == "weak"
    arrays = Pipeline([("weeks", clone(to_weeks).set_output(transform="default")), ("model", BetaGeoModel())])
    with pytest.raises(DataError, match="DataFrame"):
        arrays.fit(days)


def test_trees_learn_what_histories_tell(book, later):
    trees = BoostedModel(horizon=26.0).fit(book, later)
    assert np.corrcoef(trees.predict(book), later["purchases"])[0, 1] > 0.6
    assert trees.predict(book).sum() == pytest.approx(later["purchases"].sum(), rel=0.05)
    assert trees.expected_sales(book, 26).sum() == pytest.approx(later["sales"].sum(), rel=0.05)
    assert trees.buying_probability(book).between(0, 1).all()
    half = trees.expected_purchases(book, 13)
    np.testing.assert_allclose(2 * half, trees.predict(book))


def test_trees_take_covariates_and_categories_they_never_saw(book, later):
    trees = BoostedModel(covariates=("region", "size"), max_iter=15).fit(book, later)
    assert trees.categories_ == {"region": ["north", "south"]}
    assert trees.features_[-2:] == ("region", "size")
    new = book.assign(region="west", size=np.nan)
    missing = book.assign(region=None, size=np.nan)
    np.testing.assert_array_equal(trees.predict(new), trees.predict(missing))
    with pytest.raises(DataError, match="covariate is missing"):
        trees.predict(book.drop(columns="size"))


def test_trees_refuse_what_they_cannot_learn_from(book, later):
    with pytest.raises(FitError, match="0 accounts bought"):
        BoostedModel().fit(book, later * 0)
    with pytest.raises(DataError, match="a row for each account"):
        BoostedModel().fit(book, later.head(3))
    with pytest.raises(OurNotFittedError):
        BoostedModel().predict(book)
    trees = BoostedModel(max_iter=2).fit(book, later)
    wrong = book.copy()
    wrong.attrs["clv"] = {"unit": "D"}
    with pytest.raises(UnitError):
        trees.predict(wrong)


def test_free_orders_only_forecast_no_money(book, later):
    trees = BoostedModel(max_iter=3).fit(book, later.assign(sales=0.0))
    assert (trees.expected_sales(book, 1) == 0).all()
    assert trees.expected_purchases(book, 1).sum() > 0
