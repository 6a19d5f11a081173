"""Checks of training sets, on the host: messages name rows, which a traced check could not.

Axes beyond the package's: `S` training sets of `B` architectures, padding included.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas.predictors.training import Training
from jnas.types import Space


def training_sets(
    space: Space, archs: ArrayLike, targets: ArrayLike, where: ArrayLike | None = None
) -> tuple[Any, ...]:
    """Training sets as checked arrays.

    Returns:
        archs `[S, B, D]` int32, targets `[S, B]` float32 (0 in padding), where `[S, B]` bool.

    Raises:
        ValueError: shapes do not fit; a target is not finite, or beyond float32; fewer than two
            different targets in a training set; an architecture is invalid, or repeated in a
            training set. The message names rows, counted from 0.
    """
    rows, wide = np.asarray(archs), np.asarray(targets, np.float64)
    num = len(space.cardinalities)
    if rows.ndim != 3 or rows.shape[-1] != num or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"archs must be [S, B, {num}] integers of {space.name}; got {rows.dtype} {rows.shape}"
        )
    if wide.shape != rows.shape[:2]:
        raise ValueError(f"targets must be {rows.shape[:2]} like archs; got {wide.shape}")
    # Rules for targets and architectures hold for what exists: padding may be anything.
    exists = np.ones(wide.shape, bool) if where is None else np.asarray(where)
    if exists.shape != wide.shape or exists.dtype != bool:
        raise ValueError(
            f"where must be bool of shape {wide.shape}; got {exists.dtype} {exists.shape}"
        )
    values = narrowed(wide, exists)
    # One call for all sets, so that a space is compiled once a shape.
    flat = jnp.asarray(rows.reshape(-1, num), jnp.int32)
    valid, codes = _identify(space)(flat)
    _raise_for(
        f"architectures that are not valid in {space.name}",
        ~np.asarray(valid).reshape(values.shape) & exists,
    )
    # Codes become small numbers once, by which each set is then searched.
    numbers = np.unique(np.asarray(codes), axis=0, return_inverse=True)[1].reshape(values.shape)
    _raise_for("architectures that occur twice in a training set", _repeated(numbers, exists))
    for number, (row, keep) in enumerate(zip(values, exists, strict=True)):
        # Two different ones are what a scale, a pair and a split of a tree need.
        if len(np.unique(row[keep])) < 2:
            raise ValueError(
                f"training set {number} needs at least two architectures with different targets, "
                "as float32 tells them apart"
            )
    # Zeros in padding, which may hold NaN: in gradients 0 · NaN is NaN.
    return flat.reshape(*rows.shape), jnp.asarray(values), jnp.asarray(exists)


def narrowed(targets: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """Targets `[S, B]` float32, as programs hold them, and 0 where `exists` `[S, B]` is False.

    Raises:
        ValueError: a target that exists is not finite, or beyond float32; the message names rows.
    """
    _raise_for("targets that are not finite", ~np.isfinite(targets) & exists)
    known = np.where(exists, targets, 0)
    raise_beyond(known)
    values = known.astype(np.float32)
    # Programs take smaller numbers for 0; that makes ties, which are counted later.
    return np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values)


def raise_beyond(targets: np.ndarray) -> None:
    """ValueError that names rows whose finite targets `[S, B]` are beyond float32."""
    # A quarter of the largest number, for differences and sums of two of them are taken, too.
    most = np.finfo(np.float32).max / 4
    large = np.isfinite(targets) & (np.abs(targets) > most)
    _raise_for(f"targets beyond {most:.2g}, which must be rescaled", large)


@functools.cache
def _identify(space: Space) -> Callable[[jax.Array], Any]:
    """Compiled `archs [B, D] -> (valid [B], code [B, W])` of a space."""
    return jax.jit(jax.vmap(lambda arch: (space.is_valid(arch), space.code(arch))))


def _repeated(numbers: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """Mask `[S, B]` of rows whose number an earlier row of the same set has."""
    result = np.zeros(numbers.shape, bool)
    for row, keep, out in zip(numbers, exists, result, strict=True):
        places = np.flatnonzero(keep)
        _, first = np.unique(row[places], return_index=True)
        # `np.unique` gives the first of equals; all others are repetitions.
        out[np.delete(places, first)] = True
    return result


def _raise_for(what: str, wrong: np.ndarray) -> None:
    """ValueError that names up to five of the rows where `wrong` `[S, B]` is True, if any is."""
    if wrong.any():
        rows = [
            f"{row} of set {number}" if len(wrong) > 1 else str(row)
            for number, row in np.argwhere(wrong)
        ]
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        raise ValueError(f"{what}: rows {', '.join(rows[:5])}{more}")


class OneClassError(ValueError):
    """Classification of targets `[N]` in a training set that all lie on one side of a threshold."""

    def __init__(self, targets: np.ndarray, threshold: float, sign: int = 1) -> None:
        """Error in the unit of `sign` times the targets."""
        super().__init__(targets, threshold, sign)  # as an error is pickled, for executors
        self.targets, self.threshold, self.sign = targets, threshold, sign

    def __str__(self) -> str:
        """Sentence on where the targets lie, and what to do."""
        names = ("above", "at or below") if self.sign > 0 else ("below", "at or above")
        which = names[0] if self.targets[0] > self.threshold else names[1]
        shown = self.sign * self.targets
        return (
            f"all {len(shown)} training architectures are {which} the threshold "
            f"{self.sign * self.threshold:g} of the classification (they lie in "
            f"{shown.min():.4g} … {shown.max():.4g}); choose another threshold"
        )

    def negated(self) -> "OneClassError":
        """Same error in the unit of values of which the targets are the negative ones."""
        return OneClassError(self.targets, self.threshold, -self.sign)


def check_classes(training: Training, targets: np.ndarray, where: np.ndarray) -> None:
    """`OneClassError` if a classification would have one class in one of the training sets.

    Args:
        training: with the loss and its threshold.
        targets: `[S, B]`.
        where: `[S, B]` bool, False for padding.
    """
    if training.loss != "classification":
        return
    for row, keep in zip(targets, where, strict=True):
        known = row[keep]
        above = known > training.threshold
        if above.all() or not above.any():
            raise OneClassError(known, training.threshold)
