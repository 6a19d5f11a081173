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
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import _nds_weights as stored
from jnas.networks import control, layers, weights
from jnas.networks._factories import one_object
from jnas.networks._nds_weights import Layer, Widths
from jnas.networks.flow import Flow, check_images, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces import nds
from jnas.spaces._nds_records import Family
from jnas.types import Arch, Hooks, Network, Params, Pass, Relu

_Mask: TypeAlias = jax.Array | np.ndarray
"""Channels that exist, `[C]` 0/1 float32; of NumPy, if they all do."""


class _Stage(NamedTuple):
    """Sizes of a stage.

    Attributes:
        depth: `[]` int32, blocks.
        ratio: `[]` int32, place of its ratio among those of the family.
        projects: `[]` int32, 1 where its shortcut is a convolution.
        out: mask of the channels of every block's output.
        inner: mask of those within a block.
        groups: `[C, C]` 0/1 float32, weights of the 3x3 convolution that are within groups.
        stride: of its first block.
    """

    depth: Any
    ratio: Any
    projects: Any
    out: _Mask
    inner: _Mask
    groups: _Mask
    stride: int


def _stages(arch: Arch | np.ndarray, family: Family, widths: Widths) -> list[_Stage]:
    """Stages of an architecture whose weights have `widths`; of NumPy where it is known."""
    found = []
    for number, (width, stride) in enumerate(zip(widths, nds.STRIDES, strict=True)):
        sizes = nds.Stages(*(leaf[number] for leaf in nds.stages_of(jnp.asarray(arch), family)))
        keys = [key for key, _ in family.choices]
        chosen = arch.reshape(len(widths), -1)[number]
        ratio = chosen[keys.index("bot_muls")] if "bot_muls" in keys else np.int32(0)
        widens = (sizes.c_in != sizes.width).astype(jnp.int32)
        found.append(
            _Stage(
                sizes.depth,
                ratio,
                widens if stride == 1 else 1,
                stored.channels(sizes.width, width),
                stored.channels(sizes.inner, width),
                stored.group_mask(sizes.inner, sizes.groups, width),
                stride,
            )
        )
    return found


def _known_stages(arch: np.ndarray, family: Family) -> tuple[list[_Stage], Widths]:
    """Stages of a known architecture at its own widths, which are returned as well."""
    with jax.ensure_compile_time_eval():
        sizes = nds.stages_of(jnp.asarray(arch), family)
        widths: Any = tuple(np.asarray(sizes.width).tolist())
        stages: list[_Stage] = jax.tree.map(np.asarray, _stages(arch, family, widths))
        inner = np.asarray(sizes.inner).tolist()
    return [
        stage._replace(inner=stage.inner[:num], stride=int(stage.stride))
        for stage, num in zip(stages, inner, strict=True)
    ], widths


# --------------------------------------------------------------------------------------------------
# Blocks.


def _masked(x: jax.Array, mask: _Mask) -> jax.Array:
    """Activations `[N, H, W, C]`, 0 in channels that do not exist."""
    return x if control.is_known(mask) else x * mask.astype(x.dtype)[None, None, None]


def _conv_norm(
    x: jax.Array, layer: Params, mask: _Mask, hooks: Hooks, stride: int
) -> tuple[jax.Array, jax.Array]:
    """Output of a convolution and its batch norm, and the value of the norm."""
    x = layers.conv_layer(x, layer, stride)
    x, value = layers.norm_layer(x, layer["norm"], hooks, jnp.asarray(mask > 0))
    return _masked(x, mask), value


def _convolve(
    x: jax.Array,
    layer: Params,
    mask: _Mask,
    groups: _Mask,
    *,
    channels: tuple[int, int],
    padded: int,
    rectified: bool,
    stride: int,
    hooks: Hooks,
) -> tuple[jax.Array, jax.Array]:
    """Output `[N, H', W', padded]` of a convolution of a block between its first `channels`."""
    c_in, c_out = channels
    layer, x = weights.narrowed(layer, c_in, c_out), x[..., :c_in]
    if groups.ndim == 2:
        within = jnp.asarray(groups[:c_in, :c_out], layer["conv"].dtype)
        layer = {**layer, "conv": layer["conv"] * within[None, None]}
    y, value = _conv_norm(jax.nn.relu(x) if rectified else x, layer, mask[:c_out], hooks, stride)
    return _padded(y, padded), value


def _padded(x: jax.Array, width: int) -> jax.Array:
    """Activations `[N, H, W, width]` with zeros behind the channels of `x`."""
    return jnp.pad(x, ((0, 0),) * 3 + ((0, width - x.shape[-1]),))


def _branches(
    kind: Layer, layer: Params, stage: _Stage, family: Family, **how: Any
) -> list[Callable[..., Any]]:
    """Convolution of a block for each ratio, functions of `_convolve`'s arrays."""
    c_in, width = layer["conv"].shape[-2:]
    found: list[Callable[..., Any]] = []
    for ratio in stored.ratios(family):
        inner = int(ratio * width)
        channels = (inner if kind.is_inner[0] else c_in, inner if kind.is_inner[1] else width)
        # All ratios return one shape, but where the ratio is known.
        padded = channels[1] if control.is_known(stage.ratio) else width
        found.append(functools.partial(_convolve, channels=channels, padded=padded, **how))
    return found


def _absent(shape: tuple[int, ...], dtype: Any) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Branch of a convolution of no block: zeros."""
    return lambda *_: (jnp.zeros(shape, dtype), jnp.zeros(()))


def _block(
    x: jax.Array,
    rest: Any,
    block: tuple[Params, Any],
    *,
    stage: _Stage,
    is_first: bool,
    family: Family,
    hooks: Hooks,
) -> tuple[jax.Array, Any]:
    """Output of a block, and state and norm values after it.

    `block` has the weights, and whether it exists, `[]` int32.
    """
    params, exists = block
    flow, params = enter(Flow(x, *rest), params, hooks)
    x, state, norm_sum = flow
    kinds, norms, hidden = stored.block_layers(family), Hooks(norm=hooks.norm), x
    halving = next(name for name, kind in kinds.items() if kind.size == 3)
    for name, kind in kinds.items():
        layer, stride = params[name], stage.stride if is_first and name == halving else 1
        how: dict[str, Any] = {"rectified": name > "a", "stride": stride, "hooks": norms}
        branches = _branches(kind, layer, stage, family, **how)
        mask = stage.inner if kind.is_inner[1] else stage.out
        groups = stage.groups if kind.is_grouped else np.zeros(0, np.float32)
        operands = hidden, layer, mask, groups
        index = stage.ratio
        if not control.is_known(exists):
            shape = jax.eval_shape(branches[-1], *operands)[0].shape
            branches, index = [_absent(shape, x.dtype), *branches], (1 + index) * exists
        hidden, value = control.switch(index, branches, *operands)
        norm_sum += value
        if name < max(kinds):
            state = _show(state, hidden, mask, exists, hooks)
    if stored.has_shortcut(family):
        state, hidden = dropped(state, hidden, exists > 0, hooks)
        bypass, value = _shortcut(x, params, stage, norms) if is_first else (x, jnp.zeros(()))
        hidden, norm_sum = bypass + hidden, norm_sum + value
    elif not control.is_known(exists):
        hidden = jnp.where(exists > 0, hidden, x)
    state = _show(state, hidden, stage.out, exists, hooks)
    # What a block that does not exist is given has been rectified, and is as it was.
    return jax.nn.relu(hidden), (state, norm_sum)


def _shortcut(
    x: jax.Array, params: Params, stage: _Stage, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Shortcut of the first block of a stage, and the value of its norm."""
    width = params["shortcut"]["conv"].shape[-1]
    branches = (
        lambda x, *_: (_padded(x[..., :width], width), jnp.zeros(())),
        functools.partial(_conv_norm, hooks=hooks, stride=stage.stride),
    )
    result: tuple[jax.Array, jax.Array] = control.switch(
        stage.projects, branches, x, params["shortcut"], stage.out
    )
    return result


def _show(state: Any, inputs: jax.Array, mask: _Mask, exists: Any, hooks: Hooks) -> Any:
    """State of the hooks after a tensor that one ReLU reads, which has a path to the logits."""
    num = jnp.asarray(exists).astype(jnp.int32)
    return show(state, Relu(inputs, jnp.asarray(mask > 0), num, num), hooks)


def _of_stage(
    x: jax.Array, rest: Any, params: Params, stage: _Stage, family: Family, hooks: Hooks
) -> tuple[jax.Array, Any]:
    """Output of a stage, and state and norm values after it."""
    step = functools.partial(_block, stage=stage, family=family, hooks=hooks)
    x, rest = step(x, rest, (params["first"], np.int32(1)), is_first=True)
    num = stored.max_depth(family) - 1
    step = functools.partial(step, is_first=False)
    if not control.is_known(stage.depth):
        exists = (jnp.arange(1, num + 1, dtype=jnp.int32) < stage.depth).astype(jnp.int32)
        x, rest = control.scan(step, x, rest, (params["rest"], exists))
        return x, rest
    blocks = control.unstacked(params["rest"], num)
    for block in blocks[: int(stage.depth) - 1]:
        x, rest = step(x, rest, (block, np.int32(1)))
    if stored.has_shortcut(family):
        # As often as in the program of all: what a hook draws must not depend on the program.
        for _ in blocks[int(stage.depth) - 1 :]:
            rest = dropped(rest[0], jnp.zeros_like(x), np.False_, hooks)[0], rest[1]
    return x, rest


# --------------------------------------------------------------------------------------------------
# The network.


def _run(
    params: Params,
    stages: list[_Stage],
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    family: Family,
) -> Pass:
    """Results of the whole network, whose weights have the widths of the stages' masks."""
    # Two stages halve the images.
    check_images(images, params["stem"]["conv"], 4)
    x, value = _conv_norm(images, params["stem"], np.ones(nds.STEM, np.float32), hooks, 1)
    state = _show(state, x, np.ones(nds.STEM, np.float32), 1, hooks)
    x, rest = jax.nn.relu(x), (state, value)
    for part, stage in zip(params["stages"], stages, strict=True):
        x, rest = _of_stage(x, rest, part, stage, family, hooks)
    flow, dense = enter(Flow(x, *rest), params["dense"], hooks)
    logits = layers.dense_layer(_pooled(flow.x, flow.state, family, hooks), dense)
    return Pass(logits, flow.x, flow.state, flow.norm_sum)


def _pooled(features: jax.Array, state: Any, family: Family, hooks: Hooks) -> jax.Array:
    """Mean `[N, C]` over pixels, after `Hooks.on_features`, which sees all channels there may be.

    What a hook draws depends on the shape, and must not on the program.
    """
    if hooks.on_features is None:
        return pooled(features, state, hooks)
    wide = _padded(features, full_widths(family)[-1])
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
    return _run(params, _stages(jnp.asarray(arch), family, least), images, hooks, state, family)


def _apply(
    params: Params, arch: Arch, images: jax.Array, *, family: Family, widths: Widths
) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), (), family=family, widths=widths).logits


def _run_own(
    params: Params, arch: np.ndarray, images: jax.Array, hooks: Hooks, state: Any, *, family: Family
) -> Pass:
    """Results of the network of one architecture (`own.Run`)."""
    stages, widths = _known_stages(arch, family)
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


def _within(widths: Widths, *, name: str, num_classes: int, in_channels: int) -> Network:
    """Network of the architectures up to some widths (`Network.within`)."""
    return _network(name, widths, num_classes, in_channels)


# One object for equal settings, so that programs are shared.
@functools.cache
def _network(name: str, widths: Widths, num_classes: int, in_channels: int) -> Network:
    """Network of a family whose weights are stored with `widths`."""
    check_at_least_one(num_classes=num_classes, in_channels=in_channels)
    family = nds.FAMILIES[name]
    drawn: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
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


def _full(name: str, num_classes: int, in_channels: int) -> Network:
    """Network of all of a family."""
    return _network(name, full_widths(nds.FAMILIES[name]), num_classes, in_channels)


@one_object
def nds_resnet(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of the ResNet family of NDS (Radosavovic et al., ICCV 2019).

    Args:
        num_classes: width of the logits.
        in_channels: channels of the images.

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
    return _full("nds_resnet", num_classes, in_channels)


@one_object
def nds_resnext_a(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of the ResNeXt-A family of NDS; arguments and result are those of `nds_resnet`.

    Weights of a 3x3 convolution are stored without groups, whose mask cuts theirs out.
    """
    return _full("nds_resnext_a", num_classes, in_channels)


@one_object
def nds_resnext_b(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of the ResNeXt-B family of NDS; arguments and result are those of `nds_resnet`.

    Weights of all architectures are 2.2 GB.
    """
    return _full("nds_resnext_b", num_classes, in_channels)


@one_object
def nds_vanilla(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of the Vanilla family of NDS; arguments and result are those of `nds_resnet`."""
    return _full("nds_vanilla", num_classes, in_channels)
