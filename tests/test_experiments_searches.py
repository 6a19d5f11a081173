"""Searches in experiments: what was paid for what, fronts, and areas, against loops by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from configs import pareto_latency as config
from experiments import nasbench301_search, pareto_latency
from jnas.benchmarks.surrogate301 import MAX_EPOCHS
from jnas.types import History


def history(scores: np.ndarray, epochs: np.ndarray) -> History:
    """Histories `[S, T]` whose architectures are the numbers of their evaluations."""
    num, length = scores.shape
    archs = jnp.asarray(np.arange(num * length).reshape(num, length, 1), jnp.int32)
    zeros = jnp.zeros((num, length), jnp.int32)
    rows = archs, jnp.asarray(scores, jnp.float32), jnp.zeros(scores.shape)
    counts, no = jnp.full(num, length, jnp.int32), jnp.zeros(num, bool)
    return History(*rows, jnp.asarray(epochs, jnp.int32), zeros, counts, no, 0 * counts, no)


def test_short_trainings_are_paid_and_do_not_count() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(4, 60)).round(3)
    epochs = random.choice([10, 32, MAX_EPOCHS], size=scores.shape)
    found = nasbench301_search.by_trainings(history(scores, epochs), 12)
    for s in range(len(scores)):
        for budget in range(1, 13):
            paid, best, answer = 0, np.nan, 0
            for t, (score, num) in enumerate(zip(scores[s], epochs[s], strict=True)):
                paid += num
                if paid > budget * MAX_EPOCHS:
                    break
                if num == MAX_EPOCHS and not score <= best:
                    best, answer = score, t
            assert found.curves[s, budget - 1] == pytest.approx(best, abs=1e-6, nan_ok=True)
        assert found.answers[s, 0] == s * scores.shape[1] + answer


def test_no_number_of_epochs_is_a_whole_training() -> None:
    scores = np.array([[1.0, 3.0, 2.0]])
    found = nasbench301_search.by_trainings(history(scores, np.zeros((1, 3))), 3)
    np.testing.assert_array_equal(found.curves, [[1, 3, 3]])
    assert found.answers.tolist() == [[1]]
    with pytest.raises(RuntimeError, match="a search has paid for less than 4 trainings"):
        nasbench301_search.by_trainings(history(scores, np.zeros((1, 3))), 4)


def test_a_search_that_has_ended_keeps_its_answer() -> None:
    curve = nasbench301_search._curve({"curves": ["nan 1.5 2.5 nan", "1.0 1.0 3.0 4.0"]})
    np.testing.assert_array_equal(curve[:, 1:], [[1.5, 2.5, 2.5], [1.0, 3.0, 4.0]])
    assert np.isnan(curve[0, 0])


def test_the_front_of_everything_has_all_of_the_area() -> None:
    """On the real table, with the number of parameters as the cost."""
    table = jnas.benchmarks.nasbench201("cifar10")
    scores = table.column("val_accuracy")
    front = pareto_latency.front_of(table.archs, scores, table.space.params)
    ascending = np.argsort(front.costs[:, 0])
    assert (np.diff(front.scores[ascending]) > 0).all()
    assert front.scores.max() == pytest.approx(scores.max())
    half = pareto_latency.front_of(table.archs[::2], scores[::2], table.space.params)
    reference = config.CONFIG.reference, float(front.costs.max())
    areas = [jnas.search.hypervolume(of, reference=reference) for of in (half, front)]
    assert 0.8 * areas[1] < areas[0] < areas[1]
    assert pareto_latency._points(front) & pareto_latency._points(half)
