"""A fit: predictors of several seeds trained on a table, and how well they rank unseen cells.

Axes beyond those of `types`: `M` test architectures.
"""

import dataclasses
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import benchmarks, metrics, predictors, spaces
from jnas.benchmarks import Table
from jnas.engine.files import earlier_facts
from jnas.predictors import Evaluation, Fitted
from jnas.predictors.recipes import as_plain
from jnas.types import Predictor

MAX_TEST = 42_362  # test architectures of GATES on NAS-Bench-101
_MIN_TEST = 10  # N@10
_NUM_LAST = 5  # epochs that Kendall's tau is averaged over, as GATES does
_NUM_POINTS = 10  # of a curve of Kendall's tau by epoch


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a fit is asked for; None stands for a default that depends on the others.

    Attributes:
        space: name of the search space.
        table: file of trained accuracies; None for the one that ships with jnas or that `JNAS_DATA` has.
        column: what is predicted; None for the space's usual accuracy, or else the table's first column.
        predictor: name of the predictor.
        num_train: training architectures: the first of the table.
        num_test: test architectures: the last of the table; None for as many as are left, at most `MAX_TEST`.
        random_split: draw both at random instead, the same for all seeds.
        seeds: trainings, which differ in everything random but that draw.
        epochs, loss, threshold: of the training; None for the predictor's own. Another loss that regresses sees
            standardised targets.
        members: more than one makes each seed an ensemble of so many trainings.
        seed: everything random follows from it.
    """

    space: str = "nasbench101"
    table: str | None = None
    column: str | None = None
    predictor: str = "gates"
    num_train: int = 381
    num_test: int | None = None
    random_split: bool = False
    seeds: int = 5
    epochs: int | None = None
    loss: str | None = None
    threshold: float | None = None
    members: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers; ValueError names the one that is wrong and what is allowed."""
        least = {"num_train": 2, "num_test": _MIN_TEST, "seeds": 1, "members": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ValueError(f"{name} must be at least {smallest}; got {value}")

    @property
    def folder_name(self) -> str:
        """A name that says what is not left to its default."""
        stem = Path(self.table).stem if self.table else ""
        parts = [
            "fit",
            self.space,
            stem if stem != self.space else "",
            self.column,
            self.predictor,
            self.loss,
        ]
        options = {"threshold": self.threshold, "epochs": self.epochs, "test": self.num_test}
        options |= {"members": self.members if self.members > 1 else None}
        parts += [f"{name}{value:g}" for name, value in options.items() if value is not None]
        parts += [
            "random" if self.random_split else "",
            f"{self.num_train}",
            f"{self.seeds}seeds",
            f"seed{self.seed}",
        ]
        return "-".join(part for part in parts if part)


class Split(NamedTuple):
    """Architectures `[B, D]` with targets `[B]` to learn from, others `[M, D]` with `[M]` to be tested on."""

    archs: np.ndarray
    targets: np.ndarray
    test_archs: np.ndarray
    test_targets: np.ndarray


class Fit(NamedTuple):
    """A finished fit.

    Attributes:
        settings: what it was asked for, with the defaults filled in.
        predictor: what was trained.
        fitted: the states, losses and metrics of `S` seeds.
        scores: `[S, M]`, of the test architectures.
        targets: `[M]`, their accuracies.
        metrics: name → `[S]`; Kendall's tau-b is a mean over the last five epochs.
        convention: what the accuracies are.
        seconds: wall time of training and evaluation, compilation included; of a training that was interrupted, only
            of its last part.
        resumed: whether it was interrupted.
    """

    settings: Settings
    predictor: Predictor
    fitted: Fitted
    scores: np.ndarray
    targets: np.ndarray
    metrics: Mapping[str, np.ndarray]
    convention: str
    seconds: float
    resumed: bool

    @property
    def tau_epochs(self) -> tuple[int, ...]:
        """Epochs that Kendall's tau is a mean over."""
        return self.fitted.epochs[-_NUM_LAST:]


def run(settings: Settings, folder: Path, resume: bool = True, progress: bool = False) -> Fit:
    """Train all seeds as one program, and measure them.

    Args:
        settings: what to do.
        folder: keeps checkpoints on the way; a finished training that is found there is taken over.
        resume: False starts anew.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown name, too few or too many architectures, or a folder of another fit.
        OSError: the table cannot be read, or the folder not be written.
    """
    predictor = make_predictor(settings)
    table = benchmarks.of_space(predictor.space, settings.table)
    column = settings.column or benchmarks.usual_column(table)
    split_key, fit_key = jax.random.split(jax.random.key(settings.seed))
    data = split(
        table,
        column,
        settings.num_train,
        settings.num_test,
        split_key if settings.random_split else None,
    )
    _check_threshold(predictor, data.targets)
    training = {
        name: value for name, value in _training(predictor).items() if name in ("epochs", "loss")
    }
    full = dataclasses.replace(settings, column=column, num_test=len(data.test_targets), **training)
    earlier = earlier_facts(folder, dataclasses.asdict(full)) if resume else {}
    checkpoint = _checkpoint(folder, resume)
    resumed, started = any(checkpoint.glob("[0-9]*")), time.monotonic()
    fitted = _fit(predictor, data, jax.random.split(fit_key, settings.seeds), checkpoint, progress)
    seconds = round(time.monotonic() - started, 2)
    scores = _scores(predictor, fitted, data.test_archs)
    return Fit(
        settings=full,
        predictor=predictor,
        fitted=fitted,
        scores=scores,
        targets=data.test_targets,
        metrics=_measure(fitted, scores, data.test_targets),
        convention=table.conventions[column],
        seconds=earlier.get("seconds", seconds),
        resumed=earlier.get("resumed", resumed),
    )


def make_predictor(settings: Settings) -> Predictor:
    """The predictor, or ensemble, that the settings name.

    Raises:
        ValueError: an unknown space, predictor or loss, or a setting that the predictor does not have.
    """
    space = spaces.by_name(settings.space)
    predictor = predictors.by_name(settings.predictor, space)
    changes = {"epochs": settings.epochs, "loss": settings.loss, "threshold": settings.threshold}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        predictor = _changed(predictor, changes)
    return predictor if settings.members == 1 else predictors.ensemble(predictor, settings.members)


def _changed(predictor: Predictor, changes: dict[str, Any]) -> Predictor:
    """The same predictor with another training."""
    options = dict(predictor.settings)
    if "training" not in options:
        raise ValueError(
            f"{predictor.name} is not trained in epochs; it has no {' and no '.join(changes)}"
        )
    training = options["training"]
    if "loss" in changes:
        plain = dataclasses.replace(training, scaling="none")
        regresses = dataclasses.replace(plain, loss=changes["loss"]).regresses
        scaling = training.scaling if training.scaling != "none" else "standard"
        changes = changes | {"scaling": scaling if regresses else "none"}
        compares = changes["loss"] == "comparator"
        if compares and "pairing" not in options:
            raise ValueError(f"{predictor.name} cannot be trained as a comparator; gates can")
        options |= {"pairing": "diff"} if compares else {}
    options["training"] = dataclasses.replace(training, **changes)
    return predictors.by_name(predictor.name, predictor.space, **options)


def split(
    table: Table,
    column: str,
    num_train: int,
    num_test: int | None = None,
    key: jax.Array | None = None,
) -> Split:
    """Training rows from the front of a table and test rows from its end, or both drawn with a key.

    Rows without a measurement are left out first.

    Raises:
        ValueError: no such column, or fewer rows than are asked for.
    """
    accuracy = table.column(column)
    rows = np.flatnonzero(np.isfinite(accuracy))
    left = len(rows) - num_train
    wanted = num_test if num_test is not None else min(max(left, _MIN_TEST), MAX_TEST)
    if wanted > left:
        asked = f"{num_train:,} training and {'at least ' if num_test is None else ''}{wanted:,} test architectures"
        raise ValueError(
            f"{table.source} has {len(rows):,} rows with a {column}, too few for {asked}"
        )
    order = rows if key is None else rows[np.asarray(jax.random.permutation(key, len(rows)))]
    train, test = order[:num_train], order[-wanted:]
    return Split(table.archs[train], accuracy[train], table.archs[test], accuracy[test])


def _training(predictor: Predictor) -> dict[str, Any]:
    """The fields of `predictors.Training` of a predictor or of an ensemble's members; empty where there is none."""
    settings = as_plain(dict(predictor.settings.get("member_settings", predictor.settings)))
    return dict(settings.get("training", {}))


def _check_threshold(predictor: Predictor, targets: np.ndarray) -> None:
    """ValueError if a classification would have a single class."""
    training = _training(predictor)
    above = targets > training.get("threshold", 0)
    if training.get("loss") == "classification" and (above.all() or not above.any()):
        which = "above" if above.all() else "at or below"
        raise ValueError(
            f"all {len(targets)} training architectures are {which} the threshold {training['threshold']:g} of the "
            f"classification (they lie in {targets.min():.4g} … {targets.max():.4g}); choose one with --threshold"
        )


def _checkpoint(folder: Path, resume: bool) -> Path:
    """Where checkpoints are kept; those of an earlier training are removed unless it goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint"
    if not resume:
        for step in path.glob("[0-9]*"):
            shutil.rmtree(step)
    return path


def _fit(
    predictor: Predictor, data: Split, keys: jax.Array, checkpoint: Path, progress: bool
) -> Fitted:
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
        progress=progress,
    )
    return fitted


def _scores(predictor: Predictor, fitted: Fitted, archs: np.ndarray) -> np.ndarray:
    """`[S, M]`."""
    rows, num = jnp.asarray(archs), jax.tree.leaves(fitted.states)[0].shape[0]
    return np.stack(
        [
            np.asarray(predictor.predict(predictors.state(fitted.states, s), rows))
            for s in range(num)
        ]
    )


def _measure(fitted: Fitted, scores: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Name → `[S]`."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return {
        "kendall_tau": fitted.metrics["kendall_tau"][:, -_NUM_LAST:].mean(axis=1),
        **{
            f"n_at_{k}": np.array([int(metrics.best_rank_at_k(row, targets, k)) for row in scores])
            for k in (5, 10)
        },
        "best_of_top_10": targets[top].max(axis=1),
    }
