"""Arrays of images in another size. Host only."""

import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 1024  # images at a time: in floats they take four times the memory of bytes


def check_size(size: int | None) -> None:
    """ValueError for a size that is no positive multiple of 4, which networks halve twice."""
    is_integer = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    if size is None or (is_integer and size >= 4 and size % 4 == 0):
        return
    # The nearest two that are allowed, and those around 28 where a size is no number at all.
    below = size // 4 * 4 if is_integer and size > 4 else 28
    raise ValueError(
        f"size must be a positive multiple of 4, such as {below} or {below + 4}; got {size!r}"
    )


def multiple_of_4(length: int) -> int:
    """Largest multiple of 4 that is not above a length, but at least 4."""
    return max(4, length // 4 * 4)


def resized(x: np.ndarray, size: int | None, *, stretch: bool = False) -> np.ndarray:
    """Images `[N, size, size, C]` of the type of `x` `[N, H, W, C]`.

    Where an image is a whole number of times as large, a pixel is the mean of its square;
    otherwise it is interpolated linearly, antialiased where the image shrinks.

    Args:
        x: uint8 or float32.
        size: None keeps height and width, but for what is over a multiple of 4.
        stretch: True fills the square with the whole image; False with its middle.
    """
    height, width = x.shape[1:3]
    if size is None:
        shape = multiple_of_4(height), multiple_of_4(width)
    else:
        shape = size, size
        if not stretch:
            x = _square(x)
    # No copy, and no rounding, of the usual case; images that are mapped from a file stay there.
    if x.shape[1:3] == shape:
        return x
    blocks = (x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK))
    return np.concatenate([_resized_block(block, shape) for block in blocks])


def _square(x: np.ndarray) -> np.ndarray:
    """`[N, S, S, C]`, the middle of images, S their shorter side."""
    side = min(x.shape[1:3])
    top, left = ((length - side) // 2 for length in x.shape[1:3])
    return x[:, top : top + side, left : left + side]


def _resized_block(x: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`[n, *shape, C]` of the type of `x`."""
    num, height, width, channels = x.shape
    rows, row_rest = divmod(height, shape[0])
    columns, column_rest = divmod(width, shape[1])
    # A mean of whole squares needs no weights, and no program to be compiled for each size.
    if row_rest == column_rest == 0:
        squares = x.reshape(num, shape[0], rows, shape[1], columns, channels)
        new = squares.mean(axis=(2, 4), dtype=np.float32)
    else:
        full = (num, *shape, channels)
        new = np.asarray(jax.image.resize(jnp.asarray(x, jnp.float32), full, "linear"))
    # Rounded, for a cast would cut off and darken by half a level; interpolation may leave the
    # range of bytes, beyond which a cast starts again from 0.
    bytes_or_floats = np.round(new).clip(0, 255) if x.dtype == np.uint8 else new
    return np.asarray(bytes_or_floats, x.dtype)
