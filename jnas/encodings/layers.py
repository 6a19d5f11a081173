"""Sequence of layers as Peephole reads it: type, kernel and width of each.

Deng, Yan and Lin, "Peephole: Predicting Network Performance Before Training", 2017,
https://arxiv.org/abs/1712.03351, section 3.1: a layer is (type, kernel width, kernel height,
channel ratio), each an integer that gets its own embedding.
"""

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.encodings.graphs import operations_on_edges
from jnas.engine.inputs import check_at_least_one
from jnas.types import Arch, Space


def layers(space: Space, *, num_ratios: int = 8) -> Callable[[jax.Array], jax.Array]:
    """Layers of the pruned cells in topological order, cell by cell.

    Where operations are on nodes a layer is a node, input and output included; where they are on
    edges it is a pair `i < j`, "none" included. The kernel is read off the operation's name
    ("3x3"), 0 where it names none. Each choice about the whole network (`Space.sizes`) is a layer
    of a type of its own, the first ones.

    Args:
        space: where the architectures come from.
        num_ratios: bins of the channel ratio. With `Space.node_widths` (nasbench101) that is the
            vertex's share of the cell's width, in 1 … `num_ratios`; without, every layer keeps the
            width, and has `num_ratios`.

    Returns:
        `archs [B, D] -> [B, L, 4]` int32 (type, kernel width, kernel height, ratio), all 0 for
        padding, which comes last; types count from 1 in the order of `Space.node_operations` or
        `Space.edge_operations`. `L` is 7 for nasbench101 and 6 for nasbench201.

    Raises:
        ValueError: `num_ratios` is less than 1.
    """
    check_at_least_one(num_ratios=num_ratios)
    on_edges = operations_on_edges(space)
    kernels = jnp.asarray(
        [_kernel(name) for name in (space.edge_operations if on_edges else space.node_operations)]
    )

    def sizes_of(arch: Arch) -> jax.Array:
        """`[S, 4]` int32, a layer for each of the `S` choices about the whole network."""
        places = np.array(space.sizes, int)
        # Behind the types of the operations, each choice has so many as it has values.
        counts = [space.cardinalities[place] for place in space.sizes]
        first = np.cumsum([1 + len(kernels), *counts], dtype=np.int32)[:-1]
        types = jnp.asarray(first) + arch[places].astype(jnp.int32)
        full = jnp.full_like(types, num_ratios)
        return jnp.stack([types, jnp.zeros_like(types), jnp.zeros_like(types), full], axis=1)

    def encode_edges(arch: Arch) -> jax.Array:
        """`[L, 4]` int32, layers of a cell with operations on edges."""
        square = space.graph(arch).edge_ops
        rows, columns = np.triu_indices(square.shape[-1], 1)
        ops = square[..., rows, columns].ravel()
        ratios = jnp.full(ops.shape, num_ratios, jnp.int32)
        return jnp.concatenate([sizes_of(arch), _rows(ops, kernels, ratios)])

    def encode_nodes(arch: Arch) -> jax.Array:
        """`[L, 4]` int32, layers of a cell with operations on nodes."""
        graph = space.graph(arch)
        ratios = jnp.full(graph.mask.shape, num_ratios, jnp.int32)
        if space.node_widths is not None:
            reference = 840  # every share 1/1 to 1/5 of it, remainders aside, is whole
            widths = space.node_widths(arch, reference, reference)
            # Rounded up, for a layer's ratio is at least 1 and 0 means padding.
            ratios = -(-widths * num_ratios // reference)
        mask = graph.mask.ravel()
        rows = _rows(graph.node_ops.ravel(), kernels, ratios.ravel())
        # Padding goes to the end, as sequence models want it; a stable sort keeps the other order.
        ordered = jnp.where(mask[:, None], rows, 0)[jnp.argsort(~mask, stable=True)]
        return jnp.concatenate([sizes_of(arch), ordered])

    return jax.vmap(encode_edges if on_edges else encode_nodes)


def num_types(space: Space) -> int:
    """Number of the types that `layers` counts, 0 for padding included; host only."""
    on_edges = operations_on_edges(space)
    operations = space.edge_operations if on_edges else space.node_operations
    return 1 + len(operations) + sum(space.cardinalities[place] for place in space.sizes)


def _kernel(name: str) -> tuple[int, int]:
    """Width and height of the kernel that an operation's name ends in or contains."""
    found = re.search(r"(\d+)x(\d+)", name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _rows(ops: jax.Array, kernels: jax.Array, ratios: jax.Array) -> jax.Array:
    """`[L, 4]` int32 layers from operations `[L]`, kernels `[O, 2]` and ratios `[L]`, from 1."""
    return jnp.concatenate([(ops + 1)[:, None], kernels[ops], ratios[:, None]], axis=1)
