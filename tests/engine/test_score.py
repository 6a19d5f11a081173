"""The population engine: same bits for any chunks and devices, nothing lost, nothing done twice."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.engine import score as population
from jnas.engine.estimators import Buckets, by_bucket
from jnas.engine.files import MANIFEST
from tests.conftest import FAST_COMPILATION

CARDINALITY = 5


def weigh(weights: jax.Array, key: jax.Array, archs: jax.Array) -> jax.Array:
    """A row-wise estimator with randomness that follows the architecture."""

    def one(arch: jax.Array) -> jax.Array:
        noise = jax.random.randint(jax.random.fold_in(key, arch[0]), (), 0, 1000).astype(
            jnp.float32
        )
        return jnp.sum(weights * arch.astype(jnp.float32)) + noise

    return jax.vmap(one)(archs)


@pytest.fixture
def estimator() -> Partial:
    return Partial(weigh, jnp.arange(1.0, 4.0))


@pytest.fixture
def archs() -> np.ndarray:
    return np.random.default_rng(0).integers(0, CARDINALITY, (50, 3), dtype=np.int32)


def score(*args: object, **kwargs: object) -> np.ndarray:
    return np.asarray(population.score(*args, progress=False, **kwargs))  # type: ignore[arg-type]


def test_two_devices_are_in_use() -> None:
    assert jax.local_device_count() == 2


@pytest.mark.parametrize("chunk_size", [1, 2, 7, 49, 50, 64, None])
def test_equals_one_call_of_the_estimator(estimator, archs, key, chunk_size) -> None:
    np.testing.assert_array_equal(
        score(estimator, archs, key, chunk_size), np.asarray(estimator(key, archs))
    )


def test_one_compilation_for_any_population(archs, key) -> None:
    traces = []

    def counted(key: jax.Array, archs: jax.Array) -> jax.Array:
        traces.append(archs.shape)
        return jnp.sum(archs, axis=1).astype(jnp.float32)

    estimator = Partial(counted)
    for num in (50, 33, 8, 1):
        np.testing.assert_array_equal(score(estimator, archs[:num], key, 8), archs[:num].sum(1))
    assert len(traces) == 1


def test_result_file_describes_itself(estimator, archs, key, tmp_path) -> None:
    out = tmp_path / "deep" / "er" / "scores.npz"
    scores = score(estimator, archs, key, 8, out)
    with np.load(out, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["archs"], archs)
        np.testing.assert_array_equal(file["scores"], scores)
        assert file["num_done"] == 50
        about = json.loads(str(file["about"]))
    assert about["jnas"] == jnas.__version__
    assert about["num_unranked"] == 0
    assert {path.name for path in out.parent.iterdir()} == {".jnas.json", "scores.npz"}


class KilledError(Exception):
    pass


def interrupt_after(monkeypatch, num_chunks: int) -> list[int]:
    """Make the program fail after some chunks; returns the list of chunks that were computed."""
    program, calls = population._program(), []

    def failing(*args: jax.Array) -> jax.Array:
        if len(calls) == num_chunks:
            raise KilledError
        calls.append(1)
        return program(*args)

    monkeypatch.setattr(population, "_program", lambda: failing)
    return calls


def test_a_finished_job_is_extended(estimator, archs, key, tmp_path, monkeypatch) -> None:
    expected, out = score(estimator, archs, key), tmp_path / "scores.npz"
    for num in (10, 30):
        score(estimator, archs[:num], key, 10, out)
    calls = interrupt_after(monkeypatch, 99)
    np.testing.assert_array_equal(score(estimator, archs, key, 10, out), expected)
    assert len(calls) == 2
    for other in (archs[:30], archs[::-1]):  # fewer, and others
        with pytest.raises(ValueError, match="another job"):
            score(estimator, other, key, 10, out)


def test_a_plain_function_and_an_old_key_are_the_same_job(archs, key, tmp_path) -> None:
    def last(key: jax.Array, archs: jax.Array) -> jax.Array:
        return archs[:, -1].astype(jnp.float32)

    scores = score(last, archs, 0, 50, tmp_path / "x.npz")
    np.testing.assert_array_equal(scores, archs[:, -1])
    again = score(Partial(last), archs, jax.random.PRNGKey(0), 50, tmp_path / "x.npz")
    np.testing.assert_array_equal(again, scores)
    assert population.fingerprint(last, archs, 0) == population.fingerprint(
        Partial(last), archs, key
    )


def test_resumes_without_recomputing_or_losing(
    estimator, archs, key, tmp_path, monkeypatch
) -> None:
    expected, out = score(estimator, archs, key), tmp_path / "scores.npz"
    monkeypatch.setattr(population, "_SAVE_SHARE", np.inf)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KilledError):
            score(estimator, archs, key, 8, out)
    with np.load(out) as file:
        assert file["num_done"] == 24
        np.testing.assert_array_equal(file["scores"][:24], expected[:24])
    with monkeypatch.context() as patch:
        calls = interrupt_after(patch, 100)
        np.testing.assert_array_equal(score(estimator, archs, key, 10, out), expected)
        assert len(calls) == 3  # 26 rows are left: 10 + 10 + 6
    with monkeypatch.context() as patch:
        calls = interrupt_after(patch, 0)  # a finished job computes nothing
        np.testing.assert_array_equal(score(estimator, archs, key, 10, out), expected)


def test_no_resume_overwrites(estimator, archs, key, tmp_path) -> None:
    out = tmp_path / "scores.npz"
    score(estimator, archs, key, out=out)
    other = score(estimator, archs[:7], key, out=out, resume=False)
    with np.load(out) as file:
        np.testing.assert_array_equal(file["scores"], other)


def test_only_results_of_scoring_are_replaced(estimator, archs, key, tmp_path) -> None:
    """Neither a file of somebody else nor a saved table, whatever `resume` is."""
    theirs, table = tmp_path / "theirs.npz", tmp_path / "table.npz"
    np.savez(theirs, x=np.arange(3))
    space = jnas.spaces.nasbench201()
    cells = np.eye(3, 6, dtype=np.int32)
    jnas.benchmarks.save(
        jnas.benchmarks.make_table(space, cells, {"accuracy": np.arange(3.0)}), table
    )
    for out, why in ((theirs, "was not written by jnas"), (table, "holds a table")):
        before = out.read_bytes()
        with pytest.raises(FileExistsError, match=f"{why}.*choose another out="):
            score(estimator, archs, key, out=out, resume=False)
        with pytest.raises(ValueError, match="is not a jnas result file; choose another out="):
            score(estimator, archs, key, out=out)
        assert out.read_bytes() == before


def test_results_that_were_copied_without_their_manifest_go_on(
    estimator, archs, key, tmp_path
) -> None:
    score(estimator, archs, key, out=tmp_path / "scores.npz")
    copied = tmp_path / "copy" / "scores.npz"
    copied.parent.mkdir()
    copied.write_bytes((tmp_path / "scores.npz").read_bytes())
    with pytest.raises(FileExistsError, match="was not written by jnas"):
        score(estimator, archs, key, out=copied, resume=False)
    for resume in (True, False):
        score(estimator, archs, key, out=copied, resume=resume)


@pytest.mark.parametrize("change", ["archs", "key", "weights", "code"])
def test_refuses_the_file_of_another_job(estimator, archs, key, tmp_path, change) -> None:
    out = tmp_path / "scores.npz"
    score(estimator, archs, key, out=out)
    before = out.read_bytes()
    jobs = {
        "archs": (estimator, archs[::-1], key),
        "key": (estimator, archs, jax.random.key(1)),
        "weights": (Partial(weigh, jnp.ones(3)), archs, key),
        "code": (Partial(lambda w, k, a: weigh(w, k, a), jnp.arange(1.0, 4.0)), archs, key),
    }
    with pytest.raises(ValueError, match="another job"):
        score(*jobs[change], out=out)
    assert out.read_bytes() == before


@pytest.mark.slow
def test_fingerprint_looks_into_closures_and_is_equal_in_another_process(archs, key) -> None:
    images = jnp.zeros((2, 8, 8, 3)).at[0].set(1)
    small = jnas.networks.nasbench201(channels=4, cells=1)
    jobs = [
        jnas.zeroshot.naswot(small, images),
        jnas.zeroshot.naswot(small, images, relus="all"),
        jnas.zeroshot.naswot(jnas.networks.nasbench201(channels=4, cells=2), images),
    ]
    prints = [population.fingerprint(job, archs, key) for job in jobs]
    assert len(set(prints)) == 3
    code = (
        "import jax, jax.numpy as jnp, numpy as np, jnas\n"
        "archs = np.random.default_rng(0).integers(0, 5, (50, 3), dtype=np.int32)\n"
        "images = jnp.zeros((2, 8, 8, 3)).at[0].set(1)\n"
        "job = jnas.zeroshot.naswot(jnas.networks.nasbench201(channels=4, cells=1), images)\n"
        "print(jnas.population.fingerprint(job, archs, jax.random.key(0)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == prints[0]


def weigh_twice(weights: jax.Array, key: jax.Array, archs: jax.Array) -> dict[str, jax.Array]:
    """Two scores of different types; the second is not finite where the first choice is 0."""
    first = weigh(weights, key, archs)
    return {
        "weight": first,
        "choice": jnp.where(archs[:, 0] == 0, -jnp.inf, archs[:, 0].astype(jnp.bfloat16)),
    }


@pytest.fixture
def suite() -> Partial:
    return Partial(weigh_twice, jnp.arange(1.0, 4.0))


@pytest.mark.parametrize("chunk_size", [1, 7, 50, None])
def test_several_scores_come_by_name(suite, archs, key, chunk_size) -> None:
    found = population.score(suite, archs, key, chunk_size, progress=False)
    expected = suite(key, archs)
    assert set(found) == {"weight", "choice"}
    for name, values in found.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name])


def test_several_scores_resume(suite, archs, key, tmp_path, monkeypatch) -> None:
    suite = Partial(
        lambda *args: {k: v.astype(jnp.float32) for k, v in weigh_twice(*args).items()}, *suite.args
    )
    expected, out = population.score(suite, archs, key, progress=False), tmp_path / "scores.npz"
    monkeypatch.setattr(population, "_SAVE_SHARE", np.inf)
    for num_chunks, num_done in ((0, 0), (2, 16)):
        with monkeypatch.context() as patch:
            interrupt_after(patch, num_chunks)
            with pytest.raises(KilledError):
                population.score(suite, archs, key, 8, out, progress=False)
        with np.load(out) as file:
            assert file["num_done"] == num_done
    for num_chunks in (5, 0):  # 34 rows are left; then none, and all comes from the file
        with monkeypatch.context() as patch:
            calls = interrupt_after(patch, num_chunks)
            found = population.score(suite, archs, key, 8, out, progress=False)
        assert len(calls) == num_chunks
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    with np.load(out) as file:
        assert {name for name in file.files if "scores" in name} == {
            "scores/weight",
            "scores/choice",
        }
        np.testing.assert_array_equal(file["scores/choice"], expected["choice"])
        assert json.loads(str(file["about"]))["num_unranked"] == np.sum(archs[:, 0] == 0)


def test_a_file_of_one_score_has_the_members_it_always_had(
    estimator, archs, key, tmp_path, monkeypatch
) -> None:
    """Also one that was begun before the scores of a job without finished rows were left out."""
    out = tmp_path / "scores.npz"
    score(estimator, archs, key, 8, out)
    with np.load(out) as file:
        members = dict(file)
    assert set(members) == {"archs", "scores", "num_done", "fingerprint", "about"}
    expected = members["scores"].copy()
    (tmp_path / MANIFEST).unlink()
    np.savez(out, **(members | {"scores": np.zeros(50, np.float32), "num_done": 0}))
    np.testing.assert_array_equal(score(estimator, archs, key, 8, out), expected)


def test_counts_and_reports_what_cannot_be_ranked(archs, key, tmp_path, capsys) -> None:
    def some(key: jax.Array, archs: jax.Array) -> jax.Array:
        return jnp.where(archs[:, 0] == 0, -jnp.inf, 1.0)

    out = tmp_path / "scores.npz"
    population.score(Partial(some), archs, key, 8, out)
    num = int(np.sum(archs[:, 0] == 0))
    with np.load(out) as file:
        assert json.loads(str(file["about"]))["num_unranked"] == num
    assert f"{num} of 50 architectures cannot be ranked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"archs": np.zeros(3, np.int32)}, r"\[B, D\] integers"),
        ({"archs": np.zeros((0, 3), np.int32)}, "B >= 1"),
        ({"archs": np.zeros((2, 3))}, "integers"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"out": "scores.csv"}, "must end in .npz"),
        ({"key": np.zeros(3, np.uint32)}, "key must be one key"),
        ({"key": -1}, "key as a seed must be in 0 … 2³² - 1; got -1"),
    ],
)
def test_bad_arguments(estimator, archs, key, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        score(**({"estimator": estimator, "archs": archs, "key": key} | change))


def test_output_that_cannot_be_written(estimator, archs, key, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    calls = interrupt_after(monkeypatch, 100)
    with pytest.raises(OSError, match="file"):
        score(estimator, archs, key, out=tmp_path / "file" / "scores.npz")
    assert not calls  # before anything is scored


def test_foreign_file_is_kept(estimator, archs, key, tmp_path) -> None:
    out = tmp_path / "scores.npz"
    out.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a jnas result file"):
        score(estimator, archs, key, out=out)
    assert out.read_bytes() == b"something else"


CHUNK_SIZES = """
import sys, jax, numpy as np, jnas
archs = jax.vmap(jnas.spaces.nasbench201().sample)(jax.random.split(jax.random.key(3), 65))
images = jax.random.normal(jax.random.key(4), (6, 8, 8, 3))
naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(channels=4, cells=1, stages=1), images)
key, sizes = jax.random.key(5), map(int, sys.argv[3:])
scores = [jnas.population.score(naswot, archs, key, size, progress=False) for size in sizes]
np.save(sys.argv[2], np.stack(scores))
assert jax.local_device_count() == int(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("optimisation", "sizes"),
    [
        (FAST_COMPILATION, ["1", "7"]),
        pytest.param("", ["1", "64"], marks=pytest.mark.slow),
    ],
    ids=["fast", "default"],
)
def test_naswot_has_the_same_bits_for_any_chunk_and_device_count(
    tmp_path, monkeypatch, optimisation, sizes
) -> None:
    for devices in ("1", "2"):
        if optimisation == FAST_COMPILATION and devices == str(jax.local_device_count()):
            # What this process is, too: another one would take seconds to begin.
            argv = ["-c", devices, str(tmp_path / f"{devices}.npy"), *sizes]
            monkeypatch.setattr(sys, "argv", argv)
            exec(compile(CHUNK_SIZES, "chunk sizes", "exec"), {})
            continue
        flags = f"--xla_force_host_platform_device_count={devices} {optimisation}"
        command = [
            sys.executable,
            "-c",
            CHUNK_SIZES,
            devices,
            str(tmp_path / f"{devices}.npy"),
            *sizes,
        ]
        subprocess.run(command, check=True, env=os.environ | {"XLA_FLAGS": flags})
    one, two = np.load(tmp_path / "1.npy"), np.load(tmp_path / "2.npy")
    assert np.isfinite(one).sum() > 100
    np.testing.assert_array_equal(one, np.broadcast_to(one[0], one.shape))
    np.testing.assert_array_equal(two, one)


def test_file_name_is_never_half_written(estimator, archs, key, tmp_path, monkeypatch) -> None:
    """A crash while writing leaves the last complete file in place."""
    out = tmp_path / "scores.npz"
    score(estimator, archs, key, out=out)
    before = out.read_bytes()

    def broken(file: object, **_: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KilledError

    monkeypatch.setattr(np, "savez", broken)
    with pytest.raises(KilledError):
        score(estimator, archs[::-1], key, out=out, resume=False)
    assert Path(out).read_bytes() == before


# --------------------------------------------------------------------------------------------------
# Buckets.


def bucketed(traces: list[tuple[int, ...]]) -> Partial:
    """Estimator of the sum of a row, which has a program for each first choice."""

    def function(sizes: int | None) -> Callable[..., jax.Array]:
        def scores(weights: jax.Array, key: jax.Array, archs: jax.Array) -> jax.Array:
            traces.append((-1 if sizes is None else sizes, len(archs)))
            return weigh(weights, key, archs)

        # Of which JAX makes an object of its own within an estimator.
        return functools.partial(scores)

    of = functools.cache(function)
    buckets = Buckets(lambda arch: int(arch[0]), of)
    return Partial(by_bucket(of(None), buckets), jnp.arange(1.0, 4.0))


@pytest.mark.parametrize("chunk_size", [4, 64, None])
def test_rows_of_a_bucket_are_scored_by_its_program(estimator, archs, key, chunk_size) -> None:
    traces: list[tuple[int, ...]] = []
    found = score(bucketed(traces), archs, key, chunk_size)
    np.testing.assert_array_equal(found, score(estimator, archs, key))
    assert {sizes for sizes, _ in traces} == set(archs[:, 0].tolist())
    assert len(traces) == CARDINALITY
    # Of no more rows than a chunk, or than there are.
    counts = np.bincount(archs[:, 0])
    assert all(num <= -(-min(chunk_size or 20, counts[sizes]) // 2) for sizes, num in traces)
    # A call of the estimator itself, which has no host, is that of all sizes.
    np.testing.assert_array_equal(bucketed(traces)(key, jnp.asarray(archs)), found)
    assert traces[-1] == (-1, 50)


@pytest.mark.slow
def test_programs_of_buckets_are_let_go_of(estimator, archs, key, monkeypatch) -> None:
    """Each holds memory maps, of which a process has few: XLA ends one that asks for more."""
    traces: list[tuple[int, ...]] = []
    made = bucketed(traces)
    expected = score(made, archs, key)
    score(made, archs, key)
    assert len(traces) == CARDINALITY
    monkeypatch.setattr("jnas.engine.devices._MAX_MAPS", 0)
    np.testing.assert_array_equal(score(made, archs, key), expected)
    assert len(traces) == 2 * CARDINALITY


@pytest.mark.slow
def test_a_job_of_buckets_resumes_and_is_extended(estimator, archs, key, tmp_path, monkeypatch):
    expected, out = score(estimator, archs, key), tmp_path / "scores.npz"
    for num_chunks in (3, 2):
        with monkeypatch.context() as context:
            interrupt_after(context, num_chunks)
            with pytest.raises(KilledError):
                score(bucketed([]), archs[:40], key, 4, out)
    with np.load(out) as file:
        # Bucket by bucket, so that these are not the first rows.
        assert file["num_done"] == file["done"].sum()
        assert not file["done"][: file["num_done"]].all()
        np.testing.assert_array_equal(file["scores"][file["done"]], expected[:40][file["done"]])
    np.testing.assert_array_equal(score(bucketed([]), archs[:40], key, 4, out), expected[:40])
    calls = interrupt_after(monkeypatch, 99)
    np.testing.assert_array_equal(score(bucketed([]), archs, key, 4, out), expected)
    assert len(calls) <= CARDINALITY  # of the ten more
    with np.load(out) as file:
        assert file["num_done"] == 50
        assert "done" not in file.files
