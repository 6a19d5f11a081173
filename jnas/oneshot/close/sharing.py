"""CLOSE: banks of weights in each cell, more of them as a training goes on, chosen by a gate.

Zhou et al., "CLOSE: Curriculum Learning On the Sharing Extent Towards Better One-shot NAS", ECCV
2022, https://arxiv.org/abs/2207.07868. With one bank all edges of a cell share their weights, which
learns fast; with more, architectures can differ by what an edge is for. Which bank an edge takes is
read off the whole architecture, so that isomorphic cells need not be told apart.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jnas import networks
from jnas.engine.messages import nearest
from jnas.networks import weights
from jnas.oneshot.close import gate as gates
from jnas.oneshot.close import layouts
from jnas.oneshot.close.banks import GateGradient
from jnas.oneshot.close.growth import (
    RESTART,
    Growth,
    Inherit,
    Renew,
    check_growth,
    curriculum,
    grow,
    opened,
    scaled,
)
from jnas.oneshot.close.layouts import Layout
from jnas.oneshot.sharing import Sharing
from jnas.training.steps import hooks
from jnas.types import Arch, Hooks, Key, Network, Params, Pass


class _Made(NamedTuple):
    """What a supernet of CLOSE is made of; `network` is the plain one."""

    network: Network
    layout: Layout
    gate: gates.Gate
    growth: Growth
    gate_gradient: GateGradient | None
    dropout: float
    released: bool


def close(
    network: Network | None = None,
    *,
    schedule: str | Sequence[int] = "cl-246",
    epochs: int = 1000,
    restarts: Sequence[int] | None = None,
    gate_gradient: GateGradient | None = "all",
    inherit: Inherit | None = "previous",
    renew: Renew = "last",
    dropout: float = 0.1,
    released: bool = False,
) -> Sharing:
    """Sharing of CLOSE (Zhou et al., ECCV 2022); equal calls give one object.

    Args:
        network: the network whose cells own banks, of `networks.nasbench201` or `nasbench301`; None
            is the one of NAS-Bench-201 in the one-shot study, without scales in the cells and
            without biases.
        schedule: "cl-24", "cl-246" or "cl-2468", or the epochs at which banks are opened.
        epochs: of the training, to which the named schedules and the restart are scaled.
        restarts: epochs before which momentum and plateau begin anew; None: at two fifths.
        gate_gradient: see `GateGradient`; None does not train the gate. "all" is for NAS-Bench-201
            alone.
        inherit: what is added to the drawn weights of a new bank, see `Growth`.
        renew: what of the gate is drawn anew where nothing is inherited, see `Growth`.
        dropout: chance of a feature before the classifier to be dropped.
        released: as the released code and not as the paper: architectures are scored with a random
            draw of their banks, one for each architecture, where otherwise each edge takes the
            likeliest one; and after a bank was added the gate's last layer is not trained until
            the next restart.

    Returns:
        A `Sharing`. Its weights are those of the network, with `stages` `[cells, N, ...]` in place
        of what is on the edges of cells, and those of the `gate`. Reduction cells of NAS-Bench-301
        have `[cells, N, 2, ...]`, for the strides 1 and 2.

    Raises:
        ValueError: a network of another space, or a setting that is not allowed.
    """
    # Without scales, as in the supernets of the study: what operations give then has one size,
    # whatever others that share a norm would have made of its scale.
    base = networks.nasbench201(affine=False, bias=False) if network is None else network
    layout = layouts.of_network(base)
    if gate_gradient is not None and gate_gradient not in get_args(GateGradient):
        hint = nearest(str(gate_gradient), get_args(GateGradient))
        raise ValueError(f"unknown gate_gradient {gate_gradient!r}. {hint}")
    if gate_gradient is not None and gate_gradient not in layout.gradients:
        allowed = " or ".join(map(repr, layout.gradients))
        raise ValueError(
            f"gate_gradient must be {allowed}, or None, on {base.space.name}; got {gate_gradient!r}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1); got {dropout}")
    if isinstance(schedule, str):
        schedule = curriculum(schedule, epochs)
    growth = Growth(tuple(int(epoch) for epoch in schedule), inherit, renew)
    check_growth(growth)
    # Plateaus begin to cut the rate about then: without a restart a late bank would hardly learn.
    begins = (scaled(RESTART, epochs),) if restarts is None else tuple(int(e) for e in restarts)
    return _close(base, layout, growth, begins, gate_gradient, float(dropout), released)


@functools.cache
def _close(
    base: Network,
    layout: Layout,
    growth: Growth,
    restarts: tuple[int, ...],
    gate_gradient: GateGradient | None,
    dropout: float,
    released: bool,
) -> Sharing:
    """Sharing of checked settings."""
    num_ops = len(base.space.edge_operations)
    gate = gates.Gate(num_ops, layout.ends, len(growth.schedule), embedding=layout.embedding)
    made = _Made(base, layout, gate, growth, gate_gradient, dropout, released)
    return Sharing(
        _network(made),
        functools.partial(_logits, made),
        functools.partial(grow, growth, functools.partial(_draw, made)),
        restarts,
        functools.partial(_moves, growth, restarts) if released else None,
    )


def _moves(growth: Growth, restarts: tuple[int, ...], params: Params, number: jax.Array) -> Params:
    """Factors of the updates: 0 for the gate's last layer while the released code has lost it.

    A new bank makes that layer a new one, of which the optimiser of the released code knows nothing
    before it begins anew, after the bank was added, if it ever does.
    """
    rises = jnp.asarray(growth.schedule[1:], jnp.int32)
    # `initial`, for a curriculum of one bank.
    last = jnp.max(jnp.where(rises <= number, rises, 0), initial=0)
    found = [(last <= epoch) & (epoch <= number) for epoch in restarts]
    is_known = (last == 0) | jnp.any(jnp.stack([jnp.zeros((), bool), *found]))
    # One number a leaf, which broadcasts: factors in full would be all weights once more.
    ones = jax.tree.map(lambda leaf: jnp.ones((1,) * leaf.ndim), params)
    factor = is_known.astype(jnp.float32)
    held = jax.tree.map(lambda leaf: factor * leaf, ones["gate"][gates.LAST])
    return ones | {"gate": ones["gate"] | {gates.LAST: held}}


@functools.cache
def _network(made: _Made) -> Network:
    """Network that scores."""
    return Network(
        made.network.space,
        functools.partial(_init, made),
        functools.partial(_apply, made),
        functools.partial(_forward, made),
        functools.partial(_present, made),
        _instantiate,
        functools.partial(_own, made),
    )


def _draw(made: _Made, key: Key) -> Params:
    """Weights of the network, of all banks, and of the gate."""
    base_key, bank_key, gate_key = jax.random.split(key, 3)

    def one_bank(key: Key) -> list[Params]:
        # The plain network's initial weights on any one edge are those of a bank.
        return made.layout.bank(made.network.init(key), lambda leaf, edges: leaf[:, edges[0]])

    drawn = jax.vmap(one_bank)(jax.random.split(bank_key, made.gate.num_banks))
    space = made.network.space
    graph = space.graph(jnp.zeros(len(space.cardinalities), jnp.int32))
    of_gate = made.gate.init(gate_key, jax.tree.map(lambda leaf: leaf[None], graph))
    # Stem, blocks between stages and classifier are the plain network's; its edges are replaced.
    return made.layout.bare(made.network.init(base_key)) | {
        "stages": jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), drawn),
        "gate": of_gate["params"],
    }


def _init(made: _Made, key: Key) -> Params:
    """Weights before the first epoch, when only the first bank is open (`Network.init`)."""
    # Closed banks are zeros and not drawn yet: they will be when they open, by the key of that
    # epoch.
    return opened(_draw(made, key), 1)


def _plain(made: _Made, params: Params, arch: Arch) -> Params:
    """Weights of the plain network with which an architecture is scored."""
    key = None
    if made.released:
        # Random but fixed: by the architecture and not by a key, so that a score is one number,
        # whichever others are scored along with it.
        code = made.network.space.code(jnp.asarray(arch))
        key = jax.random.fold_in(jax.random.key(0), code[-1])
    found = gates.logits(made.gate, made.network.space, params["gate"], jnp.asarray(arch), None)
    choices = gates.choose(found, gates.num_open(params["gate"]), key)
    return _joined(made, params, made.layout.chosen(params["stages"], choices))


def _joined(made: _Made, params: Params, stages: list[Params]) -> Params:
    """Weights of the network alone, with those of its edges."""
    bare = {name: part for name, part in params.items() if name not in ("gate", "stages")}
    return made.layout.joined(bare, stages)


def _apply(made: _Made, params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` that an architecture is scored by (`Network.apply`)."""
    return made.network.apply(_plain(made, params, arch), arch, images)


def _forward(
    made: _Made, params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of the network that an architecture is scored by (`Network.forward`)."""
    return made.network.forward(_plain(made, params, arch), arch, images, hooks, state)


def _logits(
    made: _Made, params: Params, arch: Arch, images: jax.Array, key: Key, number: jax.Array
) -> jax.Array:
    """Logits `[N, num_classes]` of a training step (`Sharing.logits`)."""
    del number  # the weights tell how many banks are open
    draw_key, gate_key, drop_key = jax.random.split(key, 3)
    found = gates.logits(made.gate, made.network.space, params["gate"], arch, gate_key)
    choices = gates.choose(found, gates.num_open(params["gate"]), draw_key)
    gradient = made.gate_gradient
    if gradient is None:
        stages = made.layout.chosen(params["stages"], jax.lax.stop_gradient(choices))
    else:
        stages = made.layout.prepared(params["stages"], choices, gradient)
    plain = _joined(made, params, stages)
    drops = drop_key, jnp.zeros(())  # features alone are dropped, no edges
    kept = hooks(made.dropout, False)
    return made.layout.logits(made.network, plain, arch, images, kept, drops, gradient)


def _present(made: _Made, arch: Arch) -> list[jax.Array]:
    """Masks of the weights of `arch` (`Network.present`), in all banks those of its operations."""
    # Which bank an edge takes is up to the weights; of an operation that no edge has, none is used.
    shapes = jax.eval_shape(made.network.init, jax.random.key(0))
    tree = weights.with_kernels(shapes, made.network.present(arch))
    # What is no mask is no weight of a layer, and not looked at.
    masks = jax.tree.map(lambda x: x if isinstance(x, jax.Array) else jnp.zeros((1, 1)), tree)

    def any_of(mask: jax.Array, edges: Sequence[int]) -> jax.Array:
        if mask.ndim <= 2:
            return mask[:, 0]
        return jnp.max(mask[:, np.array(edges)], axis=1)

    stages = jax.tree.map(lambda mask: mask[:, None], made.layout.bank(masks, any_of))
    gate = jax.eval_shape(functools.partial(_draw, made), jax.random.key(0))["gate"]
    ones = jax.tree.map(lambda _: jnp.ones(()), gate)
    return weights.kernels(made.layout.bare(tree) | {"stages": stages, "gate": ones})


def _instantiate(params: Params, arch: Arch) -> Params:
    """Weights as they are (`Network.instantiate`)."""
    del arch
    return params


def _own(made: _Made, arch: Arch | np.ndarray) -> Network:
    """Network of one architecture, the same object for equal ones (`Network.own`)."""
    made.network.own(arch)  # which checks it
    return _owned(made, tuple(np.asarray(arch).tolist()))


@functools.cache
def _owned(made: _Made, choices: tuple[int, ...]) -> Network:
    """Network whose functions have their architecture in place of the one that they are given."""
    alone = made._replace(network=made.network.own(np.array(choices, np.int32)))
    return _network(made)._replace(
        apply=functools.partial(_fixed, functools.partial(_apply, alone), choices),
        forward=functools.partial(_fixed, functools.partial(_forward, alone), choices),
        present=lambda _: _present(made, jnp.asarray(choices, jnp.int32)),
    )


def _fixed(
    function: Callable[..., Any], choices: tuple[int, ...], params: Params, arch: Arch, *rest: Any
) -> Any:
    """Value of a network's function for the architecture of `choices`."""
    del arch
    return function(params, jnp.asarray(choices, jnp.int32), *rest)
