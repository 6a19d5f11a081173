"""Forgetting values of a supernet's training: accuracy right after a step, and some epochs later.

python -m experiments.oneshot_forgetting (configs/oneshot_forgetting.py)
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jnas
from configs.oneshot_forgetting import CONFIG, QUICK, Config
from configs.oneshot_supernets import QUICK as SMALL
from configs.oneshot_supernets import SCALES, SETTINGS, Scale
from experiments import common, oneshot_supernets, pages, program
from experiments.oneshot_supernets import BASE
from jnas.data import normalise
from jnas.oneshot import analysis, samplers, steps
from jnas.oneshot.samplers import Sampler
from jnas.training.steps import order
from jnas.types import Dataset, Images


def main(config: Config = CONFIG, scale: Scale = SCALES["digits201"]) -> None:
    """Measure windows of all supernets; keep, print and draw the means."""
    data = oneshot_supernets.dataset(scale)
    found = {str(seed): _of_seed(config, scale, data, seed) for seed in config.seeds}
    result = {"config": repr(config), "data": data.name, "window": config.window, "seeds": found}
    common.write_json("oneshot_forgetting", result)
    epochs, values = _values(result)
    figure = jnas.plots.criterion_curves(
        {"forgetting value": {"mean, from lowest to highest supernet": (epochs, values)}},
        {"forgetting value": {"nothing forgotten": 0.0}},
        title=f"Accuracy lost within {config.window} epochs, {data.name}",
    )
    jnas.plots.save(figure, common.RESULTS / "oneshot_forgetting.png")
    pages.show("oneshot_forgetting", page())


def _of_seed(config: Config, scale: Scale, data: Dataset, seed: int) -> dict[str, Any]:
    """Means and deviations of the forgetting values of one supernet, by epoch."""
    network = oneshot_supernets.network(scale, SETTINGS[BASE])
    recipe = oneshot_supernets.recipe(scale, SETTINGS[BASE])
    key, supernet, found = jax.random.key(seed), None, {}
    for epoch in config.epochs:
        supernet = jnas.oneshot.train(network, data, recipe, key, initial=supernet, until=epoch)
        after, later = _window(config, supernet, data, jax.random.fold_in(key, epoch))
        summary = analysis.forgetting(analysis.forgetting_values(after, later))
        found[str(epoch)] = {
            "mean": round(float(summary.mean), 5),
            "std": round(float(summary.deviation), 5),
            "positive": round(float(summary.share_positive), 4),
            "accuracy_after_step": round(float(after.mean()), 4),
            "steps": len(after),
        }
        print(seed, epoch, found[str(epoch)], flush=True)
    return found


def _window(
    config: Config, supernet: jnas.oneshot.Supernet, data: Dataset, key: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies `[T]` of the architectures of `T` steps, after their steps and at the end."""
    num = len(data.train.y)
    size = min(supernet.recipe.training.batch_size, num)
    training = supernet.recipe.training._replace(batch_size=size)
    of = steps.Setup(supernet.sharing, supernet.recipe._replace(training=training), num // size)
    sampler = samplers.by_name(supernet.recipe.sampler, supernet.network.space)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), supernet.state)

    @jax.jit
    def run(state: steps.State, key: jax.Array, data: Dataset) -> tuple[jax.Array, jax.Array]:
        images, labels = normalise(data.validation.x, data), jnp.asarray(data.validation.y)

        def accuracy(params: Any, arch: jax.Array) -> jax.Array:
            logits = supernet.network.apply(params, arch, images)
            return jnp.mean((jnp.argmax(logits, axis=1) == labels).astype(jnp.float32))

        def one(state: steps.State, at: Any) -> tuple[steps.State, Any]:
            number, rows, key = at
            sample_key, step_key = jax.random.split(key)
            archs, _ = sampler(sample_key, number)
            batch = Images(data.train.x[rows], data.train.y[rows])
            state, _ = steps.step(of, _only(archs), state, step_key, number, batch, data)
            return state, (archs[0], accuracy(state.params, archs[0]))

        order_key, step_key = jax.random.split(key)
        rows = jnp.concatenate(
            [order(of.alone, k, num) for k in jax.random.split(order_key, config.window)]
        )
        numbers = supernet.num_epochs + 1 + jnp.arange(len(rows), dtype=jnp.int32) // of.steps
        keys = jax.random.split(step_key, len(rows))
        last, (archs, after) = lax.scan(one, state, (numbers, rows, keys))
        return after, lax.map(lambda arch: accuracy(last.params, arch), archs)

    after, later = run(state, key, data)
    return np.asarray(after), np.asarray(later)


def _only(archs: jax.Array) -> Sampler:
    """Sampler of the architectures `[1, D]` alone."""
    return Sampler(_all_of, archs)


def _all_of(archs: jax.Array, key: Any, number: Any) -> tuple[jax.Array, jax.Array]:
    """All architectures of a list, whatever the key."""
    del key, number
    return archs, jnp.ones(len(archs), bool)


def _values(kept: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs `[E]` and means `[E, S]`."""
    runs = list(kept["seeds"].values())
    epochs = list(runs[0])
    values = np.array([[run[epoch]["mean"] for run in runs] for epoch in epochs])
    return np.array(epochs, int), values


def page() -> pages.Page:
    """Forgetting values by epoch."""
    kept = pages.read("oneshot_forgetting")
    epochs, values = _values(kept)
    runs = list(kept["seeds"].values())
    rows = [["after epoch", "forgetting value", "share above 0", "accuracy after the step"]]
    for epoch, means in zip(epochs, values, strict=True):
        of_epoch = [run[str(epoch)] for run in runs]
        shares = np.array([one["positive"] for one in of_epoch])
        accuracies = np.array([one["accuracy_after_step"] for one in of_epoch])
        cells = (oneshot_supernets.spread(each) for each in (means, shares, accuracies))
        rows.append([str(epoch), *cells])
    note = (
        f"Means over the steps of {kept['window']} epochs, ± deviations of {len(runs)} supernets; "
        f"accuracies on validation images of {kept['data']}."
    )
    return pages.Page(("oneshot_forgetting",), (rows,), ("oneshot_forgetting.png",), (note,))


def command(*, quick: bool = False) -> None:
    """All windows, or a few of a small supernet."""
    if quick:
        main(QUICK, SMALL["scale"])
    else:
        main()


if __name__ == "__main__":
    program.run(command, {"quick": True}, spread=False)
