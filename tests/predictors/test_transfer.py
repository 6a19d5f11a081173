"""Transfer of costs to another device: best lines and planes by other means, real latencies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jnas
from jnas.predictors.transfer import line, ridge
from tests.predictors.helpers import P

SPACE = jnas.spaces.nasbench201()
ARCHS = np.asarray(jnas.spaces.nasbench201().enumerate()[::131], np.int32)


def counting() -> jnas.types.Predictor:
    """A predictor whose score is its state times the number of 3x3 convolutions."""
    return P.mlp(SPACE)._replace(
        predict=lambda state, archs: state * jnp.sum(archs == 3, axis=1).astype(jnp.float32)
    )


def test_line_of_least_relative_errors() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        scores = 100 + rng.normal(size=12)
        costs = 5 + 2 * (scores - 98) * rng.lognormal(0, 0.3, 12).clip(0.2)
        design = np.stack([scores, np.ones(12)], axis=1) / costs[:, None]
        expected, _ = optimize.nnls(
            np.concatenate([design, -design[:, 1:]], axis=1), np.ones(12)
        )  # the intercept has either sign
        slope, intercept = line(scores, costs)
        np.testing.assert_allclose(
            [slope, intercept], [expected[0], expected[1] - expected[2]], rtol=1e-4, atol=1e-4
        )


def test_a_line_never_falls() -> None:
    costs = np.array([4.0, 2.0, 1.0])
    slope, intercept = line(np.array([1.0, 2.0, 3.0]), costs)
    assert slope == 0
    weights = 1 / costs**2
    np.testing.assert_allclose(intercept, weights @ costs / weights.sum())
    assert line(np.full(3, 7.0), costs) == (0.0, pytest.approx(intercept))


def fitted(features, costs, penalty: float) -> np.ndarray:
    """Weights of a ridge regression of relative errors, by least squares with rows of penalties."""
    scale = costs.mean()
    roots = np.sqrt(np.where(np.arange(features.shape[1]) < 3, 1e-9, penalty))
    rows = np.concatenate([features * (scale / costs)[:, None], np.diag(roots)])
    ones = np.concatenate([np.ones(len(costs)), np.zeros(len(roots))])
    return np.linalg.lstsq(rows, ones, rcond=None)[0] * scale


def test_ridge_by_leaving_each_out() -> None:
    rng = np.random.default_rng(0)
    for num in (8, 20, 50):
        features = np.concatenate([np.ones((num, 1)), rng.normal(size=(num, 6))], axis=1)
        costs = 8 + features[:, 1] + features[:, 4] + rng.normal(0, 0.3, num)
        errors = []
        for penalty in np.geomspace(1e-4, 1e6, 21):
            left = []
            for out in range(num):
                keep = np.arange(num) != out
                # The unit of the penalties is the mean cost, which stays that of all.
                factor = (costs.mean() / costs[keep].mean()) ** 2
                weights = fitted(features[keep], costs[keep], penalty / factor)
                left.append(features[out] @ weights / costs[out] - 1)
            errors.append(np.mean(np.square(left)))
        best = np.geomspace(1e-4, 1e6, 21)[int(np.argmin(errors))]
        np.testing.assert_allclose(
            ridge(features, costs), fitted(features, costs, best), rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ridge", "line"])
def test_costs_in_the_unit_of_the_other_device(form) -> None:
    predictor = counting()
    measured = 2.0 + 3 * (ARCHS == 3).sum(1)
    cost = P.transfer(predictor, jnp.float32(0.5), ARCHS, measured, form=form)
    found = jax.jit(lambda cost, archs: cost(archs))(cost, ARCHS)
    np.testing.assert_allclose(found, measured, rtol=1e-3)
    np.testing.assert_allclose(jax.vmap(cost)(jnp.asarray(ARCHS)), found, rtol=1e-5)
    assert cost(jnp.asarray(ARCHS[3])).shape == ()
    assert cost(jnp.asarray(ARCHS[:6]).reshape(2, 3, 6)).shape == (2, 3)


def test_a_space_without_flops() -> None:
    """Those of `spaces.product` are 0 for all architectures, which must not be divided by."""
    space = jnas.spaces.product({"kernel": range(8), "width": range(5)})
    predictor = P.mlp(space)._replace(predict=lambda _, archs: archs[:, 0].astype(jnp.float32))
    archs = space.enumerate()
    measured = 1.0 + archs[:, 0]
    cost = P.transfer(predictor, None, archs[::3], measured[::3])
    np.testing.assert_allclose(cost(jnp.asarray(archs)), measured, rtol=1e-3)


@pytest.mark.slow
def test_a_search_takes_the_cost() -> None:
    cost = P.transfer(
        counting(), jnp.float32(0.5), ARCHS, 2.0 + 3 * (ARCHS == 3).sum(1), form="line"
    )
    tight = jnas.search.constrained(SPACE, lambda arch: cost(arch) < 6)
    archs = jax.jit(jax.vmap(tight.sample))(jax.random.split(jax.random.key(0), 20))
    assert ((np.asarray(archs) == 3).sum(1) <= 1).all()


def test_errors() -> None:
    predictor, state = counting(), jnp.float32(1)
    measured = np.ones(len(ARCHS))
    with pytest.raises(ValueError, match=r"unknown form 'lines'\. Did you mean 'line'"):
        P.transfer(predictor, state, ARCHS, measured, form="lines")
    with pytest.raises(ValueError, match="costs must be above 0; got 0"):
        P.transfer(predictor, state, ARCHS, measured * 0)
    with pytest.raises(ValueError, match=r"targets must be \(\d+,\) like archs; got \(3,\)"):
        P.transfer(predictor, state, ARCHS, measured[:3])
    with pytest.raises(ValueError, match="at least two architectures with a finite score; got 1"):
        P.transfer(predictor, state, ARCHS[:1], measured[:1])
    with pytest.raises(ValueError, match="form 'ridge' needs 5 measurements; got 4"):
        P.transfer(predictor, state, ARCHS[:4], measured[:4])


@pytest.mark.slow
def test_real_latencies(data_folder) -> None:
    """From a CPU to another one and to an ASIC, where operations must correct the ranking."""
    del data_folder
    table = jnas.benchmarks.hardware()
    rows = np.random.default_rng(0).permutation(len(table.archs))
    few, others = rows[:20], rows[20:2020]
    estimator, key = table.estimator("latency:gold_6226"), jax.random.key(0)
    # The estimator of a cost is negative, so that higher is better.
    source = P.mlp(SPACE)._replace(predict=lambda key, archs: -estimator(key, archs))
    errors, taus = {}, {}
    for device in ("silver_4114", "eyeriss"):
        latency = table.column(f"latency:{device}")
        for form in ("line", "ridge"):
            cost = P.transfer(source, key, table.archs[few], latency[few], form=form)
            found = np.asarray(jax.jit(lambda cost, archs: cost(archs))(cost, table.archs[others]))
            errors[device, form] = np.abs(found / latency[others] - 1).mean()
            taus[device, form] = float(jnas.metrics.kendall_tau(found, latency[others]))
    ranked = jnas.metrics.kendall_tau(
        table.column("latency:gold_6226")[others], table.column("latency:eyeriss")[others]
    )
    assert taus["eyeriss", "line"] == pytest.approx(float(ranked), abs=1e-3)
    assert errors["silver_4114", "line"] < 0.25
    assert errors["eyeriss", "ridge"] < errors["eyeriss", "line"]
    assert taus["eyeriss", "ridge"] > taus["eyeriss", "line"] + 0.1
