"""Layers as functions of their weights, with PyTorch's defaults.

Images are `[N, H, W, C]`. Convolutions pad symmetrically by half their kernel, whatever the stride. Batch
normalisation uses the statistics of the batch (the "train mode" in which zero-shot scores are taken).
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jnas.networks import grouped
from jnas.types import Hooks, Key, Params


class Uniform(NamedTuple):
    """Weights that are yet to be drawn: `shape` of U(-bound, bound)."""

    shape: tuple[int, ...]
    bound: float


class Normal(NamedTuple):
    """Weights that are yet to be drawn: `shape` of N(0, deviation²)."""

    shape: tuple[int, ...]
    deviation: float


def draw(key: Key, tree: Params) -> Params:
    """Replace every `Uniform` and `Normal` of a pytree by its weights; those of a kind are cut from one flat draw.

    Each draw is compiled on its own, so one for all layers compiles several times as fast.
    """
    leaves, structure = jax.tree.flatten(tree, is_leaf=lambda leaf: isinstance(leaf, Uniform | Normal))
    leaves = _drawn(leaves, Uniform, lambda num: jax.random.uniform(key, (num,), minval=-1.0, maxval=1.0))
    leaves = _drawn(leaves, Normal, lambda num: jax.random.normal(jax.random.fold_in(key, 1), (num,)))
    return jax.tree.unflatten(structure, leaves)


def _drawn(leaves: list[Any], kind: type[Any], sample: Callable[[int], jax.Array]) -> list[Any]:
    sizes = [math.prod(leaf.shape) if isinstance(leaf, kind) else 0 for leaf in leaves]
    if not any(sizes):
        return leaves
    flat, starts = sample(sum(sizes)), itertools.accumulate(sizes, initial=0)
    return [
        leaf[1] * flat[start : start + size].reshape(leaf.shape) if isinstance(leaf, kind) else leaf
        for leaf, start, size in zip(leaves, starts, sizes, strict=False)
    ]


def conv_weights(size: int, c_in: int, c_out: int, batch: tuple[int, ...] = ()) -> Uniform:
    """PyTorch's default convolution weights, U(±1/√fan_in): `batch + [size, size, c_in, c_out]`."""
    return Uniform((*batch, size, size, c_in, c_out), (size * size * c_in) ** -0.5)


def norm_weights(channels: int, batch: tuple[int, ...] = ()) -> dict[str, jax.Array]:
    """Batch-norm γ = 1 and β = 0: `batch + [channels]` each."""
    shape = (*batch, channels)
    return {"scale": jnp.ones(shape), "bias": jnp.zeros(shape)}


def dense_weights(c_in: int, c_out: int) -> dict[str, Uniform]:
    """PyTorch's default linear layer, weight `[c_in, c_out]` and bias `[c_out]` U(±1/√c_in)."""
    return {"kernel": Uniform((c_in, c_out), c_in**-0.5), "bias": Uniform((c_out,), c_in**-0.5)}


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """`[N, H, W, C]` with `[k, k, C, C']` → `[N, H/stride, W/stride, C']`, no bias.

    Its gradients are written out, because XLA for CPUs computes a weight gradient inside `scan`, `map` or
    `switch` fifty times slower than outside of them (`experiments/bench_zeroshot.py`).
    """
    return _conv(x, kernel, stride)


def _conv(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    pad = (kernel.shape[0] // 2,) * 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), (pad, pad), dimension_numbers=_LAYOUT)


def _conv_fwd(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv(x, kernel, stride), (x, kernel)


def _conv_bwd(stride: int, saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    if jax.default_backend() != "cpu":
        (of_x,) = jax.vjp(lambda x: _conv(x, kernel, stride), x)[1](grad)
    else:
        of_x = _conv(_spread(grad, x.shape, stride), jnp.swapaxes(kernel[::-1, ::-1], 2, 3), 1)
    return of_x, _weight_grad(kernel.shape[0], stride)(x, grad)


@functools.cache
def _weight_grad(size: int, stride: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`(x [N, H, W, C], grad [N, H/stride, W/stride, C']) -> [k, k, C, C']`.

    A population's are batched matrix products: XLA would make one grouped convolution of them, with windows as large
    as the images.
    """

    @custom_vmap
    def weight_grad(x: jax.Array, grad: jax.Array) -> jax.Array:
        if jax.default_backend() == "cpu":
            return _weight_grad_on_cpu(x, _spread(grad, x.shape, stride), size)
        kernel = jnp.zeros((size, size, x.shape[-1], grad.shape[-1]), x.dtype)
        result: jax.Array = jax.vjp(lambda kernel: _conv(x, kernel, stride), kernel)[1](grad)[0]
        return result

    @weight_grad.def_vmap
    def of_population(axis_size: int, is_batched: list[bool], x: jax.Array, grad: jax.Array) -> tuple[jax.Array, bool]:
        del axis_size
        axes = tuple(0 if batched else None for batched in is_batched)
        return jax.vmap(functools.partial(_weight_grad_by_taps, size=size, stride=stride), axes)(x, grad), True

    return weight_grad


def _weight_grad_by_taps(x: jax.Array, grad: jax.Array, size: int, stride: int) -> jax.Array:
    """One matrix product for each element of the window."""
    _, height, width, channels = x.shape
    pad = size // 2
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    taps = [
        jnp.einsum("nhwc,nhwd->cd", padded[:, i : i + height : stride, j : j + width : stride], grad)
        for i in range(size)
        for j in range(size)
    ]
    return jnp.stack(taps).reshape(size, size, channels, -1)


def _spread(grad: jax.Array, shape: tuple[int, ...], stride: int) -> jax.Array:
    """The gradient of a strided convolution as that of one with stride 1: zeros where no output was."""
    if stride == 1:
        return grad
    full = jnp.zeros((*shape[:3], grad.shape[-1]), grad.dtype)
    return full.at[:, ::stride, ::stride].set(grad)


def _weight_grad_on_cpu(x: jax.Array, grad: jax.Array, size: int) -> jax.Array:
    """`[k, k, C, C']`, the sum over images and pixels of shifted inputs times gradients."""
    _, height, width, channels = x.shape
    pad = size // 2
    if size == 1:
        return jnp.einsum("nhwc,nhwd->cd", x, grad)[None, None]
    if height * width > _FEW_PIXELS:
        # The same sum as a forward convolution: channels are its images, images its channels.
        images, kernel = x.transpose(3, 1, 2, 0), grad.transpose(1, 2, 0, 3)
        taps = lax.conv_general_dilated(images, kernel, (1, 1), ((pad, pad),) * 2, dimension_numbers=_LAYOUT)
        return taps.transpose(1, 2, 0, 3)
    padded = jnp.pad(grad, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    columns = [padded[:, :, size - 1 - j : size - 1 - j + width] for j in range(size)]
    shifted = jnp.concatenate(columns, axis=-1)
    rows = [
        jnp.einsum("nhwc,nhwd->cd", x, shifted[:, size - 1 - i : size - 1 - i + height]).reshape(channels, size, -1)
        for i in range(size)
    ]
    return jnp.stack(rows).transpose(0, 2, 1, 3)


_LAYOUT = ("NHWC", "HWIO", "NHWC")
_FEW_PIXELS = 64  # up to here a few matrix products are faster
conv.defvjp(_conv_fwd, _conv_bwd)


def conv_layer(x: jax.Array, weights: Params, stride: int = 1) -> jax.Array:
    """Convolve with `weights["conv"]`; apply `gain`, `bias` and `probe` where there are any (`weights.with_extras`)."""
    return _extras(conv(x, weights["conv"], stride), weights)


def dense_layer(x: jax.Array, weights: Params) -> jax.Array:
    """`[N, C]` with `weights["kernel"]` → `[N, C']`; extras as for `conv_layer`."""
    return _extras(x @ weights["kernel"], weights)


def _extras(y: jax.Array, weights: Params) -> jax.Array:
    if "gain" in weights:
        y = y * weights["gain"]
    if "bias" in weights:
        y = y + weights["bias"].reshape((1,) * (y.ndim - 1) + (-1,))
    return _probed(y, weights["probe"]) if "probe" in weights else y


@jax.custom_vjp
def _probed(y: jax.Array, probe: jax.Array) -> jax.Array:
    """`y` `[N, ..., C]`; the gradient of `probe` `[N, C]` is the sum over pixels of `y` times its gradient."""
    del probe
    return y


def _probed_bwd(y: jax.Array, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    return grad, jnp.sum(y * grad, axis=tuple(range(1, y.ndim - 1)))


_probed.defvjp(lambda y, _: (y, y), _probed_bwd)


def batch_norm(x: jax.Array, norm: dict[str, jax.Array], eps: float = 1e-5) -> jax.Array:
    """Normalise `[N, H, W, C]` with the batch's own mean and biased variance, then scale and shift.

    `norm` holds `scale` and `bias` `[C]`, or nothing.
    """
    mean, variance = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
    scale = lax.rsqrt(variance + eps)
    if not norm:
        return (x - mean[None, None, None]) * scale[None, None, None]
    scale = norm["scale"] * scale
    return (x - mean[None, None, None]) * scale[None, None, None] + norm["bias"][None, None, None]


def norm_layer(
    x: jax.Array, norm: Params, hooks: Hooks, channels: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Batch norm of the channels `[C]` bool that exist (None: all), or what the hooks have instead; and its value."""
    if hooks.norm is None:
        return batch_norm(x, norm), jnp.zeros(())
    return hooks.norm(x, norm, jnp.ones(x.shape[-1], bool) if channels is None else channels)


@jax.custom_vjp
def avg_pool3x3(x: jax.Array) -> jax.Array:
    """3x3, stride 1, padding 1, divided by the number of pixels inside (count_include_pad=False).

    Two passes of three shifted sums, which on CPU beat a reduction over windows (`experiments/bench_zeroshot.py`);
    the gradient is the same sum of the divided gradients.
    """
    return _sum3x3(x) * (1 / _num_inside(x))


def _sum3x3(x: jax.Array) -> jax.Array:
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :height] + padded[:, 1 : height + 1] + padded[:, 2:]
    return rows[:, :, :width] + rows[:, :, 1 : width + 1] + rows[:, :, 2:]


def _num_inside(x: jax.Array) -> jax.Array:
    """`[1, H, W, 1]`, how many of nine neighbours each pixel has, itself included."""
    _, height, width, _ = x.shape
    return (_inside(height)[:, None] * _inside(width)[None, :])[None, :, :, None]


avg_pool3x3.defvjp(
    lambda x: (_sum3x3(x) * (1 / _num_inside(x)), None), lambda _, grad: (_sum3x3(grad * (1 / _num_inside(grad))),)
)


def _inside(length: int) -> jax.Array:
    """How many of three neighbours of each position exist, `[length]`."""
    ones = jnp.pad(jnp.ones(length), 1)
    return ones[:length] + ones[1 : length + 1] + ones[2:]


def avg_pool2x2(x: jax.Array) -> jax.Array:
    """2x2 with stride 2, no padding."""
    n, height, width, channels = x.shape
    return jnp.mean(x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def max_pool3x3(x: jax.Array) -> jax.Array:
    """3x3, stride 1, the largest of the pixels inside; of equal ones, one gets the gradient.

    Shifted maxima of rows, then of columns: the gradient of a reduction over windows is ten times as slow on CPUs.
    """
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    rows = _larger(padded[:, 1 : height + 1], _larger(padded[:, :height], padded[:, 2:]))
    return _larger(rows[:, :, 1 : width + 1], _larger(rows[:, :, :width], rows[:, :, 2:]))


def _larger(x: jax.Array, y: jax.Array) -> jax.Array:
    """The maximum; where equal, all of the gradient goes to `x`, which takes half the time of sharing it."""
    return jnp.where(y > x, y, x)


def max_pool2x2(x: jax.Array) -> jax.Array:
    """2x2 with stride 2, no padding; equal pixels share the gradient."""
    n, height, width, channels = x.shape
    return jnp.max(x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def switch(index: jax.Array, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`lax.switch` whose gradient keeps nothing but the operands, and is computed within the branch that was taken.

    That of `lax.switch` keeps what every branch would have to keep, filled with zeros for those not taken; in a
    network that is most of the time. Under `vmap` each branch, and its gradient, is computed for those that take it
    (`grouped.switch`). Branches must not close over arrays that are mapped or differentiated.
    """

    @jax.custom_vjp
    def run(index: jax.Array, operands: Any) -> Any:
        return grouped.switch(index, branches, *operands)

    def backward(saved: tuple[jax.Array, Any], grad: Any) -> tuple[None, Any]:
        index, operands = saved
        pulls = [lambda operands, grad, b=branch: jax.vjp(b, *operands)[1](grad) for branch in branches]
        return None, grouped.switch(index, pulls, operands, grad)

    def forward(index: jax.Array, operands: Any) -> Any:
        # Through `vjp`, so that what has a gradient of its own is resolved and can be differentiated forwards.
        values = [lambda *operands, b=branch: jax.vjp(b, *operands)[0] for branch in branches]
        return grouped.switch(index, values, *operands), (index, operands)

    run.defvjp(forward, backward)
    return run(index, operands)


def scan(step: Callable[[jax.Array, Any, Any], tuple[jax.Array, Any]], x: jax.Array, state: Any, xs: Any) -> Any:
    """`(x, state)` after `step(x, state, block) -> (x, state)` for each block that `xs` stacks.

    The gradient flows through `x` and the blocks, not through the state. It keeps the inputs of the steps and computes
    each step once more; and all of it is resolved within a step, so that it can itself be differentiated forwards
    (`grasp` needs a Hessian-vector product).
    """

    def linearised(carry: tuple[jax.Array, Any], block: Any) -> Any:
        return jax.vjp(lambda x, block: step(x, carry[1], block), carry[0], block, has_aux=True)

    @jax.custom_vjp
    def run(x: jax.Array, state: Any, xs: Any) -> Any:
        return lax.scan(lambda carry, block: (step(*carry, block), None), (x, state), xs)[0]

    def forward(x: jax.Array, state: Any, xs: Any) -> Any:
        def keep(carry: Any, block: Any) -> Any:
            value, _, state = linearised(carry, block)
            return (value, state), carry

        last, carries = lax.scan(keep, (x, state), xs)
        return last, (carries, xs)

    def backward(saved: Any, grads: Any) -> Any:
        def pull_back(grad: jax.Array, saved: Any) -> Any:
            carry, block = saved
            return linearised(carry, block)[1](grad)

        grad, grads_of_blocks = lax.scan(pull_back, grads[0], saved, reverse=True)
        return grad, None, grads_of_blocks

    run.defvjp(forward, backward)
    return run(x, state, xs)


def unstacked(tree: Params, num: int) -> list[Params]:
    """The `num` trees that are stacked along the first axis of every leaf; the gradient is one concatenation."""
    split = jax.tree.map(lambda leaf: [part[0] for part in lax.split(leaf, (1,) * num)], tree)
    return [jax.tree.map(lambda parts, k=k: parts[k], split, is_leaf=lambda x: isinstance(x, list)) for k in range(num)]
