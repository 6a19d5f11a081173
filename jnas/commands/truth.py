"""Checks of searches by tables of trained accuracies.

Axes are those of `types`: what `S` searches have found after each of `T` evaluations.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from jnas import benchmarks
from jnas.benchmarks import Table

Columns: TypeAlias = dict[str, tuple[Table, str]]
"""Name → a table and one of its columns."""


class Check(NamedTuple):
    """Check of searches by one column of a table of trained accuracies.

    Attributes:
        name: of the column, and after a space of the data set where there are several.
        convention: which accuracy the column holds.
        evaluated: `[S, T]`, of each architecture that was evaluated; NaN where it is unknown.
        accuracy: `[S, T]`, of the best architecture so far; NaN likewise.
        ranks: `[S]`, 1 + the number of architectures of the table that are better than the answer;
            NaN likewise.
        table: `[A]`, every known accuracy of the table, ascending.
        minimize: whether the column is better when smaller.
    """

    name: str
    convention: str
    evaluated: np.ndarray
    accuracy: np.ndarray
    ranks: np.ndarray
    table: np.ndarray
    minimize: bool = False

    @property
    def table_best(self) -> float:
        """Best accuracy of the table."""
        return float(self.table[0 if self.minimize else -1])


def header(name: str) -> str:
    """Header of a check in CSV files, in a word: `val_accuracy_cifar10`."""
    return name.replace(" ", "_")


def stated(convention: str, minimize: bool) -> str:
    """Convention for people, which says that lower is better where it is so."""
    is_said = not minimize or "is better" in convention.lower()
    return convention if is_said else f"{convention}; lower is better"


def columns(table: Table | None, names: Sequence[str | None], is_packaged: bool) -> Columns:
    """Columns to look architectures up in, by the name of their check.

    Args:
        table: has the columns `names`; None where nothing is known.
        names: the columns of interest; None stands for none.
        is_packaged: whether the table is the usual one of its space. That of NAS-Bench-201 is of
            one data set, and the validation accuracies of the others follow.

    Raises:
        ValueError: the table has no such column.
    """
    if table is None:
        return {}
    given = [name for name in names if name]
    # Looked up only for the error of a name that the table lacks, before a long search begins.
    for name in given:
        table.column(name)
    if not is_packaged or not table.space.datasets:
        return {name: (table, name) for name in given}
    first, *others = table.space.datasets
    usual = table.space.usual_column
    # With the data set in its name, for without it three columns would be called the same.
    mine: Columns = {f"{name} {first}": (table, name) for name in given}
    return mine | {
        f"{usual} {other}": (benchmarks.of_space(table.space, dataset=other), usual)
        for other in others
    }


def look_up(
    name: str, table: Table, column: str, archs: np.ndarray, best: np.ndarray, known: np.ndarray
) -> Check:
    """Check of all that was evaluated, by one column of a table.

    Args:
        name: of the check.
        table: has the column.
        column: of accuracies.
        archs: `[S, T, D]`, evaluated in this order.
        best: `[S, T]`, index of the best among the first `t + 1`.
        known: `[S, T]` bool, where there is such an architecture.
    """
    values, minimize = table.column(column), table.minimizes(column)
    # By the best score and not by the best accuracy, which a search does not know.
    evaluated = table.look_up(column, archs)
    accuracy = np.where(known, np.take_along_axis(evaluated, best, axis=1), np.nan)
    # Sorted once, so that a rank is a search by halves: thousands of answers are ranked among
    # hundreds of thousands of rows.
    everything = np.sort(values[np.isfinite(values)])
    # Equal accuracies are not better, so that all of them have the best rank.
    num_below = np.searchsorted(everything, accuracy[:, -1], side="left")
    num_above = len(everything) - np.searchsorted(everything, accuracy[:, -1], side="right")
    num_better = num_below if minimize else num_above
    return Check(
        name=name,
        convention=table.conventions[column],
        evaluated=evaluated,
        accuracy=accuracy,
        # `searchsorted` puts NaN behind everything, which of a column to maximise is the best rank.
        ranks=np.where(np.isfinite(accuracy[:, -1]), 1 + num_better, np.nan),
        table=everything,
        minimize=minimize,
    )
