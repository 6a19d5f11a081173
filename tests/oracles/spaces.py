"""Small spaces whose programs are compiled in no time, for laws that hold in any space."""

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.types import Space

CARDINALITIES = (4, 3, 5, 4, 3)
_MIDDLE = 1


def toy() -> Space:
    """NATS-Bench size with fewer widths, of which the first and the third layer may not be equal.

    576 of its 720 vectors are valid. The two smallest widths of the second layer are isomorphic.
    Costs, graph and strings are those of NATS-Bench size.
    """
    choices = np.array(CARDINALITIES, np.int32)

    def is_valid(arch: jax.Array) -> jax.Array:
        return jnp.all((arch >= 0) & (arch < choices)) & (arch[0] != arch[2])

    def sample(key: jax.Array) -> jax.Array:
        arch = jax.random.randint(key, choices.shape, 0, choices, jnp.int32)
        return jnp.where(is_valid(arch), arch, arch.at[2].set((arch[0] + 1) % choices[2]))

    def mutate(key: jax.Array, arch: jax.Array) -> jax.Array:
        position, step = jax.random.randint(key, (2,), 0, jnp.array([5, 2**20]), jnp.int32)
        moved = (arch + 1 + step % (choices - 1)) % choices
        child, other = (arch.at[at].set(moved[at]) for at in (position, _MIDDLE))
        return jnp.where(is_valid(child), child, other)

    def crossover(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        child = jnp.where(jax.random.bernoulli(key, 0.5, a.shape), a, b)
        return jnp.where(is_valid(child), child, a)

    def number(arch: jax.Array) -> jax.Array:
        low = jnp.sum(arch * np.array([180, 60, 12, 3, 1], np.int32), dtype=jnp.int32)
        return jnp.stack([jnp.uint32(7), low.astype(jnp.uint32)])

    def enumerate_valid() -> np.ndarray:
        vectors = np.stack(np.unravel_index(np.arange(720), CARDINALITIES), 1).astype(np.int32)
        return vectors[vectors[:, 0] != vectors[:, 2]]

    return spaces.nats_size()._replace(
        name="toy",
        cardinalities=CARDINALITIES,
        sample=sample,
        mutate=mutate,
        crossover=crossover,
        is_valid=is_valid,
        identity=lambda arch: number(arch.at[_MIDDLE].max(1)),
        code=number,
        enumerate=enumerate_valid,
    )
