"""Selection by perturbation: an edge keeps the operation that the supernet would miss most."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.data import normalise
from jnas.engine.inputs import as_key
from jnas.oneshot.alternating import Setup, Shared, halves, moved_by
from jnas.oneshot.methods import mix_of
from jnas.oneshot.searching import Searched
from jnas.training import steps as trainings
from jnas.training.recipes import optimizer
from jnas.types import Dataset, Images, Key, Params

_BATCH = 512


def perturbed(
    searched: Searched,
    dataset: Dataset,
    key: Any = 0,
    *,
    batches: int | None = None,
    tune_epochs: int = 5,
) -> np.ndarray:
    """Architectures `[S, D]` int32, by what the supernet loses without each operation.

    Wang et al., "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021,
    https://arxiv.org/abs/2108.04392, algorithm 1: edges are decided in random order. Of an edge,
    the operation stays without which the mixed network is the least accurate on the second half of
    the images; then the weights are tuned, at a tenth of the first learning rate.

    Args:
        searched: by a method that mixes all operations of all channels.
        dataset: that was searched on.
        key: of the order of edges and of the tuning; a key or seed.
        batches: of 512 images, by which an operation is judged; None takes all whole ones.
        tune_epochs: after each edge but the last.

    Returns:
        What is found for each search; -1 where the search diverged.

    Raises:
        ValueError: partial channels, fewer batches than asked for, negative epochs, or too few
            images.
    """
    of = searched.setup
    if of.method.name == "pc-darts":
        raise ValueError("partial channels have no whole operations to leave out")
    if tune_epochs < 0:
        raise ValueError(f"tune_epochs must be 0 or more; got {tune_epochs}")
    shared, num = halves(dataset), len(searched.archs)
    rows = _rows(shared, batches)
    keys, results = jax.random.split(as_key(key), num), []
    for row in range(num):
        # Its weights are no numbers: every operation would be missed alike.
        if searched.archs[row, 0] < 0:
            results.append(searched.archs[row])
            continue
        params = jax.tree.map(lambda leaf, row=row: jnp.asarray(leaf[row]), searched.params)
        weights = np.array(searched.probabilities[row, -1], np.float32)
        # On the host, decision by decision: what is computed next depends on what was decided.
        results.append(_decided(of, params, weights, keys[row], shared, rows, tune_epochs))
    return np.stack(results)


def _rows(shared: Shared, batches: int | None) -> jax.Array:
    """Batches `[n, N]` of the second half."""
    size = min(_BATCH, len(shared.choose))
    whole = len(shared.choose) // size
    if batches is not None and not 1 <= batches <= whole:
        raise ValueError(f"batches must be in 1 … {whole}; got {batches}")
    # Whole batches alone, so that all have the same weight and the same kind of batch norm.
    num = whole if batches is None else batches
    # Each batch from all over: rows are sorted, and neighbours in a data set that comes class by
    # class would be of one class.
    return shared.choose[: whole * size].reshape(size, whole).T[:num]


def _decided(
    of: Setup,
    params: Params,
    weights: np.ndarray,
    key: Key,
    shared: Shared,
    rows: jax.Array,
    tune_epochs: int,
) -> np.ndarray:
    """Operations `[D]` of one search, edge by edge, from weights `[D, O]`."""
    order_key, tune_key = jax.random.split(key)
    num_edges, num = weights.shape
    # Once and not for each edge: momentum goes on while the mixture narrows.
    state = _tuning(of, tune_epochs).init(params)
    for place, edge in enumerate(np.asarray(jax.random.permutation(order_key, num_edges))):
        without = np.stack([_without(weights, edge, op) for op in range(num)])
        accuracies = np.asarray(_accuracies(of)(params, jnp.asarray(without), rows, shared.data))
        # Of operations that are missed alike, the more probable one.
        missed = int(np.lexsort((-weights[edge], accuracies))[0])
        weights[edge] = np.eye(num, dtype=np.float32)[missed]
        # After the last edge nothing is left that the weights could decide.
        if place < num_edges - 1:
            for epoch in range(tune_epochs):
                here = jax.random.fold_in(jax.random.fold_in(tune_key, place), epoch)
                program = _tuned(of, tune_epochs)
                params, state = program(params, state, jnp.asarray(weights), here, shared)
    found: np.ndarray = weights.argmax(axis=1).astype(np.int32)
    return found


def _without(weights: np.ndarray, edge: int, op: int) -> np.ndarray:
    """Weights `[D, O]` in which an edge lacks an operation, and the others make up for it."""
    result = weights.copy()
    result[edge, op] = 0
    # All of the weight may have been that operation's.
    result[edge] /= max(float(result[edge].sum()), 1e-12)
    return result


@functools.lru_cache(64)
def _accuracies(of: Setup) -> Any:
    """Program `(params, weights [K, D, O], rows [n, N], data) -> accuracies [K]`."""
    mix = mix_of(of.network)

    def program(params: Params, weights: jax.Array, rows: jax.Array, data: Dataset) -> jax.Array:
        def of_one(weights: jax.Array) -> jax.Array:
            def of_batch(rows: jax.Array) -> jax.Array:
                logits = mix(params, weights, normalise(data.train.x[rows], data))
                right = jnp.argmax(logits, axis=1) == data.train.y[rows]
                return jnp.mean(right.astype(jnp.float32))

            # Loops over operations and batches: a mixed network holds every operation of every edge
            # as it is.
            return jnp.mean(lax.map(of_batch, rows))

        found: jax.Array = lax.map(of_one, weights)
        return found

    return jax.jit(program)


def _tuning(of: Setup, epochs: int) -> Any:
    """Optimiser of the tuning."""
    # Flat, as the published tuning is: a cosine that begins anew at each edge would throw the
    # weights about.
    rate = of.recipe.learning_rate / 10
    recipe = of.recipe._replace(learning_rate=rate, final_learning_rate=rate, epochs=max(epochs, 1))
    return optimizer(recipe, of.steps)


@functools.lru_cache(64)
def _tuned(of: Setup, epochs: int) -> Any:
    """Program `(params, state, weights [D, O], key, shared) -> (params, state)` of an epoch."""
    mix, by = mix_of(of.network), _tuning(of, epochs)

    def program(params: Params, state: Any, weights: jax.Array, key: Key, shared: Shared) -> Any:
        order_key, image_key = jax.random.split(key)
        alone, data = trainings.Setup(of.network, of.recipe, of.steps), shared.data
        rows = shared.fit[trainings.order(alone, order_key, len(shared.fit))]

        def one(carry: Any, at: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
            place, rows = at
            batch = Images(data.train.x[rows], data.train.y[rows])
            here = jax.random.fold_in(image_key, place)
            images, targets = trainings.augmented(of.recipe, here, batch, data)

            def loss(params: Params) -> jax.Array:
                return trainings.loss(of.recipe, mix(params, weights, images), targets)[0]

            return moved_by(by, jax.grad(loss)(carry[0]), carry[1], carry[0]), None

        places = jnp.arange(of.steps, dtype=jnp.int32)
        return lax.scan(one, (params, state), (places, rows))[0]

    return jax.jit(program)
