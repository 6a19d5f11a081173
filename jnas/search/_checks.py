"""Checks of settings that the strategies share."""


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
