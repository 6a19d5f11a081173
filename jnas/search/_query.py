"""The query of an `ask`, with numbers of its evaluations."""

import jax
import jax.numpy as jnp

from jnas.types import Query


def numbered(num_asked: jax.Array, archs: jax.Array) -> Query:
    """A query for `archs` `[B, D]`, numbered from `num_asked` `[]` int32 on, epochs left open."""
    batch_size = archs.shape[0]
    ids = num_asked + jnp.arange(batch_size, dtype=jnp.int32)
    return Query(ids, archs, jnp.zeros(batch_size, jnp.int32))
