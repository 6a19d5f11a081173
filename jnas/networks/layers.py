"""Layers as functions of their weights, with PyTorch's defaults.

Images are `[N, H, W, C]`. Convolutions pad symmetrically by half their kernel, whatever the stride.
Batch norm uses the statistics of the batch, the "train mode" in which zero-shot scores are taken.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.networks.convolution import conv
from jnas.networks.depthwise import depthwise
from jnas.types import Hooks, Key, Params


class Uniform(NamedTuple):
    """Weights yet to be drawn, `shape` of U(-bound, bound)."""

    shape: tuple[int, ...]
    bound: float


class Normal(NamedTuple):
    """Weights yet to be drawn, `shape` of N(0, deviation²)."""

    shape: tuple[int, ...]
    deviation: float


def draw(key: Key, tree: Params) -> Params:
    """Tree with weights in place of every `Uniform` and `Normal`.

    Those of a kind are cut from one flat draw: each draw is compiled on its own, so one for all
    layers compiles several times as fast.
    """
    # Named tuples are trees to JAX, unless it is told that these are leaves.
    leaves, structure = jax.tree.flatten(
        tree, is_leaf=lambda leaf: isinstance(leaf, Uniform | Normal)
    )
    leaves = _drawn(
        leaves, Uniform, lambda num: jax.random.uniform(key, (num,), minval=-1.0, maxval=1.0)
    )
    # A key of its own: from the same one, both kinds would be made of the same random bits.
    leaves = _drawn(
        leaves, Normal, lambda num: jax.random.normal(jax.random.fold_in(key, 1), (num,))
    )
    return jax.tree.unflatten(structure, leaves)


def _drawn(leaves: list[Any], kind: type[Any], sample: Callable[[int], jax.Array]) -> list[Any]:
    """Leaves with weights in place of those of one kind; the others are left as they are."""
    sizes = [math.prod(leaf.shape) if isinstance(leaf, kind) else 0 for leaf in leaves]
    if not any(sizes):
        return leaves
    flat, starts = sample(sum(sizes)), itertools.accumulate(sizes, initial=0)
    return [
        # leaf[1] is the bound or the deviation; `starts` ends with the total, one more than leaves.
        leaf[1] * flat[start : start + size].reshape(leaf.shape) if isinstance(leaf, kind) else leaf
        for leaf, start, size in zip(leaves, starts, sizes, strict=False)
    ]


def conv_weights(size: int, c_in: int, c_out: int, batch: tuple[int, ...] = ()) -> Uniform:
    """Weights `batch + [size, size, c_in, c_out]` of PyTorch's default, U(±1/√fan_in)."""
    return Uniform((*batch, size, size, c_in, c_out), (size * size * c_in) ** -0.5)


def norm_weights(channels: int, batch: tuple[int, ...] = ()) -> dict[str, jax.Array]:
    """Batch-norm γ = 1 and β = 0: `batch + [channels]` each."""
    shape = (*batch, channels)
    return {"scale": jnp.ones(shape), "bias": jnp.zeros(shape)}


def dense_weights(c_in: int, c_out: int) -> dict[str, Uniform]:
    """Weight `[c_in, c_out]` and bias `[c_out]` of PyTorch's linear layer, both U(±1/√c_in)."""
    return {"kernel": Uniform((c_in, c_out), c_in**-0.5), "bias": Uniform((c_out,), c_in**-0.5)}


def conv_layer(x: jax.Array, weights: Params, stride: int = 1) -> jax.Array:
    """Convolution with `weights["conv"]`, then `gain`, `bias` and `probe` where there are any.

    Gains and probes are those of `weights.with_extras`.
    """
    return finished(conv(x, weights["conv"], stride), weights)


def halving_layer(x: jax.Array, weights: Params) -> jax.Array:
    """1x1 convolution `[N, H/2, W/2, C']` of even sizes that reads two pixels of four.

    Half of its channels read the first pixel of each block of four and half the last (factorised
    reduction of DARTS).
    """
    kernel = weights["conv"]
    half = kernel.shape[-1] // 2
    first, last = (
        conv(x[:, ::2, ::2], kernel[..., :half]),
        conv(x[:, 1::2, 1::2], kernel[..., half:]),
    )
    return finished(jnp.concatenate([first, last], axis=-1), weights)


def depthwise_layer(x: jax.Array, weights: Params, stride: int = 1, dilation: int = 1) -> jax.Array:
    """Convolution of each channel by itself with `weights["conv"]` `[k, k, 1, C]`."""
    return finished(depthwise(x, weights["conv"], stride, dilation), weights)


def dense_layer(x: jax.Array, weights: Params) -> jax.Array:
    """Product `[N, C']` of `[N, C]` and `weights["kernel"]`; extras as for `conv_layer`."""
    return finished(x @ weights["kernel"], weights)


def finished(y: jax.Array, weights: Params) -> jax.Array:
    """Output `[N, ..., C]` of a layer after its gain, bias and probe, where there are any."""
    # Before the bias, so that a gain is a factor of the weights: `passes` and `synflow` rely on it.
    if "gain" in weights:
        y = y * weights["gain"]
    if "bias" in weights:
        y = y + weights["bias"].reshape((1,) * (y.ndim - 1) + (-1,))
    return _probed(y, weights["probe"]) if "probe" in weights else y


@jax.custom_vjp
def _probed(y: jax.Array, probe: jax.Array) -> jax.Array:
    """Identity of `y` `[N, ..., C]`; `probe` `[N, C]` has the gradient Σ over pixels of y ∂L/∂y."""
    # A probe has no value to add: its gradient hands out what only the backward pass has at hand.
    del probe
    return y


def _probed_bwd(y: jax.Array, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradients of `y`, which is `grad` itself, and of the probe."""
    return grad, jnp.sum(y * grad, axis=tuple(range(1, y.ndim - 1)))


_probed.defvjp(lambda y, _: (y, y), _probed_bwd)


def batch_norm(x: jax.Array, norm: dict[str, jax.Array], eps: float = 1e-5) -> jax.Array:
    """Batch norm of `[N, H, W, C]` by the batch's own mean and biased variance.

    Where `norm` holds `mean` and `var` `[C]`, by these: an image then gives the same alone as in
    any batch (`networks.with_statistics`). Where it holds `moments` `[2, C]`, their gradient is the
    mean and the biased variance of the batch, whatever the loss (`networks.with_moments`).

    It also holds `scale` and `bias` `[C]`, or neither. PyTorch and NAS-Bench-101 have this epsilon.
    """
    if "mean" in norm:
        mean, variance = norm["mean"], norm["var"]
    else:
        # Sums of numbers of 16 bits would lose what a variance is made of.
        wide = x.astype(_wide(x))
        # Axes are spelled out, so that programs run where JAX refuses to promote ranks.
        mean, variance = jnp.mean(wide, axis=(0, 1, 2)), jnp.var(wide, axis=(0, 1, 2))
    y = _normalised(x, mean, variance, norm, eps)
    return _handing_out(y, norm["moments"], mean, variance) if "moments" in norm else y


def _wide(x: jax.Array) -> Any:
    """Type of `x`, of 32 bits where it has fewer."""
    return x.dtype if x.dtype.itemsize > 2 else jnp.float32


def _normalised(
    x: jax.Array, mean: jax.Array, variance: jax.Array, norm: dict[str, jax.Array], eps: float
) -> jax.Array:
    """Images `[N, H, W, C]` by mean and variance `[C]`, then scale and bias if there are any."""
    # Of 32 bits at least, as the statistics are; the compiler makes one loop of all of it.
    kind = _wide(x)
    scale = lax.rsqrt(variance + eps).astype(kind)
    # Both factors of a channel at once: one product a pixel.
    scale = norm["scale"].astype(kind) * scale if "scale" in norm else scale
    y = (x.astype(kind) - mean.astype(kind)[None, None, None]) * scale[None, None, None]
    y = y + norm["bias"].astype(kind)[None, None, None] if "bias" in norm else y
    return y.astype(x.dtype)


@jax.custom_vjp
def _handing_out(
    y: jax.Array, moments: jax.Array, mean: jax.Array, variance: jax.Array
) -> jax.Array:
    """Identity of `y`; the gradient of `moments` `[2, C]` is mean and variance `[C]`."""
    # As a probe: a training has the moments of all layers with its gradients, through loops and
    # switches, and without a second output of each block.
    del moments, mean, variance
    return y


_handing_out.defvjp(
    lambda y, moments, mean, variance: (y, (mean, variance, moments)),
    lambda saved, grad: (
        grad,
        jnp.stack(saved[:2]).astype(saved[2].dtype),
        jnp.zeros_like(saved[0]),
        jnp.zeros_like(saved[1]),
    ),
)


def norm_layer(
    x: jax.Array, norm: Params, hooks: Hooks, channels: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Batch norm of `[N, H, W, C]`, or what the hooks have in its place, and its value `[]`.

    `channels` `[C]` bool are those that exist; None is all. Without a hook the value is 0.
    """
    if hooks.norm is None:
        return batch_norm(x, norm), jnp.zeros(())
    return hooks.norm(x, norm, jnp.ones(x.shape[-1], bool) if channels is None else channels)


@jax.custom_vjp
def avg_pool3x3(x: jax.Array) -> jax.Array:
    """Average pool of 3x3, stride 1, padding 1, over the pixels inside (count_include_pad=False).

    Two passes of three shifted sums, which on CPU beat a reduction over windows
    (`experiments/bench_zeroshot.py`); the gradient is the same sum of the divided gradients.
    """
    return _sum3x3(x) * _share(x)


def _sum3x3(x: jax.Array) -> jax.Array:
    """Sum `[N, H, W, C]` of each pixel's 3x3 neighbours, 0 beyond the border."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :height] + padded[:, 1 : height + 1] + padded[:, 2:]
    return rows[:, :, :width] + rows[:, :, 1 : width + 1] + rows[:, :, 2:]


def _share(x: jax.Array) -> jax.Array:
    """Share `[1, H, W, 1]` of each pixel among those of the nine neighbours that are inside."""
    _, height, width, _ = x.shape
    num = (_inside(height)[:, None] * _inside(width)[None, :])[None, :, :, None]
    return (1 / num).astype(x.dtype)


# The sum is its own transpose, as the window is symmetric. The gradient divides before it sums,
# for the divisor is that of the pixel that was put out.
avg_pool3x3.defvjp(
    lambda x: (_sum3x3(x) * _share(x), None),
    lambda _, grad: (_sum3x3(grad * _share(grad)),),
)


def _inside(length: int) -> jax.Array:
    """Number `[length]` of the three neighbours of each position that exist."""
    ones = jnp.pad(jnp.ones(length), 1)
    return ones[:length] + ones[1 : length + 1] + ones[2:]


def avg_pool2x2(x: jax.Array) -> jax.Array:
    """Average pool of 2x2, stride 2, no padding: `[N, H, W, C]`, even, to `[N, H/2, W/2, C]`."""
    n, height, width, channels = x.shape
    return jnp.mean(x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def max_pool3x3(x: jax.Array) -> jax.Array:
    """Max-pool of 3x3, stride 1, over the pixels inside; of equal ones, one gets the gradient.

    Shifted maxima of rows, then of columns: the gradient of a reduction over windows is ten times
    as slow on CPUs.
    """
    _, height, width, _ = x.shape
    # Zeros would win over pixels below 0.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    rows = _larger(padded[:, 1 : height + 1], _larger(padded[:, :height], padded[:, 2:]))
    return _larger(rows[:, :, 1 : width + 1], _larger(rows[:, :, :width], rows[:, :, 2:]))


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """Max-pool of `size` x `size`, odd, stride 1, over the pixels inside."""
    # Maxima of maxima: two windows of 3 are one of 5, and three are one of 7.
    for _ in range(size // 2):
        x = max_pool3x3(x)
    return x


def _larger(x: jax.Array, y: jax.Array) -> jax.Array:
    """Maximum of two arrays; where they are equal all of the gradient goes to `x`."""
    # To share the gradient, as `jnp.maximum` does, takes twice the time.
    return jnp.where(y > x, y, x)


def max_pool2x2(x: jax.Array) -> jax.Array:
    """Max-pool of 2x2, stride 2, no padding, of even sizes; equal pixels share the gradient."""
    n, height, width, channels = x.shape
    rows = x.reshape(n, height // 2, 2, width, channels)
    columns = _shared_larger(rows[:, :, 0], rows[:, :, 1])
    columns = columns.reshape(n, height // 2, width // 2, 2, channels)
    return _shared_larger(columns[:, :, :, 0], columns[:, :, :, 1])


def max_pool2x2_padded(x: jax.Array) -> jax.Array:
    """Max-pool of 2x2, stride 2, padding 1: `[N, H, W, C]` to `[N, H // 2 + 1, W // 2 + 1, C]`."""
    _, height, width, _ = x.shape
    # Below the last row of an odd size a window would have it and nothing besides: it is cut off.
    pads = [(1, 1 - size % 2) for size in (height, width)]
    lowest = jnp.full((), -jnp.inf, x.dtype)
    return max_pool2x2(jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=lowest))


@jax.custom_jvp
def _shared_larger(x: jax.Array, y: jax.Array) -> jax.Array:
    """Maximum of two arrays; where they are equal each gets half of the gradient."""
    return jnp.where(y > x, y, x)


# By comparing the two. JAX asks which of them equals the maximum: of values that are computed again
# for the gradient, in another loop and with other roundings, neither may.
@_shared_larger.defjvp
def _shared_larger_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x, y), (of_x, of_y) = primals, tangents
    larger = jnp.where(y > x, of_y, of_x)
    return _shared_larger(x, y), jnp.where(x == y, (of_x + of_y) / 2, larger)
