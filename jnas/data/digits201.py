"""Composed digits, the images of `benchmarks.digits201`: always the same ones. Host only.

Single digits are too easy to tell networks apart: a few epochs bring most of them to 97 %.
"""

import jax
import numpy as np

from jnas.data import making
from jnas.images.sources import Source
from jnas.types import Dataset, Images, Key

NAME = "digits201"
SIZES = (1024, 1000, 1000)  # images of training, validation and test
PIECE = 4  # side of the square of another digit, in pixels
SHIFT = 1  # pixels that a digit is moved by at most
_HELD_OUT = 400  # digits of the validation and of the test images, each
SOURCE = Source(NAME, sum(SIZES), (8, 8, 1), "composed of scikit-learn's digits")


def digits201() -> Dataset:
    """Data set of 8 x 8 digits, moved by a pixel or not, each with a piece of another over it.

    The piece is a square of 4 x 4 pixels of another digit at any place; of both, each pixel has the
    brighter one. The three parts are of different digits. Images are uint8 `[N, 8, 8, 1]` with
    values 0 … 16.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    split_key, *keys = jax.random.split(jax.random.key(201), 1 + len(SIZES))
    digits = making.make_dataset(
        found.images[..., None].astype(np.uint8),
        found.target,
        key=split_key,
        validation=_HELD_OUT,
        test=_HELD_OUT,
    )
    singles = digits.train, digits.validation, digits.test
    parts = [compose(*each) for each in zip(keys, singles, SIZES, strict=True)]
    return making.assemble(parts, classes=None, name=NAME, scale=16.0, is_flippable=False)


def compose(key: Key, digits: Images, num: int) -> Images:
    """Images `[num, H, W, 1]` of digits `[N, H, W, 1]`, and their labels; see `digits201`."""
    digit_key, other_key, move_key, from_key, to_key = jax.random.split(key, 5)
    total, (height, width) = len(digits.y), digits.x.shape[1:3]
    # As many of each digit, to one: whole permutations, one after the other.
    orders = jax.random.split(digit_key, -(-num // total))
    rows = np.concatenate([np.asarray(jax.random.permutation(one, total)) for one in orders])[:num]
    others = np.asarray(jax.random.randint(other_key, (num,), 0, total))
    moves = np.asarray(jax.random.randint(move_key, (num, 2), -SHIFT, SHIFT + 1))
    corners = np.array([[height, width]]) - PIECE + 1
    sources, targets = (
        np.asarray(jax.random.randint(one, (num, 2), 0, corners)) for one in (from_key, to_key)
    )
    images = np.stack([moved(digits.x[row], *move) for row, move in zip(rows, moves, strict=True)])
    for image, other, source, target in zip(images, others, sources, targets, strict=True):
        place = _square(image, target)
        np.maximum(place, _square(digits.x[other], source), out=place)
    return Images(images, digits.y[rows])


def _square(image: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """View `[PIECE, PIECE, C]` of an image `[H, W, C]`, from a corner `[2]` on."""
    top, left = corner
    return image[top : top + PIECE, left : left + PIECE]


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Image `[H, W, C]` moved by at most `SHIFT` pixels, black where it was."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    top, left = SHIFT - down, SHIFT - right
    return padded[top : top + height, left : left + width]
