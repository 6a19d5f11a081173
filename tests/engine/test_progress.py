"""What the bar of a long job says."""

import pytest

from jnas.engine.progress import progress_bar


@pytest.mark.parametrize(
    ("unit", "note", "expected"),
    [
        ("", "", "training 3/7 left"),
        ("epochs", "{task.fields[last]}", "training 3/7 epochs left loss 0.5"),
    ],
)
def test_columns(
    unit: str, note: str, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar("training", unit, note) as bar:
        bar.add_task("one", total=7, completed=3, last="loss 0.5")
    shown = capsys.readouterr()
    assert shown.out == ""
    words = [
        word
        for word in shown.err.split()
        if ":" not in word and "\N{BOX DRAWINGS HEAVY HORIZONTAL}" not in word
    ]
    assert " ".join(words) == expected
