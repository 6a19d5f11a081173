"""jnas ranks and searches neural architectures as pure functions over whole populations.

Everything public is reachable as `jnas.<package>.<name>`; the nouns are in `jnas.types`. A package
is imported when it is first used, so that `import jnas` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jnas import (
        benchmarks,
        encodings,
        engine,
        images,
        losses,
        metrics,
        networks,
        plots,
        population,
        predictors,
        report,
        search,
        spaces,
        types,
        zeroshot,
    )

__version__ = "0.1.0"

__all__ = [
    "benchmarks",
    "encodings",
    "engine",
    "images",
    "losses",
    "metrics",
    "networks",
    "plots",
    "population",
    "predictors",
    "report",
    "search",
    "spaces",
    "types",
    "zeroshot",
]


def __getattr__(name: str) -> Any:
    """A package of jnas, imported now."""
    if name in __all__:
        return importlib.import_module(f"jnas.{name}")
    raise AttributeError(f"module 'jnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers."""
    return sorted({*globals(), *__all__})
