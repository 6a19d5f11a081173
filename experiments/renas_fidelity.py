"""Ranks of five widths of a VGG-small after cheap trainings and after the whole (figure 1).

python -m experiments.renas_fidelity               (configs/renas_fidelity.py)

An interrupted run goes on with the trainings that are not in results/renas_fidelity.json.
"""

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

import jnas
from configs.renas_fidelity import CONFIG, FULL, QUICK, Config
from experiments import common, ledger, pages, program, vgg_small
from jnas.plots import style
from jnas.types import Dataset, Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "renas_fidelity"
WHOLE, PART = "all images", "a part of the images"


def main(config: Config = CONFIG, full: bool = False, images: str | None = None) -> None:
    """Train width by width, print, plot and keep."""
    config = FULL if full else config
    config = config if images is None else dataclasses.replace(config, images=images)
    whole = common.dataset(config.images, config.size, config.num_train, config.num_test)
    part = common.first(whole, round(config.part * len(whole.train.y)))
    network = vgg_small.network(config.ratios, config.channels, len(whole.classes))
    book = ledger.Ledger(NAME, config)
    about = dataclasses.asdict(config) | {"recipe": config.recipe._asdict()}
    # What leaves the other trainings as they are.
    for name in ("ratios", "stops", "num_seeds"):
        del about[name]
    accuracy: dict[str, list[Any]] = {WHOLE: [], PART: []}
    # Seed by seed: a run that is stopped can be repeated with fewer of them, and has them all.
    for seed, (name, data) in itertools.product(
        range(config.num_seeds), ((WHOLE, whole), (PART, part))
    ):
        runs = [
            book.once(
                f"width {ratio}, {name}, seed {seed}",
                about,
                functools.partial(_trained, config, network, data, choice, seed),
            )
            for choice, ratio in enumerate(config.ratios)
        ]
        accuracy[name].append([run["test_accuracy"] for run in runs])
    curves = {name: np.array(values) for name, values in accuracy.items()}
    sizes = {WHOLE: len(whole.train.y), PART: len(part.train.y)}
    jnas.plots.save(_picture(config, sizes, curves), common.RESULTS / f"{NAME}.png")
    content = {
        "config": repr(config),
        "ratios": config.ratios,
        "num_seeds": config.num_seeds,
        "rows": _rows(config, sizes, curves),
    }
    common.write_json(NAME, content | {"jobs": book.jobs})
    pages.show(NAME, page())


def page() -> pages.Page:
    """Accuracy of each width by images and epochs, and how its ranks agree with the whole's."""
    found = pages.read(NAME)
    ratios = [f"{ratio}x" for ratio in found["ratios"]]
    rows = [["images", "epochs", "cost", *ratios, "best", "tau"]]
    for row in found["rows"]:
        best = ratios[int(np.argmax(row["accuracy"]))]
        values = [pages.number(value) for value in (*row["accuracy"], row["kendall_tau"])]
        cost = f"{100 * row['cost']:.3g} %"
        rows.append(
            [f"{row['images']:,}", str(row["epochs"]), cost, *values[:-1], best, values[-1]]
        )
    note = (
        f"Test accuracy, mean over {found['num_seeds']} seeds. Tau is Kendall's, between the "
        "widths: ranks of one training each against those of the whole trainings of all other "
        "seeds, mean over seeds. So that of the last row is what chance leaves of ranks that are "
        "as good as can be. Cost is the share of the steps of a whole training. Bars of the figure "
        "are deviations between seeds."
    )
    return pages.Page((NAME,), (rows,), (f"{NAME}.png",), (note,))


def _trained(
    config: Config, network: Network, data: Dataset, choice: int, seed: int
) -> dict[str, Any]:
    """Test accuracy `[epochs]` of one width."""
    trained = jnas.training.train(
        network, np.array([[choice]]), data, config.recipe, seed, own=True, weights=False
    )
    return {
        "test_accuracy": np.round(trained.curves["test_accuracy"][0], 4).tolist(),
        "failed_at": int(trained.failed_at[0]),
        "seconds": round(float(trained.seconds[0]), 1),
        "last": round(float(trained.curves["test_accuracy"][0, -1]), 4),
    }


def _rows(config: Config, sizes: dict[str, int], curves: dict[str, np.ndarray]) -> list[Any]:
    """Mean accuracies `[widths]`, cost and tau for each number of images and epochs.

    Curves are `[seeds, widths, epochs]`.
    """
    final, rows = curves[WHOLE][:, :, -1], []
    for name, stop in itertools.product((PART, WHOLE), config.stops):
        accuracy = curves[name][:, :, stop - 1]
        # Not with the same seed's, which share orders and initial weights, and luck.
        taus = [
            float(jnas.metrics.kendall_tau(row, _mean_of_others(final, seed)))
            for seed, row in enumerate(accuracy)
        ]
        steps = sizes[name] // min(config.recipe.batch_size, sizes[name]) * stop
        whole = sizes[WHOLE] // min(config.recipe.batch_size, sizes[WHOLE]) * config.recipe.epochs
        rows.append(
            {
                "images": sizes[name],
                "epochs": stop,
                "cost": round(steps / whole, 6),
                "accuracy": np.round(accuracy.mean(axis=0), 4).tolist(),
                "kendall_tau": round(float(np.mean(taus)), 4),
                "seeds_kendall_tau": np.round(taus, 4).tolist(),
            }
        )
    return rows


def _mean_of_others(values: np.ndarray, seed: int) -> np.ndarray:
    """Mean `[widths]` over all seeds but one, or of the only one."""
    others = np.delete(values, seed, 0) if len(values) > 1 else values
    mean: np.ndarray = others.mean(axis=0)
    return mean


def _picture(config: Config, sizes: dict[str, int], curves: dict[str, np.ndarray]) -> "Figure":
    """Accuracy by width after each number of epochs, for part and whole of the images."""
    from matplotlib import colormaps

    labels = [f"accuracy, {sizes[name]:,} images" for name in (PART, WHOLE)]
    figure, panels = style.new_figure(
        "ratio that all widths are multiplied by", *labels, height=3.6
    )
    shades = colormaps["viridis"](np.linspace(0.0, 0.85, len(config.stops)))
    for axes, name in zip(panels, (PART, WHOLE), strict=True):
        for place, (shade, stop) in enumerate(zip(shades, config.stops, strict=True)):
            accuracy = curves[name][:, :, stop - 1]
            mean, deviation = accuracy.mean(axis=0), accuracy.std(axis=0)
            axes.errorbar(
                config.ratios,
                mean,
                deviation,
                color=shade,
                marker="o",
                markersize=4,
                capsize=2,
                linewidth=1.2,
                label=f"epoch {stop}",
            )
            # The best of a row, which is what a search would take.
            axes.plot(
                config.ratios[int(np.argmax(mean))],
                mean.max(),
                "o",
                color="none",
                markeredgecolor=style.ACCENT,
                markersize=10,
                label=None if place else "best width",
            )
        axes.set_xticks(config.ratios, [f"{ratio}x" for ratio in config.ratios])
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside right upper", frameon=False, fontsize=9)
    style.set_title(figure, "Test accuracy by width after short trainings")
    return figure


if __name__ == "__main__":
    options: program.Options = {
        "--full": {"action": "store_const", "const": True, "help": "the paper's size"},
        "--images": {"help": "in place of the config's: cifar10, or a file in the folder of data"},
    }
    program.run(main, {"config": QUICK}, options, spread=False)
