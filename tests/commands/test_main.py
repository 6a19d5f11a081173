"""The command line as a whole: help, version, exit codes, and what is said about bad input."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jnas
from jnas import commands, population
from tests.commands.helpers import invoke


@pytest.fixture
def call(monkeypatch, capsys):
    """The entry point in this process: exit code, standard output and standard error."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jnas", *map(str, args)])
        try:
            commands.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        else:
            code = 0
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("command", [[], ["search"], ["fit"], ["score"], ["data"]])
def test_help(command) -> None:
    printed = invoke(*command, "--help")
    assert "Usage: jnas" in printed


def test_help_tells_defaults_choices_and_the_options_of_strategies() -> None:
    lines = invoke("search", "--help").splitlines()
    text = " ".join(line.strip("│ ") for line in lines).partition("╭─ Task")[2]

    def entry(option: str) -> str:
        """What stands between an option and the next one, however wide the terminal is."""
        found = re.search(rf"(?<!\S){option} (.*?)(?= --|╰)", text)
        assert found, option
        return found[1]

    assert "nasbench101, nasbench201" in entry("--space")
    assert "[default: nasbench201]" in entry("--space")
    assert "[default: 100]" in entry("--candidates")
    assert "[default: no limit]" in entry("--max-params")
    assert "genetic: 64; nsga2: 100" in entry("--population-size")
    assert "[choices: oldest, worst]" in entry("--dies")
    assert "[successive_halving, bohb: 12]" in entry("--min-epochs")
    assert "--no-resume" in text
    for name in ("--is-allowed", "--init ", "--optimiser", "--options"):
        assert name not in text


def test_version_and_entry_points() -> None:
    assert invoke("--version").strip() == f"jnas {jnas.__version__}"
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="jnas")
    assert script.value == "jnas.commands:main"
    assert script.load() is commands.main


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
            "--candidates does not go with searches by a strategy, which --budget asks for",
        ),
        (
            ["search", "--budget", "9", "--chunk-size", "9"],
            "--chunk-size does not go with searches by a strategy",
        ),
        (["search", "--candidates", "0"], "candidates must be at least 1; got 0"),
        (["score", "|conv~0|"], "unknown operation 'conv'"),
        (["score"], "exactly one way"),
        (["score", "--all", "--num", "3"], "exactly one way"),
        (["score", "--file", "missing.txt"], "missing.txt"),
        (
            ["fit", "--space", "nasbench201", "--num-train", "1"],
            "--num-train must be at least 2; got 1",
        ),
        (["fit", "--predictor", "gate"], "Did you mean 'gates'? Valid names: gates, gcn"),
        (["search", "--seed", "4294967296"], "--seed must be in 0 … 4294967295; got 4294967296"),
        (["score", "--num", "1", "--seed=-1"], "--seed must be in 0 … 4294967295; got -1"),
        (["fit", "--seed", "4294967296"], "--seed must be in 0 … 4294967295; got 4294967296"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(args, message, tmp_path, call) -> None:
    code, _, error = call(*args, "--out", tmp_path / "out.csv")
    assert code == 1
    assert error.startswith("error: ")
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_output_folder_that_cannot_be_written(tmp_path, call) -> None:
    (tmp_path / "file").write_text("")
    for command in (["search", "--candidates", 2], ["score", "--num", 2]):
        out = tmp_path / "file" / "x"
        code, _, error = call(*command, "--estimator", "params", "--num-images", 2, "--out", out)
        assert code == 1
        assert error.startswith("error: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["search", "--candidates", "many"], "--candidates"),
        (["search", "--spac", "nasbench201"], "--space"),
        (["search", "--dies", "youngest"], "oldest"),
        (["fly"], "fly"),
    ],
)
def test_wrong_usage_is_exit_code_2(args, message, call) -> None:
    code, printed, error = call(*args)
    assert code == 2
    assert message in printed + error


def test_an_interrupt_says_how_to_go_on(monkeypatch, tmp_path, call) -> None:
    def score(*args: object) -> None:
        error = KeyboardInterrupt()
        error.add_note("Give the same command again.")
        raise error

    monkeypatch.setattr(population, "score", score)
    out = tmp_path / "x.csv"
    code, _, error = call(
        "score", "--num", 2, "--estimator", "params", "--num-images", 2, "--out", out
    )
    assert code == 130
    assert error == "interrupted. Give the same command again.\n"


def test_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jnas", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"jnas {jnas.__version__}"
    assert Path(jnas.__file__).with_name("__main__.py").exists()
