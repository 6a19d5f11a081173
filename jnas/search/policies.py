"""Policies, distributions over architectures: independent positions, or an LSTM over tokens.

A policy chooses position by position. `K` is the largest of the space's cardinalities; choices that
a position does not have get the logit -1e9, which leaves them no probability and no gradient.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Arch, Key, Params, Policy

# Not -inf: the entropy of a choice without probability would be 0 * -inf, NaN.
_IMPOSSIBLE = -1e9
_UNROLL = 8  # tokens of the LSTM; see `_lstm_layer`
_Carry: TypeAlias = tuple[jax.Array, list[tuple[jax.Array, jax.Array]]]
_Token: TypeAlias = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]


def factorised(cardinalities: Sequence[int], *, scale: float = 1e-3) -> Policy:
    """Policy of independent categorical distributions: the REINFORCE of NAS-Bench-201.

    Args:
        cardinalities: `D` ints.
        scale: standard deviation of the initial logits.

    Returns:
        A `Policy`, whose parameters are the logits `[D, K]` float.
    """
    mask, last = choice_mask(cardinalities), jnp.asarray(cardinalities, jnp.int32) - 1

    def init(key: Key) -> jax.Array:
        return scale * jax.random.normal(key, mask.shape)

    def sample(key: Key, params: Params) -> Arch:
        # One uniform number a position: `categorical` draws one for every choice, and takes
        # logarithms of it. The sums may end below 1 by rounding, hence `minimum`.
        up_to = jnp.cumsum(jax.nn.softmax(jnp.where(mask, params, _IMPOSSIBLE)), axis=1)
        draws = jax.random.uniform(key, (len(mask), 1), params.dtype)
        return jnp.minimum(jnp.sum(draws >= up_to, axis=1, dtype=jnp.int32), last)

    def logits(params: Params, arch: Arch) -> jax.Array:
        del arch
        return jnp.where(mask, params, _IMPOSSIBLE)

    return Policy(init, sample, logits)


class LstmParams(NamedTuple):
    """Weights of `lstm`, with `L` layers and `H` hidden units.

    Attributes:
        embedding: `[D, K, H]`, what the choice at a position feeds into the step after it.
        kernels: `[L, 2H, 4H]`, from input and hidden state to the gates input, forget, cell and
            output.
        biases: `[L, 4H]`.
        head: `[D, H, K]`, from the last hidden state to the logits of a position.
        head_bias: `[D, K]`.
    """

    embedding: jax.Array
    kernels: jax.Array
    biases: jax.Array
    head: jax.Array
    head_bias: jax.Array


def lstm(
    cardinalities: Sequence[int], *, hidden: int = 35, num_layers: int = 2, scale: float = 0.08
) -> Policy:
    """Policy of a recurrent controller: a choice is a softmax over its state, and its next input.

    Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017,
    https://arxiv.org/abs/1611.01578: what is fed back and predicted of section 3.1, layers, units
    and initial weights of section 4.1. Alshubaily, "Speeding Up Neural Architecture Search By Using
    Performance Prediction", 2019, who searches NAS-Bench-101 with such a controller, gives no
    sizes. That every position has an embedding and a head of its own, and that the first input is
    0, are choices made here.

    Args:
        cardinalities: `D` ints.
        hidden: units of a layer, and the size of the embeddings.
        num_layers: layers.
        scale: initial weights and biases are uniform in ±`scale`.

    Returns:
        A `Policy`, whose parameters are `LstmParams`.
    """
    mask = choice_mask(cardinalities)
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

    return Policy(
        init, functools.partial(_lstm_sample, mask), functools.partial(_lstm_logits, mask)
    )


def choice_mask(cardinalities: Sequence[int]) -> jax.Array:
    """Mask `[D, K]` bool of the choices that a position has."""
    return (
        jnp.arange(max(cardinalities), dtype=jnp.int32)[None]
        < jnp.asarray(cardinalities, jnp.int32)[:, None]
    )


def _lstm_sample(mask: jax.Array, key: Key, params: LstmParams) -> Arch:
    """Architecture `[D]` int32 drawn from `lstm`, with the choices `mask` `[D, K]` bool."""
    # Taken apart outside of the loop, which would copy them.
    layers = list(zip(params.kernels, params.biases, strict=True))

    def step(carry: _Carry, token: _Token) -> tuple[_Carry, jax.Array]:
        (outputs, states), (key, embedding, head, bias, possible) = carry, token
        after = []
        for (kernel, gate_bias), state in zip(layers, states, strict=True):
            after.append(
                _lstm_cell(jnp.concatenate([outputs, state[0]]) @ kernel + gate_bias, state[1])
            )
            outputs = after[-1][0]
        logits = jnp.where(possible, outputs @ head + bias, _IMPOSSIBLE)
        choice = jax.random.categorical(key, logits).astype(jnp.int32)
        return (embedding[choice], after), choice

    zeros = jnp.zeros(params.embedding.shape[-1], params.kernels.dtype)
    tokens = (
        jax.random.split(key, len(mask)),
        params.embedding,
        params.head,
        params.head_bias,
        mask,
    )
    return lax.scan(step, (zeros, [(zeros, zeros)] * len(layers)), tokens)[1]


def _lstm_logits(mask: jax.Array, params: LstmParams, arch: Arch) -> jax.Array:
    """Logits `[D, K]` of `lstm` at every position of `arch` `[D]`, given those before it."""
    # The choices are known, so a layer is one product but for its recurrent part, which goes token
    # by token.
    hidden = params.embedding.shape[-1]
    zeros = jnp.zeros(hidden, params.kernels.dtype)
    fed = params.embedding[jnp.arange(len(mask) - 1, dtype=jnp.int32), arch[:-1]]
    outputs = jnp.concatenate([zeros[None], fed])
    for kernel, bias in zip(params.kernels, params.biases, strict=True):
        outputs = _lstm_layer(outputs @ kernel[:hidden] + bias[None], kernel[hidden:])
    return jnp.where(
        mask, jnp.einsum("dh,dhk->dk", outputs, params.head) + params.head_bias, _IMPOSSIBLE
    )


def _lstm_cell(gates: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Hidden state and cell `[H]` of an LSTM, from its gates before their nonlinearities `[4H]`."""
    i, f, g, o = jnp.split(gates, 4)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def _lstm_layer(gates: jax.Array, kernel: jax.Array) -> jax.Array:
    """Hidden states `[D, H]` of a layer.

    Args:
        gates: `[D, 4H]`, what its inputs add to the gates.
        kernel: `[H, 4H]`, from the hidden state to the gates.
    """

    def step(
        state: tuple[jax.Array, jax.Array], row: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        state = _lstm_cell(row + state[0] @ kernel, state[1])
        return state, state[0]

    zeros = jnp.zeros(kernel.shape[0], kernel.dtype)
    # Unrolled, the sums that make up the gradient of the kernel are one program. Longer, it would
    # compile slowly.
    hiddens: jax.Array = lax.scan(step, (zeros, zeros), gates, unroll=min(len(gates), _UNROLL))[1]
    return hiddens
