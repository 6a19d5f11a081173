"""What makes two jobs the same: hashes of arrays, settings and code. Imports nothing of jnas."""

import dataclasses
import functools
import hashlib
import types
from collections.abc import Mapping
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np


def fingerprint(*parts: Any) -> str:
    """A hash of everything that `parts` consist of: arrays, keys, settings, functions with what they close over.

    Equal in another process; never of an address.
    """
    return _digest(parts).hex()


def _digest(value: Any, above: tuple[int, ...] = ()) -> bytes:
    """32 bytes of `value` by content, never by address, in objects with the ids `above`.

    Whole digests stand for parts, so that no two structures run together: (1, 12) is not (11, 2).
    """
    if id(value) in above:
        return hashlib.sha256(f"cycle {above.index(id(value))}".encode()).digest()
    digest = hashlib.sha256()
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        impl = str(jax.random.key_impl(value)) if is_key(value) else ""
        array = np.asarray(jax.random.key_data(value) if is_key(value) else value)
        digest.update(f"array {impl} {array.dtype}{array.shape} ".encode())
        digest.update(array.tobytes())
    elif isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
        digest.update(f"scalar {value!r}".encode())
    else:
        digest.update(f"{type(value).__qualname__} ".encode())
        parts = [_digest(part, (id(value), *above)) for part in _parts(value)]
        for part in sorted(parts) if isinstance(value, (set, frozenset)) else parts:
            digest.update(part)
    return digest.digest()


def is_key(value: object) -> TypeGuard[jax.Array]:
    """True for an array of typed PRNG keys."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _parts(value: Any) -> list[Any]:
    """What an object is made of, in a fixed order."""
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [
            value.__module__,
            value.__qualname__,
            value.__code__,
            value.__defaults__,
            value.__kwdefaults__,
            *cells,
        ]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, (tuple, list, set, frozenset)):
        return list(value)
    if hasattr(value, "__wrapped__"):
        return [value.__wrapped__]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return [getattr(value, "__module__", ""), getattr(value, "__qualname__", "")]
