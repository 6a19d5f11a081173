"""Convolution with gradients that are fast inside loops and switches, too."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolution `[N, H/stride, W/stride, C']` of `[N, H, W, C]` with `[k, k, C, C']`, no bias.

    Its gradients are written out, because XLA for CPUs computes a weight gradient inside `scan`,
    `map` or `switch` fifty times slower than outside of them (`experiments/bench_zeroshot.py`).
    """
    return _conv(x, kernel, stride)


def _conv(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolution as `conv`, with the gradients of XLA."""
    # Symmetric, as in PyTorch: of even sizes at stride 2 "SAME" would pad the end alone.
    pad = (kernel.shape[0] // 2,) * 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=_LAYOUT
    )


def _conv_fwd(
    x: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Convolution, and what its gradients need."""
    return _conv(x, kernel, stride), (x, kernel)


def _conv_bwd(
    stride: int, saved: tuple[jax.Array, jax.Array], grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gradients of input and kernel."""
    x, kernel = saved
    # Asked while tracing: a program that is exported for another platform keeps this one's choice.
    if jax.default_backend() != "cpu":
        (of_x,) = jax.vjp(lambda x: _conv(x, kernel, stride), x)[1](grad)
    else:
        # A forward convolution, too: with the kernel turned by 180 degrees and channels swapped.
        of_x = _conv(_spread(grad, x.shape, stride), jnp.swapaxes(kernel[::-1, ::-1], 2, 3), 1)
    return of_x, _weight_grad(kernel.shape[0], stride)(x, grad)


@functools.cache
def _weight_grad(size: int, stride: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Function `(x [N, H, W, C], grad [N, H/stride, W/stride, C']) -> [k, k, C, C']`.

    Those of a population are batched matrix products: XLA would make one grouped convolution of
    them, with windows as large as the images.
    """

    @custom_vmap
    def weight_grad(x: jax.Array, grad: jax.Array) -> jax.Array:
        if jax.default_backend() == "cpu":
            return _weight_grad_on_cpu(x, _spread(grad, x.shape, stride), size)
        kernel = jnp.zeros((size, size, x.shape[-1], grad.shape[-1]), x.dtype)
        result: jax.Array = jax.vjp(lambda kernel: _conv(x, kernel, stride), kernel)[1](grad)[0]
        return result

    @weight_grad.def_vmap
    def of_population(
        axis_size: int, is_batched: list[bool], x: jax.Array, grad: jax.Array
    ) -> tuple[jax.Array, bool]:
        del axis_size
        axes = tuple(0 if batched else None for batched in is_batched)
        return jax.vmap(functools.partial(_weight_grad_by_taps, size=size, stride=stride), axes)(
            x, grad
        ), True

    return weight_grad


def _weight_grad_by_taps(x: jax.Array, grad: jax.Array, size: int, stride: int) -> jax.Array:
    """Weight gradient `[k, k, C, C']`, one matrix product for each element of the window."""
    # Strided slices of the input in place of `_spread`: no products with zeros.
    _, height, width, channels = x.shape
    pad = size // 2
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    taps = [
        jnp.einsum(
            "nhwc,nhwd->cd", padded[:, i : i + height : stride, j : j + width : stride], grad
        )
        for i in range(size)
        for j in range(size)
    ]
    return jnp.stack(taps).reshape(size, size, channels, -1)


def _spread(grad: jax.Array, shape: tuple[int, ...], stride: int) -> jax.Array:
    """Gradient `[N, H, W, C']` at stride 1 of one at `stride`: zeros where no output was."""
    if stride == 1:
        return grad
    full = jnp.zeros((*shape[:3], grad.shape[-1]), grad.dtype)
    return full.at[:, ::stride, ::stride].set(grad)


def _weight_grad_on_cpu(x: jax.Array, grad: jax.Array, size: int) -> jax.Array:
    """Weight gradient `[k, k, C, C']`, the sum over images and pixels of shifted x times grad."""
    _, height, width, channels = x.shape
    pad = size // 2
    if size == 1:
        return jnp.einsum("nhwc,nhwd->cd", x, grad)[None, None]
    if height * width > _FEW_PIXELS:
        # The same sum as a forward convolution: channels are its images, images its channels.
        images, kernel = x.transpose(3, 1, 2, 0), grad.transpose(1, 2, 0, 3)
        taps = lax.conv_general_dilated(
            images, kernel, (1, 1), ((pad, pad),) * 2, dimension_numbers=_LAYOUT
        )
        return taps.transpose(1, 2, 0, 3)
    # All columns of a window in one product: k products instead of k², of k times the width.
    padded = jnp.pad(grad, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    columns = [padded[:, :, size - 1 - j : size - 1 - j + width] for j in range(size)]
    shifted = jnp.concatenate(columns, axis=-1)
    rows = [
        jnp.einsum("nhwc,nhwd->cd", x, shifted[:, size - 1 - i : size - 1 - i + height]).reshape(
            channels, size, -1
        )
        for i in range(size)
    ]
    return jnp.stack(rows).transpose(0, 2, 1, 3)


_LAYOUT = ("NHWC", "HWIO", "NHWC")
# Up to here a few matrix products are faster: 8x8, the last stage for images of 32x32.
_FEW_PIXELS = 64
conv.defvjp(_conv_fwd, _conv_bwd)
