"""Kendall tau of five encoders on NAS-Bench-101 by number of training cells (GATES table 1).

python -m experiments.gates_encoders [largest size]            (configs/gates_encoders.py)

Interrupted runs continue from results/gates_encoders.json and runs/gates_encoders/.
"""

import functools
import sys
from pathlib import Path

import jax

import jnas
from configs.gates_encoders import CONFIG, Config
from experiments import common, ledger


def main(config: Config = CONFIG) -> None:
    """Train every encoder at every size; print, plot and keep the table."""
    own = config.largest_on_cpu if jax.default_backend() == "cpu" else max(config.sizes)
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else own
    space = jnas.spaces.nasbench101()
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    accuracy = table.column("test_accuracy")
    test = table.archs[-config.num_test :], accuracy[-config.num_test :]
    book = ledger.Ledger("gates_encoders", config)
    for size in (size for size in config.sizes if size <= largest):
        for label, (name, settings) in config.encoders.items():
            seeds = config.seeds if size <= config.large else config.large_seeds.get(label, 1)
            predictor = jnas.predictors.by_name(name, space, **settings)
            job = f"{label} {size}"
            checkpoint = (
                Path("runs") / "gates_encoders" / job.replace(" ", "_")
                if size > config.large
                else None
            )
            train = table.archs[:size], accuracy[:size]
            book.run(
                job,
                predictor,
                functools.partial(ledger.train, predictor, train, test, seeds, checkpoint),
            )
    report(config, book)


def report(config: Config, book: ledger.Ledger) -> None:
    """The table beside the paper's, and a figure."""
    rows = [["Kendall tau (paper)", *(f"{size:,}" for size in config.sizes)]]
    curves = {}
    for label, paper in config.paper.items():
        found = [book.jobs.get(f"{label} {size}") for size in config.sizes]
        pairs = zip(found, paper, strict=True)
        rows.append(
            [
                label,
                *(
                    f"{job['kendall_tau']:.3f} ({p:.3f})" if job else f"– ({p:.3f})"
                    for job, p in pairs
                ),
            ]
        )
        done = [(size, job) for size, job in zip(config.sizes, found, strict=True) if job]
        if done:
            curves[label] = [(size, job["kendall_tau"], job["std"] or 0.0) for size, job in done]
    print(ledger.markdown(rows))
    paper_curves = {
        label: list(zip(config.sizes, taus, strict=True)) for label, taus in config.paper.items()
    }
    figure = jnas.plots.tau_by_size(
        curves, paper_curves, title="Encoders on NAS-Bench-101, hinge loss"
    )
    jnas.plots.save(figure, common.RESULTS / "gates_encoders.png")
    print(f"written: {book.write()}")


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main()
