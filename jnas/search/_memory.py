"""Search loop that answers isomorphic architectures from memory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jnas.search._budget import Budget, is_left, is_within
from jnas.search.history import make_history
from jnas.types import Arch, History, Key, Objective, Outcome, Searcher, Space


class Memory(NamedTuple):
    """Memory of evaluations; slots are in use up to `num_evaluations`.

    Attributes:
        archs: `[T, D]` int32.
        identities: `[T, W]` uint32.
        epochs: `[T]` int32.
        scores: `[T]` float.
        seconds: `[T]` float.
        num_evaluations: `[]` int32.
        num_repeats: `[]` int32, proposals that were answered from here.
        spent: `[]` float32, seconds.
        is_over: `[]` bool, whether an evaluation was proposed that the budget does not allow.
    """

    archs: jax.Array
    identities: jax.Array
    epochs: jax.Array
    scores: jax.Array
    seconds: jax.Array
    num_evaluations: jax.Array
    num_repeats: jax.Array
    spent: jax.Array
    is_over: jax.Array


class Proposal(NamedTuple):
    """Row of a query with its answer; `[]` each, but `arch` `[D]` and `identity` `[W]`."""

    arch: jax.Array
    identity: jax.Array
    epochs: jax.Array
    score: jax.Array
    seconds: jax.Array


def run_with_memory(
    searcher: Searcher,
    objective: Objective,
    start: Any,
    eval_key: Key,
    ask_keys: Key,
    budget: Budget,
    *,
    identity: Callable[[Arch], jax.Array],
    capacity: int,
    max_repeats: int,
) -> History:
    """History of the search of `run` from the state `start`, with memory.

    Args:
        searcher: the strategy.
        objective: what is maximised.
        start: initial state of the searcher.
        eval_key: of every evaluation.
        ask_keys: one for each step, at least as many as there can be.
        budget: in seconds.
        identity: `[D] -> [W]` uint32, equal for isomorphic architectures.
        capacity: evaluations at most.
        max_repeats: answers from memory after which the search is given up.
    """

    def is_open(memory: Memory) -> jax.Array:
        left: jax.Array = is_left(budget, memory.spent)
        return left & ~memory.is_over & (memory.num_evaluations < capacity)

    def proceeds(carry: tuple[Any, Memory, jax.Array]) -> jax.Array:
        return is_open(carry[1]) & (carry[1].num_repeats < max_repeats)

    def step(carry: tuple[Any, Memory, jax.Array]) -> tuple[Any, Memory, jax.Array]:
        state, memory, num_asked = carry
        query, state = searcher.ask(ask_keys[num_asked], state)
        outcome = objective(eval_key, query)
        proposals = Proposal(query.archs, jax.vmap(identity)(query.archs), query.epochs, *outcome)
        # One after the other, for two rows of a query may be isomorphic too.
        memory, answers = lax.scan(
            lambda memory, row: _answer(memory, row, budget), memory, proposals
        )
        return searcher.tell(state, query, answers), memory, num_asked + 1

    def first_step() -> Any:
        query, _ = searcher.ask(ask_keys[0], start)
        return query, objective(eval_key, query), jax.vmap(identity)(query.archs)

    zero = jnp.zeros((), jnp.int32)
    # Only a traced step tells the number of choices and the types of an objective's scores.
    memory = _forget(capacity, *jax.eval_shape(first_step))
    # No `scan`: how many steps fill the memory depends on how many proposals are repeats.
    _, memory, _ = lax.while_loop(proceeds, step, (start, memory, zero))
    used = jnp.arange(capacity, dtype=jnp.int32) < memory.num_evaluations
    return make_history(
        memory.archs,
        memory.scores,
        memory.seconds,
        memory.epochs,
        used,
        truncated=is_left(budget, memory.spent),
        num_repeats=memory.num_repeats,
        stalled=is_open(memory),
    )


def num_words(space: Space) -> int:
    """`W`, the number of words of `space.identity`. Nothing is computed."""
    arch = jax.ShapeDtypeStruct((len(space.cardinalities),), jnp.int32)
    words: int = jax.eval_shape(space.identity, arch).shape[0]
    return words


def _forget(capacity: int, query: Any, outcome: Any, identities: Any) -> Memory:
    """Empty memory, for queries, outcomes and identities of these shapes and types."""
    zero = jnp.zeros((), jnp.int32)
    return Memory(
        archs=jnp.zeros((capacity, query.archs.shape[1]), query.archs.dtype),
        identities=jnp.zeros((capacity, identities.shape[1]), jnp.uint32),
        epochs=jnp.zeros(capacity, query.epochs.dtype),
        scores=jnp.zeros(capacity, outcome.scores.dtype),
        seconds=jnp.zeros(capacity, outcome.seconds.dtype),
        num_evaluations=zero,
        num_repeats=zero,
        spent=jnp.zeros((), jnp.float32),
        is_over=jnp.asarray(False),
    )


def _answer(memory: Memory, row: Proposal, budget: Budget) -> tuple[Memory, Outcome]:
    """Memory after one proposal, answered from it or added within the budget, and the answer."""
    capacity = len(memory.scores)
    # Other epochs are another evaluation: a promotion in Hyperband is no repeat.
    is_same = jnp.all(memory.identities == row.identity[None], axis=1) & (
        memory.epochs == row.epochs
    )
    # Unused slots hold zeros, which may be the identity of an architecture.
    is_same &= jnp.arange(capacity, dtype=jnp.int32) < memory.num_evaluations
    is_known = jnp.any(is_same)
    # An unknown cost counts as 0, or the sum would be NaN from here on, and nothing within the
    # budget.
    ends = memory.spent + jnp.nan_to_num(row.seconds).astype(memory.spent.dtype)
    fits = is_within(budget, memory.spent, ends) & (memory.num_evaluations < capacity)
    # The first that does not fit ends the search, even if a later row of its batch would fit.
    is_over = memory.is_over | ~(is_known | fits)
    is_new = ~(is_known | is_over)
    # Past the end otherwise, where a write is dropped: no choice between two memories is needed.
    slot = jnp.where(is_new, memory.num_evaluations, capacity)
    after = Memory(
        archs=memory.archs.at[slot].set(row.arch, mode="drop"),
        identities=memory.identities.at[slot].set(row.identity, mode="drop"),
        epochs=memory.epochs.at[slot].set(row.epochs, mode="drop"),
        scores=memory.scores.at[slot].set(row.score, mode="drop"),
        seconds=memory.seconds.at[slot].set(row.seconds, mode="drop"),
        num_evaluations=memory.num_evaluations + is_new.astype(jnp.int32),
        num_repeats=memory.num_repeats + (is_known & ~is_over).astype(jnp.int32),
        spent=jnp.where(is_new, ends, memory.spent),
        is_over=is_over,
    )
    score = jnp.where(is_known, memory.scores[jnp.argmax(is_same)], row.score)
    return after, Outcome(score, jnp.where(is_known, 0, row.seconds))
