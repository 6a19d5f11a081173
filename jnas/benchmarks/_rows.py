"""Rows of a table: their codes, and which of them are the same architecture."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from jnas.benchmarks import _lookup
from jnas.engine.messages import setting
from jnas.types import Space


# The function is static, and a space's functions stay the same objects: two tables of one space and
# size share a program.
@functools.partial(jax.jit, static_argnums=0)
def _each(function: Callable[[jax.Array], jax.Array], archs: jax.Array) -> jax.Array:
    """`[A, ...]` values of a function of a space for each of `archs` `[A, D]`."""
    return jax.vmap(function)(archs)


def codes_of(space: Space, archs: np.ndarray) -> np.ndarray:
    """Codes `[A, W]` uint32; ValueError names a row that is invalid."""
    invalid = np.flatnonzero(~np.asarray(_each(space.is_valid, archs)))
    if invalid.size:
        row = int(invalid[0])
        raise ValueError(
            f"row {row} is not a valid {space.name} architecture: {archs[row].tolist()}"
        )
    return np.asarray(_each(space.code, archs))


class SortedCodes(NamedTuple):
    """Codes of the rows of a table in the order that look-ups search them in.

    Attributes:
        codes: `[A, W]` uint32, ascending.
        rows: `[A]` int32, the row of each.
    """

    codes: jax.Array | np.ndarray
    rows: np.ndarray

    def of(self, kept: np.ndarray) -> "SortedCodes":
        """`SortedCodes` of the table that has the rows `kept` `[N]` alone, in this order."""
        places = np.argsort(self.rows)[kept]
        order = np.argsort(places).astype(np.int32)
        return SortedCodes(np.asarray(self.codes)[places[order]], order)


def sorted_codes(space: Space, archs: np.ndarray, codes: np.ndarray) -> SortedCodes:
    """`SortedCodes` of architectures `[A, D]` with codes `[A, W]`.

    Raises:
        ValueError: two are the same architecture; the message names their rows.
    """
    # `lexsort` takes its last key first, and words are high word first. It is stable.
    order = np.lexsort(codes.T[::-1]).astype(np.int32)
    repeated = np.flatnonzero(np.all(codes[order[1:]] == codes[order[:-1]], axis=1))
    if repeated.size:
        # The repetition that a reader of the rows meets first.
        at = repeated[np.argmin(order[repeated + 1])]
        first, second = order[at], order[at + 1]
        text = space.to_string(archs[second])
        raise ValueError(
            f"rows {first} and {second} are the same {space.name} architecture: {text}; "
            f'{setting("duplicates")} "mean" takes their mean'
        )
    return SortedCodes(codes[order], order)


def shared(space: Space, codes: jax.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Architectures `[N, D]` of a space that are in the ascending `codes` `[A, W]`.

    Their own codes `[N, W]` and their places `[N]` in `codes` come with them.
    """
    archs = space.enumerate()
    wanted = codes_of(space, archs)
    place = np.asarray(_lookup.place(codes, wanted))
    found = place >= 0
    return archs[found], wanted[found], place[found]


def same_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row `[N]` of each architecture, ascending, and which of these each row `[A]` is."""
    _, first, place = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[place.ravel()]


def means(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Means `[N]` of the values `[A]` at each place `[A]` that are not NaN; NaN without any."""
    known = ~np.isnan(values)
    total = np.bincount(place, np.where(known, values, 0))
    num = np.bincount(place, known)
    return np.where(num > 0, total / np.maximum(num, 1), np.nan)


def check_shape(
    space: Space, archs: np.ndarray, columns: Mapping[str, np.ndarray], source: str
) -> None:
    """ValueError where architectures do not fit a space, or there is nothing to look up."""
    num_choices = len(space.cardinalities)
    if archs.ndim != 2 or len(archs) == 0 or archs.shape[1] != num_choices:
        raise ValueError(
            f"{space.name} needs architectures [A, {num_choices}], A > 0; got {list(archs.shape)}"
        )
    if not columns:
        raise ValueError(f"a table needs at least one numeric column; {source} has none")
