"""Layout of files of trainings, one or more of each different cell of NAS-Bench-201, as a table.

`experiments/digits201.py` writes such files. Cells that compute the same, by the identity
"function" of `spaces.nasbench201`, share their trainings, and so have equal rows in the table.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jnas import spaces
from jnas.benchmarks.released import Contents
from jnas.types import Space

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
"""Arrays of a file, each with a leading axis of trainings; beside them is the text "data"."""


def is_trainings(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of trainings."""
    return {"data", *ARRAYS} <= set(arrays)


def contents(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of trainings of at least one cell of each function.

    Args:
        arrays: `archs` `[R, 6]`, `seeds` `[R]`, `seconds` `[R]`, `failed_at` `[R]` (the first epoch
            without a finite loss, or 0), the curves `[R, E]` of `ARRAYS`, accuracies as fractions,
            and `data` `[]`, words on the images and the network.
        source: where they come from.

    Returns:
        All 15,625 cells, with the columns `valE` … `val1`, `testE` … and so on, the last epoch
        first; for each seed `valE_seedS` and `testE_seedS`; `seeds`, `seconds` and `index`; see
        `benchmarks.digits201`.

    Raises:
        ValueError: there is no seed that all functions were trained with, or one of them was
            trained twice with a seed.
    """
    space = spaces.nasbench201(identity="function")
    of_cell, place = _places(space, arrays)
    is_whole = (place >= 0).all(axis=1)
    if not is_whole.any():
        known = int((place >= 0).any(axis=0).sum())
        raise ValueError(f"{known:,} of {place.shape[1]:,} different cells have a training")
    runs, num_epochs = place[is_whole], arrays["validation_accuracy"].shape[1]
    how_many = "one run" if len(runs) == 1 else f"mean of {len(runs)} runs"
    columns: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    # The last epoch first, for the first column of a table is the usual one.
    for prefix, values, text in _curves(arrays):
        means = values[runs].mean(axis=0, dtype=np.float64)[of_cell].astype(np.float32)
        for epoch in range(num_epochs, 0, -1):
            columns[f"{prefix}{epoch}"] = means[:, epoch - 1]
            texts[f"{prefix}{epoch}"] = f"{text}, epoch {epoch} of {num_epochs}, {how_many}"
    for prefix, values, text in _curves(arrays)[:2]:
        for seed, row in zip(np.unique(arrays["seeds"]), place, strict=True):
            name = f"{prefix}{num_epochs}_seed{seed}"
            # Row -1, of a cell without a training, is that of another one.
            one = np.where(row >= 0, values[row, -1], np.nan)
            columns[name] = one[of_cell].astype(np.float32)
            texts[name] = f"{text}, epoch {num_epochs} of {num_epochs}, seed {seed} alone"
    columns["seeds"] = (place >= 0).sum(axis=0)[of_cell]
    columns["seconds"] = arrays["seconds"][runs].mean(axis=0, dtype=np.float64)[of_cell]
    columns["index"] = np.arange(len(of_cell))
    texts["seeds"] = "trainings of the cell"
    texts["seconds"] = f"training and evaluation of {num_epochs} epochs on one core, {how_many}"
    texts["index"] = "number of the cell, as its code"
    stated = {name: f"{text} ({arrays['data']})" for name, text in texts.items()}
    return Contents("nasbench201", space.enumerate(), columns, stated, source)


def _curves(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray, str]]:
    """Prefix of columns, curves `[R, E]` in the unit of these, and what they hold."""
    failed = arrays["failed_at"][:, None]
    epochs = np.arange(1, arrays["validation_accuracy"].shape[1] + 1)[None]
    # What a network says whose weights are not finite is no measurement.
    is_lost = (failed > 0) & (epochs >= failed)
    return [
        (prefix, np.where(is_lost, np.nan, unit * arrays[name]), text)
        for prefix, name, text, unit in _CURVES
    ]


def _places(space: Space, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Function `[15625]` of each cell, and the training `[S, F]` of each seed and function, or -1.

    Raises:
        ValueError: a function was trained twice with a seed.
    """
    codes, of_cell = np.unique(functions(space, space.enumerate()), return_inverse=True)
    of_training = np.searchsorted(codes, functions(space, arrays["archs"]))
    seeds, of_seed = np.unique(arrays["seeds"], return_inverse=True)
    place = np.full((len(seeds), len(codes)), -1)
    place[of_seed, of_training] = np.arange(len(of_training))
    if (place >= 0).sum() < len(of_training):
        raise ValueError("a cell was trained twice with the same seed")
    return of_cell, place


def functions(space: Space, archs: np.ndarray) -> np.ndarray:
    """Numbers `[A]` uint32, equal for cells `[A, 6]` with the same identity."""
    identities = jax.jit(jax.vmap(space.identity))(np.asarray(archs, np.int32))
    return np.asarray(identities)[:, 1]
