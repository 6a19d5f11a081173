"""Files of results and data, and timing, for all experiments."""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from jnas.types import Dataset, Images

RESULTS = Path(__file__).parent / "results"  # while a program runs, the folder that it works in
RUNS = Path("runs")  # what long jobs go on from
FLOPS_OF_YARDSTICK = 2 * 4096**3


def data_file(name: str) -> Path:
    """A file of the folder that `$JNAS_DATA` names; FileNotFoundError where there is none."""
    path = Path(os.environ.get("JNAS_DATA", "")) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"this experiment needs {name} in the folder that the variable JNAS_DATA names"
        )
    return path


def dataset(images: str, size: int, num_train: int | None, num_test: int) -> Dataset:
    """Images to train and to test on, and none for validation.

    Args:
        images: name of a data set, or of a file in the folder of data.
        size: height and width.
        num_train: training images that are taken, None for all.
        num_test: that are kept for testing, where the source has no test part of its own.
    """
    source: str | Path = images if images in jnas.data.NAMES else data_file(images)
    found = jnas.data.load(source, size, validation=0, test=num_test)
    return first(found, num_train)


def first(found: Dataset, num: int | None) -> Dataset:
    """Data set of the first training images, which are in random order; None for all."""
    x, y = found.train
    return dataclasses.replace(found, train=Images(x[:num], y[:num]))


def write_json(name: str, content: dict[str, Any]) -> Path:
    """Write `results/<name>.json` with the environment added."""
    path = RESULTS / f"{name}.json"
    facts = jnas.population.environment() | {"cpu_cores": os.cpu_count()}
    replace(path, json.dumps(content | {"environment": facts}, indent=2) + "\n")
    return path


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a compressed file of arrays whole or not at all."""
    # No manifest as of a user's folder (`engine.files`): these files belong to the repository.
    temporary = path.with_name(f".{path.name}")
    np.savez_compressed(temporary, **arrays)
    temporary.replace(path)


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def seconds(function: Callable[[], Any], repeats: int = 3) -> list[float]:
    """Wall seconds of each call, until its arrays are ready; call it once before to compile."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return times


def yardstick() -> float:
    """Median seconds, of five, of one 4096x4096x4096 float32 matrix product."""
    x = jax.random.normal(jax.random.key(0), (4096, 4096))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(x, x))
    return sorted(seconds(lambda: product(x, x), 5))[2]
