"""Settings of a search: the options of `jnas search`, and defaults that depend on others."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from jnas import benchmarks, search
from jnas.benchmarks import Table
from jnas.commands import estimators, supernets
from jnas.commands.options import (
    BATCH,
    FLAG,
    SEARCHES,
    TASK,
    Column,
    DuplicateRows,
    Images,
    JudgedSpaceName,
    Minimize,
    NumImages,
    Seed,
    TableFile,
    above_zero,
    at_least,
    check_seed,
    command_line,
    default,
    joined,
    option_label,
    table_labels,
)
from jnas.commands.search import costs, strategies, supernet
from jnas.commands.search.strategies import Plain
from jnas.commands.search.supernet import Options
from jnas.engine.messages import setting

DEFAULT_CANDIDATES = 100
DEFAULT_BUDGET = 100
_NO_LIMIT = default("no limit")
# Options whose names would make those of folders long.
_SHORT = {
    "population_size": "population",
    "sample_size": "sample",
    "min_epochs": "from",
    "max_epochs": "to",
}


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a search; None is a default that depends on the others, or no limit."""

    space: JudgedSpaceName = "nasbench201"
    estimator: Annotated[
        str,
        Parameter(
            help=f"What judges: {', '.join(estimators.NAMES)}, an .npz file of a predictor (jnas "
            f"fit) or of a supernet, or {supernet.NAME}, a supernet that is trained on the images "
            "(digits, cifar10, an .npz file or a folder) before."
        ),
    ] = "naswot"
    images: Images = None
    num_images: NumImages | None = 128
    table: TableFile = None
    column: Column = None
    minimize: Minimize = None
    duplicates: DuplicateRows = "refuse"
    within_table: Annotated[bool, FLAG] = False
    """Keep to the architectures that the table has."""
    test_column: Annotated[str | None, Parameter(show_default=default("none"))] = None
    """A second accuracy, that answers are only looked up in."""
    max_params: Annotated[int | None, Parameter(show_default=_NO_LIMIT)] = None
    """Parameters of the largest architecture allowed."""
    max_flops: Annotated[float | None, Parameter(show_default=_NO_LIMIT)] = None
    """Its multiply-accumulate operations."""
    limit: Annotated[
        str | None,
        Parameter(
            help="The most that is allowed of costs, as --against names them (latencies in ms): "
            f"{costs.LIMITS}.",
            show_default=_NO_LIMIT,
        ),
    ] = None
    seed: Seed = 0
    candidates: Annotated[
        int | None, Parameter(group=BATCH, show_default=default(f"{DEFAULT_CANDIDATES}"))
    ] = None
    """Architectures to draw at random and to score; goes with the task, not with searches."""
    strategy: Annotated[
        str,
        Parameter(
            group=SEARCHES,
            help=f"How to search: {', '.join(search.NAMES)}; without an --estimator, by shared "
            f"weights of its own: {', '.join(strategies.METHODS)}.",
        ),
    ] = "random"
    budget: Annotated[
        int | None, Parameter(group=SEARCHES, show_default=default(f"{DEFAULT_BUDGET}"))
    ] = None
    """Evaluations of each search."""
    seeds: Annotated[int, Parameter(group=SEARCHES)] = 1
    """Searches, as one program; they differ in everything random but the images."""
    max_seconds: Annotated[float | None, Parameter(group=SEARCHES, show_default=_NO_LIMIT)] = None
    """Simulated seconds of each search, by a table."""
    seconds: Annotated[
        str | None,
        Parameter(group=SEARCHES, show_default=default("those that go with the column")),
    ] = None
    """Column of the table with the costs."""
    distinct: Annotated[bool, Parameter(group=SEARCHES), FLAG] = False
    """Evaluate isomorphic architectures once."""
    start: Annotated[str | None, Parameter(group=SEARCHES, show_default=default("naswot"))] = None
    """What chooses the first population of area: as --estimator."""
    against: Annotated[
        str | None,
        Parameter(
            group=SEARCHES,
            help="What nsga2 weighs scores against: params, flops, a column of the table, or a "
            "measurement such as latency:pixel3 (see jnas data).",
            show_default=default("params"),
        ),
    ] = None
    options: Annotated[dict[str, Plain], Parameter(parse=False)] = dataclasses.field(
        default_factory=dict
    )
    """Those of the strategy, by name."""
    supernet: Options = dataclasses.field(default_factory=Options)
    """Those of the supernet."""

    def __post_init__(self) -> None:
        """Check the numbers and what goes together; ValueError names what is allowed."""
        least = dict.fromkeys(("candidates", "budget", "seeds", "max_params"), 1)
        at_least(least | {"num_images": 2}, self)
        check_seed(self.seed)
        above_zero(("max_seconds", "max_flops"), self)
        costs.limits(self.limit)  # for its errors
        self._check_strategy()
        self._check_weights()
        if self.candidates is not None and (asked := self._of_searches()):
            raise ValueError(
                f"--candidates does not go with searches by a strategy, which {asked[0]} asks for; "
                "their evaluations are the --budget"
            )

    def _check_strategy(self) -> None:
        """Check what goes with some strategies or estimators only; ValueError says with which."""
        for name in ("max_seconds", "seconds"):
            if getattr(self, name) is not None and self.estimator != "table":
                raise ValueError(
                    f"{setting(name)} needs the costs of a table; it goes with --estimator table"
                )
        for name, strategy in (("start", "area"), ("against", "nsga2")):
            if getattr(self, name) is not None and self.strategy != strategy:
                raise ValueError(
                    f"{setting(name)} goes with the strategy {strategy}; {self.strategy} has no "
                    "use for it"
                )
        if self.start == supernet.NAME:
            raise ValueError(f"{setting('start')} cannot be {supernet.NAME}, which judges alone")
        # The strategy itself comes last: "needs a table" helps more than "has no such option" where
        # both are wrong.
        strategies.check(self.strategy, self.options)

    def _check_weights(self) -> None:
        """Check what goes with shared weights, and what with methods that train their own."""
        if not self.owns_weights:
            supernet.check(self.supernet, self.estimator)
            return
        # The default cannot be told from the same name that was typed, and so is let through.
        if self.estimator not in (supernet.NAME, Settings.estimator):
            raise ValueError(
                f"--strategy {self.strategy} trains the weights that it judges by, and goes "
                f"without --estimator {self.estimator}"
            )
        self.supernet.check()
        plain = Settings(estimator=supernet.NAME)
        # Compared with the defaults: what was typed as it is by default asks for nothing.
        names = ("budget", "distinct", "max_params", "max_flops", "limit", "within_table")
        given = [name for name in names if getattr(self, name) != getattr(plain, name)]
        given += ["sampler"] if self.supernet.sampler else []
        if given:
            raise ValueError(
                f"{setting(given[0])} does not go with {self.strategy}, which answers with one "
                "architecture of all of the space"
            )

    def _of_searches(self) -> list[str]:
        """Options given that only searches by a strategy have."""
        # `start` and `against` are left out: they need a strategy that is not the default, either.
        names = ("strategy", "budget", "seeds", "max_seconds", "seconds", "distinct")
        plain = {field.name: field.default for field in dataclasses.fields(self)}
        given = [name for name in names if getattr(self, name) != plain[name]]
        return [f"--{name.replace('_', '-')}" for name in (*given, *self.options)]

    @property
    def is_batch(self) -> bool:
        """Whether candidates are drawn and scored in one batch: if asked for, or by default."""
        if self.owns_weights:
            return False
        # By default for the plain task: nothing is given but what a batch has, too.
        judged = {"space", "estimator", "images", "num_images", "seed", "supernet"}
        same = {name: getattr(self, name) for name in judged}
        # A table is searched and not sampled: its batch would be a list of accuracies.
        is_plain = self.estimator != "table" and self == Settings(**same)
        return self.candidates is not None or is_plain

    @property
    def owns_weights(self) -> bool:
        """Whether the strategy trains the weights that it judges by."""
        return self.strategy in strategies.METHODS

    @property
    def judges(self) -> list[str]:
        """Names of the estimators: what scores, and what chooses where to start."""
        if self.owns_weights:
            return [supernet.NAME]
        start = self.start or ("naswot" if self.strategy == "area" else None)
        return [name for name in (self.estimator, start) if name]

    @property
    def uses_untrained(self) -> bool:
        """Whether untrained networks judge."""
        return any(map(estimators.sees_images, self.judges))

    @property
    def uses_images(self) -> bool:
        """Whether networks judge, untrained ones or those of a supernet."""
        is_trained = self.estimator == supernet.NAME or self.owns_weights
        return self.uses_untrained or is_trained or any(map(supernets.is_saved, self.judges))

    @property
    def limits(self) -> list[tuple[str, float]]:
        """Costs that are limited, by name, and the most that is allowed of each."""
        given = {"params": self.max_params, "flops": self.max_flops}
        named = [(name, value) for name, value in given.items() if value is not None]
        return [*named, *costs.limits(self.limit).items()]

    @property
    def folder_name(self) -> str:
        """Name of a run folder, which says what is not left to its default."""
        stem = Path(self.table).stem if self.table else ""
        table = stem if stem != self.space else ""
        untrained = f"{Path(self.images or 'digits').stem}{self.num_images}"
        others = Path(self.images).stem if self.images and self.uses_images else ""
        images = untrained if self.uses_untrained else others
        shared = [option_label(name, value) for name, value in self.supernet.given.items()]
        judge = estimators.place_label(self.judges[0])
        seconds = [] if self.max_seconds is None else [("seconds", self.max_seconds)]
        seed = f"seed{self.seed}"
        rows = "within" if self.within_table else ""
        labels = table_labels(self.minimize, self.duplicates)
        columns = [self.column, *labels, self.test_column, self.seconds, rows, self.against]
        limited = [option_label(name, value) for name, value in [*self.limits, *seconds]]
        if self.is_batch:
            num = self.candidates or DEFAULT_CANDIDATES
            parts = [self.space, table, judge, *columns, images, *shared, *limited, f"{num}"]
            return joined(*parts, seed)
        start = estimators.place_label(self.start or "")
        parts = ["search", self.space, table, self.strategy, judge, *columns, start, images]
        parts += shared
        parts += [*limited, *(option_label(_SHORT.get(k, k), v) for k, v in self.options.items())]
        # Such methods evaluate what they answer with; their length is told by their epochs.
        budget = "" if self.owns_weights else f"{self.budget or DEFAULT_BUDGET}"
        parts += ["distinct" if self.distinct else "", budget]
        return joined(*parts, f"{self.seeds}seeds", seed)

    def facts(self) -> dict[str, Any]:
        """Settings by name, for JSON; options of strategy and supernet stand among the others."""
        # Flat, as they are typed: `jnas report` compares settings by the names of options.
        facts: dict[str, Any] = dataclasses.asdict(self)
        options: dict[str, Any] = facts.pop("options")
        shared: dict[str, Any] = facts.pop("supernet")
        return facts | shared | options

    def command_line(self) -> str:
        """Command that makes these settings, for a shell."""
        usual = {"images": _images(dataclasses.replace(self, images=None))}
        known = Settings().facts() | usual | strategies.defaults(self.strategy)
        return command_line("search", self.facts(), known)


def _images(settings: Settings) -> str | None:
    """Images that the estimators see, by default those that go with them; None for no images."""
    if not settings.uses_images:
        return None
    return settings.images or estimators.usual_images(settings.judges)


def filled(settings: Settings, table: Table | None) -> Settings:
    """Settings with every default that is used, and None for what is not used."""
    # So that what has no effect is no part of the fingerprint, and equal searches have equal ones.
    is_batch, strategy = settings.is_batch, settings.strategy
    candidates = settings.candidates or DEFAULT_CANDIDATES
    full = dataclasses.replace(
        settings,
        estimator=settings.judges[0],
        candidates=candidates if is_batch else None,
        budget=None if is_batch or settings.owns_weights else settings.budget or DEFAULT_BUDGET,
        options={} if is_batch else strategies.defaults(strategy) | settings.options,
        start=settings.start or ("naswot" if strategy == "area" else None),
        against=settings.against or ("params" if strategy == "nsga2" else None),
        column=settings.column or (benchmarks.usual_column(table) if table else None),
        images=_images(settings),
        num_images=settings.num_images if settings.uses_untrained else None,
    )
    if is_batch or table is None or full.column is None or full.estimator != "table":
        return full
    # A learning curve costs what its longest training does.
    curve = table.learning_curve(full.column) if "max_epochs" in full.options else {}
    cost = full.seconds or table.cost_column(curve[max(curve)] if curve else full.column)
    if full.max_seconds is not None and cost is None:
        raise ValueError(
            f"{table.source} has no column of seconds for max_seconds; name it with --seconds"
        )
    return dataclasses.replace(full, seconds=cost)
