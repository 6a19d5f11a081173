"""Kendall tau on validation cells of settings of the graph network and the MLP, from 381 cells.

Command: python -m experiments.gates_validation
Cost: 3 minutes on 2 CPU cores.

The GATES paper does not publish these settings for NAS-Bench-101. Training and validation cells are
all from the paper's training split.
"""

import functools
from typing import Any

import numpy as np

import jnas
from configs.beyond_gates import JUDGED
from experiments import common, ledger, pages, program

SIZE, SPLITS = 381, 2
Candidates = dict[str, tuple[str, dict[str, Any]]]
CANDIDATES: Candidates = {
    "GCN, 4 layers, no self loops": ("gcn", {"layers": (128,) * 4, "self_loops": False}),
    "GCN, 4 layers": ("gcn", {"layers": (128,) * 4}),
    "GCN, 4 layers, normalised": ("gcn", {"layers": (128,) * 4, "normalise": True}),
    "GCN, 3 layers": ("gcn", {"layers": (128,) * 3}),
    "GCN, 2 layers": ("gcn", {"layers": (128,) * 2}),
    "GCN, 2 layers, normalised": ("gcn", {"layers": (128,) * 2, "normalise": True}),
    "GCN, 1 layer": ("gcn", {"layers": (128,)}),
    "GCN + global, 2 layers": ("gcn", {"layers": (128,) * 2, "global_node": True}),
    "GCN + global, 3 layers": ("gcn", {"layers": (128,) * 3, "global_node": True}),
    "MLP 200": ("mlp", {"hidden": (200,)}),
    "MLP 200 200 200": ("mlp", {"hidden": (200,) * 3}),
    "MLP 500 500 500": ("mlp", {"hidden": (500,) * 3}),
    "GATES": ("gates", {}),
}


def main(candidates: Candidates = CANDIDATES) -> None:
    """Train each candidate and keep its Kendall tau on the validation cells."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    archs, accuracy = table.archs, table.column("test_accuracy")
    rows = np.stack(
        [np.random.default_rng(split).permutation(JUDGED.start)[:SIZE] for split in range(SPLITS)]
    )
    judged = archs[list(JUDGED)], accuracy[list(JUDGED)]
    book = ledger.Ledger("gates_validation", candidates)
    for label, (name, settings) in candidates.items():
        predictor = jnas.predictors.by_name(name, table.space, **settings)
        book.run(
            label,
            predictor,
            functools.partial(
                ledger.train, predictor, (archs[rows], accuracy[rows]), judged, SPLITS
            ),
        )
    book.write()
    pages.show("gates_validation", page(candidates))


def page(candidates: Candidates = CANDIDATES) -> pages.Page:
    """Kendall tau of each candidate on the validation cells."""
    jobs = pages.read("gates_validation")["jobs"]
    rows = [[label, pages.beside(jobs[label])] for label in candidates]
    return pages.Page(("gates_validation",), ([["settings", "Kendall tau"], *rows],))


if __name__ == "__main__":
    program.run(main, {"candidates": {"MLP 200": CANDIDATES["MLP 200"]}})
