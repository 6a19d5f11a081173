"""Paired tests against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from jnas.commands.paired import holm, sign_flip_test


@pytest.mark.parametrize("num", [2, 7, 14])
def test_exact_p_values(num: int) -> None:
    values = np.random.default_rng(num).normal(0.5, 1, num)
    assert sign_flip_test(values) == pytest.approx(
        stats.permutation_test(
            (values, np.zeros(num)),
            lambda a, b: np.mean(a - b),
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
    )


def test_drawn_p_values() -> None:
    values = np.random.default_rng(0).normal(0.25, 1, 60)
    # For many pairs the mean is normal, as in the t-test.
    assert sign_flip_test(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert sign_flip_test(values) == sign_flip_test(values)
    assert sign_flip_test(values) == sign_flip_test(-1e30 * values)


def test_equal_results_prove_nothing() -> None:
    assert sign_flip_test(np.zeros(9)) == sign_flip_test(np.zeros(0)) == 1
    assert sign_flip_test(np.array([3.0])) == 1
    assert sign_flip_test(np.array([0.1, 0.1, 0.1, 0, 0])) == 2 / 2**3


def test_holm() -> None:
    """By hand: 3 x .01, then 2 x .02 = .04, then the larger of .04 and .03."""
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.02])), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])
    assert holm(np.zeros(0)).tolist() == []
