"""Options that several commands share: types with help texts, and how defaults are told."""

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Group, Parameter

from jnas import networks, spaces
from jnas.benchmarks import Duplicates
from jnas.commands import estimators
from jnas.engine.fingerprints import Resume
from jnas.engine.messages import setting

# In the order of the help, whichever group a command has an option of first.
TASK = Group("Task", sort_key=0)
SUPERNET = Group("The supernet of --estimator oneshot", sort_key=1)
BATCH = Group("One batch of candidates", sort_key=2)
SEARCHES = Group("Searches by a strategy", sort_key=3)
STRATEGY = Group("Options of the strategies", sort_key=4)
RUN = Group("The run", sort_key=5)

FLAG = Parameter(negative="", show_default=False)
"""A flag without a `--no-` form."""


def default(text: str) -> Callable[[object], str]:
    """Text that help shows as the default of an option whose value None stands for it."""
    return lambda _: text


# Aliases, so that an option reads the same in the help of every command that has it.
SpaceName: TypeAlias = Annotated[str, Parameter(help=f"Search space: {', '.join(spaces.NAMES)}.")]
JudgedSpaceName: TypeAlias = Annotated[
    str,
    Parameter(
        help=f"Search space: {', '.join(spaces.NAMES)}; untrained networks: "
        f"{', '.join(networks.NAMES)}."
    ),
]
EstimatorName: TypeAlias = Annotated[
    str,
    Parameter(
        help=f"What judges: {', '.join(estimators.NAMES)}, or an .npz file of a predictor (jnas "
        "fit) or of a supernet."
    ),
]
Images: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="What untrained networks see: digits, cifar10, noise, or an .npz file with "
        "x [N, H, W, C] and perhaps y [N], the classes that their logits then have. Of a supernet "
        "the data set of its training, also a folder.",
        show_default=default("digits, or those of the supernet"),
    ),
]
NumImages: TypeAlias = Annotated[
    int, Parameter(help="Images of the mini-batch that untrained networks see, at least 2.")
]
TableFile: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="File of trained accuracies, .npz, .csv or .json.",
        show_default=default("see jnas data"),
    ),
]
Column: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="Accuracy of the table that counts.",
        show_default=default("test_accuracy, val_accuracy or the first"),
    ),
]
Minimize: TypeAlias = Annotated[
    bool | None,
    Parameter(
        negative="--maximize",
        help="The column is better when smaller, or when larger.",
        show_default=default("told by its name"),
    ),
]
DuplicateRows: TypeAlias = Annotated[
    Duplicates,
    Parameter(help="Rows of the file that are the same architecture: refuse, or take their mean."),
]
Seed: TypeAlias = Annotated[int, Parameter(help="Everything random follows from it.")]
ChunkSize: TypeAlias = Annotated[
    int | None,
    Parameter(
        help="Architectures that are scored at a time, by one compiled program.",
        group=RUN,
        show_default=default("20, and more of many"),
    ),
]


@Parameter(name="*", group=RUN)
@dataclasses.dataclass(frozen=True)
class Running:
    """Options of how a command runs, on which its numbers do not depend."""

    resume: bool = True
    """Go on with an interrupted run, or start anew."""
    resume_anyway: Annotated[bool, FLAG] = False
    """Go on though jnas or jax have changed since; the result names both."""
    progress: bool = True
    """Show a progress bar."""

    @property
    def resumes(self) -> Resume:
        """Argument `resume` of what runs."""
        # The stronger wish counts: "anyway" is asked for by whoever has read why a run was refused.
        return "anyway" if self.resume_anyway else self.resume


@Parameter(name="*", group=RUN)
@dataclasses.dataclass(frozen=True)
class Folder:
    """Option of where a run is kept."""

    out: Annotated[
        Path | None, Parameter(show_default=default("runs/NAME, named after the settings"))
    ] = None
    """Run folder."""

    def named(self, name: str) -> Path:
        """Folder that was chosen, or else `runs/NAME`."""
        return self.out or Path("runs") / name


def check_seed(seed: int) -> None:
    """ValueError for a seed that JAX would take for another one."""
    # JAX takes a seed modulo 2^32: -1 and 4294967295 would be one run in two folders.
    if not 0 <= seed < 2**32:
        raise ValueError(f"{setting('seed')} must be in 0 … {2**32 - 1}; got {seed}")


def joined(*parts: str | None) -> str:
    """Name of a file or folder: the parts that are not empty, in letters that suit any system."""
    # Names have settings in them that users type, such as a path or an architecture with "|" and
    # "~".
    return "-".join(re.sub(r"[^\w.+-]+", "_", part) for part in parts if part)


def option_label(name: str, value: object) -> str:
    """Part of such a name that tells an option."""
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    return f"{name}{value:g}" if isinstance(value, int | float) else f"{name}-{value}"


def table_labels(minimize: bool | None, duplicates: Duplicates) -> list[str | None]:
    """Labels, in names of files and folders, of how a table is read; None where nothing is said."""
    # Which way counts even where the column's name says the same: it is another job to a folder.
    direction = {None: None, True: "minimize", False: "maximize"}[minimize]
    return [direction, "mean" if duplicates == "mean" else None]


def command_line(
    command: str, settings: Mapping[str, object], defaults: Mapping[str, object]
) -> str:
    """Command that a run is repeated with: the options that are not as by default, for a shell."""
    words = ["jnas", command]
    for name, value in settings.items():
        # A command of a few words is read; one of thirty, of which most say nothing, is not.
        if value is None or value == defaults.get(name):
            continue
        option = name.replace("_", "-")
        if isinstance(value, bool):
            # The one option that has a third state, and so two names.
            negative = "maximize" if name == "minimize" else f"no-{option}"
            words.append(f"--{option if value else negative}")
        else:
            words += [f"--{option}", str(value)]
    return shlex.join(words)


def at_least(least: dict[str, int], settings: object) -> None:
    """ValueError that names the first setting given and too small, and what is allowed."""
    for name, smallest in least.items():
        value = getattr(settings, name)
        # None is a default that is filled in later, by what is allowed.
        if value is not None and value < smallest:
            raise ValueError(f"{setting(name)} must be at least {smallest}; got {value}")


def above_zero(names: Iterable[str], settings: object) -> None:
    """ValueError that names the first of some settings that is given and not above 0."""
    for name in names:
        value = getattr(settings, name)
        # Not `value <= 0`, which NaN would pass.
        if value is not None and not value > 0:
            raise ValueError(f"{setting(name)} must be above 0; got {value}")
