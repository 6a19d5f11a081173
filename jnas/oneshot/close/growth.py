"""Curriculum of CLOSE: when banks are opened, what they begin with, and how depths are divided.

Epochs count from 1. A bank that is closed is zeros, its column in the gate's last layer too: no
gradient reaches them and weight decay leaves zeros alone, so that the weights themselves tell how
many banks there are.

Zhou et al., "CLOSE", ECCV 2022, https://arxiv.org/abs/2207.07868, and the code released with it.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax

from jnas.engine.messages import nearest
from jnas.oneshot.close.gate import HEAD, LAST
from jnas.types import Key, Params

_PUBLISHED = {  # epochs of 1,000
    "cl-24": (1, 201, 401),
    "cl-246": (1, 201, 401, 601),
    "cl-2468": (1, 201, 401, 601, 801),
}
RESTART = 401
"""Epoch, of 1,000, at which the publication lets momentum and plateau begin anew."""

CURRICULA = tuple(_PUBLISHED)
"""Names of the published curricula."""

Inherit = Literal["previous", "random"]
Renew = Literal["last", "head"]
Criterion = Literal["pre", "max"]


class Growth(NamedTuple):
    """Growth of the banks.

    Attributes:
        schedule: epochs at which the banks are opened, one each; the first is 1.
        inherit: the bank whose weights are added to those that a new one is drawn with: the
            "previous" one, a "random" one of those that are open, or None.
        renew: what of the gate is drawn anew where nothing is inherited: its "last" layer, or all
            layers of its "head", without the embedding.
    """

    schedule: tuple[int, ...]
    inherit: Inherit | None = "previous"
    renew: Renew = "last"


def curriculum(name: str, epochs: int = 1000) -> tuple[int, ...]:
    """Epochs at which banks are opened, by the published name, in proportion to the epochs.

    The digits are the hundreds of epochs, of 1,000, after which the second and later banks come.

    Raises:
        ValueError: no such name, or so few epochs that two banks would come at once.
    """
    if name not in _PUBLISHED:
        raise ValueError(f"unknown curriculum {name!r}. {nearest(name, CURRICULA)}")
    made = tuple(scaled(epoch, epochs) for epoch in _PUBLISHED[name])
    check_schedule(made)
    return made


def scaled(epoch: int, epochs: int) -> int:
    """Epoch of a training of `epochs` that is at the same share as `epoch` of 1,000."""
    # Epochs count from 1: the first stays the first in a training of any length.
    return 1 + round((epoch - 1) / 1000 * epochs)


def check_schedule(schedule: Sequence[int]) -> None:
    """ValueError unless the epochs of a curriculum begin with 1 and ascend."""
    values = list(schedule)
    if values[:1] != [1] or values != sorted(set(values)):
        raise ValueError(
            f"a curriculum is ascending epochs, different ones, of which the first is 1; "
            f"got {values}"
        )


def check_growth(made: Growth) -> None:
    """ValueError that names the first value of a growth that is not allowed."""
    check_schedule(made.schedule)
    for field, allowed in (("inherit", get_args(Inherit)), ("renew", get_args(Renew))):
        value = getattr(made, field)
        if value not in allowed and not (field == "inherit" and value is None):
            raise ValueError(f"unknown {field} {value!r}. {nearest(str(value), allowed)}")


def level(schedule: Sequence[int], number: jax.Array) -> jax.Array:
    """Number `[]` int32 of the banks that are open in an epoch."""
    # A count and no loop: the number of the epoch is traced.
    return jnp.sum(jnp.asarray(schedule, jnp.int32) <= number, dtype=jnp.int32)


def opened(params: Params, num: int | jax.Array) -> Params:
    """Weights with zeros in place of all banks but the first `num`."""

    def keep(leaf: jax.Array, axis: int) -> jax.Array:
        # A mask and no slice: the number is traced, and closed banks keep their place.
        is_open = jnp.arange(leaf.shape[axis]) < num
        shape = [-1 if k == axis else 1 for k in range(leaf.ndim)]
        return jnp.where(is_open.reshape(shape), leaf, 0)

    return _map_banks(keep, params)


def grow(
    made: Growth, draw: Callable[[Key], Params], key: Key, number: jax.Array, params: Params
) -> Params:
    """Weights before an epoch: those given, or with one more bank where the curriculum has one.

    Whoever goes on with a training after an epoch has its weights as they were after the epoch: a
    bank is opened once.

    Args:
        made: when, and what new banks begin with.
        draw: of the weights of all banks, as at the beginning.
        key: consumed.
        number: `[]` int32 of the epoch, from 1.
        params: after the epoch before.
    """
    # No conditional where nothing ever grows: it would copy all weights in each epoch.
    if len(made.schedule) == 1:
        return params
    # By the epoch that begins, and not when weights are loaded: the released code opens a bank once
    # more when it goes on from a file of such an epoch.
    rises = jnp.any(number == jnp.asarray(made.schedule[1:], jnp.int32))
    # At least 1, so that the branch is sound in epochs too in which it is computed and thrown away,
    # as `vmap` has it.
    new = jnp.maximum(level(made.schedule, number) - 1, 1)
    grown: Params = lax.cond(
        rises, lambda params: _grown(made, draw, key, new, params), lambda params: params, params
    )
    return grown


def _grown(
    made: Growth, draw: Callable[[Key], Params], key: Key, new: jax.Array, params: Params
) -> Params:
    """Weights whose bank number `new` `[]`, from 0, is opened."""
    draw_key, choice_key = jax.random.split(key)
    # All banks are drawn for the sake of one, a few times in a training: which one it is is traced.
    drawn = draw(draw_key)
    source = new - 1
    if made.inherit == "random":
        # Below `new`: from banks that are open.
        source = jax.random.randint(choice_key, (), 0, new)
    renewed = params if made.inherit is not None else _renewed(made.renew, drawn, new, params)

    def open_one(leaf: jax.Array, axis: int, fresh: jax.Array) -> jax.Array:
        value = jnp.take(fresh, new, axis)
        if made.inherit is not None:
            # The sum of a random bank and a trained one, as published: a copy alone would be the
            # same bank twice, a random one alone a step back for the edges that take it.
            value = value + jnp.take(leaf, source, axis)
        return jnp.moveaxis(jnp.moveaxis(leaf, axis, 0).at[new].set(value), 0, axis)

    return _map_banks(open_one, renewed, drawn)


def _renewed(renew: Renew, drawn: Params, new: jax.Array, params: Params) -> Params:
    """Weights whose gate is partly as drawn; columns of closed banks stay zeros."""
    names = HEAD if renew == "head" else (LAST,)
    # Without the column of the new bank, which `open_one` sets like that of all others.
    fresh = opened(drawn, new)["gate"]
    return params | {"gate": params["gate"] | {name: fresh[name] for name in names}}


def _map_banks(function: Callable[..., jax.Array], params: Params, *others: Params) -> Params:
    """Weights after `function(leaf, axis of the banks, *leaves of the others)` on all banks."""
    stages = [tree["stages"] for tree in (params, *others)]
    last = [tree["gate"][LAST] for tree in (params, *others)]
    of_last = jax.tree.map(lambda leaf, *rest: function(leaf, leaf.ndim - 1, *rest), *last)
    return params | {
        "stages": jax.tree.map(lambda leaf, *rest: function(leaf, 1, *rest), *stages),
        "gate": params["gate"] | {LAST: of_last},
    }


def partition(num_positions: int, num_groups: int, criterion: Criterion = "pre") -> tuple[int, ...]:
    """Last position of each of the contiguous groups that share a block, positions from 1.

    Of spaces of depths: a block is shared by a group of positions, and there are more groups as a
    training goes on. Each new one is the right half of one that is bisected, and inherits from it.

    Args:
        num_positions: that are shared, without the first block of a stage.
        num_groups: how many there are.
        criterion: what is bisected: "pre", the first group of more than one position; "max", the
            first of the largest.

    Raises:
        ValueError: an unknown criterion, or not as many groups as 1 to the positions.
    """
    if criterion not in get_args(Criterion):
        hint = nearest(str(criterion), get_args(Criterion))
        raise ValueError(f"unknown criterion {criterion!r}. {hint}")
    if not 1 <= num_groups <= num_positions:
        raise ValueError(f"num_groups must be in 1 … {num_positions}; got {num_groups}")
    # From one group by bisection, and not from the groups before: a partition of a number of groups
    # is the same whenever it is asked for, and each refines the one of fewer groups.
    ends = [0, num_positions]
    while len(ends) <= num_groups:
        sizes = [b - a for a, b in itertools.pairwise(ends)]
        first = sizes.index(max(sizes)) if criterion == "max" else _first_above_one(sizes)
        # Rounded down, as released: of three positions the left half has one.
        ends.insert(first + 1, (ends[first] + ends[first + 1]) // 2)
    return tuple(ends[1:])


def _first_above_one(sizes: Sequence[int]) -> int:
    """Place of the first size above 1."""
    return next(place for place, size in enumerate(sizes) if size > 1)


def partitions(
    num_positions: int, schedule: dict[int, int], criterion: Criterion = "pre"
) -> dict[int, tuple[int, ...]]:
    """Partitions by the epoch at which they begin; `schedule` is epoch → number of groups.

    Raises:
        ValueError: as for `partition`.
    """
    return {
        epoch: partition(num_positions, num, criterion) for epoch, num in sorted(schedule.items())
    }
