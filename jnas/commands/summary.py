"""Summaries of finished runs, and their renderers: files, a report in HTML, and the terminal.

Each command has a function from its result to a `Summary`. The renderers look at nothing else.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from jnas import metrics, plots, report
from jnas.commands import folder as folders
from jnas.engine import files
from jnas.engine.environment import environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console


class Part(NamedTuple):
    """Part of a summary: a text with a table and figures.

    Attributes:
        title: heading.
        text: lines.
        rows: a table, the first row its header.
        figures: names of figures of the summary.
        is_printed: whether it is short enough for the terminal, and tells the main thing.
    """

    title: str
    text: str = ""
    rows: Sequence[Sequence[object]] = ()
    figures: Sequence[str] = ()
    is_printed: bool = False


class Summary(NamedTuple):
    """Summary of a finished run.

    Attributes:
        command: such as "jnas search".
        parts: in order.
        facts: everything a reader needs to trust and repeat the run, plain enough for JSON: at
            least "command", "settings", "seconds" and "environment". What is not known is None.
        tables: name of a CSV file → its rows, the first one its header.
        figures: name of a PNG file without its ending → caption and figure.
        stale: patterns of the files that other runs of this command leave in their folders.
        files: what is to be pointed out → name of the file in the folder.
    """

    command: str
    parts: Sequence[Part]
    facts: Mapping[str, Any]
    tables: Mapping[str, Sequence[Sequence[object]]]
    figures: Mapping[str, "tuple[str, Figure]"]
    stale: Sequence[str] = ()
    files: Mapping[str, str] = {}


class Asked(Protocol):
    """Settings of a command, with the defaults filled in."""

    def command_line(self) -> str:
        """Command that makes them, for a shell."""

    def facts(self) -> dict[str, Any]:
        """Settings by name, for JSON."""


class Finished(Protocol):
    """Result of a finished run of any command, as far as all have the same; see their results."""

    # Properties, for the fields of a NamedTuple cannot be set, as plain ones of a protocol can.
    @property
    def settings(self) -> Asked:
        """What it was asked for."""

    @property
    def seconds(self) -> float:
        """Wall time, compilation included."""

    @property
    def resumed(self) -> bool:
        """Whether a part was done before, by a call that was stopped."""

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Hashes of the job, and of the code that ran it."""


def facts_of(result: Finished) -> dict[str, Any]:
    """Facts by which any run is repeated, and its numbers are told from those of other code."""
    return {
        "command": result.settings.command_line(),
        "settings": result.settings.facts(),
        "seconds": result.seconds,
        "resumed": result.resumed,
        "environment": environment(),
        "fingerprint": dict(result.fingerprint),
    }


def write(folder: Path, summary: Summary) -> None:
    """Write the tables, the plots, `report.html` and, last, `result.json` into `folder`."""
    for name, (header, *rows) in summary.tables.items():
        folders.write_csv(folder / name, [str(cell) for cell in header], rows)
    # Drawn once, for the file and the report.
    drawn = {name: plots.figure_png(figure) for name, (_, figure) in summary.figures.items()}
    for name, png in drawn.items():
        with files.replacing(folder / f"{name}.png", "figure") as file:
            file.write(png)
    written = {*summary.tables, *(f"{name}.png" for name in summary.figures)}
    # Files of an earlier run in this folder, with other settings, are not of this one.
    for pattern in summary.stale:
        for path in folder.glob(pattern):
            if path.name not in written:
                files.remove(path)
    report.write(folder / "report.html", summary.command, _sections(summary, drawn))
    folders.write_facts(folder, summary.facts)


def show(summary: Summary, folder: Path) -> None:
    """Print what matters most, and where the files are."""
    from rich.console import Console

    console = Console()
    for part in summary.parts:
        if part.is_printed:
            print_part(part, console)
    named = {**summary.files, "Report, plots and files": "report.html"}
    lines = "\n".join(f"{what}: {folder / name}" for what, name in named.items())
    # Paths may have brackets, which are markup to Rich, and are copied, so that they stay whole.
    console.print(f"\n{lines}", highlight=False, markup=False, soft_wrap=True)


def moments(values: np.ndarray) -> dict[str, float | None]:
    """Mean and sample standard deviation over seeds `[S]` of what is known, or None."""
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else None
    # Of the sample, for seeds are a few of all that could have been drawn; of one seed there is
    # none, and 0 would claim that nothing varies.
    return {"mean": mean, "std": float(known.std(ddof=1)) if len(known) > 1 else None}


def spread(values: np.ndarray) -> str:
    """Mean and standard deviation over seeds `[S]`, as people read them."""
    mean, std = moments(values).values()
    if mean is None:
        return "unknown"
    return f"{mean:.5g}" if std is None else f"{mean:.5g} ± {std:.2g}"


def kendall_tau(scores: np.ndarray, goodness: np.ndarray) -> float | None:
    """Kendall's tau-b of scores `[N]` with accuracies `[N]`, larger for better, or None."""
    # A single architecture makes no pair in which two rankings could agree, and of constant ones
    # the NaN would be no number in JSON.
    if len(scores) < 2:
        return None
    tau = float(metrics.kendall_tau(scores, goodness))
    return tau if np.isfinite(tau) else None


def number(value: float | None, form: str) -> str:
    """Number in a cell of a table, empty where it is unknown."""
    return "" if value is None else f"{value:{form}}"


def _sections(summary: Summary, drawn: Mapping[str, bytes]) -> list[report.Section]:
    """Sections of the report: the parts, with figures as PNG files, and the run."""
    parts = [
        report.Section(
            part.title,
            part.text,
            part.rows,
            [(summary.figures[name][0], drawn[name]) for name in part.figures],
        )
        for part in summary.parts
    ]
    repeat = f"Again: {summary.facts['command']}"
    return [*parts, report.Section("The run", repeat, _about_the_run(summary.facts))]


def _about_the_run(facts: Mapping[str, Any]) -> list[tuple[object, object]]:
    """Rows about the run: settings that are in use, seconds and environment."""
    settings = facts["settings"].items()
    # None and False are what was not asked for: a table of thirty lines would hide the five that
    # were.
    given = [(name, str(value)) for name, value in settings if value not in (None, False)]
    seconds = "seconds since it was resumed" if facts.get("resumed") else "seconds"
    return [
        ("setting", "value"),
        *given,
        (seconds, facts["seconds"]),
        *facts["environment"].items(),
    ]


def print_part(part: Part, console: "Console | None" = None) -> None:
    """Print a table with its legend, or an answer in its own right."""
    from rich.console import Console

    console = console or Console()
    console.print()
    if not part.rows:
        console.print(part.text, highlight=False, markup=False, soft_wrap=True)
        return
    _print_table(console, part.title, part.rows)
    if part.text:
        console.print(part.text, style="dim", highlight=False, markup=False, soft_wrap=True)


def _print_table(console: "Console", title: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a table, the first of `rows` its header."""
    from rich.table import Table

    table = Table(title=title)
    for place, name in enumerate(rows[0]):
        # In a narrow terminal later columns wrap, not the name of a row and its first number.
        # Folded and not cut off: an architecture is one long word.
        table.add_column(str(name), no_wrap=place < 2, overflow="fold")
    for row in rows[1:]:
        table.add_row(*map(str, row))
    console.print(table)
