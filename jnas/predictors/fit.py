"""The one training loop: seeds and training sets are an axis, epochs a `scan`, a block of epochs one compiled program.

Each of the `S` trainings depends on its key, architectures and targets alone: not on the others, on the number of
devices or on where blocks end. Every epoch goes through all architectures in a new random order, in minibatches; the
trainings run one after the other on each CPU device (`lax.map`) and side by side (`vmap`) on an accelerator.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from jnas.predictors.prediction import Recipe, State, predict, rank
from jnas.predictors.training import Batch, Training, loss_of
from jnas.types import Key

_NUM_REFERENCES = 64  # training architectures that a comparator scores against
Metric = Callable[[jax.Array, jax.Array], jax.Array]


class Data(NamedTuple):
    """Training sets: `keys [S]`, `archs [S, B, D]`, `targets [S, B]`, `where [S, B]` (False for padding)."""

    keys: jax.Array
    archs: jax.Array
    targets: jax.Array
    where: jax.Array


class Progress(NamedTuple):
    """What a training carries from epoch to epoch: the state, that of the optimiser, and averaged weights."""

    state: State
    optimiser: Any
    average: Any


class Epochs(NamedTuple):
    """A block of `K` epochs: `numbers [K]` int32 from 1, and `[K]` bool whether to train and to evaluate after it."""

    numbers: jax.Array
    train: jax.Array
    evaluate: jax.Array


# -- One training ----------------------------------------------------------------------------------------------------


def _start(recipe: Recipe, data: Data) -> Progress:
    """Initial weights, from the training set's statistics where the network asks for them."""
    variables = recipe.module.init(data.keys, recipe.encode(data.archs), data.where)
    shift, scale = _scaling(recipe.training, data.targets, data.where)
    references = None
    if recipe.module.pairing is not None:
        references = data.archs[jnp.argsort(~data.where, stable=True)[:_NUM_REFERENCES]]
    state = State(variables, shift, scale, references)
    average = variables if recipe.training.average_from < 1 else None
    return Progress(state, _optimiser(recipe.training).init(variables["params"]), average)


def _scaling(
    training: Training, targets: jax.Array, where: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What the targets are shifted and divided by."""
    one, zero = jnp.ones((), targets.dtype), jnp.zeros((), targets.dtype)
    if training.scaling == "none":
        return zero, one
    if training.scaling == "minmax":
        low = jnp.min(targets, where=where, initial=jnp.inf)
        return low, jnp.max(targets, where=where, initial=-jnp.inf) - low
    return jnp.mean(targets, where=where), jnp.std(targets, where=where)


def _optimiser(training: Training) -> optax.GradientTransformation:
    decay = [optax.add_decayed_weights(training.weight_decay)] if training.weight_decay else []
    return optax.chain(*decay, optax.scale_by_adam())


def _learning_rate(training: Training, epoch: jax.Array) -> jax.Array:
    """`[]`, in the epoch of this number."""
    rate = jnp.asarray(training.learning_rate)
    if training.schedule == "cosine":
        rate *= (1 + jnp.cos(math.pi * (epoch - 1).astype(float) / training.epochs)) / 2
    return rate * jnp.minimum(epoch.astype(float) / training.warmup, 1) if training.warmup else rate


def _run(
    recipe: Recipe,
    metrics: tuple[Metric, ...],
    data: Data,
    progress: Progress,
    epochs: Epochs,
    test: Any,
) -> tuple[Progress, jax.Array, jax.Array]:
    """A block of epochs of one training: progress, losses `[K]`, and `[K, len(metrics)]`, NaN where not asked for."""
    features = recipe.encode(data.archs)
    scaled = Data(
        data.keys,
        data.archs,
        (data.targets - progress.state.shift) / progress.state.scale,
        data.where,
    )

    def step(progress: Progress, epoch: Epochs) -> tuple[Progress, tuple[jax.Array, jax.Array]]:
        no_loss = jnp.full((), jnp.nan)
        train = functools.partial(_epoch, recipe, features, scaled, epoch.numbers)
        progress, loss = lax.cond(
            epoch.train, train, lambda progress: (progress, no_loss), progress
        )
        if not metrics:
            return progress, (loss, jnp.zeros(0))
        measure = functools.partial(_evaluate, recipe, metrics, data.keys, epoch.numbers, test)
        nothing = jnp.full(len(metrics), jnp.nan)
        return progress, (loss, lax.cond(epoch.evaluate, measure, lambda _: nothing, progress))

    progress, (losses, measured) = lax.scan(step, progress, epochs)
    return progress, losses, measured


def _epoch(
    recipe: Recipe, features: Any, data: Data, epoch: jax.Array, progress: Progress
) -> tuple[Progress, Any]:
    """All minibatches once; the mean of their losses."""
    num = data.where.shape[0]
    size = min(recipe.training.batch_size, num)
    num_steps = -(-num // size)
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
        update = functools.partial(_update, recipe, key, picked, data.targets[rows], where, rate)
        if num_steps == 1:
            return update(progress)
        skip = jnp.zeros(())
        result: tuple[Progress, jax.Array] = lax.cond(
            jnp.sum(where) > 1, update, lambda p: (p, skip), progress
        )
        return result

    progress, losses = lax.scan(
        step, progress, (jax.random.split(steps_key, num_steps), rows, exists)
    )
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
    """One step of Adam."""
    variables = progress.state.variables
    loss_key, drop_key = jax.random.split(key)
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
    params = jax.tree.map(lambda p, u: p - rate * u, variables["params"], updates)
    state = progress.state._replace(variables=fixed | changed | {"params": params})
    return Progress(state, optimiser, progress.average), loss


def _averaged(training: Training, epoch: jax.Array, progress: Progress) -> Progress:
    """Take this epoch's weights into the average."""
    if progress.average is None:
        return progress
    count = jnp.maximum(epoch - int(training.average_from * training.epochs), 1).astype(float)
    average = jax.tree.map(
        lambda a, v: a + (v - a) / count, progress.average, progress.state.variables
    )
    return progress._replace(average=average)


def result(progress: Progress) -> State:
    """The state to predict with."""
    average = progress.average
    return progress.state if average is None else progress.state._replace(variables=average)


def _evaluate(
    recipe: Recipe,
    metrics: tuple[Metric, ...],
    key: Key,
    epoch: jax.Array,
    test: Any,
    progress: Progress,
) -> jax.Array:
    """`[len(metrics)]` on `test`, (archs `[M, D]`, targets `[M]`)."""
    archs, targets = test
    state = result(progress)
    if recipe.module.pairing is None:
        scores = predict(recipe, state, archs)
    else:
        scores = -rank(recipe, jax.random.fold_in(key, epoch), state, archs).astype(float)
    return jnp.stack([metric(scores, targets) for metric in metrics])


# -- Many trainings as one program -----------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnames=("recipe", "vectorise", "num_devices"))
def start(data: Data, *, recipe: Recipe, vectorise: bool, num_devices: int) -> Progress:
    """`Progress` of `S` trainings before the first epoch."""
    progress: Progress = _over_seeds(functools.partial(_start, recipe), vectorise, num_devices)(
        data
    )
    return progress


@functools.partial(
    jax.jit, static_argnames=("recipe", "metrics", "vectorise", "num_devices"), donate_argnums=1
)
def run(
    data: Data,
    progress: Progress,
    epochs: Epochs,
    test: Any,
    *,
    recipe: Recipe,
    metrics: tuple[Metric, ...],
    vectorise: bool,
    num_devices: int,
) -> tuple[Progress, jax.Array, jax.Array]:
    """A block of `K` epochs of `S` trainings: progress, losses `[S, K]`, metrics `[S, K, len(metrics)]`.

    `test` is (archs `[M, D]`, targets `[M]`) for all trainings, or `[S, M, D]` and `[S, M]`, or empty.
    """
    own = jax.tree.map(
        lambda x, rank: x if x.ndim > rank else None, test, (2, 1) if metrics else ()
    )

    def one(args: tuple[Data, Progress, Any], epochs: Epochs, shared: Any) -> Any:
        data, progress, own = args
        test = jax.tree.map(
            lambda a, b: b if a is None else a, own, shared, is_leaf=lambda x: x is None
        )
        return _run(recipe, metrics, data, progress, epochs, test)

    result: tuple[Progress, jax.Array, jax.Array] = _over_seeds(one, vectorise, num_devices)(
        (data, progress, own), epochs, test
    )
    return result


def _over_seeds(
    function: Callable[..., Any], vectorise: bool, num_devices: int
) -> Callable[..., Any]:
    """`function` of the first argument's leading axis, split over devices; the other arguments are the same for all."""

    def local(first: Any, *others: Any) -> Any:
        if vectorise:
            return jax.vmap(lambda x: function(x, *others))(first)
        return lax.map(lambda x: function(x, *others), first)

    def sharded(first: Any, *others: Any) -> Any:
        mesh = Mesh(np.array(jax.local_devices()[:num_devices]), ("seeds",))
        seeds, same = PartitionSpec("seeds"), PartitionSpec()
        specs = (seeds, *[same] * len(others))
        return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=seeds, check_vma=False)(
            first, *others
        )

    return sharded if num_devices > 1 else local
