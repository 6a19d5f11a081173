"""Samplers: what they can draw, how often, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import oneshot, search, spaces
from jnas.oneshot import samplers
from jnas.oneshot.reach import is_trainable, used_edges
from jnas.spaces._darts_cells import Family
from jnas.spaces._darts_spaces import space as pairs_of_cells
from jnas.spaces.nasbench201 import EDGES

SPACE = spaces.nasbench201()
NUMBER = jnp.int32(1)


def drawn(sampler: samplers.Sampler, num: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Architectures `[num, S, D]` and whether they are used `[num, S]`."""
    keys = jax.random.split(jax.random.key(1), num)
    archs, used = jax.jit(jax.vmap(lambda key: sampler(key, NUMBER)))(keys)
    return np.asarray(archs), np.asarray(used)


def test_counts_of_nasbench201_are_the_published_ones() -> None:
    assert len(samplers.uniform(SPACE).args[0]) == 13_642
    assert len(samplers.deiso(SPACE).args[0]) == 6_321
    assert len(samplers.representatives(SPACE)) == 6_466
    is_used = jax.vmap(lambda arch: used_edges(SPACE.graph(arch), 1).any())
    assert int(jax.jit(is_used)(jnp.asarray(SPACE.enumerate())).sum()) == 15_284


def test_used_edges_are_those_on_a_path() -> None:
    rng = np.random.default_rng(0)
    for arch in rng.integers(0, 5, (40, 6)).astype(np.int32):
        # Every path from node 0 to node 3, one by one.
        wanted = np.zeros((4, 4), bool)
        for path in ((0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)):
            steps = list(itertools.pairwise(path))
            places = [next(n for n, edge in enumerate(EDGES) if edge == step) for step in steps]
            if all(arch[place] != 0 for place in places):
                for source, target in steps:
                    wanted[source, target] = True
        graph = SPACE.graph(jnp.asarray(arch))
        np.testing.assert_array_equal(used_edges(graph, 1)[0, 0], wanted)
        convolves = {2, 3} & {arch[n] for n, edge in enumerate(EDGES) if wanted[edge]}
        assert bool(is_trainable(SPACE)(jnp.asarray(arch))) == bool(convolves)


def test_fair_sampling_has_every_choice_once() -> None:
    archs, used = drawn(samplers.fairnas(SPACE), 400)
    assert archs.shape == (400, 5, 6)
    np.testing.assert_array_equal(
        np.sort(archs, axis=1), np.broadcast_to(np.arange(5)[:, None], archs.shape)
    )
    # As enumerated: of five architectures 4.37 have a convolution that is trained.
    assert used.sum(axis=1).mean() == pytest.approx(4.37, abs=0.1)
    with pytest.raises(ValueError, match="fair sampling needs free choices"):
        samplers.fairnas(spaces.nasbench101())


def test_fair_sampling_of_pairs_of_cells_has_every_operation_of_one_wiring() -> None:
    space = spaces.nasbench301()
    archs, used = drawn(samplers.fairnas(space), 50)
    assert archs.shape == (50, 7, 22)
    assert used.all()
    is_operation = np.array(space.cardinalities) == 7
    np.testing.assert_array_equal(
        np.sort(archs[:, :, is_operation], axis=1),
        np.broadcast_to(np.arange(7)[:, None], (50, 7, 16)),
    )
    assert (archs[:, :, ~is_operation] == archs[:, :1, ~is_operation]).all()
    assert len(np.unique(archs[:, 0, ~is_operation], axis=0)) > 45


def test_fair_sampling_tells_inputs_from_as_many_operations() -> None:
    # The last node reads one of 5, of as many operations.
    assert samplers._operations(spaces.enas(nodes=4), 5) == [*range(1, 32, 2)]
    # The third vertex has 3 sets of parents, and there are 3 operations.
    space = spaces.nb1shot1()
    assert samplers._operations(space, 3) == [*range(5, 10)]
    archs, _ = samplers.fairnas(space)(jax.random.key(0), NUMBER)
    assert (archs[:, :5] == archs[:1, :5]).all()
    np.testing.assert_array_equal(np.sort(archs[:, 5:], axis=0), np.arange(3)[:, None] + [0] * 5)


def test_strata_have_one_architecture_each() -> None:
    archs, used = drawn(samplers.strata(SPACE, 4))
    flops = np.asarray(jax.vmap(jax.vmap(SPACE.flops))(jnp.asarray(archs)))
    assert used.all()
    assert (flops[:, :-1].max(axis=0) <= flops[:, 1:].min(axis=0)).all()
    with pytest.raises(ValueError, match="num must be in 1"):
        samplers.strata(SPACE, 0)


def test_lists_are_drawn_from_uniformly() -> None:
    known = SPACE.enumerate()[[3, 700, 9000]]
    archs, used = drawn(samplers.several(samplers.listed(known, SPACE), 200))
    assert archs.shape == (64, 200, 6)
    assert used.all()
    counts = (archs[..., None, :] == known).all(axis=-1).sum(axis=(0, 1))
    np.testing.assert_allclose(counts / counts.sum(), 1 / 3, atol=0.02)
    with pytest.raises(ValueError, match="no architecture to sample"):
        samplers.listed(known[:0])
    with pytest.raises(ValueError, match="architecture 1 of the list is not valid"):
        samplers.listed([[0] * 6, [9] * 6], SPACE)


@pytest.mark.slow
def test_spaces_too_large_to_list_are_drawn_from() -> None:
    def too_large() -> np.ndarray:
        raise ValueError("too large to be listed")

    space = SPACE._replace(enumerate=too_large)
    archs, used = drawn(samplers.uniform(space), 200)
    assert used.all()
    assert np.asarray(jax.vmap(is_trainable(SPACE))(jnp.asarray(archs[:, 0]))).all()
    # About an eighth of all cells is drawn again.
    assert len(np.unique(archs[:, 0], axis=0)) > 190
    # Its identities are codes of strings of another kind.
    no_code = space._replace(identity=lambda arch: space.code(arch) + jnp.uint32(5**6))
    with pytest.raises(ValueError, match="too large to be listed"):
        samplers.deiso(no_code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [
        # 2,304 vectors.
        Family("tiny", ("skip_connect", "sep_conv_3x3"), 2, False, False, (4,), (3,)),
        # 1,296 vectors, of which up to 16 have one code: two slots of a node come in any order.
        Family("twice", ("sep_conv_3x3",), 2, True, False, (4,), (3,)),
    ],
    ids=lambda family: family.name,
)
def test_classes_are_drawn_uniformly_without_a_list(family) -> None:
    tiny = pairs_of_cells(family, "aw_nas")

    def too_large() -> np.ndarray:
        raise ValueError("too large to be listed")

    sampler = samplers.deiso(tiny._replace(enumerate=too_large))
    archs, _ = drawn(sampler, 4000)
    codes = jax.jit(jax.vmap(tiny.code))(archs[:, 0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(tiny.identity))(archs[:, 0]), codes)
    listed = samplers.representatives(tiny, trainable=True)
    _, counts = np.unique(np.asarray(codes), axis=0, return_counts=True)
    # Of classes that are equally likely as many are met, and none much more often than others.
    expected = len(listed) * (1 - (1 - 1 / len(listed)) ** len(archs))
    assert len(counts) == pytest.approx(expected, rel=0.02)
    squares = (counts**2).sum()
    pairs = len(archs) * (len(archs) - 1) / len(listed) + len(archs)
    assert squares == pytest.approx(pairs, rel=0.05)


def test_large_spaces_are_no_lists() -> None:
    """Of 11,390,625 networks, all different, a list would be half a gigabyte."""
    space = spaces.nds_resnext_a()
    for made in (samplers.uniform(space), samplers.deiso(space)):
        assert not made.args
        archs, used = made(jax.random.key(0), NUMBER)
        assert used.all()
        assert space.is_valid(archs[0])


@pytest.mark.slow
def test_strata_without_a_list() -> None:
    space = spaces.nasbench301()
    archs, used = drawn(samplers.strata(space, 4), 40)
    assert used.all()
    flops = np.asarray(jax.vmap(jax.vmap(space.flops))(jnp.asarray(archs)))
    assert (flops[:, :-1].max(axis=0) < flops[:, 1:].min(axis=0)).all()
    # Two strata between which float32 does not tell would be drawn from for ever.
    near = space._replace(flops=lambda arch: 1 + 2.0**-23 * (arch[0] == 0).astype(float))
    with pytest.raises(ValueError, match="too few different FLOPs for 3 strata"):
        samplers.strata(near, 3)


@pytest.mark.slow
def test_policies_are_sampled_with_their_weights() -> None:
    policy = search.policies.factorised(SPACE.cardinalities)
    params = jnp.full((6, 5), -20.0).at[:, 3].set(20.0)
    archs, used = drawn(samplers.policy(policy, params, SPACE), 4)
    np.testing.assert_array_equal(archs, 3)
    assert used.all()


@pytest.mark.slow
def test_names(recipe: oneshot.Recipe) -> None:
    for name in samplers.NAMES:
        archs, used = samplers.by_name(name, SPACE, 2)(jax.random.key(0), NUMBER)
        assert archs.shape == (len(used), 6)
    with pytest.raises(ValueError, match="unknown sampler 'fair'"):
        samplers.by_name("fair", SPACE)
    with pytest.raises(ValueError, match="unknown sampler"):
        oneshot.recipe(sampler="fair")
