"""Recipes of predictors that read cells, and what those of all predictors are encoded by."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn

from jnas import encodings
from jnas.predictors.layers import Scorer, WithSizes
from jnas.predictors.prediction import Recipe
from jnas.predictors.training import Training
from jnas.types import Graph, Space


@functools.cache
def cached(factory: Callable[..., Any], space: Space, **options: Any) -> Callable[[jax.Array], Any]:
    """Encoding of a space: one function for equal options, so that recipes share their programs."""
    # Functions are equal only to themselves, and programs are kept by recipes, which have them.
    encode: Callable[[jax.Array], Any] = factory(space, **options)
    return encode


def of_cells(
    space: Space,
    factory: Callable[[Space], Callable[[jax.Array], Any]],
    encoder: nn.Module,
    training: Training,
    hidden: tuple[int, ...],
    dropout: float,
    pairing: str | None = None,
) -> Recipe:
    """Recipe of an encoder of cells that reads what `factory(space)` makes of architectures."""
    encode = cached(factory, space)
    # What is about the whole network is no part of a graph of its cells.
    if space.sizes:
        encode, encoder = cached(_with_sizes, space, cells=factory), WithSizes(encoder)
    return Recipe(encode, Scorer(encoder, hidden, dropout, pairing), training)


def _with_sizes(
    space: Space, cells: Callable[[Space], Callable[[jax.Array], Any]]
) -> Callable[[jax.Array], Any]:
    """Encoding by `cells(space)`, and of the network's sizes beside them."""
    cells_of, sizes_of = cells(space), encodings.sizes(space)
    return lambda archs: (cells_of(archs), sizes_of(archs))


def graphs(space: Space) -> Callable[[jax.Array], Graph]:
    """Encoding `archs [B, D] -> Graph` with a leading axis `B`, as GATES reads it.

    Cells of several inputs are without their output: their embedding is a mean over other nodes.
    """
    # As published: where there is one input, the embedding is read off the output.
    if space.num_inputs == 1 or not encodings.operations_on_edges(space):
        return jax.vmap(space.graph)
    return jax.vmap(lambda arch: _without_output(space.graph(arch)))


def _without_output(graph: Graph) -> Graph:
    """`Graph` of a cell but its last node."""
    return Graph(
        graph.node_ops[..., :-1],
        graph.edge_ops[..., :-1, :-1],
        graph.adjacency[..., :-1, :-1],
        graph.mask[..., :-1],
    )
