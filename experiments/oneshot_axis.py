"""Kendall tau by seconds: counts, zero-shot scores, supernets, predictors and short trainings.

python -m experiments.oneshot_axis (configs/oneshot_axis.py), after experiments.oneshot_supernets
"""

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.oneshot_axis import CONFIG, QUICK, Config
from configs.oneshot_supernets import QUICK as SMALL
from configs.oneshot_supernets import SCALES, SETTINGS, Scale
from experiments import common, oneshot_supernets, pages, program
from experiments.oneshot_supernets import BASE, SPACE, Truth
from jnas.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EPOCHS = 9  # of the trainings of digits201
_ALONE, _HALF, _COUNT = "one-shot alone", "one-shot alone, half of the epochs", "#params alone"


def main(
    config: Config = CONFIG, scale: Scale = SCALES["digits201"], title: str = "digits201"
) -> None:
    """Measure all kinds of estimators; keep, print and draw them."""
    known = oneshot_supernets.truth(scale)
    known = Truth(known.archs[: config.num_cells], known.accuracy[: config.num_cells], known.about)
    supernets = _supernets(config, scale, title)
    result = {
        "config": repr(config),
        "truth": known.about,
        "cells": len(known.archs),
        "points": {
            "counts": _counts(known),
            "zero-shot": _zeroshot(config, scale, known),
            "one-shot": _oneshot(title, len(known.archs)),
            f"{config.predictor} from trained cells": _predictor(config, known),
            "short trainings": _trainings(known),
        },
        "with_trained_weights": _with_weights(config, scale, known, supernets),
        "combined": _combined(config, scale, known, supernets),
    }
    common.write_json("oneshot_axis", result)
    jnas.plots.save(_picture(result), common.RESULTS / "oneshot_axis.png")
    pages.show("oneshot_axis", page())


def _tau(scores: Any, known: Truth) -> float:
    """Kendall tau with the truth."""
    return round(float(jnas.metrics.kendall_tau(scores, known.accuracy)), 4)


def _point(name: str, seconds: float, tau: float) -> dict[str, Any]:
    """Point of the axis, as JSON values."""
    return {"name": name, "seconds": round(seconds, 3), "kendall_tau": tau}


def _counts(known: Truth) -> list[dict[str, Any]]:
    """Numbers of parameters and FLOPs."""
    points = []
    for name in ("params", "flops"):
        count, archs = jax.jit(jax.vmap(getattr(SPACE, name))), jnp.asarray(known.archs)
        values = np.asarray(count(archs))
        seconds = common.seconds(functools.partial(count, archs), 1)[0]
        points.append(_point(f"#{name}", seconds, _tau(values, known)))
    return points


def _images(config: Config, scale: Scale) -> tuple[jax.Array, Any]:
    """Training images as a network reads them, and their labels."""
    data = oneshot_supernets.dataset(scale)
    x, y = data.train.x[: config.num_images], data.train.y[: config.num_images]
    return jnas.data.normalise(x, data), y


def _network(scale: Scale) -> jnas.types.Network:
    """Network of the benchmark's trainings, whose batch norms have scales."""
    setting = dataclasses.replace(SETTINGS[BASE], network={"affine": True})
    return oneshot_supernets.network(scale, setting)


def _zeroshot(config: Config, scale: Scale, known: Truth) -> list[dict[str, Any]]:
    """Scores of untrained networks, one after the other, each compiled before it is timed."""
    images, labels = _images(config, scale)
    points = []
    for name in config.scores:
        suite = jnas.zeroshot.suite(_network(scale), images, labels, (name,))
        score = jax.jit(suite)
        jax.block_until_ready(score(jax.random.key(0), jnp.asarray(known.archs)))
        begin = time.perf_counter()
        found = np.asarray(score(jax.random.key(0), jnp.asarray(known.archs))[name])
        points.append(_point(name, time.perf_counter() - begin, _tau(found, known)))
        print(points[-1], flush=True)
    return points


def _supernets(config: Config, scale: Scale, title: str) -> list[jnas.oneshot.Supernet]:
    """Supernets of the experiment before, which are read where they were trained."""
    data = oneshot_supernets.dataset(scale)
    return [
        oneshot_supernets.trained(
            scale, SETTINGS[BASE], seed, data, common.RUNS / f"oneshot-{title}" / f"{BASE}-{seed}"
        )[0]
        for seed in scale.seeds[: config.num_seeds]
    ]


def _oneshot(title: str, num: int) -> list[dict[str, Any]]:
    """Supernets after some of their epochs: the training up to there, and all scores."""
    path = common.RESULTS / "oneshot_supernets.json"
    kept = pages.read(path.stem)["scales"] if path.exists() else {}
    # The small variant has no results of its own there.
    runs = kept[title]["settings"][BASE] if title in kept else {}
    points = []
    for seed, run in runs.items():
        for epoch, tau in zip(run["epochs"], run["loss"]["kendall"], strict=True):
            seconds = run["seconds_of_training"] * epoch / run["epochs"][-1]
            seconds += run["seconds_of_a_score"] * num
            points.append(_point(f"epoch {epoch}, seed {seed}", seconds, tau))
    return points


def _columns(known: Truth) -> dict[str, np.ndarray]:
    """Validation accuracies after each epoch, and seconds, of the benchmark."""
    table = jnas.benchmarks.digits201()
    names = [f"val{epoch}" for epoch in range(1, _EPOCHS + 1)]
    return {name: table.look_up(name, known.archs) for name in (*names, "seconds")}


def _predictor(config: Config, known: Truth) -> list[dict[str, Any]]:
    """Predictors of all cells from some that are trained, whose seconds count."""
    columns, points = _columns(known), []
    predictor = jnas.predictors.by_name(config.predictor, SPACE)
    if config.predictor_epochs is not None:
        training = dataclasses.replace(
            predictor.settings["training"], epochs=config.predictor_epochs
        )
        settings = {**predictor.settings, "training": training}
        predictor = jnas.predictors.by_name(config.predictor, SPACE, **settings)
    for num in config.train_sizes:
        rows = [
            np.random.default_rng(seed).permutation(len(known.archs))[:num]
            for seed in range(config.num_fits)
        ]
        keys = jax.random.split(jax.random.key(num), config.num_fits)
        begin = time.perf_counter()
        cells, targets = known.archs[np.stack(rows)], columns[f"val{_EPOCHS}"][np.stack(rows)]
        fitted = predictor.fit_many(keys, cells, targets)
        fit = (time.perf_counter() - begin) / config.num_fits
        ranked = np.asarray(predictor.predict_many(fitted.states, jnp.asarray(known.archs)))
        for of_fit, chosen in zip(ranked, rows, strict=True):
            # Trained cells are ranked by what was measured of them, the others by the prediction.
            others = np.setdiff1d(np.arange(len(known.archs)), chosen)
            seen = Truth(known.archs[others], known.accuracy[others], "")
            seconds = columns["seconds"][chosen].sum() + fit
            points.append(_point(f"{num} cells", float(seconds), _tau(of_fit[others], seen)))
    return points


def _trainings(known: Truth) -> list[dict[str, Any]]:
    """Trainings of all cells for a part of their epochs."""
    columns = _columns(known)
    return [
        _point(
            f"epoch {epoch}",
            float(columns["seconds"].sum()) * epoch / _EPOCHS,
            _tau(columns[f"val{epoch}"], known),
        )
        for epoch in range(1, _EPOCHS + 1)
    ]


def _with_weights(
    config: Config, scale: Scale, known: Truth, supernets: list[jnas.oneshot.Supernet]
) -> dict[str, dict[str, list[float]]]:
    """Kendall tau of zero-shot scores with initial weights and with those of supernets."""
    images, labels = _images(config, scale)
    found: dict[str, dict[str, list[float]]] = {}
    for seed, supernet in enumerate(supernets):
        kinds = {"initial": supernet.network, "trained": jnas.oneshot.with_weights(supernet)}
        for kind, network in kinds.items():
            suite = jnas.zeroshot.suite(network, images, labels, config.scores)
            scores = jnas.population.score(suite, known.archs, jax.random.key(seed))
            for name, values in scores.items():
                taus = found.setdefault(name, {}).setdefault(kind, [])
                taus.append(_tau(np.asarray(values, np.float64), known))
    return found


def _combined(
    config: Config, scale: Scale, known: Truth, supernets: list[jnas.oneshot.Supernet]
) -> dict[str, Any]:
    """Mean ranks by a supernet after half of its epochs and a zero-shot score, on two halves.

    The first half of the cells says which score to take, the second what that is worth.
    """
    data = oneshot_supernets.dataset(scale)
    images, labels = _images(config, scale)
    suite = jnas.zeroshot.suite(_network(scale), images, labels, config.scores)
    counts = jnas.oneshot.costs(SPACE, known.archs)
    middle = len(known.archs) // 2
    found: dict[str, Any] = {}
    for seed, supernet in enumerate(supernets):
        half = max(supernet.num_epochs // 2, 1)
        early, late = (
            _losses(scale, supernet, data, known, epoch) for epoch in (half, supernet.num_epochs)
        )
        untrained = jnas.population.score(suite, known.archs, jax.random.key(seed))
        experts = {"#params": counts["params"], **untrained}
        rankings = {_ALONE: late, _HALF: early, _COUNT: counts["params"]}
        for name, values in experts.items():
            scores = jnp.asarray(np.stack([early, np.asarray(values, np.float32)]))
            rankings[name] = np.asarray(jnas.zeroshot.mean_rank(scores))
        for name, ranks in rankings.items():
            for part, cells in (("first", np.s_[:middle]), ("second", np.s_[middle:])):
                of = jnas.oneshot.criteria(ranks[cells], known.accuracy[cells])
                for criterion in ("kendall", "p_top@0.05"):
                    kept = found.setdefault(name, {}).setdefault(part, {})
                    kept.setdefault(criterion, []).append(round(float(of[criterion]), 4))
    return found


def _losses(
    scale: Scale, supernet: jnas.oneshot.Supernet, data: Any, known: Truth, epoch: int
) -> np.ndarray:
    """Negated losses `[A]` by a supernet after an epoch."""
    estimator = jnas.oneshot.estimator(
        supernet.at(epoch), data, "loss", batch_size=scale.batch_size
    )
    scores = jnas.population.score(estimator, known.archs, jax.random.key(0))
    return np.asarray(scores, np.float32)


def page() -> pages.Page:
    """Estimators of each kind, zero-shot scores with trained weights, and both together."""
    kept = pages.read("oneshot_axis")
    rows = [["kind", "estimator", f"seconds for {kept['cells']:,} cells", "Kendall tau"]]
    for kind, points in kept["points"].items():
        for name in dict.fromkeys(point["name"].partition(",")[0] for point in points):
            each = [point for point in points if point["name"].partition(",")[0] == name]
            taus = np.array([point["kendall_tau"] for point in each])
            seconds = float(np.mean([point["seconds"] for point in each]))
            rows.append([kind, name, f"{seconds:,.3g}", oneshot_supernets.spread(taus)])
    weights = [["zero-shot score", "initial weights", "weights of a supernet"]]
    for name, kinds in kept["with_trained_weights"].items():
        values = (oneshot_supernets.spread(np.array(kinds[k])) for k in ("initial", "trained"))
        weights.append([name, *values])
    note = f"{kept['truth']}; ± deviations of supernets and fits."
    return pages.Page(
        ("oneshot_axis",),
        (rows, weights, _together(kept["combined"])),
        ("oneshot_axis.png",),
        (note, _choice(kept["combined"])),
    )


def _together(combined: dict[str, Any]) -> pages.Rows:
    """Table of mean ranks with each zero-shot score."""
    header = [f"{name}, {part} half" for part in ("first", "second") for name in ("tau", "P@top")]
    rows = [["mean rank of one-shot after half of the epochs and", *header]]
    for name, parts in combined.items():
        values = (
            oneshot_supernets.spread(np.array(parts[part][criterion]))
            for part in ("first", "second")
            for criterion in ("kendall", "p_top@0.05")
        )
        rows.append([name, *values])
    return rows


def _choice(combined: dict[str, Any]) -> str:
    """Sentence: what the first half of the cells chooses, and how that does on the second."""
    partners = {
        name: parts for name, parts in combined.items() if name not in (_ALONE, _HALF, _COUNT)
    }
    best = max(partners, key=lambda name: float(np.mean(partners[name]["first"]["kendall"])))
    told = []
    for criterion, title in (("kendall", "tau"), ("p_top@0.05", "P@top 5 %")):
        own, alone = (np.array(combined[name]["second"][criterion]) for name in (best, _ALONE))
        told.append(f"{title} {oneshot_supernets.spread(own - alone)}")
    return (
        f"The first half of the cells chooses {best}; on the second half it is ahead of a "
        f"supernet of all epochs, paired by supernets, by {', '.join(told)}."
    )


def _picture(result: dict[str, Any]) -> "Figure":
    """Kendall tau against seconds, a colour for each kind."""
    label = f"seconds to rank {result['cells']:,} cells"
    figure, (axes,) = style.new_figure(label, "Kendall tau", width=8.0)
    for (kind, points), colour in zip(result["points"].items(), style.COLOURS, strict=False):
        x = [max(point["seconds"], 1e-3) for point in points]
        taus = [point["kendall_tau"] for point in points]
        axes.plot(x, taus, "o", color=colour, label=kind, ms=5)
        if kind in ("zero-shot", "counts"):
            # Counts that rank alike are one point.
            named: dict[float, list[str]] = {point["kendall_tau"]: [] for point in points}
            for point in points:
                named[point["kendall_tau"]].append(point["name"])
            for point, place in zip(points, x, strict=True):
                names = named.pop(point["kendall_tau"], [])
                axes.annotate(
                    ", ".join(names),
                    (place, point["kendall_tau"]),
                    xytext=(5, 3),
                    textcoords="offset points",
                    fontsize=8,
                    color=style.INK,
                )
    axes.set_xscale("log")
    axes.legend(frameon=False, fontsize=9)
    style.set_title(figure, "What a ranking costs: estimators of digits201")
    return figure


def command(*, quick: bool = False) -> None:
    """All estimators, or a few of the small supernets."""
    if quick:
        main(QUICK, SMALL["scale"], "quick")
    else:
        main()


if __name__ == "__main__":
    program.run(command, {"quick": True}, spread=False)
