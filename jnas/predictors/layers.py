"""Layers of networks that score: with PyTorch's initial weights, which small training sets feel.

`fan` names what PyTorch's uniform distributions divide by: weights and biases are in ±1/√fan.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

EMBEDDING = nn.initializers.normal(1.0)
"""Initial values of `torch.nn.Embedding`."""


class Output(NamedTuple):
    """Output of a network: `scores` `[B]`, and the embedding `features` `[B, F]` behind them."""

    scores: jax.Array
    features: jax.Array


def uniform(fan: int) -> Any:
    """Initialiser of U(−1/√fan, 1/√fan)."""
    bound = 1 / math.sqrt(fan)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Dense(nn.Module):
    """Linear layer `[..., F] -> [..., features]`, as `torch.nn.Linear`.

    Weights and biases begin in ±1/√F, or in ±1/√`fan`.
    """

    features: int
    use_bias: bool = True
    fan: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs `[..., features]` of the layer."""
        init = uniform(self.fan or x.shape[-1])
        y: jax.Array = x @ self.param("kernel", init, (x.shape[-1], self.features))
        return (
            y + along_last(self.param("bias", init, (self.features,)), y.ndim)
            if self.use_bias
            else y
        )


class Head(nn.Module):
    """Head `[B, F] -> [B]`: fully connected layers with ReLU and dropout, and a linear output."""

    hidden: tuple[int, ...] = (200,)
    dropout: float = 0.1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Scores `[B]` of embeddings `[B, F]`."""
        for size in self.hidden:
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(Dense(size)(x)))
        return Dense(1)(x)[:, 0]


class ComparatorHead(nn.Module):
    """Head that reads two embeddings; the first product is done once an embedding, not once a pair.

    Attributes:
        pairing: "diff" reads (e_i, e_j − e_i) and "concat" (e_i, e_j).
        hidden, dropout: as in `Head`.
    """

    pairing: str
    hidden: tuple[int, ...] = (200,)
    dropout: float = 0.1

    def setup(self) -> None:
        """Layers by name; the two halves of the first share the fan of the whole."""
        # A bias on one half alone: their sum is one layer.
        self.second_half = _HalfDense(self.hidden[0], use_bias=False)
        self.first_half = _HalfDense(self.hidden[0], use_bias=True)
        self.drop = nn.Dropout(self.dropout)
        self.rest = Head(self.hidden[1:], self.dropout)

    def project(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Projections `[B, hidden[0]]` of embeddings `[B, F]`: as first and as second of a pair."""
        first, second = self.first_half(embedding), self.second_half(embedding)
        # W [e_i, e_j − e_i] = (W₁ − W₂) e_i + W₂ e_j: no difference of
        # embeddings is formed for a pair.
        return (first - second if self.pairing == "diff" else first), second

    def __call__(self, first: jax.Array, second: jax.Array, *, train: bool) -> jax.Array:
        """Comparisons `[M]` of projections `[M, hidden[0]]`, positive if the second is better."""
        return self.rest(self.drop(nn.relu(first + second), deterministic=not train), train=train)


class _HalfDense(Dense):
    """Linear layer on one half of the inputs, with the initial weights of a layer on both."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs `[..., features]` of the layer."""
        return Dense(self.features, self.use_bias, fan=2 * x.shape[-1])(x)


class Scorer(nn.Module):
    """Network that scores architectures, or (a comparator) pairs of them: an encoder and a head.

    Attributes:
        encoder: `(features, where [B], train=) -> [B, F]`.
        hidden, dropout: of the head.
        pairing: None for a score of one architecture, "diff" or "concat" for a comparator.
    """

    encoder: nn.Module
    hidden: tuple[int, ...] = (200,)
    dropout: float = 0.1
    pairing: str | None = None

    def setup(self) -> None:
        """Head by name, of the kind that `pairing` asks for."""
        head = Head(self.hidden, self.dropout)
        self.head: Any = (
            head
            if self.pairing is None
            else ComparatorHead(self.pairing, self.hidden, self.dropout)
        )

    def __call__(self, features: Any, where: jax.Array, *, train: bool = False) -> Output:
        """Output for a batch; the scores of a comparator are all 0."""
        embedding = self.encoder(features, where, train=train)
        if self.pairing is None:
            return Output(self.head(embedding, train=train), embedding)
        # Flax makes the weights of layers that are called: one pair is enough for their shapes.
        if self.is_initializing():
            self.head(*self.head.project(embedding[:1]), train=False)
        return Output(jnp.zeros(embedding.shape[0], embedding.dtype), embedding)

    def project(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Projections of embeddings `[B, F]`, as `ComparatorHead.project` gives them."""
        projected: tuple[jax.Array, jax.Array] = self.head.project(embedding)
        return projected

    def compare(self, first: jax.Array, second: jax.Array, *, train: bool = False) -> jax.Array:
        """Comparisons `[M]` of projected embeddings, as `ComparatorHead` gives them."""
        outputs: jax.Array = self.head(first, second, train=train)
        return outputs


class WithSizes(nn.Module):
    """Encoder of cells and of choices about the whole network, `(features, bits [B, F])`.

    The bits stand beside the embedding, for which there is no published way.

    Attributes:
        encoder: of the cells.
    """

    encoder: nn.Module

    @nn.compact
    def __call__(self, features: Any, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, F' + F]` of a batch."""
        cells, bits = features
        return jnp.concatenate([self.encoder(cells, where, train=train), bits], axis=-1)


class MaskedBatchNorm(nn.Module):
    """Batch normalisation as `torch.nn.BatchNorm`, over the rows that exist.

    Training takes the biased variance of the batch; all else takes the running statistics.

    Running statistics move by `momentum` towards the mean and the unbiased variance of a batch.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, where: jax.Array, *, train: bool) -> jax.Array:
        """Normalised `x` `[B, ..., C]` by its last axis; `where` is `[B]`."""
        channels = x.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "var", jnp.ones, channels)
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        used_mean, used_variance = mean.value, variance.value
        if train:
            axes = tuple(range(x.ndim - 1))
            weight = where.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
            # A minibatch of padding alone would be 0 / 0.
            count = jnp.maximum(jnp.sum(weight) * math.prod(x.shape[1:-1]), 1)
            used_mean = jnp.sum(x * weight, axes) / count
            used_variance = (
                jnp.sum(jnp.square(x - along_last(used_mean, x.ndim)) * weight, axes) / count
            )
            # Initialisation sees the training set, but PyTorch's statistics begin at 0 and 1.
            if not self.is_initializing():
                unbiased = used_variance * count / jnp.maximum(count - 1, 1)
                mean.value += self.momentum * (used_mean - mean.value)
                variance.value += self.momentum * (unbiased - variance.value)
        # One product and one sum an element, whatever the scale and the shift are made of.
        factor = scale * jax.lax.rsqrt(used_variance + self.epsilon)
        return x * along_last(factor, x.ndim) + along_last(bias - used_mean * factor, x.ndim)


def along_last(vector: jax.Array, ndim: int) -> jax.Array:
    """Vector `[C]` as `[1, ..., 1, C]` of `ndim` axes."""
    # Said in full, so that callers may forbid the implicit promotion of ranks.
    return vector.reshape((1,) * (ndim - 1) + vector.shape)
