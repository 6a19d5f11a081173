"""Search loop for objectives that cannot be traced, such as real trainings, here or on a cluster.

def train(arch, epochs):
    ...
    return accuracy

history, failures = run_on_host(
    searcher, train, key, num_evaluations=200, num_workers=4, out="my-search"
)
"""

import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas import _renamed
from jnas.engine.fingerprints import Fingerprint, Resume, fingerprint
from jnas.engine.progress import Report, reporting
from jnas.search import _checkpoint
from jnas.search._budget import Budget, Overrun, is_left, is_within
from jnas.search._checkpoint import Evaluation, Pending, Progress
from jnas.search._checks import check_at_least_one, check_choice
from jnas.search.history import make_history
from jnas.search.run import check_num_evaluations
from jnas.types import History, Key, Outcome, Query, Searcher

Evaluate: TypeAlias = Callable[[np.ndarray, int], float | tuple[float, float]]
"""`(arch [D] int32, epochs) -> score` or `(score, seconds)`; higher is better. With 0 epochs the
number is left to the objective.
"""


class HostRun(NamedTuple):
    """Result of a search on the host: its history, and why evaluations failed.

    Attributes:
        history: in the order in which the evaluations came back.
        failures: slot of the history → why the evaluation failed.
    """

    history: History
    failures: dict[int, str]


@_renamed.arguments(num_steps="num_evaluations")
def run_on_host(
    searcher: Searcher,
    evaluate: Evaluate,
    key: Key,
    *,
    num_evaluations: int,
    max_seconds: float | None = None,
    overrun: Overrun = "discarded",
    num_workers: int = 1,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = True,
) -> HostRun:
    """History of a search on an objective that is a Python function, and why evaluations failed.

    With one worker the history is that of `run` with the same key and objective, to the rounding of
    sums of seconds. With more of them, evaluations come back in any order. The searcher is asked
    again as soon as a worker has nothing to do, and told a query when all of its rows are back.

    An evaluation fails by an exception or a score that is NaN. It is recorded and told like any
    other, with score NaN, and the search goes on.

    Args:
        searcher: the strategy; need not be traceable.
        evaluate: what is maximised; called on a thread, for each worker one call at a time. Where
            it answers without seconds, or fails by an exception, the cost is the time that the call
            took.
        key: consumed.
        num_evaluations: evaluations, a multiple of the searcher's batch size.
        max_seconds: budget for the sum of the seconds of all evaluations, however many run at a
            time. The search is over with the first that comes back and is not within it; those
            still running are waited for, and lost.
        overrun: what becomes of an evaluation that ends after the budget; see `run`.
        num_workers: evaluations that run at a time.
        out: folder that the search is kept in, brought up to date whenever an evaluation comes
            back. A search that was stopped at any moment goes on from there: what was being
            evaluated is evaluated again, what was finished is not. With one worker the history is
            that of an uninterrupted search.
        resume: True goes on from `out` where it holds a search; False overwrites it; "anyway" also
            goes on with a search that was begun by other code of jnas or jax.
        progress: show a bar on standard error.

    Returns:
        `HostRun`, with a history of capacity `num_evaluations`.

    Raises:
        ValueError: as for `run`; `num_workers` is less than 1; `out` holds another job: one with
            another strategy, key or budget, or another code or closure of `evaluate`.
        OSError: `out` cannot be written, or has a file of that name that jnas did not write;
            raised before anything is evaluated.
    """
    check_choice("overrun", overrun, Overrun)
    check_at_least_one(num_workers=num_workers)
    budget = Budget(math.inf if max_seconds is None else max_seconds, overrun)
    about = fingerprint(key, searcher, evaluate, num_evaluations, budget)
    search = _Search(
        searcher, key, num_evaluations, budget, None if out is None else Path(out), about
    )
    search.begin(resume)
    bar = reporting(
        "searching",
        num_evaluations,
        done=len(search.evaluations),
        shown=progress,
        unit="evaluations",
        kept=search.folder,
    )
    with ThreadPoolExecutor(num_workers) as pool, bar as report:
        try:
            _loop(search, pool, evaluate, num_workers, report)
        finally:
            # After an interrupt nothing new begins; the end of `with` waits for what is running.
            pool.shutdown(wait=False, cancel_futures=True)
    return search.result(exhaustible=max_seconds is not None)


def _loop(
    search: "_Search",
    pool: ThreadPoolExecutor,
    evaluate: Evaluate,
    num_workers: int,
    report: Report,
) -> None:
    """Loop that keeps the workers busy until the budget is spent."""
    running: dict[Future[Evaluation], tuple[Pending, int]] = {}

    def submit(pending: Pending) -> None:
        archs, epochs = np.asarray(pending.query.archs), np.asarray(pending.query.epochs)
        for row in range(len(archs)):
            if row not in pending.done:
                # Copies, for a row of a JAX array is read-only, and the objective may not know.
                future = pool.submit(_evaluate, evaluate, archs[row].copy(), int(epochs[row]))
                running[future] = (pending, row)

    for pending in search.pending:
        submit(pending)
    while not search.is_over:
        while len(running) < num_workers and search.may_ask:
            submit(search.ask())
        if not running:
            return
        # The first that were submitted come first: one worker leaves no choice.
        finished = wait(running, return_when=FIRST_COMPLETED).done
        for future in [future for future in running if future in finished]:
            search.add(*running.pop(future), future.result())
            report(len(search.evaluations), search.found)


def _evaluate(evaluate: Evaluate, arch: np.ndarray, epochs: int) -> Evaluation:
    """Evaluation of one architecture, failed where the objective raises an exception."""
    begin = time.monotonic()
    try:
        answer = evaluate(arch, epochs)
        pair = answer if isinstance(answer, tuple) else (answer, time.monotonic() - begin)
        # Within `try`: an answer that is no number fails like an exception.
        score, seconds = (float(number) for number in pair)
    except Exception as error:
        return Evaluation(
            arch, epochs, math.nan, time.monotonic() - begin, f"{type(error).__name__}: {error}"
        )
    return Evaluation(arch, epochs, score, seconds, "the score is NaN" if math.isnan(score) else "")


class _Search:
    """Search and the folder that it is kept in; the only state of this module."""

    def __init__(
        self,
        searcher: Searcher,
        key: Key,
        num_evaluations: int,
        budget: Budget,
        folder: Path | None,
        about: Fingerprint,
    ) -> None:
        # The keys of `run`, whose second one is for estimators: with one worker both loops agree.
        init_key, _, ask_key = jax.random.split(key, 3)
        compiled = jax.jit if searcher.is_traceable else (lambda function: function)
        self._ask, self._tell = compiled(searcher.ask), compiled(searcher.tell)
        self.state = compiled(searcher.init)(init_key)
        query = self._first_query(searcher, ask_key)
        batch, self._num_choices = query.archs.shape
        check_num_evaluations(searcher, batch, num_evaluations)
        self._keys = jax.random.split(ask_key, num_evaluations // batch)
        self.num_evaluations, self._budget, self.folder = num_evaluations, budget, folder
        self._fingerprint, self._kept = about, about._asdict()
        self.num_asks, self.is_over = 0, False
        self.evaluations: list[Evaluation] = []
        self.pending: list[Pending] = []
        self._spent = 0.0

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
            kept, self._kept = found
            self.state, self.num_asks, self.is_over = kept.state, kept.num_asks, kept.is_over
            self.evaluations, self.pending = list(kept.evaluations), list(kept.pending)
            self._spent = math.fsum(map(_cost, kept.evaluations))
        # Before the first evaluation, which may take hours: a folder that cannot be written.
        self._save()

    @property
    def found(self) -> str:
        """Note for the bar: the best score so far, and how many evaluations failed."""
        scores = [row.score for row in self.evaluations if not row.failure]
        best = f"best {max(scores):.4g}" if scores else ""
        failed = len(self.evaluations) - len(scores)
        return ", ".join(filter(None, [best, f"{failed} failed" if failed else ""]))

    @property
    def may_ask(self) -> bool:
        """Whether there is anything left to propose."""
        return self.num_asks < len(self._keys)

    def ask(self) -> Pending:
        """Next query; the same after a restart, with a searcher that was told the same."""
        query, self.state = self._ask(self._keys[self.num_asks], self.state)
        self.num_asks += 1
        self.pending.append(Pending(query, {}))
        return self.pending[-1]

    def add(self, pending: Pending, row: int, evaluation: Evaluation) -> None:
        """Take an evaluation within the budget, tell its query once complete, and save."""
        ends = self._spent + _cost(evaluation)
        if self.is_over or not is_within(self._budget, self._spent, ends):
            self.is_over = True
        else:
            self._spent = ends
            self.evaluations.append(evaluation)
            pending.done[row] = evaluation
            self.is_over = not is_left(self._budget, ends)
            if len(pending.done) == len(pending.query.ids):
                self._tell_and_forget(pending)
        if self.is_over:  # what is still out can never count, and would be evaluated on resumption
            self.pending = []
        self._save()

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
            )
            _checkpoint.save(self.folder, self._kept, kept)

    def result(self, *, exhaustible: bool) -> HostRun:
        """History so far, and what failed; `exhaustible` where the budget is in seconds, too."""
        rows, num_unused = self.evaluations, self.num_evaluations - len(self.evaluations)
        # Reshaped, for without evaluations there is no axis of choices.
        archs = np.array([row.arch for row in rows], np.int32).reshape(-1, self._num_choices)

        def column(name: str, dtype: Any) -> jax.Array:
            """Column of the history: a number of every evaluation, and zeros in unused slots."""
            return jnp.asarray([getattr(row, name) for row in rows] + [0] * num_unused, dtype)

        history = make_history(
            jnp.asarray(np.pad(archs, ((0, num_unused), (0, 0)))),
            column("score", float),
            column("seconds", float),
            column("epochs", jnp.int32),
            jnp.arange(self.num_evaluations, dtype=jnp.int32) < len(rows),
            truncated=jnp.asarray(exhaustible and not self.is_over),
            num_repeats=jnp.zeros((), jnp.int32),
            stalled=jnp.asarray(False),
        )
        return HostRun(history, {slot: row.failure for slot, row in enumerate(rows) if row.failure})


def _cost(evaluation: Evaluation) -> float:
    """Cost in seconds; an unknown one (NaN) counts as 0, as in `run`."""
    return 0.0 if math.isnan(evaluation.seconds) else evaluation.seconds
