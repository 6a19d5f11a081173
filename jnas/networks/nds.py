"""Image networks of the sizes of NDS, with depths, widths, ratios and groups as an input.

Radosavovic, Johnson, Xie, Lo and Dollár, ICCV 2019, https://arxiv.org/abs/1905.13214, for CIFAR-10:
a stem (3x3 convolution to 16 channels, batch norm, ReLU), three stages of strides 1, 2 and 2, mean
over pixels, dense layer. A block is, by family,

    basic        relu(shortcut(x) + norm(conv3x3(relu(norm(conv3x3(x))))))
    bottleneck   relu(shortcut(x) + norm(conv1x1(relu(norm(conv3x3(relu(norm(conv1x1(x)))))))))
    vanilla      relu(norm(conv3x3(relu(norm(conv3x3(x))))))

where the first block of a stage has the stride in its first 3x3 convolution and, where shapes
differ, a 1x1 convolution with batch norm as its shortcut; it is an identity elsewhere.

*Sizes of a program.* Weights are stored at a width for each stage, of which channels that an
architecture lacks are 0; with one program at the largest widths a network of 16 channels would take
256 times its time. So widths are rounded up to a power of two, and architectures with the same
three (`Network.bucket`) share a program (`Network.within`). Of uniformly drawn widths that adds
half of the products; a program for each three widths would add none, but of ResNet there would be
1,728 of them and not 125. To compile one takes as long as to score three mean networks of the table
of ResNet by NASWOT, or eight of ResNeXt-A (`experiments/bench_nds.py`): where a third of their time
is saved, a program pays from ten networks on, and a few hundred would nearly all have their own.

Depth and ratio are no part of it, because within a program they cost little: a loop over the most
blocks of a stage has a switch that leaves out those that there are not, with one branch a ratio.
What they cost is memory, that of the weights of the most blocks. Groups are a mask of the weights
of the 3x3 convolution, a dense one: up to four groups XLA's convolution of groups takes .6 to 4
times as long on CPUs, and over the sizes of ResNeXt-A the products that the mask takes out are half
of those that are left.

With sizes that are known while tracing, numbers of NumPy, the same code is the program of one
architecture (`Network.own`).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import _nds_weights as stored
from jnas.networks import layers
from jnas.networks._factories import one_object
from jnas.networks._nds_blocks import (
    Stage,
    conv_norm,
    known_stages,
    of_stage,
    padded,
    show_one,
    stages_of,
)
from jnas.networks._nds_weights import Widths
from jnas.networks.flow import Flow, check_images, enter, pooled
from jnas.networks.own import own
from jnas.spaces import nds
from jnas.spaces._nds_records import Family
from jnas.types import Arch, Hooks, Network, Params, Pass


def _run(
    params: Params,
    stages: list[Stage],
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    family: Family,
) -> Pass:
    """Results of the whole network, whose weights have the widths of the stages' masks."""
    # Two stages halve the images.
    check_images(images, params["stem"]["conv"], 4)
    x, value = conv_norm(images, params["stem"], np.ones(nds.STEM, np.float32), hooks, 1)
    state = show_one(state, x, np.ones(nds.STEM, np.float32), 1, hooks)
    x, rest = jax.nn.relu(x), (state, value)
    for part, stage in zip(params["stages"], stages, strict=True):
        x, rest = of_stage(x, rest, part, stage, family, hooks)
    flow, dense = enter(Flow(x, *rest), params["dense"], hooks)
    logits = layers.dense_layer(_pooled(flow.x, flow.state, family, hooks), dense)
    return Pass(logits, flow.x, flow.state, flow.norm_sum)


def _pooled(features: jax.Array, state: Any, family: Family, hooks: Hooks) -> jax.Array:
    """Mean `[N, C]` over pixels, after `Hooks.on_features`, which sees all channels there may be.

    What a hook draws depends on the shape, and must not on the program.
    """
    if hooks.on_features is None:
        return pooled(features, state, hooks)
    wide = padded(features, full_widths(family)[-1])
    return pooled(wide, state, hooks)[:, : features.shape[-1]]


def _forward(
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    *,
    family: Family,
    widths: Widths,
) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Narrower weights than those of the network are a network as well.
    least: Any = tuple(map(min, stored.widths_of(params), widths))
    params = stored.narrowed(params, least)
    return _run(params, stages_of(jnp.asarray(arch), family, least), images, hooks, state, family)


def _apply(
    params: Params, arch: Arch, images: jax.Array, *, family: Family, widths: Widths
) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), (), family=family, widths=widths).logits


def _run_own(
    params: Params, arch: np.ndarray, images: jax.Array, hooks: Hooks, state: Any, *, family: Family
) -> Pass:
    """Results of the network of one architecture (`own.Run`)."""
    stages, widths = known_stages(arch, family)
    return _run(stored.narrowed(params, widths), stages, images, hooks, state, family)


def full_widths(family: Family) -> Widths:
    """Widths of the widest architecture."""
    widest = int(max(dict(family.choices)["ws"]))
    return widest, widest, widest


def _bucket(arch: Arch | np.ndarray, *, family: Family) -> Widths:
    """Widths of the stages, rounded up to powers of two (`Network.bucket`)."""
    choices, array, sizes = dict(family.choices), np.asarray(arch), family.cardinalities
    if array.shape != (len(sizes),) or np.any(array < 0) or np.any(array >= sizes):
        raise ValueError(f"{array.tolist()} is no architecture of {len(sizes)} choices")
    place = list(choices).index("ws")
    chosen = (choices["ws"][one] for one in array.reshape(3, -1)[:, place])
    first, second, third = (1 << (int(width) - 1).bit_length() for width in chosen)
    return first, second, third


def _within(
    widths: Widths, *, name: str, num_classes: int, in_channels: int, affine: bool
) -> Network:
    """Network of the architectures up to some widths (`Network.within`)."""
    return _network(name, widths, num_classes, in_channels, affine)


# One object for equal settings, so that programs are shared.
@functools.cache
def _network(
    name: str, widths: Widths, num_classes: int, in_channels: int, affine: bool
) -> Network:
    """Network of a family whose weights are stored with `widths`."""
    check_at_least_one(num_classes=num_classes, in_channels=in_channels)
    family = nds.FAMILIES[name]
    sizes: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
    drawn = {**sizes, "affine": affine}
    settings = {"name": name, "widths": widths, **drawn}
    static: dict[str, Any] = {"family": family, "widths": widths}
    return Network(
        spaces.by_name(name),
        functools.partial(stored.init, **static, **drawn),
        functools.partial(_apply, **static),
        functools.partial(_forward, **static),
        functools.partial(stored.present, **static),
        functools.partial(stored.instantiate, **static),
        functools.partial(
            own, _network, tuple(settings.items()), functools.partial(_run_own, family=family)
        ),
        bucket=functools.partial(_bucket, family=family),
        within=functools.partial(_within, name=name, **drawn),
    )


def _full(name: str, num_classes: int, in_channels: int, affine: bool) -> Network:
    """Network of all of a family."""
    return _network(name, full_widths(nds.FAMILIES[name]), num_classes, in_channels, affine)


@one_object
def nds_resnet(*, num_classes: int = 10, in_channels: int = 3, affine: bool = True) -> Network:
    """Network of the ResNet family of NDS (Radosavovic et al., ICCV 2019).

    Args:
        num_classes: width of the logits.
        in_channels: channels of the images.
        affine: whether batch norms of the blocks have scale and bias; in supernets they have none.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of 4. `init` draws
        the weights of the deepest and widest architecture, 340 MB of them; `within` those of some
        widths. Convolutions are N(0, 2 / (k² C')), the classifier N(0, 0.01²) without bias.
        `Pass.features` and what hooks see have the channels of the program, those of `own` the true
        ones, but for `Hooks.on_features`. `Hooks.on_block` and `on_edge` are called for the most
        blocks of a stage; of those that there are not, an edge is one that can not be dropped.

    Raises:
        ValueError: a size is less than 1.
    """
    return _full("nds_resnet", num_classes, in_channels, affine)


@one_object
def nds_resnext_a(*, num_classes: int = 10, in_channels: int = 3, affine: bool = True) -> Network:
    """Network of the ResNeXt-A family of NDS; arguments and result are those of `nds_resnet`.

    Weights of a 3x3 convolution are stored without groups, whose mask cuts theirs out.
    """
    return _full("nds_resnext_a", num_classes, in_channels, affine)


@one_object
def nds_resnext_b(*, num_classes: int = 10, in_channels: int = 3, affine: bool = True) -> Network:
    """Network of the ResNeXt-B family of NDS; arguments and result are those of `nds_resnet`.

    Weights of all architectures are 2.2 GB.
    """
    return _full("nds_resnext_b", num_classes, in_channels, affine)


@one_object
def nds_vanilla(*, num_classes: int = 10, in_channels: int = 3, affine: bool = True) -> Network:
    """Network of the Vanilla family of NDS; arguments and result are those of `nds_resnet`."""
    return _full("nds_vanilla", num_classes, in_channels, affine)
