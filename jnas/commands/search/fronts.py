"""Fronts of the score against the cost that it is weighed against.

Axes are those of `types`: `S` searches of `T` evaluations.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jnas import search
from jnas.benchmarks import Table
from jnas.commands.search import evaluation
from jnas.commands.search.evaluation import Job
from jnas.search import Front
from jnas.types import History


def weigh(
    histories: History, scores: np.ndarray, job: Job
) -> tuple[np.ndarray | None, Front | None]:
    """Cost `[S, T]` of all that was evaluated, and the front of all searches, or None for both."""
    # The searches pooled as if they were one; unused slots have NaN scores, which are on no front.
    if job.weighed is None:
        return None, None
    pooled = jax.tree.map(
        lambda leaf: leaf.reshape(-1, *leaf.shape[2:]) if leaf.ndim > 1 else leaf, histories
    )
    front = search.pareto_front(pooled, [job.weighed.cost], identity=job.space.identity)
    # As they are in the table: the front was found by what programs have of them.
    front = front._replace(scores=scores.ravel()[front.evaluations])
    against = np.asarray(jax.jit(jax.vmap(job.weighed.cost))(pooled.archs))
    return against.reshape(histories.scores.shape), front


def of_table(job: Job, table: Table | None) -> Front | None:
    """Front of all that is allowed, by a table to search on that has all of it; or else None."""
    column, space = job.settings.column, job.space
    if job.weighed is None or table is None or column is None:
        return None
    try:
        listed = space.enumerate()
    except ValueError:  # too large a space to list, so no table has all of it
        return None
    # `enumerate` lists the space itself, of which limits of size leave a part.
    archs = jnp.asarray(listed)[np.asarray(jax.jit(jax.vmap(space.is_valid))(listed))]
    scores = jax.jit(table.estimator(column))(jax.random.key(0), archs)
    # A front of those that are known would look like the true one, and be too easy to reach.
    if not np.isfinite(scores).all():
        return None
    history = evaluation.history_of(archs, scores)
    front = search.pareto_front(history, [job.weighed.cost], identity=space.identity)
    return front._replace(scores=table.look_up(column, front.archs))
