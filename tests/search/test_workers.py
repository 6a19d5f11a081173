"""Executors of the loop on the host: threads, processes and Dask's give one search."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import chex
import distributed
import jax
import numpy as np
import pytest

import jnas
from tests.oracles import trainings

SPACE = jnas.spaces.nasbench201()
SEARCHER = jnas.search.regularized_evolution(SPACE, population_size=5)


def search(evaluate=trainings.trained, **options) -> jnas.search.HostRun:
    return jnas.search.run_on_host(
        SEARCHER, evaluate, jax.random.key(0), num_evaluations=16, progress=False, **options
    )


def same(found: jnas.search.HostRun, expected: jnas.search.HostRun) -> None:
    """Equal but for the seconds of what failed, which are measured."""
    assert found.failures == expected.failures
    histories = [
        run.history._replace(seconds=np.where(np.isnan(run.history.scores), 0, run.history.seconds))
        for run in (found, expected)
    ]
    chex.assert_trees_all_equal(*histories)


@pytest.fixture(scope="module")
def expected() -> jnas.search.HostRun:
    """By a thread of jnas' own."""
    return search()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "switch").mkdir()
    monkeypatch.setenv(trainings.SWITCH, str(tmp_path / "switch"))
    return tmp_path


def processes() -> ProcessPoolExecutor:
    # Not forked, for JAX has threads.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        yield client.get_executor(pure=False)


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("name", ["threads", "dask"])
def test_any_executor_gives_the_search_of_threads(name, expected, request) -> None:
    executor = request.getfixturevalue(name)
    same(search(executor=executor), expected)
    assert expected.failures
    assert executor.submit(int, "7").result() == 7, "it is not shut down"
    several = search(executor=executor, num_workers=3)
    assert int(several.history.num_evaluations) == 16
    measured = search(trainings.timed, executor=executor).history
    assert (np.asarray(measured.seconds) >= 0.02).all()


@pytest.mark.slow
def test_a_search_goes_on_in_another_executor_where_a_process_has_died(folder, expected) -> None:
    """One job: begun in threads, then in a process that dies, then in a new one."""
    jnas.search.run_on_host(
        SEARCHER,
        trainings.trained,
        jax.random.key(0),
        num_evaluations=6,
        out=folder / "search",
        progress=False,
    )
    (folder / "switch" / "die").touch()
    with processes() as pool:
        told = r"the executor has lost a worker \(BrokenProcessPool: .*\); what had come back is in"
        with pytest.raises(RuntimeError, match=told):
            search(executor=pool, out=folder / "search")
        with pytest.raises(RuntimeError, match=r"with out= a search can go on"):
            search(executor=pool)  # a broken one refuses whatever is submitted
    (folder / "switch" / "die").unlink()
    with processes() as pool:
        same(search(executor=pool, out=folder / "search"), expected)
        with pytest.raises(RuntimeError, match=r"no evaluation came back .* by pickle \("):
            search(lambda arch, epochs: 1.0, executor=pool)
        with pytest.raises(TypeError, match="must return a number, the score"):
            search(trainings.spoken, executor=pool)
        assert pool.submit(int, "7").result() == 7
    evaluators = (folder / "switch" / "processes").read_text().split()
    assert len(evaluators) == 16 + 1  # what the first process died of was evaluated again
    assert len(set(evaluators)) == 3
    assert evaluators[:6] == [str(os.getpid())] * 6


class Counting(Executor):
    """Threads that tell how many evaluations they were given at a time."""

    def __init__(self, num_threads: int) -> None:
        self.pool, self.out, self.most = ThreadPoolExecutor(num_threads), 0, 0

    def submit(self, *args, **kwargs) -> Future:
        self.out += 1
        self.most = max(self.most, self.out)
        future = self.pool.submit(*args, **kwargs)
        future.add_done_callback(self.back)
        return future

    def back(self, future: Future) -> None:
        self.out -= 1


@pytest.mark.parametrize("num_workers", [None, 2])
def test_an_executor_has_as_many_at_a_time_as_is_said(num_workers) -> None:
    executor = Counting(4)
    options = {} if num_workers is None else {"num_workers": num_workers}
    search(trainings.timed, executor=executor, **options)
    assert executor.most == (num_workers or 1)
    executor.pool.shutdown()


def test_an_interrupt_cancels_what_waits_and_waits_for_what_runs() -> None:
    done = []

    def evaluate(arch: np.ndarray, epochs: int) -> float:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(trainings.timed(arch, epochs))
        return done[-1]

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            search(evaluate, executor=pool, num_workers=4)
        assert len(done) == 2
        assert pool.submit(int, "7").result() == 7
    assert len(done) == 2
