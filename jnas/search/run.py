"""The one loop: a search is a `scan`, so a thousand seeds are a `vmap`.

    history = run(searcher, objective, key, num_steps=500)
    histories = jax.vmap(lambda key: run(searcher, objective, key, num_steps=500))(keys)

A budget has two forms: `num_steps` counts evaluations and is the capacity of the history; `max_seconds` ends the
search when the simulated time is spent.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial

from jnas.types import Estimator, History, Key, Objective, Outcome, Query, Searcher


def objective(estimator: Estimator, *, seconds: float = 0.0) -> Objective:
    """Search on an estimator: its scores, each evaluation at a fixed cost in seconds."""
    return Partial(_evaluate, estimator, jnp.asarray(seconds, jnp.float32))


def _evaluate(estimator: Estimator, seconds: jax.Array, key: Key, query: Query) -> Outcome:
    scores = estimator(key, query.archs)
    return Outcome(scores, jnp.broadcast_to(seconds, scores.shape))


def run(
    searcher: Searcher,
    objective: Objective,
    key: Key,
    *,
    num_steps: int,
    max_seconds: float | None = None,
) -> History:
    """Run a search. Pure: works under `jit` and `vmap`.

    Each step asks for a batch, evaluates it and tells the outcome. An estimator inside the objective gets the
    same key at every step, so that all architectures of a run meet the same random state (as in NASWOT).

    Args:
        searcher: the strategy.
        objective: what is maximised; must be traceable.
        key: consumed.
        num_steps: evaluations, a multiple of the searcher's batch size; static.
        max_seconds: simulated budget. Evaluations that would end after it are neither recorded nor told,
            and the search is over.

    Returns:
        A `History` of capacity `num_steps`. `best` counts NaN scores as worst.

    Raises:
        ValueError: `num_steps` is not a positive multiple of the batch size, or too few for the initial
            population of the searcher.
    """
    init_key, eval_key, ask_key = jax.random.split(key, 3)
    start = searcher.init(init_key)
    batch = jax.eval_shape(searcher.ask, ask_key, start)[0].ids.shape[0]
    if num_steps < 1 or num_steps % batch:
        raise ValueError(f"num_steps must be a positive multiple of the batch size {batch}; got {num_steps}")
    if num_steps < searcher.min_evaluations:
        raise ValueError(f"this searcher needs at least {searcher.min_evaluations} evaluations; got {num_steps}")
    limit = jnp.inf if max_seconds is None else max_seconds

    def step(carry: tuple[object, jax.Array], key: Key) -> tuple[tuple[object, jax.Array], tuple[jax.Array, ...]]:
        state, spent = carry
        query, asked = searcher.ask(key, state)
        outcome = objective(eval_key, query)
        ends = spent + jnp.cumsum(jnp.nan_to_num(outcome.seconds))
        within = ends <= limit
        told = searcher.tell(asked, query, outcome)
        open_ = jnp.all(within)
        state = jax.tree.map(lambda new, old: jnp.where(open_, new, old), told, state)
        return (state, ends[-1]), (query.archs, outcome.scores, outcome.seconds, query.epochs, within)

    keys = jax.random.split(ask_key, num_steps // batch)
    _, rows = lax.scan(step, (start, jnp.zeros((), jnp.float32)), keys)
    history = _history(*(row.reshape(num_steps, *row.shape[2:]) for row in rows))
    return history if max_seconds is not None else history._replace(exhausted=jnp.asarray(False))


def _history(archs: jax.Array, scores: jax.Array, seconds: jax.Array, epochs: jax.Array, within: jax.Array) -> History:
    """Mask what came after the budget, and find the best so far at every step."""
    used = jnp.cumprod(within.astype(jnp.int32)) == 1
    scores = jnp.where(used, scores, jnp.nan)
    comparable = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
    improves = jnp.concatenate([jnp.ones(1, bool), comparable[1:] > lax.cummax(comparable)[:-1]])
    return History(
        archs=archs,
        scores=scores,
        seconds=jnp.where(used, seconds, 0),
        epochs=epochs,
        best=lax.cummax(jnp.where(improves, jnp.arange(len(scores), dtype=jnp.int32), 0)),
        num_evaluations=jnp.sum(used, dtype=jnp.int32),
        exhausted=jnp.all(used),
    )
