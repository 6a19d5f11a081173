"""A data set that is learnt in a few steps, and objectives of searches on the host.

Other processes can import the objectives without the tests' modules.
"""

import os
import time
from pathlib import Path

import jax
import numpy as np

from jnas import data
from jnas.types import Dataset

SWITCH = "JNAS_TEST_SWITCH"
"""Environment variable with a folder; see `trained`."""

WEIGHTS = 37 ** np.arange(6) % 101


def trained(arch: np.ndarray, epochs: int) -> tuple[float, float]:
    """Score and seconds of an architecture; notes its process in the folder of `SWITCH`, if any.

    A process dies of the first architecture with `arch[0] == 3` where the folder has a file "die".
    """
    folder = os.environ.get(SWITCH)
    if folder:
        with (Path(folder) / "processes").open("a") as file:
            file.write(f"{os.getpid()}\n")
        if arch[0] == 3 and (Path(folder) / "die").exists():
            os._exit(9)
    if arch[1] == 4:
        raise ValueError("cannot be trained")
    return float(arch @ WEIGHTS) + epochs, 10.0 + float(arch[1])


def timed(arch: np.ndarray, epochs: int) -> float:
    """Score without seconds of an architecture; takes some."""
    time.sleep(0.02)
    return float(arch[0])


def spoken(arch: np.ndarray, epochs: int) -> str:
    """An answer that is no score."""
    return "good"


def stripes_of(num: int, *, validation: int, test: int) -> Dataset:
    """Stripes of two directions in noise, `num` images 8x8x1, in the three parts of a data set."""
    random = np.random.default_rng(0)
    waves = 100 * np.sin(np.arange(8))[None, :, None, None] + random.normal(128, 25, (num, 8, 8, 1))
    labels = np.arange(num) % 2
    images = np.where(labels[:, None, None, None] == 0, waves, waves.transpose(0, 2, 1, 3))
    return data.make_dataset(
        np.clip(images, 0, 255).astype(np.uint8),
        labels,
        key=jax.random.key(0),
        classes=("rows", "columns"),
        name="stripes",
        validation=validation,
        test=test,
    )
