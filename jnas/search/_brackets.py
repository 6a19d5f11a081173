"""Brackets of successive halving: what is evaluated when, and who goes on with more epochs.

Strategies differ in what they begin a bracket with; see `successive_halving` and `bohb`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.inputs import check_at_least_one, check_choice
from jnas.search._selection import comparable
from jnas.search.regularized_evolution import Init, draw_initial
from jnas.types import Arch, Key, Outcome, Query, Searcher, Space

Brackets: TypeAlias = Literal["one", "hyperband"]


class Schedule(NamedTuple):
    """Schedule of evaluations: brackets one after the other, rung by rung, then from the start.

    Attributes:
        epochs: of each level, ascending.
        brackets: evaluations in each rung of each bracket; every bracket ends at the last level.
        levels: `[L]` int32, of each evaluation of a cycle.
        before: `[L]` int32, the cycle's evaluation with which the rung below begins.
        num_before: `[L]` int32, evaluations in the rung below; 0 where there is none.
    """

    epochs: tuple[int, ...]
    brackets: tuple[tuple[int, ...], ...]
    levels: np.ndarray
    before: np.ndarray
    num_before: np.ndarray


def schedule(
    min_epochs: int, max_epochs: int, eta: int, brackets: Brackets = "hyperband"
) -> Schedule:
    """Schedule of HpBandSter's brackets.

    Args:
        min_epochs: the fewest epochs worth a training.
        max_epochs: epochs of the last rung of each bracket.
        eta: one evaluation of so many goes on, with so many times the epochs.
        brackets: whether all of them take turns, or the first one repeats.

    Raises:
        ValueError: unless `1 <= min_epochs <= max_epochs` and `eta >= 2`; unknown `brackets`.
    """
    check_choice("brackets", brackets, Brackets)
    check_at_least_one(min_epochs=min_epochs)
    if min_epochs > max_epochs:
        raise ValueError(
            f"min_epochs must be at most the max_epochs {max_epochs}; got {min_epochs}"
        )
    if eta < 2:
        raise ValueError(f"eta must be at least 2; got {eta}")
    # Counted in integers, for a quotient of logarithms puts 3^5 = 243 just below level 5.
    num_levels = 1
    while min_epochs * eta**num_levels <= max_epochs:
        num_levels += 1
    # HpBandSter rounds `num_levels / num_rungs` down first, where the paper rounds the product up:
    # with three levels the second bracket begins with 3 evaluations, not with 5.
    plan = tuple(
        tuple(num_levels // num_rungs * eta ** (num_rungs - 1 - rung) for rung in range(num_rungs))
        for num_rungs in range(num_levels, 0 if brackets == "hyperband" else num_levels - 1, -1)
    )
    rows, begin = [], 0
    for sizes in plan:
        # No rung is below the lowest: a `num_before` of 0 is how `bracketed` knows what is new.
        below = (0, 0)
        for rung, size in enumerate(sizes):
            rows += [(num_levels - len(sizes) + rung, *below)] * size
            below, begin = (begin, size), begin + size
    epochs = tuple(max_epochs // eta**level for level in reversed(range(num_levels)))
    return Schedule(epochs, plan, *np.array(rows, np.int32).T)


class BracketState(NamedTuple):
    """State of brackets: the last evaluations, a ring buffer.

    Evaluation number `id` is in slot `id` modulo `C`.

    Attributes:
        archs: `[C, D]` int32; at first what the first bracket begins with, where that is given.
        levels: `[C]` int32, which number of epochs each was asked for.
        scores: `[C]` float, -inf for a failed evaluation.
        is_told: `[C]` bool, whether the score is known.
        is_promoted: `[C]` bool, whether it goes on with more epochs.
        num_asked: `[]` int32, evaluations proposed so far.
    """

    archs: jax.Array
    levels: jax.Array
    scores: jax.Array
    is_told: jax.Array
    is_promoted: jax.Array
    num_asked: jax.Array


def bracketed(
    space: Space,
    plan: Schedule,
    propose: Callable[[Key, BracketState], Arch],
    *,
    capacity: int,
    init: Init | None = None,
) -> Searcher:
    """Strategy of brackets, whose lowest rungs are filled by proposals.

    Args:
        space: where to search.
        plan: one cycle of brackets, which repeats for as long as the search goes on.
        propose: `(key, state) -> [D]`, a new architecture.
        capacity: last evaluations to remember.
        init: `(key, num) -> [num, D]`, what the first bracket begins with; by default proposals.

    Raises:
        ValueError: the capacity is less than a bracket.
    """
    # A promotion looks back to the beginning of its bracket, which must not be overwritten by then.
    largest = max(map(sum, plan.brackets))
    if capacity < largest:
        raise ValueError(
            f"capacity must be at least {largest}, the evaluations of a bracket; got {capacity}"
        )
    levels, epochs = jnp.asarray(plan.levels), jnp.asarray(plan.epochs, jnp.int32)
    num_given = 0 if init is None else plan.brackets[0][0]

    def start(key: Key) -> BracketState:
        empty, no = jnp.zeros(capacity, jnp.int32), jnp.zeros(capacity, bool)
        archs = jnp.zeros((capacity, len(space.cardinalities)), jnp.int32)
        if init is not None:
            archs = archs.at[:num_given].set(draw_initial(space, init, key, num_given))
        return BracketState(archs, empty, jnp.zeros(capacity), no, no, jnp.zeros((), jnp.int32))

    def ask(key: Key, state: BracketState) -> tuple[Query, BracketState]:
        number = state.num_asked
        step, slot = number % len(levels), number % capacity
        source = _to_promote(state, plan)
        is_new = jnp.asarray(plan.num_before)[step] == 0
        arch = jnp.where(is_new, propose(key, state), state.archs[source])
        if num_given:
            arch = jnp.where(number < num_given, state.archs[slot], arch)
        # A slot past the end is a write that is dropped: what is new promotes nobody.
        promoted = state.is_promoted.at[jnp.where(is_new, capacity, source)].set(True, mode="drop")
        after = BracketState(
            archs=state.archs.at[slot].set(arch),
            levels=state.levels.at[slot].set(levels[step]),
            scores=state.scores,
            is_told=state.is_told.at[slot].set(False),
            is_promoted=promoted.at[slot].set(False),
            num_asked=number + 1,
        )
        return Query(number[None], arch[None], epochs[levels[step]][None]), after

    return Searcher(start, ask, _tell, min_evaluations=sum(plan.brackets[0]), epochs=plan.epochs)


def _tell(state: BracketState, query: Query, outcome: Outcome) -> BracketState:
    """State with the scores of evaluations that are still remembered."""
    capacity = len(state.scores)
    # Another evaluation may have the slot by now.
    is_kept = query.ids >= state.num_asked - capacity
    slots = jnp.where(is_kept, query.ids % capacity, capacity)
    scores = comparable(outcome.scores).astype(state.scores.dtype)
    return state._replace(
        scores=state.scores.at[slots].set(scores, mode="drop"),
        is_told=state.is_told.at[slots].set(True, mode="drop"),
    )


def _to_promote(state: BracketState, plan: Schedule) -> jax.Array:
    """Slot `[]` int32 of the best in the rung below that does not go on yet; any in the lowest."""
    step = state.num_asked % len(plan.levels)
    before, num_before = (jnp.asarray(table)[step] for table in (plan.before, plan.num_before))
    # The shape is that of the largest rung; with a single level there is none below, but one place.
    places = jnp.arange(max(1, int(plan.num_before.max())), dtype=jnp.int32)
    slots = (state.num_asked - step + before + places) % len(state.scores)
    scores, is_told = state.scores[slots], state.is_told[slots]
    has_rank = is_told & (scores > -jnp.inf)
    # Known, then out for evaluation, then failed; those asked first win ties.
    group = jnp.where(has_rank, 3, jnp.where(is_told, 1, 2))
    group = jnp.where((places < num_before) & ~state.is_promoted[slots], group, 0)
    return slots[
        jnp.argmax(jnp.where(group == jnp.max(group), jnp.where(has_rank, scores, 0), -jnp.inf))
    ]
