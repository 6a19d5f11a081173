"""Kills at random moments of jnas score, search, fit and train: nothing is lost or changed.

Command: python -m experiments.kill_test

Each command runs once undisturbed. Then it is given again and again into another folder, and
killed (SIGKILL) after a random time, until it has finished; so on until it was killed often
enough. What it leaves must then be what it left undisturbed: tables byte for byte, arrays in every
bit.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import common, pages, program

_CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
COMMANDS = {
    "score": ("score", "--num", "800", "--estimator", "synflow", "--chunk-size", "50"),
    "batch": ("search", "--candidates", "800", "--estimator", "synflow", "--chunk-size", "50"),
    "searches": (
        *("search", "--strategy", "genetic", "--estimator", "synflow", "--budget", "128"),
        *("--seeds", "8"),
    ),
    "train": ("train", "--images", "digits", "--arch", _CELL, "--epochs", "60"),
    "fit": ("fit", "--predictor", "mlp", "--num-test", "500", "--seeds", "3", "--epochs", "400"),
}
"""Jobs of several seconds in many parts, on a table and images that come with the package."""

_QUIET = {"JAX_COMPILATION_CACHE_DIR": ".jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


class Found(NamedTuple):
    """What was found of one command.

    Attributes:
        kills: that hit it before it had finished.
        finished: how often it was gone on with to its end.
        files: compared after each end.
        differences: names of the files that were not the same, or missing.
    """

    kills: int
    finished: int
    files: int
    differences: tuple[str, ...]


def main(num: int = 100) -> None:
    """Kill the commands `num` times in all, and keep what was found."""
    shares = [num // len(COMMANDS) + (n < num % len(COMMANDS)) for n in range(len(COMMANDS))]
    found: dict[str, Any] = {}
    for (name, arguments), share in zip(COMMANDS.items(), shares, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = kill_often(arguments, share, Path(folder), seed=0)._asdict()
        print(name, found[name], flush=True)
    common.write_json("kill_test", {"commands": found})
    pages.show("kill_test", page())
    lost = {name: each["differences"] for name, each in found.items() if each["differences"]}
    if lost:
        raise SystemExit(f"these files were not what they are without kills: {lost}")


def page() -> pages.Page:
    """Kills and differences of each command."""
    commands = pages.read("kill_test")["commands"]
    rows = [["command", "kills", "finished", "files compared", "differences"]]
    for name, each in commands.items():
        counts = (each["kills"], each["finished"], each["files"], len(each["differences"]))
        rows.append([name, *map(str, counts)])
    return pages.Page(("kill_test",), (rows,))


def kill_often(arguments: tuple[str, ...], num: int, folder: Path, seed: int) -> Found:
    """`Found` of a command that is killed `num` times.

    Args:
        arguments: of the command line of jnas, without `--out`.
        num: kills.
        folder: where it may write.
        seed: of the moments.
    """
    random, differences = np.random.default_rng(seed), set[str]()
    _end(arguments, folder, "first")  # compiles, so that the next tells how long a run takes
    longest = _end(arguments, folder, "whole")
    kills = finished = files = 0
    while kills < num:
        out = f"killed{finished}"
        # From where Python has started to the end.
        while kills < num and _killed(arguments, folder, out, random.uniform(0.4, 0.9) * longest):
            kills += 1
        # A run that has less to do, or a machine that has become faster: later kills come sooner.
        longest = min(longest, _end(arguments, folder, out) + 0.2 * longest)
        finished += 1
        kept = _contents(folder, "whole")
        again = _contents(folder, out)
        files += len(kept)
        differences |= {name for name in kept | again if kept.get(name) != again.get(name)}
    return Found(kills, finished, files, tuple(sorted(differences)))


def _start(arguments: tuple[str, ...], folder: Path, out: str) -> subprocess.Popen[bytes]:
    is_score = arguments[0] == "score"
    command = [sys.executable, "-m", "jnas", *arguments, "--no-progress", "--out"]
    search_path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*command, f"{out}/scores.csv" if is_score else out],
        cwd=folder,
        env=os.environ | _QUIET | {"PYTHONPATH": search_path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _killed(arguments: tuple[str, ...], folder: Path, out: str, seconds: float) -> bool:
    """Whether a run was killed after some seconds, and had not finished before."""
    process = _start(arguments, folder, out)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    _, said = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(said.decode())
    return process.returncode != 0


def _end(arguments: tuple[str, ...], folder: Path, out: str) -> float:
    """Seconds of running a command to its end."""
    begin = time.perf_counter()
    process = _start(arguments, folder, out)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(said.decode())
    return time.perf_counter() - begin


def _contents(folder: Path, out: str) -> dict[str, Any]:
    """Name → content of the tables and arrays in a folder that a command has written."""
    found: dict[str, Any] = {}
    for path in (folder / out).iterdir():
        if path.suffix == ".csv":
            found[path.name] = path.read_bytes()
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                # These tell of the run: its times, and how often it went on.
                kept = [name for name in arrays.files if name not in ("about", "seconds")]
                found[path.name] = {name: arrays[name].tobytes() for name in kept}
    return found


if __name__ == "__main__":
    program.run(main, {"num": 4}, {"--num": {"type": int, "help": "kills"}}, spread=False)
