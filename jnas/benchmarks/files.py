"""Tables on disk: `.npz`, `.csv` and `.json`.

`load` reads
    * `.csv`: a header row; one column of architecture strings named `architecture`, `arch` or
      `arch_str`; see `_csv`. Other named columns hold numbers, and NaN where a cell is empty, `NA`,
      `None` and the like. Columns without a name are left out.
    * `.npz`: `archs` `[A, D]` integers or `architecture` `[A]` strings. Other arrays are columns
      `[A]` of numbers. Optional texts are `space` (its name), `source` and `conventions` (a JSON
      object, column to text).
    * `.npz` with one of the layouts that `_layouts` knows, such as those of released benchmarks.
    * `.json` as NAS-Bench-Macro and NDS publish theirs, and lists of [architecture, number]; `.csv`
      with the numbers of TransNAS-Bench-101's networks (`file_id`).

Nothing is unpickled, except plain dicts by a reader that refuses everything else. Rows are counted
from 0.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnas import spaces
from jnas.benchmarks import _columns, _csv, _json, _layouts, _transnas
from jnas.benchmarks._columns import LeftOut
from jnas.benchmarks._csv import ARCHITECTURE_COLUMNS, architecture_column
from jnas.benchmarks._guess import parse, space_of_text, space_of_width
from jnas.benchmarks.make import Duplicates, make_table
from jnas.benchmarks.released import Contents
from jnas.benchmarks.table import Table
from jnas.engine import readers
from jnas.engine.files import reading, replacing
from jnas.engine.messages import nearest
from jnas.types import Space

_TEXTS = ("space", "source", "conventions")
# "file" and "allow_pickle" are parameters of `numpy.savez`, which takes arrays as keywords.
_RESERVED = (*_TEXTS, "archs", *ARCHITECTURE_COLUMNS, "file", "allow_pickle")


def load(
    path: str | os.PathLike[str],
    space: Space | str | None = None,
    columns: Sequence[str] | None = None,
    *,
    duplicates: Duplicates = "refuse",
) -> Table:
    """`Table` from a `.npz`, `.csv` or `.json` file.

    Args:
        path: the file; its suffix says how it is read.
        space: a space or its name; by default what the file says, or what its architectures look
            like (vectors of 6 choices: nasbench201).
        columns: the columns to keep, which must hold numbers; by default all that do. Of the others
            `Table.column` says what is wrong with them.
        duplicates: what becomes of rows that are the same architecture: "mean" takes the mean of
            what was measured, "refuse" raises.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, is not a table of that space, has a row that is invalid
            or occurs twice, or a column is unknown or not numeric; the message names the file, the
            row and the column.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no benchmark table at {file}")
    if file.suffix not in _READERS:
        raise ValueError(
            f"cannot read {file.name}: tables are .npz, .csv or .json files, not {file.suffix!r}"
        )
    reading(file, "the table")
    given = spaces.by_name(space) if isinstance(space, str) else space
    contents = read(file, given)
    if given is not None and given.name != contents.space:
        raise ValueError(f"{file.name} is a table of {contents.space}, not of {given.name}")
    with readers.naming(file):
        return checked(contents, given, columns, duplicates)


def save(table: Table, path: str | os.PathLike[str]) -> None:
    """Table to a `.npz` file that `load` reads back; of the space only the name is kept.

    Raises:
        ValueError: the suffix is another, or a column has a name that the file needs for itself.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    file = Path(path)
    if file.suffix != ".npz":
        raise ValueError(
            f"cannot write {file.name}: tables are saved as .npz files, not {file.suffix!r}"
        )
    for name in table.columns:
        if name in _RESERVED:
            raise ValueError(
                f"a saved table cannot have a column {name!r}; reserved: {', '.join(_RESERVED)}"
            )
    # As arrays of characters: objects would need a pickle, which `load` refuses.
    texts = {
        "space": table.space.name,
        "source": table.source,
        "conventions": json.dumps(dict(table.conventions)),
    }
    arrays: dict[str, np.ndarray] = {name: np.array(text) for name, text in texts.items()}
    arrays |= {"archs": table.archs, **table.columns}
    # A killed process leaves the table that was there before.
    with replacing(file, "table") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


# --------------------------------------------------------------------------------------------------
# Reading.


def read(file: Path, space: Space | None) -> Contents:
    """`Contents` of a file with a known suffix; ValueError names it."""
    with readers.naming(file):
        return _READERS[file.suffix](file, space)


def checked(
    contents: Contents,
    space: Space | None,
    columns: Iterable[str] | None,
    duplicates: Duplicates,
) -> Table:
    """`Table` of the columns to keep, checked by `make_table`."""
    numbers: dict[str, np.ndarray] = {}
    left_out = dict(contents.left_out)
    # Not refused at once: nobody may have asked for that column.
    for name, values in contents.columns.items():
        try:
            numbers[name] = _columns.floats(name, values, len(contents.archs))
        except ValueError as error:
            left_out[name] = LeftOut(f"{error} in {contents.source}", has_numbers=False)
    kept = _kept(numbers, left_out, columns, contents.source)
    return make_table(
        space or contents.found or spaces.by_name(contents.space),
        contents.archs,
        {name: numbers[name] for name in kept},
        conventions={name: text for name, text in contents.conventions.items() if name in kept},
        source=contents.source,
        duplicates=duplicates,
        left_out=left_out,
    )


def _kept(
    numbers: Mapping[str, np.ndarray],
    left_out: Mapping[str, LeftOut],
    columns: Iterable[str] | None,
    source: str,
) -> list[str]:
    """Names of the columns to keep, by default all numbers; ValueError where one is not there."""
    # Of a file without any numbers, what is wrong with its first column tells most.
    kept = list(columns if columns is not None else numbers or left_out)
    for name in kept:
        if name in left_out:
            raise ValueError(left_out[name].reason)
        if name not in numbers:
            raise ValueError(f"unknown column {name!r} of {source}. {nearest(name, list(numbers))}")
    return kept


def _read_npz(file: Path, space: Space | None) -> Contents:
    """`Contents` of a `.npz` file; ValueError where it is not a table."""
    arrays, left_out = _arrays(file)
    # Known layouts first: their packed arrays would be refused as columns of a wrong shape.
    known = _layouts.contents(arrays, file)
    if known is not None:
        return known
    # Of another type it is a column that happens to be called so.
    named = [name for name in _TEXTS if name in arrays and arrays[name].dtype.kind == "U"]
    texts = {name: str(arrays.pop(name)) for name in named}
    found = space or (spaces.by_name(texts["space"]) if "space" in texts else None)
    if "archs" in arrays:
        archs = arrays.pop("archs")
        found = found or space_of_width(archs.shape[-1] if archs.ndim else 0, file)
    else:
        strings = arrays.pop(architecture_column(arrays, file)).astype(str).ravel().tolist()
        found = found or space_of_text(next(iter(strings), ""), file)
        archs = parse(found, ((f"row {row}", text) for row, text in enumerate(strings)), file)
    return Contents(
        texts.get("space", found.name),
        archs,
        arrays,
        _conventions(texts.get("conventions", "{}")),
        texts.get("source", file.name),
        left_out,
    )


def _arrays(file: Path) -> tuple[dict[str, np.ndarray], dict[str, LeftOut]]:
    """Arrays of a `.npz` file, and those that would need a pickle."""
    arrays, left_out = {}, {}
    with readers.arrays(file) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                reason = f"array {name!r} of {file.name}: {error}"
                # Without architectures there is no table.
                if name in ("archs", *ARCHITECTURE_COLUMNS):
                    raise ValueError(reason) from error
                left_out[name] = LeftOut(reason, has_numbers=False)
    return arrays, left_out


def _conventions(text: str) -> dict[str, str]:
    """Conventions by column, from JSON; ValueError where it is anything else."""
    stated: Any = json.loads(text)
    if not isinstance(stated, dict) or not all(isinstance(one, str) for one in stated.values()):
        raise ValueError("conventions must be a JSON object, column to text")
    return stated


def _read_csv(file: Path, space: Space | None) -> Contents:
    """`Contents` of a CSV file."""
    sheet = _csv.read(file)
    if sheet.key == _csv.NUMBERED:
        return _transnas.contents(sheet, space)
    texts = sheet.texts
    found = space or space_of_text(texts[0][1], file)
    archs = parse(found, texts, file)
    read = {name: sheet.column(name) for name in sheet.names}
    numbers = {name: found for name, found in read.items() if not isinstance(found, LeftOut)}
    left_out = {name: found for name, found in read.items() if isinstance(found, LeftOut)}
    return Contents(found.name, archs, numbers, {}, file.name, left_out)


_READERS: dict[str, Callable[[Path, Space | None], Contents]] = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".json": _json.read,
}
