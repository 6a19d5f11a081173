"""Pruning of a supernet's space: by operation, by score, and softly, by an evolving population.

Ning et al., NeurIPS 2021, https://arxiv.org/abs/2008.03064, section 4.5: fewer architectures share
the weights, and those that are left are ranked better.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.fingerprints import Resume
from jnas.engine.inputs import as_archs, as_key, check_at_least_one
from jnas.engine.messages import nearest
from jnas.engine.score import score
from jnas.oneshot import samplers
from jnas.oneshot.recipes import Recipe, as_recipe
from jnas.oneshot.scoring import Criterion, estimator
from jnas.oneshot.sharing import Sharing, as_sharing
from jnas.oneshot.supernet import Supernet
from jnas.oneshot.train import train
from jnas.types import Dataset, Key, Network, Space


def without(space: Space, operations: Iterable[str]) -> np.ndarray:
    """Architectures `[A, D]` int32 that have none of the operations, one of each isomorphic class.

    Those that no step trains are left out; `samplers.listed` samples the rest.

    Raises:
        ValueError: an operation that the space does not have, nothing is left, or the space is too
            large to be listed.
    """
    names = tuple(operations)
    for name in names:
        if name not in space.edge_operations:
            raise ValueError(f"unknown operation {name!r}. {nearest(name, space.edge_operations)}")
    # One of each class: isomorphic cells would otherwise be sampled the more often, the more ways
    # there are to write them, which costs half of a supernet's precision at the top.
    archs = samplers.representatives(space, trainable=True)
    graphs = jax.jit(jax.vmap(space.graph))(jnp.asarray(archs))
    numbers = jnp.array([space.edge_operations.index(name) for name in names], jnp.int32)
    # An edge that carries nothing has the operation "none" where the space has it.
    has = jnp.isin(graphs.edge_ops, numbers)
    nodes = graphs.mask.shape[-1]
    upper = np.triu(np.ones((nodes, nodes), bool), 1)
    left: np.ndarray = archs[~np.any(np.asarray(has) & upper, axis=(1, 2, 3, 4))]
    if not len(left):
        raise ValueError(f"without {', '.join(names)} no architecture of {space.name} is left")
    return left


def best(
    supernet: Supernet,
    dataset: Dataset,
    archs: Any,
    share: float,
    *,
    criterion: Criterion = "loss",
    batch_size: int = 512,
    progress: bool = False,
) -> np.ndarray:
    """Best `share` of architectures `[A, D]` by one-shot scores, the best first.

    Raises:
        ValueError: as for `oneshot.estimator`; a share outside of (0, 1], or one that leaves none.
    """
    known = as_archs(np.asarray(archs), len(supernet.network.space.cardinalities))
    # Rounded down: the published tenth of 6,466 cells is 646.
    num = int(share * len(known)) if 0 < share <= 1 else 0
    if not num:
        raise ValueError(
            f"a share in (0, 1] that leaves an architecture is needed; got {share!r} of "
            f"{len(known)}"
        )
    made = estimator(supernet, dataset, criterion, batch_size=batch_size)
    # No score is random: any key gives the same.
    scores = np.asarray(score(made, known, jax.random.key(0), progress=progress))
    return np.asarray(known)[np.argsort(-scores, kind="stable")[:num]]


def evolving(
    network: Network | Sharing,
    dataset: Dataset,
    recipe: Recipe | str = "quick",
    key: Any = 0,
    *,
    every: int = 10,
    begin: int = 0,
    population_size: int = 100,
    share: float = 0.5,
    sample_size: int = 10,
    batch_size: int = 512,
    keep: tuple[int, ...] = (),
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
) -> Supernet:
    """Supernet by soft pruning: part of its steps sample what an evolution finds with it.

    After each `every` epochs the population is scored with the shared weights, and each place of it
    goes to a mutation of the best of `sample_size` members. A step samples it with the probability
    `share`, and otherwise the whole space.

    Args:
        network: as for `oneshot.train`.
        dataset: likewise; its validation images score the population.
        recipe: or the name of one; its sampler is what samples the whole space, of a list.
        key: a key or seed.
        every: epochs between two changes of the population.
        begin: epochs in which the whole space alone is sampled.
        population_size: of the evolution.
        share: of the steps that sample the population.
        sample_size: of the tournaments.
        batch_size: images a batch of the scores.
        keep: epochs after which the weights are kept, of those after which the population changes.
        out: folder that the training is kept in.
        resume: as for `oneshot.train`.
        progress: show bars on standard error.

    Raises:
        ValueError: as for `oneshot.train`; sizes below 1, a negative beginning, a share outside of
            [0, 1), a sampler that draws another number a step than the recipe says (FairNAS),
            epochs to keep after which the population does not change.
    """
    made, sharing = as_recipe(recipe), as_sharing(network)
    check_at_least_one(every=every, population_size=population_size, sample_size=sample_size)
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1); got {share}")
    space = sharing.network.space
    # Once: each time a space was listed, its classes would be found anew.
    whole = samplers.by_name(made.sampler, space, made.num_samples)
    # A sampler that cannot be mixed with a population is told before anything is trained.
    nobody = jnp.zeros((1, len(space.cardinalities)), jnp.int32)
    _sampler(whole, nobody, made.num_samples, share)
    total = made.training.epochs
    stops = _stops(total, begin, every, keep)
    folder = None if out is None else Path(out)
    supernet: Supernet | None = None
    population: jax.Array | None = None
    params: dict[int, Any] = {}
    for stop in stops:
        # `train` folds the numbers of epochs into the same key: these are no epoch's.
        draw_key, evolve_key = jax.random.split(jax.random.fold_in(as_key(key), total + stop))
        supernet = train(
            sharing,
            dataset,
            made,
            key,
            sampler=_sampler(whole, population, made.num_samples, share),
            initial=supernet,
            until=stop,
            # A folder a piece: each is a training of its own, with a sampler that holds another
            # population.
            out=None if folder is None else folder / f"until-{stop}",
            resume=resume,
            progress=progress,
        )
        params[stop] = supernet.params
        if stop < total:
            made_estimator = estimator(supernet, dataset, "loss", batch_size=batch_size)
            # Of the whole space, cells without weights too: they score low and die out.
            if population is None:
                keys = jax.random.split(draw_key, population_size)
                population = jax.jit(jax.vmap(space.sample))(keys)
            scores = score(made_estimator, population, jax.random.key(0), progress=False)
            population = _next(space, sample_size, evolve_key, population, scores)
    assert supernet is not None
    kept = tuple(sorted({*keep} - {total}))
    if not kept:
        return supernet
    stacked = jax.tree.map(
        lambda *leaves: np.stack(leaves, axis=1), *(params[epoch] for epoch in kept)
    )
    return supernet._replace(epochs=kept, state=supernet.state._replace(kept=stacked))


def _stops(total: int, begin: int, every: int, keep: tuple[int, ...]) -> list[int]:
    """Epochs after which a population changes, and the last one.

    Raises:
        ValueError: a negative beginning, other epochs to keep.
    """
    if begin < 0:
        raise ValueError(f"begin must be 0 or more; got {begin}")
    first = begin or every
    stops = [*range(first, total, every), total] if first < total else [total]
    if wrong := set(keep) - set(stops):
        raise ValueError(f"epochs to keep must be among {stops}; got {sorted(wrong)}")
    return stops


def _sampler(
    whole: samplers.Sampler, population: jax.Array | None, num: int, share: float
) -> samplers.Sampler:
    """Sampler of the whole space, or of a population besides, `num` architectures a step."""
    if population is None:
        return whole
    # Both draw the same number a step: they are branches of one conditional.
    found = samplers.several(samplers.listed(population), num)
    return samplers.either(found, whole, share)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _next(
    space: Space, sample_size: int, key: Key, population: jax.Array, scores: jax.Array
) -> jax.Array:
    """Population `[P, D]` of mutations of the winners of as many tournaments."""

    def child(key: Key) -> jax.Array:
        draw_key, mutate_key = jax.random.split(key)
        # With replacement: a tournament may be larger than the population.
        members = jax.random.randint(draw_key, (sample_size,), 0, len(population))
        winner = population[members[jnp.argmax(scores[members])]]
        return space.mutate(mutate_key, winner)

    return jax.vmap(child)(jax.random.split(key, len(population)))
