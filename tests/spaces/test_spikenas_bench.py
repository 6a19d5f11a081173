"""SpikeNAS-Bench against published parameter counts, cells of NAS-Bench-201, layers by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.spaces import nasbench201, spikenas_bench
from tests.oracles.graphs import simple

SPACE, OTHER = spikenas_bench(), nasbench201()
PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
OTHER_PAIRS = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


def as_other(archs: np.ndarray) -> np.ndarray:
    """The same cells as vectors of NAS-Bench-201, pair by pair."""
    return np.stack([archs[..., PAIRS.index(pair)] for pair in OTHER_PAIRS], axis=-1)


def numbered(index: int) -> np.ndarray:
    """The published number of an architecture counts in base 5, the first edge lowest."""
    return np.array([index // 5**d % 5 for d in range(6)], np.int32)


@pytest.mark.parametrize(("index", "params"), [(3279, 17_917_668), (14862, 21_607_908)])
def test_published_numbers_of_parameters(index: int, params: int) -> None:
    assert int(SPACE.params(jnp.asarray(numbered(index)))) == params


@pytest.mark.parametrize("num_convolutions", range(7))
def test_costs_layer_by_layer(num_convolutions: int) -> None:
    ops = np.array([2, 3, 4, 4, 2, 3])
    ops[num_convolutions:] = [0, 1, 0, 1, 0, 1][num_convolutions:]
    params = (
        27 * 128 + 2 * 128 + (2 * 128 + 9 * 128 * 256 + 2 * 256) + 2 * 256
    )  # stem, reduction, last norm
    params += 256 * 8 * 8 * 1024 + 1024 * 100 + 100
    flops = 1024 * 27 * 128 + 5 * (1024 * 9 * 128 * 256 + 256 * 8 * 8 * 1024 + 1024 * 100)
    for channels, pixels in ((128, 1024), (256, 256)):
        params += num_convolutions * (9 * channels * channels + 2 * channels)
        flops += num_convolutions * 5 * pixels * 9 * channels * channels
    assert int(SPACE.params(jnp.asarray(ops))) == params
    assert float(SPACE.flops(jnp.asarray(ops))) == flops


def test_identity_is_that_of_the_same_cell_in_nasbench201() -> None:
    archs = SPACE.enumerate()
    identity = np.asarray(jax.jit(jax.vmap(SPACE.identity))(archs))
    np.testing.assert_array_equal(identity, jax.jit(jax.vmap(OTHER.identity))(as_other(archs)))
    assert len(np.unique(identity, axis=0)) == 6_466


def test_a_graph_has_each_operation_at_its_pair() -> None:
    for arch in SPACE.enumerate()[::997]:
        graph = simple(SPACE.graph(jnp.asarray(arch)))
        expected = np.zeros((4, 4), int)
        for op, pair in zip(arch, PAIRS, strict=True):
            expected[pair] = op
        np.testing.assert_array_equal(graph.edge_ops, expected)
        np.testing.assert_array_equal(graph.adjacency, expected != 0)


@pytest.mark.slow
def test_mutation_is_that_of_nasbench201(key: jax.Array) -> None:
    keys = jax.random.split(key, 3000)
    arch = jnp.asarray(numbered(3279))
    children = np.asarray(jax.jit(jax.vmap(SPACE.mutate, (0, None)))(keys, arch))
    others = jax.vmap(OTHER.mutate, (0, None))(keys, jnp.asarray(as_other(numbered(3279))))
    np.testing.assert_array_equal(as_other(children), others)
    shares = (children != np.asarray(arch)).mean(0)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 6, 1 / 9, 1 / 6, 1 / 9, 1 / 9], atol=0.03)


def test_strings_list_the_edges_by_their_end() -> None:
    text = "|conv3x3_high~0|+|zero~0|skip~1|+|skip~0|zero~1|conv3x3_low~2|"
    np.testing.assert_array_equal(SPACE.from_string(text), [4, 0, 1, 1, 0, 2])
    assert SPACE.to_string(np.array([4, 0, 1, 1, 0, 2])) == text


def test_strings_of_the_other_space_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'skip_connect'.*Valid names: zero, skip, conv3x3_low"):
        SPACE.from_string("|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(
        ValueError, match=r"not a SpikeNAS-Bench architecture: \[0, 1, 2, 3, 4, 5\]"
    ):
        SPACE.to_string(np.arange(6))
