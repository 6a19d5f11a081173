"""Command `jnas data`: what is available here, and sources of the rest."""

import dataclasses
import textwrap
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from jnas import benchmarks, images
from jnas import data as datasets
from jnas.commands.options import TASK, default

_MOST = 30  # columns of a table that are named


@Parameter(name="*", group=TASK)
@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `jnas data`."""

    folder: Annotated[Path | None, Parameter(show_default=default("$JNAS_DATA"))] = None
    """Where to look for files."""


def run(settings: Settings) -> None:
    """Lists of tables, of images and of data sets, printed."""
    print("Tables of trained accuracies")
    for table in benchmarks.available(settings.folder):
        # What is not here is listed as well: nothing is downloaded, and a user has to know from
        # where.
        rows = f"{table.rows:,} rows" if table.rows else "not here"
        _print(table.name, rows, table.where, _listed(table.columns))
    print("\nSurrogates of trainings")
    for source in benchmarks.surrogates(settings.folder):
        amount = "any architecture" if source.rows else "not here"
        _print(source.name, amount, source.where, _listed(source.columns))
    print("\nImages for scores of untrained networks")
    _print_sources(images.available(settings.folder))
    print("\nData sets to train on")
    _print_sources(datasets.available(settings.folder))
    print("  a path: a folder with a folder of images for each class, or a .npz file")


def _print_sources(sources: list[images.Source]) -> None:
    """Sources of images, printed."""
    for source in sources:
        known = f"{source.num:,} images" if source.num else "not here"
        number = "any number" if source.num is None else known
        _print(source.name, number, source.where, " x ".join(map(str, source.shape)))


def _listed(names: tuple[str, ...]) -> str:
    """Names in a line, or only the first of them and how many more there are."""
    # A table with learning curves has hundreds of columns.
    more = f", and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _print(name: str, amount: str, where: str, content: str) -> None:
    """Entry of a list, printed."""
    print(f"  {name}: {amount}\n      {where}")
    if content:
        print(textwrap.fill(content, 100, initial_indent="      ", subsequent_indent="      "))


def command(*, settings: Settings = Settings()) -> None:
    """List tables, images and data sets that are available, and where the others come from."""
    run(settings)
