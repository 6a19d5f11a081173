"""Pickles of spaces, networks, predictors and searchers, for executors: the call that made them.

Their functions close over settings, and closures have no pickle. Another process repeats the call
instead; where a factory returns one object for equal calls, that object comes back, and with it its
compiled programs.
"""

import copyreg
import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

from jnas.types import Network, Predictor, Searcher, Space

_P = ParamSpec("_P")
_R = TypeVar("_R", bound=tuple[Any, ...])
_NOTE = "_jnas_call"


class _Call(NamedTuple):
    """Call of a factory: where the factory is, what it was given, and what it made."""

    module: str
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: tuple[Any, ...]


def pickled_by_call(factory: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator of a factory of spaces, networks and their like: what it makes can be pickled.

    At least one of the functions that it returns must be made by the call.
    """

    @functools.wraps(factory)
    def make(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        made = factory(*args, **kwargs)
        call = _Call(factory.__module__, factory.__qualname__, args, kwargs, made)
        # On a function, for tuples have no attributes, and a registry would never forget. Not on
        # those that belong to something else, as the space that a constrained one is made from.
        for function in made:
            if _is_new(function) and getattr(function, _NOTE, call).made is made:
                setattr(function, _NOTE, call)
        return made

    return make


def _is_new(value: Any) -> bool:
    """Whether a function was made by a call, not by its module."""
    is_local = "<locals>" in getattr(value, "__qualname__", "")
    return isinstance(value, functools.partial) or (is_local and hasattr(value, "__dict__"))


def call_of(value: tuple[Any, ...]) -> _Call | None:
    """Call that made a value; None where no factory of jnas did, or parts have changed since."""
    for call in (getattr(function, _NOTE, None) for function in value):
        # A variant made by `_replace` is no longer what the call makes.
        if call is not None and all(a is b for a, b in zip(call.made, value, strict=True)):
            found: _Call = call
            return found
    return None


def _reduced(value: tuple[Any, ...]) -> Any:
    """Pickle of a space or its like: its call, or its parts where these have changed."""
    call = call_of(value)
    if call is not None:
        return _called, (call.module, call.name, call.args, call.kwargs)
    return object.__reduce_ex__(value, 2)


def _called(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Result of a factory that is known by its name."""
    return getattr(importlib.import_module(module), name)(*args, **kwargs)


# Registered from here, for the types import nothing of jnas.
for _kind in (Space, Network, Predictor, Searcher):
    copyreg.pickle(_kind, _reduced)
