"""Graphs as tests write them down."""

from jnas.types import Graph


def simple(graph: Graph) -> Graph:
    """The only kind of cell and its single edges, without the axes `C` and `K`, which are 1."""
    assert graph.edge_ops.shape[-4:-2] == (1, 1)
    return Graph(
        graph.node_ops[..., 0, :],
        graph.edge_ops[..., 0, 0, :, :],
        graph.adjacency[..., 0, 0, :, :],
        graph.mask[..., 0, :],
    )
