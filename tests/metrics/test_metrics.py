import math
import warnings
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jnas import metrics
from jnas.metrics import _programs

CORRELATIONS = (metrics.kendall_tau, metrics.kendall_tau_a, metrics.spearman, metrics.pearson)
RANK_CORRELATIONS = CORRELATIONS[:3]
AT_RATIO = (
    metrics.precision_at_top,
    metrics.precision_at_bottom,
    metrics.best_rank_at,
    metrics.worst_rank_at,
)
INSIDE = (
    metrics.kendall_tau_at_top,
    metrics.kendall_tau_at_bottom,
    metrics.best_accuracy_at,
    metrics.worst_accuracy_at,
)
EVERYTHING = {
    **{metric.__name__: metric for metric in CORRELATIONS},
    **{f.__name__: lambda scores, targets, f=f: f(scores, targets, 0.3) for f in AT_RATIO},
    "best_rank_at_k": lambda scores, targets: metrics.best_rank_at_k(scores, targets, 3),
    **{f.__name__: lambda scores, targets, f=f: f(scores, targets, 0.3) for f in INSIDE},
}
# One of each way to compute is quick: by pairs, by ranks, of the best by score, and of some number.
QUICK = ("kendall_tau", "spearman", "precision_at_top", "best_rank_at_k", "best_accuracy_at")
every_metric = pytest.mark.parametrize(
    "metric",
    [
        pytest.param(metric, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, metric in EVERYTHING.items()
    ],
)
every_correlation = pytest.mark.parametrize("metric", CORRELATIONS)
every_rank_correlation = pytest.mark.parametrize("metric", RANK_CORRELATIONS)

# Lengths that many tests share: a metric is compiled once for each.
LENGTH, PART = 64, 33

# Eight architectures. True ranks: 2, 0, 5, 1, 7, 3, 6, 4.
TARGETS = np.array([91.0, 94.0, 60.0, 93.0, 10.0, 90.0, 55.0, 70.0], np.float32)
# Predicted order of the architectures, best first: 5, 0, 7, 1, 6, 3, 2, 4.
SCORES = np.array([0.9, 0.7, 0.3, 0.5, -np.inf, 1.0, 0.6, 0.8], np.float32)
# Their true ranks in the predicted order.
TRUE_RANKS = (3, 2, 4, 0, 6, 1, 5, 7)


def make_pair(
    seed: int, length: int, *, ties: bool, unrankable: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy scores of plausible accuracies in float32, so that SciPy sees the very same numbers."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(0.93, 0.02, length)
    scores = targets - 0.93 + rng.normal(0.0, 0.02, length)
    if ties:
        targets, scores = np.round(targets, 2), np.round(scores, 2)
    if unrankable:
        scores[rng.random(length) < 0.3] = -np.inf
    return scores.astype(np.float32), targets.astype(np.float32)


def make_distinct_pair(seed: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.permutation(length).astype(np.float32), rng.permutation(length).astype(np.float32)


def reference(metric: Callable, scores: np.ndarray, targets: np.ndarray) -> float:
    """SciPy's answer in float64; tau-a, which SciPy lacks, by its definition."""
    if metric is metrics.kendall_tau_a:
        return tau_a_by_definition(scores, targets)
    scipy_metric = {
        metrics.kendall_tau: scipy.stats.kendalltau,
        metrics.spearman: scipy.stats.spearmanr,
        metrics.pearson: scipy.stats.pearsonr,
    }[metric]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.stats.ConstantInputWarning)
        return float(scipy_metric(scores.astype(np.float64), targets.astype(np.float64)).statistic)


def pair_signs(values: np.ndarray) -> np.ndarray:
    """Sign of values[i] − values[j] for each i < j; equal infinities tie."""
    i, j = np.triu_indices(len(values), 1)
    return (values[i] > values[j]).astype(int) - (values[i] < values[j]).astype(int)


def tau_a_by_definition(scores: np.ndarray, targets: np.ndarray) -> float:
    return float(np.mean(pair_signs(scores) * pair_signs(targets)))


def tau_b_by_definition(scores: np.ndarray, targets: np.ndarray) -> float:
    products = pair_signs(scores) * pair_signs(targets)
    concordant, discordant = np.sum(products > 0), np.sum(products < 0)
    tied_scores = np.sum((pair_signs(scores) == 0) & (pair_signs(targets) != 0))
    tied_targets = np.sum((pair_signs(scores) != 0) & (pair_signs(targets) == 0))
    untied = int(concordant + discordant)
    return float(
        (concordant - discordant) / math.sqrt((untied + tied_scores) * (untied + tied_targets))
    )


# Against SciPy, definitions and cases worked out by hand.


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("length", [2, 3, 8, PART, 500])
@every_correlation
def test_correlation_is_the_reference(metric, length, ties):
    for seed in range(4):
        scores, targets = make_pair(seed, length, ties=ties)
        expected = reference(metric, scores, targets)
        np.testing.assert_allclose(metric(scores, targets), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@every_rank_correlation
def test_unrankable_scores_tie_at_the_bottom(metric, seed):
    scores, targets = make_pair(seed, LENGTH, ties=True, unrankable=True)
    expected = reference(metric, np.where(np.isinf(scores), np.float32(-9.0), scores), targets)
    np.testing.assert_allclose(metric(scores, targets), expected, rtol=0, atol=1e-6)
    as_nan = np.where(np.isinf(scores), np.float32(np.nan), scores)
    as_nan[np.flatnonzero(np.isinf(scores))[0]] = -np.inf
    assert float(metric(as_nan, targets)) == float(metric(scores, targets))


@pytest.mark.parametrize("length", [2, 8, PART])
def test_tau_is_its_definition(length):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scores = np.append(rng.integers(0, length, length - 1), length).astype(np.float32)
        targets = np.append(rng.integers(0, 4, length - 1), 5).astype(np.float32)
        tau_a, tau_b = metrics.kendall_tau_a(scores, targets), metrics.kendall_tau(scores, targets)
        np.testing.assert_allclose(tau_a, tau_a_by_definition(scores, targets), rtol=0, atol=1e-6)
        np.testing.assert_allclose(tau_b, tau_b_by_definition(scores, targets), rtol=0, atol=1e-6)


def test_tau_by_hand():
    # Pairs 12, 13, 14 and 24 are concordant, 34 is discordant, 23 is tied in the scores alone.
    scores, targets = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 1.0, 3.0, 2.0])
    concordant, discordant, pairs = 4, 1, 6
    np.testing.assert_allclose(
        metrics.kendall_tau_a(scores, targets), (concordant - discordant) / pairs, rtol=1e-6
    )
    np.testing.assert_allclose(
        metrics.kendall_tau(scores, targets),
        (concordant - discordant) / math.sqrt(5 * 6),
        rtol=1e-6,
    )


@pytest.mark.parametrize("ties", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("num", [100_000, pytest.param(424_000, marks=pytest.mark.slow)])
def test_a_whole_benchmark_is_counted_exactly(num, ties):
    # 5e9 pairs and 9e10: beyond 32 bits, and beyond what float32 can add up.
    scores, targets = make_pair(0, num, ties=ties)
    for metric, tolerance in (
        (metrics.kendall_tau, 1e-6),
        (metrics.spearman, 1e-6),
        (metrics.pearson, 1e-5),
    ):
        expected = reference(metric, scores, targets)
        np.testing.assert_allclose(metric(scores, targets), expected, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_a_small_difference_of_large_counts():
    # The ranking 0, 2, 4, …, 5, 3, 1 has tau ≈ 0. Inversions of a value: smaller ones behind it.
    length = 424_000
    values = np.concatenate([np.arange(0, length, 2), np.arange(1, length, 2)[::-1]])
    evens, odds = np.arange(0, length, 2), np.arange(1, length, 2)
    discordant = int(np.sum(evens // 2)) + int(np.sum(odds // 2))
    pairs = length * (length - 1) // 2
    expected = (pairs - 2 * discordant) / pairs
    assert 0 < expected < 1e-5
    tau = float(metrics.kendall_tau_a(np.arange(length), values))
    np.testing.assert_allclose(tau, expected, rtol=1e-6)


def test_exact_sum_keeps_small_rests():
    sums = (
        [2**31 - 1, -(2**31), 5],
        [-1],
        [2**30] * 64 + [-(2**30)] * 64 + [-3],
        [0],
        list(range(-300, 310)),
    )
    for values in sums:
        total = _programs.exact_sum(jnp.asarray(values, jnp.int32))
        assert float(total) == float(np.float32(sum(values)))


@pytest.mark.parametrize("length", [2, 3, 8, PART])
def test_inversions_are_their_definition(length):
    inversions = jax.jit(_programs.inversions)
    for seed in range(5):
        values = np.random.default_rng(seed).integers(0, length, length)
        expected = np.sum(pair_signs(values) > 0)
        assert np.sum(np.asarray(inversions(values.astype(np.int32)))) == expected


def test_pearson_of_large_numbers_with_a_small_spread():
    scores, targets = make_pair(1, 50_000, ties=False)
    scores, targets = scores + np.float32(1000.0), targets * np.float32(1e30)
    expected = reference(metrics.pearson, scores, targets)
    np.testing.assert_allclose(metrics.pearson(scores, targets), expected, rtol=0, atol=1e-5)


def test_pearson_drops_pairs_that_are_not_finite():
    scores, targets = make_pair(2, 40, ties=False)
    expected = reference(metrics.pearson, scores[4:], targets[4:])
    scores[:3], targets[3] = (np.inf, -np.inf, np.nan), np.nan
    np.testing.assert_allclose(metrics.pearson(scores, targets), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "top", "bottom", "best", "worst"),
    [
        # TRUE_RANKS begins with 3 (the truly fourth best) and ends with 7 (truly the worst).
        (0.125, 0 / 1, 1 / 1, 4 / 8, 4 / 8),
        (0.25, 0 / 2, 1 / 2, 3 / 8, 4 / 8),
        (0.5, 3 / 4, 3 / 4, 1 / 8, 5 / 8),
        # k = int(5.6): 3, 2, 4, 0 of the first five are below 5; 6, 5, 7 of the last five reach 3.
        (0.7, 4 / 5, 3 / 5, 1 / 8, 7 / 8),
        (1.0, 8 / 8, 8 / 8, 1 / 8, 8 / 8),
    ],
)
def test_metrics_at_a_ratio_by_hand(ratio, top, bottom, best, worst):
    found = [float(metric(SCORES, TARGETS, ratio)) for metric in AT_RATIO]
    np.testing.assert_allclose(found, [top, bottom, best, worst], rtol=1e-6)


@pytest.mark.parametrize(("k", "expected"), [(1, 4), (2, 3), (3, 3), (4, 1), (8, 1)])
def test_best_rank_at_k_by_hand(k, expected):
    rank = metrics.best_rank_at_k(SCORES, TARGETS, k)
    assert rank.dtype == jnp.int32
    assert int(rank) == expected


def test_the_hand_laid_table_is_consistent():
    order = metrics.ranks(SCORES)
    assert tuple(np.asarray(metrics.ranks(TARGETS))[np.argsort(order)]) == TRUE_RANKS


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.29, 0.5, 1.0])
def test_metrics_at_a_ratio_by_definition(ratio):
    scores, targets = make_pair(3, 100, ties=True, unrankable=True)
    predicted, true = (
        np.argsort(np.argsort(-values, kind="stable")) for values in (scores, targets)
    )
    k = int(100 * ratio)  # 0.29 · 100 is 28.999… in floats, and 28 in the publications too
    top, bottom = set(np.flatnonzero(predicted < k)), set(np.flatnonzero(predicted >= 100 - k))
    chosen = true[sorted(top)]
    expected = {
        metrics.precision_at_top: len(top & set(np.flatnonzero(true < k))) / k,
        metrics.precision_at_bottom: len(bottom & set(np.flatnonzero(true >= 100 - k))) / k,
        metrics.best_rank_at: (chosen.min() + 1) / 100,
        metrics.worst_rank_at: (chosen.max() + 1) / 100,
    }
    for metric, value in expected.items():
        np.testing.assert_allclose(metric(scores, targets, ratio), value, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.05, 0.29, 1.0])
def test_metrics_inside_a_cut_are_those_of_its_architectures(ratio):
    scores, targets = make_pair(8, 100, ties=True, unrankable=True)
    order, k = np.argsort(-scores, kind="stable"), int(100 * ratio)
    top, bottom = order[:k], order[100 - k :]
    for metric, part in (
        (metrics.kendall_tau_at_top, top),
        (metrics.kendall_tau_at_bottom, bottom),
    ):
        expected = metrics.kendall_tau(scores[part], targets[part])
        np.testing.assert_allclose(metric(scores, targets, ratio), expected, rtol=0, atol=1e-6)
    assert float(metrics.best_accuracy_at(scores, targets, ratio)) == targets[top].max()
    assert float(metrics.worst_accuracy_at(scores, targets, ratio)) == targets[top].min()


def test_rank_difference_is_that_of_ascending_ranks():
    scores, targets = make_pair(9, 300, ties=True, unrankable=True)
    expected = (scipy.stats.rankdata(scores) - scipy.stats.rankdata(targets)) / 300
    found = metrics.rank_difference(scores, targets)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    scores = np.where(np.isfinite(scores), scores, np.float32(-9.0))
    np.testing.assert_allclose(metrics.rank_difference(targets, scores), -found, atol=1e-6)
    # What is overestimated, others are underestimated by.
    assert abs(float(jnp.sum(found))) < 1e-4
    targets[3] = np.nan
    assert np.isnan(metrics.rank_difference(scores, targets)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64])
def test_ranks_by_hand(dtype):
    values = np.array([3, 7, 3, 0, 7, 5], dtype)
    found, averaged = metrics.ranks(values), metrics.average_ranks(values)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, [3, 0, 4, 5, 1, 2])
    np.testing.assert_array_equal(averaged, [3.5, 0.5, 3.5, 5.0, 0.5, 2.0])


def test_ranks_put_what_cannot_be_ranked_last():
    values = np.array([np.nan, 1.0, -np.inf, np.inf, -0.0, 0.0, np.nan], np.float32)
    np.testing.assert_array_equal(metrics.ranks(values), [4, 1, 5, 0, 2, 3, 6])
    np.testing.assert_array_equal(
        metrics.average_ranks(values), [5.0, 1.0, 5.0, 0.0, 2.5, 2.5, 5.0]
    )
    np.testing.assert_array_equal(metrics.ranks(values.astype(np.float64)), [4, 1, 5, 0, 2, 3, 6])


def test_average_ranks_are_scipys():
    values = make_pair(4, 300, ties=True, unrankable=True)[0]
    np.testing.assert_array_equal(metrics.average_ranks(values), scipy.stats.rankdata(-values) - 1)


# Properties.


@every_metric
def test_strictly_monotone_maps_of_the_scores_change_nothing(metric):
    scores, targets = make_distinct_pair(0, LENGTH)
    if metric is metrics.pearson:
        np.testing.assert_allclose(
            metric(3.0 * scores - 7.0, targets), metric(scores, targets), atol=1e-6
        )
        return
    for mapped in (np.exp(scores / 10), scores**3 - 4.0, scores / 100, np.log1p(scores)):
        assert float(metric(mapped.astype(np.float32), targets)) == float(metric(scores, targets))


@pytest.mark.parametrize("ties", [False, True])
@every_correlation
def test_negation_flips_the_sign_and_exchange_does_nothing(metric, ties):
    scores, targets = make_pair(5, LENGTH, ties=ties)
    value = float(metric(scores, targets))
    assert abs(value) > 0.1
    np.testing.assert_allclose(metric(-scores, targets), -value, atol=1e-6)
    np.testing.assert_allclose(metric(scores, -targets), -value, atol=1e-6)
    np.testing.assert_allclose(metric(targets, scores), value, atol=1e-6)


@every_metric
def test_the_order_of_architectures_changes_nothing(metric):
    scores, targets = make_distinct_pair(1, LENGTH)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(LENGTH)
        np.testing.assert_allclose(
            metric(scores[order], targets[order]), metric(scores, targets), atol=1e-6
        )


@every_correlation
def test_equal_and_opposite_rankings_are_exactly_one(metric):
    values = make_distinct_pair(2, 500)[0]
    assert float(metric(values, values)) == 1.0
    assert float(metric(values, -values)) == -1.0


def test_precision_at_top_and_bottom_mirror_each_other():
    scores, targets = make_distinct_pair(3, LENGTH)
    for ratio in (0.1, 0.25, 0.5):
        bottom = metrics.precision_at_bottom(scores, targets, ratio)
        assert float(bottom) == float(metrics.precision_at_top(-scores, -targets, ratio))


@pytest.mark.parametrize("ties", [False, True])
@every_correlation
def test_where_is_the_same_as_leaving_out(metric, ties):
    scores, targets = make_pair(6, LENGTH, ties=ties)
    where = np.random.default_rng(0).permutation(LENGTH) < PART
    expected = metric(scores[where], targets[where])
    np.testing.assert_allclose(metric(scores, targets, where=where), expected, atol=1e-6)
    garbage = (
        np.random.default_rng(1).choice([np.nan, np.inf, -np.inf, 5.0], LENGTH).astype(np.float32)
    )
    scores, targets = np.where(where, scores, garbage), np.where(where, targets, garbage[::-1])
    np.testing.assert_allclose(metric(scores, targets, where=where), expected, atol=1e-6)
    np.testing.assert_allclose(
        metric(scores, targets, where=jnp.asarray(where)), expected, atol=1e-6
    )


@every_correlation
def test_padding_does_not_tie_with_the_best(metric):
    scores, targets = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    padded = (np.append(values, [3.0] * 5) for values in (scores, targets))
    np.testing.assert_allclose(
        metric(*padded, where=np.arange(8) < 3), metric(scores, targets), rtol=1e-6
    )


def test_where_restricts_to_the_predicted_top():
    scores, targets = make_distinct_pair(4, LENGTH)
    top = np.argsort(-scores)[:15]
    found = metrics.kendall_tau(scores, targets, where=metrics.ranks(scores) < 15)
    np.testing.assert_allclose(
        found, reference(metrics.kendall_tau, scores[top], targets[top]), atol=1e-6
    )


# Undefined and extreme inputs.


@every_correlation
def test_constant_inputs_have_no_correlation(metric):
    constant, varied = np.full(8, 0.1, np.float32), np.arange(8.0, dtype=np.float32)
    for scores, targets in ((constant, varied), (varied, constant), (constant, constant)):
        for width in (np.float32, np.float64):
            value = float(metric(scores.astype(width), targets.astype(width)))
            assert value == 0.0 if metric is metrics.kendall_tau_a else math.isnan(value)


@every_correlation
def test_fewer_than_two_pairs_have_no_correlation(metric):
    for where in (np.zeros(8, bool), np.arange(8) == 3):
        assert math.isnan(metric(np.arange(8.0), np.arange(8.0), where=where))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every_metric
def test_targets_that_are_not_finite(metric, bad):
    scores, targets = np.arange(8.0), np.arange(8.0)
    targets[2] = bad
    for width in (np.float32, np.float64):
        value = metric(scores.astype(width), targets.astype(width))
        if metric is metrics.pearson or metric is EVERYTHING["best_rank_at_k"]:
            assert not math.isnan(value)
        else:
            assert math.isnan(value)


def test_64_bit_numpy_arrays_are_compared_in_64_bits():
    targets = np.arange(6.0)
    close = 1.0 + 1e-12 * np.arange(6)
    huge = 10.0 ** np.arange(40, 46)
    counts = 3_000_000_000 + np.arange(6)
    wrapping = np.array([1, 2, 3, 4, 5, 2**32])
    for scores in (close, huge, counts, wrapping, wrapping.astype(np.uint64)):
        assert float(metrics.kendall_tau(scores, targets)) == 1.0
        assert float(metrics.spearman(scores, targets)) == 1.0
        assert int(metrics.best_rank_at_k(scores, targets, 1)) == 1
        np.testing.assert_array_equal(metrics.ranks(scores), [5, 4, 3, 2, 1, 0])
    expected = scipy.stats.pearsonr(wrapping, targets).statistic
    np.testing.assert_allclose(metrics.pearson(wrapping, targets), expected, rtol=1e-6)
    expected = scipy.stats.pearsonr(huge, targets).statistic
    np.testing.assert_allclose(metrics.pearson(huge, targets), expected, rtol=1e-6)


def test_pearson_centres_numpy_arrays_in_their_own_floats():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=200)
    other = noise + 0.1 * rng.normal(size=200)
    expected = scipy.stats.pearsonr(noise, other).statistic
    for scores in (1e8 + noise, 1e200 * noise, 1e-200 * noise, 1e308 * np.tanh(noise)):
        wanted = scipy.stats.pearsonr(scores / np.max(np.abs(scores)), other).statistic
        np.testing.assert_allclose(metrics.pearson(scores, other), wanted, rtol=1e-6)
    # Padding, and what is not finite, has no say in the scale.
    padded, where = np.append(1e8 + noise, [1e30, np.inf]), np.append(np.ones(201, bool), False)
    where[200] = False
    found = metrics.pearson(padded, np.append(other, [0, 0]), where=where)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_numbers_that_programs_take_for_zero_are_ranked():
    tiny, targets = np.array([1e-41, 3e-41, 2e-41], np.float32), np.array([1.0, 3.0, 2.0])
    close = np.float32(1.2e-38) + np.arange(3, dtype=np.float32) * np.float32(1e-41)
    for metric in CORRELATIONS:
        assert float(metric(tiny, targets)) == pytest.approx(1.0)
        assert float(metric(targets, tiny)) == pytest.approx(1.0)
        assert float(metric(close, np.arange(3))) == pytest.approx(1.0)
    np.testing.assert_array_equal(metrics.ranks(tiny), [2, 0, 1])


@every_metric
def test_lists_are_arrays(metric):
    scores, targets = [0.5, 3, 1.25, 7.5], (1, 2.5, 0, 4)
    expected = metric(np.array(scores, np.float32), np.array(targets, np.float32))
    np.testing.assert_allclose(metric(scores, targets), expected, rtol=1e-6)
    traced = jax.jit(lambda a, b: metric([a, b, a + b, a * b], list(targets)))
    narrow = np.array([2, 3, 5, 6], np.float32)
    np.testing.assert_allclose(traced(2.0, 3.0), metric(narrow, np.float32(targets)), rtol=1e-6)


def test_tau_of_lists():
    np.testing.assert_allclose(metrics.kendall_tau([1, 2, 3], [1, 3, 2]), 1 / 3, rtol=1e-6)
    assert float(metrics.kendall_tau([1, 2, 3], [1, 3, 2], where=[True, True, False])) == 1.0
    with pytest.raises(ValueError, match="scores must be real numbers, got <U1"):
        metrics.kendall_tau(["a", "b"], [1, 2])
    with pytest.raises(ValueError, match="targets must be real numbers, got object"):
        metrics.kendall_tau([1, 2], [1, None])


@every_metric
def test_narrow_types_mix(metric):
    scores, targets = np.array([5, 3, 1, 7, 0, 2, 4, 6]), np.arange(8)
    expected = float(metric(scores.astype(np.float32), targets.astype(np.float32)))
    for width in (np.int8, np.uint16, np.int32, np.float16, jnp.bfloat16):
        np.testing.assert_allclose(metric(jnp.asarray(scores, width), targets), expected, atol=1e-6)


def test_booleans_are_numbers():
    scores, targets = np.array([True, False, True, False]), np.array([3.0, 1.0, 2.0, 0.0])
    for metric in CORRELATIONS:
        expected = metric(scores.astype(np.float32), targets)
        assert float(metric(scores, targets)) == float(metric(targets, scores)) == float(expected)


# Transformations.


@every_metric
def test_jit_equals_eager_and_is_traced_once(metric):
    chex.clear_trace_counter()
    counted = jax.jit(chex.assert_max_traces(metric, n=1))
    for seed in range(7, 10):
        scores, targets = make_pair(seed, PART, ties=True, unrankable=True)
        np.testing.assert_allclose(counted(scores, targets), metric(scores, targets), atol=1e-6)


@every_metric
def test_vmap_equals_a_loop(metric):
    pairs = [make_pair(seed, PART, ties=True, unrankable=True) for seed in range(5)]
    scores, targets = (np.stack(column) for column in zip(*pairs, strict=True))
    batched = jax.vmap(metric)(scores, targets)
    chex.assert_shape(batched, (5,))
    looped = [metric(*pair) for pair in pairs]
    np.testing.assert_allclose(batched, looped, atol=1e-6)


@every_correlation
def test_vmap_over_where(metric):
    scores, targets = make_pair(8, PART, ties=False)
    where = np.arange(PART) < np.array([[3], [8], [PART]])
    batched = jax.vmap(lambda w: metric(scores, targets, where=w))(where)
    looped = [metric(scores[w], targets[w]) for w in where]
    np.testing.assert_allclose(batched, looped, atol=1e-6)


@pytest.mark.parametrize(
    ("program", "call"),
    [
        (_programs.count_pairs, metrics.kendall_tau),
        (_programs.count_pairs, metrics.kendall_tau_a),
        (_programs.spearman, metrics.spearman),
        (_programs.pearson, metrics.pearson),
        (_programs.both_ranks, lambda scores, targets: [f(scores, targets, 0.4) for f in AT_RATIO]),
    ],
)
def test_eager_calls_compile_once_a_length(program, call):
    program.clear_cache()
    for seed in range(3):
        call(*make_pair(seed, PART, ties=True))
    assert program._cache_size() == 1


@every_metric
def test_64_bit_mode_is_float64_accurate(metric):
    scores, targets = make_pair(9, LENGTH, ties=True)
    narrow = metric(scores, targets)
    with jax.enable_x64(True):
        scores, targets = scores.astype(np.float64), targets.astype(np.float64)
        wide = metric(scores, targets)
        assert wide.dtype == (jnp.int32 if narrow.dtype == jnp.int32 else jnp.float64)
        if metric in CORRELATIONS:
            np.testing.assert_allclose(wide, reference(metric, scores, targets), rtol=1e-12)
    np.testing.assert_allclose(narrow, wide, atol=1e-6)


# Errors.


@every_metric
def test_errors_at_the_door(metric):
    line = np.arange(4.0)
    with pytest.raises(ValueError, match=r"scores must have rank 1, .* shape \(2, 2\)"):
        metric(line.reshape(2, 2), line)
    with pytest.raises(ValueError, match=r"targets must have rank 1, .* shape \(\)"):
        metric(line, np.float32(1.0))
    with pytest.raises(ValueError, match=r"equally long, got \(4,\) and \(3,\)"):
        metric(line, line[:3])
    with pytest.raises(ValueError, match="at least 2 architectures, got 1"):
        metric(line[:1], line[:1])
    with pytest.raises(ValueError, match="targets must be real numbers, got complex64"):
        metric(line, line.astype(np.complex64))
    with pytest.raises(ValueError, match="scores may hold at most 4194304 numbers, got 4194305"):
        metric(np.broadcast_to(np.float32(0.0), (2**22 + 1,)), line)


@every_correlation
def test_errors_of_where(metric):
    line = np.arange(4.0)
    with pytest.raises(ValueError, match=r"where must be bool .* got bool \(3,\)"):
        metric(line, line, where=np.ones(3, bool))
    with pytest.raises(ValueError, match=r"where must be bool .* got float32 \(4,\)"):
        metric(line, line, where=np.ones(4, np.float32))


@pytest.mark.parametrize("ratio", [0.0, -0.5, 0.2, 1.5, math.nan])
@pytest.mark.parametrize("metric", AT_RATIO)
def test_errors_of_ratio(metric, ratio):
    with pytest.raises(ValueError, match=r"0 < ratio ≤ 1 with k = int\(ratio · N\) ≥ 1 for N = 4"):
        metric(np.arange(4.0), np.arange(4.0), ratio)


@pytest.mark.parametrize("k", [0, -1, 5])
def test_errors_of_k(k):
    with pytest.raises(ValueError, match=f"k must be in 1 … N = 4, got {k}"):
        metrics.best_rank_at_k(np.arange(4.0), np.arange(4.0), k)


def test_k_must_be_an_integer():
    with pytest.raises(TypeError, match="float"):
        metrics.best_rank_at_k(np.arange(4.0), np.arange(4.0), 1.5)


def test_ranks_reject_matrices():
    for function in (metrics.ranks, metrics.average_ranks):
        with pytest.raises(ValueError, match="values must have rank 1"):
            function(np.zeros((2, 3)))
