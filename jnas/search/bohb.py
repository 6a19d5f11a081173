"""BOHB: Hyperband's brackets of successive halving, filled by a model of good and bad.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML
2018, https://arxiv.org/abs/1807.01774, algorithm 2. The defaults are those of the baseline of
NAS-Bench-201 (Dong and Yang, ICLR 2020); NATS-Bench has 1 to 12 epochs. Optuna's TPE with its
Hyperband pruner would not do: it has neither these bandwidths nor a model for each number of
epochs, and it runs on the host, trial by trial.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search._brackets import BracketState, bracketed, schedule
from jnas.search._density import bandwidths, draw_near, log_density
from jnas.search._redraw import draw_until
from jnas.types import Arch, Key, Searcher, Space


@pickled_by_call
def bohb(
    space: Space,
    *,
    min_epochs: int = 12,
    max_epochs: int = 200,
    eta: int = 3,
    num_samples: int = 4,
    random_fraction: float = 0.0,
    top_percent: int = 15,
    min_points: int | None = None,
    min_bandwidth: float = 0.3,
    bandwidth_factor: float = 1.0,
    capacity: int = 1000,
    max_draws: int = 100,
) -> Searcher:
    """Strategy of Hyperband with a model: many short trainings, longer ones of the best.

    The brackets are those of `successive_halving(brackets="hyperband")`, which says how they go on
    and where the best trainings are: by default with 22, 66 and 200 epochs 9 → 3 → 1, 3 → 1 and 3,
    which is 20 evaluations a cycle.

    New architectures are random until some number of epochs has enough evaluations for two
    densities: of its best `top_percent` (but at least `min_points`) and of the others. The model of
    the largest such number draws `num_samples` architectures from the density of the good and
    proposes the one with the largest ratio of the two. A draw that is invalid is drawn again, up to
    `max_draws` draws, after which `space.sample` steps in. Failed evaluations count as the worst.

    Three things differ from HpBandSter. A kernel spreads over all choices of a position, not over
    those that occur in the data, where it divides by zero if that is one. Bandwidths end where a
    kernel is uniform, beyond which it would prefer every other value to its own. And a draw that
    leaves a value takes another one; theirs takes any, the same one included, so that at bandwidth
    0.3 a position of five choices changes with probability 0.24, here 0.3.

    Args:
        space: where to search.
        min_epochs: the fewest epochs worth a training.
        max_epochs: epochs of a full training.
        eta: one of so many goes on, with so many times the epochs.
        num_samples: draws from the density of the good for one proposal (HpBandSter's default is
            64).
        random_fraction: share of random proposals even with a model, in [0, 1] (HpBandSter: 1/3).
        top_percent: evaluations that count as good, in %, 1 to 99.
        min_points: evaluations in each of the two densities at least; by default `D + 1`.
        min_bandwidth: bandwidth at least, in (0, 1) (HpBandSter: 0.001).
        bandwidth_factor: what draws widen the bandwidths by. The paper has 3; HpBandSter, whatever
            it is given, does not widen those of categorical choices, and the published baselines
            therefore had 1.
        capacity: last evaluations to remember; those before are in no model any more. At least a
            bracket.
        max_draws: draws at most for one of the samples.

    Returns:
        A `Searcher` with a batch size of 1, that needs the evaluations of the first bracket.

    Raises:
        ValueError: there are fewer `max_epochs` than `min_epochs`, `eta` is less than 2, another
            number is out of its range.
    """
    plan = schedule(min_epochs, max_epochs, eta)
    # HpBandSter's default: with fewer points than dimensions a density says little.
    points = len(space.cardinalities) + 1 if min_points is None else min_points
    check_at_least_one(num_samples=num_samples, min_points=points, max_draws=max_draws)
    _check_shares(random_fraction, top_percent, min_bandwidth, bandwidth_factor)
    model = _Model(
        num_samples,
        random_fraction,
        top_percent,
        points,
        min_bandwidth,
        bandwidth_factor,
        max_draws,
    )

    def propose(key: Key, state: BracketState) -> Arch:
        return _propose(key, state, model, len(plan.epochs), space)

    return bracketed(space, plan, propose, capacity=capacity)


def _check_shares(
    random_fraction: float, top_percent: int, min_bandwidth: float, bandwidth_factor: float
) -> None:
    """ValueError that names the first setting out of its range."""
    if not 0 <= random_fraction <= 1:
        raise ValueError(f"random_fraction must be in [0, 1]; got {random_fraction}")
    if not 1 <= top_percent <= 99:
        raise ValueError(f"top_percent must be 1 to 99; got {top_percent}")
    if not 0 < min_bandwidth < 1:
        raise ValueError(f"min_bandwidth must be in (0, 1); got {min_bandwidth}")
    if bandwidth_factor < 1:
        raise ValueError(f"bandwidth_factor must be at least 1; got {bandwidth_factor}")


class _Model(NamedTuple):
    """Settings of the model that proposals come from; see `bohb`."""

    num_samples: int
    random_fraction: float
    top_percent: int
    min_points: int
    min_bandwidth: float
    bandwidth_factor: float
    max_draws: int


def _propose(
    key: Key,
    state: BracketState,
    model: _Model,
    num_levels: int,
    space: Space,
) -> Arch:
    """Proposal `[D]` int32: the sample with the largest ratio of densities, or a random one."""
    num_choices = np.array(space.cardinalities, np.int32)
    model_key, random_key, which_key = jax.random.split(key, 3)
    split = split_data(
        state, num_levels, min_points=model.min_points, top_percent=model.top_percent
    )
    # At this bandwidth a kernel is uniform over the choices of a position.
    limits = 1 - 1 / jnp.asarray(num_choices, state.scores.dtype)
    good, bad = (
        bandwidths(state.archs, data, limits, least=model.min_bandwidth)
        for data in (split.good, split.bad)
    )
    # Only draws are widened: the ratio is that of the densities themselves (algorithm 2).
    wide = jnp.minimum(model.bandwidth_factor * good, limits)

    def draw(key: Key) -> Arch:
        center_key, near_key = jax.random.split(key)
        center = split.order[jax.random.randint(center_key, (), 0, split.num_good)]
        return draw_near(near_key, state.archs[center], wide, jnp.asarray(num_choices))

    def sample(key: Key) -> Arch:
        draw_key, space_key = jax.random.split(key)
        arch, found = draw_until(
            draw_key,
            draw,
            # Without a model draws mean nothing: the first one ends the loop.
            lambda arch: space.is_valid(arch) | ~split.exists,
            size=len(num_choices),
            max_draws=model.max_draws,
        )
        return jnp.where(found, arch, space.sample(space_key))

    def ratio(arch: Arch) -> jax.Array:
        pairs = ((split.good, good), (split.bad, bad))
        logs = [
            log_density(arch, state.archs, data, width, jnp.asarray(num_choices))
            for data, width in pairs
        ]
        return logs[0] - logs[1]

    samples = jax.vmap(sample)(jax.random.split(model_key, model.num_samples))
    is_random = jax.random.uniform(which_key, dtype=jnp.float32) < model.random_fraction
    # Also without a model, whose draws then mean nothing: under `vmap` a `cond` would compute both,
    # too.
    best = samples[jnp.argmax(jax.vmap(ratio)(samples))]
    return jnp.where(split.exists & ~is_random, best, space.sample(random_key))


class Split(NamedTuple):
    """Split of the evaluations at one level into the data of the two densities.

    Attributes:
        exists: `[]` bool, whether there is enough; otherwise the rest has no meaning.
        level: `[]` int32, whose evaluations these are.
        order: `[C]` int32, slots of these evaluations, the best first, and then all others.
        num_good: `[]` int32, how many of them are good.
        good: `[C]` bool.
        bad: `[C]` bool.
    """

    exists: jax.Array
    level: jax.Array
    order: jax.Array
    num_good: jax.Array
    good: jax.Array
    bad: jax.Array


def split_data(state: BracketState, num_levels: int, *, min_points: int, top_percent: int) -> Split:
    """Split at the highest level that has `min_points` evaluations of both kinds."""
    is_level = state.levels[None] == jnp.arange(num_levels, dtype=jnp.int32)[:, None]
    nums = jnp.sum(is_level & state.is_told[None], axis=1, dtype=jnp.int32)
    # HpBandSter's counts. Both percentages are rounded down, so an evaluation may be in neither.
    nums_good = jnp.maximum(min_points, top_percent * nums // 100)
    has_model = nums - nums_good >= min_points
    # The highest, whose scores are nearest to those of full trainings.
    level = jnp.max(jnp.where(has_model, jnp.arange(num_levels, dtype=jnp.int32), 0))
    num, num_good = nums[level], nums_good[level]
    num_bad = jnp.maximum(min_points, (100 - top_percent) * num // 100)
    is_data = is_level[level] & state.is_told
    # The last key sorts first. Failures, at -inf, are the last of the data.
    order = jnp.lexsort((-state.scores, ~is_data)).astype(jnp.int32)
    # The inverse of a permutation, without a second sort.
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=jnp.int32))
    good = is_data & (rank < num_good)
    bad = is_data & ~good & (rank < num_good + num_bad)
    return Split(jnp.any(has_model), level, order, num_good, good, bad)
