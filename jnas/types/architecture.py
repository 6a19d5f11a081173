"""Types of architectures: keys, vectors, graphs, and the spaces that they are of."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jnas import _shown

# Typed, so that a key is not mistaken for two numbers, nor a row of keys for one.
Key: TypeAlias = jax.Array
"""A typed PRNG key (`jax.random.key`), scalar. A function that takes a key consumes it."""

# int32 even where JAX has 64 bits switched on: tables, histories and files have one type.
Arch: TypeAlias = jax.Array
"""`[D]` int32, one choice per position; position `d` is in `0 … Space.cardinalities[d] - 1`."""

Params: TypeAlias = Any
"""A pytree of weights, passed through without being looked into."""


class Graph(NamedTuple):
    """Graphs of the `C` kinds of cell, padded directed acyclic multigraphs of `N` nodes.

    Edges go from lower to higher nodes. It serves spaces with operations on nodes (every edge then
    has the operation "identity") and spaces with operations on edges (every interior node then has
    the operation "sum"). Where a node may read another one several times there are `K` parallel
    edges between two nodes, and otherwise `K` is 1. `encodings.graphs` makes jraph graphs of them.

    Attributes:
        node_ops: `[C, N]` int32, index into `Space.node_operations`; 0 where `mask` is False.
        edge_ops: `[C, K, N, N]` int32, `edge_ops[c, k, i, j]` is the operation on the `k`-th edge
            `i → j` of cell `c`, an index into `Space.edge_operations`; 0 where there is no edge.
        adjacency: `[C, K, N, N]` bool, True where information flows along that edge.
        mask: `[C, N]` bool, True for nodes that exist. The inputs are the first `Space.num_inputs`
            nodes, the output is node `N - 1`.
    """

    # Padded to one shape a space: `vmap` needs it, and a padded node costs less than a program for
    # each number of nodes.
    node_ops: jax.Array
    edge_ops: jax.Array
    adjacency: jax.Array
    mask: jax.Array


# Spaces, networks and searchers are tuples of pure functions and not classes with methods: `jit`,
# `vmap` and `scan` take functions, and a variant is `_replace` of one of them.
class Space(NamedTuple):
    """Search space: vectors, moves, identity, costs, graphs and strings.

    Attributes:
        name: name of the space, as `jnas.spaces.<name>` and the command line spell it.
        cardinalities: `D` ints, the number of choices at each position.
        node_operations: names of the operations `Graph.node_ops` counts in.
        edge_operations: names of the operations `Graph.edge_ops` counts in.
        sample: `key -> [D]`, a random valid architecture.
        mutate: `(key, [D]) -> [D]`, a valid neighbour of a valid parent.
        crossover: `(key, [D], [D]) -> [D]`, a valid child of two valid parents.
        is_valid: `[D] -> []` bool.
        identity: `[D] -> [W]` uint32, equal exactly for isomorphic cells.
        code: `[D] -> [W]` uint32, what a benchmark looks its rows up by, high word first; `W` is
            the space's own, and mostly 2.
        graph: `[D] -> Graph`.
        params: `[D] -> []` int32, trainable parameters of the whole reference network.
        flops: `[D] -> []` float, multiply-accumulate operations of the reference network's
            convolutions and dense layer for one image (the field prints these as "FLOPs"). Counted
            in exact integers, rounded once to the float width in use.
        to_string: `[D] -> str`, the published text form. Host only.
        from_string: `str -> [D]`; ValueError says what is wrong with the text. Host only.
        enumerate: `() -> [A, D]` NumPy int32, every architecture in ascending order of the vector;
            ValueError where the space is too large. Host only.
        cells: names of the `C` kinds of cell that `graph` shows, such as ("normal", "reduction").
        num_inputs: how many of the first nodes of each cell are inputs, which read no other.
        node_widths: `([D], c_in, c_out) -> [C, N]` int32, channels of the nodes of `graph` in a
            cell from `c_in` to `c_out` channels; None where all nodes of a cell are equally wide.
        text_form: regular expression that the whole of `to_string` matches, by which files that do
            not name their space are told apart; of several that match, the last of `spaces.NAMES`
            counts. Empty: never guessed.
        usual_column: the accuracy of a benchmark's table that is meant where nothing else is said.
        datasets: the data sets that `benchmarks.of_space` has a table of each, the usual one first;
            empty where there is one table, or none.
        sizes: positions of the vector that `graph` does not show, for they are about the whole
            network, such as its width and depth.
        coded_as: name of the space that `code` is the code of, so that its tables answer for this
            one, too (`benchmarks.Table.of`); empty where codes are the space's own.
        sample_code: `key -> [D]`, uniform over the codes of all architectures; None where `sample`
            is, or where nobody has written it.
    """

    name: str
    cardinalities: tuple[int, ...]
    node_operations: tuple[str, ...]
    edge_operations: tuple[str, ...]
    sample: Callable[[Key], Arch]
    mutate: Callable[[Key, Arch], Arch]
    crossover: Callable[[Key, Arch, Arch], Arch]
    is_valid: Callable[[Arch], jax.Array]
    identity: Callable[[Arch], jax.Array]
    code: Callable[[Arch], jax.Array]
    graph: Callable[[Arch], Graph]
    # Costs of the published network, and not of one that a user trains: limits and fronts can be
    # compared with papers.
    params: Callable[[Arch], jax.Array]
    flops: Callable[[Arch], jax.Array]
    to_string: Callable[[Arch | np.ndarray], str]
    from_string: Callable[[str], Arch]
    enumerate: Callable[[], np.ndarray]
    # The rest has defaults for a space with one kind of cell and no table.
    cells: tuple[str, ...] = ("cell",)
    num_inputs: int = 1
    node_widths: Callable[[Arch, int, int], jax.Array] | None = None
    text_form: str = ""
    usual_column: str = ""
    datasets: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    coded_as: str = ""
    sample_code: Callable[[Key], Arch] | None = None

    def __repr__(self) -> str:
        return _shown.space(self)
