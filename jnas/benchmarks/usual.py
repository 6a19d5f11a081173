"""Table of a space, and column of a table, where nothing else is said."""

import os
from collections.abc import Callable

from jnas.benchmarks import _columns
from jnas.benchmarks.files import load
from jnas.benchmarks.make import Duplicates
from jnas.benchmarks.named import nasbench101, nasbench201, nasbench301, spikenas_bench
from jnas.benchmarks.sizes import (
    mnasnet,
    nasbench_macro,
    nds_resnet,
    nds_resnext_a,
    nds_resnext_b,
    nds_vanilla,
    transnas_macro,
    transnas_micro,
)
from jnas.benchmarks.table import Table
from jnas.engine.messages import nearest
from jnas.types import Space

_TABLES: dict[str, Callable[..., Table]] = {
    "nasbench101": nasbench101,
    "nasbench201": nasbench201,
    "nasbench301": nasbench301,
    "spikenas_bench": spikenas_bench,
    "nds_resnet": nds_resnet,
    "nds_resnext_a": nds_resnext_a,
    "nds_resnext_b": nds_resnext_b,
    "nds_vanilla": nds_vanilla,
    "nasbench_macro": nasbench_macro,
    "transnas_macro": transnas_macro,
    "transnas_micro": transnas_micro,
    "mnasnet": mnasnet,
}


def of_space(
    space: Space,
    path: str | os.PathLike[str] | None = None,
    *,
    dataset: str | None = None,
    duplicates: Duplicates = "refuse",
) -> Table:
    """`Table` of a file, or without one that of the space or of the one that codes are those of.

    Args:
        space: whose architectures are looked up.
        path: the file.
        dataset: one of `space.datasets`, by default the first; only without a file.
        duplicates: what becomes of repeated rows of the file; see `load`.

    Raises:
        ValueError: the file is no table of that space, or the space has no such data set.
        FileNotFoundError: the file is absent, or no table of the space is at hand.
    """
    if dataset is not None and dataset not in space.datasets:
        raise ValueError(
            f"{space.name} has no data set {dataset!r}. {nearest(dataset, space.datasets)}"
        )
    if path is not None:
        return load(path, space, duplicates=duplicates)
    if space.coded_as in _TABLES:
        return _TABLES[space.coded_as]().of(space)
    if space.name not in _TABLES:
        raise FileNotFoundError(
            f"jnas has no table of trained accuracies of {space.name}; give the path of one "
            "(on the command line --table)"
        )
    # Functions of spaces with one table take no data set.
    chosen = (dataset or space.datasets[0],) if space.datasets else ()
    return _TABLES[space.name](*chosen)


def usual_column(table: Table) -> str:
    """Name of the space's usual accuracy where the table has it, or else of its first column.

    Raises:
        ValueError: it is to be guessed, and a column of the file could not be read.
    """
    return _columns.usual(table.space, table.columns, table.left_out)
