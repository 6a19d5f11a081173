"""Recurrent encoders: the LSTM over tokens of the GATES comparison, and Peephole's over layers.

Peephole: Deng, Yan and Lin, "Peephole: Predicting Network Performance Before Training", 2017,
https://arxiv.org/abs/1712.03351. All runs of a table being equally long, its embedding of the epoch
is left out.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jnas.predictors.layers import EMBEDDING, uniform

_Pair: TypeAlias = tuple[jax.Array, jax.Array]


class Recurrence(nn.Module):
    """Layer of `torch.nn.LSTM`, weights and its two biases in ±1/√hidden, read at the last step."""

    hidden: int

    @nn.compact
    def __call__(
        self, inputs: jax.Array, valid: jax.Array | None = None, table: jax.Array | None = None
    ) -> jax.Array:
        """Hidden state `[B, hidden]` after the last step of `[L, B, F]` in `valid` `[L, B]`.

        With a `table` `[V, F]` of embeddings, `inputs` are `[L, B, V]` weights of its rows: the
        first product is then done once a row.
        """
        init, size = uniform(self.hidden), 4 * self.hidden
        kernel = self.param(
            "input_kernel", init, (inputs.shape[-1] if table is None else table.shape[-1], size)
        )
        # All steps at once, outside the recurrence: only the hidden state has to wait.
        projected = inputs @ (kernel if table is None else table @ kernel)
        # PyTorch's two biases, though one would do: Adam moves each, so that their
        # sum moves twice as fast.
        biases = self.param("input_bias", init, (size,)) + self.param("hidden_bias", init, (size,))
        kernel = self.param("hidden_kernel", init, (self.hidden, size))

        def step(state: _Pair, now: _Pair) -> tuple[_Pair, None]:
            """State after a step, or the old one where the step is not valid."""
            hidden, cell = state
            # The order of the gates is PyTorch's.
            i, f, g, o = jnp.split(now[0] + hidden @ kernel, 4, axis=-1)
            new_cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
            new_hidden = nn.sigmoid(o) * jnp.tanh(new_cell)
            # Padding comes last and keeps the state, so that the last state is
            # that of the last layer.
            keep = now[1][:, None]
            return (jnp.where(keep, new_hidden, hidden), jnp.where(keep, new_cell, cell)), None

        zeros = jnp.zeros((inputs.shape[1], self.hidden), projected.dtype)
        keeps = jnp.ones(inputs.shape[:2], bool) if valid is None else valid
        (hidden, _), _ = jax.lax.scan(step, (zeros, zeros), (projected + biases[None, None], keeps))
        return hidden


class TokenLstm(nn.Module):
    """Encoder of tokens, `[B, L] -> [B, hidden]`: embeddings for each kind of token, then an LSTM.

    Attributes:
        vocabulary: numbers of values of the `L` tokens; those with equally many share embeddings.
        embedding, hidden: sizes.
    """

    vocabulary: tuple[int, ...]
    embedding: int = 100
    hidden: int = 100

    @nn.compact
    def __call__(self, tokens: jax.Array, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, hidden]` of a batch."""
        del where, train
        kinds = sorted(set(self.vocabulary))
        # One table for all kinds, side by side, so that one recurrence reads tokens of any kind.
        first = {kind: sum(kinds[:place]) for place, kind in enumerate(kinds)}
        offsets = np.array([first[kind] for kind in self.vocabulary], np.int32)
        table = self.param("tokens", EMBEDDING, (sum(kinds), self.embedding))
        numbers = tokens.T + offsets[:, None]
        return Recurrence(self.hidden)(jax.nn.one_hot(numbers, sum(kinds)), table=table)


class Peephole(nn.Module):
    """Encoder of layers, `[B, L, 4] -> [B, hidden]`: four embeddings a layer, then an LSTM.

    The four are type, kernel width, kernel height and channels.

    Attributes:
        num_values: values of each of the four integers, padding included.
        embedding: size of each of the four embeddings.
        hidden: size of the LSTM.
    """

    num_values: tuple[int, int, int, int]
    embedding: int = 25
    hidden: int = 100

    @nn.compact
    def __call__(self, layers: jax.Array, where: jax.Array, *, train: bool = False) -> jax.Array:
        """Embeddings `[B, hidden]` of a batch."""
        del where, train
        steps = layers.swapaxes(0, 1)
        columns = [
            jax.nn.one_hot(steps[..., column], num)
            @ self.param(name, EMBEDDING, (num, self.embedding))
            for column, (name, num) in enumerate(
                zip(
                    ("type", "kernel_width", "kernel_height", "channels"),
                    self.num_values,
                    strict=True,
                )
            )
        ]
        # Types count from 1; 0 is padding.
        return Recurrence(self.hidden)(jnp.concatenate(columns, axis=-1), steps[..., 0] > 0)
