"""NAS-Bench-201, also NATS-Bench topology: 6 edges, 5 operations, 15,625 cells.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR
2020, https://arxiv.org/abs/2001.00326.

A cell has 4 nodes; each pair `i < j` is joined by one operation and a node is the sum of what comes
in. An architecture is `[6]` int32, the operations of the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3 (the
order of the official string), each an index into `OPERATIONS`.
"""

import functools
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas import _renamed
from jnas.engine.messages import nearest
from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.types import Arch, Graph, Key, Space

# The order of the authors' code. Pairs of nodes without an edge have operation 0 in a `Graph`,
# which is "none" here, too.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1X1, CONV3X3, POOL = range(5)
Edges: TypeAlias = tuple[tuple[int, int], ...]
EDGES: Edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
# Edges into a node are contiguous: those into node `j` start at `j (j - 1) / 2`.
CARDINALITIES = (len(OPERATIONS),) * len(EDGES)
Identity: TypeAlias = Literal["isomorphism", "skips", "function"]
"""Equivalence of cells that `Space.identity` tells; see `nasbench201`."""

# (channels, cells, pixels of the feature map) of the three stages of the reference network.
_STAGES = ((16, 5, 32 * 32), (32, 5, 16 * 16), (64, 5, 8 * 8))


def is_valid(arch: Arch) -> jax.Array:
    """`[]` bool: every operation exists. A cell without a path to its output is valid, too."""
    # The benchmark has trained all 15,625, disconnected ones included.
    return _common.in_range(arch, CARDINALITIES)


def sample(key: Key) -> Arch:
    """`[6]` int32, uniform over the 15,625 vectors."""
    return jax.random.randint(key, (len(EDGES),), 0, len(OPERATIONS), jnp.int32)


@_common.keeps_dtype
def mutate(key: Key, arch: Arch) -> Arch:
    """`[6]` mutant by the published move: a random node, an edge into it, a different operation.

    Each is uniform, and edges are therefore not: 0→1 changes with probability 1/3, those of node 3
    with 1/9 each. The child always differs from the parent. The authors' regularized evolution
    moves so.
    """
    _common.check_arch(arch, CARDINALITIES)
    node_key, edge_key, op_key = jax.random.split(key, 3)
    node = jax.random.randint(node_key, (), 1, 4)
    edge = node * (node - 1) // 2 + jax.random.randint(edge_key, (), 0, node)
    shift = jax.random.randint(op_key, (), 1, len(OPERATIONS), jnp.int32)
    return arch.at[edge].set((arch[edge] + shift) % len(OPERATIONS))


def code(arch: Arch) -> jax.Array:
    """`[2]` uint32, the mixed-radix number of the vector, 0 to 15,624, in the low word."""
    return _common.mixed_radix_code(arch, CARDINALITIES)


def graph(arch: Arch) -> Graph:
    """`Graph` with operations on edges: 4 nodes, an edge where the operation is not "none"."""
    _common.check_arch(arch, CARDINALITIES)
    return _common.edges_graph(arch, EDGES, NONE)


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters with 16 channels, 5 cells a stage and 10 classes."""
    conv1x1, conv3x3 = _num_convolutions(arch)
    # Stem 464, residual blocks 14,464 and 57,600, last batch norm 128, classifier 650. The
    # shortcuts of the residual blocks have no batch norm.
    total = jnp.asarray(73_306, jnp.int32)
    # Pooling has no batch norm in this benchmark.
    for channels, cells, _ in _STAGES:
        norm = 2 * channels
        total += cells * (conv1x1 * (channels**2 + norm) + conv3x3 * (9 * channels**2 + norm))
    return total


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates for one 32x32x3 image.

    Exact in float32, for all are multiples of 64 below 2^30. The published numbers are in millions,
    and larger by the 10 additions of the classifier's bias.
    """
    conv1x1, conv3x3 = _num_convolutions(arch)
    # Stem 442,368, residual blocks 3,670,016 each, classifier 640.
    total = jnp.asarray(7_783_040, jnp.int32)
    for channels, cells, pixels in _STAGES:
        total += cells * pixels * channels**2 * (conv1x1 + 9 * conv3x3)
    return total.astype(jnp.result_type(float))


def _num_convolutions(arch: Arch) -> tuple[jax.Array, jax.Array]:
    """Numbers of 1x1 and of 3x3 convolutions of a cell, `[]` int32 each.

    They decide both costs, for edges of a cell all have the same channels and pixels.
    """
    _common.check_arch(arch, CARDINALITIES)
    return jnp.sum(arch == CONV1X1, dtype=jnp.int32), jnp.sum(arch == CONV3X3, dtype=jnp.int32)


def to_string(arch: Arch | np.ndarray) -> str:
    """Official text `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`; ValueError for an invalid vector."""
    return cell_to_string(arch, OPERATIONS, EDGES, "NAS-Bench-201")


def from_string(text: str) -> Arch:
    """`[6]` int32 from the official text; ValueError names the part that is wrong."""
    return cell_from_string(text, OPERATIONS, EDGES, "NAS-Bench-201")


def cell_to_string(
    arch: Arch | np.ndarray, operations: Sequence[str], edges: Edges, title: str
) -> str:
    """Official text form, with other names of operations and another order of edges.

    Args:
        arch: `[6]` integers, the operation of each of the `edges`.
        operations: names of the operations.
        edges: the 6 pairs of nodes, in the order of the vector.
        title: of the benchmark, for messages.

    Raises:
        ValueError: as `checked_cell`.
    """
    ops = checked_cell(arch, title)
    words = [f"{operations[ops[edges.index(edge)]]}~{edge[0]}" for edge in EDGES]
    return "+".join(f"|{'|'.join(words[start:stop])}|" for start, stop in ((0, 1), (1, 3), (3, 6)))


def checked_cell(arch: ArrayLike, title: str) -> np.ndarray:
    """Operations `[6]` int32 of a cell of the benchmark `title`; ValueError where it is none."""
    needs = "6 integers from 0 to 4"
    return _common.checked_vector(arch, CARDINALITIES, f"{title} architecture", needs)


def cell_from_string(text: str, operations: Sequence[str], edges: Edges, title: str) -> Arch:
    """`[6]` int32, the inverse of `cell_to_string`; ValueError names the part that is wrong."""
    words = re.findall(r"([^|+~]+)~(\d+)", text)
    for op, _ in words:
        if op not in operations:
            raise ValueError(f"unknown operation {op!r} in {text!r}. {nearest(op, operations)}")
    numbers = [operations.index(op) for op, _ in words]
    arch = [numbers[EDGES.index(edge)] for edge in edges] if len(numbers) == len(EDGES) else []
    # The search above steps over whatever it does not know: written again, the text must be equal.
    if not arch or cell_to_string(np.asarray(arch), operations, edges, title) != text.strip():
        form = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
        raise ValueError(f"not a {title} architecture: {text!r}; the form is {form}")
    return _common.as_vector(arch)


def enumerate_cells() -> np.ndarray:
    """`[15625, 6]` int32, ascending; row `i` has `code` `i`."""
    return _common.all_vectors(CARDINALITIES)


def _canonical_text(arch: np.ndarray, kind: Identity) -> str:
    """Text of what a cell computes, as published: skips written through, summands sorted."""
    nodes = ["0"]
    for target in (1, 2, 3):
        summands = []
        for op, (source, end) in zip(arch, EDGES, strict=True):
            if end != target:
                continue
            if kind != "skips" and (op == NONE or nodes[source] == "#"):
                summands.append("#")
            elif op == SKIP:
                summands.append(nodes[source])
            else:
                summands.append(f"({nodes[source]})@{OPERATIONS[op]}")
        # Empty is "#" alone: in the publication a node with two empty summands is "#+#", and edges
        # from it count. Its 6,466 classes come out only so.
        if kind == "function":
            summands = [text for text in summands if text != "#"] or ["#"]
        nodes.append("+".join(sorted(summands)))
    return nodes[-1]


@functools.cache
def _class_codes(kind: Identity) -> np.ndarray:
    """`[15625]` uint32, the smallest code among the cells with the same canonical text."""
    # Texts cannot be traced; as a table of 61 KiB the equivalence is one gather in a program.
    first: dict[str, int] = {}
    texts = (_canonical_text(arch, kind) for arch in enumerate_cells())
    return np.array([first.setdefault(text, i) for i, text in enumerate(texts)], np.uint32)


def identity(arch: Arch, kind: Identity = "isomorphism") -> jax.Array:
    """`[2]` uint32, the smallest code among the equivalent cells; see `nasbench201`."""
    low = jnp.asarray(_class_codes(kind))[code(arch)[1]]
    return jnp.stack([jnp.zeros_like(low), low])


# Named in full: within the function `identity` is its argument.
_identity = identity


@_renamed.arguments(consider_zero="identity", values={True: "isomorphism", False: "skips"})
@functools.cache
@pickled_by_call
def nasbench201(*, identity: Identity = "isomorphism") -> Space:
    """NAS-Bench-201, a `Space`.

    Args:
        identity: which cells have the same `identity`. "isomorphism": the published 6,466 classes;
            "none" edges, and edges that leave node 1 where nothing enters it, carry nothing.
            "skips": published as well (12,751 classes); only skips are transparent and "none" is an
            ordinary operation. "function": 5,390 classes; whatever carries nothing is left out, so
            that neither its place nor how much of it there is counts. All three compare the
            published text form. It does not flatten sums of sums: some cells that compute the same
            stay apart (flattened, there would be 4,930). And it writes an operation that two
            paths share twice, as if each had its own. So cells of one class compute the same where
            edges with equal operations have equal weights, and batch norms no bias, which is all
            that a convolution of nothing adds: as drawn, not as trained.

    Returns:
        A `Space` with `D = 6`. `mutate` always differs from its parent.

    Raises:
        ValueError: an unknown `identity`.
    """
    if identity not in get_args(Identity):
        raise ValueError(
            f"unknown identity {identity!r}. {nearest(str(identity), get_args(Identity))}"
        )
    return Space(
        name="nasbench201",
        cardinalities=CARDINALITIES,
        node_operations=("input", "sum", "output"),
        edge_operations=OPERATIONS,
        sample=sample,
        mutate=mutate,
        crossover=_common.uniform_crossover,
        is_valid=is_valid,
        identity=functools.partial(_identity, kind=identity),
        code=code,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_cells,
        text_form=r"\|.*",
        usual_column="val_accuracy",
        datasets=("cifar10", "cifar100", "imagenet16"),
    )
