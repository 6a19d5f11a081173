"""Costs by name against columns of tables, and searches that weigh by them."""

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
