"""Samples, mutants and children of NAS-Bench-101 cells by rejection, with few random words.

Validity depends on the edges alone, an attempt works on a 21-bit mask, and one 32-bit word is
decoded into several biased bits (arithmetic decoding), so that a million lanes can afford to wait
for the slowest one.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jnas.spaces import _nasbench101_cells as cells
from jnas.spaces._common import keeps_dtype
from jnas.types import Arch, Key

_E = cells.NUM_EDGE_BITS


def _first_valid(
    key: Key, propose: Callable[[jax.Array], jax.Array], fallback: jax.Array
) -> jax.Array:
    """First valid mask of `propose(random words [4] uint32) -> [4]`, `[]` uint32.

    Ends with `fallback` after 4,096 masks, which no valid parents need. A loop without end would
    hang a whole batch for one invalid row.
    """
    # Four masks a round: under `vmap` all lanes wait for the slowest. Of all masks 73 % are valid,
    # so that a round of random ones fails once in 200 times.

    def attempt(
        carry: tuple[Key, jax.Array, jax.Array, jax.Array],
    ) -> tuple[Key, jax.Array, jax.Array, jax.Array]:
        """Key, mask, whether it is valid, and number of rounds after one more round."""
        key, _, _, rounds = carry
        key, sub = jax.random.split(key)
        masks = propose(jax.random.bits(sub, (4,), jnp.uint32))
        valid = cells.is_valid_mask(masks)
        return key, masks[jnp.argmax(valid)], jnp.any(valid), rounds + 1

    start = (key, fallback, jnp.asarray(False), jnp.zeros((), jnp.int32))
    _, mask, found, _ = jax.lax.while_loop(
        lambda carry: ~carry[2] & (carry[3] < 1024), attempt, start
    )
    return jnp.where(found, mask, fallback)


def sample_official(key: Key) -> Arch:
    """`[26]` random cell: edges Bernoulli(½) until it is valid, operations uniform."""
    edge_key, op_key = jax.random.split(key)
    input_to_output = jnp.uint32(1 << cells.EDGES.index((0, cells.OUTPUT)))
    # Validity does not depend on operations: drawn once, they have the distribution of the
    # published sampler, which draws them again at every attempt.
    mask = _first_valid(edge_key, lambda words: words >> (32 - _E), input_to_output)
    ops = jax.random.randint(op_key, (cells.NUM_INTERIOR,), 0, 3, jnp.int32)
    return jnp.concatenate([cells.unpack(mask), ops])


def sample_uniform(key: Key) -> Arch:
    """`[26]` random cell, uniform over the 423,624, as its canonical representative."""
    codes = jnp.asarray(cells.enumerate_codes())
    code = codes[jax.random.randint(key, (), 0, len(codes))]
    ops = (code >> _E).astype(jnp.int32) // jnp.asarray([81, 27, 9, 3, 1], jnp.int32) % 3
    return jnp.concatenate([cells.unpack(code), ops])


@keeps_dtype
def mutate_official(key: Key, arch: Arch, *, mutation_rate: float, allow_parent: bool) -> Arch:
    """`[26]` mutant: each edge flips with probability rate/7, each operation changes with rate/5.

    Drawn again until the cell is valid and, unless `allow_parent`, the vector differs from the
    parent's. Acts on the vector as it is, parts that pruning would remove included. The move of the
    regularized evolution in the notebook of Ying et al. (ICML 2019), with its rate 1.
    """
    # Both rates divide by numbers of vertices, also for the 21 edges, as the published code does.
    parent_mask, parent_ops = cells.pack(arch), list(arch[_E:])
    edge_rate, op_rate = mutation_rate / cells.NUM_VERTICES, mutation_rate / cells.NUM_INTERIOR

    def attempt(key: Key) -> tuple[Key, jax.Array, jax.Array, jax.Array]:
        """Key, edge mask, operations `[5]`, and whether the mutant is accepted."""
        key, sub = jax.random.split(key)
        words = jax.random.bits(sub, (4,), jnp.uint32)
        # Three words of seven bits each are the 21 edges; the fourth is for the operations.
        flips = [flip for word in words[:3] for flip in _biased_bits(word, edge_rate, 7)]
        flipped = (flip.astype(jnp.uint32) << i for i, flip in enumerate(flips))
        mask = parent_mask ^ sum(flipped, jnp.uint32(0))
        ops = jnp.stack(
            [(op + s) % 3 for op, s in zip(parent_ops, _shifts(words[3], op_rate), strict=True)]
        )
        changed = (mask != parent_mask) | jnp.any(ops != arch[_E:])
        return key, mask, ops, cells.is_valid_mask(mask) & (changed | allow_parent)

    # Operations are drawn again with the edges, unlike in `sample_official`: an attempt is refused
    # where nothing has changed, which depends on both.
    _, mask, ops, _ = jax.lax.while_loop(lambda c: ~c[3], lambda c: attempt(c[0]), attempt(key))
    return jnp.concatenate([cells.unpack(mask), ops])


def _unit(word: jax.Array) -> jax.Array:
    """Random word as a float32 in [0, 1)."""
    # 24 bits are all that a float32 holds; a full word could be rounded up to 1.
    return (word >> 8).astype(jnp.float32) * 2.0**-24


def _biased_bits(word: jax.Array, probability: float, num: int) -> list[jax.Array]:
    """`num` independent bool scalars, each True with `probability`, from one word.

    The word is a number in [0, 1). Each bit asks on which side of `probability` it falls and
    stretches that side back to [0, 1); seven bits of probability 1/7 use some 4 of its 24 bits.
    """
    p = min(max(probability, 0.0), 1.0)
    u, bits = _unit(word), []
    for _ in range(num):
        bit = u < p
        bits.append(bit)
        # Python divides for both sides, also where `p` is 0 or 1 and one of them is never taken.
        u = jnp.where(bit, u * (1 / max(p, 1e-9)), (u - p) * (1 / max(1 - p, 1e-9)))
    return bits


def _shifts(word: jax.Array, probability: float) -> list[jax.Array]:
    """5 int32 scalars: 0 with probability 1 - `probability`, else 1 or 2 alike, from one word."""
    p = min(max(probability, 0.0), 1.0)
    u, shifts = _unit(word), []
    for _ in range(cells.NUM_INTERIOR):
        # Below p/2 the shift is 2 and from there to p it is 1, so that the same comparison also
        # says which part of [0, 1) is left to stretch.
        shift = (u < p).astype(jnp.int32) + (u < p / 2).astype(jnp.int32)
        shifts.append(shift)
        low = jnp.where(shift == 2, u, u - p / 2) * (2 / max(p, 1e-9))
        u = jnp.where(shift > 0, low, (u - p) * (1 / max(1 - p, 1e-9)))
    return shifts


@keeps_dtype
def mutate_edge(key: Key, arch: Arch) -> Arch:
    """`[26]` mutant: the pruned parent with one edge flipped, uniform over flips to valid cells.

    Flips stay among the parent's own vertices, as in the NASWOT experiments; the cell of two
    vertices has no such flip, and gets one that leads to a new vertex.
    """
    parent = cells.compacted(arch)
    mask = cells.pack(parent)
    children = mask ^ (jnp.uint32(1) << jnp.arange(_E, dtype=jnp.uint32))
    # Never the parent as it was given, which a flip can restore where pruning has removed an edge.
    valid = cells.is_valid_mask(children) & (children != cells.pack(arch))
    kept = cells.kept_vertices(mask)
    own = jnp.stack([(kept >> x) & (kept >> y) & 1 == 1 for x, y in cells.EDGES])
    choices = jnp.where(jnp.any(valid & own), valid & own, valid)
    flip = jax.random.categorical(key, jnp.where(choices, 0.0, -jnp.inf))
    return jnp.concatenate([cells.unpack(children[flip]), parent[_E:]])


@keeps_dtype
def crossover(key: Key, a: Arch, b: Arch) -> Arch:
    """`[26]` child: each position from either parent, edges drawn again until it is valid."""
    mask_a, mask_b = cells.pack(a), cells.pack(b)
    edge_key, op_key = jax.random.split(key)

    mask = _first_valid(edge_key, lambda words: (mask_a & words) | (mask_b & ~words), mask_a)
    from_a = jax.random.bernoulli(op_key, shape=(cells.NUM_INTERIOR,))
    return jnp.concatenate([cells.unpack(mask), jnp.where(from_a, a[_E:], b[_E:])])
