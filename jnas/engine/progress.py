"""Progress bars of long jobs: how far a job is, and what to do after an interrupt."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Report: TypeAlias = Callable[..., None]
"""`(done, note="")`: how much is done by now, and a few words that stand behind the bar."""


@contextmanager
def reporting(
    label: str,
    total: int,
    *,
    done: int = 0,
    shown: bool = True,
    unit: str = "",
    kept: Path | None = None,
) -> Iterator[Report]:
    """Function `Report` to call as a job goes on, which moves a bar on standard error.

    A notebook without widgets gets a line of text for every tenth of the job. A job that does not
    start at 0 says so. An interrupt (Ctrl-C, or a notebook's stop) passes, with a note on how far
    the job was and how it goes on; its results must have been saved by then.

    Args:
        label: what is going on.
        total: how much there is to do.
        done: how much of it was done before.
        shown: False shows no bar.
        unit: what is counted.
        kept: where finished work is kept; None where it is not.
    """
    now = done
    console, is_live = _console(shown)
    with _bar(label, unit, console) as bar:
        task = bar.add_task(label, total=total, completed=done, note="")
        if done:
            bar.console.print(f"Resumed at {_count(done, total, unit)}", highlight=False)

        def report(done: int, note: str = "") -> None:
            nonlocal now
            # Text cannot be taken back, and a line for each step would flood a notebook.
            is_tenth = 10 * done // max(total, 1) > 10 * now // max(total, 1)
            now = done
            bar.update(task, completed=done, note=note)
            if is_tenth and not is_live and done < total:
                console.print(f"{label}: {_count(done, total, unit)} {note}", highlight=False)

        try:
            yield report
        except KeyboardInterrupt as interrupt:
            # Python prints notes behind the traceback, and the command line by themselves.
            interrupt.add_note(f"Stopped at {_count(now, total, unit)}. {_how_to_go_on(kept)}")
            raise
        except Exception:
            # Nothing is left of the bar: what went wrong stands alone.
            bar.live.transient = True
            raise


def _count(done: int, total: int, unit: str) -> str:
    """Share in words, such as "20 of 100 epochs"."""
    return f"{done:,} of {total:,} {unit}".rstrip()


def _how_to_go_on(kept: Path | None) -> str:
    """Advice after an interrupt."""
    if kept is None:
        return "Nothing is kept; give a file or folder to keep the work in."
    return f"{kept} keeps them: the same call goes on from there."


def _console(shown: bool) -> tuple["Console", bool]:
    """Console on standard error, and whether a bar moves on it."""
    from rich.console import Console

    console = Console(stderr=True, quiet=not shown)
    if not console.is_jupyter or importlib.util.find_spec("ipywidgets"):
        return console, True
    # As text: of a bar that needs widgets there would be a warning and nothing else.
    return Console(stderr=True, quiet=not shown, force_jupyter=False), False


def _bar(label: str, unit: str, console: "Console") -> "Progress":
    """Bar for one task: label, share, count, times gone by and left, and a note."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        *([TextColumn(unit)] if unit else []),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=console.quiet,
    )
