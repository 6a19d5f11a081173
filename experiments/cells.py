"""What ReNAS looks at in a cell of NAS-Bench-101: how far the output is from the input, and whether it has a 3x3."""

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
    adjacency = SPACE.graph(arch).adjacency
    # Walks of 1, 2, ... edges that leave the input; the first of them that reaches the output is a shortest path.
    walks = [adjacency[0]]
    while len(walks) < len(adjacency) - 1:
        walks.append(jnp.any(walks[-1][:, None] & adjacency, axis=0))
    return 1 + jnp.argmax(jnp.stack(walks)[:, -1])


def has_3x3(arch: Arch) -> jax.Array:
    """`[]` bool, whether a vertex is a 3x3 convolution."""
    return jnp.any(SPACE.graph(arch).node_ops == _CONV3X3)


def is_promising(arch: Arch) -> jax.Array:
    """`[]` bool, the sub-space of ReNAS, table 6: a 3x3, and an edge from the input to the output."""
    return has_3x3(arch) & (distance(arch) == 1)
