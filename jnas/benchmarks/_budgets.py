"""Layout of trainings of NAS-Bench-101's cells by four numbers of epochs, as a table.

Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635: every number of epochs is a training of
its own, whose learning rate falls to zero within it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnas.benchmarks import released
from jnas.benchmarks.released import Contents
from jnas.engine import readers

CELLS = "nasbench101.npz"
"""File that has the cells, in the same folder."""


def is_budgets(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `row [A]`, `val_accuracy [A, E]` and so on."""
    return {"row", "epochs", "val_accuracy", "seconds108", "params"} <= set(arrays)


def contents(arrays: Mapping[str, np.ndarray], file: Path) -> Contents:
    """`Contents` of trainings by several numbers of epochs.

    Args:
        arrays: `row` `[A]`, of the cell in `CELLS`; `epochs` `[E]`; `val_accuracy` `[A, E]`,
            fractions; `seconds108` and `params` `[A]`.
        file: where they are from.

    Returns:
        Columns `valE` for each number of epochs, `seconds` (of the longest training), `params`, and
        those of `CELLS`: `test_accuracy`.

    Raises:
        ValueError: `CELLS` is not beside the file, or does not have the rows.
    """
    beside = file.with_name(CELLS)
    if not beside.is_file():
        raise ValueError(f"{file.name} has no cells; their file {CELLS} must be beside it")
    with readers.arrays(beside) as archive:
        cells = {name: archive[name][arrays["row"]] for name in archive.files}
    known = released.nasbench101(cells, file.name)
    columns = {
        f"val{number}": arrays["val_accuracy"][:, place]
        for place, number in enumerate(arrays["epochs"].tolist())
    }
    texts = {
        name: "CIFAR-10 validation accuracy, fraction in [0, 1], of a training of "
        f"{name.removeprefix('val')} epochs, one run"
        for name in columns
    }
    columns |= {"seconds": arrays["seconds108"], "params": arrays["params"]}
    texts |= {
        "seconds": "training seconds, 108 epochs, one run",
        "params": "trainable parameters, as published",
    }
    return known._replace(columns=known.columns | columns, conventions=known.conventions | texts)
