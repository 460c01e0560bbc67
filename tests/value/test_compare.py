"""Likelihood-ratio tests and information criteria: what may be compared, and what comes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from clv.errors import SettingsError
from clv.value import (
    BetaGeoCNBDModel,
    BetaGeoModel,
    ModifiedBetaGeoModel,
    ParetoNBDModel,
    information_criteria,
    likelihood_ratio_test,
    load_model,
)
from clv.value.estimation.checks import purchase_history
from clv.value.estimation.patterns import compress


class Doubled(BetaGeoModel):
    """BG/NBD with a fifth parameter, as a model with a covariate would have it."""

    def widened(self, cdnow, rise: float) -> Doubled:
        self.fit(cdnow)
        self.params_ = pd.concat([self.params_, pd.Series({"gamma": 0.3})])
        self.log_likelihood_ += rise
        return self


def test_likelihood_ratio_by_hand(buying, cdnow):
    large = Doubled().widened(cdnow, 5.4715)
    found = likelihood_ratio_test(buying, large)
    assert found.statistic == pytest.approx(10.943, abs=1e-6)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(chi2.sf(10.943, 1), rel=1e-6)
    assert "are needed" in found.text
    assert "not shown" in likelihood_ratio_test(buying, Doubled().widened(cdnow, 0.2)).text
    found.plot()


def test_what_is_no_special_case_is_refused(buying, cdnow):
    large = Doubled().widened(cdnow, 1.0)
    with pytest.raises(SettingsError, match="special case"):
        likelihood_ratio_test(large, buying)
    with pytest.raises(SettingsError, match="special case"):
        likelihood_ratio_test(buying, ParetoNBDModel().fit(cdnow))
    with pytest.raises(SettingsError, match="special case"):
        likelihood_ratio_test(buying, BetaGeoCNBDModel(k=2).fit(cdnow))
    with pytest.raises(SettingsError, match="fits worse"):
        likelihood_ratio_test(buying, Doubled().widened(cdnow, -1.0))


def test_other_accounts_are_refused(buying, cdnow):
    fewer = BetaGeoModel().fit(cdnow.iloc[:-1])
    changed = cdnow.copy()
    changed.iloc[0, changed.columns.get_loc("T")] += 1 / 7
    for other in (fewer, BetaGeoModel().fit(changed), BetaGeoModel.from_parameters(r=1, alpha=1, a=1, b=1)):
        with pytest.raises(SettingsError, match=r"different data|not a maximum"):
            information_criteria(buying, other)
    with pytest.raises(SettingsError, match="maximum-likelihood"):
        information_criteria(buying, BetaGeoModel(prior="weak").fit(cdnow))
    with pytest.raises(SettingsError, match="nothing to compare"):
        information_criteria(buying)


def test_information_criteria(buying, cdnow, tmp_path):
    models = [buying, ParetoNBDModel().fit(cdnow), ModifiedBetaGeoModel().fit(cdnow), BetaGeoCNBDModel().fit(cdnow)]
    found = information_criteria(*models)
    assert list(found.table.index)[:2] == ["ModifiedBetaGeo", "BetaGeo"]
    assert found.table.loc["BetaGeo", "aic"] == pytest.approx(2 * 4 + 2 * 9582.4292, abs=1e-3)
    assert found.table.loc["BetaGeo", "bic"] == pytest.approx(4 * np.log(2357) + 2 * 9582.4292, abs=1e-3)
    assert found.table.loc["BetaGeoCNBD (k = 1)", "parameters"] == 5
    assert found.table["weight"].sum() == pytest.approx(1)
    assert "ModifiedBetaGeo" in found.text
    found.plot()
    models[1].save(tmp_path / "m.json")
    again = information_criteria(buying, load_model(tmp_path / "m.json"))
    assert again.table.loc["ParetoNBD", "aic"] == found.table.loc["ParetoNBD", "aic"]


def _mark(summary, model=BetaGeoModel, **fit):
    return model().fit(summary, **fit).data_mark_


def test_mark_sees_accounts_and_not_their_order(cdnow):
    mark = _mark(cdnow)
    assert _mark(cdnow.iloc[::-1]) == mark
    assert _mark(cdnow.assign(sector=1.0)) == mark
    assert _mark(cdnow, ParetoNBDModel) == mark
    assert _mark(cdnow, sample_weight=np.ones(len(cdnow))) == mark
    assert _mark(cdnow, sample_weight=np.full(len(cdnow), 2.0)) == _mark(pd.concat([cdnow, cdnow])) != mark
    later = cdnow["T"].to_numpy().copy()
    later[0] += 1 / 7
    assert _mark(cdnow.assign(T=later)) != mark
    assert _mark(pd.concat([cdnow, cdnow.iloc[:1]])) != mark


def test_mark_does_not_depend_on_which_accounts_come_first():
    """The first rows lie on a grid of weeks, some of the others on days: the grid of all is that of days."""
    rng = np.random.default_rng(4)
    weeks = np.repeat(np.arange(20.0, 60.0), 20)
    data = BetaGeoModel.from_parameters(r=0.5, alpha=6.0, a=0.8, b=2.5).simulate(weeks, rng)
    data["recency"] = np.floor(data["recency"])
    data.loc[data["frequency"].eq(0).to_numpy(), "recency"] = 0.0
    late = data.iloc[-100:].copy()
    late["T"] += 3 / 7
    both = pd.concat([data, late])
    assert compress(purchase_history(both)).steps == 7.0
    assert _mark(both) == _mark(both.iloc[::-1])


def test_mark_is_made_when_it_is_asked_for(cdnow, tmp_path):
    with pytest.raises(AttributeError):
        _ = BetaGeoModel().data_mark_
    model = BetaGeoModel().fit(cdnow)
    model.save(tmp_path / "m.json")
    assert load_model(tmp_path / "m.json").data_mark_ == model.data_mark_
    assert model.fit(cdnow.iloc[::2]).data_mark_ != _mark(cdnow)
