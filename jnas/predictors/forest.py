"""Forests of regression trees that each see all samples, but only some features, as in `e2epp`.

scikit-learn grows the trees on the host; padded arrays of their nodes make prediction a pure JAX
function. Axes beyond the package's: `T` trees, `M` nodes of a tree, `F` features.
"""

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.types import Key

MaxFeatures = Literal["random", "all"]

_MAX_FEATURES = ("random", "all")
_WIDTHS = 128  # nodes are padded to multiples of it: forests of most seeds share one program


class Trees(NamedTuple):
    """Forest of regression trees as arrays; several forests lead with an axis `S`.

    Node 0 is a root; a leaf, padding included, is its own child.

    Attributes:
        feature: `[T, M]` int32, the feature that a node asks for; 0 for a leaf.
        threshold: `[T, M]` float32; `x <= threshold` goes left, all else (NaN) right; 0 for leaves.
        left, right: `[T, M]` int32, children.
        value: `[T, M]` float32, mean of the targets that reached the node; 0 for padding.
        depth: `[]` int32, steps from the root to the deepest leaf of any tree.
    """

    feature: jax.Array
    threshold: jax.Array
    left: jax.Array
    right: jax.Array
    value: jax.Array
    depth: jax.Array


class _Plan(NamedTuple):
    """Plan of one tree: `features [F]` bool, a seed, and whether to draw the samples."""

    features: np.ndarray
    seed: int
    bootstrap: bool


# -- Prediction ------------------------------------------------------------------------------------


@jax.jit
def predict_trees(trees: Trees, features: jax.Array) -> jax.Array:
    """Means `[B]` float32 over the trees for `features [B, F]`; `vmap` it over stacked forests.

    Trees one after the other, rows side by side: a few numbers a row are all that it holds.

    Args:
        trees: one forest; arrays `[T, M]`.
        features: `[B, F]`, any real type, with the features of `fit_trees` in their order.

    Raises:
        ValueError: `features` or the forest of another rank.
    """
    if features.ndim != 2 or trees.feature.ndim != 2:
        raise ValueError(
            "predict_trees takes features [B, F] and trees [T, M]; "
            f"got {features.shape} and {trees.feature.shape}"
        )
    # Sums of differences to a typical target: thousands of targets would cost float32 its digits.
    typical = trees.value[0, 0]

    def predict(row: jax.Array) -> jax.Array:
        """Mean `[]` over the trees for one row `[F]`."""

        def add(total: jax.Array, tree: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
            feature, threshold, left, right, value = tree

            def descend(_: int, node: jax.Array) -> jax.Array:
                goes_left = _at(row, _at(feature, node)) <= _at(threshold, node)
                return jnp.where(goes_left, _at(left, node), _at(right, node))

            # Depth is a value and not a shape, so that forests of all seeds share a program; a leaf
            # is its own child, where the paths of shallow trees wait.
            leaf = lax.fori_loop(0, trees.depth, descend, jnp.zeros((), jnp.int32))
            return total + (_at(value, leaf) - typical), None

        # A scan over trees holds one leaf for each row; a `vmap` would hold `T`.
        total, _ = lax.scan(add, jnp.zeros((), jnp.float32), trees[:-1])
        return typical + total / trees.feature.shape[0]

    return jax.vmap(predict)(features.astype(jnp.float32))


def _at(array: jax.Array, index: jax.Array) -> jax.Array:
    """Entry `array[index]` without a test for negative indices, which nodes never hold."""
    return array.at[index].get(mode="clip", wrap_negative_indices=False)


# -- Growing ---------------------------------------------------------------------------------------


def fit_trees(
    key: Key,
    features: np.ndarray | jax.Array,
    targets: np.ndarray | jax.Array,
    *,
    num_trees: int = 1000,
    max_features: MaxFeatures = "random",
    bootstrap: bool = False,
    num_threads: int | None = None,
) -> Trees:
    """Forest grown from `features [B, F]` and `targets [B]`, on the host.

    With `max_features="all"` and `bootstrap` this is the random forest of scikit-learn's defaults.

    Args:
        key: the only source of randomness.
        features: `[B, F]`, rounded to float32. Values 1e-7 apart are one to scikit-learn.
        targets: `[B]`.
        num_trees: `T`.
        max_features: "random" gives each tree a subset of the features (`feature_subsets`), "all"
            gives it every feature.
        bootstrap: grow each tree on `B` samples drawn with replacement instead of on all of them.
        num_threads: trees grown at once, by default one a core; results do not depend on it.

    Raises:
        ValueError: wrong shapes, nothing to train on, values that are not finite, a wrong setting.
    """
    features, targets = _check(features, targets)
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads must be at least 1; got {num_threads}")
    subsets = feature_subsets(key, num_trees, features.shape[1], max_features)
    seeds = _generator(key, 1).integers(2**31, size=num_trees)
    plans = [
        _Plan(subset, int(seed), bootstrap) for subset, seed in zip(subsets, seeds, strict=True)
    ]
    # Threads: processes take seconds to start, as long as a thousand small trees take to grow.
    with ThreadPoolExecutor(num_threads or os.cpu_count() or 1) as pool:
        grown = list(pool.map(functools.partial(_grow, features, targets), plans))
    width = -(-max(tree.node_count for tree in grown) // _WIDTHS) * _WIDTHS
    parts = [_export(tree, plan) for tree, plan in zip(grown, plans, strict=True)]
    return _stack(parts, width, jnp.asarray(max(tree.max_depth for tree in grown), jnp.int32))


def feature_subsets(
    key: Key, num_trees: int, num_features: int, max_features: MaxFeatures = "random"
) -> np.ndarray:
    """Subsets `[T, F]` bool of the features that each tree of `fit_trees` with this key may use.

    For "random" the size is uniform in 1 … F, and so is the subset among those of its size.

    Raises:
        ValueError: no tree, no feature, or an unknown `max_features`.
    """
    if num_trees < 1 or num_features < 1:
        raise ValueError(
            f"a forest needs at least 1 tree and 1 feature; got {num_trees} and {num_features}"
        )
    if max_features not in _MAX_FEATURES:
        raise ValueError(
            f"max_features must be one of {', '.join(_MAX_FEATURES)}; got {max_features!r}"
        )
    if max_features == "all":
        return np.ones((num_trees, num_features), bool)
    rng = _generator(key, 0)
    sizes = rng.integers(1, num_features + 1, size=(num_trees, 1))
    # Ranks below a size are a subset of that size, all equally likely: no loop over the trees.
    ranks = rng.permuted(np.tile(np.arange(num_features), (num_trees, 1)), axis=1)
    return np.asarray(ranks < sizes)


def pad_trees(forests: Sequence[Trees]) -> Trees:
    """Stack of `S` forests, arrays `[S, T, M]` and `depth [S]`, `M` of the widest; on the host.

    Raises:
        ValueError: no forest, forests that are already stacked, or of different numbers of trees.
    """
    shapes = [tuple(forest.feature.shape) for forest in forests]
    if (
        not shapes
        or any(len(shape) != 2 for shape in shapes)
        or len({shape[0] for shape in shapes}) > 1
    ):
        raise ValueError(
            f"pad_trees needs at least one forest [T, M], all with the same T; got {shapes}"
        )
    parts = [tuple(np.asarray(array) for array in forest[:-1]) for forest in forests]
    return _stack(
        parts, max(shape[1] for shape in shapes), jnp.stack([forest.depth for forest in forests])
    )


def _check(
    features: np.ndarray | jax.Array, targets: np.ndarray | jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Features `[B, F]` float32 and targets `[B]` float64, all finite.

    These are scikit-learn's types, so that it need not check or convert once more for each tree.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
        inputs, outputs = (
            np.ascontiguousarray(features, np.float32),
            np.ascontiguousarray(targets, np.float64),
        )
    if np.ndim(features) != 2 or 0 in inputs.shape:
        raise ValueError(
            "features must be [B, F] with at least 1 sample and 1 feature; "
            f"got {np.shape(features)}"
        )
    if np.shape(targets) != inputs.shape[:1]:
        raise ValueError(
            f"targets must be [{inputs.shape[0]}], one for each sample; got {np.shape(targets)}"
        )
    for name, array in (("features", inputs), ("targets", outputs)):
        num_bad = np.count_nonzero(~np.isfinite(array))
        if num_bad:
            raise ValueError(
                f"{name} must be finite; got {num_bad} of {array.size} that are not, as float32"
            )
    return inputs, outputs


def _generator(key: Key, stream: int) -> np.random.Generator:
    """Generator of NumPy's random numbers from a key; streams are independent."""
    return np.random.default_rng(
        [*np.asarray(jax.random.bits(key, (4,), "uint32")).tolist(), stream]
    )


def _grow(features: np.ndarray, targets: np.ndarray, plan: _Plan) -> Any:
    """Tree of scikit-learn, whose features count within the plan's subset."""
    from sklearn.tree import DecisionTreeRegressor  # here, so that `import jnas` stays light

    inputs = np.ascontiguousarray(features[:, plan.features])
    if plan.bootstrap:
        # Drawn from the seed of the tree, so that threads may grow trees in any order.
        rows = np.random.default_rng(plan.seed).integers(len(targets), size=len(targets))
        inputs, targets = inputs[rows], targets[rows]
    # The seed matters without bootstrap, too: features are tried in random order, and the first of
    # equally good splits is taken.
    return (
        DecisionTreeRegressor(random_state=plan.seed).fit(inputs, targets, check_input=False).tree_
    )


def _export(tree: Any, plan: _Plan) -> tuple[np.ndarray, ...]:
    """Arrays of `Trees` up to `value`, `[nodes]` each, of one tree; features count among all."""
    is_leaf = tree.children_left < 0
    own = np.arange(tree.node_count, dtype=np.int32)
    subset = np.flatnonzero(plan.features).astype(np.int32)
    return (
        # scikit-learn gives leaves the feature -2, which is no index into the subset.
        np.where(is_leaf, np.int32(0), subset[np.where(is_leaf, 0, tree.feature)]),
        np.where(is_leaf, np.float32(0), _round_down(tree.threshold)),
        np.where(is_leaf, own, tree.children_left.astype(np.int32)),
        np.where(is_leaf, own, tree.children_right.astype(np.int32)),
        tree.value[:, 0, 0].astype(np.float32),
    )


def _round_down(threshold: np.ndarray) -> np.ndarray:
    """Greatest float32 that is not above each threshold.

    No float32 lies between the two, so that every `x` stays on its side.
    """
    nearest = threshold.astype(np.float32)
    return np.where(nearest > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _stack(parts: Sequence[tuple[np.ndarray, ...]], width: int, depth: jax.Array) -> Trees:
    """Forest `[parts, ..., width]` of parts that hold the arrays of `Trees` up to `value`."""
    padded = (_pad(part, width) for part in parts)
    stacked = (jnp.asarray(np.stack(arrays)) for arrays in zip(*padded, strict=True))
    feature, threshold, left, right, value = stacked
    return Trees(feature, threshold, left, right, value, depth)


def _pad(part: tuple[np.ndarray, ...], width: int) -> tuple[np.ndarray, ...]:
    """Arrays `[..., width]`; the added nodes are leaves that nothing leads to."""
    num_nodes = part[0].shape[-1]
    added = [(0, 0)] * (part[0].ndim - 1) + [(0, width - num_nodes)]
    feature, threshold, left, right, value = (np.pad(array, added) for array in part)
    left[..., num_nodes:] = right[..., num_nodes:] = np.arange(num_nodes, width)
    return feature, threshold, left, right, value
