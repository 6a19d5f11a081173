"""Factories of networks: one object for equal settings, and the settings of an object."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

from jnas.engine.pickles import call_of, pickled_by_call
from jnas.types import Network

_P = ParamSpec("_P")


def one_object(factory: Callable[_P, Network]) -> Callable[_P, Network]:
    """Decorator of a factory: equal settings give the same network, which can be pickled.

    So estimators and trainings of them share compiled programs, in any process. Whether a default
    is spelled out makes no difference, nor whether several values are a tuple or a list, as in
    JSON.
    """
    signature = inspect.signature(factory)
    made = pickled_by_call(functools.cache(factory))

    @functools.wraps(factory)
    def make(*args: _P.args, **settings: _P.kwargs) -> Network:
        bound = signature.bind(*args, **settings)
        bound.apply_defaults()
        lists = {name: given for name, given in bound.arguments.items() if isinstance(given, list)}
        bound.arguments.update({name: tuple(given) for name, given in lists.items()})
        return made(*bound.args, **bound.kwargs)

    return make


def settings_of(network: Network) -> tuple[str, dict[str, Any]] | None:
    """Name and settings of the factory that made a network; None where none of them did."""
    call = call_of(network)
    return None if call is None else (call.name, dict(call.kwargs))
