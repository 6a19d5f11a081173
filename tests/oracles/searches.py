"""What the tests of strategies share: searches as one compiled program, and a space of names."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

import jnas
from jnas.types import Estimator, History, Key, Objective, Searcher, Space

FOUNDER, CHILD, MUTANT = 0, 1, 2


def compiled(searcher: Searcher) -> Searcher:
    """The same strategy, its functions compiled: without, each of their operations is a program."""
    return searcher._replace(
        init=jax.jit(searcher.init), ask=jax.jit(searcher.ask), tell=jax.jit(searcher.tell)
    )


def run(
    searcher: Searcher,
    objective: Objective,
    key: Key,
    *,
    max_seconds: float | None = None,
    **options: object,
) -> History:
    """`jnas.search.run` as one program, which all keys, limits and objectives of one kind share."""
    return _program(searcher, tuple(options.items()))(objective, key, max_seconds)


@functools.cache
def _program(
    searcher: Searcher, options: tuple[tuple[str, object], ...]
) -> Callable[[Objective, Key, float | None], History]:
    return jax.jit(
        lambda objective, key, max_seconds: jnas.search.run(
            searcher, objective, key, max_seconds=max_seconds, **dict(options)
        )
    )


def noise(key: Key, archs: jax.Array) -> jax.Array:
    """An estimator that is different with every key."""
    numbers = jnp.sum(archs * 7 ** jnp.arange(archs.shape[1], dtype=jnp.int32)[None], axis=1)
    return jax.vmap(lambda number: jax.random.uniform(jax.random.fold_in(key, number)))(numbers)


def naswot(key: Key) -> Estimator:
    """NASWOT on a small network of NAS-Bench-201 and four images of noise."""
    network = jnas.networks.nasbench201(channels=4, cells=1)
    return jnas.zeroshot.naswot(network, jax.random.normal(key, (4, 8, 8, 3)))


@functools.cache
def family() -> Space:
    """Architectures `[4]`: a random name, names of one or two parents, and which move made it."""

    def named(key: jax.Array, *rest: jax.Array | int) -> jax.Array:
        name = jax.random.randint(key, (), 1, 2**30, jnp.int32)
        return jnp.stack([name, *(jnp.asarray(value, jnp.int32) for value in rest)])

    return jnas.spaces.nasbench201()._replace(
        name="family",
        cardinalities=(2**30, 2**30, 2**30, 3),
        sample=lambda key: named(key, 0, 0, FOUNDER),
        mutate=lambda key, arch: named(key, arch[0], 0, MUTANT),
        crossover=lambda key, a, b: named(key, a[0], b[0], CHILD),
    )
