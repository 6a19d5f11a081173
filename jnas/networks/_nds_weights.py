"""Weights of the networks of NDS: those of all, those of one architecture, and how they are drawn.

Weights are stored at a width for each stage, blocks after the first of a stage stacked to the most
that there can be. What a weight is drawn as depends on its place in its layer alone, and not on
what else is stored: those of narrow networks are the first of those of wide ones.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import layers, weights
from jnas.networks.layers import Normal
from jnas.spaces import nds
from jnas.spaces._nds_records import Family
from jnas.types import Arch, Key, Params

Widths: TypeAlias = tuple[int, int, int]
"""Channels that weights are stored with, of each stage."""

_PIECE = 16  # neighbouring outputs that are drawn together; divides all widths
_BASES = (2**5, 2**2, 2**2, 2**10, 2**6)  # most of each axis of a layer that is drawn by pieces


class Layer(NamedTuple):
    """Convolution of a block: size of its kernel and whether it reads or gives inner channels."""

    size: int
    is_inner: tuple[bool, bool]
    is_grouped: bool = False


def block_layers(family: Family) -> dict[str, Layer]:
    """Convolutions of a block by name, in their order; the first of 3x3 has the stride."""
    if family.block == "res_bottleneck_block":
        grouped = Layer(3, (True, True), is_grouped=True)
        return {"a": Layer(1, (False, True)), "b": grouped, "c": Layer(1, (True, False))}
    return {"a": Layer(3, (False, False)), "b": Layer(3, (False, False))}


def last_layer(family: Family) -> str:
    """Name of the last convolution of a block."""
    return max(block_layers(family))


def halving_layer(family: Family) -> str:
    """Name of the convolution that has the stride of a block, the first of 3x3."""
    return next(name for name, kind in block_layers(family).items() if kind.size == 3)


def ratios(family: Family) -> tuple[float, ...]:
    """Ratios of the inner channels to the width that a stage chooses from."""
    return dict(family.choices).get("bot_muls", (1.0,))


def max_depth(family: Family) -> int:
    """Most blocks of a stage."""
    return int(max(dict(family.choices)["ds"]))


# --------------------------------------------------------------------------------------------------
# Of all architectures.


def init(
    key: Key,
    *,
    family: Family,
    widths: Widths,
    num_classes: int,
    in_channels: int,
    affine: bool,
) -> Params:
    """Weights of all architectures up to `widths` (`Network.init`)."""
    sizes = zip((nds.STEM, *widths[:-1]), widths, strict=True)
    tree = {
        "stem": _conv_norm(3, in_channels, nds.STEM),
        "stages": [_stage(family, c_in, width, affine) for c_in, width in sizes],
        "dense": {
            "kernel": Normal((widths[-1], num_classes), 0.01),
            "bias": jnp.zeros(num_classes),
        },
    }
    return _drawn(key, tree)


def _stage(family: Family, c_in: int, width: int, affine: bool) -> Params:
    """Weights of a stage: its first block, and the others stacked."""
    others = (max_depth(family) - 1,)
    first = _convs(family, c_in, width, affine)
    rest = _convs(family, width, width, affine, others)
    if has_shortcut(family):
        first["shortcut"] = _conv_norm(1, c_in, width, affine=affine)
    return {"first": first, "rest": rest}


def has_shortcut(family: Family) -> bool:
    """Whether something bypasses the convolutions of a block."""
    return family.block != "double_plain_block"


def _convs(
    family: Family, c_in: int, width: int, affine: bool, stack: tuple[int, ...] = ()
) -> Params:
    """Weights of the convolutions of a block; inner channels are as many as the width."""
    return {
        name: _conv_norm(kind.size, width if name > "a" else c_in, width, stack, affine)
        for name, kind in block_layers(family).items()
    }


def _conv_norm(
    size: int, c_in: int, c_out: int, stack: tuple[int, ...] = (), affine: bool = True
) -> Params:
    """Convolution of N(0, 2 / (k² C')) and its batch norm; groups change nothing."""
    deviation = math.sqrt(2 / (size * size * c_out))
    return {
        "conv": Normal((*stack, size, size, c_in, c_out), deviation),
        "norm": layers.norm_weights(c_out, stack) if affine else {},
    }


def _drawn(key: Key, tree: Params) -> Params:
    """Tree with weights in place of every `Normal`, each by its place in its layer."""
    leaves, structure = jax.tree.flatten(tree, is_leaf=lambda leaf: isinstance(leaf, Normal))
    found = list(leaves)
    numbers = [number for number, leaf in enumerate(leaves) if isinstance(leaf, Normal)]
    places = [_places(leaves[number].shape) for number in numbers]
    # By the number of the layer, which is the same in trees of all widths.
    of_layers = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(numbers))
    # One draw for all layers: each is compiled on its own.
    keys = jnp.concatenate(
        [jnp.broadcast_to(of_layers[n], (len(part),)) for n, part in enumerate(places)]
    )
    keys = jax.vmap(jax.random.fold_in)(keys, jnp.concatenate(places))
    drawn = jax.vmap(lambda one: jax.random.normal(one, (_PIECE,)))(keys)
    ends = np.cumsum([len(part) for part in places])[:-1]
    for number, part in zip(numbers, jnp.split(drawn, ends), strict=True):
        shape, deviation = leaves[number]
        whole = part.reshape(*shape[:-1], -1)[..., : shape[-1]]
        found[number] = deviation * whole
    return jax.tree.unflatten(structure, found)


def _places(shape: tuple[int, ...]) -> jax.Array:
    """Numbers `[M]` uint32 of pieces of neighbouring outputs of a layer, or of stacked ones.

    They do not depend on how many inputs, outputs and stacked layers there are.
    """
    # A digit for each axis: stacked layers, rows, columns, inputs, and pieces of the outputs.
    sizes = (*(1,) * (5 - len(shape)), *shape[:-1], -(-shape[-1] // _PIECE))
    total = jnp.zeros(sizes, jnp.uint32)
    for axis, (size, base) in enumerate(zip(sizes, _BASES, strict=True)):
        shape_of = (*(1,) * axis, size, *(1,) * (4 - axis))
        digit = jnp.arange(size, dtype=jnp.uint32).reshape(shape_of)
        total = total * jnp.uint32(base) + digit
    return total.reshape(-1)


# --------------------------------------------------------------------------------------------------
# Of one architecture.


def channels(count: Any, width: int) -> jax.Array:
    """Mask `[width]` 0/1 float32 of the first `count` channels."""
    exists: jax.Array = jnp.arange(width, dtype=jnp.int32) < count
    return exists.astype(jnp.float32)


def group_mask(inner: Any, groups: Any, width: int) -> jax.Array:
    """Mask `[width, width]` 0/1 float32 of the weights within the groups of the inner channels."""
    number: jax.Array = jnp.arange(width, dtype=jnp.int32) // (inner // groups)
    return (number[:, None] == number[None]).astype(jnp.float32)


def present(arch: Arch, *, family: Family, widths: Widths) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""
    masks: list[jax.Array] = weights.kernels(_owned(arch, family, widths))
    return masks


def instantiate(params: Params, arch: Arch, *, family: Family, widths: Widths) -> Params:
    """Weights of `arch` with the deviations of its widths; 0 elsewhere (`Network.instantiate`)."""
    factors: list[jax.Array] = []

    def add(layer: dict[str, Any], name: str) -> dict[str, Any]:
        factors.append(layer[name] * layer["scale"])
        return layer

    weights.map_layers(add, _owned(arch, family, widths))
    pairs = zip(weights.kernels(params), factors, strict=True)
    return weights.with_kernels(params, [w * factor.astype(w.dtype) for w, factor in pairs])


def _owned(arch: Arch, family: Family, widths: Widths) -> Params:
    """Mask of each layer as its weights, and the factor `scale` of their deviation."""
    sizes = nds.stages_of(arch, family)
    one = jnp.ones((1, 1, 1, 1))
    stages = [
        _owned_stage(nds.Stages(*(leaf[n] for leaf in sizes)), family, c_in, width, n > 0)
        for n, (c_in, width) in enumerate(zip((nds.STEM, *widths), widths, strict=False))
    ]
    last = channels(sizes.width[-1], widths[-1])
    return {
        "stem": {"conv": one, "scale": one},
        "stages": stages,
        "dense": {"kernel": last[:, None], "scale": jnp.ones(())},
    }


def _owned_stage(sizes: nds.Stages, family: Family, c_in: int, width: int, halves: bool) -> Params:
    """Masks and factors of the layers of a stage, stored with `c_in` and `width` channels."""
    read, out = channels(sizes.c_in, c_in), channels(sizes.width, width)
    inner = channels(sizes.inner, width)
    exists = channels(sizes.depth - 1, max_depth(family) - 1)

    def layer(reads: jax.Array, gives: jax.Array, count: jax.Array) -> Params:
        # The deviation is that of the layer's own outputs.
        return {"conv": (reads[:, None] * gives[None])[None, None], "scale": _factor(width, count)}

    def convs(first: jax.Array) -> Params:
        found = {}
        for name, kind in block_layers(family).items():
            reads = inner if kind.is_inner[0] else out if name > "a" else first
            gives, count = (inner, sizes.inner) if kind.is_inner[1] else (out, sizes.width)
            found[name] = layer(reads, gives, count)
            if kind.is_grouped:
                found[name]["conv"] *= group_mask(sizes.inner, sizes.groups, width)[None, None]
        return found

    first, rest = convs(read), convs(out)
    if has_shortcut(family):
        # Between equal sizes it is an identity.
        projects = jnp.float32(halves) if halves else (sizes.c_in != sizes.width)
        first["shortcut"] = layer(read * jnp.asarray(projects, jnp.float32), out, sizes.width)
    for owned in rest.values():
        owned["conv"] = owned["conv"][None] * exists[:, None, None, None, None]
    return {"first": first, "rest": rest}


def _factor(width: int, count: jax.Array) -> jax.Array:
    """Factor `[]` of weights that were drawn for `width` outputs and have `count`."""
    return jnp.sqrt(width / count)


# --------------------------------------------------------------------------------------------------
# Of narrower stages.


def widths_of(params: Params) -> Widths:
    """Widths that weights are stored with."""
    first, second, third = (stage["rest"]["a"]["conv"].shape[-1] for stage in params["stages"])
    return first, second, third


def narrowed(params: Params, widths: Widths) -> Params:
    """Weights cut to widths; as they are where they have them already."""
    if widths_of(params) == widths:
        return params
    c_ins = (nds.STEM, *widths[:-1])
    stages = [
        {
            "first": _narrowed_block(stage["first"], c_in, width),
            # One block at a time: leading axes of stacked ones are none of channels.
            "rest": jax.vmap(lambda block, w=width: _narrowed_block(block, w, w))(stage["rest"]),
        }
        for stage, c_in, width in zip(params["stages"], c_ins, widths, strict=True)
    ]
    dense = weights.narrowed(params["dense"], widths[-1], None)
    return {**params, "stages": stages, "dense": dense}


def _narrowed_block(block: Params, c_in: int, width: int) -> Params:
    """Weights of a block cut to its channels."""
    return {
        name: weights.narrowed(layer, c_in if name in ("a", "shortcut") else width, width)
        for name, layer in block.items()
    }
