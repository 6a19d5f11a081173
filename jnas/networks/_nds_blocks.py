"""Stages and blocks of the networks of NDS, with sizes that are known while tracing or not."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import _nds_weights as stored
from jnas.networks import control, layers, weights
from jnas.networks._nds_weights import Layer, Widths
from jnas.networks.flow import Flow, dropped, enter, show
from jnas.spaces import nds
from jnas.spaces._nds_records import Family
from jnas.types import Arch, Hooks, Params, Relu

_Mask: TypeAlias = jax.Array | np.ndarray
"""Channels that exist, `[C]` 0/1 float32; of NumPy, if they all do."""


class Stage(NamedTuple):
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


def stages_of(arch: Arch | np.ndarray, family: Family, widths: Widths) -> list[Stage]:
    """Stages of an architecture whose weights have `widths`; of NumPy where it is known."""
    found = []
    for number, (width, stride) in enumerate(zip(widths, nds.STRIDES, strict=True)):
        sizes = nds.Stages(*(leaf[number] for leaf in nds.stages_of(jnp.asarray(arch), family)))
        keys = [key for key, _ in family.choices]
        chosen = arch.reshape(len(widths), -1)[number]
        ratio = chosen[keys.index("bot_muls")] if "bot_muls" in keys else np.int32(0)
        # Where the stride is 1 an identity fits, unless the width changes.
        widens = (sizes.c_in != sizes.width).astype(jnp.int32)
        found.append(
            Stage(
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


def known_stages(arch: np.ndarray, family: Family) -> tuple[list[Stage], Widths]:
    """Stages of a known architecture at its own widths, which are returned as well."""
    # While a program is traced, too, its sizes must be numbers.
    with jax.ensure_compile_time_eval():
        sizes = nds.stages_of(jnp.asarray(arch), family)
        widths: Any = tuple(np.asarray(sizes.width).tolist())
        stages: list[Stage] = jax.tree.map(np.asarray, stages_of(arch, family, widths))
        inner = np.asarray(sizes.inner).tolist()
    return [
        # A program of its own has no channels that are padding.
        stage._replace(inner=stage.inner[:num], stride=int(stage.stride))
        for stage, num in zip(stages, inner, strict=True)
    ], widths


# --------------------------------------------------------------------------------------------------
# Blocks.


def _masked(x: jax.Array, mask: _Mask) -> jax.Array:
    """Activations `[N, H, W, C]`, 0 in channels that do not exist."""
    return x if control.is_known(mask) else x * mask.astype(x.dtype)[None, None, None]


def conv_norm(
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
    width: int,
    rectified: bool,
    stride: int,
    hooks: Hooks,
) -> tuple[jax.Array, jax.Array]:
    """Output `[N, H', W', width]` of a convolution of a block between its first `channels`."""
    c_in, c_out = channels
    layer, x = weights.narrowed(layer, c_in, c_out), x[..., :c_in]
    # A mask, for XLA is slow at few groups (`networks.nds`).
    if groups.ndim == 2:
        within = jnp.asarray(groups[:c_in, :c_out], layer["conv"].dtype)
        layer = {**layer, "conv": layer["conv"] * within[None, None]}
    y, value = conv_norm(jax.nn.relu(x) if rectified else x, layer, mask[:c_out], hooks, stride)
    return padded(y, width), value


def padded(x: jax.Array, width: int) -> jax.Array:
    """Activations `[N, H, W, width]` with zeros behind the channels of `x`."""
    return jnp.pad(x, ((0, 0),) * 3 + ((0, width - x.shape[-1]),))


def _branches(
    kind: Layer, layer: Params, stage: Stage, family: Family, **how: Any
) -> list[Callable[..., Any]]:
    """Convolution of a block for each ratio, functions of `_convolve`'s arrays."""
    c_in, width = layer["conv"].shape[-2:]
    found: list[Callable[..., Any]] = []
    # A branch each: the size of a slice must be known while tracing.
    for ratio in stored.ratios(family):
        inner = int(ratio * width)
        channels = (inner if kind.is_inner[0] else c_in, inner if kind.is_inner[1] else width)
        # All ratios return one shape, but where the ratio is known.
        most = channels[1] if control.is_known(stage.ratio) else width
        found.append(functools.partial(_convolve, channels=channels, width=most, **how))
    return found


def _absent(shape: tuple[int, ...], dtype: Any) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Branch of a convolution of no block: zeros."""
    return lambda *_: (jnp.zeros(shape, dtype), jnp.zeros(()))


def _switched(
    x: jax.Array,
    params: Params,
    mask: _Mask,
    exists: Any,
    stage: Stage,
    hooks: Hooks,
    *,
    name: str,
    is_first: bool,
    family: Family,
) -> tuple[jax.Array, jax.Array]:
    """Output of the convolution `name` of a block, zeros where it does not exist."""
    kind, layer = stored.block_layers(family)[name], params[name]
    stride = stage.stride if is_first and name == stored.halving_layer(family) else 1
    how: dict[str, Any] = {"rectified": name > "a", "stride": stride, "hooks": hooks}
    branches, index = _branches(kind, layer, stage, family, **how), stage.ratio
    operands = x, layer, mask, stage.groups if kind.is_grouped else np.zeros(0, np.float32)
    if not control.is_known(exists):
        shape = jax.eval_shape(branches[-1], *operands)[0].shape
        # Beyond its depth a stage has blocks that compute nothing.
        branches, index = [_absent(shape, x.dtype), *branches], (1 + index) * exists
    result: tuple[jax.Array, jax.Array] = control.switch(index, branches, *operands)
    return result


def _block(
    x: jax.Array,
    rest: Any,
    block: tuple[Params, Any],
    *,
    stage: Stage,
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
    norms, hidden = Hooks(norm=hooks.norm), x
    for name, kind in stored.block_layers(family).items():
        mask = stage.inner if kind.is_inner[1] else stage.out
        how: dict[str, Any] = {"name": name, "is_first": is_first, "family": family}
        hidden, value = _switched(hidden, params, mask, exists, stage, norms, **how)
        norm_sum += value
        if name != stored.last_layer(family):
            state = show_one(state, hidden, mask, exists, hooks)
    if stored.has_shortcut(family):
        state, hidden = dropped(state, hidden, exists > 0, hooks)
        bypass, value = _shortcut(x, params, stage, norms) if is_first else (x, jnp.zeros(()))
        hidden, norm_sum = bypass + hidden, norm_sum + value
    # Nothing bypasses a block here: one that does not exist must not end the network in zeros.
    elif not control.is_known(exists):
        hidden = jnp.where(exists > 0, hidden, x)
    state = show_one(state, hidden, stage.out, exists, hooks)
    # What a block that does not exist is given has been rectified, and is as it was.
    return jax.nn.relu(hidden), (state, norm_sum)


def _shortcut(
    x: jax.Array, params: Params, stage: Stage, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Shortcut of the first block of a stage, and the value of its norm."""
    width = params["shortcut"]["conv"].shape[-1]
    branches = (
        lambda x, *_: (padded(x[..., :width], width), jnp.zeros(())),
        functools.partial(conv_norm, hooks=hooks, stride=stage.stride),
    )
    result: tuple[jax.Array, jax.Array] = control.switch(
        stage.projects, branches, x, params["shortcut"], stage.out
    )
    return result


def show_one(state: Any, inputs: jax.Array, mask: _Mask, exists: Any, hooks: Hooks) -> Any:
    """State of the hooks after a tensor that one ReLU reads, which has a path to the logits."""
    num = jnp.asarray(exists).astype(jnp.int32)
    return show(state, Relu(inputs, jnp.asarray(mask > 0), num, num), hooks)


def of_stage(
    x: jax.Array, rest: Any, params: Params, stage: Stage, family: Family, hooks: Hooks
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
