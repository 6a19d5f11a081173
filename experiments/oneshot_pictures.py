"""Pictures of the one-shot study on stored scores, from the numbers that are kept."""

from typing import Any

import numpy as np

import jnas
from experiments import common, oneshot_curves

_CURVES = tuple(f"oneshot_published_{space}.png" for space in oneshot_curves.SPACES)
FILES = (
    *_CURVES,
    "oneshot_published_groups_nb301.png",
    "oneshot_published_groups_nb1shot1_s3.png",
    "oneshot_published_stability.png",
    "oneshot_published_mutations_nb301.png",
    "oneshot_published_mutations_nb1shot1_s3.png",
)
_SPACES = {"NAS-Bench-301": "nb301", "NAS-Bench-1Shot1": "nb1shot1_s3"}
_GROUPS = ("smallest fifth", "second", "third", "fourth", "largest fifth")


def draw(content: dict[str, Any]) -> None:
    """Draw and keep all of `FILES`."""
    for space, name in zip(oneshot_curves.SPACES, _CURVES, strict=True):
        # Of NAS-Bench-1Shot1 most checkpoints are of the first hundred epochs.
        figure = oneshot_curves.over(space, log=space == "nb1shot1_s3")
        jnas.plots.save(figure, common.RESULTS / name)
    for title, space in _SPACES.items():
        _groups(title, space, content["groups"][title])
        _mutations(title, space, content["mutations"][title])
    _stability(content["stability"])


def _groups(title: str, space: str, found: dict[str, Any]) -> None:
    """Rank difference and tau inside each fifth of FLOPs, by epoch."""
    panels = {}
    for score in [name for name in found if name != "epochs"]:
        for key, label in (
            ("rank_difference", "mean rank difference"),
            ("kendall", "τ-b inside each"),
        ):
            values = np.array(found[score][key], float)
            panels[f"{label}, {score}"] = {
                group: (found["epochs"], values[:, place]) for place, group in enumerate(_GROUPS)
            }
    zero = {panel: {"unbiased": 0.0} for panel in panels if panel.startswith("mean")}
    figure = jnas.plots.criterion_curves(
        panels, zero, title=f"{title}: by FLOPs; positive = overestimated"
    )
    jnas.plots.save(figure, common.RESULTS / f"oneshot_published_groups_{space}.png")


def _mutations(title: str, space: str, found: dict[str, Any]) -> None:
    """By how much more a score's rank changes than the true one when an operation is replaced."""
    figure = jnas.plots.mutation_matrix(
        np.array(found["bias"], float),
        found["operations"],
        counts=found["pairs"],
        label="rank change, estimated − true (/ N)",
        title=f"{title}: overestimation of the new operation",
    )
    jnas.plots.save(figure, common.RESULTS / f"oneshot_published_mutations_{space}.png")


def _stability(content: dict[str, Any]) -> None:
    """Agreement of each checkpoint with the one before, and of seeds with each other."""
    relative, top, seeds = {}, {}, {}
    for space, found in content.items():
        epochs = found["epochs"]
        for score in [name for name in found if name != "epochs"]:
            label = f"{space}, {score}"
            relative[label] = epochs[1:], np.array(found[score]["kendall"], float)
            top[label] = epochs[1:], np.array(found[score]["p_top@0.05"], float)
            seeds[label] = epochs, np.array(found[score]["seeds"], float)
    panels = {
        "τ-b with 100 epochs before": relative,
        "P@top 5 % with 100 epochs before": top,
        "τ-b between two seeds": seeds,
    }
    figure = jnas.plots.criterion_curves(panels, title="Stability of the ranking")
    jnas.plots.save(figure, common.RESULTS / "oneshot_published_stability.png")
