"""Training as what a search maximises: an estimator, and an objective with epochs to choose.

`objective` answers for any number of epochs and goes on with trainings that it has paused, so that
BOHB, successive halving and evolution run on real trainings by `search.run_on_host`.
"""

import functools
import hashlib
import time
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.checkpoints import Checkpoint
from jnas.engine.estimators import by_bucket, of_network
from jnas.engine.estimators import estimator as make_estimator
from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_key
from jnas.engine.messages import nearest
from jnas.networks.buckets import of_some
from jnas.training import course as courses
from jnas.training import programs
from jnas.training.programs import Job
from jnas.training.recipes import Recipe, as_recipe
from jnas.training.steps import Setup, metrics, own_setup, setup
from jnas.training.train import check_dataset, within
from jnas.types import Dataset, Estimator, Key, Network

Measure = Literal["validation_accuracy", "test_accuracy", "validation_loss", "test_loss"]


def estimator(
    network: Network,
    dataset: Dataset,
    recipe: Recipe | str = "quick",
    *,
    measure: Measure = "validation_accuracy",
) -> Estimator:
    """Estimator by training: each architecture is trained, and measured after the last epoch.

    Through `population.score` it runs on all devices and survives a kill between chunks.

    Args:
        network: whose architectures they are.
        dataset: to train on; its images are arguments of the program.
        recipe: or the name of one.
        measure: what the score is; losses are negated.

    Returns:
        `(key, archs [B, D]) -> scores [B]`; all are trained with the key that it is given, and -inf
        stands for a training that diverged.

    Raises:
        ValueError: as `training.train`; a measure that is not known, or of a part without images.
    """
    dataset = check_dataset(of_some(network), dataset)
    of = setup(network, as_recipe(recipe), dataset)
    _check_measure(measure, dataset)
    name = f"Estimator training of {network.space.name}"
    return make_estimator(name, _scores_by(of, measure), dataset)


# Kept by settings, so that equal estimators share compiled programs.
@functools.lru_cache(64)
def _scores_by(of: Setup, measure: Measure) -> Any:
    """Function `(data, key, archs [B, D]) -> scores [B]`."""
    function = functools.partial(_scores, of, measure)

    def make(network: Network) -> Any:
        return _scores_by(of._replace(network=network), measure)

    return by_bucket(function, of_network(of.network, make))


def _scores(of: Setup, measure: Measure, data: Dataset, key: Key, archs: jax.Array) -> jax.Array:
    """Scores `[B]` of a population, one training after the other."""
    numbers = jnp.arange(1, of.recipe.epochs + 1, dtype=jnp.int32)
    # That of `train`, so that a score is the accuracy that a training by the same key ends with.
    trainer = programs.trainer(of)

    def of_one(arch: jax.Array) -> jax.Array:
        job = Job(key, arch)
        state = trainer.init(job, data)
        state, _ = jax.lax.scan(
            lambda state, number: trainer.epoch(job, number, state, data), state, numbers
        )
        value = _signed(metrics(of, state, arch, data)[measure], measure)
        return jnp.where(jnp.isfinite(value) & (state.failed_at == 0), value, -jnp.inf)

    # Not `vmap`: a network branches on the operations of an architecture, and would compute all of
    # them for each.
    scores: jax.Array = jax.lax.map(of_one, archs)
    return scores


def objective(
    network: Network,
    dataset: Dataset,
    recipe: Recipe | str = "quick",
    key: Any = 0,
    *,
    measure: Measure = "validation_accuracy",
    out: str | Path | None = None,
    own: bool = False,
    resume: Resume = True,
) -> "TrainingObjective":
    """Objective by training, for `search.run_on_host`, that answers for any number of epochs.

    A training follows the schedule of the whole recipe and is paused after the epochs that are
    asked for; when more of them are asked for, it goes on. So the score of few epochs is that of a
    learning rate that is still high, as in the curves of NAS-Bench-201.

    Args:
        network: whose architectures they are.
        dataset: to train on.
        recipe: or the name of one; its epochs are the most that can be asked for.
        key: a key or seed, of all trainings.
        measure: what the score is; losses are negated.
        out: folder that paused trainings are kept in, for other processes and later calls; None
            keeps them in memory.
        own: whether each architecture gets a program of its own (see `training.train`).
        resume: "anyway" goes on with paused trainings although jnas or jax have changed.

    Returns:
        Function `(arch [D], epochs) -> (score, seconds)`, where 0 epochs are those of the recipe,
        and seconds those of this call. NaN stands for a training that diverged. It can be pickled
        for other processes, where nothing that it keeps in memory goes along.

    Raises:
        ValueError: as `training.train`; a measure that is not known, or of a part without images.
    """
    dataset = check_dataset(of_some(network), dataset)
    of = setup(network, as_recipe(recipe), dataset)
    _check_measure(measure, dataset)
    return TrainingObjective(
        of, dataset, as_key(key), measure, None if out is None else Path(out), own, resume
    )


class TrainingObjective:
    """Function `(arch [D], epochs) -> (score, seconds)` that trains; see `objective`."""

    def __init__(
        self,
        of: Setup,
        dataset: Dataset,
        key: Key,
        measure: Measure,
        out: Path | None,
        own: bool,
        resume: Resume = True,
    ) -> None:
        self._of, self._dataset, self._key, self._measure = of, dataset, key, measure
        self._out, self._own, self._resume = out, own, resume
        self._paused: dict[bytes, tuple[courses.Course, Checkpoint]] = {}
        self._hash: str | None = None
        self._placed: Dataset | None = None

    def __reduce__(self) -> Any:
        # Without compiled programs and states on devices, which other processes cannot use.
        words = np.asarray(jax.random.key_data(self._key))
        data = jax.tree.map(np.asarray, self._dataset)
        parts = self._of, data, words, self._measure, self._out, self._own, self._resume
        return _again, parts

    def __call__(self, arch: np.ndarray, epochs: int = 0) -> tuple[float, float]:
        """Score of an architecture after so many epochs, and the seconds that this call took."""
        begin, total = time.monotonic(), self._of.recipe.epochs
        if not 0 <= epochs <= total:
            raise ValueError(f"epochs must be in 1 … {total}, or 0 for {total}; got {epochs}")
        course = self.course(np.asarray(arch, np.int32), epochs or total)
        # The answers of a diverged network are those of chance, and would count as a score.
        if not np.isfinite(course.curves["train_loss"][: epochs or total]).all():
            return float("nan"), time.monotonic() - begin
        value = _signed(course.curves[self._measure][(epochs or total) - 1], self._measure)
        return float(value), time.monotonic() - begin

    def course(self, arch: np.ndarray, epochs: int) -> courses.Course:
        """Course of the training of an architecture `[D]` up to an epoch, or further on."""
        # Programs of all by default: a search trains each architecture for a few epochs, where
        # compiling one of its own would take longer than the training.
        of, programs_of = within(self._of, arch), programs.of_any
        if self._own:
            of, programs_of = own_setup(of, arch), programs.of_one
        program, name = programs_of(of), arch.tobytes()
        # At the first call and not before, so that an objective which is only sent to other
        # processes takes no memory of a device here.
        if self._placed is None:
            self._placed = program.place(self._dataset)
        job = Job(self._key, jnp.asarray(arch))
        # Names of folders: a few hexadecimal digits tell the architectures of a search apart, and
        # the fingerprint of each training would tell if they did not.
        place = hashlib.sha256(name).hexdigest()[:16]
        folder = None if self._out is None else self._out / place
        paused = self._paused.pop(name, None)
        course, kept = (
            paused
            if paused is not None
            else courses.restored(
                of, job, self._placed, program, folder, self._resume, digest=self._digest
            )
        )
        # A course that is further on is left as it is; the value of the epoch asked for is in its
        # curves.
        course = courses.advance(course, job, self._placed, program, until=epochs, checkpoint=kept)
        if folder is None:
            # Memory of devices is for trainings that go on now.
            self._paused[name] = course._replace(state=courses.on_host(course.state)), kept
        return course

    def _digest(self) -> str:
        """Hash of the data set, taken once."""
        if self._hash is None:
            self._hash = courses.digest_of(self._dataset)
        return self._hash


def _again(
    of: Setup,
    data: Dataset,
    words: np.ndarray,
    measure: Measure,
    out: Path | None,
    own: bool,
    resume: Resume,
) -> TrainingObjective:
    """Objective in another process."""
    return TrainingObjective(
        of, data, jax.random.wrap_key_data(jnp.asarray(words)), measure, out, own, resume
    )


def _signed(value: Any, measure: Measure) -> Any:
    """Score of a measured value: larger is better."""
    return -value if measure.endswith("loss") else value


def _check_measure(measure: Measure, dataset: Dataset) -> None:
    """ValueError where a measure is unknown, or of a part that has no images."""
    if measure not in get_args(Measure):
        raise ValueError(f"unknown measure {measure!r}. {nearest(measure, get_args(Measure))}")
    # Its mean would be NaN, which a search takes for a training that diverged, one after another.
    part = measure.partition("_")[0]
    if not len(getattr(dataset, part).y):
        raise ValueError(f"{dataset.name} has no images of {part}, which {measure} is measured on")
