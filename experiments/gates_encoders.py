"""Kendall tau of five encoders on NAS-Bench-101 by number of training cells (GATES table 1).

python -m experiments.gates_encoders [largest size]            (configs/gates_encoders.py)

Interrupted runs continue from results/gates_encoders.json and runs/gates_encoders/.
"""

import functools

import jax

import jnas
from configs.gates_encoders import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program


def main(config: Config = CONFIG, largest: int | None = None) -> None:
    """Train every encoder at every size; print, plot and keep the table."""
    # Without an accelerator the largest would take too long.
    own = config.largest_on_cpu if jax.default_backend() == "cpu" else max(config.sizes)
    largest = largest or own
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
            # Only of those that take long: a small one is soon done again.
            checkpoint = (
                common.RUNS / "gates_encoders" / job.replace(" ", "_")
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


def page(config: Config = CONFIG) -> pages.Page:
    """Kendall tau beside the paper's."""
    jobs = pages.read("gates_encoders")["jobs"]
    rows = [["Kendall tau (paper)", *(f"{size:,}" for size in config.sizes)]]
    for label, paper in config.paper.items():
        found = [jobs.get(f"{label} {size}") for size in config.sizes]
        rows.append([label, *map(pages.beside, found, paper)])
    return pages.Page(("gates_encoders",), (rows,), ("gates_encoders.png",))


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figure, the result and its page."""
    curves: dict[str, list[tuple[int, float, float]]] = {}
    paper = {}
    for label, taus in config.paper.items():
        found = [(size, book.jobs.get(f"{label} {size}")) for size in config.sizes]
        done = [(size, job["kendall_tau"], job["std"] or 0.0) for size, job in found if job]
        curves |= {label: done} if done else {}
        paper[label] = list(zip(config.sizes, taus, strict=True))
    title = "Encoders on NAS-Bench-101, hinge loss"
    figure = jnas.plots.tau_by_size(curves, paper, title=title)
    jnas.plots.save(figure, common.RESULTS / "gates_encoders.png")
    book.write()
    pages.show("gates_encoders", page(config))


if __name__ == "__main__":
    program.run(main, {"config": QUICK}, program.LARGEST)
