"""Layouts of files of DARTS cells, as tables: trainings, and predictions of NAS-Bench-301.

All have `inputs` `[A, 2, 8]` and `ops` `[A, 2, 8]` of the normal and the reduction cell: two slots
for each of the nodes 2 to 5, the node that is read, and its operation in the order of
`spaces.nasbench301`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jnas.benchmarks._measured import TASKS
from jnas.benchmarks.released import Contents

_NAME = "nasbench301"
_OFFICIAL = (
    "CIFAR-10 validation accuracy in %, predicted by the official surrogate of NAS-Bench-301, no "
    "training"
)


def is_scored(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of cells with one-shot scores."""
    return {"inputs", "ops", "accuracy", "copy_of", "oneshot_epochs"} <= set(arrays)


def is_predicted(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of cells with curves of a surrogate."""
    return {"inputs", "ops", "epochs", "val_accuracy", "seconds98"} <= set(arrays)


def is_official(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of cells with accuracies by the official surrogate."""
    return {"inputs", "ops", "val_accuracy", "params_m", "flops_m"} <= set(arrays)


def is_trained(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of cells with curves of trainings."""
    names = {"inputs", "ops", "two_seeds", "test_accuracy"}
    return names <= set(arrays) and arrays["test_accuracy"].ndim == 2


def is_tasks(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file of cells that were trained on other tasks."""
    return {f"{task}{name}" for task in TASKS for name in ("", "_inputs", "_ops")} <= set(arrays)


def vectors(inputs: np.ndarray, ops: np.ndarray) -> np.ndarray:
    """`[A, 22]` int32 of cells `[A, 2, 8]`.

    Raises:
        ValueError: a cell is none of NAS-Bench-301; the message names the row.
    """
    sources = inputs.astype(np.int32).reshape(-1, 2, 4, 2)
    operations = ops.astype(np.int32).reshape(-1, 2, 4, 2)
    # The first operation of a vector is that of the smaller input; files have them in any order.
    order = np.argsort(sources, axis=-1)
    first, second = np.moveaxis(np.take_along_axis(sources, order, axis=-1), -1, 0)
    nodes = np.arange(2, 6)
    fits = (first >= 0) & (first < second) & (second < nodes)
    fits &= ((operations >= 0) & (operations < 7)).all(axis=-1)
    if not fits.all():
        row = int(np.argmin(fits.all(axis=(1, 2))))
        raise ValueError(
            f"row {row} is no pair of cells of {_NAME}: inputs {inputs[row].tolist()}, operations "
            f"{ops[row].tolist()}"
        )
    # Numbers of pairs (0, 1), (0, 2), (1, 2), (0, 3), …
    pairs = second * (second - 1) // 2 + first
    sorted_ops = np.take_along_axis(operations, order, axis=-1).reshape(-1, 2, 8)
    return np.concatenate([pairs[..., 1:], sorted_ops], axis=-1).reshape(-1, 22)


def scored(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of cells with predicted accuracies and one-shot scores.

    Args:
        arrays: `accuracy` `[A]` in %, `params` and `flops` `[A]`; `copy_of` `[A]`, the first row
            with the same cells; `oneshot_accuracy` and `oneshot_loss` `[E, S, A]`, of supernets
            after `oneshot_epochs` `[E]` from `oneshot_seeds` `[S]`.
        source: where they come from.

    Returns:
        A row for each different pair of cells, in the order of the file. Columns `val_accuracy`,
        `params`, `flops`, and `oneshot_accuracyE_seedS` and `oneshot_lossE_seedS`, which are those
        of its last copy, as in the published criteria; the last epoch first.
    """
    rows = np.arange(len(arrays["copy_of"]))
    first = np.flatnonzero(arrays["copy_of"] == rows)
    last = np.zeros(len(rows), int)
    # Of several numbers for one place NumPy keeps the last.
    last[arrays["copy_of"]] = rows
    columns = {"val_accuracy": arrays["accuracy"][first]}
    columns |= {name: arrays[name][first] for name in ("params", "flops")}
    texts = {
        "val_accuracy": _OFFICIAL,
        "params": "trainable parameters of the network of DARTS with 36 channels and 8 cells",
        "flops": "multiply-accumulates of that with 16 channels, as the authors counted them",
    }
    numbers, seeds = arrays["oneshot_epochs"].tolist(), arrays["oneshot_seeds"].tolist()
    for kind in ("accuracy", "loss"):
        for place in reversed(range(len(numbers))):
            for seed, values in zip(seeds, arrays[f"oneshot_{kind}"][place], strict=True):
                name = f"oneshot_{kind}{numbers[place]}_seed{seed}"
                columns[name] = values[last[first]]
                texts[name] = (
                    f"one-shot {kind} on 10,000 training images of CIFAR-10 that a supernet did "
                    f"not see in its {numbers[place]} epochs, seed {seed}; no training of the cell"
                )
    archs = vectors(arrays["inputs"], arrays["ops"])[first]
    return Contents(_NAME, archs, columns, texts, source)


def predicted(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of cells with learning curves by the surrogate network.

    Args:
        arrays: `val_accuracy` `[A, E]` in % after `epochs` `[E]`; `seconds98` `[A]`.
        source: where they come from.

    Returns:
        Columns `valE`, the last epoch first, and `seconds`.
    """
    columns, texts = _curve("val", arrays["epochs"].tolist(), arrays["val_accuracy"])
    by = "predicted by a network that was fitted to trainings, no training"
    texts = {
        name: f"CIFAR-10 validation accuracy in % {text}, {by}" for name, text in texts.items()
    }
    columns["seconds"] = arrays["seconds98"]
    texts["seconds"] = f"seconds of 98 epochs, {by}"
    return Contents(_NAME, vectors(arrays["inputs"], arrays["ops"]), columns, texts, source)


def official(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of cells with `val_accuracy`, `params_m` and `flops_m`, each `[A]`."""
    names = ("val_accuracy", "params_m", "flops_m")
    texts = {
        "val_accuracy": _OFFICIAL,
        "params_m": "trainable parameters in millions",
        "flops_m": "multiply-accumulates in millions",
    }
    columns = {name: arrays[name] for name in names}
    return Contents(_NAME, vectors(arrays["inputs"], arrays["ops"]), columns, texts, source)


def trained(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of trained cells with `test_accuracy` `[A, E]`, in % after each of `E` epochs.

    Returns:
        Columns `test_accuracy`, the best of all epochs, and `testE` … `test1`.
    """
    curves = arrays["test_accuracy"]
    columns, texts = _curve("test", list(range(1, curves.shape[1] + 1)), curves)
    of = "CIFAR-10 test accuracy in %"
    texts = {name: f"{of} {text}, one run" for name, text in texts.items()}
    best = {"test_accuracy": curves.max(axis=1)}
    texts["test_accuracy"] = f"{of}, of the best of {curves.shape[1]} epochs, one run"
    archs = vectors(arrays["inputs"], arrays["ops"])
    return Contents(_NAME, archs, best | columns, texts, source)


def tasks(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of cells with an accuracy on each of three tasks.

    Raises:
        ValueError: the tasks are not of the same cells.
    """
    first = next(iter(TASKS))
    for name in ("inputs", "ops"):
        if not all(np.array_equal(arrays[f"{first}_{name}"], arrays[f"{t}_{name}"]) for t in TASKS):
            raise ValueError(f"{name} differ from task to task")
    columns = {task: arrays[task] for task in TASKS}
    texts = {task: f"validation accuracy in % on {words}" for task, words in TASKS.items()}
    archs = vectors(arrays[f"{first}_inputs"], arrays[f"{first}_ops"])
    return Contents(_NAME, archs, columns, texts, source)


def _curve(
    prefix: str, epochs: list[int], values: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns of a learning curve `[A, E]`, the last epoch first, and when they were measured."""
    columns = {f"{prefix}{e}": values[:, place] for place, e in enumerate(epochs)}
    texts = {f"{prefix}{e}": f"after epoch {e} of {epochs[-1]}" for e in epochs}
    return dict(reversed(columns.items())), texts
