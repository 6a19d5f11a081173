"""`jnas report`: strategies that searched the same, side by side."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jnas
from jnas.commands import report
from jnas.commands.paired import sign_flip_test
from tests.commands.helpers import files, invoke, read_csv, read_json

SHORT = ["--estimator", "table", "--budget", 12, "--seeds", 6, "--no-progress"]
STRATEGIES = ("random", "regularized_evolution", "local_search")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("searched")
    for name in STRATEGIES:
        invoke("search", "--strategy", name, *SHORT, "--out", folder / name)
    return [folder / name for name in STRATEGIES]


@pytest.fixture(scope="module")
def compared(searched, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("compared") / "run"
    return out, invoke("report", *searched, "--out", out)


def test_report_writes_a_folder(compared, searched) -> None:
    out, printed = compared
    assert set(files(out)) == {"curves.png", "pairs.csv", "report.html", "result.json"}
    for text in (*STRATEGIES, "Paired tests", "val_accuracy"):
        assert text in printed
    facts = read_json(out / "result.json")
    assert facts["command"] == f"jnas report {' '.join(map(str, searched))}"
    assert facts["settings"]["seeds"] == 6
    page = (out / "report.html").read_text()
    assert page.count("<img") == 1
    assert all(name in page for name in STRATEGIES)


def test_pairs_are_those_of_the_seeds(compared, searched) -> None:
    rows = read_csv(compared[0] / "pairs.csv")
    columns = [f"val_accuracy_{name}" for name in ("cifar10", "cifar100", "imagenet16")]
    assert [row["answers by"] for row in rows] == [name for name in columns for _ in range(3)]
    assert [(row["one"], row["other"]) for row in rows[:3]] == [
        ("random", "regularized_evolution"),
        ("random", "local_search"),
        ("regularized_evolution", "local_search"),
    ]
    worth = [
        np.array([float(row[columns[1]]) for row in read_csv(folder / "results.csv")])
        for folder in searched
    ]
    gap = worth[1] - worth[2]
    row = rows[5]
    assert float(row["difference"]) == pytest.approx(gap.mean())
    assert (int(row["better"]), int(row["worse"])) == ((gap > 0).sum(), (gap < 0).sum())
    least = min(float(row["p"]) for row in rows[3:6])
    alone = [sign_flip_test(worth[i] - worth[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert least == pytest.approx(min(1, 3 * min(alone)))


def test_one_strategy_twice_goes_by_its_folders(searched, tmp_path) -> None:
    printed = invoke(
        "search", "--strategy", "random", "--distinct", *SHORT, "--out", tmp_path / "x"
    )
    invoke("report", searched[0], tmp_path / "x", "--out", tmp_path / "both")
    assert printed
    row = read_csv(tmp_path / "both" / "pairs.csv")[0]
    assert (row["one"], row["other"]) == ("random", "x")
    with pytest.raises(ValueError, match="a folder is given twice"):
        invoke("report", searched[0], searched[0], "--out", tmp_path / "both")


def test_what_cannot_be_paired_is_refused(searched, tmp_path) -> None:
    with pytest.raises(ValueError, match="two run folders or more"):
        invoke("report", searched[0])
    with pytest.raises(ValueError, match="nothing holds no finished searches by a strategy"):
        invoke("report", searched[0], tmp_path / "nothing")
    other = tmp_path / "other"
    shutil.copytree(searched[1], other)
    facts = read_json(other / "result.json")
    facts["settings"]["seed"] = 1
    (other / "result.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"differ in seed \(0 and 1\)"):
        invoke("report", searched[0], other)
    facts["settings"]["seed"] = 0
    facts["truth"][0]["best_of_table"] = 99
    (other / "result.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="checked by different tables"):
        invoke("report", searched[0], other)
    before = files(searched[0])
    with pytest.raises(FileExistsError, match="a part of a run to compare that the job reads"):
        invoke("report", searched[0], searched[1], "--out", searched[0])
    with pytest.raises(ValueError, match="which holds a run of another command"):
        invoke("report", searched[1], searched[2], "--out", searched[0])
    assert files(searched[0]) == before


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1, 1e50])
def test_an_error_that_is_minimised(factor, tmp_path) -> None:
    """Of a column that is better when smaller, the curves fall and the smaller one wins.

    So it is in a unit that float32 cannot hold.
    """
    table = jnas.benchmarks.nasbench201("cifar10")
    columns = {"valid_error": factor * (100 - table.column("val_accuracy"))}
    own = jnas.benchmarks.make_table(table.space, table.archs, columns)
    jnas.benchmarks.save(own, tmp_path / "own.npz")
    for name in STRATEGIES[:2]:
        options = ["--strategy", name, "--table", tmp_path / "own.npz", *SHORT]
        is_beyond = pytest.warns(UserWarning, match="beyond float32")
        with is_beyond if factor > 1 else contextlib.nullcontext():
            invoke("search", *options, "--out", tmp_path / name)
    folders = [tmp_path / name for name in STRATEGIES[:2]]
    invoke("report", *folders, "--out", tmp_path / "both")
    (row,) = read_csv(tmp_path / "both" / "pairs.csv")
    one, other = (
        np.array([float(row["valid_error"]) for row in read_csv(folder / "results.csv")])
        for folder in folders
    )
    assert float(row["difference"]) == pytest.approx((one - other).mean())
    assert int(row["better"]) == (one < other).sum()
    run = report.read(folders[0])
    assert (np.diff(run.best, axis=1) <= 0).all()
    np.testing.assert_allclose(run.best[:, -1], one, rtol=1e-6)
