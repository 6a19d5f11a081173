"""Tables as CSV files: a header row, and a row for each architecture.

Cells are separated by commas, semicolons or tabs, whichever make a header with a column of
architectures. Text is in any encoding of `engine.readers`.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jnas.benchmarks._columns import LeftOut
from jnas.engine.readers import read_text

ARCHITECTURE_COLUMNS = ("architecture", "arch", "arch_str")
NUMBERED = "file_id"
"""Column of the published numbers of architectures, in files that have no texts of them."""

_SEPARATORS = (",", ";", "\t")
# What pandas, R, spreadsheets and Python write for a value that is missing.
_UNKNOWN = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"))


class Row(NamedTuple):
    """Row of a CSV file: the line that it ends on, from 1, and its cells."""

    line: int
    cells: list[str]


class Sheet(NamedTuple):
    """Cells of a CSV file.

    Attributes:
        file: where they are from.
        header: names of the columns; "" for one without a name.
        rows: those that are not blank, each with as many cells.
        key: name of the column of architectures, or of their numbers.
    """

    file: Path
    header: list[str]
    rows: list[Row]
    key: str

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Place and text of every architecture."""
        at = self.header.index(self.key)
        places = [f"row {row} (line {line})" for row, (line, _) in enumerate(self.rows)]
        return [(place, row.cells[at]) for place, row in zip(places, self.rows, strict=True)]

    @property
    def names(self) -> list[str]:
        """Names of the columns beside that of architectures, once each."""
        return [name for name in dict.fromkeys(self.header) if name and name != self.key]

    def column(self, name: str) -> np.ndarray | LeftOut:
        """`[A]` float64, NaN for a cell that is empty or says so; or what is wrong with a cell."""
        # Which of them is meant, nobody can tell.
        if Counter(self.header)[name] > 1:
            return LeftOut(f"{self.file.name} has several columns {name!r}", has_numbers=True)
        texts = [row.cells[self.header.index(name)].strip() for row in self.rows]
        numbers = [_number(text) for text in texts]
        if None not in numbers:
            return np.array(numbers, np.float64)
        at = numbers.index(None)
        where = f"column {name!r}, row {at} (line {self.rows[at].line}) of {self.file.name}"
        # Of a table with semicolons, as spreadsheets write it where decimals have a comma.
        is_comma = "," in texts[at] and _number(texts[at].replace(",", ".")) is not None
        hint = "; write it with a decimal point" if is_comma else ""
        known = any(number is not None and not np.isnan(number) for number in numbers)
        return LeftOut(f"{where} is not a number: {texts[at]!r}{hint}", known or is_comma)


def read(file: Path) -> Sheet:
    """`Sheet` of a CSV file.

    Raises:
        ValueError: the file is no text or has no column of architectures, a row has another number
            of cells than the header, or there is no row.
        OSError: it cannot be read.
    """
    text = read_text(file)
    first = next(iter(text.lstrip("\r\n").splitlines()), "")
    # By the header alone: cells of text may hold any of the separators.
    headers = {mark: _rows(first, mark, file) for mark in _SEPARATORS}
    mark = next((mark for mark, rows in headers.items() if rows and _key(rows[0].cells)), ",")
    rows = _rows(text, mark, file)
    header = [name.strip() for name in rows[0].cells] if rows else []
    if len(rows) < 2:
        raise ValueError(f"{file.name} needs a header and at least one row; header: {header}")
    is_numbered = NUMBERED in header and not _key(header)
    key = NUMBERED if is_numbered else architecture_column(header, file)
    # A cell too few or too many would move all that follow into other columns.
    for number, (line, cells) in enumerate(rows[1:]):
        if len(cells) != len(header):
            place = f"row {number} (line {line}) of {file.name}"
            raise ValueError(f"{place} has {len(cells)} cells, not {len(header)}")
    return Sheet(file, header, rows[1:], key)


def _rows(text: str, mark: str, file: Path) -> list[Row]:
    """Rows of a text that are not blank, the header first."""
    # Lines are counted by the reader, for a quoted cell may hold line breaks.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        return [Row(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} of {file.name}: {error}") from None


def architecture_column(names: Iterable[str], file: Path) -> str:
    """Name of the column of architectures; ValueError where there is none."""
    known = list(names)
    key = _key(known)
    if key is None:
        wanted = ", ".join(ARCHITECTURE_COLUMNS)
        raise ValueError(
            f"{file.name} has no architecture column ({wanted}); its columns: {', '.join(known)}"
        )
    return key


def _key(names: Iterable[str]) -> str | None:
    """Name of the column of architectures; None where there is none."""
    known = {name.strip() for name in names}
    return next((name for name in ARCHITECTURE_COLUMNS if name in known), None)


def _number(text: str) -> float | None:
    """Number of a cell, NaN where it is unknown; None where it is other text."""
    if text.lower() in _UNKNOWN:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return None
