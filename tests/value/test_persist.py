"""Saved models: JSON, exact, and suspicious of what they read."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from clv.errors import ClvError, DataError, NotFittedError
from clv.value import BetaGeoModel, GammaGammaModel, load_model


def test_purchases_come_back_exactly(buying, cdnow, tmp_path):
    path = tmp_path / "model.json"
    buying.save(path)
    again = load_model(path)
    assert type(again) is BetaGeoModel
    for name in ("params_", "standard_errors_"):
        pd.testing.assert_series_equal(getattr(again, name), getattr(buying, name), check_exact=True)
    for name in ("log_likelihood_", "converged_", "n_iter_", "gradient_norm_", "unit_", "n_accounts_"):
        assert getattr(again, name) == getattr(buying, name)
    np.testing.assert_array_equal(again.log_covariance_, buying.log_covariance_)
    pd.testing.assert_series_equal(
        again.expected_purchases(cdnow, 39), buying.expected_purchases(cdnow, 39), check_exact=True
    )
    pd.testing.assert_frame_equal(
        again.sample_posterior(5, 1), load_model(path).sample_posterior(5, 1), check_exact=True
    )


def test_spend_comes_back_exactly(cdnow_spend, tmp_path):
    model = GammaGammaModel(prior="weak").fit(cdnow_spend)
    model.save(tmp_path / "model.json")
    again = load_model(tmp_path / "model.json")
    assert again.get_params() == {"prior": "weak"}
    assert again.mean_spend_ == model.mean_spend_
    assert again.frequency_spend_correlation_ == model.frequency_spend_correlation_
    assert again.expected_spend(cdnow_spend).equals(model.expected_spend(cdnow_spend))


def test_same_model_same_bytes(buying, tmp_path):
    buying.save(tmp_path / "a.json")
    load_model(tmp_path / "a.json").save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.json", "b.json"]


def test_numbers_that_are_not_known_come_back_as_not_known(tmp_path):
    GammaGammaModel.from_parameters(p=6.0, q=4.0, v=15.0).save(tmp_path / "m.json")
    assert "NaN" not in (tmp_path / "m.json").read_text()
    assert np.isnan(load_model(tmp_path / "m.json").log_likelihood_)


def test_only_fitted_models(tmp_path):
    with pytest.raises(NotFittedError):
        BetaGeoModel().save(tmp_path / "m.json")
    assert not list(tmp_path.iterdir())


def test_no_place_to_write(buying, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClvError, match="could not be written"):
        buying.save(tmp_path / "file" / "m.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not a model of clv"),
        ({"schema": 99}, "schema 99"),
        ({"class": "os.system"}, "os.system"),
        ({"class": ["BetaGeoModel"]}, "class"),
        ({"parameters": {"r": 1}}, "damaged"),
        ({"parameters": {"r": -1, "alpha": 1, "a": 1, "b": 1}}, "damaged"),
        ({"log_covariance": [[1]]}, "damaged"),
        ({"settings": {"wrong": 1}}, "damaged"),
        ({"numbers": None}, "damaged"),
    ],
)
def test_files_that_are_no_models(buying, tmp_path, change, message):
    path = tmp_path / "model.json"
    buying.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x80\x04\x95", b"12"])
def test_rubbish(tmp_path, content):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(DataError):
        load_model(tmp_path / "m.json")
    with pytest.raises(DataError, match="cannot be read"):
        load_model(tmp_path / "nowhere.json")
