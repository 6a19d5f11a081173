"""Command line of all experiments, and the way of their results: nothing is replaced half-way.

python -m experiments.NAME --help     what it does, and its options
python -m experiments.NAME --quick    a small variant, to see that it runs

An experiment works in `.unfinished/NAME` within the folder of results, on copies of what is there;
one that was stopped goes on there. When it has finished, what is new takes its place.
"""

import argparse
import contextlib
import hashlib
import inspect
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jnas
from experiments import common

Options = Mapping[str, Mapping[str, Any]]
"""Name of an argument of a program → how `argparse` reads it."""

LARGEST: Options = {"largest": {"nargs": "?", "type": int, "help": "cells of the largest training"}}
"""Of experiments on training sets of growing size."""

_TAKEN = ".taken.json"  # name → SHA-256 of the copies, which are not results of the experiment
_READ = (".json", ".npz", ".md")  # pictures are only written


def run(
    main: Callable[..., Any],
    quick: Mapping[str, Any],
    options: Options | None = None,
    *,
    spread: bool = True,
) -> None:
    """Run a program as the command line says.

    Args:
        main: of a module; what `options` read are its keyword arguments, and what it returns is
            the exit code.
        quick: its keyword arguments in the small variant, where the command line says nothing.
        options: beside `--quick` and `--out`.
        spread: whether there is a device a core.
    """
    name = Path(inspect.getfile(main)).stem
    given = vars(_parser(main, options or {}).parse_args())
    out, is_quick = given.pop("out"), given.pop("quick")
    if out is None:
        out = Path("runs") / "quick" / name if is_quick else common.RESULTS
    elif is_quick and out.resolve() == common.RESULTS.resolve():
        raise SystemExit("--quick is no result; choose another --out")
    if spread:
        jnas.population.one_device_per_core()
    said = {name: value for name, value in given.items() if value is not None}
    with staged(name, out):
        code = main(**((dict(quick) if is_quick else {}) | said))
    if code:
        raise SystemExit(code)


def _parser(main: Callable[..., Any], options: Options) -> argparse.ArgumentParser:
    """Parser of the options that all programs have and of a program's own."""
    module = inspect.getmodule(main)
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{Path(inspect.getfile(main)).stem}",
        description=inspect.getdoc(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, settings in options.items():
        parser.add_argument(name, **settings)
    parser.add_argument("--quick", action="store_true", help="a small variant, into runs/quick")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the results (experiments/results)"
    )
    return parser


@contextmanager
def staged(name: str, out: Path) -> Iterator[None]:
    """Block that writes results beside `out`; what is new there is moved when it ends.

    After an error or a kill all of `out` is as it was, and the same block goes on.
    """
    work, results, runs = out / ".unfinished" / name, common.RESULTS, common.RUNS
    work.mkdir(parents=True, exist_ok=True)
    taken = _take(name, work, out)
    common.RESULTS = work
    if out.resolve() != results.resolve():
        common.RUNS = work / "runs"  # not those of the experiment itself, which are other jobs
    try:
        yield
    finally:
        common.RESULTS, common.RUNS = results, runs
    files = [path for path in sorted(work.iterdir()) if path.is_file() and path.name[0] != "."]
    new = [path for path in files if taken.get(path.name) != _digest(path)]
    for path in new:
        path.replace(out / path.name)
    if new:
        print(f"in {out}: {', '.join(path.name for path in new)}")
    shutil.rmtree(work)
    with contextlib.suppress(OSError):
        work.parent.rmdir()


def _take(name: str, work: Path, out: Path) -> dict[str, str]:
    """Copies of the results that a program may read, by name → SHA-256."""
    note = work / _TAKEN
    for old, digest in (json.loads(note.read_text()) if note.exists() else {}).items():
        path = work / old
        # One that a stopped program has not written; what it is a copy of may have changed.
        if path.exists() and _digest(path) == digest:
            path.unlink()
    paths = list(out.iterdir())
    if out.resolve() != common.RESULTS.resolve():
        # What others have found, and what it compares with; its own jobs would be gone on with.
        paths += [path for path in common.RESULTS.iterdir() if path.name != f"{name}.json"]
    taken: dict[str, str] = {}
    for path in paths:
        if path.suffix in _READ and not path.name.startswith(".") and path.name not in taken:
            taken[path.name] = _digest(path)
            if not (work / path.name).exists():
                shutil.copyfile(path, work / path.name)
    common.replace(note, json.dumps(taken))
    return taken


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
