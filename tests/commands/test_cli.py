"""The command line as a newcomer uses it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import jnas
from jnas.commands import cli

TINY = ["--num-images", "2", "--no-progress"]
SPACE = jnas.spaces.nasbench201()


def invoke(*args: str) -> str:
    """Run a command in this process and return what it printed; its errors are raised."""
    done = CliRunner().invoke(cli.app, list(args), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def run(*args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m jnas` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "jnas", *args], capture_output=True, text=True, **kwargs
    )  # type: ignore[call-overload]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One small search: its run folder and what it printed."""
    folder = tmp_path_factory.mktemp("search") / "run"
    return folder, invoke(
        "search", "--candidates", "12", "--seed", "3", "--out", str(folder), *TINY
    )


def test_search_writes_the_run_folder(searched) -> None:
    folder, printed = searched
    names = {path.name for path in folder.iterdir()}
    assert {
        "scores.csv",
        "scores.npz",
        "result.json",
        "report.html",
        "cell.png",
        "search.png",
    } <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert str(folder / "report.html") in printed.replace("\n", "")


def test_search_answer_is_the_best_candidate_and_its_true_accuracy(searched) -> None:
    folder, printed = searched
    rows = read_csv(folder / "scores.csv")
    result = json.loads((folder / "result.json").read_text())
    assert len(rows) == 12
    scores = np.array([float(row["score"]) for row in rows])
    best = rows[int(np.argmax(scores))]
    assert result["best"]["architecture"] == best["architecture"]
    assert best["architecture"] in printed
    assert result["best"]["score"] == pytest.approx(scores.max())
    for truth in result["truth"]:
        table = jnas.benchmarks.nasbench201(truth["dataset"])
        accuracy = dict(
            zip(map(SPACE.to_string, table.archs), table.column("val_accuracy"), strict=True)
        )
        mine = accuracy[best["architecture"]]
        assert truth["accuracy"] == pytest.approx(mine, rel=1e-6)
        assert truth["rank"] == 1 + sum(value > mine for value in accuracy.values())
        column = np.array([float(row[f"val_accuracy_{truth['dataset']}"]) for row in rows])
        np.testing.assert_allclose(
            column, [accuracy[row["architecture"]] for row in rows], rtol=1e-6
        )
        assert truth["kendall_tau"] == pytest.approx(
            float(jnas.metrics.kendall_tau(scores, column)), abs=1e-6
        )
        assert "200 epochs" in truth["convention"]
    assert {"jnas", "jax", "device"} <= set(result["environment"])
    assert result["settings"]["seed"] == 3


def test_search_is_reproducible_and_follows_the_seed(searched, tmp_path) -> None:
    folder, _ = searched
    for seed, same in (("3", True), ("4", False)):
        invoke("search", "--candidates", "12", "--seed", seed, "--out", str(tmp_path / seed), *TINY)
        assert (
            (tmp_path / seed / "scores.csv").read_bytes() == (folder / "scores.csv").read_bytes()
        ) == same


def test_search_names_its_folder_after_the_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("search", "--candidates", "5", *TINY)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [
        "nasbench201-naswot-digits2-5-seed0"
    ]


def test_search_into_the_folder_of_another_search_is_refused(searched) -> None:
    folder, _ = searched
    before = (folder / "scores.csv").read_bytes()
    with pytest.raises(ValueError, match="another job"):
        invoke("search", "--candidates", "12", "--seed", "5", "--out", str(folder), *TINY)
    assert (folder / "scores.csv").read_bytes() == before


def test_score_listed_architectures(tmp_path) -> None:
    cells = [SPACE.to_string(arch) for arch in ([3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6)]
    out = tmp_path / "listed.csv"
    printed = invoke("score", *cells, "--out", str(out), *TINY)
    rows = read_csv(out)
    assert [row["architecture"] for row in rows] == cells
    assert rows[2]["naswot"] == "-inf"
    assert "3 scores" in printed
    file = tmp_path / "cells.txt"
    file.write_text("\n".join(cells) + "\n\n")
    invoke("score", "--file", str(file), "--out", str(tmp_path / "file.csv"), *TINY)
    assert (tmp_path / "file.csv").read_bytes() == out.read_bytes()


def test_score_by_a_table(tmp_path) -> None:
    table = jnas.benchmarks.nasbench201("cifar100")
    jnas.benchmarks.save(table, tmp_path / "mine.npz")
    cell, out = SPACE.to_string(table.archs[77]), tmp_path / "listed.csv"
    arguments = [
        "--estimator",
        "table",
        "--table",
        str(tmp_path / "mine.npz"),
        "--column",
        "latency",
    ]
    invoke("score", cell, *arguments, "--out", str(out), "--no-progress")
    (row,) = read_csv(out)
    assert float(row["table"]) == pytest.approx(table.column("latency")[77])


def test_score_random_architectures(tmp_path) -> None:
    out = tmp_path / "random.csv"
    invoke("score", "--num", "5", "--seed", "1", "--out", str(out), *TINY)
    rows = read_csv(out)
    assert len(rows) == 5
    for row in rows:
        assert SPACE.to_string(SPACE.from_string(row["architecture"])) == row["architecture"]
        assert np.isfinite(float(row["naswot"])) or row["naswot"] == "-inf"


def test_killed_score_resumes_to_the_identical_file(tmp_path) -> None:
    command = ["score", "--num", "60", "--chunk-size", "2", *TINY, "--out"]
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    assert run(*command, str(whole)).returncode == 0
    process = subprocess.Popen([sys.executable, "-m", "jnas", *command, str(killed)])
    progress = killed.with_suffix(".npz")
    while process.poll() is None and _num_done(progress) < 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = _num_done(progress)
    assert 4 <= done < 60
    assert not killed.exists()
    assert run(*command, str(killed)).returncode == 0
    assert killed.read_bytes() == whole.read_bytes()


def _num_done(path: Path) -> int:
    if not path.exists():
        return 0
    with np.load(path) as file:
        return int(file["num_done"])


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """A few short searches on a table: their run folder, their command and what it printed."""
    folder = tmp_path_factory.mktemp("evolved") / "run"
    command = [
        "search",
        "--strategy",
        "regularized_evolution",
        "--estimator",
        "table",
        "--budget",
        "12",
    ]
    command += [
        "--seeds",
        "3",
        "--distinct",
        "--max-params",
        "900000",
        "--out",
        str(folder),
        "--no-progress",
    ]
    return folder, command, invoke(*command)


def test_searches_write_the_run_folder(evolved) -> None:
    folder, _, printed = evolved
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "results.csv",
        "histories.npz",
        "result.json",
        "report.html",
        "cell.png",
        "curves.png",
    }
    assert str(folder / "report.html") in printed.replace("\n", "")
    result = json.loads((folder / "result.json").read_text())
    assert result["settings"]["strategy"] == "regularized_evolution"
    assert {"jnas", "jax", "device"} <= set(result["environment"])
    assert "200 epochs" in result["truth"][0]["convention"]


def test_searches_answer_with_the_best_they_evaluated(evolved) -> None:
    folder, _, printed = evolved
    result, rows = (
        json.loads((folder / "result.json").read_text()),
        read_csv(folder / "results.csv"),
    )
    accuracy = jnas.benchmarks.nasbench201("cifar10").column("val_accuracy")
    with np.load(folder / "histories.npz") as histories:
        assert histories["archs"].shape == (3, 12, 6)
        for place, row in enumerate(rows):
            at = int(np.argmax(histories["scores"][place]))
            assert row["architecture"] == SPACE.to_string(histories["archs"][place, at])
            assert int(row["found_at"]) == at + 1
            assert float(row["val_accuracy_cifar10"]) == pytest.approx(
                histories["scores"][place, at]
            )
            assert int(row["rank_val_accuracy_cifar10"]) == 1 + np.sum(
                accuracy > float(row["val_accuracy_cifar10"])
            )
            assert (row["evaluations"], row["distinct"]) == ("12", "12")
            assert int(row["params"]) <= 900_000
    scores = np.array([float(row["score"]) for row in rows])
    assert result["score"] == pytest.approx(
        {"mean": scores.mean(), "std": scores.std(ddof=1)}, rel=1e-5
    )
    best = rows[int(np.argmax(scores))]["architecture"]
    assert result["best"]["architecture"] == best
    assert best in printed


def test_searches_given_again_have_the_same_result(evolved) -> None:
    folder, command, printed = evolved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert invoke(*command) == printed
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", "1")


def test_searches_on_naswot_are_checked_against_accuracies(tmp_path) -> None:
    command = [
        "search",
        "--strategy",
        "regularized_evolution",
        "--budget",
        "4",
        "--population-size",
        "3",
    ]
    invoke(*command, "--seeds", "2", "--out", str(tmp_path), *TINY)
    assert (tmp_path / "accuracy.png").exists()
    result, rows = (
        json.loads((tmp_path / "result.json").read_text()),
        read_csv(tmp_path / "results.csv"),
    )
    for truth in result["truth"]:
        column = truth["column"].replace(" ", "_")
        assert truth["accuracy"]["mean"] == pytest.approx(
            np.mean([float(row[column]) for row in rows])
        )
    assert result["settings"]["num_images"] == 2


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """One small fit: its run folder, its command and what it printed."""
    folder = tmp_path_factory.mktemp("fit")
    table = jnas.benchmarks.nasbench201("cifar10")
    names = {"accuracy": table.column("val_accuracy")[:60]}
    small = jnas.benchmarks.make_table(
        SPACE, table.archs[:60], names, conventions={"accuracy": "in %"}, source="sixty cells"
    )
    jnas.benchmarks.save(small, folder / "small.npz")
    command = [
        "fit",
        "--space",
        "nasbench201",
        "--table",
        str(folder / "small.npz"),
        "--predictor",
        "mlp",
    ]
    command += [
        "--num-train",
        "40",
        "--seeds",
        "2",
        "--epochs",
        "2",
        "--no-progress",
        "--out",
        str(folder / "run"),
    ]
    return folder / "run", command, invoke(*command)


def test_fit_writes_the_run_folder(fitted) -> None:
    folder, _, printed = fitted
    names = {path.name for path in folder.iterdir()}
    files = {
        "metrics.csv",
        "result.json",
        "curves.png",
        "ranks.png",
        "predictor.npz",
        "report.html",
    }
    assert names == files | {"checkpoint"}
    for text in ("mlp", "40", "in %", str(folder / "report.html"), str(folder / "predictor.npz")):
        assert text in printed.replace("\n", "")
    result = json.loads((folder / "result.json").read_text())
    assert result["convention"] == "in %"
    assert result["settings"]["num_test"] == 20
    assert result["settings"]["column"] == "accuracy"
    assert result["settings"]["loss"] == "hinge"
    taus = [float(row["kendall_tau"]) for row in read_csv(folder / "metrics.csv")]
    assert result["metrics"]["kendall_tau"]["mean"] == pytest.approx(np.mean(taus), abs=1e-6)
    assert result["metrics"]["kendall_tau"]["std"] == pytest.approx(np.std(taus, ddof=1), abs=1e-6)
    assert {"jnas", "jax", "device"} <= set(result["environment"])


def test_fit_given_again_has_the_same_result(fitted) -> None:
    folder, command, printed = fitted
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert invoke(*command) == printed
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", "1")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_saved_predictor_scores_and_searches(fitted, tmp_path) -> None:
    saved, out = str(fitted[0] / "predictor.npz"), tmp_path / "all.csv"
    invoke("score", "--estimator", saved, "--all", "--out", str(out), "--no-progress")
    rows = read_csv(out)
    assert len(rows) == 15625
    predictor, state = jnas.predictors.load(saved)
    archs = np.stack([np.asarray(SPACE.from_string(row["architecture"])) for row in rows[:7]])
    expected = predictor.predict(state, archs)
    np.testing.assert_allclose(
        [float(row["predictor"]) for row in rows[:7]], expected, rtol=1e-5, atol=1e-6
    )
    folder = tmp_path / "search"
    invoke(
        "search", "--estimator", saved, "--candidates", "9", "--out", str(folder), "--no-progress"
    )
    assert (
        "the predictor may have been trained on some of them"
        in (folder / "report.html").read_text()
    )
    settings = json.loads((folder / "result.json").read_text())["settings"]
    assert settings == {"space": "nasbench201", "estimator": saved, "candidates": 9, "seed": 0}


def test_saved_predictor_of_another_space(fitted, tmp_path) -> None:
    saved = str(fitted[0] / "predictor.npz")
    for arguments, message in (
        (
            ["--estimator", saved, "--space", "nasbench101"],
            "holds a predictor of nasbench201; it cannot judge",
        ),
        (["--estimator", str(tmp_path / "none.npz")], "none.npz"),
        (["--space", "spikenas_bench"], "no image network for the space 'spikenas_bench'"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            invoke("score", *arguments, "--num", "3", "--out", str(tmp_path / "x.csv"), *TINY)


def test_data_lists_tables_and_images(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = invoke("data", "--folder", str(tmp_path))
    for name in ("nasbench201", "15,625", "digits", "1,797", "cifar10", "noise"):
        assert name in printed


@pytest.mark.parametrize("command", [[], ["search"], ["fit"], ["score"], ["data"]])
def test_help(command) -> None:
    assert "--help" in invoke(*command, "--help")


def test_version() -> None:
    assert invoke("--version").strip() == f"jnas {jnas.__version__}"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["search", "--space", "nasbench-201"],
            "Did you mean 'nasbench201'? Valid names: nasbench101, nasbench201",
        ),
        (["search", "--space", "spikenas_bench"], "no image network"),
        (["search", "--estimator", "nasw0t"], "Did you mean 'naswot'? Valid names: naswot"),
        (["search", "--images", "digit"], "digits"),
        (
            ["search", "--strategy", "regularised_evolution"],
            "Did you mean 'regularized_evolution'? Valid names: random",
        ),
        (["search", "--estimator", "table", "--max-params", "9"], "holds for 0 of 4,096 samples"),
        (
            ["search", "--budget", "9", "--candidates", "9"],
            "--candidates does not go with searches by a strategy",
        ),
        (["score", "|conv~0|"], "unknown operation 'conv'"),
        (["score"], "exactly one way"),
        (["score", "--all", "--num", "3"], "exactly one way"),
        (["score", "--file", "missing.txt"], "missing.txt"),
        (
            ["fit", "--space", "nasbench201", "--num-train", "1"],
            "num_train must be at least 2; got 1",
        ),
        (["fit", "--predictor", "gate"], "Did you mean 'gates'? Valid names: gates, gcn"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(args, message, tmp_path) -> None:
    done = run(*args, "--out", str(tmp_path / "out.csv"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_csv_never_overwrites_the_progress_file(tmp_path) -> None:
    with pytest.raises(ValueError, match="CSV"):
        invoke("score", "--num", "2", "--out", str(tmp_path / "scores.npz"), *TINY)


def test_output_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["search", "--candidates", "2"], ["score", "--num", "2"]):
        done = run(*command, "--out", str(tmp_path / "file" / "x"), *TINY)
        assert done.returncode == 1
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("search", "--candidates", "none").returncode == 2
    assert run("fly").returncode == 2


def test_entry_points() -> None:
    script = Path(sys.executable).with_name("jnas")
    done = subprocess.run(
        [script, "--version"], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == run("--version").stdout
