import warnings

import numpy as np
import pytest
import scipy.stats

from jnas.oneshot import analysis

N, RATIOS = 40, (0.05, 0.29, 0.5)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.random.default_rng(0).normal(0.93, 0.02, N).astype(np.float32)


@pytest.fixture(scope="module")
def scores(truth: np.ndarray) -> np.ndarray:
    """Of 2 epochs and 3 seeds, with ties as those of accuracies on few images."""
    noise = np.random.default_rng(1).normal(0, 0.02, (2, 3, N))
    return np.round(truth - 0.4 + noise, 2).astype(np.float32)


@pytest.fixture(scope="module")
def found(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    return analysis.criteria(scores, truth, ratios=RATIOS)


def reference(scores: np.ndarray, truth: np.ndarray, ratio: float) -> dict[str, float]:
    """Criteria by their definitions, in float64."""
    x, y = scores.astype(np.float64), truth.astype(np.float64)
    predicted, true = (np.argsort(-values, kind="stable") for values in (x, y))
    num = len(x)
    k = int(ratio * num)
    place = np.argsort(true)
    best, worst = predicted[:k], predicted[num - k :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top, bottom = (scipy.stats.kendalltau(x[part], y[part])[0] for part in (best, worst))
    return {
        "mean": x.mean(),
        "pearson": scipy.stats.pearsonr(x, y)[0],
        "kendall": scipy.stats.kendalltau(x, y)[0],
        "spearman": scipy.stats.spearmanr(x, y)[0],
        f"p_top@{ratio}": len(set(best) & set(true[:k])) / k,
        f"p_bottom@{ratio}": len(set(worst) & set(true[num - k :])) / k,
        f"kendall_top@{ratio}": top,
        f"kendall_bottom@{ratio}": bottom,
        f"best_rank@{ratio}": (place[best].min() + 1) / num,
        f"worst_rank@{ratio}": (place[best].max() + 1) / num,
        f"best_accuracy@{ratio}": y[best].max(),
        f"worst_accuracy@{ratio}": y[best].min(),
    }


@pytest.mark.parametrize("ratio", RATIOS)
def test_criteria_are_their_definitions(found, scores, truth, ratio):
    for epoch in range(2):
        for seed in range(3):
            for name, value in reference(scores[epoch, seed], truth, ratio).items():
                assert found[name].shape == (2, 3), name
                np.testing.assert_allclose(
                    found[name][epoch, seed], value, rtol=0, atol=2e-6, err_msg=name
                )


def test_the_order_of_architectures_changes_nothing(truth):
    scores = np.random.default_rng(2).permutation(N).astype(np.float32)
    order = np.random.default_rng(3).permutation(N)
    one = analysis.criteria(scores, truth, ratios=RATIOS)
    two = analysis.criteria(scores[order], truth[order], ratios=RATIOS)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_several_rankings_are_those_one_by_one(found, scores, truth):
    for epoch in range(2):
        alone = analysis.criteria(scores[epoch, 1], truth, ratios=RATIOS)
        for name, value in alone.items():
            expected = found[name] if found[name].ndim == 0 else found[name][epoch, 1]
            np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=name)


def test_what_lacks_a_score_or_a_truth_is_left_out_of_all(scores, truth):
    gaps, true = scores.copy(), truth.copy()
    gaps[0, 0, 3], gaps[1, 2, 5], true[9] = np.nan, np.nan, np.nan
    kept = np.setdiff1d(np.arange(N), [3, 5, 9])
    one = analysis.criteria(gaps, true, ratios=(0.29,))
    two = analysis.criteria(scores[..., kept], truth[kept], ratios=(0.29,))
    assert int(one.pop("left_out")) == 3
    assert int(two.pop("left_out")) == 0
    assert int(one["num"]) == N - 3
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)


def test_scores_of_minus_infinity_rank_last(truth):
    scores = truth.copy()
    scores[np.argsort(truth)[:4]] = -np.inf
    found = analysis.criteria(scores, truth, ratios=(0.1,))
    assert float(found["p_bottom@0.1"]) == 1.0
    assert 0.97 < float(found["kendall"]) < 1.0  # the four tie
    assert float(found["pearson"]) == pytest.approx(1.0, abs=1e-6)


def test_64_bit_scores_keep_differences_that_float32_has_not(truth):
    close = 1.0 + 1e-12 * np.argsort(np.argsort(truth))
    assert float(analysis.criteria(close, truth, ratios=())["kendall"]) == 1.0
    assert float(analysis.criteria(close, truth, ratios=())["spearman"]) == pytest.approx(1.0)


def test_shares_that_keep_no_architecture_are_left_out_unless_they_are_asked_for(truth):
    found = analysis.criteria(truth, truth)
    assert "p_top@0.05" in found
    assert "p_top@0.01" not in found
    with pytest.raises(ValueError, match="keep int"):
        analysis.criteria(truth, truth, ratios=(0.01,))


def test_average_is_that_of_a_sample(found):
    averages = analysis.average(found)
    np.testing.assert_allclose(averages["kendall"][0], found["kendall"].mean(axis=1), rtol=1e-6)
    expected = found["kendall"].std(axis=1, ddof=1)
    np.testing.assert_allclose(averages["kendall"][1], expected, rtol=1e-5)
    assert averages["num"] == (N, 0)
    assert np.isnan(analysis.average({"kendall": np.asarray(0.5)})["kendall"][1])
    alone = analysis.average({"kendall": found["kendall"][:, :1]})["kendall"]
    np.testing.assert_array_equal(alone[0], found["kendall"][:, 0])
    assert np.isnan(alone[1]).all()


def test_stability_takes_the_next_checkpoint_for_the_truth(scores):
    found = analysis.stability(scores, ratios=(0.1,))
    for seed in range(3):
        expected = reference(scores[0, seed], scores[1, seed], 0.1)
        assert float(found["kendall"][0, seed]) == pytest.approx(expected["kendall"], abs=2e-6)
        assert float(found["p_top@0.1"][0, seed]) == pytest.approx(expected["p_top@0.1"])


def test_agreement_of_seeds_is_symmetric(scores):
    found = analysis.agreement(scores[0])
    np.testing.assert_allclose(found, found.T, rtol=1e-6)
    np.testing.assert_array_equal(np.diag(found), 1)
    expected = scipy.stats.kendalltau(scores[0, 0], scores[0, 2])[0]
    assert float(found[0, 2]) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x, y: (x[..., :-1], y), "same N architectures"),
        (lambda x, y: (x, np.full(N, 0.9)), "are equal"),
        (lambda x, y: (x, np.full(N, np.nan)), "truth are all NaN"),
        (lambda x, y: (np.where(np.arange(3)[:, None] == 1, np.nan, x), y), r"at index \(0, 1\)"),
        (lambda x, y: (x[..., :1], y[:1]), "at least 2"),
        (lambda x, y: (x, np.where(np.arange(N) == 3, np.inf, y)), "infinite"),
        (lambda x, y: (x.astype(str), y), "real numbers"),
    ],
)
def test_what_has_no_ranking_is_refused(scores, truth, change, match):
    with pytest.raises(ValueError, match=match):
        analysis.criteria(*change(scores, truth))


def test_one_checkpoint_has_no_stability(scores):
    for bad in (scores[:1], scores[0, 0]):
        with pytest.raises(ValueError, match="at least 2 checkpoints"):
            analysis.stability(bad)
    with pytest.raises(ValueError, match="one row a seed"):
        analysis.agreement(scores)
