"""Costs that are weighed against scores or limited, by name: sizes, or columns of tables."""

import math
from typing import NamedTuple

import numpy as np
from jax.tree_util import Partial

from jnas import benchmarks
from jnas.benchmarks import Table
from jnas.engine.messages import nearest, setting
from jnas.search import Cost
from jnas.types import Space

SIZES = ("params", "flops")
"""Fields of `Space`."""
LIMITS = "latency:pixel3=5,params=500000"
"""Example of a text of limits."""


class Weighed(NamedTuple):
    """Cost that scores are weighed against.

    Attributes:
        name: one of `SIZES`, or a column.
        cost: `[D] -> []`, lower is better; a pytree, whose leaves are the arrays of a table.
        convention: what the column holds; empty for a size.
    """

    name: str
    cost: Cost
    convention: str = ""

    @property
    def unit(self) -> float:
        """Number that figures divide by."""
        return 1e6 if self.name in SIZES else 1.0

    @property
    def label(self) -> str:
        """Label of an axis."""
        return f"{self.name} (millions)" if self.name in SIZES else self.name

    def text(self, value: float) -> str:
        """Value of the cost for people."""
        return f"{value:,.0f}" if self.name in SIZES else f"{value:.5g}"

    def exact(self, value: float) -> str:
        """Value of the cost for files; columns are float32, in their shortest form."""
        return f"{value:.0f}" if self.name in SIZES else str(np.float32(value))


def by_name(name: str, space: Space, table: Table | None) -> Weighed:
    """Cost of a name: a size, a column of the table, or one of `benchmarks.hardware`.

    Raises:
        ValueError: there is none of that name; the message has the nearest.
        FileNotFoundError: the name is that of a measurement, and there are none of the space.
    """
    if name in SIZES:
        return Weighed(name, Partial(getattr(space, name)))
    tables, missing = [] if table is None else [table], None
    try:
        tables.append(benchmarks.hardware(space))
    except FileNotFoundError as error:
        missing = error
    for known in tables:
        if name in known.columns:
            return Weighed(name, known.cost(name), known.conventions[name])
    if missing is not None and ":" in name:
        raise missing
    columns = [column for known in tables for column in known.columns]
    raise ValueError(f"unknown cost {name!r}. {nearest(name, (*SIZES, *columns))}")


def limits(text: str | None) -> dict[str, float]:
    """Limits by name of the cost, of a text such as `LIMITS`; none of None.

    Raises:
        ValueError: a part is no name and a finite number, or a name is there twice.
    """
    found: dict[str, float] = {}
    for part in text.split(",") if text is not None else []:
        # The last sign, for names of columns may have one.
        name, _, number = (word.strip() for word in part.rpartition("="))
        value = _number(number)
        if not name or value is None:
            raise ValueError(
                f"{setting('limit')} must be a cost and the most that is allowed of it, a number "
                f"without unit (latencies are in ms), such as {LIMITS}; got {part!r}"
            )
        if name in found:
            raise ValueError(f"{setting('limit')} has {name} twice")
        found[name] = value
    return found


def _number(text: str) -> float | None:
    """Finite number of a text; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
