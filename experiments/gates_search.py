"""Queries until a search meets the best cells: guided by GATES, at random, and by evolution.

python -m experiments.gates_search            (configs/gates_search.py)

Interrupted runs continue from results/gates_search.json. Guided searches ask for no cell twice; for
the others, queries of distinct cells are counted beside all queries.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.gates_search import CONFIG, PAPER, QUICK, Benchmark, Config, Guided
from experiments import common, ledger, pages, program, queries
from jnas.benchmarks import Table
from jnas.predictors.recipes import as_plain
from jnas.types import Key, Searcher

RANDOM = ("RS, exactly", "RS, uniform, no cell twice, exactly")
NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201"}
UNITS = {"nasbench101": 100, "nasbench201": 1}  # to per cent


def main(config: Config = CONFIG) -> None:
    """Search, print, plot and keep the tables."""
    book = ledger.Ledger("gates_search", config)
    result: dict[str, Any] = {}
    for name, benchmark in config.benchmarks.items():
        table = load(name)
        rows, curves = {}, {}
        for label, settings in config.guided.items():
            if name in settings.runs:
                runs = [
                    guided(book, name, table, label, benchmark, settings, s)
                    for s in range(settings.runs[name][0])
                ]
                rows[label] = {"queries": np.array([run["queries"] for run in runs], float)}
                curves[label] = np.stack(
                    [_curve(run["improvements"], settings.runs[name][1]) for run in runs]
                )
        least = queries.thresholds(table, benchmark.column, benchmark.targets)
        options = {
            "num_evaluations": benchmark.num_evaluations,
            "num_runs": config.num_runs,
            "num_shown": benchmark.num_shown,
        }
        for label, (strategy, others) in config.others.items():
            searcher = getattr(jnas.search, strategy)(table.space, **others)
            found = queries.count(searcher, table, benchmark.column, least, **options)
            rows[label], curves[label] = {"queries": found[0], "distinct": found[1]}, found[2]
        result[name] = summary(
            table, benchmark, rows, [label for label in config.guided if label in rows]
        )
        figure = jnas.plots.search_curves(
            {
                label: UNITS[name] * values
                for label, values in curves.items()
                if label in config.shown
            },
            lines={"best of all cells": UNITS[name] * float(table.column(benchmark.column).max())},
            x_label="queries",
            y_label=f"best {benchmark.accuracy} so far (%)",
            title=NAMES[name],
        )
        jnas.plots.save(figure, common.RESULTS / f"gates_search_{name}.png")
    content = {"config": book.config, "jobs": book.jobs, "benchmarks": result}
    common.write_json("gates_search", content)
    pages.show("gates_search", page(config))


def load(name: str) -> Table:
    """The table of a benchmark."""
    if name == "nasbench201":
        return jnas.benchmarks.nasbench201("cifar10")
    return jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))


# -- Guided by a predictor -------------------------------------------------------------------------


def guided(
    book: ledger.Ledger,
    name: str,
    table: Table,
    label: str,
    benchmark: Benchmark,
    settings: Guided,
    run: int,
) -> dict[str, Any]:
    """One run, kept in the ledger: `queries` until each target, inf where it was not met."""
    about = {"name": settings.predictor} | as_plain(settings.settings)
    about |= {
        "search": settings.search,
        "inner": settings.inner,
        "max_queries": settings.runs[name][1],
    }
    about |= {"column": benchmark.column}
    key = jax.random.fold_in(jax.random.key(0), run)
    function = functools.partial(
        _guided, table, benchmark.column, settings, settings.runs[name][1], key
    )
    found = book.once(f"{name} {label} {run}", about, function)
    curve = _curve(found["improvements"], found["num_queries"])
    least = queries.thresholds(table, benchmark.column, benchmark.targets)
    return found | {"queries": queries.first(curve >= least[:, None])}


def _guided(
    table: Table, column: str, settings: Guided, max_queries: int, key: Key
) -> dict[str, Any]:
    begin, most, look_up = (
        time.perf_counter(),
        np.float32(table.column(column).max()),
        _look_up(table, column),
    )

    def evaluate(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        """The score, and a cost for the best of all cells alone, which so ends the search."""
        del epochs
        score = look_up(arch)
        return float(score), float(score >= most)

    budget: Any = {"num_evaluations": max_queries, "max_seconds": 0.5, "overrun": "counted"}
    run = jnas.search.run_on_host(
        _searcher(table, *_frozen(settings)), evaluate, key, **budget, progress=False
    )
    scores = np.asarray(run.history.scores)[: int(run.history.num_evaluations)]
    best = np.maximum.accumulate(scores)
    improved = np.flatnonzero(np.diff(best, prepend=np.float32(-np.inf)))
    # Nine digits give a float32 back.
    found = {
        "num_queries": len(scores),
        "improvements": " ".join(f"{1 + i}:{best[i]:.9g}" for i in improved),
    }
    return found | {"seconds": round(time.perf_counter() - begin, 1)}


def _frozen(settings: Guided) -> tuple[Any, ...]:
    options = (settings.settings, settings.inner, settings.search)
    return (settings.predictor, *(tuple(option.items()) for option in options))


@functools.cache
def _searcher(table: Table, predictor: str, settings: Any, inner: Any, search: Any) -> Searcher:
    """A searcher, the same one for all runs: every new one would be compiled anew."""
    strategy = jnas.search.regularized_evolution(table.space, **dict(inner))
    model = getattr(jnas.predictors, predictor)(table.space, **dict(settings))
    return jnas.search.predictor_guided(model, strategy, **dict(search))


@functools.cache
def _look_up(table: Table, column: str) -> Any:
    estimate, key = jax.jit(table.estimator(column)), jax.random.key(0)
    return lambda arch: np.asarray(estimate(key, jnp.asarray(arch)[None]))[0]


def _curve(improvements: str, num: int) -> np.ndarray:
    """`[num]` float32, the best so far, from its improvements `query:score`."""
    steps, scores = zip(*(pair.split(":") for pair in improvements.split()), strict=True)
    last = np.searchsorted(np.array(steps, int), np.arange(1, num + 1), side="right") - 1
    return np.array(scores, np.float32)[last]


# -- What is reported ------------------------------------------------------------------------------


def summary(
    table: Table, benchmark: Benchmark, rows: dict[str, Any], guided: list[str]
) -> dict[str, Any]:
    """For each target medians with intervals, random search exactly, and ratios of queries."""
    order = np.argsort(-table.column(benchmark.column).astype(np.float64), kind="stable")
    result: dict[str, Any] = {"column": table.conventions[benchmark.column]}
    for at, target in enumerate(benchmark.targets):
        probability = queries.hit_probability(table, order[:target])
        exact = {RANDOM[0]: queries.geometric(probability)}
        exact[RANDOM[1]] = queries.without_repetition(len(order), target)
        searched = {label: queries.summary(row["queries"][:, at]) for label, row in rows.items()}
        for label, row in rows.items():
            if "distinct" in row:
                searched[label]["distinct"] = queries.summary(row["distinct"][:, at])["median"]
        slower = {label: np.array([value["median"]]) for label, value in exact.items()}
        slower |= {
            label: row["queries"][:, at]
            for label, row in rows.items()
            if label not in ("RS", *guided)
        }
        ratios = {
            label: {
                other: queries.ratio(values, rows[label]["queries"][:, at])
                for other, values in slower.items()
            }
            for label in guided
        }
        result[f"best {target}"] = {"exact": exact, "searches": searched, "ratios": ratios}
    return result


def page(config: Config = CONFIG) -> pages.Page:
    """Medians of queries, and ratios of them, for each benchmark."""
    kept = pages.read("gates_search")["benchmarks"]
    tables = [
        table
        for name, benchmark in config.benchmarks.items()
        for table in (_medians(config, name, benchmark, kept[name]), _ratios(benchmark, kept[name]))
    ]
    plots = tuple(f"gates_search_{name}.png" for name in config.benchmarks)
    paper = " and ".join(f"{value:g} times fewer than {label}" for label, value in PAPER.items())
    note = f"The paper, on NAS-Bench-101: {paper}."
    return pages.Page(("gates_search",), tuple(tables), plots, (note,))


def _targets(benchmark: Benchmark) -> tuple[list[str], list[str]]:
    """Names of the targets in the result, and in tables."""
    shown = [f"one of the best {target}" for target in benchmark.targets[:-1]] + ["the best"]
    return [f"best {target}" for target in benchmark.targets], shown


def _medians(config: Config, name: str, benchmark: Benchmark, kept: dict[str, Any]) -> pages.Rows:
    targets, shown = _targets(benchmark)
    rows = [[f"{NAMES[name]}: queries, median (95 %)", "runs", *shown]]
    for label, found in kept[targets[0]]["searches"].items():
        searched = (kept[target]["searches"][label] for target in targets)
        cells = (_cell(config, name, benchmark, label, value) for value in searched)
        rows.append([label, f"{found['runs']}", *cells])
    for label in RANDOM:
        exact = (kept[target]["exact"][label]["median"] for target in targets)
        rows.append([label, "", *(f"{median:,.0f}" for median in exact)])
    return rows


def _ratios(benchmark: Benchmark, kept: dict[str, Any]) -> pages.Rows:
    targets, shown = _targets(benchmark)
    rows = [["how many times fewer queries (95 %)", *shown]]
    for label, others in kept[targets[0]]["ratios"].items():
        for other in others:
            ratios = (_ratio(kept[target]["ratios"][label][other]) for target in targets)
            rows.append([f"{label} than {other}", *ratios])
    return rows


def _cell(
    config: Config, name: str, benchmark: Benchmark, label: str, found: dict[str, Any]
) -> str:
    """Median, interval and median of distinct cells, or how many runs reached the target."""
    if found["median"] is None:
        most = (
            config.guided[label].runs[name][1]
            if label in config.guided
            else benchmark.num_evaluations
        )
        return f"> {most:,} ({found['reached']:.0%} reach it)"
    low, high = (f"{found[end]:,.0f}" if found[end] else "?" for end in ("low", "high"))
    distinct = f", {found['distinct']:,.0f} distinct" if found.get("distinct") else ""
    return f"{found['median']:,.0f} ({low} to {high}){distinct}"


def _ratio(value: dict[str, float | None]) -> str:
    if value["ratio"] is None:
        return "?"
    return f"{value['ratio']:,.1f} ({value['low'] or '?'} to {value['high'] or '?'})"


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
