"""Stratified splits of labelled images into training, validation and test parts. Host only."""

import hashlib
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jnas.types import Key


def amount(value: float, total: int, name: str) -> int:
    """Number of images that a fraction or a count asks for, out of `total`.

    Raises:
        ValueError: neither a fraction in [0, 1) nor a count in 0 … total − 1.
    """
    # By type and not by size: 1 is one image, and 1.0 is no fraction that leaves something to train
    # on. True is a slip, though Python counts it as 1.
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        count = operator.index(value)
        if 0 <= count < total:
            return count
    elif isinstance(value, (float, np.floating)) and 0 <= value < 1:
        return round(total * float(value))
    raise ValueError(
        f"{name} must be a fraction in [0, 1) or a number of images below {total:,}; got {value!r}"
    )


def stratified(
    labels: np.ndarray, counts: Sequence[int], key: Key, groups: np.ndarray | None = None
) -> list[np.ndarray]:
    """Rows of parts of `counts` images and, first in the list, of the rest, each in random order.

    Each class has the same share of every part, to one image, and leaves something to the rest.
    Rows of one group stay together, so that parts may be smaller than asked for by less than the
    largest group of a class. A part does not depend on the counts of those after it.

    Args:
        labels: `[N]` int, from 0.
        counts: images of each part but the rest.
        key: draws.
        groups: `[N]` int, equal for images that must not be separated; None: each is alone.

    Raises:
        ValueError: the classes are too small for the counts.
    """
    # All rows at once and before the parts: a part does not depend on how many follow it, and each
    # is in random order already.
    order = np.asarray(jax.random.permutation(key, len(labels)))
    groups = np.arange(len(labels)) if groups is None else groups
    bundles = _bundles(labels[order], groups[order])
    part_of = np.zeros(len(labels), np.int64)
    # Of each class, the first bundle belongs to the rest, and the others are there to be taken.
    free = [bundle[1:] for bundle in bundles]
    sizes = np.bincount(labels, minlength=len(bundles))
    for number, count in enumerate(counts, start=1):
        quotas = _quotas(sizes, [sum(map(len, bundle)) for bundle in free], count)
        for label, quota in enumerate(quotas):
            taken, free[label] = _take(free[label], int(quota))
            part_of[taken] = number
    return [order[part_of == number] for number in range(len(counts) + 1)]


def copies(*parts: Any) -> np.ndarray:
    """`[N]` int64, for each image of the parts, one after the other, the first that equals it."""
    first: dict[bytes, int] = {}
    digests = (
        # The content of a row, wherever it lies: a file that is mapped is read once.
        hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
        for part in parts
        for image in part
    )
    found = [first.setdefault(digest, number) for number, digest in enumerate(digests)]
    return np.asarray(found, np.int64)


def _bundles(labels: np.ndarray, groups: np.ndarray) -> list[list[np.ndarray]]:
    """For each class the rows of its groups; a group of several classes belongs to its first's."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    found: list[list[np.ndarray]] = [[] for _ in range(int(labels.max()) + 1)]
    for number in np.argsort(first):
        found[labels[first[number]]].append(rows[number])
    return found


def _quotas(sizes: np.ndarray, free: Sequence[int], count: int) -> np.ndarray:
    """`[K]` int, images of each class in a part: proportional, at most those that are free.

    By the largest remainder; of equal ones the class with more that are free comes first.
    """
    limits = np.asarray(free)
    if count > limits.sum():
        raise ValueError(
            f"a part of {count:,} images cannot be taken: {limits.sum():,} are left once each "
            "class keeps one image, and its copies, to train on"
        )
    wanted = count * sizes / max(sizes.sum(), 1)
    # By the largest remainder, as seats in a parliament: rounding each class would miss the count.
    quotas: np.ndarray = np.minimum(np.floor(wanted).astype(np.int64), limits)
    # Several rounds, for what a class has not free is left to the others.
    while (missing := count - quotas.sum()) > 0:
        best_first = np.lexsort((-limits, quotas - wanted))
        open_ones = best_first[quotas[best_first] < limits[best_first]]
        quotas[open_ones[:missing]] += 1
    return quotas


def _take(bundles: list[np.ndarray], count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows of bundles that have at most `count` together, and the bundles that are left."""
    taken: list[np.ndarray] = [np.zeros(0, np.int64)]
    left = []
    for bundle in bundles:
        # The next one may be smaller and still fit: copies are rare, and most bundles are of one
        # image.
        if len(bundle) <= count:
            count -= len(bundle)
            taken.append(bundle)
        else:
            left.append(bundle)
    return np.concatenate(taken), left
