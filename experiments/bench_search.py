"""Seconds of a thousand searches as one program, beside the same algorithms as loops in Python.

Command: JAX_NUM_CPU_DEVICES=2 python -m experiments.bench_search
Cost: 5 minutes.

Every run has 500 evaluations of the real NAS-Bench-201 table; the 200-epoch validation accuracy on
CIFAR-10, which comes with the install, is both searched on and reported. Loops in Python are timed
in the same process: plain ones over a dictionary of tuples, and one with the habits of published
scripts. Yardsticks are 4096x4096x4096 float32 matrix products of the same run.

By hand: a tournament, a mutation and a look-up by 14 halvings are some 20 random words of about 50
operations each, so 1,000 runs x 500 evaluations are 5e8 operations: a third of a second on one core
that does not use its vector units. Without JAX_NUM_CPU_DEVICES there is one device.
"""

import collections
import copy
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jnas
from experiments import common, pages, program, searches
from jnas.engine.devices import each, spread
from jnas.types import History, Key, Objective, Searcher

NUM_EVALUATIONS, NUM_RUNS = 500, (1, 100, 1000)
COLUMN = "val_accuracy"
SPACE = jnas.spaces.nasbench201()
SLOW = ("REINFORCE, LSTM", "BOHB")  # no thousand of them


def num_params(key: Key, archs: jax.Array) -> jax.Array:
    """Trainable parameters, the cheapest estimator there is."""
    del key
    return jax.vmap(SPACE.params)(archs).astype(float)


def strategies() -> dict[str, Searcher]:
    """Every strategy that can be traced, with its defaults."""
    return {
        "random search": jnas.search.random_search(SPACE),
        "regularized evolution": jnas.search.regularized_evolution(SPACE),
        "AREA, by parameters": jnas.search.area(SPACE, num_params),
        "local search": jnas.search.local_search(SPACE),
        "genetic, 50 members": jnas.search.genetic(SPACE, population_size=50),
        "REINFORCE, factorised": jnas.search.reinforce(SPACE),
        "REINFORCE, LSTM": jnas.search.reinforce(SPACE, policy="lstm"),
        "reinforced evolution": jnas.search.reinforced_evolution(SPACE),
        "NSGA-II, 50 members": jnas.search.nsga2(SPACE, [SPACE.params], population_size=50),
        "BOHB": jnas.search.bohb(SPACE),
    }


def main(labels: Sequence[str] | None = None, sizes: tuple[int, ...] = NUM_RUNS) -> None:
    """Time strategies, by default all, and both loops; print, keep and plot."""
    # Or the compilations would be readings of files.
    jax.config.update("jax_enable_compilation_cache", False)
    table = jnas.benchmarks.nasbench201("cifar10")
    objective, unit = table.objective(COLUMN, seconds="seconds"), common.yardstick()
    result: dict[str, Any] = {
        "column": table.conventions[COLUMN],
        "num_evaluations": NUM_EVALUATIONS,
    }
    histories, found = {}, {}
    for label, searcher in strategies().items():
        if labels is not None and label not in labels:
            continue
        nums = sizes[:-1] if label in SLOW else sizes
        histories[label], found[label] = _time(searcher, objective, nums)
        print(label, found[label], flush=True)
    loops = {
        label: {kind: _time_loop(kind, loop, table) for kind, loop in kinds.items()}
        for label, kinds in LOOPS.items()
    }
    result |= {"strategies": found, "python_loops": loops}
    result |= {
        "yardstick_seconds": round(unit, 3),
        "yardstick_seconds_after": round(common.yardstick(), 3),
    }
    common.write_json(f"bench_search_{jax.default_backend()}_{jax.local_device_count()}", result)
    pages.show("bench_search", page())
    picture(table, {label: histories[label] for label in LOOPS})


def _time(
    searcher: Searcher, objective: Objective, sizes: tuple[int, ...]
) -> tuple[History, dict[str, Any]]:
    """The histories of the most runs, and seconds of compiling and running each number of them."""
    found: dict[str, Any] = {}
    for num in sizes:
        keys = jax.random.split(jax.random.key(0), num)
        run = spread(each(searches.one(searcher, num_evaluations=NUM_EVALUATIONS)))
        begin = time.perf_counter()
        history: History = jax.block_until_ready(run(keys, objective))
        first = time.perf_counter() - begin
        # The least, for other work on the machine can only add to it.
        best = min(common.seconds(lambda run=run, keys=keys: run(keys, objective)))  # type: ignore[misc]
        compilation = first - best
        found[f"runs_{num}"] = {
            "seconds": round(best, 4),
            "compilation_seconds": round(compilation, 2),
        }
    found["mean_best"] = round(float(np.mean(history.best_so_far[:, -1])), 3)
    return history, found


def page() -> pages.Page:
    """Seconds of each strategy on each kind of device, beside those of loops in Python."""
    found = pages.of_devices("bench_search")
    tables = tuple(_seconds(name, kept) for name, kept in found.items())
    return pages.Page(tuple(found), tables, ("search_thousand.png",))


def _seconds(name: str, result: dict[str, Any]) -> pages.Rows:
    strategies = result["strategies"].values()
    # What was measured, which in the small variant are other numbers of runs.
    nums = sorted({int(key[5:]) for found in strategies for key in found if "runs_" in key})
    sizes = [f"{num:,} run{'s' * (num > 1)}" for num in nums]
    rows = [[f"{name}, {NUM_EVALUATIONS} evaluations a run", "compilation"]]
    rows[0] += [*(f"{size} (yardsticks)" for size in sizes), "a run in a loop (times one of 1,000)"]
    unit = result["yardstick_seconds"]
    for label, found in result["strategies"].items():
        done = [found[f"runs_{num}"] for num in nums if f"runs_{num}" in found]
        cells = [f"{run['seconds']:.4f} s ({run['seconds'] / unit:.4f})" for run in done]
        cells += [pages.UNKNOWN] * (len(sizes) - len(cells))
        # Of the most runs, among which what every call costs is shared.
        each = done[-1]["seconds"] / nums[-1]
        loops = (
            f"{kind} {1000 * loop['seconds_a_run']:.2f} ms ({loop['seconds_a_run'] / each:.1f})"
            for kind, loop in result["python_loops"].get(label, {}).items()
        )
        compilation = f"{done[-1]['compilation_seconds']:.1f} s"
        rows.append([label, compilation, *cells, ", ".join(loops)])
    return rows


def picture(table: jnas.benchmarks.Table, histories: dict[str, History]) -> None:
    """A picture of the best so far of a thousand runs of each kind."""
    figure = jnas.plots.search_curves(
        {label: history.best_so_far for label, history in histories.items()},
        lines={f"best of all {len(table.archs):,} cells": float(table.column(COLUMN).max())},
        y_label="best validation accuracy so far (%)",
        title="NAS-Bench-201: a thousand searches of each kind, one program",
    )
    jnas.plots.save(figure, common.RESULTS / "search_thousand.png")


# -- The same in plain Python ----------------------------------------------------------------------

Cell = tuple[int, ...]


def _draw(rng: random.Random) -> Cell:
    return tuple(rng.randrange(5) for _ in range(6))


def _mutant(rng: random.Random, cell: Cell) -> Cell:
    """Another operation on a random incoming edge of a random node."""
    node = rng.randrange(1, 4)
    edge = node * (node - 1) // 2 + rng.randrange(node)
    return *cell[:edge], (cell[edge] + rng.randrange(1, 5)) % 5, *cell[edge + 1 :]


def random_loop(accuracy: dict[Cell, float], rng: random.Random) -> float:
    """The best of random cells."""
    return max(accuracy[_draw(rng)] for _ in range(NUM_EVALUATIONS))


def evolution_loop(accuracy: dict[Cell, float], rng: random.Random) -> float:
    """Regularized evolution: 10 members, of which 3 compete to be the parent."""
    history = [(accuracy[cell], cell) for cell in (_draw(rng) for _ in range(10))]
    population = collections.deque(history)
    while len(history) < NUM_EVALUATIONS:
        child = _mutant(rng, max(rng.choice(population) for _ in range(3))[1])
        history.append((accuracy[child], child))
        population.append(history[-1])
        population.popleft()
    return max(history)[0]


class _Member(NamedTuple):
    """A cell as published scripts hold it: incoming (operation, node) pairs of each node."""

    nodes: list[list[tuple[str, int]]]
    accuracy: float


def published_loop(accuracy: dict[str, float], rng: random.Random) -> float:
    """Regularized evolution as published scripts have it: lists, deep copies, string keys."""
    operations = SPACE.edge_operations

    def member(nodes: list[list[tuple[str, int]]]) -> _Member:
        text = "+".join(f"|{'|'.join(f'{op}~{source}' for op, source in node)}|" for node in nodes)
        return _Member(nodes, accuracy[text])

    history = [
        member([[(rng.choice(operations), j) for j in range(i)] for i in range(1, 4)])
        for _ in range(10)
    ]
    population = collections.deque(history)
    while len(history) < NUM_EVALUATIONS:
        sample = [rng.choice(list(population)) for _ in range(3)]
        nodes = copy.deepcopy(max(sample, key=lambda member: member.accuracy).nodes)
        node = rng.choice(nodes)
        operation, source = node[edge := rng.randrange(len(node))]
        node[edge] = rng.choice([other for other in operations if other != operation]), source
        history.append(member(nodes))
        population.append(history[-1])
        population.popleft()
    return max(member.accuracy for member in history)


LOOPS: dict[str, dict[str, Any]] = {
    "random search": {"plain": random_loop},
    "regularized evolution": {"plain": evolution_loop, "published": published_loop},
}


def _time_loop(kind: str, loop: Any, table: jnas.benchmarks.Table) -> dict[str, float]:
    """Seconds of one run, the least of three means of 100, and the mean of the best accuracies."""
    cells: Any = map(SPACE.to_string if kind == "published" else tuple, table.archs.tolist())
    accuracy = dict(zip(cells, table.column(COLUMN).tolist(), strict=True))
    rng, best, times = random.Random(0), [], []
    for _ in range(3):
        begin = time.perf_counter()
        best += [loop(accuracy, rng) for _ in range(100)]
        times.append((time.perf_counter() - begin) / 100)
    return {"seconds_a_run": round(min(times), 6), "mean_best": round(float(np.mean(best)), 3)}


if __name__ == "__main__":
    program.run(main, {"labels": tuple(LOOPS), "sizes": (1, 10)}, spread=False)
