"""Moves under a condition: allowed always, and otherwise as the space has them."""

import pickle
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Outcome, Query, Space
from tests.oracles.spaces import toy

SPACE = jnas.spaces.nasbench201()
NUM = 400


def few_convolutions(arch: jax.Array) -> jax.Array:
    """At most one 3x3 convolution."""
    return jnp.sum(arch == 3) <= 1


def few_narrow(arch: jax.Array) -> jax.Array:
    """Of a toy space, in which some vectors are not valid either."""
    return jnp.sum(arch == 0) <= 1


def small(arch: jax.Array) -> jax.Array:
    return jnas.spaces.nasbench101().params(arch) < 3_000_000


CASES = [
    pytest.param(SPACE, few_convolutions, id="nasbench201", marks=pytest.mark.slow),
    pytest.param(jnas.spaces.nasbench101(), small, id="nasbench101", marks=pytest.mark.slow),
    pytest.param(toy(), few_narrow, id="toy"),
]


def keys(seed: int, num: int = NUM) -> jax.Array:
    return jax.random.split(jax.random.key(seed), num)


@pytest.mark.parametrize(("space", "is_allowed"), CASES)
def test_every_move_is_allowed_and_valid(space, is_allowed) -> None:
    tight = jnas.search.constrained(space, is_allowed)
    sample, mutate, crossover, allowed, valid, free = (
        jax.jit(jax.vmap(function))
        for function in (
            *(tight.sample, tight.mutate, tight.crossover),
            *(is_allowed, space.is_valid, space.sample),
        )
    )
    parents, others = sample(keys(0)), sample(keys(1))
    mutants = mutate(keys(2), parents)
    children = crossover(keys(3), parents, others)
    for archs in (parents, mutants, children):
        assert archs.dtype == jnp.int32
        assert allowed(archs).all()
        assert valid(archs).all()
    assert not allowed(free(keys(0))).all()
    parents, others, mutants, children = map(np.asarray, (parents, others, mutants, children))
    assert (mutants != parents).any(axis=1).all()
    assert ((children == parents) | (children == others)).all()


def test_bytes_move_as_integers_do() -> None:
    tight = jnas.search.constrained(SPACE, few_convolutions)
    parent, key = jnp.asarray([3, 0, 1, 2, 4, 1], jnp.int32), jax.random.key(1)
    child = tight.mutate(key, parent.astype(jnp.uint8))
    assert child.dtype == jnp.uint8
    np.testing.assert_array_equal(child, tight.mutate(key, parent))
    shape = jax.eval_shape(tight.crossover, key, *[parent.astype(jnp.uint8)] * 2)
    assert shape.dtype == jnp.uint8


def test_samples_follow_the_distribution_of_the_space() -> None:
    """Rejection keeps the shares of what is left: uniform over the allowed cells of nasbench201."""
    tight = jnas.search.constrained(SPACE, few_convolutions)
    archs = np.asarray(jax.jit(jax.vmap(tight.sample))(keys(4, 20_000)))
    none, one = 4**6, 6 * 4**5
    counts = Counter((archs == 3).sum(axis=1).tolist())
    assert set(counts) == {0, 1}
    assert counts[0] / len(archs) == pytest.approx(none / (none + one), abs=0.01)
    others = archs[(archs == 3).sum(axis=1) == 0]
    np.testing.assert_allclose(
        np.bincount(others.ravel(), minlength=5) / others.size, [0.25] * 3 + [0, 0.25], atol=0.01
    )


def test_only_moves_change() -> None:
    tight = jnas.search.constrained(SPACE, few_convolutions)
    for name, old, new in zip(Space._fields, SPACE, tight, strict=True):
        assert (old is new) == (name not in ("sample", "mutate", "crossover", "is_valid")), name


def stubborn(space: Space) -> Space:
    """Its moves after the construction all lead to 3s, which are not allowed."""
    threes = jnp.full(6, 3, jnp.int32)
    return space._replace(mutate=lambda key, arch: threes, crossover=lambda key, a, b: threes)


def test_falls_back_on_an_allowed_parent(key) -> None:
    tight = jnas.search.constrained(stubborn(SPACE), few_convolutions, max_draws=3)
    mutate, crossover = jax.jit(tight.mutate), jax.jit(tight.crossover)
    zeros, ones, threes = (np.full(6, choice, np.int32) for choice in (0, 1, 3))
    np.testing.assert_array_equal(mutate(key, ones), ones)
    np.testing.assert_array_equal(crossover(key, ones, zeros), ones)
    np.testing.assert_array_equal(crossover(key, threes, zeros), zeros)


def test_sampling_falls_back_on_an_allowed_architecture() -> None:
    """A condition that one of 500 samples meets, and two draws to find it."""
    tight = jnas.search.constrained(SPACE, lambda arch: jnp.sum(arch) <= 3, max_draws=2)
    archs = jax.jit(jax.vmap(tight.sample))(keys(5))
    assert (np.sum(archs, axis=1) <= 3).all()
    assert len(np.unique(archs, axis=0)) < 20


def test_number_of_draws(key) -> None:
    """Every draw uses the next key, and the loop ends with the first that is allowed."""
    tight = jnas.search.constrained(SPACE, few_convolutions)
    split, sample, tight_sample = map(jax.jit, (jax.random.split, SPACE.sample, tight.sample))
    for seed in range(5):
        current = jax.random.key(seed)
        while True:
            current, draw_key = split(current)
            arch = sample(draw_key)
            if np.sum(np.asarray(arch) == 3) <= 1:
                break
        np.testing.assert_array_equal(tight_sample(jax.random.key(seed)), arch)


def test_can_be_made_while_tracing(key) -> None:
    @jax.jit
    def sample(key: jax.Array) -> jax.Array:
        return jnas.search.constrained(SPACE, few_convolutions).sample(key)

    assert few_convolutions(sample(key))


def test_bad_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"\(is_allowed\) holds for 0 of 4,096 samples of nasbench201"
    ):
        jnas.search.constrained(SPACE, lambda arch: jnp.asarray(False))
    with pytest.raises(ValueError, match=r"0 of 100 samples"):
        jnas.search.constrained(SPACE, lambda arch: jnp.sum(arch) < 0, num_checked=100)
    for name in ("max_draws", "num_checked"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            jnas.search.constrained(SPACE, few_convolutions, **{name: 0})


def latency(arch: jax.Array) -> jax.Array:
    """A cost that is unknown where the first edge is an average pooling."""
    num = jnp.sum(arch == 3).astype(jnp.float32)
    return jnp.where(arch[0] == 4, jnp.nan, 1.5 * num)


@pytest.mark.slow
def test_limits_of_several_costs() -> None:
    """One whole number that float32 does not have, and one of floats."""
    params = np.asarray(jax.jit(jax.vmap(SPACE.params))(SPACE.enumerate()))
    most = int(np.sort(params)[len(params) // 2])
    tight = jnas.search.limited(SPACE, [(Partial(latency), 3.0), (SPACE.params, most)])
    valid = np.asarray(jax.jit(jax.vmap(tight.is_valid))(SPACE.enumerate()))
    known = np.asarray(jax.vmap(latency)(SPACE.enumerate()))
    np.testing.assert_array_equal(valid, (known <= 3.0) & (params <= most))
    again = pickle.loads(pickle.dumps(tight))
    for space in (tight, again):
        archs = jax.jit(jax.vmap(space.sample))(keys(6))
        archs = jax.jit(jax.vmap(space.mutate))(keys(7), archs)
        assert np.asarray(jax.jit(jax.vmap(tight.is_valid))(archs)).all()


def test_whole_numbers_are_not_rounded() -> None:
    """2^24 + 1 is no float32."""
    wide = SPACE._replace(params=lambda arch: jnp.int32(2**24 + 1) + 0 * arch[0])
    assert jnas.search.limited(wide, [(wide.params, 2**24 + 1.5), (wide.params, 1e300)])
    with pytest.raises(ValueError, match=r"0 of 4,096.*; the least costs of these are 1.6777e\+07"):
        jnas.search.limited(wide, [(wide.params, 2**24)])


def test_bad_limits() -> None:
    with pytest.raises(ValueError, match="costs must be a sequence of at least one function"):
        jnas.search.limited(SPACE, [])
    with pytest.raises(ValueError, match="a limit must be a finite number; got nan"):
        jnas.search.limited(SPACE, [(SPACE.params, float("nan"))])
    with pytest.raises(ValueError, match=r"cost 0 must be a function of one architecture"):
        jnas.search.limited(SPACE, [(np.arange(3).mean, 5.0)])
    with pytest.raises(ValueError, match="max_draws must be at least 1; got 0"):
        jnas.search.limited(SPACE, [(SPACE.params, 1e9)], max_draws=0)


def weighed(key: jax.Array, query: Query) -> Outcome:
    """An objective without structure; a quarter of the evaluations fails."""
    weights = jnp.arange(1, 7, dtype=jnp.int32)
    totals = jnp.sum(query.archs * weights[None] ** 2, axis=1) * 37 % 101
    scores = jnp.where(totals % 4 == 0, jnp.nan, totals.astype(jnp.float32) / 100)
    return Outcome(scores, jnp.ones_like(scores))


def last_choice(key: jax.Array, archs: jax.Array) -> jax.Array:
    return archs[:, -1].astype(jnp.float32)


STRATEGIES = {
    "random_search": {"with_replacement": False, "capacity": 12},
    "regularized_evolution": {"population_size": 4},
    "area": {"estimator": Partial(last_choice), "population_size": 4},
    "local_search": {"num_neighbors": 4},
    "reinforce": {"batch_size": 2},
    "reinforced_evolution": {"population_size": 4},
    "genetic": {
        "population_size": 6,
        "selection": 0.2,
        "crossover": 0.4,
        "mutation": 0.4,
        "tournament_size": 3,
    },
    "nsga2": {"costs": [SPACE.params], "population_size": 6},
    "bohb": {
        "min_epochs": 1,
        "max_epochs": 3,
        "min_points": 2,
        "capacity": 20,
        "random_fraction": 0.2,
    },
}
# What `strategy(SPACE, is_allowed=few_convolutions, **options)` evaluated when strategies took the
# condition themselves: numbers of the cells, from `jax.random.key(0)`.
BEFORE = {
    "random_search": [3448, 4689, 12127, 5129, 2873, 15307, 6553, 1416, 7533, 14246, 12735, 5264],
    "regularized_evolution": [
        5725,
        7814,
        1839,
        7567,
        1789,
        3089,
        1339,
        589,
        3086,
        1334,
        1337,
        1330,
    ],
    "area": [9729, 12558, 3003, 12157, 9679, 1128, 2503, 3, 2500, 2520, 2503, 2875],
    "local_search": [
        13265,
        13267,
        13266,
        13140,
        3890,
        13391,
        13267,
        13251,
        7016,
        10796,
        10771,
        4546,
    ],
    "reinforce": [8385, 8645, 12850, 1304, 3162, 8399, 8386, 3996, 9646, 1879, 628, 12546],
    "reinforced_evolution": [5725, 7814, 1839, 7567, 1764, 1864, 1829, 1774, 1649, 579, 589, 504],
    "genetic": [5725, 7814, 1839, 7567, 7248, 7076, 1839, 1839, 14339, 1839, 7079, 7814],
    "nsga2": [5725, 7814, 1839, 7567, 7248, 7076, 4964, 1564, 4579, 4964, 1834, 10939],
    "bohb": [674, 15123, 6942, 15123, 1176, 3332, 10127, 1997, 9747, 1997, 1997, 14747],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name == "reinforce" else pytest.param(name, marks=pytest.mark.slow)
        for name in STRATEGIES
    ],
)
def test_a_constrained_space_is_the_condition_that_strategies_had(name) -> None:
    tight = jnas.search.constrained(SPACE, few_convolutions)
    searcher = getattr(jnas.search, name)(tight, **STRATEGIES[name])
    run = jax.jit(lambda key: jnas.search.run(searcher, Partial(weighed), key, num_evaluations=12))
    archs = np.asarray(run(jax.random.key(0)).archs)
    assert (archs @ 5 ** np.arange(5, -1, -1)).tolist() == BEFORE[name]
