import jax
import numpy as np
import pytest

from jnas.oneshot import analysis


def test_class_means_are_those_of_the_members():
    scores = np.random.default_rng(0).normal(size=(2, 7)).astype(np.float32)
    member = np.array([0, 1, 0, 3, 1, 1, 0])
    found = jax.jit(analysis.class_means, static_argnums=2)(scores, member, 4)
    for place, group in enumerate(member):
        expected = scores[:, member == group].mean(axis=1)
        np.testing.assert_allclose(found[:, place], expected, rtol=1e-5, atol=1e-6)
    # Averaged once more, nothing changes.
    np.testing.assert_allclose(analysis.class_means(found, member, 4), found, rtol=1e-5, atol=1e-6)


def test_running_means_of_equal_checkpoints_are_these():
    scores = np.random.default_rng(1).normal(size=5).astype(np.float32)
    found = analysis.running_means(np.stack([scores] * 4), 3)
    np.testing.assert_allclose(found, np.stack([scores] * 4), rtol=1e-6)


def test_running_means_are_of_the_last_checkpoints():
    scores = np.random.default_rng(2).normal(size=(4, 2, 5)).astype(np.float32)
    found = analysis.running_means(scores, 2)
    np.testing.assert_allclose(found[0], scores[0], rtol=1e-6)
    np.testing.assert_allclose(found[3], (scores[2] + scores[3]) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(analysis.running_means(scores, 1), scores)


def test_forgetting_values_are_what_was_lost():
    after, later = np.array([[0.5, 0.6, 0.7]]), np.array([[0.4, 0.7, 0.4]])
    values = analysis.forgetting_values(after, later)
    np.testing.assert_allclose(values, [[0.1, -0.1, 0.3]], atol=1e-6)
    found = analysis.forgetting(np.append(values[0], np.nan))
    np.testing.assert_allclose(found.mean, 0.1, atol=1e-6)
    np.testing.assert_allclose(found.share_positive, 2 / 3, atol=1e-6)
    np.testing.assert_allclose(found.deviation, np.std([0.1, -0.1, 0.3]), atol=1e-6)
    assert int(found.num) == 3


def test_shapes_that_do_not_fit_are_refused():
    scores = np.zeros((2, 3))
    with pytest.raises(ValueError, match="class_of must be integers"):
        analysis.class_means(scores, np.zeros(2, int), 1)
    with pytest.raises(ValueError, match="num ≥ 1"):
        analysis.running_means(scores, 0)
    with pytest.raises(ValueError, match="one shape"):
        analysis.forgetting_values(scores, scores[0])
