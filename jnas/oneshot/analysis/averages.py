"""Averages of scores over checkpoints, seeds and isomorphic architectures, and forgetting values.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021.
Pure functions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike


class Forgetting(NamedTuple):
    """Summary of forgetting values.

    Attributes:
        mean, deviation: `[...]` float, of the values over the last axis.
        share_positive: `[...]` float, share of the values above 0: what has been forgotten.
        num: `[...]` int32, values that are not NaN.
    """

    mean: jax.Array
    deviation: jax.Array
    share_positive: jax.Array
    num: jax.Array


def class_means(scores: ArrayLike, class_of: ArrayLike, num_classes: int) -> jax.Array:
    """`[..., N]` float, each score replaced by the mean over its class (post-de-isomorphism).

    Isomorphic architectures, which are one function, get one score. NaN goes to the whole class.

    Args:
        scores: `[..., N]`.
        class_of: `[N]` integers in 0 … num_classes − 1.
        num_classes: static.

    Raises:
        ValueError: `class_of` is not `[N]` integers.
    """
    values, members = jnp.asarray(scores, float), jnp.asarray(class_of)
    if members.shape != values.shape[-1:] or not jnp.issubdtype(members.dtype, jnp.integer):
        raise ValueError(
            f"class_of must be integers [N] for scores [..., N], got {members.dtype} "
            f"{members.shape} and {values.shape}."
        )
    # Segments are of the first axis.
    rows = jnp.moveaxis(values, -1, 0)
    sums = jax.ops.segment_sum(rows, members, num_classes)
    sizes = jax.ops.segment_sum(jnp.ones(len(members)), members, num_classes)
    # Classes of which no member is here have no sum either, and nobody reads their mean.
    means = sums / jnp.maximum(sizes, 1).reshape(-1, *[1] * (rows.ndim - 1))
    return jnp.moveaxis(means[members], 0, -1)


def running_means(scores: ArrayLike, num: int) -> jax.Array:
    """`[E, ..., N]` float, mean of the scores of each checkpoint and the `num − 1` before it.

    This is the temporal ensemble of scores; that of weights averages the supernets. The first
    checkpoints have fewer before them.

    Raises:
        ValueError: `scores` are not `[E, ..., N]`, or `num` is less than 1.
    """
    values = jnp.asarray(scores, float)
    if values.ndim < 2 or num < 1:
        raise ValueError(
            f"running means need scores [E, ..., N] and num ≥ 1, got {values.shape} and {num}."
        )
    # Slices of their own and no differences of cumulated sums, which would lose digits, and in
    # which one NaN would be in all that follow.
    return jnp.stack(
        [values[max(0, last - num) : last].mean(axis=0) for last in range(1, len(values) + 1)]
    )


def forgetting_values(after_step: ArrayLike, later: ArrayLike) -> jax.Array:
    """Forgetting values (FV) of figure 13, `[...]` float: accuracy that was lost again.

    Args:
        after_step: `[...]`, accuracy of each architecture right after the step that trained it.
        later: `[...]`, its accuracy at the end of the epoch, or at any later time.

    Returns:
        `after_step − later`: positive where training others has overwritten what it had learnt.

    Raises:
        ValueError: the two are not of one shape.
    """
    first, second = jnp.asarray(after_step, float), jnp.asarray(later, float)
    if first.shape != second.shape:
        raise ValueError(
            f"after_step and later must be of one shape, got {first.shape} and {second.shape}."
        )
    # Negative early in a training, when others' steps still help, and positive late, as published.
    return first - second


def forgetting(values: ArrayLike) -> Forgetting:
    """`Forgetting` of `values [..., N]`, those that are NaN left out."""
    array = jnp.asarray(values, float)
    known = ~jnp.isnan(array)
    # NaN is not above 0, but would count among the values that it is a share of.
    positive = jnp.mean(array > 0, axis=-1, where=known)
    return Forgetting(
        jnp.mean(array, axis=-1, where=known),
        jnp.std(array, axis=-1, where=known),
        positive,
        jnp.sum(known, axis=-1, dtype=np.int32),
    )
