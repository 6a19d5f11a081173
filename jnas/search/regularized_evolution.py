"""Regularized (aging) evolution, in which the oldest member dies, not the worst.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI
2019, https://arxiv.org/abs/1802.01548, algorithm 1. The defaults are those of the baseline "REA" of
NAS-Bench-201 (Dong and Yang, ICLR 2020); NAS-Bench-101 (Ying et al., ICML 2019) has 50 members and
samples 10 of them without replacement.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jnas.engine.inputs import check_at_least_one, check_choice
from jnas.engine.pickles import pickled_by_call
from jnas.search import _checks, _selection
from jnas.search._query import numbered
from jnas.types import Key, Outcome, Query, Searcher, Space

Dies: TypeAlias = Literal["oldest", "worst"]
Init: TypeAlias = Callable[[Key, int], jax.Array]
"""`(key, num) -> archs [num, D]` int32: an initial population of valid architectures."""


class EvolutionState(NamedTuple):
    """State: a population, and what is still to be proposed of its beginning.

    Attributes:
        initial: `[P, D]` int32, the initial population.
        archs: `[P, D]` int32, the members; a ring buffer, whose first `num_told` slots are in use.
        scores: `[P]` float, -inf for a failed evaluation.
        num_asked: `[]` int32, evaluations proposed so far.
        num_told: `[]` int32, evaluations whose outcome is known.
    """

    initial: jax.Array
    archs: jax.Array
    scores: jax.Array
    num_asked: jax.Array
    num_told: jax.Array


@pickled_by_call
def regularized_evolution(
    space: Space,
    *,
    population_size: int = 10,
    sample_size: int = 3,
    tournament: _selection.Tournament = "with_replacement",
    dies: Dies = "oldest",
    init: Init | None = None,
    batch_size: int = 1,
) -> Searcher:
    """Strategy of mutants of tournament winners, each in place of the oldest member.

    Members age in the order in which their outcomes arrive. An evaluation that failed is a member
    like any other, the worst one, and becomes a parent only while there is nothing else. While the
    initial population is out for evaluation, the parents are those already known.

    Args:
        space: where to search.
        population_size: members `P`.
        sample_size: members that compete to be the parent.
        tournament: whether a member can be drawn twice into one sample.
        dies: "oldest", or "worst" as in ordinary evolution; of the worst, the oldest, and it may be
            the child.
        init: draws the initial population, valid architectures all; by default `space.sample`.
        batch_size: architectures proposed by one `ask`, each from a tournament of its own.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: an option is unknown, a number is less than 1, the sample or a batch is larger
            than the population.
    """
    check_at_least_one(
        population_size=population_size, sample_size=sample_size, batch_size=batch_size
    )
    check_choice("tournament", tournament, _selection.Tournament)
    check_choice("dies", dies, Dies)
    _checks.check_at_most(population_size, sample_size=sample_size, batch_size=batch_size)

    def start(key: Key) -> EvolutionState:
        initial = draw_initial(space, init, key, population_size)
        zero = jnp.zeros((), jnp.int32)
        # No slot is in use yet; the members only have to have the right shape.
        unknown = _selection.unknown(population_size)
        return EvolutionState(initial, initial, unknown, zero, zero)

    def ask(key: Key, state: EvolutionState) -> tuple[Query, EvolutionState]:
        tournament_keys, mutate_keys = jax.random.split(key, (2, batch_size))
        # Even while founders are proposed: which rows of a batch are children only the program
        # knows.
        parents = draw_parents(tournament_keys, state, sample_size, tournament)
        return propose(state, jax.vmap(space.mutate)(mutate_keys, state.archs[parents]))

    def tell(state: EvolutionState, query: Query, outcome: Outcome) -> EvolutionState:
        scores = _selection.comparable(outcome.scores).astype(state.scores.dtype)
        archs, scores = (_replace_oldest if dies == "oldest" else _keep_best)(
            state, query.archs, scores
        )
        return state._replace(archs=archs, scores=scores, num_told=state.num_told + batch_size)

    return Searcher(start, ask, tell, min_evaluations=population_size)


def draw_initial(space: Space, init: Init | None, key: Key, num: int) -> jax.Array:
    """Initial population `[num, D]`: of `init`, or else of `space.sample`."""
    archs = jax.vmap(space.sample)(jax.random.split(key, num)) if init is None else init(key, num)
    # Checked here: later on, JAX would speak of shapes that do not broadcast.
    wanted = (num, len(space.cardinalities))
    if archs.shape != wanted:
        raise ValueError(f"init must return {list(wanted)} architectures; got {list(archs.shape)}")
    return archs


def draw_parents(
    keys: Key, state: EvolutionState, size: int, kind: _selection.Tournament
) -> jax.Array:
    """Members `[B]` int32 that won a tournament each; keys `[B]`."""
    present = jnp.arange(len(state.scores), dtype=jnp.int32) < state.num_told
    return jax.vmap(
        lambda key: _selection.tournament(key, state.scores, present, size=size, kind=kind)
    )(keys)


def propose(state: EvolutionState, children: jax.Array) -> tuple[Query, EvolutionState]:
    """Query for children `[B, D]`, or for what is left of the initial population, and the state."""
    # A batch may hold both: the last members to be proposed, and the first children.
    batch_size, population_size = len(children), len(state.scores)
    ids = state.num_asked + jnp.arange(batch_size, dtype=jnp.int32)
    initial = state.initial[jnp.minimum(ids, population_size - 1)]
    archs = jnp.where(ids[:, None] < population_size, initial, children)
    return numbered(state.num_asked, archs), state._replace(num_asked=state.num_asked + batch_size)


def _replace_oldest(
    state: EvolutionState, archs: jax.Array, scores: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Members `[P, …]` with the newcomers `[B, …]` in place of the oldest."""
    # The slots are distinct, for no batch is larger than the population.
    slots = (state.num_told + jnp.arange(len(scores), dtype=jnp.int32)) % len(state.scores)
    return (
        state.archs.at[slots].set(archs, unique_indices=True),
        state.scores.at[slots].set(scores, unique_indices=True),
    )


def _keep_best(
    state: EvolutionState, archs: jax.Array, scores: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Members `[P, …]` after the worst died, one for each newcomer; best first, then youngest."""
    size = len(state.scores)
    # NaN, which sorts behind the failures, for slots that are not yet in use.
    members = jnp.where(jnp.arange(size, dtype=jnp.int32) < state.num_told, state.scores, jnp.nan)
    # Newcomers first and reversed: the sort is stable, so of equals the youngest stays.
    order = jnp.argsort(-jnp.concatenate([scores[::-1], members]), stable=True)[:size]
    return (
        jnp.concatenate([archs[::-1], state.archs])[order],
        jnp.concatenate([scores[::-1], state.scores])[order],
    )
