"""Layouts of further measurements of NAS-Bench-201's cells, as tables.

Hardware: Lee et al. (HELP), NeurIPS 2021, https://arxiv.org/abs/2106.08630, and Li et al.
(HW-NAS-Bench), ICLR 2021, https://arxiv.org/abs/2103.10584. Robustness: Jung, Lukasik and Keuper,
ICLR 2023, https://arxiv.org/abs/2306.06712. The files have no cells: their rows are in the official
index order.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jnas.benchmarks import released
from jnas.benchmarks.released import Contents

_GPUS = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp")
_KINDS = {
    "gold_6226": "a CPU",
    "gold_6240": "a CPU",
    "silver_4114": "a CPU",
    "silver_4210r": "a CPU",
    "pixel2": "a phone, whole ms",
    "pixel3": "a phone",
    "essential_ph_1": "a phone, whole ms",
    "samsung_a50": "a phone, whole ms",
    "samsung_s7": "a phone, whole ms",
    "raspi4": "a small computer",
    "eyeriss": "an ASIC, simulated",
    "fpga": "simulated",
    "edgegpu": "an embedded GPU",
    "edgetpu": "an accelerator; NaN where a cell does not run on it",
}
_DATASETS = {"c10": "cifar10", "c100": "cifar100", "in16": "imagenet16"}
_UNITS = {"latency": "ms", "energy": "mJ"}
TASKS = {"svhn": "SVHN", "ninapro": "NinaPro", "scifar100": "spherical CIFAR-100"}
"""Further tasks, as files call them → their names."""

_ATTACK = re.compile(r"(.+)@Linf_eps-([\d.]+)")


def _official_cells(num: int) -> np.ndarray:
    """`[num, 6]` int32, cells in the official index order; ValueError where there are not so many.

    Raises:
        FileNotFoundError: the package that lists them is not installed.
    """
    archs = released.hpo_bench(released.hpo_bench_path("cifar10"), "cifar10").archs
    if num != len(archs):
        raise ValueError(f"NAS-Bench-201 has {len(archs):,} cells, not {num:,}")
    return archs


# --------------------------------------------------------------------------------------------------
# Hardware.


def is_hardware(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `latency_ms [A, devices]`, `hw_c10 [A, 9]` and so on."""
    return {"devices", "latency_ms", "hw_columns", "hw_c10"} <= set(arrays)


def hardware(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of latencies and energies of all cells on many devices.

    Args:
        arrays: `devices` `[V]` names; `latency_ms` `[15625, V]`, on images of CIFAR-10's size;
            `hw_columns` `[H]`, such as "pixel3_latency" and "fpga_energy"; `hw_D` `[15625, H]` in
            ms and mJ for `D` in `c10`, `c100`, `in16`, -1 where nothing was measured.
        source: where the numbers come from.

    Returns:
        Columns `latency:DEVICE` and `energy:DEVICE` for CIFAR-10, and `latency:DEVICE:cifar100`
        and so on for the other data sets; NaN where nothing was measured.

    Raises:
        ValueError: there are not as many rows as cells.
        FileNotFoundError: the package that lists the cells is not installed.
    """
    archs = _official_cells(len(arrays["latency_ms"]))
    devices = arrays["devices"].tolist()
    columns = dict(
        zip((f"latency:{name}" for name in devices), arrays["latency_ms"].T, strict=True)
    )
    texts = {f"latency:{name}": _latency(name) for name in devices}
    for suffix, dataset in _DATASETS.items():
        numbers = arrays[f"hw_{suffix}"].T
        for name, values in zip(arrays["hw_columns"].tolist(), numbers, strict=True):
            device, _, kind = name.rpartition("_")
            column = f"{kind}:{device}" + ("" if dataset == "cifar10" else f":{dataset}")
            # What both sources have of CIFAR-10 is equal.
            if column not in columns:
                columns[column] = np.where(values < 0, np.nan, values)
                texts[column] = _measurement(kind, device, dataset)
    return Contents("nasbench201", archs, columns, texts, source)


def _latency(device: str) -> str:
    """Convention of a latency on images of CIFAR-10's size."""
    base, _, batch = device.rpartition("_")
    if base in _GPUS:
        return f"latency in ms on {base}, a GPU (cifar10, a batch of {batch})"
    return _measurement("latency", device, "cifar10")


def _measurement(kind: str, device: str, dataset: str) -> str:
    """Convention of a latency or an energy."""
    return f"{kind} in {_UNITS[kind]} on {device}, {_KINDS.get(device, 'a device')} ({dataset})"


# --------------------------------------------------------------------------------------------------
# Attacks, and other tasks.


def is_more(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `robust_columns`, `robust_c10 [A, R]` and so on."""
    return {"robust_columns", "robust_c10"} <= set(arrays)


def more(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of accuracies under attack, and of some cells on other tasks.

    Args:
        arrays: `robust_columns` `[R]` texts such as "fgsm@Linf_eps-1.0"; `robust_c10` `[15625, R]`
            in %; and for each task `T` that has `T_index` `[N]`, official indices, `T` `[N]` in %.
        source: where the numbers come from.

    Returns:
        Columns `robust:ATTACK:EPS` (radius in 1/255) and `T`, NaN for cells without it.

    Raises:
        ValueError: there are not as many rows as cells, or an index is of none.
        FileNotFoundError: the package that lists the cells is not installed.
    """
    archs = _official_cells(len(arrays["robust_c10"]))
    columns: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    for name, values in zip(arrays["robust_columns"].tolist(), arrays["robust_c10"].T, strict=True):
        attack, radius = _attack(name)
        columns[f"robust:{attack}:{radius}"] = values
        texts[f"robust:{attack}:{radius}"] = (
            f"accuracy in % on CIFAR-10 under the attack {attack}, L-infinity radius {radius}/255; "
            "isomorphic cells share a measurement"
        )
    for name in arrays:
        if f"{name}_index" in arrays:
            columns[name] = _of_some(arrays[name], arrays[f"{name}_index"], len(archs))
            task, _, num = name.rpartition("_")
            texts[name] = f"validation accuracy in % on {TASKS.get(task, task)}, {num} cells"
    return Contents("nasbench201", archs, columns, texts, source)


def _attack(name: str) -> tuple[str, str]:
    """Attack and its radius, from a text of both; ValueError where it is anything else."""
    parts = _ATTACK.fullmatch(name)
    if not parts:
        raise ValueError(f"no attack with a radius: {name!r}")
    return parts[1], f"{float(parts[2]):g}"


def _of_some(values: np.ndarray, index: np.ndarray, num: int) -> np.ndarray:
    """`[num]`, values at their indices and NaN elsewhere; ValueError for an index out of range."""
    if index.size and not (index.min() >= 0 and index.max() < num):
        raise ValueError(f"an index is not in 0 … {num - 1}")
    every = np.full(num, np.nan, np.float32)
    every[index] = values
    return every
