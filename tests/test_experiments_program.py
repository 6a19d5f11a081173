"""Command lines of experiments, and results that only a finished run replaces."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jnas
from experiments import common, program

SCRIPTS = Path(program.__file__).parent
PROGRAMS = sorted(p.stem for p in SCRIPTS.glob("*.py") if "\nif __name__ ==" in p.read_text())


def test_every_program_has_the_shared_command_line() -> None:
    own = {"pages", "golden_quantities"}  # of no experiment, and run in other checkouts
    texts = {name: (SCRIPTS / f"{name}.py").read_text() for name in PROGRAMS}
    assert {name for name, text in texts.items() if "    program.run(" not in text} == own
    assert not [name for name, text in texts.items() if "sys.argv" in text]
    assert all("--out" in texts[name] for name in own)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "naswot_table2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("golden_quantities", "pages", "rnn_classifier")
        ),
    ],
)
def test_help_runs_nothing(name, tmp_path) -> None:
    # In a copy, for in this checkout an experiment may be running.
    shutil.copytree(SCRIPTS, tmp_path / "experiments", ignore=shutil.ignore_patterns("results"))
    shutil.copytree(SCRIPTS.parent / "configs", tmp_path / "configs")
    search_path = os.pathsep.join(map(str, (tmp_path, Path(jnas.__file__).parents[1])))
    before = set(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-B", "-m", f"experiments.{name}", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": search_path},
    )
    assert done.stdout.startswith("usage:")
    assert "--out" in done.stdout
    assert set(tmp_path.rglob("*")) == before


def results(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """A folder of results, of this experiment and another one, in place of the real one."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "mine.json").write_text('{"jobs": {"a": 1}}')
    (folder / "other.json").write_text("{}")
    (folder / "mine.png").write_bytes(b"old")
    monkeypatch.setattr(common, "RESULTS", folder)
    return folder


def write(job: str) -> None:
    """As a ledger does, on top of what is there."""
    path = common.RESULTS / "mine.json"
    jobs = json.loads(path.read_text())["jobs"] if path.exists() else {}
    common.replace(path, json.dumps({"jobs": jobs | {job: 2}}))


def test_results_are_replaced_by_a_run_that_has_finished(out) -> None:
    before = results(out)
    with contextlib.suppress(KeyboardInterrupt), program.staged("mine", out):
        write("b")
        (common.RESULTS / "mine.png").write_bytes(b"new")
        raise KeyboardInterrupt
    assert out == common.RESULTS
    assert results(out) == before
    (out / "other.json").write_text('{"newer": 1}')
    with program.staged("mine", out):
        assert results(common.RESULTS)["other.json"] == '{"newer": 1}'
        write("c")
    found = results(out)
    assert json.loads(found["mine.json"]) == {"jobs": {"a": 1, "b": 2, "c": 2}}
    assert (found["mine.png"], found["other.json"]) == ("new", '{"newer": 1}')
    assert not (out / ".unfinished").exists()


def test_another_folder_begins_anew(out, tmp_path) -> None:
    """With what other experiments have found, of which nothing is copied."""
    before, elsewhere = results(out), tmp_path / "elsewhere"
    with program.staged("mine", elsewhere):
        assert (common.RESULTS / "other.json").exists()
        assert common.RUNS.is_relative_to(elsewhere)
        write("b")
    assert results(elsewhere) == {"mine.json": '{"jobs": {"b": 2}}'}
    assert results(out) == before


def test_a_program_reads_its_options(out, tmp_path, monkeypatch) -> None:
    calls = []

    def main(largest: int | None = None, config: str = "full") -> None:
        calls.append((largest, config))

    call = ["program", "12", "--quick", "--out", str(tmp_path / "quick")]
    for arguments in (call, call[:1] + ["--out", str(tmp_path / "whole")]):
        monkeypatch.setattr(sys, "argv", arguments)
        program.run(main, {"config": "small"}, program.LARGEST, spread=False)
    assert calls == [(12, "small"), (None, "full")]
    monkeypatch.setattr(sys, "argv", call)
    program.run(main, {"config": "small", "largest": 4}, program.LARGEST, spread=False)
    assert calls[-1] == (12, "small")
    monkeypatch.setattr(sys, "argv", ["program", "--quick", "--out", str(out)])
    with pytest.raises(SystemExit, match="--quick is no result"):
        program.run(main, {}, spread=False)
