"""Clusters and lookalikes: found where they are, refused where they are not, the same for equal accounts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from clv import account_clusters, lookalikes
from clv.abm.clusters.balanced import equal_groups
from clv.abm.clusters.consensus import consensus, item_consensus
from clv.abm.clusters.embedding import embed
from clv.abm.clusters.structure import gap_statistic, one_kind
from clv.abm.propensity.columns import describe_columns
from clv.errors import DataError, SettingsError

QUICK = {"resamples": 20, "references": 19, "clusters": (2, 6)}
INDUSTRY, REGION = np.array(["machinery", "food", "paper", "steel"]), np.array(["north", "south", "east", "west"])


def _kinds(n: int = 200, *, kinds: int = 4, keep: float = 0.9, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Accounts of several kinds, with two attributes that say nothing."""
    g = np.random.default_rng(seed)
    kind = g.integers(0, kinds, n)
    frame = pd.DataFrame(
        {
            "industry": np.where(g.random(n) < keep, INDUSTRY[kind], g.choice(INDUSTRY, n)),
            "region": np.where(g.random(n) < keep, REGION[kind], g.choice(REGION, n)),
            "employees": np.round(np.exp(g.normal(np.array([3, 4.5, 6, 3.5])[kind], 0.4))),
            "age": g.uniform(0, 50, n),
            "technology": g.choice(["EDI", "ERP"], n),
        },
        index=pd.Index([f"A{i:04d}" for i in range(n)], name="account_id"),
    )
    return frame, kind


def _noise(n: int, seed: int, shape: str) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    if shape == "uniform":
        frame = pd.DataFrame(g.uniform(size=(n, 4)), columns=list("abcd"))
    elif shape == "one cloud":  # correlated, skewed: one continuum, no kinds
        size = g.normal(size=n)
        frame = pd.DataFrame({c: np.exp(4 + 0.9 * size + 0.4 * g.normal(size=n)) for c in "abc"})
    else:
        frame = pd.DataFrame(
            {"industry": g.choice(INDUSTRY, n), "region": g.choice(REGION, n), "employees": g.lognormal(4, 1, n),
             "seats": g.integers(0, 3, n), "technology": g.choice(["EDI", "ERP", None], n)}
        )  # fmt: skip
    return frame.set_axis(pd.Index([f"A{i:04d}" for i in range(n)], name="account_id"))


@pytest.fixture(scope="module")
def found():
    frame, kind = _kinds()
    return frame, kind, account_clusters(frame, won=frame.index[kind != 1][:12], **QUICK)


def test_finds_the_kinds_that_are_there(found):
    _, kind, result = found
    assert result.structured
    assert result.p_value == 0.05
    assert result.table["cluster"].nunique() == 4
    assert adjusted_rand_score(kind, result.table["cluster"]) > 0.85
    assert result.choice["stability"].idxmax() == 4
    assert result.table["stability"].between(0, 1).all()
    assert (result.table["stability"] >= result.table["next_stability"]).all()


def test_unsure_accounts_are_the_ones_of_mixed_kind(found):
    frame, kind, result = found
    own = (frame["industry"] == INDUSTRY[kind]) & (frame["region"] == REGION[kind])
    away = 1 - result.table["stability"]
    assert away[~own].mean() > 3 * away[own].mean()


@pytest.mark.parametrize("shape", ["uniform", "one cloud", "mixed"])
def test_finds_nothing_where_there_is_nothing(shape):
    refused = 0
    for seed in range(2):
        result = account_clusters(_noise(120, seed, shape), resamples=10, references=19, clusters=(2, 4))
        refused += not result.structured
        if not result.structured:
            assert result.table["cluster"].isna().all()
            assert "No clusters" in result.text
    assert refused == 2


@pytest.mark.slow
def test_the_p_value_is_uniform_where_there_is_nothing():
    p = []
    for seed in range(30):
        frame = _noise(60, seed, "mixed")
        columns = describe_columns(frame)
        mapped = embed(columns.take(frame, table="a"), columns)
        points = mapped.points(columns.take(frame, table="a"))
        p.append(gap_statistic(points, mapped.blocks, [2, 3], references=9, rng=np.random.default_rng(seed)).p_value)
    assert np.mean(np.array(p) <= 0.1) < 0.25
    assert np.mean(np.array(p) <= 0.5) < 0.75


def test_names_say_what_sets_a_cluster_apart(found):
    _, kind, result = found
    names = {result.table["cluster"][kind == k].mode()[0] for k in range(4)}
    assert len(names) == 4
    for k in range(4):
        name = result.table["cluster"][kind == k].mode()[0]
        assert INDUSTRY[k] in name
        assert REGION[k] in name
        assert "EDI" not in name
        assert "age" not in name
    assert any("employees" in name for name in names)


def test_each_cluster_has_a_won_reference_where_there_is_one(found):
    frame, kind, result = found
    won = set(frame.index[kind != 1][:12])
    for row in result.clusters.itertuples():
        members = set(result.table.index[result.table["group"] == row.group])
        assert row.won == len(members & won)
        if members & won:
            assert row.reference in members & won
            ours = result.table.loc[sorted(members & won), "distance"]
            assert result.table.loc[row.reference, "distance"] == ours.min()
        else:
            assert pd.isna(row.reference)
            assert f"No won account to show as a reference in 1 clusters: “{row.group}”" in result.text
    assert result.clusters["accounts"].sum() == len(frame)


def test_groups_are_of_a_size_people_can_handle():
    frame, _ = _kinds(210)
    result = account_clusters(frame, size=(5, 15), **QUICK)
    sizes = result.table.groupby("group").size()
    assert sizes.between(5, 15).all()
    assert (result.table.groupby("group")["cluster"].nunique() == 1).all()
    assert "not the data" in result.text
    g = np.random.default_rng(0)
    for n in (1, 15, 16, 47, 100):
        parts = np.bincount(equal_groups(g.normal(size=(n, 3)), 15))
        assert parts.max() <= 15
        assert parts.max() - parts.min() <= 1
        assert len(parts) == -(-n // 15)


def test_consensus_by_hand():
    points = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [10.2]] * 2, dtype=np.float32)
    result = consensus(points, 2, resamples=30, rng=np.random.default_rng(0))
    near = points[:, 0] < 5
    assert result.pac == 0
    assert np.nanmin(result.matrix[np.ix_(near, near)]) == 1
    assert np.nanmax(result.matrix[np.ix_(near, ~near)]) == 0
    belongs = item_consensus(result, points, np.array([[0.3], [9.0], [5.2]], dtype=np.float32))
    low = result.labels[0]
    np.testing.assert_allclose(belongs[:2, low], [1, 0])
    np.testing.assert_allclose(belongs.sum(axis=1), 1)


def test_the_average_squared_distance_is_one_an_attribute():
    frame = _noise(2000, 0, "mixed").drop(columns="technology")
    columns = describe_columns(frame)
    mapped = embed(columns.take(frame, table="a"), columns)
    points = mapped.points(columns.take(frame, table="a"))
    g = np.random.default_rng(0)
    one, two = g.integers(0, 2000, 20_000), g.integers(0, 2000, 20_000)
    for block in mapped.blocks:
        apart = ((points[one][:, block.at] - points[two][:, block.at]) ** 2).sum(axis=1)
        assert apart.mean() == pytest.approx(1, abs=0.06), block.name


def test_accounts_of_one_kind_keep_each_attribute_and_one_cloud():
    g = np.random.default_rng(1)
    size = g.normal(size=3000)
    frame = pd.DataFrame(
        {"a": size + 0.5 * g.normal(size=3000), "b": size, "c": np.where(size > 0, "x", "y")},
    )
    columns = describe_columns(frame)
    mapped = embed(columns.take(frame, table="a"), columns)
    points = mapped.points(columns.take(frame, table="a"))
    drawn = one_kind(points, mapped.blocks, np.random.default_rng(2))
    at = {block.name: block.at.start for block in mapped.blocks}
    for name in "ab":
        assert drawn[:, at[name]].var() == pytest.approx(points[:, at[name]].var(), rel=0.08)
    correlation = [np.corrcoef(some[:, at["a"]], some[:, at["b"]])[0, 1] for some in (points, drawn)]
    assert correlation[0] == pytest.approx(correlation[1], abs=0.03)
    assert drawn[:, at["c"]].sum() == pytest.approx(points[:, at["c"]].sum(), rel=1e-5)
    assert abs(np.corrcoef(drawn[:, at["c"]], drawn[:, at["b"]])[0, 1]) < 0.06


def test_rows_in_another_order_and_twins_beyond_the_sample():
    frame, _ = _kinds(100)
    twin = frame.set_axis([f"B{i:04d}" for i in range(100)])
    both = pd.concat([frame, twin]).rename_axis("account_id")
    options = {"resamples": 10, "references": 19, "clusters": (3, 5)}
    one = account_clusters(both, sample=100, **options)
    two = account_clusters(both.sample(frac=1, random_state=3), sample=100, **options)
    pd.testing.assert_frame_equal(one.table, two.table.loc[one.table.index], check_exact=False, atol=1e-6)
    # Equal accounts share a cluster, in the sample or not.
    assert (one.table["cluster"].to_numpy()[:100] == one.table["cluster"].to_numpy()[100:]).all()


def test_the_cluster_serves_the_allocation(found):
    from clv.abm import Clusters, allocate_tiers

    frame, _, result = found
    rng = np.random.default_rng(0)
    options = pd.DataFrame(
        {"account_id": frame.index, "tier": "1:few", "value": rng.lognormal(7, 1, len(frame)), "cost": 500.0,
         "hours": 10.0, "cluster": result.table["cluster"].to_numpy()}
    )  # fmt: skip
    plan = allocate_tiers(options, hours=200.0, limits=[Clusters("1:few", cost=1000.0, fewest=4, most=8)])
    taken = plan.table[plan.table["tier"] == "1:few"].merge(result.table.reset_index(), on="account_id")
    assert len(taken)
    assert taken.groupby("cluster").size().between(4, 8).all()


def test_too_little_to_cluster_says_so():
    frame, _ = _kinds(20)
    assert "too few" in account_clusters(frame).text
    bare = pd.DataFrame({"account_id": [f"A{i}" for i in range(50)], "name": "x"})
    result = account_clusters(bare)
    assert "no attribute" in result.text
    result.plot()
    two = pd.DataFrame({"account_id": [f"A{i}" for i in range(50)], "c": ["x", "y"] * 25})
    assert not account_clusters(two).structured


def test_bad_settings_and_ids_are_named():
    frame, _ = _kinds(60)
    with pytest.raises(SettingsError, match="cannot always be made"):
        account_clusters(frame, size=(10, 15))
    with pytest.raises(SettingsError, match="clusters are 1 to 4"):
        account_clusters(frame, clusters=(1, 4))
    with pytest.raises(SettingsError, match="cannot show a level"):
        account_clusters(frame, references=9)
    with pytest.raises(DataError, match="'Z9' is not in the table"):
        account_clusters(frame, won=["Z9"])
    with pytest.raises(DataError, match="there twice"):
        account_clusters(pd.concat([frame, frame.head(1)]))
    with pytest.raises(DataError, match="is a text, not a list"):
        lookalikes(frame, "A0001")
    with pytest.raises(DataError, match="no reference account"):
        lookalikes(frame, [])


def test_lookalikes_are_of_the_same_kind_and_say_why():
    frame, kind = _kinds(300)
    reference = frame.index[(kind == 2) & (frame["industry"] == "paper") & (frame["region"] == "east")][0]
    result = lookalikes(frame, [reference], most=10)
    kinds = pd.Series(kind, index=frame.index)
    assert (kinds[result.table.index] == 2).all()
    assert reference not in result.table.index
    assert result.table["distance"].is_monotonic_increasing
    first = result.table.iloc[0]
    assert first["why"].startswith(f"Like {reference}: ")
    assert "employees" in first["why"]
    assert list(result.table["rank"]) == list(range(1, 11))


def test_a_twin_is_nearest_and_differences_are_told():
    frame, _ = _kinds(100)
    frame.loc["T"] = frame.loc["A0007"]
    frame.loc["U"] = frame.loc["A0007"]
    frame.loc["U", "technology"] = "ERP" if frame.loc["A0007", "technology"] == "EDI" else "EDI"
    frame.loc["U", "employees"] = np.nan
    result = lookalikes(frame, ["A0007"], most=102)
    assert result.table.index[0] == "T"
    assert result.table.loc["T", "distance"] == 0
    assert "unlike" not in result.table.loc["T", "why"]
    assert "employees (unknown against" in result.table.loc["U", "why"]
    assert "technology (E" in result.table.loc["U", "why"]


@pytest.mark.parametrize("references", [1, 3])
def test_similarity_is_calibrated_on_chance(references):
    """Accounts drawn at random are as similar to random references as chance: uniform from 0 to 100."""
    frame, _ = _kinds(400, keep=0.0, seed=1)
    g = np.random.default_rng(0)
    seen = []
    for seed in range(40):
        of = g.choice(frame.index, references, replace=False)
        seen.append(lookalikes(frame, of, seed=seed).scores["similarity"].to_numpy())
    seen = np.concatenate(seen)
    for q in (10, 25, 50, 75, 90):
        assert np.percentile(seen, q) == pytest.approx(q, abs=5)


def test_says_whether_likeness_means_anything():
    frame, kind = _kinds(300)
    of = frame.index[kind == 2][:2]
    g = np.random.default_rng(0)
    wins = pd.Series(g.random(300) < np.where(kind == 2, 0.7, 0.15), index=frame.index)
    yes = lookalikes(frame, of, outcome=wins)
    assert yes.tells
    assert "Likeness means something" in yes.text
    assert yes.scores["chance"].is_monotonic_decreasing
    assert yes.scores["chance"].iloc[:30].mean() > yes.scores["chance"].iloc[-100:].mean() + 0.2
    no = lookalikes(frame, of, outcome=pd.Series(g.permutation(wins), index=frame.index))
    assert not no.tells
    assert no.scores["chance"].isna().all()
    assert "Beware" in no.text
    assert "cannot be told" in lookalikes(frame, of, outcome=wins.head(20)).text
    with pytest.raises(DataError, match="is no outcome"):
        lookalikes(frame, of, outcome=pd.Series({"A0001": 7}))


def test_only_among_those_asked_for():
    frame, _ = _kinds(80)
    some = frame.index[40:60]
    result = lookalikes(frame, [frame.index[0], frame.index[41]], among=some)
    assert set(result.scores.index) == set(some) - {frame.index[41]}
    nobody = lookalikes(frame, [frame.index[0]], among=[frame.index[0]])
    assert nobody.table.empty
    nobody.plot()


def test_pictures(found):
    import matplotlib.pyplot as plt

    frame, _, result = found
    assert result.plot().images[0].get_array().shape == (200, 200)
    assert len(lookalikes(frame, [frame.index[0]]).plot().get_yticklabels()) == 20
    nothing = account_clusters(_noise(60, 0, "uniform"), resamples=10, references=19, clusters=(2, 3))
    assert "one kind" in nothing.plot().get_title()
    plt.close("all")


@pytest.mark.slow
def test_a_large_book_needs_no_matrix_of_all_pairs():
    frame, kind = _kinds(30_000)
    result = account_clusters(frame, **QUICK)
    assert result.consensus.shape == (500, 500)
    assert adjusted_rand_score(kind, result.table["cluster"]) > 0.85
