"""Layouts of `.npz` files that are tables by other names of their arrays."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from jnas.benchmarks import _accel, _budgets, _darts, _measured, _nds, released, trainings
from jnas.benchmarks.released import Contents

_Layout: TypeAlias = tuple[
    Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, np.ndarray], Path], Contents]
]
"""Whether arrays are of a layout, and their contents; errors are those of `files.load`."""


def _named(read: Callable[[Mapping[str, np.ndarray], str], Contents]) -> Callable[..., Contents]:
    """Reader that is told the path of the file, of which it needs the name alone."""
    return lambda arrays, file: read(arrays, file.name)


_LAYOUTS: tuple[_Layout, ...] = (
    (released.is_nasbench101, _named(released.nasbench101)),
    (released.is_nasbench201, _named(released.nasbench201)),
    (released.is_spikenas_bench, _named(released.spikenas_bench)),
    (trainings.is_trainings, _named(trainings.contents)),
    (_budgets.is_budgets, _budgets.contents),
    (_nds.is_nds, _named(_nds.packed)),
    (_nds.is_oneshot, _nds.oneshot),
    (_measured.is_hardware, _named(_measured.hardware)),
    (_measured.is_more, _named(_measured.more)),
    (_accel.is_accel, _named(_accel.contents)),
    (_darts.is_scored, _named(_darts.scored)),
    (_darts.is_predicted, _named(_darts.predicted)),
    (_darts.is_official, _named(_darts.official)),
    (_darts.is_trained, _named(_darts.trained)),
    (_darts.is_tasks, _named(_darts.tasks)),
)


def contents(arrays: Mapping[str, np.ndarray], file: Path) -> Contents | None:
    """`Contents` of a file with those arrays; None where its layout is none of these."""
    found = (read for is_layout, read in _LAYOUTS if is_layout(arrays))
    read = next(found, None)
    return None if read is None else read(arrays, file)
