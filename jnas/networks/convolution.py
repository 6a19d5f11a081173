"""Convolution with gradients that are fast inside loops and switches, too."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
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
    # Asked while tracing: a program that is exported for another platform keeps this one's choice.
    is_on_cpu, channels = jax.default_backend() == "cpu", x.shape[3]
    if is_on_cpu and stride == 1 and kernel.shape[0] == 1 and channels > _FEW_CHANNELS:
        # XLA's own convolution of 80 channels to 16 takes six times as long.
        return _product(x.reshape(-1, channels), kernel[0, 0]).reshape(*x.shape[:3], -1)
    if is_on_cpu and stride == 1 and kernel.shape[0] == 3:
        _, height, width, _ = x.shape
        if max(height, width) <= 2:
            return _conv_of_few_pixels(x, kernel)
        num = _num_joined(max(channels, kernel.shape[3]))
        # A window wider than the images would be slower than any other choice.
        if num > 1 and width % num == 0 and num + 2 <= width:
            return _conv_of_joined_pixels(x, kernel, num)
    # Symmetric, as in PyTorch: of even sizes at stride 2 "SAME" would pad the end alone.
    pad = (kernel.shape[0] // 2,) * 2
    return _xla_conv(x, kernel, (stride, stride), (pad, pad))


def _xla_conv(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: tuple[tuple[int, int], ...]
) -> jax.Array:
    """Convolution of XLA."""
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_LAYOUT)


def _num_joined(channels: int) -> int:
    """Number of neighbouring pixels that are computed as one with more channels."""
    # XLA has its fast convolution from 17 channels on, and 32 fill the registers.
    return 1 if channels > _FEW_CHANNELS else 2 * _FEW_CHANNELS // channels


def _conv_of_joined_pixels(x: jax.Array, kernel: jax.Array, num: int) -> jax.Array:
    """Convolution of 3x3 with windows `3 x (num + 2)` that give `num` pixels of a row at once.

    A third more products for two pixels, yet .6 of the time of 16 channels.
    """
    joined = [jnp.pad(kernel, ((0, 0), (k, num - 1 - k), (0, 0), (0, 0))) for k in range(num)]
    size, channels = num + 2, kernel.shape[2]
    wide = jnp.stack(joined, axis=3).reshape(3, size, channels, -1)
    return _xla_conv(x, wide, (1, num), ((1, 1), (1, 1))).reshape(*x.shape[:3], -1)


def _conv_of_few_pixels(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution of 3x3 of at most 2x2 pixels, one product with a matrix from all to all."""
    num, height, width, channels = x.shape
    # Of output pixel p, input pixel i is the window's element i - p + 1.
    rows, columns = (np.arange(n)[:, None] - np.arange(n) + 1 for n in (height, width))
    matrix = kernel[rows[:, None, :, None], columns[None, :, None, :]]
    matrix = matrix.transpose(0, 1, 4, 2, 3, 5).reshape(height * width * channels, -1)
    return (x.reshape(num, -1) @ matrix).reshape(num, height, width, -1)


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
    if jax.default_backend() != "cpu":
        (of_x,) = jax.vjp(lambda x: _conv(x, kernel, stride), x)[1](grad)
    elif stride == 2 and kernel.shape[0] == 3 and not (x.shape[1] % 2 or x.shape[2] % 2):
        of_x = _input_grad_of_halved(kernel, grad)
    else:
        # A forward convolution, too: with the kernel turned by 180 degrees and channels swapped.
        of_x = _conv(_spread(grad, x.shape, stride), jnp.swapaxes(kernel[::-1, ::-1], 2, 3), 1)
    return of_x, _weight_grad(kernel.shape[0], stride)(x, grad)


def _input_grad_of_halved(kernel: jax.Array, grad: jax.Array) -> jax.Array:
    """Gradient `[N, H, W, C]` of the input of a convolution of 3x3 at stride 2, of even sizes.

    One convolution of 2x2 gives the four pixels that belong to each output; a convolution of the
    spread gradient would be four times as many products.
    """
    num, height, width, _ = grad.shape
    turned = jnp.swapaxes(kernel, 2, 3)
    # Even pixels are read by the middle of one window, odd ones by the ends of two.
    for axis in (0, 1):
        first, middle, last = jnp.split(turned, 3, axis)
        taps = jnp.concatenate([middle, jnp.zeros_like(middle), last, first], axis)
        turned = taps.reshape(*taps.shape[:axis], 2, 2, *taps.shape[axis + 1 :])
        turned = jnp.moveaxis(turned, axis, -1)  # the parity of the pixel comes last
    wide = turned.transpose(0, 1, 2, 4, 5, 3)
    pixels = _xla_conv(grad, wide.reshape(2, 2, grad.shape[3], -1), (1, 1), ((0, 1), (0, 1)))
    pixels = pixels.reshape(num, height, width, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
    return pixels.reshape(num, 2 * height, 2 * width, -1)


@functools.cache
def _weight_grad(size: int, stride: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Function `(x [N, H, W, C], grad [N, H/stride, W/stride, C']) -> [k, k, C, C']`.

    Those of a population are batched matrix products: XLA would make one grouped convolution of
    them, with windows as large as the images.
    """

    @custom_vmap
    def weight_grad(x: jax.Array, grad: jax.Array) -> jax.Array:
        if jax.default_backend() == "cpu":
            return _weight_grad_on_cpu(x, grad, size, stride)
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


def _product(one: jax.Array, other: jax.Array) -> jax.Array:
    """Matrix product, of whose numbers of 16 bits the sums have 32."""
    wide = one.dtype if one.dtype.itemsize > 2 else jnp.float32
    result: jax.Array = jnp.matmul(one, other, preferred_element_type=wide).astype(one.dtype)
    return result


def _weight_grad_on_cpu(x: jax.Array, grad: jax.Array, size: int, stride: int) -> jax.Array:
    """Weight gradient `[k, k, C, C']`, the sum over images and pixels of shifted x times grad."""
    if size == 1:
        # One long axis: over three at once XLA takes two to six times as long.
        long = x[:, ::stride, ::stride].reshape(-1, x.shape[3])
        return _product(long.T, grad.reshape(-1, grad.shape[3]))[None, None]
    _, height, width, channels = x.shape
    if size == 3 and stride == 1 and max(height, width) <= 2:
        kernel = jnp.zeros((3, 3, channels, grad.shape[3]), x.dtype)
        of_few = functools.partial(_conv_of_few_pixels, x)
        result: jax.Array = jax.vjp(of_few, kernel)[1](grad)[0]
        return result
    # The same sum as a forward convolution: channels are its images, images its channels. At even
    # sizes the last row of padding is read at stride 1 alone.
    ends = [size // 2 - (length - 1) % stride for length in (height, width)]
    taps = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        grad.transpose(1, 2, 0, 3),
        (1, 1),
        [(size // 2, end) for end in ends],
        rhs_dilation=(stride, stride),
        dimension_numbers=_LAYOUT,
    )
    return taps.transpose(1, 2, 0, 3)


_LAYOUT = ("NHWC", "HWIO", "NHWC")
_FEW_CHANNELS = 16
conv.defvjp(_conv_fwd, _conv_bwd)
