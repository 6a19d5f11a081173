"""Benchmark that jnas has trained itself: NAS-Bench-201's cells on composed digits."""

import os
from pathlib import Path

from jnas import spaces
from jnas.benchmarks.files import load
from jnas.benchmarks.table import Table

PACKAGED = Path(__file__).parent / "digits201.npz"
HOW_TO_GET = "`python -m experiments.digits201 train`, then `pack`, of jnas' repository makes it"


def digits201(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 cells of NAS-Bench-201 on `data.load("digits201")`, with curves.

    The cells are those of Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326, in a network
    of one stage, and were trained by `experiments/digits201.py`. Cells of the same function share a
    training, and so have equal rows. A search of several fidelities is on

        table.objective(table.learning_curve("val9"), cost_epochs=9)

    Args:
        path: a file of trainings that this experiment has written; by default the packaged one.

    Returns:
        A table whose space is `spaces.nasbench201(identity="function")`. Columns: `valE`
        (validation accuracy in % after epoch `E` of the training), `testE`, `trainE`, `val_lossE`,
        `test_lossE`, `train_lossE`, means over the seeds that every cell was trained with;
        `valE_seedS` and `testE_seedS` of the last epoch for each seed, NaN where the cell was not
        trained with it; `seeds` (trainings of the cell), `seconds` (of the training and its
        evaluations, on one core) and `index` (number of the cell, as `Space.code`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as for `load`; or the file lacks some of the cells.
    """
    file = PACKAGED if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no table of digits201 at {file}; {HOW_TO_GET}")
    return load(file, spaces.nasbench201(identity="function"))
