"""Training of supernets: `train`."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from jnas.data import without_images
from jnas.engine import trainings
from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_key_or_keys
from jnas.oneshot import samplers
from jnas.oneshot.recipes import Recipe, as_recipes, differing, with_numbers
from jnas.oneshot.samplers import Sampler
from jnas.oneshot.sharing import Sharing, as_sharing
from jnas.oneshot.steps import Seen, Setup, State, after_epoch, before_epoch, start, step
from jnas.oneshot.supernet import Supernet
from jnas.training import programs
from jnas.training.steps import order, setup
from jnas.training.train import check_dataset
from jnas.types import Dataset, Images, Key, Network, Trainer

_NUM_BLOCKS = 50  # of a training at most; what a kill can lose is one of them


class Job(NamedTuple):
    """Job of a training: its key, the epochs `[]` int32 that are done, and their state, or ()."""

    key: Key
    begin: jax.Array
    state: Any


class Varied(NamedTuple):
    """Job of a recipe of its own: as `Job`, and the `numbers` `[]` by which recipes differ."""

    key: Key
    begin: jax.Array
    state: Any
    numbers: dict[str, jax.Array]


class Shared(NamedTuple):
    """Inputs that all trainings of a call share."""

    dataset: Dataset
    sampler: Sampler


def train(
    network: Network | Sharing,
    dataset: Dataset,
    recipe: Recipe | str | Sequence[Recipe | str] = "quick",
    key: Any = 0,
    *,
    sampler: Sampler | None = None,
    keep: tuple[int, ...] = (),
    initial: Supernet | None = None,
    until: int | None = None,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
    parallel: bool | None = None,
) -> Supernet:
    """Trained supernets, `S` of them, side by side on the devices.

    In each step architectures are sampled, and the weights of their operations move by the gradient
    of one batch (Guo et al., "Single Path One-Shot", ECCV 2020, https://arxiv.org/abs/1904.00420).

    Args:
        network: whose operations' weights are shared, or another `Sharing`; as many classes as the
            data set has.
        dataset: to train on; it must fit into the memory of a device.
        recipe: or the name of one, see `oneshot.recipe`; or `S` recipes that differ in numbers
            alone, which one program takes as its inputs: learning rates, weight decay, momentum,
            label smoothing, the norm to clip to, drop path, those of a plateau.
        key: a key or seed, which several recipes share, or `[S]` keys of several supernets.
        sampler: in place of the recipe's.
        keep: epochs after which the weights are kept (`Supernet.at`).
        initial: supernets to go on from, as many as are trained: the training has the epochs of
            `recipe` in all, and begins with the next one of theirs.
        until: epoch after which it stops, to be gone on from; None: the last of the recipe.
        out: folder that the training is kept in, and that a call which was killed goes on from.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.
        parallel: whether the images of a step are spread over all devices, with batch norms of the
            statistics of all of them, where a single supernet is trained and the devices divide a
            batch; None: on accelerators. It comes out the same, to rounding.

    Returns:
        `Supernet`. A training whose loss is not finite at some epoch has that epoch in `failed_at`.

    Raises:
        ValueError: an invalid recipe, several that differ in more than such numbers or are not as
            many as the keys, a sampler that does not suit the space, epochs to keep that there are
            not, supernets to go on from that are of another network or have no epoch left, images
            that do not fit the network; or `out` holds another job.
        OSError: `out` cannot be written.
    """
    recipes, keys = _paired(as_recipes(recipe), as_key_or_keys(key))
    numbers, sharing = differing(recipes), as_sharing(network)
    # Zeros in their places, so that a program serves recipes of other numbers, too.
    made = with_numbers(recipes[0], dict.fromkeys(numbers, 0.0))
    alone = setup(sharing.network, made.training, check_dataset(sharing.network, dataset))
    # Several supernets have the devices among themselves already, without a sum over all of them in
    # each batch norm and each step.
    is_parallel = len(keys) == 1 and programs.is_parallel(parallel, alone.recipe.batch_size)
    of = Setup(sharing, made._replace(training=alone.recipe), alone.steps, is_parallel)
    begin = 0 if initial is None else initial.num_epochs
    end = made.training.epochs if until is None else min(until, made.training.epochs)
    epochs = _kept_epochs(keep, begin, end)
    jobs = _varied(_jobs(of, keys, initial, len(epochs)), numbers)
    draw = sampler or samplers.by_name(made.sampler, sharing.network.space, made.num_samples)
    shared = Shared(dataset, draw)
    run = trainings.train(
        trainer(of, end - begin, epochs),
        programs.everywhere(jobs) if is_parallel else jobs,
        programs.everywhere(shared) if is_parallel else shared,
        # The engine counts the epochs of a call, and jobs know how many came before: the number of
        # the first is no constant of the program.
        epochs=range(1, end - begin + 1),
        num_blocks=_NUM_BLOCKS,
        checkpoint=out,
        resume=resume,
        progress=progress,
    )
    curves = {name: np.asarray(values) for name, values in run.metrics.items()}
    if initial is not None:
        before = initial.curves
        # So that `num_epochs`, read off the curves, counts from the very beginning.
        curves = {name: np.append(before[name], new, axis=1) for name, new in curves.items()}
    state = jax.tree.map(np.asarray, run.results)
    facts = jax.tree.map(np.asarray, without_images(dataset))
    return Supernet(sharing, state, epochs, curves, recipes, facts)


def _paired(recipes: tuple[Recipe, ...], keys: Key) -> tuple[tuple[Recipe, ...], Key]:
    """As many recipes as keys, of which there may be one for all; ValueError otherwise."""
    num = max(len(recipes), len(keys))
    if len(recipes) not in (1, num) or len(keys) not in (1, num):
        raise ValueError(
            f"recipes and keys must be as many, or one of them for all; got {len(recipes)} recipes "
            f"and {len(keys)} keys"
        )
    every = recipes if len(recipes) == num else recipes * num
    return every, keys if len(keys) == num else jnp.broadcast_to(keys, (num,))


def _varied(jobs: Job, numbers: dict[str, list[float]]) -> Job | Varied:
    """Jobs `[S]` with the numbers that their recipes differ in; as they are where there is none."""
    if not numbers:
        return jobs
    # Epochs are counted; everything else is float32, whole numbers too.
    arrays = {
        name: jnp.asarray(values, jnp.int32 if name == "patience" else jnp.float32)
        for name, values in numbers.items()
    }
    return Varied(*jobs, arrays)


def _kept_epochs(keep: tuple[int, ...], begin: int, end: int) -> tuple[int, ...]:
    """Epochs to keep in order, each once; ValueError for one that is not trained."""
    if begin >= end:
        raise ValueError(
            f"there are {end} epochs to train, and the supernets to go on from had {begin}"
        )
    epochs = tuple(sorted(set(keep)))
    if epochs and not begin < epochs[0] <= epochs[-1] <= end:
        raise ValueError(f"epochs to keep must be in {begin + 1} … {end}; got {epochs}")
    return epochs


def _jobs(of: Setup, keys: Key, initial: Supernet | None, num_kept: int) -> Job:
    """Jobs `[S]` of the keys, and of the states that they go on from."""
    begin = 0 if initial is None else initial.num_epochs
    # Arrays, so that a program compiled for one beginning serves all.
    begins = jnp.full(len(keys), begin, jnp.int32)
    if initial is None:
        return Job(keys, begins, ())
    like = jax.eval_shape(lambda: start(of, jax.random.key(0), num_kept))
    # What it has kept stays with it; the new call has epochs of its own to keep. Steps are counted
    # as this recipe has them: batches may have been others, and weights that were kept on the way
    # come with the count of the last epoch, by which the schedule would be off.
    steps = np.full(len(initial.failed_at), begin * of.steps, np.int32)
    moved = optax.tree.set(initial.state.optimizer, count=steps)
    found = initial.state._replace(kept=_room(initial.state.params, num_kept), optimizer=moved)
    leaves, structure = jax.tree.leaves(found), str(jax.tree.structure(found))
    wanted = jax.tree.leaves(like)
    shapes = [(len(keys), *leaf.shape) for leaf in wanted]
    if structure != str(jax.tree.structure(like)) or [leaf.shape for leaf in leaves] != shapes:
        raise ValueError(
            f"the supernets to go on from must be {len(keys)} of the same network and optimiser; "
            f"got {initial!r}"
        )
    return Job(keys, begins, jax.tree.map(jnp.asarray, found))


def _room(params: Any, num: int) -> Any:
    """Zeros `[S, num, ...]` for weights `[S, ...]` after as many epochs."""
    return jax.tree.map(
        lambda leaf: np.zeros((len(leaf), num, *leaf.shape[1:]), leaf.dtype), params
    )


# Kept by setup: a new function would be compiled anew, however equal it is.
@functools.lru_cache(64)
def trainer(of: Setup, num_epochs: int, epochs: tuple[int, ...] = ()) -> Trainer:
    """Trainer of the engine; `shared` is `Shared`.

    Args:
        of: the training.
        num_epochs: that are trained.
        epochs: whose weights are kept.
    """

    def init(job: Job | Varied, shared: Shared) -> State:
        del shared
        if isinstance(job.state, State):
            return job.state
        # Epochs fold in their numbers, which begin with 1: 0 is free.
        return start(of, jax.random.fold_in(job.key, 0), len(epochs))

    def epoch(
        job: Job | Varied, number: jax.Array, state: State, shared: Shared
    ) -> tuple[State, jax.Array]:
        own = _own(of, job.numbers) if isinstance(job, Varied) else of
        state = _epoch(own, job.key, number + job.begin, state, shared, epochs)
        return state, state.loss

    def evaluate(
        job: Job | Varied, number: jax.Array, state: State, shared: Shared
    ) -> dict[str, jax.Array]:
        del job, number, shared
        return {"loss": state.loss, "accuracy": state.accuracy, "rate": state.rate.scale}

    return Trainer(num_epochs, init, epoch, lambda state: state, evaluate)


def _own(of: Setup, numbers: dict[str, jax.Array]) -> Setup:
    """Setup within a program, whose recipe has the numbers of a job."""
    return of._replace(recipe=with_numbers(of.recipe, numbers))


def _epoch(
    of: Setup,
    key: Key,
    number: jax.Array,
    state: State,
    shared: Shared,
    epochs: tuple[int, ...],
) -> State:
    """State after an epoch, all of whose steps are one loop."""
    # From the number of the epoch and not from a key that is handed on: a training that was
    # stopped, or goes on from another one, draws what a whole one would have drawn.
    order_key, step_key, grow_key = jax.random.split(jax.random.fold_in(key, number), 3)
    data = shared.dataset
    # Numbers of images are shuffled and not the images, which stay in one array of bytes.
    rows = order(of.alone, order_key, len(data.train.y))

    def one(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, Seen]:
        place, rows = at
        if of.is_parallel:
            # Of the numbers of the images: images, activations and gradients follow them.
            spread = NamedSharding(programs.mesh(), PartitionSpec("images"))
            rows = lax.with_sharding_constraint(rows, spread)
        batch = Images(data.train.x[rows], data.train.y[rows])
        here = jax.random.fold_in(step_key, place)
        return step(of, shared.sampler, state, here, number, batch, data)

    state = before_epoch(of, state, grow_key, number)
    state, seen = lax.scan(one, state, (jnp.arange(of.steps, dtype=jnp.int32), rows))
    return after_epoch(of, state, number, seen, epochs)
