"""Predictions of fitted networks: scores and ranks of populations in the memory of one chunk."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.engine.inputs import as_archs
from jnas.predictors.comparator import ranks_by_comparison
from jnas.predictors.layers import Scorer
from jnas.predictors.training import Training
from jnas.types import Key

_CHUNK = 1024  # architectures that a prediction holds in memory at once


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Recipe of a predictor: hashable, so that equal recipes share their compiled programs.

    Attributes:
        encode: `archs [B, D] -> features`, a pytree with leading axis `B`.
        module: the network.
        training: the settings.
    """

    encode: Callable[[jax.Array], Any]
    module: Scorer
    training: Training


class State(NamedTuple):
    """State of a fitted predictor.

    Attributes:
        variables: of the Flax module.
        shift, scale: `[]` each, what puts scores of a regression into the unit of the targets.
        references: `[R, D]` training architectures that a comparator scores against, else None.
        is_reference: `[R]` bool, False for padding; None counts all.
    """

    variables: Any
    shift: jax.Array
    scale: jax.Array
    references: jax.Array | None = None
    is_reference: jax.Array | None = None


@functools.partial(jax.jit, static_argnums=0)
def predict(recipe: Recipe, state: State, archs: jax.Array) -> jax.Array:
    """Scores `[B]` of `archs [B, D]`, higher is better.

    A comparator's is the mean probability, in 0 … 1, of being better than a reference architecture.
    """
    archs = as_archs(archs)
    if recipe.module.pairing is None:
        scores: jax.Array = _by_chunks(
            lambda rows: _apply(recipe, state, recipe.encode(rows)).scores, archs
        )
        # Back into the unit of the targets; without scaling these are 1 and 0.
        return scores * state.scale + state.shift
    # Projected once for all chunks: inside `map` they would be encoded anew for each.
    references = tuple(x[None] for x in _project(recipe, state, state.references))
    counts = None if state.is_reference is None else state.is_reference[None]

    def score(rows: jax.Array) -> jax.Array:
        """Mean probabilities `[b]` that the rows of a chunk are better than a reference."""
        first, second = _project(recipe, state, rows)
        probabilities = _probability(recipe, state, references, (first[:, None], second[:, None]))
        return jnp.mean(probabilities, axis=1, where=counts)

    share: jax.Array = _by_chunks(score, archs)
    return share


@functools.partial(jax.jit, static_argnums=0)
def predict_many(recipe: Recipe, states: State, archs: jax.Array) -> jax.Array:
    """Scores `[S, B]` of `archs [B, D]` by the `S` states of `states`.

    Each chunk is encoded once for all states, but for comparators.
    """
    archs = as_archs(archs)
    if recipe.module.pairing is not None:
        shares: jax.Array = lax.map(lambda state: predict(recipe, state, archs), states)
        return shares

    def score(rows: jax.Array) -> jax.Array:
        """Scores `[b, S]` of a chunk."""
        features = recipe.encode(rows)
        scores: jax.Array = lax.map(lambda state: _apply(recipe, state, features).scores, states)
        return scores.T  # chunks are joined along the first axis

    scores: jax.Array = _by_chunks(score, archs).T
    return scores * states.scale[:, None] + states.shift[:, None]


def rank(recipe: Recipe, key: Key, state: State, archs: jax.Array) -> jax.Array:
    """Ranks `[B]` int32, 0 is best: of the scores, or by sorting with a comparator."""
    if recipe.module.pairing is None:
        return jnp.argsort(jnp.argsort(-predict(recipe, state, archs)))
    # N projections, not one for each of the O(N log N) comparisons that sorting takes.
    first, second = _by_chunks(lambda rows: _project(recipe, state, rows), archs)

    def is_better(i: jax.Array, j: jax.Array) -> jax.Array:
        return _probability(recipe, state, (first[i], second[i]), (first[j], second[j]))

    return ranks_by_comparison(key, is_better, archs.shape[0])


def _apply(recipe: Recipe, state: State, features: Any) -> Any:
    """Output of the network for encoded architectures, none of which is padding."""
    num = jax.tree.leaves(features)[0].shape[0]
    return recipe.module.apply(state.variables, features, jnp.ones(num, bool))


def _project(recipe: Recipe, state: State, archs: Any) -> tuple[jax.Array, jax.Array]:
    """Projections `[B, H]` of architectures: as first, and as second of a pair."""
    features = _apply(recipe, state, recipe.encode(archs)).features
    projected: Any = recipe.module.apply(state.variables, features, method="project")
    return projected[0], projected[1]


def _probability(
    recipe: Recipe, state: State, one: tuple[jax.Array, ...], two: tuple[jax.Array, ...]
) -> jax.Array:
    """Probability ½ (σ(f(1, 2)) + 1 − σ(f(2, 1))) that the second of two architectures is better.

    Ning et al., ECCV 2020, section 3.3; `one` and `two` are projections `[..., H]` that broadcast.
    """

    def compare(first: jax.Array, second: jax.Array) -> jax.Array:
        shape = jnp.broadcast_shapes(first.shape, second.shape)
        pairs = (jnp.broadcast_to(x, shape).reshape(-1, shape[-1]) for x in (first, second))
        outputs: Any = recipe.module.apply(state.variables, *pairs, method="compare")
        result: jax.Array = outputs.reshape(shape[:-1])
        return result

    # A trained head need not be antisymmetric; both orders make the answer so.
    return (
        jax.nn.sigmoid(compare(one[0], two[1])) + 1 - jax.nn.sigmoid(compare(two[0], one[1]))
    ) / 2


def _by_chunks(function: Callable[[jax.Array], Any], archs: jax.Array) -> Any:
    """Results `function(archs)` with the memory of one chunk; chunks are of equal size."""
    num = archs.shape[0]
    if num == 0:  # not every encoding has a form for no rows
        alone = jax.eval_shape(function, jax.ShapeDtypeStruct((1, *archs.shape[1:]), archs.dtype))
        return jax.tree.map(lambda x: jnp.zeros((0, *x.shape[1:]), x.dtype), alone)
    if num <= _CHUNK:
        return function(archs)
    # Equal chunks waste less than full ones: fewer rows are padding than there are chunks. Padding
    # repeats a real architecture, where zeros need not be one.
    num_chunks = -(-num // _CHUNK)
    size = -(-num // num_chunks)
    padded = jnp.pad(archs, ((0, size * num_chunks - num), (0, 0)), mode="edge").reshape(
        num_chunks, size, -1
    )
    return jax.tree.map(
        lambda out: out.reshape(-1, *out.shape[2:])[:num], lax.map(function, padded)
    )
