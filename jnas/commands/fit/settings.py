"""Settings of a fit: the options of `jnas fit`, and the predictor that they describe."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Group, Parameter

from jnas import predictors, spaces
from jnas.commands.options import (
    FLAG,
    TASK,
    Column,
    DuplicateRows,
    Minimize,
    Seed,
    SpaceName,
    TableFile,
    at_least,
    check_seed,
    command_line,
    default,
    joined,
    option_label,
    table_labels,
)
from jnas.predictors.recipes import as_plain
from jnas.predictors.training import LossName
from jnas.types import Predictor

MAX_TEST = 42_362  # test architectures of GATES on NAS-Bench-101, a tenth of the space
MIN_TEST = 10  # for N@10, which is among the metrics
TRAINING = Group("Training", sort_key=1)
_OWN = default("the predictor's own")


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a fit; None stands for a default that depends on the others."""

    space: SpaceName = "nasbench201"
    table: TableFile = None
    column: Column = None
    minimize: Minimize = None
    duplicates: DuplicateRows = "refuse"
    predictor: Annotated[
        str, Parameter(help=f"What is trained: {', '.join(predictors.NAMES)}.")
    ] = "gates"
    # GATES' 0.1 % of its 381,262 training architectures.
    num_train: int = 381
    """Training architectures, from the front of the table."""
    num_test: Annotated[
        int | None, Parameter(show_default=default(f"all left, at most {MAX_TEST:,}"))
    ] = None
    """Test architectures, from its end."""
    random_split: Annotated[bool, FLAG] = False
    """Draw both at random, the same for all seeds."""
    seed: Seed = 0
    seeds: Annotated[int, Parameter(group=TRAINING)] = 5
    """Trainings, as one program; they differ in everything random but the split."""
    members: Annotated[int, Parameter(group=TRAINING)] = 1
    """Trainings that vote as one ensemble, for each seed."""
    epochs: Annotated[int | None, Parameter(group=TRAINING, show_default=_OWN)] = None
    """Epochs of each training."""
    loss: Annotated[
        str | None,
        Parameter(group=TRAINING, help=f"{', '.join(get_args(LossName))}.", show_default=_OWN),
    ] = None
    threshold: Annotated[float | None, Parameter(group=TRAINING, show_default=_OWN)] = None
    """Of the loss classification, in the unit of the column."""

    def __post_init__(self) -> None:
        """Check the numbers; ValueError names the one that is wrong and what is allowed."""
        # Two, for one architecture has no ranking to learn.
        at_least({"num_train": 2, "num_test": MIN_TEST, "seeds": 1, "members": 1}, self)
        check_seed(self.seed)

    @property
    def folder_name(self) -> str:
        """Name of a run folder, which says what is not left to its default."""
        stem = Path(self.table).stem if self.table else ""
        parts = [
            "fit",
            self.space,
            stem if stem != self.space else "",
            self.column,
            *table_labels(self.minimize, self.duplicates),
            self.predictor,
            self.loss,
        ]
        options = {"threshold": self.threshold, "epochs": self.epochs, "test": self.num_test}
        options |= {"members": self.members if self.members > 1 else None}
        parts += [option_label(name, value) for name, value in options.items() if value is not None]
        parts += [
            "random" if self.random_split else "",
            f"{self.num_train}",
            f"{self.seeds}seeds",
            f"seed{self.seed}",
        ]
        return joined(*parts)

    def facts(self) -> dict[str, Any]:
        """Settings by name, for JSON."""
        return dataclasses.asdict(self)

    def command_line(self) -> str:
        """Command that makes these settings, for a shell."""
        return command_line("fit", self.facts(), Settings().facts())


def make_predictor(settings: Settings, minimize: bool = False) -> Predictor:
    """Predictor, or ensemble, that the settings name.

    Where the column is better when smaller, it learns negative values, larger for better.

    Raises:
        ValueError: an unknown space, predictor or loss, or a setting the predictor does not have.
    """
    space = spaces.by_name(settings.space)
    predictor = predictors.by_name(settings.predictor, space)
    threshold = settings.threshold
    if minimize and threshold is not None:
        # With the targets: the class "good" is above the threshold only where larger is better.
        threshold = -threshold
    changes = {"epochs": settings.epochs, "loss": settings.loss, "threshold": threshold}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        predictor = _changed(predictor, changes)
    return predictor if settings.members == 1 else predictors.ensemble(predictor, settings.members)


def _changed(predictor: Predictor, changes: dict[str, Any]) -> Predictor:
    """Predictor like the given one, with another training; ValueError if it has no such setting."""
    options = dict(predictor.settings)
    if "training" not in options:
        raise ValueError(
            f"{predictor.name} is not trained in epochs; it has no {' and no '.join(changes)}"
        )
    training = options["training"]
    if "loss" in changes:
        # Scaled targets go with regressions only, and `Training` checks that: both change together.
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


def training_of(predictor: Predictor) -> dict[str, Any]:
    """Fields of `predictors.Training` of a predictor or of an ensemble's members, or nothing."""
    # An ensemble has no training of its own; its members share one.
    settings = as_plain(dict(predictor.settings.get("member_settings", predictor.settings)))
    return dict(settings.get("training", {}))
