"""Fits of predictors, run from the host: checks, blocks of epochs, progress and checkpoints.

`fit_many` trains `S` predictors as one program; `fit` is the same with `S = 1`. Between blocks the
whole state can be kept by Orbax, and a job that was killed goes on from there with the same result.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas import _renamed, metrics
from jnas.engine.devices import Batching
from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_archs, as_key, as_keys
from jnas.engine.trainings import train
from jnas.predictors import fit as training_loop
from jnas.predictors.fit import Data, Job, Metric
from jnas.predictors.prediction import Recipe
from jnas.predictors.training import Training
from jnas.types import Key, Space


class Evaluation(NamedTuple):
    """Evaluation of trainings: the test set, the epochs and the metrics.

    Attributes:
        archs: `[M, D]` int32, or `[S, M, D]` for each training's own.
        targets: `[M]` or `[S, M]`.
        epochs: after which epochs, from 1; None for the last five, as GATES averages them.
        metrics: name → `(scores [M], targets [M]) -> []`.
    """

    archs: ArrayLike
    targets: ArrayLike
    epochs: tuple[int, ...] | None = None
    metrics: Mapping[str, Metric] = {"kendall_tau": metrics.kendall_tau}


class Fitted(NamedTuple):
    """Fitted predictors, `S` of them, with losses and metrics of their trainings.

    Attributes:
        states: of the predictor, each array with a leading axis `S`; `state(fitted.states, s)` is
            one of them.
        losses: `[S, epochs]` mean training loss of each epoch.
        metrics: name → `[S, len(epochs)]`.
        epochs: after which the metrics were taken.
    """

    states: Any
    losses: np.ndarray
    metrics: dict[str, np.ndarray]
    epochs: tuple[int, ...]


def state(states: Any, number: int) -> Any:
    """State of one predictor, the `number`-th of `Fitted.states`."""
    return jax.tree.map(lambda x: x[number], states)


def fit_one(
    fit_many: Callable[..., Fitted], key: Key, archs: Any, targets: Any, **options: Any
) -> Any:
    """State of a single training, by the `fit_many` of a predictor; host only.

    Args:
        fit_many: trains any number of them.
        key: consumed.
        archs: `[B, D]` integers.
        targets: `[B]`, higher is better.
        options: of `fit_many`.
    """
    keys, rows = jnp.expand_dims(as_key(key), 0), as_archs(np.asarray(archs))
    return state(fit_many(keys, rows[None], np.asarray(targets)[None], **options).states, 0)


def predict_each(
    predict: Callable[[Any, jax.Array], jax.Array],
) -> Callable[[Any, jax.Array], jax.Array]:
    """Function `predict_many` of a predictor whose states share no work: one after the other.

    It takes states with a leading axis `S` and archs `[B, D]`, and returns scores `[S, B]`.
    """

    def predict_many(states: Any, archs: jax.Array) -> jax.Array:
        # Not `vmap`: the memory is that of one state at a time.
        scores: jax.Array = jax.lax.map(lambda state: predict(state, archs), states)
        return scores

    return jax.jit(predict_many)


def check(
    space: Space, archs: ArrayLike, targets: ArrayLike, where: ArrayLike | None = None
) -> tuple[Any, ...]:
    """Training sets as checked arrays.

    Returns:
        archs `[S, B, D]` int32, targets `[S, B]` float32 (0 in padding), where `[S, B]` bool.

    Raises:
        ValueError: shapes do not fit; a target is not finite, or beyond float32; fewer than two
            different targets in a training set; an architecture is invalid, or repeated in a
            training set. The message names rows, counted from 0.
    """
    # On the host: messages name rows, which a traced check could not.
    rows, wide = np.asarray(archs), np.asarray(targets, np.float64)
    num = len(space.cardinalities)
    if rows.ndim != 3 or rows.shape[-1] != num or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"archs must be [S, B, {num}] integers of {space.name}; got {rows.dtype} {rows.shape}"
        )
    if wide.shape != rows.shape[:2]:
        raise ValueError(f"targets must be {rows.shape[:2]} like archs; got {wide.shape}")
    # Rules for targets and architectures hold for what exists: padding may be anything.
    exists = np.ones(wide.shape, bool) if where is None else np.asarray(where)
    if exists.shape != wide.shape or exists.dtype != bool:
        raise ValueError(
            f"where must be bool of shape {wide.shape}; got {exists.dtype} {exists.shape}"
        )
    values = narrowed(wide, exists)
    # One call for all sets, so that a space is compiled once a shape.
    flat = jnp.asarray(rows.reshape(-1, num), jnp.int32)
    valid, codes = _identify(space)(flat)
    _raise_for(
        f"architectures that are not valid in {space.name}",
        ~np.asarray(valid).reshape(values.shape) & exists,
    )
    # Codes become small numbers once, by which each set is then searched.
    numbers = np.unique(np.asarray(codes), axis=0, return_inverse=True)[1].reshape(values.shape)
    _raise_for("architectures that occur twice in a training set", _repeated(numbers, exists))
    for number, (row, keep) in enumerate(zip(values, exists, strict=True)):
        # Two different ones are what a scale, a pair and a split of a tree need.
        if len(np.unique(row[keep])) < 2:
            raise ValueError(
                f"training set {number} needs at least two architectures with different targets, "
                "as float32 tells them apart"
            )
    # Zeros in padding, which may hold NaN: in gradients 0 · NaN is NaN.
    return flat.reshape(*rows.shape), jnp.asarray(values), jnp.asarray(exists)


def narrowed(targets: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """Targets `[S, B]` float32, as programs hold them, and 0 where `exists` `[S, B]` is False.

    Raises:
        ValueError: a target that exists is not finite, or beyond float32; the message names rows.
    """
    _raise_for("targets that are not finite", ~np.isfinite(targets) & exists)
    known = np.where(exists, targets, 0)
    _raise_beyond(known)
    values = known.astype(np.float32)
    # Programs take smaller numbers for 0; that makes ties, which are counted later.
    return np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values)


def _raise_beyond(targets: np.ndarray) -> None:
    """ValueError that names rows whose finite targets `[S, B]` are beyond float32."""
    # A quarter of the largest number, for differences and sums of two of them are taken, too.
    most = np.finfo(np.float32).max / 4
    large = np.isfinite(targets) & (np.abs(targets) > most)
    _raise_for(f"targets beyond {most:.2g}, which must be rescaled", large)


@functools.cache
def _identify(space: Space) -> Callable[[jax.Array], Any]:
    """Compiled `archs [B, D] -> (valid [B], code [B, W])` of a space."""
    return jax.jit(jax.vmap(lambda arch: (space.is_valid(arch), space.code(arch))))


def _repeated(numbers: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """Mask `[S, B]` of rows whose number an earlier row of the same set has."""
    result = np.zeros(numbers.shape, bool)
    for row, keep, out in zip(numbers, exists, result, strict=True):
        places = np.flatnonzero(keep)
        _, first = np.unique(row[places], return_index=True)
        # `np.unique` gives the first of equals; all others are repetitions.
        out[np.delete(places, first)] = True
    return result


def _raise_for(what: str, wrong: np.ndarray) -> None:
    """ValueError that names up to five of the rows where `wrong` `[S, B]` is True, if any is."""
    if wrong.any():
        rows = [
            f"{row} of set {number}" if len(wrong) > 1 else str(row)
            for number, row in np.argwhere(wrong)
        ]
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        raise ValueError(f"{what}: rows {', '.join(rows[:5])}{more}")


class OneClassError(ValueError):
    """Classification of targets `[N]` in a training set that all lie on one side of a threshold."""

    def __init__(self, targets: np.ndarray, threshold: float, sign: int = 1) -> None:
        """Error in the unit of `sign` times the targets."""
        super().__init__(targets, threshold, sign)  # as an error is pickled, for executors
        self.targets, self.threshold, self.sign = targets, threshold, sign

    def __str__(self) -> str:
        """Sentence on where the targets lie, and what to do."""
        names = ("above", "at or below") if self.sign > 0 else ("below", "at or above")
        which = names[0] if self.targets[0] > self.threshold else names[1]
        shown = self.sign * self.targets
        return (
            f"all {len(shown)} training architectures are {which} the threshold "
            f"{self.sign * self.threshold:g} of the classification (they lie in "
            f"{shown.min():.4g} … {shown.max():.4g}); choose another threshold"
        )

    def negated(self) -> "OneClassError":
        """Same error in the unit of values of which the targets are the negative ones."""
        return OneClassError(self.targets, self.threshold, -self.sign)


@_renamed.arguments(values={True: "vmap", False: "map"}, vectorise="batching")
def fit_many(
    space: Space,
    recipe: Recipe,
    keys: Key,
    archs: ArrayLike,
    targets: ArrayLike,
    *,
    where: ArrayLike | None = None,
    evaluation: Evaluation | None = None,
    checkpoint: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
    batching: Batching | None = None,
) -> Fitted:
    """Fitted predictors of `S` keys and training sets, as one job.

    Args:
        space: whose architectures they are.
        recipe: what is trained and how.
        keys: `[S]`, all that is random in each training.
        archs: `[S, B, D]` integers.
        targets: `[S, B]`, higher is better.
        where: `[S, B]` bool, False for padding: training sets of any size share a compiled program.
        evaluation: what to measure on the way.
        checkpoint: folder that keeps the job from time to time, and from which it goes on.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.
        batching: train side by side ("vmap") or one after the other on each device ("map"); None
            takes what is faster on the backend.

    Returns:
        `Fitted`. It does not depend on the number of devices, and each training not on the others.

    Raises:
        ValueError: as `check` says; keys that do not fit; a classification with a single class in a
            training set; epochs of the evaluation out of range, or a test set that does not fit; a
            checkpoint of another job, or one that other code has begun.
    """
    checked = check(space, archs, targets, where)
    data = Data(as_keys(keys, checked[1].shape[:1]), *checked)
    _check_classes(recipe.training, np.asarray(data.targets), np.asarray(data.where))
    test, epochs, measures = _evaluation(recipe, evaluation, data.targets.shape[0])
    # What all trainings share is one copy on each device; a copy for each training could be large.
    is_own = [x.ndim > rank for x, rank in zip(test, (2, 1), strict=False)]
    own = tuple(x if mine else None for x, mine in zip(test, is_own, strict=True))
    common = tuple(None if mine else x for x, mine in zip(test, is_own, strict=True))
    # Own test sets travel with the jobs, which are rows; the shared one does not.
    run = train(
        training_loop.trainer(recipe, tuple(measures.items())),
        Job(data, own),
        common,
        epochs=epochs,
        batching=batching,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
    )
    return Fitted(run.results, run.losses, run.metrics, run.epochs)


def _check_classes(training: Training, targets: np.ndarray, where: np.ndarray) -> None:
    """ValueError if a classification would have a single class in one of the training sets."""
    if training.loss != "classification":
        return
    for row, keep in zip(targets, where, strict=True):
        known = row[keep]
        above = known > training.threshold
        if above.all() or not above.any():
            raise OneClassError(known, training.threshold)


def _evaluation(
    recipe: Recipe, evaluation: Evaluation | None, num: int
) -> tuple[tuple[jax.Array, ...], tuple[int, ...], dict[str, Metric]]:
    """Test set, epochs and metrics of an evaluation; all are empty without one."""
    if evaluation is None:
        return (), (), {}
    total = recipe.training.epochs
    # The last five, over which GATES averages; fewer where there are no five.
    epochs = evaluation.epochs or tuple(range(max(total - 4, 1), total + 1))
    if not set(epochs) <= set(range(1, total + 1)):
        raise ValueError(f"evaluation epochs must be in 1 … {total}; got {epochs}")
    return _test_set(evaluation, num), tuple(sorted(set(epochs))), dict(evaluation.metrics)


def _test_set(evaluation: Evaluation, num: int) -> tuple[jax.Array, jax.Array]:
    """Architectures `[M, D]` or `[S, M, D]` int32 and targets to fit, float32, for `num` trainings.

    Raises:
        ValueError: the shapes do not fit, or a target is beyond float32.
    """
    archs, targets = np.asarray(evaluation.archs), np.asarray(evaluation.targets, np.float64)
    is_each = archs.ndim == 3 and archs.shape[0] == num
    if archs.shape[:-1] != targets.shape or not (archs.ndim == 2 or is_each):
        raise ValueError(
            f"evaluation needs archs [M, D] or [S, M, D] and targets to fit; got {archs.shape}"
            f" and {targets.shape} for S = {num}"
        )
    _raise_beyond(np.atleast_2d(targets))
    return jnp.asarray(archs, jnp.int32), jnp.asarray(targets, jnp.float32)


def measure(
    predict: Callable[[Any, jax.Array], jax.Array], states: Any, evaluation: Evaluation | None
) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Metrics `[S, 1]` of fitted predictors that are not measured on the way; the epoch is 0.

    Args:
        predict: of a predictor.
        states: of `S` of its trainings.
        evaluation: what to measure, or None.

    Raises:
        ValueError: the test set does not fit.
    """
    if evaluation is None:
        return {}, ()
    num = jax.tree.leaves(states)[0].shape[0]
    archs, targets = _test_set(evaluation, num)
    result: dict[str, list[float]] = {name: [] for name in evaluation.metrics}
    # One after the other: test sets may differ, and a metric is any function.
    for number in range(num):
        rows, values = (archs, targets) if archs.ndim == 2 else (archs[number], targets[number])
        scores = predict(state(states, number), rows)
        for name, metric in evaluation.metrics.items():
            result[name].append(float(metric(scores, values)))
    return {name: np.array(values)[:, None] for name, values in result.items()}, (0,)
