"""Figures 6, 19 and 20 of the one-shot study, from stored scores (configs/oneshot_figures.py).

python -m experiments.oneshot_figures
"""

from typing import Any

import jax
import numpy as np

import jnas
from configs import oneshot_figures as config
from configs.zeroshot_proxies import NASBENCH201
from experiments import common, oneshot_curves, pages, program
from experiments import oneshot_stored as stored
from experiments import zeroshot_proxies as zeroshot
from jnas.oneshot import analysis

NAME = "oneshot_figures"
SPACE = jnas.spaces.nasbench201()
_PICTURES = ("truth", "accuracy_loss", *(f"bias_{name}" for name in config.BIASED))


def main(num_cells: int | None = None) -> None:
    """Print, plot and keep the figures' numbers."""
    truths = {
        title: _percent(np.sort(oneshot_curves.costs(space)[1])[::-1])
        for space, title in oneshot_curves.SPACES.items()
    }
    common.write_json(
        NAME,
        {
            "truth": {
                title: stored.rounded(_at_shares(values)) for title, values in truths.items()
            },
            "accuracy_loss": accuracy_and_loss(),
            "zeroshot": preferences(num_cells),
        },
    )
    shares = np.linspace(0, 0.95, 96)
    curves: dict[str, tuple[Any, Any]] = {
        title: (shares, _at_shares(values, shares) - values[0]) for title, values in truths.items()
    }
    figure = jnas.plots.criterion_curves(
        {"true accuracy below the best, points": curves},
        x_label="share of the architectures that are better",
    )
    jnas.plots.save(figure, common.RESULTS / f"{NAME}_truth.png")
    biases = pages.read(NAME)["zeroshot"]["biases"]
    for name in config.BIASED:
        figure = jnas.plots.mutation_matrix(
            np.array(biases[name]["change"], float),
            SPACE.edge_operations,
            label="change of the rank difference",
            title=f"{name}: overestimation of the new operation",
        )
        jnas.plots.save(figure, common.RESULTS / f"{NAME}_bias_{name}.png")
    pages.show(NAME, page())


def accuracy_and_loss() -> dict[str, Any]:
    """One-shot accuracy beside −loss on NAS-Bench-301, first seed, last epoch; drawn, too."""
    arrays = stored.read("nasbench301_ose")
    accuracy, loss = (arrays[f"oneshot_{kind}"][-1, 0] for kind in ("accuracy", "loss"))
    known, truth = ~np.isnan(accuracy), arrays["accuracy"]
    figure = jnas.plots.score_against_accuracy(
        100 * accuracy[known],
        -loss[known],
        score_label="one-shot accuracy, % (10,000 images)",
        accuracy_label="−one-shot loss",
        title="NAS-Bench-301, one supernet after 1,000 epochs",
    )
    jnas.plots.save(figure, common.RESULTS / f"{NAME}_accuracy_loss.png")
    return {
        "cells": int(known.sum()),
        "levels": len(np.unique(accuracy[known])),
        "levels_of_loss": len(np.unique(loss[known])),
        "kendall": {
            "accuracy, −loss": round(float(stored.kendall(accuracy, -loss)), 4),
            "accuracy, truth": round(float(stored.kendall(accuracy, truth)), 4),
            "−loss, truth": round(float(stored.kendall(-loss, truth)), 4),
        },
    }


def preferences(num_cells: int | None) -> dict[str, Any]:
    """Best cells and biases of zero-shot scores on NAS-Bench-201, of the cells that were scored."""
    with np.load(zeroshot.score_file(NASBENCH201)) as file:
        scores = {name: file[name][:num_cells] for name in {*config.LEADERS, *config.BIASED}}
        archs = file["archs"][:num_cells].astype(np.int32)
    table = zeroshot.read_table(NASBENCH201)
    truth = np.asarray(table.look_up(NASBENCH201.columns[0], archs), np.float64)
    params = np.asarray(jax.jit(jax.vmap(SPACE.params))(archs), np.float64)
    counts = (archs[..., None] == np.arange(len(SPACE.edge_operations))).sum(axis=1)
    leaders = {}
    for name in config.LEADERS:
        best = np.argsort(-np.nan_to_num(scores[name], nan=-np.inf), kind="stable")
        leaders[name] = [_cell(archs, params, truth, row) for row in best[: config.NUM_LEADERS]]
    biases = {}
    for name in config.BIASED:
        found, places = analysis.operation_bias(counts, scores[name], truth), counts.shape[1]
        pairs = [[found.replacing(a, b) for b in range(places)] for a in range(places)]
        change, error = np.moveaxis(np.array(pairs, np.float64), -1, 0)
        np.fill_diagonal(change, np.nan)
        biases[name] = {"change": stored.rounded(change), "error": stored.rounded(error)}
    return {"cells": len(archs), "leaders": leaders, "biases": biases}


def _cell(archs: np.ndarray, params: np.ndarray, truth: np.ndarray, row: int) -> dict[str, Any]:
    """A cell, its size and accuracy, and how many of all cells are larger or more accurate."""
    return {
        "operations": [SPACE.edge_operations[place] for place in archs[row]],
        "params": int(params[row]),
        "larger": int((params > params[row]).sum()),
        "accuracy": round(float(truth[row]), 2),
        "better": int((truth > truth[row]).sum()),
    }


def _percent(truth: np.ndarray) -> np.ndarray:
    """Accuracies in %; those of NAS-Bench-101 are fractions."""
    return np.asarray(truth, np.float64) * (100 if truth.max() <= 1 else 1)


def _at_shares(ordered: np.ndarray, shares: Any = config.SHARES) -> np.ndarray:
    """Accuracies at true ranks, as shares, of accuracies in descending order."""
    places = (np.asarray(shares) * (len(ordered) - 1)).astype(int)
    result: np.ndarray = ordered[places]
    return result


def page() -> pages.Page:
    """Accuracies by true rank, the best cells by zero-shot scores, and biases of operations."""
    content = pages.read(NAME)
    ranks = ["true accuracy at rank", *(f"{100 * share:g} %" for share in config.SHARES)]
    truths = [ranks]
    for title, values in content["truth"].items():
        truths.append([title, *(pages.number(value, 2) for value in values)])
    found, both = content["zeroshot"], content["accuracy_loss"]
    leaders = [["NAS-Bench-201, best by", "cell", "#params (larger)", "accuracy, % (better)"]]
    for name, cells in found["leaders"].items():
        for cell in cells:
            size = f"{cell['params']:,} ({cell['larger']})"
            leaders.append([name, _text(cell), size, f"{cell['accuracy']:.2f} ({cell['better']})"])
    one, three = (SPACE.edge_operations.index(f"nor_conv_{k}x{k}") for k in (1, 3))
    biases = [["bias where 1x1 replaces 3x3", "change of the rank difference ± standard error"]]
    for name, tables in found["biases"].items():
        change, error = (pages.number(tables[key][three][one]) for key in ("change", "error"))
        biases.append([name, f"{change} ± {error}"])
    taus = ", ".join(f"{name} {pages.number(tau)}" for name, tau in both["kendall"].items())
    notes = (
        f"NAS-Bench-301, {both['cells']:,} cells: accuracy has {both['levels']} levels, the loss "
        f"{both['levels_of_loss']:,}; tau of {taus}.",
        f"Zero-shot scores are of {found['cells']:,} cells; in brackets, how many of these are "
        "larger or more accurate.",
    )
    plots = tuple(f"{NAME}_{picture}.png" for picture in _PICTURES)
    return pages.Page((NAME,), (truths, leaders, biases), plots, notes)


def _text(cell: dict[str, Any]) -> str:
    """Operations of a cell into its second, third and last node."""
    # Its usual text has the bars that separate the columns of a table.
    short = (name.removeprefix("nor_").replace("_", " ") for name in cell["operations"])
    one, *rest = short
    return f"{one}; {', '.join(rest[:2])}; {', '.join(rest[2:])}"


if __name__ == "__main__":
    program.run(main, {"num_cells": 50}, spread=False)
