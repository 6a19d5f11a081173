import numpy as np
import pytest
import scipy.stats

from jnas.oneshot import analysis

N = 40


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=N)
    return np.round(truth + rng.normal(size=(2, N)), 1), truth


def test_groups_are_their_definition(pair):
    scores, truth = pair
    member = np.random.default_rng(1).integers(0, 3, N)
    found = analysis.by_group(scores, truth, member)
    for row in range(2):
        ranks = [scipy.stats.rankdata(values) for values in (scores[row], truth)]
        difference = (ranks[0] - ranks[1]) / N
        for group in range(3):
            inside = member == group
            tau = scipy.stats.kendalltau(scores[row, inside], truth[inside])[0]
            assert found.kendall[row, group] == pytest.approx(tau, abs=2e-6)
            expected = difference[inside].mean()
            assert found.rank_difference[row, group] == pytest.approx(expected, abs=2e-6)
            assert found.size[group] == inside.sum()


def test_what_one_group_is_overestimated_by_others_are_underestimated(pair):
    scores, truth = pair
    found = analysis.by_group(scores, truth, analysis.quantile_groups(truth, 5))
    np.testing.assert_allclose((found.rank_difference * found.size).sum(axis=-1), 0, atol=1e-5)
    # A noisy score is nearer to the middle than the truth is.
    assert (found.rank_difference[:, 0] > 0).all()
    assert (found.rank_difference[:, -1] < 0).all()


def test_a_group_without_a_score_has_none(pair):
    scores, truth = pair
    member = np.arange(N) // 20
    gaps = np.where(member == 0, np.nan, scores)
    found = analysis.by_group(gaps, truth, member)
    assert np.isnan(found.kendall[:, 0]).all()
    assert np.isnan(found.rank_difference[:, 0]).all()
    assert found.size.tolist() == [0, 20]
    assert found.left_out == 20


def test_quantile_groups_are_ordered_and_equally_large():
    values = np.random.default_rng(2).integers(0, 9, 43)
    groups = analysis.quantile_groups(values, 5)
    assert sorted(np.bincount(groups)) == [8, 8, 9, 9, 9]
    for group in range(4):
        assert values[groups == group].max() <= values[groups == group + 1].min()


def test_levels_are_equal_values():
    values = np.array([0.5, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(analysis.level_groups(values), [1, 0, 1, 2])


@pytest.mark.parametrize(
    "groups", [np.zeros(N - 1, int), np.zeros(N), np.arange(N) - 1], ids=["short", "float", "low"]
)
def test_other_groups_are_refused(pair, groups):
    with pytest.raises(ValueError, match="groups must be integers"):
        analysis.by_group(*pair, groups)


def test_quantiles_of_nothing_are_refused():
    for values, num in ((np.array([1.0, np.nan]), 1), (np.arange(3.0), 4), (np.eye(2), 1)):
        with pytest.raises(ValueError, match="quantile groups need"):
            analysis.quantile_groups(values, num)
    with pytest.raises(ValueError, match="levels need"):
        analysis.level_groups(np.eye(2))
