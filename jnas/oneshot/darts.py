"""DARTS and its kin: all operations are mixed by weights that learn.

DARTS of both orders, the Dirichlet weights of DrNAS, and the partial channels and normalised edges
of PC-DARTS, which are other forward passes of the same search.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from jnas import training
from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.choosing import most_probable
from jnas.oneshot.methods import (
    RECIPE,
    Architecture,
    Method,
    logits_of,
    mix_of,
    mixed,
    softmax_of,
)
from jnas.spaces.nasbench201 import EDGES
from jnas.types import Key, Network, Params, Space

# A fifth of the others' epochs, as NAS-Bench-201 has it: skips take over within them already.
_EPOCHS = RECIPE._replace(epochs=50)
_REGULARISATION = 1e-3


@functools.cache
def darts(*, order: Literal[1, 2] = 1, recipe: training.Recipe = _EPOCHS) -> Method:
    """Method of differentiable architecture search.

    Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
    https://arxiv.org/abs/1806.09055.

    Args:
        order: 1 moves the weights, then the distribution; 2 moves the distribution first, by the
            loss after one step of the weights, which takes four more gradients.
        recipe: of the weights.

    Raises:
        ValueError: another order.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    return Method(
        f"darts-{order}", recipe, logits_of, mixed, mixed, softmax_of, most_probable, order=order
    )


@functools.cache
def drnas(*, recipe: training.Recipe = _EPOCHS) -> Method:
    """Method of Dirichlet weights: each step draws the weights of operations anew.

    Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021,
    https://arxiv.org/abs/2006.10355: concentrations elu(alpha) + 1, whose divergence from those of
    the uniform distribution counts .001.

    Args:
        recipe: of the weights.
    """
    return Method(
        "drnas",
        recipe,
        logits_of,
        _dirichlet,
        _dirichlet,
        _mean_of_dirichlet,
        most_probable,
        # The divergence takes the place of the weight decay.
        architecture=Architecture(weight_decay=0.0),
        penalty=divergence,
    )


def _dirichlet(
    network: Network,
    params: Params,
    alpha: jax.Array,
    key: Key,
    share: jax.Array,
    images: jax.Array,
) -> jax.Array:
    """`Forward` of all operations, with weights drawn from a Dirichlet distribution an edge."""
    del share
    # JAX differentiates the draw itself, by the implicit gradient of Gamma variables: neither a
    # relaxation nor a score function is needed.
    weights = jax.random.dirichlet(key, _concentrations(alpha))
    return mix_of(network)(params, weights, images)


def _concentrations(alpha: jax.Array) -> jax.Array:
    """Concentrations `[D, O]`, above 0."""
    # Above 0 for every alpha, and 1, the uniform distribution, at alpha = 0 where a search begins.
    return jax.nn.elu(alpha) + 1


def _mean_of_dirichlet(space: Space, key: Key, alpha: jax.Array) -> jax.Array:
    """Mean weights `[D, O]`."""
    del space, key
    concentrations = _concentrations(alpha)
    return concentrations / jnp.sum(concentrations, axis=-1, keepdims=True)


def divergence(alpha: jax.Array) -> jax.Array:
    """Weighted Kullback-Leibler divergence `[]` of Dirichlet distributions from the uniform one."""
    a = _concentrations(alpha)
    total = jnp.sum(a, axis=-1, keepdims=True)
    of_edge = (
        gammaln(total[:, 0])
        - jnp.sum(gammaln(a), axis=-1)
        # A float, because programs of jnas do not promote integers.
        - gammaln(jnp.float32(a.shape[-1]))
        + jnp.sum((a - 1) * (digamma(a) - digamma(total)), axis=-1)
    )
    return _REGULARISATION * jnp.sum(of_edge)


@functools.cache
def pc_darts(*, proportion: int = 4, begin: int = 15, recipe: training.Recipe = _EPOCHS) -> Method:
    """Method of partial channels: one in `proportion` goes through the mixed operations.

    Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search",
    ICLR 2020, https://arxiv.org/abs/1907.05737, equations 2 to 4: edges into a node have weights of
    their own, and the distribution rests for the first epochs.

    Args:
        proportion: of channels.
        begin: epochs in which the distribution does not move.
        recipe: of the weights.

    Raises:
        ValueError: `proportion` is less than 1.
    """
    check_at_least_one(proportion=proportion)
    forward = functools.partial(_partial, proportion)
    return Method(
        "pc-darts",
        recipe,
        _of_edges_too,
        forward,
        forward,
        _softmax_of_operations,
        most_probable,
        architecture=Architecture(learning_rate=6e-4, begin=begin),
    )


def _of_edges_too(key: Key, space: Space) -> dict[str, jax.Array]:
    """Logits of operations `[D, O]` and of edges `[D]`."""
    edge_key, key = jax.random.split(key)
    # A key of their own for the logits of edges; with the same one they would be those of
    # operations.
    edges = 1e-3 * jax.random.normal(edge_key, (len(space.cardinalities),))
    return {"operations": logits_of(key, space), "edges": edges}


def _softmax_of_operations(space: Space, key: Key, alpha: dict[str, jax.Array]) -> jax.Array:
    """Probabilities `[D, O]` of operations, whatever their edges weigh."""
    # All six edges stay in a cell of NAS-Bench-201, so that their weights have no say in what is
    # found. In the space of DARTS they say which two edges stay.
    return softmax_of(space, key, alpha["operations"])


def _partial(
    proportion: int,
    network: Network,
    params: Params,
    alpha: dict[str, jax.Array],
    key: Key,
    share: jax.Array,
    images: jax.Array,
) -> jax.Array:
    """`Forward` of part of the channels, with edges that are weighted by a softmax of their own."""
    del key, share
    edges = edge_weights(alpha["edges"])
    # The weight of an edge counts for the channels beside the operations too, hence the bypass: it
    # is the edge that is weighted.
    weights = edges[:, None] * jax.nn.softmax(alpha["operations"], axis=-1)
    return mix_of(network)(params, weights, images, proportion=proportion, bypass=edges)


def edge_weights(logits: jax.Array) -> jax.Array:
    """Weights `[6]` of the edges, a softmax over those into one node."""
    # A node with one edge gives it the weight 1, and every node's add up to 1.
    ends = [end for _, end in EDGES]
    into_same = jnp.asarray([[one == other for other in ends] for one in ends])
    return jnp.exp(logits - jax.nn.logsumexp(jnp.where(into_same, logits[None], -jnp.inf), axis=1))
