"""Kendall tau of NASWOT, parameters and multiply-accumulates with accuracies of NDS' sizes.

python -m experiments.nds_zeroshot [space]    (configs/nds_zeroshot.py)

Interrupted runs continue from runs/nds_zeroshot-*.npz.
"""

import dataclasses
import json
from typing import Any

import jax
import numpy as np

import jnas
from configs.nds_zeroshot import CONFIG, QUICK, Config
from experiments import common, pages, program

NAME = "nds_zeroshot"
FILES = {"nds_resnet": "nds_resnet.npz", "nds_resnext_a": "nds_resnexta.npz"}
SCORES = ("naswot", "params", "flops")


def of_space(name: str, config: Config) -> dict[str, Any]:
    """Kendall taus of each score with the accuracy of a space's networks; plots as well."""
    table = getattr(jnas.benchmarks, name)(path=common.data_file(FILES[name]))
    network = getattr(jnas.networks, name)()
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    # The first of one order, so that scores of fewer networks are gone on from.
    rows = np.asarray(jax.random.permutation(arch_key, len(table.archs)))[: config.num_archs]
    archs, accuracy = table.archs[rows], table.column("test_accuracy")[rows]
    batch = jnas.images.load(config.images, num=config.num_images, key=image_key)
    estimators = {
        "naswot": jnas.zeroshot.naswot(network, batch),
        "params": jnas.zeroshot.params(network.space),
        "flops": jnas.zeroshot.flops(network.space),
    }
    found: dict[str, Any] = {
        "num_archs": len(rows),
        "num_buckets": len({network.bucket(arch) for arch in archs}),
        "accuracy": [round(float(np.min(accuracy)), 2), round(float(np.max(accuracy)), 2)],
    }
    scores = {}
    for score, estimator in estimators.items():
        out = common.RUNS / f"{NAME}-{name}-{score}-{config.seed}.npz"
        values = np.asarray(jnas.population.score(estimator, archs, score_key, out=out))
        found[score] = round(float(jnas.metrics.kendall_tau(values, accuracy)), 4)
        scores[score] = values
        label = f"{score} of the untrained network" if score == "naswot" else f"number of {score}"
        figure = jnas.plots.score_against_accuracy(
            values, accuracy, score_label=label, accuracy_label="CIFAR-10 test accuracy (%)"
        )
        jnas.plots.save(figure, common.RESULTS / f"{NAME}_{name}_{score}.png")
    # What a score knows beyond the size of a network.
    found["naswot_with_flops"] = round(
        float(jnas.metrics.kendall_tau(scores["naswot"], scores["flops"])), 4
    )
    return found


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
    return pages.Page((NAME,), ([header, *rows],), plots, (note,))


if __name__ == "__main__":
    choices = {"nargs": "?", "choices": CONFIG.spaces, "help": "the space; all by default"}
    program.run(main, {"config": QUICK}, {"space": choices})
