"""Training as an estimator and as an objective: the same accuracies, paused trainings go on."""

import pickle
from typing import NamedTuple

import jax
import numpy as np
import pytest

from jnas import population, search, training
from jnas.training import course as courses
from jnas.types import Dataset, Network
from tests.oracles import widths


class Case(NamedTuple):
    """A network, architectures, and what they are trained as with key 5."""

    network: Network
    archs: np.ndarray
    trained: training.Trained


@pytest.fixture(
    scope="module", params=["widths", pytest.param("nasbench201", marks=pytest.mark.slow)]
)
def case(request: pytest.FixtureRequest, stripes: Dataset, recipe: training.Recipe) -> Case:
    if request.param == "nasbench201":
        trained = request.getfixturevalue("together")
        return Case(trained.network, trained.archs, trained)
    trained = training.train(widths.NETWORK, widths.ARCHS, stripes, recipe, 5)
    return Case(widths.NETWORK, widths.ARCHS, trained)


@pytest.mark.slow
def test_the_estimator_scores_as_networks_are_trained(
    case: Case, stripes: Dataset, recipe: training.Recipe
) -> None:
    judge = training.estimator(case.network, stripes, recipe, measure="validation_loss")
    scores = population.score(judge, case.archs, jax.random.key(5))
    expected = -case.trained.curves["validation_loss"][:, -1]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    again = training.estimator(case.network, stripes, recipe, measure="validation_loss")
    assert jax.tree.structure(again) == jax.tree.structure(judge)


@pytest.mark.parametrize("is_kept", [pytest.param(False, marks=pytest.mark.slow), True])
def test_paused_trainings_go_on(
    case: Case,
    stripes: Dataset,
    recipe: training.Recipe,
    tmp_path,
    monkeypatch,
    is_kept: bool,
) -> None:
    out = tmp_path / "paused" if is_kept else None
    answer = training.objective(case.network, stripes, recipe, 5, out=out)
    epochs: list[int] = []
    advance = courses.advance

    def counting(
        course: courses.Course, *arguments: object, until: int, **options: object
    ) -> object:
        epochs.append(max(until - course.num_epochs, 0))
        return advance(course, *arguments, until=until, **options)

    monkeypatch.setattr(courses, "advance", counting)
    arch = case.archs[-1]
    for number in (1, 3, 0, 2):
        score, seconds = answer(arch, number)
        expected = case.trained.curves["validation_accuracy"][-1, (number or 4) - 1]
        np.testing.assert_allclose(score, expected, rtol=1e-6)
        assert seconds > 0
    assert epochs == [1, 2, 1, 0]
    if is_kept:
        # Another process goes on from the folder; networks of jnas can go there by pickle.
        elsewhere = training.objective(case.network, stripes, recipe, 5, out=out)
        if case.network.space.name == "nasbench201":
            elsewhere = pickle.loads(pickle.dumps(answer))
        assert elsewhere(arch, 4)[0] == answer(arch, 4)[0]
        assert epochs[4:] == [0, 0]


def test_a_search_on_real_trainings(case: Case, stripes: Dataset, recipe: training.Recipe) -> None:
    answer = training.objective(case.network, stripes, recipe, 5)
    bohb = search.bohb(case.network.space, min_epochs=1, max_epochs=4, eta=2)
    found = search.run_on_host(bohb, answer, jax.random.key(0), num_evaluations=9, progress=False)
    assert not found.failures
    assert set(np.asarray(found.history.epochs).tolist()) <= {1, 2, 4}
    assert float(found.history.best_so_far[-1]) > 0.5


def test_bad_arguments(network: Network, stripes: Dataset, recipe: training.Recipe) -> None:
    with pytest.raises(ValueError, match="Did you mean 'test_accuracy'"):
        training.objective(network, stripes, recipe, measure="test_acuracy")
    answer = training.objective(network, stripes, recipe)
    with pytest.raises(ValueError, match=r"epochs must be in 1 … 4, or 0 for 4; got 5"):
        answer(np.zeros(6, np.int32), 5)
