"""GDAS: one sampled operation an edge, whose gate has the gradient of all of them."""

import functools

import jax
import jax.numpy as jnp

from jnas import training
from jnas.oneshot.choosing import most_probable
from jnas.oneshot.methods import RECIPE, Method, logits_of, mix_of, softmax_of
from jnas.types import Arch, Key, Network, Params

_FIRST, _LAST = 10.0, 0.1


@functools.cache
def gdas(*, recipe: training.Recipe = RECIPE) -> Method:
    """Method of differentiable architecture samplers.

    Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019,
    https://arxiv.org/abs/1910.04465, equations 3 and 4, as released: in both steps one operation an
    edge is computed, the same in all cells, and the gates of the others are added as numbers, whose
    values are 0 and whose gradients are not.

    Args:
        recipe: of the weights.
    """
    return Method("gdas", recipe, logits_of, _forward, _forward, softmax_of, most_probable)


def _forward(
    network: Network,
    params: Params,
    alpha: jax.Array,
    key: Key,
    share: jax.Array,
    images: jax.Array,
) -> jax.Array:
    """`Forward` of a sampled operation an edge."""
    # The architecture goes along with the gates, so that one operation an edge is computed and not
    # five, of which four would be times 0.
    gates, arch = sampled(key, alpha, temperature(share))
    return mix_of(network)(params, gates, images, arch)


def temperature(share: jax.Array) -> jax.Array:
    """Temperature `[]`, which falls by equal amounts an epoch, from 10 to .1."""
    return _FIRST + (_LAST - _FIRST) * share


def sampled(key: Key, alpha: jax.Array, temperature: jax.Array) -> tuple[jax.Array, Arch]:
    """Gates `[D, O]`, 0 or 1 with the gradient of a softmax, and the choices `[D]` int32."""
    # Never infinite: JAX draws Gumbel numbers from above the smallest float.
    noisy = jax.nn.log_softmax(alpha, axis=-1) + jax.random.gumbel(key, alpha.shape, alpha.dtype)
    # The temperature does not change what is drawn, the largest stays the largest. It sharpens the
    # gradient as the search goes on.
    soft = jax.nn.softmax(noisy / temperature, axis=-1)
    arch = jnp.argmax(soft, axis=-1).astype(jnp.int32)
    one_hot = jax.nn.one_hot(arch, alpha.shape[1], dtype=alpha.dtype)
    # In this order the sum is exactly 0 or 1.
    return one_hot + (soft - jax.lax.stop_gradient(soft)), arch
