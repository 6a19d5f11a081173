"""Rejection with a bound: draw until a condition holds, but not for ever."""

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
    """The first draw for which a condition holds.

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

    start = (key, jnp.zeros(size, jnp.int32), jnp.asarray(False), jnp.zeros((), jnp.int32))
    _, arch, holds, _ = lax.while_loop(
        lambda carry: ~carry[2] & (carry[3] < max_draws), again, start
    )
    return arch, holds
