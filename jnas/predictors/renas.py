"""Convolutional network of ReNAS, after LeNet-5 but without pooling.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021, table 1,
https://arxiv.org/abs/1910.01523. Features are standardised with the statistics of the training set.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jnas.predictors.layers import Dense, MaskedBatchNorm, uniform


class LeNet(nn.Module):
    """Encoder `[B, C, 7, 7] -> [B, 84]`, the feature that the continuity loss compares.

    Attributes:
        channels: of the two 3x3 convolutions.
        sizes: of the two fully connected layers.
    """

    channels: tuple[int, int] = (38, 128)
    sizes: tuple[int, int] = (120, 84)

    @nn.compact
    def __call__(self, features: jax.Array, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, 84]` of a batch; at initialisation the batch is the training set."""
        x = Standardise()(features, where).transpose(0, 2, 3, 1)
        for size in self.channels:
            # Batch normalisation takes the mean away, so that a bias of the
            # convolution would do nothing.
            x = nn.relu(MaskedBatchNorm()(Conv3x3(size)(x), where, train=train))
        x = x.reshape(x.shape[0], -1)
        for size in self.sizes:
            x = nn.relu(Dense(size)(x))
        return x


class Standardise(nn.Module):
    """Standardisation by the batch of initialisation: each feature to mean 0 and variance 1.

    Features that are constant there are only shifted.
    """

    @nn.compact
    def __call__(self, features: jax.Array, where: jax.Array) -> jax.Array:
        """Standardised `[B, ...]`; rows where `where` `[B]` is False do not count."""
        weight = where.astype(float).reshape(-1, *[1] * (features.ndim - 1))
        count = jnp.maximum(jnp.sum(weight), 1)

        def mean_of(values: jax.Array) -> jax.Array:
            return jnp.sum(values * weight, axis=0, keepdims=True) / count

        def deviation_of() -> jax.Array:
            deviation = jnp.sqrt(mean_of(jnp.square(features - mean_of(features))))
            # Sums of equal large numbers may round to something that is not quite constant.
            return jnp.where(deviation > 1e-6 * jnp.abs(mean_of(features)), deviation, 1)

        # Neither parameters nor "batch_stats": no step of a training changes them.
        mean = self.variable("constants", "mean", lambda: mean_of(features))
        deviation = self.variable("constants", "deviation", deviation_of)
        result: jax.Array = (features - mean.value) / deviation.value
        return result


class Conv3x3(nn.Module):
    """Convolution 3x3 of stride 1 without bias on `[B, H, W, C]`, as one matrix product.

    A convolution's weight gradient inside `scan` falls off XLA's fast path on CPUs; that of a
    product does not.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs `[B, H, W, features]` of the layer."""
        _, height, width, channels = x.shape
        # The fan of PyTorch: kernel size by input channels.
        kernel = self.param("kernel", uniform(9 * channels), (9 * channels, self.features))
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        result: jax.Array = jnp.concatenate(taps, axis=-1) @ kernel
        return result
