"""Hypervolume of accuracy against latency that searches reach, in parts of the true front's.

python -m experiments.pareto_latency            (configs/pareto_latency.py)

Interrupted runs continue from results/pareto_latency.json.
"""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import jnas
from configs.pareto_latency import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program, searches
from jnas.benchmarks import Table
from jnas.search import Cost, Front
from jnas.types import History, Searcher

RANDOM, PARAMS, LIMITS, NSGA2 = STRATEGIES = (
    "random",
    "NSGA-II on parameters",
    "evolution within limits",
    "NSGA-II on the latency",
)


class Evaluated(NamedTuple):
    """Evaluations of `S` searches: `archs` `[S, T, D]` and `scores` `[S, T]`."""

    archs: np.ndarray
    scores: np.ndarray


class Device(NamedTuple):
    """Latency on a device: a column, its values `[A]`, and the same as a cost."""

    column: str
    values: np.ndarray
    cost: Cost


def main(config: Config = CONFIG) -> None:
    """Search, print, plot and keep the table."""
    book = ledger.Ledger("pareto_latency", config)
    table, hardware = jnas.benchmarks.nasbench201("cifar10"), jnas.benchmarks.hardware()
    for column in config.devices:
        device = Device(column, hardware.look_up(column, table.archs), hardware.cost(column))
        about = {"name": column, "seeds": config.seeds, "evaluations": config.num_evaluations}
        book.once(column, about, functools.partial(of_device, config, table, device))
    # Stairs: between two of the numbers of evaluations a search has at least the area of the first.
    steps = np.arange(config.shown[0], config.shown[-1] + 1)
    known = np.searchsorted(config.shown, steps, side="right") - 1
    for column, name in config.pictures.items():
        found = book.jobs[column]["searches"].items()
        figure = jnas.plots.search_curves(
            {of: np.array(job["areas"])[:, known] for of, job in found},
            steps,
            lines={"true front": 1.0},
            y_label="hypervolume, in parts of the true front's",
            title=f"NAS-Bench-201: accuracy against {column}",
        )
        jnas.plots.save(figure, common.RESULTS / name)
    book.write()
    pages.show("pareto_latency", page(config))


def of_device(config: Config, table: Table, device: Device) -> dict[str, Any]:
    """Areas of all searches on a device, in parts of that of the true front."""
    begin = time.perf_counter()
    true = front_of(table.archs, table.column(config.accuracy), device.cost)
    # The last of a front is its dearest, and so the fastest of the most accurate cells.
    longest = float(true.costs[-1, 0])
    # Beyond the most accurate cell nothing is gained; that cell itself is to count.
    area = functools.partial(jnas.search.hypervolume, reference=(config.reference, 1.1 * longest))
    params = np.asarray(jax.jit(jax.vmap(table.space.params))(table.archs))
    tau = stats.kendalltau(params, device.values, nan_policy="omit").statistic
    found = {name: _judged(config, table, device, name, true, area) for name in STRATEGIES}
    return {
        "most_accurate_ms": round(longest, 4),
        "true_front": len(true.archs),
        "tau_of_params": round(float(tau), 3),
        "searches": found,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _judged(
    config: Config, table: Table, device: Device, name: str, true: Front, area: Any
) -> dict[str, Any]:
    """Areas `[S]` after some numbers of evaluations, and points of the true front at the end."""
    archs, scores = _search(config, table, device, name)
    rows, num_found = [], []
    for seed in range(config.seeds):
        fronts = [
            front_of(archs[seed, :num], scores[seed, :num], device.cost) for num in config.shown
        ]
        rows.append([round(area(front) / area(true), 4) for front in fronts])
        num_found.append(len(_points(fronts[-1]) & _points(true)))
    return {"areas": rows, "found": round(float(np.mean(num_found)), 1)}


def _search(config: Config, table: Table, device: Device, name: str) -> Evaluated:
    """Evaluations of a strategy."""
    space, run = table.space, functools.partial(_run, config, table)
    if name == RANDOM:
        return run(jnas.search.random_search(space))
    if name != LIMITS:
        costs = [device.cost if name == NSGA2 else space.params]
        return run(jnas.search.nsga2(space, costs, population_size=config.population_size))
    limits = np.nanquantile(device.values, config.quantiles)
    parts = [
        run(
            jnas.search.regularized_evolution(
                jnas.search.limited(space, [(device.cost, float(limit))])
            ),
            number,
            len(limits),
        )
        for number, limit in enumerate(limits)
    ]
    # They take turns in evaluating.
    archs, scores = (np.stack(leaves, axis=2) for leaves in zip(*parts, strict=True))
    return Evaluated(
        archs.reshape(config.seeds, -1, archs.shape[-1]), scores.reshape(config.seeds, -1)
    )


def _run(
    config: Config, table: Table, searcher: Searcher, number: int = 0, num_parts: int = 1
) -> Evaluated:
    """Evaluations of a searcher, a part of all."""
    history = searches.run_many(
        searcher,
        table.objective(config.accuracy),
        jax.random.key(number),
        config.seeds,
        num_evaluations=config.num_evaluations // num_parts,
    )
    return Evaluated(np.asarray(history.archs), np.asarray(history.scores))


def front_of(archs: np.ndarray, scores: np.ndarray, cost: Cost) -> Front:
    """Front of evaluations `[T, D]` with scores `[T]`."""
    num, no = len(archs), jnp.asarray(False)
    zeros, zero = jnp.zeros(num, jnp.int32), jnp.int32(0)
    rows = jnp.asarray(archs), jnp.asarray(scores, jnp.float32), jnp.zeros(num), zeros, zeros
    history = History(*rows, jnp.int32(num), no, zero, no)
    return jnas.search.pareto_front(history, [cost])


def _points(front: Front) -> set[tuple[float, float]]:
    """Scores and costs of a front: several cells may share a point."""
    return {*zip(front.scores.tolist(), front.costs[:, 0].tolist(), strict=True)}


# -- What is reported ------------------------------------------------------------------------------


def page(config: Config = CONFIG) -> pages.Page:
    """Parts of the true front's area by evaluations, for each device and strategy."""
    jobs = pages.read("pareto_latency")["jobs"]
    tables = [_rows(config, column, jobs[column]) for column in config.devices]
    note = (
        f"Mean and standard deviation of {config.seeds} searches; 1 is the true front. Kendall's "
        "tau is that of the number of parameters with the latency, over all cells."
    )
    return pages.Page(("pareto_latency",), tuple(tables), tuple(config.pictures.values()), (note,))


def _rows(config: Config, column: str, job: dict[str, Any]) -> pages.Rows:
    """Rows of a device."""
    rows = [[f"{column}, tau of parameters {pages.number(job['tau_of_params'], 2)}"]]
    rows[0] += [f"{num:,} evaluations" for num in config.shown]
    rows[0] += [f"points found of {job['true_front']}"]
    for name, found in job["searches"].items():
        areas = np.array(found["areas"])
        means, stds = areas.mean(axis=0), areas.std(axis=0, ddof=1)
        cells = [f"{mean:.3f} ± {std:.3f}" for mean, std in zip(means, stds, strict=True)]
        rows.append([name, *cells, f"{found['found']:.1f}"])
    return rows


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
