"""State of a forward pass between the blocks of a network, and the calls of its hooks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnas.types import Hooks, Params, Relu


class Flow(NamedTuple):
    """Activations `x` `[N, H, W, C]`, state of the hooks, and sum of the norms' values `[]`."""

    x: jax.Array
    state: Any
    norm_sum: jax.Array


def enter(flow: Flow, block: Params, hooks: Hooks) -> tuple[Flow, Params]:
    """Flow and weights of a block as `Hooks.on_block` leaves them."""
    # A hook is there or not while tracing: a program without hooks has no trace of them.
    if hooks.on_block is None:
        return flow, block
    state, x, block = hooks.on_block(flow.state, flow.x, block)
    return flow._replace(x=x, state=state), block


def show(state: Any, relu: Relu, hooks: Hooks) -> Any:
    """State of the hooks after `Hooks.on_relu` has seen a tensor."""
    return state if hooks.on_relu is None else hooks.on_relu(state, relu)


def check_images(images: jax.Array, channels: int, multiple: int) -> None:
    """Check of images; ValueError unless float `[N, H, W, channels]`, H and W of `multiple`."""
    # A 2x2 pool is a reshape: of an odd size it would fail without a word about images.
    shape, is_float = images.shape, jnp.issubdtype(images.dtype, jnp.floating)
    if (
        len(shape) != 4
        or shape[1] % multiple
        or shape[2] % multiple
        or shape[3] != channels
        or not is_float
    ):
        needed = f"float [N, H, W, {channels}] with H and W multiples of {multiple}"
        raise ValueError(f"the network takes images {needed}; got {images.dtype} {list(shape)}")
