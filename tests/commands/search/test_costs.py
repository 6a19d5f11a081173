"""Costs by name against columns of tables, and searches that weigh by them."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import jnas
from jnas.commands.search import costs, evaluation, searches
from jnas.commands.search.settings import Settings, filled
from jnas.commands.search.summary import summarise

SPACE = jnas.spaces.nasbench201()
TABLE = jnas.benchmarks.nasbench201("cifar10")
AGAINST = Settings(
    strategy="nsga2",
    estimator="table",
    against="latency:pixel3",
    budget=16,
    options={"population_size": 8},
)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Latencies `[15625]` of a file in a folder that `JNAS_DATA` names, in the official order."""
    values = np.random.default_rng(0).permutation(len(TABLE)).astype(np.float32) / 7
    numbers = {f"hw_{name}": np.zeros((len(TABLE), 0)) for name in ("c10", "c100", "in16")}
    np.savez(
        tmp_path / "latency_nasbench201.npz",
        devices=np.array(["pixel3"]),
        latency_ms=values[:, None],
        hw_columns=np.array([], str),
        **numbers,
    )
    monkeypatch.setenv("JNAS_DATA", str(tmp_path))
    return values


def test_sizes_columns_and_measurements(measured: np.ndarray) -> None:
    some = np.random.default_rng(1).choice(len(TABLE), 50)
    for name, values in {
        "flops": np.array([SPACE.flops(arch) for arch in TABLE.archs[some[:3]]]),
        "latency": TABLE.column("latency")[some],
        "latency:pixel3": measured[some],
    }.items():
        weighed = costs.by_name(name, SPACE, TABLE)
        archs = TABLE.archs[some[: len(values)]]
        np.testing.assert_allclose(jax.vmap(weighed.cost)(archs), values, rtol=1e-6)
    assert weighed.convention == "latency in ms on pixel3, a phone (cifar10)"
    assert (weighed.label, weighed.text(1234.5678), weighed.exact(0.12345678)) == (
        "latency:pixel3",
        "1234.6",
        "0.12345678",
    )
    size = costs.by_name("params", SPACE, None)
    assert (size.label, size.text(1234567.0), size.exact(3.0)) == (
        "params (millions)",
        "1,234,567",
        "3",
    )
    with pytest.raises(ValueError, match=r"unknown cost 'latency:pixl3'\. Did you mean 'latency:p"):
        costs.by_name("latency:pixl3", SPACE, TABLE)
    sizes = jnas.spaces.nats_size()
    with pytest.raises(ValueError, match=r"unknown cost 'parms'\. Did you mean 'params'"):
        costs.by_name("parms", sizes, None)
    with pytest.raises(FileNotFoundError, match="jnas knows no latencies of nats_size"):
        costs.by_name("latency:pixel3", sizes, None)


def test_another_file_of_latencies_is_another_job(measured: np.ndarray, tmp_path: Path) -> None:
    jobs = [evaluation.make_job(filled(AGAINST, TABLE), SPACE, TABLE) for _ in range(2)]
    path = tmp_path / "latency_nasbench201.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"latency_ms": measured[:, None] + 1}))
    jobs.append(evaluation.make_job(filled(AGAINST, TABLE), SPACE, TABLE))
    first, again, other = (job.fingerprint.job for job in jobs)
    assert first == again != other


@pytest.mark.parametrize("given", ["params=", "=5", "latency:pixel3=5ms", "", "flops=nan", "a=1,"])
def test_limits_that_cannot_be_read(given: str) -> None:
    with pytest.raises(ValueError, match=r"^limit must be a cost and .* such as latency:pixel3=5"):
        costs.limits(given)


def test_limits_by_name() -> None:
    assert costs.limits(None) == {}
    assert costs.limits(costs.LIMITS) == {"latency:pixel3": 5, "params": 500_000}
    assert costs.limits(" a=b = -1e3 ") == {"a=b": -1000}
    with pytest.raises(ValueError, match="limit has params twice"):
        costs.limits("params=1,flops=2,params=3")


@pytest.mark.slow
def test_a_search_within_a_latency(measured: np.ndarray) -> None:
    """What is proposed, by a strategy with and without costs of its own, keeps to the limits."""
    limit = float(np.quantile(measured, 0.1))
    settings = dataclasses.replace(AGAINST, limit=f"latency:pixel3={limit!r},params=600000")
    for changes in ({}, {"strategy": "random", "against": None, "options": {}}):
        job = evaluation.make_job(
            filled(dataclasses.replace(settings, **changes), TABLE), SPACE, TABLE
        )
        archs = jax.jit(jax.vmap(job.space.sample))(jax.random.split(jax.random.key(0), 50))
        archs = jax.jit(jax.vmap(job.space.mutate))(jax.random.split(jax.random.key(1), 50), archs)
        assert measured[np.asarray(TABLE.rows(archs))].max() <= np.float32(limit)
        assert np.asarray(jax.vmap(SPACE.params)(archs)).max() <= 600_000
    assert "-latency_pixel3-" in settings.folder_name
    assert f"--limit latency:pixel3={limit!r},params=600000" in settings.command_line()


def test_limits_of_unknown_devices_and_of_nothing(measured: np.ndarray) -> None:
    for limit, said in {
        "latency:pixl3=5": r"unknown cost 'latency:pixl3'\. Did you mean 'latency:pixel3'\?",
        "latency:pixel3=-1": r"holds for 0 of 4,096 .*; the least costs .* \(limit -1\)",
    }.items():
        settings = dataclasses.replace(AGAINST, limit=limit)
        with pytest.raises(ValueError, match=said):
            evaluation.make_job(filled(settings, TABLE), SPACE, TABLE)
    with pytest.raises(FileNotFoundError, match="jnas knows no latencies of nats_size"):
        evaluation.make_job(
            filled(Settings(space="nats_size", estimator="params", limit="latency:pixel3=5"), None),
            jnas.spaces.nats_size(),
            None,
        )


@pytest.mark.slow
def test_a_search_against_a_latency(measured: np.ndarray, tmp_path: Path) -> None:
    result = searches.run(AGAINST, tmp_path / "run")
    rows = np.asarray(TABLE.rows(result.histories.archs.reshape(-1, 6)))
    np.testing.assert_array_equal(result.against.ravel(), measured[rows])
    pairs = np.stack([-result.scores.ravel(), measured[rows]], axis=1)
    for cost, score in zip(result.front.costs[:, 0], result.front.scores, strict=True):
        better = (pairs <= [-score, cost]).all(axis=1) & (pairs < [-score, cost]).any(axis=1)
        assert not better.any()
    told = summarise(result)
    header, *cells = told.tables["front.csv"]
    assert header == ["architecture", "val_accuracy", "latency:pixel3"]
    written = np.array([row[2] for row in cells], np.float32)
    np.testing.assert_array_equal(written, result.front.costs[:, 0])
    assert "latency:pixel3: latency in ms on pixel3, a phone (cifar10)." in told.parts[0].text
    assert told.figures["front"][1].axes[0].get_xlabel() == "latency:pixel3"
