"""Network design spaces: three stages with a depth and a width each, four families.

Radosavovic, Johnson, Xie, Lo and Dollár, "On Network Design Spaces for Visual Recognition", ICCV
2019, https://arxiv.org/abs/1905.13214.

An architecture is `[D]` int32, stage by stage: the places of its depth (in blocks) and its width in
the lists of the family (`FAMILIES`) and, in the ResNeXt families, those of the bottleneck ratio and
of the number of groups; `D` is 6 or 12. Every vector is valid, and no two are the same network.

The network, for CIFAR-10: a 3x3 stem of 16 channels, stages of strides 1, 2 and 2 whose first block
changes stride and width, the mean over pixels, and a dense layer.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.messages import nearest
from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common, _darts_genotypes, _nds_records
from jnas.spaces._darts_spaces import family_of
from jnas.spaces._nds_records import Family
from jnas.types import Arch, Graph, Space

STEM, NUM_CLASSES = 16, 10
STRIDES = (1, 2, 2)
_PIXELS = (32 * 32, 16 * 16, 8 * 8)  # of the maps of each stage

_LIGHT = (
    ("ds", (1, 2, 3, 4, 6, 8, 12, 16, 24)),
    ("ws", (16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)),
)
_DEPTHS, _RATIOS = ("ds", (1, 2, 4, 8, 16)), ("bot_muls", (0.25, 0.5, 1))
FAMILIES = {
    "nds_resnet": Family("res_basic_block", _LIGHT),
    "nds_resnext_a": Family(
        "res_bottleneck_block",
        (_DEPTHS, ("ws", (16, 32, 64, 128, 256)), _RATIOS, ("num_gs", (1, 2, 4))),
    ),
    "nds_resnext_b": Family(
        "res_bottleneck_block",
        (_DEPTHS, ("ws", (64, 128, 256, 512, 1024)), _RATIOS, ("num_gs", (1, 2, 4, 8, 16))),
    ),
    "nds_vanilla": Family("double_plain_block", _LIGHT),
}
"""Blocks and choices of each family, by the name of its space; keys as in published records."""

_WORDS = {"ds": "depth", "ws": "width", "bot_muls": "ratio", "num_gs": "groups"}


class Stages(NamedTuple):
    """Sizes of the stages, `[3]` int32 each.

    Attributes:
        depth: blocks.
        c_in: channels that the first block reads.
        width: channels of every block's output.
        inner: channels of the 3x3 convolution of a bottleneck; `width` in other blocks.
        groups: of that convolution; 1 in other blocks.
    """

    depth: jax.Array
    c_in: jax.Array
    width: jax.Array
    inner: jax.Array
    groups: jax.Array


def stages_of(arch: Arch, family: Family) -> Stages:
    """`Stages` of a vector."""
    _common.check_arch(arch, family.cardinalities)
    chosen = arch.astype(jnp.int32).reshape(len(STRIDES), -1)
    # In quarters, so that ratios are integers, too.
    quarters = {
        key: jnp.asarray(np.array(values) * 4, jnp.int32)[chosen[:, place]]
        for place, (key, values) in enumerate(family.choices)
    }
    depth, width = quarters["ds"] // 4, quarters["ws"] // 4
    one = jnp.full_like(width, 4)
    inner = width * quarters.get("bot_muls", one) // 4
    c_in = jnp.concatenate([jnp.full(1, STEM, jnp.int32), width[:-1]])
    return Stages(depth, c_in, width, inner, quarters.get("num_gs", one) // 4)


class Costs(NamedTuple):
    """Costs of the stages, `[3]` int32 each.

    Attributes:
        weights: of the convolutions.
        norms: channels that are normalised.
        macs: multiply-accumulates for a pixel of the stage's maps.
    """

    weights: jax.Array
    norms: jax.Array
    macs: jax.Array


def _costs(arch: Arch, family: Family) -> Costs:
    """`Costs` of the blocks of a vector."""
    stages = stages_of(arch, family)
    depth, c_in, width = stages.depth, stages.c_in, stages.width
    area = jnp.asarray(np.square(STRIDES), jnp.int32)  # pixels before a stage for each one in it
    if family.block == "res_bottleneck_block":
        inner = stages.inner
        # The first convolution of the stage, 1x1, is before its stride.
        first = c_in * inner
        rest = (depth - 1) * width * inner + depth * (
            9 * inner * inner // stages.groups + inner * width
        )
        norms, macs = depth * (2 * inner + width), area * first + rest
        weights = first + rest
    else:
        weights = macs = 9 * width * (c_in + (2 * depth - 1) * width)
        norms = 2 * depth * width
    if family.block != "double_plain_block":
        # A shortcut is a 1x1 convolution with a norm wherever the identity does not fit.
        projects = (c_in != width) | (area > 1)
        shortcut = jnp.where(projects, c_in * width, 0)
        weights, macs = weights + shortcut, macs + shortcut
        norms += jnp.where(projects, width, 0)
    return Costs(weights, norms, macs)


def _params(arch: Arch, *, family: Family) -> jax.Array:
    """`[]` int32, trainable parameters of the whole network with 10 classes."""
    costs, last = _costs(arch, family), stages_of(arch, family).width[-1]
    stages = jnp.sum(costs.weights + 2 * costs.norms, dtype=jnp.int32)
    return 27 * STEM + 2 * STEM + stages + (last + 1) * NUM_CLASSES


def _flops(arch: Arch, *, family: Family) -> jax.Array:
    """`[]` float, multiply-accumulates for one 32x32x3 image (exact integer, rounded once).

    The published `flops` are larger by the 10 additions of the classifier's bias and by 5 for each
    number that a batch norm returns.
    """
    last = stages_of(arch, family).width[-1:]
    counts = jnp.concatenate([_costs(arch, family).macs, last, jnp.full(1, 27 * STEM, jnp.int32)])
    return _common.weighted_sum(counts, (*_PIXELS, NUM_CLASSES, _PIXELS[0]))


def _code(arch: Arch, *, family: Family) -> jax.Array:
    """`[2]` uint32, the mixed-radix number of the vector, in the low word."""
    return _common.mixed_radix_code(arch, family.cardinalities)


def _operations(family: Family) -> tuple[str, ...]:
    """Names of the operations of the graph's inner nodes: values of the choices, such as width_64.

    A value is the same operation in every stage.
    """
    return tuple(f"{_WORDS[key]}_{value:g}" for key, values in family.choices for value in values)


def _graph(arch: Arch, *, family: Family) -> Graph:
    """`Graph` of a chain input → `D` choices → output; the operation of a node is its value."""
    _common.check_arch(arch, family.cardinalities)
    sizes = [len(values) for _, values in family.choices]
    first = np.tile(1 + np.cumsum([0, *sizes[:-1]]), len(STRIDES))
    inner = arch.astype(jnp.int32) + jnp.asarray(first, jnp.int32)
    return _common.chain_graph(inner, 2 + sum(sizes))


def from_record(net: Any, space: Space) -> np.ndarray:
    """`[D]` int32 of a family from a published record, the `net` of a job.

    Args:
        net: of networks of stages `block_type` and lists whose index 0 is the stem: `ds`, `ws`,
            `ss` and, of ResNeXt, `bot_muls` and `num_gs`; of networks of cells `genotype`, `width`
            and `depth`. Other keys do not count.
        space: one of the four families of stages, or a space of pairs of cells, such as `nasnet()`.

    Raises:
        ValueError: it is no record of that family, index 0 is not the stem, a number is none of
            the choices, or groups do not divide their channels; the message says which.
    """
    cells = family_of(space)
    if cells is not None:
        return _darts_genotypes.from_record(net, cells)
    return _nds_records.from_record(net, _family(space))


def to_record(arch: Arch | np.ndarray, space: Space) -> dict[str, Any]:
    """Record as NDS publishes it of an architecture `[D]` of a family, with the stem of its stages.

    Raises:
        ValueError: a choice is out of range, or the space is no family of NDS.
    """
    cells = family_of(space)
    if cells is not None:
        return _darts_genotypes.to_record(arch, cells)
    return _nds_records.to_record(arch, _family(space))


def _family(space: Space) -> Family:
    """`Family` of stages of a space; ValueError where it is none of NDS."""
    if space.name not in FAMILIES:
        raise ValueError(f"no family of NDS: {space.name!r}. {nearest(space.name, [*FAMILIES])}")
    return FAMILIES[space.name]


def nds_resnet() -> Space:
    """ResNet of NDS, a `Space` of 1,259,712 networks.

    Basic blocks, 9 depths from 1 to 24 and 12 widths from 16 to 256 for each stage.

    Returns:
        A `Space` with `D = 6`. `sample` is uniform; `mutate` gives one position, each with the same
        probability, another of its choices. Texts are `ds=12:12:12,ws=24:24:40`; `from_string`
        takes a published record, the JSON of its `net`, as well.
    """
    return _space("nds_resnet")


def nds_resnext_a() -> Space:
    """ResNeXt-A of NDS, a `Space` of 11,390,625 networks.

    Bottlenecks, for each stage 5 depths from 1 to 16, 5 widths from 16 to 256, a ratio of 1/4, 1/2
    or 1, and 1, 2 or 4 groups in the 3x3 convolution.

    Returns:
        As `nds_resnet`, with `D = 12` and texts such as
        `ds=16:1:4,ws=64:128:16,bot_muls=0.25:0.25:0.25,num_gs=2:1:2`.
    """
    return _space("nds_resnext_a")


def nds_resnext_b() -> Space:
    """ResNeXt-B of NDS, a `Space` of 52,734,375 networks, too many for `enumerate`.

    As `nds_resnext_a`, with widths from 64 to 1024 and 1 to 16 groups.
    """
    return _space("nds_resnext_b")


def nds_vanilla() -> Space:
    """Networks without shortcuts of NDS, a `Space` of 1,259,712.

    As `nds_resnet`, with blocks of two 3x3 convolutions that nothing bypasses.
    """
    return _space("nds_vanilla")


@functools.cache
@pickled_by_call
def _space(name: str) -> Space:
    """Space of one family."""
    family = FAMILIES[name]
    sizes = family.cardinalities
    code = functools.partial(_code, family=family)
    return Space(
        name=name,
        cardinalities=sizes,
        node_operations=("input", *_operations(family), "output"),
        edge_operations=("none", "next"),
        **_common.uniform_moves(sizes),
        identity=code,
        code=code,
        graph=functools.partial(_graph, family=family),
        params=functools.partial(_params, family=family),
        flops=functools.partial(_flops, family=family),
        to_string=functools.partial(_nds_records.to_text, family=family),
        from_string=functools.partial(_nds_records.from_text, family=family),
        enumerate=functools.partial(_common.listed_vectors, sizes),
        # No text form by which files are told apart: it is the same in two and two families.
        usual_column="test_accuracy",
    )
