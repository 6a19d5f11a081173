"""The loop on the host: the history of `run`, any number of workers, failures, and nothing lost."""

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.types import Outcome, Query, Searcher
from tests.oracles import searches
from tests.oracles.spaces import toy

SPACE = toy()
NUM_STEPS = 24
WEIGHTS = 37 ** np.arange(5) % 101


def priced(key: jax.Array, query: Query) -> Outcome:
    """A traceable objective; two evaluations in five fail."""
    totals = jnp.sum(query.archs * jnp.asarray(WEIGHTS, jnp.int32)[None], axis=1)
    scores = jnp.where(query.archs[:, 2] > 2, jnp.nan, totals.astype(jnp.float32) / 8)
    return Outcome(scores, 10 + query.archs[:, 1].astype(jnp.float32))


CALLS: list[tuple[int, ...]] = []
KILLED_AT: list[int] = []


class KilledError(BaseException):
    """What no loop catches."""


def evaluate(arch: np.ndarray, epochs: int) -> tuple[float, float]:
    """`priced`, in NumPy; stops everything at the calls of `KILLED_AT`."""
    assert epochs == 0
    CALLS.append(tuple(arch.tolist()))
    if len(CALLS) in KILLED_AT:
        raise KilledError
    score = float("nan") if arch[2] > 2 else float(np.sum(arch * WEIGHTS)) / 8
    return score, 10.0 + float(arch[1])


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()
    KILLED_AT.clear()


SEARCHERS = {
    "random": jnas.search.random_search(SPACE, with_replacement=False, capacity=NUM_STEPS),
    "evolution": jnas.search.regularized_evolution(SPACE, population_size=5),
    "evolution-batch": jnas.search.regularized_evolution(SPACE, population_size=6, batch_size=4),
    "reinforce": jnas.search.reinforce(SPACE, batch_size=2),
}


FEW = [
    name if name == "evolution" else pytest.param(name, marks=pytest.mark.slow)
    for name in SEARCHERS
]


def run(name: str, key: jax.Array, **options) -> jnas.search.HostRun:
    return jnas.search.run_on_host(
        SEARCHERS[name], evaluate, key, num_evaluations=NUM_STEPS, progress=False, **options
    )


@pytest.mark.parametrize("name", FEW)
def test_one_worker_is_the_traced_loop(name, key) -> None:
    options = [
        {"max_seconds": 150.0},
        {"max_seconds": 150.0, "overrun": "counted"},
        {"max_seconds": 1e6},
        {},
    ]
    for budget in options if name == "evolution-batch" else options[1:2] + options[3:]:
        history, failures = run(name, key, **budget)
        expected = searches.run(
            SEARCHERS[name], Partial(priced), key, num_evaluations=NUM_STEPS, **budget
        )
        used = np.arange(NUM_STEPS) < int(expected.num_evaluations)
        chex.assert_trees_all_equal(
            history._replace(archs=history.archs[used], epochs=history.epochs[used]),
            expected._replace(archs=expected.archs[used], epochs=expected.epochs[used]),
        )
        chex.assert_trees_all_equal_dtypes(history, expected)
        failed = np.flatnonzero(np.isnan(np.asarray(history.scores)) & used)
        assert failures == dict.fromkeys(failed.tolist(), "the score is NaN")
        assert failures


@pytest.mark.parametrize("name", FEW)
def test_a_stopped_search_goes_on_and_repeats_only_what_was_out(name, key, tmp_path) -> None:
    """Stopped at three moments, one after the other, in the same folder."""
    expected = run(name, key)
    calls = list(CALLS)
    for stop in (1, 7, 12):
        CALLS.clear()
        KILLED_AT[:] = [stop]
        with pytest.raises(KilledError):
            run(name, key, out=tmp_path)
    KILLED_AT.clear()
    done = 0 + 6 + 11
    CALLS.clear()
    resumed = run(name, key, out=tmp_path)
    chex.assert_trees_all_equal(resumed, expected)
    assert calls[done:] == CALLS
    CALLS.clear()
    chex.assert_trees_all_equal(run(name, key, out=tmp_path), expected)
    assert not CALLS


def test_a_search_whose_seconds_are_spent_stays_over(key, tmp_path) -> None:
    expected = run("evolution", key, max_seconds=100.0, out=tmp_path)
    CALLS.clear()
    chex.assert_trees_all_equal(run("evolution", key, max_seconds=100.0, out=tmp_path), expected)
    assert not CALLS
    assert 0 < int(expected.history.num_evaluations) < NUM_STEPS


def remembering() -> Searcher:
    """Proposes 0, 1, 2, … in base 5; its state has a key, and what it was told."""

    def init(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return key, jnp.zeros((), jnp.int32), jnp.zeros(NUM_STEPS, jnp.int32)

    def ask(key: jax.Array, state) -> tuple[Query, object]:
        ids = state[1] + jnp.arange(2, dtype=jnp.int32)
        digits = ids[:, None] // 5 ** jnp.arange(6, dtype=jnp.int32)[None] % 5
        return Query(ids, digits, jnp.zeros(2, jnp.int32)), (state[0], state[1] + 2, state[2])

    def tell(state, query: Query, outcome: Outcome) -> object:
        return jax.random.split(state[0])[0], state[1], state[2].at[query.ids].add(1)

    return Searcher(init, ask, tell)


def test_workers_run_side_by_side_and_come_back_in_any_order(key, tmp_path) -> None:
    """The first three have to meet, and then the first of all waits until the seventh has begun."""
    barrier, seventh = threading.Barrier(3), threading.Event()

    def meet(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        number = int(np.sum(arch * 5 ** np.arange(6)))
        if number < 3:
            barrier.wait(timeout=60)
        if number == 6:
            seventh.set()
        if number == 0:
            assert seventh.wait(timeout=60)
        return float(number), 1.0

    out = jnas.search.run_on_host(
        remembering(),
        meet,
        key,
        num_evaluations=NUM_STEPS,
        num_workers=3,
        out=tmp_path,
        progress=False,
    )
    order = np.asarray(out.history.scores).tolist()
    assert not out.failures
    assert sorted(order) == list(range(NUM_STEPS))
    assert order.index(0) >= 3  # it was one of three that were out when the seventh was asked for
    with np.load(tmp_path / "search.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(
            file["state_2"], np.ones(NUM_STEPS)
        )  # every query was told, once
        assert {path.name for path in tmp_path.iterdir()} == {".jnas.json", "search.npz"}


@pytest.mark.parametrize("num_workers", [2, 5])
def test_a_stopped_search_of_many_workers_loses_nothing(num_workers, key, tmp_path) -> None:
    for stop in (3, 9):
        CALLS.clear()
        KILLED_AT[:] = [stop]
        with pytest.raises(KilledError):
            run("random", key, out=tmp_path, num_workers=num_workers)
    KILLED_AT.clear()
    history, _ = run("random", key, out=tmp_path, num_workers=num_workers)
    expected, _ = run("random", key)
    counts = [Counter(map(tuple, np.asarray(x.archs).tolist())) for x in (history, expected)]
    assert counts[0] == counts[1]
    assert int(history.num_evaluations) == NUM_STEPS


def test_failures_are_recorded_and_the_search_goes_on(key) -> None:
    def fails(arch: np.ndarray, epochs: int) -> object:
        number = int(arch[0])
        if number == 0:
            raise RuntimeError("out of memory")
        return (
            (float(number), 5.0)
            if number < 3
            else (np.nan if number == 3 else (float("nan"), float("nan")))
        )

    history, failures = jnas.search.run_on_host(
        remembering(), fails, key, num_evaluations=10, progress=False
    )
    np.testing.assert_array_equal(history.scores, [np.nan, 1, 2, np.nan, np.nan] * 2)
    messages = {0: "RuntimeError: out of memory", 3: "the score is NaN", 4: "the score is NaN"}
    assert failures == {slot + start: text for start in (0, 5) for slot, text in messages.items()}
    assert int(history.num_evaluations) == 10
    np.testing.assert_array_equal(history.seconds[jnp.array([1, 2, 6, 7])], np.full(4, 5.0))


def test_the_objective_may_change_its_argument(key) -> None:
    def sorts(arch: np.ndarray, epochs: int) -> tuple[float, float]:
        answer = evaluate(arch, epochs)
        arch.sort()
        return answer

    changed = jnas.search.run_on_host(
        SEARCHERS["evolution"], sorts, key, num_evaluations=NUM_STEPS, progress=False
    )
    chex.assert_trees_all_equal(changed, run("evolution", key))


@pytest.mark.parametrize(
    "score", [np.array([1.5]), jnp.full((1, 1), 1.5), np.float32(1.5), (np.array([1.5]), 2)]
)
def test_scores_may_be_arrays_of_one(score, key) -> None:
    history, failures = jnas.search.run_on_host(
        remembering(), lambda arch, epochs: score, key, num_evaluations=2, progress=False
    )
    np.testing.assert_array_equal(history.scores, [1.5, 1.5])
    assert not failures


@pytest.mark.parametrize(
    "answer", [None, [1.5], np.zeros(2), "high", (1.0,), (1.0, None), {"score": 1.0}]
)
def test_an_answer_that_is_no_score_ends_the_search_at_once(answer, key) -> None:
    calls = []

    def wrong(arch: np.ndarray, epochs: int) -> object:
        calls.append(arch)
        return answer

    with pytest.raises(TypeError, match=r"must return a number, the score, .* \(score, seconds\)"):
        jnas.search.run_on_host(remembering(), wrong, key, num_evaluations=20, progress=False)
    assert len(calls) <= 2


def test_a_search_is_given_up_where_everything_fails_alike(key) -> None:
    calls = []

    def fails(arch: np.ndarray, epochs: int) -> float:
        calls.append(arch)
        raise FileNotFoundError("no images")

    def search(evaluate, num: int) -> jnas.search.HostRun:
        return jnas.search.run_on_host(
            remembering(), evaluate, key, num_evaluations=num, progress=False
        )

    with pytest.raises(RuntimeError, match=r"all 10 .* same way: FileNotFoundError: no images"):
        search(fails, 20)
    assert 10 <= len(calls) <= 12
    assert len(search(fails, 8).failures) == 8
    assert len(search(lambda arch, epochs: float("nan"), 20).failures) == 20


def halves(arch: jax.Array) -> jax.Array:
    """An identity that finds many architectures isomorphic."""
    return jnp.stack([arch[0], arch[2] // 2]).astype(jnp.uint32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["random", "evolution", pytest.param("evolution-batch", marks=pytest.mark.slow)]
)
def test_isomorphic_architectures_are_evaluated_once(name, key, tmp_path) -> None:
    """As `run` does it, after a kill, too."""
    options = {"identity": halves, "max_repeats": 30}
    expected = searches.run(
        SEARCHERS[name], Partial(priced), key, num_evaluations=NUM_STEPS, **options
    )
    once = run(name, key, **options).history
    used = np.arange(NUM_STEPS) < int(expected.num_evaluations)
    assert int(expected.num_repeats) > 0
    assert int(expected.num_evaluations) == len(CALLS)
    for field in once._fields:
        at = used if field in ("archs", "epochs") else ...
        found, wanted = (np.asarray(getattr(x, field)) for x in (once, expected))
        np.testing.assert_array_equal(found[at], wanted[at], field)
    CALLS.clear()
    KILLED_AT[:] = [3]
    with pytest.raises(KilledError):
        run(name, key, out=tmp_path, **options)
    KILLED_AT.clear()
    chex.assert_trees_all_equal(run(name, key, out=tmp_path, **options).history, once)


def test_workers_do_not_evaluate_what_another_is_evaluating(key) -> None:
    run("random", key, identity=halves, max_repeats=30, num_workers=4)
    codes = [(arch[0], arch[2] // 2) for arch in CALLS]
    assert len(set(codes)) == len(codes) > 4


def test_a_search_that_goes_on_rounds_its_seconds_as_before(key, tmp_path) -> None:
    """Ten costs of 0.1 are 1 or a little less, and a budget of 1 has room for another, or not."""

    def search(**options) -> jnas.search.HostRun:
        return jnas.search.run_on_host(
            SEARCHERS["random"],
            lambda arch, epochs: (evaluate(arch, epochs)[0], 0.1),
            key,
            num_evaluations=NUM_STEPS,
            max_seconds=1.0,
            overrun="counted",
            progress=False,
            **options,
        )

    whole = search()
    assert int(whole.history.num_evaluations) == 10
    CALLS.clear()
    KILLED_AT[:] = [10]
    with pytest.raises(KilledError):
        search(out=tmp_path)
    KILLED_AT.clear()
    chex.assert_trees_all_equal(search(out=tmp_path), whole)


def test_searches_share_the_program_of_their_identity(key) -> None:
    traces = []

    def traced(arch: jax.Array) -> jax.Array:
        traces.append(1)
        return halves(arch)

    for seed in jax.random.split(key, 2):
        run("evolution", seed, identity=traced, max_repeats=30)
    assert len(traces) == 1


@pytest.mark.parametrize("name", FEW)
def test_a_finished_search_can_be_extended(name, key, tmp_path) -> None:
    def search(num: int, **options) -> jnas.search.HostRun:
        return jnas.search.run_on_host(
            SEARCHERS[name], evaluate, key, num_evaluations=num, progress=False, **options
        )

    whole = search(NUM_STEPS)
    CALLS.clear()
    for num in (8, 8, NUM_STEPS):
        found = search(num, out=tmp_path)
    assert len(CALLS) == NUM_STEPS
    chex.assert_trees_all_equal(found, whole)
    with pytest.raises(ValueError, match=r"a search of 24 evaluations; .* at least that; got 8"):
        search(8, out=tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("genetic", marks=pytest.mark.slow),
        pytest.param("nsga2", marks=pytest.mark.slow),
        "local_search",
    ],
)
def test_a_searcher_is_traced_once(name, key) -> None:
    """What `init` returns has the types of what `ask` and `tell` return."""
    options = {"population_size": 4} if name != "local_search" else {}
    options |= {"costs": [SPACE.params]} if name == "nsga2" else {}
    searcher = jnas.search.by_name(name, SPACE, **options)
    asks, tells = [], []

    def ask(key: jax.Array, state) -> tuple[Query, object]:
        asks.append(1)
        return searcher.ask(key, state)

    def tell(state, query: Query, outcome: Outcome) -> object:
        tells.append(1)
        return searcher.tell(state, query, outcome)

    counted = searcher._replace(ask=ask, tell=tell)
    jnas.search.run_on_host(counted, evaluate, key, num_evaluations=12, progress=False)
    assert len(asks) == len(tells) == 1


def test_seconds_are_measured_where_none_are_given(key) -> None:
    waiting = threading.Event()

    def trains(arch: np.ndarray, epochs: int) -> float:
        waiting.wait(0.02)
        return 1.0

    history, _ = jnas.search.run_on_host(
        remembering(), trains, key, num_evaluations=4, progress=False
    )
    assert (np.asarray(history.seconds) >= 0.02).all()


def test_a_folder_of_another_search_is_refused(key, tmp_path) -> None:
    run("random", key, out=tmp_path)

    def another(arch: np.ndarray, epochs: int) -> float:
        return 0.0

    others = [
        lambda: run("random", jax.random.key(1), out=tmp_path),
        lambda: run("evolution", key, out=tmp_path),
        lambda: run("random", key, max_seconds=100.0, out=tmp_path),
        lambda: jnas.search.run_on_host(
            SEARCHERS["random"], another, key, num_evaluations=NUM_STEPS, out=tmp_path
        ),
    ]
    for other in others:
        CALLS.clear()
        with pytest.raises(ValueError, match=r"search\.npz holds another job .* resume=False"):
            other()
        assert not CALLS
    run("evolution", key, out=tmp_path, resume=False)
    with pytest.raises(ValueError, match="another job"):
        run("random", key, out=tmp_path)
    (tmp_path / "search.npz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not the file of a search"):
        run("random", key, out=tmp_path)


def test_a_folder_that_cannot_be_written_is_found_out_first(key, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run("random", key, out=tmp_path / "file")
    assert not CALLS


def test_bad_arguments(key) -> None:
    with pytest.raises(ValueError, match="positive multiple of the batch size 2; got 3"):
        jnas.search.run_on_host(remembering(), evaluate, key, num_evaluations=3)
    with pytest.raises(ValueError, match="num_workers must be at least 1; got 0"):
        run("random", key, num_workers=0)
    for seconds in (-1, 0.0, float("nan"), np.float32(-1), np.int64(0)):
        with pytest.raises(ValueError, match="max_seconds must be above 0; got"):
            run("random", key, max_seconds=seconds)
    with pytest.raises(ValueError, match="max_repeats goes with identity"):
        run("random", key, max_repeats=3)
    with pytest.raises(ValueError, match="key must be one key"):
        run("random", jax.random.split(key))
    with pytest.raises(ValueError, match="unknown overrun 'kept'"):
        run("random", key, overrun="kept")
    with pytest.raises(ValueError, match=r"use search\.run_on_host"):
        jnas.search.run(
            SEARCHERS["random"]._replace(is_traceable=False),
            Partial(priced),
            key,
            num_evaluations=4,
        )


def test_a_searcher_that_cannot_be_traced(key) -> None:
    searcher = SEARCHERS["random"]
    quick = searches.compiled(searcher)

    def ask(key: jax.Array, state) -> tuple[Query, object]:
        assert int(state.num_asked) >= 0  # needs a value
        return quick.ask(key, state)

    history, _ = jnas.search.run_on_host(
        quick._replace(ask=ask, is_traceable=False),
        evaluate,
        key,
        num_evaluations=3,
        progress=False,
    )
    expected = searches.run(searcher, Partial(priced), key, num_evaluations=3)
    np.testing.assert_array_equal(history.archs, expected.archs)


@pytest.mark.slow
def test_the_bar_shows_the_best_and_the_failed(key, capsys) -> None:
    history, failures = jnas.search.run_on_host(
        SEARCHERS["random"], evaluate, key, num_evaluations=NUM_STEPS
    )
    shown = capsys.readouterr().err
    assert f"{NUM_STEPS}/{NUM_STEPS} evaluations" in shown
    assert f"best {float(jnp.nanmax(history.scores)):.4g}, {len(failures)} failed" in " ".join(
        shown.split()
    )


SCRIPT = """
import os, sys
import jax
import jnas

left = [int(sys.argv[2])]

def evaluate(arch, epochs):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    print("evaluated", flush=True)
    return float(arch.sum()), 1.0

searcher = jnas.search.regularized_evolution(jnas.spaces.nasbench201(), population_size=4)
run = jnas.search.run_on_host(
    searcher, evaluate, jax.random.key(5), num_evaluations=12, out=sys.argv[1], progress=False
)
print(run.history.archs.tolist())
"""


@pytest.mark.slow
def test_survives_a_process_that_dies(tmp_path) -> None:
    def start(folder: Path, num: int) -> tuple[int, list[str]]:
        environment = os.environ | {"PYTHONPATH": str(Path(jnas.__file__).parent.parent)}
        command = [sys.executable, "-c", SCRIPT, str(folder), str(num)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        return done.returncode, done.stdout.split("\n")[:-1]

    code, lines = start(tmp_path / "a", 7)
    assert (code, lines) == (9, ["evaluated"] * 7)
    code, resumed = start(tmp_path / "a", 99)
    assert code == 0
    assert len(resumed) == 6
    searcher = jnas.search.regularized_evolution(jnas.spaces.nasbench201(), population_size=4)
    whole = jnas.search.run_on_host(
        searcher,
        lambda arch, epochs: (float(arch.sum()), 1.0),
        jax.random.key(5),
        num_evaluations=12,
        progress=False,
    )
    assert resumed[-1] == str(whole.history.archs.tolist())
