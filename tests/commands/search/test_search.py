"""`jnas search` as a newcomer uses it."""

from pathlib import Path

import numpy as np
import pytest

import jnas
from tests.commands.helpers import files, invoke, put, read_csv, read_json

TINY = ["--num-images", "2", "--no-progress"]
PARAMS = ["--estimator", "params", *TINY]
SPACE = jnas.spaces.nasbench201()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One small batch of candidates: its run folder and what it printed."""
    folder = tmp_path_factory.mktemp("search") / "run"
    return folder, invoke("search", "--candidates", 12, "--seed", 3, "--out", folder, *TINY)


def test_search_writes_the_run_folder(searched) -> None:
    folder, printed = searched
    names = {"scores.csv", "scores.npz", "result.json", "report.html", "cell.png", "search.png"}
    names |= {f"scores_{name}.png" for name in jnas.benchmarks.DATASETS} | {"rank_cifar10.png"}
    assert set(files(folder)) == names
    assert str(folder / "report.html") in printed


def test_search_answer_is_the_best_candidate_and_its_true_accuracy(searched) -> None:
    folder, printed = searched
    rows = read_csv(folder / "scores.csv")
    result = read_json(folder / "result.json")
    assert len(rows) == 12
    scores = np.array([float(row["score"]) for row in rows])
    best = rows[int(np.argmax(scores))]
    assert result["best"]["architecture"] == best["architecture"]
    assert best["architecture"] in printed
    assert result["best"]["score"] == pytest.approx(scores.max())
    assert len(result["truth"]) == 3
    for truth, dataset in zip(result["truth"], jnas.benchmarks.DATASETS, strict=True):
        assert truth["column"] == f"val_accuracy {dataset}"
        table = jnas.benchmarks.nasbench201(dataset)
        values = table.column("val_accuracy")
        column = np.array([float(row[f"val_accuracy_{dataset}"]) for row in rows])
        archs = np.stack([np.asarray(SPACE.from_string(row["architecture"])) for row in rows])
        np.testing.assert_allclose(column, values[np.asarray(table.rows(archs))], rtol=1e-6)
        mine = column[int(np.argmax(scores))]
        assert truth["of_best"] == {"accuracy": pytest.approx(mine), "rank": 1 + sum(values > mine)}
        assert truth["best_of_candidates"] == pytest.approx(column.max())
        tau = float(jnas.metrics.kendall_tau(scores, column))
        assert truth["kendall_tau"] == pytest.approx(tau, abs=1e-6)
        assert f"{tau:.3f}" in printed
        assert "200 epochs" in truth["convention"]
    assert {"jnas", "jax", "device", "x64"} <= set(result["environment"])
    assert result["settings"]["seed"] == 3


def test_search_names_its_folder_after_the_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("search", "--space", "nats_size", "--candidates", 5, *PARAMS)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == "nats_size-params-digits2-5-seed0"


def test_search_into_the_folder_of_another_search_is_refused(searched) -> None:
    folder, _ = searched
    before = files(folder)
    for other in (["--seed", 5], ["--seed", 3, "--max-params", 10**9]):
        with pytest.raises(ValueError, match="another job"):
            invoke("search", "--candidates", 12, *other, "--out", folder, *TINY)
    assert files(folder) == before


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object], str]:
    """A few short searches on a table: their run folder, their command and what it printed."""
    folder = tmp_path_factory.mktemp("evolved") / "run"
    command = ["search", "--strategy", "regularized_evolution", "--estimator", "table"]
    command += ["--budget", 12, "--seeds", 3, "--distinct", "--max-params", 900_000]
    command += ["--population-size", 8, "--out", folder, "--no-progress"]
    return folder, command, invoke(*command)


def test_searches_write_the_run_folder(evolved) -> None:
    folder, _, printed = evolved
    names = {"results.csv", "histories.npz", "result.json", "report.html", "cell.png", "curves.png"}
    assert set(files(folder)) == names
    assert str(folder / "report.html") in printed
    result = read_json(folder / "result.json")
    assert result["settings"]["strategy"] == "regularized_evolution"
    assert result["settings"]["population_size"] == 8
    assert result["settings"]["sample_size"] == 3
    assert {"jnas", "jax", "device", "x64"} <= set(result["environment"])
    assert "200 epochs" in result["truth"][0]["convention"]


def test_searches_answer_with_the_best_they_evaluated(evolved) -> None:
    folder, _, printed = evolved
    result, rows = read_json(folder / "result.json"), read_csv(folder / "results.csv")
    accuracy = jnas.benchmarks.nasbench201("cifar10").column("val_accuracy")
    with np.load(folder / "histories.npz") as histories:
        assert histories["archs"].shape == (3, 12, 6)
        for place, row in enumerate(rows):
            at = int(np.argmax(histories["scores"][place]))
            assert row["architecture"] == SPACE.to_string(histories["archs"][place, at])
            assert int(row["found_at"]) == at + 1
            mine = float(row["val_accuracy_cifar10"])
            assert mine == pytest.approx(histories["scores"][place, at])
            assert int(row["rank_val_accuracy_cifar10"]) == 1 + np.sum(accuracy > mine)
            assert (row["evaluations"], row["distinct"]) == ("12", "12")
            assert int(row["params"]) <= 900_000
    scores = np.array([float(row["score"]) for row in rows])
    moments = {"mean": scores.mean(), "std": scores.std(ddof=1)}
    assert result["score"] == pytest.approx(moments, rel=1e-5)
    best = rows[int(np.argmax(scores))]["architecture"]
    assert result["best"]["architecture"] == best
    assert best in printed


def test_searches_given_again_have_the_same_result(evolved) -> None:
    folder, command, printed = evolved
    before = files(folder)
    assert invoke(*command) == printed
    assert files(folder) == before
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", 1)


def test_searches_of_other_code_go_on_if_so_asked(evolved) -> None:
    """The result names the code that searched, and the code that went on."""
    folder, command, _ = evolved
    path = folder / "result.json"
    now, sources = path.read_text(), read_json(path)["fingerprint"]["code"]["sources"]
    old = now.replace(f'"sources": "{sources}"', '"sources": "0ld"')
    put(path, old.encode(), "file of facts")
    with pytest.raises(
        ValueError, match=r"begun by other code: sources 0ld, now .*--resume-anyway"
    ):
        invoke(*command)
    invoke(*command, "--resume-anyway")
    found = read_json(path)["fingerprint"]
    assert [code["sources"] for code in found["earlier_code"]] == ["0ld"]
    put(path, now.encode(), "file of facts")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("scores.csv", ["--candidates", "5", *PARAMS]),
        ("scores.npz", ["--candidates", "5", *PARAMS]),
        ("results.csv", ["--strategy", "random", "--estimator", "table"]),
        ("histories.npz", ["--strategy", "random", "--estimator", "table"]),
        ("report.html", ["--candidates", "5", *PARAMS]),
        ("result.json", ["--candidates", "5", *PARAMS]),
        ("job.json", ["--candidates", "5", *PARAMS]),
    ],
)
def test_files_of_somebody_else_stay(name, command, tmp_path) -> None:
    (tmp_path / name).write_text("my,data")
    with pytest.raises(FileExistsError, match=f"{name} was not written by jnas.* --out"):
        invoke("search", *command, "--no-resume", "--out", tmp_path)
    assert files(tmp_path) == {name: b"my,data"}


@pytest.mark.slow
def test_the_table_that_is_searched_on_is_never_written(tmp_path) -> None:
    cell = SPACE.to_string(np.zeros(6, np.int32))
    put(tmp_path / "results.csv", f"architecture,score\n{cell},1\n".encode(), "table of results")
    before = files(tmp_path)
    command = ["--estimator", "table", "--table", tmp_path / "results.csv", "--no-resume"]
    with pytest.raises(FileExistsError, match=r"results.csv is the table that the job reads"):
        invoke("search", *command, "--out", tmp_path)
    assert files(tmp_path) == before


@pytest.mark.slow
def test_searches_on_a_score_are_checked_against_accuracies(tmp_path) -> None:
    command = ["search", "--strategy", "regularized_evolution", "--budget", 4]
    invoke(*command, "--population-size", 3, "--seeds", 2, "--out", tmp_path, *PARAMS)
    assert (tmp_path / "accuracy.png").exists()
    result, rows = read_json(tmp_path / "result.json"), read_csv(tmp_path / "results.csv")
    for truth in result["truth"]:
        column = truth["column"].replace(" ", "_")
        mean = np.mean([float(row[column]) for row in rows])
        assert truth["accuracy"]["mean"] == pytest.approx(mean)
    assert result["settings"]["num_images"] == 2
