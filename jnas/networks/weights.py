"""The weights of a network as a list, and what can be added to each layer.

A layer is a dict with an array `conv` `[..., k, k, C, C']` or `kernel` `[C, C']`; leading axes
stack layers of one kind. All lists here are in the same order. Batch norms and biases are not in
them, as in the published proxies.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jnas.types import Params

NAMES = ("conv", "kernel")


def map_layers(function: Callable[[dict[str, Any], str], dict[str, Any]], params: Params) -> Params:
    """`function(layer, name of its weights)` in place of each layer, in the order of all lists of
    this module.
    """
    if isinstance(params, dict):
        for name in NAMES:
            if name in params:
                return function(params, name)
        return {name: map_layers(function, params[name]) for name in sorted(params)}
    if isinstance(params, list | tuple):
        return [map_layers(function, part) for part in params]
    return params


def kernels(params: Params) -> list[Any]:
    """The weights of all layers; of a tree of shapes its shapes."""
    found: list[Any] = []

    def add(layer: dict[str, Any], name: str) -> dict[str, Any]:
        found.append(layer[name])
        return layer

    map_layers(add, params)
    return found


def with_kernels(params: Params, values: Iterable[Any]) -> Params:
    """`params` with other weights."""
    rest = iter(values)
    return map_layers(lambda layer, name: {**layer, name: next(rest)}, params)


def with_extras(params: Params, name: str, values: Iterable[Any]) -> Params:
    """`params` whose layers have one more array each: `gain` (a factor of the output, before the
    bias), or `probe`.

    The gradient of a probe `[..., N, C']` is the sum over pixels of the layer's output times its
    gradient.
    """
    rest = iter(values)
    return map_layers(lambda layer, _: {**layer, name: next(rest)}, params)


def gains(params: Params, value: jax.Array) -> list[jax.Array]:
    """One factor for each layer, stacked as its weights are: all equal to `value` `[]`."""
    return [
        jnp.broadcast_to(value, kernel.shape[: _num_stacked(kernel)]) for kernel in kernels(params)
    ]


def probes(params: Params, num: int) -> list[jax.Array]:
    """Zeros in the shape of the probes of `num` images: `[..., num, C']` for each layer."""
    return [
        jnp.zeros((*kernel.shape[: _num_stacked(kernel)], num, kernel.shape[-1]))
        for kernel in kernels(params)
    ]


def layer_axes(kernel: jax.Array) -> tuple[int, ...]:
    """The axes of one layer, without those that stack layers."""
    return tuple(range(_num_stacked(kernel), kernel.ndim))


def _num_stacked(kernel: jax.Array) -> int:
    return max(kernel.ndim - 4, 0)
