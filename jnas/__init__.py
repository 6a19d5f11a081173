"""jnas ranks and searches neural architectures as pure functions over whole populations.

Everything public is reachable as `jnas.<package>.<name>`; the nouns are in `jnas.types`.
"""

from jnas import (
    benchmarks,
    encodings,
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
