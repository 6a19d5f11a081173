"""Further measurements of cells against dictionaries and published numbers, and what is refused."""

import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jnas import benchmarks, spaces
from jnas.types import Query

PACKAGED = benchmarks.nasbench201("cifar10")
NUM = len(PACKAGED)
SPACE = spaces.nasbench201()


def as_dict(archs: np.ndarray, values: np.ndarray) -> dict[tuple[int, ...], float]:
    return dict(zip(map(tuple, archs.tolist()), values.tolist(), strict=True))


# --------------------------------------------------------------------------------------------------
# Latencies and energies.


def hardware_file(folder: Path, num: int = NUM) -> Path:
    """Two devices and a GPU that count rows, in three orders of magnitude."""
    rows = np.arange(num, dtype=np.float32)
    path = folder / "latency_nasbench201.npz"
    np.savez(
        path,
        devices=np.array(["2080ti_32", "pixel3", "essential_ph_1"]),
        latency_ms=np.stack([rows, 10 * rows, 100 * rows], axis=1),
        hw_columns=np.array(["fpga_energy", "pixel3_latency", "edgetpu_latency"]),
        hw_c10=np.stack([rows / 10, rows, np.where(rows % 3, rows, -1)], axis=1),
        hw_c100=np.stack([rows / 20, rows / 4, rows], axis=1),
        hw_in16=np.stack([rows / 30, rows / 5, rows], axis=1),
    )
    return path


def test_latencies_are_columns_by_device_kind_and_data_set(tmp_path: Path) -> None:
    table = benchmarks.hardware(path=hardware_file(tmp_path))
    rows = np.arange(NUM, dtype=np.float32)
    for name, values in {
        "latency:2080ti_32": rows,
        "latency:pixel3": 10 * rows,  # not that of the second list, which has the same device
        "latency:pixel3:cifar100": rows / 4,
        "energy:fpga": rows / 10,
        "energy:fpga:imagenet16": rows / 30,
        "latency:edgetpu": np.where(rows % 3, rows, np.nan),  # -1 is no latency
    }.items():
        np.testing.assert_array_equal(table.column(name), values)
        assert table.minimizes(name)
    assert len(table.columns) == 3 + 2 + 2 * 3
    assert {name: table.conventions[name] for name in list(table.columns)[:4]} == {
        "latency:2080ti_32": "latency in ms on 2080ti, a GPU (cifar10, a batch of 32)",
        "latency:pixel3": "latency in ms on pixel3, a phone (cifar10)",
        "latency:essential_ph_1": "latency in ms on essential_ph_1, a phone, whole ms (cifar10)",
        "energy:fpga": "energy in mJ on fpga, simulated (cifar10)",
    }
    # The cells are those of the table of accuracies, row by row.
    np.testing.assert_array_equal(table.archs, PACKAGED.archs)
    assert [source.columns for source in benchmarks.available(tmp_path)[4:5]] == [
        tuple(table.columns)
    ]
    # Numbers of devices and radii are none of epochs.
    assert table.learning_curve("latency:2080ti_32") == {}


def test_latencies_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = benchmarks.hardware("nasbench201", path=hardware_file(tmp_path))
    with pytest.raises(ValueError, match="Did you mean 'latency:pixel3'"):
        table.cost("latency:pixl3")
    with pytest.raises(FileNotFoundError, match="no latencies of nats_size; it has some of nasb"):
        benchmarks.hardware(spaces.nats_size())
    with pytest.raises(
        ValueError, match=r"unknown space 'nasbench20'\. Did you mean 'nasbench201'"
    ):
        benchmarks.hardware("nasbench20")
    monkeypatch.setenv("JNAS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"Put latency_nasbench201\.npz into a folder"):
        benchmarks.hardware()
    sources = {source.name: source for source in benchmarks.available()}
    assert sources["latency_nasbench201"].where.startswith("Put latency_nasbench201.npz into")
    with pytest.raises(
        ValueError, match=r"latency_nasbench201\.npz: NAS-Bench-201 has 15,625 cells"
    ):
        benchmarks.load(hardware_file(tmp_path, num=7))


def test_published_latencies(data_folder: Path) -> None:
    """The first row is printed on HW-NAS-Bench's own page; look-ups agree with a dictionary."""
    table = benchmarks.hardware(path=data_folder / "latency_nasbench201.npz")
    printed = {
        "latency:edgegpu": 5.8074,
        "energy:edgegpu": 24.2266,
        "latency:raspi4": 10.4820,
        "latency:edgetpu": 0.95718,
        "latency:pixel3": 3.60585,
        "latency:eyeriss": 3.64562,
        "energy:eyeriss": 0.68728,
        "latency:fpga": 2.57296,
        "energy:fpga": 18.01072,
    }
    for name, value in printed.items():
        assert table.column(name)[0] == pytest.approx(value, abs=6e-5)
    known = as_dict(PACKAGED.archs, table.column("latency:pixel3"))
    cells = np.random.default_rng(0).permutation(SPACE.enumerate())[:200]
    cost = jax.jit(jax.vmap(table.cost("latency:pixel3")))
    np.testing.assert_array_equal(cost(cells), [known[tuple(cell)] for cell in cells.tolist()])
    assert np.isnan(table.column("latency:edgetpu")).sum() == 4699
    assert all(np.nanmin(values) > 0 for values in table.columns.values())


# --------------------------------------------------------------------------------------------------
# Attacks and other tasks.


def more_file(folder: Path) -> Path:
    path = folder / "nasbench201_more.npz"
    np.savez(
        path,
        robust_columns=np.array(["fgsm@Linf_eps-8.0", "aa_square@Linf_eps-0.5"]),
        robust_c10=np.stack([np.arange(NUM), np.arange(NUM)[::-1]], axis=1).astype(np.float32),
        svhn_2=np.array([90, 91], np.float32),
        svhn_2_index=np.array([7, 3]),
    )
    return path


def test_attacks_and_tasks_are_columns(tmp_path: Path) -> None:
    table = benchmarks.nasbench201_more(more_file(tmp_path))
    assert list(table.columns) == ["robust:fgsm:8", "robust:aa_square:0.5", "svhn_2"]
    np.testing.assert_array_equal(table.column("robust:aa_square:0.5"), np.arange(NUM)[::-1])
    assert not table.minimizes("robust:fgsm:8")
    known = np.flatnonzero(np.isfinite(table.column("svhn_2")))
    np.testing.assert_array_equal(known, [3, 7])
    np.testing.assert_array_equal(table.column("svhn_2")[known], [91, 90])
    assert table.conventions["svhn_2"] == "validation accuracy in % on SVHN, 2 cells"
    with np.load(tmp_path / "nasbench201_more.npz") as file:
        arrays = dict(file)
    for changes, message in (
        ({"svhn_2_index": np.array([7, NUM])}, "an index is not in 0 … 15624"),
        ({"robust_columns": np.array(["fgsm", "pgd"])}, "no attack with a radius: 'fgsm'"),
    ):
        np.savez(tmp_path / "wrong.npz", **(arrays | changes))
        with pytest.raises(ValueError, match=message):
            benchmarks.load(tmp_path / "wrong.npz")


def test_other_tasks_do_not_go_with_accuracy(data_folder: Path) -> None:
    table = benchmarks.nasbench201_more(data_folder / "nasbench201_more.npz")
    with np.load(data_folder / "nasbench201.npz") as file:
        accuracy = file["test200_c10"]
    published = {"scifar100_999": -0.01, "scifar100_200": -0.16, "ninapro_200": 0.09}
    for name, correlation in (published | {"svhn_200": 0.91}).items():
        values = table.column(name)
        known = np.isfinite(values)
        assert known.sum() in (199, 999)
        found = scipy.stats.spearmanr(values[known], accuracy[known]).statistic
        assert found == pytest.approx(correlation, abs=0.006)
    # Under no stronger attack is a cell better off.
    weak, strong = (table.column(f"robust:pgd:{radius}") for radius in ("0.5", "4"))
    assert (strong <= weak).all()


# --------------------------------------------------------------------------------------------------
# NAS-Bench-101 by four numbers of epochs.


@pytest.mark.slow
def test_trainings_of_a_cell_by_several_numbers_of_epochs(tmp_path: Path) -> None:
    """Two of three cells: input to output alone, and a convolution in between."""
    path = tmp_path / "nasbench101_budgets.npz"
    np.savez(
        path,
        row=np.array([2, 0]),
        epochs=np.array([4, 108]),
        val_accuracy=np.array([[0.25, 0.75], [0.5, 0.875]], np.float32),
        seconds108=np.array([108.0, 216.0]),
        params=np.array([10, 20]),
    )
    with pytest.raises(ValueError, match=r"budgets\.npz has no cells.* nasbench101\.npz must be"):
        benchmarks.load(path)
    np.savez(
        tmp_path / "nasbench101.npz",
        num_vertices=np.array([2, 3, 3], np.uint8),
        edge_bits=np.array([1, 5, 5], np.uint32),
        ops=np.array([[0, 4, *5 * [255]], [0, 1, 4, *4 * [255]], [0, 2, 4, *4 * [255]]], np.uint8),
        test_accuracy=np.array([0.1, 0.2, 0.3], np.float32),
    )
    table = benchmarks.nasbench101_budgets(path)
    texts = [table.space.to_string(arch) for arch in table.archs]
    assert texts == ["conv1x1:0|output:1", "output:0"]
    np.testing.assert_allclose(table.column("test_accuracy"), [0.3, 0.1])
    curve = table.learning_curve("val108")
    assert curve == {4: "val4", 108: "val108"}
    objective = table.objective(curve, cost_epochs=108)
    query = Query(jnp.arange(4), table.archs[jnp.array([0, 1, 0, 1])], jnp.array([4, 4, 108, 12]))
    scores, seconds = objective(jax.random.key(0), query)
    np.testing.assert_array_equal(scores, np.array([0.25, 0.5, 0.75, np.nan], np.float32))
    np.testing.assert_allclose(seconds, [4, 8, 108, 0])


def module_hash(matrix: np.ndarray, labels: list[int]) -> str:
    """The hash of Ying et al. for a cell, whose vertices are labelled -1, operations, -2."""

    def digest(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    edges = matrix.astype(int)
    degrees = zip(edges.sum(axis=1).tolist(), edges.sum(axis=0).tolist(), labels, strict=True)
    hashes = [digest(str(vertex)) for vertex in degrees]
    for _ in labels:
        joined = [
            ["".join(sorted(hashes[w] for w in np.flatnonzero(side))) for side in (column, row)]
            for column, row in zip(matrix.T, matrix, strict=True)
        ]
        hashes = [
            digest("|".join((*sides, own))) for sides, own in zip(joined, hashes, strict=True)
        ]
    return digest(str(sorted(hashes)))


@pytest.mark.slow
def test_cells_of_all_numbers_of_epochs_are_the_published_ones(data_folder: Path) -> None:
    path = data_folder / "nasbench101_budgets.npz"
    table = benchmarks.nasbench101_budgets(path)
    with np.load(path) as file:
        hashes = file["module_hash"]
    names = {"input": -1, "output": -2, "conv3x3-bn-relu": 0, "conv1x1-bn-relu": 1, "maxpool3x3": 2}
    some = np.arange(0, len(table), 700)
    for row in some.tolist():
        matrix, operations = spaces.nasbench101_to_matrix(table.archs[row])
        labels = [names[name] for name in operations]
        assert module_hash(np.asarray(matrix), labels) == hashes[row].tobytes().hex()
    params = jax.jit(jax.vmap(table.space.params))(table.archs[some])
    np.testing.assert_array_equal(params, table.column("params")[some])
    truth = table.column("test_accuracy")
    for epochs, known in {4: 0.482, 12: 0.642, 36: 0.894, 108: 0.986}.items():
        found = scipy.stats.spearmanr(table.column(f"val{epochs}"), truth).statistic
        assert found == pytest.approx(known, abs=6e-4)
