"""Published curves of one-shot estimators, to lay new ones over.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021:
criteria at each checkpoint of three supernets of a space, as its authors have stored them
(`oneshot_curves.npz` in the folder that `$JNAS_DATA` names).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax.typing import ArrayLike

import jnas
from experiments import common
from jnas.oneshot import analysis
from jnas.oneshot.study import COSTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

SPACES = {
    "nb201": "NAS-Bench-201, 6,466 classes",
    "nb301": "NAS-Bench-301, 5,468 cells",
    "nb1shot1_s3": "NAS-Bench-1Shot1, sub-space 3, 5,000 cells",
}
"""Names in the file → what was ranked."""

SCORES = {"acc": "accuracy", "loss": "−loss"}
"""Names in the file → the score, of one-shot weights on validation images."""

_PANELS = {
    "kendall": "Kendall τ-b",
    "p_top@0.05": "P@top 5 %",
    "p_bottom@0.05": "P@bottom 5 %",
    "worst_rank@0.05": "worst rank@5 %",
}


class Published(NamedTuple):
    """Criteria of a space's three supernets.

    Attributes:
        epochs: `[E]` int32.
        seeds: `[3]` int32.
        criteria: "acc" and "loss" → criterion, as `analysis.criteria` calls it → `[E, 3]` float32.
            "mean" is that of the accuracy, or of the loss itself.
        costs: "params" and "flops" → criterion → value, of costs as scores of the same
            architectures.
    """

    epochs: np.ndarray
    seeds: np.ndarray
    criteria: dict[str, dict[str, np.ndarray]]
    costs: dict[str, dict[str, float]]


def published(space: str) -> Published:
    """The published curves of "nb201", "nb301" or "nb1shot1_s3", and the rows of their costs.

    Raises:
        ValueError: another space.
        FileNotFoundError: the files are not in the folder of data.
    """
    if space not in SPACES:
        raise ValueError(
            f"no curves of {space!r}. {jnas.engine.messages.nearest(space, list(SPACES))}"
        )
    with np.load(common.data_file("oneshot_curves.npz")) as file:
        names = [str(name) for name in file[f"{space}_criteria"]]
        found = {
            score: {name: file[f"{space}_{score}"][..., i] for i, name in enumerate(names)}
            for score in SCORES
        }
        epochs, seeds = file[f"{space}_epochs"], file["seeds"]
    sizes, truth = costs(space)
    rows = {name: analysis.criteria(values, truth) for name, values in sizes.items()}
    plain = {name: {key: float(v) for key, v in row.items()} for name, row in rows.items()}
    return Published(epochs, seeds, found, plain)


def costs(space: str) -> "tuple[Mapping[str, np.ndarray], np.ndarray]":
    """#params and FLOPs `[N]` of the architectures that were ranked, and their truths `[N]`."""
    if space == "nb201":
        with np.load(common.data_file("nasbench201_ose.npz")) as file:
            official, truth = file["representative"], file["class_test_accuracy"]
        table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
        return jnas.oneshot.costs(jnas.spaces.nasbench201(), table.archs[official]), truth
    if space == "nb301":
        with np.load(common.data_file("nasbench301_ose.npz")) as file:
            first = np.unique(file["copy_of"])
            sizes = {name: file[name][first] for name in COSTS}
            return sizes, file["accuracy"][first]
    with np.load(common.data_file("nb1shot1_s3.npz")) as file:
        archs, truth = s3_archs(file), file["test_accuracy"]
    return jnas.oneshot.costs(jnas.spaces.nb1shot1(subspace=3), archs), truth


def s3_archs(file: "Mapping[str, np.ndarray]") -> np.ndarray:
    """`[5000, 10]` int32, the cells of `nb1shot1_s3.npz` as vectors of `spaces.nb1shot1`."""
    # The file counts operations from 1, in the order of the space.
    parts = [file["parent_choice"], file["block_ops"].astype(int) - 1]
    return np.concatenate(parts, axis=1).astype(np.int32)


def over(
    space: str,
    mine: "Mapping[str, tuple[ArrayLike, Mapping[str, ArrayLike]]] | None" = None,
    *,
    names: tuple[str, ...] = ("kendall", "p_top@0.05", "p_bottom@0.05"),
    log: bool = False,
    title: str = "",
) -> "Figure":
    """Picture of the published curves of a space, with new ones over them.

    Args:
        space: as for `published`.
        mine: label → epochs `[E]`, and criterion → values `[E]` or `[E, S]`.
        names: criteria, a panel each.
        log: whether the axis of epochs is logarithmic.
        title: heads the figure.
    """
    known = published(space)
    panels, lines = {}, {}
    for name in names:
        panel = _PANELS.get(name, name)
        panels[panel] = {
            f"{label}, published": (known.epochs, known.criteria[score][name])
            for score, label in SCORES.items()
        } | {label: (epochs, rows[name]) for label, (epochs, rows) in (mine or {}).items()}
        lines[panel] = {
            "#params": known.costs["params"][name],
            "FLOPs": known.costs["flops"][name],
        }
    return jnas.plots.criterion_curves(panels, lines, log=log, title=title or SPACES[space])
