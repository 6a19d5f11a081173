"""Columns of a table: their numbers, which way is better, and what programs rank them by."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jnas.types import Space

NOT_STATED = "not stated"
# Measures that are better when smaller, as words of a name.
_ERRORS = ("err", "error", "errors", "loss", "losses", "perplexity", "ppl", "nll", "regret")
_RATES = ("mse", "rmse", "mae", "wer", "cer", "fid")
_COSTS = ("latency", "seconds", "time", "runtime", "duration", "delay", "energy", "memory")
_MINIMIZED = frozenset((*_ERRORS, *_RATES, *_COSTS))
_NEGATED = frozenset(("neg", "negative", "minus", "inverse"))
_STATEMENT = re.compile(r"\b(?:(lower|smaller|less|fewer)|higher|larger|greater|more) is better\b")
# Steps of float32 that the values of a column must spread over, lest they fall together.
_MIN_STEPS = 4096
_EXPONENTS = (-60, 127)  # in base 2, of the largest number of a column in float32
_MAX_WIDTH = 80  # of a column in the `repr` of a table


class LeftOut(NamedTuple):
    """Column of a file that a table does not have.

    Attributes:
        reason: what is wrong with it and where, in a sentence.
        has_numbers: whether some of it could be read, so that a mistake is likely.
    """

    reason: str
    has_numbers: bool


def floats(name: str, values: np.ndarray, num: int) -> np.ndarray:
    """`[A]` float32 or float64, the numbers of a column; ValueError where it does not hold `num`.

    Integers become float64.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"column {name!r} must be numeric; got {values.dtype}")
    if values.shape != (num,):
        raise ValueError(f"column {name!r} must have shape [{num}]; got {list(values.shape)}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def usual(space: Space, columns: Mapping[str, np.ndarray], left_out: Mapping[str, LeftOut]) -> str:
    """Name of the space's usual accuracy where there is one, or else of the first column.

    Raises:
        ValueError: that is to be guessed, and a column of the file could not be read.
    """
    name = space.usual_column
    if name in columns or name in left_out:
        return name
    mistaken = [column.reason for column in left_out.values() if column.has_numbers]
    if mistaken:
        raise ValueError(f"say which column counts, for {mistaken[0]}")
    # The published number of a cell says nothing about it, and would be the first column of some.
    others = [name for name in columns if name != "index"]
    known = [name for name in others if np.isfinite(columns[name]).any()]
    return next(iter([*known, *others]), "index")


def is_minimized(name: str, convention: str) -> bool:
    """Whether a column is better when smaller, as its convention states, or else its name.

    A convention states "lower is better" or "higher is better"; of several the last one counts. A
    name has a word such as error, loss, perplexity, latency or seconds.
    """
    stated = list(_STATEMENT.finditer(convention.lower()))
    if stated:
        return bool(stated[-1][1])
    words = set(re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower()))
    return bool(words & _MINIMIZED) and not words & _NEGATED


def directed(convention: str, minimize: bool) -> str:
    """Convention that states which way is better."""
    return f"{convention}; {'lower' if minimize else 'higher'} is better"


def described(values: np.ndarray, convention: str) -> str:
    """Range of a column and its convention, cut to a line."""
    known = values[np.isfinite(values)]
    span = f"{known.min():.5g} … {known.max():.5g}" if known.size else "no value"
    text = f"{span}  ({convention})"
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 2]}…)"


def as_cost(name: str, values: np.ndarray) -> np.ndarray:
    """Float32 values of a column that programs add up; ValueError where they are beyond it."""
    if np.any(np.isfinite(values) & (np.abs(values) > np.finfo(np.float32).max)):
        raise ValueError(
            f"costs are float32 in programs, and column {name!r} is beyond it; give it in another "
            "unit"
        )
    return values.astype(np.float32)


def as_float32(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Float32 numbers that programs rank `values` by, and the exponent `k` of their unit `2^k`.

    Usually they are the values themselves, and `k` is 0. Values too large or too small for float32
    are divided by a power of two. Those, and values that crowd in few steps of float32, keep their
    strict order: ones that fall together go to the next numbers.
    """
    finite = np.isfinite(values)
    known = values[finite]
    if values.dtype == np.float32 or not known.size:
        return values.astype(np.float32), 0
    peak = np.max(np.abs(known))
    size = int(np.frexp(peak)[1])
    exponent = size - min(max(size, _EXPONENTS[0]), _EXPONENTS[1])
    step = np.spacing(np.ldexp(peak, -exponent).astype(np.float32))
    is_lost = (known != 0) & (np.abs(known) < np.finfo(np.float32).tiny)
    if not exponent and not is_lost.any() and np.ptp(known) >= _MIN_STEPS * step:
        return values.astype(np.float32), 0
    distinct, place = np.unique(known, return_inverse=True)
    near = np.ldexp(distinct, -exponent).astype(np.float32)
    rungs, rank = _rungs(near), np.arange(len(distinct))
    numbers = _of_rungs(np.maximum.accumulate(rungs - rank) + rank)
    result = values.astype(np.float32) if not exponent else np.full(values.shape, np.nan, "f4")
    result[np.isinf(values)] = values[np.isinf(values)]
    result[finite] = numbers[place.ravel()]
    return result, exponent


# Float32 numbers in ascending order, counted from 0 at zero. Programs take denormal numbers for
# zero, and so does this ladder.
_DENORMAL = 0x007FFFFF


def _rungs(numbers: np.ndarray) -> np.ndarray:
    """Places int64 of float32 numbers on the ladder of all float32 numbers."""
    bits = numbers.view(np.int32).astype(np.int64)
    size = np.maximum((bits & 0x7FFFFFFF) - _DENORMAL, 0)
    rungs: np.ndarray = np.where(bits < 0, -size, size)
    return rungs


def _of_rungs(rungs: np.ndarray) -> np.ndarray:
    """Float32 numbers at places on the ladder."""
    size = np.where(rungs == 0, 0, np.abs(rungs) + _DENORMAL).astype(np.int32)
    numbers: np.ndarray = np.copysign(size.view(np.float32), rungs).astype(np.float32)
    return numbers


def cost_of(column: str, names: tuple[str, ...]) -> str | None:
    """Name of the column of costs that goes with a column, among names; None where there is none.

    Raises:
        ValueError: several could be it.
    """
    costs = [name for name in names if name.startswith("seconds")]
    # Of "val200_seed1_c10" the epochs and the data set count, and the seed does not.
    parts = re.fullmatch(r"[a-z]+(\d*)(?:_.*)?_([a-z\d]+)", column)
    wanted = f"seconds{parts[1]}_{parts[2]}" if parts else ""
    if len(costs) > 1 and wanted not in costs:
        raise ValueError(
            f"name the cost of {column!r} with seconds=; it could be any of {', '.join(costs)}"
        )
    return wanted if len(costs) > 1 else next(iter(costs), None)


def curve_of(column: str, names: tuple[str, ...]) -> dict[int, str]:
    """Columns by number of epochs: `column`, and those of the names that differ in it alone."""
    # Numbers in "latency:1080ti_32" or "robust:fgsm:8" are none of epochs.
    parts = re.fullmatch(r"([^\d:]+)(\d+)([^:]*)", column)
    if not parts:
        return {}
    form = re.compile(rf"{re.escape(parts[1])}([1-9]\d*){re.escape(parts[3])}")
    return {int(found[1]): name for name in names if (found := form.fullmatch(name))}
