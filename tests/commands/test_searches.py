"""Searches from many seeds: what they evaluate, find and refuse."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands import search_reports, searches
from jnas.commands.search_settings import Settings
from jnas.commands.searches import Searches

SPACE = jnas.spaces.nasbench201()
TABLE = jnas.benchmarks.nasbench201("cifar10")
SHORT = Settings(strategy="regularized_evolution", estimator="table", budget=15, seeds=3)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Searches, Path]:
    folder = tmp_path_factory.mktemp("short")
    result = searches.run(SHORT, folder)
    search_reports.write(folder, result)
    return result, folder


def test_searches_are_those_of_the_loop(short) -> None:
    result, _ = short
    searcher, objective = jnas.search.regularized_evolution(SPACE), TABLE.objective("val_accuracy")
    keys = jax.random.split(jax.random.split(jax.random.key(0))[1], 3)
    for place, key in enumerate(keys):
        alone = jnas.search.run(searcher, objective, key, num_evaluations=15)
        np.testing.assert_array_equal(result.histories.archs[place], alone.archs)
        np.testing.assert_array_equal(result.histories.scores[place], alone.scores)
        assert result.distinct[place] == jnas.search.num_distinct(alone, SPACE.identity)
        best = alone.archs[alone.best[-1]]
        np.testing.assert_array_equal(result.archs[place], best)
        assert result.params[place] == SPACE.params(best)
        assert result.flops[place] == SPACE.flops(best)
        np.testing.assert_array_equal(
            result.best[place], np.maximum.accumulate(np.asarray(alone.scores))
        )
    assert result.chosen == np.argmax(result.best[:, -1])


def test_defaults_are_filled_in(short) -> None:
    settings = short[0].settings
    filled = {
        "population_size": 10,
        "sample_size": 3,
        "column": "val_accuracy",
        "seconds": "seconds",
    }
    assert settings == dataclasses.replace(SHORT, **filled, images=None, num_images=None)


def test_answers_are_checked(short) -> None:
    result, _ = short
    names = [f"val_accuracy {name}" for name in jnas.benchmarks.DATASETS]
    assert [check.name for check in result.checks] == names
    accuracy = TABLE.column("val_accuracy")
    np.testing.assert_allclose(result.checks[0].accuracy, result.best, rtol=1e-6)
    np.testing.assert_array_equal(
        result.checks[0].ranks,
        [1 + np.sum(accuracy > answer) for answer in result.checks[0].accuracy[:, -1]],
    )


def test_finished_searches_are_taken_over(short, monkeypatch) -> None:
    result, folder = short
    monkeypatch.setattr(searches, "_search", None)
    again = searches.run(SHORT, folder)
    jax.tree.map(np.testing.assert_array_equal, again.histories, result.histories)
    assert (again.settings, again.seconds, again.chosen) == (
        result.settings,
        result.seconds,
        result.chosen,
    )
    np.testing.assert_array_equal(again.distinct, result.distinct)


def test_folder_of_other_searches(short, tmp_path) -> None:
    result, folder = short
    other = dataclasses.replace(SHORT, budget=16)
    with pytest.raises(ValueError, match="another job"):
        searches.run(other, folder)
    search_reports.write(tmp_path, result)
    (tmp_path / "histories.npz").write_bytes(b"broken")
    with pytest.raises(
        ValueError, match=r"histories.npz cannot be read; search again with --no-resume"
    ):
        searches.run(SHORT, tmp_path)
    assert searches.run(other, tmp_path, resume=False).settings.budget == 16


def test_limits_and_distinct(tmp_path) -> None:
    settings = dataclasses.replace(
        SHORT, max_params=400_000, max_flops=60e6, distinct=True, population_size=5
    )
    result = searches.run(settings, tmp_path)
    archs = result.histories.archs.reshape(-1, 6)
    assert (np.asarray(jax.vmap(SPACE.params)(archs)) <= 400_000).all()
    assert (np.asarray(jax.vmap(SPACE.flops)(archs)) <= 60e6).all()
    np.testing.assert_array_equal(result.distinct, 15)
    huge = searches._is_allowed(Settings(max_params=10**12), SPACE)
    assert huge is not None
    assert huge(archs[0])


def test_seconds_end_searches(tmp_path) -> None:
    result = searches.run(
        dataclasses.replace(SHORT, strategy="random", max_seconds=12_000.0), tmp_path
    )
    spent, num = result.histories.seconds.sum(axis=1), np.asarray(result.histories.num_evaluations)
    assert (spent <= 12_000).all()
    assert 1 <= num.max() < 15
    assert result.best.shape == (3, num.max())
    assert not result.histories.truncated.any()


def test_area_starts_with_what_its_judge_likes(tmp_path) -> None:
    """From a table, whose judge is the truth: the first evaluation is the best of the initial population."""
    settings = dataclasses.replace(SHORT, strategy="area", start="table", budget=10)
    result = searches.run(settings, tmp_path)
    scores = np.asarray(result.histories.scores)
    assert (scores[:, 0] == scores.max(axis=1)).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    assert result.settings.start == "table"


def test_bohb_pays_for_the_epochs_it_asks_for(tmp_path) -> None:
    """With its own epochs for the score of the whole training; within a learning curve, for that of each length."""
    whole = searches.run(
        dataclasses.replace(SHORT, strategy="bohb", budget=20), tmp_path / "whole"
    ).histories
    curve = {f"val{epoch}": np.arange(15_625.0) + epoch / 16 for epoch in range(1, 10)}
    table = jnas.benchmarks.make_table(
        SPACE, TABLE.archs, {**curve, "seconds": np.full(15_625, 90.0)}
    )
    jnas.benchmarks.save(table, tmp_path / "curve.npz")
    short = dataclasses.replace(
        SHORT, strategy="bohb", budget=13, min_epochs=1, max_epochs=9, column="val9"
    )
    parts = searches.run(
        dataclasses.replace(short, table=str(tmp_path / "curve.npz")), tmp_path / "parts"
    ).histories
    assert set(np.unique(whole.epochs)) == {22, 66, 200}
    assert set(np.unique(parts.epochs)) == {1, 3, 9}
    for number, histories in ((200, whole), (9, parts)):
        rows = np.asarray(TABLE.rows(histories.archs.reshape(-1, 6))).reshape(
            histories.scores.shape
        )
        cost = TABLE.column("seconds")[rows] if number == 200 else 90.0
        np.testing.assert_allclose(histories.seconds, histories.epochs / number * cost, rtol=1e-6)
        truth = (
            TABLE.column("val_accuracy")[rows] if number == 200 else rows + histories.epochs / 16
        )
        np.testing.assert_allclose(histories.scores, truth, rtol=1e-6)


def test_a_front_of_all_searches_together(tmp_path) -> None:
    settings = dataclasses.replace(
        SHORT, strategy="nsga2", against="flops", population_size=8, budget=24
    )
    result = searches.run(settings, tmp_path)
    scores, archs = result.histories.scores.ravel(), result.histories.archs.reshape(-1, 6)
    costs = np.asarray(jax.vmap(SPACE.flops)(archs))
    front = result.front
    assert front is not None
    for score, cost in zip(scores, costs, strict=True):
        assert np.any((front.scores >= score) & (front.costs[:, 0] <= cost))
    for score, cost in zip(front.scores, front.costs[:, 0], strict=True):
        assert not np.any((scores >= score) & (costs <= cost) & ((scores > score) | (costs < cost)))
    search_reports.write(tmp_path, result)
    header, *rows = (tmp_path / "front.csv").read_text().splitlines()
    assert header == "architecture,val_accuracy,flops"
    assert [row.split(",")[0] for row in rows] == [SPACE.to_string(arch) for arch in front.archs]
    assert (tmp_path / "front.png").exists()
    assert result.settings.against == "flops"


def test_a_predictor_of_a_space_without_tables(tmp_path) -> None:
    space = jnas.spaces.nats_size()
    archs = space.enumerate()[:: 32768 // 20]
    predictor = jnas.predictors.mlp(space, training=jnas.predictors.Training(epochs=1))
    state = predictor.fit(jax.random.key(0), archs, np.arange(len(archs), dtype=float))
    jnas.predictors.save(tmp_path / "mine.npz", predictor, state)
    settings = Settings("nats_size", "local_search", str(tmp_path / "mine.npz"), budget=8, seeds=2)
    result = searches.run(settings, tmp_path / "run")
    expected = predictor.predict(state, result.histories.archs.reshape(-1, 5)).reshape(2, 8)
    np.testing.assert_allclose(result.histories.scores, expected, rtol=1e-5, atol=1e-6)
    assert result.checks == ()
    assert result.settings.column is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 9}, "needs at least 10 evaluations; got 9"),
        ({"budget": 0}, "budget must be at least 1; got 0"),
        ({"population_size": 0}, "population_size must be at least 1; got 0"),
        ({"seeds": 0}, "seeds must be at least 1; got 0"),
        ({"strategy": "genetic"}, "positive multiple of the batch size 64; got 15"),
        ({"sample_size": 11}, "sample_size must be at most the population_size 10; got 11"),
        ({"strategy": "local_search", "population_size": 3}, "local_search has no population_size"),
        ({"strategy": "regularised_evolution"}, "Did you mean 'regularized_evolution'"),
        ({"max_params": 1000}, "holds for 0 of 4,096 samples of nasbench201"),
        ({"max_flops": 0.0}, "max_flops must be above 0; got 0"),
        ({"max_seconds": float("nan")}, "max_seconds must be above 0; got nan"),
        ({"max_seconds": 1.0}, "no evaluation ends within max_seconds"),
        ({"max_seconds": 1.0, "estimator": "naswot"}, "max_seconds needs the costs of a table"),
        (
            {"start": "naswot"},
            "start goes with the strategy area; regularized_evolution has no use for it",
        ),
        (
            {"against": "params"},
            "against goes with the strategy nsga2; regularized_evolution has no use for it",
        ),
        (
            {"strategy": "nsga2", "against": "latency"},
            "unknown cost 'latency'. Valid names: params, flops",
        ),
        ({"max_epochs": 9}, "regularized_evolution has no max_epochs"),
        (
            {"strategy": "bohb", "max_epochs": 9},
            "min_epochs must be at most the max_epochs 9; got 12",
        ),
        ({"column": "val_acuracy"}, "Did you mean 'val_accuracy'"),
        ({"test_column": "test_accuracy"}, "unknown column 'test_accuracy'"),
        ({"seconds": "hours"}, "unknown column 'hours'"),
        ({"space": "nats_size"}, "no table of trained accuracies of nats_size"),
        (
            {"space": "nats_size", "estimator": "naswot", "column": "top"},
            "no table of trained accuracies of nats_size",
        ),
    ],
)
def test_bad_settings(changes, message, tmp_path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        searches.run(dataclasses.replace(SHORT, **changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_tables_without_costs_or_with_nothing(tmp_path) -> None:
    for name, values in (("free", np.arange(15_625.0)), ("empty", np.full(15_625, np.nan))):
        table = jnas.benchmarks.make_table(SPACE, TABLE.archs, {"top": values})
        jnas.benchmarks.save(table, tmp_path / f"{name}.npz")
    free = dataclasses.replace(SHORT, table=str(tmp_path / "free.npz"), max_seconds=5.0)
    with pytest.raises(ValueError, match="has no column of seconds for max_seconds"):
        searches.run(free, tmp_path / "run")
    with pytest.raises(ValueError, match="none of the 45 evaluations can be ranked"):
        searches.run(
            dataclasses.replace(SHORT, table=str(tmp_path / "empty.npz")), tmp_path / "run"
        )


def test_folder_is_named_after_the_settings() -> None:
    assert Settings().folder_name == "search-nasbench201-random-naswot-digits128-100-1seeds-seed0"
    limits = {
        "max_params": 400_000,
        "max_seconds": 12_000.0,
        "distinct": True,
        "population_size": 50,
    }
    named = dataclasses.replace(
        SHORT, table="a/mine.npz", column="top", test_column="test", **limits
    )
    name = "search-nasbench201-mine-regularized_evolution-table-top-test-params400000-seconds12000-population50"
    assert named.folder_name == f"{name}-distinct-15-3seeds-seed0"
    assert (
        "-area-gates-digits128-" in Settings(strategy="area", estimator="a/gates.npz").folder_name
    )
    assert (
        "-area-gates-forest-100-"
        in Settings(strategy="area", estimator="gates.npz", start="forest.npz").folder_name
    )
