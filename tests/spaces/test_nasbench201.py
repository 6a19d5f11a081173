"""NAS-Bench-201 against published counts and strings, layers counted, and cells run on numbers."""

import functools
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnas.spaces import nasbench201
from tests.oracles.graphs import simple

SPACE, ORDINARY_ZERO = nasbench201(), nasbench201(identity="skips")
FUNCTIONS = nasbench201(identity="function")
NONE, SKIP, CONV1X1, CONV3X3, POOL = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
OPERATIONS = (NONE, SKIP, CONV1X1, CONV3X3, POOL)
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


@functools.cache
def batched(function):
    return jax.jit(jax.vmap(function))


@functools.cache
def every_cell() -> np.ndarray:
    return SPACE.enumerate()


def text_of(*ops: str) -> str:
    """The official form, written out."""
    a, b, c, d, e, f = ops
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def cell(*ops: str) -> jax.Array:
    return SPACE.from_string(text_of(*ops))


def low_words(function, archs) -> np.ndarray:
    words = np.asarray(batched(function)(archs))
    assert (words[:, 0] == 0).all()
    return words[:, 1].astype(np.int64)


# --------------------------------------------------------------------------------------------------
# Vectors and strings


def test_the_list_of_all_cells():
    cells = every_cell()
    assert cells.shape == (15_625, 6)
    np.testing.assert_array_equal(cells @ 5 ** np.arange(5, -1, -1), np.arange(15_625))
    np.testing.assert_array_equal(low_words(SPACE.code, cells), np.arange(15_625))


def test_every_vector_has_its_own_official_string():
    texts = [SPACE.to_string(arch) for arch in every_cell()]
    assert len(set(texts)) == 15_625
    for arch, text in list(zip(every_cell(), texts, strict=True))[::50]:
        assert text == text_of(*(OPERATIONS[op] for op in arch))
        np.testing.assert_array_equal(SPACE.from_string(text), arch)


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            "421211",
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
            "334131",
        ),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "000000"),
    ],
)
def test_official_strings(text, arch):
    arch = [int(digit) for digit in arch]
    assert SPACE.from_string(text).tolist() == arch
    assert SPACE.to_string(np.array(arch)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            text_of(NONE, "nor_conv_3x4", NONE, NONE, NONE, NONE),
            "unknown operation 'nor_conv_3x4' in .*Did you mean",
        ),
        (
            text_of("skip", NONE, NONE, NONE, NONE, NONE),
            "Valid names: none, skip_connect, nor_conv_1x1, nor_conv",
        ),
        ("|none~0|+|none~0|none~1|", r"the form is \|op~0\|\+\|op~0\|op~1\|\+"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~1|", "the form is"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~3|", "the form is"),
        ("none~0 none~0 none~1 none~0 none~1 none~2", "unknown operation|the form is"),
        ("", "not a NAS-Bench-201 architecture: ''"),
    ],
)
def test_bad_strings_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)


def test_graph_puts_operations_on_edges():
    graph = SPACE.graph(cell(CONV3X3, NONE, POOL, SKIP, CONV1X1, NONE))
    graph = simple(jax.tree.map(np.asarray, graph))
    assert SPACE.edge_operations == OPERATIONS
    expected = [[0, 3, 0, 1], [0, 0, 4, 2], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(graph.edge_ops, expected)
    np.testing.assert_array_equal(graph.adjacency, np.array(expected) > 0)
    assert [SPACE.node_operations[op] for op in graph.node_ops] == ["input", "sum", "sum", "output"]
    assert graph.mask.all()


def test_graphs_of_all_cells_hold_their_vectors():
    graph = simple(jax.tree.map(np.asarray, batched(SPACE.graph)(every_cell())))
    for position, (x, y) in enumerate(EDGES):
        np.testing.assert_array_equal(graph.edge_ops[:, x, y], every_cell()[:, position])
        np.testing.assert_array_equal(graph.adjacency[:, x, y], every_cell()[:, position] != 0)


# --------------------------------------------------------------------------------------------------
# Identity


@pytest.mark.parametrize(
    ("space", "number"), [(SPACE, 6_466), (ORDINARY_ZERO, 12_751), (FUNCTIONS, 5_390)]
)
def test_published_number_of_classes(space, number):
    assert len(np.unique(low_words(space.identity, every_cell()))) == number


@pytest.mark.parametrize("space", [SPACE, ORDINARY_ZERO, FUNCTIONS])
def test_identity_is_the_first_code_of_its_class(space):
    identity = low_words(space.identity, every_cell())
    assert (identity <= np.arange(15_625)).all()
    np.testing.assert_array_equal(identity[identity], identity)


def values(arch: np.ndarray, none) -> tuple:
    """What a cell computes on three numbers, with fixed functions in place of the operations."""
    functions = (
        none,
        lambda x: x,
        lambda x: np.sin(2 * x),
        lambda x: x**2 - 3 * x,
        lambda x: np.tanh(x / 2),
    )
    nodes = [np.array([0.3, -1.1, 0.7])]
    for target in (1, 2, 3):
        ends = ((op, x) for op, (x, y) in zip(arch, EDGES, strict=True) if y == target)
        nodes.append(sum(functions[op](nodes[x]) for op, x in ends))
    return tuple(np.round(nodes[3], 9) + 0.0)


@pytest.mark.parametrize(
    ("space", "none"),
    [
        (SPACE, np.zeros_like),
        (ORDINARY_ZERO, lambda x: np.cos(3 * x) - 0.2),
        (FUNCTIONS, np.zeros_like),
    ],
)
def test_cells_of_one_class_compute_the_same(space, none):
    """The converse fails: the published text form keeps some cells apart that compute the same."""
    outputs = [values(arch, none) for arch in every_cell()]
    classes: dict[int, set] = {}
    for identity, output in zip(
        low_words(space.identity, every_cell()).tolist(), outputs, strict=True
    ):
        classes.setdefault(identity, set()).add(output)
    assert all(len(found) == 1 for found in classes.values())
    assert 0.7 * len(classes) < len(set(outputs)) < len(classes)


def arrives(arch: np.ndarray, node: int = 3, *, flat: bool = False) -> list[str]:
    """Published texts of what a node sums, by recursion; empty where nothing arrives.

    `flat`: a sum that a skip adds to another is no summand of its own.
    """
    texts = []
    for op, (source, target) in zip(arch.tolist(), EDGES, strict=True):
        if target == node and op != 0:
            below = ["0"] if source == 0 else arrives(arch, source, flat=flat)
            total = "+".join(sorted(below))
            skipped = below if flat else [total]
            texts += (skipped if op == 1 else [f"({total})@{OPERATIONS[op]}"]) if below else []
    return texts


def test_functional_classes_are_what_arrives():
    texts = ["+".join(sorted(arrives(arch))) for arch in every_cell()]
    counts = Counter(texts)
    firsts = {text: number for number, text in reversed(list(enumerate(texts)))}
    expected = np.array([firsts[text] for text in texts])
    np.testing.assert_array_equal(low_words(FUNCTIONS.identity, every_cell()), expected)
    assert len(counts) == 5_390
    assert sum("conv" in text for text in counts) == 5_308
    # A single operation from the input to the output, and everything else dead.
    assert counts.most_common(3) == [(f"(0)@{op}", 460) for op in (CONV1X1, CONV3X3, POOL)]


def test_flattened_sums_would_unite_more():
    assert len({"+".join(sorted(arrives(arch, flat=True))) for arch in every_cell()}) == 4_930


def test_functional_classes_unite_published_ones():
    published, functional = (
        low_words(space.identity, every_cell()) for space in (SPACE, FUNCTIONS)
    )
    assert len(np.unique(np.column_stack([published, functional]), axis=0)) == 6_466


def test_an_unknown_identity_is_refused():
    with pytest.raises(ValueError, match=r"unknown identity 'functon'\. Did you mean 'function'"):
        nasbench201(identity="functon")


def equal(space, first, second) -> bool:
    return bool((space.identity(first) == space.identity(second)).all())


# Node 1 is the input itself, so what leaves node 0 may as well leave node 1.
SKIPPED = (SKIP, CONV3X3, POOL, CONV1X1, NONE, SKIP), (SKIP, POOL, CONV3X3, NONE, CONV1X1, SKIP)
# Node 1 receives nothing, so what leaves it carries nothing.
EMPTY = (NONE, CONV3X3, NONE, SKIP, NONE, CONV1X1), (NONE, CONV3X3, POOL, SKIP, CONV3X3, CONV1X1)
# The same 3x3 convolution of the input reaches the output through node 1 or through node 2.
DETOUR = (CONV3X3, NONE, NONE, NONE, SKIP, NONE), (SKIP, NONE, CONV3X3, NONE, NONE, SKIP)


def test_skips_are_transparent_in_both_equivalences():
    assert equal(SPACE, cell(*SKIPPED[0]), cell(*SKIPPED[1]))
    assert equal(ORDINARY_ZERO, cell(*SKIPPED[0]), cell(*SKIPPED[1]))


def test_edges_that_leave_an_empty_node_count_for_nothing_only_if_zero_is_considered():
    assert equal(SPACE, cell(*EMPTY[0]), cell(*EMPTY[1]))
    assert not equal(ORDINARY_ZERO, cell(*EMPTY[0]), cell(*EMPTY[1]))


def test_the_published_form_does_not_flatten_sums():
    """Both cells compute one 3x3 convolution of the input, one of them with an empty summand."""
    none = np.zeros_like
    first, second = cell(*DETOUR[0]), cell(*DETOUR[1])
    assert values(np.asarray(first), none) == values(np.asarray(second), none)
    assert not equal(SPACE, first, second)
    assert equal(FUNCTIONS, first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((CONV3X3,) * 6, (CONV3X3,) * 5 + (CONV1X1,)),
        ((NONE,) * 6, (SKIP,) * 6),
        ((CONV3X3, NONE, CONV1X1, NONE, NONE, SKIP), (CONV1X1, NONE, CONV3X3, NONE, NONE, SKIP)),
        ((NONE, NONE, NONE, POOL, NONE, NONE), (NONE, NONE, NONE, CONV1X1, NONE, NONE)),
    ],
)
def test_cells_that_compute_different_things_are_apart(first, second):
    assert not equal(SPACE, cell(*first), cell(*second))
    assert not equal(FUNCTIONS, cell(*first), cell(*second))
    assert not equal(ORDINARY_ZERO, cell(*first), cell(*second))


# --------------------------------------------------------------------------------------------------
# Costs


@pytest.mark.parametrize(
    ("op", "params", "megaflops"),
    [
        (CONV3X3, 1_531_546, "220.1197"),
        (CONV1X1, 241_306, None),
        (NONE, 73_306, "7.783"),
        (POOL, 73_306, "7.783"),
    ],
)
def test_published_costs(op, params, megaflops):
    arch = cell(*[op] * 6)
    assert int(SPACE.params(arch)) == params
    if megaflops:
        digits = len(megaflops.partition(".")[2])
        assert f"{float(SPACE.flops(arch)) / 1e6:.{digits}f}" == megaflops


def reference_costs(text: str) -> tuple[int, int]:
    """(parameters, multiply-accumulates), layer by layer, from the official string."""
    kernels = [int(kernel) for kernel in re.findall(r"nor_conv_(\d)x", text)]
    params, macs = 27 * 16 + 32, 27 * 16 * 32 * 32  # stem
    for channels, side in ((16, 32), (32, 16), (64, 8)):
        if (
            channels > 16
        ):  # residual block: 3x3 and 3x3 with batch norm, 1x1 on the pooled shortcut without
            half = channels // 2
            weights = 9 * half * channels + 9 * channels * channels + half * channels
            params, macs = params + weights + 2 * 2 * channels, macs + weights * side * side
        for _ in range(5):
            for kernel in kernels:
                weights = kernel * kernel * channels * channels
                params, macs = params + weights + 2 * channels, macs + weights * side * side
    return params + 2 * 64 + 64 * 10 + 10, macs + 64 * 10


def test_costs_of_all_cells_equal_the_layer_by_layer_count():
    params, flops = (np.asarray(batched(f)(every_cell())) for f in (SPACE.params, SPACE.flops))
    expected = [reference_costs(SPACE.to_string(arch)) for arch in every_cell()]
    np.testing.assert_array_equal(params, [count for count, _ in expected])
    np.testing.assert_array_equal(flops.astype(np.float64), [macs for _, macs in expected])


# --------------------------------------------------------------------------------------------------
# Random moves


@pytest.mark.parametrize("parent", [(NONE,) * 6, (SKIP, CONV1X1, CONV3X3, POOL, NONE, SKIP)])
def test_mutation_picks_a_node_and_then_one_of_its_edges(parent):
    num, parent = 60_000, np.asarray(cell(*parent))
    keys = jax.random.split(jax.random.key(1), num)
    children = np.asarray(batched(SPACE.mutate)(keys, np.broadcast_to(parent, (num, 6))))
    changed = children != parent
    assert (changed.sum(1) == 1).all()
    expected = num * np.array([1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9])
    assert stats.chisquare(changed.sum(0), expected).pvalue > 1e-4
    for edge in range(6):
        counts = np.bincount(children[changed[:, edge], edge], minlength=5)
        assert counts[parent[edge]] == 0
        assert stats.chisquare(np.delete(counts, parent[edge])).pvalue > 1e-4


def test_samples_are_uniform():
    archs = batched(SPACE.sample)(jax.random.split(jax.random.key(2), 100_000))
    counts = np.bincount(low_words(SPACE.code, archs) // 125, minlength=125)
    assert stats.chisquare(counts).pvalue > 1e-4
    for position in range(6):
        assert (
            stats.chisquare(np.bincount(np.asarray(archs)[:, position], minlength=5)).pvalue > 1e-4
        )


def test_children_of_a_crossover_are_uniform_mixes():
    num = 64_000
    keys = jax.random.split(jax.random.key(3), num)
    first, second = jnp.zeros((num, 6), jnp.int32), jnp.full((num, 6), 3, jnp.int32)
    children = np.asarray(batched(SPACE.crossover)(keys, first, second))
    counts = np.bincount((children == 3) @ (1 << np.arange(6)), minlength=64)
    assert stats.chisquare(counts).pvalue > 1e-4
