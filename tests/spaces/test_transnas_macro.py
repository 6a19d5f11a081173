"""Skeletons of TransNAS-Bench-101 against texts made one by one, and layers counted likewise."""

import functools
import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnas import spaces
from tests.oracles.graphs import simple

SPACE = spaces.transnas_macro()


@functools.cache
def texts() -> list[str]:
    """All texts that the benchmark's two rules allow."""
    words = itertools.chain(*(itertools.product("1234", repeat=num) for num in (4, 5, 6)))
    return [
        f"64-{''.join(word)}-basic"
        for word in words
        if 1 <= sum(digit in "24" for digit in word) <= 3
        and 1 <= sum(digit in "34" for digit in word) <= 4
    ]


@functools.cache
def batched(name: str):
    return jax.jit(jax.vmap(getattr(SPACE, name)))


# --------------------------------------------------------------------------------------------------
# Vectors and texts


def test_all_networks_and_no_others():
    archs = SPACE.enumerate()
    assert len(texts()) == len(archs) == 3_256
    assert {SPACE.to_string(arch) for arch in archs} == set(texts())
    every = np.indices(SPACE.cardinalities).reshape(6, -1).T.astype(np.int32)
    valid = np.asarray(batched("is_valid")(every))
    np.testing.assert_array_equal(every[valid], archs)


def test_texts_round_trip():
    for text in texts()[::20]:
        np.testing.assert_array_equal(
            SPACE.from_string(text),
            [int(digit) - 1 for digit in text[3:-6].ljust(6, "5")],
        )
        assert SPACE.to_string(SPACE.from_string(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64-411-basic", "not a TransNAS-Bench-101 macro .*; the form is 64-4111-basic, with four"),
        ("64-4111111-basic", "with four to six digits"),
        ("32-4111-basic", "the form is"),
        (
            "64-4511-basic",
            r"unknown module '5' at place 2 in '64-4511-basic'; valid: 1 normal, 2 ch",
        ),
        (
            "64-3111-basic",
            r"invalid .*: 0 modules of .* double the channels \(2 and 4\); .* 1 to 3",
        ),
        ("64-22224-basic", "5 modules of '64-22224-basic' double"),
        ("64-2111-basic", "0 modules of .* halve the resolution"),
        ("64-233333-basic", r"5 modules of .* halve the resolution \(3 and 4\); it must be 1 to 4"),
    ],
)
def test_bad_texts_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


def test_a_gap_is_no_network():
    for bad, message in (([3, 0, 0, 0, 4, 0], "has a gap"), ([0, 0, 0, 0, 4, 4], "0 modules of")):
        assert not SPACE.is_valid(jnp.array(bad))
        with pytest.raises(ValueError, match=message):
            SPACE.to_string(np.array(bad))


@pytest.mark.parametrize("text", ["64-1234-basic", "64-12341-basic", "64-123411-basic"])
def test_graph_is_a_chain_of_the_modules_that_are_there(text):
    graph = simple(jax.tree.map(np.asarray, SPACE.graph(SPACE.from_string(text))))
    names = ["normal", "channels_x2", "stride_2", "channels_x2_stride_2"]
    kinds = [names[int(digit) - 1] for digit in text[3:-6]]
    num = len(kinds)
    assert graph.mask.tolist() == [True] * (num + 1) + [False] * (6 - num) + [True]
    ops = graph.node_ops[graph.mask]
    assert [SPACE.node_operations[op] for op in ops] == ["input", *kinds, "output"]
    path = [*range(num + 1), 7]
    assert [*zip(*np.nonzero(graph.adjacency), strict=True)] == [*itertools.pairwise(path)]


# --------------------------------------------------------------------------------------------------
# Moves


def neighbours(arch: np.ndarray) -> np.ndarray:
    """Networks that differ from one in one position."""
    archs = SPACE.enumerate()
    return archs[(archs != arch[None]).sum(axis=1) == 1]


@pytest.mark.parametrize("text", ["64-4111-basic", "64-22141-basic", "64-433312-basic"])
def test_mutants_are_neighbours_all_alike(text):
    parent = np.asarray(SPACE.from_string(text))
    num = 20_000
    keys = jax.random.split(jax.random.key(0), num)
    children = np.asarray(batched("mutate")(keys, np.tile(parent, (num, 1))))
    known = [tuple(arch) for arch in neighbours(parent).tolist()]
    counts = dict.fromkeys(known, 0)
    for child, number in zip(*np.unique(children, axis=0, return_counts=True), strict=True):
        counts[tuple(child.tolist())] += number
    assert list(counts) == known
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_mutations_reach_every_network():
    archs = SPACE.enumerate()
    near = (archs[:, None] != archs[None]).sum(axis=2) == 1
    reached = np.zeros(len(archs), bool)
    reached[0] = True
    while (grown := reached | near[reached].any(axis=0)).sum() > reached.sum():
        reached = grown
    assert reached.all()


def test_children_of_a_crossover_take_each_module_from_a_parent():
    archs = SPACE.enumerate()
    first, second = np.random.default_rng(2).integers(0, len(archs), (2, 4_000))
    keys = jax.random.split(jax.random.key(2), 4_000)
    children = np.asarray(batched("crossover")(keys, archs[first], archs[second]))
    assert np.asarray(batched("is_valid")(children)).all()
    differs = archs[first] != archs[second]
    is_first = children == archs[first]
    assert (is_first | (children == archs[second])).all()
    assert 0.48 < is_first[differs].mean() < 0.52


def test_samples_are_uniform():
    archs = batched("sample")(jax.random.split(jax.random.key(1), 65_120))
    codes = np.asarray(batched("code")(archs))[:, 1]
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == 3_256
    assert stats.chisquare(counts).pvalue > 1e-4


# --------------------------------------------------------------------------------------------------
# Costs


def layers(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Convolutions, each with a norm: kernel size, channels in and out, pixels a side."""
    yield 3, 3, 32, 128
    yield 3, 32, 64, 64
    c, side = 64, 64
    for digit in text[3:-6]:
        c_out, stride = c * (2 if digit in "24" else 1), 2 if digit in "34" else 1
        for c_in, step in ((c, stride), (c_out, 1)):
            side //= step
            yield 3, c_in, c_out, side
            yield 3, c_out, c_out, side
            if step > 1 or c_in != c_out:
                yield 1, c_in, c_out, side
        c = c_out


def test_costs_are_those_counted_by_layers():
    rows = np.random.default_rng(0).permutation(3_256)[:200]
    archs = SPACE.enumerate()
    with jax.enable_x64(True):
        params, flops = (
            np.asarray(jax.jit(jax.vmap(cost))(archs)) for cost in (SPACE.params, SPACE.flops)
        )
    assert (params.dtype, flops.dtype, flops.max() > 2**32) == (np.int32, np.float64, True)
    for row in rows:
        convolutions = [*layers(SPACE.to_string(archs[row]))]
        last = convolutions[-1][2]
        weights = [k * k * c_in * c_out for k, c_in, c_out, _ in convolutions]
        norms = sum(c_out for _, _, c_out, _ in convolutions)
        macs = sum(w * side**2 for w, (*_, side) in zip(weights, convolutions, strict=True))
        assert params[row] == sum(weights) + 2 * norms + 75 * (last + 1)
        assert flops[row] == macs + 75 * last
