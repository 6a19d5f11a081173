"""Inputs of the metrics: checked, and brought to what JAX can hold and compare.

JAX has 32-bit floats where nothing else is asked for, and takes the smallest of them for 0. What
comes in NumPy arrays and lists is ranked and centred on the host, in its own numbers.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Numbers: TypeAlias = ArrayLike | Sequence[float]
Pairs: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]  # scores, targets and a mask, `[N]` each

# Up to here byte-wise sums of 2 N terms fit int32, and sums of two ranks are exact in float32.
_MAX_LENGTH = 2**22


def orderable(name: str, values: Numbers) -> jax.Array:
    """`[N]` numbers that JAX can hold and that compare as `values` do; ValueError as `rankable`.

    What is not finite stays as it is.
    """
    return _orderable(_numbers(name, values))


def rankable(scores: Numbers, targets: Numbers, where: ArrayLike | None) -> Pairs:
    """Scores, targets and the mask of pairs to use, `[N]` each, for comparisons.

    Raises:
        ValueError: they are not real numbers `[N]`, 2 ≤ N ≤ 2²², or do not fit together.
    """
    one, two, valid = _checked(scores, targets, where)
    return _orderable(one), _orderable(two), valid


def correlatable(scores: Numbers, targets: Numbers, where: ArrayLike | None) -> Pairs:
    """Scores, targets and the mask, `[N]` each, up to shifts and scales; ValueError as above."""
    one, two, valid = _checked(scores, targets, where)
    return _centred(one, valid), _centred(two, valid), valid


def _checked(scores: Numbers, targets: Numbers, where: ArrayLike | None) -> tuple[Any, ...]:
    """Arrays of NumPy or JAX that fit together, and the mask `[N]` bool of the pairs to use."""
    one, two = _numbers("scores", scores), _numbers("targets", targets)
    if one.shape != two.shape:
        raise ValueError(
            f"scores and targets must be equally long, got {one.shape} and {two.shape}."
        )
    if len(one) < 2:
        raise ValueError(f"a ranking needs at least 2 architectures, got {len(one)}.")
    if where is None:
        return one, two, jnp.ones(one.shape, bool)
    mask = _array(where)
    if mask.shape != one.shape or mask.dtype != np.dtype(bool):
        found = f"{_name(mask.dtype)} {mask.shape}"
        raise ValueError(f"where must be bool and shaped like scores, {one.shape}, got {found}.")
    return one, two, jnp.asarray(mask)


def _numbers(name: str, values: Numbers) -> Any:
    """Array `[N]` of NumPy or JAX; ValueError where `values` are not real numbers, N ≤ 2²²."""
    # Shape and type alone: under `jit` there are no values to look at.
    array = _array(values)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have rank 1, [N], got shape {array.shape}; batch with jax.vmap."
        )
    if len(array) > _MAX_LENGTH:
        raise ValueError(f"{name} may hold at most {_MAX_LENGTH} numbers, got {len(array)}.")
    is_real = any(jnp.issubdtype(array.dtype, kind) for kind in (np.bool_, np.integer, np.floating))
    if not is_real:
        raise ValueError(f"{name} must be real numbers, got {_name(array.dtype)}.")
    return array


def _array(values: Any) -> Any:
    """Array of JAX, or else of NumPy, as lists and columns of tables become."""
    if isinstance(values, (jax.Array, np.ndarray)):
        return values
    # Numbers of a program that is being traced have no form in NumPy.
    is_traced = isinstance(values, (list, tuple)) and any(isinstance(x, jax.Array) for x in values)
    return jnp.asarray(values) if is_traced else np.asarray(values)


def _name(dtype: np.dtype[Any]) -> str:
    """Name of a type as JAX would hold it, in a message."""
    try:
        return str(jax.dtypes.canonicalize_dtype(dtype))
    except TypeError:  # texts and objects
        return str(dtype)


def _is_beyond_jax(values: Any) -> bool:
    """Whether JAX would change numbers of a NumPy array: narrow them, or take small ones for 0."""
    if not isinstance(values, np.ndarray):
        return False
    if values.dtype != jax.dtypes.canonicalize_dtype(values.dtype):
        return True
    if values.dtype not in (np.float32, np.float64):
        return False
    # Differences of numbers above this bound are normal, unless they are 0.
    bound = np.finfo(values.dtype).tiny / np.finfo(values.dtype).eps
    return bool(np.any((np.abs(values) < bound) & (values != 0)))


def _orderable(values: Any) -> jax.Array:
    """`[N]` numbers that compare as `values` do."""
    if not _is_beyond_jax(values):
        return jnp.asarray(values)
    # Narrowing invents ties, overflows floats and wraps integers around. Dense ranks do not, and
    # are exact in float32.
    dense = np.unique(values, return_inverse=True)[1]
    return jnp.asarray(np.where(np.isfinite(values), dense, values).astype(np.float32))


def _centred(values: Any, valid: jax.Array) -> jax.Array:
    """`[N]` floats of the width in use; on the host shifted and scaled to 0 … 1 where necessary."""
    dtype = jnp.result_type(float)
    if not _is_beyond_jax(values):
        return jnp.asarray(values).astype(dtype)
    wide, used = values.astype(np.float64), np.isfinite(values)
    # Padding must not have a say in the scale, but under `jit` it is not known.
    used &= True if isinstance(valid, jax.core.Tracer) else np.asarray(valid)
    # By a power of two first, which is exact, for a difference of large numbers could overflow.
    exponent = np.frexp(np.max(np.abs(wide), where=used, initial=0))[1]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not used may become anything
        wide = np.ldexp(wide, -exponent)
        wide -= np.min(wide, where=used, initial=np.inf)
        span = np.max(wide, where=used, initial=0)
        return jnp.asarray((wide / (span if span > 0 else 1)).astype(dtype))
