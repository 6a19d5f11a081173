"""`jnas fit` as a newcomer uses it, and what its predictors are good for."""

from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands.search import searches
from jnas.commands.search.settings import Settings
from tests.commands.helpers import files, invoke, read_csv, read_json

SPACE = jnas.spaces.nasbench201()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object], str]:
    """One small fit: its run folder, its command and what it printed."""
    folder = tmp_path_factory.mktemp("fit")
    _save_table(folder / "small.npz", 1.0)
    command = ["fit", "--space", "nasbench201", "--table", folder / "small.npz"]
    command += ["--predictor", "mlp", "--num-train", 40, "--seeds", 2, "--epochs", 2]
    command += ["--no-progress", "--out", folder / "run"]
    return folder / "run", command, invoke(*command)


def _save_table(path: Path, factor: float) -> None:
    table = jnas.benchmarks.nasbench201("cifar10")
    columns = {"accuracy": factor * table.column("val_accuracy")[:60]}
    small = jnas.benchmarks.make_table(
        SPACE, table.archs[:60], columns, conventions={"accuracy": "in %"}, source="sixty cells"
    )
    jnas.benchmarks.save(small, path)


def test_fit_writes_the_run_folder(fitted) -> None:
    folder, _, printed = fitted
    names = {"metrics.csv", "result.json", "curves.png", "ranks.png", "predictor.npz"}
    assert set(files(folder)) == names | {"report.html"}
    assert (folder / "checkpoint").is_dir()
    for text in ("mlp", "40", "in %", str(folder / "report.html"), str(folder / "predictor.npz")):
        assert text in printed
    result = read_json(folder / "result.json")
    assert result["convention"] == "in %"
    assert result["settings"]["num_test"] == 20
    assert result["settings"]["column"] == "accuracy"
    assert result["settings"]["loss"] == "hinge"
    taus = [float(row["kendall_tau"]) for row in read_csv(folder / "metrics.csv")]
    assert result["metrics"]["kendall_tau"]["mean"] == pytest.approx(np.mean(taus), abs=1e-6)
    assert result["metrics"]["kendall_tau"]["std"] == pytest.approx(np.std(taus, ddof=1), abs=1e-6)
    assert {"jnas", "jax", "device"} <= set(result["environment"])


def _steps(folder: Path) -> dict[str, int]:
    """Name → time of what a checkpoint keeps."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[0-9]*")}


def test_fit_given_again_has_the_same_result(fitted) -> None:
    folder, command, printed = fitted
    before, steps = files(folder), _steps(folder / "checkpoint")
    assert invoke(*command) == printed
    assert files(folder) == before
    # The training was taken over, and not done again.
    assert steps == _steps(folder / "checkpoint") != {}
    with pytest.raises(ValueError, match="another job"):
        invoke(*command, "--seed", 1)
    assert files(folder) == before


def test_fit_on_a_table_that_has_changed(fitted) -> None:
    folder, command, _ = fitted
    table = folder.parent / "small.npz"
    before, kept = files(folder), table.read_bytes()
    _save_table(table, 2.0)
    with pytest.raises(ValueError, match="another job"):
        invoke(*command)
    assert files(folder) == before
    table.write_bytes(kept)


@pytest.mark.slow
def test_saved_predictor_scores_and_searches(fitted, tmp_path) -> None:
    saved, out = fitted[0] / "predictor.npz", tmp_path / "all.csv"
    invoke("score", "--estimator", saved, "--all", "--out", out, "--no-progress")
    rows = read_csv(out)
    assert len(rows) == 15625
    predictor, state = jnas.predictors.load(saved)
    archs = np.stack([np.asarray(SPACE.from_string(row["architecture"])) for row in rows[:7]])
    expected = predictor.predict(state, archs)
    scores = [float(row["predictor"]) for row in rows[:7]]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    folder = tmp_path / "search"
    command = ["search", "--estimator", saved, "--candidates", 9, "--out", folder, "--no-progress"]
    invoke(*command)
    page = (folder / "report.html").read_text()
    assert "the predictor may have been trained on some of them" in page
    settings = read_json(folder / "result.json")["settings"]
    assert settings["estimator"] == str(saved)
    assert settings["candidates"] == 9
    assert settings["images"] is None


@pytest.mark.slow
def test_saved_predictor_of_another_space_or_other_contents(fitted, tmp_path) -> None:
    saved, out = fitted[0] / "predictor.npz", tmp_path / "x.csv"
    with pytest.raises(ValueError, match="holds a predictor of nasbench201; it cannot judge"):
        invoke("score", "--estimator", saved, "--space", "nasbench101", "--num", 3, "--out", out)
    predictor, state = jnas.predictors.load(saved)
    mine = tmp_path / "mine.npz"
    settings = Settings(estimator=str(mine), candidates=3)
    jnas.predictors.save(mine, predictor, state)
    searches.run(settings, tmp_path)
    jnas.predictors.save(mine, predictor, jax.tree.map(lambda leaf: leaf + 1, state))
    with pytest.raises(ValueError, match="another job"):
        searches.run(settings, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gates", "renas", "e2epp"))],
)
def test_fit_and_score_cells_of_two_kinds(tmp_path: Path, name: str) -> None:
    space = jnas.spaces.nasbench301()
    rng = np.random.default_rng(0)
    archs = rng.integers(0, space.cardinalities, (30, 22)).astype(np.int32)
    values = rng.normal(94, 1, 30)
    table = jnas.benchmarks.make_table(space, archs, {"accuracy": values})
    jnas.benchmarks.save(table, tmp_path / "pairs.npz")
    command = ["fit", "--space", "nasbench301", "--table", tmp_path / "pairs.npz"]
    command += ["--predictor", name, "--num-train", 20, "--seeds", 1, "--no-progress"]
    command += ["--epochs", 2] if name != "e2epp" else []
    printed = invoke(*command, "--out", tmp_path / "run")
    assert "nasbench301" in printed
    text, saved = space.to_string(archs[3]), tmp_path / "run" / "predictor.npz"
    command = ["score", text, "--space", "nasbench301", "--estimator", saved]
    invoke(*command, "--no-progress", "--out", tmp_path / "one.csv")
    predictor, state = jnas.predictors.load(saved)
    (row,) = read_csv(tmp_path / "one.csv")
    assert row["architecture"] == text
    assert float(row["predictor"]) == pytest.approx(
        float(predictor.predict(state, archs[3:4])[0]), rel=1e-4
    )
