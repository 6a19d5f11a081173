"""What README.md says is true."""

import re
import tomllib
from pathlib import Path

import pytest

import jnas

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_ten_lines_of_python_run(tmp_path, monkeypatch, capsys) -> None:
    block = BLOCKS[0]
    small = block.replace("1000)", "6)").replace("num=128", "num=2")
    assert small.count("6)") == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert jnas.spaces.nasbench201().from_string(printed[-2]).shape == (6,)
    assert -1 <= float(printed[-1]) <= 1


def test_a_predictor_from_a_few_hundred_cells(tmp_path, monkeypatch, capsys) -> None:
    small = (
        BLOCKS[1]
        .replace("[:400]", "[:40]")
        .replace("gates(space)", "gates(space, layers=(16, 16), hidden=(16,))")
    )
    assert small.count("[:40]") == 2
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) > 0.3
    assert (tmp_path / "gates.npz").exists()
    assert len(BLOCKS) == 4


def test_a_thousand_searches(capsys) -> None:
    exec(compile(BLOCKS[2], "README.md", "exec"), {})
    best = jnas.benchmarks.nasbench201("cifar10").column("val_accuracy").max()
    assert best - 0.1 < float(capsys.readouterr().out) < best


@pytest.mark.slow
def test_several_scores_of_untrained_networks(tmp_path, monkeypatch, capsys) -> None:
    small = BLOCKS[3].replace("num=64", "num=4").replace(" 100))", " 5))")
    assert small.count("num=4)") == small.count(" 5))") == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    assert jnas.spaces.nasbench201().from_string(
        capsys.readouterr().out.splitlines()[-1]
    ).shape == (6,)
    assert (tmp_path / "suite.npz").exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z]+\.[a-z_0-9]+)", README))))
def test_every_name_exists(name: str) -> None:
    package, attribute = name.split(".")
    assert (
        hasattr(getattr(jnas, package), attribute)
        if hasattr(jnas, package)
        else (ROOT / name).exists()
    )


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = (
        project["project"]["dependencies"] + project["project"]["optional-dependencies"]["test"]
    )
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in requirements}
    table = {
        name
        for row in re.findall(r"^\| ([^|]+) \|", README, re.MULTILINE)
        for name in row.split(", ")
    }
    assert names <= table


def test_commands_are_those_of_the_package() -> None:
    commands = {command.name or command.callback.__name__ for command in jnas_commands()}
    assert commands == set(re.findall(r"`jnas ([a-z]+)`", README))


def jnas_commands() -> list:
    from jnas.commands import cli

    return cli.app.registered_commands
