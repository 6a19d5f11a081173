"""Search on the host: its state, what was evaluated, and the folder that it is kept in."""

import functools
import math
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.fingerprints import Fingerprint, Resume
from jnas.search import _checkpoint
from jnas.search._budget import Budget, is_left, is_within
from jnas.search._checkpoint import Evaluation, Pending, Progress
from jnas.search.history import make_history
from jnas.search.run import check_num_evaluations
from jnas.types import Arch, History, Key, Outcome, Query, Searcher


class Limits(NamedTuple):
    """Limits of a search.

    Attributes:
        num_evaluations: capacity of the history.
        budget: in seconds.
        identity: `[D] -> [W]`, by which isomorphic architectures are evaluated once; or None.
        max_repeats: answers from memory after which the search is given up; 0 without `identity`.
    """

    num_evaluations: int
    budget: Budget
    identity: Callable[[Arch], jax.Array] | None
    max_repeats: int


class HostSearch:
    """Search and the folder that it is kept in; all the state of `run_on_host`.

    Attributes:
        limits: of the search.
        folder: None keeps nothing.
        state: of the searcher.
        num_asks: queries asked so far.
        num_repeats: proposals that were answered from memory.
        evaluations: that count, in the order in which they came back.
        pending: queries that are out.
        is_over: whether the budget in seconds is spent.
    """

    def __init__(
        self,
        searcher: Searcher,
        key: Key,
        limits: Limits,
        folder: Path | None,
        about: Fingerprint,
    ) -> None:
        """Open a search before its first evaluation; ValueError as `run_on_host` raises it."""
        # The keys of `run`, whose second one is for estimators: with one worker both loops agree.
        init_key, _, ask_key = jax.random.split(key, 3)
        compiled = jax.jit if searcher.is_traceable else (lambda function: function)
        self._ask, self._tell = compiled(searcher.ask), compiled(searcher.tell)
        self.state = compiled(searcher.init)(init_key)
        # Only a query tells the batch size.
        query = self._first_query(searcher, ask_key)
        batch, self._num_choices = query.archs.shape
        check_num_evaluations(searcher, batch, limits.num_evaluations)
        # The first of them do not depend on their number, so that a search can be extended.
        num_keys = limits.num_evaluations // batch + limits.max_repeats
        self._keys = jax.random.split(ask_key, num_keys)
        self.limits, self.folder = limits, folder
        self._fingerprint, self._kept = about, about._asdict()
        self.num_asks, self.num_repeats, self.is_over = 0, 0, False
        self.evaluations: list[Evaluation] = []
        self.pending: list[Pending] = []
        # By what makes two evaluations one (`_codes`): what came back, and what is out.
        self._memory: dict[Hashable, Evaluation] = {}
        self._out: set[Hashable] = set()

    def _first_query(self, searcher: Searcher, key: Key) -> Query:
        """Query of a first `ask`, for its shapes; what that does to the state is thrown away."""
        ask = functools.partial(jax.eval_shape, self._ask) if searcher.is_traceable else self._ask
        query: Query = ask(key, self.state)[0]
        return query

    def begin(self, resume: Resume) -> None:
        """Take over what the folder holds; ValueError and OSError as `run_on_host` raises them."""
        found = None
        if self.folder is not None and resume:
            found = _checkpoint.load(self.folder, self._fingerprint, self.state, resume)
        if found is not None:
            self._take_over(*found)
        # Before the first evaluation, which may take hours: a folder that cannot be written.
        self._save()

    def _take_over(self, kept: Progress, about: dict[str, Any]) -> None:
        """Go on from the progress of an earlier call, which may have had fewer evaluations."""
        num = len(kept.evaluations)
        if num > self.limits.num_evaluations:
            raise ValueError(
                f"{self.folder} holds a search of {num} evaluations; num_evaluations must be at "
                f"least that; got {self.limits.num_evaluations}"
            )
        self._kept = about
        self.state, self.num_asks, self.is_over = kept.state, kept.num_asks, kept.is_over
        self.evaluations, self.num_repeats = list(kept.evaluations), kept.num_repeats
        # The codes are made anew: without `identity` they are objects of one process alone.
        self.pending = [Pending(p.query, p.done, self._codes_of(p.query)) for p in kept.pending]
        if self.limits.identity is not None and num:
            archs, epochs = (
                np.array([getattr(row, name) for row in kept.evaluations], np.int32)
                for name in ("arch", "epochs")
            )
            codes = self._codes(archs, epochs)
            self._memory = dict(zip(codes, kept.evaluations, strict=True))

    def _codes_of(self, query: Query) -> list[Hashable]:
        """Codes of the rows of a query: rows of one code are one evaluation."""
        # Without `identity` every row is an evaluation of its own, equal to itself alone.
        if self.limits.identity is None:
            return [object() for _ in query.ids]
        return self._codes(np.asarray(query.archs), np.asarray(query.epochs))

    def _codes(self, archs: np.ndarray, epochs: np.ndarray) -> list[Hashable]:
        """Codes of architectures `[B, D]`: their identity, and the epochs `[B]` of the training."""
        assert self.limits.identity is not None
        words = np.asarray(_identities(self.limits.identity, archs))
        # Other epochs are another evaluation: a promotion in Hyperband is no repeat.
        return [(*code, num) for code, num in zip(words.tolist(), epochs.tolist(), strict=True)]

    @property
    def found(self) -> str:
        """Note for the bar: the incumbent's score, and how many evaluations failed."""
        scores = [(row.epochs, row.score) for row in self.evaluations if not row.failure]
        best = f"best {max(scores)[1]:.4g}" if scores else ""
        failed = len(self.evaluations) - len(scores)
        return ", ".join(filter(None, [best, f"{failed} failed" if failed else ""]))

    @property
    def _spent(self) -> float:
        """Seconds of all evaluations so far."""
        # Summed anew: a running sum rounds otherwise than that of a search which goes on, and
        # might then end with another evaluation.
        return math.fsum(map(cost, self.evaluations))

    @property
    def _has_room(self) -> bool:
        """Whether the history has a slot for more than has come back or is out."""
        return len(self.evaluations) + len(self._out) < self.limits.num_evaluations

    @property
    def may_ask(self) -> bool:
        """Whether there is anything left to propose."""
        limits = self.limits
        gives_up = limits.identity is not None and self.num_repeats >= limits.max_repeats
        return self._has_room and not gives_up and self.num_asks < len(self._keys)

    def ask(self) -> Pending:
        """Next query; the same after a restart, with a searcher that was told the same."""
        query, self.state = self._ask(self._keys[self.num_asks], self.state)
        self.num_asks += 1
        pending = Pending(query, {}, self._codes_of(query))
        self.pending.append(pending)
        self._answer(pending)
        return pending

    def to_evaluate(self, pending: Pending) -> list[int]:
        """Rows of a query that workers are to evaluate now, which from here on are out."""
        rows = []
        for row, code in enumerate(pending.codes):
            known = row in pending.done or code in self._memory or code in self._out
            if not known and self._has_room:
                self._out.add(code)
                rows.append(row)
        return rows

    def add(self, pending: Pending, row: int, evaluation: Evaluation) -> None:
        """Take an evaluation within the budget, tell its query once complete, and save."""
        self._out.discard(pending.codes[row])
        begins = self._spent
        if not is_within(self.limits.budget, begins, begins + cost(evaluation)):
            self.is_over = True
        if not self.is_over:
            self.evaluations.append(evaluation)
            self._memory[pending.codes[row]] = evaluation
            pending.done[row] = evaluation
            for other in list(self.pending):
                self._answer(other)
            self.is_over = not is_left(self.limits.budget, self._spent)
        if self.is_over:  # what is still out can never count, and would be evaluated on resumption
            self.pending = []
        self._save()

    def _answer(self, pending: Pending) -> None:
        """Answer repeats in a query from memory, at no cost; tell the searcher once complete."""
        # In the order of the rows, as `run` has it: what comes behind the end of a search is no
        # repeat of it.
        for row, code in enumerate(pending.codes):
            if row in pending.done:
                continue
            if code not in self._memory:
                return
            known = self._memory[code]
            pending.done[row] = known._replace(
                arch=np.asarray(pending.query.archs)[row], seconds=0.0
            )
            self.num_repeats += 1
        self._tell_and_forget(pending)

    def _tell_and_forget(self, pending: Pending) -> None:
        """Tell the searcher a complete query."""
        # In the order of the query, whatever the order in which the workers came back.
        rows = [pending.done[row] for row in range(len(pending.done))]
        scores, seconds = (
            jnp.asarray([getattr(row, name) for row in rows], float)
            for name in ("score", "seconds")
        )
        self.state = self._tell(self.state, pending.query, Outcome(scores, seconds))
        self.pending = [other for other in self.pending if other is not pending]

    def _save(self) -> None:
        """Replace the file in the folder, if there is one."""
        if self.folder is not None:
            kept = Progress(
                self.state,
                self.num_asks,
                tuple(self.evaluations),
                tuple(self.pending),
                self.is_over,
                self.num_repeats,
            )
            _checkpoint.save(self.folder, self._kept, kept)

    def history(self, *, exhaustible: bool) -> History:
        """History so far; `exhaustible` where the budget is in seconds, too."""
        limits, rows = self.limits, self.evaluations
        num_unused = limits.num_evaluations - len(rows)
        stalled = limits.identity is not None and num_unused > 0 and not self.is_over
        # Reshaped, for without evaluations there is no axis of choices.
        archs = np.array([row.arch for row in rows], np.int32).reshape(-1, self._num_choices)

        def column(name: str, dtype: Any) -> jax.Array:
            """Column of the history: a number of every evaluation, and zeros in unused slots."""
            return jnp.asarray([getattr(row, name) for row in rows] + [0] * num_unused, dtype)

        return make_history(
            jnp.asarray(np.pad(archs, ((0, num_unused), (0, 0)))),
            column("score", float),
            column("seconds", float),
            column("epochs", jnp.int32),
            jnp.arange(limits.num_evaluations, dtype=jnp.int32) < len(rows),
            truncated=jnp.asarray(exhaustible and not self.is_over),
            num_repeats=jnp.asarray(self.num_repeats, jnp.int32),
            stalled=jnp.asarray(stalled),
        )


@functools.partial(jax.jit, static_argnums=0)
def _identities(identity: Callable[[Arch], jax.Array], archs: jax.Array) -> jax.Array:
    """Identities `[B, W]` uint32 of `archs` `[B, D]`; one program for all searches."""
    return jax.vmap(identity)(archs)


def cost(evaluation: Evaluation) -> float:
    """Cost in seconds; an unknown one (NaN) counts as 0, as in `run`."""
    return 0.0 if math.isnan(evaluation.seconds) else evaluation.seconds
