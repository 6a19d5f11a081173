"""`jnas score`: what it scores, what it writes, and how it goes on after a kill."""

import contextlib
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


def test_score_names_the_best(tmp_path) -> None:
    """By a column of five scores: a tie, of which the first counts, and what has no rank."""
    scores = [2.0, np.nan, 3.0, np.inf, 2.0]
    archs = SPACE.enumerate()[:5]
    table = jnas.benchmarks.make_table(SPACE, archs, {"top": np.array(scores)})
    jnas.benchmarks.save(table, tmp_path / "t.npz")
    cells = [SPACE.to_string(arch) for arch in archs]
    judge = ["--estimator", "table", "--table", tmp_path / "t.npz", "--no-progress"]
    printed = invoke("score", *cells, *judge, "--best", 4, "--out", tmp_path / "a.csv")
    head, *lines = printed.splitlines()
    assert head.endswith(". Best:")
    assert lines == [f"  {cells[place]} ({scores[place]:g})" for place in (2, 0, 4)]
    printed = invoke("score", *cells, *judge, "--out", tmp_path / "a.csv")
    assert printed.endswith(f". Best: {cells[2]} (3)\n")
    with pytest.raises(ValueError, match="none of the architectures can be ranked"):
        invoke("score", cells[1], *judge, "--out", tmp_path / "b.csv")


def test_killed_score_resumes_to_the_identical_file(tmp_path) -> None:
    command = ["score", "--num", "10000", "--chunk-size", "2", *PARAMS, "--out"]
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    process = subprocess.Popen([sys.executable, "-m", "jnas", *command, str(killed)])
    progress = killed.with_suffix(".npz")
    # At the first save: while another one is waited for, a busy machine may finish.
    while process.poll() is None and not _num_done(progress):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < _num_done(progress) < 10_000
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
@pytest.mark.parametrize("more", [[], pytest.param(["--no-resume"], marks=pytest.mark.slow)])
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


# --------------------------------------------------------------------------------------------------
# Tables and lists of one's own.

LISTED = [SPACE.to_string(arch) for arch in SPACE.enumerate()[:3]]
BY_TABLE = ["--estimator", "table", "--no-progress"]


def own_table(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "own.csv"
    lines = [f"{cell},{row}" for cell, row in zip(LISTED, rows, strict=False)]
    path.write_text("\n".join([f"arch,{header}", *lines]))
    return path


def test_only_the_column_asked_for_must_hold_numbers(tmp_path) -> None:
    table = own_table(tmp_path, "acc,dataset,note", "10,cifar10,N/A", "20,cifar10,True")
    for column in (["--column", "acc"], []):
        out = tmp_path / f"out{len(column)}.csv"
        invoke("score", LISTED[0], *BY_TABLE, "--table", table, *column, "--out", out)
        assert [float(row["table"]) for row in read_csv(out)] == [10]
    with pytest.raises(ValueError, match=r"'dataset', row 0 \(line 2\) of own.csv is not a number"):
        invoke("score", LISTED[0], *BY_TABLE, "--table", table, "--column", "dataset")


def test_scores_are_the_numbers_of_the_table(tmp_path) -> None:
    """Beyond float32, and closer together than it tells apart."""
    for values in (["1e43", "1e61", "1e50"], ["0.943249100", "0.943249102", "0.943249101"]):
        table, out = own_table(tmp_path, "synflow", *values), tmp_path / f"{values[0]}.csv"
        expected = (
            pytest.warns(UserWarning, match="beyond float32")
            if "e" in values[0]
            else contextlib.nullcontext()
        )
        with expected:
            printed = invoke("score", *LISTED, *BY_TABLE, "--table", table, "--out", out)
        assert [float(row["table"]) for row in read_csv(out)] == [float(x) for x in values]
        assert f"Best: {LISTED[1]}" in printed


def test_the_best_of_an_error_is_the_smallest(tmp_path) -> None:
    for name, option in (("valid_error", []), ("top", ["--minimize"])):
        table, out = own_table(tmp_path, name, "9.5", "8.5", "10"), tmp_path / f"{name}.csv"
        printed = invoke("score", *LISTED, *BY_TABLE, "--table", table, *option, "--out", out)
        assert f"Best: {LISTED[1]} (8.5)" in printed
        assert [float(row["table"]) for row in read_csv(out)] == [9.5, 8.5, 10]
    table, out = own_table(tmp_path, "loss_like", "1", "2"), tmp_path / "most.csv"
    printed = invoke("score", *LISTED[:2], *BY_TABLE, "--table", table, "--maximize", "--out", out)
    assert "(2)" in printed


def test_cells_that_the_table_lacks(tmp_path) -> None:
    table = own_table(tmp_path, "acc", "10")
    judge = [*BY_TABLE, "--table", table, "--out"]
    printed = invoke("score", *LISTED, *judge, tmp_path / "some.csv")
    assert "own.csv has no acc of 2 of them. Best" in printed
    with pytest.raises(ValueError, match=r"none of the architectures can be ranked: 1 scores in"):
        invoke("score", LISTED[2], *judge, tmp_path / "none.csv")
    assert read_csv(tmp_path / "none.csv")[0]["table"] == "nan"


def test_repeated_rows_are_averaged_on_request(tmp_path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"arch,acc\n{LISTED[0]},1\n{LISTED[0]},4\n")
    judge = [LISTED[0], *BY_TABLE, "--table", path, "--out", tmp_path / "out.csv"]
    with pytest.raises(ValueError, match=r'duplicates "mean"'):
        invoke("score", *judge)
    assert "(2.5)" in invoke("score", *judge, "--duplicates", "mean")


def test_a_list_with_a_byte_order_mark_or_a_mistake(tmp_path) -> None:
    path, out = tmp_path / "b.txt", tmp_path / "out.csv"
    for content in (b"\xef\xbb\xbf" + LISTED[0].encode() + b"\r\n", LISTED[0].encode("utf-16")):
        path.write_bytes(content)
        invoke("score", "--file", path, "--out", out, "--no-resume", *PARAMS)
        assert read_csv(out)[0]["architecture"] == LISTED[0]
    path.write_text(f"{LISTED[0]}\nfoo\n")
    with pytest.raises(ValueError, match=r"line 2 of b\.txt: .*foo"):
        invoke("score", "--file", path, "--out", out, *PARAMS)
