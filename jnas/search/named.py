"""Strategies by name: those that run inside a compiled program, with the papers' settings."""

import inspect
from collections.abc import Callable
from typing import Any

from jnas.engine.messages import nearest
from jnas.search.area import area
from jnas.search.bohb import bohb
from jnas.search.genetic import genetic
from jnas.search.local_search import local_search
from jnas.search.nsga2 import nsga2
from jnas.search.random_search import random_search
from jnas.search.regularized_evolution import regularized_evolution
from jnas.search.reinforce import reinforce
from jnas.search.reinforced_evolution import reinforced_evolution
from jnas.search.successive_halving import successive_halving
from jnas.types import Searcher, Space

# Without `predictor_guided`, which works on the host, and needs a predictor and another strategy.
_FACTORIES: dict[str, Callable[..., Searcher]] = {
    "random": random_search,
    "regularized_evolution": regularized_evolution,
    "area": area,
    "local_search": local_search,
    "reinforce": reinforce,
    "reinforced_evolution": reinforced_evolution,
    "genetic": genetic,
    "nsga2": nsga2,
    "successive_halving": successive_halving,
    "bohb": bohb,
}
# Arguments without a default, which `defaults` does not list.
_NEEDED = {"area": ("estimator",), "nsga2": ("costs",)}
NAMES = tuple(_FACTORIES)


def by_name(name: str, space: Space, **options: Any) -> Searcher:
    """Strategy of that name.

    Args:
        name: one of `NAMES`.
        space: where to search.
        options: of the function in `jnas.search`; "area" needs `estimator`, "nsga2" `costs`.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: an unknown name or option, or an option that is not allowed.
    """
    known = (*defaults(name), *_NEEDED.get(name, ()))
    # Before the call, whose TypeError would not say which options there are.
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no {option}. {nearest(option, known)}")
    return factory(name)(space, **options)


def factory(name: str) -> Callable[..., Searcher]:
    """Function in `jnas.search` that makes the strategy; ValueError lists the valid names."""
    if name not in _FACTORIES:
        raise ValueError(f"unknown strategy {name!r}. {nearest(name, NAMES)}")
    return _FACTORIES[name]


def defaults(name: str) -> dict[str, Any]:
    """Options with defaults of the strategy of that name; ValueError lists the valid names."""
    # Read from the function: a list of options beside it would lag behind.
    parameters = inspect.signature(factory(name)).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
