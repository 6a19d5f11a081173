"""Banks of weights: each cell owns `N` complete sets of operations, and an edge takes one of them.

In place of a set for each of 6 edges, `[cells, 6, ...]`, the weights of a stage are
`[cells, N, ...]`. An ordinary network runs on what the edges have chosen. Only the chosen bank is
computed, and only it gets a gradient of weights.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from jnas.networks import layers
from jnas.types import Params

GateGradient = Literal["all", "selected", "weights"]
"""Where the gradient `a` `[N]` of a choice comes from; `y` is the output of an edge.

"all": `a_k = ⟨∂L/∂y, block_k(x)⟩` of every bank, as published; computes them all.
"selected": the term of the bank that was chosen, and 0 for the others; costs nothing.
"weights": `a_k = ⟨∂L/∂w, w_k⟩`, where `w` are the chosen weights: what "all" would be if an output
    were linear in its weights. It costs nothing either, and knows of every bank.
"""


def chosen(stages: list[Params], choices: jax.Array) -> list[Params]:
    """Weights `[cells, E, ...]` of the edges of all stages, by one-hot choices `[E, N]`."""

    def pick(leaf: jax.Array) -> jax.Array:
        # A product and not a gather, whose gradient would be a loop on CPUs. It is exact: one term
        # is the weight, the others are zeros.
        return jnp.einsum("en,cn...->ce...", choices, leaf, precision=lax.Precision.HIGHEST)

    picked: list[Params] = jax.tree.map(pick, stages)
    return picked


def prepared(stages: list[Params], choices: jax.Array, gradient: GateGradient) -> list[Params]:
    """Weights of all edges, of which the choices `[E, N]` get their gradient."""
    # Nothing to stop or add: this is the gradient that the product with the choices has by itself.
    if gradient == "weights":
        return chosen(stages, choices)
    # The choices get their gradient elsewhere; here they would get that of "weights" besides.
    picked = chosen(stages, lax.stop_gradient(choices))
    if gradient == "selected":
        return [{name: scaled(layer, choices) for name, layer in one.items()} for one in picked]

    def with_all(layer: Params, banks: Params) -> Params:
        # A copy for each cell and edge, because the network's loop over cells slices all that is in
        # a layer, and its gradient flows through what is sliced and not through closures.
        num = len(layer["conv"])
        return {
            "layer": layer,
            "banks": jax.tree.map(lambda leaf: _for_edges(leaf, len(choices)), banks),
            "choice": jnp.broadcast_to(choices[None], (num, *choices.shape)),
        }

    return [
        {name: with_all(one[name], banks[name]) for name in one}
        for one, banks in zip(picked, stages, strict=True)
    ]


def _for_edges(leaf: jax.Array, num_edges: int) -> jax.Array:
    """Weights `[cells, N, ...]` as `[cells, E, N, ...]`, the same for all edges and not learned."""
    cells, *rest = leaf.shape
    return jnp.broadcast_to(lax.stop_gradient(leaf)[:, None], (cells, num_edges, *rest))


def scaled(layer: Params, choices: jax.Array) -> Params:
    """Layer `[cells, E, ...]` whose output is times 1, and gives the choices their gradient."""
    # Of a norm's scale and bias, the last of an edge's factors.
    # 1 for every edge, and its derivative is 1 for the chosen bank and 0 for the others: times the
    # output this is the one term of "all" that is known without computing another bank.
    ones = jnp.sum(choices * lax.stop_gradient(choices), axis=1)
    shape = (*layer["conv"].shape[:2], layer["conv"].shape[-1])
    # In the norm, where it is a product a channel; beside it, it would be one a pixel.
    norm = layer["norm"] or {"scale": jnp.ones(shape), "bias": jnp.zeros(shape)}
    return layer | {"norm": jax.tree.map(lambda leaf: leaf * ones[None, :, None], norm)}


def block(x: jax.Array, layer: Params) -> jax.Array:
    """Output `[N, H, W, C]` of the chosen bank, whose choice gets the gradient "all".

    Args:
        x: `[N, H, W, C]`, what an edge reads.
        layer: `layer`, the chosen one; `banks`, all of them; and `choice` `[N]`, one-hot.
    """
    y: jax.Array = _block(x, layer["layer"], layer["banks"], layer["choice"])
    return y


@jax.custom_vjp
def _block(x: jax.Array, layer: Params, banks: Params, choice: jax.Array) -> jax.Array:
    """Output of the layer."""
    del banks, choice
    return _value(x, layer)


def _value(x: jax.Array, layer: Params) -> jax.Array:
    """ReLU, convolution, batch norm."""
    y = layers.conv_layer(jax.nn.relu(x), layer)
    return layers.batch_norm(y, layer["norm"])


def _forward(x: jax.Array, layer: Params, banks: Params, choice: jax.Array) -> Any:
    """Output of the layer, and what its gradients need."""
    # A gradient written out: by JAX's own every bank would be computed forwards too, and all of its
    # activations kept, although all but one are times 0.
    y, pull = jax.vjp(_value, x, layer)
    return y, (pull, x, y, banks, choice)


def _backward(saved: Any, grad: jax.Array) -> Any:
    """Gradients; that of the choice is `[N]`, `⟨grad, block_k(x)⟩` of every bank `k`."""
    pull, x, y, banks, choice = saved

    def of_bank(bank: tuple[Params, jax.Array]) -> jax.Array:
        weights, is_chosen = bank
        # Of banks that are closed all weights are zeros. The chosen one is known already.
        is_needed = (is_chosen == 0) & jnp.any(weights["conv"] != 0)
        term: jax.Array = lax.cond(
            is_needed, lambda: jnp.sum(grad * _value(x, weights)), lambda: jnp.zeros((), x.dtype)
        )
        return term

    # Bank after bank, so that the activations of one are held at a time.
    others = lax.map(of_bank, (banks, choice))
    of_choice = jnp.where(choice == 0, others, jnp.sum(grad * y))
    # Exact zeros for the banks, those that were not chosen among them: a hard choice trains one.
    return *pull(grad), jax.tree.map(jnp.zeros_like, banks), of_choice


_block.defvjp(_forward, _backward)
