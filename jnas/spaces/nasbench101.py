"""NAS-Bench-101: 423,624 cells of up to 7 vertices and 9 edges, operations on vertices.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019,
https://arxiv.org/abs/1902.09635.

An architecture is `[26]` int32. Positions 0 to 20 are edge bits: `x → y` (`x < y`) is position
`x + y(y-1)/2`; vertex 0 is the input and 6 the output. Positions 21 to 25 are the operations of
vertices 1 to 5, each an index into `OPERATIONS`. Vertices off every input → output path count for
nothing ("pruning"); a cell is valid if a path exists and at most 9 edges are left after pruning.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.messages import nearest
from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.spaces import _nasbench101_cells as cells
from jnas.spaces import _nasbench101_costs as costs
from jnas.spaces import _nasbench101_moves as moves
from jnas.types import Arch, Graph, Key, Space

# The order of the published code, whose hash labels operations by it.
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
_SHORT = ("conv3x3", "conv1x1", "maxpool3x3")
_E = cells.NUM_EDGE_BITS


def is_valid(arch: Arch) -> jax.Array:
    """`[]` bool: choices in range, input and output connected, at most 9 edges after pruning."""
    return _common.in_range(arch, cells.CARDINALITIES) & cells.is_valid_mask(cells.pack(arch))


def graph(arch: Arch) -> Graph:
    """`Graph` of the pruned cell, operations on nodes: `N = 7`, padding just before the output."""
    _common.check_arch(arch, cells.CARDINALITIES)
    # Pruned, so that readers of graphs see no vertex that counts for nothing, and one graph for all
    # vectors that differ in such vertices alone.
    arch = cells.compacted(arch)
    sources, targets = np.array(cells.EDGES).T
    adjacency = jnp.zeros((7, 7), bool).at[sources, targets].set(arch[:_E] == 1)
    # Of a pruned cell every vertex has an edge.
    mask = jnp.any(adjacency, axis=0) | jnp.any(adjacency, axis=1)
    ends = jnp.asarray([0], jnp.int32), jnp.asarray([len(OPERATIONS) + 1], jnp.int32)
    node_ops = jnp.concatenate([ends[0], arch[_E:].astype(jnp.int32) + 1, ends[1]])
    edges = adjacency[None, None]
    return Graph(jnp.where(mask, node_ops, 0)[None], edges.astype(jnp.int32), edges, mask[None])


def prune(arch: Arch) -> Arch:
    """`[26]` vector of the same cell without useless vertices and edges, numbered without gaps.

    Isomorphic cells may still differ in the order of vertices; compare `Space.identity`.
    """
    _common.check_arch(arch, cells.CARDINALITIES)
    return cells.compacted(arch)


def widths(arch: Arch, c_in: int, c_out: int) -> jax.Array:
    """`[7]` int32, channels of the vertices of the cell in a network (Ying et al., appendix).

    Args:
        arch: `[26]`; vertices are numbered as in it, and those that pruning removes have width 0.
        c_in: channels of the cell's input.
        c_out: channels of its output.
    """
    return jnp.stack(costs.vertex_channels(cells.pruned(cells.pack(arch)), c_in, c_out))


def graph_widths(arch: Arch, c_in: int, c_out: int) -> jax.Array:
    """`[1, 7]` int32, `widths` of the vertices as `graph` numbers them."""
    return widths(prune(arch), c_in, c_out)[None]


# Host functions below need many small operations a cell; compiled, a row takes microseconds.
_is_valid_compiled, _prune_compiled = jax.jit(is_valid), jax.jit(prune)


def to_matrix(arch: Arch | np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Adjacency matrix and operations of the pruned cell, as Ying et al. publish it.

    Args:
        arch: `[26]` integers.

    Returns:
        `[V, V]` upper-triangular 0/1 int32 matrix and `V` names, "input" first and "output" last.

    Raises:
        ValueError: `arch` is no vector of this space.
    """
    vector = np.asarray(_prune_compiled(jnp.asarray(_checked(arch))))
    matrix = np.zeros((7, 7), np.int32)
    matrix[tuple(np.array(cells.EDGES).T)] = vector[:_E]
    # Every inner vertex that pruning keeps has a target.
    keep = [0, *(v for v in range(1, 6) if matrix[v].any()), 6]
    names = ["input", *(OPERATIONS[op] for op in vector[_E:]), "output"]
    return matrix[np.ix_(keep, keep)], [names[v] for v in keep]


def from_matrix(matrix: np.ndarray | Sequence[Sequence[int]], operations: Sequence[str]) -> Arch:
    """`[26]` int32 from an adjacency matrix and operation names.

    Args:
        matrix: `[V, V]` 0/1, upper triangular, `2 <= V <= 7`.
        operations: `V` names, "input" first and "output" last.

    Raises:
        ValueError: the shape, a name or an entry is wrong, or the cell is invalid.
    """
    edges, num = np.asarray(matrix), len(operations)
    if edges.shape != (num, num) or not 2 <= num <= 7:
        raise ValueError(
            f"need a [V, V] matrix and V names, 2 <= V <= 7; got {edges.shape} and {num} names"
        )
    if np.any(np.tril(edges)) or not np.isin(edges, (0, 1)).all():
        raise ValueError("the adjacency matrix must be upper triangular with entries 0 and 1")
    if operations[0] != "input" or operations[-1] != "output":
        raise ValueError(
            f"operations start with 'input' and end with 'output'; got {list(operations)}"
        )
    ops = [_operation(name) for name in operations[1:-1]]
    # The output is always vertex 6: padding goes between the last inner vertex and it.
    full = np.zeros((7, 7), np.int32)
    index = [*range(num - 1), 6]
    full[np.ix_(index, index)] = edges
    bits = full[tuple(np.array(cells.EDGES).T)]
    return _common.as_vector(_valid([*bits, *ops, *[0] * (5 - len(ops))]))


def to_string(arch: Arch | np.ndarray) -> str:
    """Text form: each vertex with its sources, `conv3x3:0|maxpool3x3:0,1|output:1,2`.

    Vertices are written as the vector has them, useless ones included, so that `from_string` gives
    the same vector back; unused last ones are left out. ValueError for a choice out of range.
    """
    vector = _checked(arch)
    sources = [[x for x in range(y) if vector[x + y * (y - 1) // 2]] for y in range(7)]
    used = [
        v for v in range(1, 6) if sources[v] or vector[_E + v - 1] or any(v in s for s in sources)
    ]
    last = max(used, default=0)
    names = [_SHORT[vector[_E + v - 1]] for v in range(1, last + 1)]
    rows = [*zip(names, sources[1 : last + 1], strict=True), ("output", sources[6])]
    return "|".join(f"{name}:{','.join(map(str, row))}" for name, row in rows)


def from_string(text: str) -> Arch:
    """`[26]` int32 from the text form of `to_string`; ValueError names the part that is wrong."""
    rows = [part.partition(":") for part in text.strip().split("|")]
    if rows[-1][0] != "output" or len(rows) > 6:
        raise ValueError(
            f"not a NAS-Bench-101 cell: {text!r}; needs up to 5 vertices, then 'output:…'"
        )
    vector = [0] * 26
    for v, (name, _, row) in enumerate(rows, start=1):
        # The last row is the output, which is vertex 6 however many there are.
        y = 6 if v == len(rows) else v
        if y < 6:
            vector[_E + v - 1] = _operation(name)
        for source in filter(None, row.split(",")):
            if not source.isdecimal() or int(source) >= v:
                raise ValueError(
                    f"vertex {v} of {text!r} has source {source!r}; valid: 0 to {v - 1}"
                )
            vector[int(source) + y * (y - 1) // 2] = 1
    return _common.as_vector(_valid(vector))


def _operation(name: str) -> int:
    """Index of an operation from its published or its short name; ValueError for others."""
    for names in (OPERATIONS, _SHORT):
        if name in names:
            return names.index(name)
    raise ValueError(f"unknown operation {name!r}. {nearest(name, (*_SHORT, *OPERATIONS[:2]))}")


def _checked(arch: Arch | np.ndarray) -> np.ndarray:
    """`[26]` int32 with every choice in range; ValueError otherwise."""
    needs = "21 bits and 5 numbers 0 to 2"
    return _common.checked_vector(arch, cells.CARDINALITIES, "NAS-Bench-101 vector", needs)


def _valid(vector: Sequence[int]) -> Sequence[int]:
    """`vector` itself; ValueError where its cell is invalid."""
    if not bool(_is_valid_compiled(_common.as_vector(vector))):
        raise ValueError(
            "invalid NAS-Bench-101 cell: no path from input to output, or more than 9 edges"
        )
    return vector


def enumerate_cells() -> np.ndarray:
    """`[423624, 26]` int32, ascending: one pruned representative of each isomorphism class."""
    return cells.codes_to_vectors(cells.enumerate_codes())


# Cached, for functions of a space are static arguments of compiled programs and `partial` objects
# equal only themselves: another space of the same options would compile everything again.
@functools.cache
@pickled_by_call
def nasbench101(
    *,
    sample: Literal["official", "uniform"] = "official",
    mutate: Literal["official", "edge"] = "official",
    mutation_rate: float = 1.0,
    allow_parent: bool = False,
) -> Space:
    """NAS-Bench-101, a `Space`.

    Args:
        sample: "official" draws edges with probability ½ and uniform operations until the cell is
            valid, as the published random search does; "uniform" draws from the 423,624 cells.
        mutate: "official" flips each edge with probability `mutation_rate`/7 and changes each
            operation with probability `mutation_rate`/5 until the cell is valid; "edge" flips one
            edge of the pruned cell and no operation, as the NASWOT experiments do.
        mutation_rate: expected number of changes to operations; only for "official".
        allow_parent: True lets the official mutation return the parent's own vector, as published.

    Returns:
        A `Space` with `D = 26`. `code` is `identity`, invariant under isomorphism and pruning.

    Raises:
        ValueError: an option is unknown, or the rate is not in (0, 5].
    """
    samplers = {"official": moves.sample_official, "uniform": moves.sample_uniform}
    official = functools.partial(
        moves.mutate_official, mutation_rate=mutation_rate, allow_parent=allow_parent
    )
    mutators: dict[str, Callable[[Key, Arch], Arch]] = {
        "official": official,
        "edge": moves.mutate_edge,
    }
    for option, choice, known in (("sample", sample, samplers), ("mutate", mutate, mutators)):
        if choice not in known:
            raise ValueError(f"unknown {option} {choice!r}. {nearest(choice, tuple(known))}")
    if not 0 < mutation_rate <= 5:
        raise ValueError(f"mutation_rate must be in (0, 5]; got {mutation_rate}")
    return Space(
        name="nasbench101",
        cardinalities=cells.CARDINALITIES,
        node_operations=("input", *OPERATIONS, "output"),
        edge_operations=("none", "identity"),
        sample=samplers[sample],
        mutate=mutators[mutate],
        crossover=moves.crossover,
        is_valid=is_valid,
        identity=cells.identity,
        # The published table has one row for each class of isomorphic cells.
        code=cells.identity,
        graph=graph,
        params=costs.params,
        flops=costs.flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_cells,
        node_widths=graph_widths,
        text_form=r"(.*\|)?output:.*",
        usual_column="test_accuracy",
    )
