"""Inputs of public functions, checked and brought to one form: keys, architectures, estimators.

Only shapes and types are looked at, so that all of it works under `jit`, too.
"""

import contextlib
import operator
from collections.abc import Callable
from typing import Any, TypeGuard, TypeVar, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jnas.engine.messages import describe, nearest
from jnas.types import Key

_Function = TypeVar("_Function", bound=Callable[..., Any])
_KEYS = "as jax.random.key and jax.random.split make them"


def is_key(value: object) -> TypeGuard[jax.Array]:
    """True for an array of typed PRNG keys."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def as_key(value: Any, name: str = "key") -> Key:
    """Typed key `[]` from such a key, one of the older `jax.random.PRNGKey`, or a seed.

    Raises:
        ValueError: anything else; a seed that is not in 0 … 2³² − 1.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        # JAX would take it modulo 2³².
        if not 0 <= operator.index(value) < 2**32:
            raise ValueError(f"{name} as a seed must be in 0 … 2³² - 1; got {value}")
        return jax.random.key(np.uint32(value))
    return as_keys(value, (), name)


def as_keys(value: Any, shape: tuple[int, ...], name: str = "keys") -> Key:
    """Typed keys of a shape, from such keys or from those of the older `jax.random.PRNGKey`.

    Raises:
        ValueError: anything else.
    """
    keys = value
    # Old keys are plain words, which do not say of which generator: JAX takes the default one.
    if isinstance(value, (jax.Array, np.ndarray)) and value.dtype == np.uint32 and value.ndim:
        # Words of no key are refused below.
        with contextlib.suppress(TypeError, ValueError):
            keys = jax.random.wrap_key_data(jnp.asarray(value))
    if not is_key(keys) or keys.shape != shape:
        wanted = "one key" if shape == () else f"{list(shape)} keys"
        raise ValueError(f"{name} must be {wanted}, {_KEYS}; got {_told(value)}")
    return keys


def as_key_or_keys(value: Any, name: str = "key") -> Key:
    """Typed keys `[S]` from `[S]` of them, or one key or seed as the only one.

    Raises:
        ValueError: as for `as_key`.
    """
    if is_key(value) and value.ndim:
        return as_keys(value, (len(value),), name)
    return as_key(value, name)[None]


def as_archs(archs: Any, num_choices: int | None = None) -> jax.Array:
    """Architectures `[B, D]` int32, from integers of any width.

    Args:
        archs: what should be `[B, D]` integers.
        num_choices: D, where it is known.

    Raises:
        ValueError: no array of integers, or of another shape.
    """
    is_array = isinstance(archs, (jax.Array, np.ndarray))
    fits = is_array and archs.ndim == 2 and archs.shape[1] == (num_choices or archs.shape[1])
    if not fits or not jnp.issubdtype(archs.dtype, jnp.integer):
        is_one = is_array and archs.ndim == 1
        hint = "; one architecture is a batch of one, archs[None]" if is_one else ""
        shape = f"[B, {num_choices or 'D'}]"
        raise ValueError(f"archs must be {shape} integers; got {_told(archs)}{hint}")
    # Files keep a byte for a choice; what is computed with it is int32 everywhere.
    return jnp.asarray(archs, jnp.int32)


def as_estimator(function: _Function) -> _Function:
    """Estimator that can be an argument of a compiled program, as a `Partial` is.

    Raises:
        ValueError: it cannot be called.
    """
    if not callable(function):
        raise ValueError(
            "an estimator is a function (key, archs [B, D]) -> scores [B]; "
            f"got {type(function).__name__}"
        )
    # A plain function is a leaf to JAX, and no array.
    is_plain = jax.tree_util.all_leaves([function])
    return cast(_Function, Partial(function)) if is_plain else function


def _told(value: Any) -> str:
    """Value in a message: type and shape of an array, or else its type and itself, shortened."""
    if isinstance(value, (jax.Array, np.ndarray)):
        return describe(value)
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:40] + '…'}"


def check_choice(name: str, choice: str, allowed: object) -> None:
    """ValueError unless `choice` is one of the values of the `Literal` type `allowed`."""
    # Read from the type, so that annotation, check and message cannot disagree.
    if choice not in get_args(allowed):
        raise ValueError(f"unknown {name} {choice!r}. {nearest(str(choice), get_args(allowed))}")


def check_at_least_one(**numbers: int) -> None:
    """ValueError that names the first argument below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
