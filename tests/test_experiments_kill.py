"""Kills at random moments of commands: nothing is lost and nothing changes."""

import os
from pathlib import Path

import pytest

from experiments import kill_test

CACHE = "JAX_COMPILATION_CACHE_DIR"


@pytest.mark.slow
@pytest.mark.parametrize("name", kill_test.COMMANDS)
def test_killed_commands_leave_what_undisturbed_ones_do(name, tmp_path, monkeypatch) -> None:
    # As on a user's machine, without the flags of tests; all commands share their programs.
    settings = {"XLA_FLAGS": "", CACHE: os.environ[CACHE]}
    monkeypatch.setattr(kill_test, "_QUIET", kill_test._QUIET | settings)
    # Twice: what went on is killed again.
    found = kill_test.kill_often(kill_test.COMMANDS[name], 2, tmp_path, seed=1)
    assert found.kills == 2
    assert found.files >= found.finished >= 1
    assert not found.differences


def test_a_changed_table_is_a_difference(tmp_path: Path) -> None:
    for out, text in (("one", "a"), ("two", "b")):
        (tmp_path / out).mkdir()
        (tmp_path / out / "scores.csv").write_text(text)
        (tmp_path / out / "result.json").write_text(os.urandom(4).hex())  # tells of the run
    assert kill_test._contents(tmp_path, "one") == {"scores.csv": b"a"}
    assert kill_test._contents(tmp_path, "one") != kill_test._contents(tmp_path, "two")
