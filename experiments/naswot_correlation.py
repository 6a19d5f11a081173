"""Kendall tau of NASWOT scores with trained accuracies (NASWOT figure 3).

python -m experiments.naswot_correlation                    (configs/naswot_correlation.py)
python -m experiments.naswot_correlation nasbench101
python -m experiments.naswot_correlation all                all cells, of the scores that are kept

Interrupted runs continue from runs/naswot-*.npz.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.naswot_correlation import CONFIGS, NASBENCH101, NASBENCH201, QUICK, Config
from configs.naswot_table2 import SCORES
from experiments import common, pages, program
from experiments.naswot_table2 import score_file

SOURCES = ("naswot_nasbench201", "naswot_nasbench101", "naswot_nasbench201_all")


def main(config: Config) -> None:
    """Score the same architectures in every way; print, plot and keep the correlations."""
    # The published sampler of NAS-Bench-101 prefers small cells: it would draw some many times.
    space = (
        jnas.spaces.nasbench101(sample="uniform")
        if config.space == "nasbench101"
        else jnas.spaces.nasbench201()
    )
    network = jnas.networks.by_name(config.space)
    path = common.data_file(f"{config.space}.npz")
    table = getattr(jnas.benchmarks, config.space)(path=path)
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    archs = jax.vmap(space.sample)(jax.random.split(arch_key, config.num_archs))
    rows = np.asarray(table.rows(archs))
    results = []
    for images, relus in config.jobs:
        batch = jnas.images.load(images, num=config.num_images, key=image_key)
        naswot = jnas.zeroshot.naswot(network, batch, relus=relus)
        out = common.RUNS / f"naswot-{config.space}-{images}-{relus}-{config.seed}.npz"
        scores = np.asarray(jnas.population.score(naswot, archs, score_key, out=out))
        # Other experiments search on these scores, which take minutes to compute.
        kept = common.RESULTS / f"naswot_sample_{config.space}_{images}_{relus}.npz"
        np.savez_compressed(kept, archs=np.asarray(archs, np.int8), scores=scores)
        results.append(
            {"images": images, "relus": relus, "num_unranked": int(np.sum(~np.isfinite(scores)))}
            | {
                column: _compare(scores, table, rows, column, paper)
                for column, paper in config.columns
            }
        )
        figure = jnas.plots.score_against_accuracy(
            scores,
            _percent(table.column(config.columns[0][0])[rows]),
            score_label=f"NASWOT score of the untrained network ({images} images)",
            accuracy_label="CIFAR-10 test accuracy (%)",
        )
        jnas.plots.save(figure, common.RESULTS / f"naswot_{config.space}_{images}_{relus}.png")
    common.write_json(f"naswot_{config.space}", {"config": repr(config), "results": results})
    pages.show("naswot_correlation", page())


def of_all_cells() -> None:
    """Correlate the scores that `naswot_table2 scores` has kept, of all NAS-Bench-201."""
    kept = jnas.benchmarks.load(score_file())
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    rows, scores = np.asarray(table.rows(jnp.asarray(kept.archs))), kept.column(SCORES)
    unranked = int(np.sum(~np.isfinite(scores)))
    found: dict[str, Any] = {"images": "cifar10", "relus": "live", "num_unranked": unranked}
    found |= {
        name: _compare(scores, table, rows, name, paper) for name, paper in NASBENCH201.columns
    }
    content = {"convention": kept.conventions[SCORES], "num_archs": len(rows), "results": [found]}
    common.write_json(SOURCES[2], content)
    pages.show("naswot_correlation", page())


def page() -> pages.Page:
    """Kendall tau beside the paper's: draws of both spaces, and all cells of NAS-Bench-201."""
    draws, draws_101, every = (pages.read(name)["results"] for name in SOURCES)
    plots = tuple(
        f"naswot_{space}_{kept['images']}_{kept['relus']}.png"
        for space, found in (("nasbench201", draws), ("nasbench101", draws_101))
        for kept in found
    )
    rows = _rows(NASBENCH201, draws, f"{NASBENCH201.num_archs:,} draws")
    rows += _rows(NASBENCH201, every, "all 15,625 cells")[1:]
    others = _rows(NASBENCH101, draws_101, f"{NASBENCH101.num_archs:,} draws")
    return pages.Page(SOURCES, (rows, others), plots)


def _rows(config: Config, results: list[dict[str, Any]], cells: str) -> pages.Rows:
    columns = [name for name, _ in config.columns]
    title = f"Kendall tau (paper), {config.space}"
    rows = [[title, "images", "ReLUs", *columns, "without a score"]]
    for kept in results:
        found = [(kept[name]["kendall_tau"], kept[name]["paper"]) for name in columns]
        taus = (f"{pages.number(tau, 4)} ({pages.number(paper)})" for tau, paper in found)
        images = f"{config.num_images} of {kept['images']}"
        rows.append([cells, images, kept["relus"], *taus, str(kept["num_unranked"])])
    return rows


def _percent(accuracy: np.ndarray) -> np.ndarray:
    """Accuracies in %; those of NAS-Bench-101 are fractions."""
    return accuracy * (100 if accuracy.max() <= 1 else 1)


def _compare(
    scores: np.ndarray, table: jnas.benchmarks.Table, rows: np.ndarray, column: str, paper: float
) -> dict[str, float]:
    """Kendall tau over all architectures, and as the paper has it: without those of no score."""
    accuracy, ranked = table.column(column)[rows], np.isfinite(scores)
    tau = float(jnas.metrics.kendall_tau(scores, accuracy))
    without = float(jnas.metrics.kendall_tau(scores, accuracy, where=ranked))
    print(f"{column:13} tau {tau:.3f}, without unranked {without:.3f}, paper {paper:.3f}")
    return {"kendall_tau": round(tau, 4), "without_unranked": round(without, 4), "paper": paper}


def command(what: str = "nasbench201", config: Config | None = None) -> None:
    """Correlations of draws from a space, or of all cells of NAS-Bench-201."""
    if what == "all":
        of_all_cells()
    else:
        main(config or CONFIGS[what])


if __name__ == "__main__":
    choices = {"nargs": "?", "choices": [*CONFIGS, "all"], "help": "the space, or all cells of it"}
    program.run(command, {"config": QUICK}, {"what": choices})
