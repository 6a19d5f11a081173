"""Shared parts of spaces: numbers of vectors, crossover, simple graphs, checks of vectors."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jnas.types import Arch, Graph, Key, Space

_MOST_LISTED = 2**24  # architectures of a space that `listed_vectors` lists


def in_range(arch: Arch, cardinalities: Sequence[int]) -> jax.Array:
    """`[]` bool: every choice of `arch` `[D]` is one of its position's choices."""
    check_arch(arch, cardinalities)
    # Widened, for 256 choices have numbers of one byte, but 256 itself is none.
    wide = _widened(arch)
    return jnp.all((wide >= 0) & (wide < jnp.asarray(cardinalities, jnp.int32)))


def check_arch(arch: Arch, cardinalities: Sequence[int]) -> None:
    """Check that `arch` is one `[D]` integer vector; ValueError otherwise.

    Only the static shape and type are looked at, so that it costs nothing in a compiled program.
    """
    num = len(cardinalities)
    if arch.shape != (num,) or not jnp.issubdtype(arch.dtype, jnp.integer):
        raise ValueError(
            f"an architecture of this space has {num} integers; got {arch.dtype} of shape "
            f"{arch.shape}"
        )


def checked_vector(
    arch: ArrayLike, cardinalities: Sequence[int], title: str, needs: str
) -> np.ndarray:
    """Vector `[D]` int32 with every choice in range, on the host.

    Args:
        arch: what should be `[D]` integers.
        cardinalities: `D` ints.
        title: what it should be, for the message.
        needs: what is allowed, likewise.

    Raises:
        ValueError: no integers, another shape, or a choice out of range.
    """
    vector, sizes = np.asarray(arch), np.asarray(cardinalities)
    fits = vector.shape == sizes.shape and np.issubdtype(vector.dtype, np.integer)
    if not fits or np.any((vector < 0) | (vector >= sizes)):
        raise ValueError(f"not a {title}: {vector.tolist()}; needs {needs}")
    # Not of the type that it came in: sums of bytes would wrap around.
    return vector.astype(np.int32)


def keeps_dtype(move: Callable[..., Arch]) -> Callable[..., Arch]:
    """Move `(key, parents [D], ...) -> [D]` on integers of any width, in int32 inside.

    The child has the type of the first parent: result files store vectors as bytes.
    """

    @functools.wraps(move)
    def moved(key: Key, *parents: Arch, **options: Any) -> Arch:
        # Each space's arithmetic is in int32; of bytes it would wrap around, or fail to promote.
        wide = (_widened(parent) for parent in parents)
        return move(key, *wide, **options).astype(parents[0].dtype)

    return moved


def _widened(arch: Arch) -> Arch:
    """`[D]` int32 of integers; what is none is left to `check_arch`."""
    # Floats would pass that check if they were narrowed here.
    is_integer = jnp.issubdtype(arch.dtype, jnp.integer)
    return jnp.asarray(arch, jnp.int32 if is_integer else arch.dtype)


def mixed_radix_code(arch: Arch, cardinalities: Sequence[int]) -> jax.Array:
    """Mixed-radix number of a vector, first position most significant.

    Args:
        arch: `[D]` int32.
        cardinalities: `D` ints whose product is at most 2^32.

    Returns:
        `[2]` uint32, high word (always 0) and low word.
    """
    check_arch(arch, cardinalities)
    weights = [math.prod(cardinalities[d + 1 :]) for d in range(len(cardinalities))]
    # With `dtype`, for a sum of uint32 is uint64 where JAX runs in 64 bits.
    low = jnp.sum(arch.astype(jnp.uint32) * jnp.asarray(weights, jnp.uint32), dtype=jnp.uint32)
    return jnp.stack([jnp.zeros_like(low), low])


def mixed_radix_words(arch: Arch, cardinalities: Sequence[int]) -> jax.Array:
    """Mixed-radix numbers `[W]` uint32 of a vector `[D]`, high word first, as few as there may be.

    No choice is split between words: without 64-bit integers, each is a number of its own.
    """
    words = word_bounds(cardinalities)
    codes = [mixed_radix_code(arch[i:j], cardinalities[i:j])[1:] for i, j in words]
    return jnp.concatenate([jnp.zeros(0, jnp.uint32), *codes])


def word_bounds(cardinalities: Sequence[int]) -> list[tuple[int, int]]:
    """First position of each word of `mixed_radix_words`, and that of the next; high word first."""
    bounds: list[tuple[int, int]] = []
    end = len(cardinalities)
    while end:
        # From the last position up: the low word takes as many as fit it.
        start = min(d for d in range(end) if math.prod(cardinalities[d:end]) <= 2**32)
        bounds.insert(0, (start, end))
        end = start
    return bounds


def all_vectors(cardinalities: Sequence[int]) -> np.ndarray:
    """`[A, D]` int32, every vector, ascending: row `i` has the mixed-radix number `i`."""
    grid = np.indices(cardinalities, dtype=np.int32)
    # The transpose is a view with a stride of A: every row would be read from D places.
    return np.ascontiguousarray(grid.reshape(len(cardinalities), -1).T)


def listed_vectors(cardinalities: Sequence[int]) -> np.ndarray:
    """`all_vectors` of at most 2^24 architectures; ValueError where they are more."""
    num = math.prod(cardinalities)
    if num > _MOST_LISTED:
        raise ValueError(
            f"{num:.3g} architectures are too many to list; the most are {_MOST_LISTED:,}"
        )
    return all_vectors(cardinalities)


def uniform_sample(sizes: tuple[int, ...], key: Key) -> Arch:
    """`[D]` int32, uniform over all combinations of so many choices at each position."""
    return jax.random.randint(key, (len(sizes),), 0, jnp.asarray(sizes), jnp.int32)


def uniform_mutate(sizes: tuple[int, ...], key: Key, arch: Arch) -> Arch:
    """`[D]` mutant: a uniform position that has several choices gets another one, uniformly.

    Only for spaces in which every vector is valid.
    """
    check_arch(arch, sizes)
    place_key, value_key = jax.random.split(key)
    # A choice with one value has no other one, and the child would be its parent.
    place = jax.random.choice(place_key, np.flatnonzero(np.array(sizes) > 1))
    num = jnp.asarray(sizes, jnp.int32)[place]
    # From 1 to the number less 1 around a circle: every other value, all alike.
    shift = jax.random.randint(value_key, (), 1, num, jnp.int32)
    return arch.at[place].set((arch[place] + shift) % num)


def uniform_crossover(key: Key, a: Arch, b: Arch) -> Arch:
    """`[D]` child, each position from parent `a` or `b` `[D]` with equal probability.

    Only for spaces in which every vector is valid.
    """
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"parents must be two vectors [D]; got {a.shape} and {b.shape}")
    return jnp.where(jax.random.bernoulli(key, shape=a.shape), a, b)


def uniform_moves(cardinalities: tuple[int, ...]) -> dict[str, Any]:
    """Moves of a `Space` whose vectors are all valid, by the names of its fields.

    `sample` is uniform, `mutate` changes one position, each with the same probability, `crossover`
    takes each choice from either parent.
    """
    return {
        "sample": functools.partial(uniform_sample, cardinalities),
        "mutate": keeps_dtype(functools.partial(uniform_mutate, cardinalities)),
        "crossover": uniform_crossover,
        "is_valid": functools.partial(in_range, cardinalities=cardinalities),
    }


def edges_graph(arch: Arch, edges: Sequence[tuple[int, int]], none: int) -> Graph:
    """`Graph` of four nodes, with the operations of `arch` `[6]` on edges other than "none"."""
    sources, targets = np.array(edges).T
    square = jnp.zeros((4, 4), jnp.int32).at[sources, targets].set(arch.astype(jnp.int32))
    node_ops, edge_ops = jnp.asarray([[0, 1, 1, 2]], jnp.int32), square[None, None]
    return Graph(node_ops, edge_ops, edge_ops != none, jnp.ones((1, 4), bool))


def chain_graph(inner: jax.Array, num_operations: int) -> Graph:
    """`Graph` of a chain input → `D` nodes with the operations `inner` `[D]` → output.

    The input has the first of `num_operations` node operations, and the output the last.
    """
    ends = jnp.zeros(1, jnp.int32), jnp.full(1, num_operations - 1, jnp.int32)
    node_ops = jnp.concatenate([ends[0], inner.astype(jnp.int32), ends[1]])
    num = len(node_ops)
    chain = jnp.eye(num, k=1, dtype=bool)[None, None]
    return Graph(node_ops[None], chain.astype(jnp.int32), chain, jnp.ones((1, num), bool))


def weighted_sum(counts: jax.Array, times: jax.Array | Sequence[int]) -> jax.Array:
    """`[]` float, the sum of `counts` `[K]` int32 from 0, each `times` `[K]`, rounded once.

    Exact where the sum of `times` is at most 2^16, also beyond 2^32.
    """
    # In two words of 16 bits each, for JAX has no 64-bit integers in its 32-bit mode.
    wide, times_ = counts.astype(jnp.uint32), jnp.asarray(times, jnp.uint32)
    high, low = (
        jnp.sum(word * times_, dtype=jnp.uint32) for word in (wide >> 16, wide & jnp.uint32(0xFFFF))
    )
    high += low >> 16
    # Of 24 bits each, which every float holds: only their sum is rounded.
    top, bottom = high >> 8, (high & jnp.uint32(0xFF)) << 16 | (low & jnp.uint32(0xFFFF))
    dtype = jnp.result_type(float)
    total: jax.Array = top.astype(dtype) * 2**24 + bottom.astype(dtype)
    return total


def simple_graph(space: Space, what: str) -> Callable[[Arch], Graph]:
    """`Space.graph` without the axes `C` and `K`, for a space with one kind of cell.

    Args:
        space: whose architectures.
        what: name of what is made of the graph, for the message.

    Returns:
        `[D] -> Graph` with `node_ops` and `mask` `[N]`, `edge_ops` and `adjacency` `[N, N]`.

    Raises:
        ValueError: there are several kinds of cell, several inputs, or parallel edges.
    """
    # Shapes alone say it: nothing is computed, and the refusal comes before the first architecture.
    arch = jax.ShapeDtypeStruct((len(space.cardinalities),), jnp.int32)
    num_cells, num_parallel = jax.eval_shape(space.graph, arch).edge_ops.shape[:2]
    if (num_cells, num_parallel, space.num_inputs) != (1, 1, 1):
        raise ValueError(
            f"{what} is for one kind of cell with one input and no parallel edges; {space.name} "
            f"has {num_cells} kinds, {space.num_inputs} inputs and up to {num_parallel} "
            "parallel edges"
        )

    def graph(arch: Arch) -> Graph:
        """`Graph` of the only kind of cell."""
        full = space.graph(arch)
        return Graph(full.node_ops[0], full.edge_ops[0, 0], full.adjacency[0, 0], full.mask[0])

    return graph


def numbers_of(
    digits: str, names: Sequence[str], text: str, *, what: str = "operation", first: int = 0
) -> list[int]:
    """Places in `names` that digits stand for, counted from `first`.

    Raises:
        ValueError: a digit stands for none; the message has its place in the `text`, and the names.
    """
    known = [str(number) for number in range(first, first + len(names))]
    for place, digit in enumerate(digits, start=1):
        if digit not in known:
            meanings = ", ".join(map(" ".join, zip(known, names, strict=True)))
            raise ValueError(
                f"unknown {what} {digit!r} at place {place} in {text!r}; valid: {meanings}"
            )
    return [known.index(digit) for digit in digits]


def inverted_residual_costs(
    channels: tuple[int, int],
    pixels: tuple[int, int],
    expansion: int,
    kernel: int,
    squeezed: int = 0,
) -> tuple[int, int]:
    """Parameters and multiply-accumulates of an inverted residual block (MobileNetV2, CVPR 2018).

    A 1x1 convolution to the hidden channels, which is not there without an expansion, one of each
    of them with the stride, and a 1x1 convolution back, each with a batch norm.

    Args:
        channels: that it reads, and that it returns.
        pixels: of the maps before its stride, and after it.
        expansion: hidden channels for each that it reads.
        kernel: side of the kernels of the hidden channels.
        squeezed: inner channels of its squeeze-and-excitation, whose 1x1 convolutions have biases;
            0 for none.
    """
    (c_in, c_out), (before, after) = channels, pixels
    hidden = c_in * expansion
    widen = c_in * hidden if expansion > 1 else 0
    depthwise, narrow = kernel**2 * hidden, hidden * c_out
    # Of one pixel, the mean of all.
    excitation, biases = 2 * hidden * squeezed, (hidden + squeezed if squeezed else 0)
    normalised = hidden * (2 if expansion > 1 else 1) + c_out
    return (
        widen + depthwise + narrow + 2 * normalised + excitation + biases,
        widen * before + (depthwise + narrow) * after + excitation,
    )


def as_vector(values: Sequence[int]) -> Arch:
    """`[D]` int32 architecture from Python ints."""
    return jnp.asarray(values, jnp.int32)
