"""What the bar of a long job says."""

import builtins
import importlib.util
import sys
from pathlib import Path

import pytest

from jnas.engine.progress import reporting


def words(text: str) -> str:
    """What is written, without times and the bar itself."""
    kept = [
        x for x in text.split() if ":" not in x and "\N{BOX DRAWINGS HEAVY HORIZONTAL}" not in x
    ]
    return " ".join(kept)


@pytest.mark.parametrize(
    ("unit", "note", "expected"),
    [
        ("", "", "training 3/7 left"),
        ("epochs", "loss 0.5", "training 3/7 epochs left loss 0.5"),
    ],
)
def test_columns(unit, note, expected, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with reporting("training", 7, unit=unit) as report:
        report(3, note)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words(shown.err) == expected


def test_a_job_that_goes_on_says_so(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with reporting("scoring", 2000, done=1000, unit="architectures") as report:
        report(2000)
    assert capsys.readouterr().err.startswith("Resumed at 1,000 of 2,000 architectures\n")


def test_nothing_is_shown_unless_asked_for(capsys) -> None:
    with reporting("scoring", 7, done=3, shown=False) as report:
        report(7)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kept", "note"),
    [
        (
            Path("a/b.npz"),
            "Stopped at 5 of 7. a/b.npz keeps them: the same call goes on from there.",
        ),
        (None, "Stopped at 5 of 7. Nothing is kept; give a file or folder to keep the work in."),
    ],
)
def test_an_interrupt_tells_how_to_go_on(kept, note) -> None:
    def job() -> None:
        with reporting("scoring", 7, shown=False, kept=kept) as report:
            report(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        job()
    assert caught.value.__notes__ == [note]


def test_an_error_passes_and_leaves_no_bar(capsys) -> None:
    with pytest.raises(ValueError, match="mine") as caught, reporting("scoring", 7):
        raise ValueError("mine")
    assert "".join(capsys.readouterr()).strip() == ""
    assert not hasattr(caught.value, "__notes__")


class ZMQInteractiveShell:
    """What `get_ipython` returns in a notebook."""


def test_a_notebook_without_widgets_gets_lines(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with reporting("training", 20, unit="epochs") as report:
        for done in range(1, 21):
            report(done, "loss 0.5")
    *lines, _ = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0] == "training: 2 of 20 epochs loss 0.5"
