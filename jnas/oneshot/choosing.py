"""Choices of an architecture at the end of a weight-sharing search."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.data import Augmentation, augment
from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.alternating import Setup, Shared, State
from jnas.oneshot.methods import Choice
from jnas.types import Arch, Dataset, Key, Network, Params

_PLAIN = Augmentation()


def most_probable(of: Setup, state: State, key: Key, shared: Shared) -> Choice:
    """Choice of the most probable operation at each position, "none" among them."""
    del shared
    # With "none", as released. In DARTS skips win nearly everywhere, which is a finding about DARTS
    # and nothing to be mended here.
    probabilities = of.method.probabilities(of.network.space, key, state.alpha)
    arch = np.asarray(jnp.argmax(probabilities, axis=-1), np.int32)
    return Choice(arch, arch[:0].reshape(0, len(arch)), np.zeros(0, np.float32))


def best_on_a_batch(
    of: Setup,
    state: State,
    archs: Any,
    key: Key,
    shared: Shared,
    *,
    batch_size: int = 512,
    augmentation: Augmentation = _PLAIN,
) -> Choice:
    """Choice of the best of architectures `[K, D]`, each judged by a different batch.

    Batches are of the second half of the images, in random order, and begin anew where there are
    more architectures; images that do not fill a batch are left out.
    """
    order_key, image_key = jax.random.split(key)
    num, size = len(archs), min(batch_size, len(shared.choose))
    # Whole batches alone: the statistics of batch norms depend on how many images they are of.
    whole = len(shared.choose) // size
    orders = [
        # A batch for each: as released, although it makes the pick noisy. What the same batch says
        # of all would be another method.
        jax.random.permutation(part, shared.choose)[: whole * size].reshape(whole, size)
        for part in jax.random.split(order_key, -(-num // whole))
    ]
    rows, keys = jnp.concatenate(orders)[:num], jax.random.split(image_key, num)
    archs = jnp.asarray(archs, jnp.int32)
    program = _accuracies(of.network, augmentation)
    scores = np.asarray(program(state.params, archs, rows, keys, shared.data))
    # Of equal ones, the first.
    return Choice(np.asarray(archs[int(np.argmax(scores))]), np.asarray(archs), scores)


@functools.lru_cache(64)
def _accuracies(network: Network, augmentation: Augmentation) -> Any:
    """Program `(params, archs [K, D], rows [K, N], keys [K], data) -> accuracies [K]`."""

    def of_one(params: Params, data: Dataset, row: tuple[Arch, jax.Array, Key]) -> jax.Array:
        arch, rows, key = row
        labels = data.train.y[rows]
        one_hot = jax.nn.one_hot(labels, len(data.classes))
        images, _ = augment(key, data.train.x[rows], one_hot, augmentation, data)
        logits = network.apply(params, arch, images)
        return jnp.mean((jnp.argmax(logits, axis=1) == labels).astype(jnp.float32))

    def of_all(
        params: Params, archs: jax.Array, rows: jax.Array, keys: Key, data: Dataset
    ) -> jax.Array:
        # In a loop: 512 images keep a device busy, and side by side all activations would be held.
        found: jax.Array = lax.map(functools.partial(of_one, params, data), (archs, rows, keys))
        return found

    return jax.jit(of_all)


def before_skips(probabilities: Any, skip: int, num_skips: int = 2) -> tuple[int, np.ndarray]:
    """Epoch, counted from 1, and architecture `[D]` before skips take over.

    Liang et al., "DARTS+", 2019, https://arxiv.org/abs/1909.06035, criterion 1: a search ends when
    a cell has two skips or more. What a search had found in the epoch before is the same, whether
    it went on or not, so that this is read off a whole one.

    Args:
        probabilities: `[T, D, O]` after each epoch.
        skip: number of the operation.
        num_skips: skips that are too many; the first epoch has no one before it and always counts.

    Raises:
        ValueError: `probabilities` has another shape, or `num_skips` is less than 1.
    """
    found = np.asarray(probabilities)
    if found.ndim != 3 or not len(found):
        raise ValueError(f"probabilities must be [T, D, O] of T epochs; got {list(found.shape)}")
    check_at_least_one(num_skips=num_skips)
    archs = found.argmax(axis=-1).astype(np.int32)
    # The first time counts, even if skips become fewer again: there the search would have ended.
    too_many = (archs == skip).sum(axis=1) >= num_skips
    last = int(np.argmax(too_many)) - 1 if too_many.any() else len(archs) - 1
    return max(last, 0) + 1, archs[max(last, 0)]
