"""Predictor-guided search: fits a predictor, searches on it, and evaluates what it likes.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS"
(GATES), ECCV 2020, https://arxiv.org/abs/2004.01899; proposals that are partly random: Dudziak et
al., "BRP-NAS", NeurIPS 2020, https://arxiv.org/abs/2007.08668. Works on the host, by `run_on_host`,
because predictors are fitted there.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jnas.engine.inputs import check_at_least_one
from jnas.engine.pickles import pickled_by_call
from jnas.search._memory import num_words
from jnas.search._query import numbered
from jnas.search._selection import comparable
from jnas.search.run import check_num_evaluations, objective, run
from jnas.types import Key, Outcome, Predictor, Query, Searcher, Space

_MAX_ROUNDS = 100  # rounds of samples that are looked through for new architectures


class GuidedState(NamedTuple):
    """State: all that was proposed, in NumPy arrays that grow with every `ask`.

    Attributes:
        archs: `[A, D]` int32.
        identities: `[A, W]` uint32.
        scores: `[A]` float32, NaN where an evaluation failed or is out.
    """

    archs: np.ndarray
    identities: np.ndarray
    scores: np.ndarray


class Candidates(NamedTuple):
    """Candidates, the best first: `[N, D]` int32, `[N, W]` uint32 and `[N]` bool."""

    archs: Any
    identities: Any
    is_valid: Any


@pickled_by_call
def predictor_guided(
    predictor: Predictor,
    inner: Searcher,
    *,
    num_initial: int = 20,
    batch_size: int = 20,
    inner_steps: int = 200,
    num_inner: int = 1,
    random_share: float = 0.0,
    space: Space | None = None,
) -> Searcher:
    """Strategy that evaluates what an inner search finds on a predictor, fitted anew each batch.

    The first `num_initial` proposals are random. Afterwards each `ask` fits the predictor on all
    finite scores told so far, runs the inner searches on it, and proposes the best that they met.
    No proposal is isomorphic (`space.identity`) to another one of the search: where the inner
    searches meet too few new architectures, and while no two scores differ, the rest is random.

    Args:
        predictor: fitted on the scores as they are.
        inner: the strategy that searches on the predictor, the same from its start every time;
            GATES has evolution with a population of 20 and tournaments of 5. Must be traceable.
        num_initial: random architectures before the first fit, a multiple of `batch_size`.
        batch_size: architectures proposed by one `ask`. The defaults are BRP-NAS's rounds; GATES
            proposes 200.
        inner_steps: evaluations on the predictor of one inner search (GATES has 200 on
            NAS-Bench-101).
        num_inner: inner searches a batch, each with a key of its own, that take turns in
            contributing their best new architecture. GATES has as many as the batch is large.
        random_share: part of every batch that is random whatever the predictor says, in [0, 1];
            BRP-NAS has 0.5.
        space: where to search, by default the predictor's; or that under a condition
            (`constrained`). What `inner` meets and is not valid there is left out.

    Returns:
        A `Searcher` that is not traceable. Its `ask` raises RuntimeError where no new architecture
        is found any more.

    Raises:
        ValueError: a number is less than 1, `num_initial` is no multiple of `batch_size`, the share
            is not in [0, 1], `inner_steps` does not suit the inner strategy.
    """
    check_at_least_one(
        num_initial=num_initial, batch_size=batch_size, inner_steps=inner_steps, num_inner=num_inner
    )
    if num_initial % batch_size:
        raise ValueError(
            f"num_initial must be a multiple of the batch_size {batch_size}; got {num_initial}"
        )
    if not 0 <= random_share <= 1:
        raise ValueError(f"random_share must be in [0, 1]; got {random_share}")
    # Now, and not in the first `ask` on a predictor, which comes after the trainings of all initial
    # architectures.
    check_num_evaluations(inner, _batch_size(inner), inner_steps)
    space = predictor.space if space is None else space
    num_best = batch_size - round(random_share * batch_size)
    add_random = _random_proposals(space, 8 * batch_size)
    search = _inner_search(predictor, inner, inner_steps, num_inner, space)

    def init(key: Key) -> GuidedState:
        del key
        empty = np.zeros((0, len(space.cardinalities)), np.int32)
        identities = np.zeros((0, num_words(space)), np.uint32)
        return GuidedState(empty, identities, np.zeros(0, np.float32))

    def add_best(key: Key, state: GuidedState) -> GuidedState:
        """State with the best that the inner searches meet on a new fit."""
        fit_key, search_key = jax.random.split(key)
        # Evaluations that failed or are still out have no score, which a predictor cannot be fitted
        # to.
        known = np.isfinite(state.scores)
        fitted = _fit(predictor, fit_key, state.archs[known], state.scores[known])
        return _add_new(state, search(search_key, fitted), num_best)

    def ask(key: Key, state: GuidedState) -> tuple[Query, GuidedState]:
        best_key, random_key = jax.random.split(key)
        num = len(state.scores)
        is_guided = num >= num_initial and _is_ranked(state.scores)
        after = add_best(best_key, state) if is_guided and num_best else state
        # As many as are missing: the random share, and what the inner searches did not find.
        after = add_random(random_key, after, num + batch_size - len(after.scores))
        return numbered(jnp.asarray(num, jnp.int32), jnp.asarray(after.archs[num:])), after

    def tell(state: GuidedState, query: Query, outcome: Outcome) -> GuidedState:
        # A copy, for `tell` is pure: earlier states keep their scores.
        scores = state.scores.copy()
        # Ids number the proposals in the order of the rows, whichever batch comes back first.
        scores[np.asarray(query.ids)] = np.asarray(outcome.scores)
        return state._replace(scores=scores)

    return Searcher(init, ask, tell, min_evaluations=num_initial, is_traceable=False)


def _is_ranked(scores: np.ndarray) -> bool:
    """Whether scores `[A]` rank anything: equal ones, or none, leave nothing to fit to."""
    return len(np.unique(scores[np.isfinite(scores)])) > 1


def _random_proposals(
    space: Space, num_samples: int
) -> Callable[[Key, GuidedState, int], GuidedState]:
    """Function that proposes new random architectures, out of `num_samples` draws at a time."""

    @jax.jit
    def sample(key: Key) -> Candidates:
        archs = jax.vmap(space.sample)(jax.random.split(key, num_samples))
        one = Candidates(archs, jax.vmap(space.identity)(archs), jnp.ones(num_samples, bool))
        return Candidates(*(leaf[None] for leaf in one))

    def add_random(key: Key, state: GuidedState, num: int) -> GuidedState:
        wanted = len(state.scores) + num
        for number in range(_MAX_ROUNDS):
            if len(state.scores) == wanted:
                return state
            state = _add_new(
                state, sample(jax.random.fold_in(key, number)), wanted - len(state.scores)
            )
        raise RuntimeError(
            f"found no new architecture in {_MAX_ROUNDS * num_samples:,} samples of {space.name}"
        )

    return add_random


def _inner_search(
    predictor: Predictor,
    inner: Searcher,
    num_evaluations: int,
    num_inner: int,
    space: Space,
) -> Callable[[Key, Any], Candidates]:
    """Function `(key, fitted predictor)`: what each of `num_inner` searches met, best first."""

    def estimate(fitted: Any, key: Key, archs: jax.Array) -> jax.Array:
        del key
        return predictor.predict(fitted, archs)

    # The fitted predictor is an argument, so that every batch runs the same compiled searches.
    @jax.jit
    def search(key: Key, fitted: Any) -> Candidates:
        def one(key: Key) -> Candidates:
            history = run(
                inner, objective(Partial(estimate, fitted)), key, num_evaluations=num_evaluations
            )
            archs = history.archs[jnp.argsort(-comparable(history.scores), stable=True)]
            return Candidates(
                archs, jax.vmap(space.identity)(archs), jax.vmap(space.is_valid)(archs)
            )

        sources: Candidates = jax.vmap(one)(jax.random.split(key, num_inner))
        return sources

    return search


def _batch_size(searcher: Searcher) -> int:
    """Batch size of a traceable strategy; nothing is computed."""
    key = jax.random.key(0)
    query, _ = jax.eval_shape(searcher.ask, key, jax.eval_shape(searcher.init, key))
    return int(query.ids.shape[0])


def _fit(predictor: Predictor, key: Key, archs: np.ndarray, scores: np.ndarray) -> Any:
    """Predictor fitted on `archs` `[A, D]` with `scores` `[A]`."""
    # Padded to a power of two: every size of a training set is a program to compile.
    num = len(scores)
    padding = (1 << (num - 1).bit_length()) - num
    # Not by `fit`, which takes no mask of what is padding.
    fitted = predictor.fit_many(
        key[None],
        np.pad(archs, ((0, padding), (0, 0)))[None],
        np.pad(scores, (0, padding))[None],
        where=(np.arange(num + padding) < num)[None],
    )
    return jax.tree.map(lambda leaf: leaf[0], fitted.states)


def _add_new(state: GuidedState, sources: Candidates, num: int) -> GuidedState:
    """State with up to `num` new candidates, valid and not isomorphic to a former one.

    Args:
        state: what was proposed.
        sources: with a leading axis of sources.
        num: how many are wanted.
    """
    known = {identity.tobytes() for identity in state.identities}
    chosen: list[Candidates] = []

    def is_new(candidate: Candidates) -> bool:
        return bool(candidate.is_valid) and candidate.identities.tobytes() not in known

    queues = [
        iter(_rows(Candidates(*source))) for source in zip(*map(np.asarray, sources), strict=True)
    ]
    # Sources take turns; one that has nothing new to offer is not asked again.
    while queues and len(chosen) < num:
        queue = queues.pop(0)
        candidate = next(filter(is_new, queue), None)
        if candidate is not None:
            known.add(candidate.identities.tobytes())
            chosen.append(candidate)
            queues.append(queue)
    if not chosen:
        return state
    return GuidedState(
        archs=np.concatenate([state.archs, [row.archs for row in chosen]]),
        identities=np.concatenate([state.identities, [row.identities for row in chosen]]),
        scores=np.concatenate([state.scores, np.full(len(chosen), np.nan, np.float32)]),
    )


def _rows(candidates: Candidates) -> Iterator[Candidates]:
    """Candidates one by one, each without the leading axis."""
    return (Candidates(*row) for row in zip(*candidates, strict=True))
