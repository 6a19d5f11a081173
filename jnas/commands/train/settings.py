"""Settings of a training: the options of `jnas train`, and defaults that follow from the images."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from jnas import data, search, training
from jnas.commands import networks
from jnas.commands.options import (
    FLAG,
    TASK,
    Seed,
    above_zero,
    at_least,
    check_seed,
    command_line,
    default,
    joined,
    option_label,
)
from jnas.commands.search import strategies
from jnas.commands.search.strategies import Plain
from jnas.engine.messages import argument, setting
from jnas.training import Recipe
from jnas.types import Dataset, Network

CANDIDATES, BUDGET = 200, 20
# Of a space of sizes: each training has a program of its own, which takes long to compile.
_OF_SIZES = {"candidates": 40, "trained": 4}
TRAINED = (1, 4, 16, 64)  # powers of what a rung of successive halving divides by
SHARE = 4  # trainings of a strategy take one of so many of the epochs
_STEPS = 1200  # of a training by "quick" at least, in epochs of a few images

NETWORK = Group("The network", sort_key=1)
CHOICE = Group("The choice of its architecture", sort_key=2)
TRAINING = Group("The training", sort_key=2)
_NO_LIMIT, _OWN = default("no limit"), default("the recipe's own")


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a training; None is a default that depends on the others, or no limit."""

    images: Annotated[
        str,
        Parameter(
            help=f"A folder with a folder of images for each class, {', '.join(data.NAMES)}, or an "
            ".npz file with x [N, H, W, C] and y [N]."
        ),
    ] = "digits"
    size: Annotated[int | None, Parameter(show_default=default("8 to 32, by the images"))] = None
    """Pixels on a side that images are resized to, a multiple of 4."""
    validation: float = 0.15
    """Fraction of the images, or how many, to choose by, where the source has none of its own."""
    test: float = 0.15
    """Likewise for the test."""
    stretch: Annotated[bool, FLAG] = False
    """Stretch images that are not square; else what is over at both ends is lost."""
    strict: Annotated[bool, FLAG] = False
    """Refuse images that would be skipped or are in two classes or parts."""
    seed: Seed = 0
    minutes: Annotated[float | None, Parameter(show_default=_NO_LIMIT)] = None
    """Time for everything; what does not fit is cut, first candidates, then epochs."""
    space: Annotated[
        str, Parameter(group=NETWORK, help=f"Search space: {', '.join(networks.NAMES)}.")
    ] = "nasbench201"
    channels: Annotated[
        int | None,
        Parameter(group=NETWORK, show_default=default("8 up to 16 pixels on a side, else 16")),
    ] = None
    """Channels of the first stage."""
    cells: Annotated[
        int | None,
        Parameter(
            group=NETWORK, show_default=default("1, 3 from 5,000 images on, 5 from 25,000 on")
        ),
    ] = None
    """Cells a stage."""
    stages: Annotated[int | None, Parameter(group=NETWORK, show_default=default("3"))] = None
    """Stages; from one to the next images are halved and channels doubled."""
    arch: Annotated[str | None, Parameter(group=CHOICE, show_default=default("choose one"))] = None
    """Architecture to train, as jnas search names it."""
    from_run: Annotated[
        Path | None, Parameter(name="--from", group=CHOICE, show_default=default("none"))
    ] = None
    """Run folder of jnas search, whose best architecture is trained."""
    strategy: Annotated[
        str | None,
        Parameter(
            group=CHOICE,
            help=f"Search by real trainings: {', '.join(search.NAMES)}.",
            show_default=default("score candidates untrained, train the best of them"),
        ),
    ] = None
    budget: Annotated[
        int | None, Parameter(group=CHOICE, show_default=default(f"{BUDGET}, or 2 populations"))
    ] = None
    """Trainings of the strategy."""
    candidates: Annotated[
        int | None,
        Parameter(
            group=CHOICE,
            show_default=default(f"{CANDIDATES}; of nds_* {_OF_SIZES['candidates']}"),
        ),
    ] = None
    """Architectures to draw at random and to score untrained."""
    trained: Annotated[
        int | None,
        Parameter(group=CHOICE, show_default=default(f"16; of nds_* {_OF_SIZES['trained']}")),
    ] = None
    """How many of the best of them are trained shortly; a quarter goes on, and so on."""
    max_params: Annotated[int | None, Parameter(group=CHOICE, show_default=_NO_LIMIT)] = None
    """Parameters of the largest network allowed."""
    max_flops: Annotated[
        float | None,
        Parameter(
            group=CHOICE,
            show_default=default(
                "no limit; of nds_* by the images, where there are no other limits"
            ),
        ),
    ] = None
    """Its multiply-accumulate operations for an image."""
    max_latency_ms: Annotated[float | None, Parameter(group=CHOICE, show_default=_NO_LIMIT)] = None
    """Milliseconds it takes for one image alone, measured on this machine."""
    recipe: Annotated[str, Parameter(group=TRAINING, help=f"{', '.join(training.RECIPES)}.")] = (
        "quick"
    )
    epochs: Annotated[
        int | None,
        Parameter(
            group=TRAINING,
            show_default=default(
                f"the recipe's own; of quick enough for {_STEPS} steps, {_STEPS // 2} of few images"
            ),
        ),
    ] = None
    """Passes over the training images."""
    batch_size: Annotated[
        int | None,
        Parameter(
            group=TRAINING,
            show_default=default(
                f"the recipe's own; of quick {networks.SMALL_BATCH} below {networks.FEW} images"
            ),
        ),
    ] = None
    """Images a step."""
    learning_rate: Annotated[float | None, Parameter(group=TRAINING, show_default=_OWN)] = None
    """Learning rate after the warm-up."""
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, Parameter(group=TRAINING, show_default=_OWN)
    ] = None
    """Numbers that are computed with."""
    options: Annotated[dict[str, Plain], Parameter(parse=False)] = dataclasses.field(
        default_factory=dict
    )
    """Those of the strategy, by name."""

    def __post_init__(self) -> None:
        """Check the numbers and what goes together; ValueError names what is allowed."""
        names = ("channels", "cells", "stages", "budget", "candidates", "epochs", "batch_size")
        at_least(dict.fromkeys((*names, "max_params"), 1), self)
        check_seed(self.seed)
        above_zero(("max_flops", "max_latency_ms", "minutes", "learning_rate"), self)
        # Others would leave rungs with a part of an architecture.
        if self.trained not in (None, *TRAINED):
            allowed = ", ".join(map(str, TRAINED))
            raise ValueError(f"{setting('trained')} must be one of {allowed}; got {self.trained}")
        self._check_choice()

    def _check_choice(self) -> None:
        """Check that the architecture is chosen in one way; ValueError says what does not go."""
        ways = {"--arch": self.arch, "--from": self.from_run, "--strategy": self.strategy}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} do not go together: one says what is trained")
        way = given[0] if given else ""
        if self.strategy is not None:
            strategies.check(self.strategy, self.options, search.NAMES)
        elif self.budget is not None or self.options:
            name = next(iter(self.options), "budget")
            raise ValueError(f"{setting(name)} needs a {argument('strategy')}")
        for name in ("candidates", "trained"):
            if way and getattr(self, name) is not None:
                raise ValueError(f"{setting(name)} does not go with {way}: nothing is scored")

    @property
    def is_given(self) -> bool:
        """Whether the architecture is known before anything is trained."""
        return self.arch is not None or self.from_run is not None

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit of the size of the network."""
        limits = self.max_params, self.max_flops, self.max_latency_ms
        return any(limit is not None for limit in limits)

    @property
    def sizes(self) -> dict[str, int | None]:
        """Sizes of the network that are given; None is a default."""
        return {"channels": self.channels, "cells": self.cells, "stages": self.stages}

    @property
    def folder_name(self) -> str:
        """Name of a run folder, which says what is not left to its default."""
        facts, plain = self.facts(), Settings().facts()
        # These have places of their own in the name, or stand for themselves without their option.
        head = {"images", "recipe", "space", "seed", "from", "arch", "strategy"}
        others = [
            option_label(name, value)
            for name, value in facts.items()
            if name not in head and value is not None and value != plain.get(name)
        ]
        source = Path(self.from_run).name if self.from_run else self.arch or self.strategy
        stem = Path(self.images).stem
        return joined("train", stem, self.space, source, self.recipe, *others, f"seed{self.seed}")

    def facts(self) -> dict[str, Any]:
        """Settings by the names of their options, for JSON."""
        facts: dict[str, Any] = dataclasses.asdict(self)
        options: dict[str, Any] = facts.pop("options")
        source = facts.pop("from_run")
        return facts | {"from": None if source is None else str(source)} | options

    def command_line(self) -> str:
        """Command that makes these settings, for a shell."""
        known = strategies.defaults(self.strategy) if self.strategy else {}
        # In this order: the size of a batch is the training's, and not that of some strategies.
        return command_line("train", self.facts(), known | Settings().facts())


def filled(settings: Settings, dataset: Dataset, arch: str | None = None) -> Settings:
    """Settings with every default that is used, which follow from the images.

    Args:
        settings: as they are given.
        dataset: of the images.
        arch: text of the architecture where it is known, which may tell sizes.
    """
    networks.check(settings.space)
    sizes = networks.told(settings.space, arch)
    sizes |= {name: size for name, size in settings.sizes.items() if size is not None}
    own: dict[str, Any] = dict(networks.sizes(settings.space, sizes, dataset))
    if not settings.is_given and settings.strategy is None:
        of_sizes = networks.chooses_sizes(settings.space)
        usual = _OF_SIZES if of_sizes else {"candidates": CANDIDATES, "trained": 16}
        own |= {name: getattr(settings, name) or number for name, number in usual.items()}
        if of_sizes and not settings.is_limited:
            own |= {"max_flops": networks.usual_macs(dataset)}
    # Recipes of papers stay as they are, whatever the images: their names promise it.
    if settings.recipe == "quick" and len(dataset.train.y) < networks.FEW:
        own |= {"batch_size": settings.batch_size or networks.SMALL_BATCH}
    full = dataclasses.replace(settings, **own, size=networks.side(dataset))
    return dataclasses.replace(full, epochs=settings.epochs or _epochs(full, dataset))


def _epochs(settings: Settings, dataset: Dataset) -> int:
    """Epochs of the recipe, and of "quick" enough for a number of steps."""
    named = recipe_of(settings)
    if settings.recipe != "quick":
        return named.epochs
    num = len(dataset.train.y)
    # Counted as trainings do, which leave out what does not fill a batch.
    steps = max(num // min(named.batch_size, num), 1)
    wanted = _STEPS if num >= networks.FEW else _STEPS // 2
    return max(named.epochs, math.ceil(wanted / steps))


def recipe_of(settings: Settings, epochs: int | None = None) -> Recipe:
    """Recipe with the changes that are given; ValueError for an unknown one or its values."""
    names = ("batch_size", "learning_rate", "precision")
    changes = {name: getattr(settings, name) for name in names}
    changes |= {"epochs": epochs or settings.epochs}
    given = {name: value for name, value in changes.items() if value is not None}
    made = training.recipe(settings.recipe, **given)
    if settings.recipe == "quick" and settings.size:
        # An eighth of a side: 4 pixels of 32, as the papers have it, and 1 of a digit's 8.
        crop = max(1, settings.size // 8)
        made = made._replace(augmentation=made.augmentation._replace(crop=crop))
    # The shortest trainings that are compared take a sixteenth of the epochs, not all warm-up.
    return made._replace(warmup_epochs=min(made.warmup_epochs, made.epochs / 40))


def network_of(settings: Settings, dataset: Dataset) -> Network:
    """Network for the images of a data set, of filled settings."""
    return networks.make(settings.space, settings.sizes, dataset)
