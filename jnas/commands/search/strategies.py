"""Options of the search strategies, read from the signatures and docstrings of their functions.

Strategies are those of `jnas.search`, which need an estimator, and the methods of `jnas.oneshot`,
which train the weights of their own.

An option is a keyword of a strategy whose value can be written on a command line: a number, a
truth value or a name. So a strategy with one new option changes its own file only.
"""

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from cyclopts import Parameter

from jnas import oneshot, search
from jnas.commands.options import STRATEGY
from jnas.engine.messages import nearest
from jnas.search.named import factory

METHODS = oneshot.METHODS
NAMES = (*search.NAMES, *METHODS)
# Names that a method has for something else than a strategy has.
_LEFT_OUT = {"enas": ("num_samples",)}

Plain: TypeAlias = int | float | bool | str
_PLAIN = (int, float, bool, str)


class Option(NamedTuple):
    """Option of one or several strategies.

    Attributes:
        kind: type of its values.
        text: what it is, as the docstring of the first strategy that has it says.
        defaults: strategy → default; None where the text tells it.
    """

    kind: Any
    text: str
    defaults: dict[str, Any]


@functools.cache
def all_options() -> Mapping[str, Option]:
    """Options of all strategies, by name."""
    found: dict[str, Option] = {}
    for strategy in NAMES:
        function = function_of(strategy)
        # Hints and not annotations: those of modules with postponed evaluation are strings.
        hints, texts = typing.get_type_hints(function), _texts(inspect.getdoc(function) or "")
        for name, parameter in inspect.signature(function).parameters.items():
            kind = _plain(hints[name])
            is_option = (
                parameter.kind is parameter.KEYWORD_ONLY
                and parameter.default is not parameter.empty
            )
            if is_option and kind is not None and name not in _LEFT_OUT.get(strategy, ()):
                # One option for all strategies that have it, for a command line has each name once.
                # A keyword without a text is an error here, so that help never lacks one.
                option = found.setdefault(name, Option(kind, texts[name], {}))
                option.defaults[strategy] = parameter.default
    return found


def function_of(strategy: str) -> Callable[..., Any]:
    """Function that makes a strategy, whose keywords are its options."""
    found: Callable[..., Any] = (
        getattr(oneshot, strategy) if strategy in METHODS else factory(strategy)
    )
    return found


def defaults(strategy: str) -> dict[str, Any]:
    """Options with defaults of one strategy."""
    return {
        name: option.defaults[strategy]
        for name, option in all_options().items()
        if strategy in option.defaults
    }


def check(strategy: str, names: Iterable[str], known: Sequence[str] = NAMES) -> None:
    """ValueError for an unknown strategy or an option that it does not have, with the nearest."""
    if strategy not in known:
        raise ValueError(f"unknown strategy {strategy!r}. {nearest(strategy, known)}")
    options = [*defaults(strategy)]
    for name in names:
        if name not in options:
            has = nearest(name, options) if options else "It has no options."
            raise ValueError(f"{strategy} has no {name}. {has}")


@functools.cache
def parsed_class(without: tuple[str, ...] = (), known: tuple[str, ...] = NAMES) -> Any:
    """Dataclass with a field for every option of strategies, None where it is not given.

    It is for the parser. Those that a command has a use of its own for are left out.
    """
    options = {
        name: option
        for name, option in all_options().items()
        if name not in without and not option.defaults.keys().isdisjoint(known)
    }
    fields = [(name, _field(option), None) for name, option in options.items()]
    # The parser looks into no class of the standard library, where make_dataclass puts it.
    made = dataclasses.make_dataclass(
        "Options", fields, frozen=True, namespace={"__module__": __name__}
    )
    return Parameter(name="*")(made)


def given(parsed: Any) -> dict[str, Plain]:
    """Options that were given, in the order of `all_options`."""
    values = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(parsed)}
    return {name: value for name, value in values.items() if value is not None}


def _field(option: Option) -> Any:
    """Type of an optional field, with its help."""
    # Strategies with the same default share one entry of the help.
    by_value: dict[Any, list[str]] = {}
    for strategy, value in option.defaults.items():
        by_value.setdefault(value, []).append(strategy)
    told = "; ".join(
        ", ".join(names) + ("" if value is None else f": {value}")
        for value, names in by_value.items()
    )
    # Defaults are in the text: the parser would show None, which stands for "not given".
    parameter = Parameter(help=f"{option.text} [{told}]", group=STRATEGY, show_default=False)
    return Annotated[option.kind | None, parameter]


def _plain(hint: Any) -> Any:
    """Part of a type that can be written on a command line; None where there is none."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        parts = [part for part in map(_plain, typing.get_args(hint)) if part is not None]
        return parts[0] if parts else None
    return hint if hint in _PLAIN or typing.get_origin(hint) is Literal else None


def _texts(docstring: str) -> dict[str, str]:
    """Texts of the arguments, by name, in a docstring with a section `Args:`."""
    section = re.search(r"^Args:\n(.*?)(?:^\S|\Z)", docstring, re.DOTALL | re.MULTILINE)
    entries = re.split(r"^    (?=\w+: )", section[1] if section else "", flags=re.MULTILINE)
    pairs = (entry.split(": ", 1) for entry in entries if ": " in entry)
    return {name: _sentence(" ".join(text.split())) for name, text in pairs}


def _sentence(text: str) -> str:
    """First sentence of a text, for people: without marks of code, with a capital at its start."""
    plain = re.split(r"(?<=\.) (?=[A-Z])", text.replace("`", ""))[0]
    return plain[:1].upper() + plain[1:]
