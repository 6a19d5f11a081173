"""Spaces under a condition: the same moves, drawn again until the condition holds."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search._redraw import Condition, draw_until
from jnas.types import Arch, Key, Space


@pickled_by_call
def constrained(
    space: Space, is_allowed: Condition, *, max_draws: int = 1000, num_checked: int = 4096
) -> Space:
    """Space whose moves stay among allowed architectures, such as those with few parameters.

    Sampling falls back on an architecture found when the space is made, mutation on the parent, and
    crossover on the first allowed parent, so that no move leaves the allowed architectures for
    others. What is not allowed is not valid, so that strategies which draw until a vector is valid
    keep to it, too. All else that the space says about an architecture (`identity`, `enumerate`, …)
    stays as it was.

    Args:
        space: whose moves.
        is_allowed: `[D] -> []` bool; pure, works under `jit` and `vmap`.
        max_draws: draws at most of one move, before it falls back.
        num_checked: samples that are drawn to look for an allowed one. Host only.

    Returns:
        A `Space` with `sample`, `mutate`, `crossover` and `is_valid` under the condition.

    Raises:
        ValueError: none of the samples is allowed, or a number is less than 1.
    """
    check_at_least_one(max_draws=max_draws, num_checked=num_checked)
    # Looked for now, where nothing allowed can be an error; a program that draws cannot raise one.
    stand_in = _first_allowed(space, is_allowed, num_checked)

    def redraw(key: Key, draw: Callable[[Key], Arch], otherwise: Arch) -> Arch:
        size = len(space.cardinalities)
        arch, found = draw_until(key, draw, is_allowed, size=size, max_draws=max_draws)
        return jnp.where(found, arch, otherwise)

    def sample(key: Key) -> Arch:
        return redraw(key, space.sample, stand_in)

    def mutate(key: Key, arch: Arch) -> Arch:
        return redraw(key, lambda key: space.mutate(key, arch), arch)

    def crossover(key: Key, a: Arch, b: Arch) -> Arch:
        # A parent need not be allowed: an initial population of the caller's own comes from
        # elsewhere.
        return redraw(key, lambda key: space.crossover(key, a, b), jnp.where(is_allowed(a), a, b))

    def is_valid(arch: Arch) -> jax.Array:
        return space.is_valid(arch) & is_allowed(arch)

    return space._replace(sample=sample, mutate=mutate, crossover=crossover, is_valid=is_valid)


def _first_allowed(space: Space, is_allowed: Condition, num: int) -> jax.Array:
    """First allowed one `[D]` int32 of `num` samples; ValueError where there is none."""

    def check(key: Key) -> tuple[jax.Array, jax.Array]:
        archs = jax.vmap(space.sample)(jax.random.split(key, num))
        allowed = jax.vmap(is_allowed)(archs)
        return archs[jnp.argmax(allowed)], jnp.any(allowed)

    arch: Arch
    # A searcher may be made while something else is being traced; the check runs now all the same.
    with jax.ensure_compile_time_eval():
        # A key of its own: the stand-in belongs to the space, and is the same in every search.
        arch, found = jax.jit(check)(jax.random.key(0))
    if not found:
        raise ValueError(
            f"the condition (is_allowed) holds for 0 of {num:,} samples of {space.name}; "
            "nothing to search among"
        )
    return arch
