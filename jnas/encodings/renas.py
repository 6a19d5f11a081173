"""ReNAS tensor: a type matrix, and FLOPs and parameters of the network's nine cells.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021, section 3.1,
https://arxiv.org/abs/1910.01523. Nodes are sorted by depth (longest path from the input), the
missing ones stand just before the output, and entry `(i, j)` of each matrix carries the value of
node `j` where information flows `i → j`. The paper's figure does not say whether rows or columns
carry it; this is how the public re-implementation in aw_nas reads it.

The paper has cells of NAS-Bench-101 alone. Where operations are on edges, entry `(i, j)` carries
the value of the edge; kinds of cell follow each other, as do parallel edges of the type matrix.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.encodings.graphs import operations_on_edges
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

    Where operations are on edges, types are their numbers ("none" 0), and costs are those of a cell
    of each of three stages, at 32x32 images and 16 channels; of the two last where a kind of cell
    is one of reduction, whose edges from its inputs have stride 2. In chains types are numbers of
    node operations from 1. What no layer's costs tell, as in chains, or where the network's width
    and depth are choices, is in two constant matrices, the network's FLOPs and parameters.

    Args:
        space: where the architectures come from.
        type_only: keep the type matrices only.
        image_size: height and width of the feature maps of nasbench101's first stack; 28 is that of
            aw_nas.

    Returns:
        `archs [B, D] -> [B, F, N, N]` float32, whole numbers, exact up to 2^24; `F` is 19 for
        nasbench101, 7 for nasbench201, 12 for nasbench301 and 3 for chains.

    Raises:
        ValueError: an `image_size` that is not a multiple of 4.
    """
    if image_size < 4 or image_size % 4:
        raise ValueError(f"image_size must be a multiple of 4; got {image_size}")
    if operations_on_edges(space):
        encode = functools.partial(_encode_edges, space, type_only)
    elif space.node_widths is not None and set(space.node_operations) <= set(_NODES):
        encode = functools.partial(_encode_nodes, space, image_size, type_only)
    else:
        encode = functools.partial(_encode_chain, space, type_only)
    return jax.vmap(lambda arch: encode(arch).astype(jnp.float32))


def _encode_nodes(space: Space, image_size: int, type_only: bool, arch: Arch) -> jax.Array:
    """`[19, 7, 7]` tensor of a cell of NAS-Bench-101, or `[1, 7, 7]`."""
    numbers, taps_of = np.array([_NODES[name] for name in space.node_operations], np.int32).T
    graph, order = _sorted(space, arch)
    edges = graph.adjacency.astype(jnp.int32)
    # In integers, so that what is beyond 2^24 is rounded once.
    matrices = [_types(graph, numbers)]
    taps = jnp.where(graph.mask, jnp.asarray(taps_of)[graph.node_ops], 0)
    widths_of: Any = space.node_widths  # not None, for the space has these operations
    for c_in, c_out, downsampling in () if type_only else _CELLS:
        width = widths_of(arch, c_in, c_out)[0][order]
        params = edges * (taps * width * width)[None]
        params = params.at[0].add(edges[0] * c_in * width)
        matrices += [params * (image_size // downsampling) ** 2, params]
    return jnp.stack(matrices)


def _encode_chain(space: Space, type_only: bool, arch: Arch) -> jax.Array:
    """`[3, N, N]` tensor of a graph whose nodes have no costs of their own, or `[1, N, N]`."""
    numbers = np.arange(1, len(space.node_operations) + 1, dtype=np.int32)
    types = _types(_sorted(space, arch)[0], numbers)[None]
    return types if type_only else _with_costs(space, arch, types)


def _encode_edges(space: Space, type_only: bool, arch: Arch) -> jax.Array:
    """`[F, N, N]` tensor of operations on edges; blocks between stages count for nothing."""
    graph, matrices = space.graph(arch), []
    for kind, ops in enumerate(graph.edge_ops):
        matrices += list(ops)
        # One kind is normal; every further one is of reduction, which the first stage lacks.
        squares, linears = _weights(space, ops, reduces=kind > 0)
        for stage in () if type_only else range(int(kind > 0), 3):
            width, size = 16 * 2**stage, 32 // 2**stage
            params = squares * width**2 + linears * width
            matrices += [params * size**2, params]
    tensor = jnp.stack(matrices)
    return _with_costs(space, arch, tensor) if space.sizes and not type_only else tensor


def _with_costs(space: Space, arch: Arch, tensor: jax.Array) -> jax.Array:
    """Tensor `[F, N, N]` with two constant matrices: FLOPs and parameters of the whole network."""
    costs = jnp.stack([space.flops(arch).astype(float), space.params(arch).astype(float)])
    constant = jnp.broadcast_to(costs[:, None, None], (2, *tensor.shape[1:]))
    return jnp.concatenate([tensor.astype(float), constant])


def _weights(space: Space, ops: jax.Array, *, reduces: bool) -> tuple[jax.Array, jax.Array]:
    """Factors `[N, N]` int32 of `c²` and of `c` in the weights of the edges `ops` `[K, N, N]`.

    Weights of parallel edges are added up.
    """
    table = np.array(
        [[_factors(name, stride) for stride in (1, 2)] for name in space.edge_operations], np.int32
    )
    is_first = np.arange(ops.shape[-1]) < space.num_inputs
    strides = (is_first & reduces).astype(np.int32)[None, :, None]
    found = jnp.sum(jnp.asarray(table)[ops, strides], axis=0, dtype=jnp.int32)
    return found[..., 0], found[..., 1]


def _factors(name: str, stride: int) -> tuple[int, int]:
    """Factors of `c²` and of `c` in the weights of the convolutions of an operation; 0 of others.

    An identity of stride 2 is a 1x1 convolution.
    """
    if name == "skip_connect":
        return stride - 1, 0
    if found := re.match(r"(sep|dil|dil_sep)_conv_(\d)x\d", name):
        times = 1 if found[1] == "dil" else 2
        return times, times * int(found[2]) ** 2
    if found := re.match(r"conv_(\d)x1_1x\d", name):
        return 2 * int(found[1]), 0
    found = re.search(r"conv_?(\d)x\d", name)
    return (int(found[1]) ** 2 if found else 0), 0


def _sorted(space: Space, arch: Arch) -> tuple[Graph, jax.Array]:
    """`Graph` of the only kind of cell with its nodes by depth, and their order `[N]`."""
    graph = simple_graph(space, "a ReNAS tensor of operations on nodes")(arch)
    order = _by_depth(graph)
    ops, edges = (square[order][:, order] for square in (graph.edge_ops, graph.adjacency))
    return Graph(graph.node_ops[order], ops, edges, graph.mask[order]), order


def _types(graph: Graph, numbers: np.ndarray) -> jax.Array:
    """`[N, N]` int32, the number of node `j` where information flows `i → j`."""
    values = jnp.where(graph.mask, jnp.asarray(numbers)[graph.node_ops], 0)
    return graph.adjacency.astype(jnp.int32) * values[None]


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
