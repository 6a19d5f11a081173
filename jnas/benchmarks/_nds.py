"""Layouts of the trainings of NDS as tables: packed arrays, and the jobs of the official files.

Radosavovic et al., "On Network Design Spaces for Visual Recognition", ICCV 2019,
https://arxiv.org/abs/1905.13214. Files have errors, tables have accuracies: 100 less the error.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnas import spaces
from jnas.benchmarks.released import Contents
from jnas.engine import readers
from jnas.engine.messages import nearest
from jnas.spaces.nds_cells import DEPTHS, WIDTHS
from jnas.types import Space

_KEYS = {"ds": "depths", "ws": "widths", "bot_muls": "bottleneck_ratio", "num_gs": "groups"}
# Of each kind of block the spaces that it may be of, the smaller one first.
_BLOCKS = {
    "res_basic_block": ("nds_resnet",),
    "double_plain_block": ("nds_vanilla",),
    "res_bottleneck_block": ("nds_resnext_a", "nds_resnext_b"),
}
# Of cells those with fewer operations first: others may have all of theirs, and more.
_CELLS: tuple[Callable[..., Space], ...] = (
    spaces.enas,
    functools.partial(spaces.darts, repeats=True),
    spaces.amoebanet,
    spaces.pnas,
    spaces.nasnet,
)
_BEST = "CIFAR-10 test accuracy in % after the best epoch, 100 - min_test_top1"
_COSTS = {
    "params": "trainable parameters, as published",
    "flops": "multiply-accumulates, plus 10 and 5 for each number that a batch norm returns, "
    "as published",
}
NETWORKS = "nds_resnexta.npz"
"""File that has the networks of one-shot scores, in the same folder."""


# --------------------------------------------------------------------------------------------------
# Packed arrays.


def is_nds(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `depths [A, 3]`, `widths [A, 3]` and so on."""
    return {"depths", "widths", "params", "flops", "test_accuracy"} <= set(arrays)


def packed(arrays: Mapping[str, np.ndarray], source: str) -> Contents:
    """`Contents` of trainings of ResNet, or of ResNeXt-A where there are groups.

    Args:
        arrays: `depths`, `widths` `[A, 3]`, and of ResNeXt `bottleneck_ratio`, `groups` `[A, 3]`;
            `params`, `flops` and `test_accuracy` (in %, of the best epoch) `[A]`.
        source: where they come from.

    Raises:
        ValueError: a number is none of the family's choices; the message names the row.
    """
    name = "nds_resnext_a" if "groups" in arrays else "nds_resnet"
    keys = {key: array for key, array in _KEYS.items() if array in arrays}
    block = next(block for block, names in _BLOCKS.items() if name in names)
    # By way of records, so that numbers are looked at in one place.
    nets = (
        _record(block, dict(zip(keys, rows, strict=True)))
        for rows in zip(*(arrays[array].tolist() for array in keys.values()), strict=True)
    )
    archs = _archs(nets, spaces.by_name(name), "row")
    columns = {one: arrays[one] for one in ("test_accuracy", *_COSTS)}
    runs = "one run" if name == "nds_resnext_a" else "mean of 3 runs"
    stated = {"test_accuracy": f"{_BEST}, of 100 epochs, {runs}", **_COSTS}
    return Contents(name, archs, columns, stated, source)


def _record(block: str, stages: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Record, as the official files have it, of three stages."""
    stem: dict[str, float] = {"ds": 1, "ws": 16, "bot_muls": 0, "num_gs": 1}
    lists = {key: [stem[key], *numbers] for key, numbers in stages.items()}
    return {"block_type": block, "ss": [1, 1, 2, 2], **lists}


def is_oneshot(arrays: Mapping[str, Any]) -> bool:
    """True for the arrays of a file with `accuracy_ordinal [A]`, `loss_l1 [A]` and so on."""
    return {"epoch", "seed", "accuracy_ordinal", "loss_ordinal", "accuracy_l1"} <= set(arrays)


def oneshot(arrays: Mapping[str, np.ndarray], file: Path) -> Contents:
    """`Contents` of one-shot scores of ResNeXt-A, whose networks are those of `NETWORKS`.

    Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064.

    Args:
        arrays: `accuracy_WAY` and `loss_WAY` `[A]` with the weights of a supernet whose widest
            channels are shared in some way, NaN where unknown; `epoch` and `seed` `[]`.
        file: where they are from.

    Returns:
        The columns of `NETWORKS`, and `oneshot_accuracy_WAY` (in %) and `oneshot_loss_WAY`.

    Raises:
        ValueError: `NETWORKS` is not beside the file, or has other rows.
    """
    beside = file.with_name(NETWORKS)
    if not beside.is_file():
        raise ValueError(f"{file.name} has no networks; their file {NETWORKS} must be beside it")
    with readers.arrays(beside) as archive:
        known = packed({name: archive[name] for name in archive.files}, file.name)
    ways = {"ordinal": "the first channels", "l1": "the channels of largest norm"}
    columns, stated = dict(known.columns), dict(known.conventions)
    for way, what in ways.items():
        columns |= {
            f"oneshot_accuracy_{way}": 100 * arrays[f"accuracy_{way}"],
            f"oneshot_loss_{way}": arrays[f"loss_{way}"],
        }
        how = f"with {what} of a supernet's weights, epoch {arrays['epoch']}, seed {arrays['seed']}"
        stated |= {
            f"oneshot_accuracy_{way}": f"accuracy in % on 10,000 training images {how}",
            f"oneshot_loss_{way}": f"cross-entropy in nats on 10,000 training images {how}",
        }
    if any(len(values) != len(known.archs) for values in columns.values()):
        raise ValueError(f"{file.name} has other rows than {NETWORKS}, {len(known.archs)}")
    return known._replace(columns=columns, conventions=stated)


# --------------------------------------------------------------------------------------------------
# The official files.


def is_jobs(value: Any) -> bool:
    """True for what an official file holds: a list of jobs, or several lists by name."""
    lists = [value] if isinstance(value, list) else value.values()
    return all(isinstance(jobs, list) for jobs in lists) and all(
        isinstance(job, dict) and "net" in job for jobs in lists for job in jobs
    )


def jobs(value: Any, file: Path, space: Space | None) -> Contents:
    """`Contents` of an official file of trainings, such as `ResNet.json` or `NASNet.json`.

    Args:
        value: a list of jobs, or an object of lists. A job has `net` (see
            `spaces.nds_from_record`), `params`, `flops`, `min_test_top1`, `test_ep_top1`,
            `train_ep_top1`, `iter_time` and `rng_seed`; top-1 values are errors in %.
        file: where they are from.
        space: the family; by default the one that all networks are of, the smaller ResNeXt first.
            Of cells the one with the fewest operations; width and depth are choices, unless all
            networks have the same (as in `ENAS_fix-w-d.json`).

    Returns:
        Columns `test_accuracy` (after the best epoch), `train_accuracy` (after the last one),
        `params`, `flops`, `iteration_seconds`, `seed`, and `testE` after each epoch `E`; NaN where
        a training has no such epoch.

    Raises:
        ValueError: a job lacks something, or its network is none of the family; the message names
            the job.
    """
    flat = (
        list(value) if isinstance(value, list) else [one for part in value.values() for one in part]
    )
    if not flat:
        raise ValueError(f"{file.name} has no jobs")
    nets = [_of(job, "net", place, file) for place, job in enumerate(flat)]
    family, archs = _family(nets, space)
    errors = {
        "test_accuracy": _numbers(flat, "min_test_top1", file),
        "train_accuracy": [_last(_of(job, "train_ep_top1", n, file)) for n, job in enumerate(flat)],
    }
    columns = {key: 100 - np.array(values, np.float64) for key, values in errors.items()}
    taken = {"params": "params", "flops": "flops", "iteration_seconds": "iter_time"}
    taken |= {"seed": "rng_seed"}
    columns |= {key: np.array(_numbers(flat, of, file)) for key, of in taken.items()}
    stated = {
        "test_accuracy": f"{_BEST}, one run",
        "train_accuracy": "CIFAR-10 training accuracy in % after the last epoch, one run",
        **_COSTS,
        **({"flops": "multiply-accumulates and more, as published"} if _is_cells(nets[0]) else {}),
        "iteration_seconds": "seconds of a step of the training",
        "seed": "seed of the training",
    }
    curves = [_of(job, "test_ep_top1", place, file) for place, job in enumerate(flat)]
    for epoch in range(max(map(len, curves))):
        after = [curve[epoch] if epoch < len(curve) else np.nan for curve in curves]
        columns[f"test{epoch + 1}"] = (100 - np.array(after, np.float64)).astype(np.float32)
        stated[f"test{epoch + 1}"] = f"CIFAR-10 test accuracy in % after epoch {epoch + 1}, one run"
    return Contents(family.name, archs, columns, stated, file.name, found=family)


def _of(job: Mapping[str, Any], key: str, place: int, file: Path) -> Any:
    """Part of a job; ValueError where it is not there."""
    if key not in job:
        raise ValueError(f"job {place} of {file.name} lacks {key!r}")
    return job[key]


def _numbers(jobs: Sequence[Mapping[str, Any]], key: str, file: Path) -> list[float]:
    """One number of each job; ValueError names a job where it is none."""
    values = [_of(job, key, place, file) for place, job in enumerate(jobs)]
    for place, value in enumerate(values):
        if not isinstance(value, int | float):
            raise ValueError(
                f"job {place} of {file.name}: {key} must be a number; got {str(value)[:100]!r}"
            )
    return values


def _last(values: Sequence[float]) -> float:
    """Last of some numbers; NaN where there is none."""
    return values[-1] if values else np.nan


def _family(nets: Sequence[Any], space: Space | None) -> tuple[Space, np.ndarray]:
    """Family of records, and their architectures `[A, D]`."""
    if _is_cells(nets[0]):
        return _first([space] if space else _of_cells(nets), nets)
    block = nets[0].get("block_type", "") if isinstance(nets[0], dict) else ""
    if block not in _BLOCKS:
        raise ValueError(f"job 0: unknown block {block!r}. {nearest(str(block), [*_BLOCKS])}")
    names = _BLOCKS[block]
    if space is None:
        return _first([*map(spaces.by_name, names)], nets)
    if space.name not in names:
        raise ValueError(f"its blocks are those of {' or '.join(names)}, not of {space.name}")
    return _first([space], nets)


def _first(families: Sequence[Space], nets: Sequence[Any]) -> tuple[Space, np.ndarray]:
    """First of some families that has all networks; the error of the last one otherwise."""
    # Networks that fit several are taken for the smaller one; of a file of the larger, some do not.
    *others, last = families
    for space in others:
        try:
            return space, _archs(nets, space, "job")
        except ValueError:
            continue
    return last, _archs(nets, last, "job")


def _is_cells(net: Any) -> bool:
    """True for a record of cells."""
    return isinstance(net, dict) and "genotype" in net


def _of_cells(nets: Sequence[Any]) -> list[Space]:
    """Families of cells, in networks of the sizes of some records."""
    sizes = [(net.get("width"), net.get("depth")) for net in nets if _is_cells(net)]
    channels, layers = WIDTHS, DEPTHS
    # What is no number is told where the records are read.
    if all(size == sizes[0] and all(type(one) is int for one in size) for size in sizes):
        channels, layers = sizes[0]
    return [make(channels=channels, layers=layers) for make in _CELLS]


def _archs(nets: Any, space: Space, what: str) -> np.ndarray:
    """`[A, D]` int32 of records; ValueError names the one that is none of the space."""
    archs = []
    for place, net in enumerate(nets):
        try:
            archs.append(spaces.nds_from_record(net, space))
        except ValueError as error:
            raise ValueError(f"{what} {place}: {error}") from error
    return np.array(archs, np.int32).reshape(-1, len(space.cardinalities))
