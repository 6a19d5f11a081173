"""Random search without replacement, against Python sets."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Searcher, Space
from tests.oracles.searches import run
from tests.oracles.spaces import toy

SPACE = toy()
CELLS = [jnas.spaces.nasbench101(), jnas.spaces.nasbench201()]


def dice(num_faces: int) -> Space:
    """Architectures `[1]`: a face; two neighbours are isomorphic (0 and 1, 2 and 3, …)."""
    return SPACE._replace(
        cardinalities=(num_faces,),
        sample=lambda key: jax.random.randint(key, (1,), 0, num_faces, jnp.int32),
        identity=lambda arch: jnp.stack([jnp.uint32(7), arch[0].astype(jnp.uint32) // 2]),
    )


def proposals(searcher: Searcher, num_asks: int, seed: int = 0) -> np.ndarray:
    """`[num_asks * B, D]`, everything that `num_asks` asks propose."""

    def step(state, key):
        query, state = searcher.ask(key, state)
        return state, (query.ids, query.archs)

    keys = jax.random.split(jax.random.key(seed), num_asks)
    _, (ids, archs) = jax.jit(lambda keys: jax.lax.scan(step, searcher.init(keys[0]), keys))(keys)
    np.testing.assert_array_equal(ids.ravel(), np.arange(ids.size))
    return np.asarray(archs).reshape(-1, archs.shape[-1])


def identities(space: Space, archs: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(space.identity))(archs))


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize(
    ("space", "num"),
    [(SPACE, 300), *(pytest.param(space, 1000, marks=pytest.mark.slow) for space in CELLS)],
    ids=["toy", *(space.name for space in CELLS)],
)
def test_never_proposes_isomorphic_cells(space, num, batch_size) -> None:
    searcher = jnas.search.random_search(
        space, batch_size=batch_size, with_replacement=False, capacity=num
    )
    archs = proposals(searcher, num // batch_size)
    assert len(np.unique(identities(space, archs), axis=0)) == num
    assert jax.jit(jax.vmap(space.is_valid))(archs).all()
    again = proposals(jnas.search.random_search(space, batch_size=batch_size), num // batch_size)
    if space.name != "nasbench101":
        assert len(np.unique(identities(space, again), axis=0)) < num


def test_draws_the_classes_that_are_left_like_the_space(key) -> None:
    """Of 6 faces the first proposal is uniform, and the second over the 4 of the other classes."""
    searcher = jnas.search.random_search(dice(6), batch_size=2, with_replacement=False, capacity=2)
    ask = jax.jit(jax.vmap(lambda key: searcher.ask(key, searcher.init(key))[0].archs[:, 0]))
    pairs = np.asarray(ask(jax.random.split(key, 20_000)))
    shares = np.zeros((6, 6))
    np.add.at(shares, tuple(pairs.T), 1 / len(pairs))
    expected = [[0 if a // 2 == b // 2 else 1 / 24 for b in range(6)] for a in range(6)]
    np.testing.assert_allclose(shares, expected, atol=0.006)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_remembers_the_last_proposals_only(batch_size) -> None:
    searcher = jnas.search.random_search(
        dice(12), batch_size=batch_size, with_replacement=False, capacity=4
    )
    memory: deque[int] = deque(maxlen=4)
    for (face,) in proposals(searcher, 90 // batch_size).tolist():
        assert face // 2 not in memory
        memory.append(face // 2)


def test_a_space_that_is_used_up_repeats() -> None:
    searcher = jnas.search.random_search(
        dice(6), with_replacement=False, capacity=30, max_draws=200
    )
    faces = proposals(searcher, 30).ravel()
    assert sorted(faces[:3] // 2) == [0, 1, 2]
    assert set(faces[3:]) <= set(range(6))
    assert len(set(faces[3:])) > 3


def test_one_draw_is_with_replacement() -> None:
    searcher = jnas.search.random_search(
        dice(1000), with_replacement=False, capacity=100, max_draws=1
    )
    assert len(set(proposals(searcher, 100).ravel() // 2)) < 100


def test_history_without_replacement(key) -> None:
    searcher = jnas.search.random_search(SPACE, with_replacement=False, capacity=50)
    score = Partial(lambda key, archs: jnp.sum(archs, axis=1).astype(jnp.float32))
    history = run(searcher, jnas.search.objective(score), key, num_evaluations=50)
    assert len(np.unique(identities(SPACE, history.archs), axis=0)) == 50
    np.testing.assert_array_equal(history.scores, np.sum(history.archs, axis=1))


def test_bad_arguments() -> None:
    make = jnas.search.random_search
    for options, message in (
        (
            {"with_replacement": False},
            "capacity goes with with_replacement=False, and only with it; got None",
        ),
        ({"capacity": 10}, "capacity goes with with_replacement=False, and only with it; got 10"),
        ({"with_replacement": False, "capacity": 0}, "capacity must be at least 1; got 0"),
        ({"max_draws": 0}, "max_draws must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make(SPACE, **options)
