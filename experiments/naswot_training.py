"""NASWOT scores of cells while they are trained (figure 6).

python -m experiments.naswot_training              (configs/naswot_training.py)

An interrupted run goes on with the cells that are not in results/naswot_training.json.
"""

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.naswot_training import CONFIG, FULL, QUICK, Config
from experiments import common, ledger, pages, program
from jnas.plots import style
from jnas.types import Arch, Dataset, Network, Params

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "naswot_training"
SHOWN = (0, 1, 2, 5, 10, 20, 40, 60, 80)  # epochs that have a row on the page
AGAINST = ("score at first", "own accuracy", "table's accuracy", "parameters")


def main(config: Config = CONFIG, full: bool = False) -> None:
    """Train and score cell by cell, print, plot and keep."""
    config = FULL if full else config
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    network = jnas.networks.nasbench201(channels=config.channels, cells=config.cells)
    data = common.dataset(config.images, config.size, config.num_train, config.num_test)
    book = ledger.Ledger(NAME, config)
    about = dataclasses.asdict(config) | {"recipe": config.recipe._asdict()}
    del about["num_cells"]  # more of them leave the first ones as they are
    cells = [
        book.once(
            table.space.to_string(table.archs[row]),
            about,
            functools.partial(_trained, config, network, data, table.archs[row]),
        )
        | {"table": float(table.column(config.column)[row])}
        | {"params": int(table.space.params(table.archs[row]))}
        for row in _good_cells(table.column(config.column), config)
    ]
    curves = {name: np.array([cell[name] for cell in cells]) for name in cells[0]}
    jnas.plots.save(_picture(curves), common.RESULTS / f"{NAME}.png")
    scores = curves["scores"]
    content = {
        "config": repr(config),
        "epochs": _agreement(curves),
        "higher_after_one": int((scores[:, 1] > scores[:, 0]).sum()),
        "higher_after_all": int((scores[:, -1] > scores[:, 0]).sum()),
    }
    common.write_json(NAME, content | {"jobs": book.jobs})
    pages.show(NAME, page())


def page() -> pages.Page:
    """Mean of the scores by epoch, and rank correlations between the cells."""
    found = pages.read(NAME)
    rows = [["epoch", "mean score", *(f"tau with {name}" for name in AGAINST), "test accuracy"]]
    for epoch, row in found["epochs"].items():
        taus = [pages.number(row[name]) for name in AGAINST]
        means = pages.number(row["score"], 1), pages.number(row["test_accuracy"])
        rows.append([epoch, means[0], *taus, means[1]])
    num = len(found["jobs"])
    note = (
        f"{num} cells; Kendall's tau between them, of scores after an epoch and of parameters. "
        "Own accuracy is that on test images after the last epoch of this training, the table's "
        "that of the benchmark's training, and parameters are those of the benchmark's network."
    )
    higher = (
        f"Of {num} scores {found['higher_after_one']} are higher after the first epoch than before "
        f"the training, and {found['higher_after_all']} after the last; in the paper all are."
    )
    return pages.Page((NAME,), (rows,), (f"{NAME}.png",), (note, higher))


def _good_cells(accuracy: np.ndarray, config: Config) -> np.ndarray:
    """Rows `[num_cells]` of random cells whose accuracy is above the threshold."""
    good = np.flatnonzero(accuracy > config.threshold)
    return np.random.default_rng(config.seed).permutation(good)[: config.num_cells]


def _trained(config: Config, network: Network, data: Dataset, arch: np.ndarray) -> dict[str, Any]:
    """Scores `[epochs + 1]` of a cell, from before its training on, and its learning curves."""
    begin = time.perf_counter()
    training = jnas.training.objective(
        network, data, config.recipe, config.seed, measure="test_accuracy", own=True
    )
    batch = jnas.data.normalise(data.train.x[: config.num_scored], data)
    own, scores = network.own(arch), []
    # Asked for one epoch more each time, the training goes on from where it was.
    for epoch in range(config.recipe.epochs + 1):
        course = training.course(arch, epoch)
        scores.append(float(_score(own, course.state.params, jnp.asarray(arch), batch)))
    measured = {name: course.curves[name] for name in ("train_loss", "test_accuracy")}
    return {
        "scores": np.round(scores, 2).tolist(),
        **{name: np.round(values, 4).tolist() for name, values in measured.items()},
        "seconds": round(time.perf_counter() - begin, 1),
    }


@functools.partial(jax.jit, static_argnums=0)
def _score(network: Network, params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """NASWOT score `[]` of a network as its weights are, with batch norms of the batch."""
    kernel = jnas.zeroshot.hamming_kernel(network, params, arch, images)
    return jnas.zeroshot.log_determinant(kernel)


def _agreement(curves: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Epoch → mean score and accuracy, and Kendall's tau of the scores; likewise parameters."""
    scores, accuracy = curves["scores"], curves["test_accuracy"]
    others = scores[:, 0], accuracy[:, -1], curves["table"], curves["params"]

    def taus(values: np.ndarray) -> dict[str, float | None]:
        found = [float(jnas.metrics.kendall_tau(values, other)) for other in others]
        return {name: round(tau, 4) for name, tau in zip(AGAINST, found, strict=True)}

    last = scores.shape[1] - 1
    found: dict[str, dict[str, float | None]] = {}
    for epoch in sorted({*(epoch for epoch in SHOWN if epoch < last), last}):
        found[str(epoch)] = {
            "score": round(float(scores[:, epoch].mean()), 2),
            "test_accuracy": round(float(accuracy[:, epoch - 1].mean()), 4) if epoch else None,
            **taus(scores[:, epoch]),
        }
    found["parameters"] = {"score": None, "test_accuracy": None, **taus(curves["params"])}
    return found


def _picture(curves: dict[str, np.ndarray]) -> "Figure":
    """Scores and test accuracy of each cell by epoch, the first epochs drawn wide."""
    from matplotlib import colormaps

    accuracy, params = curves["table"], curves["params"]
    figure, panels = style.new_figure("epoch of the training", "score", "test accuracy", height=3.6)
    shades = colormaps["viridis"](np.linspace(0.0, 0.9, len(accuracy)))
    for shade, row in zip(shades, np.argsort(curves["scores"][:, 0]), strict=True):
        label = f"{accuracy[row]:.2f} %, {params[row] / 1e6:.2f} M"
        panels[0].plot(curves["scores"][row], color=shade, linewidth=1.2, label=label)
        epochs = np.arange(1, len(curves["test_accuracy"][row]) + 1)
        panels[1].plot(epochs, curves["test_accuracy"][row], color=shade, linewidth=1.2)
    last = curves["scores"].shape[1] - 1
    ticks = sorted({*(epoch for epoch in SHOWN if epoch < last), last})
    # The first epochs wide: it is in them that scores move.
    panels[-1].set_xscale("symlog", linthresh=1, linscale=0.3)
    panels[-1].set_xticks(ticks, [str(epoch) for epoch in ticks])
    panels[-1].set_xlim(-0.1, 1.05 * last)
    panels[-1].minorticks_off()
    # In the order of the lines.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        title="benchmark's accuracy\nand parameters",
        title_fontsize=9,
        alignment="left",
    )
    style.set_title(figure, "NASWOT scores during training")
    return figure


if __name__ == "__main__":
    options = {"--full": {"action": "store_const", "const": True, "help": "the paper's size"}}
    program.run(main, {"config": QUICK}, options, spread=False)
