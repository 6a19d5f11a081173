"""Workers of a search on the host: what they do, and the executors that they belong to."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np

from jnas.engine.messages import argument
from jnas.search._checkpoint import Evaluation

IS_NAN = "the score is NaN"

Evaluate: TypeAlias = Callable[[np.ndarray, int], float | tuple[float, float]]
"""`(arch [D] int32, epochs) -> score` or `(score, seconds)`; higher is better. With 0 epochs the
number is left to the objective.
"""


class NoScoreError(TypeError):
    """Error of `evaluate`: its answer is no score."""


@contextlib.contextmanager
def workers(executor: Executor | None, num_workers: int) -> Iterator[Executor]:
    """Executor that was given, or one of threads that ends with the search."""
    if executor is not None:
        yield executor
        return
    # Threads and not processes: JAX must not be forked, and programs that it runs hold no lock of
    # Python's.
    with ThreadPoolExecutor(num_workers) as pool:
        yield pool


@contextlib.contextmanager
def explained(folder: Path | None) -> Iterator[None]:
    """RuntimeError, which says how to go on, for what an executor raises itself."""
    try:
        yield
    except NoScoreError:
        raise
    # Failures of `evaluate` come back as evaluations: whatever else is raised, such as Dask's
    # `KilledWorker` or what has no pickle, is none.
    except Exception as error:
        what = (
            "the executor has lost a worker"
            if isinstance(error, BrokenExecutor)
            else "no evaluation came back from the executor, whose processes get evaluate by pickle"
        )
        how = (
            f"what had come back is in {folder}, and the same call with a working executor goes on"
            if folder
            else f"with {argument('out')} a search can go on from where it stopped"
        )
        raise RuntimeError(f"{what} ({type(error).__name__}: {error}); {how}") from error


def evaluated(evaluate: Evaluate, arch: np.ndarray, epochs: int) -> Evaluation:
    """Evaluation of one architecture, failed where the objective raises an exception."""
    begin = time.monotonic()
    try:
        # A copy of its own: what the objective does to it must not change what is recorded.
        answer = evaluate(arch.copy(), epochs)
    except Exception as error:
        return Evaluation(
            arch, epochs, math.nan, time.monotonic() - begin, f"{type(error).__name__}: {error}"
        )
    score, seconds = _numbers(answer, time.monotonic() - begin)
    return Evaluation(arch, epochs, score, seconds, IS_NAN if math.isnan(score) else "")


def _numbers(answer: Any, elapsed: float) -> tuple[float, float]:
    """Score and seconds of an answer; TypeError where it is no number, nor two of them."""
    # An error, not a failed evaluation: the next answer would be none, either.
    pair = answer if isinstance(answer, tuple) else (answer, elapsed)
    try:
        score, seconds = map(_number, pair)
    except (TypeError, ValueError) as error:
        raise NoScoreError(
            "evaluate must return a number, the score, or a tuple of two, (score, seconds); got "
            f"{answer!r}"
        ) from error
    return score, seconds


def _number(value: Any) -> float:
    """Number from one, or from an array of one."""
    # A metric is often an array of one, with axes or without, and NumPy warns where `float` takes
    # those with axes.
    is_array = isinstance(value, (np.ndarray, jax.Array))
    return float(value.reshape(()) if is_array and value.size == 1 else value)
