"""NSGA-II: a genetic algorithm for a score and the costs that it is paid with.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
IEEE Transactions on Evolutionary Computation 6(2), 2002, https://doi.org/10.1109/4235.996017. From
the paper: non-dominated sorting, crowding distance, binary tournaments by both, parents and
children together compete to survive; 100 members and a crossover probability of 0.9 (section IV).
It mutates each of `n` variables with probability `1/n`, one a child on average; here a child gets
one `space.mutate`. Not from the paper: two equal vectors are never both members while there are
others, for in a finite space the front would fill with copies of itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search import _checks, _selection, pareto
from jnas.search._query import numbered
from jnas.search.regularized_evolution import Init, draw_initial
from jnas.types import Arch, Key, Outcome, Query, Searcher, Space


class Nsga2State(NamedTuple):
    """State: the members, best first.

    Attributes:
        archs: `[P, D]` int32; at first the initial population.
        scores: `[P]` float, -inf for a failed evaluation and before the initial population is told.
        costs: `[P, M]` float.
        fitness: `[P]` float, minus the number of those before it in the order of the crowded
            comparison (a lower front, or in one front the more distant from its neighbours); -inf
            without a score or a cost.
        num_asked: `[]` int32, evaluations proposed so far.
    """

    archs: jax.Array
    scores: jax.Array
    costs: jax.Array
    fitness: jax.Array
    num_asked: jax.Array


@pickled_by_call
def nsga2(
    space: Space,
    costs: Sequence[pareto.Cost],
    *,
    population_size: int = 100,
    crossover: float = 0.9,
    mutation: float = 1.0,
    tournament_size: int = 2,
    init: Init | None = None,
) -> Searcher:
    """Strategy of several objectives: generations that trade a score for costs.

    The costs need no evaluation, so the loops, objectives and histories are those of every
    strategy; `pareto_front` reads what was found from the history.

        searcher = nsga2(space, [space.params])
        history = run(searcher, objective, key, num_evaluations=2000)
        front = pareto_front(history, [space.params])

    One `ask` proposes one generation of children. Of the members and the children together those
    survive that are in the first fronts, and of the last front that has room the least crowded.
    Outcomes of older generations compete like any others. An evaluation that failed, or whose cost
    is not finite, survives and becomes a parent only while there is nothing else.

    Args:
        space: where to search.
        costs: what is paid for the score, at least one; see `pareto.Cost`.
        population_size: members `P`, the batch size of `ask`.
        crossover: probability that a child is `space.crossover` of two parents; otherwise it starts
            as its first.
        mutation: probability that it is then changed by `space.mutate`.
        tournament_size: members that compete to be a parent.
        init: `(key, P) -> [P, D]`, a first generation of valid architectures; by default random.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: there is no cost, or one is no function `[D] -> []`; a number is less than 1,
            the tournament is larger than the population; crossover and mutation are not in [0, 1],
            or both 0.
    """
    pareto.check_costs(costs, len(space.cardinalities))
    check_at_least_one(population_size=population_size, tournament_size=tournament_size)
    _checks.check_at_most(population_size, tournament_size=tournament_size)
    if not (0 <= crossover <= 1 and 0 <= mutation <= 1 and crossover + mutation > 0):
        raise ValueError(
            f"crossover and mutation must be in [0, 1], not both 0; got {crossover} and {mutation}"
        )

    def start(key: Key) -> Nsga2State:
        archs = draw_initial(space, init, key, population_size)
        # Members without a score are displaced by the first generation that is told.
        unknown = _selection.unknown(population_size)
        return Nsga2State(
            archs, unknown, pareto.cost_values(costs, archs), unknown, jnp.zeros((), jnp.int32)
        )

    def parent(key: Key, state: Nsga2State) -> Arch:
        # Those without a rank as well: their fitness of -inf loses to any other, and all may have
        # it.
        everybody = jnp.ones(population_size, bool)
        winner = _selection.tournament(
            key, state.fitness, everybody, size=tournament_size, kind="with_replacement"
        )
        return state.archs[winner]

    def child(key: Key, state: Nsga2State) -> Arch:
        first_key, second_key, chance_key, cross_key, mutate_key = jax.random.split(key, 5)
        first, second = parent(first_key, state), parent(second_key, state)
        crosses, mutates = jax.random.uniform(chance_key, (2,)) < jnp.asarray([crossover, mutation])
        arch = jnp.where(crosses, space.crossover(cross_key, first, second), first)
        return jnp.where(mutates, space.mutate(mutate_key, arch), arch)

    def ask(key: Key, state: Nsga2State) -> tuple[Query, Nsga2State]:
        children = jax.vmap(child, (0, None))(jax.random.split(key, population_size), state)
        archs = jnp.where(state.num_asked == 0, state.archs, children)
        return numbered(state.num_asked, archs), state._replace(
            num_asked=state.num_asked + population_size
        )

    def tell(state: Nsga2State, query: Query, outcome: Outcome) -> Nsga2State:
        scores = _selection.comparable(outcome.scores).astype(state.scores.dtype)
        # Parents and children compete (section III-C), whichever generation is told.
        archs = jnp.concatenate([state.archs, query.archs])
        scores = jnp.concatenate([state.scores, scores])
        values = jnp.concatenate([state.costs, pareto.cost_values(costs, query.archs)])
        fitness, order = _crowded_comparison(archs, pareto.objectives(scores, values))
        best = order[:population_size]
        return Nsga2State(archs[best], scores[best], values[best], fitness[best], state.num_asked)

    return Searcher(start, ask, tell, min_evaluations=population_size)


def _crowded_comparison(archs: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fitness `[R]` of members `[R, D]` by objectives `[R, M]`, and their order `[R]`."""
    ranked = jnp.all(jnp.isfinite(values), axis=1)
    same = jnp.all(archs[:, None] == archs[None], axis=-1) & ranked[:, None]
    # A copy has its like before it. Members come before children, so the member is the original.
    is_copy = jnp.any(jnp.triu(same, 1), axis=0)
    # Finite, for distances of infinities would be NaN.
    values = jnp.where(ranked[:, None], values, 0)
    # Copies come behind all fronts, and those without a rank behind the copies.
    ranks = pareto.fronts(values, ranked & ~is_copy) + (~ranked).astype(jnp.int32)
    distances = pareto.crowding(values, ranks)
    alike, farther = ranks[:, None] == ranks[None], distances[:, None] > distances[None]
    num_before = jnp.sum(
        (ranks[:, None] < ranks[None]) | (alike & farther), axis=0, dtype=jnp.int32
    )
    fitness = jnp.where(ranked, -num_before.astype(values.dtype), -jnp.inf)
    # Stable: among equals a member survives rather than a child.
    return fitness, jnp.argsort(num_before, stable=True)
