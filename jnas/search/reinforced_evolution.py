"""Aging evolution with reinforced mutation: REINFORCE learns which slight modifications do good.

Alshubaily, "Speeding Up Neural Architecture Search By Using Performance Prediction", 2019, proposes
it in his conclusion, after Chen et al., "Reinforced Evolutionary Neural Architecture Search", 2018,
https://arxiv.org/abs/1808.00193: an evolutionary method in which a mutation controller learns the
effects of slight modifications and makes the mutations. From his text: the evolution
(`regularized_evolution`) and the update rule (`reinforce`). He does not say what the controller
sees, draws or is rewarded with; these are the most literal choices:

    Controller: a logit for every modification, "at position d, choice i becomes choice k". Given a
        parent, a softmax over all modifications of one position of it, uniform at first.
    Reward: the effect of the modification, the score of the child less that of its parent.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search import _baselines as baselines
from jnas.search import _selection
from jnas.search._checks import check_momentum
from jnas.search._redraw import draw_until
from jnas.search.policies import choice_mask
from jnas.search.regularized_evolution import (
    EvolutionState,
    Init,
    draw_parents,
    propose,
    regularized_evolution,
)
from jnas.types import Arch, Key, Outcome, Query, Searcher, Space


class Pending(NamedTuple):
    """Parents of the last `W` evaluations, a ring buffer: number `id` is in slot `id mod W`.

    Attributes:
        ids: `[W]` int32, -1 where unused.
        parents: `[W, D]` int32.
        scores: `[W]` float, of the parents; -inf without a score, and for the initial population.
    """

    ids: jax.Array
    parents: jax.Array
    scores: jax.Array


class ReinforcedState(NamedTuple):
    """State: a population, and a controller in training.

    Attributes:
        evolution: the population.
        pending: parents of what was asked for.
        logits: `[D, K, K]` float, by position, choice of the parent and choice of the child.
        optimiser: state of the optimiser.
        baseline: `[]` float, exponentially weighted average of the mean effects of the batches.
        weight: `[]` float, sum of the weights.
    """

    evolution: EvolutionState
    pending: Pending
    logits: jax.Array
    optimiser: Any
    baseline: jax.Array
    weight: jax.Array


@pickled_by_call
def reinforced_evolution(
    space: Space,
    *,
    population_size: int = 10,
    sample_size: int = 3,
    tournament: _selection.Tournament = "with_replacement",
    optimiser: optax.GradientTransformation | None = None,
    momentum: float = 0.9,
    init: Init | None = None,
    batch_size: int = 1,
    max_draws: int = 100,
    num_pending: int = 64,
) -> Searcher:
    """Strategy of `regularized_evolution` with mutations by a controller that learns.

    A batch of modifications `m_j` of parents `a_j` with effects `R_j` descends, by the optimiser,

        mean_j −log π(m_j | a_j) (R_j − b)

    with the baseline `b` of `reinforce`. A child that is not valid is drawn again, up to
    `max_draws` draws, after which `space.mutate` steps in; the gradient is that of the
    unconditioned controller.

    Nothing is learned from the initial population, from an evaluation that failed or whose parent
    has no score, from a move of `space.mutate` that changes several positions, and from an outcome
    that is told when more than `num_pending` evaluations have been asked for since.

    Args:
        space: where to search.
        population_size: members `P`.
        sample_size: members that compete to be the parent.
        tournament: whether a member can be drawn twice into one sample.
        optimiser: of the controller; by default Adam with the learning rate 0.01 of the factorised
            `reinforce`.
        momentum: of the baseline, in [0, 1).
        init: draws the initial population, valid architectures all; by default `space.sample`.
        batch_size: architectures proposed by one `ask`, and averaged in one update.
        max_draws: draws at most for one child.
        num_pending: evaluations whose parents are kept, at least the batch size.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: as for `regularized_evolution`; the momentum is not in [0, 1), or fewer parents
            are kept than a batch has.
    """
    check_at_least_one(max_draws=max_draws)
    check_momentum(momentum)
    if num_pending < batch_size:
        raise ValueError(
            f"num_pending must be at least the batch_size {batch_size}; got {num_pending}"
        )
    # All but the mutations is its: ages, deaths and the initial population.
    evolution = regularized_evolution(
        space,
        population_size=population_size,
        sample_size=sample_size,
        tournament=tournament,
        init=init,
        batch_size=batch_size,
    )
    descent = optax.adam(0.01) if optimiser is None else optimiser
    mask = choice_mask(space.cardinalities)
    mutate = functools.partial(_mutate, space, max_draws)

    def start(key: Key) -> ReinforcedState:
        size, num_choices = mask.shape
        # Equal, so that the first mutations are as random as those of evolution without a
        # controller.
        logits, zero = jnp.zeros((size, num_choices, num_choices)), jnp.zeros(())
        return ReinforcedState(
            evolution.init(key),
            _no_parents(num_pending, size),
            logits,
            descent.init(logits),
            zero,
            zero,
        )

    def ask(key: Key, state: ReinforcedState) -> tuple[Query, ReinforcedState]:
        tournament_keys, mutate_keys = jax.random.split(key, (2, batch_size))
        winners = draw_parents(tournament_keys, state.evolution, sample_size, tournament)
        parents, scores = state.evolution.archs[winners], state.evolution.scores[winners]
        query, asked = propose(
            state.evolution, jax.vmap(mutate, (0, None, 0))(mutate_keys, state.logits, parents)
        )
        # -inf for founders, which are nobody's children: nothing is learned from them.
        scores = jnp.where(query.ids >= population_size, scores, -jnp.inf)
        pending = _remembered(state.pending, query.ids, parents, scores)
        return query, state._replace(evolution=asked, pending=pending)

    def tell(state: ReinforcedState, query: Query, outcome: Outcome) -> ReinforcedState:
        told = state._replace(evolution=evolution.tell(state.evolution, query, outcome))
        return _learn(descent, momentum, mask, told, query, outcome.scores)

    return Searcher(start, ask, tell, min_evaluations=population_size)


def _no_parents(num_pending: int, size: int) -> Pending:
    """Empty memory of the parents `[D]` of so many evaluations, `D` being `size`."""
    return Pending(
        ids=jnp.full(num_pending, -1, jnp.int32),
        parents=jnp.zeros((num_pending, size), jnp.int32),
        scores=_selection.unknown(num_pending),
    )


def _remembered(pending: Pending, ids: jax.Array, parents: jax.Array, scores: jax.Array) -> Pending:
    """Memory with the parents `[B, D]` of evaluations `ids` `[B]`, and the parents' scores."""
    # No slot twice: a batch has no more evaluations than the memory has places.
    slots = ids % len(pending.ids)
    return Pending(
        ids=pending.ids.at[slots].set(ids),
        parents=pending.parents.at[slots].set(parents),
        scores=pending.scores.at[slots].set(scores),
    )


def _learn(
    descent: optax.GradientTransformation,
    momentum: float,
    mask: jax.Array,
    state: ReinforcedState,
    query: Query,
    scores: jax.Array,
) -> ReinforcedState:
    """State after one update from the modifications that teach; the old state if none does.

    Args:
        descent: the optimiser.
        momentum: of the baseline.
        mask: `[D, K]` bool, the choices of each position.
        state: before the update.
        query: the children `[B, D]` of remembered parents.
        scores: `[B]` float, of the children.
    """
    archs, slots = query.archs, query.ids % len(state.pending.ids)
    parents = state.pending.parents[slots]
    # Infinite or NaN where the parent or the child has no score, and so without effect.
    effects = scores.astype(state.baseline.dtype) - state.pending.scores[slots]
    # Another evaluation may have the slot by now, and `space.mutate` may have changed more than
    # the controller could have: neither says what one modification does.
    is_known = state.pending.ids[slots] == query.ids
    num_changed = jnp.sum(parents != archs, axis=1)
    teaches = is_known & (num_changed == 1) & jnp.isfinite(effects)
    # Chosen before the sums, for 0 times an effect that is not finite would be NaN.
    effects = jnp.where(teaches, effects, 0)
    num = jnp.maximum(jnp.sum(teaches), 1).astype(effects.dtype)
    baseline, weight = baselines.after(
        momentum, state.baseline, state.weight, jnp.sum(effects) / num
    )
    weights = jnp.where(teaches, effects - baseline, 0) / num
    gradients = jax.grad(_loss)(state.logits, mask, parents, archs, weights)
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes integers and floats
        updates, after = descent.update(gradients, state.optimiser, state.logits)
    logits = optax.apply_updates(state.logits, updates)
    learned = state._replace(logits=logits, optimiser=after, baseline=baseline, weight=weight)
    # Adam moves on even when gradients are 0, so an update without a lesson is undone.
    told: ReinforcedState = jax.tree.map(
        lambda new, old: jnp.where(jnp.any(teaches), new, old), learned, state
    )
    return told


def _mutate(
    space: Space,
    max_draws: int,
    key: Key,
    logits: jax.Array,
    parent: Arch,
) -> Arch:
    """Child `[D]` int32 by the controller's `logits` `[D, K, K]`."""
    draw_key, space_key = jax.random.split(key)
    mask = choice_mask(space.cardinalities)
    # Over all positions at once: which one changes is part of what the controller learns.
    modifications = _log_probs(logits, mask, parent)

    def draw(key: Key) -> Arch:
        position, choice = jnp.divmod(
            jax.random.categorical(key, modifications.ravel()), mask.shape[1]
        )
        return parent.at[position].set(choice.astype(jnp.int32))

    child, found = draw_until(draw_key, draw, space.is_valid, size=len(mask), max_draws=max_draws)
    return jnp.where(found, child, space.mutate(space_key, parent))


def _log_probs(logits: jax.Array, mask: jax.Array, parent: Arch) -> jax.Array:
    """Log-probabilities `[D, K]` of all modifications of one position of `parent` `[D]`.

    The controller's `logits` are `[D, K, K]`, the choices of a position `mask` `[D, K]` bool.
    """
    size, num_choices = mask.shape
    of_parent = logits[jnp.arange(size, dtype=jnp.int32), parent]
    changes = mask & (jnp.arange(num_choices, dtype=jnp.int32)[None] != parent[:, None])
    # Not -inf: a child that equals its parent has weight 0 in the loss, and 0 times -inf is NaN.
    return jax.nn.log_softmax(jnp.where(changes, of_parent, -1e9), axis=(0, 1))


def _loss(
    logits: jax.Array, mask: jax.Array, parents: jax.Array, archs: jax.Array, weights: jax.Array
) -> jax.Array:
    """Loss `[]`: minus the log-probabilities of the modifications to `archs`, with `weights` `[B]`.

    Rows of `parents` and `archs` `[B, D]` that differ in more than one position have weight 0.
    """

    def log_prob(parent: Arch, child: Arch) -> jax.Array:
        # The one that differs; of several any, for the weight is 0 then.
        position = jnp.argmax(parent != child)
        return _log_probs(logits, mask, parent)[position, child[position]]

    return -jnp.sum(jax.vmap(log_prob)(parents, archs) * weights)
