"""Encoder of the MLP baseline: features as they are, as the head does all of the work."""

import jax
from flax import linen as nn


class Flatten(nn.Module):
    """Encoder without weights: `[B, ...] -> [B, F]`."""

    @nn.compact
    def __call__(self, features: jax.Array, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Features `[B, F]` of a batch, as floats."""
        del where, train
        return features.reshape(features.shape[0], -1).astype(float)
