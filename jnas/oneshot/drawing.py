"""Draws from spaces that are too large to be listed: by class of isomorphic ones, or by FLOPs."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.reach import is_trainable
from jnas.types import Arch, Key, Space

Draw: TypeAlias = Callable[..., tuple[jax.Array, jax.Array]]
"""`(..., key, number) -> (archs [S, D], is_used [S])`, the function of a sampler."""

_NUM_ASKED = 4096  # architectures by which a space is known


def check_identities(space: Space) -> None:
    """ValueError where no architecture, of many, is the one that its class is known by."""
    archs = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), _NUM_ASKED))
    if not np.asarray(jax.jit(jax.vmap(functools.partial(_is_first, space)))(archs)).any():
        raise ValueError(
            f"{space.name} is too large to be listed, and its identities are no codes of "
            "architectures, by which one of each class could be drawn: use the sampler 'uniform'"
        )


def _is_first(space: Space, arch: Arch) -> jax.Array:
    """Whether an architecture is the one of its class that has the code of all, `[]` bool."""
    return jnp.all(space.code(arch) == space.identity(arch))


# Kept by space: a new function would be compiled anew, however equal it is.
@functools.lru_cache(64)
def drawn(space: Space, by_class: bool) -> Draw:
    """Function that draws from a space, and again while what it has drawn cannot be trained.

    By class it also draws again while the architecture is not the first of its class.
    """
    can_be_trained = is_trainable(space)
    # One vector of each class, and not more of those that have more vectors with its code.
    sample = space.sample_code if by_class and space.sample_code else space.sample

    def is_wanted(arch: Arch) -> jax.Array:
        wanted = can_be_trained(arch)
        return wanted & space.is_valid(arch) & _is_first(space, arch) if by_class else wanted

    def draw(key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        del number

        def drawn_from(key: Key) -> tuple[Key, Arch]:
            rest, here = jax.random.split(key)
            return rest, sample(here)

        _, arch = lax.while_loop(
            lambda state: ~is_wanted(state[1]),
            lambda state: drawn_from(state[0]),
            drawn_from(key),
        )
        return arch[None], jnp.ones(1, bool)

    return draw


def in_strata(space: Space, num: int) -> tuple[Draw, jax.Array]:
    """Function that draws from `num` strata by FLOPs, and their limits, its first argument.

    The limits `[num + 1]` are quantiles of many architectures.

    Raises:
        ValueError: not a number of strata, or too few different FLOPs.
    """
    check_at_least_one(num=num)
    archs = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), _NUM_ASKED))
    flops = np.asarray(jax.jit(jax.vmap(space.flops))(archs), np.float64)
    inner = np.quantile(flops, np.arange(1, num) / num)
    # In the type of the program, in which two limits may be one.
    limits = np.array([-np.inf, *inner, np.inf], np.float32)
    # One in which no architecture can be trained would be drawn from for ever.
    usable = flops[np.asarray(jax.jit(jax.vmap(is_trainable(space)))(archs))]
    if not np.histogram(usable, limits)[0].all():
        raise ValueError(f"{space.name} has too few different FLOPs for {num} strata")
    return _within(space), jnp.asarray(limits)


@functools.lru_cache(64)
def _within(space: Space) -> Draw:
    """Function that draws one architecture between each two of ascending limits of FLOPs."""
    draw_one = drawn(space, False)

    def draw(limits: jax.Array, key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        def of_stratum(row: tuple[Key, jax.Array, jax.Array]) -> Arch:
            key, low, high = row

            def drawn_from(key: Key) -> tuple[Key, Arch]:
                rest, here = jax.random.split(key)
                return rest, draw_one(here, number)[0][0]

            def is_outside(state: tuple[Key, Arch]) -> jax.Array:
                flops = space.flops(state[1]).astype(jnp.float32)
                return (flops < low) | (flops >= high)

            _, arch = lax.while_loop(
                is_outside, lambda state: drawn_from(state[0]), drawn_from(key)
            )
            return arch

        keys = jax.random.split(key, len(limits) - 1)
        archs: jax.Array = lax.map(of_stratum, (keys, limits[:-1], limits[1:]))
        return archs, jnp.ones(len(archs), bool)

    return draw
