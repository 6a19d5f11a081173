"""Types of a search: who judges architectures, who proposes them, and what comes of it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jnas import _renamed, _shown
from jnas.types.architecture import Arch, Key, Params, Space

if TYPE_CHECKING:
    # For a type alone: pandas is optional, and slow to import.
    import pandas as pd


# Arguments of protocols are positional, so that a function may name them as it likes.
class Estimator(Protocol):
    """`(key, archs [B, D]) -> scores [B]` float; higher is better, `-inf` means "cannot be ranked".

    A `jax.tree_util.Partial`, so its arrays (images, weights, tables) are arguments of a compiled
    program and never constants in it. `scores[i]` depends only on `key` and `archs[i]`, so that
    chunks, order and devices cannot change it.
    """

    def __call__(self, key: Key, archs: jax.Array, /) -> jax.Array:
        """Scores of a population."""


class Suite(Protocol):
    """`(key, archs [B, D]) -> {name: scores [B]}`: estimators that share their computation."""

    def __call__(self, key: Key, archs: jax.Array, /) -> dict[str, jax.Array]:
        """Scores of a population, by name."""


class Query(NamedTuple):
    """Batch of architectures that a searcher wants evaluated.

    Attributes:
        ids: `[B]` int32, number of the evaluation within the search.
        archs: `[B, D]` int32.
        epochs: `[B]` int32, training epochs asked for; 0 means "the objective's own".
    """

    ids: jax.Array
    archs: jax.Array
    epochs: jax.Array


class Outcome(NamedTuple):
    """Answer of an objective to a `Query`.

    Attributes:
        scores: `[B]` float, higher is better; NaN marks an evaluation that failed.
        seconds: `[B]` float, simulated or real cost of each evaluation in seconds.
    """

    scores: jax.Array
    seconds: jax.Array


class Objective(Protocol):
    """`(key, Query) -> Outcome`, what a search evaluates; made from an Estimator or a Table.

    One that answers for some numbers of epochs only has them as a tuple, its attribute `epochs`.
    """

    def __call__(self, key: Key, query: Query, /) -> Outcome:
        """`Outcome` of a query."""


class Predictor(NamedTuple):
    """Performance predictor, learned from (architecture, accuracy) pairs.

    Attributes:
        name: of the factory in `jnas.predictors` that makes it.
        space: whose architectures it takes.
        settings: keyword arguments of the factory; with `name` and `space` they make it again.
        fit: `(key, archs [B, D], targets [B]) -> state`; host only. ValueError for targets that are
            not finite or all equal, and for architectures that are invalid or repeated.
        predict: `(state, archs [B, D]) -> scores [B]`, pure.
        fit_many: `(keys [S], archs [S, B, D], targets [S, B], **options) -> predictors.Fitted`: `S`
            trainings as one program; see `predictors.fit_many`.
        predict_many: `(states, archs [B, D]) -> scores [S, B]`, pure; states of `fit_many`.
    """

    name: str
    space: Space
    settings: Mapping[str, Any]
    fit: Callable[..., Any]
    predict: Callable[[Any, jax.Array], jax.Array]
    fit_many: Callable[..., Any]
    predict_many: Callable[[Any, jax.Array], jax.Array]

    def __repr__(self) -> str:
        return _shown.predictor(self)


class Searcher(NamedTuple):
    """Search strategy. Two asks before a tell propose different things.

    Attributes:
        init: `key -> state`.
        ask: `(key, state) -> (Query, state)`; the query's batch size is fixed.
        tell: `(state, Query, Outcome) -> state`, in any order of the queries.
        min_evaluations: evaluations before it searches (an initial population); loops refuse less.
        is_traceable: whether all three work under `jit` and `scan`; otherwise only
            `search.run_on_host` runs it.
        epochs: the numbers of training epochs that its queries ask for; empty where these leave
            them to the objective.
    """

    # `ask` returns a state, too: workers of `search.run_on_host` ask before others have told.
    init: Callable[[Key], Any]
    ask: Callable[[Key, Any], tuple[Query, Any]]
    tell: Callable[[Any, Query, Outcome], Any]
    min_evaluations: int = 1
    is_traceable: bool = True
    epochs: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return _shown.searcher(self)


class Policy(NamedTuple):
    """Distribution over architectures, valid or not, that learns: a controller, a sampler.

    Attributes:
        init: `key -> params`.
        sample: `(key, params) -> [D]` int32.
        logits: `(params, [D]) -> [D, K]` float, of every position given the choices before it; `K`
            is the largest of the cardinalities.
    """

    init: Callable[[Key], Params]
    sample: Callable[[Key, Params], Arch]
    logits: Callable[[Params, Arch], jax.Array]


class History(NamedTuple):
    """Evaluations of a search, in order, in buffers of a fixed capacity `T`.

    Attributes:
        archs: `[T, D]` int32.
        scores: `[T]` float, NaN where an evaluation failed or the slot is unused.
        seconds: `[T]` float, cost of each evaluation; 0 where the slot is unused.
        epochs: `[T]` int32.
        best: `[T]` int32, index of the best evaluation among the first `t + 1`, by scores alone;
            that of the longest trainings is `search.incumbents`.
        num_evaluations: `[]` int32, slots in use.
        truncated: `[]` bool, True where the capacity ended the search before the budget in seconds.
        num_repeats: `[]` int32, proposals answered from memory, which have no slot; 0 unless that
            was asked for.
        stalled: `[]` bool, True where too many repeats ended the search before its budget.
    """

    archs: jax.Array
    scores: jax.Array
    seconds: jax.Array
    epochs: jax.Array
    best: jax.Array
    # A number beside the buffers, for a loop in a program cannot grow an array. Whoever reads one
    # looks at no more slots than this.
    num_evaluations: jax.Array
    truncated: jax.Array
    num_repeats: jax.Array
    stalled: jax.Array

    def __repr__(self) -> str:
        return _shown.history(self)

    @property
    def best_so_far(self) -> jax.Array:
        """Best score of the first `t + 1` evaluations, `[T]` float; NaN while all have failed."""
        return jnp.take_along_axis(jnp.asarray(self.scores), jnp.asarray(self.best), axis=-1)

    def to_pandas(self, space: Space | None = None) -> "pd.DataFrame":
        """Table of pandas with a row for each evaluation, of one search or of several.

        Its columns are "search" and "evaluation", which count from 0 and from 1, "architecture"
        (its text in `space`; without a space "arch0", "arch1", … for its choices), "score",
        "seconds", "epochs" and "best_so_far".

        Raises:
            ImportError: pandas is not installed.
        """
        return _shown.history_frame(self, space)

    @property
    def exhausted(self) -> jax.Array:
        """Old spelling of `truncated`."""
        _renamed.warn("History.exhausted", "History.truncated")
        return self.truncated


class Trainer(NamedTuple):
    """Training as pure functions, of which `engine.trainings.train` runs many.

    A job is what differs from one training to the next (a key, an architecture, a training set of
    its own); `shared` is what all of them see (images and labels), one copy a device.

    Attributes:
        num_epochs: of each training.
        init: `(job, shared) -> state` before the first epoch.
        epoch: `(job, number [] int32, state, shared) -> (state, loss [])`; epochs count from 1.
        result: `state -> result`, what is left of a training.
        evaluate: `(job, number, state, shared) -> {name: []}`, metrics after an epoch, or None.
        prepare: `(job, shared) -> job`, the job as the other functions but `init` see it, computed
            once for several epochs (encoded architectures, scaled targets); None leaves it.
    """

    num_epochs: int
    init: Callable[[Any, Any], Any]
    epoch: Callable[[Any, jax.Array, Any, Any], tuple[Any, jax.Array]]
    result: Callable[[Any], Any]
    evaluate: Callable[[Any, jax.Array, Any, Any], dict[str, jax.Array]] | None = None
    # Apart from `init`, which runs once a training: a job is prepared again where a training goes
    # on from a checkpoint, which keeps states alone.
    prepare: Callable[[Any, Any], Any] | None = None
