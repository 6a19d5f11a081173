"""NATS-Bench size against layers counted one by one, published strings and exact frequencies."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnas.spaces import nasbench201, nats_size
from tests.oracles.graphs import simple

SPACE, PUBLISHED = nats_size(), nats_size(allow_parent=True)
# The best NAS-Bench-201 cell on CIFAR-100, which every network of the size space is made of.
CELL = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


@functools.cache
def batched(function):
    return jax.jit(jax.vmap(function))


@functools.cache
def every_network() -> np.ndarray:
    return SPACE.enumerate()


# --------------------------------------------------------------------------------------------------
# Vectors and strings


def test_the_list_of_all_networks():
    networks = every_network()
    assert networks.shape == (32_768, 5)
    np.testing.assert_array_equal(networks @ 8 ** np.arange(4, -1, -1), np.arange(32_768))
    for function in (SPACE.code, SPACE.identity):
        words = np.asarray(batched(function)(networks))
        np.testing.assert_array_equal(words, np.stack([np.zeros(32_768), np.arange(32_768)], 1))


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        ("8:8:8:8:8", [0, 0, 0, 0, 0]),
        ("64:64:64:64:64", [7, 7, 7, 7, 7]),
        ("24:48:8:16:56", [2, 5, 0, 1, 6]),
    ],
)
def test_official_strings(text, arch):
    assert SPACE.from_string(text).tolist() == arch
    assert SPACE.to_string(np.array(arch)) == text


def test_every_network_has_its_own_string():
    texts = [SPACE.to_string(arch) for arch in every_network()]
    assert len(set(texts)) == 32_768
    for arch, text in list(zip(every_network(), texts, strict=True))[::100]:
        assert text == ":".join(str(8 * (choice + 1)) for choice in arch)
        np.testing.assert_array_equal(SPACE.from_string(text), arch)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8:8:8:8", "not a NATS-Bench size architecture: '8:8:8:8'; the form is c1:c2:c3:c4:c5"),
        ("8:8:8:8:8:8", "the form is c1:c2:c3:c4:c5"),
        ("8:8:12:8:8", "unknown width '12' in .* Valid widths: 8, 16, 24, 32, 40, 48, 56, 64"),
        ("8:8:72:8:8", "unknown width '72'"),
        ("8:8::8:8", "unknown width ''"),
        ("8:8:x:8:8", "unknown width 'x'"),
    ],
)
def test_bad_strings_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


def test_graph_is_a_chain_of_widths():
    graph = simple(jax.tree.map(np.asarray, SPACE.graph(SPACE.from_string("24:48:8:16:64"))))
    names = [SPACE.node_operations[op] for op in graph.node_ops]
    assert names == ["input", "width_24", "width_48", "width_8", "width_16", "width_64", "output"]
    expected = [[int(y == x + 1) for y in range(7)] for x in range(7)]
    np.testing.assert_array_equal(graph.edge_ops, expected)
    assert SPACE.edge_operations[1] == "next"


# --------------------------------------------------------------------------------------------------
# Costs


def reference_costs(widths: list[int]) -> tuple[int, int]:
    """(parameters, multiply-accumulates), layer by layer, in Python integers."""
    c1, c2, c3, c4, c5 = widths
    layers = [
        (3, 3, c1, 32, True)
    ]  # kernel size, channels in, channels out, pixels a side, batch norm
    layers += cell_layers(c1, c1, 32)
    layers += [(3, c1, c2, 16, True), (3, c2, c2, 16, True), (1, c1, c2, 16, False)]
    layers += cell_layers(c2, c3, 16)
    layers += [(3, c3, c4, 8, True), (3, c4, c4, 8, True), (1, c3, c4, 8, False)]
    layers += cell_layers(c4, c5, 8)
    params = sum(k * k * i * o + (2 * o if norm else 0) for k, i, o, _, norm in layers)
    macs = sum(k * k * i * o * side * side for k, i, o, side, _ in layers)
    return params + 2 * c5 + 10 * c5 + 10, macs + 10 * c5


def cell_layers(c_in: int, c_out: int, side: int) -> list[tuple[int, int, int, int, bool]]:
    """Convolutions of the cell: an edge from node 0 reads `c_in` channels, any other `c_out`."""
    layers = []
    for op, source in re.findall(r"(\w+)~(\d)", CELL):
        width = c_in if source == "0" else c_out
        if op == "nor_conv_3x3":
            layers.append((3, width, c_out, side, True))
        elif width != c_out:  # a skip connection that has to change the width
            layers.append((1, width, c_out, side, True))
    return layers


def test_costs_of_random_and_of_equal_widths():
    rng = np.random.default_rng(0)
    equal = np.repeat(np.arange(8)[:, None], 5, axis=1)
    # In a cell, layers 2 and 3, or 4 and 5, of equal width keep their skip connection a skip.
    kept = rng.integers(0, 8, (100, 5))
    kept[:, 2] = kept[:, 1]
    archs = np.concatenate([rng.integers(0, 8, (400, 5)), equal, kept]).astype(np.int32)
    params, flops = (np.asarray(batched(f)(archs)) for f in (SPACE.params, SPACE.flops))
    expected = [reference_costs((8 * (arch + 1)).tolist()) for arch in archs]
    np.testing.assert_array_equal(params, [count for count, _ in expected])
    np.testing.assert_array_equal(flops, np.array([macs for _, macs in expected], np.float32))


def test_the_cell_is_an_architecture_of_nasbench201():
    """With the widths of the NAS-Bench-201 network the two spaces count the same blocks."""
    topology = nasbench201()
    arch = topology.from_string(CELL)
    params = int(topology.params(arch)) - int(topology.params(jnp.zeros(6, jnp.int32)))
    one_cell_a_stage = params // 5
    frame = int(topology.params(jnp.zeros(6, jnp.int32)))
    widths = SPACE.from_string("16:32:32:64:64")
    assert int(SPACE.params(widths)) == frame + one_cell_a_stage
    macs = float(topology.flops(arch)) - float(topology.flops(jnp.zeros(6, jnp.int32)))
    expected = float(topology.flops(jnp.zeros(6, jnp.int32))) + macs / 5
    assert float(SPACE.flops(widths)) == expected


def test_wider_layers_cost_more():
    """Also across the step where a skip connection turns into a convolution or back."""
    archs = every_network()
    flops = np.asarray(batched(SPACE.flops)(archs)).reshape([8] * 5)
    assert (np.diff(flops, axis=0) > 0).all()
    assert (np.diff(flops, axis=3) != 0).all()
    assert flops.argmin() == 0
    assert flops.max() == flops[-1].max()


# --------------------------------------------------------------------------------------------------
# Random moves


def mutants(space, parent: list[int], num: int) -> np.ndarray:
    keys = jax.random.split(jax.random.key(1), num)
    parents = np.broadcast_to(np.array(parent, np.int32), (num, 5))
    return np.asarray(batched(space.mutate)(keys, parents))


@pytest.mark.parametrize("parent", [[0, 0, 0, 0, 0], [7, 3, 1, 0, 5]])
def test_mutation_gives_one_layer_another_width(parent):
    children = mutants(SPACE, parent, 40_000)
    changed = children != parent
    assert (changed.sum(1) == 1).all()
    assert stats.chisquare(changed.sum(0)).pvalue > 1e-4
    for layer in range(5):
        counts = np.bincount(children[changed[:, layer], layer], minlength=8)
        assert counts[parent[layer]] == 0
        assert stats.chisquare(np.delete(counts, parent[layer])).pvalue > 1e-4


@pytest.mark.parametrize("parent", [[0, 0, 0, 0, 0], [7, 3, 1, 0, 5]])
def test_published_mutation_draws_from_all_widths(parent):
    """The parent comes back one time in eight; each other vector one time in forty."""
    children = mutants(PUBLISHED, parent, 40_000)
    changed = children != parent
    assert (changed.sum(1) <= 1).all()
    same = 40_000 - changed.sum()
    counts = [
        np.count_nonzero(changed[:, layer] & (children[:, layer] == width))
        for layer in range(5)
        for width in range(8)
        if width != parent[layer]
    ]
    expected = 40_000 * np.array([1 / 8, *[1 / 40] * 35])
    assert stats.chisquare([same, *counts], expected).pvalue > 1e-4


def test_samples_are_uniform():
    archs = batched(SPACE.sample)(jax.random.split(jax.random.key(2), 100_000))
    codes = np.asarray(batched(SPACE.code)(archs))[:, 1].astype(int)
    assert stats.chisquare(np.bincount(codes // 256, minlength=128)).pvalue > 1e-4
    for position in range(5):
        assert (
            stats.chisquare(np.bincount(np.asarray(archs)[:, position], minlength=8)).pvalue > 1e-4
        )


def test_options_share_everything_but_the_mutation():
    assert SPACE is not PUBLISHED
    assert PUBLISHED._replace(mutate=SPACE.mutate) == SPACE
