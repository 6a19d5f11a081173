"""Plots of a search: the answer, how it was found, and how scores and accuracies go together.

Each function returns name of the file → (caption, figure).
"""

from typing import Any, TypeAlias

import numpy as np

from jnas import plots
from jnas.commands import estimators
from jnas.commands.search import methods
from jnas.commands.search.searches import Searches
from jnas.commands.truth import Check, header

Figures: TypeAlias = dict[str, tuple[str, Any]]


def judge(result: Searches) -> str:
    """Label of what is maximised, in tables and plots."""
    return estimators.score_label(result.settings.estimator, result.settings.column)


def title(result: Searches) -> str:
    """Title of the plots: what was searched, how and on what."""
    settings = result.settings
    return f"{settings.space}: {settings.strategy} on {judge(result)}"


def _cell(result: Searches) -> Figures:
    """Plot of the best answer."""
    cell = plots.cell(result.space, result.archs[result.chosen])
    return {"cell": ("The best answer.", cell)}


def batch_figures(result: Searches) -> Figures:
    """Plots of a batch: a curve, and scores against accuracies where all of these are known."""
    scores, score, minimize = result.scores[0], judge(result), result.minimize
    # A picture of some of the candidates would look like one of all.
    known = [check for check in result.checks if np.isfinite(check.evaluated).all()]
    figures = _cell(result)
    if not known:
        best = plots.best_so_far(scores, score_label=score, minimize=minimize)
        return figures | {"search": ("Best score so far.", best)}
    first, chosen = known[0], int(np.asarray(result.histories.best)[0, -1])
    curve = plots.best_so_far(
        scores,
        first.evaluated[0],
        score_label=score,
        accuracy_label=first.name,
        minimize=minimize,
        minimize_accuracy=first.minimize,
    )
    caption = f"Best score so far, and the {first.name} of the candidate that has it."
    figures["search"] = (caption, curve)
    # A single candidate has no correlation.
    for check in known if len(scores) > 1 else []:
        scatter = plots.score_against_accuracy(
            scores,
            check.evaluated[0],
            chosen=chosen,
            score_label=score,
            accuracy_label=check.name,
            minimize=minimize,
            minimize_accuracy=check.minimize,
        )
        caption = f"Scores and {check.name} of the candidates."
        figures[f"scores_{_file(result, check)}"] = caption, scatter
    histogram = plots.accuracy_histogram(
        first.table,
        float(first.accuracy[0, -1]),
        accuracy_label=first.name,
        minimize=first.minimize,
    )
    caption = f"All {first.name} of the space, and the chosen one."
    return figures | {f"rank_{_file(result, first)}": (caption, histogram)}


def _file(result: Searches, check: Check) -> str:
    """Name of a check in names of files: that of its data set, where there are several."""
    column, _, dataset = check.name.partition(" ")
    # Without the column, where it is the usual one: a name of a file that tells it all is long.
    return dataset if dataset and column == result.space.usual_column else header(check.name)


def curve_figures(result: Searches) -> Figures:
    """Plots of searches by a strategy: the best so far, by score and accuracy, and a front."""
    strategy, checks = result.settings.strategy, result.checks
    if result.outcome is not None:
        return _cell(result) | {"distribution": methods.distribution(result.outcome.searched)}
    is_on_table, score = result.settings.estimator == "table", judge(result)
    # How good an answer could have been: without the line a flat curve looks like a search that is
    # done.
    lines = {"best of the table": checks[0].table_best} if checks else {}
    curves = plots.search_curves(
        {strategy: result.best},
        lines=lines if is_on_table else {},
        y_label=f"best {score} so far",
        title=title(result),
        minimize=result.minimize,
    )
    figures = _front_figure(result) | {"curves": (f"Best {score} so far.", curves)}
    # On a table the score is an accuracy already, and has its curve.
    if not is_on_table and checks and np.isfinite(checks[0].accuracy[:, -1]).any():
        name = f"{checks[0].name} of the architecture with the best {score} so far"
        label = f"{checks[0].name} of the best {score} so far"
        accuracy = plots.search_curves(
            {strategy: checks[0].accuracy},
            lines=lines,
            y_label=label,
            title=title(result),
            minimize=checks[0].minimize,
        )
        figures["accuracy"] = f"The {name}.", accuracy
    return _cell(result) | figures


def _front_figure(result: Searches) -> Figures:
    """Plot of all that was evaluated, for a strategy that weighs the score against a cost."""
    weighed, score, true = result.weighed, judge(result), result.true_front
    if weighed is None or result.against is None:
        return {}
    # Of all searches together, as `Searches.front` is, which the chart finds by itself.
    front = plots.pareto_front(
        result.scores.ravel(),
        result.against.ravel() / weighed.unit,
        true_scores=None if true is None else true.scores,
        true_costs=None if true is None else true.costs[:, 0] / weighed.unit,
        score_label=score,
        cost_label=weighed.label,
        title=title(result),
        minimize=result.minimize,
    )
    return {"front": (f"All that was evaluated: {score} against {weighed.name}.", front)}
