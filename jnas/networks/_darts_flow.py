"""What goes into a cell and out of it: hooks, and the channels that there are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import control
from jnas.networks.flow import Flow, enter, pooled, show
from jnas.spaces._darts_cells import Family
from jnas.types import Hooks, Params, Relu


def show_relus(
    state: Any, x: jax.Array, count: Any, is_live: Any, hooks: Hooks, channels: Any = True
) -> Any:
    """State of the hooks after a tensor that `count` ReLUs read, with the channels that exist."""
    if hooks.on_relu is None:
        return state
    num = jnp.asarray(count).astype(jnp.int32)
    live = num * jnp.asarray(is_live).astype(jnp.int32)
    there = jnp.broadcast_to(jnp.asarray(channels), x.shape[-1:])
    return show(state, Relu(x, there, num, live), hooks)


def enter_cell(
    x: tuple[jax.Array, jax.Array], state: Any, params: Params, hooks: Hooks
) -> tuple[tuple[jax.Array, jax.Array], Any, Params]:
    """Inputs, state of the hooks and weights of a cell as `Hooks.on_block` leaves them."""
    if hooks.on_block is None:
        return x, state, params
    # One array of all pixels: what scales one input is to scale the other.
    num = len(x[0])
    flat = jnp.concatenate([part.reshape(num, 1, 1, -1) for part in x], axis=-1)
    flow, params = enter(Flow(flat, state, jnp.zeros(())), params, hooks)
    first, second = jnp.split(flow.x, [x[0].size // num], axis=-1)
    return (first.reshape(x[0].shape), second.reshape(x[1].shape)), flow.state, params


def rows_of(there: Any, layer: Params, name: str) -> tuple[Any, Params]:
    """Channels `[C]` bool that exist of what a layer reads, and the layer with the rows of these.

    Where they are known, the tensor and the layer have no others.
    """
    if not control.is_known(there) or there.all():
        return there, layer
    return True, {**layer, name: layer[name][..., np.flatnonzero(there), :]}


def joined(nodes: Any, is_joined: Any, family: Family) -> jax.Array:
    """Output of a cell: the nodes that are part of it, with zeros for others if any.

    Where they are known there is nothing for others.
    """
    if control.is_known(is_joined):
        nodes = [node for node, is_there in zip(nodes, is_joined, strict=True) if is_there]
    elif family.loose:
        nodes = [
            jnp.where(is_there, node, 0) for node, is_there in zip(nodes, is_joined, strict=True)
        ]
    return jnp.concatenate([*nodes], axis=-1)


def averaged(x: jax.Array, there: Any, state: Any, hooks: Hooks) -> jax.Array:
    """Mean over pixels `[N, C]`, after `Hooks.on_features`, which sees all channels there may be.

    What a hook draws depends on the shape, and must not on the program.
    """
    if hooks.on_features is None or not control.is_known(there) or there.all():
        return pooled(x, state, hooks)
    rows = np.flatnonzero(there)
    wide = jnp.zeros((*x.shape[:3], len(there)), x.dtype).at[..., rows].set(x)
    return pooled(wide, state, hooks)[:, rows]
