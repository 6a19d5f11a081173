"""Learning curves of NAS-Bench-201's cells on composed digits, trained by jnas: `digits201`.

The cells are those of Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326, in a network of
one cell a stage; the images are `data.load("digits201")`. `experiments/digits201.py` has trained
one cell of each class of `spaces.nasbench201(identity="function")`, and wrote the packaged file.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from jnas import spaces
from jnas.benchmarks.make import make_table
from jnas.benchmarks.table import Table
from jnas.engine import readers
from jnas.engine.files import reading
from jnas.types import Space

PACKAGED = Path(__file__).parent / "digits201.npz"

# Prefix of a column, the array of the file that it is from, what it holds, and its unit in it.
_CURVES = (
    ("val", "validation_accuracy", "validation accuracy in %", 100),
    ("test", "test_accuracy", "test accuracy in %", 100),
    ("train", "train_accuracy", "accuracy in % on the images of the steps of that epoch", 100),
    ("val_loss", "validation_loss", "validation cross-entropy in nats", 1),
    ("test_loss", "test_loss", "test cross-entropy in nats", 1),
    ("train_loss", "train_loss", "cross-entropy in nats of the steps of that epoch", 1),
)
ARRAYS = ("archs", "seeds", "seconds", "failed_at", *(name for _, name, _, _ in _CURVES))
"""Arrays of a file of trainings, each with a leading axis of trainings."""


def digits201(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 cells of NAS-Bench-201 on composed digits, with learning curves.

    Cells of the same function share a training, and so have equal rows. Curves go to a search as

        table.objective(table.learning_curve(jnas.benchmarks.usual_column(table)), cost_epochs=E)

    where `E` is the last of its epochs.

    Args:
        path: a file of trainings that `experiments/digits201.py` wrote; by default the packaged
            one.

    Returns:
        A table whose space is `spaces.nasbench201(identity="function")`, with the columns `index`
        (number of the cell, as `space.code`), `valE` (validation accuracy in % after epoch `E` of
        the training), `testE`, `trainE`, `val_lossE`, `test_lossE`, `train_lossE`, `seconds` (of
        the training and its evaluations) and `seeds` (how many trainings there are of the cell). Of
        the last epoch there is `valE_seedS` and `testE_seedS` for each seed, NaN where the cell was
        not trained with it; all others are means over the seeds that every cell has.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not one of trainings, or lacks some of the cells.
    """
    file = PACKAGED if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"no trainings of digits201 at {file}; `python -m experiments.digits201` makes them"
        )
    reading(file, "the trainings")
    with readers.arrays(file, "is not a file of trainings of digits201") as archive:
        trainings = {name: np.asarray(archive[name]) for name in ARRAYS}
        data = str(archive["data"])
    with readers.naming(file):
        return table_of(trainings, data, source="digits201, trained by jnas")


def table_of(trainings: Mapping[str, np.ndarray], data: str, *, source: str = "trainings") -> Table:
    """`Table` of trainings of at least one cell of each function.

    Args:
        trainings: `ARRAYS`: `archs` `[R, 6]`, `seeds` `[R]`, `seconds` `[R]`, `failed_at` `[R]`
            (the first epoch without a finite loss, or 0), and the curves `[R, E]`, accuracies as
            fractions.
        data: what the images are, for the conventions.
        source: where they come from.

    Raises:
        ValueError: there is no seed that all functions were trained with, or one of them was
            trained twice with a seed.
    """
    space = spaces.nasbench201(identity="function")
    of_cell, place = _places(space, trainings)
    is_whole = (place >= 0).all(axis=1)
    if not is_whole.any():
        known = int((place >= 0).any(axis=0).sum())
        raise ValueError(f"{known:,} of {place.shape[1]:,} different cells have a training")
    curves, num_epochs = _curves(trainings)
    runs, num = place[is_whole], int(is_whole.sum())
    how_many = "one run" if num == 1 else f"mean of {num} runs"
    columns: dict[str, np.ndarray] = {"index": np.arange(len(of_cell))}
    texts = {"index": "number of the cell, as its code"}
    for prefix, (values, text) in curves.items():
        means = values[runs].mean(axis=0, dtype=np.float64).astype(np.float32)[of_cell]
        for epoch in range(1, num_epochs + 1):
            columns[f"{prefix}{epoch}"] = means[:, epoch - 1]
            texts[f"{prefix}{epoch}"] = f"{text}, epoch {epoch} of {num_epochs}, {how_many}"
    for row, seed in enumerate(np.unique(trainings["seeds"])):
        for prefix in ("val", "test"):
            name, (values, text) = f"{prefix}{num_epochs}_seed{seed}", curves[prefix]
            one = np.where(place[row] >= 0, values[place[row], -1], np.nan)
            columns[name] = one[of_cell].astype(np.float32)
            texts[name] = f"{text}, epoch {num_epochs} of {num_epochs}, seed {seed} alone"
    columns["seeds"] = (place >= 0).sum(axis=0)[of_cell]
    columns["seconds"] = trainings["seconds"][runs].mean(axis=0, dtype=np.float64)[of_cell]
    texts["seeds"] = "trainings of the cell"
    texts["seconds"] = f"training and evaluation of {num_epochs} epochs on one core, {how_many}"
    return make_table(
        space._replace(usual_column=f"val{num_epochs}"),
        space.enumerate(),
        columns,
        conventions={name: f"{text} ({data})" for name, text in texts.items()},
        source=source,
    )


def _curves(
    trainings: Mapping[str, np.ndarray],
) -> tuple[dict[str, tuple[np.ndarray, str]], int]:
    """Prefix of the columns → curves `[R, E]` in their unit and what they hold; and `E`."""
    num_epochs = trainings["validation_accuracy"].shape[1]
    failed = trainings["failed_at"][:, None]
    # What a network says whose weights are not finite is no measurement.
    is_lost = (failed > 0) & (np.arange(1, num_epochs + 1)[None] >= failed)
    found = {
        prefix: (np.where(is_lost, np.nan, unit * trainings[array]), text)
        for prefix, array, text, unit in _CURVES
    }
    return found, num_epochs


def _places(space: Space, trainings: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Function `[15625]` of each cell, and the training `[S, F]` of each seed and function, or -1.

    Raises:
        ValueError: a function was trained twice with a seed.
    """
    codes, of_cell = np.unique(functions(space, space.enumerate()), return_inverse=True)
    of_training = np.searchsorted(codes, functions(space, trainings["archs"]))
    seeds, of_seed = np.unique(trainings["seeds"], return_inverse=True)
    place = np.full((len(seeds), len(codes)), -1)
    place[of_seed, of_training] = np.arange(len(of_training))
    if (place >= 0).sum() < len(of_training):
        raise ValueError("a cell was trained twice with the same seed")
    return of_cell, place


def functions(space: Space, archs: np.ndarray) -> np.ndarray:
    """Numbers `[A]` uint32, equal for cells `[A, 6]` with the same identity."""
    identities = jax.jit(jax.vmap(space.identity))(np.asarray(archs, np.int32))
    return np.asarray(identities)[:, 1]
