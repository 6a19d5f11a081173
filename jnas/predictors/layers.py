"""Layers with the initial weights of PyTorch, which small training sets feel, and the score heads
on top.

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
    """What a network makes of a batch: `scores` `[B]`, and the embedding `features` `[B, F]` they
    come from.
    """

    scores: jax.Array
    features: jax.Array


def uniform(fan: int) -> Any:
    """Initialiser of U(−1/√fan, 1/√fan)."""
    bound = 1 / math.sqrt(fan)

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Dense(nn.Module):
    """`torch.nn.Linear`: `[..., F] -> [..., features]`, weights and biases in ±1/√F (or
    ±1/√`fan`).
    """

    features: int
    use_bias: bool = True
    fan: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        init = uniform(self.fan or x.shape[-1])
        y: jax.Array = x @ self.param("kernel", init, (x.shape[-1], self.features))
        return (
            y + along_last(self.param("bias", init, (self.features,)), y.ndim)
            if self.use_bias
            else y
        )


class Head(nn.Module):
    """Fully connected layers with ReLU and dropout, and one linear output: `[B, F] -> [B]`."""

    hidden: tuple[int, ...] = (200,)
    dropout: float = 0.1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Apply the layers."""
        for size in self.hidden:
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(Dense(size)(x)))
        return Dense(1)(x)[:, 0]


class ComparatorHead(nn.Module):
    """A head that reads two embeddings; the first layer's product is done once an embedding, not
    once a pair.

    Attributes:
        pairing: "diff" reads (e_i, e_j − e_i) and "concat" (e_i, e_j).
        hidden, dropout: as in `Head`.
    """

    pairing: str
    hidden: tuple[int, ...] = (200,)
    dropout: float = 0.1

    def setup(self) -> None:
        """Name the layers; the two halves of the first share the fan of the whole."""
        self.second_half = _HalfDense(self.hidden[0], use_bias=False)
        self.first_half = _HalfDense(self.hidden[0], use_bias=True)
        self.drop = nn.Dropout(self.dropout)
        self.rest = Head(self.hidden[1:], self.dropout)

    def project(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`[B, F]` → what each contributes as the first and as the second of a pair, `[B,
        hidden[0]]` each.
        """
        first, second = self.first_half(embedding), self.second_half(embedding)
        return (first - second if self.pairing == "diff" else first), second

    def __call__(self, first: jax.Array, second: jax.Array, *, train: bool) -> jax.Array:
        """`[M]` from `[M, hidden[0]]` twice; positive says "the second is better"."""
        return self.rest(self.drop(nn.relu(first + second), deterministic=not train), train=train)


class _HalfDense(Dense):
    """One half of the inputs of a linear layer."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        return Dense(self.features, self.use_bias, fan=2 * x.shape[-1])(x)


class Scorer(nn.Module):
    """An encoder with a head: of one architecture, or (a comparator) of two.

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
        """Name the head."""
        head = Head(self.hidden, self.dropout)
        self.head: Any = (
            head
            if self.pairing is None
            else ComparatorHead(self.pairing, self.hidden, self.dropout)
        )

    def __call__(self, features: Any, where: jax.Array, *, train: bool = False) -> Output:
        """Score a batch; a comparator's scores are all 0."""
        embedding = self.encoder(features, where, train=train)
        if self.pairing is None:
            return Output(self.head(embedding, train=train), embedding)
        if self.is_initializing():
            self.head(*self.head.project(embedding[:1]), train=False)
        return Output(jnp.zeros(embedding.shape[0], embedding.dtype), embedding)

    def project(self, embedding: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`ComparatorHead.project`."""
        projected: tuple[jax.Array, jax.Array] = self.head.project(embedding)
        return projected

    def compare(self, first: jax.Array, second: jax.Array, *, train: bool = False) -> jax.Array:
        """`ComparatorHead` of projected embeddings."""
        outputs: jax.Array = self.head(first, second, train=train)
        return outputs


class MaskedBatchNorm(nn.Module):
    """`torch.nn.BatchNorm` over the rows that exist: biased variance in training, running
    statistics otherwise.

    Running statistics move by `momentum` towards the mean and the unbiased variance of a batch.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, where: jax.Array, *, train: bool) -> jax.Array:
        """Normalise the last axis of `x` `[B, ..., C]`; `where` is `[B]`."""
        channels = x.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "var", jnp.ones, channels)
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        used_mean, used_variance = mean.value, variance.value
        if train:
            axes = tuple(range(x.ndim - 1))
            weight = where.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
            count = jnp.maximum(jnp.sum(weight) * math.prod(x.shape[1:-1]), 1)
            used_mean = jnp.sum(x * weight, axes) / count
            used_variance = (
                jnp.sum(jnp.square(x - along_last(used_mean, x.ndim)) * weight, axes) / count
            )
            if not self.is_initializing():
                unbiased = used_variance * count / jnp.maximum(count - 1, 1)
                mean.value += self.momentum * (used_mean - mean.value)
                variance.value += self.momentum * (unbiased - variance.value)
        factor = scale * jax.lax.rsqrt(used_variance + self.epsilon)
        return x * along_last(factor, x.ndim) + along_last(bias - used_mean * factor, x.ndim)


def along_last(vector: jax.Array, ndim: int) -> jax.Array:
    """`[C]` as `[1, ..., 1, C]` of `ndim` axes."""
    return vector.reshape((1,) * (ndim - 1) + vector.shape)
