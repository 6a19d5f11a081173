"""Fits of predictors, run from the host: checks, blocks of epochs, progress and checkpoints.

`fit_many` trains `S` predictors as one program; `fit` is the same with `S = 1`. Between blocks the
whole state can be kept by Orbax, and a job that was killed goes on from there with the same result.
"""

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
from jnas.predictors import checks
from jnas.predictors import fit as training_loop
from jnas.predictors.fit import Data, Job, Metric
from jnas.predictors.prediction import Recipe
from jnas.types import Key, Predictor, Space


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

    Raises:
        ValueError: as `fit_many`; a key or architectures of another form.
    """
    # By the code of many: a training is the same alone.
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
        ValueError: as `checks.training_sets`; keys that do not fit; a classification with a single
            class in a training set (`checks.OneClassError`); epochs of the evaluation out of range,
            or a test set that does not fit; a checkpoint of another job, or one that other code has
            begun.
    """
    checked = checks.training_sets(space, archs, targets, where)
    data = Data(as_keys(keys, checked[1].shape[:1]), *checked)
    checks.check_classes(recipe.training, np.asarray(data.targets), np.asarray(data.where))
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
    checks.raise_beyond(np.atleast_2d(targets))
    # Types that programs have, whatever the test set is stored as.
    return jnp.asarray(archs, jnp.int32), jnp.asarray(targets, jnp.float32)


def measure(
    predictor: Predictor, states: Any, evaluation: Evaluation | None
) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Metrics `[S, 1]` of fitted predictors that are not measured on the way; the epoch is 0.

    Args:
        predictor: of any kind.
        states: of `S` of its trainings.
        evaluation: what to measure, or None.

    Raises:
        ValueError: the test set does not fit.
    """
    return measure_by(predictor.predict, states, evaluation)


def measure_by(
    predict: Callable[[Any, jax.Array], jax.Array], states: Any, evaluation: Evaluation | None
) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Metrics and epochs as of `measure`, for predictors in the making."""
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
