"""A made-up space of the second kind: normal and reduction cells of two inputs, whose nodes may
read one input twice.

Each cell has two inner nodes; each of them adds up two operations on earlier nodes. Its position in
a vector is (source, operation, source, operation) node by node, the normal cell first: `D = 16`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jnas.types import Arch, Graph, Key, Space

CELLS = ("normal", "reduction")
OPERATIONS = ("skip", "pool_3x3", "conv_3x3")
CARDINALITIES = (2, 3, 2, 3, 3, 3, 3, 3) * 2
N = 5


def slots(arch):
    """`[2, 2, 2]` each: source and operation of each cell, inner node and slot."""
    table = arch.reshape(2, 2, 2, 2)
    return table[..., 0], table[..., 1]


def sample(key: Key) -> Arch:
    return jax.random.randint(key, (16,), 0, 6, jnp.int32) % jnp.asarray(CARDINALITIES, jnp.int32)


def mutate(key: Key, arch: Arch) -> Arch:
    place_key, shift_key = jax.random.split(key)
    place, sizes = jax.random.randint(place_key, (), 0, 16), jnp.asarray(CARDINALITIES, jnp.int32)
    shift = jax.random.randint(shift_key, (), 1, sizes[place], jnp.int32)
    return arch.at[place].set((arch[place] + shift) % sizes[place])


def crossover(key: Key, a: Arch, b: Arch) -> Arch:
    return jnp.where(jax.random.bernoulli(key, shape=a.shape), a, b)


def is_valid(arch: Arch) -> jax.Array:
    return jnp.all((arch >= 0) & (arch < jnp.asarray(CARDINALITIES, arch.dtype)))


def code(arch: Arch) -> jax.Array:
    """Code `[3]`: a word that all share, and one for each cell up to the order of the slots."""
    sources, ops = slots(arch)
    pairs = jnp.sort((sources * 3 + ops).astype(jnp.uint32), axis=-1)
    digits = pairs.reshape(2, 4) * jnp.asarray([[1, 9, 81, 729]], jnp.uint32)
    return jnp.concatenate([jnp.full(1, 7, jnp.uint32), jnp.sum(digits, axis=1, dtype=jnp.uint32)])


def graph(arch: Arch) -> Graph:
    sources, ops = slots(arch)
    edge_ops = jnp.zeros((2, 2, N, N), jnp.int32).at[:, 0, 2:4, 4].set(len(OPERATIONS) + 1)
    cell, node, slot = np.indices((2, 2, 2))
    edge_ops = edge_ops.at[cell, slot, sources, node + 2].set(ops + 1)
    node_ops = jnp.tile(jnp.asarray([0, 0, 1, 1, 2], jnp.int32), (2, 1))
    return Graph(node_ops, edge_ops, edge_ops != 0, jnp.ones((2, N), bool))


def params(arch: Arch) -> jax.Array:
    return 1000 + 90 * jnp.sum(slots(arch)[1] == 2, dtype=jnp.int32)


def to_string(arch) -> str:
    return "two_kinds " + " ".join(map(str, np.asarray(arch).tolist()))


def two_kinds() -> Space:
    return Space(
        name="two_kinds",
        cardinalities=CARDINALITIES,
        node_operations=("input", "sum", "output"),
        edge_operations=("none", *OPERATIONS, "concat"),
        sample=sample,
        mutate=mutate,
        crossover=crossover,
        is_valid=is_valid,
        identity=lambda arch: code(arch)[1:],
        code=code,
        graph=graph,
        params=params,
        flops=lambda arch: params(arch).astype(float) * 64,
        to_string=to_string,
        from_string=lambda text: jnp.asarray([int(word) for word in text.split()[1:]], jnp.int32),
        enumerate=lambda: np.zeros((0, 16), np.int32),
        cells=CELLS,
        num_inputs=2,
        text_form=r"two_kinds [\d ]+",
        usual_column="final",
    )
