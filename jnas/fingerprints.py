"""What makes two jobs the same: hashes of arrays, settings and code. Imports nothing of jnas."""

import dataclasses
import functools
import hashlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def fingerprint(*parts: Any) -> str:
    """A hash of everything that `parts` consist of: arrays, keys, settings, functions with what they close over.

    Equal in another process; never of an address.
    """
    digest = hashlib.sha256()
    for part in parts:
        _absorb(digest, part, set())
    return digest.hexdigest()


def _absorb(digest: Any, value: Any, seen: set[int]) -> None:
    """Feed `value` into `digest` by content, never by address."""
    if is_key(value):
        digest.update(str(jax.random.key_impl(value)).encode())
    if isinstance(value, (jax.Array, np.ndarray)):
        array = np.asarray(jax.random.key_data(value) if is_key(value) else value)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
        return
    if isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
        digest.update(repr(value).encode())
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    digest.update(type(value).__qualname__.encode())
    for part in _parts(value):
        _absorb(digest, part, seen)


def is_key(value: object) -> bool:
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
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, (tuple, list)):
        return list(value)
    if hasattr(value, "__wrapped__"):
        return [value.__wrapped__]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return [getattr(value, "__module__", ""), getattr(value, "__qualname__", "")]
