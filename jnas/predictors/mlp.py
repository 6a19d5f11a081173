"""The encoder of the MLP baseline: features as they are, all of the work is the head's."""

import jax
from flax import linen as nn


class Flatten(nn.Module):
    """`[B, ...] -> [B, F]`."""

    @nn.compact
    def __call__(self, features: jax.Array, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Flatten a batch."""
        del where, train
        return features.reshape(features.shape[0], -1).astype(float)
