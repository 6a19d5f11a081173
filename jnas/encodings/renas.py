"""The ReNAS tensor: a type matrix, and FLOPs and parameters of each of the nine cells of the network.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021, section 3.1,
https://arxiv.org/abs/1910.01523. Nodes are sorted by depth (longest path from the input), the missing ones stand just
before the output, and entry `(i, j)` of each matrix carries the value of node `j` where information flows `i → j`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import nasbench101_prune, nasbench101_widths
from jnas.types import Arch, Graph, Space

# Of jnas' node operations (input, conv3x3, conv1x1, maxpool3x3, output): published type number, kernel area.
_TYPES, _TAPS = np.array([1, 3, 2, 4, 5], np.int32), np.array([0, 9, 1, 0, 0], np.int32)
# (channels in, channels out, the stack's down-sampling) of the nine cells.
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
    """The `[19, 7, 7]` tensor of ReNAS, or its type matrix alone (predictors v1 and v3).

    Channels are [types, FLOPs of cell 1, parameters of cell 1, FLOPs of cell 2, ...]. A convolution of `c` channels
    has `k² c²` parameters; the 1x1 projection of an edge from the input, `c_in c`, is added in row 0. FLOPs are
    parameters times pixels. Types are input 1, conv1x1 2, conv3x3 3, maxpool 4, output 5. Standardise the features
    with the statistics of the training set.

    Args:
        space: nasbench101. For nasbench201, which the paper does not treat, there are a type matrix (entry `(i, j)` is
            the operation of the edge, none 0) and the FLOPs and parameters of a cell of each of the three stages, at
            32x32 images and 16 channels.
        type_only: keep the first channel only.
        image_size: height and width of the first stack's feature maps; the paper's figure suggests 28.

    Returns:
        `archs [B, D] -> [B, 19, 7, 7]` float32 (`[B, 7, 4, 4]` for nasbench201; one channel with `type_only`), exact
        integers.

    Raises:
        ValueError: another space, or an `image_size` that is not a multiple of 4.
    """
    if space.name == "nasbench201":
        return jax.vmap(functools.partial(_encode_edges, space, type_only))
    if space.name != "nasbench101":
        raise ValueError(
            f"the ReNAS tensor is defined for nasbench101 and nasbench201; got {space.name}"
        )
    if image_size < 4 or image_size % 4:
        raise ValueError(f"image_size must be a multiple of 4; got {image_size}")

    def encode(arch: Arch) -> jax.Array:
        arch = nasbench101_prune(arch)
        graph = space.graph(arch)
        order = _by_depth(graph)
        edges = graph.adjacency[order][:, order].astype(jnp.int32)
        node_ops, exists = graph.node_ops[order], graph.mask[order]
        types = edges * jnp.where(exists, jnp.asarray(_TYPES)[node_ops], 0)[None]
        if type_only:
            return types[None].astype(jnp.float32)
        taps = jnp.where(exists, jnp.asarray(_TAPS)[node_ops], 0)
        matrices = [types]
        for c_in, c_out, downsampling in _CELLS:
            width = nasbench101_widths(arch, c_in, c_out)[order]
            params = edges * (taps * width * width)[None]
            params = params.at[0].add(edges[0] * c_in * width)
            matrices += [params * (image_size // downsampling) ** 2, params]
        return jnp.stack(matrices).astype(jnp.float32)

    return jax.vmap(encode)


def _encode_edges(space: Space, type_only: bool, arch: Arch) -> jax.Array:
    """`[7, 4, 4]` float32, operations on edges; a reduction in a stage's input is no part of its cells."""
    ops = space.graph(arch).edge_ops
    taps = jnp.asarray([_taps(name) for name in space.edge_operations])[ops]
    matrices = [ops]
    for stage in range(0 if type_only else 3):
        width, size = 16 * 2**stage, 32 // 2**stage
        matrices += [taps * (width * width * size * size), taps * (width * width)]
    return jnp.stack(matrices).astype(jnp.float32)


def _taps(name: str) -> int:
    """Kernel area of a convolution, 0 for what has no weights."""
    return next((area for kernel, area in (("conv_3x3", 9), ("conv_1x1", 1)) if kernel in name), 0)


def _by_depth(graph: Graph) -> jax.Array:
    """`[7]` int32, nodes in the order of the tensor; equally deep ones stay in their order."""
    depths = [jnp.zeros((), jnp.int32)]
    for node in range(1, graph.mask.shape[0]):
        sources = jnp.stack(depths)
        depths.append(jnp.max(jnp.where(graph.adjacency[:node, node], sources + 1, 0)))
    depth = jnp.where(graph.mask, jnp.stack(depths), graph.mask.shape[0])
    return jnp.argsort(depth.at[-1].set(graph.mask.shape[0] + 1), stable=True)
