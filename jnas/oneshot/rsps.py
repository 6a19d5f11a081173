"""Random search with parameter sharing."""

import functools

import jax

from jnas import training
from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.alternating import Setup, Shared, State
from jnas.oneshot.choosing import best_on_a_batch
from jnas.oneshot.methods import RECIPE, Choice, Method, at_random, no_parameters, uniform_of
from jnas.types import Key


@functools.cache
def rsps(*, recipe: training.Recipe = RECIPE, num_archs: int = 100) -> Method:
    """Method of random architectures: each step trains one, and the best of some is chosen.

    Li and Talwalkar, "Random Search and Reproducibility for NAS", UAI 2019,
    https://arxiv.org/abs/1902.07638, as NAS-Bench-201 has it.

    Args:
        recipe: of the weights.
        num_archs: random architectures at the end, each judged by one batch of 512 images.

    Raises:
        ValueError: `num_archs` is less than 1.
    """
    check_at_least_one(num_archs=num_archs)
    derive = functools.partial(_derive, num_archs)
    return Method(
        "rsps", recipe, no_parameters, at_random, None, uniform_of, derive, needs_mix=False
    )


def _derive(num_archs: int, of: Setup, state: State, key: Key, shared: Shared) -> Choice:
    """Best of random architectures on one batch each."""
    sample_key, key = jax.random.split(key)
    # Drawn anew and not taken from those that were trained: with shared weights, all of the space
    # has been trained as much. Cells without convolutions are among them, as released.
    archs = jax.vmap(of.network.space.sample)(jax.random.split(sample_key, num_archs))
    return best_on_a_batch(of, state, archs, key, shared)
