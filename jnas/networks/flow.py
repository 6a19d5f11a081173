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


def dropped(state: Any, value: jax.Array, can_drop: Any, hooks: Hooks) -> tuple[Any, jax.Array]:
    """State of the hooks and a value `[N, H, W, C]` that is to be summed, after `Hooks.on_edge`."""
    if hooks.on_edge is None:
        return state, value
    return hooks.on_edge(state, value, jnp.asarray(can_drop))


def pooled(x: jax.Array, state: Any, hooks: Hooks) -> jax.Array:
    """Mean `[N, C]` over the pixels of `[N, H, W, C]`, after `Hooks.on_features`."""
    features = jnp.mean(x, axis=(1, 2))
    return features if hooks.on_features is None else hooks.on_features(state, features)


def counted(value: jax.Array, is_live: jax.Array, hooks: Hooks) -> jax.Array:
    """Value `[]` of a norm as it is summed: 0 where it is not live, unless `Hooks.dead_norms`."""
    # Without a hook the value is 0 as it is, and programs stay free of it.
    return value if hooks.norm is None or hooks.dead_norms else jnp.where(is_live, value, 0)


def check_images(images: jax.Array, stem: jax.Array, multiple: int) -> None:
    """Check of images against the stem's weights `[k, k, C, C']`.

    ValueError unless `[N, H, W, C]` of the type of the weights, H and W multiples of `multiple`.
    """
    # A 2x2 pool is a reshape: of an odd size it would fail without a word about images. So would a
    # convolution of another type.
    shape, channels = images.shape, stem.shape[-2]
    if (
        len(shape) != 4
        or shape[1] % multiple
        or shape[2] % multiple
        or shape[3] != channels
        or jax.dtypes.canonicalize_dtype(images.dtype) != stem.dtype
    ):
        needed = f"{stem.dtype} [N, H, W, {channels}] with H and W multiples of {multiple}"
        raise ValueError(f"the network takes images {needed}; got {images.dtype} {list(shape)}")
