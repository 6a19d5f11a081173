"""What README.md, CONTRIBUTING.md and docs/ say is true."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import jnas
from experiments import common
from tests.commands.helpers import draw, invoke
from tests.test_layers import ALLOWED

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/guide.md")]
README, CONTRIBUTING, GUIDE = (path.read_text() for path in PAGES)
TEXT = "\n".join((README, CONTRIBUTING, GUIDE))


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(snippet: str, tmp_path, monkeypatch, capsys, **smaller: tuple[str, str]) -> str:
    """The output of a snippet with some of its sizes replaced, each of which stands in it."""
    for size, small in smaller.values():
        assert size in snippet
        snippet = snippet.replace(size, small)
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "snippet", "exec"), {})
    return capsys.readouterr().out


# -- Snippets --------------------------------------------------------------------------------------


def test_every_snippet_is_run_here() -> None:
    assert (len(snippets(README)), len(snippets(GUIDE))) == (4, 8)


def test_ten_lines(tmp_path, monkeypatch, capsys) -> None:
    sizes = {"archs": ("1000)", "6)"), "images": ("num=128", "num=2")}
    cell, tau = run(snippets(README)[0], tmp_path, monkeypatch, capsys, **sizes).split()[-2:]
    assert jnas.spaces.nasbench201().from_string(cell).shape == (6,)
    assert -1 <= float(tau) <= 1
    assert (tmp_path / "scores.npz").exists()
    assert len(snippets(README)[0].strip().splitlines()) == 10


def test_own_space_estimator_and_strategy(tmp_path, monkeypatch, capsys) -> None:
    """The three snippets go on from each other."""
    together = "\n".join(snippets(README)[1:])
    best = float(run(together, tmp_path, monkeypatch, capsys))
    assert -1e6 < best <= 0


def test_moves_of_the_own_space_stay_in_it() -> None:
    import jax
    import numpy as np

    names: dict = {}
    exec(compile(snippets(README)[1], "README.md", "exec"), names)
    space, keys = names["space"], jax.random.split(jax.random.key(0), 50)
    archs = jax.jit(jax.vmap(space.sample))(keys)
    moved = (
        jax.jit(jax.vmap(space.mutate))(keys, archs),
        jax.jit(jax.vmap(space.crossover))(keys, archs, archs[::-1]),
    )
    everything = space.enumerate()
    for part in (archs, *moved, everything):
        assert np.all(jax.jit(jax.vmap(space.is_valid))(part))
    assert {tuple(arch) for arch in np.asarray(moved[1]).tolist()} <= set(
        map(tuple, everything.tolist())
    )


def test_a_predictor_from_a_few_hundred_cells(tmp_path, monkeypatch, capsys) -> None:
    sizes = {
        "archs": ("archs[:400]", "archs[:40]"),
        "accuracy": ("accuracy[:400]", "accuracy[:40]"),
        "network": ("gates(space)", "gates(space, layers=(8,), hidden=(8,))"),
    }
    tau, accuracies = run(snippets(GUIDE)[0], tmp_path, monkeypatch, capsys, **sizes).splitlines()
    assert float(tau) > 0.3
    assert all(10 <= float(x) <= 100 for x in accuracies.strip("[]").split())
    assert (tmp_path / "gates.npz").exists()


def test_a_thousand_searches(tmp_path, monkeypatch, capsys) -> None:
    best = jnas.benchmarks.nasbench201("cifar10").column("val_accuracy").max()
    found = float(run(snippets(GUIDE)[1], tmp_path, monkeypatch, capsys))
    assert best - 0.1 < found < best


def test_trainings_of_ones_own(tmp_path, monkeypatch, capsys) -> None:
    sizes = {"num_evaluations": ("=50", "=12")}
    told = run(snippets(GUIDE)[2], tmp_path, monkeypatch, capsys, **sizes)
    cell, failures = told.splitlines()[-1].split()
    assert jnas.spaces.nasbench201().from_string(cell).shape == (6,)
    assert failures == "{}"
    assert (tmp_path / "my-search" / "search.npz").exists()


def test_how_well_scores_rank(tmp_path, monkeypatch, capsys) -> None:
    told = run(snippets(GUIDE)[5], tmp_path, monkeypatch, capsys)
    taus = ast.literal_eval(told.splitlines()[0])
    assert list(taus) == ["convolutions", "params", "flops"]
    assert 0.3 < taus["convolutions"] < taus["params"]


def test_a_space_of_ones_own_choices(tmp_path, monkeypatch, capsys) -> None:
    told = run(snippets(GUIDE)[3], tmp_path, monkeypatch, capsys)
    cell, score = told.splitlines()[-1].split()
    assert cell.startswith("kernel=")
    assert -3 < float(score) <= 0


@pytest.mark.slow
def test_several_scores_of_untrained_networks(tmp_path, monkeypatch, capsys) -> None:
    sizes = {"images": ("num=64", "num=4"), "archs": (" 100))", " 5))")}
    cell = run(snippets(GUIDE)[4], tmp_path, monkeypatch, capsys, **sizes).splitlines()[-1]
    assert jnas.spaces.nasbench201().from_string(cell).shape == (6,)
    assert (tmp_path / "suite.npz").exists()


def test_a_search_on_our_own_benchmark(tmp_path, monkeypatch, capsys) -> None:
    accuracies = run(snippets(GUIDE)[7], tmp_path, monkeypatch, capsys).strip(" []\n").split()
    assert len(accuracies) == 2
    assert all(10 <= float(x) <= 100 for x in accuracies)


@pytest.mark.slow
def test_shared_weights(tmp_path, monkeypatch, capsys) -> None:
    sizes = {
        "channels": ("channels=8", "channels=2"),
        "epochs": ("epochs=60", "epochs=3"),
        "keep": ("keep=(30, 45)", "keep=(1, 2)"),
        "evaluations": ("num_evaluations=100", "num_evaluations=11"),
        "gdas": ("epochs=20", "epochs=1"),
    }
    told = run(snippets(GUIDE)[6], tmp_path, monkeypatch, capsys, **sizes).splitlines()
    cell, losses, found = told
    assert jnas.spaces.nasbench201().from_string(cell).shape == (6,)
    assert len(losses.strip("[]").split()) == 3
    assert found.startswith("Searched by gdas: |")


@pytest.mark.slow
def test_from_a_folder_of_images_to_a_prediction(tmp_path, monkeypatch) -> None:
    (line,) = re.findall(r"^    (jnas train .*)$", README, re.MULTILINE)
    train, predict = (command.split()[1:] for command in line.split(" && "))
    draw(tmp_path / "photos", 60)
    draw(tmp_path / "new-photos", 3, seed=1)
    monkeypatch.chdir(tmp_path)
    smaller = ["--size", 8, "--channels", 4, "--stages", 1, "--candidates", 8, "--trained", 4]
    invoke(*train, *smaller, "--epochs", 60)
    printed = invoke(*predict)
    assert "new-photos" in printed
    # Stripes are easily told apart.
    assert len(re.findall(r"│ rows .*rows/00\d.png", printed)) >= 2
    assert len(re.findall(r"│ columns .*columns/00\d.png", printed)) >= 2
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "network" / "model.py").exists()


# -- Names -----------------------------------------------------------------------------------------


def inside() -> dict[str, list[str]]:
    """Package → names, of the README's table of what is inside."""
    table = README.partition("## What is inside")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.*) \|$", table, re.MULTILINE)
    return {package: re.findall(r"`([\w.]+)`", names) for package, names in rows}


@pytest.mark.parametrize("package", sorted(set(inside()) - {"commands", "engine"}))
def test_names_of_a_package_exist(package: str) -> None:
    for name in inside()[package]:
        assert hasattr(getattr(jnas, package), name) or hasattr(jnas, name), name


def test_modules_of_the_engine_exist() -> None:
    modules = {path.stem for path in (ROOT / "jnas" / "engine").glob("*.py")}
    assert set(inside()["engine"]) <= modules


def test_every_package_has_a_row() -> None:
    paths = (path for path in (ROOT / "jnas").iterdir() if path.is_dir() or path.suffix == ".py")
    assert set(inside()) == {path.stem for path in paths if not path.name.startswith("_")}


def test_packages_import_from_those_above_them() -> None:
    """But for what everything may import."""
    shared = {"engine", "losses", "metrics"}
    names = list(inside())
    for number, name in enumerate(names):
        needed = {room for room in ALLOWED[name] if not room.startswith("_")}
        assert needed - shared <= set(names[:number]), name


def test_all_scores_are_counted() -> None:
    assert f"without training: {len(jnas.zeroshot.NAMES)} scores" in README


def test_spaces_networks_predictors_and_strategies_are_all_named() -> None:
    rows = inside()
    assert set(jnas.spaces.NAMES) <= set(rows["spaces"])
    assert set(jnas.networks.NAMES) <= set(rows["networks"])
    assert set(jnas.predictors.NAMES) <= set(rows["predictors"])
    assert set(jnas.search.NAMES) - {"random"} <= set(rows["search"])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"jnas\.[a-z]+\.[a-z_0-9]+", TEXT))))
def test_every_dotted_name_exists(name: str) -> None:
    _, package, attribute = name.split(".")
    assert hasattr(getattr(jnas, package), attribute)


# -- Commands --------------------------------------------------------------------------------------


def test_commands_and_options_that_are_named_exist() -> None:
    commands = set(re.findall(r"`jnas ([a-z]+)`", README))
    assert commands == {"train", "predict", "search", "score", "fit", "report", "data"}
    help_texts = "".join(invoke(command, "--help") for command in commands)
    shown = set(re.findall(r"--[a-z][a-z-]+", help_texts))
    assert set(re.findall(r"--[a-z][a-z-]+", README + GUIDE)) - {"--help"} <= shown


def test_scripts_that_are_named_exist() -> None:
    scripts = set(re.findall(r"python -m experiments\.(\w+)", TEXT))
    assert scripts
    assert all((ROOT / "experiments" / f"{name}.py").exists() for name in scripts)


# -- Files and numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_pictures_exist(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_folders_exist() -> None:
    folders = re.findall(r"`(\w+)/`", README)
    assert {"configs", "experiments", "docs", "tests"} <= set(folders)
    places = [ROOT, ROOT / "experiments", ROOT / "tests"]
    assert [f for f in folders if not any((place / f).is_dir() for place in places)] == []


def measured() -> list[tuple[str, str]]:
    """What was measured, here and in the paper, and the linked page, of each measured line."""
    table = README.partition("## Ten measured lines")[2].partition("\n## ")[0]
    row = r"^\| (.* \| .* \| .*) \| \[(\w+)\]\(experiments/results/\2\.md\) \|$"
    return re.findall(row, table, re.MULTILINE)


def test_ten_lines_are_measured() -> None:
    assert len(measured()) == 10


@pytest.mark.parametrize(("line", "name"), measured())
def test_measured_numbers_stand_on_their_page(line: str, name: str) -> None:
    text = (common.RESULTS / f"{name}.md").read_text().replace(",", "")
    known = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]
    for number in re.findall(r"\d+(?:\.\d+)?", line.replace(",", "")):
        half = 0.5 * 10.0 ** -len(number.partition(".")[2]) + 1e-9
        assert any(abs(value - float(number)) <= half for value in known), number


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_prose_has_at_most_100_columns(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 155


def test_every_dependency_is_explained() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, build = settings["project"], settings["build-system"]["requires"]
    extras = project["optional-dependencies"]
    entries = project["dependencies"] + extras["notebook"] + extras["test"] + build
    rows = re.findall(r"^\| ([a-z][^|]+) \|", CONTRIBUTING, re.MULTILINE)[1:]
    explained = {name for row in rows for name in row.split(", ")}
    assert explained == {re.split(r"[<>=\[]", entry)[0] for entry in entries}
