"""Rejection sampling with a bound: draws until a condition holds, but not for ever."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jnas.types import Arch, Key

Draw = Callable[[Key], Arch]
Condition = Callable[[Arch], jax.Array]


def draw_until(
    key: Key, draw: Draw, condition: Condition, *, size: int, max_draws: int
) -> tuple[Arch, jax.Array]:
    """First draw for which a condition holds, or the last one that is allowed.

    Args:
        key: consumed.
        draw: `key -> [D]` int32.
        condition: `[D] -> []` bool.
        size: `D`.
        max_draws: draws at most, at least 1.

    Returns:
        The last draw `[D]` int32, and whether the condition holds for it, `[]` bool.
    """

    def again(
        carry: tuple[Key, Arch, jax.Array, jax.Array],
    ) -> tuple[Key, Arch, jax.Array, jax.Array]:
        key, _, _, draws = carry
        key, draw_key = jax.random.split(key)
        arch = draw(draw_key)
        return key, arch, condition(arch), draws + 1

    # The zeros are never returned, for there is at least one draw.
    start = (key, jnp.zeros(size, jnp.int32), jnp.asarray(False), jnp.zeros((), jnp.int32))
    # Under `vmap` every row waits for the slowest one, so the bound is one of time, too.
    _, arch, holds, _ = lax.while_loop(
        lambda carry: ~carry[2] & (carry[3] < max_draws), again, start
    )
    return arch, holds
