"""Trained networks as values: weights, statistics, learning curves; their answers; their files."""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax

from jnas import networks
from jnas.data import Augmentation, normalise
from jnas.engine import readers
from jnas.engine.files import reading, replacing
from jnas.networks import Statistics
from jnas.networks.buckets import of_all
from jnas.training.recipes import Recipe
from jnas.types import Arch, Dataset, Images, Network, Params

KIND = "file of trained networks"
_BATCH = 250  # images at a time; memory alone depends on it


class Trained(NamedTuple):
    """Trained networks, `P` of them.

    Attributes:
        network: that the architectures are of.
        archs: `[P, D]` int32.
        params: weights, each array with a leading axis `P`; None where they were not kept.
        statistics: of the batch norms, likewise.
        curves: name → `[P, epochs]`: "train_loss", "train_accuracy", and so on for "validation" and
            "test"; accuracies are fractions, NaN where the data set has no such part. On training
            images they are means over the steps of an epoch, on augmented images.
        seconds: `[P]` of training and evaluation; the mean of those that were trained together.
        failed_at: `[P]` int32, the first epoch whose loss was not finite; 0 where there is none.
        recipe: of the training.
        dataset: what they were trained on, without its images: mean, deviation, classes and, as
            the shape of no images, the size.
    """

    network: Network
    archs: np.ndarray
    params: Params
    statistics: list[Statistics] | None
    curves: dict[str, np.ndarray]
    seconds: np.ndarray
    failed_at: np.ndarray
    recipe: Recipe
    dataset: Dataset

    def __repr__(self) -> str:
        best = self.curves["validation_accuracy"][:, -1]
        told = "" if np.isnan(best).all() else f", validation accuracy up to {np.nanmax(best):.4f}"
        return f"Trained {len(self.archs)} of {self.network.space.name}{told}"

    def select(self, number: int) -> "Trained":
        """Trained network number `number`, alone; IndexError where there is none."""
        # A range counts negative numbers from the end and raises IndexError beyond it, where
        # `[number : number + 1]` would quietly be empty.
        at = range(len(self.archs))[number]
        return rows(self, np.array([at]))

    def predict(self, images: Any) -> np.ndarray:
        """Logits `[P, N, K]` float32 of images `[N, H, W, C]`, pixels as those of the data set.

        An image has the same logits alone and among any others.

        Raises:
            ValueError: the weights were not kept, or the images have another shape.
        """
        if self.params is None or self.statistics is None:
            raise ValueError("the weights of these networks were not kept: train with weights=True")
        images = np.asarray(images)
        # Checked, for convolutions take any size, and the logits of another one mean nothing.
        wanted = self.dataset.train.x.shape[1:]
        if images.ndim != 4 or images.shape[1:] != wanted:
            raise ValueError(f"images must be [N, {str(wanted)[1:-1]}]; got {list(images.shape)}")
        # With the statistics of the training: those of a batch would make an answer depend on the
        # others.
        weights = networks.with_statistics(self.params, self.statistics)
        logits = _predict(of_all(self.network, self.archs))
        num, size = len(images), min(_BATCH, max(len(images), 1))
        parts = [images[begin : begin + size] for begin in range(0, num, size)]
        # The last batch is filled up, so that all are one program.
        filled = [np.concatenate([p, np.repeat(p[-1:], size - len(p), axis=0)]) for p in parts]
        found = [np.asarray(logits(weights, self.archs, x, self.dataset)) for x in filled]
        # First in the list, so that no images give logits of the right shape and not an error.
        empty = np.zeros((len(self.archs), 0, len(self.dataset.classes)), np.float32)
        return np.concatenate([empty, *found], axis=1)[:, :num]


_ARRAYS = ("archs", "params", "statistics", "curves", "seconds", "failed_at")


def arrays(trained: Trained) -> dict[str, Any]:
    """Fields whose arrays have a leading axis of networks, by name."""
    return {name: getattr(trained, name) for name in _ARRAYS}


def rows(trained: Trained, places: np.ndarray) -> Trained:
    """Trained networks `places`, in that order."""
    return trained._replace(**jax.tree.map(lambda leaf: leaf[places], arrays(trained)))


def joined(parts: list[Trained]) -> Trained:
    """Trained networks of several calls as one."""
    together = jax.tree.map(lambda *leaves: _concatenated(leaves), *map(arrays, parts))
    return parts[0]._replace(**together)


def _concatenated(leaves: tuple[np.ndarray, ...]) -> np.ndarray:
    """Arrays of several calls as one, with zeros where those of a smaller bucket have nothing."""
    sizes = np.max([leaf.shape[1:] for leaf in leaves], axis=0)
    missing = [[(0, 0), *((0, int(n)) for n in sizes - leaf.shape[1:])] for leaf in leaves]
    return np.concatenate([np.pad(leaf, pad) for leaf, pad in zip(leaves, missing, strict=True)])


@functools.lru_cache(64)
def _predict(network: Network) -> Any:
    """Program `(weights, archs [P, D], images, dataset) -> logits [P, N, K]`."""

    def logits(weights: Params, archs: jax.Array, images: jax.Array, data: Dataset) -> jax.Array:
        # Once for all networks, and not within the loop over them.
        x = normalise(images, data)

        def of_one(row: tuple[Params, Arch]) -> jax.Array:
            return network.apply(row[0], row[1], x)

        # One network after another: side by side the activations of all would be in memory.
        result: jax.Array = lax.map(of_one, (weights, archs))
        return result

    return jax.jit(logits)


def save(trained: Trained, path: str | Path) -> None:
    """File of trained networks, written whole or not at all.

    Raises:
        ValueError: the name does not end in .npz.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    save_with(trained, path, {})


def save_with(trained: Trained, path: str | Path, more: dict[str, Any]) -> None:
    """File as `save` writes it, with JSON values beside what it tells of the networks."""
    if Path(path).suffix != ".npz":
        raise ValueError(f"trained networks are saved as an .npz file; got {path}")
    data = trained.dataset
    network, settings = networks.settings(trained.network)
    about = {
        "network": network,
        "settings": settings,
        "recipe": recipe_facts(trained.recipe),
        **dataset_facts(data),
        **more,
    }
    tree: dict[str, Any] = {
        "archs": trained.archs,
        "seconds": trained.seconds,
        "failed_at": trained.failed_at,
        "mean": data.mean,
        "std": data.std,
        "curves": trained.curves,
    }
    if trained.params is not None:
        # By number and not by name: the structure follows from the network, which is in the file by
        # its settings, so that no path of a weight has to be read back.
        leaves = jax.tree.leaves((trained.params, trained.statistics))
        tree["weights"] = {f"{place:04}": leaf for place, leaf in enumerate(leaves)}
    flat = flatten_dict(tree, sep="/")
    named: dict[str, Any] = {name: np.asarray(value) for name, value in flat.items()}
    with replacing(path, KIND) as file:
        # Not compressed: weights are noise to a compressor, which would take long for nothing.
        np.savez(file, about=json.dumps(about), **named)


def load(path: str | Path) -> Trained:
    """Trained networks from a file that `save` wrote.

    Raises:
        ValueError: not such a file, or damaged.
        OSError: it cannot be read.
    """
    return load_with(path)[0]


def load_with(path: str | Path) -> tuple[Trained, dict[str, Any]]:
    """Trained networks, and all that a file tells of them as JSON values."""
    reading(path, "the trained networks")
    with readers.arrays(path, "is not a file of trained networks") as file:
        about = json.loads(str(file["about"]))
        tree = unflatten_dict(
            {name: np.asarray(file[name]) for name in file.files if name != "about"}, sep="/"
        )
        network = networks.by_name(about["network"], **about["settings"])
        recipe = recipe_of(about["recipe"])
        dataset = dataset_of(about, tree["mean"], tree["std"])
        params, statistics = _weights(network, tree)
        found = Trained(
            network,
            tree["archs"],
            params,
            statistics,
            tree["curves"],
            tree["seconds"],
            tree["failed_at"],
            recipe,
            dataset,
        )
    return found, about


def recipe_facts(made: Recipe) -> dict[str, Any]:
    """Recipe as JSON values."""
    # By name, where JSON makes a plain list of a tuple: a field that later versions add has its
    # default in files that lack it.
    return {**made._asdict(), "augmentation": made.augmentation._asdict()}


def recipe_of(facts: dict[str, Any]) -> Recipe:
    """Recipe from `recipe_facts`."""
    return Recipe(**{**facts, "augmentation": Augmentation(**facts["augmentation"])})


def dataset_facts(data: Dataset) -> dict[str, Any]:
    """Data set as JSON values, without its arrays."""
    return {
        "scale": data.scale,
        "classes": data.classes,
        "name": data.name,
        "is_flippable": data.is_flippable,
        "image": data.train.x.shape[1:],
        "dtype": str(data.train.x.dtype),
    }


def dataset_of(facts: dict[str, Any], mean: np.ndarray, std: np.ndarray) -> Dataset:
    """Data set of no images from `dataset_facts`, with the mean and deviation `[C]` of pixels."""
    # Images of no number keep the size and the type, which `predict` checks new images by.
    none = Images(np.zeros((0, *facts["image"]), facts["dtype"]), np.zeros(0, np.int32))
    about = facts["scale"], tuple(facts["classes"]), facts["name"], facts["is_flippable"]
    return Dataset(none, none, none, mean, std, *about)


def _weights(network: Network, tree: dict[str, Any]) -> tuple[Params, list[Statistics] | None]:
    """Weights and statistics from the leaves of a file, in the structure of the network's."""
    if "weights" not in tree:
        return None, None

    def shapes(arch: jax.Array) -> Any:
        params = network.instantiate(network.init(jax.random.key(0)), arch)
        return params, networks.initial_statistics(params)

    # Of any of the architectures: all have weights of one structure, as they were trained by one
    # program.
    network = of_all(network, tree["archs"])
    structure = jax.tree.structure(jax.eval_shape(shapes, jnp.asarray(tree["archs"][0])))
    # By their numbers, for the order of names in a file is nobody's promise.
    leaves = [leaf for _, leaf in sorted(tree["weights"].items())]
    params, statistics = jax.tree.unflatten(structure, leaves)
    return params, statistics
