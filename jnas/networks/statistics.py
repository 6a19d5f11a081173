"""Statistics of batch norms as data: networks that answer for an image as it is, not for a batch.

A batch norm whose weights hold neither uses the statistics of the batch (`layers.batch_norm`). All
lists here are in one order, that of the norms in `params`, and each array has the axes that stack
layers first.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnas.networks.weights import kernels
from jnas.types import Params


class Statistics(NamedTuple):
    """Mean and variance `[..., C]` float32 of what a batch norm reads."""

    mean: jax.Array
    var: jax.Array


def initial_statistics(params: Params) -> list[Statistics]:
    """List of mean 0 and variance 1 for each batch norm, PyTorch's before a training."""
    return [Statistics(jnp.zeros(shape), jnp.ones(shape)) for shape in shapes(params)]


def shapes(params: Params) -> list[tuple[int, ...]]:
    """List of the shapes `[..., C]` of the statistics of each batch norm."""
    found: list[tuple[int, ...]] = []

    def add(norm: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
        found.append(shape)
        return norm

    _map_norms(add, params)
    return found


def with_statistics(params: Params, statistics: Iterable[Statistics]) -> Params:
    """Weights whose batch norms use the given statistics in place of those of the batch."""
    rest = iter(statistics)
    return _map_norms(lambda norm, _: {**norm, **next(rest)._asdict()}, params)


def with_moments(params: Params) -> Params:
    """Weights whose gradient holds the moments of the batch, to be read by `moments`."""

    def add(norm: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
        return {**norm, "moments": jnp.zeros((*shape[:-1], 2, shape[-1]))}

    return _map_norms(add, params)


def moments(gradient: Params) -> list[Statistics]:
    """List of mean and biased variance of the batch, from a gradient by `with_moments`.

    Zeros where an architecture does not have the norm.
    """
    found: list[Statistics] = []

    def add(norm: dict[str, Any], _: tuple[int, ...]) -> dict[str, Any]:
        found.append(Statistics(*jnp.moveaxis(norm["moments"], -2, 0)))
        return norm

    _map_norms(add, gradient)
    return found


def without_moments(params: Params) -> Params:
    """Weights as they were before `with_moments`."""
    return _map_norms(
        lambda norm, _: {name: leaf for name, leaf in norm.items() if name != "moments"}, params
    )


def _map_norms(
    function: Callable[[dict[str, Any], tuple[int, ...]], dict[str, Any]],
    params: Params,
    beside: Params = None,
) -> Params:
    """Tree with `function(norm, shape [..., C])` in place of each batch norm, in order.

    `beside` is the tree that `params` is a part of.
    """
    if isinstance(params, list | tuple):
        return [_map_norms(function, part) for part in params]
    if not isinstance(params, dict):
        return params
    done = {}
    # Sorted, as JAX sorts the keys of dicts: a tree that went through it has the same lists.
    for name in sorted(params):
        if name == "norm":
            done[name] = function(params[name], _shape(params, beside))
        else:
            done[name] = _map_norms(function, params[name], params)
    return done


def _shape(layer: dict[str, Any], beside: Params) -> tuple[int, ...]:
    """Shape `[..., C]` of the channels that the norm of a layer reads."""
    if "scale" in layer["norm"]:
        return tuple(layer["norm"]["scale"].shape)
    # Norms without a scale stand beside the convolution that they read, or are an operation among
    # others, which put out as many channels.
    kernel = layer["conv"].shape if "conv" in layer else kernels(beside)[-1].shape
    return (*kernel[:-4], kernel[-1])
