"""Published forms of cells against vectors made by hand, and there and back for whole spaces."""

import jax
import numpy as np
import pytest

from jnas import spaces

# The example in the documentation of the authors' `str2matrix`.
DOCUMENTED = "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
# Every operation, and both edges that NASLib has in another place (0→3 and 1→2).
MIXED = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|nor_conv_1x1~0|skip_connect~1|nor_conv_3x3~2|"
INPUT, OUTPUT, C1, C3, POOL = (
    "input",
    "output",
    "conv1x1-bn-relu",
    "conv3x3-bn-relu",
    "maxpool3x3",
)


def cell(text):
    return spaces.nasbench201().from_string(text)


def test_matrices_of_nasbench201() -> None:
    expected = [[0, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert spaces.nasbench201_to_matrix(cell(DOCUMENTED)).tolist() == expected
    expected = [[0, 0, 0, 0], [3, 0, 0, 0], [0, 4, 0, 0], [2, 1, 3, 0]]
    assert spaces.nasbench201_to_matrix(cell(MIXED)).tolist() == expected
    # The authors' function returns floats.
    back = spaces.nasbench201_from_matrix(np.array(expected, float))
    np.testing.assert_array_equal(back, cell(MIXED))


def test_genotypes_of_nasbench201() -> None:
    expected = (
        (("nor_conv_3x3", 0),),
        (("none", 0), ("avg_pool_3x3", 1)),
        (("nor_conv_1x1", 0), ("skip_connect", 1), ("nor_conv_3x3", 2)),
    )
    assert spaces.nasbench201_to_genotype(cell(MIXED)) == expected
    # The authors' ResNet, in whose genotype edges without an operation are left out.
    resnet = [
        [("nor_conv_3x3", 0)],
        [("nor_conv_3x3", 1)],
        [("skip_connect", 2), ("skip_connect", 0)],
    ]
    text = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    np.testing.assert_array_equal(spaces.nasbench201_from_genotype(resnet), cell(text))


def test_naslib_of_nasbench201() -> None:
    """By hand: 0→1 conv3x3 2, 0→2 none 1, 0→3 conv1x1 3, 1→2 pool 4, 1→3 skip 0, 2→3 conv3x3 2."""
    assert spaces.nasbench201_to_naslib(cell(MIXED)) == (2, 1, 3, 4, 0, 2)
    np.testing.assert_array_equal(spaces.nasbench201_from_naslib([2, 1, 3, 4, 0, 2]), cell(MIXED))


def test_naslib_of_nasbench101() -> None:
    """Input → conv3x3 → pool → output and input → pool, by hand row by row."""
    matrix = [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    arch = spaces.nasbench101_from_matrix(matrix, [INPUT, C3, POOL, OUTPUT])
    numbers = (0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 2, 1)
    assert spaces.nasbench101_to_naslib(arch) == numbers
    np.testing.assert_array_equal(spaces.nasbench101_from_naslib(numbers), arch)
    # NASLib samples 7 vertices, useless ones included: here the fourth leads nowhere.
    wide = np.zeros((7, 7), int)
    wide[0, 1] = wide[1, 6] = wide[0, 4] = 1
    numbers = [*wide.ravel(), 0, 3, 2, 2, 4, 2, 1]
    space = spaces.nasbench101()
    simple = spaces.nasbench101_from_matrix([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [INPUT, C1, OUTPUT])
    found = spaces.nasbench101_from_naslib(numbers)
    np.testing.assert_array_equal(space.identity(found), space.identity(simple))


@pytest.mark.parametrize("form", ["matrix", "genotype", "naslib"])
def test_there_and_back_for_nasbench201(form) -> None:
    there = getattr(spaces, f"nasbench201_to_{form}")
    back = getattr(spaces, f"nasbench201_from_{form}")
    for arch in spaces.nasbench201().enumerate()[::97]:
        found = back(there(arch))
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, arch)


@pytest.mark.slow
def test_there_and_back_for_nasbench101() -> None:
    space = spaces.nasbench101()
    archs = jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), 20))
    identities = jax.jit(jax.vmap(space.identity))
    found = [
        spaces.nasbench101_from_naslib(spaces.nasbench101_to_naslib(arch))
        for arch in np.asarray(archs)
    ]
    np.testing.assert_array_equal(identities(np.stack(found)), identities(archs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spaces.nasbench201_from_matrix(np.zeros((3, 3))), r"needs \[4, 4\] integers"),
        (lambda: spaces.nasbench201_from_matrix(np.full((4, 4), 5)), "entries \\[5\\]"),
        (lambda: spaces.nasbench201_from_matrix(np.eye(4)), "below the diagonal"),
        (lambda: spaces.nasbench201_from_genotype([[("none", 0)]]), "3 nodes, got 1"),
        (
            lambda: spaces.nasbench201_from_genotype([[("none", 1)], [], []]),
            "edge 1→1 does not exist",
        ),
        (
            lambda: spaces.nasbench201_from_genotype([[("none", 0), ("none", 0)], [], []]),
            "edge 0→1 stands twice",
        ),
        (
            lambda: spaces.nasbench201_from_genotype([[("skip", 0)], [], []]),
            "unknown operation 'skip'",
        ),
        (lambda: spaces.nasbench201_from_naslib([0, 1, 2]), "needs 6 integers from 0 to 4"),
        (lambda: spaces.nasbench201_from_naslib([0, 1, 2, 3, 4, 5]), "needs 6 integers"),
        (lambda: spaces.nasbench201_to_naslib([0, 1, 2, 3, 4, 5]), "needs 6 integers"),
        (lambda: spaces.nasbench101_from_naslib([0, 1, 0]), "needs V² \\+ V integers"),
        (lambda: spaces.nasbench101_from_naslib([0, 1, 0, 0, 0, 7]), "the last V from 0 to 4"),
    ],
)
def test_other_forms_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


PREFIX = "NetworkSelectorDatasetInfo:darts:"
# Of the published space: 14 edges a cell, of which eight have an operation.
CONFIG = {
    "edge_normal_0": "max_pool_3x3",
    "edge_normal_1": "sep_conv_5x5",
    "edge_normal_2": "skip_connect",
    "edge_normal_3": "dil_conv_3x3",
    "edge_normal_6": "avg_pool_3x3",
    "edge_normal_7": "sep_conv_3x3",
    "edge_normal_9": "dil_conv_5x5",
    "edge_normal_12": "skip_connect",
    "edge_reduce_0": "dil_conv_5x5",
    "edge_reduce_1": "sep_conv_3x3",
    "edge_reduce_3": "max_pool_3x3",
    "edge_reduce_4": "sep_conv_5x5",
    "edge_reduce_5": "avg_pool_3x3",
    "edge_reduce_8": "avg_pool_3x3",
    "edge_reduce_11": "skip_connect",
    "edge_reduce_12": "sep_conv_3x3",
    "inputs_node_normal_3": "0_1",
    "inputs_node_normal_4": "1_2",
    "inputs_node_normal_5": "0_3",
    "inputs_node_reduce_3": "1_2",
    "inputs_node_reduce_4": "0_3",
    "inputs_node_reduce_5": "2_3",
}
GENOTYPE = (
    "Genotype(normal=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), "
    "('dil_conv_3x3', 1), ('avg_pool_3x3', 1), ('sep_conv_3x3', 2), ('dil_conv_5x5', 0), "
    "('skip_connect', 3)], normal_concat=[2, 3, 4, 5], reduce=[('dil_conv_5x5', 0), "
    "('sep_conv_3x3', 1), ('max_pool_3x3', 1), ('sep_conv_5x5', 2), ('avg_pool_3x3', 0), "
    "('avg_pool_3x3', 3), ('skip_connect', 2), ('sep_conv_3x3', 3)], "
    "reduce_concat=[2, 3, 4, 5])"
)


def config(**changes) -> dict:
    return {f"{PREFIX}{key}": value for key, value in (CONFIG | changes).items()}


def test_configurations_of_nasbench301() -> None:
    """Edges are numbered by hand: 0, 1 into node 2, then 2 to 4, 5 to 8 and 9 to 13."""
    space = spaces.nasbench301()
    arch = space.from_string(GENOTYPE)
    assert spaces.nasbench301_to_config(arch) == config()
    more = config(edge_normal_4=None) | {"OptimizerSelector:optimizer": "sgd", f"{PREFIX}layers": 8}
    np.testing.assert_array_equal(spaces.nasbench301_from_config(more), arch)
    for row in jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), 20)):
        back = spaces.nasbench301_from_config(spaces.nasbench301_to_config(row))
        np.testing.assert_array_equal(back, row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edge_normal_0": None}, "lacks 'NetworkSelectorDatasetInfo:darts:edge_normal_0'"),
        ({"edge_normal_4": "skip_connect"}, "edge_normal_4', which none of its nodes reads"),
        ({"inputs_node_reduce_4": "3_0"}, "inputs_node_reduce_4' is '3_0'; needs a_b"),
        ({"inputs_node_reduce_4": "0_4"}, "needs a_b with a < b < 4"),
        ({"edge_normal_0": "sep_conv_7x7"}, "unknown operation 'sep_conv_7x7' of node 2 of normal"),
    ],
)
def test_wrong_configurations_are_told(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.nasbench301_from_config(config(**changes))
