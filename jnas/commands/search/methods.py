"""Weight-sharing searches: strategies that own their estimator, such as gdas and darts.

Each search trains a supernet and a distribution over architectures, and answers with one of them;
so it counts as a search of one evaluation, whose score is that of its own supernet.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import oneshot, plots
from jnas.commands import supernets
from jnas.commands.search import supernet
from jnas.commands.search.supernet import Options
from jnas.engine.fingerprints import Resume
from jnas.oneshot import Method, Searched, Supernet
from jnas.oneshot.methods import mix_of
from jnas.types import Arch, Dataset, Estimator, Key, Network, Space


class Plan(NamedTuple):
    """Plan of weight-sharing searches.

    Attributes:
        options: of the supernet, with the defaults filled in.
        network: whose weights are shared.
        dataset: to search on; its validation images score the answers.
        method: of the searches.
        keys: `[S]` of them.
    """

    options: Options
    network: Network
    dataset: Dataset
    method: Method
    keys: Key


class Outcome(NamedTuple):
    """Outcome of `S` weight-sharing searches.

    Attributes:
        searched: architectures and distributions.
        supernet: their weights, as one supernet each.
        scores: `[S]` of the architectures, each by its own supernet; NaN where it diverged.
    """

    searched: Searched
    supernet: Supernet
    scores: np.ndarray


def plan(
    name: str,
    changes: dict[str, Any],
    options: Options,
    space: Space,
    images: str,
    keys: Key,
    progress: bool,
) -> Plan:
    """Plan of searches by the method of a name.

    Args:
        name: one of `oneshot.METHODS`.
        changes: to the arguments of the method.
        options: of the supernet that were given.
        space: where to search.
        images: name or path of a data set.
        keys: `[S]` of the searches.
        progress: show a bar while image files are decoded.

    Raises:
        ValueError: options that are not allowed, a space without a network, or whose network
            cannot mix operations where the method does, images that cannot be searched on.
        FileNotFoundError: there are no such images.
    """
    # The method is made twice: its usual recipe says how long it trains, and what it does to
    # images, before the images that were loaded say how far these may be moved.
    full, dataset, network = supernet.materials(options, space, images, progress)
    usual = oneshot.method(name, **changes)
    # `oneshot.search` checks it as well, but would find the folder marked as begun by then.
    if usual.needs_mix:
        mix_of(network)
    augmentation = usual.recipe.augmentation._replace(crop=supernet.crop(dataset))
    # Not the number of steps that a supernet gets which is only to rank: these are the epochs that
    # the papers search for, and their schedules depend on them.
    epochs = options.epochs or usual.recipe.epochs
    made = oneshot.method(name, **changes, epochs=epochs, augmentation=augmentation)
    full = dataclasses.replace(full, epochs=epochs)
    return Plan(full, network, dataset, made, keys)


def run(of: Plan, folder: Path, resume: Resume, progress: bool) -> Outcome:
    """Outcome of searches, which are kept in `folder`, with their supernets as a file.

    Raises:
        ValueError: the folder holds other searches, or those that other code has begun.
        OSError: a file cannot be read or written.
    """
    searched = oneshot.search(
        of.network,
        of.dataset,
        of.method,
        of.keys,
        out=folder / supernet.CHECKPOINT,
        resume=resume,
        progress=progress,
    )
    # The checkpoint stays beside the file, other than that of a supernet: the distributions and
    # what each search has chosen are in it alone, and the report is made from it again.
    made = searched.supernet
    oneshot.save(made, folder / supernets.FILE)
    # One search at a time: each answer is judged by the weights that it was found with, where an
    # estimator of several supernets would give the mean over all of them. A search that diverged
    # has no answer, and keeps a NaN, which no ranking takes.
    scores = np.full(len(searched.archs), np.nan)
    for row in np.flatnonzero(searched.failed_at == 0):
        judge = supernets.estimator(made.select(int(row)), of.dataset)
        scores[row] = _score(judge, jax.random.key(0), jnp.asarray(searched.archs[row]))
    return Outcome(searched, made, scores)


# The estimator is an argument: within the program its weights and images would be constants, and
# each search would compile one of its own.
@jax.jit
def _score(judge: Estimator, key: Key, arch: Arch) -> jax.Array:
    """Score `[]` of one architecture `[D]`."""
    return judge(key, arch[None])[0]


def probabilities(searched: Searched) -> list[list[Any]]:
    """Rows of `distribution.csv`: a header, and the probabilities of the operations.

    A row for each search, epoch and position; a column for each operation.
    """
    names = operations(searched)
    rows: list[list[Any]] = [["search", "epoch", "position", *names]]
    for search, of_one in enumerate(np.asarray(searched.probabilities)):
        for epoch, table in enumerate(of_one, start=1):
            rows += [[search, epoch, place, *row] for place, row in enumerate(table)]
    return rows


def operations(searched: Searched) -> list[str]:
    """Names of the operations that the probabilities are of."""
    space, num = searched.setup.network.space, searched.probabilities.shape[-1]
    # A distribution does not say which operations it is over, those of edges or of nodes. Their
    # number tells, and where neither kind has as many, choices have no names but their numbers.
    known = next((x for x in (space.edge_operations, space.node_operations) if len(x) == num), None)
    return list(known or [f"choice {number}" for number in range(num)])


def distribution(searched: Searched) -> tuple[str, Any]:
    """Caption and figure of the probabilities of the operations by epoch."""
    # Over positions, for a line of each would be dozens of them; `distribution.csv` has them all.
    means = np.asarray(searched.probabilities, np.float64).mean(axis=2)
    figure = plots.search_curves(
        {name: means[..., place] for place, name in enumerate(operations(searched))},
        x_label="epochs",
        y_label="probability, mean over all positions",
        title=f"{searched.setup.network.space.name}: {searched.setup.method.name}",
    )
    return "Probabilities of the operations after each epoch, means over all positions.", figure
