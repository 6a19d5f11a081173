"""Criteria of supernets by the number of validation batches, and Kendall tau inside levels of one.

python -m experiments.oneshot_batches (configs/oneshot_batches.py)
"""

from typing import Any

import jax
import numpy as np

import jnas
from configs.oneshot_batches import CONFIG, QUICK, Config
from configs.oneshot_supernets import QUICK as SMALL
from configs.oneshot_supernets import SCALES, SETTINGS, Scale
from experiments import common, oneshot_supernets, pages, program
from experiments.oneshot_supernets import BASE, Truth
from jnas.oneshot import analysis
from jnas.plots import style

NAME = "oneshot_batches"
PLOTS = (f"{NAME}.png", f"{NAME}_levels.png")
_SCORES = {"accuracy": "accuracy", "loss": "−loss"}
_CRITERIA = {"kendall": "Kendall tau", "p_top@0.05": "P@top 5 %"}


def main(config: Config = CONFIG, scale: Scale = SCALES["digits201"]) -> None:
    """Train the supernets side by side; score, print, draw and keep."""
    data, known = oneshot_supernets.dataset(scale), oneshot_supernets.truth(scale)
    recipe = oneshot_supernets.recipe(scale, SETTINGS[BASE])
    epochs = tuple(max(round(share * recipe.training.epochs), 1) for share in config.shares)
    supernet = jnas.oneshot.train(
        oneshot_supernets.network(scale, SETTINGS[BASE]),
        data,
        recipe,
        jax.vmap(jax.random.key)(np.array(scale.seeds)),
        keep=epochs,
    )
    studies = {
        num: jnas.oneshot.study(
            supernet, data, known.archs, known.accuracy, batch_size=config.batch_size, batches=num
        )
        for num in config.batches
    }
    criteria: dict[str, Any] = {}
    for num, study in studies.items():
        for score in _SCORES:
            found = study.criteria(score)
            rows = criteria.setdefault(score, {})
            rows[str(num)] = {name: _rounded(found[name]) for name in _CRITERIA}
    first, last = (studies[num].scores["accuracy"][-1] for num in (min(studies), max(studies)))
    result = {
        "config": repr((config, scale)),
        "truth": known.about,
        "data": data.name,
        "epochs": list(epochs),
        "criteria": criteria,
        "levels": [
            _levels(config, few, many, known) for few, many in zip(first, last, strict=True)
        ],
    }
    common.write_json(NAME, result)
    _draw(result)
    pages.show(NAME, page())


def _rounded(values: np.ndarray) -> list[list[float]]:
    """Lists `[E][S]` of a criterion."""
    found: list[list[float]] = np.round(values.astype(float), 4).tolist()
    return found


def _levels(config: Config, few: np.ndarray, many: np.ndarray, known: Truth) -> dict[str, Any]:
    """Kendall taus by accuracies `many` `[A]` inside levels of equal `few` `[A]`, of a supernet."""
    inside = analysis.by_group(many, known.accuracy, analysis.level_groups(few))
    shown = (inside.size >= config.fewest) & ~np.isnan(inside.kendall)
    return {
        "levels": len(inside.size),
        "size": inside.size[shown].tolist(),
        "kendall": np.round(inside.kendall[shown].astype(float), 4).tolist(),
    }


def page() -> pages.Page:
    """Criteria by the number of batches, after each of the epochs; taus inside levels."""
    kept = pages.read(NAME)
    tables: list[pages.Rows] = []
    for name, title in _CRITERIA.items():
        header = [f"{label}, epoch {e}" for label in _SCORES.values() for e in kept["epochs"]]
        rows = [[f"{title}: batches", *header]]
        for num in kept["criteria"]["loss"]:
            values = [np.array(kept["criteria"][score][num][name]) for score in _SCORES]
            cells = [oneshot_supernets.spread(row) for of_score in values for row in of_score]
            rows.append([num, *cells])
        tables.append(rows)
    rows = [["supernet", "levels", "of them looked at", "mean tau inside", "share above 0"]]
    for place, found in enumerate(kept["levels"]):
        taus = np.array(found["kendall"])
        facts = [pages.number(float(value)) for value in (taus.mean(), (taus > 0).mean())]
        rows.append([str(place), str(found["levels"]), str(len(taus)), *facts])
    note = (
        f"{kept['truth']}; validation images of {kept['data']}; ± deviations of "
        f"{len(kept['levels'])} supernets. Levels: cells of equal accuracy on one batch at the "
        "end, ranked by the accuracy on the most batches."
    )
    return pages.Page((NAME,), (*tables, rows), PLOTS, (note,))


def _draw(kept: dict[str, Any]) -> None:
    """Draw and keep Kendall tau by the number of batches, and the taus inside levels."""
    nums = np.array([int(num) for num in kept["criteria"]["loss"]])
    curves: dict[str, Any] = {}
    for score, label in _SCORES.items():
        values = np.array([kept["criteria"][score][str(num)]["kendall"] for num in nums])
        for place, epoch in enumerate(kept["epochs"]):
            curves[f"{label}, epoch {epoch}"] = nums, values[:, place]
    figure = jnas.plots.criterion_curves(
        {"Kendall tau": curves},
        x_label="validation batches",
        title=f"More batches, {kept['truth'].split(' of ')[0]}",
    )
    jnas.plots.save(figure, common.RESULTS / PLOTS[0])
    taus = np.concatenate([np.array(found["kendall"]) for found in kept["levels"]])
    x_label = f"Kendall tau by {nums.max()} batches, inside a level of equal accuracy on one"
    figure, (axes,) = style.new_figure(x_label, "levels of all supernets")
    axes.hist(taus, bins=np.linspace(-1, 1, 41).tolist(), color=style.POINTS)
    axes.axvline(0, color=style.GREY, linestyle="--")
    axes.axvline(taus.mean(), color=style.ACCENT, label=f"mean, {taus.mean():.2f}")
    axes.legend(frameon=False, fontsize=9)
    style.set_title(figure, "What one batch ties, more batches tell apart in part")
    jnas.plots.save(figure, common.RESULTS / PLOTS[1])


def command(*, quick: bool = False) -> None:
    """All batches, or few of small supernets."""
    if quick:
        main(QUICK, SMALL["scale"])
    else:
        main()


if __name__ == "__main__":
    program.run(command, {"quick": True}, spread=False)
