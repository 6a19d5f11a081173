"""TransNAS-Bench-101, micro: cells of NAS-Bench-201's wiring with four operations, 4,096 of them.

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task
Neural Architecture Search", CVPR 2021, https://arxiv.org/abs/2105.11871.

An architecture is `[6]` int32, the operation of each edge in `EDGES`, an index into `OPERATIONS`.
Node 0 is the input, node 3 the output, every node sums its incoming edges.

The network is that of the skeleton 41414 of `transnas_macro`: five modules of two cells, of 128,
128, 256, 256 and 512 channels. In the first cell of the first, third and fifth module, edges that
leave node 0 have stride 2 and change the width: a skip there is a convolution.
"""

import functools
import itertools
import re
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common, _transnas_costs
from jnas.spaces.nasbench201 import EDGES
from jnas.types import Arch, Graph, Space

OPERATIONS = ("none", "skip", "conv_1x1", "conv_3x3")
NONE, SKIP, CONV1X1, CONV3X3 = range(4)
CARDINALITIES = (len(OPERATIONS),) * len(EDGES)

# (channels in, channels out, pixels, cells): of each kind of cell of the skeleton 41414.
_CELLS = (
    (64, 128, 32 * 32, 1),
    (128, 128, 32 * 32, 3),
    (128, 256, 16 * 16, 1),
    (256, 256, 16 * 16, 3),
    (256, 512, 8 * 8, 1),
    (512, 512, 8 * 8, 1),
)
_LAST = _CELLS[-1][1]
_FROM_INPUT = np.array([source == 0 for source, _ in EDGES])


def code(arch: Arch) -> jax.Array:
    """`[2]` uint32, the mixed-radix number of the vector, 0 to 4,095, in the low word."""
    return _common.mixed_radix_code(arch, CARDINALITIES)


def graph(arch: Arch) -> Graph:
    """`Graph` with operations on edges: 4 nodes, an edge where the operation is not "none"."""
    _common.check_arch(arch, CARDINALITIES)
    return _common.edges_graph(arch, EDGES, NONE)


# --------------------------------------------------------------------------------------------------
# Costs.


def _cell(arch: Arch, c_in: int, c_out: int) -> tuple[jax.Array, jax.Array]:
    """Weights and normalised channels of a cell, `[]` int32 each."""
    _common.check_arch(arch, CARDINALITIES)
    widths = jnp.where(_FROM_INPUT, c_in, c_out).astype(jnp.int32)
    # Two 1x1 convolutions of half the channels each, where a skip cannot be an identity.
    projects = (arch == SKIP) & (widths != c_out)
    taps = jnp.where(arch == CONV3X3, 9, jnp.where((arch == CONV1X1) | projects, 1, 0))
    weights = jnp.sum(taps * widths * c_out, dtype=jnp.int32)
    return weights, c_out * jnp.sum(taps > 0, dtype=jnp.int32)


def params(arch: Arch) -> jax.Array:
    """`[]` int32, trainable parameters of the network for class_object, with 75 classes."""
    total, channels = jnp.int32(0), jnp.int32(0)
    for c_in, c_out, _, repeats in _CELLS:
        weights, norms = _cell(arch, c_in, c_out)
        total, channels = total + repeats * weights, channels + repeats * norms
    return _transnas_costs.params(total, channels, jnp.int32(_LAST))


def flops(arch: Arch) -> jax.Array:
    """`[]` float, multiply-accumulates of that network for one 256x256x3 image, rounded once."""
    weights = jnp.stack([_cell(arch, c_in, c_out)[0] for c_in, c_out, _, _ in _CELLS])
    times = jnp.asarray([pixels * repeats for _, _, pixels, repeats in _CELLS], jnp.int32)
    return _transnas_costs.flops(weights, times, jnp.int32(_LAST))


# --------------------------------------------------------------------------------------------------
# Identity.

Terms: TypeAlias = tuple[int, ...]
"""Summands of a value: places of edges that have weights, -1 for the cell's input; ascending."""


def _live(arch: tuple[int, ...]) -> tuple[dict[int, Terms], Terms]:
    """What each edge with weights reads, and what the output sums.

    Only edges on a path from the input to the output are there. A skip hands on what its source
    sums, but from the input it has weights, as in cells of stride 2.
    """
    nodes: list[list[int]] = [[-1], [], [], []]
    reads: dict[int, Terms] = {}
    for place, (op, (source, target)) in enumerate(zip(arch, EDGES, strict=True)):
        if op == NONE or not nodes[source]:
            continue
        if op == SKIP and source:
            nodes[target] += nodes[source]
        else:
            reads[place] = tuple(sorted(nodes[source]))
            nodes[target].append(place)
    needed = set(nodes[-1])
    # Backwards, for an edge reads only from those before it.
    for place in sorted(reads, reverse=True):
        needed |= set(reads[place]) if place in needed else set()
    return {place: reads[place] for place in reads if place in needed}, tuple(sorted(nodes[-1]))


def _canonical(arch: tuple[int, ...]) -> str:
    """Text that is the same for cells that compute the same, and for no others."""
    reads, output = _live(arch)
    texts: dict[int, str] = {-1: "input"}
    for place, terms in reads.items():
        texts[place] = f"{arch[place]}({'+'.join(sorted(texts[term] for term in terms))})"
    # Texts tell most edges apart. They do not tell whether two edges read one edge or two alike:
    # of all numberings of edges with the same text, the one with the smallest form counts.
    ordered = sorted(reads, key=texts.__getitem__)
    alike = [[*group] for _, group in itertools.groupby(ordered, texts.__getitem__)]
    forms = []
    for parts in itertools.product(*map(itertools.permutations, alike)):
        order = [place for part in parts for place in part]
        number = {-1: -1, **{place: n for n, place in enumerate(order)}}
        rows = [(arch[place], sorted(number[term] for term in reads[place])) for place in order]
        forms.append((rows, sorted(number[term] for term in output)))
    return repr(min(forms))


@functools.cache
def _class_codes() -> np.ndarray:
    """`[4096]` uint32, the smallest code among the cells that compute the same."""
    first: dict[str, int] = {}
    archs = map(tuple, _common.all_vectors(CARDINALITIES).tolist())
    return np.array([first.setdefault(_canonical(a), i) for i, a in enumerate(archs)], np.uint32)


def identity(arch: Arch) -> jax.Array:
    """`[2]` uint32, the smallest code among the cells that compute the same."""
    low = jnp.asarray(_class_codes())[code(arch)[1]]
    return jnp.stack([jnp.zeros_like(low), low])


# --------------------------------------------------------------------------------------------------
# Texts.


def to_string(arch: Arch | np.ndarray) -> str:
    """Published text such as `64-41414-1_02_333`; ValueError for an invalid vector."""
    title = "TransNAS-Bench-101 micro architecture"
    ops = _common.checked_vector(arch, CARDINALITIES, title, "6 integers from 0 to 3")
    digits = "".join(map(str, ops))
    return f"64-41414-{digits[0]}_{digits[1:3]}_{digits[3:]}"


def from_string(text: str) -> Arch:
    """`[6]` int32 from the published text; ValueError says what is wrong."""
    found = re.fullmatch(r"64-41414-(\d)_(\d\d)_(\d\d\d)", text.strip(), re.ASCII)
    if not found:
        raise ValueError(
            f"not a TransNAS-Bench-101 micro architecture: {text!r}; the form is 64-41414-1_02_333"
        )
    return _common.as_vector(_common.numbers_of("".join(found.groups()), OPERATIONS, text))


def enumerate_cells() -> np.ndarray:
    """`[4096, 6]` int32, ascending; row `i` has `code` `i`."""
    return _common.all_vectors(CARDINALITIES)


@functools.cache
@pickled_by_call
def transnas_micro() -> Space:
    """TransNAS-Bench-101's space of cells, a `Space`.

    Returns:
        A `Space` with `D = 6`. `sample` is uniform; `mutate` gives one edge, each with the same
        probability, another operation. `identity` is the same for cells that compute the same:
        what is on no path from the input to the output does not count, and skips hand on what they
        read, but those from the input, which have weights in cells of stride 2. `code` tells all
        4,096 cells apart, as the published table does. Costs are those of the network for
        class_object.
    """
    return Space(
        name="transnas_micro",
        cardinalities=CARDINALITIES,
        node_operations=("input", "sum", "output"),
        edge_operations=OPERATIONS,
        **_common.uniform_moves(CARDINALITIES),
        identity=identity,
        code=code,
        graph=graph,
        params=params,
        flops=flops,
        to_string=to_string,
        from_string=from_string,
        enumerate=enumerate_cells,
        text_form=r"64-41414-[0-3]_[0-3]{2}_[0-3]{3}",
    )
