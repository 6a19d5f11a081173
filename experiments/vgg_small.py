"""VGG-small of several widths as a `Network`: a space and a network that are not jnas' own."""

import functools
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from jnas.networks import layers, weights
from jnas.networks.flow import Flow, enter, pooled, show
from jnas.networks.own import own
from jnas.types import Arch, Hooks, Key, Network, Params, Pass, Relu

_GROWTH = (1, 1, 2, 2, 4, 4)  # widths of the layers, in that of the first
_Widths: TypeAlias = tuple[int, ...]


# One object for equal settings: compiled programs are found by the functions in it.
@functools.cache
def network(
    ratios: tuple[float, ...],
    channels: int = 128,
    num_classes: int = 10,
    in_channels: int = 3,
) -> Network:
    """Network of six 3x3 convolutions with batch norm and ReLU, a max-pool after each second one.

    Zhang et al., "LQ-Nets", ECCV 2018, https://arxiv.org/abs/1807.10029, section 5, but that the
    classifier reads means over pixels.

    Args:
        ratios: that all widths are multiplied by; which one is the choice of an architecture.
        channels: of the first layer, for a ratio of 1.
        num_classes: width of the logits.
        in_channels: channels of the images.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, H and W multiples of 8. Nothing is summed,
        so that `Hooks.on_edge` is never called.
    """
    table = [[round(ratio * channels * growth) for growth in _GROWTH] for ratio in ratios]
    widths = tuple(tuple(row) for row in table)
    params = [_num_params(row, num_classes, in_channels) for row in table]
    space = jnas.spaces.product(
        {"width": ratios}, name="vgg_small", params=functools.partial(_chosen, tuple(params))
    )
    settings = (
        ("ratios", ratios),
        ("channels", channels),
        ("num_classes", num_classes),
        ("in_channels", in_channels),
    )
    return Network(
        space,
        functools.partial(_init, tuple(np.max(table, axis=0).tolist()), num_classes, in_channels),
        functools.partial(_apply, widths),
        functools.partial(_forward, widths),
        functools.partial(_present, widths),
        functools.partial(_instantiate, widths),
        functools.partial(own, network, settings, functools.partial(_run_own, widths)),
    )


def _num_params(widths: list[int], num_classes: int, in_channels: int) -> int:
    """Number of trainable parameters."""
    pairs = zip([in_channels, *widths], widths, strict=False)
    return sum(9 * c_in * c_out + 2 * c_out for c_in, c_out in pairs) + num_classes * (
        widths[-1] + 1
    )


def _chosen(values: tuple[Any, ...], arch: Arch) -> jax.Array:
    """Value of the ratio that an architecture has chosen, int32."""
    return jnp.asarray(values, jnp.int32)[arch[0]]


def _init(widths: _Widths, num_classes: int, in_channels: int, key: Key) -> Params:
    """Weights of the widest network (`Network.init`)."""
    pairs = zip([in_channels, *widths], widths, strict=False)
    convs = [
        {"conv": layers.conv_weights(3, c_in, c_out), "norm": layers.norm_weights(c_out)}
        for c_in, c_out in pairs
    ]
    tree = {"convs": convs, "dense": layers.dense_weights(widths[-1], num_classes)}
    return layers.draw(key, tree)


def _masks(widths: tuple[_Widths, ...], arch: Arch) -> list[jax.Array]:
    """Masks of the channels that each layer has, `[C]` bool."""
    chosen, widest = _chosen(widths, arch), np.max(widths, axis=0)
    return [jnp.arange(num, dtype=jnp.int32) < chosen[k] for k, num in enumerate(widest)]


def _present(widths: tuple[_Widths, ...], arch: Arch) -> list[jax.Array]:
    """Masks of the weights (`Network.present`)."""
    masks = [mask.astype(jnp.float32) for mask in _masks(widths, arch)]
    pairs = zip([jnp.ones(1), *masks], masks, strict=False)
    convs = [{"conv": (c_in[:, None] * c_out[None])[None, None]} for c_in, c_out in pairs]
    return weights.kernels({"convs": convs, "dense": {"kernel": masks[-1][:, None]}})


def _instantiate(widths: tuple[_Widths, ...], params: Params, arch: Arch) -> Params:
    """Weights of a width, as if drawn for its number of inputs (`Network.instantiate`)."""
    kernels = [
        # PyTorch's bound is one over the root of the inputs of an output.
        kernel * mask * jnp.sqrt(kernel.shape[-2] / jnp.maximum(_num_inputs(kernel, mask), 1))
        for kernel, mask in zip(weights.kernels(params), _present(widths, arch), strict=True)
    ]
    return weights.with_kernels(params, kernels)


def _num_inputs(kernel: jax.Array, mask: jax.Array) -> jax.Array:
    """Number `[]` of input channels that a mask leaves."""
    return jnp.max(jnp.sum(jnp.broadcast_to(mask, kernel.shape), axis=-2))


def _forward(
    widths: tuple[_Widths, ...],
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    return _run(params, _masks(widths, arch), images, hooks, state)


def _apply(widths: tuple[_Widths, ...], params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(widths, params, arch, images, Hooks(), ()).logits


def _run(
    params: Params, masks: list[jax.Array], images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of layers that have the channels in the masks."""
    flow, one = Flow(images, state, jnp.zeros(())), jnp.ones((), jnp.int32)
    for place, (layer, mask) in enumerate(zip(params["convs"], masks, strict=True)):
        (x, state, norm_sum), layer = enter(flow, layer, hooks)
        x, value = layers.norm_layer(layers.conv_layer(x, layer), layer["norm"], hooks, mask)
        # A channel that is not there would become its bias.
        x = x * mask.astype(x.dtype)[None, None, None]
        state = show(state, Relu(x, mask, one, one), hooks)
        x = jax.nn.relu(x)
        flow = Flow(layers.max_pool2x2(x) if place % 2 else x, state, norm_sum + value)
    (x, state, norm_sum), dense = enter(flow, params["dense"], hooks)
    return Pass(layers.dense_layer(pooled(x, state, hooks), dense), x, state, norm_sum)


def _run_own(
    widths: tuple[_Widths, ...],
    params: Params,
    arch: np.ndarray,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
) -> Pass:
    """Results of the network of one width, which has its own channels alone (`own.Run`)."""
    chosen = widths[arch[0]]
    pairs = zip(params["convs"], [None, *chosen], chosen, strict=False)
    cut = {
        "convs": [weights.narrowed(layer, c_in, c_out) for layer, c_in, c_out in pairs],
        "dense": weights.narrowed(params["dense"], chosen[-1], None),
    }
    return _run(cut, [jnp.ones(num, bool) for num in chosen], images, hooks, state)
