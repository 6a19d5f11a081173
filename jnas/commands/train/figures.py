"""Pictures of a run of `jnas train`: the cell, how it learnt, what it confuses and gets wrong."""

from typing import Any, TypeAlias

import numpy as np

from jnas import plots
from jnas.commands.train import images
from jnas.commands.train.runs import Run

Figures: TypeAlias = dict[str, tuple[str, Any]]
_NUM_WRONG = 24


def of(result: Run) -> Figures:
    """Name of the file → (caption, figure)."""
    space, curves = result.trained.network.space, result.trained.curves
    title = f"{result.dataset.name}: {len(result.dataset.classes)} classes"
    found: Figures = {
        "cell": ("The architecture.", plots.cell(space, result.choice.arch)),
        "curves": (
            "Loss and accuracy after each epoch; those of training images are means over the "
            "epoch, on augmented images.",
            plots.learning_curves(
                {name: values[0] for name, values in curves.items()}, title=title
            ),
        ),
    }
    if not result.has_answers:
        return found
    # Of images that nothing was fitted to; on training images a matrix would be all diagonal.
    found["confused"] = (
        f"Images of {result.part}: rows are true classes, columns what the network names.",
        plots.confusion_matrix(confusion(result), result.dataset.classes, title=title),
    )
    places = wrong(result)[:_NUM_WRONG]
    return found | (_wrong_figure(result, places) if len(places) else {})


def answers(result: Run) -> np.ndarray:
    """Classes `[N]` int that the network names."""
    return np.asarray(result.probabilities.argmax(axis=1))


def confusion(result: Run) -> np.ndarray:
    """Counts `[K, K]` int of images by true class and by answer."""
    num = len(result.dataset.classes)
    # One number for each pair, so that a count of numbers is a count of pairs.
    pairs = result.labels * num + answers(result)
    return np.bincount(pairs, minlength=num * num).reshape(num, num)


def wrong(result: Run) -> np.ndarray:
    """Places of images with a wrong answer, the surest first."""
    places = np.flatnonzero(answers(result) != result.labels)
    sure = result.probabilities.max(axis=1)[places]
    # The surest first: among them are images with a wrong label, which a user can mend.
    return places[np.argsort(-sure, kind="stable")]


def _wrong_figure(result: Run, places: np.ndarray) -> Figures:
    """Figure of images with wrong answers."""
    classes, named = result.dataset.classes, answers(result)
    sure = result.probabilities.max(axis=1)
    texts = [
        f"{classes[result.labels[i]]} → {classes[named[i]]} ({100 * sure[i]:.0f} %)" for i in places
    ]
    # In the unit of the source, and not normalised: people know their images by their colours.
    pixels = np.asarray(images.held_out(result.dataset)[1].x)[places] / result.dataset.scale
    figure = plots.examples(pixels, texts)
    caption = f"Images of {result.part} with wrong answers: true class → answer (probability)."
    return {"wrong": (caption, figure)}
