"""Which table and which column are meant where nothing else is said."""

import os

from jnas.benchmarks.files import load, nasbench101, nasbench201, spikenas_bench
from jnas.benchmarks.table import Table
from jnas.types import Space

_COLUMNS = {
    "nasbench101": "test_accuracy",
    "nasbench201": "val_accuracy",
    "spikenas_bench": "val100",
}


def of_space(space: Space, path: str | os.PathLike[str] | None = None) -> Table:
    """The table of a file, or without one that of the space: of NAS-Bench-201, the accuracies on CIFAR-10.

    Raises:
        ValueError: the file is no table of that space.
        FileNotFoundError: the file is absent, or no table of the space is at hand.
    """
    if path is not None:
        return load(path, space)
    if space.name == "nasbench101":
        return nasbench101()
    if space.name == "nasbench201":
        return nasbench201("cifar10")
    if space.name == "spikenas_bench":
        return spikenas_bench()
    raise FileNotFoundError(
        f"jnas has no table of trained accuracies of {space.name}; give one with --table"
    )


def usual_column(table: Table) -> str:
    """The space's usual accuracy where the table has it, or else its first column."""
    usual = _COLUMNS.get(table.space.name, "")
    others = [name for name in table.columns if name != "index"]
    return usual if usual in table.columns else next(iter(others), "index")
