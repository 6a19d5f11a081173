"""Supernets of NAS-Bench-201 by many settings: how their scores rank, beside #params and FLOPs.

python -m experiments.oneshot_supernets SCALE    trains and scores what is not there yet

Scales, settings, cost and expectation: configs/oneshot_supernets.py. A supernet that was stopped
goes on; its results are kept as soon as it is scored.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

import jnas
from configs.oneshot_supernets import QUICK, SCALES, SETTINGS, Scale, Setting
from experiments import common, pages, program
from jnas.engine import fingerprints
from jnas.oneshot import samplers
from jnas.plots import style
from jnas.types import Dataset, Images, Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE = jnas.spaces.nasbench201()
CRITERIA = ("kendall", "spearman", "p_top@0.05", "p_bottom@0.05")
SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0)  # of the epochs, after which cells are scored
BASE = "de-isomorphic"
SHOWN = ("de-isomorphic", "isomorphic", "FairNAS", "constant rate", "affine batch norms")
BATCHES = (16, 64, 128, 256, 512, 1000)


class Truth(NamedTuple):
    """Cells that are ranked: `[A, 6]`, their true accuracies `[A]` and what these are."""

    archs: np.ndarray
    accuracy: np.ndarray
    about: str


def main(scale: str | Scale = "digits201", settings: Iterable[str] = tuple(SETTINGS)) -> None:
    """Train, score and keep all settings and seeds of a scale; draw what is known."""
    chosen = SCALES[scale] if isinstance(scale, str) else scale
    title = scale if isinstance(scale, str) else "quick"
    path = common.RESULTS / "oneshot_supernets.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"scales": {}}
    about = repr(chosen)
    found = kept["scales"].get(title)
    if found is None or found["config"] != about:
        found = {"config": about, "settings": {}, "baselines": _baselines(truth(chosen))}
        found["truth"] = truth(chosen).about
    kept["scales"][title] = found
    for label in settings:
        rows = found["settings"].setdefault(label, {})
        for seed in chosen.seeds:
            if str(seed) not in rows:
                rows[str(seed)] = measured(chosen, label, seed, common.RUNS / f"oneshot-{title}")
                common.write_json("oneshot_supernets", kept)
                print(title, label, seed, rows[str(seed)]["loss"]["kendall"], flush=True)
    for each, content in kept["scales"].items():
        for kind, draw in PICTURES.items():
            picture = path.with_name(f"oneshot_supernets_{each}_{kind}.png")
            jnas.plots.save(draw(each, content), picture)
    pages.show("oneshot_supernets", page())


def truth(scale: Scale) -> Truth:
    """Cells of a scale and their test accuracies, one of each class of equal ones."""
    space, published = SPACE, scale.truth == "nasbench201"
    if not published:
        space = jnas.spaces.nasbench201(identity="function")
    archs = samplers.representatives(space)
    if scale.num_archs is not None:
        archs = archs[np.random.default_rng(0).permutation(len(archs))[: scale.num_archs]]
    if published:
        # As the study's authors extracted it, by the benchmark's numbers of the cells.
        with np.load(common.data_file("nasbench201_ose.npz")) as arrays:
            numbers = jnas.benchmarks.nasbench201().look_up("index", archs)
            accuracy = arrays["test_accuracy"][numbers.astype(int)]
    else:
        table = jnas.benchmarks.digits201()
        accuracy = table.look_up("test9", archs)
    kind = "functions" if scale.truth == "digits201" else "isomorphic classes"
    return Truth(
        archs,
        np.asarray(accuracy, np.float64),
        f"{len(archs):,} {kind} of cells, {scale.truth}'s test accuracy of one cell each",
    )


def _baselines(known: Truth) -> dict[str, Any]:
    """Criteria of the numbers of parameters and FLOPs."""
    costs = jnas.oneshot.costs(SPACE, known.archs)
    return {name: _criteria(values, known.accuracy) for name, values in costs.items()}


def _criteria(scores: np.ndarray, accuracy: np.ndarray) -> dict[str, float]:
    """Criteria of scores `[A]`, rounded."""
    found = jnas.oneshot.criteria(scores, accuracy)
    return {name: round(float(found[name]), 4) for name in CRITERIA}


def dataset(scale: Scale) -> Dataset:
    """Images of a scale; those that it does not score with are left out."""
    if scale.data == "digits201":
        found = jnas.data.load(scale.data)
    else:
        found = jnas.data.load(scale.data, scale.size, validation=10_000)
    x, y = found.validation
    few = Images(x[: scale.num_validation], y[: scale.num_validation])
    return dataclasses.replace(common.first(found, scale.num_train), validation=few)


def network(scale: Scale, setting: Setting) -> Network:
    """Network of a setting, whose factors are of the scale's channels and cells."""
    arguments = dict(scale.network)
    for name, value in setting.network.items():
        if isinstance(value, float):
            value = max(round(value * arguments[name]), 1)
        arguments[name] = value
    if arguments.get("affine"):
        arguments.pop("bias", None)
    return jnas.networks.nasbench201(**arguments)


def recipe(scale: Scale, setting: Setting) -> jnas.oneshot.Recipe:
    """Recipe of a setting."""
    changes = {**scale.recipe, **setting.recipe}
    if "augmentation" in changes:
        changes["augmentation"] = jnas.data.Augmentation()
    made = jnas.oneshot.recipe("quick", **changes)
    epochs = max(round(setting.epochs * made.training.epochs), 2)
    return made._replace(training=made.training._replace(epochs=epochs))


def measured(scale: Scale, label: str, seed: int, runs: Path) -> dict[str, Any]:
    """Criteria of one supernet after some of its epochs, and what is derived from its scores."""
    setting, known, data = SETTINGS[label], truth(scale), dataset(scale)
    begin = time.perf_counter()
    supernet, archs = trained(scale, setting, seed, data, runs / f"{label}-{seed}")
    middle = time.perf_counter()
    rows = _rows(known.archs, archs)
    ranked = Truth(known.archs[rows], known.accuracy[rows], known.about)
    every = sorted({*supernet.epochs, supernet.num_epochs})
    # Curves are drawn of some; of the others the end counts, and what is averaged there.
    epochs = every if label in SHOWN else every[-3:]
    study = _study(scale, supernet, data, ranked, epochs=epochs)
    seconds = time.perf_counter() - middle
    result: dict[str, Any] = {
        "code": fingerprints.code(),
        "epochs": list(study.epochs),
        "cells": len(rows),
        "params": _criteria(study.costs["params"], ranked.accuracy)["kendall"],
        "training": {k: np.round(v[0], 4).tolist() for k, v in supernet.curves.items()},
        "seconds_of_training": round(middle - begin, 1),
        "seconds_of_a_score": round(seconds / len(study.epochs) / len(rows), 5),
    }
    for criterion in ("accuracy", "loss"):
        found = study.criteria(criterion)
        result[criterion] = {
            name: np.round(found[name][:, 0].astype(float), 4).tolist()
            for name in (*CRITERIA, "mean")
        }
    result["ensembles"] = _ensembles(scale, supernet, data, ranked, study)
    if label == BASE:
        result["batches"] = _batches(scale, supernet, data, ranked)
    if archs is not None:
        # What the whole space's supernet says of the cells that are left here.
        whole, _ = trained(scale, SETTINGS[BASE], seed, data, runs / f"{BASE}-{seed}")
        there = _study(scale, whole, data, ranked, epochs=(whole.num_epochs,))
        result["whole"] = round(float(there.criteria()["kendall"][0, 0]), 4)
    return result


def _study(
    scale: Scale, supernet: jnas.oneshot.Supernet, data: Dataset, known: Truth, **options: Any
) -> jnas.oneshot.Study:
    """Scores of cells by a supernet after its epochs."""
    options = {"batch_size": scale.batch_size, **options}
    return jnas.oneshot.study(supernet, data, known.archs, known.accuracy, **options)


def trained(
    scale: Scale, setting: Setting, seed: int, data: Dataset, out: Path
) -> tuple[jnas.oneshot.Supernet, np.ndarray | None]:
    """Supernet of a setting, and the cells that its space was cut to."""
    net, made = network(scale, setting), recipe(scale, setting)
    total = made.training.epochs
    keep = tuple(sorted({max(round(share * total), 1) for share in SHARES}))
    archs = jnas.oneshot.pruning.without(SPACE, setting.without) if setting.without else None
    # Long trainings span many commits; each row says by which code it was finished.
    train = functools.partial(
        jnas.oneshot.train, net, data, made, jax.random.key(seed), resume="anyway"
    )
    if setting.start is None or setting.keep_best is None:
        sampler = None if archs is None else samplers.listed(archs)
        return train(sampler=sampler, keep=keep, out=out), archs
    middle = max(round(setting.start * total), 1)
    # All that start there train the same supernet up to it.
    before = out.with_name(f"until-{middle}-{seed}")
    first = train(until=middle, out=before)
    every = samplers.representatives(SPACE, trainable=True)
    best = jnas.oneshot.pruning.best(
        first, data, every, setting.keep_best, batch_size=scale.batch_size
    )
    late = tuple(epoch for epoch in keep if epoch > middle)
    return train(sampler=samplers.listed(best), initial=first, keep=late, out=out), best


def _rows(archs: np.ndarray, left: np.ndarray | None) -> np.ndarray:
    """Places of the cells `[A, 6]` that are left in the space."""
    if left is None:
        return np.arange(len(archs))
    known = {tuple(arch) for arch in left.tolist()}
    return np.flatnonzero([tuple(arch) in known for arch in archs.tolist()])


def _ensembles(
    scale: Scale,
    supernet: jnas.oneshot.Supernet,
    data: Dataset,
    known: Truth,
    study: jnas.oneshot.Study,
) -> dict[str, Any]:
    """Kendall tau of the negated loss of the last checkpoints: of mean weights, of mean scores."""
    last = study.epochs[-3:]
    if len(last) < 3:
        return {}
    mean = jnas.oneshot.averaged(supernet, last)
    of_weights = _study(scale, mean, data, known, epochs=(supernet.num_epochs,))
    of_scores = study.scores["loss"][-3:, 0].mean(axis=0)
    return {
        "epochs": last,
        "weights": round(float(of_weights.criteria()["kendall"][0, 0]), 4),
        "scores": _criteria(of_scores, known.accuracy)["kendall"],
    }


def _batches(
    scale: Scale, supernet: jnas.oneshot.Supernet, data: Dataset, known: Truth
) -> dict[str, Any]:
    """Kendall tau of both criteria by one batch of fewer images."""
    found = {}
    for size in BATCHES:
        if size <= len(data.validation.y):
            few: dict[str, Any] = {"batch_size": size, "batches": 1}
            study = _study(scale, supernet, data, known, epochs=(supernet.num_epochs,), **few)
            found[str(size)] = {
                name: round(float(study.criteria(name)["kendall"][0, 0]), 4)
                for name in ("loss", "accuracy")
            }
    return found


def page() -> pages.Page:
    """Tables of a scale each: the settings, their criteria at the end, beside those of #params."""
    kept = pages.read("oneshot_supernets")
    tables, notes, plots = [], [], []
    for scale, found in kept["scales"].items():
        header = ["Kendall tau", "of accuracy", "Spearman", "P@top 5 %", "P@bottom 5 %"]
        rows = [[scale, *header, "seeds", "#params there", "whole space there"]]
        for label, seeds in found["settings"].items():
            if seeds:
                rows.append([label, *_row(list(seeds.values()))])
        for name, one in found["baselines"].items():
            known = [pages.number(one[criterion]) for criterion in CRITERIA]
            rows.append([f"#{name}", known[0], pages.UNKNOWN, *known[1:], *3 * [pages.UNKNOWN]])
        tables += [rows, *_more(found)]
        notes.append(f"{scale}: {found['truth']}; scores are negated losses, ± deviations.")
        plots += [f"oneshot_supernets_{scale}_{kind}.png" for kind in PICTURES]
    return pages.Page(("oneshot_supernets",), tuple(tables), tuple(plots), tuple(notes))


def _row(runs: list[dict[str, Any]]) -> list[str]:
    """Cells of a table: what the supernets of a setting came to at their end."""
    of_loss = [np.array([run["loss"][name][-1] for run in runs]) for name in CRITERIA]
    accuracy = np.array([run["accuracy"]["kendall"][-1] for run in runs])
    first, *rest = [spread(values) for values in of_loss]
    params = pages.number(float(np.mean([run["params"] for run in runs])))
    # Of the same cells by the supernets of the whole space, where some are left out.
    whole = [run["whole"] for run in runs if "whole" in run]
    there = spread(np.array(whole)) if whole else pages.UNKNOWN
    return [first, spread(accuracy), *rest, str(len(runs)), params, there]


def spread(values: np.ndarray) -> str:
    """Mean and deviation."""
    mean = pages.number(float(np.mean(values)))
    return f"{mean} ± {pages.number(float(np.std(values, ddof=1)))}" if len(values) > 1 else mean


def _more(found: dict[str, Any]) -> list[pages.Rows]:
    """Tables of what is derived from the supernets of the base setting and from ensembles."""
    tables: list[pages.Rows] = []
    runs = list(found["settings"].get(BASE, {}).values())
    if runs and runs[0].get("batches"):
        rows = [["images of one batch", "of loss", "of accuracy"]]
        for size in runs[0]["batches"]:
            by_name = (
                [run["batches"][size][name] for run in runs] for name in ("loss", "accuracy")
            )
            rows.append([size, *(spread(np.array(values)) for values in by_name)])
        tables.append(rows)
    rows = [["last three checkpoints", "the last alone", "mean of weights", "mean of scores"]]
    for label, seeds in found["settings"].items():
        runs = [run for run in seeds.values() if run["ensembles"]]
        if runs:
            last = np.array([run["loss"]["kendall"][-1] for run in runs])
            kinds = [[run["ensembles"][name] for run in runs] for name in ("weights", "scores")]
            rows.append([label, spread(last), *(spread(np.array(values)) for values in kinds)])
    return [*tables, rows] if len(rows) > 1 else tables


def _bars(scale: str, found: dict[str, Any]) -> "Figure":
    """Kendall tau of all settings at their end, beside that of #params on the same cells."""
    settings = {label: list(seeds.values()) for label, seeds in found["settings"].items() if seeds}
    height = 1.2 + 0.3 * len(settings)
    figure, (axes,) = style.new_figure(f"Kendall tau, {scale}", "", width=7.5, height=height)
    for place, runs in enumerate(settings.values()):
        taus = np.array([run["loss"]["kendall"][-1] for run in runs])
        # Where a part of the space is left, supernets and counts have fewer cells to tell apart.
        params = np.mean([run["params"] for run in runs])
        named: dict[str, Any] = {"label": None if place else "a supernet"}
        axes.plot(
            taus, np.full(len(taus), place), "o", color=style.POINTS, alpha=0.5, ms=5, **named
        )
        named = {"label": None if place else "their mean"}
        axes.plot([taus.mean()], [place], "|", color=style.INK, ms=14, mew=2, **named)
        named = {"label": None if place else "#params, the same cells"}
        axes.plot([params], [place], "|", color=style.ACCENT, ms=14, mew=2, **named)
    axes.set_yticks(range(len(settings)), list(settings))
    axes.set_ylim(len(settings) - 0.5, -0.5)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    style.set_title(figure, "Ranks by negated one-shot loss, each supernet and their mean")
    return figure


def _curves(scale: str, found: dict[str, Any]) -> "Figure":
    """Kendall tau over the share of epochs, means of the supernets of some settings."""
    label = "Kendall tau of negated loss"
    figure, (axes,) = style.new_figure("share of the epochs", label, width=7.5)
    shown = [label for label in SHOWN if found["settings"].get(label)]
    for name, colour in zip(shown, style.COLOURS, strict=False):
        runs = list(found["settings"][name].values())
        taus = np.mean([run["loss"]["kendall"] for run in runs], axis=0)
        epochs = np.array(runs[0]["epochs"])
        axes.plot(epochs / epochs[-1], taus, "o-", color=colour, label=name, ms=4)
    # In this network both counts rank alike.
    params = found["baselines"]["params"]["kendall"]
    axes.axhline(params, color=style.GREY, linestyle="--", label="#params")
    axes.legend(frameon=False, fontsize=9)
    style.set_title(figure, f"Ranking quality while supernets are trained, {scale}")
    return figure


PICTURES = {"settings": _bars, "epochs": _curves}


def command(
    scale: str = "digits201", settings: list[str] | None = None, *, quick: bool = False
) -> None:
    """All settings of a scale, some of them, or small ones."""
    if quick:
        main(QUICK["scale"], QUICK["settings"])
    else:
        main(scale, settings or tuple(SETTINGS))


if __name__ == "__main__":
    options: program.Options = {
        "scale": {"nargs": "?", "choices": tuple(SCALES), "help": "of the supernets (digits201)"},
        "--settings": {"nargs": "+", "metavar": "NAME", "help": "the settings to train (all)"},
    }
    program.run(command, {"quick": True}, options)
