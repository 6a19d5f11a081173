"""Correlations, precision at the top and biases of every zero-shot score, and of votes.

python -m experiments.zeroshot_proxies scores       scores (runs/ goes on after a kill)
python -m experiments.zeroshot_proxies              tables, picture (configs/zeroshot_proxies.py)

Both take the name of the space, nasbench201 unless it is given.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.zeroshot_proxies import CONFIGS, PAPERS, SMALL, Config
from experiments import common, pages, program
from jnas.benchmarks import Table
from jnas.types import Network, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP, BEST = 0.05, 0.01  # shares of P@top, P@bottom and BR, WR
BIAS = 0.1  # share of the cells that count as the top when biases are looked at
NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201"}


def score(config: Config) -> None:
    """Score the cells and keep the scores."""
    _, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    table = read_table(config)
    rows = drawn(config, table, config.num_archs)
    batch = jnas.images.load_labelled("cifar10", num=config.num_images, key=image_key)
    suite = jnas.zeroshot.suite(network(config), *batch, config.names)
    archs = table.archs[rows]
    scores = jnas.population.score(
        suite, archs, score_key, out=common.RUNS / f"zeroshot-{config.space}.npz"
    )
    arrays = {name: np.asarray(values) for name, values in scores.items()}
    np.savez_compressed(score_file(config), archs=archs.astype(np.int8), **arrays)  # type: ignore[arg-type]


def drawn(config: Config, table: Table, num: int) -> np.ndarray:
    """`[num]`, the rows of the table that are scored: the first of a random order of all."""
    arch_key, _, _ = jax.random.split(jax.random.key(config.seed), 3)
    return np.asarray(jax.random.permutation(arch_key, len(table.archs)))[:num]


def network(config: Config, **changes: Any) -> Network:
    """The network that is scored, with other arguments if any are given."""
    made: Network = getattr(jnas.networks, config.space)(**config.network | changes)
    return made


def score_file(config: Config) -> Path:
    """The file of the scores that were kept."""
    return common.RESULTS / f"zeroshot_scores_{config.space}.npz"


def read_table(config: Config) -> Table:
    """The trained accuracies."""
    path = common.data_file(f"{config.space}.npz")
    table: Table = getattr(jnas.benchmarks, config.space)(path=path)
    return table


def main(config: Config) -> None:
    """Print, plot and keep the tables."""
    table, file = read_table(config), np.load(score_file(config))
    rows = np.asarray(table.rows(jnp.asarray(file["archs"], jnp.int32)))
    scores = {name: file[name].astype(np.float64) for name in config.names}
    mean_rank = jnas.zeroshot.mean_rank(jnp.asarray(np.stack(list(scores.values()))))
    for experts in config.votes:
        stacked = jnp.asarray(np.stack([scores[name] for name in experts]))
        scores["vote: " + ", ".join(experts)] = np.asarray(
            jnas.zeroshot.majority(stacked), np.float64
        )
    scores["mean rank of all"] = np.asarray(mean_rank, np.float64)
    accuracies = {name: table.column(name)[rows].astype(np.float64) for name in config.columns}
    found = {
        name: _row(config, values, accuracies, config.published.get(name))
        for name, values in scores.items()
    }
    biases = _biases(config, file["archs"].astype(np.int32), scores, accuracies[config.columns[0]])
    partial = _partials(scores, accuracies[config.columns[0]])
    jnas.plots.save(
        _picture(config, found), common.RESULTS / f"zeroshot_proxies_{config.space}.png"
    )
    conventions = {name: table.conventions[name] for name in config.columns}
    result = {
        "config": repr(config),
        "conventions": conventions,
        "rows": found,
        "biases": biases,
        "partial": partial,
    }
    common.write_json(f"zeroshot_proxies_{config.space}", result)
    pages.show("zeroshot_proxies", page())


def _row(
    config: Config,
    scores: np.ndarray,
    accuracies: dict[str, np.ndarray],
    published: tuple[float, ...] | None,
) -> dict[str, Any]:
    """All criteria of a score; cells without one are the worst."""
    metrics, first = jnas.metrics, accuracies[config.columns[0]]
    ranked = np.isfinite(scores)
    row: dict[str, Any] = {
        "kendall_tau": [
            float(metrics.kendall_tau(scores, accuracy)) for accuracy in accuracies.values()
        ],
        "spearman": [float(metrics.spearman(scores, accuracy)) for accuracy in accuracies.values()],
        "spearman_ranked": [
            float(metrics.spearman(scores, a, where=ranked)) for a in accuracies.values()
        ],
        "pearson": float(metrics.pearson(scores, first, where=ranked)),
        "precision_at_top": float(metrics.precision_at_top(scores, first, TOP)),
        "precision_at_bottom": float(metrics.precision_at_bottom(scores, first, TOP)),
        "best_rank": float(metrics.best_rank_at(scores, first, BEST)),
        "worst_rank": float(metrics.worst_rank_at(scores, first, BEST)),
        "unranked": int(np.sum(~ranked)),
    }
    row = {
        name: np.round(value, 4).tolist() if name != "unranked" else value
        for name, value in row.items()
    }
    return row | {"published_spearman": list(published) if published else None}


def _biases(
    config: Config, archs: np.ndarray, scores: dict[str, np.ndarray], accuracy: np.ndarray
) -> dict[str, Any]:
    """Mean parameters and shares of operations of the top tenth by each score."""
    space = jnas.spaces.by_name(config.space)
    params = np.asarray(jax.vmap(space.params)(jnp.asarray(archs)), np.float64)
    names, counts = _operations(space, archs)
    num = int(BIAS * len(archs))
    found: dict[str, Any] = {}
    for name, values in {"accuracy": accuracy, **scores}.items():
        top = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[:num]
        shares = np.round(counts[top].sum(axis=0) / counts[top].sum(), 3).tolist()
        found[name] = {"params": round(float(params[top].mean()))} | dict(
            zip(names, shares, strict=True)
        )
    return found


def _operations(space: Space, archs: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the operations of edges or nodes, and how many of each a cell has, `[B, O]`."""
    if len(space.edge_operations) > 2:  # each position is the operation of an edge
        return space.edge_operations, np.stack(
            [np.sum(archs == op, axis=1) for op in range(5)], axis=1
        )
    ops = np.asarray(jax.vmap(space.graph)(jnp.asarray(archs)).node_ops)[:, 0]
    numbers = range(1, len(space.node_operations) - 1)
    return space.node_operations[1:-1], np.stack(
        [np.sum(ops[:, 1:-1] == op, axis=1) for op in numbers], axis=1
    )


def _partials(scores: dict[str, np.ndarray], accuracy: np.ndarray) -> dict[str, float]:
    """Partial Spearman of each count of the network with accuracy, the other counts held fixed.

    Ranks are held fixed by linear regression. On NAS-Bench-201 parameters and operations have the
    same order, and then do not hold each other fixed.
    """
    names = [name for name in ("relu_count", "params", "flops") if name in scores]
    ranks = {
        name: np.asarray(jnas.metrics.average_ranks(scores[name]), np.float64) for name in names
    }
    target = np.asarray(jnas.metrics.average_ranks(accuracy), np.float64)
    found: dict[str, float] = {}
    for name in names:
        # Equal ranks would explain each other away.
        fixed = [ranks[other] for other in names if not np.array_equal(ranks[other], ranks[name])]
        others = np.stack([np.ones(len(target)), *fixed], axis=1)
        residuals = [
            x - others @ np.linalg.lstsq(others, x, rcond=None)[0] for x in (ranks[name], target)
        ]
        found[name] = round(float(np.corrcoef(*residuals)[0, 1]), 4)
    return found


def page() -> pages.Page:
    """Correlations beside the published ones, other criteria and biases, of both spaces."""
    tables: list[pages.Rows] = []
    notes = ["What each score costs: [bench_zeroshot](bench_zeroshot.md)."]
    for space, config in CONFIGS.items():
        kept = pages.read(f"zeroshot_proxies_{space}")
        tables += [_correlations(config, kept["rows"]), _criteria(config, kept["rows"])]
        tables += [_top(config, kept["biases"])]
        partial = ", ".join(f"{name} {value:.3f}" for name, value in kept["partial"].items())
        notes.append(f"{NAMES[space]}, partial Spearman, the others held fixed: {partial}.")
    names = tuple(f"zeroshot_proxies_{space}" for space in CONFIGS)
    return pages.Page(names, tuple(tables), tuple(f"{name}.png" for name in names), tuple(notes))


def _ranked(found: dict[str, Any]) -> list[str]:
    """Names of the scores, the highest tau first and those that are the same for all cells last."""
    taus = {name: row["kendall_tau"][0] for name, row in found.items()}
    return sorted(found, key=lambda name: (not np.isfinite(taus[name]), -taus[name]))


def _correlations(config: Config, found: dict[str, Any]) -> pages.Rows:
    short = [name.rpartition("_")[2] for name in config.columns]
    rows = [[f"{config.num_archs:,} cells of {NAMES[config.space]}", "paper"]]
    rows[0] += [f"tau {column}" for column in short]
    rows[0] += [f"Spearman {column} (published, absolute)" for column in short]
    for name in _ranked(found):
        row = found[name]
        taus = map(pages.number, row["kendall_tau"])
        published = row["published_spearman"] or [None] * len(short)
        spearman = (
            pages.beside({"spearman": mine}, paper, "spearman")
            for mine, paper in zip(row["spearman"], published, strict=True)
        )
        rows.append([name, PAPERS.get(name, ""), *taus, *spearman])
    return rows


def _criteria(config: Config, found: dict[str, Any]) -> pages.Rows:
    names = {
        "pearson": "Pearson",
        "precision_at_top": f"P@top {TOP:.0%}",
        "precision_at_bottom": f"P@bottom {TOP:.0%}",
        "best_rank": f"BR@{BEST:.0%}",
        "worst_rank": f"WR@{BEST:.0%}",
    }
    rows = [[f"{NAMES[config.space]}, {config.columns[0]}", *names.values(), "without a score"]]
    for label in _ranked(found):
        values = (pages.number(found[label][name]) for name in names)
        rows.append([label, *values, str(found[label]["unranked"])])
    return rows


def _top(config: Config, biases: dict[str, Any]) -> pages.Rows:
    kinds = next(iter(biases.values()))
    rows = [[f"the top {BIAS:.0%} of {NAMES[config.space]} by", *kinds]]
    for name, row in biases.items():
        shares = (f"{value:.0%}" for kind, value in row.items() if kind != "params")
        rows.append([name, f"{row['params']:,}", *shares])
    return rows


def _picture(config: Config, found: dict[str, Any]) -> "Figure":
    """A bar for each score and column, best first; none for a constant score."""
    from jnas.plots import style

    # The tau of a constant score is NaN.
    ranked = [name for name in found if np.isfinite(found[name]["kendall_tau"][0])]
    order = sorted(ranked, key=lambda name: -found[name]["kendall_tau"][0])
    figure, (axes,) = style.new_figure(
        "Kendall tau with accuracy", "", width=8, height=1.2 + 0.42 * len(order)
    )
    labels = {
        "c10": "CIFAR-10",
        "c100": "CIFAR-100",
        "in16": "ImageNet16-120",
        "accuracy": "CIFAR-10",
    }
    num = len(config.columns)
    for k, column in enumerate(config.columns):
        values = [found[name]["kendall_tau"][k] for name in order]
        places = np.arange(len(order)) + 0.78 / num * (k - (num - 1) / 2)
        axes.barh(
            places,
            values,
            0.72 / num,
            color=style.COLOURS[k],
            label=labels[column.rpartition("_")[2]],
        )
    axes.set_yticks(np.arange(len(order)), order)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=10)
    cells = f"{config.num_archs:,} random cells of {NAMES[config.space]}"
    title = f"{cells}, untrained, {config.num_images} images"
    style.set_title(figure, title)
    return figure


def command(words: Sequence[str] = (), *, quick: bool = False) -> None:
    """The tables of a space, or the scores that they need."""
    if unknown := [word for word in words if word not in (*CONFIGS, "scores")]:
        raise SystemExit(f"unknown {unknown[0]!r}; there are: scores, {', '.join(CONFIGS)}")
    config = CONFIGS[next((word for word in words if word in CONFIGS), "nasbench201")]
    if "scores" in words:
        score(dataclasses.replace(config, **SMALL) if quick else config)
    else:
        main(config)


if __name__ == "__main__":
    help_text = f"a space ({', '.join(CONFIGS)}), and scores to compute them anew"
    words = {"nargs": "*", "metavar": "WORD", "help": help_text}
    program.run(command, {"quick": True}, {"words": words})
