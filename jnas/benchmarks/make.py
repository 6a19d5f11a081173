"""Tables made from plain arrays."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np

from jnas.benchmarks import _columns, _rows
from jnas.benchmarks._columns import NOT_STATED, LeftOut
from jnas.benchmarks.table import Table
from jnas.engine.messages import nearest
from jnas.types import Space

Duplicates: TypeAlias = Literal["refuse", "mean"]
"""What becomes of rows that are the same architecture; see `make_table`."""


def make_table(
    space: Space,
    archs: np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    conventions: Mapping[str, str] | None = None,
    source: str = "arrays",
    duplicates: Duplicates = "refuse",
    left_out: Mapping[str, LeftOut] | None = None,
) -> Table:
    """`Table` from plain arrays, checked.

    Args:
        space: the space the rows belong to.
        archs: `[A, D]` integers.
        columns: name to `[A]` numbers; integers become float64.
        conventions: what each column holds; a column that is not named gets "not stated".
        source: where the numbers come from.
        duplicates: "mean" makes one row, at the first place, of all that are the same architecture,
            with the mean of what was measured; "refuse" raises.
        left_out: what `Table.column` says of columns that are not there.

    Raises:
        ValueError: as for `Table`; or an array has no numbers, a convention no column, or
            `duplicates` is unknown.
    """
    archs, texts = np.asarray(archs), dict(conventions or {})
    if archs.dtype.kind not in "iu":
        raise ValueError(f"architectures must be integers; got {archs.dtype}")
    # It may state which way is better: of a misspelt column that would be lost.
    for name in texts:
        if name not in columns:
            raise ValueError(
                f"a convention for the unknown column {name!r}. {nearest(name, tuple(columns))}"
            )
    if duplicates not in get_args(Duplicates):
        raise ValueError(
            f"unknown duplicates {duplicates!r}. {nearest(duplicates, get_args(Duplicates))}"
        )
    _rows.check_shape(space, archs, columns, source)
    rows = np.ascontiguousarray(archs, np.int32)
    numbers = {name: _columns.floats(name, values, len(rows)) for name, values in columns.items()}
    stated = {name: texts.get(name, NOT_STATED) for name in columns}
    codes = _rows.codes_of(space, rows)
    if duplicates == "mean":
        first, place = _rows.same_rows(codes)
        # Where nothing is repeated the conventions stay as they are stated.
        if len(first) < len(rows):
            numbers = {name: _rows.means(values, place) for name, values in numbers.items()}
            stated = {name: f"{text}; mean over repeated rows" for name, text in stated.items()}
            rows, codes = rows[first], codes[first]
    known = _rows.sorted_codes(space, rows, codes)
    return Table(space, rows, numbers, stated, source, dict(left_out or {}), known)
