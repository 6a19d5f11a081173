"""Distributions over architectures that REINFORCE learns: independent positions, or an LSTM over tokens.

A policy chooses position by position. `K` is the largest of the space's cardinalities; choices that a position
does not have get the logit -1e9, which leaves them no probability and no gradient.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Arch, Key, Params

_IMPOSSIBLE = -1e9
_Carry: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]


class Policy(NamedTuple):
    """A distribution over vectors, valid architectures or not.

    Attributes:
        init: `key -> params`.
        sample: `(key, params) -> [D]` int32.
        logits: `(params, [D]) -> [D, K]` float, of every position given the choices before it.
    """

    init: Callable[[Key], Params]
    sample: Callable[[Key, Params], Arch]
    logits: Callable[[Params, Arch], jax.Array]


def factorised(cardinalities: Sequence[int], *, scale: float = 1e-3) -> Policy:
    """One categorical distribution a position, all independent: the REINFORCE of NAS-Bench-201.

    Args:
        cardinalities: `D` ints.
        scale: standard deviation of the initial logits.
    """
    mask = _mask(cardinalities)

    def init(key: Key) -> jax.Array:
        return scale * jax.random.normal(key, mask.shape)

    def sample(key: Key, params: Params) -> Arch:
        return jax.random.categorical(key, jnp.where(mask, params, _IMPOSSIBLE)).astype(jnp.int32)

    def logits(params: Params, arch: Arch) -> jax.Array:
        del arch
        return jnp.where(mask, params, _IMPOSSIBLE)

    return Policy(init, sample, logits)


class LstmParams(NamedTuple):
    """Weights of `lstm`, with `L` layers and `H` hidden units.

    Attributes:
        embedding: `[D, K, H]`, what the choice at a position feeds into the step after it.
        kernels: `[L, 2H, 4H]`, from input and hidden state to the gates input, forget, cell and output.
        biases: `[L, 4H]`.
        head: `[D, H, K]`, from the last hidden state to the logits of a position.
        head_bias: `[D, K]`.
    """

    embedding: jax.Array
    kernels: jax.Array
    biases: jax.Array
    head: jax.Array
    head_bias: jax.Array


def lstm(cardinalities: Sequence[int], *, hidden: int = 35, num_layers: int = 2, scale: float = 0.08) -> Policy:
    """A recurrent controller: every choice is a softmax over the state, and the next input.

    Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017,
    https://arxiv.org/abs/1611.01578, section 3.1; sizes and initial weights of section 4.1. The first input is 0.

    Args:
        cardinalities: `D` ints.
        hidden: units of a layer, and the size of the embeddings.
        num_layers: layers.
        scale: initial weights and biases are uniform in ±`scale`.
    """
    mask = _mask(cardinalities)
    size, num_choices = mask.shape

    def init(key: Key) -> LstmParams:
        keys = iter(jax.random.split(key, len(LstmParams._fields)))

        def weights(*shape: int) -> jax.Array:
            return jax.random.uniform(next(keys), shape, minval=-scale, maxval=scale)

        return LstmParams(
            embedding=weights(size, num_choices, hidden),
            kernels=weights(num_layers, 2 * hidden, 4 * hidden),
            biases=weights(num_layers, 4 * hidden),
            head=weights(size, hidden, num_choices),
            head_bias=weights(size, num_choices),
        )

    def unroll(params: LstmParams, choose: Callable[[jax.Array, jax.Array], jax.Array]) -> tuple[Arch, jax.Array]:
        """Choices `[D]` and logits `[D, K]`, for `choose: (position [], logits [K]) -> []`."""

        def step(carry: _Carry, position: jax.Array) -> tuple[_Carry, tuple[jax.Array, jax.Array]]:
            inputs, hiddens, cells = carry
            hiddens, cells = _lstm_step(params, inputs, hiddens, cells)
            logits = hiddens[-1] @ params.head[position] + params.head_bias[position]
            logits = jnp.where(mask[position], logits, _IMPOSSIBLE)
            choice = choose(position, logits)
            return (params.embedding[position, choice], hiddens, cells), (choice, logits)

        zeros = jnp.zeros((num_layers, hidden), params.kernels.dtype)
        return lax.scan(step, (zeros[0], zeros, zeros), jnp.arange(size, dtype=jnp.int32))[1]

    def sample(key: Key, params: Params) -> Arch:
        keys = jax.random.split(key, size)
        return unroll(params, lambda d, logits: jax.random.categorical(keys[d], logits).astype(jnp.int32))[0]

    def logits(params: Params, arch: Arch) -> jax.Array:
        return unroll(params, lambda d, _: arch[d])[1]

    return Policy(init, sample, logits)


def _mask(cardinalities: Sequence[int]) -> jax.Array:
    """`[D, K]` bool: which choices a position has."""
    return jnp.arange(max(cardinalities), dtype=jnp.int32)[None] < jnp.asarray(cardinalities, jnp.int32)[:, None]


def _lstm_step(
    params: LstmParams, inputs: jax.Array, hiddens: jax.Array, cells: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One token through all layers: `[H]`, `[L, H]`, `[L, H]` to new hidden and cell states."""
    new_hiddens, new_cells = [], []
    for kernel, bias, hidden, cell in zip(params.kernels, params.biases, hiddens, cells, strict=True):
        i, f, g, o = jnp.split(jnp.concatenate([inputs, hidden]) @ kernel + bias, 4)
        new_cells.append(jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g))
        inputs = jax.nn.sigmoid(o) * jnp.tanh(new_cells[-1])
        new_hiddens.append(inputs)
    return jnp.stack(new_hiddens), jnp.stack(new_cells)
