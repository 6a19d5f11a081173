"""Kendall tau of ReNAS and its rivals on NAS-Bench-101 (ReNAS table 2, figures 3 and 4).

python -m experiments.renas_table2            (configs/renas_table2.py)

Interrupted runs continue from results/renas_table2.json.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

import jnas
from configs.renas_table2 import CONFIG, PAIRS, QUICK, Config
from experiments import cells, common, ledger, pages, program

CONTINUOUS = "v4 + continuity"


def main(config: Config = CONFIG) -> None:
    """Run all jobs; print, plot and keep the tables."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    archs, accuracy = table.archs, table.column("test_accuracy")
    book = ledger.Ledger("renas_table2", config)
    rows, _ = ledger.random_rows(
        len(archs), config.num_test, config.sizes[0], config.seeds[config.sizes[0]]
    )
    predictors = {
        label: jnas.predictors.by_name(n, table.space, **given)
        for label, (n, given) in config.methods.items()
    }
    predictors[CONTINUOUS] = _continuous(sweep(config, book, archs[rows], accuracy[rows]))
    for size in config.sizes:
        rows, test = ledger.random_rows(len(archs), config.num_test, size, config.seeds[size])
        data = (archs[rows], accuracy[rows]), (archs[test], accuracy[test])
        for label, predictor in predictors.items():
            book.run(
                f"{label} {size}",
                predictor,
                functools.partial(ledger.train, predictor, *data, len(rows)),
            )
    figures(config, book, archs, accuracy)
    book.write()
    pages.show("renas_table2", page(config))


def _continuous(setting: dict[str, Any]) -> jnas.types.Predictor:
    training = dataclasses.replace(PAIRS, loss="renas", **setting)
    return jnas.predictors.renas(jnas.spaces.nasbench101(), training=training)


def sweep(
    config: Config, book: ledger.Ledger, archs: np.ndarray, accuracy: np.ndarray
) -> dict[str, Any]:
    """Penalty, margin and λ that rank the last quarter of training sets best, from the rest."""
    # Of the training cells, so that no choice has seen a test cell.
    cut = archs.shape[1] * 3 // 4
    train, validation = (archs[:, :cut], accuracy[:, :cut]), (archs[:, cut:], accuracy[:, cut:])
    settings: list[dict[str, Any]] = [
        {"phi": phi, "margin": margin, "continuity": weight}
        for phi, margins in (("logistic", (0.1,)), ("hinge", config.margins))
        for margin in margins
        for weight in config.continuity
    ]
    taus = []
    for setting in settings:
        job = "sweep " + " ".join(f"{name}={value}" for name, value in setting.items())
        predictor = _continuous(setting)
        function = functools.partial(ledger.train, predictor, train, validation, len(archs))
        found = book.run(job, predictor, function)
        taus.append(found["kendall_tau"])
    return settings[int(np.argmax(taus))]


def figures(config: Config, book: ledger.Ledger, archs: np.ndarray, accuracy: np.ndarray) -> None:
    """Draw figure 3 of the first seed of v4, and its best predicted cells (figure 4)."""
    space = jnas.spaces.nasbench101()
    predictor = jnas.predictors.renas(space, training=PAIRS)
    key = jax.random.fold_in(jax.random.key(0), 0)
    for size in (size for size in config.sizes if f"best cell {size}" not in book.jobs):
        rows, test = ledger.random_rows(len(archs), config.num_test, size, 1)
        state = predictor.fit(key, archs[rows[0]], accuracy[rows[0]])
        estimator = jnas.predictors.estimator(predictor, state)
        scores = np.asarray(jnas.population.score(estimator, archs, key, 4096, progress=False))
        best = int(np.argmax(scores))
        text = space.to_string(archs[best])
        book.jobs[f"best cell {size}"] = {
            "cell": text,
            "test_accuracy": round(float(accuracy[best]), 5),
            "true_rank": 1 + int(np.sum(accuracy > accuracy[best])),
            "distance": int(cells.distance(archs[best])),
            "has_3x3": bool(cells.has_3x3(archs[best])),
            "best_of_top_10": round(float(accuracy[np.argsort(-scores)[:10]].max()), 5),
        }
        jnas.plots.save(
            jnas.plots.cell(space, archs[best]), common.RESULTS / f"renas_best_cell_{size}.png"
        )
        if size == config.sizes[0]:
            figure = jnas.plots.predicted_ranks(
                scores[test], accuracy[test], title=f"ReNAS v4, {size} training cells"
            )
            jnas.plots.save(figure, common.RESULTS / "renas_ranks.png")


def page(config: Config = CONFIG) -> pages.Page:
    """Kendall tau beside the paper's, λ and margins on validation cells, and the best cells."""
    jobs = pages.read("renas_table2")["jobs"]
    rows = [["Kendall tau ± half 95 % interval (paper)", *(f"{n:,}" for n in config.sizes)]]
    for label in (*config.methods, CONTINUOUS):
        papers = config.paper.get(label, (None,) * len(config.sizes))
        found = [jobs[f"{label} {size}"] for size in config.sizes]
        rows.append([label, *map(_cell, found, papers)])
    sweep = [["penalty, margin and λ of v4 with triplets", "Kendall tau, validation"]]
    for name, job in jobs.items():
        if name.startswith("sweep "):
            sweep.append([name.removeprefix("sweep "), pages.beside(job)])
    best = [["best predicted cell from", "test accuracy (%)", "true rank", "best of top 10 (%)"]]
    for size in config.sizes:
        job = jobs[f"best cell {size}"]
        mine, top = (f"{100 * job[name]:.2f}" for name in ("test_accuracy", "best_of_top_10"))
        best.append([f"{size:,} cells", mine, f"{job['true_rank']:,}", top])
    plots = ("renas_ranks.png", *(f"renas_best_cell_{size}.png" for size in config.sizes))
    return pages.Page(("renas_table2",), (rows, sweep, best), plots)


def _cell(job: dict[str, Any], paper: float | None) -> str:
    half = ledger.half_interval(job["seeds_kendall_tau"])
    known = "" if paper is None else f" ({pages.number(paper)})"
    return f"{pages.number(job['kendall_tau'])} ± {half:.3f}{known}"


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
