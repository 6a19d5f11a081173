"""CLOSE on spaces of depths: which positions share a block, and what new blocks begin with."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, oneshot, population
from jnas.oneshot.close import by_depth, depths, partition
from tests.oracles.trainings import stripes_of

BASE = networks.nds_resnet(num_classes=2, in_channels=1).within((16, 16, 16))
SHARING = by_depth(BASE, schedule={1: 2, 2: 3, 4: 5}, restarts=())
IMAGES = jax.random.normal(jax.random.key(1), (4, 8, 8, 1))


@functools.cache
def drawn():
    return jax.jit(SHARING.network.init)(jax.random.key(0))


grow = jax.jit(SHARING.grow)


def rest_of(params):
    """Kernels `[blocks, ...]` and scales of all stages."""
    parts = [stage["rest"]["a"] for stage in params["stages"]]
    return [np.asarray(part["conv"]) for part in parts], [
        np.asarray(part["norm"]["scale"]) for part in parts
    ]


@pytest.mark.parametrize(
    ("space", "positions", "ends"),
    [
        # Those of the code released with the paper, at the first and the last of its five epochs.
        ("nds_resnet", 23, {9: [*range(1, 7), 8, 11, 23], 17: [*range(1, 16), 17, 23]}),
        ("nds_resnext_a", 15, {9: [*range(1, 8), 11, 15], 13: [*range(1, 12), 13, 15]}),
    ],
)
def test_positions_share_the_published_blocks(space, positions, ends):
    places, parents = depths._blocks(positions, max(ends), "pre")
    for num, expected in ends.items():
        row = np.array(places[num - 1])
        assert sorted(set(row.tolist())) == list(range(num))
        last = [k + 1 for k in range(positions) if k + 1 == positions or row[k] != row[k + 1]]
        assert last == expected == list(partition(positions, num))
    # A position has the block that it had, or a new one that inherits from that.
    for number, (before, after) in enumerate(itertools.pairwise(places), 1):
        for old, new in zip(before, after, strict=True):
            assert new == old or (new == number and parents[new] == old)
    assert min(dict(depths._PUBLISHED[space]).values()) == 9


@pytest.mark.slow
def test_networks_have_a_block_for_each_position():
    params = drawn()
    assert int(depths.num_blocks(params)) == 2
    for kernel in rest_of(params)[0]:
        assert kernel.shape[0] == 5
        assert np.abs(kernel[:2]).min(axis=(1, 2, 3, 4)).size == 2
        np.testing.assert_array_equal(kernel[2:], 0)
    arch = np.asarray(BASE.space.from_string("ds=3:1:2,ws=16:16:16"))
    row = np.array(depths._blocks(23, 5, "pre")[0][1])
    stages = [
        stage | {"rest": jax.tree.map(lambda leaf: leaf[row], stage["rest"])}
        for stage in params["stages"]
    ]
    expected = jax.jit(BASE.own(arch).apply)(params | {"stages": stages}, None, IMAGES)
    own = SHARING.network.own(arch)
    assert own is SHARING.network.own(arch)
    found = jax.jit(own.apply)(params, None, IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_new_blocks_are_random_and_inherit():
    params = jax.tree.map(lambda leaf: jnp.where(leaf != 0, leaf + 0.5, 0), drawn())
    for number in (1, 3, 5):
        jax.tree.map(np.testing.assert_array_equal, grow(jax.random.key(3), number, params), params)
    second = grow(jax.random.key(3), 2, params)
    assert int(depths.num_blocks(second)) == 3
    fourth = grow(jax.random.key(3), 4, second)
    assert int(depths.num_blocks(fourth)) == 5
    _, parents = depths._blocks(23, 5, "pre")
    fresh = rest_of(jax.jit(BASE.init)(jax.random.key(3)))[0]
    before, scales = rest_of(second)
    for stage, (kernel, scale) in enumerate(zip(*rest_of(fourth), strict=True)):
        np.testing.assert_array_equal(kernel[:3], before[stage][:3])
        for block in (3, 4):
            inherited = kernel[parents[block]]
            np.testing.assert_allclose(kernel[block], inherited + fresh[stage][block], atol=1e-6)
            np.testing.assert_array_equal(scale[block], scale[parents[block]])
        np.testing.assert_array_equal(scale[:3], scales[stage][:3])


@pytest.mark.slow
def test_sizes_have_programs_of_their_own():
    wide = by_depth(networks.nds_resnet(num_classes=2, in_channels=1).within((32, 16, 16)))
    arch = np.asarray(BASE.space.from_string("ds=1:1:1,ws=16:16:16"))
    assert wide.network.bucket(arch) == (16, 16, 16)
    narrow = wide.network.within((16, 16, 16))
    assert narrow is wide.network.within((16, 16, 16))
    params = jax.jit(wide.network.init)(jax.random.key(0))
    found, expected = (
        jax.jit(made.own(arch).apply)(params, None, IMAGES) for made in (narrow, wide.network)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_masks_are_of_all_blocks():
    kernels = networks.kernels(jax.eval_shape(SHARING.network.init, jax.random.key(0)))
    arch = jnp.asarray(BASE.space.from_string("ds=1:3:1,ws=16:16:16"))
    masks = SHARING.network.present(arch)
    for kernel, mask in zip(kernels, masks, strict=True):
        np.broadcast_to(mask, kernel.shape)
    # Two blocks of 3x3 convolutions in each stage, of which one has more than its first block.
    assert [float(mask.max()) for mask, k in zip(masks, kernels, strict=True) if k.ndim == 5] == [
        *(0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    ]


@pytest.mark.slow
def test_what_is_refused():
    with pytest.raises(ValueError, match="takes a network of nds"):
        by_depth(networks.nasbench201())
    with pytest.raises(ValueError, match="published schedules of nds_resnet and nds_resnext_a"):
        by_depth(networks.nds_vanilla().within((16, 16, 16)))
    with pytest.raises(ValueError, match="numbers of groups must ascend"):
        by_depth(BASE, schedule={1: 3, 2: 2})
    with pytest.raises(ValueError, match="num_groups must be in 1 … 23; got 24"):
        by_depth(BASE, schedule={1: 24})
    with pytest.raises(
        ValueError, match=r"different ones, of which the first is 1; got .1, 2, 3, 3"
    ):
        by_depth(BASE, epochs=4)
    published = by_depth(BASE, epochs=20)
    assert published is by_depth(BASE, epochs=20)
    assert published.restarts == (9,)


@pytest.mark.slow
def test_blocks_come_while_a_supernet_is_trained():
    recipe = oneshot.recipe("quick", sampler="uniform", epochs=2, batch_size=16)
    sampler = oneshot.samplers.listed([[0, 0, 1, 0, 2, 0], [2, 0, 0, 0, 1, 0]])
    stripes = stripes_of(48, validation=16, test=0)
    supernet = oneshot.train(SHARING, stripes, recipe, 0, sampler=sampler, keep=(1,))
    nums = [
        int(depths.num_blocks(jax.tree.map(lambda leaf: leaf[0], made.params)))
        for made in (supernet.at(1), supernet)
    ]
    assert nums == [2, 3]
    archs = np.array([[0, 0, 1, 0, 2, 0]])
    made = oneshot.estimator(supernet, stripes, "loss")
    scores = population.score(made, archs, jax.random.key(0))
    assert np.isfinite(scores).all()
    # The program of the bucket, and that of all.
    np.testing.assert_allclose(scores, made(jax.random.key(0), jnp.asarray(archs)), rtol=1e-4)
