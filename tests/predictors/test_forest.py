"""The forest of E2EPP against scikit-learn's own predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from jnas.predictors import forest

NUM_FEATURES = 7
ARRAYS = ("feature", "threshold", "left", "right", "value")


def data(num: int, *, tied: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`[num, F]` float32 and `[num]`; tied features are small integers, many rows equal."""
    rng = np.random.default_rng(seed)
    features = (
        rng.integers(3, size=(num, NUM_FEATURES)) if tied else rng.normal(size=(num, NUM_FEATURES))
    )
    targets = 0.9 + 0.05 * np.tanh(features[:, :3].sum(1)) + 0.01 * rng.normal(size=num)
    return features.astype(np.float32), targets


def reference(
    key, features, targets, queries, num_trees: int, bootstrap: bool = False
) -> np.ndarray:
    """Mean over scikit-learn's trees on the same subsets, written without the arrays of `Trees`."""
    subsets = forest.feature_subsets(key, num_trees, features.shape[1])
    seeds = forest._generator(key, 1).integers(2**31, size=num_trees)
    outputs = []
    for subset, seed in zip(subsets, seeds, strict=True):
        rows = np.arange(len(targets))
        if bootstrap:
            rows = np.random.default_rng(int(seed)).integers(len(targets), size=len(targets))
        tree = DecisionTreeRegressor(random_state=int(seed)).fit(
            features[rows][:, subset], targets[rows]
        )
        outputs.append(tree.predict(queries[:, subset]))
    return np.mean(outputs, axis=0)


def assert_equal(one: forest.Trees, two: forest.Trees) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_predictions_are_the_mean_of_the_trees_of_scikit_learn(key, tied, bootstrap) -> None:
    features, targets = data(150, tied=tied)
    queries = np.concatenate([features, data(300, tied=tied, seed=1)[0]])
    trees = forest.fit_trees(key, features, targets, num_trees=40, bootstrap=bootstrap)
    expected = reference(key, features, targets, queries, 40, bootstrap)
    np.testing.assert_allclose(forest.predict_trees(trees, queries), expected, rtol=0, atol=1e-6)
    percent = forest.fit_trees(key, features, targets * 100, num_trees=40, bootstrap=bootstrap)
    expected = reference(key, features, targets * 100, queries, 40, bootstrap)
    np.testing.assert_allclose(forest.predict_trees(percent, queries), expected, rtol=1e-6)


def test_rows_next_to_a_threshold_stay_on_their_side(key) -> None:
    # Neighbours in float32, whose float64 midpoints are no float32 and round up as often as down.
    ladder = np.float32(2.5) + np.arange(64, dtype=np.float32) * np.float32(2**-22)
    targets = np.random.default_rng(0).normal(size=64)
    for sign in (1, -1):
        features = (sign * ladder)[:, None]
        trees = forest.fit_trees(key, features, targets, num_trees=5)
        np.testing.assert_allclose(forest.predict_trees(trees, features), targets, atol=1e-6)


def test_thresholds_are_rounded_down() -> None:
    rng = np.random.default_rng(0)
    wide = np.concatenate([rng.normal(size=1000), rng.normal(size=1000).astype(np.float32), [0.0]])
    narrow = forest._round_down(wide)
    assert narrow.dtype == np.float32
    assert (narrow <= wide).all()
    assert (np.nextafter(narrow, np.float32(np.inf)) > wide).all()


def test_unlimited_depth_fits_distinct_rows(key) -> None:
    features, targets = data(200)
    trees = forest.fit_trees(key, features, targets, num_trees=10)
    np.testing.assert_allclose(forest.predict_trees(trees, features), targets, atol=1e-6)


def test_each_tree_asks_for_its_subset_alone(key) -> None:
    features, targets = data(100)
    trees = forest.fit_trees(key, features, targets, num_trees=60)
    subsets = forest.feature_subsets(key, 60, NUM_FEATURES)
    is_inner = np.asarray(trees.left) != np.arange(trees.left.shape[1])
    for feature, inner, subset in zip(np.asarray(trees.feature), is_inner, subsets, strict=True):
        assert set(feature[inner]) == set(
            np.flatnonzero(subset)
        )  # distinct rows: every feature is of use


def test_sizes_of_subsets_are_uniform(key) -> None:
    subsets = forest.feature_subsets(key, 14_000, NUM_FEATURES)
    counts = np.bincount(subsets.sum(1), minlength=NUM_FEATURES + 1)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:], 2000, atol=200)  # 4.8 standard deviations
    share = (1 + NUM_FEATURES) / 2 / NUM_FEATURES
    np.testing.assert_allclose(subsets.mean(0), share, atol=0.02)
    pairs = subsets[subsets.sum(1) == 2]
    np.testing.assert_allclose(
        pairs.T.astype(int) @ pairs / len(pairs) * 21, 1 + 5 * np.eye(NUM_FEATURES), atol=0.6
    )
    assert forest.feature_subsets(key, 3, NUM_FEATURES, "all").all()


def test_randomness_is_that_of_the_key(key) -> None:
    features, targets = data(80, tied=True)
    one, two, default = (
        forest.fit_trees(key, features, targets, num_trees=30, bootstrap=True, num_threads=num)
        for num in (1, 2, None)
    )
    assert_equal(one, two)
    assert_equal(one, default)
    other = forest.fit_trees(jax.random.key(1), features, targets, num_trees=30, bootstrap=True)
    assert not np.array_equal(one.value[:, :50], other.value[:, :50])


def test_trees_are_padded_with_leaves(key) -> None:
    features, targets = data(90)
    trees = forest.fit_trees(key, features, targets, num_trees=4)
    types = {name: getattr(trees, name).dtype for name in ARRAYS}
    assert types == {
        name: np.float32 if name in ("threshold", "value") else np.int32 for name in ARRAYS
    }
    assert {getattr(trees, name).shape for name in ARRAYS} == {(4, 256)}  # 2 · 90 - 1 nodes
    assert trees.depth.shape == ()
    nodes = np.broadcast_to(np.arange(256), (4, 256))
    is_leaf = np.asarray(trees.left) == nodes
    np.testing.assert_array_equal(np.asarray(trees.right) == nodes, is_leaf)
    np.testing.assert_array_equal(is_leaf.sum(1), 90 + 256 - 179)
    assert not np.asarray(trees.feature)[is_leaf].any()


def test_a_forest_of_single_leaves(key) -> None:
    features, _ = data(20)
    trees = forest.fit_trees(key, features, np.full(20, 0.25), num_trees=3)
    assert int(trees.depth) == 0
    np.testing.assert_array_equal(
        forest.predict_trees(trees, features), np.full(20, 0.25, np.float32)
    )


def test_compiled_equals_eager_and_integers_are_taken(key) -> None:
    features, targets = data(30, tied=True)
    trees = forest.fit_trees(key, features, targets, num_trees=4)
    compiled = forest.predict_trees(trees, jnp.asarray(features[:5].astype(np.int32)))
    with jax.disable_jit():
        eager = forest.predict_trees(trees, jnp.asarray(features[:5]))
    np.testing.assert_allclose(compiled, eager, rtol=1e-6)
    assert compiled.dtype == eager.dtype == jnp.float32
    assert forest.predict_trees(trees, jnp.zeros((0, NUM_FEATURES))).shape == (0,)


def test_stacked_forests_predict_like_single_ones() -> None:
    queries = jnp.asarray(data(50, seed=9)[0])
    forests = [
        forest.fit_trees(jax.random.key(num), *data(num, seed=num), num_trees=6)
        for num in (2, 40, 150)
    ]
    stacked = forest.pad_trees(forests)
    assert stacked.feature.shape == (3, 6, 384)
    assert stacked.depth.shape == (3,)
    single = [forest.predict_trees(trees, queries) for trees in forests]
    together = jax.vmap(forest.predict_trees, (0, None))(stacked, queries)
    np.testing.assert_allclose(together, np.stack(single), rtol=1e-6)
    first = jax.tree.map(lambda array: array[0], stacked)
    np.testing.assert_allclose(forest.predict_trees(first, queries), single[0], rtol=1e-6)


def test_one_trace_for_equal_shapes() -> None:
    features, targets = data(100)
    num_traces = []

    @jax.jit
    def predict(trees: forest.Trees, queries: jax.Array) -> jax.Array:
        num_traces.append(1)
        return forest.predict_trees(trees, queries)

    depths = set()
    for seed in range(4):
        trees = forest.fit_trees(jax.random.key(seed), features, targets, num_trees=5)
        depths.add(int(trees.depth))
        predict(trees, jnp.asarray(features))
    assert len(num_traces) == 1
    assert len(depths) > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [0.1, np.nan, 0.3]}, "targets must be finite; got 1 of 3"),
        ({"targets": [0.1, 0.2]}, r"targets must be \[3\]"),
        ({"targets": 0.1}, r"targets must be \[3\]"),
        ({"features": np.zeros(3)}, r"features must be \[B, F\]"),
        ({"features": np.zeros((3, 0))}, r"features must be \[B, F\]"),
        ({"features": np.zeros((0, 2)), "targets": []}, r"features must be \[B, F\]"),
        ({"features": np.full((3, 2), np.inf)}, "features must be finite; got 6 of 6"),
        ({"features": np.full((3, 2), 1e300)}, "features must be finite; got 6 of 6"),
        ({"num_trees": 0}, "at least 1 tree"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
        ({"max_features": "sqrt"}, "max_features must be one of random, all; got 'sqrt'"),
    ],
)
def test_wrong_training_sets_and_settings_are_refused(key, change, message) -> None:
    arguments = {"features": np.eye(3, 2), "targets": [0.1, 0.2, 0.3], "num_trees": 2} | change
    with pytest.raises(ValueError, match=message):
        forest.fit_trees(key, **arguments)


def test_wrong_forests_are_refused(key) -> None:
    features, targets = data(10)
    two, three = (forest.fit_trees(key, features, targets, num_trees=num) for num in (2, 3))
    for forests in ([], [two, three], [forest.pad_trees([two])]):
        with pytest.raises(ValueError, match="pad_trees needs"):
            forest.pad_trees(forests)
    with pytest.raises(ValueError, match="features \\[B, F\\]"):
        forest.predict_trees(two, features[0])
    with pytest.raises(ValueError, match="trees \\[T, M\\]"):
        forest.predict_trees(forest.pad_trees([two]), features)
