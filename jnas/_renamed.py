"""Spellings of the last release, which work for one more with a `DeprecationWarning`.

The warning names the new spelling. Imports nothing of jnas, so that every module can say what its
names were.
"""

import difflib
import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def warn(old: str, new: str) -> None:
    """Warning to the first caller outside of jnas that `old` is spelt `new`."""
    level, frame = 1, sys._getframe()
    # Python hides a DeprecationWarning unless it points at the user's own lines.
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "jnas":
        level, frame = level + 1, frame.f_back
    text = f"{old} is {new} now; the old spelling goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=level)


def arguments(
    *, values: Mapping[Any, Any] | None = None, **names: str
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorator of a function whose keyword arguments had other names.

    Args:
        values: what old values of these arguments are now; others stay.
        names: old name to new name.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        """`function`, which takes the old names as well."""

        # Positions have not changed: only keywords are looked at.
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for old in names.keys() & kwargs.keys():
                if names[old] in kwargs:
                    raise TypeError(f"{old}= is {names[old]}= now; give one of them")
                warn(f"{old}=", f"{names[old]}=")
                value = kwargs.pop(old)
                kwargs[names[old]] = value if values is None else values.get(value, value)
            return function(*args, **kwargs)

        return call

    return decorate


def unknown(module: str, name: str) -> AttributeError:
    """Error about a name that a module lacks, with the nearest one that it has."""
    told = f"module {module!r} has no attribute {name!r}"
    names = getattr(sys.modules[module], "__all__", ())
    close = difflib.get_close_matches(name, names, n=1)
    return AttributeError(f"{told}. Did you mean {close[0]!r}?" if close else told)


def suggest_names(module: str) -> None:
    """Let errors about names that a module lacks say the nearest one; called by the module."""
    # Set from outside: type checkers pass any name of a module in which they see `__getattr__`.
    vars(sys.modules[module])["__getattr__"] = attributes(module)


def attributes(module: str, **names: str) -> Callable[[str], Any]:
    """`__getattr__` of a module whose functions had other names.

    Args:
        module: its `__name__`.
        names: old name to new name.
    """

    # Python asks for it only where a module has no such name, so new spellings pay nothing.
    def find(name: str) -> Any:
        """Function of the new name; AttributeError where `name` is no old one."""
        if name not in names:
            raise unknown(module, name)
        warn(f"{module}.{name}", f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return find
