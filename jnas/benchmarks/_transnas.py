"""Layout of TransNAS-Bench-101's results as CSV files, one for each task.

Duan et al., CVPR 2021, https://arxiv.org/abs/2105.11871. A row has the number of its network
(`file_id`), 0 to 3,255 for skeletons and then 4,096 cells in the order of their texts, and for each
metric the largest value of any epoch. The order of the skeletons is that of a list of their texts
in another file, `macro_TASK.json`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jnas import spaces
from jnas.benchmarks._columns import LeftOut
from jnas.benchmarks._csv import Sheet
from jnas.benchmarks._guess import parse
from jnas.benchmarks.released import Contents
from jnas.engine import readers
from jnas.engine.messages import nearest
from jnas.types import Space

TASKS = (
    "class_object",
    "class_scene",
    "room_layout",
    "jigsaw",
    "segmentsemantic",
    "normal",
    "autoencoder",
)
"""Tasks that all networks were trained for, each on its own."""

NUM_SKELETONS, NUM_CELLS = 3_256, 4_096
# The list that is passed on lacks the last of them.
_LAST = "64-113444-basic"
_PREFIX = "transbench101_"
_SPLITS = {
    "valid": "validation",
    "test": "test",
    "train": "training",
}  # the best one to rank by first
_METRICS = {"top1": "top-1 accuracy in %", "top5": "top-5 accuracy in %", "ssim": "similarity"}
_SURE = 0.99  # correlation of numbers that are the same but for their unit


def task_name(task: str) -> str:
    """Name of a task; ValueError lists the valid ones."""
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}. {nearest(task, TASKS)}")
    return task


def file_name(task: str) -> str:
    """Name of the file of a task."""
    return f"{_PREFIX}{task}.csv"


def contents(sheet: Sheet, space: Space | None) -> Contents:
    """`Contents` of the rows of one space of a file.

    Args:
        sheet: cells of the file, with a column `file_id`.
        space: transnas_micro; or transnas_macro, whose names must be beside the file.

    Returns:
        The columns of the file but for losses, those of validation first, and `seconds` for
        `time_elapsed`.

    Raises:
        ValueError: the space is not given or another one, a number is none, or names are absent or
            those of other rows.
    """
    known = ("transnas_macro", "transnas_micro")
    file = sheet.file
    if space is None or space.name not in known:
        said = "give space=" if space is None else f"it is no table of {space.name}"
        raise ValueError(f"{file.name} has networks of {' and '.join(known)}; {said}")
    numbers = _numbers(sheet)
    is_skeleton = numbers < NUM_SKELETONS
    read = {name: sheet.column(name) for name in sheet.names}
    columns: dict[str, np.ndarray] = {}
    left_out: dict[str, LeftOut] = {}
    for name, found in read.items():
        if isinstance(found, LeftOut) or _is_loss(name):
            left_out[name] = found if isinstance(found, LeftOut) else _lost(name, file)
        else:
            columns[name] = found
    if space.name == "transnas_macro":
        rows = np.flatnonzero(is_skeleton)
        archs = _skeletons(file, numbers[rows], {name: columns[name][rows] for name in columns})
    else:
        rows = np.flatnonzero(~is_skeleton)
        archs = spaces.transnas_micro().enumerate()[numbers[rows] - NUM_SKELETONS]
    kept = {_renamed(name): columns[name][rows] for name in sorted(columns, key=_rank)}
    stated = {_renamed(name): _convention(name, file) for name in columns}
    return Contents(space.name, archs, kept, stated, file.name, left_out)


def _numbers(sheet: Sheet) -> np.ndarray:
    """`[A]` int, published numbers of the rows."""
    numbers = []
    for place, text in sheet.texts:
        if not text.strip().isdecimal() or int(text) >= NUM_SKELETONS + NUM_CELLS:
            raise ValueError(
                f"{place} of {sheet.file.name}: file_id must be 0 to "
                f"{NUM_SKELETONS + NUM_CELLS - 1}; got {text!r}"
            )
        numbers.append(int(text))
    return np.array(numbers)


def _skeletons(file: Path, numbers: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`[N, 6]` int32, the skeletons of some numbers, by the list of names beside the file."""
    task = file.stem.removeprefix(_PREFIX)
    names = file.with_name(f"macro_{task}.json")
    if not names.is_file():
        raise ValueError(
            f"{file.name} has no names of skeletons; their file {names.name} must be beside it"
        )
    with readers.naming(names):
        pairs = json.loads(readers.read_text(names))
        texts = [text for text, _ in pairs]
        values = np.array([value for _, value in pairs], np.float64)
        if len(texts) == NUM_SKELETONS - 1 and _LAST not in texts:
            texts.append(_LAST)
        if len(texts) <= numbers.max(initial=0):
            raise ValueError(f"{len(texts)} names, but numbers up to {numbers.max()}")
        places = ((f"row {row}", text) for row, text in enumerate(texts))
        archs = parse(spaces.transnas_macro(), places, names)
    known = numbers < len(values)
    listed = values[numbers[known]]
    _check_alike(listed, [columns[name][known] for name in columns if _is_valid(name)], file)
    skeletons: np.ndarray = archs[numbers]
    return skeletons


def _is_valid(name: str) -> bool:
    """Whether a column is of the validation set, as the numbers beside the names are."""
    return name.startswith("valid_")


def _check_alike(listed: np.ndarray, columns: Sequence[np.ndarray], file: Path) -> None:
    """ValueError where numbers beside names are those of no column, and so of other rows."""
    # A list in another order would give every network another's results, and nobody would see it.
    found = []
    for column in columns:
        is_known = np.isfinite(listed) & np.isfinite(column)
        pair = listed[is_known], column[is_known]
        if is_known.any() and all(np.ptp(one) > 0 for one in pair):
            found.append(abs(np.corrcoef(*pair)[0, 1]))
    if found and max(found) < _SURE:
        raise ValueError(f"the numbers beside the names are not those of the rows of {file.name}")


def _is_loss(name: str) -> bool:
    """Whether a column holds the largest of losses; negative losses are better when larger."""
    return name.endswith("loss") and not name.endswith("neg_loss")


def _lost(name: str, file: Path) -> LeftOut:
    """What is wrong with a column of losses."""
    reason = f"column {name!r} of {file.name} is the largest loss of any epoch, not the best one"
    return LeftOut(reason, has_numbers=False)


def _rank(name: str) -> int:
    """Key to sort columns by: what a search goes by is first."""
    split = name.partition("_")[0]
    order = [*_SPLITS]
    return order.index(split) if split in order else len(order)


def _renamed(name: str) -> str:
    """Name of a column in the table."""
    return "seconds" if name == "time_elapsed" else name


def _convention(name: str, file: Path) -> str:
    """Convention of a column."""
    task = file.stem.removeprefix(_PREFIX)
    split, _, metric = name.partition("_")
    if name == "time_elapsed":
        return f"seconds of the whole training ({task})"
    if split not in _SPLITS:
        return f"as published ({task})"
    what = _METRICS.get(metric, metric)
    return f"{_SPLITS[split]} {what}, the largest of any epoch, one run ({task})"
