"""Neural architecture search in JAX: ranking, search and training as pure functions.

Everything public is reachable as `jnas.<package>.<name>`; types are in `jnas.types`. A package is
imported when it is first used, so that `import jnas` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

# Type checkers and editors do not run `__getattr__`, and need to see the imports.
if TYPE_CHECKING:
    from jnas import (
        benchmarks,
        data,
        encodings,
        engine,
        images,
        losses,
        metrics,
        networks,
        oneshot,
        plots,
        population,
        predictors,
        report,
        search,
        spaces,
        training,
        types,
        zeroshot,
    )

__version__ = "0.1.0"

__all__ = [
    "benchmarks",
    "data",
    "encodings",
    "engine",
    "images",
    "losses",
    "metrics",
    "networks",
    "oneshot",
    "plots",
    "population",
    "predictors",
    "report",
    "search",
    "spaces",
    "training",
    "types",
    "zeroshot",
]


def __getattr__(name: str) -> Any:
    """Package of jnas, imported now; AttributeError for other names, with the nearest one."""
    if name not in __all__:
        raise importlib.import_module("jnas._renamed").unknown("jnas", name)
    return importlib.import_module(f"jnas.{name}")


def __dir__() -> list[str]:
    """Names for completion, packages that are not imported yet included."""
    return sorted({*globals(), *__all__})
