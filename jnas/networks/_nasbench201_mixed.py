"""Cells of NAS-Bench-201 whose edges mix all of their operations by weights (`Network.mix`).

DARTS (Liu, Simonyan and Yang, ICLR 2019, https://arxiv.org/abs/1806.09055, equation 2), GDAS (Dong
and Yang, CVPR 2019, https://arxiv.org/abs/1910.04465) with the value 1 of what was not sampled, and
the partial channels of PC-DARTS (Xu et al., ICLR 2020, https://arxiv.org/abs/1907.05737, equation
2), as released.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnas.networks import control, layers
from jnas.networks.flow import Flow
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, POOL, SKIP
from jnas.types import Arch, Hooks, Params, Pass

_NUM_OPERATIONS = 5
_CONVS = (("conv1x1", CONV1X1), ("conv3x3", CONV3X3))


def mix(
    run: Callable[..., Pass],
    operate: Callable[..., tuple[jax.Array, jax.Array]],
    params: Params,
    weights: jax.Array,
    images: jax.Array,
    arch: Arch | None = None,
    *,
    proportion: int = 1,
    bypass: jax.Array | None = None,
) -> jax.Array:
    """Logits `[N, num_classes]` of weighted operations (`Network.mix`).

    Args:
        run: the network with other cells, as `nasbench201` has it.
        operate: value of one operation on one edge.
        params: weights of the network.
        weights: `[6, 5]`.
        images: `[N, H, W, C]`.
        arch: `[6]` int32, the operations to compute; None for all.
        proportion: one in so many channels goes through the operations.
        bypass: `[6]`, weights of the channels around them.

    Raises:
        ValueError: weights of another shape; a proportion that does not divide the channels, or
            comes with an architecture.
    """
    _check(weights, params["stem"]["conv"].shape[-1], arch, proportion)
    around = jnp.ones(len(EDGES)) if bypass is None else bypass
    # In the type of the images: mixed with wider numbers all activations would be wide.
    gates = {"gates": weights.astype(images.dtype), "bypass": around.astype(images.dtype)}
    mixed = {**params, "stages": [_with_copies(stage, gates) for stage in params["stages"]]}
    # Known to NumPy or not, an architecture is an input of one program.
    chosen = None if arch is None else jnp.asarray(arch)
    cell = functools.partial(_cell, operate, proportion)
    return run(mixed, chosen, images, Hooks(), (), cell).logits


def _check(weights: jax.Array, channels: int, arch: Arch | None, proportion: int) -> None:
    """ValueError for what `mix` cannot take."""
    if weights.shape != (len(EDGES), _NUM_OPERATIONS):
        needed = f"[{len(EDGES)}, {_NUM_OPERATIONS}]"
        raise ValueError(f"weights must be {needed}, one an operation; got {list(weights.shape)}")
    if proportion < 1 or channels % proportion:
        raise ValueError(f"proportion must divide the {channels} channels; got {proportion}")
    if arch is not None and proportion > 1:
        raise ValueError("partial channels mix all operations; leave out `arch` or `proportion`")


def _with_copies(stage: Params, gates: Params) -> Params:
    """Weights of a stage with a copy of the gates for each of its cells."""
    # The gradient of a loop over cells flows through its blocks and not through closures.
    num = len(stage["conv1x1"]["conv"])
    return {**stage, **{k: jnp.broadcast_to(v[None], (num, *v.shape)) for k, v in gates.items()}}


def _cell(
    operate: Callable[..., tuple[jax.Array, jax.Array]],
    proportion: int,
    flow: Flow,
    cell: Params,
    live: jax.Array,
    arch: Arch | None,
    hooks: Hooks,
) -> Flow:
    """Flow after one cell that has gates beside its weights; it calls no hooks."""
    del live, hooks
    edges = control.unstacked(cell, len(EDGES))
    nodes: list[Any] = [flow.x, 0.0, 0.0, 0.0]
    for source in range(len(nodes) - 1):
        x = nodes[source]
        outgoing = [edge for edge, (start, _) in enumerate(EDGES) if start == source]
        if arch is None:
            values = _mixed(x, [edges[edge] for edge in outgoing], proportion)
        else:
            values = [_sampled(operate, arch[edge], x, edges[edge]) for edge in outgoing]
        for edge, value in zip(outgoing, values, strict=True):
            nodes[EDGES[edge][1]] += value
    return flow._replace(x=nodes[-1])


def _sampled(
    operate: Callable[..., tuple[jax.Array, jax.Array]], op: jax.Array, x: jax.Array, edge: Params
) -> jax.Array:
    """Value of operation `op` `[]` times its gate, plus the gates of the other operations."""
    gates = edge["gates"]
    value, _ = operate(op, x, {name: edge[name] for name, _ in _CONVS}, Hooks())
    is_op = jnp.arange(_NUM_OPERATIONS, dtype=jnp.int32) == op
    chosen, others = jnp.where(is_op, gates, 0), jnp.where(is_op, 0, gates)
    return jnp.sum(chosen) * value + jnp.sum(others)


def _mixed(x: jax.Array, edges: list[Params], proportion: int) -> list[jax.Array]:
    """Values of the edges that read `x` `[N, H, W, C]`, every operation times its gate."""
    # Edges from one node share the ReLU and the pool, and their convolutions are one with as many
    # more channels, which is faster than several of few.
    width = x.shape[-1] // proportion
    inner, outer = x[..., :width], x[..., width:]
    active, pool = jax.nn.relu(inner), layers.avg_pool3x3(inner)
    of_1x1, of_3x3 = (
        _convolved(active, [edge[name] for edge in edges], [edge["gates"][op] for edge in edges])
        for name, op in _CONVS
    )
    convolved = of_1x1 + of_3x3
    values = []
    for place, edge in enumerate(edges):
        gates = edge["gates"]
        value = convolved[..., place * width : (place + 1) * width]
        value = value + gates[SKIP] * inner + gates[POOL] * pool
        values.append(_beside(value, edge["bypass"] * outer) if proportion > 1 else value)
    return values


def _convolved(active: jax.Array, convs: list[Params], gates: list[jax.Array]) -> jax.Array:
    """Gated convolutions `[N, H, W, edges · C]` of the rectified `[N, H, W, C]`, side by side."""
    width = active.shape[-1]
    layer = {"conv": jnp.concatenate([c["conv"][..., :width, :width] for c in convs], -1)}
    if "bias" in convs[0]:
        layer["bias"] = jnp.concatenate([c["bias"][:width] for c in convs])
    # The norm's own factor takes the gate: no product a pixel.
    norm = {"scale": jnp.repeat(jnp.stack(gates), width)}
    if convs[0]["norm"]:
        of_edges = {k: [c["norm"][k][:width] for c in convs] for k in ("scale", "bias")}
        norm = {k: jnp.concatenate(parts) * norm["scale"] for k, parts in of_edges.items()}
    return layers.batch_norm(layers.conv_layer(active, layer), norm)


def _beside(inner: jax.Array, outer: jax.Array) -> jax.Array:
    """Channels `[N, H, W, C]` of both, shuffled so that the next edge's share has some of each."""
    both = jnp.concatenate([inner, outer], axis=-1)
    shape = both.shape
    grouped = both.reshape(*shape[:-1], -1, inner.shape[-1])
    return jnp.swapaxes(grouped, -1, -2).reshape(shape)
