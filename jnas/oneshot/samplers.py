"""Samplers of a supernet's training: which architectures a step trains.

A sampler is a `jax.tree_util.Partial`, `(key, number [] int32) -> (archs [S, D] int32, is_used [S]
bool)`, where `number` is the epoch, counted from 1. Its arrays are arguments of the program, so
that other lists of architectures run the same one. Rejected architectures are not `is_used`.
"""

import collections
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.engine.inputs import as_archs, check_at_least_one
from jnas.engine.messages import nearest
from jnas.oneshot.drawing import check_identities, drawn, in_strata
from jnas.oneshot.reach import is_trainable
from jnas.types import Key, Params, Policy, Space

Sampler = jax.tree_util.Partial

_MOST_LISTED = 2_000_000  # vectors of a space that are all valid


def listed(archs: Any, space: Space | None = None) -> Sampler:
    """Sampler that is uniform over a list of architectures `[A, D]`.

    Raises:
        ValueError: an empty list, or one with an architecture that is not of the `space`.
    """
    known = as_archs(np.asarray(archs), None if space is None else len(space.cardinalities))
    if not len(known):
        raise ValueError("there is no architecture to sample")
    if space is not None and not (valid := np.asarray(jax.vmap(space.is_valid)(known))).all():
        number = int(np.argmin(valid))
        raise ValueError(f"architecture {number} of the list is not valid in {space.name}")
    return Sampler(_listed, known)


def _listed(known: jax.Array, key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One architecture `[1, D]` of a list."""
    del number
    place = jax.random.randint(key, (1,), 0, len(known))
    return known[place], jnp.ones(1, bool)


def uniform(space: Space) -> Sampler:
    """Sampler that is uniform over the architectures that can be trained (`is_trainable`).

    Of a space that cannot be listed it draws until one can be.
    """
    # A list where there can be one: one number is drawn, where a loop that draws again runs, side
    # by side with others, as long as the unluckiest of them.
    archs = _enumerated(space)
    if archs is None:
        return Sampler(drawn(space, False))
    return listed(archs[_trainable(space, archs)])


def deiso(space: Space) -> Sampler:
    """Sampler that is uniform over classes of isomorphic architectures (`Space.identity`).

    De-isomorphic sampling of Ning et al., NeurIPS 2021, https://arxiv.org/abs/2008.03064. Of each
    class the first one is trained, if it can be.

    Of a space that cannot be listed it draws until an architecture is the one of its class whose
    `Space.code` is the identity of all of them: each class has one, so that this is uniform, too.
    ValueError where identities are not codes of architectures.
    """
    if _enumerated(space) is None:
        check_identities(space)
        return Sampler(drawn(space, True))
    return listed(representatives(space, trainable=True))


def _enumerated(space: Space) -> np.ndarray | None:
    """Architectures `[A, D]` of a space; None where it cannot be listed, or not in reason."""
    # A list is an argument of every step, and ResNeXt-A of NDS would be half a gigabyte.
    if math.prod(space.cardinalities) > _MOST_LISTED and _is_product(space):
        return None
    try:
        return space.enumerate()
    except ValueError:
        return None


def representatives(space: Space, trainable: bool = False) -> np.ndarray:
    """First architecture `[A, D]` int32 of each class of isomorphic ones, in ascending order.

    Args:
        space: that can be listed; ValueError otherwise.
        trainable: leaves those out that no step trains.
    """
    archs = space.enumerate()
    codes = np.asarray(jax.jit(jax.vmap(space.identity))(jnp.asarray(archs)))
    # NumPy's index is that of the first row of a code; sorted, they are in the order of the space,
    # whatever the codes are, so that a key draws the same architectures with other codes.
    _, first = np.unique(codes, axis=0, return_index=True)
    found = archs[np.sort(first)]
    return found[_trainable(space, found)] if trainable else found


def _trainable(space: Space, archs: np.ndarray) -> np.ndarray:
    """Which of the architectures `[A, D]` have weights that a step trains, `[A]` bool."""
    return np.asarray(jax.jit(jax.vmap(is_trainable(space)))(jnp.asarray(archs)))


def fairnas(space: Space) -> Sampler:
    """Sampler of as many architectures a step as there are operations, each in one of them.

    Chu et al., "FairNAS", ICCV 2021, https://arxiv.org/abs/1907.01845: at every position a random
    order of the choices. Those that cannot be trained are rejected, as published. Positions that
    say what is wired to what, or have another number of choices than most, are drawn once for all
    architectures of a step, so that each operation of the edges that there are is trained once.

    Raises:
        ValueError: no number of choices is that of most positions, or a combination of choices is
            no architecture.
    """
    counts = collections.Counter(space.cardinalities).most_common(2)
    is_tied = len(counts) > 1 and counts[0][1] == counts[1][1]
    places = [] if is_tied or not _is_product(space) else _operations(space, counts[0][0])
    if not places:
        raise ValueError(
            "fair sampling needs free choices, and a number of them that most positions have; "
            f"{space.name} has {list(space.cardinalities)}"
        )
    return Sampler(_fair(space, tuple(places)))


def _operations(space: Space, num: int) -> list[int]:
    """Positions of `num` choices that are operations: no choice wires a cell in another way."""
    places = [
        place
        for place, size in enumerate(space.cardinalities)
        if size == num and place not in space.sizes
    ]
    # By their graphs, for inputs may be as many as there are operations, as of a node of ENAS. Some
    # bases, for a vertex of NAS-Bench-1Shot1 that reaches no output has no edges at all.
    bases = _vectors(space, 16)
    archs = np.tile(bases[:, None, None], (1, len(places), num, 1))
    for row, place in enumerate(places):
        archs[:, row, :, place] = np.arange(num)
    flat = jnp.asarray(archs.reshape(-1, archs.shape[-1]))
    adjacency = jax.jit(jax.vmap(lambda arch: space.graph(arch).adjacency))(flat)
    wired = np.asarray(adjacency).reshape(*archs.shape[:3], -1)
    # An operation leaves edges where they are, or has none; an input takes the place of another.
    least, most = wired.all(axis=2, keepdims=True), wired.any(axis=2, keepdims=True)
    stays = (wired == least).all(axis=-1) | (wired == most).all(axis=-1)
    return [place for place, is_one in zip(places, stays.all(axis=(0, 2)), strict=True) if is_one]


def _is_product(space: Space) -> bool:
    """Whether all combinations of choices are architectures, as far as some drawn ones tell."""
    # A few tell: a space that forbids combinations forbids many, and all of a large one could not
    # be looked at.
    return bool(np.asarray(jax.vmap(space.is_valid)(jnp.asarray(_vectors(space, 256)))).all())


def _vectors(space: Space, num: int) -> np.ndarray:
    """Vectors `[num, D]` int32, uniform over all combinations of choices, always the same."""
    sizes = np.array(space.cardinalities)
    return np.random.default_rng(0).integers(0, sizes, (num, len(sizes)), np.int32)


@functools.lru_cache(64)
def _fair(space: Space, places: tuple[int, ...]) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Function that draws one order of the choices for each of the `places`."""
    size, num = len(space.cardinalities), space.cardinalities[places[0]]
    is_fair = np.isin(np.arange(size), places)
    can_be_trained = jax.vmap(is_trainable(space))

    def draw(key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        del number
        keys = jax.random.split(key, size + 1)
        orders = jax.vmap(lambda key: jax.random.permutation(key, num))(keys[:-1])
        wiring = space.sample(keys[-1])
        # Those that are rejected are not replaced, for the replacements would train some choices
        # twice: of NAS-Bench-201's five 4.37 are left on average.
        archs = jnp.where(jnp.asarray(is_fair), orders.T, wiring).astype(jnp.int32)
        return archs, can_be_trained(archs)

    return draw


def strata(space: Space, num: int = 5, archs: Any = None) -> Sampler:
    """Sampler of `num` architectures a step, one from each stratum of equally many by FLOPs.

    Args:
        space: whose FLOPs count. Where it cannot be listed, strata are those of many architectures
            drawn from it, and each is drawn from until one can be trained.
        num: of strata.
        archs: `[A, D]` to draw from; None takes the classes of isomorphic ones.

    Raises:
        ValueError: fewer architectures than strata, or too few different FLOPs.
    """
    if archs is None and _enumerated(space) is None:
        return Sampler(*in_strata(space, num))
    known = representatives(space, trainable=True) if archs is None else np.asarray(archs)
    if not 1 <= num <= len(known):
        raise ValueError(f"num must be in 1 … {len(known)}, the architectures; got {num}")
    flops = np.asarray(jax.jit(jax.vmap(space.flops))(jnp.asarray(known, jnp.int32)))
    # Stable, because many cells have equal FLOPs: which stratum they are in must not be up to the
    # machine.
    order = np.argsort(flops, kind="stable")
    # All strata are equally long: the cheapest architectures that are over are left out.
    size = len(known) // num
    rows = known[order[len(known) - num * size :]].reshape(num, size, -1)
    return Sampler(_strata, jnp.asarray(rows, jnp.int32))


def _strata(rows: jax.Array, key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One architecture of each stratum in `rows` `[num, size, D]`."""
    del number
    num, size, _ = rows.shape
    places = jax.random.randint(key, (num,), 0, size)
    return rows[jnp.arange(num), places], jnp.ones(num, bool)


def policy(made: Policy, params: Params, space: Space) -> Sampler:
    """Sampler of what a policy draws, a controller with given weights; one architecture a step.

    Those that are not valid in the space or cannot be trained are rejected.
    """
    return Sampler(_of_policy(made, space), params)


@functools.lru_cache(64)
def _of_policy(made: Policy, space: Space) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Function that draws from a policy."""
    can_be_trained = is_trainable(space)

    def draw(params: Params, key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        del number
        # Drawn once, and rejected rather than drawn again: a policy that has settled on cells
        # without convolutions would be asked for ever.
        arch = made.sample(key, params)
        return arch[None], (space.is_valid(arch) & can_be_trained(arch))[None]

    return draw


def several(sampler: Sampler, num: int) -> Sampler:
    """Sampler that draws `num` times as many, independently; ValueError for fewer than one."""
    check_at_least_one(num=num)
    return sampler if num == 1 else Sampler(_several(num), sampler)


@functools.lru_cache(64)
def _several(num: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Function of a sampler that draws `num` times."""

    def draw(sampler: Sampler, key: Key, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        archs, used = jax.vmap(lambda key: sampler(key, number))(jax.random.split(key, num))
        return archs.reshape(-1, archs.shape[-1]), used.reshape(-1)

    return draw


def either(one: Sampler, other: Sampler, share: float) -> Sampler:
    """Sampler that draws from `one` in that share of the steps, and else from the other.

    Raises:
        ValueError: they draw different numbers of architectures, or the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1]; got {share}")
    key, number = jax.random.key(0), jnp.int32(1)
    # Both are branches of one conditional, whose results must have one shape.
    sizes = [len(jax.eval_shape(sampler, key, number)[1]) for sampler in (one, other)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"both samplers must draw equally many a step; got {sizes}")
    # An array, so that the share is an argument, and another one runs the same program.
    return Sampler(_either, one, other, jnp.float32(share))


def _either(
    one: Sampler, other: Sampler, share: jax.Array, key: Key, number: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw of one of two samplers."""
    choice_key, draw_key = jax.random.split(key)
    takes_one = jax.random.uniform(choice_key) < share
    drawn: tuple[jax.Array, jax.Array] = lax.cond(
        takes_one, lambda: one(draw_key, number), lambda: other(draw_key, number)
    )
    return drawn


_NAMED: dict[str, Callable[[Space], Sampler]] = {
    "uniform": uniform,
    "deiso": deiso,
    "fairnas": fairnas,
    "strata": strata,
}
NAMES = tuple(_NAMED)
"""Names of the samplers that a recipe can have."""


def by_name(name: str, space: Space, num: int = 1) -> Sampler:
    """Sampler of a name, `num` draws a step.

    Raises:
        ValueError: no such name, or a space that it cannot serve.
    """
    if name not in _NAMED:
        raise ValueError(f"unknown sampler {name!r}. {nearest(name, NAMES)}")
    return several(_NAMED[name](space), num)
