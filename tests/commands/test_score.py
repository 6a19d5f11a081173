"""`jnas score`: what it scores, what it writes, and how it goes on after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import jnas
from tests.commands.helpers import invoke, read_csv

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
