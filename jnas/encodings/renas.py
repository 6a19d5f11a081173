"""ReNAS tensor: a type matrix, and FLOPs and parameters of the network's nine cells.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021, section 3.1,
https://arxiv.org/abs/1910.01523. Nodes are sorted by depth (longest path from the input), the
missing ones stand just before the output, and entry `(i, j)` of each matrix carries the value of
node `j` where information flows `i → j`. The paper's figure does not say whether rows or columns
carry it; this is how the public re-implementation in aw_nas reads it.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import simple_graph
from jnas.types import Arch, Graph, Space

# Operation of a node to its type number and kernel area. The numbers are those of aw_nas, for the
# authors published only tensors made with theirs.
_NODES = {
    "input": (1, 0),
    "conv1x1-bn-relu": (2, 1),
    "conv3x3-bn-relu": (3, 9),
    "maxpool3x3": (4, 0),
    "output": (5, 0),
}
# Operation of an edge to its kernel area.
_EDGES = {"none": 0, "skip_connect": 0, "nor_conv_1x1": 1, "nor_conv_3x3": 9, "avg_pool_3x3": 0}
# (channels in, channels out, the stack's down-sampling) of the nine cells of NAS-Bench-101. The
# first cell of a stack has features of its own, for it doubles the width.
_CELLS = (
    *[(128, 128, 1)] * 3,
    (128, 256, 2),
    *[(256, 256, 2)] * 2,
    (256, 512, 4),
    *[(512, 512, 4)] * 2,
)


def renas(
    space: Space, *, type_only: bool = False, image_size: int = 28
) -> Callable[[jax.Array], jax.Array]:
    """`[19, 7, 7]` tensor of ReNAS, or its type matrix alone (predictors v1 and v3).

    Channels are [types, FLOPs of cell 1, parameters of cell 1, FLOPs of cell 2, ...]. A convolution
    of `c` channels has `k² c²` parameters; the 1x1 projection of an edge from the input, `c_in c`,
    is added in row 0. FLOPs are parameters times pixels. Types are input 1, conv1x1 2, conv3x3 3,
    maxpool 4, output 5. Standardise the features with the statistics of the training set.

    Args:
        space: nasbench101. For nasbench201, which the paper does not treat, there are a type matrix
            (entry `(i, j)` is the operation of the edge, none 0) and the FLOPs and parameters of a
            cell of each of the three stages, at 32x32 images and 16 channels.
        type_only: keep the first channel only.
        image_size: height and width of the first stack's feature maps; 28 is that of aw_nas.

    Returns:
        `archs [B, D] -> [B, 19, 7, 7]` float32 (`[B, 7, 4, 4]` for nasbench201; one channel with
        `type_only`), whole numbers, exact up to 2^24.

    Raises:
        ValueError: another space, or an `image_size` that is not a multiple of 4.
    """
    graph_of = simple_graph(space, "the ReNAS tensor")
    if set(space.edge_operations) <= set(_EDGES):
        return jax.vmap(functools.partial(_encode_edges, space, graph_of, type_only))
    widths_of = space.node_widths
    if widths_of is None or not set(space.node_operations) <= set(_NODES):
        raise ValueError(
            f"the ReNAS tensor is defined for nasbench101 and nasbench201; got {space.name}"
        )
    if image_size < 4 or image_size % 4:
        raise ValueError(f"image_size must be a multiple of 4; got {image_size}")
    types_of, taps_of = np.array([_NODES[name] for name in space.node_operations], np.int32).T

    def encode(arch: Arch) -> jax.Array:
        """`[19, 7, 7]` float32 tensor of one cell, or `[1, 7, 7]`."""
        graph = graph_of(arch)
        order = _by_depth(graph)
        edges = graph.adjacency[order][:, order].astype(jnp.int32)
        node_ops, exists = graph.node_ops[order], graph.mask[order]
        types = edges * jnp.where(exists, jnp.asarray(types_of)[node_ops], 0)[None]
        if type_only:
            return types[None].astype(jnp.float32)
        taps = jnp.where(exists, jnp.asarray(taps_of)[node_ops], 0)
        # In integers, so that what is beyond 2^24 is rounded once.
        matrices = [types]
        for c_in, c_out, downsampling in _CELLS:
            width = widths_of(arch, c_in, c_out)[0][order]
            params = edges * (taps * width * width)[None]
            params = params.at[0].add(edges[0] * c_in * width)
            matrices += [params * (image_size // downsampling) ** 2, params]
        return jnp.stack(matrices).astype(jnp.float32)

    return jax.vmap(encode)


def _encode_edges(
    space: Space, graph_of: Callable[[Arch], Graph], type_only: bool, arch: Arch
) -> jax.Array:
    """`[7, 4, 4]` float32, operations on edges; blocks between stages count for nothing."""
    ops = graph_of(arch).edge_ops
    taps = jnp.asarray([_EDGES[name] for name in space.edge_operations])[ops]
    matrices = [ops]
    for stage in range(0 if type_only else 3):
        width, size = 16 * 2**stage, 32 // 2**stage
        matrices += [taps * (width * width * size * size), taps * (width * width)]
    return jnp.stack(matrices).astype(jnp.float32)


def _by_depth(graph: Graph) -> jax.Array:
    """`[7]` int32, nodes in the order of the tensor; equally deep ones stay in their order."""
    # Sources come before their targets in a `Graph`: one pass finds every longest path.
    depths = [jnp.zeros((), jnp.int32)]
    for node in range(1, graph.mask.shape[0]):
        sources = jnp.stack(depths)
        depths.append(jnp.max(jnp.where(graph.adjacency[:node, node], sources + 1, 0)))
    # Deeper than any node are the missing ones, and deeper than these the output, which is last.
    depth = jnp.where(graph.mask, jnp.stack(depths), graph.mask.shape[0])
    return jnp.argsort(depth.at[-1].set(graph.mask.shape[0] + 1), stable=True)
