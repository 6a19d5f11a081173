"""How values show themselves: texts for prompts, names for completion, tables of pandas.

Imports nothing of jnas, so that the types can use it.
"""

import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 96
_MOST_ARRAYS, _MOST_SCORES, _MOST_CLASSES = 3, 6, 20  # that a text names one by one


def lines(head: str, *rest: str) -> str:
    """Text of a first line and indented ones, each cut to the width of a prompt."""
    first, *others = (_cut(line) for line in (head, *rest) if line)
    return "\n".join([first, *(f"  {line}" for line in others)])


def _cut(text: str) -> str:
    """Text of at most the width of a prompt, cut between words."""
    return textwrap.shorten(text, _WIDTH, placeholder=" …")


def arrays(tree: Any) -> str:
    """Words for the arrays of a pytree, such as "float32[128, 32, 32, 3]"; "" without any."""
    found = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    if len(found) <= _MOST_ARRAYS:
        return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in found)
    return f"{len(found)} arrays of {sum(leaf.size for leaf in found):,} numbers"


def space(value: Any) -> str:
    """Text of a `Space`: its choices and operations."""
    operations = max(value.node_operations, value.edge_operations, key=len)
    return lines(
        f"Space {value.name}",
        f"choices: {', '.join(map(str, value.cardinalities))}",
        f"operations: {', '.join(operations)}",
        f"cells: {', '.join(value.cells)}" if len(value.cells) > 1 else "",
    )


def predictor(value: Any) -> str:
    """Text of a `Predictor`: what it is made again from."""
    settings = (f"{name}={setting}" for name, setting in value.settings.items())
    return lines(f"Predictor {value.name} of {value.space.name}", *settings)


def searcher(value: Any) -> str:
    """Text of a `Searcher`: the function that made it, and what a loop must know of it."""
    inner = getattr(value.init, "func", value.init)
    # "regularized_evolution.<locals>.init" is what a factory of that name has made.
    factory = str(getattr(inner, "__qualname__", type(inner).__name__)).split(".")[0]
    return lines(
        f"Searcher {factory}",
        f"evaluations: at least {value.min_evaluations:,}",
        f"epochs: {', '.join(map(str, value.epochs))}" if value.epochs else "",
        "" if value.is_traceable else "runs with search.run_on_host",
    )


def history(value: Any) -> str:
    """Text of a `History` of one search or several: numbers and best scores."""
    *searches, capacity = value.scores.shape
    num = f"{' x '.join(map(str, searches))} searches" if searches else "one search"
    head = f"History of {num}, {capacity:,} evaluations at most"
    # Within a program there are no numbers yet.
    if isinstance(value.scores, jax.core.Tracer):
        return head
    best = np.asarray(value.best_so_far)[..., -1].ravel()
    scores = [f"{score:.6g}" for score in best[:_MOST_SCORES]]
    more = ", …" if len(best) > _MOST_SCORES else ""
    return lines(
        head,
        f"evaluations: {int(np.sum(value.num_evaluations)):,}",
        f"best score: {', '.join(scores)}{more}",
    )


def dataset(value: Any) -> str:
    """Text of a `Dataset`: shape of an image, images of each part and of each class."""
    head, num = f"Dataset {value.name}", len(value.classes)
    parts = {name: getattr(value, name) for name in ("train", "validation", "test")}
    # Within a program there are no labels yet, and there may be none outside.
    if not all(isinstance(part.y, np.ndarray) for part in parts.values()):
        return lines(head, f"classes: {num}")
    counts = [np.bincount(part.y, minlength=num) for part in parts.values()]
    shape = " x ".join(map(str, value.train.x.shape[1:]))
    totals = (f"{count.sum():,} {name}" for name, count in zip(parts, counts, strict=True))
    named = zip(value.classes, *counts, strict=True)
    classes = [f"{name} ({', '.join(f'{x:,}' for x in few)})" for name, *few in named]
    more = ", …" if num > _MOST_CLASSES else ""
    text = f"{num} classes: {', '.join(classes[:_MOST_CLASSES])}{more}"
    return lines(f"{head}, {shape} {value.train.x.dtype}", f"images: {', '.join(totals)}", text)


def history_frame(value: Any, space: Any) -> "pd.DataFrame":
    """Table of a `History`; see its method `to_pandas`."""
    num = value.scores.shape[-1]
    used = np.arange(num) < np.asarray(value.num_evaluations).reshape(-1, 1)
    search, slot = np.nonzero(used)
    archs = np.asarray(value.archs).reshape(-1, num, value.archs.shape[-1])[search, slot]
    if space is None:
        named: dict[str, Any] = {f"arch{d}": column for d, column in enumerate(archs.T)}
    else:
        named = {"architecture": [space.to_string(arch) for arch in archs]}
    fields = ("score", "seconds", "epochs", "best_so_far")
    found = value.scores, value.seconds, value.epochs, value.best_so_far
    numbers = (np.asarray(array).reshape(-1, num)[search, slot] for array in found)
    places = {"search": search, "evaluation": slot + 1}
    return data_frame(places | named | dict(zip(fields, numbers, strict=True)))


def data_frame(columns: dict[str, Any]) -> "pd.DataFrame":
    """Table of pandas from its columns; ImportError says how to install pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install 'jnas[notebook]'") from error
    return pd.DataFrame(columns)


def public(module: str) -> Callable[[], list[str]]:
    """`__dir__` of a module: the names in its `__all__`, for completion."""
    return lambda: sorted(sys.modules[module].__all__)
