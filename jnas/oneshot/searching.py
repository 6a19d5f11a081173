"""Weight-sharing search: `search` runs a method, `method` makes one of a name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import training
from jnas.data import without_images
from jnas.engine import trainings
from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_key_or_keys
from jnas.engine.messages import nearest
from jnas.oneshot.alternating import Setup, Shared, State, halves, trainer
from jnas.oneshot.darts import darts, drnas, pc_darts
from jnas.oneshot.enas import enas
from jnas.oneshot.gdas import gdas
from jnas.oneshot.methods import Choice, Method, mix_of
from jnas.oneshot.recipes import Recipe
from jnas.oneshot.rsps import rsps
from jnas.oneshot.setn import setn
from jnas.oneshot.sharing import Sharing
from jnas.oneshot.steps import State as Weights
from jnas.oneshot.steps import first_rate
from jnas.oneshot.supernet import Supernet
from jnas.training.recipes import check_recipe
from jnas.training.train import check_dataset
from jnas.types import Dataset, Key, Network, Params

_NUM_BLOCKS = 50  # of a search at most; what a kill can lose is one of them

_FACTORIES: dict[str, Callable[..., Method]] = {
    "rsps": rsps,
    "darts": darts,
    "gdas": gdas,
    "setn": setn,
    "enas": enas,
    "drnas": drnas,
    "pc_darts": pc_darts,
}
METHODS = tuple(_FACTORIES)
"""Names of the methods that `search` and `method` know."""


class Searched(NamedTuple):
    """Results of a weight-sharing search, `S` times with different keys.

    Attributes:
        archs: `[S, D]` int32, what was found; -1 where a search diverged.
        probabilities: `[S, T, D, O]` float32 of the operations, after each of `T` epochs.
        state: after the last epoch, each array with a leading axis `S`: weights, and parameters of
            the distribution.
        curves: name → `[S, T]`: "loss" and "accuracy" of the weights' steps, "choose_loss" of those
            of the distribution (NaN where there are none).
        choices: of each search, what it was chosen from; None where it diverged.
        setup: network, method and recipe.
        dataset: what was searched on, without its images.
    """

    archs: np.ndarray
    probabilities: np.ndarray
    state: State
    curves: dict[str, np.ndarray]
    choices: tuple[Choice | None, ...]
    setup: Setup
    dataset: Dataset

    def __repr__(self) -> str:
        found = ", ".join(map(self._text, self.archs))
        return f"Searched by {self.setup.method.name}: {found}"

    def _text(self, arch: np.ndarray) -> str:
        """Text of what one search has found."""
        return "diverged" if arch[0] < 0 else self.setup.network.space.to_string(arch)

    @property
    def params(self) -> Params:
        """Weights of all operations, each array with a leading axis `S`."""
        return self.state.params

    @property
    def supernet(self) -> Supernet:
        """Supernets of the weights, which can be saved, and judge as others do."""
        failed_at = jnp.asarray(self.state.failed_at)
        # Searches have no plateau: that of a training that goes on from here begins.
        rate = jax.tree.map(lambda x: jnp.broadcast_to(x, failed_at.shape), first_rate())
        state = Weights(
            params=self.params,
            optimizer=self.state.optimizer,
            rate=rate,
            failed_at=failed_at,
            loss=self.state.seen.loss,
            accuracy=self.state.seen.accuracy,
            kept=jax.tree.map(lambda x: jnp.zeros((len(x), 0, *x.shape[1:]), x.dtype), self.params),
        )
        curves = {name: self.curves[name] for name in ("loss", "accuracy")}
        curves["rate"] = np.ones_like(curves["loss"])
        recipes = (Recipe(self.setup.recipe, sampler="uniform"),) * len(failed_at)
        host = jax.tree.map(np.asarray, state)
        return Supernet(Sharing(self.setup.network), host, (), curves, recipes, self.dataset)

    @property
    def failed_at(self) -> np.ndarray:
        """First epoch `[S]` whose loss was not finite; 0 where there is none."""
        return np.asarray(self.state.failed_at)


def method(name: str, **changes: Any) -> Method:
    """Method of a name, with other values for its arguments or for fields of its recipe.

    Raises:
        ValueError: no such name, argument or field, or a value out of its range.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}. {nearest(name, METHODS)}")
    factory, fields = _FACTORIES[name], training.Recipe._fields
    of_recipe = {field: value for field, value in changes.items() if field in fields}
    own = {field: value for field, value in changes.items() if field not in of_recipe}
    # The factories are behind a cache, and all of their arguments have names and defaults.
    arguments = tuple(factory.__wrapped__.__kwdefaults__)  # type: ignore[attr-defined]
    for argument in own:
        if argument not in arguments:
            raise ValueError(
                f"{name} has no {argument!r}. {nearest(argument, (*arguments, *fields))}"
            )
    # First with its own recipe, which the changes are changes of.
    made = factory(**own)
    recipe = made.recipe._replace(**of_recipe)
    check_recipe(recipe)
    # By the factory and not by `_replace`, so that equal calls give the same object: programs are
    # found again by the functions in it.
    return factory(**own, recipe=recipe) if of_recipe else made


def search(
    network: Network,
    dataset: Dataset,
    by: Method | str,
    key: Any = 0,
    *,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
) -> Searched:
    """Architectures found with shared weights, `S` searches side by side on the devices.

    The training images of the data set are parted into two halves, the same ones in every search:
    weights are fitted to one, architectures are chosen by the other.

    Args:
        network: whose operations' weights are shared; as many classes as the data set has.
        dataset: to search on; it must fit into the memory of a device.
        by: the method, or the name of one (`oneshot.METHODS`).
        key: a key or seed, or `[S]` keys of several searches.
        out: folder that the search is kept in, and that a call which was killed goes on from.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown method, one that needs mixed operations where the network has none,
            a recipe out of range, fewer than four training images; or `out` holds another job.
        OSError: `out` cannot be written.
    """
    made = method(by) if isinstance(by, str) else by
    check_recipe(made.recipe)
    check_dataset(network, dataset)
    if made.needs_mix:
        # Asked before anything runs, where its error is not one from within a compiled program.
        mix_of(network)
    keys = as_key_or_keys(key)
    shared = halves(dataset)
    # The batch that there is goes into the setup: images that do not fill one are left out, so that
    # a larger one than the half would leave no step.
    size = min(made.recipe.batch_size, len(shared.fit))
    recipe = made.recipe._replace(batch_size=size)
    of = Setup(network, made._replace(recipe=recipe), recipe, len(shared.fit) // size)
    run = trainings.train(
        trainer(of),
        keys,
        shared,
        epochs=range(1, recipe.epochs + 1),
        num_blocks=_NUM_BLOCKS,
        checkpoint=None if out is None else Path(out),
        resume=resume,
        progress=progress,
    )
    probabilities = run.metrics.pop("probabilities")
    # One after the other, on the host: some sort the whole space, and all judge their lists by one
    # program.
    choices = tuple(_choice(of, run.results, keys, shared, row) for row in range(len(keys)))
    num = len(network.space.cardinalities)
    none = np.full(num, -1, np.int32)
    archs = np.stack([none if choice is None else choice.arch for choice in choices])
    facts = jax.tree.map(np.asarray, without_images(dataset))
    return Searched(archs, probabilities, run.results, run.metrics, choices, of, facts)


def _choice(of: Setup, states: State, keys: Key, shared: Shared, row: int) -> Choice | None:
    """Choice of one search, or None where it diverged."""
    # A search that diverged is no error of the others: it has no choice, and they have theirs.
    state = jax.tree.map(lambda leaf: leaf[row], states)
    if int(state.failed_at):
        return None
    # Epochs have the numbers above 0 and the start has 0: this is no epoch's.
    key = jax.random.fold_in(keys[row], of.recipe.epochs + 1)
    found: Choice = of.method.derive(of, state, key, shared)
    return found
