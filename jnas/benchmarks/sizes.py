"""Released benchmarks of sizes and skeletons by name, from the folder of tables."""

import os
from pathlib import Path

from jnas.benchmarks import _transnas
from jnas.benchmarks.named import load_from_folder
from jnas.benchmarks.table import Table


def nds_resnet(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 5,000 ResNets of NDS on CIFAR-10.

    Radosavovic et al., ICCV 2019, https://arxiv.org/abs/1905.13214.

    Args:
        path: the file, or an official one (`ResNet.json`); by default `nds_resnet.npz` in the
            folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `test_accuracy` (% **test**, after the best of 100 epochs, mean of
        3 runs), `params` and `flops` as published. From an official file: see `_nds.jobs`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("nds_resnet", path, "nds_resnet")


def nds_resnext_a(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 5,000 ResNeXts of NDS, family A, on CIFAR-10, one run each.

    Args:
        path: the file, or an official one (`ResNeXt-A.json`); by default `nds_resnexta.npz` in the
            folder that `JNAS_DATA` names.

    Returns:
        As `nds_resnet`.

    Raises:
        FileNotFoundError: as `nds_resnet`.
        ValueError: as for `load`.
    """
    return load_from_folder("nds_resnext_a", path, "nds_resnext_a")


def nds_resnext_b(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of ResNeXts of NDS, family B, from an official file.

    Args:
        path: the file; by default `ResNeXt-B.json` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `test_accuracy` (% **test**, after the best epoch), `testE` after
        each epoch `E`, `train_accuracy`, `params`, `flops`, `iteration_seconds` and `seed`.

    Raises:
        FileNotFoundError: as `nds_resnet`.
        ValueError: as for `load`.
    """
    return load_from_folder("nds_resnext_b", path, "nds_resnext_b")


def nds_vanilla(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of networks without shortcuts of NDS, from an official file.

    Args:
        path: the file; by default `Vanilla.json` in the folder that `JNAS_DATA` names.

    Returns:
        As `nds_resnext_b`.

    Raises:
        FileNotFoundError: as `nds_resnet`.
        ValueError: as for `load`.
    """
    return load_from_folder("nds_vanilla", path, "nds_vanilla")


def nasbench_macro(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 6,561 networks of NAS-Bench-Macro on CIFAR-10.

    Su et al., CVPR 2021, https://arxiv.org/abs/2103.11922. Equal networks have equal rows.

    Args:
        path: the file; by default `nas-bench-macro_cifar10.json` in the folder that `JNAS_DATA`
            names.

    Returns:
        A table with the columns `test_accuracy` (% **test**, mean of 3 runs; there is no validation
        accuracy), `test_accuracy_0` to `_2`, `params` and `flops`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("nasbench_macro", path, "nasbench_macro")


def mnasnet(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 5,125 networks of MnasNet's space on ImageNet, with latencies on six devices.

    Ahmad et al. (Accel-NASBench), DAC 2024, https://arxiv.org/abs/2404.08005.

    Args:
        path: the file; by default `accel_mnasnet.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `val_accuracy` and `val_top5` (% **validation**, of a short
        training whose recipe was searched for), `seconds` of that training, and
        `latency:DEVICE` (ms an image): of the FPGAs zcu102 and vck190 as measured, of a100, 3090,
        tpuv2 and tpuv3 the inverse of the throughput; NaN where a network was not run.
        Rows are in the order of the file, whose first third has no squeeze-and-excitation: split
        them at random.

    Raises:
        FileNotFoundError: as `nds_resnet`.
        ValueError: as for `load`.
    """
    return load_from_folder("mnasnet", path, "mnasnet")


def transnas_macro(
    task: str = "class_object", *, path: str | os.PathLike[str] | None = None
) -> Table:
    """`Table` of the 3,256 skeletons of TransNAS-Bench-101 on one task.

    Duan et al., CVPR 2021, https://arxiv.org/abs/2105.11871.

    Args:
        task: "class_object", "class_scene", "room_layout", "jigsaw", "segmentsemantic", "normal" or
            "autoencoder". A file at `path` is of one task, and then this says nothing.
        path: the file; by default `transbench101_TASK.csv` in the folder that `JNAS_DATA` names.
            `macro_TASK.json`, which has the names of its rows, must be beside it.

    Returns:
        A table whose columns are those of the file, such as `valid_top1`, the largest value of any
        epoch; `seconds` is the time of the training. Losses are left out, for theirs is the worst.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`; or the task is unknown, or names are absent.
    """
    return _transnas_table("transnas_macro", task, path)


def transnas_micro(
    task: str = "class_object", *, path: str | os.PathLike[str] | None = None
) -> Table:
    """`Table` of the 4,096 cells of TransNAS-Bench-101 on one task.

    Args:
        task: as for `transnas_macro`.
        path: the file; by default `transbench101_TASK.csv` in the folder that `JNAS_DATA` names.

    Returns:
        As `transnas_macro`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`; or the task is unknown.
    """
    return _transnas_table("transnas_micro", task, path)


def _transnas_table(space: str, task: str, path: str | os.PathLike[str] | None) -> Table:
    """`Table` of one of the two spaces."""
    # A file has the rows of both spaces, and is named after its task.
    stem = Path(_transnas.file_name(_transnas.task_name(task))).stem
    return load_from_folder(stem, path, space)
