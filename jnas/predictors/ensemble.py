"""Ensembles: trainings of one predictor that judge together, by a mean of scores or of ranks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.inputs import as_keys
from jnas.engine.pickles import pickled_by_call
from jnas.predictors import many, recipes
from jnas.predictors.fit import moments
from jnas.predictors.many import Evaluation, Fitted
from jnas.types import Key, Predictor, Space


class Members(NamedTuple):
    """State of a fitted ensemble.

    Attributes:
        members: states of the member predictor, each array with a leading axis `K`.
        means, deviations: `[K]`, of each member's scores on the training set: members differ in the
            scale of scores.
    """

    members: Any
    means: jax.Array
    deviations: jax.Array


def ensemble(predictor: Predictor, num_members: int = 10) -> Predictor:
    """Predictor whose score is the mean of its members' standardised scores.

    Members differ in their keys: in initial weights, order of minibatches and pairs. Their
    trainings are one program.

    Args:
        predictor: of this module, not an ensemble itself.
        num_members: K.

    Raises:
        ValueError: fewer than two members.
    """
    return _ensemble(predictor.space, predictor.name, _hashable(predictor.settings), num_members)


@functools.cache
@pickled_by_call
def _ensemble(
    space: Space, member: str, settings: tuple[tuple[str, Any], ...], num_members: int
) -> Predictor:
    """Ensemble of a predictor known by name: equal calls return one object and its programs."""
    if num_members < 2:
        raise ValueError(f"num_members must be at least 2; got {num_members}")
    one = by_name(member, space, **dict(settings))
    predict = jax.jit(functools.partial(_predict, one))
    about = {
        "member": member,
        "member_settings": recipes.as_plain(dict(settings)),
        "num_members": num_members,
    }

    def fit_many(
        keys: Key,
        archs: Any,
        targets: Any,
        *,
        where: Any = None,
        evaluation: Evaluation | None = None,
        **options: Any,
    ) -> Fitted:
        """`S` fitted ensembles, evaluated once, at the end.

        Raises:
            ValueError: the evaluation names epochs.
        """
        if evaluation is not None and evaluation.epochs is not None:
            raise ValueError(
                "an ensemble is evaluated at the end; leave the epochs of the evaluation None"
            )
        keys = as_keys(keys, np.shape(targets)[:1])
        exists = np.ones(np.shape(targets), bool) if where is None else np.asarray(where)
        rows, values = np.asarray(archs), np.asarray(targets)
        member_keys = jax.vmap(lambda key: jax.random.split(key, num_members))(keys).ravel()
        repeat = functools.partial(np.repeat, repeats=num_members, axis=0)
        fitted = one.fit_many(
            member_keys, repeat(rows), repeat(values), where=repeat(exists), **options
        )
        # All S · K trainings were one job; its rows go by ensemble, then by member.
        states = jax.tree.map(lambda x: x.reshape(-1, num_members, *x.shape[1:]), fitted.states)
        members = _standardised(one, states, jnp.asarray(rows, jnp.int32), jnp.asarray(exists))
        measured, epochs = many.measure_by(predict, members, evaluation)
        losses = fitted.losses.reshape(len(rows), num_members, fitted.losses.shape[-1]).mean(1)
        return Fitted(members, losses, measured, epochs)

    fit = functools.partial(many.fit_one, fit_many)
    return Predictor("ensemble", space, about, fit, predict, fit_many, many.predict_each(predict))


def member_scores(predictor: Predictor, state: Members, archs: jax.Array) -> jax.Array:
    """Standardised scores `[K, B]` of an ensemble's members on `archs` `[B, D]`."""
    settings = recipes.from_plain(dict(predictor.settings["member_settings"]))
    one = by_name(predictor.settings["member"], predictor.space, **settings)
    return _member_scores(one, state, archs)


def spread(predictor: Predictor, state: Members, archs: jax.Array) -> jax.Array:
    """Standard deviation `[B]` of the members' standardised scores: how far they disagree."""
    return jnp.std(member_scores(predictor, state, archs), axis=0)


def mean_ranks(predictor: Predictor, state: Members, archs: jax.Array) -> jax.Array:
    """Mean rank `[B]` float over the members of each architecture among `archs`; 0 is best."""
    scores = member_scores(predictor, state, archs)
    # The inner sort gives the order, the outer one its inverse: the place of each architecture.
    return jnp.mean(jnp.argsort(jnp.argsort(-scores, axis=1), axis=1), axis=0)


def _member_scores(one: Predictor, state: Members, archs: jax.Array) -> jax.Array:
    """Standardised scores `[K, B]` of the members, which are states of `one`."""
    scores = one.predict_many(state.members, archs)
    # Ranking losses leave the scale of scores free, so that a plain mean would follow the member
    # whose scores happen to be widest.
    result: jax.Array = (scores - state.means[:, None]) / state.deviations[:, None]
    return result


def _predict(one: Predictor, state: Members, archs: jax.Array) -> jax.Array:
    """Scores `[B]` of an ensemble: means of its members'."""
    return jnp.mean(_member_scores(one, state, archs), axis=0)


def _standardised(one: Predictor, states: Any, archs: jax.Array, exists: jax.Array) -> Members:
    """Ensembles of `[S, K, ...]` states, with moments of their scores on `archs` `[S, B, D]`."""

    @jax.jit
    def of_all(states: Any, archs: jax.Array, exists: jax.Array) -> tuple[jax.Array, jax.Array]:
        def of_one(args: tuple[Any, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            members, archs, exists = args
            scores = one.predict_many(members, archs)
            # Padding has scores, too; it must not shift the moments.
            where = jnp.broadcast_to(exists[None], scores.shape)
            means, deviations = moments(scores, where, axis=1)
            # A member that gives every cell one score has no deviation; it is to count
            # for nothing, not for NaN.
            return means, jnp.where(deviations > 0, deviations, 1)

        # Training sets differ by ensemble, so that no encoding is shared: one after the other.
        result: tuple[jax.Array, jax.Array] = jax.lax.map(of_one, (states, archs, exists))
        return result

    return Members(states, *of_all(states, archs, exists))


def _hashable(settings: Any) -> tuple[tuple[str, Any], ...]:
    """Settings as a key of a cache, whatever order they were given in."""
    return tuple(sorted(settings.items()))


def by_name(name: str, space: Space, **settings: Any) -> Predictor:
    """Predictor of a name and settings, an ensemble included; ValueError lists the valid names."""
    if name != "ensemble":
        return recipes.by_name(name, space, **settings)
    member = recipes.from_plain(dict(settings["member_settings"]))
    return _ensemble(space, settings["member"], _hashable(member), settings["num_members"])
