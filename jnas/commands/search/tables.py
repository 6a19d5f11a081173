"""Tables that are searched on: what a strategy is told of them, after how many epochs."""

from jnas import benchmarks
from jnas.benchmarks import Table
from jnas.types import Objective, Searcher


def objective(seconds: str | None, searcher: Searcher, table: Table, column: str) -> Objective:
    """Objective of a table: scores after the epochs asked for if it has them, or of all epochs.

    What is asked for is paid for: without epochs the whole training.
    """
    # Most strategies ask for no number of epochs, and are told the column itself.
    if not searcher.epochs:
        return table.objective(column, seconds=seconds)
    curve = _curve(searcher, table, column)
    if curve:
        last = max(curve)
        return table.objective(curve, seconds=seconds, cost_epochs=last, nearest=True)
    # A table without curves answers short trainings with the final accuracy, at their share of the
    # cost: a multi-fidelity strategy runs, but its low fidelities are better than real ones.
    return table.objective(column, seconds=seconds, cost_epochs=max(searcher.epochs))


def _curve(searcher: Searcher, table: Table, column: str) -> dict[int, str]:
    """Columns by number of epochs that a searcher is told the scores of; empty where none are."""
    curve = table.learning_curve(column)
    # Numbers below all that are asked for count something else, such as the seeds.
    return curve if len(curve) > 1 and max(curve) >= min(searcher.epochs) else {}


def fidelities(searcher: Searcher, table: Table, column: str) -> dict[int, str]:
    """Column that tells the score after each number of epochs that a searcher asks for."""
    if not searcher.epochs:
        return {0: column}
    curve = _curve(searcher, table, column)
    return {
        asked: curve[benchmarks.nearest_epochs(asked, tuple(curve))] if curve else column
        for asked in searcher.epochs
    }
