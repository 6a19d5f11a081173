"""Spaces under a condition: the same moves, drawn again until the condition holds."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search import pareto
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

    # A loop that draws again is in int32; parents may be bytes, as those of result files.
    def mutate(key: Key, arch: Arch) -> Arch:
        wide = arch.astype(jnp.int32)
        return redraw(key, lambda key: space.mutate(key, wide), wide).astype(arch.dtype)

    def crossover(key: Key, a: Arch, b: Arch) -> Arch:
        one, two = a.astype(jnp.int32), b.astype(jnp.int32)
        # A parent need not be allowed: an initial population of the caller's own comes from
        # elsewhere.
        parent = jnp.where(is_allowed(one), one, two)
        return redraw(key, lambda key: space.crossover(key, one, two), parent).astype(a.dtype)

    def is_valid(arch: Arch) -> jax.Array:
        return space.is_valid(arch) & is_allowed(arch)

    return space._replace(sample=sample, mutate=mutate, crossover=crossover, is_valid=is_valid)


@pickled_by_call
def limited(
    space: Space,
    limits: Sequence[tuple[pareto.Cost, float]],
    *,
    max_draws: int = 1000,
    num_checked: int = 4096,
) -> Space:
    """Space whose moves stay among architectures whose costs are within limits.

        latency = jnas.benchmarks.hardware().cost("latency:pixel3")  # ms
        small = jnas.search.limited(space, [(latency, 5.0), (space.params, 500_000)])

    All strategies take it, `nsga2` with these costs or others. See `constrained`, by which it is
    made.

    Args:
        space: whose moves.
        limits: costs and the most that is allowed of each; see `pareto.Cost`. A cost that is not
            known (NaN) is not within any limit.
        max_draws: as in `constrained`.
        num_checked: as in `constrained`.

    Returns:
        A `Space`.

    Raises:
        ValueError: there is no limit, one is no finite number or a cost no function `[D] -> []`;
            none of the samples is within the limits (the message has the least costs among them).
    """
    costs = [cost for cost, _ in limits]
    pareto.check_costs(costs, len(space.cardinalities))
    for _, limit in limits:
        if not math.isfinite(limit):
            raise ValueError(f"a limit must be a finite number; got {limit}")

    def is_allowed(arch: Arch) -> jax.Array:
        return jnp.all(jnp.stack([_at_most(cost(arch), limit) for cost, limit in limits]))

    try:
        return constrained(space, is_allowed, max_draws=max_draws, num_checked=num_checked)
    except ValueError as error:
        if max_draws < 1 or num_checked < 1:
            raise
        with jax.ensure_compile_time_eval():
            archs = _samples(space, num_checked)
            values = np.asarray(jax.jit(lambda archs: pareto.cost_values(costs, archs))(archs))
        least = np.min(values, axis=0, where=~np.isnan(values), initial=np.inf)
        told = (
            f"{value:.5g} (limit {limit:.5g})"
            for value, (_, limit) in zip(least, limits, strict=True)
        )
        raise ValueError(f"{error}; the least costs of these are {', '.join(told)}") from error


def _at_most(value: jax.Array, limit: float) -> jax.Array:
    """Whether a cost `[]` is at most a limit; `[]` bool."""
    if not jnp.issubdtype(value.dtype, jnp.integer):
        return value <= limit
    # Whole numbers stay whole: of millions of parameters float32 has not all digits.
    most = np.iinfo(value.dtype)
    return value <= min(max(math.floor(limit), most.min), most.max)


def _samples(space: Space, num: int) -> jax.Array:
    """Samples `[num, D]` int32, always the same."""
    # A key of its own: what is found belongs to the space, and is the same in every search.
    archs: jax.Array = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), num))
    return archs


def _first_allowed(space: Space, is_allowed: Condition, num: int) -> jax.Array:
    """First allowed one `[D]` int32 of `num` samples; ValueError where there is none."""

    def check() -> tuple[jax.Array, jax.Array]:
        archs = _samples(space, num)
        allowed = jax.vmap(is_allowed)(archs)
        return archs[jnp.argmax(allowed)], jnp.any(allowed)

    arch: Arch
    # A searcher may be made while something else is being traced; the check runs now all the same.
    with jax.ensure_compile_time_eval():
        arch, found = jax.jit(check)()
    if not found:
        raise ValueError(
            f"the condition (is_allowed) holds for 0 of {num:,} samples of {space.name}; "
            "nothing to search among"
        )
    return arch
