"""Errors of latencies that are transferred from one device to another.

python -m experiments.latency_transfer            (configs/latency_transfer.py)

Interrupted runs continue from results/latency_transfer.json.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.latency_transfer import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.benchmarks import Table
from jnas.predictors import Training
from jnas.predictors.transfer import Form
from jnas.types import Predictor

NAME = "latency_transfer"
# Edges of every way from input to output, in the order of the vector.
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
MEASURES = ("kendall_tau", "spearman", "relative_error")
COSTS = {"FLOPs": "flops", "parameters": "params"}
FORMS: dict[str, Form] = {
    " + operations": "ridge",
    ", line": "line",
}  # ending of a label → form of transfer
SCRATCH = "from scratch"


Splits: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""Rows of each draw: those of the source device behind those of the target device, and to test."""
Proxy: TypeAlias = tuple[Predictor, Any]
"""Predictor and its state."""


def main(config: Config = CONFIG) -> None:
    """Fit the predictors, transfer them, and print, plot and keep the tables."""
    table = jnas.benchmarks.hardware(path=common.data_file("latency_nasbench201.npz"))
    connected = [np.all(table.archs[:, path] != 0, axis=1) for path in PATHS]
    rows = np.flatnonzero(np.any(connected, axis=0))
    # Every draw has its own cells on the target device, and the predictors of sources others.
    pool, test = ledger.random_rows(
        len(rows), config.num_test, config.num_source + max(config.sizes), config.seeds
    )
    splits = [(rows[own], rows[test]) for own in pool]
    predictor = made(config, table)
    book = ledger.Ledger(NAME, config)
    for target in config.targets:
        book.run(
            f"{SCRATCH} {target}",
            predictor,
            functools.partial(_from_scratch, config, table, predictor, splits, target),
        )
    for label, cost in COSTS.items():
        counted = functools.partial(_counted, table, cost, len(splits))
        _transfer_all(config, table, book, label, counted, splits)
    for source in config.sources:
        # Not before a transfer is missing, and once for all of them.
        fitted = functools.partial(_fitted, config, table, predictor, splits, source)
        _transfer_all(config, table, book, source, functools.cache(fitted), splits)
    report(config, book)


def _transfer_all(
    config: Config,
    table: Table,
    book: ledger.Ledger,
    label: str,
    proxies: Callable[[], list[Proxy]],
    splits: Splits,
) -> None:
    """Run the jobs of a source: transfers to each target, in each form."""
    for target in config.targets:
        for ending, form in FORMS.items():
            job = functools.partial(_transferred, config, table, proxies, splits, target, form)
            settings = config.predictor | config.training | {"form": form}
            book.once(f"{label}{ending} {target}", settings, job)


def made(config: Config, table: Table) -> Predictor:
    """MLP of the experiment."""
    training = Training(**config.training)
    return jnas.predictors.mlp(table.space, **config.predictor, training=training)


def _keys(num: int) -> jax.Array:
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(num))


def _fitted(
    config: Config, table: Table, predictor: Predictor, splits: Splits, source: str
) -> list[Proxy]:
    """Predictors of a source device, one for each draw."""
    rows = np.stack([own[max(config.sizes) :] for own, _ in splits])
    latency = table.column(f"latency:{source}")[rows]
    fitted = predictor.fit_many(_keys(len(rows)), table.archs[rows], latency)
    return [(predictor, jnas.predictors.state(fitted.states, s)) for s in range(len(rows))]


def _counted(table: Table, cost: str, num: int) -> list[Proxy]:
    """A cost of the network in the place of a predictor, for each draw."""
    count = getattr(table.space, cost)
    predictor = jnas.predictors.mlp(table.space)._replace(
        predict=lambda _, archs: jax.vmap(count)(jnp.asarray(archs)).astype(jnp.float32)
    )
    return [(predictor, None)] * num


def _transferred(
    config: Config,
    table: Table,
    proxies: Callable[[], list[Proxy]],
    splits: Splits,
    target: str,
    form: Form,
) -> dict[str, Any]:
    """Measures on the test cells of proxies with a line of their own, by number of measurements."""
    latency = table.column(f"latency:{target}")
    found = []
    for proxy, (own, test) in zip(proxies(), splits, strict=True):
        for size in config.sizes:
            few = own[:size]
            cost = jnas.predictors.transfer(*proxy, table.archs[few], latency[few], form=form)
            # Compiled once for all, for arrays are its arguments.
            predicted = np.asarray(_evaluated(cost, jnp.asarray(table.archs[test])))
            found.append(_measures(predicted, latency[test]))
    return _summary(config, found)


@jax.jit
def _evaluated(cost: Any, archs: jax.Array) -> Any:
    """Costs `[B]` of architectures `[B, D]`."""
    return cost(archs)


def _from_scratch(
    config: Config, table: Table, predictor: Predictor, splits: Splits, target: str
) -> dict[str, Any]:
    """The same of predictors that have seen those measurements alone."""
    latency, most = table.column(f"latency:{target}"), max(config.sizes)
    rows = np.repeat(np.stack([own[:most] for own, _ in splits]), len(config.sizes), axis=0)
    sizes = np.tile(config.sizes, len(splits))
    # One program for all: shorter training sets are filled up.
    where = np.arange(most)[None] < sizes[:, None]
    fitted = predictor.fit_many(_keys(len(rows)), table.archs[rows], latency[rows], where=where)
    test = splits[0][1]
    archs = jnp.asarray(table.archs[test])
    scores = np.asarray(predictor.predict_many(fitted.states, archs))
    return _summary(config, [_measures(row, latency[test]) for row in scores])


def _measures(predicted: np.ndarray, latency: np.ndarray) -> list[float]:
    """Kendall tau, Spearman and mean relative error of predicted latencies."""
    return [
        float(jnas.metrics.kendall_tau(predicted, latency)),
        float(jnas.metrics.spearman(predicted, latency)),
        float(np.mean(np.abs(predicted - latency) / latency)),
    ]


def _summary(config: Config, found: list[list[float]]) -> dict[str, Any]:
    """Means over draws, a list by number of measurements for each measure."""
    values = np.array(found).reshape(config.seeds, len(config.sizes), len(MEASURES))
    # A line of slope 0 ranks nothing: a tie of all cells counts as no correlation.
    means = np.nan_to_num(values).mean(axis=0)
    return {name: np.round(means[:, k], 4).tolist() for k, name in enumerate(MEASURES)}


def page(config: Config = CONFIG) -> pages.Page:
    """Means over all pairs by number of measurements, then every pair at the smallest number."""
    jobs = pages.read(NAME)["jobs"]
    tables = []
    for measure, title in zip(MEASURES, ("Kendall tau", "Spearman", "relative error"), strict=True):
        rows = [[title, *(f"{size} measurements" for size in config.sizes)]]
        for label, names in _ways(config).items():
            means = np.mean([jobs[name][measure] for name in names], axis=0)
            rows.append([label, *(pages.number(float(value)) for value in means)])
        tables.append(rows)
    size = config.sizes[0]
    pairs = [[f"Kendall tau (relative error), {size} measurements", *config.targets]]
    sources = [source + ending for source in config.sources for ending in FORMS]
    for label in (*sources, *list(_ways(config))[len(FORMS) :]):
        found = [jobs[f"{label} {target}"] for target in config.targets]
        cells = [f"{job['kendall_tau'][0]:.3f} ({job['relative_error'][0]:.3f})" for job in found]
        pairs.append([f"from {label}" if label in sources else label, *cells])
    return pages.Page((NAME,), (*tables, pairs), (f"{NAME}.png",))


def _ways(config: Config) -> dict[str, list[str]]:
    """Label of a way to predict → its jobs."""
    ways = {
        f"transfer{ending}": [
            f"{source}{ending} {target}" for source in config.sources for target in config.targets
        ]
        for ending in FORMS
    }
    others = [SCRATCH, *(f"{label}{ending}" for label in COSTS for ending in FORMS)]
    return ways | {label: [f"{label} {target}" for target in config.targets] for label in others}


def report(config: Config, book: ledger.Ledger) -> None:
    """Write the figure, the result and its page."""
    curves = {}
    ways = _ways(config)
    # Where parameters are as good as FLOPs they would lie on them.
    for label in [label for label in ways if not label.startswith("parameters")]:
        taus = np.array([book.jobs[name]["kendall_tau"] for name in ways[label]])
        curves[label] = [
            (size, float(tau), 0.0) for size, tau in zip(config.sizes, taus.mean(0), strict=True)
        ]
    title = f"Latencies of NAS-Bench-201, mean over {len(config.targets)} devices"
    if len(config.sizes) > 1:
        figure = jnas.plots.tau_by_size(curves, x_label="measured cells", title=title)
        jnas.plots.save(figure, common.RESULTS / f"{NAME}.png")
    book.write()
    pages.show(NAME, page(config))


if __name__ == "__main__":
    program.run(main, {"config": QUICK})
