"""What README.md says is true."""

import re
import tomllib
from pathlib import Path

import pytest

import jnas

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_ten_lines_of_python_run(tmp_path, monkeypatch, capsys) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    small = block.replace("1000)", "6)").replace("num=128", "num=2")
    assert small.count("6)") == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert jnas.spaces.nasbench201().from_string(printed[-2]).shape == (6,)
    assert -1 <= float(printed[-1]) <= 1


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z]+\.[a-z_0-9]+)", README))))
def test_every_name_exists(name: str) -> None:
    package, attribute = name.split(".")
    assert hasattr(getattr(jnas, package), attribute) if hasattr(jnas, package) else (ROOT / name).exists()


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["test"]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in requirements}
    table = {name for row in re.findall(r"^\| ([^|]+) \|", README, re.MULTILINE) for name in row.split(", ")}
    assert names <= table


def test_commands_are_those_of_the_package() -> None:
    commands = {command.name or command.callback.__name__ for command in jnas_commands()}
    assert commands == set(re.findall(r"`jnas ([a-z]+)`", README))


def jnas_commands() -> list:
    from jnas import cli

    return cli.app.registered_commands
