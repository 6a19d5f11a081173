"""Tables in JSON: NAS-Bench-Macro, the jobs of NDS, and lists of architectures with a number."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from jnas import spaces
from jnas.benchmarks import _nds
from jnas.benchmarks._guess import parse, space_of_text
from jnas.benchmarks.released import Contents
from jnas.engine.readers import read_text
from jnas.types import Space

_START = 4096  # characters that tell whether a file may be a table
_TABLES = re.compile(r'"net":|"test_acc":|\[\s*\[\s*"|"(job_id|min_test_top1|train_ep_loss)":')


def may_be_table(file: Path) -> bool:
    """Whether a JSON file begins as a table does: others are not read as a whole."""
    with file.open("rb") as stream:
        return bool(_TABLES.search(stream.read(_START).decode("utf-8", "replace")))


def read(file: Path, space: Space | None) -> Contents:
    """`Contents` of a JSON file; ValueError where it is none of these tables."""
    # NaN is no JSON, but stands in official files, and Python reads it.
    try:
        value = json.loads(read_text(file))
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deeply") from None
    if isinstance(value, dict | list) and value:
        if isinstance(value, dict) and all(_is_record(one) for one in value.values()):
            return _macro(value, file)
        if isinstance(value, list) and all(_is_pair(one) for one in value):
            return _pairs(value, file, space)
        if _nds.is_jobs(value):
            return _nds.jobs(value, file, space)
    raise ValueError(
        f"{file.name} is no table in JSON: those of NAS-Bench-Macro and NDS are read, and lists "
        "of [architecture, number]"
    )


# --------------------------------------------------------------------------------------------------
# NAS-Bench-Macro.


def _is_record(value: Any) -> bool:
    """True for a record of NAS-Bench-Macro."""
    return isinstance(value, dict) and isinstance(value.get("test_acc"), list)


def _macro(records: dict[str, dict[str, Any]], file: Path) -> Contents:
    """`Contents` of NAS-Bench-Macro.

    Su et al., CVPR 2021, https://arxiv.org/abs/2103.11922.

    Args:
        records: text of an architecture → `test_acc` (one in % for each run), `params`, `flops`.
        file: where they are from.

    Returns:
        Columns `test_accuracy` (mean of the runs), `test_accuracy_0` …, `params` and `flops`.

    Raises:
        ValueError: a text is no architecture, a record lacks something, or runs are missing.
    """
    space = spaces.nasbench_macro()
    archs = parse(space, ((f"record {text!r}", text) for text in records), file)
    for text, record in records.items():
        if missing := [key for key in ("params", "flops") if key not in record]:
            raise ValueError(f"record {text!r} of {file.name} lacks {', '.join(missing)}")
    lists = [record["test_acc"] for record in records.values()]
    if len(set(map(len, lists))) > 1 or not lists[0]:
        raise ValueError(f"records of {file.name} have no runs, or different numbers of them")
    runs = np.array(lists, np.float64)
    convention = "CIFAR-10 test accuracy in %, 50 epochs"
    columns = {"test_accuracy": runs.mean(axis=1)}
    stated = {"test_accuracy": f"{convention}, mean of {runs.shape[1]} runs"}
    for run in range(runs.shape[1]):
        columns[f"test_accuracy_{run}"] = runs[:, run]
        stated[f"test_accuracy_{run}"] = f"{convention}, run {run} alone"
    for key, what in (("params", "trainable parameters"), ("flops", "multiply-accumulates")):
        columns[key] = np.array([float(record[key]) for record in records.values()])
        stated[key] = f"{what}, as published"
    return Contents(space.name, archs, columns, stated, file.name)


# --------------------------------------------------------------------------------------------------
# Lists of pairs, as the results of TransNAS-Bench-101 are passed on.


def _is_pair(value: Any) -> bool:
    """True for [architecture, number]."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
    )


def _pairs(pairs: list[list[Any]], file: Path, space: Space | None) -> Contents:
    """`Contents` with the column `value`, the number that goes with each architecture."""
    found = space or space_of_text(pairs[0][0], file)
    archs = parse(found, ((f"row {row}", text) for row, (text, _) in enumerate(pairs)), file)
    return Contents(found.name, archs, {"value": np.array([n for _, n in pairs])}, {}, file.name)
