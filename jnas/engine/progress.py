"""The bar that long jobs show. Imports nothing of jnas."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar(label: str, unit: str = "", note: str = "") -> "Progress":
    """A bar for one task, on standard error: label, share, count, times gone by and left.

    Args:
        label: what is going on.
        unit: what is counted; stands behind the count.
        note: stands at the end, in Rich's markup: "{task.fields[name]}" is a field of the task.

    Returns:
        A context manager; nothing is shown before it is entered.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    units, notes = ([TextColumn(text)] if text else [] for text in (unit, note))
    times = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), *units, *times, *notes)
    return Progress(*columns, console=Console(stderr=True))
