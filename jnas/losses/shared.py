"""Shared parts of losses: checks of inputs, pairs and triplets of a list, masked reduction."""

import functools
import itertools
import operator
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

ReduceFn: TypeAlias = Callable[..., jax.Array]


def as_floats(name: str, values: ArrayLike) -> jax.Array:
    """Array of `values` in the float width in use; ValueError for complex numbers."""
    array = jnp.asarray(values)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be real numbers, got {array.dtype}.")
    return array.astype(float)


def as_lists(where: ArrayLike | None, **named: ArrayLike) -> tuple[jax.Array, ...]:
    """Arrays as floats, 0 where masked, and the mask of what is valid: `[..., N]` each.

    Raises:
        ValueError: shapes differ or are empty, or a type does not fit; the message has the names.
    """
    arrays = {name: as_floats(name, values) for name, values in named.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    shape = next(iter(shapes.values()))
    if set(shapes.values()) != {shape} or 0 in shape or not shape:
        raise ValueError(f"expected equal shapes [..., N] with N ≥ 1, got {shapes}.")
    valid = jnp.ones(shape, bool) if where is None else as_mask("where", where, shape)
    # Before any arithmetic: what is masked may be NaN, and NaN times 0 in a gradient is NaN.
    return *(jnp.where(valid, array, 0.0) for array in arrays.values()), valid


def as_mask(name: str, mask: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """Array of `mask`, bool of the given shape; ValueError names what does not fit."""
    array = jnp.asarray(mask)
    if array.shape != shape or array.dtype != bool:
        raise ValueError(f"{name} must be bool of shape {shape}, got {array.dtype} {array.shape}.")
    return array


def members(
    values: jax.Array, indices: ArrayLike | None, size: int, *, axis: int = -1
) -> list[jax.Array]:
    """Members of tuples along `axis`, all first ones, all second ones, …, one array each.

    With indices `[M, size]` that axis has length M. Without, it becomes `size` axes, of length N in
    its own place and 1 in the others. Such views broadcast to all tuples: a gather, and the scatter
    of its gradient, would cost much more.
    """
    if indices is None:
        after = range(axis - size + 1, axis + 1)
        return [
            jnp.expand_dims(values, [other for other in after if other != own]) for own in after
        ]
    array = jnp.asarray(indices)
    if (
        array.ndim != 2
        or array.shape[1] != size
        or not array.size
        or not jnp.issubdtype(array.dtype, jnp.integer)
    ):
        raise ValueError(
            f"expected indices [M, {size}] of integers, M ≥ 1, got {array.dtype} {array.shape}."
        )
    # Indices out of range must show: NaN does so in the loss, if the mask lets it through.
    fill = True if values.dtype == bool else jnp.nan
    return [
        jnp.take(values, array[:, own], axis=axis, mode="fill", fill_value=fill)
        for own in range(size)
    ]


def all_valid(
    valid: jax.Array, indices: ArrayLike | None, mask: ArrayLike | None, size: int
) -> jax.Array:
    """Mask of tuples whose members are all valid, and which are ascending where all are meant.

    With indices `[..., M]`, without them `[..., N, …, N]`, bool.

    Raises:
        ValueError: `mask` has another shape, or there are no indices that it could mask.
    """
    result = functools.reduce(operator.and_, members(valid, indices, size))
    if indices is not None:
        mask = (
            jnp.ones(result.shape[-1], bool)
            if mask is None
            else as_mask("a mask of indices", mask, result.shape[-1:])
        )
        return result & jnp.broadcast_to(mask, result.shape)
    if mask is not None:
        raise ValueError("a mask of indices needs the pairs or triplets that it masks.")
    places = members(lax.broadcasted_iota(jnp.int32, valid.shape, valid.ndim - 1), None, size)
    return functools.reduce(
        operator.and_, (low < high for low, high in itertools.pairwise(places)), result
    )


def differ(differences: jax.Array, threshold: ArrayLike) -> jax.Array:
    """Mask of the differences of targets that are no ties."""
    # Not `>`, so that NaN differs, and shows in the loss.
    return ~(jnp.abs(differences) <= threshold)


def signed(
    differences: jax.Array, target_differences: jax.Array, valid: jax.Array, threshold: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """Differences, positive where they agree with the targets, and the mask of those that count.

    The others are 0.
    """
    # Both factors are masked: the sign of NaN is NaN, and so would the gradient of its term be.
    used = valid & differ(target_differences, threshold)
    return jnp.where(used, differences, 0.0) * jnp.where(
        used, jnp.sign(target_differences), 0.0
    ), used


def distance(a: jax.Array, b: jax.Array) -> jax.Array:
    """Euclidean distance over the last axis, with slope 0 where two features coincide."""
    squares = jnp.sum(jnp.square(a - b), axis=-1)
    # The root's slope at 0 is infinite, and stays NaN behind a single `where`.
    return jnp.where(squares == 0, 0.0, jnp.sqrt(jnp.where(squares == 0, 1.0, squares)))


def reduced(terms: jax.Array, valid: jax.Array, reduce_fn: ReduceFn | None) -> jax.Array:
    """Reduction of `terms` under the mask `valid`, 0 where nothing is valid; `terms` for None.

    Raises:
        ValueError: φ has changed the shape.
    """
    if jnp.shape(terms) != valid.shape:
        raise ValueError(f"phi must be elementwise: it made {jnp.shape(terms)} of {valid.shape}.")
    terms = jnp.where(valid, terms, 0.0)
    if reduce_fn is None:
        return terms
    # The mean of nothing is NaN, and so is its gradient: let it be that of the zeros.
    return reduce_fn(terms, where=valid | ~jnp.any(valid))
