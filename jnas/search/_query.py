"""Queries of strategies: architectures with the numbers of their evaluations."""

import jax
import jax.numpy as jnp

from jnas.types import Query


def numbered(num_asked: jax.Array, archs: jax.Array) -> Query:
    """Query for `archs` `[B, D]`, numbered from `num_asked` `[]` int32 on, epochs left open (0)."""
    batch_size = archs.shape[0]
    # Numbers and not the architectures themselves: one may be out twice at a time, and outcomes
    # that come late are known by their number.
    ids = num_asked + jnp.arange(batch_size, dtype=jnp.int32)
    return Query(ids, archs, jnp.zeros(batch_size, jnp.int32))
