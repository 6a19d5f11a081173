"""Operations of the slots of cells: ReLU, convolution and norm in one switch, and a second half."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jnas.networks import control, layers
from jnas.networks._darts_cells import separable
from jnas.networks._darts_weights import DILATED, FACTORED, FULL, SEPARABLE
from jnas.networks.factored import factored
from jnas.types import Hooks, Params

_Normed: TypeAlias = tuple[jax.Array, jax.Array]  # an output and the value of its norm


def _separable(
    x: jax.Array, layer: Params, hooks: Hooks, stride: int = 1, dilation: int = 1
) -> _Normed:
    """ReLU, depthwise and 1x1 convolution, norm, and the value of the norm."""
    x = layers.depthwise_layer(jax.nn.relu(x), layer["depthwise"], stride, dilation)
    point = layer["pointwise"]
    return layers.norm_layer(layers.conv_layer(x, point), point["norm"], hooks)


def _halved(x: jax.Array, layer: Params, hooks: Hooks) -> _Normed:
    """Factorised reduction: ReLU, 1x1 convolution of two pixels of four, norm; and its value."""
    return layers.norm_layer(layers.halving_layer(jax.nn.relu(x), layer), layer["norm"], hooks)


def _full(x: jax.Array, layer: Params, hooks: Hooks, stride: int) -> _Normed:
    """ReLU, convolution, norm, and the value of the norm."""
    x = layers.conv_layer(jax.nn.relu(x), layer, stride)
    return layers.norm_layer(x, layer["norm"], hooks)


def _factored(x: jax.Array, layer: Params, hooks: Hooks, stride: int) -> _Normed:
    """ReLU, convolution of rows and of columns, norm, and the value of the norm."""
    return layers.norm_layer(
        factored(jax.nn.relu(x), layer, stride), layer["column"]["norm"], hooks
    )


def _operation(name: str, stride: int, hooks: Hooks) -> Callable[[jax.Array, Params], _Normed]:
    """Function `(x, weights of the slot)` of an operation, of a separable one the first half."""
    if name in SEPARABLE:
        dilation = dilation_of(name)
        return lambda x, slot: _separable(x, slot[name]["first"], hooks, stride, dilation)
    if name in DILATED:
        return lambda x, slot: _separable(x, slot[name], hooks, stride, dilation_of(name))
    if name in FULL:
        return lambda x, slot: _full(x, slot[name], hooks, stride)
    if name in FACTORED:
        return lambda x, slot: _factored(x, slot[name], hooks, stride)
    # Nothing that has no weights halves an image as published.
    if name == "skip_connect" and stride == 2:
        return lambda x, slot: _halved(x, slot["skips"], hooks)
    if name in _POOLS:
        # Every second pixel of a pool is the pool of that stride.
        return lambda x, slot: _pooled(_POOLS[name](x)[:, ::stride, ::stride], slot, hooks)
    plain: dict[str, Callable[[jax.Array], jax.Array]] = {
        "none": jnp.zeros_like,
        "skip_connect": lambda x: x,
    }
    return lambda x, _: (plain[name](x)[:, ::stride, ::stride], jnp.zeros(()))


_POOLS: dict[str, Callable[[jax.Array], jax.Array]] = {
    **{f"max_pool_{n}x{n}": functools.partial(layers.max_pool, size=n) for n in (3, 5, 7)},
    "avg_pool_3x3": layers.avg_pool3x3,
}


def _pooled(x: jax.Array, slot: Params, hooks: Hooks) -> _Normed:
    """Norm of what a pool puts out, where the network has one, and its value."""
    if "pool" not in slot:
        return x, jnp.zeros(())
    return layers.norm_layer(x, slot["pool"]["norm"], hooks)


def dilation_of(name: str) -> int:
    """Distance of the pixels that neighbours in the kernels of an operation are multiplied by."""
    return 2 if name.startswith("dil_") else 1


def _on_one(
    run: Callable[[jax.Array, Params], _Normed],
    number: int,
    values: tuple[jax.Array, ...],
    slot: Params,
) -> _Normed:
    """Operation on one of the values."""
    return run(values[number], slot)


def operate(
    which: Any, values: tuple[jax.Array, ...], slot: Params, names: tuple[str, ...], hooks: Hooks
) -> _Normed:
    """Operation number `which` of a slot on what it reads, without the second half; norm value.

    In a reduction cell `values` are the tensor at full size and that at half of it.
    """
    # In a reduction cell what reads an input comes after what reads a node.
    branches = [
        functools.partial(_on_one, _operation(name, stride, hooks), number)
        for stride, number in ((1, -1), (2, 0))[: len(values)]
        for name in names
    ]
    result: _Normed = control.switch(which, branches, values, slot)
    return result


def complete(
    which: Any, x: jax.Array, slot: Params, names: tuple[str, ...], hooks: Hooks
) -> _Normed:
    """Second half of number `which` of the separable operations, and its norm value; `x` of 0."""
    halves = [
        lambda x, slot, name=name: _separable(
            x, slot[name]["second"], hooks, dilation=dilation_of(name)
        )
        for name in separable(names)
    ]
    result: _Normed = control.switch(which, [lambda x, _: (x, jnp.zeros(())), *halves], x, slot)
    return result


# Within `jit`, cells that have the same shapes are traced once.
operate_once = jax.jit(operate, static_argnames=("names", "hooks"))
complete_once = jax.jit(complete, static_argnames=("names", "hooks"))
