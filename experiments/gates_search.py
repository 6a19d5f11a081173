"""Queries until a search meets the best cells: guided by a predictor (GATES), at random, and by evolution.

python -m experiments.gates_search            (configs/gates_search.py)

Interrupted runs continue from results/gates_search.json. A query is one look at the table. Guided searches ask for no
cell twice; for the others, queries of distinct cells are counted beside all queries.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import jnas
from configs.gates_search import CONFIG, PAPER, Benchmark, Config
from experiments import common, ledger
from jnas import seeds
from jnas.benchmarks import Table
from jnas.predictors.recipes import as_plain
from jnas.types import Key, Objective, Searcher

TARGETS = ("top", "best")
RANDOM = ("RS, exactly", "RS of distinct cells, uniform, exactly")
NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201"}
UNITS = {"nasbench101": 100, "nasbench201": 1}  # to per cent
_TOGETHER = 50  # runs a compiled program holds the histories of


def main(config: Config = CONFIG) -> None:
    """Search, print, plot and keep the tables."""
    book = ledger.Ledger("gates_search", config)
    result: dict[str, Any] = {}
    for name, benchmark in config.benchmarks.items():
        table = load(name)
        targets = thresholds(table, benchmark)
        found, curves = {}, {}
        for label in config.guided:
            runs = [guided(config, book, name, table, label, config.first + s) for s in range(config.num_guided)]
            found[label] = {target: np.array([run[target] or np.inf for run in runs]) for target in TARGETS}
            curves[label] = np.stack([_curve(run["improvements"], benchmark.max_queries) for run in runs])
        for label, (strategy, settings) in config.others.items():
            searcher = getattr(jnas.search, strategy)(table.space, **settings)
            found[label], curves[label] = unguided(config, searcher, table, benchmark, targets)
        result[name] = summary(config, table, benchmark, found)
        report(config, name, benchmark, result[name])
        figure = jnas.plots.search_curves(
            {label: UNITS[name] * values for label, values in curves.items()},
            lines={"best of all cells": UNITS[name] * float(targets["best"])},
            x_label="queries",
            y_label="best accuracy so far (%)",
            title=NAMES[name],
        )
        jnas.plots.save(figure, common.RESULTS / f"gates_search_{name}.png")
    content = {"config": book.config, "jobs": book.jobs, "rows": result}
    print(f"written: {common.write_json('gates_search', content)}")


def load(name: str) -> Table:
    """The table of a benchmark."""
    if name == "nasbench201":
        return jnas.benchmarks.nasbench201("cifar10")
    return jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))


def thresholds(table: Table, benchmark: Benchmark) -> dict[str, np.float32]:
    """The least score that meets each target, in the precision that searches see."""
    scores = np.sort(table.column(benchmark.column).astype(np.float32))[::-1]
    return {"top": scores[benchmark.num_top - 1], "best": scores[0]}


# -- Guided by a predictor -------------------------------------------------------------------------------------------


def guided(config: Config, book: ledger.Ledger, name: str, table: Table, label: str, seed: int) -> dict[str, Any]:
    """One run, kept in the ledger: queries until each target, and where the best so far improved."""
    benchmark, (predictor, settings, search) = config.benchmarks[name], config.guided[label]
    about = {"name": predictor} | as_plain(settings) | {"search": search, "inner": config.inner}
    about |= {"benchmark": {"column": benchmark.column, "max_queries": benchmark.max_queries}}
    key = jax.random.fold_in(jax.random.key(0), seed)
    function = functools.partial(_guided, config, table, name, label, key)
    return book.once(f"{name} {label} seed {seed}", about, function)


def _guided(config: Config, table: Table, name: str, label: str, key: Key) -> dict[str, Any]:
    benchmark, begin = config.benchmarks[name], time.perf_counter()
    targets, look_up = thresholds(table, benchmark), _look_up(table, benchmark.column)

    def evaluate(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        """The score; only the best of all cells has a cost, which is over the budget and so ends the search."""
        del epochs
        score = look_up(arch)
        return float(score), float(score >= targets["best"])

    budget: Any = {"num_steps": benchmark.max_queries, "max_seconds": 0.5, "overrun": "counted"}
    run = jnas.search.run_on_host(searcher(config, name, label), evaluate, key, **budget, progress=False)
    scores = np.asarray(run.history.scores)[: int(run.history.num_evaluations)]
    best = np.maximum.accumulate(scores)
    improved = np.flatnonzero(np.diff(best, prepend=-np.inf))
    result: dict[str, Any] = {target: _first(best >= least) for target, least in targets.items()}
    result |= {"queries": len(scores), "improvements": " ".join(f"{1 + i}:{best[i]:.6g}" for i in improved)}
    return result | {"seconds": round(time.perf_counter() - begin, 1)}


@functools.cache
def _searcher(name: str, predictor: str, settings: Any, inner: Any, search: Any) -> Searcher:
    """One searcher for all runs of a row, for every new one is compiled anew."""
    space = getattr(jnas.spaces, name)()
    strategy = jnas.search.regularized_evolution(space, **dict(inner))
    model = getattr(jnas.predictors, predictor)(space, **dict(settings))
    return jnas.search.predictor_guided(model, strategy, **dict(search))


def searcher(config: Config, name: str, label: str) -> Searcher:
    """The guided search of a row."""
    predictor, settings, search = config.guided[label]
    return _searcher(name, predictor, *(tuple(options.items()) for options in (settings, config.inner, search)))


def _look_up(table: Table, column: str) -> Any:
    estimate = jax.jit(table.estimator(column))
    key = jax.random.key(0)
    return lambda arch: np.asarray(estimate(key, jnp.asarray(arch)[None]))[0]


def _first(reached: np.ndarray) -> int | None:
    """How many queries it took, or None if it was never reached."""
    return int(np.argmax(reached)) + 1 if reached.any() else None


def _curve(improvements: str, num: int) -> np.ndarray:
    """`[num]`, the best so far from its improvements `queries:score`."""
    pairs = [pair.split(":") for pair in improvements.split()]
    steps = np.array([int(step) for step, _ in pairs])
    scores = np.array([float(score) for _, score in pairs])
    return scores[np.searchsorted(steps, np.arange(1, num + 1), side="right") - 1]


# -- At random and by evolution --------------------------------------------------------------------------------------


def unguided(
    config: Config, searcher: Searcher, table: Table, benchmark: Benchmark, targets: dict[str, np.float32]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Queries until each target `[S]`, inf where it was not reached, those of distinct cells, and curves `[S, T]`."""
    num_steps, shown = benchmark.max_evaluations, benchmark.max_queries

    def one(key: Key, objective: Objective, least: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        history = jnas.search.run(searcher, objective, key, num_steps=num_steps)
        best = history.scores[history.best]
        reached = best[None] >= least[:, None]
        queries = jnp.where(jnp.any(reached, axis=1), jnp.argmax(reached, axis=1) + 1, num_steps + 1)

        def distinct(num: jax.Array) -> jax.Array:
            used = history._replace(num_evaluations=jnp.minimum(num, num_steps))
            return jnas.search.num_distinct(used, table.space.identity)

        return best[:shown], queries, jnp.stack([distinct(num) for num in queries])

    def several(key: Key, *arguments: Any) -> Any:
        return jax.vmap(lambda key: one(key, *arguments))(jax.random.split(key, _TOGETHER))

    keys = jax.random.split(jax.random.key(config.first), -(-config.num_runs // _TOGETHER))
    least = jnp.asarray([targets[target] for target in TARGETS])
    parts = seeds.run(several, keys, table.objective(benchmark.column), least, together=False)
    curves, queries, distinct = (part.reshape(-1, part.shape[-1])[: config.num_runs] for part in parts)
    missed = queries > num_steps
    found = {target: np.where(missed, np.inf, queries)[:, i] for i, target in enumerate(TARGETS)}
    found |= {f"{target} distinct": np.where(missed, np.inf, distinct)[:, i] for i, target in enumerate(TARGETS)}
    return found, curves


def hit_probability(table: Table, rows: np.ndarray) -> float:
    """How likely one draw of the space's sampler is one of these rows of the table, exactly.

    NAS-Bench-201 draws vectors uniformly. NAS-Bench-101 draws valid 7 x 7 matrices and operations uniformly, and a
    cell has as many of them as there are ways to write it: they are counted.
    """
    space = table.space
    if space.name == "nasbench201":
        return len(rows) / len(table.archs)
    num_edges, num_ops = 21, 5
    identify = jax.jit(jax.vmap(lambda arch: (space.is_valid(arch), space.identity(arch))))

    def numbers(archs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid, words = (np.asarray(part) for part in identify(jnp.asarray(archs)))
        return valid, words[:, 0].astype(np.uint64) << np.uint64(32) | words[:, 1]

    def shape(archs: np.ndarray) -> np.ndarray:
        return np.concatenate([archs[:, :num_edges], np.zeros((len(archs), num_ops), np.int32)], axis=1)

    wanted, shapes = numbers(table.archs[rows])[1], numbers(shape(table.archs[rows]))[1]
    operations = np.stack(np.unravel_index(np.arange(3**num_ops), (3,) * num_ops), axis=1).astype(np.int32)
    num_valid, written = 0, 0
    for begin in range(0, 1 << num_edges, 1 << 17):
        bits = (np.arange(begin, begin + (1 << 17))[:, None] >> np.arange(num_edges) & 1).astype(np.int32)
        archs = np.concatenate([bits, np.zeros((len(bits), num_ops), np.int32)], axis=1)
        valid, found = numbers(archs)
        num_valid += int(valid.sum())
        for arch in archs[valid & np.isin(found, shapes)]:
            every = np.concatenate([np.repeat(arch[None, :num_edges], len(operations), axis=0), operations], axis=1)
            written += int(np.isin(numbers(every)[1], wanted).sum())
    return written / (num_valid * len(operations))


# -- What is reported ------------------------------------------------------------------------------------------------


def summary(config: Config, table: Table, benchmark: Benchmark, found: dict[str, Any]) -> dict[str, Any]:
    """Medians with intervals, the exact figures of random search, and how many times fewer queries."""
    order = np.argsort(-table.column(benchmark.column).astype(np.float64), kind="stable")
    result: dict[str, Any] = {"column": table.conventions[benchmark.column], "num_top": benchmark.num_top}
    result["rows"] = {
        label: {target: _median(values) for target, values in row.items()} for label, row in found.items()
    }
    exact = {}
    for target, num in zip(TARGETS, (benchmark.num_top, 1), strict=True):
        p = hit_probability(table, order[:num])
        exact[target] = {RANDOM[0]: {"mean": 1 / p, "median": float(np.ceil(np.log(0.5) / np.log1p(-p)))}}
        missed = np.cumsum(np.log1p(-num / np.arange(len(order), num, -1)))
        median = float(np.argmax(missed <= np.log(0.5))) + 1
        exact[target][RANDOM[1]] = {"mean": (len(order) + 1) / (num + 1), "median": median}
    result["exact"] = exact
    result["ratios"] = {
        label: {
            target: {
                other: _ratio(np.array([exact[target][other]["median"]]), found[label][target]) for other in RANDOM
            }
            | {other: _ratio(found[other][target], found[label][target]) for other in _evolutions(config)}
            for target in TARGETS
        }
        for label in config.guided
    }
    return result


def _evolutions(config: Config) -> list[str]:
    return [label for label, (strategy, _) in config.others.items() if strategy != "random_search"]


def _median(queries: np.ndarray) -> dict[str, Any]:
    """The lower median, its 95 % interval by order statistics, quantiles, and the share that reached the target."""
    ordered, num = np.sort(queries), len(queries)
    low = int(stats.binom(num, 0.5).ppf(0.025))
    picked = {"median": (num - 1) // 2, "low": max(low - 1, 0), "high": min(num - low, num - 1)}
    picked |= {"quantile_05": int(0.05 * (num - 1)), "quantile_95": int(np.ceil(0.95 * (num - 1)))}
    values = {name: float(ordered[at]) if np.isfinite(ordered[at]) else None for name, at in picked.items()}
    return values | {"reached": round(float(np.mean(np.isfinite(queries))), 4), "runs": num}


def _ratio(slow: np.ndarray, fast: np.ndarray, num: int = 2000) -> dict[str, float | None]:
    """Ratio of lower medians, and the middle 95 % of it over resampled runs; None where runs ended before."""
    random = np.random.default_rng(0)

    def medians(values: np.ndarray) -> np.ndarray:
        drawn = np.sort(values[random.integers(len(values), size=(num, len(values)))], axis=1)
        return drawn[:, (len(values) - 1) // 2]

    value = np.sort(slow)[(len(slow) - 1) // 2] / np.sort(fast)[(len(fast) - 1) // 2]
    with np.errstate(invalid="ignore"):
        ratios = np.sort(np.nan_to_num(medians(slow) / medians(fast), nan=np.inf, posinf=np.inf))
    numbers = {"ratio": value, "low": ratios[int(0.025 * num)], "high": ratios[int(0.975 * num)]}
    return {name: round(float(x), 2) if np.isfinite(x) and x > 0 else None for name, x in numbers.items()}


def report(config: Config, name: str, benchmark: Benchmark, result: dict[str, Any]) -> None:
    """Queries, and ratios beside the paper's."""
    top = f"one of the best {benchmark.num_top}"
    rows = [[NAMES[name], "runs", f"{top}: median query (95 %)", "5 % to 95 % of runs", "distinct"]]
    rows[0] += ["the best: reached by", "median query (95 %)"]
    for label, row in result["rows"].items():
        cap = benchmark.max_queries if label in config.guided else benchmark.max_evaluations
        shown = functools.partial(_shown, cap=cap)
        found = row["top"]
        cells = [f"{shown(found['median'])} ({shown(found['low'])} to {shown(found['high'])})"]
        cells += [f"{shown(found['quantile_05'])} to {shown(found['quantile_95'])}"]
        cells += [shown(row["top distinct"]["median"]) if "top distinct" in row else shown(found["median"])]
        best = row["best"]
        cells += [f"{best['reached']:.0%}", f"{shown(best['median'])} ({shown(best['low'])} to {shown(best['high'])})"]
        rows.append([label, f"{found['runs']}", *cells])
    print(ledger.markdown(rows) + "\n")
    for target, what in zip(TARGETS, (top, "the best"), strict=True):
        for other, numbers in result["exact"][target].items():
            print(f"{other}: {what} after {numbers['mean']:,.0f} queries on average, median {numbers['median']:,.0f}")
    others = [*RANDOM, *_evolutions(config)]
    rows = [["how many times fewer queries than", *others]]
    for label, row in result["ratios"].items():
        for target, what in zip(TARGETS, (top, "the best"), strict=True):
            rows.append([f"{label}, {what}", *(_as_ratio(row[target][other]) for other in others)])
    print("\n" + ledger.markdown(rows))
    print(f"the paper, NAS-Bench-101: {PAPER['RS']} than RS, {PAPER['EA']} than EA\n", flush=True)


def _as_ratio(value: dict[str, float | None]) -> str:
    low, high = (value[name] or "?" for name in ("low", "high"))
    return "?" if value["ratio"] is None else f"{value['ratio']} ({low} to {high})"


def _shown(queries: float | None, cap: int) -> str:
    return f"more than {cap:,}" if queries is None else f"{queries:,.0f}"


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main()
