"""Cells of TransNAS-Bench-101: classes against cells that compute, layers counted one by one."""

import functools
import itertools
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from jnas import spaces

SPACE = spaces.transnas_micro()
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@functools.cache
def of_all(name: str) -> np.ndarray:
    """Values of a function of the space for all cells, in 64 bits."""
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(getattr(SPACE, name)))(SPACE.enumerate()))


def test_texts_are_in_the_order_of_the_benchmark():
    texts = [SPACE.to_string(arch) for arch in SPACE.enumerate()]
    digits = ["".join(word) for word in itertools.product("0123", repeat=6)]
    assert texts == [f"64-41414-{d[0]}_{d[1:3]}_{d[3:]}" for d in digits]
    assert SPACE.from_string("64-41414-1_02_333").tolist() == [1, 0, 2, 3, 3, 3]
    np.testing.assert_array_equal(of_all("code"), [[0, row] for row in range(4_096)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64-41414-1_02_33", "not a TransNAS-Bench-101 micro .*; the form is 64-41414-1_02_333"),
        ("64-4141-1_02_333", "the form is"),
        ("64-41414-1_02_343", r"unknown operation '4' at place 5 in .*; valid: 0 none, 1 sk"),
    ],
)
def test_bad_texts_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


# --------------------------------------------------------------------------------------------------
# Identity


def outputs() -> np.ndarray:
    """`[4096, 720]`, what each cell makes of a number, with each order of six weights.

    Two cells that are the same but for the places of their edges have the same numbers, in another
    order. Edges without an input return 0, as do those that are "none".
    """
    weights = np.array([*itertools.permutations([0.31, 0.57, 0.83, 1.09, 1.43, 1.91])]).T
    archs, shape = SPACE.enumerate(), (4_096, weights.shape[1])
    nodes = [np.full(shape, 0.7), *[np.zeros(shape)] * 3]
    has_input = [np.ones(4_096, bool), *[np.zeros(4_096, bool)] * 3]
    for place, (source, target) in enumerate(EDGES):
        x, w = nodes[source], weights[place][None]
        # From the input, a skip is an operation with weights in cells of stride 2.
        skip = np.exp(-w * x) if source == 0 else x
        values = np.choose(archs[:, place, None], [0 * x, skip, np.sin(w * x + 1), np.tanh(w * x)])
        carries = has_input[source] & (archs[:, place] != 0)
        nodes[target] = nodes[target] + np.where(carries[:, None], values, 0)
        has_input[target] = has_input[target] | carries
    return nodes[3]


@pytest.mark.slow
def test_identity_is_what_a_cell_computes():
    numbers = outputs()
    moments = np.stack([numbers.mean(axis=1), (numbers**2).mean(axis=1)], axis=1).round(9)
    computed = np.unique(moments, axis=0, return_inverse=True)[1].ravel()
    identities = of_all("identity")[:, 1]
    both = np.stack([computed, identities], axis=1)
    assert len(set(computed)) == len(set(identities)) == len(np.unique(both, axis=0)) == 1_376
    assert (identities[identities] == identities).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("64-41414-2_30_032", "64-41414-3_20_023"),  # two branches, the other way round
        ("64-41414-0_03_300", "64-41414-3_21_300"),  # only one edge on a path
        ("64-41414-2_01_001", "64-41414-2_00_010"),  # a skip more of what is not the input
    ],
)
def test_cells_that_compute_the_same(one, other):
    rows = [int(text[9:].replace("_", ""), 4) for text in (one, other)]
    assert len(set(of_all("identity")[rows, 1])) == 1


def test_a_skip_of_the_input_has_weights():
    """A skip before a convolution is not nothing where the first has stride 2."""
    rows = [int(digits, 4) for digits in ("130000", "000300", "100030")]
    assert len(set(of_all("identity")[rows, 1])) == 3


# --------------------------------------------------------------------------------------------------
# Costs


def layers(arch: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Convolutions, each with a norm: kernel size, channels in and out, pixels a side."""
    yield 3, 3, 32, 128
    yield 3, 32, 64, 64
    c, side = 64, 64
    for module, number in itertools.product("41414", range(2)):
        reduces = module == "4" and number == 0
        before, c = c, 2 * c if reduces else c
        side = side // 2 if reduces else side
        for op, (source, _target) in zip(arch, EDGES, strict=True):
            c_in = before if source == 0 else c
            if op >= 2 or (op == 1 and source == 0 and reduces):
                yield 3 if op == 3 else 1, c_in, c, side


def test_costs_are_those_counted_by_layers():
    rows = [0, 4_095, *np.random.default_rng(0).permutation(4_096)[:200]]
    archs, params, flops = SPACE.enumerate(), of_all("params"), of_all("flops")
    assert (params.dtype, flops.dtype, flops.max() > 2**32) == (np.int32, np.float64, True)
    for row in rows:
        convolutions = [*layers(archs[row])]
        weights = [k * k * c_in * c_out for k, c_in, c_out, _ in convolutions]
        norms = sum(c_out for _, _, c_out, _ in convolutions)
        macs = sum(w * side**2 for w, (*_, side) in zip(weights, convolutions, strict=True))
        assert params[row] == sum(weights) + 2 * norms + 75 * (512 + 1)
        assert flops[row] == macs + 75 * 512
