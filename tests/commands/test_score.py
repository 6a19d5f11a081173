"""`jnas score`: what it scores, what it writes, and how it goes on after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands import score
from jnas.commands.folder import write_csv
from tests.commands.helpers import files, invoke, put, read_csv

SPACE = jnas.spaces.nasbench201()
TINY = ["--num-images", "2", "--no-progress"]
PARAMS = ["--estimator", "params", *TINY]


def test_score_listed_architectures(tmp_path) -> None:
    cells = [SPACE.to_string(arch) for arch in ([3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6)]
    out = tmp_path / "listed.csv"
    printed = invoke("score", *cells, "--out", out, *TINY)
    rows = read_csv(out)
    assert [row["architecture"] for row in rows] == cells
    assert rows[2]["naswot"] == "-inf"
    assert "3 scores" in printed


def test_score_those_of_a_file(tmp_path) -> None:
    cells = [SPACE.to_string(arch) for arch in ([3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6)]
    invoke("score", *cells, "--out", tmp_path / "listed.csv", *PARAMS)
    file = tmp_path / "cells.txt"
    file.write_text("\n".join(cells) + "\n\n")
    invoke("score", "--file", file, "--out", tmp_path / "file.csv", *PARAMS)
    assert (tmp_path / "file.csv").read_bytes() == (tmp_path / "listed.csv").read_bytes()


def test_score_by_a_table(tmp_path) -> None:
    table = jnas.benchmarks.nasbench201("cifar100")
    jnas.benchmarks.save(table, tmp_path / "mine.npz")
    cell, out = SPACE.to_string(table.archs[77]), tmp_path / "listed.csv"
    judge = ["--estimator", "table", "--table", tmp_path / "mine.npz", "--column", "latency"]
    invoke("score", cell, *judge, "--out", out, "--no-progress")
    (row,) = read_csv(out)
    assert float(row["table"]) == pytest.approx(table.column("latency")[77])


def test_score_random_architectures(tmp_path) -> None:
    out = tmp_path / "random.csv"
    invoke("score", "--num", 5, "--seed", 1, "--out", out, *PARAMS)
    rows = read_csv(out)
    assert len(rows) == 5
    for row in rows:
        arch = SPACE.from_string(row["architecture"])
        assert SPACE.to_string(arch) == row["architecture"]
        assert float(row["params"]) == int(SPACE.params(arch))


def test_killed_score_resumes_to_the_identical_file(tmp_path) -> None:
    command = ["score", "--num", "6000", "--chunk-size", "2", *PARAMS, "--out"]
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    process = subprocess.Popen([sys.executable, "-m", "jnas", *command, str(killed)])
    progress = killed.with_suffix(".npz")
    while process.poll() is None and _num_done(progress) < 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 4 <= _num_done(progress) < 6000
    assert not killed.exists()
    faster = [
        "1000" if word == "2" and before == "--chunk-size" else word
        for before, word in zip(["", *command], command, strict=False)
    ]
    invoke(*faster, killed)
    invoke(*faster, whole)
    assert killed.read_bytes() == whole.read_bytes()


def _num_done(path: Path) -> int:
    if not path.exists():
        return 0
    with np.load(path) as file:
        return int(file["num_done"])


def test_csv_never_overwrites_the_progress_file(tmp_path) -> None:
    with pytest.raises(ValueError, match="CSV"):
        invoke("score", "--num", 2, "--out", tmp_path / "scores.npz", *PARAMS)


CELLS = np.array([[3, 3, 3, 1, 3, 3], [2, 0, 1, 3, 4, 2], [0] * 6], np.int32)
CELL = SPACE.to_string(CELLS[0])


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> None:
    """Files that commands read, in the working folder, all but the images written by jnas."""
    monkeypatch.chdir(tmp_path)
    table = jnas.benchmarks.make_table(SPACE, CELLS, {"accuracy": np.arange(3.0)})
    jnas.benchmarks.save(table, "T.npz")
    predictor = jnas.predictors.e2epp(SPACE)
    state = predictor.fit(jax.random.key(0), CELLS, np.arange(3.0))
    jnas.predictors.save("P.npz", predictor, state)
    rows = [(SPACE.to_string(arch), value) for value, arch in enumerate(CELLS)]
    write_csv(Path("t.csv"), ("arch", "accuracy"), rows)
    put(Path("l.csv"), "\n".join(text for text, _ in rows).encode(), "table of results")
    np.savez("own.npz", x=np.zeros((2, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "out", "what"),
    [
        (["--estimator", "table", "--table", "T.npz"], "T.csv", "T.npz is the table"),
        (["--estimator", "table", "--table", "t.csv"], "t.csv", "t.csv is the table"),
        (["--estimator", "P.npz"], "P.csv", "P.npz is the predictor"),
        (["--images", "own.npz", "--num-images", "2"], "own.csv", "own.npz is the file of images"),
        (["--file", "l.csv", "--estimator", "params"], "l.csv", "l.csv is the list of arch"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--no-resume"]])
def test_what_is_read_is_never_written(arguments, out, what, more, inputs, tmp_path) -> None:
    before, texts = files(tmp_path), [] if "--file" in arguments else [CELL]
    with pytest.raises(FileExistsError, match=rf"{what}.*that the job reads.*choose another --out"):
        invoke("score", *texts, *arguments, *more, "--out", out, "--no-progress")
    assert files(tmp_path) == before


def test_files_of_somebody_else_stay(tmp_path) -> None:
    (tmp_path / "mine.csv").write_text("data")
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    before = files(tmp_path)
    for name, why in (("mine.csv", "mine.csv was not"), ("other.csv", "other.npz was not")):
        with pytest.raises(FileExistsError, match=f"{why} written by jnas.* --out"):
            invoke("score", CELL, *PARAMS, "--no-resume", "--out", tmp_path / name)
    assert files(tmp_path) == before


def test_files_are_named_after_the_settings(tmp_path, monkeypatch) -> None:
    """So that commands in one folder, in any order, do not meet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.txt").write_text(CELL)
    for estimator in ("params", "flops", "params"):
        invoke("score", "--num", 5, "--estimator", estimator, *TINY)
    invoke("score", "--file", "cells.txt", "--estimator", "params", *TINY)
    invoke("score", "--num", 5, "--estimator", "params", "--seed", 1, *TINY)
    invoke("score", CELL, "--estimator", "params", *TINY)
    names = {path.stem.removeprefix("scores-nasbench201-") for path in tmp_path.glob("*.csv")}
    (listed,) = (name for name in names if "listed" in name)
    others = ("params-digits2-5-seed0", "flops-digits2-5-seed0", "params-digits2-cells-seed0")
    assert names == {*others, "params-digits2-5-seed1", listed}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num": 100}, "naswot-digits128-100-seed0"),
        ({"all_": True, "estimator": "gates.npz"}, "gates-all-seed0"),
        ({"all_": True, "estimator": "runs/fit-a/predictor.npz"}, "fit-a-all-seed0"),
        (
            {"all_": True, "estimator": "table", "table": "x/own.csv", "column": "acc/top 1"},
            "table-own-acc_top_1-all-seed0",
        ),
    ],
)
def test_names_of_files(settings, name) -> None:
    assert score.Settings(**settings).file_name(()) == f"scores-nasbench201-{name}.csv"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--estimator", "none.npz"], "none.npz"),
        (["--space", "spikenas_bench"], "no image network for the space 'spikenas_bench'"),
    ],
)
def test_estimators_that_are_not_there(arguments, message, tmp_path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        invoke("score", *arguments, "--num", 3, "--out", tmp_path / "x.csv", *TINY)
