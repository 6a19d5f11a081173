"""One-shot estimators: architectures judged with the weights of a supernet, untrained further.

As published (Ning et al., NeurIPS 2021, https://arxiv.org/abs/2008.03064): batch norms use the
statistics of each batch, the last batch may be shorter, and a score is the mean over batches with
equal weights, so that it depends on the size of a batch.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jnas.data import normalise, without_images
from jnas.engine.estimators import by_bucket, of_network
from jnas.engine.estimators import estimator as make_estimator
from jnas.engine.messages import nearest
from jnas.oneshot.supernet import Supernet
from jnas.training.train import check_dataset
from jnas.types import Arch, Dataset, Estimator, Images, Key, Network, Params, Suite

Criterion = Literal["accuracy", "loss"]


def estimator(
    supernet: Supernet,
    dataset: Dataset,
    criterion: Criterion = "accuracy",
    *,
    batch_size: int = 512,
    batches: int | None = None,
) -> Estimator:
    """One-shot estimator: accuracy, or negated loss, on validation images with shared weights.

    Args:
        supernet: of several, the score is the mean over them.
        dataset: whose validation images count, in their order.
        criterion: "accuracy", or "loss", which is negated.
        batch_size: images a batch; the published scores have that of the training.
        batches: the first so many batches alone; None takes all images.

    Returns:
        `(key, archs [B, D]) -> scores [B]` float32; -inf where the loss is not finite.

    Raises:
        ValueError: an unknown criterion, a supernet whose training diverged, images that do not fit
            it, no validation images, or fewer batches than asked for.
    """
    if criterion not in get_args(Criterion):
        allowed = get_args(Criterion)
        raise ValueError(f"unknown criterion {criterion!r}. {nearest(str(criterion), allowed)}")
    name = f"Estimator one-shot {criterion} of {supernet.network.space.name}"
    parts = _parts(supernet, dataset, batch_size, batches)
    function = _function(supernet.network, criterion)
    made: Estimator = make_estimator(name, function, supernet.params, *parts)
    return made


def suite(
    supernet: Supernet,
    dataset: Dataset,
    *,
    batch_size: int = 512,
    batches: int | None = None,
) -> Suite:
    """Suite of both one-shot estimators, `(key, archs [B, D]) -> {"accuracy": [B], "loss": [B]}`.

    They share the forward pass; arguments and errors are those of `estimator`.
    """
    name = f"Suite of one-shot scores of {supernet.network.space.name}"
    parts = _parts(supernet, dataset, batch_size, batches)
    made: Suite = make_estimator(name, _function(supernet.network, None), supernet.params, *parts)
    return made


def _parts(
    supernet: Supernet, dataset: Dataset, batch_size: int, batches: int | None
) -> tuple[Images, Images | None, Dataset]:
    """Whole batches `[n, batch, ...]`, the shorter last one, and the data set without images."""
    if failed := [number for number in supernet.failed_at.tolist() if number]:
        raise ValueError(f"this supernet is no estimator: it diverged in epoch {failed[0]}")
    check_dataset(supernet.network, dataset)
    num = len(dataset.validation.y)
    if not num:
        raise ValueError(f"{dataset.name} has no validation images to score with")
    if batch_size < 2:
        raise ValueError(f"batch_size must be at least 2, for batch norms; got {batch_size}")
    size = min(batch_size, num)
    # On the host: cut on a device, each size would be a program of its own.
    x, y = np.asarray(dataset.validation.x), np.asarray(dataset.validation.y)
    if batches is not None:
        if not 1 <= batches <= -(-num // size):
            raise ValueError(f"batches must be in 1 … {-(-num // size)}; got {batches}")
        x, y = x[: batches * size], y[: batches * size]
    whole = len(y) // size * size
    full = Images(
        jnp.asarray(x[:whole].reshape(-1, size, *x.shape[1:])),
        jnp.asarray(y[:whole].reshape(-1, size)),
    )
    # An array apart and not filled up: images that count for nothing would still be in the
    # statistics of its batch norms.
    last = Images(jnp.asarray(x[whole:]), jnp.asarray(y[whole:])) if whole < len(y) else None
    return full, last, without_images(dataset)


# Kept by settings, so that equal estimators share compiled programs.
@functools.lru_cache(64)
def _function(network: Network, criterion: Criterion | None) -> Callable[..., Any]:
    """Function `(params, full, last, data, key, archs) -> scores [B]`, or of both criteria."""
    function = functools.partial(_scores, network, criterion)
    return by_bucket(function, of_network(network, lambda part: _function(part, criterion)))


def _scores(
    network: Network,
    criterion: Criterion | None,
    params: Params,
    full: Images,
    last: Images | None,
    data: Dataset,
    key: Key,
    archs: jax.Array,
) -> jax.Array | dict[str, jax.Array]:
    """Scores `[B]` of a population, one architecture after the other."""
    del key

    def of_one(arch: Arch) -> dict[str, jax.Array]:
        def of_supernet(params: Params) -> jax.Array:
            return _means(network, params, arch, full, last, data)

        # In a loop, as the batches and the architectures are: a batch of 512 keeps a device busy,
        # and a switch on operations stays a conditional that computes one of them.
        accuracy, loss = jnp.mean(lax.map(of_supernet, params), axis=0)
        # For the accuracy too: the largest of logits that are NaN is the first, which is right for
        # a tenth of the images.
        is_finite = jnp.isfinite(loss)
        return {
            "accuracy": jnp.where(is_finite, accuracy, -jnp.inf),
            "loss": jnp.where(is_finite, -loss, -jnp.inf),
        }

    found: dict[str, jax.Array] = lax.map(of_one, archs)
    return found if criterion is None else found[criterion]


def _means(
    network: Network,
    params: Params,
    arch: Arch,
    full: Images,
    last: Images | None,
    data: Dataset,
) -> jax.Array:
    """Accuracy and loss `[2]`, means over batches with equal weights."""

    def of_batch(batch: Images) -> jax.Array:
        # No dropout, and `apply` alone: nothing that a batch leaves behind reaches the next
        # architecture.
        logits = network.apply(params, arch, normalise(batch.x, data)).astype(jnp.float32)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
        right = jnp.argmax(logits, axis=1) == batch.y
        return jnp.stack([jnp.mean(right.astype(jnp.float32)), jnp.mean(losses)])

    found = lax.map(of_batch, full)
    if last is not None:
        found = jnp.append(found, of_batch(last)[None], axis=0)
    result: jax.Array = jnp.mean(found, axis=0)
    return result
