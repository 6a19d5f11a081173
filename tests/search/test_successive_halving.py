"""Successive halving and Hyperband: who goes on, replayed by hand; no model; a given start."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import History, Outcome, Query
from tests.oracles.searches import run
from tests.oracles.spaces import toy

SPACE = toy()
CYCLES = {
    "one": [(9, 3, 1)],
    "hyperband": [(9, 3, 1), (3, 1), (3,)],
}
EPOCHS = (22, 66, 200)
SEARCHERS = {name: jnas.search.successive_halving(SPACE, brackets=name) for name in CYCLES}


def scrambled(offset: jax.Array, key: jax.Array, query: Query) -> Outcome:
    """Scores that differ by architecture and by number of epochs; some fail."""
    weights = jnp.array([17, 101, 7, 233, 53], jnp.int32)
    totals = (jnp.sum(query.archs * weights[None], axis=1) + offset * query.epochs) * 37 % 1009
    scores = jnp.where(totals % 4 == 0, jnp.nan, totals.astype(jnp.float32))
    return Outcome(scores, query.epochs.astype(jnp.float32))


def searched(name: str, key: jax.Array, offset: int = 13) -> History:
    objective = Partial(scrambled, jnp.int32(offset))
    return jax.tree.map(np.asarray, run(SEARCHERS[name], objective, key, num_evaluations=50))


def rungs(name: str) -> list[list[slice]]:
    """Places of the rungs of every whole bracket in 50 evaluations."""
    begin, found = 0, []
    for sizes in itertools.cycle(CYCLES[name]):
        ends = [begin + size for size in itertools.accumulate(sizes)]
        if ends[-1] > 50:
            return found
        found.append([slice(*pair) for pair in itertools.pairwise([begin, *ends])])
        begin = ends[-1]
    raise AssertionError


@pytest.mark.parametrize("name", CYCLES)
def test_a_rung_is_exactly_the_best_third_of_the_one_below(name, key) -> None:
    history = searched(name, key)
    assert np.isnan(history.scores).any()
    for bracket in rungs(name):
        for level, places in enumerate(reversed(bracket)):
            assert (history.epochs[places] == EPOCHS[-1 - level]).all()
        for below, above in itertools.pairwise(bracket):
            scores = np.nan_to_num(history.scores[below], nan=-np.inf)
            num = above.stop - above.start
            assert num * 3 == below.stop - below.start
            best = np.argsort(-scores, kind="stable")[:num]
            np.testing.assert_array_equal(history.archs[above], history.archs[below][best])
    assert SEARCHERS[name].epochs == EPOCHS
    assert SEARCHERS[name].min_evaluations == 13


def new(name: str, history: History) -> np.ndarray:
    return np.concatenate([history.archs[bracket[0]] for bracket in rungs(name)])


@pytest.mark.parametrize("name", CYCLES)
def test_what_is_new_does_not_depend_on_scores(name, key) -> None:
    one, other = (searched(name, key, offset) for offset in (13, 14))
    np.testing.assert_array_equal(new(name, one), new(name, other))
    assert not np.array_equal(one.archs, other.archs)
    assert len(np.unique(new(name, one), axis=0)) > 20


def test_the_first_bracket_begins_with_what_is_given(key) -> None:
    given = np.array([(i % 3, i // 3, 4, 0, 0) for i in range(9)], np.int32)
    searcher = jnas.search.successive_halving(SPACE, init=lambda key, num: jnp.asarray(given[:num]))
    history = run(searcher, Partial(scrambled, jnp.int32(13)), key, num_evaluations=26)
    np.testing.assert_array_equal(history.archs[:9], given)
    drawn = np.asarray(searched("one", key).archs)
    np.testing.assert_array_equal(history.archs[13:22], drawn[13:22])
    for place in (9, 10, 11, 12):
        assert np.asarray(history.archs)[place].tolist() in given.tolist()
    with pytest.raises(ValueError, match=r"init must return \[9, 5\] architectures; got \[1, 5\]"):
        jax.eval_shape(
            jnas.search.successive_halving(SPACE, init=lambda key, num: given[:1]).init, key
        )


def test_16_then_4_then_1() -> None:
    searcher = jnas.search.successive_halving(SPACE, min_epochs=2, max_epochs=40, eta=4)
    assert searcher.epochs == (2, 10, 40)
    assert searcher.min_evaluations == 16 + 4 + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_epochs": 201}, "min_epochs must be at most the max_epochs 200; got 201"),
        ({"eta": 1}, "eta must be at least 2; got 1"),
        ({"brackets": "two"}, "unknown brackets 'two'.*Valid names: one, hyperband"),
    ],
)
def test_settings_that_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jnas.search.successive_halving(SPACE, **options)


def test_numbers_of_epochs_that_a_function_lacks_are_refused_before_it_is_called(key) -> None:
    class Train:
        epochs = (22, 66)

        def __call__(self, arch: np.ndarray, epochs: int) -> float:
            raise AssertionError

    with pytest.raises(ValueError, match="asks for 200 epochs, which the objective lacks; it has"):
        jnas.search.run_on_host(SEARCHERS["one"], Train(), key, num_evaluations=13)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_on_the_host_trainings_are_asked_for_their_epochs(num_workers, key) -> None:
    asked = []

    def train(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        asked.append(epochs)
        return float(arch.sum()) + epochs, float(epochs)

    history, _ = jnas.search.run_on_host(
        SEARCHERS["one"],
        train,
        key,
        num_evaluations=26,
        num_workers=num_workers,
        progress=False,
    )
    assert sorted(asked) == sorted(np.asarray(history.epochs).tolist())
    assert sorted(asked) == sorted(([22] * 9 + [66] * 3 + [200]) * 2)
