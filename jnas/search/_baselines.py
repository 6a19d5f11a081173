"""Baselines of rewards: moving averages that weigh the first rewards as if there were no start."""

import jax


def after(
    momentum: float, baseline: jax.Array, weight: jax.Array, reward: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Baseline `[]` and its weight `[]` after one more reward; both are 0 before the first one.

    The average is of weights `(1 - momentum) momentum^age`, divided by their sum, which is the
    weight. Written as a step towards the reward: the first baseline is the first reward exactly,
    however a program rounds, for Adam makes a whole step of an advantage of 1e-9.
    """
    weight = momentum * weight + (1 - momentum)
    return baseline + (1 - momentum) / weight * (reward - baseline), weight
