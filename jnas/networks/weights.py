"""Lists of the weights of a network, and arrays that can be added to each of its layers.

A layer is a dict with an array `conv` `[..., k, k, C, C']` or `kernel` `[C, C']`; leading axes
stack layers of one kind. All lists here are in the same order. Batch norms and biases are not in
them, as in the published proxies.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jnas.types import Params

# A layer is known by these keys alone, so no other part of a network may use them.
NAMES = ("conv", "kernel")


def map_layers(function: Callable[[dict[str, Any], str], dict[str, Any]], params: Params) -> Params:
    """Tree with `function(layer, name of its weights)` in place of each layer, in order.

    `params` may hold anything in place of arrays, for example shapes. Its tuples become lists.
    """
    if isinstance(params, dict):
        for name in NAMES:
            if name in params:  # what else is in it belongs to this layer: no recursion
                return function(params, name)
        # Sorted, as JAX sorts the keys of dicts: a tree that went through it has the same lists.
        return {name: map_layers(function, params[name]) for name in sorted(params)}
    if isinstance(params, list | tuple):
        return [map_layers(function, part) for part in params]
    return params


def kernels(params: Params) -> list[Any]:
    """List of the weights of all layers; of a tree of shapes, of their shapes."""
    found: list[Any] = []

    def add(layer: dict[str, Any], name: str) -> dict[str, Any]:
        found.append(layer[name])
        return layer

    map_layers(add, params)
    return found


def with_kernels(params: Params, values: Iterable[Any]) -> Params:
    """Tree `params` with the weights `values`, in the order of `kernels`."""
    rest = iter(values)
    return map_layers(lambda layer, name: {**layer, name: next(rest)}, params)


def narrowed(layer: dict[str, Any], c_in: int | None, c_out: int | None) -> dict[str, Any]:
    """Layer of the first channels, in and out (None: all), of one that is stored wider."""
    name = next(name for name in NAMES if name in layer)
    # Norm, bias and extras end with the channels that come out; a gain is one number.
    rest = jax.tree.map(
        lambda leaf: leaf[..., :c_out] if leaf.ndim else leaf,
        {key: value for key, value in layer.items() if key != name},
    )
    return {name: layer[name][..., :c_in, :c_out], **rest}


def masked(params: Params, masks: Iterable[jax.Array], axis: int) -> Params:
    """Tree of the weights that masks leave, 0 elsewhere, as if drawn at the width that is left.

    Masks broadcast to the weights, in the order of `kernels`; a scalar leaves them as they are.
    `axis` is that of the channels to which variances are inverse: -2 into a layer, -1 out of it.
    """
    pairs = zip(kernels(params), masks, strict=True)
    return with_kernels(
        params, [kernel * _gain(mask, axis).astype(kernel.dtype) for kernel, mask in pairs]
    )


def _gain(mask: jax.Array, axis: int) -> jax.Array:
    """Factors of a kernel: 0 where it is masked, else the ratio of the two deviations."""
    if not mask.ndim:  # drawn at its true width
        return mask
    # Masked rows and columns count 0 channels, so the maximum is the count of the others. It is 0
    # for a kernel that the architecture does not have.
    num = jnp.max(jnp.sum(mask, axis=axis, keepdims=True), axis=(-2, -1), keepdims=True)
    return mask * jnp.sqrt(mask.shape[axis] / jnp.maximum(num, 1))


def with_extras(params: Params, name: str, values: Iterable[Any]) -> Params:
    """Tree `params` whose layers have one more array each, `name` of them "gain" or "probe".

    A gain is a factor of the layer's output, before the bias (`gains`). A probe `[..., N, C']` adds
    nothing; its gradient is the sum over pixels of the layer's output times the output's gradient.
    """
    rest = iter(values)
    return map_layers(lambda layer, _: {**layer, name: next(rest)}, params)


def gains(params: Params, value: jax.Array) -> list[jax.Array]:
    """Factors of all layers, each stacked as its weights are and equal to `value` `[]`."""
    # Stacked, so that a loop over the cells of a stage slices gains and weights alike. All are one
    # value, whose derivative is therefore the sum over layers that scores ask for.
    return [
        jnp.broadcast_to(value, kernel.shape[: _num_stacked(kernel)]) for kernel in kernels(params)
    ]


def probes(params: Params, num: int) -> list[jax.Array]:
    """Probes for `num` images, zeros `[..., num, C']` for each layer."""
    return [
        jnp.zeros((*kernel.shape[: _num_stacked(kernel)], num, kernel.shape[-1]))
        for kernel in kernels(params)
    ]


def layer_axes(kernel: jax.Array) -> tuple[int, ...]:
    """Axes of one layer in an array of weights, without those that stack layers."""
    return tuple(range(_num_stacked(kernel), kernel.ndim))


def _num_stacked(kernel: jax.Array) -> int:
    """Number of axes that stack layers: before the four of a convolution; a `kernel` has none."""
    return max(kernel.ndim - 4, 0)
