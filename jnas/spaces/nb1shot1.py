"""NAS-Bench-1Shot1: three parts of NAS-Bench-101 whose vertices have fixed numbers of parents.

Zela, Siems and Hutter, "NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot Neural Architecture
Search", ICLR 2020, https://arxiv.org/abs/2001.10422.

An architecture is `[D]` int32: first the parents of each vertex that has a choice of them, the
output last, as the number of a set in `itertools.combinations(range(vertex), in-degree)`; then the
operation of each inner vertex ("choice block"), an index into `nasbench101.OPERATIONS`. Sub-spaces
1 and 2 have four blocks (`D` = 7 and 8), sub-space 3 has five (`D` = 10). Every vector is valid.

`identity` and `code` are those of the NAS-Bench-101 cell, so that blocks without a path to the
output count for nothing and `Table.of` answers from that benchmark's table.
"""

import functools
import itertools
from typing import Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.spaces import _nasbench101_cells as cells
from jnas.spaces import _nasbench101_costs as costs
from jnas.spaces.nasbench101 import OPERATIONS, graph, graph_widths
from jnas.spaces.nasbench101 import from_string as of_text
from jnas.spaces.nasbench101 import to_string as text_of
from jnas.types import Arch, Graph, Space

Subspace: TypeAlias = Literal[1, 2, 3]
_IN_DEGREES = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
"""Parents of each vertex after the input, the output last; always 9 edges."""


class Layout(NamedTuple):
    """Layout of the vectors of a sub-space: what their positions stand for.

    Attributes:
        parents: for each vertex after the input, the output last, all sets of parents.
        chosen: which of these vertices have more than one, the positions of the vector in order.
        cardinalities: `D` ints.
    """

    parents: tuple[tuple[tuple[int, ...], ...], ...]
    chosen: tuple[int, ...]
    cardinalities: tuple[int, ...]

    @property
    def num_blocks(self) -> int:
        """Number of inner vertices."""
        return len(self.parents) - 1


@functools.cache
def layout(subspace: Subspace) -> Layout:
    """`Layout` of a sub-space; ValueError where there is none of that number."""
    if subspace not in get_args(Subspace):
        raise ValueError(f"subspace must be 1, 2 or 3; got {subspace!r}")
    degrees = _IN_DEGREES[subspace]
    parents = tuple(
        tuple(itertools.combinations(range(vertex), degree))
        for vertex, degree in enumerate(degrees, start=1)
    )
    chosen = tuple(i for i, sets in enumerate(parents) if len(sets) > 1)
    sizes = tuple(len(parents[i]) for i in chosen)
    return Layout(parents, chosen, (*sizes, *[len(OPERATIONS)] * (len(parents) - 1)))


def to_nasbench101(arch: Arch, subspace: Subspace = 3) -> Arch:
    """`[26]` int32 vector of NAS-Bench-101 of the same cell, useless vertices included.

    Block `i` is vertex `i` there; of sub-spaces 1 and 2, vertex 5 has no edges and operation 0.
    """
    known = layout(subspace)
    _common.check_arch(arch, known.cardinalities)
    masks = _masks(subspace)
    # By a product with 0 and 1 and not by an index: nothing to clamp, and it maps well.
    numbers = jnp.arange(masks.shape[1], dtype=jnp.int32)
    which = arch[: len(known.chosen), None].astype(jnp.int32) == numbers[None]
    mask = jnp.sum(jnp.where(which, jnp.asarray(masks), 0), dtype=jnp.uint32)
    ops = arch[len(known.chosen) :].astype(jnp.int32)
    missing = jnp.zeros(cells.NUM_INTERIOR - known.num_blocks, jnp.int32)
    return jnp.concatenate([cells.unpack(mask | jnp.uint32(_fixed(subspace))), ops, missing])


@functools.cache
def _masks(subspace: Subspace) -> np.ndarray:
    """`[P, most]` uint32, edge mask of each set of parents at each position; 0 beyond the sets."""
    known = layout(subspace)
    rows = [[_mask(known, i, sets) for sets in known.parents[i]] for i in known.chosen]
    most = max(map(len, rows))
    return np.array([row + [0] * (most - len(row)) for row in rows], np.uint32)


def _fixed(subspace: Subspace) -> int:
    """Edge mask of the vertices without a choice of parents."""
    known = layout(subspace)
    fixed = [i for i in range(len(known.parents)) if i not in known.chosen]
    return sum(_mask(known, i, known.parents[i][0]) for i in fixed)


def _mask(known: Layout, place: int, parents: tuple[int, ...]) -> int:
    """Edge mask of NAS-Bench-101 of the edges into one vertex."""
    vertex = cells.OUTPUT if place == known.num_blocks else place + 1
    return sum(1 << (x + vertex * (vertex - 1) // 2) for x in parents)


def _code(arch: Arch, *, subspace: Subspace) -> jax.Array:
    """`[2]` uint32, `code` and `identity` of NAS-Bench-101."""
    return cells.identity(to_nasbench101(arch, subspace))


def _graph(arch: Arch, *, subspace: Subspace) -> Graph:
    """`Graph` of the pruned NAS-Bench-101 cell."""
    return graph(to_nasbench101(arch, subspace))


def _params(arch: Arch, *, subspace: Subspace) -> jax.Array:
    """`[]` int32, trainable parameters of the NAS-Bench-101 network of the cell."""
    return costs.params(to_nasbench101(arch, subspace))


def _flops(arch: Arch, *, subspace: Subspace) -> jax.Array:
    """`[]` float, multiply-accumulates of that network for one image."""
    return costs.flops(to_nasbench101(arch, subspace))


def _widths(arch: Arch, c_in: int, c_out: int, *, subspace: Subspace) -> jax.Array:
    """`[1, 7]` int32, channels of the vertices of the graph in that network."""
    return graph_widths(to_nasbench101(arch, subspace), c_in, c_out)


# Host functions below need many small operations a cell; compiled, a row takes microseconds.
_to_nasbench101_compiled = jax.jit(to_nasbench101, static_argnums=1)


def _to_string(arch: Arch | np.ndarray, *, subspace: Subspace) -> str:
    """Text form of NAS-Bench-101, a part for every block; ValueError for a choice out of range."""
    sizes = layout(subspace).cardinalities
    needs = f"{len(sizes)} integers from 0, below {', '.join(map(str, sizes))}"
    vector = _common.checked_vector(arch, sizes, "NAS-Bench-1Shot1 vector", needs)
    return text_of(np.asarray(_to_nasbench101_compiled(vector, subspace)))


def _from_string(text: str, *, subspace: Subspace) -> Arch:
    """`[D]` int32 from the text form; ValueError names the vertex that does not fit."""
    known = layout(subspace)
    vector = np.asarray(of_text(text))
    num = text.count("|")
    if num != known.num_blocks:
        raise ValueError(
            f"not a cell of sub-space {subspace} of NAS-Bench-1Shot1: {text!r}; it has "
            f"{known.num_blocks} vertices and the output, not {num}"
        )
    places = []
    for place, sets in enumerate(known.parents):
        vertex = cells.OUTPUT if place == num else place + 1
        found = tuple(x for x in range(vertex) if vector[cells.EDGES.index((x, vertex))])
        if found not in sets:
            name = "the output" if place == num else f"vertex {vertex}"
            raise ValueError(
                f"not a cell of sub-space {subspace} of NAS-Bench-1Shot1: {text!r}; {name} has "
                f"{len(found)} sources and needs {len(sets[0])}"
            )
        places += [sets.index(found)] if place in known.chosen else []
    ops = vector[cells.NUM_EDGE_BITS :][:num]
    return _common.as_vector([*places, *ops.tolist()])


@functools.cache
def _enumerate(*, subspace: Subspace) -> np.ndarray:
    """`[A, D]` int32, ascending: the first vector of each class of equal cells."""
    vectors = _common.all_vectors(layout(subspace).cardinalities)
    codes = jax.jit(jax.vmap(functools.partial(_code, subspace=subspace)))
    # In pieces of one size, for one program and little memory.
    pieces = np.array_split(vectors, range(_PIECE, len(vectors), _PIECE))
    padded = [np.pad(piece, ((0, _PIECE - len(piece)), (0, 0))) for piece in pieces]
    words = np.concatenate([np.asarray(codes(piece)) for piece in padded])[: len(vectors)]
    keys = words[:, 0].astype(np.uint64) << np.uint64(32) | words[:, 1]
    return vectors[np.sort(np.unique(keys, return_index=True)[1])]


_PIECE = 2**14


def chained(subspace: Subspace = 3) -> np.ndarray:
    """`[A, D]` int32, ascending: the cells with the path 0 → 1 → 2 … through all blocks.

    Of sub-space 3 these are the 14,580 cells from which the supernets of Ning et al. ("Evaluating
    Efficient Performance Estimators of Neural Architectures", NeurIPS 2021) are trained and scored.
    They have no useless vertex; isomorphic ones are listed each.
    """
    known = layout(subspace)
    # The vertex before is the last of the parents.
    choices = [
        [n for n, sets in enumerate(known.parents[i]) if sets[-1] == i] for i in known.chosen
    ]
    choices += [list(range(size)) for size in known.cardinalities[len(known.chosen) :]]
    return np.array(list(itertools.product(*choices)), np.int32)


def nb1shot1(*, subspace: Subspace = 3) -> Space:
    """NAS-Bench-1Shot1, a `Space`.

    Args:
        subspace: 1 has 14,580 vectors and 2,685 different cells, 2 has 29,160 and 7,773, and 3 has
            1,312,200 and 55,854.

    Returns:
        A `Space` whose `code` and `identity` are those of the NAS-Bench-101 cell, and whose costs
        are those of its network. `sample` is uniform over vectors, as in the paper; `mutate` gives
        one position, each with the same probability, another of its choices. `enumerate` has one
        vector of each different cell. Sub-space 3 is named "nb1shot1", the others "nb1shot1_s1" and
        "nb1shot1_s2".

    Raises:
        ValueError: there is no such sub-space.
    """
    return _space(subspace)


# Cached by position, for the same space with and without its default spelled out.
@functools.cache
@pickled_by_call
def _space(subspace: Subspace) -> Space:
    """Sub-space, one object for each."""
    sizes = layout(subspace).cardinalities
    code = functools.partial(_code, subspace=subspace)
    return Space(
        name="nb1shot1" if subspace == 3 else f"nb1shot1_s{subspace}",
        cardinalities=sizes,
        node_operations=("input", *OPERATIONS, "output"),
        edge_operations=("none", "identity"),
        **_common.uniform_moves(sizes),
        identity=code,
        code=code,
        graph=functools.partial(_graph, subspace=subspace),
        params=functools.partial(_params, subspace=subspace),
        flops=functools.partial(_flops, subspace=subspace),
        to_string=functools.partial(_to_string, subspace=subspace),
        from_string=functools.partial(_from_string, subspace=subspace),
        enumerate=functools.partial(_enumerate, subspace=subspace),
        node_widths=functools.partial(_widths, subspace=subspace),
        # No text form by which files are told apart: it is that of NAS-Bench-101, whose files are
        # the ones there are.
        usual_column="test_accuracy",
        coded_as="nasbench101",
    )
