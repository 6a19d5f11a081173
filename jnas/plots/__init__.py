"""Figures of architectures, rankings and searches, from plain arrays to a Matplotlib `Figure`.

No window opens, and no global state of Matplotlib is touched; the first call imports it. A notebook
shows a figure that a cell ends with. Write a figure with `save`, or gather several into one page
with `jnas.report`.

What all of them share:
    Numbers: accuracies in the unit of the caller, higher is better; NaN where unknown.
    Scores: `-inf` and NaN mean "cannot be ranked"; they are on no axis, and the note counts them.
    Outliers: an axis of accuracies begins at Tukey's outer fence, Q1 − 3 (Q3 − Q1), lest a few
        untrainable networks squash the others; the note counts what lies below.
    Texts: `title` heads the figure; `score_label` and `accuracy_label` name the axes and units.
    Colours: Okabe and Ito's, which the colour-blind can tell apart; vermilion marks what is chosen.
    Errors: ValueError where an array has another rank or length than its shape here says.
"""

from jnas import _renamed, _shown
from jnas.plots.cells import cell
from jnas.plots.charts import accuracy_histogram, best_so_far, kernel, score_against_accuracy
from jnas.plots.fronts import pareto_front
from jnas.plots.predictors import precision_by_share, predicted_ranks, tau_by_size, training_curves
from jnas.plots.rankings import criterion_curves, mutation_matrix
from jnas.plots.searches import search_curves
from jnas.plots.style import figure_png, save
from jnas.plots.trainings import confusion_matrix, examples, learning_curves

__all__ = [
    "accuracy_histogram",
    "best_so_far",
    "cell",
    "confusion_matrix",
    "criterion_curves",
    "examples",
    "figure_png",
    "kernel",
    "learning_curves",
    "mutation_matrix",
    "pareto_front",
    "precision_by_share",
    "predicted_ranks",
    "save",
    "score_against_accuracy",
    "search_curves",
    "tau_by_size",
    "training_curves",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)
