"""BiFlow against GATES on the same training sets, on NAS-Bench-101 and -201, and what each part of it gives.

python -m experiments.beyond_gates [largest size]            (configs/beyond_gates.py)

Interrupted runs continue from results/beyond_gates.json.
"""

import sys
import time
from typing import Any

import jax
import numpy as np

import jnas
from configs.beyond_gates import CONFIG, Config
from experiments import common, ledger
from jnas.predictors import Evaluation
from jnas.types import Predictor

COLUMNS = {"nasbench101": "test_accuracy", "nasbench201": "test200_c10"}
NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201"}


def main(config: Config = CONFIG) -> None:
    """Run all jobs; print, plot and keep the tables."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else max(map(max, config.sizes.values()))
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
    pool = len(accuracy) - num_test
    rows = np.stack(
        [np.random.default_rng(split).permutation(pool)[:size] for split in range(config.splits)]
    )
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(config.splits))
    begin = time.perf_counter()
    fitted = predictor.fit_many(keys, table.archs[rows], accuracy[rows])
    seconds = time.perf_counter() - begin
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
    from scipy.stats import t

    differences = np.array(two) - np.array(one)
    half = t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    return (
        float(differences.mean()),
        float(differences.mean() - half),
        float(differences.mean() + half),
    )


def report(config: Config, book: ledger.Ledger) -> None:
    """Tables of Kendall tau, of paired differences, and of the ablation; a figure for each space."""
    baseline, *others = config.predictors
    rows = [
        ["space", "cells", baseline, *(x for label in others for x in (label, "difference (95 %)"))]
    ]
    for space, sizes in config.sizes.items():
        done = [
            size
            for size in sizes
            if all(f"{space} {label} {size}" in book.jobs for label in config.predictors)
        ]
        for size in done:
            jobs = [book.jobs[f"{space} {label} {size}"] for label in config.predictors]
            row = [space, f"{size:,}", f"{jobs[0]['kendall_tau']:.4f}"]
            for job in jobs[1:]:
                mean, low, high = paired(jobs[0]["splits_kendall_tau"], job["splits_kendall_tau"])
                row += [f"{job['kendall_tau']:.4f}", f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"]
            rows.append(row)
        curves = {
            label: [
                (size, *(book.jobs[f"{space} {label} {size}"][x] for x in ("kendall_tau", "std")))
                for size in done
            ]
            for label in config.predictors
        }
        if len(done) > 1:
            figure = jnas.plots.tau_by_size(
                curves, title=f"{NAMES[space]}, {config.splits} training sets of each size"
            )
            jnas.plots.save(figure, common.RESULTS / f"beyond_gates_{space}.png")
    print(ledger.markdown(rows) + "\n")
    first = book.jobs[f"ablation {next(iter(config.ablations))}"]["splits_kendall_tau"]
    rows = [[f"{config.ablation_size} cells of NAS-Bench-101", "Kendall tau", "difference (95 %)"]]
    for label in config.ablations:
        job = book.jobs[f"ablation {label}"]
        mean, low, high = paired(first, job["splits_kendall_tau"])
        rows.append([label, f"{job['kendall_tau']:.4f}", f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"])
    print(ledger.markdown(rows))
    print(f"written: {book.write()}")


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main()
