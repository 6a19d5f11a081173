"""Local search: to the best neighbour until none is better, then from another start.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021,
https://arxiv.org/abs/2005.02960, algorithm 1.
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jnas.engine.inputs import check_at_least_one, check_choice
from jnas.engine.pickles import pickled_by_call
from jnas.search._query import numbered
from jnas.search._selection import comparable, unknown
from jnas.types import Arch, Key, Outcome, Query, Searcher, Space

Move: TypeAlias = Literal["best", "first"]


class LocalSearchState(NamedTuple):
    """State: where the search stands, and what it has seen of the neighbourhood.

    Attributes:
        center: `[D]` int32, the architecture whose neighbours are evaluated.
        center_score: `[]` float, -inf while random architectures are evaluated to start from.
        best: `[D]` int32, the best evaluated since the last move or restart.
        best_score: `[]` float, -inf where there is none.
        num_tried: `[]` int32, evaluations told since the last move or restart.
        first_id: `[]` int32, id of the first evaluation asked after it.
        num_asked: `[]` int32, evaluations proposed so far.
    """

    center: Arch
    center_score: jax.Array
    best: Arch
    best_score: jax.Array
    num_tried: jax.Array
    first_id: jax.Array
    num_asked: jax.Array


@pickled_by_call
def local_search(
    space: Space,
    *,
    num_neighbors: int | None = None,
    num_initial: int = 1,
    move: Move = "best",
    batch_size: int = 1,
) -> Searcher:
    """Strategy of hill climbing with random restarts.

    The paper evaluates every neighbour once. A `Space` has no list of neighbours, so they are draws
    of `space.mutate`, with replacement: where the best of `num_neighbors` of them is no
    improvement, the centre counts as a local optimum, though a better neighbour may have been
    missed. The search then starts again at random, as the paper does while there is budget.

    Args:
        space: where to search.
        num_neighbors: neighbours to evaluate before moving or giving up; by default as many as
            vectors that differ from the centre in one position (24 in NAS-Bench-201, 31 in
            NAS-Bench-101).
        num_initial: random architectures to evaluate at a start; the best of them is the first
            centre.
        move: "best" evaluates the whole neighbourhood before it moves, as published; "first" moves
            to the first improvement.
        batch_size: architectures proposed by one `ask`. Outcomes of what was asked before the last
            move or restart are only history.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: a number is less than 1, the move is unknown.
    """
    neighbors = (
        sum(num - 1 for num in space.cardinalities) if num_neighbors is None else num_neighbors
    )
    check_at_least_one(num_neighbors=neighbors, num_initial=num_initial, batch_size=batch_size)
    check_choice("move", move, Move)

    def init(key: Key) -> LocalSearchState:
        # An architecture for its shape alone: while its score is -inf, nothing near it is proposed.
        arch, worst, zero = space.sample(key), unknown(()), jnp.zeros((), jnp.int32)
        return LocalSearchState(arch, worst, arch, worst, zero, zero, zero)

    def propose(key: Key, state: LocalSearchState) -> Arch:
        sample_key, mutate_key = jax.random.split(key)
        # Both are drawn: under `vmap` a choice between two draws would do so, too.
        neighbor = space.mutate(mutate_key, state.center)
        return jnp.where(state.center_score > -jnp.inf, neighbor, space.sample(sample_key))

    def ask(key: Key, state: LocalSearchState) -> tuple[Query, LocalSearchState]:
        archs = jax.vmap(propose, (0, None))(jax.random.split(key, batch_size), state)
        return numbered(state.num_asked, archs), state._replace(
            num_asked=state.num_asked + batch_size
        )

    def tell(state: LocalSearchState, query: Query, outcome: Outcome) -> LocalSearchState:
        return _moved(_seen(state, query, outcome.scores), neighbors, num_initial, move)

    return Searcher(init, ask, tell)


def _seen(state: LocalSearchState, query: Query, scores: jax.Array) -> LocalSearchState:
    """State after outcomes, of which those asked for before the last move do not count."""
    counts = query.ids >= state.first_id
    # Neighbours of a former centre, told late, say nothing about the present one.
    scores = jnp.where(counts, comparable(scores), -jnp.inf).astype(state.best_score.dtype)
    # Within a batch the first of equals, as if the outcomes were told one by one.
    top = jnp.argmax(scores)
    return state._replace(
        best=jnp.where(scores[top] > state.best_score, query.archs[top], state.best),
        best_score=jnp.maximum(scores[top], state.best_score),
        num_tried=state.num_tried + jnp.sum(counts, dtype=jnp.int32),
    )


def _moved(
    state: LocalSearchState, num_neighbors: int, num_initial: int, move: Move
) -> LocalSearchState:
    """State after a move, a new start, or neither."""
    starting = state.center_score == -jnp.inf
    # Strictly, or the search would walk between equal neighbours for ever.
    improves = state.best_score > state.center_score
    done = state.num_tried >= jnp.where(starting, num_initial, num_neighbors)
    if move == "first":
        done |= improves & ~starting
    return state._replace(
        center=jnp.where(done & improves, state.best, state.center),
        # Where no start has a rank, -inf stays: the next architectures are random again.
        center_score=jnp.where(
            done, jnp.where(improves, state.best_score, -jnp.inf), state.center_score
        ),
        best_score=jnp.where(done, -jnp.inf, state.best_score),
        num_tried=jnp.where(done, 0, state.num_tried),
        # All that is out by now was asked for around the former centre.
        first_id=jnp.where(done, state.num_asked, state.first_id),
    )
