"""Search loop for objectives that cannot be traced, such as real trainings, here or on a cluster.

def train(arch, epochs):
    ...
    return accuracy

history, failures = run_on_host(
    searcher, train, key, num_evaluations=200, num_workers=4, out="my-search"
)
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jnas import _renamed
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.engine.inputs import as_key, check_at_least_one
from jnas.engine.progress import Report, reporting
from jnas.search._budget import Overrun, make_budget
from jnas.search._checkpoint import Evaluation, Pending
from jnas.search._host_search import HostSearch, Limits
from jnas.search._workers import IS_NAN, Evaluate, evaluated, explained, workers
from jnas.search.run import check_epochs, limit_repeats
from jnas.types import Arch, History, Key, Searcher

_NUM_ALIKE = 10  # evaluations that fail alike before a search is given up


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
    identity: Callable[[Arch], jax.Array] | None = None,
    max_repeats: int | None = None,
    num_workers: int = 1,
    executor: Executor | None = None,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = True,
) -> HostRun:
    """History of a search on an objective that is a Python function, and why evaluations failed.

    With one worker the history is that of `run` with the same key and objective, to the rounding of
    sums of seconds. With more of them, evaluations come back in any order. The searcher is asked
    again as soon as a worker has nothing to do, and told a query when all of its rows are back.

    An evaluation fails by an exception or a score that is NaN. It is recorded and told like any
    other, with score NaN, and the search goes on; but not where the first ten have raised the same
    exception. For an architecture that cannot be evaluated, return NaN.

    Args:
        searcher: the strategy; need not be traceable.
        evaluate: what is maximised; called by a worker, which does one call at a time. Where it
            answers without seconds, or fails by an exception, the cost is the time that the call
            took. One that answers for some numbers of epochs only has them as a tuple, its
            attribute `epochs`.
        key: consumed.
        num_evaluations: evaluations, a multiple of the searcher's batch size. With more of them
            than a search in `out` has had, that search is extended.
        max_seconds: budget for the sum of the seconds of all evaluations, however many run at a
            time. The search is over with the first that comes back and is not within it; those
            still running are waited for, and lost.
        overrun: what becomes of an evaluation that ends after the budget; see `run`.
        identity: `[D] -> [W]` uint32, usually `space.identity`: isomorphic architectures are
            evaluated once, as in `run`. A repeat of what is being evaluated waits for it.
        max_repeats: as for `run`.
        num_workers: evaluations that run at a time: with an executor, too, one unless said.
        executor: what calls `evaluate`, any of `concurrent.futures`: a pool of processes, or of a
            cluster, as Dask's `Client.get_executor(pure=False)`. It is not shut down, and not part
            of the job: a search may go on in another one. To other processes `evaluate` goes by
            pickle, so it is a function of a module, or an object of a class of one. By default
            `num_workers` threads of this process.
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
        ValueError: as for `run`, numbers of epochs included; `num_workers` is less than 1; `out`
            holds another job: one with another strategy, key or budget in seconds, another code or
            closure of `evaluate`, or more evaluations.
        TypeError: `evaluate` answers with what is no score.
        RuntimeError: the first ten evaluations have all raised the same exception; the executor
            lost a worker, or brought no evaluation back. What had come back is in `out`, and the
            same call goes on from there.
        OSError: `out` cannot be written, or has a file of that name that jnas did not write;
            raised before anything is evaluated.
    """
    check_at_least_one(num_workers=num_workers)
    key, budget = as_key(key), make_budget(max_seconds, overrun)
    check_epochs(searcher, evaluate)
    repeats = limit_repeats(max_repeats, num_evaluations, identity)
    limits = Limits(num_evaluations, budget, identity, repeats)
    # Without the number of evaluations: a search can be extended.
    about = fingerprint(key, searcher, evaluate, budget, identity)
    search = HostSearch(searcher, key, limits, None if out is None else Path(out), about)
    search.begin(resume)
    bar = reporting(
        "searching",
        num_evaluations,
        done=len(search.evaluations),
        shown=progress,
        unit="evaluations",
        kept=search.folder,
    )
    with workers(executor, num_workers) as pool, bar as report:
        _loop(search, pool, evaluate, num_workers, report)
    failures = {slot: row.failure for slot, row in enumerate(search.evaluations) if row.failure}
    return HostRun(search.history(exhaustible=max_seconds is not None), failures)


def _loop(
    search: HostSearch,
    pool: Executor,
    evaluate: Evaluate,
    num_workers: int,
    report: Report,
) -> None:
    """Loop that keeps the workers busy until the budget is spent."""
    running: dict[Future[Evaluation], tuple[Pending, int]] = {}

    def submit(pending: Pending) -> None:
        archs, epochs = np.asarray(pending.query.archs), np.asarray(pending.query.epochs)
        for row in search.to_evaluate(pending):
            with explained(search.folder):
                # A plain number, which `evaluate` may write to JSON as it is; one of NumPy it could
                # not.
                future = pool.submit(evaluated, evaluate, archs[row], int(epochs[row]))
            running[future] = (pending, row)

    try:
        # What was out when an earlier call was stopped.
        for pending in list(search.pending):
            submit(pending)
        while not search.is_over:
            while len(running) < num_workers and search.may_ask:
                submit(search.ask())
            # Nothing is out, and nothing new may be asked: evaluations are spent, or repeats.
            if not running:
                return
            # The first that were submitted come first: one worker leaves no choice.
            finished = wait(running, return_when=FIRST_COMPLETED).done
            for future in [future for future in running if future in finished]:
                place = running.pop(future)
                with explained(search.folder):
                    evaluation = future.result()
                search.add(*place, evaluation)
                report(len(search.evaluations), search.found)
                _give_up_if_hopeless(search.evaluations)
    finally:
        # Nothing new begins after an interrupt. What runs is waited for: the call that goes on
        # evaluates it again, and two trainings of one architecture may share their files.
        wait([future for future in running if not future.cancel()])


def _give_up_if_hopeless(evaluations: Sequence[Evaluation]) -> None:
    """RuntimeError where all evaluations so far, ten or twenty and so on, have failed alike."""
    # Again after each ten, for a search that goes on has its first ten behind it.
    if len(evaluations) % _NUM_ALIKE:
        return
    failures = {row.failure for row in evaluations}
    # NaN is an answer, by which an objective says that an architecture cannot be evaluated.
    if len(failures) == 1 and not failures & {"", IS_NAN}:
        (failure,) = failures
        raise RuntimeError(
            f"all {len(evaluations)} evaluations have failed in the same way: {failure}. Mend "
            "evaluate, or let it return NaN where an architecture cannot be evaluated"
        )
