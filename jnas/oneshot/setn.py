"""SETN: weights of random architectures, a distribution that learns on mixed operations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jnas import training
from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.alternating import Setup, Shared, State
from jnas.oneshot.choosing import best_on_a_batch
from jnas.oneshot.methods import (
    RECIPE,
    Choice,
    Method,
    at_random,
    logits_of,
    mixed,
    softmax_of,
)
from jnas.types import Key

_UNCLIPPED = RECIPE._replace(clip_norm=None)


@functools.cache
def setn(*, recipe: training.Recipe = _UNCLIPPED, num_archs: int = 100) -> Method:
    """Method of a self-evaluated template network.

    Dong and Yang, "One-Shot Neural Architecture Search via Self-Evaluated Template Network", ICCV
    2019, https://arxiv.org/abs/1910.05733, as NAS-Bench-201 has it: no gradient is clipped, and the
    distribution has no say in which architecture a step trains.

    Args:
        recipe: of the weights.
        num_archs: the most probable architectures at the end, each judged by one batch.

    Raises:
        ValueError: `num_archs` is less than 1.
    """
    check_at_least_one(num_archs=num_archs)
    derive = functools.partial(_derive, num_archs)
    # Weights of random architectures alone, so that none is trained more because it was ahead
    # early.
    return Method("setn", recipe, logits_of, at_random, mixed, softmax_of, derive)


def _derive(num_archs: int, of: Setup, state: State, key: Key, shared: Shared) -> Choice:
    """Best of the most probable architectures on one batch each."""
    archs = by_probability(np.asarray(state.alpha), of.network.space.enumerate())[:num_archs]
    return best_on_a_batch(of, state, archs, key, shared)


def by_probability(alpha: np.ndarray, archs: np.ndarray) -> np.ndarray:
    """Architectures `[A, D]` by falling probability under logits `[D, O]`, ties in order."""
    # Logarithms, since products of probabilities of many positions round to ties and to 0.
    log_probs = np.asarray(jax.nn.log_softmax(jnp.asarray(alpha), axis=-1))
    totals = log_probs[np.arange(archs.shape[1]), archs].sum(axis=1)
    # Stable: before the logits have moved all tie, and the pick must not be up to the machine.
    return archs[np.argsort(-totals, kind="stable")]
