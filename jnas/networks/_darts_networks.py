"""Networks of pairs of cells: of one size, or of sizes that an architecture chooses from.

Where width or depth are choices, no two sizes share a weight, as in the study of design spaces:
each has a network of its own (`Network.within`), the same as that of the size alone but for the
vectors that it takes. The whole has no weights, and no program.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Never, TypeAlias

import numpy as np

from jnas.engine.inputs import check_at_least_one
from jnas.networks import _darts_forward as passes
from jnas.networks import _darts_weights as weights
from jnas.networks.own import own
from jnas.spaces._darts_cells import Family, chosen_sizes
from jnas.spaces._darts_spaces import named
from jnas.types import Arch, Network, Space

Size: TypeAlias = tuple[int, int]
"""Channels of the first cell, and cells of a network."""


class _Whole(NamedTuple):
    """What the networks of all sizes share; `settings` are the arguments of `factory`."""

    factory: Callable[..., Network]
    space: Space
    family: Family
    settings: tuple[tuple[str, Any], ...]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Sizes that there are, the smallest first."""
        return tuple(itertools.product(self.family.channels, self.family.layers))


def network_of(
    factory: Callable[..., Network], space: Space, family: Family, settings: dict[str, Any]
) -> Network:
    """Network of a space of pairs of cells.

    Args:
        factory: what makes it.
        space: of its architectures.
        family: of the cells; channels and layers are those of the settings.
        settings: arguments of the factory.

    Raises:
        ValueError: a size is less than 1, or channels are odd.
    """
    check_at_least_one(**{name: settings[name] for name in ("num_classes", "in_channels")})
    family = named(family, settings["channels"], settings["layers"])
    for channels, num_cells in itertools.product(family.channels, family.layers):
        check_at_least_one(channels=channels, layers=num_cells)
        if channels % 2:
            raise ValueError(f"channels must be even; got {channels}")
    whole = _Whole(factory, space, family, tuple(settings.items()))
    if family.free:
        return _of_sizes(whole)
    return _built(whole, whole.sizes[0], factory, whole.settings)


def choices(settings: dict[str, Any]) -> dict[str, Any]:
    """Channels and layers for a space that has choices of them; none where both are fixed."""
    sizes = {name: settings[name] for name in ("channels", "layers")}
    return {} if all(isinstance(size, int) for size in sizes.values()) else sizes


def _built(whole: _Whole, size: Size, maker: Callable[..., Network], arguments: Any) -> Network:
    """Network of one size, which `maker` makes again of its keyword arguments, pairs."""
    given = dict(whole.settings)
    static: dict[str, Any] = {"family": whole.family, "channels": size[0], "num_cells": size[1]}
    head = {"auxiliary": given["auxiliary"]}
    drawn = {
        name: given[name] for name in ("num_classes", "in_channels", "affine", "pool_norm")
    } | head
    return Network(
        whole.space,
        functools.partial(weights.init, **static, **drawn),
        functools.partial(passes.apply, **static),
        functools.partial(passes.forward, **static),
        functools.partial(weights.present, **static, **head),
        functools.partial(weights.instantiate, **static, **head),
        functools.partial(own, maker, arguments, functools.partial(passes.run, **static)),
    )


# --------------------------------------------------------------------------------------------------
# Of several sizes.


def _of_sizes(whole: _Whole) -> Network:
    """Network of all sizes, which has a bucket for each."""
    refused = functools.partial(_refused, whole)
    return Network(
        whole.space,
        init=refused,
        apply=refused,
        forward=refused,
        present=refused,
        instantiate=refused,
        own=functools.partial(_own, whole),
        bucket=functools.partial(chosen_sizes, whole.family),
        within=functools.partial(_within, whole, whole.sizes),
    )


def _refused(whole: _Whole, *args: Any, **options: Any) -> Never:
    """ValueError of a function that all sizes would have to have in common."""
    del args, options
    first = whole.sizes[0]
    raise ValueError(
        f"{whole.space.name} has networks of {len(whole.sizes)} sizes, whose weights have nothing "
        "in common. population.score takes them size by size, and so does training.train, where "
        "several at once need weights=False; network.within(network.bucket(arch)), here such as "
        f"within({first}), is that of one size. Supernets and searches within one program "
        "take a network of one number of channels= and of layers="
    )


def _own(whole: _Whole, arch: Arch | np.ndarray) -> Network:
    """Network of one architecture (`Network.own`)."""
    return _of_size(whole=whole, size=chosen_sizes(whole.family, arch)).own(arch)


def _within(whole: _Whole, allowed: tuple[Size, ...], sizes: Size) -> Network:
    """Network of one size (`Network.within`)."""
    if tuple(sizes) not in allowed:
        known = ", ".join(map(str, allowed))
        raise ValueError(f"no network has {tuple(sizes)} channels and layers here, but {known}")
    return _of_size(whole=whole, size=tuple(sizes))


# One object for equal sizes, so that programs are shared; called by keywords, which are its key.
@functools.cache
def _of_size(*, whole: _Whole, size: Size) -> Network:
    """Network of one size, whose weights are drawn as if there were no others."""
    made = _built(whole, size, _of_size, (("whole", whole), ("size", size)))
    # Architectures of another size are told apart, and not computed as if they had this one.
    return made._replace(
        bucket=functools.partial(chosen_sizes, whole.family),
        within=functools.partial(_within, whole, (size,)),
    )
