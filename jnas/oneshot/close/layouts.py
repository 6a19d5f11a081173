"""Layouts: where the banks of a space are in the weights of its network, and which edges take them.

On NAS-Bench-201 all edges of a cell take one of its banks. On NAS-Bench-301 cells that halve the
pixels have a set of each bank for edges with stride 1 and one for edges with stride 2; the number
of the bank is common to both, and normal and reduction cells have edges of their own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas import networks
from jnas.networks._darts_weights import DILATED, SEPARABLE, edges, halving
from jnas.networks.nasbench201 import forward
from jnas.oneshot.close import banks
from jnas.oneshot.close.banks import GateGradient
from jnas.spaces.darts import NASBENCH301
from jnas.spaces.nasbench201 import EDGES
from jnas.types import Arch, Hooks, Network, Params

Take: TypeAlias = Callable[[Any, Sequence[int]], Any]
"""`(leaf [cells, E, ...], edges) -> [cells, ...]`, what a bank is of the weights of some edges."""

_EDGES, _HALVING = edges(NASBENCH301), halving(NASBENCH301)
_OTHERS = tuple(number for number in range(len(_EDGES)) if number not in _HALVING)


class Layout(NamedTuple):
    """Layout of the banks of a space.

    Attributes:
        ends: lower and higher node of each of the `E` edges, nodes of all kinds of cells counted.
        embedding: settings of the embedding in the gate, beside those of NAS-Bench-201.
        gradients: that a gate can have.
        bare: plain weights `->` those without what is on edges.
        bank: `(plain weights, take) -> list`, weights of one bank.
        joined: `(bare weights, list with edges) -> plain weights`.
        chosen: `(list with banks, choices [E, N]) -> list with edges`.
        prepared: the same with a `GateGradient`, of which the choices get their gradient.
        logits: `(network, plain weights, arch, images, hooks, state, gradient) -> [B, K]`.
    """

    ends: tuple[tuple[int, int], ...]
    embedding: tuple[tuple[str, Any], ...]
    gradients: tuple[GateGradient, ...]
    bare: Callable[[Params], Params]
    bank: Callable[[Params, Take], list[Params]]
    joined: Callable[[Params, list[Params]], Params]
    chosen: Callable[[list[Params], jax.Array], list[Params]]
    prepared: Callable[[list[Params], jax.Array, GateGradient], list[Params]]
    logits: Callable[..., jax.Array]


def of_network(network: Network) -> Layout:
    """Layout for a network; ValueError where its space has none."""
    name = networks.settings(network)[0]
    if name not in _LAYOUTS:
        known = " or ".join(_LAYOUTS)
        raise ValueError(f"CLOSE takes a network of {known}; got {network}")
    return _LAYOUTS[name]


# --------------------------------------------------------------------------------------------------
# NAS-Bench-201.


def _bare_201(params: Params) -> Params:
    """Weights without the stages."""
    return {name: part for name, part in params.items() if name != "stages"}


def _bank_201(params: Params, take: Take) -> list[Params]:
    """Weights of a bank, of all edges alike."""
    edges = range(len(EDGES))
    found: list[Params] = jax.tree.map(lambda leaf: take(leaf, edges), params["stages"])
    return found


def _logits_201(
    network: Network,
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    gradient: GateGradient | None,
) -> jax.Array:
    """Logits of a training step."""
    del network
    # For the others an ordinary network does, with weights prepared for it.
    block = banks.block if gradient == "all" else None
    return forward(params, arch, images, hooks, state, block).logits


# --------------------------------------------------------------------------------------------------
# NAS-Bench-301: sections of cells that are alike, and edges with strides.


def _bare_301(params: Params) -> Params:
    """Weights whose sections have the layers that read their inputs alone."""
    sections = [
        {name: part for name, part in section.items() if name not in ("edges", "skips")}
        for section in params["sections"]
    ]
    return params | {"sections": sections}


def _bank_301(params: Params, take: Take) -> list[Params]:
    """Weights of a bank; of a reduction cell `[cells, 2, ...]`, of strides 1 and 2."""

    def both(leaf: Any) -> Any:
        return jnp.stack([take(leaf, _OTHERS), take(leaf, _HALVING)], axis=1)

    def every(leaf: Any) -> Any:
        return take(leaf, range(len(_EDGES)))

    def halving_alone(leaf: Any) -> Any:
        # With stride 1 a skip has no weights.
        return take(leaf, range(len(_HALVING)))

    found = []
    for section in params["sections"]:
        is_reduction = "skips" in section
        tree = {"edges": jax.tree.map(both if is_reduction else every, section["edges"])}
        if is_reduction:
            tree["skips"] = jax.tree.map(halving_alone, section["skips"])
        found.append(tree)
    return found


def _joined_301(params: Params, stages: list[Params]) -> Params:
    """Weights with what is on the edges of each section."""
    pairs = zip(params["sections"], stages, strict=True)
    return params | {"sections": [section | stage for section, stage in pairs]}


def _chosen_301(stages: list[Params], choices: jax.Array) -> list[Params]:
    """Weights `[cells, 14, ...]` of the edges of all sections."""
    normal, reduction = jnp.split(choices, 2)
    is_halving = np.isin(np.arange(len(_EDGES)), _HALVING)
    strides = np.stack([~is_halving, is_halving], axis=1).astype(np.float32)
    # Bank and stride of each edge of a reduction cell, one-hot.
    both = reduction[:, :, None] * strides[:, None]

    def pick(leaf: jax.Array) -> jax.Array:
        return jnp.einsum("ens,cns...->ce...", both, leaf, precision=lax.Precision.HIGHEST)

    found = []
    for stage in stages:
        if "skips" in stage:
            (skips,) = banks.chosen([stage["skips"]], reduction[np.array(_HALVING)])
            found.append({"edges": jax.tree.map(pick, stage["edges"]), "skips": skips})
        else:
            found += banks.chosen([stage], normal)
    return found


def _prepared_301(stages: list[Params], choices: jax.Array, gradient: GateGradient) -> list[Params]:
    """Weights of all edges, of which the choices get their gradient."""
    if gradient == "weights":
        return _chosen_301(stages, choices)
    picked, halves = _chosen_301(stages, lax.stop_gradient(choices)), jnp.split(choices, 2)
    found = []
    for stage in picked:
        is_reduction = "skips" in stage
        of_kind = halves[is_reduction]
        scaled = stage | {"edges": _last_scaled(stage["edges"], of_kind)}
        if is_reduction:
            scaled["skips"] = banks.scaled(stage["skips"], of_kind[np.array(_HALVING)])
        found.append(scaled)
    return found


def _last_scaled(layers: Params, choices: jax.Array) -> Params:
    """Operations whose last layer gives the choices their gradient."""
    found = dict(layers)
    for name in DILATED.keys() & layers.keys():
        point = banks.scaled(layers[name]["pointwise"], choices)
        found[name] = layers[name] | {"pointwise": point}
    for name in SEPARABLE.keys() & layers.keys():
        second = layers[name]["second"]
        point = banks.scaled(second["pointwise"], choices)
        found[name] = layers[name] | {"second": second | {"pointwise": point}}
    return found


def _logits_301(
    network: Network,
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
    gradient: GateGradient | None,
) -> jax.Array:
    """Logits of a training step."""
    del gradient
    return network.forward(params, arch, images, hooks, state).logits


_NODES_301 = NASBENCH301.num_nodes + 3  # of a cell, with its two inputs and its output

_LAYOUTS = {
    "nasbench201": Layout(
        EDGES,
        (),
        ("all", "selected", "weights"),
        _bare_201,
        _bank_201,
        lambda params, stages: params | {"stages": stages},
        banks.chosen,
        banks.prepared,
        _logits_201,
    ),
    "nasbench301": Layout(
        tuple(
            (edge.source + first, edge.node + first) for first in (0, _NODES_301) for edge in _EDGES
        ),
        (
            ("layers", (64,) * 4),
            ("node_size", 32),
            ("hidden_size", 32),
            ("op_size", 32),
            ("num_inputs", 2),
            ("residual", 2),
        ),
        # "all" needs every bank in the middle of a cell, which this network does not compute.
        ("selected", "weights"),
        _bare_301,
        _bank_301,
        _joined_301,
        _chosen_301,
        _prepared_301,
        _logits_301,
    ),
}
