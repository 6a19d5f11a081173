"""Predictor-guided search: its proposals against plain Python, with a transparent predictor."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.types import Outcome, Predictor, Query, Searcher
from tests.oracles.spaces import toy

SPACE, CELLS = toy(), jnas.spaces.nasbench201()
WEIGHTS = np.array([3, 1, 4, 1, 5])


class Fitted(NamedTuple):
    states: jax.Array


def transparent(sets: list[tuple[np.ndarray, np.ndarray]]) -> Predictor:
    """A predictor that keeps its training sets.

    It predicts a sum of weighted choices, plus half the size of the last set.
    """

    def fit_many(
        keys: jax.Array, archs: np.ndarray, targets: np.ndarray, *, where: np.ndarray
    ) -> Fitted:
        assert keys.shape == where.shape[:1] == (1,)
        sets.append((archs[0][where[0]], targets[0][where[0]]))
        return Fitted(jnp.asarray(where).sum(axis=1).astype(jnp.float32) / 2)

    def predict(state: jax.Array, archs: jax.Array) -> jax.Array:
        return state + jnp.sum(archs * jnp.asarray(WEIGHTS, jnp.int32)[None], axis=1).astype(
            jnp.float32
        )

    return Predictor("transparent", SPACE, {}, fit_many, predict, fit_many, predict)


def listed(lists: np.ndarray) -> Searcher:
    """Proposes the rows of one of the lists `[L, N, D]`, which one the key says."""

    def init(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.random.randint(key, (), 0, len(lists), jnp.int32), jnp.zeros((), jnp.int32)

    def ask(key: jax.Array, state) -> tuple[Query, object]:
        archs = jnp.asarray(lists, jnp.int32)[state[0], state[1]][None]
        return Query(state[1][None], archs, jnp.zeros(1, jnp.int32)), (state[0], state[1] + 1)

    return Searcher(init, ask, lambda state, query, outcome: state)


def some(num: int, *, lists: int = 1) -> np.ndarray:
    valid = SPACE.enumerate()
    return valid[np.random.default_rng(0).integers(0, len(valid), (lists, num))]


def name_of(arch: np.ndarray) -> tuple[int, ...]:
    """The isomorphism class of an architecture of the toy space."""
    first, second, *rest = np.asarray(arch).tolist()
    return first, max(second, 1), *rest


def truth(arch: np.ndarray) -> float:
    return float(np.sum(arch)) if arch[0] != 3 else float("nan")


def tell(searcher: Searcher, state, query: Query):
    scores = np.array([truth(arch) for arch in np.asarray(query.archs)], np.float32)
    return searcher.tell(state, query, Outcome(scores, np.zeros(len(scores), np.float32)))


@pytest.mark.parametrize("random_share", [0.0, 0.5, 1.0])
def test_proposes_the_best_predicted_that_are_new(random_share, key) -> None:
    sets: list = []
    archs = some(60)
    searcher = jnas.search.predictor_guided(
        transparent(sets),
        listed(archs),
        num_initial=8,
        batch_size=4,
        inner_steps=60,
        random_share=random_share,
    )
    assert (searcher.min_evaluations, searcher.is_traceable) == (8, False)
    state, told, scores = searcher.init(key), [], []
    ranked = sorted(archs[0], key=lambda arch: -int(np.sum(arch * WEIGHTS)))
    for number, step_key in enumerate(jax.random.split(key, 6)):
        query, state = searcher.ask(step_key, state)
        np.testing.assert_array_equal(query.ids, np.arange(4) + 4 * number)
        chex.assert_type(query, jnp.int32)
        proposed = np.asarray(query.archs)
        if number >= 2 and random_share < 1:
            finite = np.isfinite(scores)
            np.testing.assert_array_equal(sets[-1][0], np.array(told)[finite])
            np.testing.assert_array_equal(sets[-1][1], np.array(scores, np.float32)[finite])
            names, expected = {name_of(arch) for arch in told}, []
            for arch in ranked:
                if name_of(arch) not in names and len(expected) < 4 * (1 - random_share):
                    names.add(name_of(arch))
                    expected.append(arch)
            np.testing.assert_array_equal(proposed[: len(expected)], expected)
        told += list(proposed)
        scores += [truth(arch) for arch in proposed]
        assert len({name_of(arch) for arch in told}) == len(told)
        state = tell(searcher, state, query)
    assert len(sets) == (4 if random_share < 1 else 0)


@pytest.mark.slow
def test_inner_searches_take_turns(key) -> None:
    """Of searches that meet other cells each, a batch has the best of each."""
    lists = some(6, lists=2)
    lists[:, :, 0] = [[0], [1]]  # so that one can tell them apart
    lists[:, :, 2] = 4  # and that they are valid
    searcher = jnas.search.predictor_guided(
        transparent([]), listed(lists), num_initial=8, batch_size=8, inner_steps=6, num_inner=8
    )
    query, state = searcher.ask(key, searcher.init(key))
    query, _ = searcher.ask(key, tell(searcher, state, query))
    ranked = [sorted(rows, key=lambda arch: int(np.sum(arch * WEIGHTS))) for rows in lists]
    # The best of each class of isomorphic ones, which is the last that is put in.
    classes = [{name_of(arch): int(np.sum(arch * WEIGHTS)) for arch in rows} for rows in ranked]
    values = [sorted(of_class.values(), reverse=True) for of_class in classes]
    proposed = np.asarray(query.archs)[:8]
    for which in (0, 1):
        mine = [int(np.sum(arch * WEIGHTS)) for arch in proposed if arch[0] == which]
        assert mine[:2] == values[which][:2]


def test_too_few_found_are_made_up_with_random_ones(key) -> None:
    searcher = jnas.search.predictor_guided(
        transparent([]), listed(some(3)), num_initial=10, batch_size=10, inner_steps=3
    )
    query, state = searcher.ask(key, searcher.init(key))
    after, _ = searcher.ask(key, tell(searcher, state, query))
    archs = np.concatenate([query.archs, after.archs])
    assert len({name_of(arch) for arch in archs}) == 20


def test_random_while_there_is_nothing_to_learn_from(key) -> None:
    """Before the outcomes are known, and where all scores are alike."""
    sets: list = []
    searcher = jnas.search.predictor_guided(
        transparent(sets), listed(some(3)), num_initial=2, batch_size=2, inner_steps=3
    )
    state, queries = searcher.init(key), []
    for step_key in jax.random.split(key, 4):
        query, state = searcher.ask(step_key, state)
        queries.append(query)
    for query in queries[::-1]:
        state = searcher.tell(state, query, Outcome(jnp.ones(2), jnp.ones(2)))
    query, _ = searcher.ask(key, state)
    assert not sets
    assert len({name_of(arch) for arch in np.concatenate([query.archs, state.archs])}) == 10


@pytest.mark.slow
def test_only_allowed_architectures_until_there_are_no_more(key) -> None:
    def is_allowed(arch: jax.Array) -> jax.Array:
        return jnp.all(arch[1:] == np.array([2, 4, 2, 2], np.int32))

    everything = np.array([[first, 2, 4, 2, 2] for first in range(4)] + [[0, 1, 1, 1, 1]])
    searcher = jnas.search.predictor_guided(
        transparent([]),
        listed(everything[None]),
        num_initial=2,
        batch_size=1,
        inner_steps=5,
        space=jnas.search.constrained(SPACE, is_allowed),
    )
    state, archs = searcher.init(key), []
    for step_key in jax.random.split(key, 4):
        query, state = searcher.ask(step_key, state)
        archs.append(np.asarray(query.archs[0]).tolist())
        state = tell(searcher, state, query)
    assert sorted(archs) == everything[:4].tolist()
    with pytest.raises(RuntimeError, match="found no new architecture in 800 samples of toy"):
        searcher.ask(key, state)


INNER = jnas.search.regularized_evolution(CELLS, population_size=20, sample_size=5)


@pytest.fixture(scope="module")
def accuracies() -> dict[bytes, float]:
    table = jnas.benchmarks.nasbench201("cifar10")
    return dict(
        zip(
            map(np.ndarray.tobytes, table.archs), table.column("val_accuracy").tolist(), strict=True
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"random_share": 0.5}, marks=pytest.mark.slow),
        pytest.param({"num_inner": 4}, marks=pytest.mark.slow),
    ],
    ids=["", "brp-nas", "gates"],
)
def test_finds_better_cells_than_it_started_with(options, key, accuracies, tmp_path) -> None:
    """A real predictor and real accuracies; stopped on the way, the search ends the same."""
    stop, calls = [35], [0]
    predictor = jnas.predictors.mlp(
        CELLS, hidden=(64,), training=jnas.predictors.Training(epochs=30, batch_size=16)
    )
    searcher = jnas.search.predictor_guided(
        predictor, INNER, batch_size=10, inner_steps=60, **options
    )

    class Evaluate:
        def __call__(self, arch: np.ndarray, epochs: int) -> tuple[float, float]:
            calls[0] += 1
            if calls[0] == stop[0]:
                raise KeyboardInterrupt
            return accuracies[arch.tobytes()], 1.0

    def search(**folder) -> jnas.search.HostRun:
        return jnas.search.run_on_host(
            searcher, Evaluate(), key, num_evaluations=50, progress=False, **folder
        )

    with pytest.raises(KeyboardInterrupt):
        search(out=tmp_path)
    history, failures = resumed = search(out=tmp_path)
    stop[0], calls[0] = 0, 0
    if not options:
        chex.assert_trees_all_equal(resumed, search())
    assert not failures
    scores = np.asarray(history.scores)
    assert scores[20:].mean() > scores[:20].mean()
    distinct = jax.jit(lambda history: jnas.search.num_distinct(history, CELLS.identity))
    assert int(distinct(history)) == 50


@pytest.mark.slow
def test_gates_makes_the_last_of_a_hundred_as_good_as_the_best_of_ten(key, accuracies) -> None:
    """Half of the last batch is over 89.9 %, what the best of ten random cells has on average."""
    training = jnas.predictors.Training(epochs=60, batch_size=16)
    predictor = jnas.predictors.gates(CELLS, layers=(32, 32, 32), hidden=(32,), training=training)
    searcher = jnas.search.predictor_guided(predictor, INNER)
    history, _ = jnas.search.run_on_host(
        searcher,
        lambda arch, epochs: (accuracies[arch.tobytes()], 0.0),
        key,
        num_evaluations=100,
        progress=False,
    )
    assert np.median(history.scores[-20:]) > 89.9


def test_bad_arguments(key) -> None:
    inner = jnas.search.random_search(SPACE, batch_size=7)

    def make(**options) -> Searcher:
        return jnas.search.predictor_guided(transparent([]), inner, **{"inner_steps": 14} | options)

    with pytest.raises(
        ValueError, match="num_initial must be a multiple of the batch_size 20; got 30"
    ):
        make(num_initial=30)
    with pytest.raises(ValueError, match=r"random_share must be in \[0, 1\]; got 1.5"):
        make(random_share=1.5)
    with pytest.raises(ValueError, match="multiple of the batch size 7; got 10"):
        make(inner_steps=10)
    with pytest.raises(ValueError, match="num_inner must be at least 1; got 0"):
        make(num_inner=0)
    with pytest.raises(ValueError, match=r"use search\.run_on_host"):
        jnas.search.run(
            make(), jnas.search.objective(lambda key, archs: archs[:, 0]), key, num_evaluations=20
        )
