"""Genetic algorithm with generations, as ReNAS searches with its predictor.

Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", CVPR 2021,
https://arxiv.org/abs/1910.01523, section 4. The paper names the three operators and gives each a
probability. How it chooses parents it does not say; tournaments are used here, for they see only
the order of the scores, and that is all its predictor learns. The default size and probabilities
are those commonly ascribed to it, unconfirmed.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search import _checks, _selection
from jnas.search._query import numbered
from jnas.search.regularized_evolution import Init, draw_initial
from jnas.types import Arch, Key, Outcome, Query, Searcher, Space


class GeneticState(NamedTuple):
    """State: the last generation that is known.

    Attributes:
        archs: `[P, D]` int32; at first the initial population.
        scores: `[P]` float, -inf for a failed evaluation and before the initial population is told.
        first_id: `[]` int32, id of its first member, -1 before the initial population is told.
        num_asked: `[]` int32, evaluations proposed so far.
    """

    archs: jax.Array
    scores: jax.Array
    first_id: jax.Array
    num_asked: jax.Array


@pickled_by_call
def genetic(
    space: Space,
    *,
    population_size: int = 64,
    selection: float = 0.5,
    crossover: float = 0.3,
    mutation: float = 0.2,
    tournament_size: int = 2,
    init: Init | None = None,
) -> Searcher:
    """Strategy of generations, whose members are survivors, children or mutants of the last one.

    One `ask` proposes one generation, survivors included: they are evaluated again (and paid for),
    which an estimator does not mind. Parents are winners of tournaments, with replacement; failed
    evaluations are no parents while there are others. For a score and costs, such as parameters or
    a latency, there is `nsga2`.

    Args:
        space: where to search.
        population_size: members `P`, the batch size of `ask`. The paper's search has 500
            generations.
        selection: probability that a member is a survivor.
        crossover: probability that it is `space.crossover` of two parents.
        mutation: probability that it is `space.mutate` of one.
        tournament_size: members that compete to be a parent.
        init: `(key, P) -> [P, D]`, a first generation of valid architectures; by default random.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: a number is less than 1, the tournament is larger than the population, the
            probabilities are negative or do not sum to 1.
    """
    check_at_least_one(population_size=population_size, tournament_size=tournament_size)
    _checks.check_at_most(population_size, tournament_size=tournament_size)
    chances = (selection, crossover, mutation)
    # With a tolerance, for 0.7 + 0.2 + 0.1 is below 1 in floating point.
    if min(chances) < 0 or not math.isclose(sum(chances), 1, abs_tol=1e-6):
        raise ValueError(
            f"selection, crossover and mutation must be probabilities that sum to 1; got {chances}"
        )

    def start(key: Key) -> GeneticState:
        archs = draw_initial(space, init, key, population_size)
        none = jnp.zeros((), jnp.int32)
        # Id -1, for the initial population, from id 0 on, is newer than what is known.
        # Equal scores of -inf: asked before it is told, a tournament draws from everybody.
        return GeneticState(archs, _selection.unknown(population_size), none - 1, none)

    def parent(key: Key, state: GeneticState) -> Arch:
        everybody = jnp.ones(population_size, bool)
        winner = _selection.tournament(
            key, state.scores, everybody, size=tournament_size, kind="with_replacement"
        )
        return state.archs[winner]

    def member(key: Key, state: GeneticState) -> Arch:
        kind_key, first_key, second_key, cross_key, mutate_key = jax.random.split(key, 5)
        first, second = parent(first_key, state), parent(second_key, state)
        # All kinds are computed: under `vmap` a `switch` on a kind that differs by row would, too.
        kind = jax.random.uniform(kind_key)
        child = jnp.where(
            kind < selection + crossover,
            space.crossover(cross_key, first, second),
            space.mutate(mutate_key, first),
        )
        return jnp.where(kind < selection, first, child)

    def ask(key: Key, state: GeneticState) -> tuple[Query, GeneticState]:
        children = jax.vmap(member, (0, None))(jax.random.split(key, population_size), state)
        # The initial population is proposed as it is; a `cond` under `vmap` would breed, too.
        archs = jnp.where(state.num_asked == 0, state.archs, children)
        return numbered(state.num_asked, archs), state._replace(
            num_asked=state.num_asked + population_size
        )

    return Searcher(start, ask, _tell, min_evaluations=population_size)


def _tell(state: GeneticState, query: Query, outcome: Outcome) -> GeneticState:
    """State with the generation that was told, unless a later one is known."""
    scores = _selection.comparable(outcome.scores).astype(state.scores.dtype)
    told = GeneticState(query.archs, scores, query.ids[0], state.num_asked)
    # An older generation that comes late is history.
    latest: GeneticState = jax.tree.map(
        lambda new, old: jnp.where(told.first_id > state.first_id, new, old), told, state
    )
    return latest
