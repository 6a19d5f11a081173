"""Fits: predictors of several seeds trained on a table, and how well they rank unseen cells.

Axes beyond those of `types`: `M` test architectures.
"""

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import metrics, predictors
from jnas.benchmarks import Table
from jnas.commands import folder as folders
from jnas.commands.estimators import Materials
from jnas.commands.fit.settings import MAX_TEST, MIN_TEST, Settings, make_predictor, training_of
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.predictors import Evaluation, Fitted
from jnas.predictors.checks import OneClassError
from jnas.predictors.recipes import as_plain
from jnas.types import Predictor

_NUM_LAST = 5  # epochs that Kendall's tau is averaged over, as GATES does
_NUM_POINTS = 10  # of a curve of Kendall's tau by epoch


class Split(NamedTuple):
    """Split of a table: `[B, D]` with targets `[B]` to learn from, `[M, D]` with `[M]` to test.

    Of a column that is better when smaller the targets are the negative values.
    """

    archs: np.ndarray
    targets: np.ndarray
    test_archs: np.ndarray
    test_targets: np.ndarray


class Fit(NamedTuple):
    """Result of a finished fit.

    Attributes:
        settings: what it was asked for, with the defaults filled in.
        predictor: what was trained.
        fitted: the states, losses and metrics of `S` seeds.
        scores: `[S, M]`, of the test architectures.
        targets: `[M]`, their accuracies, larger for better.
        minimize: whether the accuracies are better when smaller: `targets` are then negative ones.
        metrics: name → `[S]`; Kendall's tau-b is a mean over the last five epochs.
        convention: what the accuracies are.
        seconds: wall time of training and evaluation, compilation included; of a training that was
            interrupted, only of its last part.
        resumed: whether it was interrupted.
        fingerprint: of the job, and of the code that ran it.
    """

    settings: Settings
    predictor: Predictor
    fitted: Fitted
    scores: np.ndarray
    targets: np.ndarray
    minimize: bool
    metrics: Mapping[str, np.ndarray]
    convention: str
    seconds: float
    resumed: bool
    fingerprint: Mapping[str, Any]

    @property
    def tau_epochs(self) -> tuple[int, ...]:
        """Epochs that Kendall's tau is a mean over."""
        return self.fitted.epochs[-_NUM_LAST:]


def run(settings: Settings, folder: Path, resume: Resume = True, progress: bool = False) -> Fit:
    """Result of a fit: all seeds trained as one program, and measured.

    Args:
        settings: what to do.
        folder: keeps checkpoints on the way; a finished training that is found there is taken over.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown name, too few or too many architectures, or a folder of another fit.
        OSError: the table cannot be read, or the folder not be written.
    """
    space = make_predictor(settings).space  # what is wrong with the settings is said first
    table, column = Materials.of(settings).read(space)
    minimize = table.minimizes(column)
    predictor = make_predictor(settings, minimize)
    # Split whether or not the rows are drawn, so that trainings have the same keys in both cases.
    split_key, fit_key = jax.random.split(jax.random.key(settings.seed))
    draws = split_key if settings.random_split else None
    data = split(table, column, settings.num_train, settings.num_test, draws)
    full = _filled(settings, column, data, predictor)
    keys = jax.random.split(fit_key, settings.seeds)
    recipe = as_plain(dict(predictor.settings))
    job = fingerprint(full.facts(), recipe, data, keys)
    earlier = folders.earlier_facts(folder, job, resume)
    checkpoint = folder / "checkpoint"
    # Looked up before training starts; Orbax names what it keeps by numbers.
    resumed = resume is not False and any(checkpoint.glob("[0-9]*"))
    started = time.monotonic()
    # The checkpoint stays when all is done: nothing else has the states of all seeds and what was
    # measured on the way, which the same command given again takes over.
    with folders.begun(folder, earlier):
        try:
            fitted = _fit(predictor, data, keys, checkpoint, resume, progress)
        # The library speaks of targets, and whoever runs a fit of the column.
        except OneClassError as error:
            raise (error.negated() if minimize else error) from None
    seconds = round(time.monotonic() - started, 2)
    scores = _scores(predictor, fitted, data.test_archs)
    return Fit(
        settings=full,
        predictor=predictor,
        fitted=fitted,
        scores=scores,
        targets=data.test_targets,
        minimize=minimize,
        metrics=_measure(fitted, scores, data.test_targets, minimize),
        convention=table.conventions[column],
        # A finished training that was only read again has taken what it took then.
        seconds=earlier.get("seconds", seconds),
        resumed=earlier.get("resumed", resumed),
        fingerprint=earlier["fingerprint"],
    )


def _filled(settings: Settings, column: str, data: Split, predictor: Predictor) -> Settings:
    """Settings with every default that is used."""
    own = {k: v for k, v in training_of(predictor).items() if k in ("epochs", "loss")}
    return dataclasses.replace(settings, column=column, num_test=len(data.test_targets), **own)


def split(
    table: Table,
    column: str,
    num_train: int,
    num_test: int | None = None,
    key: jax.Array | None = None,
) -> Split:
    """Split into rows from the front of a table and test rows from its end, or drawn with a key.

    Rows without a measurement are left out first.

    Raises:
        ValueError: no such column, or fewer rows than are asked for.
    """
    accuracy = (-1 if table.minimizes(column) else 1) * table.column(column)
    rows = np.flatnonzero(np.isfinite(accuracy))
    left = len(rows) - num_train
    wanted = num_test if num_test is not None else min(max(left, MIN_TEST), MAX_TEST)
    if wanted > left:
        asked = (
            f"{num_train:,} training and {'at least ' if num_test is None else ''}{wanted:,} "
            "test architectures"
        )
        raise ValueError(
            f"{table.source} has {len(rows):,} rows of known {column}, too few for {asked}"
        )
    order = rows if key is None else rows[np.asarray(jax.random.permutation(key, len(rows)))]
    train, test = order[:num_train], order[-wanted:]
    return Split(table.archs[train], accuracy[train], table.archs[test], accuracy[test])


def _fit(
    predictor: Predictor,
    data: Split,
    keys: jax.Array,
    checkpoint: Path,
    resume: Resume,
    progress: bool,
) -> Fitted:
    """States of all seeds, with metrics on a curve of epochs and after each of the last five."""
    training = predictor.settings.get("training")
    epochs = None
    if training is not None:
        total = training.epochs
        curve = {math.ceil(total * part / _NUM_POINTS) for part in range(1, _NUM_POINTS + 1)}
        epochs = tuple(sorted(curve | set(range(max(total - _NUM_LAST, 0) + 1, total + 1))))
    fitted: Fitted = predictor.fit_many(
        keys,
        np.repeat(data.archs[None], len(keys), 0),
        np.repeat(data.targets[None], len(keys), 0),
        evaluation=Evaluation(data.test_archs, data.test_targets, epochs=epochs),
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
    )
    return fitted


def _scores(predictor: Predictor, fitted: Fitted, archs: np.ndarray) -> np.ndarray:
    """Scores `[S, M]` of `archs` `[M, D]` by every seed."""
    rows, num = jnp.asarray(archs), jax.tree.leaves(fitted.states)[0].shape[0]
    return np.stack(
        [
            np.asarray(predictor.predict(predictors.state(fitted.states, s), rows))
            for s in range(num)
        ]
    )


def _measure(
    fitted: Fitted, scores: np.ndarray, targets: np.ndarray, minimize: bool
) -> dict[str, np.ndarray]:
    """Metrics by name, `[S]` each."""
    # Stable, so that equal scores keep the order of the table.
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return {
        "kendall_tau": fitted.metrics["kendall_tau"][:, -_NUM_LAST:].mean(axis=1),
        **{
            f"n_at_{k}": np.array([int(metrics.best_rank_at_k(row, targets, k)) for row in scores])
            for k in (5, 10)
        },
        "best_of_top_10": (-1 if minimize else 1) * targets[top].max(axis=1),
    }
