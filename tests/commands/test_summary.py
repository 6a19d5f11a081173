"""The summary of a run: numbers, and the three renderers."""

import numpy as np
import pytest

from jnas.commands import summary
from jnas.commands.summary import Part, Summary, moments, spread
from jnas.plots import best_so_far
from tests.commands.helpers import files, put, read_json

TOLD = Summary(
    command="jnas test",
    parts=[
        Part("The answer", "seven", figures=["curve"], is_printed=True),
        Part("Numbers", "what they are", [["name", "value"], ["a", 1.5]], is_printed=True),
        Part("More", "only in the report"),
    ],
    facts={
        "command": "jnas test --seed 3",
        "settings": {"seed": 3, "unused": None},
        "seconds": 1.5,
        "environment": {"device": "abacus"},
    },
    tables={"numbers.csv": [["name", "value"], ["a", 1.5]]},
    figures={"curve": ("A curve.", best_so_far([1.0, 2.0]))},
    stale=("curve.png", "other*.png"),
    files={"The answer": "answer.txt"},
)


def test_files_of_a_summary(tmp_path) -> None:
    put(tmp_path / "other_1.png", b"of an earlier run")
    for name in ("mine.txt", "other_2.png"):
        (tmp_path / name).write_text("kept")
    summary.write(tmp_path, TOLD)
    written = files(tmp_path)
    theirs = {"mine.txt", "other_2.png"}
    assert set(written) == {"numbers.csv", "curve.png", "report.html", "result.json"} | theirs
    assert written["numbers.csv"] == b"name,value\na,1.5\n"
    assert read_json(tmp_path / "result.json") == TOLD.facts
    page = written["report.html"].decode()
    for text in (
        "jnas test",
        "seven",
        "A curve.",
        "what they are",
        "only in the report",
        "abacus",
        "jnas test --seed 3",
    ):
        assert text in page
    assert "seed" in page
    assert "unused" not in page


def test_the_terminal_shows_what_matters_most(tmp_path, capsys) -> None:
    summary.show(TOLD, tmp_path)
    printed = capsys.readouterr().out
    for text in ("seven", "Numbers", "1.5", "what they are"):
        assert text in printed
    assert f"The answer: {tmp_path / 'answer.txt'}" in printed
    assert str(tmp_path / "report.html") in printed
    assert "only in the report" not in printed


def test_long_names_are_whole_in_a_narrow_terminal(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|"
    part = Part("Front", "two", [["accuracy", "params", "architecture"], ["9", "1", name]])
    summary.show(TOLD._replace(parts=[part._replace(is_printed=True)]), tmp_path)
    printed = capsys.readouterr().out
    assert "…" not in printed
    cells = [line.split("│")[3].strip() for line in printed.splitlines() if line.count("│") == 4]
    assert "".join(cells) == name


def test_moments_of_what_is_known() -> None:
    assert moments(np.array([1.0, np.nan, 3.0])) == {"mean": 2.0, "std": pytest.approx(2**0.5)}
    assert moments(np.array([4])) == {"mean": 4.0, "std": None}
    assert moments(np.array([np.nan])) == {"mean": None, "std": None}
    assert spread(np.array([1.0, np.nan, 3.0])) == "2 ± 1.4"
    assert (spread(np.array([4.0])), spread(np.array([np.nan]))) == ("4", "unknown")
