import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.oneshot.close import curriculum, growth, partition, partitions
from jnas.oneshot.close.growth import Growth

NUM = 4
SCHEDULE = (1, 3, 5, 8)


def draw(key):
    """Weights as those of a supernet, of four banks, all drawn; with what is not of banks."""
    keys = iter(jax.random.split(key, 6))
    normal = lambda *shape: 1 + jax.random.uniform(next(keys), shape)  # noqa: E731
    head = {name: {"kernel": normal(3, 3)} for name in growth.HEAD[:-1]}
    last = {growth.LAST: {"kernel": normal(3, NUM), "bias": normal(NUM)}}
    stages = [{"conv1x1": {"conv": normal(2, NUM, 1, 1, 2, 2), "norm": {}}}]
    return {"stem": jnp.ones(3), "stages": stages, "gate": head | last}


def banks_of(params):
    """Weights by bank: `[N, ...]` of the stage, and kernel and bias of the gate's last layer."""
    last = params["gate"][growth.LAST]
    stage = params["stages"][0]["conv1x1"]["conv"]
    return [np.moveaxis(np.asarray(stage), 1, 0), np.asarray(last["kernel"]).T, last["bias"]]


@functools.cache
def at_level(num):
    return growth.opened(draw(jax.random.key(7)), num)


@functools.partial(jax.jit, static_argnums=0)
def grow(made, key, number, params):
    return growth.grow(made, draw, key, number, params)


def test_levels_of_the_published_schedules():
    assert curriculum("cl-246") == (1, 201, 401, 601)
    assert curriculum("cl-24") == (1, 201, 401)
    assert curriculum("cl-2468") == (1, 201, 401, 601, 801)
    assert curriculum("cl-246", 20) == (1, 5, 9, 13)
    levels = [int(growth.level(curriculum("cl-246"), e)) for e in (1, 200, 201, 401, 601, 1000)]
    assert levels == [1, 1, 2, 3, 4, 4]


def test_new_bank_is_what_it_is_drawn_with_plus_the_one_before():
    made, key = Growth(SCHEDULE), jax.random.key(0)
    one, other = at_level(2), jax.tree.map(lambda leaf: 3 * leaf, at_level(2))
    for before, after, twice in zip(
        banks_of(one),
        banks_of(grow(made, key, 5, one)),
        banks_of(grow(made, key, 5, other)),
        strict=True,
    ):
        np.testing.assert_array_equal(after[:2], before[:2])
        np.testing.assert_array_equal(after[3], 0)
        drawn = after[2] - before[1]
        # What it is drawn with is random, of the right size, and does not depend on the weights.
        assert np.all((drawn > 0.99) & (drawn < 2.01))
        np.testing.assert_allclose(twice[2] - 3 * before[1], drawn, atol=1e-5)
    another = banks_of(grow(made, jax.random.key(1), 5, one))
    assert np.abs(another[0][2] - banks_of(grow(made, key, 5, one))[0][2]).max() > 0.01


def test_nothing_grows_between_the_epochs_of_the_schedule():
    for number in (1, 2, 4, 6, 7, 9):
        grown = grow(Growth(SCHEDULE), jax.random.key(0), number, at_level(2))
        jax.tree.map(np.testing.assert_array_equal, grown, at_level(2))
    alone = growth.opened(at_level(1), 1)
    assert growth.grow(Growth((1,)), draw, jax.random.key(0), 1, alone) is alone


def test_random_inheritance_takes_any_open_bank():
    made, params = Growth(SCHEDULE, inherit="random"), at_level(3)
    sources = set()
    for seed in range(12):
        rows = banks_of(grow(made, jax.random.key(seed), 8, params))
        # Drawn numbers are in 1 … 2 and differ; the bank of the gate's kernel is that of the stage.
        fits = [
            all(np.all((r[3] - r[k] > 0.99) & (r[3] - r[k] < 2.01)) for r in rows) for k in range(3)
        ]
        assert any(fits)
        sources.add(tuple(fits))
    assert len(sources) > 1


@pytest.mark.parametrize("renew", ["last", "head"])
def test_without_inheritance_the_gate_is_drawn_anew(renew):
    params = at_level(2)
    grown = grow(Growth(SCHEDULE, None, renew), jax.random.key(0), 5, params)
    stage, kernel, bias = banks_of(grown)
    np.testing.assert_array_equal(stage[:2], banks_of(params)[0][:2])
    assert np.all((stage[2] >= 1) & (stage[2] <= 2))
    for values, old in ((kernel, banks_of(params)[1]), (bias, banks_of(params)[2])):
        assert np.all(values[:3] >= 1)
        assert np.all(values[:2] != old[:2])
        np.testing.assert_array_equal(values[3], 0)
    first = grown["gate"]["layer_0"]["kernel"] != params["gate"]["layer_0"]["kernel"]
    assert np.all(first) if renew == "head" else not np.any(first)


def test_partitions_of_depths_are_the_published_ones():
    resnet = partitions(23, {1: 9, 201: 11, 401: 13, 601: 15, 801: 17})
    assert resnet[1] == (1, 2, 3, 4, 5, 6, 8, 11, 23)
    assert resnet[201] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 23)
    assert resnet[401] == (*range(1, 12), 17, 23)
    assert resnet[601] == (*range(1, 13), 14, 17, 23)
    assert resnet[801] == (*range(1, 16), 17, 23)
    resnext = partitions(15, {1: 9, 201: 10, 401: 11, 601: 12, 801: 13})
    assert resnext[1] == (*range(1, 8), 11, 15)
    assert resnext[201] == (*range(1, 8), 9, 11, 15)
    assert resnext[401] == (*range(1, 10), 11, 15)
    assert resnext[601] == (*range(1, 12), 15)
    assert resnext[801] == (*range(1, 12), 13, 15)


def test_partitions_split_groups_until_each_is_one_position():
    for criterion in ("pre", "max"):
        for num in range(2, 24):
            before, after = partition(23, num - 1, criterion), partition(23, num, criterion)
            assert len(after) == num
            assert set(before) < set(after)
    assert partition(23, 23) == tuple(range(1, 24))
    assert partition(8, 4, "max") == (2, 4, 6, 8)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="Did you mean 'cl-24'"):
        curriculum("cl-245")
    with pytest.raises(ValueError, match="ascending epochs"):
        curriculum("cl-246", 3)
    with pytest.raises(ValueError, match="the first is 1; got"):
        growth.check_growth(Growth((2, 3)))
    with pytest.raises(ValueError, match="Did you mean 'previous'"):
        growth.check_growth(Growth((1, 2), "previos"))
    with pytest.raises(ValueError, match="unknown renew"):
        growth.check_growth(Growth((1, 2), None, "all of it"))
    with pytest.raises(ValueError, match="must be in 1 … 23"):
        partition(23, 24)
    with pytest.raises(ValueError, match="unknown criterion"):
        partition(23, 4, "post")
