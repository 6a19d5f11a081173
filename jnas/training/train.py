"""Training of networks, one or thousands: `train`."""

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import networks
from jnas.data import without_images
from jnas.engine import checkpoints, files, trainings
from jnas.engine.devices import forget_programs, num_parts
from jnas.engine.fingerprints import Resume, check, fingerprint
from jnas.engine.inputs import as_archs, as_key, as_keys, is_key
from jnas.engine.progress import reporting
from jnas.networks import buckets
from jnas.training import course as courses
from jnas.training import programs
from jnas.training.programs import Job
from jnas.training.recipes import Recipe, as_recipe
from jnas.training.steps import Setup, State, own_setup, setup
from jnas.training.trained import KIND, Trained, joined, load_with, rows, save_with
from jnas.types import Dataset, Network

_NUM_BLOCKS = 50  # of a training at most; what a kill can lose is one of them
_CHUNK_ON_CPU, _CHUNK = 32, 128  # networks whose weights are in memory at a time


def train(
    network: Network,
    archs: Any,
    dataset: Dataset,
    recipe: Recipe | str = "quick",
    key: Any = 0,
    *,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
    own: bool | None = None,
    weights: bool = True,
    parallel: bool | None = None,
) -> Trained:
    """Trained networks of `P` architectures, each with weights of its own.

    Each comes out as if it had been trained alone, to rounding. On CPUs networks are trained one a
    device after the other, on accelerators side by side.

    Args:
        network: whose architectures they are; as many classes as the data set has.
        archs: `[P, D]` integers.
        dataset: to train on; it must fit into the memory of a device.
        recipe: or the name of one, see `training.recipe`.
        key: a key or seed, which all networks share, so that equal architectures are the same
            training; or `[P]` keys, one for each.
        out: folder that the trainings are kept in, and that a call which was killed goes on from.
            It ends up with the file `trained.npz`, as `training.save` writes it.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.
        own: whether each network gets a program of its own architecture, which takes seconds to
            compile, one network after the other. None gives it to a single network alone, for which
            it is the fastest way. On CPUs several networks take less without it, one a device: on
            two cores .84 s a step of each network, and 1.3 s with it (experiments/bench_training).
        weights: False keeps accuracies and curves, and no weights.
        parallel: whether a program of its own spreads the images of a step over all devices, with
            batch norms of the statistics of all of them, where the devices divide a batch; None: on
            accelerators. It comes out the same, to rounding.

    Returns:
        `Trained`. A training whose loss is not finite at some epoch has that epoch in `failed_at`.

    Raises:
        ValueError: an invalid architecture or recipe, keys or images that do not fit the network,
            more or fewer classes, no training images; or `out` holds another job, or is given for
            a network that `jnas.networks` has not made, which its files could not name.
        OSError: `out` cannot be written, or holds a file of that name that jnas did not write.
    """
    checked = _archs(network, archs)
    # Weights are joined in the end: of sizes that have none in common, better not all are trained.
    one = buckets.of_all(network, checked if weights else checked[:1])
    of = setup(network, as_recipe(recipe), check_dataset(one, dataset))
    if out is not None:
        # Its files name the network: better now than when all is trained.
        networks.settings(network)
    jobs, places = _jobs(checked, key)
    is_own = len(jobs.arch) == 1 if own is None else own
    spreads = programs.is_parallel(parallel, of.recipe.batch_size)
    folder = None if out is None else Path(out)
    work = _Work(of, dataset, folder, resume, progress, weights, spreads)
    trained = work.kept(
        "trained.npz",
        ("train", jobs, places, is_own),
        lambda: rows(_trained(work, jobs, is_own), places),
    )
    work.clear(len(jobs.arch))
    return trained


def _trained(work: "_Work", jobs: Job, is_own: bool) -> Trained:
    """Trained networks of different jobs, in their order."""
    if is_own:
        return joined([_one(work, jobs, row) for row in range(len(jobs.arch))])
    chunks = _chunks(work.of.network, jobs.arch)
    order, parts = np.concatenate(chunks), []
    # One chunk has a bar of its own, of epochs.
    shown = work.progress and len(chunks) > 1
    options: dict[str, Any] = {"shown": shown, "unit": "networks", "kept": work.out}
    with reporting("training", len(order), **options) as report:
        for number, chunk in enumerate(chunks):
            # Filled up, so that the last chunk runs the program of the others; where sizes differ
            # each may be of another bucket, and few fill up what they do not share.
            size = len(chunks[0]) if work.of.network.bucket is None else len(chunk)
            forget_programs()
            part = _chunk(work, jobs, number, np.resize(chunk, size), shown=not shown)
            parts.append(rows(part, np.arange(len(chunk))))
            report(sum(len(part.archs) for part in parts))
    return rows(joined(parts), np.argsort(order))


class _Work(NamedTuple):
    """What all parts of a call share."""

    of: Setup
    dataset: Dataset
    out: Path | None
    resume: Resume
    progress: bool
    weights: bool
    is_parallel: bool

    def kept(self, name: str, parts: tuple[Any, ...], make: Callable[[], Trained]) -> Trained:
        """Trained networks from a file of the folder, or else made and kept there."""
        if self.out is None:
            return make()
        # The data set is hashed with the rest: networks of other images in a folder are another
        # job.
        path = self.out / name
        about = fingerprint(self.of, self.dataset, self.weights, *parts)
        if self.resume and path.exists():
            trained, found = load_with(path)
            check(found.get("kept", {}), about, str(path), self.resume, "out")
            return trained
        # Before hours of training, and not when the file is to be written.
        files.check(path, KIND, "out")
        trained = make()
        save_with(trained, path, {"kept": about._asdict()})
        return trained

    def folder(self, number: int) -> Path | None:
        """Folder that the checkpoint of a part is kept in while it is trained."""
        return None if self.out is None else self.out / f"part-{number:04}"

    def clear(self, num: int) -> None:
        """Remove what was kept of the parts, when all of them are in one file."""
        if self.out is None:
            return
        for number in range(num):
            folder = self.out / f"part-{number:04}"
            if not (folder.exists() or folder.with_suffix(".npz").exists()):
                return
            files.remove(folder.with_suffix(".npz"))
            checkpoints.remove(folder)


def _one(work: _Work, jobs: Job, row: int) -> Trained:
    """Trained network of one job, by a program of its own."""

    def make() -> Trained:
        forget_programs()
        job = jax.tree.map(lambda leaf: leaf[row], jobs)
        # On the host: the program is of this architecture alone, so it has to be known while it is
        # made.
        arch = np.asarray(job.arch)
        of = own_setup(within(work.of, arch), arch)
        program = programs.of_one(of, work.is_parallel)
        course, kept = courses.restored(
            of,
            job,
            work.dataset,
            program,
            work.folder(row),
            work.resume,
            digest=lambda: courses.digest_of(work.dataset),
        )
        total = of.recipe.epochs
        options: dict[str, Any] = {"done": course.num_epochs, "shown": work.progress}
        with reporting("training", total, unit="epochs", kept=kept.folder, **options) as report:
            course = courses.advance(
                course,
                job,
                program.place(work.dataset),
                program,
                until=total,
                checkpoint=kept,
                report=lambda course: report(course.num_epochs, _note(course)),
            )
        curves = {name: np.asarray([values], np.float32) for name, values in course.curves.items()}
        state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], jax.device_get(course.state))
        return _of_states(work, job.arch[None], state, curves, np.array([sum(course.seconds)]))

    return work.kept(f"part-{row:04}.npz", ("own", jobs, row), make)


def _note(course: courses.Course) -> str:
    """Note behind the bar: the accuracy that was last measured."""
    for name in ("validation_accuracy", "test_accuracy", "train_accuracy"):
        if np.isfinite(course.curves[name][-1]):
            return f"{name.replace('_', ' ')} {course.curves[name][-1]:.4f}"
    return "diverged"


def _chunk(work: _Work, jobs: Job, number: int, places: np.ndarray, shown: bool) -> Trained:
    """Trained networks of the jobs `places`, by one program for all architectures."""

    def make() -> Trained:
        own = jax.tree.map(lambda leaf: leaf[places], jobs)
        of = within(work.of, np.asarray(own.arch[0]))
        begin, total = time.monotonic(), work.of.recipe.epochs
        run = trainings.train(
            programs.trainer(of),
            own,
            work.dataset,
            epochs=range(1, total + 1),
            num_blocks=_NUM_BLOCKS,
            checkpoint=work.folder(number),
            resume=work.resume,
            progress=work.progress and shown,
        )
        # Those of a chunk are not timed one by one: `num_parts` of them run at a time.
        seconds = (time.monotonic() - begin) * num_parts(len(places)) / len(places)
        state = jax.tree.map(np.asarray, run.results)
        return _of_states(work, own.arch, state, run.metrics, np.full(len(places), seconds))

    return work.kept(f"part-{number:04}.npz", ("chunk", jobs, places), make)


def within(of: Setup, arch: np.ndarray) -> Setup:
    """Setup whose network has the sizes of the bucket of an architecture `[D]`."""
    return of._replace(network=buckets.of_all(of.network, arch[None]))


def _of_states(
    work: _Work, archs: Any, state: State, curves: dict[str, np.ndarray], seconds: np.ndarray
) -> Trained:
    """Trained networks from the states `[P, ...]` at the end of their trainings."""
    return Trained(
        work.of.network,
        np.asarray(archs, np.int32),
        state.params if work.weights else None,
        state.statistics if work.weights else None,
        curves,
        seconds,
        np.asarray(state.failed_at),
        work.of.recipe,
        jax.tree.map(np.asarray, without_images(work.dataset)),
    )


def _chunks(network: Network, archs: jax.Array) -> list[np.ndarray]:
    """Places of architectures `[P, D]` in chunks, whose equal parts are equally costly.

    The architectures of a chunk are of one bucket.
    """
    # Networks of a chunk wait for each other: sorted, the dear ones wait for their like.
    costs = np.asarray(jax.jit(jax.vmap(network.space.flops))(archs))
    order, parts = np.argsort(-costs, kind="stable"), num_parts(len(archs))
    size = _CHUNK_ON_CPU if jax.default_backend() == "cpu" else _CHUNK
    groups: dict[Hashable, list[int]] = {}
    known = np.asarray(archs)  # once: each row of an array of JAX is a program
    for place in order.tolist():
        bucket = None if network.bucket is None else network.bucket(known[place])
        groups.setdefault(bucket, []).append(place)
    chunks = [
        np.array(group[begin : begin + size])
        for group in groups.values()
        for begin in range(0, len(group), size)
    ]
    # Within a chunk, devices get equal parts in order: deal the sorted ones out to them.
    return [np.concatenate([chunk[part::parts] for part in range(parts)]) for chunk in chunks]


def _archs(network: Network, archs: Any) -> jax.Array:
    """Architectures `[P, D]` int32; ValueError where there is none, or one is not valid."""
    space = network.space
    checked = as_archs(np.asarray(archs), len(space.cardinalities))
    if not len(checked):
        raise ValueError("there is no architecture to train")
    # An invalid vector would be trained as whatever network its numbers happen to switch on.
    is_valid = np.asarray(jax.jit(jax.vmap(space.is_valid))(checked))
    if not is_valid.all():
        raise ValueError(
            f"architecture {int(np.argmin(is_valid))} of {len(checked)} is not valid in "
            f"{space.name}"
        )
    return checked


def _jobs(archs: jax.Array, key: Any) -> tuple[Job, np.ndarray]:
    """Jobs that differ, and for each architecture the place `[P]` of its job."""
    num = len(archs)
    if is_key(key) and key.ndim:
        return Job(as_keys(key, (num,), "key"), archs), np.arange(num)
    unique, first, places = np.unique(
        np.asarray(archs), axis=0, return_index=True, return_inverse=True
    )
    # In the order in which they were given.
    order = np.argsort(first)
    # With one key equal architectures are one training, which is done once and answers for both.
    keys = jnp.broadcast_to(as_key(key), (len(unique),))
    return Job(keys, jnp.asarray(unique[order])), np.argsort(order)[places.reshape(-1)]


def check_dataset(network: Network, dataset: Dataset) -> Dataset:
    """Data set whose arrays JAX can take; ValueError where it does not fit the network."""
    num = len(dataset.train.y)
    if not num:
        raise ValueError(f"{dataset.name} has no training images")
    shape = dataset.train.x.shape[1:]
    # Shapes alone: no weight is made, and an error comes before anything is compiled.
    params = jax.eval_shape(network.init, jax.random.key(0))
    arch = jax.ShapeDtypeStruct((len(network.space.cardinalities),), jnp.int32)
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    logits = jax.eval_shape(network.apply, params, arch, images)
    if logits.shape[1] != len(dataset.classes):
        raise ValueError(
            f"{dataset.name} has {len(dataset.classes)} classes, the network {logits.shape[1]}; "
            "make it with num_classes= as many"
        )
    return dataset
