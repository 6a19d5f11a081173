"""Distance and presence of a 3x3, by which ReNAS groups the cells of NAS-Bench-101."""

import jax
import jax.numpy as jnp

import jnas
from jnas.types import Arch

SPACE = jnas.spaces.nasbench101()
_CONV3X3 = next(
    index for index, name in enumerate(SPACE.node_operations) if name.startswith("conv3x3")
)


def distance(arch: Arch) -> jax.Array:
    """`[]` int32, edges of the shortest path from the input to the output."""
    adjacency = SPACE.graph(arch).adjacency[0, 0]
    # Walks of 1, 2, ... edges that leave the input; the first that reaches the output is shortest.
    walks = [adjacency[0]]
    while len(walks) < len(adjacency) - 1:
        walks.append(jnp.any(walks[-1][:, None] & adjacency, axis=0))
    return 1 + jnp.argmax(jnp.stack(walks)[:, -1])


def has_3x3(arch: Arch) -> jax.Array:
    """`[]` bool, whether a vertex is a 3x3 convolution."""
    return jnp.any(SPACE.graph(arch).node_ops == _CONV3X3)


def is_promising(arch: Arch) -> jax.Array:
    """`[]` bool, membership of ReNAS' sub-space: a 3x3, and an edge from input to output."""
    return has_3x3(arch) & (distance(arch) == 1)
