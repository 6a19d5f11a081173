"""Search loop inside a program: a search is a `scan`, so a thousand seeds are a `vmap`.

    history = run(searcher, objective, key, num_evaluations=500)
    histories = jax.vmap(lambda key: run(searcher, objective, key, num_evaluations=500))(keys)

A budget has two forms: `num_evaluations` counts evaluations and is the capacity of the history;
`max_seconds` ends the search when the simulated time is spent.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jnas import _renamed
from jnas.engine.estimators import estimator as make_estimator
from jnas.engine.inputs import as_estimator, as_key, check_at_least_one
from jnas.search._budget import Budget, Overrun, is_left, is_within, make_budget
from jnas.search._memory import run_with_memory
from jnas.search.history import make_history
from jnas.types import Arch, Estimator, History, Key, Objective, Outcome, Query, Searcher


def objective(estimator: Estimator, *, seconds: float = 0.0) -> Objective:
    """Objective of an estimator: its scores, each evaluation at a fixed cost in seconds.

    Args:
        estimator: `(key, archs [B, D]) -> scores [B]`; the number of epochs asked for is ignored.
        seconds: simulated cost of one evaluation.

    Returns:
        An `Objective`, traceable where the estimator is.
    """
    judge, cost = as_estimator(estimator), jnp.asarray(seconds, jnp.float32)
    return make_estimator("Objective of an estimator", _evaluate, judge, cost)


def _evaluate(estimator: Estimator, seconds: jax.Array, key: Key, query: Query) -> Outcome:
    """Outcome of a query by an estimator, whatever epochs it asks for."""
    scores = estimator(key, query.archs)
    # The cost is that of one evaluation, whatever the batch.
    return Outcome(scores, jnp.broadcast_to(seconds, scores.shape))


@_renamed.arguments(num_steps="num_evaluations")
def run(
    searcher: Searcher,
    objective: Objective,
    key: Key,
    *,
    num_evaluations: int,
    max_seconds: float | None = None,
    overrun: Overrun = "discarded",
    identity: Callable[[Arch], jax.Array] | None = None,
    max_repeats: int | None = None,
) -> History:
    """History of a search. Pure: works under `jit` and `vmap`.

    Each step asks for a batch, evaluates it and tells the outcome. An estimator inside the
    objective gets the same key at every step, so that all architectures of a run meet the same
    random state (as in NASWOT).

    With `identity`, an architecture that is isomorphic to one evaluated before in this run, for as
    many epochs, is answered from memory: the searcher is told the same score, at no cost, and the
    history has no slot for it. Where no proposal is a repeat, the history is that of the run
    without `identity`.

    Args:
        searcher: the strategy.
        objective: what is maximised; must be traceable.
        key: consumed.
        num_evaluations: evaluations, a multiple of the searcher's batch size; static.
        max_seconds: simulated budget. The search is over with the first evaluation that is not
            within it, though that may be before `searcher.min_evaluations`: what a budget buys is
            known at its end only, by `History.num_evaluations`.
        overrun: what becomes of the evaluation that would end after the budget. "discarded": it is
            neither recorded nor told, as in the scripts of NAS-Bench-201 (Dong and Yang, ICLR
            2020). "counted": it is the last one, as in those of NATS-Bench (Dong et al., TPAMI
            2021). Both evaluate an initial population to its end whatever it costs, which is not
            done here.
        identity: `[D] -> [W]` uint32, equal for isomorphic cells, usually `space.identity`; None
            evaluates whatever is proposed.
        max_repeats: answers from memory after which the search is given up (`History.stalled`), at
            the end of a batch; only with `identity`. By default ten times `num_evaluations`.

    Returns:
        A `History` of capacity `num_evaluations`. `best` counts NaN scores as worst.

    Raises:
        ValueError: `num_evaluations` is not a positive multiple of the batch size, or too few for
            the initial population of the searcher; `max_seconds` is not above 0; the searcher is
            not traceable, or asks for numbers of epochs that the objective does not answer for;
            `overrun` is unknown; `max_repeats` is less than 1, or has no use; `key` is no key.
    """
    budget, key = make_budget(max_seconds, overrun), as_key(key)
    if not searcher.is_traceable:
        raise ValueError(
            "this searcher works on the host and cannot be traced; use search.run_on_host"
        )
    check_epochs(searcher, objective)
    init_key, eval_key, ask_key = jax.random.split(key, 3)
    start = searcher.init(init_key)
    # Shapes alone: nothing is computed to learn the batch size.
    batch = jax.eval_shape(searcher.ask, ask_key, start)[0].ids.shape[0]
    check_num_evaluations(searcher, batch, num_evaluations)
    repeats = limit_repeats(max_repeats, num_evaluations, identity)
    # A step adds either a whole batch of evaluations or a repeat.
    keys = jax.random.split(ask_key, num_evaluations // batch + repeats)
    if identity is None:
        history = _run(searcher, objective, start, eval_key, keys, budget)
    else:
        memory = functools.partial(
            run_with_memory, identity=identity, capacity=num_evaluations, max_repeats=repeats
        )
        history = memory(searcher, objective, start, eval_key, keys, budget)
    # Of an infinite budget something is always left, which does not make a search a truncated one.
    return history if max_seconds is not None else history._replace(truncated=jnp.asarray(False))


def check_num_evaluations(searcher: Searcher, batch_size: int, num_evaluations: int) -> None:
    """ValueError unless a searcher with this batch size can do that many evaluations."""
    if num_evaluations < 1 or num_evaluations % batch_size:
        raise ValueError(
            "num_evaluations must be a positive multiple of the batch size "
            f"{batch_size}; got {num_evaluations}"
        )
    if num_evaluations < searcher.min_evaluations:
        raise ValueError(
            f"this searcher needs at least {searcher.min_evaluations} evaluations; "
            f"got {num_evaluations}"
        )


def limit_repeats(
    max_repeats: int | None, num_evaluations: int, identity: Callable[[Arch], jax.Array] | None
) -> int:
    """Answers from memory after which a search is given up; 0 without `identity`.

    Raises:
        ValueError: `max_repeats` is less than 1, or has no use.
    """
    if identity is None:
        if max_repeats is not None:
            raise ValueError(f"max_repeats goes with identity, and only with it; got {max_repeats}")
        return 0
    # A strategy that keeps to its favourites repeats them for long before it finds another one;
    # without a bound it could do so for ever.
    repeats = 10 * num_evaluations if max_repeats is None else max_repeats
    check_at_least_one(max_repeats=repeats)
    return repeats


def check_epochs(searcher: Searcher, objective: Any) -> None:
    """ValueError if a searcher will ask for epochs that an objective has no answers for."""
    # Only tables of several fidelities say which epochs they have; any number suits the others.
    known: tuple[int, ...] | None = getattr(objective, "epochs", None)
    unknown = [number for number in searcher.epochs if known is not None and number not in known]
    if unknown:
        wanted, valid = (", ".join(map(str, numbers)) for numbers in (unknown, known or ()))
        raise ValueError(
            f"this searcher asks for {wanted} epochs, which the objective lacks; it has {valid}"
        )


def _run(
    searcher: Searcher,
    objective: Objective,
    start: object,
    eval_key: Key,
    ask_keys: Key,
    budget: Budget,
) -> History:
    """History of a search without memory, one of the `ask_keys` a step."""

    def step(
        carry: tuple[object, jax.Array], key: Key
    ) -> tuple[tuple[object, jax.Array], tuple[jax.Array, ...]]:
        state, spent = carry
        query, asked = searcher.ask(key, state)
        outcome = objective(eval_key, query)
        # NaN is an unknown cost, and would spend the budget for good.
        ends = spent + jnp.cumsum(jnp.nan_to_num(outcome.seconds))
        within = is_within(budget, jnp.concatenate([spent[None], ends[:-1]]), ends)
        # Told after the end, too: nothing that comes of it is recorded, and a choice between two
        # states would copy one every step.
        told = searcher.tell(asked, query, outcome)
        return (told, ends[-1]), (
            query.archs,
            outcome.scores,
            outcome.seconds,
            query.epochs,
            within,
        )

    (_, spent), rows = lax.scan(step, (start, jnp.zeros((), jnp.float32)), ask_keys)
    return make_history(
        *(row.reshape(-1, *row.shape[2:]) for row in rows),
        truncated=is_left(budget, spent),
        num_repeats=jnp.zeros((), jnp.int32),
        stalled=jnp.asarray(False),
    )
