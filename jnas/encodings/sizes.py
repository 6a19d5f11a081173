"""One-hot encoding of the choices about the whole network, such as its width and depth."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnas.types import Arch, Space


def sizes(space: Space) -> Callable[[jax.Array], jax.Array]:
    """One-hot positions `Space.sizes`, which graphs do not show, side by side.

    Args:
        space: where the architectures come from.

    Returns:
        `archs [B, D] -> [B, F]` float32; `F` is 8 for nasnet, amoebanet and pnas, and 0 where
        graphs show all.
    """

    def encode(arch: Arch) -> jax.Array:
        """`[F]` float32 bits of one architecture."""
        bits = [
            jax.nn.one_hot(arch[place], space.cardinalities[place], dtype=jnp.float32)
            for place in space.sizes
        ]
        return jnp.concatenate([jnp.zeros(0, jnp.float32), *bits])

    return jax.vmap(encode)
