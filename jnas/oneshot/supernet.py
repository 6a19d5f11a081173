"""Trained supernets as values: weights, what was kept on the way, curves; their files."""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jnas import networks
from jnas.engine import readers
from jnas.engine.files import reading, replacing
from jnas.oneshot.recipes import Plateau, Recipe
from jnas.oneshot.sharing import Sharing
from jnas.oneshot.steps import Setup, State, start
from jnas.training.trained import dataset_facts, dataset_of, recipe_facts, recipe_of
from jnas.types import Dataset, Key, Network, Params

KIND = "file of supernets"


class Supernet(NamedTuple):
    """Trained supernets, `S` of them, which differ in their keys or in numbers of their recipes.

    Attributes:
        sharing: of the weights.
        state: of the training after its last epoch, each array with a leading axis `S`: `params`,
            and what a training goes on from.
        epochs: after which weights were kept, in ascending order.
        curves: name → `[S, T]` of `T` epochs: "loss" and "accuracy", means over the steps of the
            sampled architectures, and "rate", the factor of the learning rate after the epoch that
            plateaus have cut.
        recipes: of the training of each, `S` of them.
        dataset: what they were trained on, without its images.
    """

    sharing: Sharing
    state: State
    epochs: tuple[int, ...]
    curves: dict[str, np.ndarray]
    recipes: tuple[Recipe, ...]
    dataset: Dataset

    def __repr__(self) -> str:
        num, name = len(self.failed_at), self.network.space.name
        return f"Supernet of {name}, {num} after {self.num_epochs} epochs"

    @property
    def network(self) -> Network:
        """Network whose weights they are."""
        return self.sharing.network

    @property
    def recipe(self) -> Recipe:
        """Recipe of the first; the others may have other numbers, see `recipes`."""
        return self.recipes[0]

    @property
    def params(self) -> Params:
        """Weights after the last epoch, each array with a leading axis `S`."""
        return self.state.params

    @property
    def failed_at(self) -> np.ndarray:
        """First epoch `[S]` whose loss was not finite; 0 where there is none."""
        return np.asarray(self.state.failed_at)

    @property
    def num_epochs(self) -> int:
        """Number of epochs that they were trained for."""
        return int(self.curves["loss"].shape[1])

    def select(self, number: int) -> "Supernet":
        """Supernet number `number`, alone; IndexError where there is none."""
        # A range has the rules of lists: −1 is the last one, and what lies beyond raises, where a
        # slice would be empty.
        at = range(len(self.failed_at))[number]
        state = jax.tree.map(lambda leaf: leaf[at : at + 1], self.state)
        curves = {name: values[at : at + 1] for name, values in self.curves.items()}
        return self._replace(state=state, curves=curves, recipes=(self.recipes[at],))

    def at(self, epoch: int) -> "Supernet":
        """Supernets with the weights that they had after an epoch, and those kept before it.

        Momentum and rate are those of the last epoch: they are not kept on the way.

        Raises:
            ValueError: the weights of that epoch were not kept.
        """
        if epoch == self.num_epochs:
            return self
        if epoch not in self.epochs:
            known = ", ".join(map(str, (*self.epochs, self.num_epochs)))
            raise ValueError(f"no weights were kept after epoch {epoch}, but after {known}")
        place = self.epochs.index(epoch)
        params = jax.tree.map(lambda leaf: leaf[:, place], self.state.kept)
        curves = {name: values[:, :epoch] for name, values in self.curves.items()}
        # What diverged later was still an estimator then.
        failed = np.where(self.failed_at <= epoch, self.failed_at, 0)
        # Of a later epoch nothing stays: all that were kept are what a study ranks by default.
        kept = jax.tree.map(lambda leaf: leaf[:, :place], self.state.kept)
        state = self.state._replace(params=params, failed_at=jnp.asarray(failed), kept=kept)
        return self._replace(state=state, epochs=self.epochs[:place], curves=curves)

    def without_kept(self) -> "Supernet":
        """Supernets without the weights that were kept on the way: those of the last epoch stay."""
        kept = jax.tree.map(lambda leaf: leaf[:, :0], self.state.kept)
        return self._replace(state=self.state._replace(kept=kept), epochs=())


def with_weights(supernet: Supernet) -> Network:
    """Network of the first supernet whose `init` gives the trained weights, whatever the key.

    So zero-shot scores are those of sub-networks that were trained together (Ning et al., NeurIPS
    2021, https://arxiv.org/abs/2008.03064, tables 3 and 4).
    """
    # Device arrays, once: those of NumPy would be copied in each call of `init`.
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), supernet.params)
    given = functools.partial(_given, params)
    # Networks of its buckets would draw weights of their own.
    return supernet.network._replace(init=given, bucket=None, within=None)


def _given(params: Params, key: Key) -> Params:
    """Weights that no key changes (`Network.init`)."""
    del key
    return params


def averaged(supernet: Supernet, epochs: tuple[int, ...]) -> Supernet:
    """Temporal ensemble: supernets whose weights are the mean of those after several epochs.

    Ning et al., NeurIPS 2021, https://arxiv.org/abs/2008.03064, section 4.4. Momentum and rate are
    those of the last epoch.

    Raises:
        ValueError: no epoch, or one whose weights were not kept.
    """
    if not epochs:
        raise ValueError("a temporal ensemble needs at least one epoch")
    parts = [supernet.at(epoch) for epoch in epochs]
    # In float64, so that the mean of equal weights is those weights, to the bit. There are no
    # moving averages of batch norms to average: scores take the statistics of a batch.
    params = jax.tree.map(
        lambda *leaves: np.mean(leaves, axis=0, dtype=np.float64).astype(leaves[0].dtype),
        *(part.params for part in parts),
    )
    # One that diverged spoils the mean.
    failed = np.max([part.failed_at for part in parts], axis=0)
    return supernet._replace(
        state=supernet.state._replace(params=params, failed_at=jnp.asarray(failed))
    )


def save(supernet: Supernet, path: str | Path) -> None:
    """File of supernets, written whole or not at all.

    Raises:
        ValueError: the name does not end in .npz, or the sharing is the plain one of a network that
            is not of `jnas.networks`.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"supernets are saved as an .npz file; got {path}")
    # A sharing is functions, and functions are not written. Those of a plain one follow from the
    # name and the settings of its network.
    is_plain = supernet.sharing == Sharing(supernet.network)
    # Whoever reads another sharing gives it, and with it the network.
    space = supernet.network.space.name
    network, settings = networks.settings(supernet.network) if is_plain else (space, {})
    data, recipes = supernet.dataset, supernet.recipes
    about = {
        "network": network,
        "settings": settings,
        "is_plain": is_plain,
        "recipe": facts_of(recipes[0]),
        "epochs": supernet.epochs,
        **dataset_facts(data),
    }
    if len(set(recipes)) > 1:
        about["recipes"] = [facts_of(recipe) for recipe in recipes]
    # By number, because an optimiser's state is tuples within tuples that have no names, and lacks
    # those that a recipe does not need. Four digits sort as the numbers do.
    leaves = jax.tree.leaves(supernet.state)
    tree: dict[str, Any] = {
        "state": {f"{place:04}": leaf for place, leaf in enumerate(leaves)},
        "curves": supernet.curves,
        "mean": data.mean,
        "std": data.std,
    }
    flat = flatten_dict(tree, sep="/")
    named: dict[str, Any] = {name: np.asarray(value) for name, value in flat.items()}
    with replacing(path, KIND) as file:
        np.savez(file, about=json.dumps(about), **named)


def load(path: str | Path, sharing: Sharing | None = None) -> Supernet:
    """Supernets from a file that `save` wrote.

    Args:
        path: of the file.
        sharing: of their weights; needed where it is not the plain one of a network.

    Raises:
        ValueError: not such a file, damaged, or of another sharing.
        OSError: it cannot be read.
    """
    reading(path, "the supernets")
    with readers.arrays(path, "is not a file of supernets") as file:
        about = json.loads(str(file["about"]))
        tree = unflatten_dict(
            {name: np.asarray(file[name]) for name in file.files if name != "about"}, sep="/"
        )
    if sharing is None and not about["is_plain"]:
        raise ValueError(f"{path} holds supernets whose sharing is not the plain one: give it")
    shared = sharing or Sharing(networks.by_name(about["network"], **about["settings"]))
    several = about.get("recipes") or [about["recipe"]] * len(tree["curves"]["loss"])
    recipes, epochs = tuple(map(_recipe, several)), tuple(about["epochs"])
    # One step an epoch will do: how many there are changes the rate and not the structure, and
    # neither do the numbers in which recipes differ.
    state = _state(Setup(shared, recipes[0], 1), len(epochs), tree["state"], path)
    dataset = dataset_of(about, tree["mean"], tree["std"])
    return Supernet(shared, state, epochs, tree["curves"], recipes, dataset)


def is_file(path: str | Path) -> bool:
    """Whether a file is one of supernets, by what it holds; False for one that cannot be read."""
    try:
        with readers.arrays(path) as file:
            return "is_plain" in json.loads(str(file["about"]))
    # What is wrong with a file is said by what reads it whole.
    except (OSError, ValueError):
        return False


def facts_of(recipe: Recipe) -> dict[str, Any]:
    """Recipe as JSON values."""
    plateau = None if recipe.plateau is None else recipe.plateau._asdict()
    of_training = recipe_facts(recipe.training)
    return {**recipe._asdict(), "training": of_training, "plateau": plateau}


def _recipe(facts: dict[str, Any]) -> Recipe:
    """Recipe from `facts_of`."""
    plateau = None if facts["plateau"] is None else Plateau(**facts["plateau"])
    return Recipe(**{**facts, "training": recipe_of(facts["training"]), "plateau": plateau})


def _state(of: Setup, num_kept: int, arrays: dict[str, np.ndarray], path: str | Path) -> State:
    """State from the leaves of a file, in the structure that a training has."""
    # Shapes alone: the weights themselves would be drawn to be thrown away.
    like = jax.eval_shape(lambda: start(of, jax.random.key(0), num_kept))
    shapes, structure = jax.tree.flatten(like)
    leaves = [leaf for _, leaf in sorted(arrays.items())]
    if [leaf.shape for leaf in shapes] != [leaf.shape[1:] for leaf in leaves]:
        raise ValueError(f"{path} holds supernets of another sharing")
    state: State = jax.tree.unflatten(structure, leaves)
    return state
