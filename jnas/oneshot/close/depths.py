"""CLOSE on spaces of depths: blocks of a stage share weights by groups, more of them over time.

The unit that is shared is the residual block. Those of a stage after its first one are divided into
contiguous groups of positions, the same in all stages, and each group has one block; there is no
gate. When groups are bisected, a right half begins with what it had, plus new random weights.

Zhou et al., "CLOSE", ECCV 2022, https://arxiv.org/abs/2207.07868, and the code released with it.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.networks import weights
from jnas.oneshot.close.growth import RESTART, Criterion, check_schedule, partition, scaled
from jnas.oneshot.sharing import Sharing
from jnas.types import Arch, Hooks, Key, Network, Params, Pass

_PUBLISHED = {  # epoch of 1,000 → groups
    "nds_resnet": {1: 9, 201: 11, 401: 13, 601: 15, 801: 17},
    "nds_resnext_a": {1: 9, 201: 10, 401: 11, 601: 12, 801: 13},
}


class _Made(NamedTuple):
    """What a supernet is made of.

    Attributes:
        network: the plain one, with weights of its own for each block.
        schedule: epochs, and the groups from each of them on.
        places: number of groups, less one → block of each position.
        parents: block that each block inherits from; the first has none.
    """

    network: Network
    schedule: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]


def by_depth(
    network: Network,
    *,
    schedule: Mapping[int, int] | None = None,
    epochs: int = 1000,
    restarts: Sequence[int] | None = None,
    criterion: Criterion = "pre",
) -> Sharing:
    """Sharing of CLOSE (Zhou et al., ECCV 2022) on NDS; equal calls give one object.

    Args:
        network: of `networks.nds_resnet` and the like, or what its `within` gives.
        schedule: epoch → number of groups from then on, the first epoch 1; None is the published
            one of ResNet or ResNeXt-A.
        epochs: of the training, to which the published schedule and the restart are scaled.
        restarts: epochs before which momentum and plateau begin anew; None: at two fifths.
        criterion: which group is bisected, see `partition`.

    Returns:
        A `Sharing`. Its weights are those of the network, whose stages have `[groups, ...]` under
        "rest", as many as there will be, in place of a block for each position.

    Raises:
        ValueError: a network of another space, a schedule that is not allowed or not there, or so
            few epochs that two steps of the published one would come at once.
    """
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    stages = shapes.get("stages") if isinstance(shapes, dict) else None
    if not stages or "rest" not in stages[0]:
        raise ValueError(f"sharing by depth takes a network of nds; got {network}")
    name = network.space.name
    if schedule is None:
        if name not in _PUBLISHED:
            known = " and ".join(_PUBLISHED)
            raise ValueError(f"there are published schedules of {known}: give one for {name}")
        # Pairs and no dict, of which a key that is there twice would keep the later number alone.
        pairs = [(scaled(epoch, epochs), num) for epoch, num in _PUBLISHED[name].items()]
    else:
        pairs = [(int(epoch), int(num)) for epoch, num in sorted(schedule.items())]
    check_schedule([epoch for epoch, _ in pairs])
    nums = [num for _, num in pairs]
    if nums != sorted(set(nums)):
        raise ValueError(f"numbers of groups must ascend; got {nums}")
    (positions,) = {leaf.shape[0] for leaf in jax.tree.leaves(stages[0]["rest"])}
    places, parents = _blocks(positions, nums[-1], criterion)
    begins = (scaled(RESTART, epochs),) if restarts is None else tuple(int(e) for e in restarts)
    return _by_depth(_Made(network, tuple(pairs), places, parents), begins)


def _blocks(
    num_positions: int, num_groups: int, criterion: Criterion
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Block of each position for 1 … `num_groups` groups, and the parent of each block."""
    rows, parents = [np.zeros(num_positions, int)], [0]
    partition(num_positions, num_groups, criterion)  # for its errors
    for num in range(1, num_groups):
        before, after = (partition(num_positions, n, criterion) for n in (num, num + 1))
        (new,) = set(after) - set(before)
        # Positions count from 1: what comes after the new end is the right half.
        row, last = rows[-1].copy(), next(end for end in before if end > new)
        parents.append(int(row[new]))
        row[new:last] = num
        rows.append(row)
    return tuple(tuple(row.tolist()) for row in rows), tuple(parents)


@functools.cache
def _by_depth(made: _Made, restarts: tuple[int, ...]) -> Sharing:
    """Sharing of checked settings."""
    return Sharing(_network(made), grow=functools.partial(_grow, made), restarts=restarts)


@functools.cache
def _network(made: _Made) -> Network:
    """Network of the blocks."""
    within = None if made.network.within is None else functools.partial(_within, made)
    return Network(
        made.network.space,
        functools.partial(_init, made),
        functools.partial(_apply, made),
        functools.partial(_forward, made),
        functools.partial(_present, made),
        functools.partial(_instantiate, made),
        functools.partial(_own, made),
        bucket=made.network.bucket,
        within=within,
    )


def _within(made: _Made, sizes: Any) -> Network:
    """Network of the architectures of some sizes (`Network.within`)."""
    assert made.network.within is not None
    return _network(made._replace(network=made.network.within(sizes)))


def _on_rest(function: Any, params: Params, *others: Params) -> Params:
    """Weights after a function of the leaves of all blocks but the first of each stage."""
    trees = zip(*(tree["stages"] for tree in (params, *others)), strict=True)
    stages = [
        stage[0] | {"rest": jax.tree.map(function, *(part["rest"] for part in stage))}
        for stage in trees
    ]
    return params | {"stages": stages}


def _draw(made: _Made, key: Key) -> Params:
    """Weights of the network and of all blocks."""
    # What is drawn for a position is what is drawn for a block.
    return _on_rest(lambda leaf: leaf[: len(made.parents)], made.network.init(key))


def _init(made: _Made, key: Key) -> Params:
    """Weights before the first epoch; blocks that are not there yet are zeros (`Network.init`)."""
    num = made.schedule[0][1]
    drawn = _draw(made, key)
    return _on_rest(lambda leaf: leaf.at[num:].set(0), drawn)


def num_blocks(params: Params) -> jax.Array:
    """Number `[]` int32 of the blocks of a stage that are there, by their weights."""
    # Of one kernel: the others come with it.
    kernel = weights.kernels(params["stages"][0]["rest"])[0]
    axes = tuple(range(1, kernel.ndim))
    return jnp.sum(jnp.any(kernel != 0, axis=axes), dtype=jnp.int32)


def _plain(made: _Made, params: Params) -> Params:
    """Weights of the plain network, with a block for each position."""
    table = jnp.asarray(made.places, jnp.int32)
    here = jax.nn.one_hot(table[num_blocks(params) - 1], len(made.parents), dtype=jnp.float32)

    def spread(leaf: jax.Array) -> jax.Array:
        # A product and not a gather, whose gradient would be a loop on CPUs. It is exact.
        return jnp.einsum("pg,g...->p...", here, leaf, precision=lax.Precision.HIGHEST)

    return _on_rest(spread, params)


def _grow(made: _Made, key: Key, number: jax.Array, params: Params) -> Params:
    """Weights before an epoch, with the blocks that come with it (`Sharing.grow`)."""
    later = made.schedule[1:]
    if not later:
        return params
    nums = [num for _, num in made.schedule]
    branches = [functools.partial(_grown, made, old, new) for old, new in itertools.pairwise(nums)]
    # The first branch is for all other epochs.
    is_now = number == jnp.asarray([epoch for epoch, _ in later], jnp.int32)
    which = jnp.sum(jnp.where(is_now, jnp.arange(1, len(later) + 1, dtype=jnp.int32), 0))
    grown: Params = lax.switch(which, [lambda _, params: params, *branches], key, params)
    return grown


def _grown(made: _Made, old: int, new: int, key: Key, params: Params) -> Params:
    """Weights with the blocks `old` … `new` - 1."""

    def add(path: Any, leaf: jax.Array, fresh: jax.Array) -> jax.Array:
        is_norm = any(getattr(part, "key", None) == "norm" for part in path)
        for block in range(old, new):
            value = leaf[made.parents[block]]
            # The sum of random weights and trained ones, as published. Norms have no scale there,
            # and twice a scale would be another activation.
            leaf = leaf.at[block].set(value if is_norm else value + fresh[block])
        return leaf

    drawn = _draw(made, key)
    stages = [
        stage | {"rest": jax.tree.map_with_path(add, stage["rest"], fresh["rest"])}
        for stage, fresh in zip(params["stages"], drawn["stages"], strict=True)
    ]
    return params | {"stages": stages}


def _apply(made: _Made, params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return made.network.apply(_plain(made, params), arch, images)


def _forward(
    made: _Made, params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of the network (`Network.forward`)."""
    return made.network.forward(_plain(made, params), arch, images, hooks, state)


def _present(made: _Made, arch: Arch) -> list[jax.Array]:
    """Masks of the weights of `arch` (`Network.present`), in all blocks those of any position."""
    shapes = jax.eval_shape(made.network.init, jax.random.key(0))
    tree = weights.with_kernels(shapes, made.network.present(arch))
    alone = weights.map_layers(lambda layer, name: {name: layer[name]}, tree)
    return weights.kernels(_on_rest(lambda mask: jnp.max(mask, axis=0, keepdims=True), alone))


def _instantiate(made: _Made, params: Params, arch: Arch) -> Params:
    """Weights as they are (`Network.instantiate`): those of all widths are one array."""
    del made, arch
    return params


def _own(made: _Made, arch: Arch | np.ndarray) -> Network:
    """Network of one architecture, the same object for equal ones (`Network.own`)."""
    return _network(made._replace(network=made.network.own(arch)))
