"""Benchmarks of sizes and skeletons: published layouts by hand, measured files where they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jnas import benchmarks, spaces
from jnas.types import Space


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# --------------------------------------------------------------------------------------------------
# Accel-NASBench.

BLOCKS = np.tile(np.array([[1, 3, 1, 0]], np.uint8), (7, 1))
ACCEL = {
    "arch": np.stack([BLOCKS, BLOCKS + np.array([5, 2, 2, 1], np.uint8), BLOCKS]),
    "arch_columns": np.array(["expansion", "kernel", "layers", "se"]),
    "val_top1": np.array([50, 60, 52], np.float32),
    "val_top5": np.array([70, 80, 70], np.float32),
    "train_time": np.array([100, 300, 200], np.float32),
    "latency_zcu102": np.array([np.nan, np.nan, 3], np.float32),
    "throughput_a100": np.array([5000, 2000, 5000], np.float32),
}


def test_runs_of_a_network_are_averaged(tmp_path: Path) -> None:
    file = tmp_path / "accel.npz"
    np.savez(file, **ACCEL)
    table = benchmarks.mnasnet(file)
    assert [text[-44:] for text in map(table.space.to_string, table.archs)] == [
        ",block6_e=1,block6_k=3,block6_l=1,block6_se=False"[-44:],
        ",block6_e=6,block6_k=5,block6_l=3,block6_se=True"[-44:],
    ]
    assert {name: values.tolist() for name, values in table.columns.items()} == {
        "val_accuracy": [51, 60],
        "val_top5": [70, 80],
        "seconds": [150, 300],
        "latency:zcu102": [3, pytest.approx(np.nan, nan_ok=True)],
        "latency:a100": [0.2, 0.5],
    }
    assert benchmarks.usual_column(table) == "val_accuracy"
    assert "latency:a100" in benchmarks.hardware("mnasnet", path=file).columns
    np.savez(file, **{**ACCEL, "arch": ACCEL["arch"] + np.array([0, 0, 1, 0], np.uint8)})
    with pytest.raises(ValueError, match="row 1 is no network of mnasnet: block0_l is 4; valid"):
        benchmarks.mnasnet(file)


def test_trained_networks_of_imagenet(data_folder: Path) -> None:
    table = benchmarks.mnasnet(data_folder / "accel_mnasnet.npz")
    assert table.archs.shape == (5125, 28)
    assert (table.columns["val_accuracy"].min(), table.columns["val_accuracy"].max()) == (
        pytest.approx(42.85, abs=0.01),
        pytest.approx(67.05, abs=0.01),
    )


# --------------------------------------------------------------------------------------------------
# NDS, packed.

RESNEXT = {
    "depths": np.array([[16, 1, 4], [1, 1, 1]], np.uint8),
    "widths": np.array([[64, 128, 16], [16, 16, 256]], np.int16),
    "bottleneck_ratio": np.array([[0.25, 0.25, 0.25], [1, 0.5, 1]], np.float32),
    "groups": np.array([[2, 1, 2], [1, 4, 1]], np.uint8),
    "params": np.array([83_002, 1]),
    "flops": np.array([69_890_986, 2]),
    "test_accuracy": np.array([90.48, 10], np.float32),
}
TEXTS = (
    "ds=16:1:4,ws=64:128:16,bot_muls=0.25:0.25:0.25,num_gs=2:1:2",
    "ds=1:1:1,ws=16:16:256,bot_muls=1:0.5:1,num_gs=1:4:1",
)


def test_packed_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "nds_resnexta.npz", **RESNEXT)
    light = {name: RESNEXT[name] for name in RESNEXT if name not in ("bottleneck_ratio", "groups")}
    np.savez(tmp_path / "nds_resnet.npz", **light)
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    table = benchmarks.nds_resnext_a()
    assert [table.space.to_string(arch) for arch in table.archs] == [*TEXTS]
    assert list(table.columns) == ["test_accuracy", "params", "flops"]
    assert table.conventions["test_accuracy"].endswith("of 100 epochs, one run")
    # Its depths and widths are choices of ResNet as well.
    resnet = benchmarks.nds_resnet()
    assert benchmarks.usual_column(resnet) == "test_accuracy"
    assert resnet.space.to_string(resnet.archs[0]) == "ds=16:1:4,ws=64:128:16"
    assert benchmarks.of_space(spaces.nds_resnet()).archs.shape == (2, 6)
    listed = {source.name: source for source in benchmarks.available()}
    assert listed["nds_resnexta"].rows == listed["nds_resnet"].rows == 2
    assert listed["nds_vanilla"].where.startswith("Put Vanilla.json into a folder that JNAS_DATA")
    assert "nds_resnext_a" not in listed
    with pytest.raises(FileNotFoundError, match=r"no nds_vanilla table at .*Put Vanilla\.json"):
        benchmarks.of_space(spaces.nds_vanilla())
    with pytest.raises(ValueError, match="is a table of nds_resnet, not of nds_vanilla"):
        benchmarks.nds_vanilla(tmp_path / "nds_resnet.npz")
    np.savez(tmp_path / "wrong.npz", **{**RESNEXT, "groups": RESNEXT["groups"] + 2})
    with pytest.raises(ValueError, match=r"wrong\.npz: row 0: .*: 3 do not divide the 32 channels"):
        benchmarks.load(tmp_path / "wrong.npz")


def test_one_shot_scores_have_the_networks_beside_them(tmp_path: Path) -> None:
    names = ("accuracy_ordinal", "accuracy_l1", "loss_ordinal", "loss_l1")
    ways = {name: np.array([np.nan, 0.25]) for name in names}
    np.savez(tmp_path / "ose.npz", epoch=1000, seed=2020, **ways)
    with pytest.raises(ValueError, match=r"their file nds_resnexta\.npz must be beside it"):
        benchmarks.load(tmp_path / "ose.npz")
    np.savez(tmp_path / "nds_resnexta.npz", **RESNEXT)
    table = benchmarks.load(tmp_path / "ose.npz")
    assert table.space is spaces.nds_resnext_a()
    np.testing.assert_array_equal(table.column("oneshot_accuracy_l1"), [np.nan, 25])
    assert table.minimizes("oneshot_loss_ordinal")
    assert "epoch 1000, seed 2020" in table.conventions["oneshot_loss_ordinal"]
    np.savez(tmp_path / "ose.npz", epoch=1, seed=0, **{n: v[:1] for n, v in ways.items()})
    with pytest.raises(ValueError, match=r"has other rows than nds_resnexta\.npz, 2"):
        benchmarks.load(tmp_path / "ose.npz")


@pytest.mark.parametrize(
    ("name", "worst", "best", "median"),
    [("nds_resnet", 65.22, 95.16, 93.35), ("nds_resnext_a", 10.0, 94.83, 91.65)],
)
def test_networks_that_were_trained(name, worst, best, median, data_folder: Path) -> None:
    try:
        table = getattr(benchmarks, name)()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    accuracy = table.column("test_accuracy")
    assert len(table) == 5_000
    summary = [accuracy.min(), accuracy.max(), np.median(accuracy)]
    np.testing.assert_allclose(summary, [worst, best, median], atol=0.006)
    archs = table.archs[::50]
    np.testing.assert_array_equal(table.look_up("test_accuracy", archs), accuracy[::50])


# --------------------------------------------------------------------------------------------------
# NDS, official files.


def job(net: dict[str, Any], error: float = 10.5, **changes: Any) -> dict[str, Any]:
    return {
        "job_id": 7,
        "rng_seed": 1,
        "params": 100,
        "flops": 200,
        "iter_time": 0.065,
        "min_test_top1": error,
        "train_ep_loss": [2.5, float("nan")],
        "train_ep_top1": [70.0, 5.25],
        "test_ep_top1": [60.0, error],
        "net": net,
        "optim": {"base_lr": 0.1, "wd": 5e-4, "max_ep": 2},
        **changes,
    }


def net(block: str = "res_basic_block", **changes: Any) -> dict[str, Any]:
    lists = {"ds": [1, 12, 12, 12], "ws": [16, 24, 24, 40], "ss": [1, 1, 2, 2]}
    return {"block_type": block, **lists, "bot_muls": [], "num_gs": [], **changes}


def bottleneck(widths: list[int], groups: list[int]) -> dict[str, Any]:
    ratios, ds = [0.0, 0.5, 0.5, 0.5], [1, 2, 2, 2]
    return net("res_bottleneck_block", ds=ds, ws=widths, bot_muls=ratios, num_gs=groups)


def test_an_official_file_with_nan(tmp_path: Path) -> None:
    other = net(ds=[1, 1, 2, 24])
    path = write(tmp_path / "ResNet.json", [job(net()), job(other, 7.25, test_ep_top1=[50.0])])
    assert "NaN" in path.read_text()
    table = benchmarks.nds_resnet(path)
    assert [table.space.to_string(arch) for arch in table.archs] == [
        "ds=12:12:12,ws=24:24:40",
        "ds=1:2:24,ws=24:24:40",
    ]
    expected = {
        "test_accuracy": [89.5, 92.75],
        "train_accuracy": [94.75, 94.75],
        "params": [100, 100],
        "flops": [200, 200],
        "iteration_seconds": [0.065, 0.065],
        "seed": [1, 1],
        "test1": [40, 50],
        "test2": [89.5, np.nan],
    }
    assert list(table.columns) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(table.column(name), values)
    assert table.learning_curve("test2") == {1: "test1", 2: "test2"}
    assert table.cost_column("test2") is None
    assert benchmarks.load(path).space is spaces.nds_resnet()
    assert [s.rows for s in benchmarks.available(tmp_path) if s.name == "ResNet"] == [2]


def test_reruns_of_one_network(tmp_path: Path) -> None:
    path = write(
        tmp_path / "Vanilla_reruns.json",
        {"top": [job(net("double_plain_block"), 10)], "mid": [job(net("double_plain_block"), 20)]},
    )
    with pytest.raises(ValueError, match="rows 0 and 1 are the same nds_vanilla architecture"):
        benchmarks.load(path)
    table = benchmarks.load(path, duplicates="mean")
    assert table.space is spaces.nds_vanilla()
    np.testing.assert_array_equal(table.column("test_accuracy"), [85])


@pytest.mark.parametrize(
    ("widths", "groups", "name"),
    [
        ([16, 64, 128, 256], [1, 1, 2, 4], "nds_resnext_a"),
        ([16, 64, 128, 256], [1, 1, 2, 8], "nds_resnext_b"),
        ([16, 64, 128, 512], [1, 1, 2, 4], "nds_resnext_b"),
    ],
)
def test_the_family_that_has_all_networks(widths, groups, name, tmp_path: Path) -> None:
    jobs = [job(bottleneck([16, 64, 64, 64], [1, 1, 1, 1])), job(bottleneck(widths, groups))]
    path = write(tmp_path / "jobs.json", jobs)
    assert benchmarks.load(path).space.name == name
    assert benchmarks.nds_resnext_b(path).space.name == "nds_resnext_b"


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([job(net(ds=[12, 12, 12, 12]))], "job 0: invalid record of NDS: index 0 is the stem"),
        ([job(net()), job(net(ws=[16, 24, 24, 41]))], "job 1: unknown width 41 of stage 3"),
        ([job(net("res_basic_blok"))], "unknown block 'res_basic_blok'. Did you mean 'res_basic_b"),
        ([job({"genotype": {}, "width": 32})], "job 0: not a record of cells of NDS"),
        ([{"net": net()}], "job 0 of jobs.json lacks 'min_test_top1'"),
        ([job(net()), job(net()) | {"flops": None}], "job 1 of jobs.json: flops must be a number"),
        ([job(net()), job(net("double_plain_block"))], "job 1: not a record of this family"),
        ([job(bottleneck([16, 64, 48, 64], [1, 1, 1, 1]))], "unknown width 48 of stage 2"),
        ([], "is no table in JSON: those of NAS-Bench-Macro and NDS are read"),
        ({"top": []}, "has no jobs"),
        ({"a": 1}, "is no table in JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("{", r"jobs\.json: Expecting property name"),
    ],
)
def test_bad_jobs_say_what_is_wrong(jobs, message, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        benchmarks.load(write(tmp_path / "jobs.json", jobs))


def test_jobs_of_another_family(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs.json", [job(net())])
    with pytest.raises(ValueError, match="blocks are those of nds_resnet, not of nds_vanilla"):
        benchmarks.nds_vanilla(path)


SIZED = {"channels": (16, 24, 32), "layers": (4, 8, 12, 16, 20)}
CELLS = {
    "ENAS": spaces.enas(**SIZED),
    "DARTS": spaces.darts(repeats=True, **SIZED),
    "Amoeba": spaces.amoebanet(),
    "PNAS": spaces.pnas(),
    "NASNet": spaces.nasnet(),
}


def drawn(space: Space, num: int) -> list[dict[str, Any]]:
    """Records of random architectures, which have all operations."""
    archs = np.random.default_rng(0).integers(
        0, space.cardinalities, (num, len(space.cardinalities))
    )
    return [spaces.nds_to_record(arch, space) for arch in archs]


@pytest.mark.parametrize("file", CELLS)
def test_an_official_file_of_cells(file: str, tmp_path: Path) -> None:
    """The family follows from the operations and outputs, and from the sizes whether they vary."""
    space = CELLS[file]
    nets = drawn(space, 12)
    path = write(tmp_path / f"{file}.json", [job(one, 7.5) for one in nets])
    table = benchmarks.load(path)
    assert table.space is space
    assert [spaces.nds_to_record(arch, space) for arch in table.archs] == nets
    np.testing.assert_array_equal(table.column("test_accuracy"), 92.5)
    assert table.conventions["flops"] == "multiply-accumulates and more, as published"
    assert benchmarks.load(path, space).space is space
    # Of one size as in the files whose names end in _fix-w-d, without positions for it.
    same = [{**one, "width": 16, "depth": 20} for one in nets]
    fixed = benchmarks.load(write(path, [job(one) for one in same]))
    assert len(fixed.space.cardinalities) == len(space.cardinalities) - 2
    np.testing.assert_array_equal(fixed.archs, table.archs[:, :-2])
    assert [spaces.nds_to_record(arch, fixed.space) for arch in fixed.archs] == same


def test_cells_of_no_family(tmp_path: Path) -> None:
    nets = drawn(spaces.nasnet(), 12)
    odd = {**nets[1], "width": 20}
    path = write(tmp_path / "jobs.json", [job(nets[0]), job(odd), job(nets[2])])
    with pytest.raises(ValueError, match="job 1: unknown width 20: this space has 16, 24, 32"):
        benchmarks.load(path)
    with pytest.raises(ValueError, match=r"job 0: unknown operation '.*' of node . of "):
        benchmarks.load(path, spaces.enas(**SIZED))
    with pytest.raises(ValueError, match="job 0: no family of NDS: 'nats_size'"):
        benchmarks.load(path, "nats_size")


# --------------------------------------------------------------------------------------------------
# NAS-Bench-Macro.


def record(*accuracies: float, **changes: Any) -> dict[str, Any]:
    mean = float(np.mean(accuracies))
    found = {"test_acc": [*accuracies], "mean_acc": mean, "std": 0.1, "params": 387_882}
    return {**found, "flops": 7_713_280, **changes}


MACRO = {"00000000": record(45.32, 45.33, 45.44), "22212220": record(93.1, 93.0, 93.28)}


def test_nasbench_macro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"Put nas-bench-macro_cifar10\.json into a folder"):
        benchmarks.nasbench_macro()
    path = write(tmp_path / "nas-bench-macro_cifar10.json", MACRO)
    table = benchmarks.nasbench_macro()
    assert [table.space.to_string(arch) for arch in table.archs] == [*MACRO]
    np.testing.assert_allclose(table.column("test_accuracy"), [45.363333, 93.126667], rtol=1e-6)
    np.testing.assert_array_equal(table.column("test_accuracy_2"), [45.44, 93.28])
    assert int(table.column("params")[0]) == int(table.space.params(table.archs[0]))
    assert benchmarks.usual_column(benchmarks.load(path)) == "test_accuracy"
    listed = {source.name: source for source in benchmarks.available()}
    assert listed["nas-bench-macro_cifar10"].rows == 2
    assert "nasbench_macro" not in listed


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"2221222": record(1)}, "record '2221222' of m.json: not a NAS-Bench-Macro architecture"),
        ({"22212223": record(1)}, "unknown operation '3' at place 8"),
        ({"00000000": record(1), "11111111": record(1, 2)}, "different numbers of them"),
        ({"00000000": {"test_acc": [], "params": 1, "flops": 1}}, "have no runs"),
        ({"00000000": {"test_acc": [1]}}, "record '00000000' of m.json lacks params, flops"),
    ],
)
def test_bad_records_say_what_is_wrong(records, message, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        benchmarks.load(write(tmp_path / "m.json", records))


# --------------------------------------------------------------------------------------------------
# TransNAS-Bench-101.

HEADER = "train_top1,train_loss,valid_top1,valid_neg_loss,test_top1,time_elapsed,file_id"
NAMES = [["64-4111-basic", 44.8647], ["64-2311-basic", 46.8103], ["64-1234-basic", 30.5]]
ROWS = (
    "70.7,2.7,44.86465,-3,50.6,5438.0,0",
    "71.0,2.8,46.81031,-9,52.3,5936.0,1",
    "60.0,2.8,30.5,-4,40,100,2",
    "20.0,3.8,26.5476,-5,30,200,3256",
    "21.0,3.8,27.5,-5,31,300,7351",
)


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "transbench101_class_object.csv", "\n".join([HEADER, *ROWS]))
    write(tmp_path / "macro_class_object.json", NAMES)
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    return tmp_path


def test_both_spaces_of_a_task(tasks: Path) -> None:
    macro, micro = benchmarks.transnas_macro(), benchmarks.transnas_micro()
    assert [macro.space.to_string(arch) for arch in macro.archs] == [text for text, _ in NAMES]
    texts = [micro.space.to_string(arch) for arch in micro.archs]
    assert texts == ["64-41414-0_00_000", "64-41414-3_33_333"]
    names = ["valid_top1", "valid_neg_loss", "test_top1", "train_top1", "seconds"]
    assert list(macro.columns) == list(micro.columns) == names
    np.testing.assert_array_equal(macro.column("valid_top1"), [44.86465, 46.81031, 30.5])
    np.testing.assert_array_equal(micro.column("seconds"), [200, 300])
    assert benchmarks.usual_column(micro) == "valid_top1"
    assert micro.cost_column("valid_top1") == "seconds"
    assert not micro.minimizes("valid_neg_loss")
    assert macro.conventions["valid_top1"] == (
        "validation top-1 accuracy in %, the largest of any epoch, one run (class_object)"
    )
    with pytest.raises(ValueError, match=r"'train_loss' of .* is the largest loss of any epoch"):
        macro.column("train_loss")
    assert benchmarks.of_space(spaces.transnas_micro()).space is spaces.transnas_micro()
    listed = {source.name: source for source in benchmarks.available()}
    assert listed["transbench101_class_object"].rows == 5
    assert listed["macro_class_object"].rows == 3
    assert not {"transnas_macro", "transnas_micro"} & set(listed)


def test_a_list_of_names_is_a_table_of_its_own(tasks: Path) -> None:
    table = benchmarks.load(tasks / "macro_class_object.json")
    assert table.space is spaces.transnas_macro()
    np.testing.assert_array_equal(table.column("value"), [44.8647, 46.8103, 30.5])


def test_the_name_that_the_published_list_lacks(tasks: Path) -> None:
    texts = [space.to_string(a) for space in [spaces.transnas_macro()] for a in space.enumerate()]
    texts.remove("64-113444-basic")
    write(tasks / "macro_jigsaw.json", [[text, place] for place, text in enumerate(texts)])
    rows = [f"{number},{number}" for number in (3, 3254, 3255)]
    write(tasks / "transbench101_jigsaw.csv", "\n".join(["valid_top1,file_id", *rows]))
    table = benchmarks.transnas_macro("jigsaw")
    named = [table.space.to_string(arch) for arch in table.archs]
    assert named == [texts[3], texts[3254], "64-113444-basic"]


def test_tables_of_tasks_that_cannot_be_read(tasks: Path) -> None:
    path = tasks / "transbench101_class_object.csv"
    with pytest.raises(ValueError, match=r"unknown task 'jigsaws'\. Did you mean 'jigsaw'"):
        benchmarks.transnas_micro("jigsaws")
    with pytest.raises(FileNotFoundError, match=r"Put transbench101_normal\.csv into a folder"):
        benchmarks.transnas_micro("normal")
    with pytest.raises(ValueError, match="networks of transnas_macro and transnas_micro; give spa"):
        benchmarks.load(path)
    with pytest.raises(ValueError, match="it is no table of nasbench201"):
        benchmarks.load(path, "nasbench201")
    write(tasks / "macro_class_object.json", NAMES[::-1])
    with pytest.raises(ValueError, match="numbers beside the names are not those of the rows"):
        benchmarks.transnas_macro()
    write(tasks / "macro_class_object.json", NAMES[:2])
    with pytest.raises(ValueError, match=r"macro_class_object\.json: 2 names, but numbers up to 2"):
        benchmarks.transnas_macro()
    (tasks / "macro_class_object.json").unlink()
    with pytest.raises(ValueError, match=r"their file macro_class_object\.json must be beside it"):
        benchmarks.transnas_macro()
    for number in ("7352", "-1", "x"):
        write(path, f"{HEADER}\n1,1,1,1,1,1,{number}\n")
        with pytest.raises(ValueError, match=r"row 0 \(line 2\) .* file_id must be 0 to 7351"):
            benchmarks.transnas_micro()
