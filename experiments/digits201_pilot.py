"""Settings for digits201: how far two seeds agree on the ranking of cells, and what that costs.

Command: python -m experiments.digits201_pilot, on one core (taskset); a call that was stopped goes
    on with the next setting.
Cost: 15 minutes of a core.
Expected: single digits in the published network of three stages are too easy, and the residual
    blocks between its stages do most of the work: cells hardly matter. In one stage without these
    blocks they do; but half of them bring single digits above 93 %. A setting is good where tau of
    two seeds is .6 or more, at 2 seconds of a core for a cell.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.digits201 import CONFIG, Config
from experiments import common, digits201, digits201_trainings, pages, program
from jnas.types import Dataset


class Setting(NamedTuple):
    """Setting to look at: images, how many cells, sizes of the network, changes of the recipe."""

    images: str
    cells: int
    network: dict[str, int]
    recipe: Mapping[str, Any] = MappingProxyType({})


def _network(channels: int, cells: int, stages: int) -> dict[str, int]:
    return {"channels": channels, "cells": cells, "stages": stages}


# The chosen one, single digits, and both in three stages, where thirty cells show that tau is low.
SETTINGS = (
    Setting("digits201", 100, _network(8, 2, 1)),
    Setting("digits", 100, _network(8, 2, 1)),
    Setting("digits", 30, _network(8, 1, 3)),
    Setting("digits201", 30, _network(8, 1, 3)),
)
# Of the 1,797 single digits about as many are trained on as of composed ones.
DATA: dict[str, Callable[[], Dataset]] = {
    "digits": lambda: jnas.data.load("digits", validation=400, test=400),
    "digits201": lambda: jnas.data.load("digits201"),
}


def main(settings: tuple[Setting, ...] = SETTINGS, config: Config = CONFIG) -> None:
    """Train two seeds in each setting that is not known yet; print and keep what they say."""
    path = common.RESULTS / "digits201_pilot.json"
    known = json.loads(path.read_text())["settings"] if path.exists() else {}
    found: dict[str, Any] = {}
    for setting in settings:
        name = repr((*setting[:3], {**config.recipe, **setting.recipe}))
        found[name] = known.get(name) or measured(setting, config)
        # At once, for a setting takes minutes, and beside those that later turns will take over.
        common.write_json("digits201_pilot", {"settings": {**known, **found}})
        print(name, found[name], flush=True)
    # Without those that are no longer asked for.
    common.write_json("digits201_pilot", {"settings": found})
    pages.show("digits201_pilot", page())


def measured(setting: Setting, config: Config) -> dict[str, Any]:
    """Kendall tau between two seeds, ranges of accuracies and seconds a cell in a setting."""
    recipe = {**config.recipe, **setting.recipe}
    made = dataclasses.replace(config, network=setting.network, recipe=recipe)
    data, archs = DATA[setting.images](), digits201_trainings.cells(config)[: setting.cells]
    runs = [
        digits201_trainings.trained(made, data, digits201_trainings.Part("", seed, archs))
        for seed in (0, 1)
    ]
    together = digits201_trainings.concatenated(runs)
    seeds = digits201.between_seeds(together, (0, 1))
    accuracy = together["test_accuracy"][:, -1]
    # One training each on this side, as of whatever will be compared with the benchmark.
    published = jnas.benchmarks.nasbench201().look_up("val_accuracy", archs)
    params = np.asarray(jax.vmap(digits201_trainings.SPACE.params)(jnp.asarray(archs)))
    return {
        **setting._asdict(),
        "recipe": recipe,
        "sizes": [len(part.y) for part in (data.train, data.validation, data.test)],
        "tau": {name: seeds[name][-1] for name in digits201.MEASURES},
        "tau_connected": seeds["connected"],
        "connected": int(digits201.is_connected(archs).sum()),
        "deviation": seeds["deviation"],
        "accuracy": digits201.quantiles(accuracy),
        "seconds": round(float(together["seconds"].mean()), 3),
        "tau_cifar10": round(float(jnas.metrics.kendall_tau(published, accuracy[: len(archs)])), 4),
        "tau_params": round(float(jnas.metrics.kendall_tau(params, accuracy[: len(archs)])), 4),
    }


def page() -> pages.Page:
    """A row a setting."""
    header = ["images", "train, val, test", "channels, cells, stages", "epochs", "rate", "cells"]
    header += ["tau of test accuracy", "connected alone", "of validation accuracy"]
    header += ["of validation loss", "one training off its mean", "test accuracy (10 %, 90 %)"]
    rows = [[*header, "seconds a cell", "tau with CIFAR-10", "with params"]]
    for found in pages.read("digits201_pilot")["settings"].values():
        network, taus, recipe = found["network"], found["tau"], found["recipe"]
        sizes = ", ".join(map(str, found["sizes"]))
        shape = ", ".join(str(network[name]) for name in ("channels", "cells", "stages"))
        rate = str(recipe.get("learning_rate", 0.1))
        what = [found["images"], sizes, shape, str(recipe["epochs"]), rate, str(found["cells"])]
        names = ("test_accuracy", "validation_accuracy", "validation_loss")
        test, validation, loss = (pages.number(taus[name], 2) for name in names)
        what += [test, pages.number(found["tau_connected"], 2), validation, loss]
        least, low, _, high, most = (f"{value:.1%}" for value in found["accuracy"])
        what += [f"{found['deviation']:.1%}", f"{least} … {most} ({low}, {high})"]
        ends = (found["seconds"], found["tau_cifar10"], found["tau_params"])
        rows.append([*what, *(pages.number(value, 2) for value in ends)])
    note = f"Chosen: {digits201.describe(CONFIG)}."
    return pages.Page(("digits201_pilot",), (rows,), notes=(note,))


def command(*, quick: bool = False) -> None:
    """All settings, or two that are trained soon."""
    if not quick:
        return main()
    config = dataclasses.replace(CONFIG, recipe={"epochs": 1, "batch_size": 64})
    small = (Setting(name, 4, _network(2, 1, 1)) for name in DATA)
    return main(tuple(small), config)


if __name__ == "__main__":
    program.run(command, {"quick": True}, spread=False)
