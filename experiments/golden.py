"""The numbers that a change of the machinery must not change: scores, fits, histories, a search
that was killed.

    python -m experiments.golden                      this checkout and the committed file, to 1e-6
    python -m experiments.golden --against COMMIT     another commit on this machine, bit for bit
    python -m experiments.golden --write              renew the committed file, results/golden.npz

It prints a line a quantity, and ends with exit code 1 if one differs. What is computed stands in
`experiments.golden_quantities`, which runs in a process of its own for 1, 2 and 8 devices; always
that of this checkout, also for the other commit. Cost: 8 minutes for each checkout.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiments import common, program

ROOT = Path(__file__).parent.parent
QUANTITIES = Path(__file__).with_name("golden_quantities.py")
NUM_DEVICES = (1, 2, 8)
TOLERANCE = 1e-6
OF_ONE_PROCESSOR = ("renas",)
"""Parts that rounding moves beyond it, by 1.5 % from one processor to another: they are compared
with another commit only, on one machine."""
_KEPT = 300  # numbers of an array that the committed file keeps

Arrays = Mapping[str, np.ndarray]


def golden() -> Path:
    """The committed file."""
    return common.RESULTS / "golden.npz"


def compute(checkout: Path, cache: Path | None = None, *, quick: bool = False) -> Arrays:
    """Every quantity, by the jnas of a checkout.

    Args:
        checkout: folder that `jnas` is in.
        cache: folder for compiled programs; None leaves it to the environment.
        quick: whether only the cheapest parts.
    """
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for num in NUM_DEVICES:
            out = Path(folder) / f"{num}.npz"
            command = [sys.executable, str(QUANTITIES), "--out", str(out)]
            command += ["--quick"] if quick else []
            subprocess.run(
                command, cwd=checkout, env=_environment(checkout, num, cache), check=True
            )
            with np.load(out, allow_pickle=False) as file:
                found |= {name: file[name] for name in file.files}
    return found


def _environment(checkout: Path, num_devices: int, cache: Path | None) -> dict[str, str]:
    """Of a process with so many CPU devices and no other settings of XLA."""
    kept = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    settings = {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(num_devices),
        "PYTHONPATH": str(checkout),
        "PYTHONSAFEPATH": "1",  # or the script's own folder would come before the checkout
    }
    if cache is not None:
        settings["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    return kept | settings


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A temporary checkout of a commit of this repository."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), commit], check=True)
        try:
            yield checkout
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def is_equal(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays are the same in every bit, type and shape."""
    alike = (found.dtype, found.shape) == (expected.dtype, expected.shape)
    return alike and found.tobytes() == expected.tobytes()


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, by the largest magnitude in `expected`; inf where there is none.

    That is so for other shapes or types, for integers and texts that differ, and where not the same
    elements are finite.
    """
    if is_equal(found, expected):
        return 0.0
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return np.inf
    if not np.issubdtype(found.dtype, np.floating):
        return np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(
        np.where(finite, 0, expected), np.where(np.isfinite(found), 0, found), True
    ):
        return np.inf
    scale = float(np.max(np.abs(expected[finite]), initial=0))
    largest = float(np.max(np.abs(found[finite] - expected[finite]), initial=0))
    return largest / scale if scale else largest


def report(found: Arrays, expected: Arrays, tolerance: float) -> list[str]:
    """The names that differ, or that one side lacks; a line for each name is printed.

    Numbers may differ by `tolerance`, if it is not 0: then all must be equal in every bit.
    """
    differing = []
    for name in sorted({*found, *expected}):
        if name in found and name in expected:
            value, is_same = (
                difference(found[name], expected[name]),
                is_equal(found[name], expected[name]),
            )
            is_fine = is_same or 0 < tolerance >= value
            words = "equal" if is_same else f"largest difference {value:.1e}"
        else:
            is_fine, words = False, "only " + ("here" if name in found else "there")
        print(f"{'' if is_fine else 'DIFFERS  '}{name}: {words}")
        differing += [] if is_fine else [name]
    return differing


def thin(arrays: Arrays) -> dict[str, np.ndarray]:
    """Large arrays as some of their numbers, evenly spaced."""
    return {
        name: array.ravel()[:: -(-array.size // _KEPT)] if array.size > _KEPT else array
        for name, array in arrays.items()
    }


def _without_devices(name: str) -> str:
    """The name that a quantity has in the committed file."""
    part, _, *others = name.split("/")
    return "/".join([part, *others])


def write(found: Arrays) -> None:
    """Renew the committed file.

    It has the value of the fewest devices for all numbers of them, and beside it what differs with
    more: under another division of the work some sums are rounded differently.
    """
    kept: dict[str, np.ndarray] = {}
    for name, array in thin(found).items():
        shared = kept.setdefault(_without_devices(name), array)
        if difference(array, shared) > TOLERANCE / 2:
            kept[name] = array
    np.savez_compressed(golden(), **kept)  # type: ignore[arg-type]


def kept(names: Iterable[str]) -> dict[str, np.ndarray]:
    """What the committed file has for quantities of these names."""
    with np.load(golden(), allow_pickle=False) as file:
        places = {name: name if name in file else _without_devices(name) for name in names}
        return {name: file[place] for name, place in places.items() if place in file}


def portable(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those quantities that other processors agree on to `TOLERANCE`."""
    return {
        name: value for name, value in found.items() if name.split("/")[0] not in OF_ONE_PROCESSOR
    }


def main(against: str = "", *, write_file: bool = False, quick: bool = False) -> int:
    """Compare or write; the exit code."""
    if write_file:
        write(compute(ROOT, quick=quick))
        return 0
    if against:
        # Programs that both commits have are compiled once; caches of other machines are not read.
        with worktree(against) as checkout, tempfile.TemporaryDirectory() as cache:
            expected = compute(checkout, Path(cache), quick=quick)
            differing = report(compute(ROOT, Path(cache), quick=quick), expected, tolerance=0.0)
    else:
        found = portable(thin(compute(ROOT, quick=quick)))
        differing = report(found, kept(found), TOLERANCE)
    print(f"{len(differing)} quantities differ" if differing else "all quantities agree")
    return 1 if differing else 0


OPTIONS: program.Options = {
    "--against": {"metavar": "COMMIT", "help": "compare with it, bit for bit"},
    "--write": {"action": "store_true", "dest": "write_file", "help": "renew results/golden.npz"},
}

if __name__ == "__main__":
    program.run(main, {"quick": True}, OPTIONS, spread=False)
