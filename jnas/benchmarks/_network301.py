"""Network that predicts trainings of DARTS cells: its weights, what it sees, what it says.

A pair of cells is shown to it as 34 categories: for each of the 28 possible edges its operation, or
none, and for the last three nodes of each cell which two nodes they read. Embeddings of these and
the number of epochs go through three networks of no, two and four hidden layers, whose outputs are
added up.
"""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_NODES = range(2, 6)  # that read two earlier ones each
_EDGES = [(source, node) for node in _NODES for source in range(node)]
_CATEGORIES = (  # of an edge
    "none",
    "avg_pool_3x3",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "max_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "skip_connect",
)
_DEPTHS = {"wide": 0, "deep": 2, "deeper": 4}  # hidden layers
_Layers: TypeAlias = tuple[tuple[jax.Array, jax.Array], ...]


class Weights(NamedTuple):
    """Weights of the network.

    Attributes:
        edges: `[28, 8, 10]`, embeddings of the edges, those of the normal cell first.
        pairs: `[1 + pairs, …]` each, embeddings of the inputs of nodes 3, 4 and 5 of both cells.
        networks: of each, matrices `[in, out]` and biases `[out]`.
        epoch_scale: what the number of epochs is multiplied by.
        accuracy_scale: what the first output is multiplied by, for an accuracy in %.
        seconds: shift, scale and offset that make seconds of the second output.
    """

    edges: jax.Array
    pairs: tuple[jax.Array, ...]
    networks: tuple[_Layers, ...]
    epoch_scale: jax.Array
    accuracy_scale: jax.Array
    seconds: tuple[jax.Array, jax.Array, jax.Array]


def weights(arrays: Mapping[str, Any]) -> Weights:
    """`Weights` of the arrays of a file.

    Args:
        arrays: `embedding_0` … `embedding_33`; `wide_w`, `wide_b`, and `deep_0_w` … likewise for
            each layer, matrices as `[out, in]`; `epoch_scale`, `accuracy_divisor`, and
            `runtime_shift`, `runtime_scale` and `runtime_offset`.

    Raises:
        ValueError: they do not fit together.
        KeyError: one is not there.
    """
    found = {name: jnp.asarray(arrays[name], jnp.float32) for name in arrays}
    num = 2 * len(_EDGES)
    edges = jnp.stack([found[f"embedding_{place}"] for place in range(num)])
    pairs = tuple(found[f"embedding_{num + place}"] for place in range(6))
    networks = tuple(
        tuple((found[f"{layer}_w"].T, found[f"{layer}_b"]) for layer in _layers(name, depth))
        for name, depth in _DEPTHS.items()
    )
    size = edges[:, 0].size + sum(table.shape[1] for table in pairs) + 1
    for layers in networks:
        sizes = [size, *(len(bias) for _, bias in layers)]
        shapes = [matrix.shape for matrix, _ in layers]
        if sizes[-1] != 2 or shapes != [*itertools.pairwise(sizes)]:
            raise ValueError(f"layers {shapes} do not lead from {size} inputs to 2 outputs")
    shift, scale, offset = (found[f"runtime_{name}"] for name in ("shift", "scale", "offset"))
    percent = 1 / found["accuracy_divisor"]
    return Weights(edges, pairs, networks, found["epoch_scale"], percent, (shift, scale, offset))


def _layers(name: str, depth: int) -> list[str]:
    """Names of the layers of a network with so many hidden ones."""
    return [f"{name}_{layer}" for layer in range(depth + 1)] if depth else [name]


def outputs(
    of: Weights, edge_ops: jax.Array, names: tuple[str, ...], epochs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Validation accuracy `[]` in %, and seconds `[]`, of one architecture after so many epochs.

    Args:
        of: the network.
        edge_ops: `[2, 7, 7]` int32, operations on the edges of the normal and the reduction cell,
            of which each node but the inputs has two.
        names: of the operations; those that the network does not know are no edges.
        epochs: `[]`.
    """
    edges, pairs = categories(edge_ops, names)
    shown = [of.edges[np.arange(len(edges)), edges].ravel()]
    shown += [table[pair] for table, pair in zip(of.pairs, pairs, strict=True)]
    shown.append(epochs.astype(jnp.float32)[None] * of.epoch_scale[None])
    said = jax.nn.sigmoid(sum(_network(layers, jnp.concatenate(shown)) for layers in of.networks))
    shift, scale, offset = of.seconds
    return said[0] * of.accuracy_scale, (said[1] - shift) * scale + offset


def _network(layers: _Layers, x: jax.Array) -> jax.Array:
    """Outputs `[2]` of one of the networks."""
    for place, (matrix, bias) in enumerate(layers):
        x = jax.nn.selu(x) if place else x
        # Accelerators would multiply in less than float32, and outputs be .1 points off.
        x = jnp.matmul(x, matrix, precision=lax.Precision.HIGHEST) + bias
    return x


def categories(edge_ops: jax.Array, names: tuple[str, ...]) -> tuple[jax.Array, jax.Array]:
    """Categories `[28]` of the edges and `[6]` of the inputs of nodes; see `outputs`."""
    known = [_CATEGORIES.index(name) if name in _CATEGORIES else 0 for name in names]
    sources, nodes = np.array(_EDGES).T
    edges = jnp.asarray(known, jnp.int32)[edge_ops[:, sources, nodes]]
    pairs = []
    for node in _NODES[1:]:
        # Which nodes are read, as the bits of a number, stands for their place in a list.
        mask = np.array([1 << source for source in range(node)], np.int32)
        is_read = edge_ops[:, :node, node] != 0
        bits = jnp.sum(jnp.where(is_read, mask[None], 0), axis=1, dtype=jnp.int32)
        pairs.append(jnp.asarray(_places(node))[bits])
    return edges.ravel(), jnp.stack(pairs, axis=1).ravel()


def _places(node: int) -> np.ndarray:
    """`[2 ** node]` int32, 1 + the place of the two nodes of a mask among those below `node`."""
    places = np.zeros(1 << node, np.int32)
    for place, (one, two) in enumerate(itertools.combinations(range(node), 2)):
        places[(1 << one) | (1 << two)] = 1 + place
    return places
