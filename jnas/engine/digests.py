"""Digests of what a job consists of: arrays, settings, functions and the code that they call.

Equal content gives equal digests, in another process too: no address and no order of hashes counts.
"""

import ast
import dataclasses
import functools
import hashlib
import sysconfig
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jnas.engine.inputs import is_key

PACKAGE = Path(__file__).parent.parent  # all of jnas
_LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")}
    | {str(Path(jax.__file__).parents[1].resolve())}
)


class Walk:
    """Walk through all that a job consists of.

    The code of a function counts if it is the user's own, or with `of_libraries` if it is not; in
    the latter walk nothing else does. The user's functions that others call are put aside and
    walked through once each: a graph of calls has cycles, and far more paths than functions.
    """

    def __init__(self, *, of_libraries: bool) -> None:
        self.of_libraries = of_libraries
        self.waiting: dict[tuple[str, str, int], Any] = {}

    def whole(self, parts: Any) -> str:
        """Hexadecimal hash of `parts` and of every function of the user's that they lead to."""
        digest = hashlib.sha256(self.digest(parts))
        done: set[tuple[str, str, int]] = set()
        while left := [name for name in self.waiting if name not in done]:
            done.add(left[0])
            value = self.waiting[left[0]]
            is_function = isinstance(value, types.FunctionType)
            found = self.of_function(value, is_given=False) if is_function else value
            digest.update(self.digest(found))
        return digest.hexdigest()

    def digest(self, value: Any, above: tuple[int, ...] = ()) -> bytes:
        """Digest, 32 bytes, of `value` by content, never by address; `above` has the ids around it.

        Whole digests stand for parts, so that no two structures run together: (1, 12) is not
        (11, 2).
        """
        if id(value) in above:
            # How far up, not which object: ids differ by process.
            return hashlib.sha256(f"cycle {above.index(id(value))}".encode()).digest()
        digest = hashlib.sha256()
        if isinstance(value, (jax.Array, np.ndarray, np.generic)):
            if not self.of_libraries:
                _update_by_array(digest, value)
        elif isinstance(value, (str, bytes, int, float, complex, bool, type(None))):
            digest.update(f"scalar {value!r}".encode())
        else:
            digest.update(f"{type(value).__qualname__} ".encode())
            parts = [self.digest(part, (id(value), *above)) for part in self.parts(value)]
            # Sets are sorted: their order follows hashes of texts, which differ by process.
            for part in sorted(parts) if isinstance(value, (set, frozenset)) else parts:
                digest.update(part)
        return digest.digest()

    def parts(self, value: Any) -> list[Any]:
        """Parts of an object, in a fixed order."""
        if isinstance(value, functools.partial):
            return [value.func, value.args, value.keywords]
        if isinstance(value, types.FunctionType):
            return self.of_function(value)
        if isinstance(value, types.MethodType):
            return [value.__func__, value.__self__]
        # Neither file nor line numbers: a function that was moved is the same.
        if isinstance(value, types.CodeType):
            return [value.co_code, value.co_names, value.co_consts]
        if isinstance(value, Mapping):
            return [part for item in value.items() for part in item]
        if isinstance(value, (tuple, list, set, frozenset)):
            return list(value)
        if hasattr(value, "__wrapped__"):
            return [value.__wrapped__]
        return self.of_class(value) if isinstance(value, type) else self.of_instance(value)

    def of_instance(self, value: Any) -> list[Any]:
        """Fields of a dataclass, attributes of what has a class of the user's, or else names."""
        self.put_aside(type(value))
        if dataclasses.is_dataclass(value):
            return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
        names = [getattr(value, name, "") for name in ("__module__", "__qualname__")]
        own = getattr(value, "__dict__", {}) if _is_own(type(value)) else {}
        return [*names, {name: part for name, part in own.items() if _is_fixed(part)}]

    def of_function(self, value: types.FunctionType, *, is_given: bool = True) -> list[Any]:
        """Name, code if it counts, defaults, what it closes over and finds in its module.

        Of functions that are not given but called, such as methods, what is closed over and can
        change does not count: see `of_global`.
        """
        cells = [_content(cell) for cell in value.__closure__ or ()]
        cells = cells if is_given else [cell for cell in cells if _is_fixed(cell)]
        names = value.__module__, value.__qualname__
        parts: list[Any] = [*names, value.__defaults__, value.__kwdefaults__]
        own = _is_own(value)
        if own != self.of_libraries:
            parts.append(value.__code__)
        found = [self.of_global(*names) for names in _globals(value)] if own else []
        return [*parts, *cells, *found]

    def of_class(self, value: type) -> list[Any]:
        """Name of a class, and if it is the user's own its methods and attributes."""
        names = [value.__module__, value.__qualname__]
        if not _is_own(value):
            return names
        # Without `__doc__`, `__dict__` and the like, by which nothing is computed.
        members = {k: v for k, v in vars(value).items() if not k.startswith("__") or callable(v)}
        return [*names, *((k, self.of_global({}, k, v)) for k, v in members.items())]

    def of_global(self, scope: Mapping[str, Any], name: str, value: Any) -> Any:
        """Stand-in for an object that a function finds by its name in a scope.

        The user's functions and classes are put aside. What can change (a list, an object with
        attributes) counts by the statement that makes it, for functions keep notes in such things.
        """
        inner: Any = value.fget if isinstance(value, property) else value
        # `jit` and other decorators stand before the function that counts.
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        if isinstance(inner, types.FunctionType | type):
            self.put_aside(inner)
            return type(value).__qualname__, inner.__module__, inner.__qualname__
        if isinstance(inner, types.ModuleType):
            return inner.__name__
        if _is_fixed(value):
            return value
        self.put_aside(type(value))
        return type(value).__qualname__, _statement(scope.get("__file__"), name)

    def put_aside(self, value: Any) -> None:
        """Remember a function or class of the user's, to walk through it later."""
        if _is_own(value):
            self.waiting.setdefault((value.__module__, value.__qualname__, id(value)), value)


def _update_by_array(digest: Any, value: Any) -> None:
    """Digest that has taken in an array: its type, shape and bytes, and a key's implementation."""
    # With type and shape, for the same bytes may be other numbers.
    impl = str(jax.random.key_impl(value)) if is_key(value) else ""
    array = np.asarray(jax.random.key_data(value) if is_key(value) else value)
    digest.update(f"array {impl} {array.dtype}{array.shape} ".encode())
    digest.update(array.tobytes())


def _content(cell: types.CellType) -> Any:
    """Content of a closure's cell; None for a name that has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """Names that a code, and the functions defined within it, look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _globals(function: types.FunctionType) -> list[tuple[Mapping[str, Any], str, Any]]:
    """Objects that a function finds in its module and, by attribute, in the user's other modules.

    Each as scope, name and value.
    """
    # `co_names` does not tell attributes from globals, hence names are looked for in all scopes.
    names = list(dict.fromkeys(_names(function.__code__)))
    own = function.__globals__
    modules = [own[name] for name in names if isinstance(own.get(name), types.ModuleType)]
    scopes = [own, *(vars(module) for module in modules if _is_own(module))]
    return [(scope, name, scope[name]) for scope in scopes for name in names if name in scope]


def _is_fixed(value: Any) -> bool:
    """Whether an object has a content that stays: numbers, texts, arrays, tuples of them."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_fixed, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return bool(type(value).__dataclass_params__.frozen)  # type: ignore[attr-defined]
    simple = str, bytes, int, float, complex, bool, type(None), np.ndarray, np.generic, jax.Array
    if isinstance(value, (*simple, functools.partial)):
        return True
    return callable(value) and not _is_own(type(value))


def _statement(file: str | None, name: str) -> str:
    """Statements of a Python file that give a name its value; "" where unknown."""
    try:
        tree = ast.parse(Path(file or "").read_text())
    except (OSError, SyntaxError, ValueError):
        return ""
    found = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            found.append(ast.dump(node))
    return "\n".join(found)


def _is_own(value: Any) -> bool:
    """Whether a function, class or module is the user's own: not of jnas, a library or Python."""
    if isinstance(value, types.FunctionType):
        file: str | None = value.__code__.co_filename
    elif isinstance(value, types.ModuleType):
        file = getattr(value, "__file__", None)
    else:
        file = _file_of_module(value.__module__)
    return file is not None and not _is_library(file)


@functools.cache
def _is_library(file: str) -> bool:
    """Whether a file belongs to jnas, an installed library or Python."""
    path = Path(file).resolve()
    # By folders, not by letters: a project beside the package may be called jnas-something.
    folders = [*map(Path, _LIBRARIES), PACKAGE]
    return file.startswith("<frozen") or any(path.is_relative_to(folder) for folder in folders)


def _file_of_module(name: str) -> str | None:
    """File of a module by its name; notebooks and prompts have none, and are the user's own."""
    import sys

    module = sys.modules.get(name)
    if (
        name == "builtins"
        or module is None
        or (name != "__main__" and not hasattr(module, "__file__"))
    ):
        return None
    return getattr(module, "__file__", None) or "__main__"
