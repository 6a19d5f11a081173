"""Trainings of predictors, as a `Trainer`.

Every epoch goes through all architectures in a new random order, in minibatches.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jnas.predictors.prediction import Recipe, State, predict, rank
from jnas.predictors.training import Batch, Training, loss_of
from jnas.types import Key, Trainer

_NUM_REFERENCES = 64  # training architectures that a comparator scores against
Metric = Callable[[jax.Array, jax.Array], jax.Array]  # of scores and targets `[M]`


class Data(NamedTuple):
    """Training sets, all padded to one size.

    Attributes:
        keys: `[S]`.
        archs: `[S, B, D]` int32.
        targets: `[S, B]` float32, 0 in padding.
        where: `[S, B]` bool, False for padding.
    """

    keys: jax.Array
    archs: jax.Array
    targets: jax.Array
    where: jax.Array


class Job(NamedTuple):
    """Training of one predictor: its key, its training set, and what is its own of a test set.

    The test set is `(archs [M, D], targets [M])`, `()` where nothing is measured. What it has None
    for is the same for all trainings, and is found in what they share. `features` are the encoded
    architectures, once for a block of epochs; None before.
    """

    data: Data
    test: tuple[Any, ...]
    features: Any = None


class Progress(NamedTuple):
    """State of a training between epochs: network, optimiser and averaged weights.

    `average` has the form of `state.variables`; None where nothing is averaged.
    """

    state: State
    optimiser: Any
    average: Any


@functools.cache
def trainer(recipe: Recipe, metrics: tuple[tuple[str, Metric], ...]) -> Trainer:
    """`Trainer` of a recipe, whose jobs are `Job`s; equal recipes and metrics have the same one.

    What the trainings share is the test set `(archs [M, D], targets [M])`, with None for what each
    has of its own, or `()` where nothing is measured.
    """
    return Trainer(
        num_epochs=recipe.training.epochs,
        init=functools.partial(_start, recipe),
        epoch=functools.partial(_epoch, recipe),
        result=result,
        evaluate=functools.partial(_evaluate, recipe, metrics) if metrics else None,
        prepare=functools.partial(_prepare, recipe),
    )


def _prepare(recipe: Recipe, job: Job, shared: Any) -> Job:
    """Job with its architectures encoded."""
    del shared
    return job._replace(features=recipe.encode(job.data.archs))


def _start(recipe: Recipe, job: Job, shared: Any) -> Progress:
    """State before the first epoch; what a network standardises by is that of the training set."""
    del shared
    data = job.data
    # Fitted statistics (`Standardise`) are those of the whole training set, not of a minibatch.
    variables = recipe.module.init(data.keys, recipe.encode(data.archs), data.where)
    shift, scale = _scaling(recipe.training, data.targets, data.where)
    references = is_reference = None
    if recipe.module.pairing is not None:
        # Padding comes last, and does not count where fewer architectures exist.
        first = jnp.argsort(~data.where, stable=True)[:_NUM_REFERENCES]
        references, is_reference = data.archs[first], data.where[first]
    state = State(variables, shift, scale, references, is_reference)
    average = variables if recipe.training.average_from < 1 else None
    return Progress(state, _optimiser(recipe.training).init(variables["params"]), average)


def _scaling(
    training: Training, targets: jax.Array, where: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Shift and scale `[]` of the targets: they are shifted, then divided."""
    one, zero = jnp.ones((), targets.dtype), jnp.zeros((), targets.dtype)
    if training.scaling == "none":
        return zero, one
    if training.scaling == "minmax":
        # No scale is 0: a training set has at least two different targets (`checks.training_sets`).
        low = jnp.min(targets, where=where, initial=jnp.inf)
        return low, jnp.max(targets, where=where, initial=-jnp.inf) - low
    return moments(targets, where)


def moments(
    values: jax.Array, where: jax.Array, axis: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of numbers, also of 1e20, whose squares overflow.

    Both are what `jnp.mean` and `jnp.std` give, to the bit, where these give an answer.

    Args:
        values: `[...]` float.
        where: `[...]` bool, False for padding.
        axis: that the mean is over; None is all of them, and both results are `[]`.
    """
    peak = jnp.max(jnp.abs(values), axis=axis, where=where, initial=0, keepdims=True)
    # By a power of two, which rounds nothing.
    unit = jnp.ldexp(jnp.ones_like(peak), jnp.frexp(peak)[1] - 1)
    mean, deviation = (f(values / unit, axis=axis, where=where) for f in (jnp.mean, jnp.std))
    return mean * unit.reshape(mean.shape), deviation * unit.reshape(mean.shape)


def _optimiser(training: Training) -> optax.GradientTransformation:
    """Gradient transformation of PyTorch's Adam, up to the learning rate."""
    # Decay before Adam is L2 regularisation, as PyTorch's Adam has it; behind it would be AdamW.
    decay = [optax.add_decayed_weights(training.weight_decay)] if training.weight_decay else []
    return optax.chain(*decay, optax.scale_by_adam())


def _learning_rate(training: Training, epoch: jax.Array) -> jax.Array:
    """Learning rate `[]` in the epoch of this number, from 1."""
    # By epochs, not by steps of the optimiser: sets of different sizes, padded to one, take
    # different numbers of steps in an epoch.
    rate = jnp.asarray(training.learning_rate)
    if training.schedule == "cosine":
        rate *= (1 + jnp.cos(math.pi * (epoch - 1).astype(float) / training.epochs)) / 2
    return rate * jnp.minimum(epoch.astype(float) / training.warmup, 1) if training.warmup else rate


def _epoch(
    recipe: Recipe, job: Job, epoch: jax.Array, progress: Progress, shared: Any
) -> tuple[Progress, jax.Array]:
    """State after all minibatches of an epoch, and the mean `[]` of their losses."""
    del shared
    data, features = job.data, job.features
    targets = (data.targets - progress.state.shift) / progress.state.scale
    num = data.where.shape[0]
    # `num` counts padding, so that the shape of a minibatch is that of all training sets.
    size = min(recipe.training.batch_size, num)
    num_steps = -(-num // size)
    # A key from the number of the epoch alone: a job that goes on after a kill draws the same.
    order_key, steps_key = jax.random.split(jax.random.fold_in(data.keys, epoch))
    # Padding goes last, so that it fills whole minibatches, which are then skipped.
    order = jnp.argsort(jnp.where(data.where, jax.random.uniform(order_key, (num,)), 2.0))
    rows = jnp.pad(order, (0, num_steps * size - num)).reshape(num_steps, size)
    exists = jnp.pad(data.where[order], (0, num_steps * size - num)).reshape(num_steps, size)
    rate = _learning_rate(recipe.training, epoch)

    def step(
        progress: Progress, batch: tuple[Key, jax.Array, jax.Array]
    ) -> tuple[Progress, jax.Array]:
        key, rows, where = batch
        picked = jax.tree.map(lambda x: x[rows], features)
        update = functools.partial(_update, recipe, key, picked, targets[rows], where, rate)
        if num_steps == 1:
            return update(progress)
        # A single architecture makes no pair, and has no variance for batch normalisation.
        skip = jnp.zeros(())
        result: tuple[Progress, jax.Array] = lax.cond(
            jnp.sum(where) > 1, update, lambda p: (p, skip), progress
        )
        return result

    progress, losses = lax.scan(
        step, progress, (jax.random.split(steps_key, num_steps), rows, exists)
    )
    # Skipped minibatches have no loss to take into the mean.
    used = jnp.sum(exists, axis=1) > 1
    loss = jnp.sum(losses) / jnp.maximum(jnp.sum(used), 1).astype(float)
    return _averaged(recipe.training, epoch, progress), loss


def _update(
    recipe: Recipe,
    key: Key,
    features: Any,
    targets: jax.Array,
    where: jax.Array,
    rate: jax.Array,
    progress: Progress,
) -> tuple[Progress, jax.Array]:
    """State after one step of Adam, and the loss `[]` before it."""
    variables = progress.state.variables
    loss_key, drop_key = jax.random.split(key)
    # Constants and statistics of batch normalisation take no gradient.
    fixed = {name: value for name, value in variables.items() if name != "params"}

    def loss_fn(params: Any) -> tuple[jax.Array, Any]:
        full = fixed | {"params": params}
        apply: Any = functools.partial(recipe.module.apply, full)
        drop: Any = {"train": True, "rngs": {"dropout": drop_key}}
        output, changed = apply(features, where, mutable=["batch_stats"], **drop)
        # Both orders of a pair see the same dropped units.
        project, compare = (
            functools.partial(apply, method=name) for name in ("project", "compare")
        )
        batch = Batch(output, targets, where, project, functools.partial(compare, **drop))
        return loss_of(recipe.training, loss_key, batch), changed

    (loss, changed), gradients = jax.value_and_grad(loss_fn, has_aux=True)(variables["params"])
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes integers and floats
        updates, optimiser = _optimiser(recipe.training).update(
            gradients, progress.optimiser, variables["params"]
        )
    # The chain ends before the learning rate, so that its sign and size are applied here.
    params = jax.tree.map(lambda p, u: p - rate * u, variables["params"], updates)
    state = progress.state._replace(variables=fixed | changed | {"params": params})
    return Progress(state, optimiser, progress.average), loss


def _averaged(training: Training, epoch: jax.Array, progress: Progress) -> Progress:
    """State with the weights of this epoch in its average."""
    if progress.average is None:
        return progress
    # Before averaging begins the count is 1, by which the average is the newest weights.
    count = jnp.maximum(epoch - int(training.average_from * training.epochs), 1).astype(float)
    average = jax.tree.map(
        lambda a, v: a + (v - a) / count, progress.average, progress.state.variables
    )
    return progress._replace(average=average)


def result(progress: Progress) -> State:
    """State to predict with: the averaged weights where there are any."""
    average = progress.average
    return progress.state if average is None else progress.state._replace(variables=average)


def _evaluate(
    recipe: Recipe,
    metrics: tuple[tuple[str, Metric], ...],
    job: Job,
    epoch: jax.Array,
    progress: Progress,
    shared: Any,
) -> dict[str, jax.Array]:
    """Metrics by name, `[]` each, on the test set of `job` and `shared`."""
    archs, targets = (
        common if own is None else own for own, common in zip(job.test, shared, strict=True)
    )
    state = result(progress)
    if recipe.module.pairing is None:
        scores = predict(recipe, state, archs)
    else:
        # Sorting by a comparator is random; as with training, an epoch has its own key.
        key = jax.random.fold_in(job.data.keys, epoch)
        # Metrics take higher as better, and rank 0 is best.
        scores = -rank(recipe, key, state, archs).astype(float)
    return {name: metric(scores, targets) for name, metric in metrics}
