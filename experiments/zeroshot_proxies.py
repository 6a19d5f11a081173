"""Every zero-shot score against trained accuracies: correlations, precision at the top, biases, votes.

python -m experiments.zeroshot_proxies scores       scores the cells (runs/zeroshot-*.npz goes on after a kill)
python -m experiments.zeroshot_proxies              the tables and the picture (configs/zeroshot_proxies.py)

Both take the name of the space, nasbench201 unless it is given.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.zeroshot_proxies import CONFIGS, Config
from experiments import common, ledger
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
        suite, archs, score_key, out=Path("runs") / f"zeroshot-{config.space}.npz"
    )
    arrays = {name: np.asarray(values) for name, values in scores.items()}
    np.savez_compressed(score_file(config), archs=archs.astype(np.int8), **arrays)  # type: ignore[arg-type]
    print(f"written: {score_file(config)}")


def drawn(config: Config, table: Table, num: int) -> np.ndarray:
    """`[num]`, the rows of the table that are scored: the first of a random order of all."""
    arch_key, _, _ = jax.random.split(jax.random.key(config.seed), 3)
    return np.asarray(jax.random.permutation(arch_key, len(table.archs)))[:num]


def network(config: Config, **changes: Any) -> Network:
    """The network that is scored, with other arguments if any are given."""
    made: Network = getattr(jnas.networks, config.space)(**config.network | changes)
    return made


def score_file(config: Config) -> Path:
    """The scores that were kept."""
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
    report(config, found, biases, partial)
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
    print(f"written: {common.write_json(f'zeroshot_proxies_{config.space}', result)}")


def _row(
    config: Config,
    scores: np.ndarray,
    accuracies: dict[str, np.ndarray],
    published: tuple[float, ...] | None,
) -> dict[str, Any]:
    """All criteria with the first column, tau and Spearman with every one; cells without a score are the worst."""
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
    """Of the top tenth by each score, and by accuracy: mean parameters, and the share of each operation."""
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
    """The operations that are chosen from, and how many of each a cell has, `[B, O]`: on edges or on nodes."""
    if space.name == "nasbench201":
        return space.edge_operations, np.stack(
            [np.sum(archs == op, axis=1) for op in range(5)], axis=1
        )
    ops = np.asarray(jax.vmap(space.graph)(jnp.asarray(archs)).node_ops)
    numbers = range(1, len(space.node_operations) - 1)
    return space.node_operations[1:-1], np.stack(
        [np.sum(ops[:, 1:-1] == op, axis=1) for op in numbers], axis=1
    )


def _partials(scores: dict[str, np.ndarray], accuracy: np.ndarray) -> dict[str, float]:
    """Spearman of each count of the network with accuracy, the others' ranks held fixed by linear regression.

    On NAS-Bench-201 parameters and operations have the same order, and then do not hold each other fixed.
    """
    names = [name for name in ("relu_count", "params", "flops") if name in scores]
    ranks = {
        name: np.asarray(jnas.metrics.average_ranks(scores[name]), np.float64) for name in names
    }
    target = np.asarray(jnas.metrics.average_ranks(accuracy), np.float64)
    found: dict[str, float] = {}
    for name in names:
        fixed = [ranks[other] for other in names if not np.array_equal(ranks[other], ranks[name])]
        others = np.stack([np.ones(len(target)), *fixed], axis=1)
        residuals = [
            x - others @ np.linalg.lstsq(others, x, rcond=None)[0] for x in (ranks[name], target)
        ]
        found[name] = round(float(np.corrcoef(*residuals)[0, 1]), 4)
    return found


def report(
    config: Config, found: dict[str, Any], biases: dict[str, Any], partial: dict[str, float]
) -> None:
    """Print the tables in Markdown."""
    short = [name.rpartition("_")[2] for name in config.columns]
    rows = [["score", *(f"tau {c}" for c in short), *(f"Spearman {c} (published)" for c in short)]]
    rows[0] += ["Pearson", "P@top 5 %", "P@bottom 5 %", "BR@1 %", "WR@1 %", "unranked"]
    for name, row in found.items():
        known = row["published_spearman"] or [None] * len(short)
        spearman = [
            f"{x:.3f}" + (f" ({y:.3f})" if y else "")
            for x, y in zip(row["spearman"], known, strict=True)
        ]
        criteria = ("pearson", "precision_at_top", "precision_at_bottom", "best_rank", "worst_rank")
        values = [f"{row[key]:.3f}" for key in criteria]
        rows.append(
            [
                name,
                *(f"{x:.3f}" for x in row["kendall_tau"]),
                *spearman,
                *values,
                str(row["unranked"]),
            ]
        )
    print(ledger.markdown(rows), "\n")
    kinds = list(next(iter(biases.values())))
    table = [[name, *(str(row[kind]) for kind in kinds)] for name, row in biases.items()]
    print(ledger.markdown([[f"top {BIAS:.0%} by", *kinds], *table]), "\n")
    print("partial Spearman with accuracy, the others held fixed:", partial)


def _picture(config: Config, found: dict[str, Any]) -> "Figure":
    """A bar for each score and column, best first; none for a score that is the same for all cells."""
    from jnas.plots import style

    ranked = [
        name for name in found if np.isfinite(found[name]["kendall_tau"][0])
    ]  # the others are constant
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
    title = f"{config.num_archs:,} random cells of {NAMES[config.space]}, untrained, {config.num_images} images"
    style.set_title(figure, title)
    return figure


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    arguments = [argument for argument in sys.argv[1:] if argument not in CONFIGS]
    chosen = CONFIGS[next((name for name in sys.argv[1:] if name in CONFIGS), "nasbench201")]
    match arguments:
        case []:
            main(chosen)
        case ["scores"]:
            score(chosen)
        case other:
            sys.exit(f"unknown arguments {other}; there are: scores, {', '.join(CONFIGS)}")
