"""Depthwise convolution with gradients that are fast on CPUs, too.

XLA for CPUs computes a convolution with `feature_group_count` by one loop over its products, many
times as slow as the sums of shifted images that stand here in its place. Accelerators have XLA's
own. Kernels are `[k, k, 1, C]`, counted and drawn as those of `conv` with one input channel.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap

_MAX_UNROLLED = 8  # images whose products are summed by one loop; more only compile longer


def depthwise(x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
    """Convolution `[N, ⌈H/stride⌉, ⌈W/stride⌉, C]` of each channel of `[N, H, W, C]` with its own.

    Args:
        x: `[N, H, W, C]`.
        kernel: `[k, k, 1, C]`, `k` odd.
        stride: 1 or 2.
        dilation: distance of the pixels that neighbours in the kernel are multiplied by.

    Padding is `dilation * (k - 1) / 2` on all sides, as in DARTS' separable and dilated ones.

    Raises:
        ValueError: the kernel is not one of that shape.
    """
    size, channels = kernel.shape[0], x.shape[3]
    if kernel.shape != (size, size, 1, channels) or size % 2 == 0:
        raise ValueError(
            f"a depthwise kernel is [k, k, 1, {channels}] with odd k, one filter a channel; "
            f"this one is {list(kernel.shape)}"
        )
    if jax.default_backend() == "cpu":
        return _shifted(x, kernel, stride, dilation)
    return _by_xla(x, kernel, stride, dilation)


# On CPUs.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shifted(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Depthwise convolution."""
    return _sum_of_shifted(x, kernel, stride, dilation)


def _sum_of_shifted(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Depthwise convolution, the sum of shifted images, each times one element of the kernel."""
    size = kernel.shape[0]
    taps = [kernel[i, j, 0].astype(_wide(x)) for i in range(size) for j in range(size)]
    images = _windows(x.astype(_wide(x)), size, stride, dilation)
    result = sum(image * tap[None, None, None] for image, tap in zip(images, taps, strict=True))
    return jnp.asarray(result).astype(x.dtype)


def _shifted_fwd(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Convolution, and what its gradients need."""
    return _sum_of_shifted(x, kernel, stride, dilation), (x, kernel)


def _shifted_bwd(
    stride: int, dilation: int, saved: tuple[jax.Array, jax.Array], grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gradients of input and kernel."""
    x, kernel = saved
    of_x = _input_grad(x.shape, kernel, grad, stride, dilation)
    return of_x, _weight_grad_on_cpu(x, grad, kernel.shape[0], stride, dilation)


def _wide(x: jax.Array) -> jnp.dtype:
    """Type of sums: of 32 bits at least."""
    return x.dtype if x.dtype.itemsize > 2 else jnp.dtype(jnp.float32)


def _windows(x: jax.Array, size: int, stride: int, dilation: int) -> list[jax.Array]:
    """List of `k²` images `[N, ⌈H/stride⌉, ⌈W/stride⌉, C]`, what each element of a kernel reads."""
    _, height, width, _ = x.shape
    pad = (dilation * (size - 1) // 2,) * 2
    padded = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
    shifts = range(0, dilation * size, dilation)
    return [
        padded[:, i : i + height : stride, j : j + width : stride] for i in shifts for j in shifts
    ]


def _input_grad(
    shape: tuple[int, ...], kernel: jax.Array, grad: jax.Array, stride: int, dilation: int
) -> jax.Array:
    """Gradient `[N, H, W, C]` of the input.

    At stride 2 it is four images, of pixels that are even or odd in height and width, each a sum of
    fewer shifted gradients: nothing is multiplied by the zeros that a spread gradient has.
    """
    size, (num, height, width, channels) = kernel.shape[0], grad.shape
    pad = dilation * (size - 1) // 2
    margin = -(-pad // stride)
    padded = jnp.pad(grad.astype(_wide(grad)), ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)))
    # Pixel `stride * a + phase` was read by element i of the window of output `a + shift`.
    read = [
        [
            (i, margin + (phase + pad - dilation * i) // stride)
            for i in range(size)
            if (phase + pad - dilation * i) % stride == 0
        ]
        for phase in range(stride)
    ]
    taps = kernel[:, :, 0].astype(padded.dtype)
    zeros = jnp.zeros((num, height, width, channels), padded.dtype)

    def of_phase(rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> jax.Array:
        products = [
            padded[:, y : y + height, z : z + width] * taps[i, j][None, None, None]
            for i, y in rows
            for j, z in columns
        ]
        return sum(products, start=zeros).astype(grad.dtype)

    if stride == 1:
        return of_phase(read[0], read[0])
    pixels = jnp.stack([jnp.stack([of_phase(y, z) for z in read], 3) for y in read], 2)
    full = pixels.reshape(num, stride * height, stride * width, channels)
    return full[:, : shape[1], : shape[2]]


def _weight_grad_on_cpu(
    x: jax.Array, grad: jax.Array, size: int, stride: int, dilation: int
) -> jax.Array:
    """Weight gradient `[k, k, 1, C]`, the sum over images and pixels of shifted x times grad."""
    num, height, width, channels = grad.shape
    # XLA's sums over leading axes take ten times as long as the products. So a few images are added
    # by one loop over the pixels, the rest by a matrix product with ones.
    unrolled = next(n for n in range(min(num, _MAX_UNROLLED), 0, -1) if num % n == 0)
    margins = ((0, 0), *((dilation * (size - 1) // 2,) * 2,) * 2, (0, 0))
    padded = jnp.pad(x.astype(_wide(x)), margins)
    images, grads = (
        part.reshape(unrolled, num // unrolled, *part.shape[1:])
        for part in (padded, grad.astype(_wide(x)))
    )
    ones = jnp.ones(num // unrolled * height, grads.dtype)
    reach = (stride * (height - 1) + 1, stride * (width - 1) + 1)

    # A loop over elements of the kernel: each is a pass over the images in any case, and as many
    # programs would take most of the time to compile a network's gradient.
    def of_tap(start: jax.Array) -> jax.Array:
        def read(image: jax.Array) -> jax.Array:
            sizes = (num // unrolled, *reach, channels)
            window: jax.Array = lax.dynamic_slice(image, (0, *start, 0), sizes)
            return window[:, ::stride, ::stride]

        rows = sum(read(images[n]) * grads[n] for n in range(unrolled))
        columns = ones @ jnp.reshape(rows, (len(ones), -1))
        return jnp.sum(columns.reshape(width, channels), axis=0)

    starts = dilation * np.indices((size, size), np.int32).reshape(2, -1).T
    taps: jax.Array = lax.map(of_tap, jnp.asarray(starts))
    return taps.reshape(size, size, 1, channels).astype(x.dtype)


# On accelerators.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _by_xla(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Depthwise convolution of XLA."""
    return _xla(x, kernel, stride, dilation)


def _xla(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """Depthwise convolution as `_by_xla`, with the gradients of XLA."""
    pad = (dilation * (kernel.shape[0] - 1) // 2,) * 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        (pad, pad),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[3],
    )


def _by_xla_fwd(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Convolution, and what its gradients need."""
    return _xla(x, kernel, stride, dilation), (x, kernel)


def _by_xla_bwd(
    stride: int,
    dilation: int,
    saved: tuple[jax.Array, jax.Array],
    grad: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Gradients of input and kernel."""
    x, kernel = saved
    (of_x,) = jax.vjp(lambda x: _xla(x, kernel, stride, dilation), x)[1](grad)
    return of_x, _weight_grad(kernel.shape[0], stride, dilation)(x, grad)


@functools.cache
def _weight_grad(
    size: int, stride: int, dilation: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Function `(x, grad) -> [k, k, 1, C]`; a population's is sums of shifted products.

    As `convolution._weight_grad`: of a population XLA would make windows as large as the images.
    """

    def by_taps(x: jax.Array, grad: jax.Array) -> jax.Array:
        sums = functools.partial(jnp.einsum, preferred_element_type=_wide(x))
        taps = [sums("nhwc,nhwc->c", image, grad) for image in _windows(x, size, stride, dilation)]
        return jnp.stack(taps).reshape(size, size, 1, -1).astype(x.dtype)

    @custom_vmap
    def weight_grad(x: jax.Array, grad: jax.Array) -> jax.Array:
        shape = (size, size, 1, x.shape[3])
        of_kernel = functools.partial(_xla, x, stride=stride, dilation=dilation)
        result: jax.Array = jax.vjp(of_kernel, jnp.zeros(shape, x.dtype))[1](grad)[0]
        return result

    @weight_grad.def_vmap
    def of_population(
        axis_size: int, is_batched: list[bool], x: jax.Array, grad: jax.Array
    ) -> tuple[jax.Array, bool]:
        del axis_size
        axes = tuple(0 if batched else None for batched in is_batched)
        return jax.vmap(by_taps, axes)(x, grad), True

    return weight_grad


_shifted.defvjp(_shifted_fwd, _shifted_bwd)
_by_xla.defvjp(_by_xla_fwd, _by_xla_bwd)
