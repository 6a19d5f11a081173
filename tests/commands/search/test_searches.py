"""Searches from many seeds: what they evaluate, find and refuse."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands import folder as folders
from jnas.commands import summary
from jnas.commands.search import evaluation, searches
from jnas.commands.search.searches import Searches
from jnas.commands.search.settings import Settings
from jnas.commands.search.summary import summarise
from tests.commands.helpers import put

SPACE = jnas.spaces.nasbench201()
TABLE = jnas.benchmarks.nasbench201("cifar10")
SHORT = Settings(strategy="regularized_evolution", estimator="table", budget=15, seeds=3)


def table_of(values: np.ndarray) -> jnas.benchmarks.Table:
    return jnas.benchmarks.make_table(SPACE, TABLE.archs, {"top": values})


def keep(folder: Path, result: Searches) -> None:
    """Write into a run folder what is taken over."""
    evaluation.save(folder, result.histories, result.distinct)
    folders.write_facts(folder, summarise(result).facts)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Searches, Path]:
    folder = tmp_path_factory.mktemp("short")
    result = searches.run(SHORT, folder)
    keep(folder, result)
    return result, folder


@pytest.mark.slow
def test_searches_are_those_of_the_loop(short) -> None:
    result, _ = short
    searcher, objective = jnas.search.regularized_evolution(SPACE), TABLE.objective("val_accuracy")
    keys = jax.random.split(jax.random.split(jax.random.key(0))[1], 3)
    run = jax.jit(lambda key: jnas.search.run(searcher, objective, key, num_evaluations=15))
    for place, key in enumerate(keys):
        alone = run(key)
        np.testing.assert_array_equal(result.histories.archs[place], alone.archs)
        np.testing.assert_array_equal(result.histories.scores[place], alone.scores)
        assert result.distinct[place] == jnas.search.num_distinct(alone, SPACE.identity)
        best = alone.archs[alone.best[-1]]
        np.testing.assert_array_equal(result.archs[place], best)
        assert result.params[place] == SPACE.params(best)
        assert result.flops[place] == SPACE.flops(best)
        np.testing.assert_allclose(
            result.best[place], np.maximum.accumulate(np.asarray(alone.scores)), rtol=1e-6
        )
        np.testing.assert_array_equal(
            result.scores[place], TABLE.look_up("val_accuracy", alone.archs)
        )
    assert result.chosen == np.argmax(result.best[:, -1])


def test_defaults_are_filled_in(short) -> None:
    settings = short[0].settings
    filled = {"budget": 15, "column": "val_accuracy", "seconds": "seconds"}
    own = {"population_size": 10, "sample_size": 3, "batch_size": 1, "dies": "oldest"}
    own |= {"tournament": "with_replacement"}
    none = {"images": None, "num_images": None}
    assert settings == dataclasses.replace(SHORT, **filled, **none, options=own)
    assert settings.facts() | own == settings.facts()


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
    monkeypatch.setattr(evaluation, "search_all", None)
    again = searches.run(SHORT, folder)
    jax.tree.map(np.testing.assert_array_equal, again.histories, result.histories)
    for name in ("settings", "seconds", "chosen", "fingerprint"):
        assert getattr(again, name) == getattr(result, name)
    np.testing.assert_array_equal(again.distinct, result.distinct)


def test_folder_of_other_searches(short, tmp_path) -> None:
    result, folder = short
    other = dataclasses.replace(SHORT, strategy="random", budget=14)
    with pytest.raises(ValueError, match="another job"):
        searches.run(other, folder)
    keep(tmp_path, result)
    put(tmp_path / "histories.npz", b"broken", "history of searches")
    with pytest.raises(
        ValueError, match=r"histories.npz cannot be read; search again with resume=False"
    ):
        searches.run(SHORT, tmp_path)
    assert searches.run(other, tmp_path, resume=False).settings.budget == 14


@pytest.mark.slow
def test_finished_searches_are_extended(short, tmp_path) -> None:
    result, _ = short
    keep(tmp_path, result)
    longer = searches.run(dataclasses.replace(SHORT, budget=20), tmp_path)
    np.testing.assert_array_equal(longer.histories.archs[:, :15], result.histories.archs)
    np.testing.assert_array_equal(longer.histories.scores[:, :15], result.histories.scores)
    assert longer.histories.scores.shape == (3, 20)
    keep(tmp_path, longer)
    for change in ({"budget": 15}, {"budget": 25, "seed": 1}, {"budget": 25, "distinct": True}):
        with pytest.raises(ValueError, match="another job"):
            searches.run(dataclasses.replace(SHORT, **change), tmp_path)


def test_a_finished_batch_is_extended(tmp_path, monkeypatch) -> None:
    few, more = (Settings(estimator="params", candidates=num) for num in (5, 8))
    first = searches.run(few, tmp_path)
    folders.write_facts(tmp_path, summarise(first).facts)
    scored, score = [], jnas.population.score

    def counted(estimator, archs, key, *args):
        scored.append(np.load(tmp_path / "scores.npz")["num_done"])
        return score(estimator, archs, key, *args)

    monkeypatch.setattr(jnas.population, "score", counted)
    longer = searches.run(more, tmp_path)
    assert scored == [5]
    np.testing.assert_array_equal(longer.histories.archs[:, :5], first.histories.archs)
    monkeypatch.undo()
    fresh = searches.run(more, tmp_path / "fresh")
    np.testing.assert_array_equal(longer.histories.scores, fresh.histories.scores)


def test_searches_on_a_table_that_has_changed(tmp_path) -> None:
    """Equal settings, but other accuracies in the file that they name."""
    settings = Settings(estimator="table", table=str(tmp_path / "mine.npz"), budget=3)
    values = np.arange(15_625.0)
    jnas.benchmarks.save(table_of(values), tmp_path / "mine.npz")
    keep(tmp_path, searches.run(settings, tmp_path))
    jnas.benchmarks.save(table_of(-values), tmp_path / "mine.npz")
    with pytest.raises(ValueError, match="another job"):
        searches.run(settings, tmp_path)


def test_histories_of_the_last_release(short, tmp_path) -> None:
    """They call `truncated` exhausted."""
    result, _ = short
    fields = result.histories._asdict()
    fields["exhausted"] = fields.pop("truncated")
    np.savez(tmp_path / "histories.npz", distinct=result.distinct, **fields)
    histories, distinct = evaluation.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, histories, result.histories)
    np.testing.assert_array_equal(distinct, result.distinct)


@pytest.mark.slow
def test_limits_and_distinct(tmp_path) -> None:
    limits = {"max_params": 400_000, "max_flops": 60e6, "distinct": True}
    settings = dataclasses.replace(SHORT, **limits, options={"population_size": 5})
    result = searches.run(settings, tmp_path)
    archs = result.histories.archs.reshape(-1, 6)
    assert (np.asarray(jax.jit(jax.vmap(SPACE.params))(archs)) <= 400_000).all()
    assert (np.asarray(jax.jit(jax.vmap(SPACE.flops))(archs)) <= 60e6).all()
    np.testing.assert_array_equal(result.distinct, 15)


def test_a_limit_beyond_all_numbers() -> None:
    settings = Settings(max_params=10**12, estimator="params", budget=3)
    huge = evaluation.make_job(settings, SPACE, None).space
    assert huge.sample(jax.random.key(0)).shape == (6,)


def test_seconds_end_searches(tmp_path) -> None:
    result = searches.run(
        dataclasses.replace(SHORT, strategy="random", max_seconds=12_000.0), tmp_path
    )
    spent, num = result.histories.seconds.sum(axis=1), np.asarray(result.histories.num_evaluations)
    assert (spent <= 12_000).all()
    assert 1 <= num.max() < 15
    assert result.best.shape == (3, num.max())
    assert not result.histories.truncated.any()


@pytest.mark.slow
def test_area_starts_with_what_its_judge_likes(tmp_path) -> None:
    """From a table, whose judge is the truth: the first evaluation is the initial best."""
    settings = dataclasses.replace(SHORT, strategy="area", start="table", budget=10)
    result = searches.run(settings, tmp_path)
    scores = np.asarray(result.histories.scores)
    assert (scores[:, 0] == scores.max(axis=1)).all()
    assert (np.diff(scores, axis=1) <= 0).all()
    assert result.settings.start == "table"


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", [pytest.param("bohb", marks=pytest.mark.slow), "successive_halving"]
)
def test_brackets_pay_for_the_epochs_they_ask_for(strategy, tmp_path) -> None:
    """With its own epochs for the score of the whole training; in a curve, with each length."""
    whole = searches.run(
        dataclasses.replace(SHORT, strategy=strategy, budget=20), tmp_path / "whole"
    ).histories
    curve = {f"val{epoch}": np.arange(15_625.0) + epoch / 16 for epoch in range(1, 10)}
    table = jnas.benchmarks.make_table(
        SPACE, TABLE.archs, {**curve, "seconds": np.full(15_625, 90.0)}
    )
    jnas.benchmarks.save(table, tmp_path / "curve.npz")
    options = {"min_epochs": 1, "max_epochs": 9}
    short = dataclasses.replace(SHORT, strategy=strategy, budget=13, options=options, column="val9")
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


@pytest.mark.slow
def test_a_front_of_all_searches_together(tmp_path) -> None:
    settings = dataclasses.replace(
        SHORT, strategy="nsga2", against="flops", options={"population_size": 8}, budget=24
    )
    result = searches.run(settings, tmp_path)
    scores, archs = result.scores.ravel(), result.histories.archs.reshape(-1, 6)
    costs = np.asarray(jax.jit(jax.vmap(SPACE.flops))(archs))
    front = result.front
    assert front is not None
    for score, cost in zip(scores, costs, strict=True):
        assert np.any((front.scores >= score) & (front.costs[:, 0] <= cost))
    for score, cost in zip(front.scores, front.costs[:, 0], strict=True):
        assert not np.any((scores >= score) & (costs <= cost) & ((scores > score) | (costs < cost)))
    told = summarise(result)
    header, *rows = told.tables["front.csv"]
    assert header == ["architecture", "val_accuracy", "flops"]
    assert [row[0] for row in rows] == [SPACE.to_string(arch) for arch in front.archs]
    assert "front" in told.figures
    assert result.settings.against == "flops"


@pytest.mark.slow
def test_a_predictor_of_a_space_without_tables(tmp_path) -> None:
    space = jnas.spaces.nats_size()
    archs = space.enumerate()[:: 32768 // 20]
    predictor = jnas.predictors.mlp(space, training=jnas.predictors.Training(epochs=1))
    state = predictor.fit(jax.random.key(0), archs, np.arange(len(archs), dtype=float))
    jnas.predictors.save(tmp_path / "mine.npz", predictor, state)
    settings = Settings(
        "nats_size", str(tmp_path / "mine.npz"), strategy="random", budget=8, seeds=2
    )
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
        ({"options": {"population_size": 0}}, "population_size must be at least 1; got 0"),
        ({"seeds": 0}, "seeds must be at least 1; got 0"),
        ({"strategy": "genetic"}, "positive multiple of the batch size 64; got 15"),
        (
            {"options": {"sample_size": 11}},
            "sample_size must be at most the population_size 10; got 11",
        ),
        (
            {"strategy": "local_search", "options": {"population_size": 3}},
            "local_search has no population_size",
        ),
        ({"strategy": "regularised_evolution"}, "Did you mean 'regularized_evolution'"),
        ({"max_params": 1000}, "holds for 0 of 4,096 samples of nasbench201"),
        ({"max_flops": 0.0}, "max_flops must be above 0; got 0"),
        ({"limit": "parms=5"}, "unknown cost 'parms'. Did you mean 'params'"),
        ({"limit": "latency"}, "limit must be a cost and the most that is allowed of it"),
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
            {"strategy": "nsga2", "against": "latncy"},
            "unknown cost 'latncy'. Did you mean 'latency'",
        ),
        ({"options": {"max_epochs": 9}}, "regularized_evolution has no max_epochs"),
        (
            {"strategy": "bohb", "options": {"max_epochs": 9}},
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


# --------------------------------------------------------------------------------------------------
# A batch of candidates.


def test_a_batch_is_random_search_that_is_scored_at_once(tmp_path) -> None:
    draw_key, _, score_key = jax.random.split(jax.random.key(3), 3)
    searcher = jnas.search.random_search(SPACE, batch_size=9)
    query, _ = searcher.ask(draw_key, searcher.init(draw_key))
    scores = jnas.zeroshot.params(SPACE)(score_key, query.archs)
    settings = Settings(estimator="params", num_images=2, candidates=9, seed=3)
    result = searches.run(settings, tmp_path, chunk_size=4)
    np.testing.assert_array_equal(result.histories.archs, query.archs[None])
    np.testing.assert_array_equal(result.histories.scores, scores[None])
    np.testing.assert_array_equal(result.archs[0], query.archs[int(np.argmax(scores))])
    np.testing.assert_array_equal(result.best[0], np.maximum.accumulate(np.asarray(scores)))
    assert result.histories.num_evaluations.tolist() == [9]
    with np.load(tmp_path / "scores.npz") as kept:
        np.testing.assert_array_equal(kept["scores"], scores)


def test_a_batch_is_reproducible_and_follows_the_seed(tmp_path) -> None:
    a, b, c = (
        searches.run(Settings("nats_size", "params", num_images=2, candidates=9, seed=seed), folder)
        for seed, folder in ((3, tmp_path / "a"), (3, tmp_path / "b"), (4, tmp_path / "c"))
    )
    jax.tree.map(np.testing.assert_array_equal, a.histories, b.histories)
    assert not np.array_equal(a.histories.archs, c.histories.archs)


@pytest.mark.slow
def test_a_batch_within_limits_on_a_table(tmp_path) -> None:
    settings = Settings(estimator="table", candidates=9, max_params=400_000)
    result = searches.run(settings, tmp_path)
    archs = result.histories.archs[0]
    assert (np.asarray(jax.jit(jax.vmap(SPACE.params))(archs)) <= 400_000).all()
    accuracy = TABLE.column("val_accuracy")[np.asarray(TABLE.rows(archs))]
    np.testing.assert_allclose(result.histories.scores[0], accuracy, rtol=1e-6)


def batch(monkeypatch, folder: Path, archs: list[list[int]], scores: list[float]) -> Searches:
    """A batch of given candidates with given scores."""
    settings = Settings(estimator="params", num_images=2, candidates=len(archs))
    rows = jax.numpy.arange(len(archs), dtype=np.int32)
    query = jnas.types.Query(archs=jax.numpy.array(archs, np.int32), epochs=rows * 0, ids=rows)
    monkeypatch.setattr(
        jnas.search,
        "random_search",
        lambda space, batch_size: jnas.types.Searcher(
            lambda key: None,
            lambda key, state: (query, None),
            lambda *_: None,
        ),
    )
    monkeypatch.setattr(jnas.population, "score", lambda *_: jax.numpy.array(scores, np.float32))
    return searches.run(settings, folder)


def test_ranks_and_choice_by_hand(monkeypatch, tmp_path) -> None:
    archs = [[3, 3, 3, 1, 3, 2], [0, 0, 0, 0, 0, 0], [3, 3, 3, 1, 3, 3]]
    result = batch(monkeypatch, tmp_path, archs, [5.0, -np.inf, np.nan])
    np.testing.assert_array_equal(result.archs, archs[:1])
    check = result.checks[0]
    assert check.name == "val_accuracy cifar10"
    # The cell with the best CIFAR-10 validation accuracy of the benchmark.
    assert check.ranks.tolist() == [1]
    assert check.accuracy[0, -1] == check.table_best


def test_nothing_to_choose_from(monkeypatch, tmp_path) -> None:
    with pytest.raises(ValueError, match="none of the 2 candidates can be ranked"):
        batch(monkeypatch, tmp_path, [[0] * 6] * 2, [-np.inf, np.nan])


# --------------------------------------------------------------------------------------------------
# Tables of one's own.


def own(folder: Path, archs: np.ndarray, **columns: np.ndarray) -> str:
    """Path of a table."""
    path = folder / "own.npz"
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, archs, columns), path)
    return str(path)


def test_an_error_is_minimised(tmp_path) -> None:
    error = 100 - TABLE.column("val_accuracy")
    path = own(tmp_path, TABLE.archs, valid_error=error)
    settings = Settings(strategy="random", estimator="table", table=path, budget=50, seeds=2)
    result = searches.run(settings, tmp_path / "run")
    evaluated = TABLE.look_up("val_accuracy", result.histories.archs)
    np.testing.assert_array_equal(result.scores, 100 - evaluated)
    np.testing.assert_array_equal(result.best, np.minimum.accumulate(100 - evaluated, axis=1))
    assert result.chosen == np.argmax(evaluated.max(axis=1))
    np.testing.assert_array_equal(
        result.checks[0].ranks, [1 + np.sum(error < best) for best in result.best[:, -1]]
    )
    told = summarise(result)
    assert told.facts["best"]["score"] == result.best.min() < 12
    assert told.facts["minimize"]
    assert told.facts["truth"][0]["best_of_table"] == pytest.approx(error.min())
    assert "lower is better" in told.parts[1].text
    assert f"; its valid_error is {result.best.min():.5g}" in told.parts[0].text
    header, *rows = told.tables["results.csv"]
    assert [row[header.index("score")] for row in rows] == result.best[:, -1].tolist()
    curve = told.figures["curves"][1].axes[0].lines[0].get_ydata()
    assert (np.diff(curve) <= 0).all()
    assert curve[0] > curve[-1]


@pytest.mark.slow
def test_a_batch_of_a_column_that_is_said_to_be_minimised(tmp_path) -> None:
    path = own(tmp_path, TABLE.archs, top=100 - TABLE.column("val_accuracy"))
    settings = Settings(estimator="table", table=path, candidates=30, minimize=True)
    result = searches.run(settings, tmp_path / "run")
    truth = summarise(result).facts["truth"][0]
    assert truth["best_of_candidates"] == result.best[0, -1] == result.scores.min()
    assert truth["kendall_tau"] == pytest.approx(1, abs=1e-6)
    most = searches.run(dataclasses.replace(settings, minimize=False), tmp_path / "most")
    assert most.best[0, -1] == most.scores.max() > 10


@pytest.mark.slow
def test_the_front_of_an_error(tmp_path) -> None:
    path = own(tmp_path, TABLE.archs, valid_error=100 - TABLE.column("val_accuracy"))
    options = {"population_size": 8}
    settings = Settings(strategy="nsga2", estimator="table", table=path, budget=24, options=options)
    result = searches.run(settings, tmp_path / "run")
    assert result.front is not None
    assert (np.diff(result.front.scores) < 0).all()  # the dearer, the smaller the error
    assert (result.front.scores > 0).all()
    summarise(result)


SOME = np.random.default_rng(0).permutation(len(TABLE.archs))[:600]


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    folder = tmp_path_factory.mktemp("gaps")
    path = own(folder, TABLE.archs[SOME], acc=TABLE.column("val_accuracy")[SOME])
    options = {"population_size": 5}
    return dataclasses.replace(SHORT, table=path, budget=40, options=options), folder


@pytest.mark.slow
def test_a_table_with_gaps_is_said(gaps, tmp_path) -> None:
    settings, _ = gaps
    result = searches.run(settings, tmp_path)
    num = int(np.isnan(result.histories.scores).sum())
    assert num > 60
    told = summarise(result)
    assert told.facts["num_missing"] == num
    line = f"{num} of all 120 evaluations failed, for arrays (600 architectures) has no acc of them"
    assert line in told.parts[1].text
    assert told.parts[1].is_printed
    one = Settings(
        strategy="random",
        estimator="table",
        table=own(tmp_path, TABLE.archs[:1], acc=np.ones(1)),
        budget=3,
    )
    with pytest.raises(ValueError, match=r"none of the 3 evaluations .*--within-table keeps to"):
        searches.run(one, tmp_path / "none")


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        "regularized_evolution",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("random", "local_search")),
    ],
)
def test_a_search_within_a_table(gaps, strategy, tmp_path) -> None:
    settings, _ = gaps
    options = settings.options if strategy == "regularized_evolution" else {}
    within = dataclasses.replace(settings, strategy=strategy, options=options, within_table=True)
    result = searches.run(within, tmp_path)
    assert np.isfinite(result.scores).all()
    assert result.num_missing == 0
    assert "--within-table" not in summarise(result).parts[1].text


@pytest.mark.slow
def test_candidates_within_a_table_and_limits(gaps, tmp_path) -> None:
    settings, _ = gaps
    batch = Settings(
        estimator="params",
        candidates=20,
        table=settings.table,
        within_table=True,
        max_params=500_000,
    )
    result = searches.run(batch, tmp_path)
    assert np.isfinite(result.checks[0].evaluated).all()
    assert (np.asarray(jax.jit(jax.vmap(SPACE.params))(result.histories.archs[0])) <= 500_000).all()
    with pytest.raises(ValueError, match="--within-table needs a table of nats_size"):
        searches.run(Settings("nats_size", "params", candidates=3, within_table=True), tmp_path)


@pytest.mark.slow
def test_seconds_that_end_within_the_first_population_are_said(tmp_path) -> None:
    result = searches.run(dataclasses.replace(SHORT, max_seconds=12_000.0), tmp_path)
    assert (np.asarray(result.histories.num_evaluations) < 10).all()
    told = summarise(result)
    assert told.facts["num_before_search"] == 3
    assert "3 of them ended before the first population" in told.parts[1].text


# As dear as the model of BOHB is to compile: brackets without it ask for the same epochs.
BRACKETS = ["successive_halving", pytest.param("bohb", marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", BRACKETS)
def test_brackets_are_told_the_nearest_epochs_that_were_measured(strategy, tmp_path) -> None:
    """The curve lacks 22, 66 and 200 epochs."""
    curve = {f"val{epoch}": np.full(15_625, float(epoch)) for epoch in (1, 20, 30, 60, 100)}
    path = own(tmp_path, TABLE.archs, **curve, seconds=np.full(15_625, 100.0))
    settings = Settings(
        strategy=strategy, estimator="table", table=path, column="val100", budget=20
    )
    result = searches.run(settings, tmp_path / "run")
    told = dict(zip(*map(np.ravel, (result.histories.epochs, result.scores)), strict=True))
    assert told == {22: 20, 66: 60, 200: 100}
    np.testing.assert_allclose(result.histories.seconds, result.scores, rtol=1e-6)
    facts = summarise(result)
    assert facts.facts["fidelities"] == {"22": "val20", "66": "val60", "200": "val100"}
    assert "val20 for 22, val60 for 66, val100 for 200" in facts.parts[1].text


@pytest.mark.slow
def test_the_answer_is_the_best_of_the_longest_trainings(tmp_path) -> None:
    """Scores fall with the epochs, as those of a network that is trained for too long."""
    numbers = np.arange(15_625.0) / 15_625
    curve = {f"val{epoch}": numbers + 90 - epoch for epoch in (22, 66)} | {"val200": numbers}
    path = own(tmp_path, TABLE.archs, **curve, seconds=np.full(15_625, 100.0))
    settings = Settings(
        strategy="successive_halving", estimator="table", table=path, column="val200", budget=26
    )
    result = searches.run(settings, tmp_path / "run")
    assert result.histories.epochs[0, result.histories.best[0, -1]] == 200
    longest = result.histories.epochs == 200
    np.testing.assert_allclose(result.best[:, -1], result.scores[longest].max(), rtol=1e-6)
    assert (result.best[0, :9] > 60).all()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", BRACKETS)
def test_numbers_that_are_no_epochs_are_no_curve(strategy, tmp_path) -> None:
    """`val_accuracy_1` and `val_accuracy_2` are seeds: one of them is told, as published."""
    settings = Settings(strategy=strategy, estimator="table", column="val_accuracy_1", budget=20)
    result = searches.run(settings, tmp_path)
    names = dict.fromkeys(("22", "66", "200"), "val_accuracy_1")
    told = summarise(result)
    assert told.facts["fidelities"] == names
    assert "Asked for 22, 66, 200 epochs: told val_accuracy_1 of each" in told.parts[1].text


@pytest.mark.slow
def test_a_batch_that_goes_on_says_so(tmp_path) -> None:
    settings = Settings(estimator="params", candidates=5)
    first = searches.run(settings, tmp_path)
    assert not first.resumed
    # No result was written, as if it had been killed after its scores.
    again = searches.run(settings, tmp_path)
    assert again.resumed
    assert not searches.run(settings, tmp_path, resume=False).resumed
    summary.write(tmp_path, summarise(again))
    assert "seconds since it was resumed" in (tmp_path / "report.html").read_text()
    assert searches.run(settings, tmp_path).resumed, "it was, when it was finished"
