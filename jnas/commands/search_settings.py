"""What searches are asked for."""

import dataclasses
from pathlib import Path

from jnas.commands import judges
from jnas.engine.messages import nearest

DEFAULT_BUDGET = 100
COSTS = ("params", "flops")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What searches are asked for; None stands for a default that depends on the others, or for no limit.

    Attributes:
        space: name of the search space.
        strategy: name of the strategy.
        estimator: what judges: the name of a judge, or the file of a saved predictor.
        budget: evaluations of each search; None for `DEFAULT_BUDGET`.
        seeds: searches, which differ in everything random but the images.
        max_seconds: simulated seconds of each search; needs a table with costs.
        max_params, max_flops: the largest architecture allowed.
        distinct: whether isomorphic architectures are one evaluation.
        population_size, sample_size: of strategies that have them; None for the strategy's own.
        start: judge that chooses the first population of area; None for naswot.
        against: what nsga2 weighs the score against, one of `COSTS`; None for parameters.
        min_epochs, max_epochs: of a training that bohb asks for; None for the strategy's own.
        table: file of trained accuracies, to search on or to check answers against; None for the one that ships
            with jnas or that `JNAS_DATA` has.
        column: its accuracy; None for the space's usual one, or else the table's first column.
        test_column: a second one, which answers are only looked up in.
        seconds: its column of costs; None for the one that goes with `column`.
        images, num_images: what untrained networks see.
        seed: everything random follows from it.
    """

    space: str = "nasbench201"
    strategy: str = "random"
    estimator: str = "naswot"
    budget: int | None = None
    seeds: int = 1
    max_seconds: float | None = None
    max_params: int | None = None
    max_flops: float | None = None
    distinct: bool = False
    population_size: int | None = None
    sample_size: int | None = None
    start: str | None = None
    against: str | None = None
    min_epochs: int | None = None
    max_epochs: int | None = None
    table: str | None = None
    column: str | None = None
    test_column: str | None = None
    seconds: str | None = None
    images: str | None = "digits"
    num_images: int | None = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers and what goes together; ValueError names what is wrong and what is allowed."""
        for name in (
            "budget",
            "seeds",
            "max_params",
            "population_size",
            "sample_size",
            "min_epochs",
            "max_epochs",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        for name in ("max_seconds", "max_flops"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0; got {value}")
        for name in ("max_seconds", "seconds"):
            if getattr(self, name) is not None and self.estimator != "table":
                raise ValueError(
                    f"{name} needs the costs of a table; it goes with --estimator table"
                )
        for name, strategy in (("start", "area"), ("against", "nsga2")):
            if getattr(self, name) is not None and self.strategy != strategy:
                raise ValueError(
                    f"{name} goes with the strategy {strategy}; {self.strategy} has no use for it"
                )
        if self.against is not None and self.against not in COSTS:
            raise ValueError(f"unknown cost {self.against!r}. {nearest(self.against, COSTS)}")

    @property
    def folder_name(self) -> str:
        """A name that says what is not left to its default."""
        stem = Path(self.table).stem if self.table else ""
        parts = [
            "search",
            self.space,
            stem if stem != self.space else "",
            self.strategy,
            judges.label(self.estimator),
        ]
        names = (
            self.column,
            self.test_column,
            self.seconds,
            self.against,
            judges.label(self.start or ""),
        )
        parts += [name for name in names if name]
        parts += [f"{Path(self.images or '').stem}{self.num_images}" if self.uses_images else ""]
        options = {"params": self.max_params, "flops": self.max_flops, "seconds": self.max_seconds}
        options |= {"population": self.population_size, "sample": self.sample_size}
        options |= {"from": self.min_epochs, "to": self.max_epochs}
        parts += [f"{name}{value:g}" for name, value in options.items() if value is not None]
        parts += ["distinct" if self.distinct else "", f"{self.budget or DEFAULT_BUDGET}"]
        return "-".join(part for part in [*parts, f"{self.seeds}seeds", f"seed{self.seed}"] if part)

    @property
    def uses_images(self) -> bool:
        """Whether untrained networks judge, or choose where to start."""
        start = self.start or ("naswot" if self.strategy == "area" else None)
        return any(judges.sees_images(name) for name in (self.estimator, start) if name)
