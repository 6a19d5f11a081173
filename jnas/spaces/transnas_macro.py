"""TransNAS-Bench-101, macro: four to six modules that may widen and downsample, 3,256 networks.

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task
Neural Architecture Search", CVPR 2021, https://arxiv.org/abs/2105.11871.

An architecture is `[6]` int32, the kind of each module, an index into `MODULES`; 4 in the last one
or two positions means that the network ends before. One to three modules double the channels, and
one to four halve the resolution; other vectors are not valid. A module has two residual blocks.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import _common, _transnas_costs
from jnas.types import Arch, Graph, Key, Space

MODULES = ("normal", "channels_x2", "stride_2", "channels_x2_stride_2")
"""Kinds of module; texts number them from 1."""

ABSENT = len(MODULES)
CARDINALITIES = (4, 4, 4, 4, 5, 5)
LEAST, MOST = 4, 6  # modules
MOST_WIDER, MOST_SMALLER = 3, 4  # modules that double channels, and that halve the resolution


def _changes(arch: Arch) -> tuple[jax.Array, jax.Array]:
    """Which modules double the channels, and which halve the resolution, `[6]` bool each."""
    return (arch == 1) | (arch == 3), (arch == 2) | (arch == 3)


def is_valid(arch: Arch) -> jax.Array:
    """`[]` bool: kinds that exist, no gap, and as many changes as the benchmark has."""
    fits = _common.in_range(arch, CARDINALITIES)
    wider, smaller = (jnp.sum(which, dtype=jnp.int32) for which in _changes(arch))
    ends_once = (arch[LEAST] != ABSENT) | (arch[LEAST + 1] == ABSENT)
    few = (wider <= MOST_WIDER) & (smaller <= MOST_SMALLER)
    return fits & ends_once & few & (wider >= 1) & (smaller >= 1)


def enumerate_networks() -> np.ndarray:
    """`[3256, 6]` int32, ascending."""
    return _listed().copy()


@functools.cache
def _listed() -> np.ndarray:
    """`[3256, 6]` int32, the valid vectors."""
    archs = _common.all_vectors(CARDINALITIES)
    # NumPy, and not the traced `is_valid`: programs are made of this while others are traced.
    wider, smaller = (np.isin(archs, kinds).sum(axis=1) for kinds in ((1, 3), (2, 3)))
    ends_once = (archs[:, LEAST] != ABSENT) | (archs[:, LEAST + 1] == ABSENT)
    few = (wider <= MOST_WIDER) & (smaller <= MOST_SMALLER)
    listed: np.ndarray = archs[ends_once & few & (wider >= 1) & (smaller >= 1)]
    return listed


def sample(key: Key) -> Arch:
    """`[6]` int32, uniform over the 3,256 networks."""
    listed = _listed()
    return jnp.asarray(listed)[jax.random.randint(key, (), 0, len(listed))]


# All that one position can become: its place, and how far around the circle of its choices.
_PLACES, _SHIFTS = np.array(
    [(place, shift) for place, size in enumerate(CARDINALITIES) for shift in range(1, size)]
).T
# Which positions a child has from its first parent.
_MASKS = _common.all_vectors((2,) * MOST).astype(bool)


@_common.keeps_dtype
def mutate(key: Key, arch: Arch) -> Arch:
    """`[6]` mutant: uniform over the valid vectors that differ in one position.

    A module may come to the end, or go from there.
    """
    _common.check_arch(arch, CARDINALITIES)
    sizes = jnp.asarray(CARDINALITIES, jnp.int32)
    moved = (arch[None] + jnp.asarray(_SHIFTS, jnp.int32)[:, None]) % sizes[None]
    here = jnp.asarray(_PLACES[:, None] == np.arange(MOST)[None])
    return _one_valid(key, jnp.where(here, moved, arch[None]))


@_common.keeps_dtype
def crossover(key: Key, a: Arch, b: Arch) -> Arch:
    """`[6]` child: uniform over the ways to take each position from a parent that are valid."""
    for parent in (a, b):
        _common.check_arch(parent, CARDINALITIES)
    return _one_valid(key, jnp.where(jnp.asarray(_MASKS), a[None], b[None]))


def _one_valid(key: Key, archs: jax.Array) -> Arch:
    """`[6]`, one of the valid rows of `archs` `[K, 6]`, each with the same probability."""
    # The largest of numbers between 0 and 1, where rows that are not valid have less.
    lots = jax.random.uniform(key, archs.shape[:1], jnp.float32)
    return archs[jnp.argmax(jnp.where(jax.vmap(is_valid)(archs), lots, -1))]


def code(arch: Arch) -> jax.Array:
    """`[2]` uint32, the mixed-radix number of the vector, in the low word."""
    return _common.mixed_radix_code(arch, CARDINALITIES)


def graph(arch: Arch) -> Graph:
    """`Graph` of a chain input → modules → output; modules that are not there are masked."""
    _common.check_arch(arch, CARDINALITIES)
    is_there = arch != ABSENT
    one, last = jnp.ones(1, bool), jnp.sum(is_there, dtype=jnp.int32)
    chain = _common.chain_graph(jnp.where(is_there, arch.astype(jnp.int32) + 1, 0), ABSENT + 2)
    mask = jnp.concatenate([one, is_there, one])
    # Nodes that are there follow each other; the last of them is read by the output.
    at, output = jnp.arange(MOST + 2, dtype=jnp.int32), MOST + 1
    ends = (at[:, None] == last) & (at[None] == output)
    adjacency = (chain.adjacency[0, 0] & (at[None] <= last)) | ends
    edges = adjacency[None, None]
    return Graph(chain.node_ops, edges.astype(jnp.int32), edges, mask[None])


def _modules(arch: Arch) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Weights, normalised channels, pixels and channels of each module, `[6]` int32 each."""
    _common.check_arch(arch, CARDINALITIES)
    widens, halves = _changes(arch)
    doubled, halved = (jnp.cumsum(which, dtype=jnp.int32) for which in (widens, halves))
    c, side = _transnas_costs.BASE << doubled, _transnas_costs.SIDE >> halved
    c_in = jnp.where(widens, c // 2, c)
    # The shortcut of the first block is a 1x1 convolution where the identity does not fit.
    projects = widens | halves
    weights = 9 * (c_in + 3 * c) * c + jnp.where(projects, c_in * c, 0)
    norms = 4 * c + jnp.where(projects, c, 0)
    is_there = arch != ABSENT
    return jnp.where(is_there, weights, 0), jnp.where(is_there, norms, 0), side * side, c


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters of the network for class_object, with 75 classes."""
    weights, norms, _, c = _modules(arch)
    total, channels = (jnp.sum(x, dtype=jnp.int32) for x in (weights, norms))
    # Absent modules keep the channels of the last one.
    return _transnas_costs.params(total, channels, c[-1])


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates of that network for one 256x256x3 image, rounded once."""
    weights, _, pixels, c = _modules(arch)
    return _transnas_costs.flops(weights, pixels, c[-1])


def to_string(arch: Arch | np.ndarray) -> str:
    """Published text such as `64-4111-basic`; ValueError for an invalid vector."""
    title, needs = "TransNAS-Bench-101 macro architecture", "6 integers from 0 below 4, 4, 4, 4"
    kinds = _common.checked_vector(arch, CARDINALITIES, title, f"{needs}, 5, 5")
    text = f"64-{''.join(str(kind + 1) for kind in kinds if kind != ABSENT)}-basic"
    if kinds[LEAST] == ABSENT != kinds[LEAST + 1]:
        raise ValueError(f"not a {title}: {kinds.tolist()} has a gap; needs integers without one")
    _check_changes(text)
    return text


def from_string(text: str) -> Arch:
    """`[6]` int32 from the published text; ValueError says what is wrong."""
    found = re.fullmatch(r"64-(\d+)-basic", text.strip(), re.ASCII)
    if not found or not LEAST <= len(found[1]) <= MOST:
        raise ValueError(
            f"not a TransNAS-Bench-101 macro architecture: {text!r}; the form is 64-4111-basic, "
            "with four to six digits"
        )
    kinds = _common.numbers_of(found[1], MODULES, text, what="module", first=1)
    _check_changes(text.strip())
    return _common.as_vector(kinds + [ABSENT] * (MOST - len(kinds)))


def _check_changes(text: str) -> None:
    """ValueError where a published text has too many changes of its size, or too few."""
    digits = text.split("-")[1]
    for kinds, most, what in (
        ("24", MOST_WIDER, "double the channels"),
        ("34", MOST_SMALLER, "halve the resolution"),
    ):
        num = sum(digit in kinds for digit in digits)
        if not 1 <= num <= most:
            raise ValueError(
                f"invalid architecture of TransNAS-Bench-101: {num} modules of {text!r} {what} "
                f"({' and '.join(kinds)}); it must be 1 to {most}"
            )


@functools.cache
def transnas_macro() -> Space:
    """TransNAS-Bench-101's space of skeletons, a `Space`.

    Returns:
        A `Space` with `D = 6`. `sample` is uniform over the 3,256 networks. `mutate` is uniform
        over the valid neighbours, which have another kind of one module, one module more, or one
        fewer. Costs are those of the network for class_object.
    """
    return Space(
        name="transnas_macro",
        cardinalities=CARDINALITIES,
        node_operations=("input", *MODULES, "output"),
        edge_operations=("none", "next"),
        sample=sample,
        mutate=mutate,
        crossover=crossover,
        is_valid=is_valid,
        identity=code,
        code=code,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_networks,
        text_form=r"64-[1-4]{4,6}-basic",
    )
