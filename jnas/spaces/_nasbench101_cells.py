"""NAS-Bench-101 cells as bit sets: pruning, validity, isomorphism, and the list of all cells.

Edges are a `[]` uint32 mask: edge `x → y` (`x < y`) is bit `x + y(y-1)/2`, so that the bits of the
edges into `y` are contiguous. Vertices are bits of a uint32 too: 0 is the input, 6 the output.

Bit sets and not matrices, because random search and evolution test millions of cells for validity:
a cell is one word, and a step of the walk along paths is a shift and an "and".
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jnas.spaces import _common

NUM_VERTICES, NUM_EDGE_BITS, MAX_EDGES, NUM_INTERIOR = 7, 21, 9, 5
OUTPUT = NUM_VERTICES - 1
EDGES = tuple((x, y) for y in range(1, NUM_VERTICES) for x in range(y))  # in bit order
CARDINALITIES = (2,) * NUM_EDGE_BITS + (3,) * NUM_INTERIOR

_U = jnp.uint32


def pack(arch: jax.Array) -> jax.Array:
    """Edge mask of `arch` `[26]`, `[]` uint32."""
    _common.check_arch(arch, CARDINALITIES)
    bits = arch[:NUM_EDGE_BITS].astype(_U)
    return jnp.sum(bits << jnp.arange(NUM_EDGE_BITS, dtype=_U), dtype=_U)


def unpack(mask: jax.Array) -> jax.Array:
    """`[21]` int32 edge bits of an edge mask `[]` uint32."""
    return ((mask >> jnp.arange(NUM_EDGE_BITS, dtype=_U)) & 1).astype(jnp.int32)


def sources_of(mask: jax.Array, y: int) -> jax.Array:
    """Vertices with an edge into `y`, a bit set of the shape of `mask`."""
    return (mask >> (y * (y - 1) // 2)) & ((1 << y) - 1)


def kept_vertices(mask: jax.Array) -> jax.Array:
    """Vertices on input → output paths, a bit set; without the output where there is no path."""
    reached, useful = jnp.ones_like(mask), jnp.full_like(mask, 1 << OUTPUT)
    # Edges go up, so one pass in each direction settles every vertex: all that lead to `y` come
    # before it, and all that it leads to come after it.
    for y in range(1, NUM_VERTICES):
        reached |= (sources_of(mask, y) & reached != 0).astype(_U) << y
    for y in range(OUTPUT, 0, -1):
        useful |= jnp.where((useful >> y) & 1 == 1, sources_of(mask, y), 0)
    return reached & useful


def pruned(mask: jax.Array) -> jax.Array:
    """Edge mask without the edges that touch a vertex off every input → output path."""
    kept = kept_vertices(mask)
    result = jnp.zeros_like(mask)
    for y in range(1, NUM_VERTICES):
        row = jnp.where((kept >> y) & 1 == 1, sources_of(mask, y) & kept, 0)
        result |= row << (y * (y - 1) // 2)
    return result


def is_valid_mask(mask: jax.Array) -> jax.Array:
    """`[]` bool: input and output are connected and at most 9 edges are left after pruning."""
    # As published, edges are counted after pruning: useless ones do not make a cell invalid.
    edges = pruned(mask)
    return (edges != 0) & (jax.lax.population_count(edges) <= MAX_EDGES)


def compacted(arch: jax.Array) -> jax.Array:
    """`[26]` pruned and renumbered vector of `arch` `[26]`: kept vertices first, then padding.

    The published (pruned) matrix stands for this vector. Padding has operation 0 and no edges.
    """
    edges = unpack(pruned(pack(arch)))
    kept = (kept_vertices(pack(arch)) >> jnp.arange(NUM_VERTICES, dtype=_U)) & 1 == 1
    matrix = (
        jnp.zeros((NUM_VERTICES, NUM_VERTICES), jnp.int32).at[tuple(np.array(EDGES).T)].set(edges)
    )
    # The sort is stable: kept vertices stay in their order, so that every edge still goes up.
    order = jnp.concatenate(
        [jnp.zeros(1, jnp.int32), 1 + jnp.argsort(~kept[1:-1]), jnp.full(1, OUTPUT)]
    )
    matrix = matrix[order][:, order]
    ops = jnp.where(kept[1:-1], arch[NUM_EDGE_BITS:], 0)[order[1:-1] - 1]
    return jnp.concatenate([matrix[tuple(np.array(EDGES).T)], ops.astype(jnp.int32)])


def _mix(h: jax.Array, salt: int) -> jax.Array:
    """Bijective scrambling of 32 bits: two rounds of multiply and xor-shift.

    Shifts and multipliers are those of the hash "lowbias32" (C. Wellons, hash-prospector).
    """
    h = (h ^ (h >> 16) ^ np.uint32(salt)) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
    return h ^ (h >> 16)


def identity(arch: jax.Array) -> jax.Array:
    """`[2]` uint32 of `arch` `[26]`, equal exactly for cells that are isomorphic after pruning.

    Each vertex starts from its operation and takes in the sums over its sources and over its
    targets, once for every step of the longest path; the multiset of the results is the identity.
    That this separates all 423,624 cells is checked by enumeration.

    The published identity is an MD5 of texts (Ying et al., ICML 2019), which cannot be traced. This
    one has the same classes and other values.
    """
    mask = pruned(pack(arch))
    kept = kept_vertices(mask)
    # Input and output have labels of their own, for they have no operation but are not alike.
    ops = [np.int32(3), *(arch[NUM_EDGE_BITS + i] for i in range(NUM_INTERIOR)), np.int32(4)]
    labels = jnp.stack([jnp.asarray(op, jnp.int32) for op in ops]).astype(_U)
    present = (kept >> jnp.arange(NUM_VERTICES, dtype=_U)) & 1
    edges = [(x, y, (mask >> bit) & 1) for bit, (x, y) in enumerate(EDGES)]
    # Two independent words: among 423,624 cells some twenty pairs would share a word of 32 bits.
    return jnp.stack([_lane(labels, present, edges, salt) for salt in (0x2C1B3C6D, 0x297A2D39)])


def _lane(
    labels: jax.Array, present: jax.Array, edges: list[tuple[int, int, jax.Array]], salt: int
) -> jax.Array:
    """`[]` uint32, a word of `identity` from labels `[7]`, presence `[7]` and (x, y, bit) edges."""

    def step(_: int, h: jax.Array) -> jax.Array:
        """`[7]` uint32 labels that have taken in those of the neighbours."""
        sources = [jnp.zeros((), _U) for _ in range(NUM_VERTICES)]
        targets = list(sources)
        for x, y, edge in edges:
            sources[y] += edge * h[x]
            targets[x] += edge * h[y]
        # Sums do not depend on the numbers of the vertices. Three different factors keep a vertex,
        # its sources and its targets apart; with equal ones no edge would have a direction.
        own = h * np.uint32(0x9E3779B1)
        return _mix(own + jnp.stack(sources) + np.uint32(5) * jnp.stack(targets), salt)

    h = jax.lax.fori_loop(0, NUM_VERTICES - 1, step, _mix(labels + 1, salt))
    # Mixed before the sum, or different multisets with one total would collide; without the pruned
    # vertices, whose operations must not count.
    return _mix(jnp.sum(present * _mix(h, salt), dtype=_U), salt)


# --------------------------------------------------------------------------------------------------
# Enumeration, on the host.


def _topologies(num_interior: int) -> tuple[np.ndarray, np.ndarray]:
    """Canonical pruned masks with `num_interior` interior vertices, and their automorphisms.

    The canonical mask is the smallest among the relabellings that keep edges going up. Vertices are
    numbered 0 … num_interior + 1 here (the output last), in the same bit order.

    Returns:
        masks `[M]` int32 and automorphisms `[M, num_interior!]` bool, ordered as `_permutations`.
    """
    num_vertices = num_interior + 2
    edges = [(x, y) for y in range(1, num_vertices) for x in range(y)]
    masks = np.arange(1 << len(edges), dtype=np.int32)
    masks = masks[np.bitwise_count(masks) <= MAX_EDGES]
    # In a graph without cycles, a vertex lies on an input → output path as soon as every vertex but
    # the input has a source and every one but the output a target.
    for v in range(num_vertices):
        into = sum(1 << i for i, (_, y) in enumerate(edges) if y == v)
        out = sum(1 << i for i, (x, _) in enumerate(edges) if x == v)
        masks = masks[((masks & into) != 0) | (v == 0)]
        masks = masks[((masks & out) != 0) | (v == num_vertices - 1)]
    for permutation in _permutations(num_interior):
        image = _permuted(masks, edges, permutation)
        masks = masks[(image < 0) | (masks <= image)]
    automorphisms = [_permuted(masks, edges, p) == masks for p in _permutations(num_interior)]
    return masks, np.stack(automorphisms, axis=1)


def _permutations(num_interior: int) -> list[tuple[int, ...]]:
    """Relabellings of `num_interior + 2` vertices that fix input and output."""
    interior = itertools.permutations(range(1, num_interior + 1))
    return [(0, *p, num_interior + 1) for p in interior]


def _permuted(
    masks: np.ndarray, edges: list[tuple[int, int]], permutation: tuple[int, ...]
) -> np.ndarray:
    """`[M]` relabelled masks; negative where an edge would go down."""
    image = np.zeros_like(masks)
    for bit, (x, y) in enumerate(edges):
        px, py = permutation[x], permutation[y]
        # The sign bit marks the whole relabelling as impossible, whatever other bits join it.
        target = 1 << (px + py * (py - 1) // 2) if px < py else np.iinfo(np.int32).min
        image |= np.where(masks >> bit & 1, np.int32(target), np.int32(0))
    return image


def _colourings(automorphisms: np.ndarray, num_interior: int) -> np.ndarray:
    """`[M, 3^num_interior]` bool: colourings that are the smallest of their orbit.

    A colouring gives each interior vertex an operation; the orbit is that of the automorphisms.
    """
    # The product lists them ascending, so that a colouring's index is its number in base 3.
    colours = np.array(list(itertools.product(range(3), repeat=num_interior)), np.int64)
    weights = 3 ** np.arange(num_interior - 1, -1, -1, dtype=np.int64)
    keep = np.ones((len(automorphisms), len(colours)), bool)
    for i, permutation in enumerate(_permutations(num_interior)):
        rows = np.flatnonzero(automorphisms[:, i])
        image = colours[:, np.array(permutation[1:-1], np.int64) - 1] @ weights
        keep[rows] &= np.arange(len(colours)) <= image
    return keep


@functools.cache
def enumerate_codes() -> np.ndarray:
    """`[423624]` uint32 packed cells, `edge mask | operations << 21`: one for each class.

    A class is that of isomorphic cells, and the order that of the vectors, ascending. Canonical
    topologies are generated first, then the colourings of each up to its automorphisms, so that no
    cell is ever generated twice. The number is that of Ying et al., section 2.
    """
    codes = []
    for k in range(NUM_INTERIOR + 1):
        masks, automorphisms = _topologies(k)
        rows, colours = np.nonzero(_colourings(automorphisms, k))
        full = _moved_output(masks, k)[rows].astype(np.uint32)
        ops = (colours * 3 ** (NUM_INTERIOR - k)).astype(np.uint32)  # padding has operation 0
        codes.append(full | ops << NUM_EDGE_BITS)
    merged = np.concatenate(codes)
    # Bit 0 is the first position of the vector, so the bits are reversed to sort by vectors.
    order = np.zeros(len(merged), np.int64)
    for i in range(NUM_EDGE_BITS):
        order = order << 1 | (merged >> i & 1)
    return merged[np.argsort(order * 3**NUM_INTERIOR + (merged >> NUM_EDGE_BITS))]


def _moved_output(masks: np.ndarray, num_interior: int) -> np.ndarray:
    """`[M]` masks with the output renumbered from `num_interior + 1` to 6, padding between."""
    last = num_interior + 1
    start = last * (last - 1) // 2
    rest = masks & ((1 << start) - 1)
    return rest | (masks >> start) << (OUTPUT * (OUTPUT - 1) // 2)


def codes_to_vectors(codes: np.ndarray) -> np.ndarray:
    """`[A, 26]` int32 vectors of packed cells `[A]` uint32."""
    vectors = np.empty((len(codes), NUM_EDGE_BITS + NUM_INTERIOR), np.int32)
    for i in range(NUM_EDGE_BITS):
        vectors[:, i] = codes >> i & 1
    ops = codes >> NUM_EDGE_BITS
    for i in range(NUM_INTERIOR):
        vectors[:, NUM_EDGE_BITS + i] = ops // 3 ** (NUM_INTERIOR - 1 - i) % 3
    return vectors
