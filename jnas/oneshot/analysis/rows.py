"""Rows of a study: architectures that have a score everywhere, and errors for what has no ranking.

Host only: a shape that depends on the values is no program.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike


class Rows(NamedTuple):
    """Architectures that are ranked.

    Attributes:
        scores: `[..., N']`, the scores of those that are kept.
        truth: `[N']` or `[..., N']`, their truths.
        kept: `[N]` bool, which ones those are.
    """

    scores: np.ndarray
    truth: np.ndarray
    kept: np.ndarray


def complete(scores: ArrayLike, truth: ArrayLike) -> Rows:
    """`Rows` without the architectures that lack a score or a truth (NaN) anywhere.

    All epochs and seeds keep the same ones, so that their criteria can be compared.

    Raises:
        ValueError: `scores` are not `[..., N]` and `truth` not `[N]` or `[..., N]`, real numbers;
            some scores or truths are NaN throughout; fewer than 2 architectures are left; a truth
            is infinite; or all truths are equal.
    """
    values, true = floats("scores", scores), floats("truth", truth)
    if values.shape[-1] != true.shape[-1] or true.shape != values.shape[-true.ndim :]:
        raise ValueError(
            "scores must be [..., N] and truth [N] or [..., N] of the same N architectures, got "
            f"{values.shape} and {true.shape}."
        )
    for name, array in (("scores", values), ("truth", true)):
        _refuse_all_nan(name, array)
    # One set for all epochs and seeds: else a criterion would move because its architectures do.
    kept = known(values) & known(true)
    values, true = values[..., kept], true[..., kept]
    if kept.sum() < 2:
        raise ValueError(
            f"a ranking needs at least 2 architectures that have a score and a truth everywhere; "
            f"{kept.sum()} of {kept.size} have."
        )
    refuse_one_class(true)
    return Rows(values, true, kept)


def floats(name: str, values: ArrayLike) -> np.ndarray:
    """`[..., N]` floats of NumPy, those of integers in float64; ValueError for anything else."""
    array = np.asarray(values)
    if array.ndim < 1 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be real numbers [..., N], got {array.dtype} {list(array.shape)}."
        )
    # float64 stays, since narrowing would make ties of scores that differ; 16 bits have lost
    # nothing that float64 could not hold.
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def known(values: np.ndarray) -> np.ndarray:
    """`[N]` bool: which architectures of `[..., N]` are NaN nowhere."""
    axes = tuple(range(values.ndim - 1))
    result: np.ndarray = ~np.isnan(values).any(axis=axes)
    return result


def refuse_one_class(truth: np.ndarray) -> None:
    """ValueError where truths `[..., N]` are infinite, or all N of a ranking are equal."""
    if not np.isfinite(truth).all():
        raise ValueError(f"truth must be finite or NaN, got {np.isinf(truth).sum()} infinite ones.")
    # Told here, where a program would give NaN, which looks like a score that failed.
    if (truth.min(axis=-1) == truth.max(axis=-1)).any():
        raise ValueError(
            f"all {truth.shape[-1]} truths are equal ({truth.flat[0]:g}): there is nothing to "
            "rank. Take architectures of different accuracies."
        )


def _refuse_all_nan(name: str, values: np.ndarray) -> None:
    """ValueError that names the rows `[..., N]` in which everything is NaN."""
    empty = np.argwhere(np.isnan(values).all(axis=-1))
    if values.shape[-1] and len(empty):
        where = f" at index {tuple(map(int, empty[0]))}" if values.ndim > 1 else ""
        raise ValueError(
            f"{name} are all NaN{where} ({len(empty)} of {values[..., 0].size} rankings), as after "
            "a training that diverged; leave these out."
        )
