"""Kendall tau of zero-shot scores, parameters and multiply-accumulates with accuracies of NDS.

python -m experiments.nds_zeroshot [space]    (configs/nds_zeroshot.py)

Interrupted runs continue from runs/nds_zeroshot-*.npz.
"""

import dataclasses
import json
from typing import Any, NamedTuple

import jax
import numpy as np

import jnas
from configs.nds_zeroshot import CONFIG, QUICK, Config
from experiments import common, pages, program
from jnas.benchmarks.table import Table
from jnas.types import Network

NAME = "nds_zeroshot"
FILES = {"nds_resnet": "nds_resnet.npz", "nds_resnext_a": "nds_resnexta.npz"}
SCORES = ("naswot", "params", "flops")


class Sample(NamedTuple):
    """Architectures `[A, D]` of a space with their accuracies `[A]`, and the key of scores."""

    name: str
    network: Network
    archs: np.ndarray
    accuracy: np.ndarray
    key: jax.Array

    def tau(self, values: np.ndarray) -> float:
        """Kendall tau of scores `[A]` with the accuracies, rounded."""
        return round(float(jnas.metrics.kendall_tau(values, self.accuracy)), 4)

    def first(self, num: int) -> "Sample":
        """Sample of the first architectures."""
        return self._replace(archs=self.archs[:num], accuracy=self.accuracy[:num])


def of_space(name: str, config: Config) -> dict[str, Any]:
    """Kendall taus of each score with the accuracy of a space's networks; plots as well."""
    table: Table = getattr(jnas.benchmarks, name)(path=common.data_file(FILES[name]))
    network = getattr(jnas.networks, name)()
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    # The first of one order, so that scores of fewer networks are gone on from.
    rows = np.asarray(jax.random.permutation(arch_key, len(table.archs)))[: config.num_archs]
    archs, accuracy = table.archs[rows], table.column("test_accuracy")[rows]
    sample = Sample(name, network, archs, accuracy, score_key)
    found: dict[str, Any] = {
        "num_archs": len(rows),
        "num_buckets": len({network.bucket(arch) for arch in archs}),
        "accuracy": [round(float(np.min(accuracy)), 2), round(float(np.max(accuracy)), 2)],
    }
    scores = _scores(sample, config, image_key)
    for score, values in scores.items():
        found[score] = sample.tau(values)
        label = f"{score} of the untrained network" if score == "naswot" else f"number of {score}"
        figure = jnas.plots.score_against_accuracy(
            values, accuracy, score_label=label, accuracy_label="CIFAR-10 test accuracy (%)"
        )
        jnas.plots.save(figure, common.RESULTS / f"{NAME}_{name}_{score}.png")
    # What a score knows beyond the size of a network.
    found["naswot_with_flops"] = round(
        float(jnas.metrics.kendall_tau(scores["naswot"], scores["flops"])), 4
    )
    few = sample.first(config.num_others)
    cut = {score: values[: config.num_others] for score, values in scores.items()}
    every = cut | _others(few, config, image_key)
    taus = {score: few.tau(values) for score, values in every.items()}
    found["others"] = {"num_archs": len(few.archs), **taus}
    return found


def _scores(sample: Sample, config: Config, key: jax.Array) -> dict[str, np.ndarray]:
    """NASWOT and costs `[A]` by name."""
    batch = jnas.images.load(config.images, num=config.num_images, key=key)
    space = sample.network.space
    estimators = {
        "naswot": jnas.zeroshot.naswot(sample.network, batch),
        "params": jnas.zeroshot.params(space),
        "flops": jnas.zeroshot.flops(space),
    }
    return {
        score: np.asarray(
            jnas.population.score(
                estimator,
                sample.archs,
                sample.key,
                out=common.RUNS / f"{NAME}-{sample.name}-{score}-{config.seed}.npz",
            )
        )
        for score, estimator in estimators.items()
    }


def _others(sample: Sample, config: Config, key: jax.Array) -> dict[str, np.ndarray]:
    """The scores `[A]` that need gradients and more, by name."""
    num = config.num_images_of_others
    images, labels = jnas.images.load_labelled(config.images, num=num, key=key)
    suite = jnas.zeroshot.suite(sample.network, images, labels, config.others)
    out = common.RUNS / f"{NAME}-{sample.name}-others-{config.seed}.npz"
    found = jnas.population.score(suite, sample.archs, sample.key, out=out)
    return {score: np.asarray(values) for score, values in found.items()}


def main(space: str | None = None, config: Config = CONFIG) -> None:
    """Score, plot and keep the correlations of a space, or of all; those kept before stay."""
    path = common.RESULTS / f"{NAME}.json"
    kept: dict[str, Any] = json.loads(path.read_text())["spaces"] if path.is_file() else {}
    for name in config.spaces if space is None else (space,):
        kept[name] = of_space(name, config)
        common.write_json(NAME, {"config": dataclasses.asdict(config), "spaces": kept})
    pages.show(NAME, page())


def page() -> pages.Page:
    """Kendall tau of each score with the accuracy of each space's networks."""
    kept = pages.read(NAME)["spaces"]
    header = ["space", "networks", "programs", *SCORES, "naswot with flops"]
    columns = (*SCORES, "naswot_with_flops")
    rows = [
        [name, str(found["num_archs"]), str(found["num_buckets"])]
        + [pages.number(found[column]) for column in columns]
        for name, found in kept.items()
    ]
    plots = tuple(f"{NAME}_{name}_{score}.png" for name in kept for score in SCORES)
    note = (
        "Kendall's tau-b with test accuracy, and in the last column of both scores with each other."
    )
    tables = [[header, *rows], _of_others(kept)]
    return pages.Page((NAME,), tuple(table for table in tables if table), plots, (note,))


def _of_others(kept: dict[str, Any]) -> pages.Rows:
    """Rows of a space, columns of the scores, of the networks that all have scored; or none."""
    found = {name: of_space["others"] for name, of_space in kept.items() if "others" in of_space}
    if not found:
        return []
    scores = [score for score in next(iter(found.values())) if score != "num_archs"]
    return [["space", "networks", *scores]] + [
        [name, str(taus["num_archs"]), *(pages.number(taus.get(score)) for score in scores)]
        for name, taus in found.items()
    ]


if __name__ == "__main__":
    choices = {"nargs": "?", "choices": CONFIG.spaces, "help": "the space; all by default"}
    program.run(main, {"config": QUICK}, {"space": choices})
