"""Layout of the file of Accel-NASBench: networks of MnasNet's space, trained and run on devices.

Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024,
https://arxiv.org/abs/2404.08005.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jnas.benchmarks.released import Contents
from jnas.spaces.mnasnet import CHOICES

_NAME = "mnasnet"
_DEVICES = {
    "zcu102": "an FPGA",
    "vck190": "an FPGA",
    "a100": "a GPU",
    "3090": "a GPU",
    "tpuv2": "a TPU",
    "tpuv3": "a TPU",
}
_COLUMNS = {
    "val_accuracy": ("val_top1", "validation accuracy in % on ImageNet, of a short training"),
    "val_top5": ("val_top5", "validation accuracy in %, top 5, on ImageNet, of a short training"),
    "seconds": ("train_time", "seconds of the short training"),
}


def is_accel(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `arch [A, 7, 4]`, `arch_columns` and so on."""
    return {"arch", "arch_columns", "val_top1", "train_time"} <= set(arrays)


def contents(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of trainings on ImageNet and of latencies on six devices.

    Args:
        arrays: `arch` `[A, 7, 4]`, of each block the expansion, the kernel, the layers and whether
            it has squeeze-and-excitation; `val_top1` and `val_top5` `[A]` in %; `train_time` `[A]`
            in seconds; `latency_V` `[A]` in ms or `throughput_V` `[A]` in images a second of device
            `V`, NaN where it was not run.
        source: where the numbers come from.

    Returns:
        A row for each different network, with the means of its runs. Columns `val_accuracy`,
        `val_top5`, `seconds`, and `latency:V` in ms an image: where only the throughput was
        measured, its inverse.

    Raises:
        ValueError: a number is none of the choices; the message names the row.
    """
    archs = _vectors(arrays["arch"])
    _, first, number = np.unique(archs, axis=0, return_index=True, return_inverse=True)
    # In the order of the file, and not in that of the vectors.
    order = np.argsort(first)
    copy_of = np.argsort(order)[number]
    texts, columns = {}, {}
    for name, (array, words) in _COLUMNS.items():
        columns[name], texts[name] = arrays[array], f"{words}, mean of its runs"
    for device, kind in _DEVICES.items():
        name = f"latency:{device}"
        if f"latency_{device}" in arrays:
            columns[name] = arrays[f"latency_{device}"]
            texts[name] = f"latency in ms of one image on {device}, {kind} (imagenet)"
        elif f"throughput_{device}" in arrays:
            columns[name] = 1000 / arrays[f"throughput_{device}"].astype(float)
            texts[name] = (
                f"latency in ms an image in large batches on {device}, {kind}: the inverse of its "
                "throughput (imagenet)"
            )
    means = {name: _means(values, copy_of) for name, values in columns.items()}
    return Contents(_NAME, archs[first[order]], means, texts, source)


def _vectors(blocks: np.ndarray) -> np.ndarray:
    """`[A, 28]` int32 of values `[A, 7, 4]`."""
    values = blocks.reshape(len(blocks), -1)
    if values.shape[1] != len(CHOICES):
        raise ValueError(f"arch needs {len(CHOICES)} numbers a row; got {values.shape[1]}")
    columns = []
    for place, (name, choices) in enumerate(CHOICES.items()):
        is_choice = values[:, place, None] == np.array(choices, int)
        if not is_choice.any(axis=1).all():
            row = int(np.argmin(is_choice.any(axis=1)))
            raise ValueError(
                f"row {row} is no network of {_NAME}: {name} is {values[row, place]}; "
                f"valid: {', '.join(str(int(choice)) for choice in choices)}"
            )
        columns.append(is_choice.argmax(axis=1))
    return np.stack(columns, axis=1).astype(np.int32)


def _means(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`[N]` float64, means of the values `[A]` of each place, without those that are NaN."""
    known = np.isfinite(values)
    sums = np.bincount(places[known], values[known].astype(float), places.max() + 1)
    nums = np.bincount(places[known], minlength=places.max() + 1)
    means: np.ndarray = np.divide(sums, nums, out=np.full(len(sums), np.nan), where=nums > 0)
    return means
