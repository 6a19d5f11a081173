"""Checks of settings that the strategies share."""

from typing import get_args

from jnas.engine.messages import nearest


def check_choice(name: str, choice: str, allowed: object) -> None:
    """ValueError unless `choice` is one of the values of the `Literal` type `allowed`."""
    # Read from the type, so that annotation, check and message cannot disagree.
    if choice not in get_args(allowed):
        raise ValueError(f"unknown {name} {choice!r}. {nearest(str(choice), get_args(allowed))}")


def check_at_least_one(**numbers: int) -> None:
    """ValueError that names the first argument below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")


def check_momentum(momentum: float) -> None:
    """ValueError unless `momentum`, of a moving average, is in [0, 1)."""
    # At 1 an average would never move from its start.
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1); got {momentum}")


def check_at_most(population_size: int, **numbers: int) -> None:
    """ValueError that names the first argument above the size of the population."""
    for name, number in numbers.items():
        if number > population_size:
            raise ValueError(
                f"{name} must be at most the population_size {population_size}; got {number}"
            )
