"""Objectives of searches on the host that other processes can import without the tests' modules."""

import os
import time
from pathlib import Path

import numpy as np

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
