"""Calibrations: the nearest monotone function, in the unit of the targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

import jnas
from jnas.predictors.calibration import isotonic

SPACE = jnas.spaces.nasbench201()


def test_isotonic_regression_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for num in (2, 5, 60):
        scores = rng.normal(size=num).round(1)
        targets = 90 + scores + rng.normal(size=num)
        places, values = isotonic(scores, targets)
        expected = IsotonicRegression().fit(scores, targets).predict(places)
        np.testing.assert_allclose(values, expected, rtol=1e-12)
        assert (np.diff(places) > 0).all()
        assert (np.diff(values) >= 0).all()


def test_isotonic_regression_by_hand() -> None:
    # 3 and 1 pool to 2; the two targets of score 4 are one point of weight 2.
    places, values = isotonic(np.array([1, 2, 3, 4, 4.0]), np.array([0, 3, 1, 5, 7.0]))
    np.testing.assert_array_equal(places, [1, 2, 3, 4])
    np.testing.assert_array_equal(values, [0, 2, 2, 6])


def scaled() -> jnas.types.Predictor:
    """A predictor whose score is the first choice times its state."""
    return jnas.predictors.mlp(SPACE)._replace(
        predict=lambda state, archs: state * archs[:, 0].astype(jnp.float32)
    )


def test_scores_come_in_the_unit_of_the_targets() -> None:
    archs = np.stack([np.full(6, row) for row in range(4)]).astype(np.uint8)
    in_percent = jnas.predictors.calibrate(
        scaled(), jnp.float32(0.1), archs, [90.0, 92.0, 91.0, 94.0]
    )
    scores = jnp.array([-1.0, 0.0, 0.05, 0.1, 0.15, 0.25, 0.3, 9.0, jnp.nan])
    expected = [90, 90, 90.75, 91.5, 91.5, 92.75, 94, 94, np.nan]
    np.testing.assert_allclose(in_percent(scores), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(in_percent)(scores[None]), [expected], rtol=1e-6)


def test_what_cannot_be_calibrated_is_refused() -> None:
    archs, one = np.zeros((3, 6), np.int32), jnp.float32(1)
    calibrate = jnas.predictors.calibrate
    with pytest.raises(ValueError, match=r"targets must be \(3,\) like archs; got \(2,\)"):
        calibrate(scaled(), one, archs, [1.0, 2.0])
    with pytest.raises(ValueError, match="targets that are not finite: rows 2"):
        calibrate(scaled(), one, archs, [1.0, 2.0, np.nan])
    with pytest.raises(ValueError, match=r"targets beyond 8.5e\+37, .* rescaled: rows 1"):
        calibrate(scaled(), one, archs, [1.0, 1e43, 2.0])
    with pytest.raises(ValueError, match="at least two architectures with a finite score; got 0"):
        calibrate(scaled(), jnp.float32(jnp.nan), archs, [1.0, 2.0, 3.0])
