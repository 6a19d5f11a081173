"""Programs of a training: one for all architectures of a network, and one for a single one.

Both take the same steps in the same order with the same random numbers, so that a network comes out
the same, to rounding, whichever trains it.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jnas.training import steps
from jnas.training.steps import Seen, Setup, State
from jnas.types import Arch, Dataset, Images, Key, Trainer

_MAX_SETUPS = 64  # whose programs are kept compiled


class Job(NamedTuple):
    """Job of a training: its key, and its architecture `[D]` int32."""

    key: Key
    arch: Arch


class Place(NamedTuple):
    """Place of a step in a training.

    Attributes:
        key: of the steps of its epoch.
        epoch: `[]` int32, from 1.
        step: `[]` int32, within the epoch, from 0.
        rows: `[batch]` int32, its training images.
    """

    key: Key
    epoch: jax.Array
    step: jax.Array
    rows: jax.Array


class Programs(NamedTuple):
    """Programs of one training at a time, called from the host.

    Attributes:
        start: `(job, data) -> State`.
        epoch: `(job, number, state, data) -> State`; epochs count from 1.
        metrics: `(job, state, data) -> {name: []}`.
        place: puts a pytree of arrays on the devices that the others run on.
    """

    start: Callable[[Job, Dataset], State]
    epoch: Callable[[Job, int, State, Dataset], State]
    metrics: Callable[[Job, State, Dataset], dict[str, jax.Array]]
    place: Callable[[Any], Any]


def _start(of: Setup, job: Job, data: Dataset) -> State:
    """State before the first epoch."""
    del data
    # Number 0, for epochs count from 1: no epoch draws what the weights were drawn by.
    return steps.start(of, jax.random.fold_in(job.key, 0), job.arch)


def _keys(key: Key, number: Any) -> Key:
    """Keys `[2]` of an epoch: of the order of its images, and of its steps."""
    # By number and not handed from epoch to epoch: a training that goes on from a checkpoint, or to
    # more epochs, draws what it would have drawn at one go.
    return jax.random.split(jax.random.fold_in(key, number))


def _epoch(of: Setup, job: Job, number: jax.Array, state: State, data: Dataset) -> State:
    """State after an epoch, all of whose steps are one loop."""
    order_key, step_key = _keys(job.key, number)
    rows = steps.order(of, order_key, len(data.train.y))

    def one(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, Seen]:
        return _step(of, job, Place(step_key, number, *at), data, state)

    # The rows of all steps go in at once: the data set stays an argument, of which the steps read a
    # batch each, and is never copied in another order.
    state, seen = lax.scan(one, state, (jnp.arange(of.steps, dtype=jnp.int32), rows))
    return _after_epoch(of, job, number, rows, state, seen, data)


def _step(of: Setup, job: Job, at: Place, data: Dataset, state: State) -> tuple[State, Seen]:
    """State after a step, and what an epoch wants to know of what it has seen."""
    batch = Images(data.train.x[at.rows], data.train.y[at.rows])
    key = jax.random.fold_in(at.key, at.step)
    state, seen = steps.step(of, state, job.arch, key, at.epoch, batch, data)
    weight = of.recipe.norm_momentum
    if weight is None:
        return state, seen
    averages = steps.averaged(weight, state.statistics, seen.moments)
    # Moments of all steps would grow with an epoch, and are kept where their mean is asked for.
    return state._replace(statistics=averages), seen._replace(moments=[])


def _after_epoch(
    of: Setup,
    job: Job,
    number: jax.Array,
    rows: jax.Array,
    state: State,
    seen: Seen,
    data: Dataset,
) -> State:
    """State with what an epoch's steps have seen, each array with a leading axis of steps."""
    state = steps.after_epoch(state, number, seen.loss, seen.accuracy)
    if of.recipe.norm_momentum is None:
        state = state._replace(statistics=steps.over_epoch(seen.moments))
    if not of.recipe.is_precise:
        return state

    def precise(state: State) -> Any:
        return steps.precise(of, state.params, job.arch, rows, data)

    # The number is the same for all trainings, so that the condition stays one under `vmap`: where
    # it is mapped, both branches are computed, and each epoch would read the images twice.
    is_last = number == of.recipe.epochs
    statistics = lax.cond(is_last, precise, lambda state: state.statistics, state)
    return state._replace(statistics=statistics)


# Kept by setup: a new function would be compiled anew, however equal it is.
@functools.lru_cache(_MAX_SETUPS)
def trainer(of: Setup) -> Trainer:
    """Trainer of the engine for any architectures of a network; `shared` is the data set."""

    def epoch(job: Job, number: jax.Array, state: State, data: Dataset) -> tuple[State, jax.Array]:
        state = _epoch(of, job, number, state, data)
        return state, state.loss

    def evaluate(job: Job, number: jax.Array, state: State, data: Dataset) -> dict[str, jax.Array]:
        del number
        return steps.metrics(of, state, job.arch, data)

    return Trainer(of.recipe.epochs, functools.partial(_start, of), epoch, _result, evaluate)


def _result(state: State) -> State:
    """State without what only a training needs."""
    # Momenta are as large as the weights, and thousands of networks are kept.
    return state._replace(optimizer=())


@functools.lru_cache(_MAX_SETUPS)
def of_any(of: Setup) -> Programs:
    """Programs that are compiled once for all architectures."""
    # The state before is done with: donated, its memory is that of the state after.
    epoch = jax.jit(functools.partial(_epoch, of), donate_argnums=2)
    return Programs(
        jax.jit(functools.partial(_start, of)),
        lambda job, number, state, data: epoch(job, jnp.int32(number), state, data),
        jax.jit(lambda job, state, data: steps.metrics(of, state, job.arch, data)),
        jax.device_put,
    )


def is_parallel(asked: bool | None, batch_size: int) -> bool:
    """Whether the images of a batch are spread over the devices; None: on accelerators."""
    count = jax.local_device_count()
    # Unequal parts are none that sharding has. Devices of a CPU are the same cores, which one of
    # them has threads on as well; and on a busy machine one of them has been seen not to arrive at
    # a sum within 40 seconds, after which XLA ends the process.
    is_possible = count > 1 and batch_size % count == 0
    return is_possible and (jax.default_backend() != "cpu" if asked is None else asked)


@functools.lru_cache(_MAX_SETUPS)
def of_one(of: Setup, is_parallel: bool = False) -> Programs:
    """Programs of a network that is one architecture's own, perhaps data-parallel over all devices.

    A step is a program and an epoch a loop on the host: XLA for CPUs computes a step several times
    slower within a loop of its own. If parallel, the images of a batch are in equal parts on the
    devices, and batch norms have the statistics of all of them.
    """
    step = jax.jit(
        functools.partial(_parallel_step if is_parallel else _step, of), donate_argnums=3
    )
    order = jax.jit(lambda key, data: steps.order(of, key, len(data.train.y)))
    after = jax.jit(functools.partial(_after_epoch, of), donate_argnums=3)

    def epoch(job: Job, number: int, state: State, data: Dataset) -> State:
        order_key, step_key = _keys(job.key, number)
        # On the host, where a row is cut out without a program.
        rows, epoch_number = np.asarray(order(order_key, data)), jnp.int32(number)
        seen = []
        for place in range(of.steps):
            at = Place(step_key, epoch_number, jnp.int32(place), rows[place])
            state, of_step = step(job, at, data, state)
            seen.append(of_step)
        # Only here, when all steps are sent off: a value that was looked at would stop the queue.
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seen)
        result: State = after(job, epoch_number, rows, state, together, data)
        return result

    return of_any(of)._replace(epoch=epoch, place=everywhere if is_parallel else jax.device_put)


def everywhere(tree: Any) -> Any:
    """Arrays with a copy on each device."""
    return jax.device_put(tree, NamedSharding(mesh(), PartitionSpec()))


def mesh() -> Mesh:
    """Mesh of all devices of this process, along the images of a batch."""
    return Mesh(np.array(jax.local_devices()), ("images",))


def _parallel_step(
    of: Setup, job: Job, at: Place, data: Dataset, state: State
) -> tuple[State, Seen]:
    """Step whose images are spread over the devices."""
    # The numbers of the images are: images, activations and gradients follow them.
    spread = NamedSharding(mesh(), PartitionSpec("images"))
    rows = lax.with_sharding_constraint(at.rows, spread)
    return _step(of, job, at._replace(rows=rows), data, state)
