"""Training as an estimator and as an objective: the same accuracies, paused trainings go on."""

import pickle

import jax
import numpy as np
import pytest

from jnas import population, search, training
from jnas.training import course as courses
from jnas.types import Dataset, Network

ARCHS = np.array([[3, 3, 3, 1, 3, 3], [2, 4, 1, 1, 0, 3]], np.int32)


def test_the_estimator_scores_as_networks_are_trained(
    network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    judge = training.estimator(network, stripes, recipe, measure="validation_loss")
    scores = population.score(judge, ARCHS, jax.random.key(5))
    trained = training.train(network, ARCHS, stripes, recipe, 5)
    np.testing.assert_allclose(scores, -trained.curves["validation_loss"][:, -1], rtol=1e-5)
    again = training.estimator(network, stripes, recipe, measure="validation_loss")
    assert jax.tree.structure(again) == jax.tree.structure(judge)


@pytest.mark.parametrize("is_kept", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_paused_trainings_go_on(
    network: Network,
    stripes: Dataset,
    recipe: training.Recipe,
    tmp_path,
    monkeypatch,
    is_kept: bool,
) -> None:
    out = tmp_path / "paused" if is_kept else None
    answer = training.objective(network, stripes, recipe, 5, out=out)
    trained = training.train(network, ARCHS, stripes, recipe, 5)
    epochs: list[int] = []
    advance = courses.advance

    def counting(
        course: courses.Course, *arguments: object, until: int, **options: object
    ) -> object:
        epochs.append(max(until - course.num_epochs, 0))
        return advance(course, *arguments, until=until, **options)

    monkeypatch.setattr(courses, "advance", counting)
    for number in (1, 3, 0, 2):
        score, seconds = answer(ARCHS[0], number)
        expected = trained.curves["validation_accuracy"][0, (number or 4) - 1]
        np.testing.assert_allclose(score, expected, rtol=1e-6)
        assert seconds > 0
    assert epochs == [1, 2, 1, 0]
    if is_kept:
        # Another process goes on from the folder.
        elsewhere = pickle.loads(pickle.dumps(answer))
        assert elsewhere(ARCHS[0], 4)[0] == answer(ARCHS[0], 4)[0]
        assert epochs[4:] == [0, 0]


def test_a_search_on_real_trainings(
    network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    answer = training.objective(network, stripes, recipe, 5)
    bohb = search.bohb(network.space, min_epochs=1, max_epochs=4, eta=2)
    found = search.run_on_host(bohb, answer, jax.random.key(0), num_evaluations=9, progress=False)
    assert not found.failures
    assert set(np.asarray(found.history.epochs).tolist()) <= {1, 2, 4}
    assert float(found.history.best_so_far[-1]) > 0.5


def test_bad_arguments(network: Network, stripes: Dataset, recipe: training.Recipe) -> None:
    with pytest.raises(ValueError, match="Did you mean 'test_accuracy'"):
        training.objective(network, stripes, recipe, measure="test_acuracy")
    answer = training.objective(network, stripes, recipe)
    with pytest.raises(ValueError, match=r"epochs must be in 1 … 4, or 0 for 4; got 5"):
        answer(ARCHS[0], 5)
