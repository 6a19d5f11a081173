"""Kendall tau of BiFlow and GATES on the same training sets, and of parts of BiFlow.

python -m experiments.beyond_gates [largest size]            (configs/beyond_gates.py)

Interrupted runs continue from results/beyond_gates.json.
"""

import itertools
import time
from typing import Any

import jax
import numpy as np

import jnas
from configs.beyond_gates import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.predictors import Evaluation
from jnas.types import Predictor

COLUMNS = {"nasbench101": "test_accuracy", "nasbench201": "test200_c10"}
NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201"}


def main(config: Config = CONFIG, largest: int | None = None) -> None:
    """Run all jobs; print, plot and keep the tables."""
    largest = largest or max(map(max, config.sizes.values()))
    book = ledger.Ledger("beyond_gates", config)
    for space, sizes in config.sizes.items():
        for size in sizes:
            for label, chosen in config.predictors.items():
                if size <= largest:
                    _run(config, book, f"{space} {label} {size}", space, size, chosen)
    for label, chosen in config.ablations.items():
        _run(config, book, f"ablation {label}", "nasbench101", config.ablation_size, chosen)
    report(config, book)


def _run(
    config: Config, book: ledger.Ledger, job: str, space: str, size: int, chosen: tuple[str, Any]
) -> None:
    table = getattr(jnas.benchmarks, space)(path=common.data_file(f"{space}.npz"))
    predictor = jnas.predictors.by_name(chosen[0], table.space, **chosen[1])
    book.run(job, predictor, lambda: _train(config, predictor, table, size))


def _train(
    config: Config, predictor: Predictor, table: jnas.benchmarks.Table, size: int
) -> dict[str, Any]:
    """Kendall tau on the test cells, at the end of the training, for each split."""
    accuracy, num_test = table.column(COLUMNS[table.space.name]), config.num_test[table.space.name]
    # The last rows test, in every split.
    pool = len(accuracy) - num_test
    rows = np.stack(
        [np.random.default_rng(split).permutation(pool)[:size] for split in range(config.splits)]
    )
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(config.splits))
    begin = time.perf_counter()
    fitted = predictor.fit_many(keys, table.archs[rows], accuracy[rows])
    seconds = time.perf_counter() - begin
    # After the training, and so not in its seconds.
    test = Evaluation(table.archs[-num_test:], accuracy[-num_test:], metrics=ledger.METRICS)
    found = jnas.predictors.measure(predictor, fitted.states, test)[0]
    taus = found["kendall_tau"][:, 0]
    return {
        "kendall_tau": round(float(taus.mean()), 4),
        "std": round(float(taus.std(ddof=1)), 4),
        "n_at_10": round(float(found["n_at_10"].mean()), 1),
        "splits_kendall_tau": np.round(taus, 4).tolist(),
        "num_train": size,
        "seconds_a_split": round(seconds / config.splits, 1),
    }


def paired(one: list[float], two: list[float]) -> tuple[float, float, float]:
    """Mean difference two − one, and the ends of its 95 % interval (Student's t)."""
    # Of pairs with one training set, whose luck both share.
    differences = np.array(two) - np.array(one)
    mean, half = float(differences.mean()), ledger.half_interval(differences)
    return mean, mean - half, mean + half


def page(config: Config = CONFIG) -> pages.Page:
    """Kendall tau of both and their paired differences; the same for the parts of BiFlow."""
    jobs = pages.read("beyond_gates")["jobs"]
    first, *others = config.predictors
    header = ["space", "trained cells", first]
    rows = [header + [text for label in others for text in (label, "difference (95 %)")]]
    for space in config.sizes:
        for size in _done(config, jobs, space):
            base = jobs[f"{space} {first} {size}"]
            found = [_beside(base, jobs[f"{space} {label} {size}"]) for label in others]
            rows.append(
                [NAMES[space], f"{size:,}", f"{base['kendall_tau']:.4f}", *itertools.chain(*found)]
            )
    parts = [[f"{config.ablation_size} cells of NAS-Bench-101", "Kendall tau"]]
    parts[0].append(f"difference with {first} (95 %)")
    base = jobs[f"ablation {next(iter(config.ablations))}"]
    parts += [[label, *_beside(base, jobs[f"ablation {label}"])] for label in config.ablations]
    plots = tuple(f"beyond_gates_{space}.png" for space in config.sizes)
    return pages.Page(("beyond_gates",), (rows, parts), plots)


def _done(config: Config, jobs: dict[str, Any], space: str) -> list[int]:
    """Sizes of the training sets that all predictors have been trained with."""
    return [
        size
        for size in config.sizes[space]
        if all(f"{space} {label} {size}" in jobs for label in config.predictors)
    ]


def _beside(base: dict[str, Any], job: dict[str, Any]) -> list[str]:
    """Kendall tau, and the difference with the base on the same training sets."""
    mean, low, high = paired(base["splits_kendall_tau"], job["splits_kendall_tau"])
    return [f"{job['kendall_tau']:.4f}", f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"]


def report(config: Config, book: ledger.Ledger) -> None:
    """Write a figure for each space, the result and its page."""
    for space in config.sizes:
        done = _done(config, book.jobs, space)
        jobs = {
            label: [book.jobs[f"{space} {label} {n}"] for n in done] for label in config.predictors
        }
        curves = {
            label: [(job["num_train"], job["kendall_tau"], job["std"]) for job in found]
            for label, found in jobs.items()
        }
        if len(done) > 1:
            title = f"{NAMES[space]}, {config.splits} training sets of each size"
            figure = jnas.plots.tau_by_size(curves, title=title)
            jnas.plots.save(figure, common.RESULTS / f"beyond_gates_{space}.png")
    book.write()
    pages.show("beyond_gates", page(config))


if __name__ == "__main__":
    program.run(main, {"config": QUICK}, program.LARGEST)
