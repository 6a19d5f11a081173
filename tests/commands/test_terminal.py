"""Output that cannot be shown fails nothing."""

import io
import sys

import pytest

from jnas.commands import terminal


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "93 +/- 1, tau ?"), ("utf-8", "93 ± 1, τ 木")]
)
def test_texts_in_what_the_terminal_knows(encoding, shown, monkeypatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    with terminal.forgiving():
        print("93 ± 1, τ 木", end="")
    assert written.getvalue().decode() == shown


class Closed(io.StringIO):
    """Stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_is_gone(name, monkeypatch) -> None:
    stream = Closed()
    monkeypatch.setattr(sys, name, stream)
    with terminal.forgiving():
        print("93 ± 1", file=getattr(sys, name), flush=True)
    assert getattr(sys, name) is stream


def test_no_terminal_at_all(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with terminal.forgiving():
        print("93 ± 1")
