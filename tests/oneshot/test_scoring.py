"""One-shot estimators: those of networks alone with the same weights, whatever stands beside."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from jnas import metrics, oneshot, population, spaces, zeroshot
from jnas.data import normalise
from jnas.types import Dataset, Images

# None at all, one path, a dead branch, and some at random.
ARCHS = np.concatenate(
    [
        [[0] * 6, [3, 0, 0, 0, 3, 0], [3, 2, 4, 1, 3, 0]],
        np.random.default_rng(0).integers(0, 5, (4, 6)),
    ]
).astype(np.int32)


@pytest.fixture(scope="module")
def scores(supernet: oneshot.Supernet, stripes: Dataset) -> dict[str, np.ndarray]:
    suite = oneshot.suite(supernet.select(0), stripes, batch_size=10)
    found = population.score(suite, ARCHS, jax.random.key(0), progress=False)
    return {name: np.asarray(values) for name, values in found.items()}


def test_scores_are_unweighted_means_over_batches_of_networks_alone(
    scores: dict[str, np.ndarray], supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    params = jax.tree.map(lambda leaf: leaf[0], supernet.params)
    x, y = stripes.validation.x, np.asarray(stripes.validation.y)
    for number, arch in enumerate(ARCHS[:5]):
        alone = supernet.network.own(arch)
        parts = []
        for begin in (0, 10, 20):
            rows = slice(begin, min(begin + 10, 24))
            logits = jax.jit(alone.apply)(params, arch, normalise(x[rows], stripes))
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]).mean()
            parts.append([(logits.argmax(axis=1) == y[rows]).mean(), loss])
        accuracy, loss = np.mean(parts, axis=0)
        assert scores["accuracy"][number] == pytest.approx(accuracy, abs=1e-6)
        assert scores["loss"][number] == pytest.approx(-loss, rel=1e-5)


def test_scores_depend_on_nothing_but_the_architecture(
    scores: dict[str, np.ndarray], supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    one = oneshot.estimator(supernet.select(0), stripes, "loss", batch_size=10)
    order = np.array([4, 2, 0, 6])
    found = population.score(one, ARCHS[order], jax.random.key(7), progress=False)
    np.testing.assert_array_equal(found, scores["loss"][order])


@pytest.mark.slow
def test_several_supernets_are_averaged(supernet: oneshot.Supernet, stripes: Dataset) -> None:
    archs, key = jax.numpy.asarray(ARCHS), jax.random.key(0)
    both, *each = (
        jax.jit(oneshot.estimator(part, stripes, "loss", batches=1, batch_size=8))(key, archs)
        for part in (supernet, supernet.select(0), supernet.select(1))
    )
    np.testing.assert_allclose(both, np.mean(each, axis=0), rtol=1e-5)


@pytest.mark.slow
def test_the_image_does_not_reach_through_a_cell_without_edges(
    supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    params = jax.tree.map(lambda leaf: leaf[0], supernet.params)
    logits = supernet.network.apply(params, ARCHS[0], normalise(stripes.validation.x, stripes))
    np.testing.assert_allclose(logits, np.broadcast_to(logits[:1], logits.shape), atol=1e-6)


def test_a_class_of_isomorphic_cells_differs_in_shared_weights(
    supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    """The weights of an edge are its own: equal cells on other edges are other networks."""
    space = spaces.nasbench201()
    one, other = np.array([[1, 0, 0, 4, 3, 0], [1, 0, 0, 3, 4, 0]], np.int32)
    assert (
        space.identity(jax.numpy.asarray(one)) == space.identity(jax.numpy.asarray(other))
    ).all()
    estimator = oneshot.estimator(supernet, stripes, "loss")
    found = population.score(estimator, np.stack([one, other]), jax.random.key(0), progress=False)
    assert abs(found[0] - found[1]) > 1e-4


def test_what_cannot_be_scored_is_refused(supernet: oneshot.Supernet, stripes: Dataset) -> None:
    with pytest.raises(ValueError, match="unknown criterion 'los'"):
        oneshot.estimator(supernet, stripes, "los")
    with pytest.raises(ValueError, match="batch_size must be at least 2"):
        oneshot.estimator(supernet, stripes, batch_size=1)
    with pytest.raises(ValueError, match="batches must be in 1 … 3"):
        oneshot.estimator(supernet, stripes, batch_size=10, batches=4)
    empty = Images(stripes.validation.x[:0], stripes.validation.y[:0])
    with pytest.raises(ValueError, match="no validation images"):
        oneshot.estimator(supernet, dataclasses.replace(stripes, validation=empty))


def test_a_study_ranks_after_each_epoch_that_was_kept(
    scores: dict[str, np.ndarray], supernet: oneshot.Supernet, stripes: Dataset, tmp_path: Path
) -> None:
    truth = np.arange(len(ARCHS), dtype=float)
    found = oneshot.study(supernet, stripes, ARCHS, truth, batch_size=10, out=tmp_path / "study")
    assert found.epochs == (2, 3, 4)
    np.testing.assert_array_equal(found.scores["loss"][-1, 0], scores["loss"])
    np.testing.assert_array_equal(found.scores["accuracy"][-1, 0], scores["accuracy"])
    taus = found.criteria("loss")["kendall"]
    assert taus.shape == (3, 2)
    assert taus[-1, 0] == pytest.approx(float(metrics.kendall_tau(scores["loss"], truth)), abs=1e-6)
    assert set(found.table()) == {"accuracy", "loss", "params", "flops"}
    assert found.table()["loss"]["kendall"][0] == pytest.approx(taus[-1].mean(), abs=1e-6)
    with pytest.raises(ValueError, match="epoch 1 was not studied, but 2, 3, 4"):
        found.table(1)
    with pytest.raises(ValueError, match=r"unknown criterion 'los'\. Did you mean 'loss'"):
        found.criteria("los")
    with pytest.raises(ValueError, match="equal"):
        oneshot.study(supernet, stripes, ARCHS, np.ones(len(ARCHS)))
    with pytest.raises(ValueError, match="one for each architecture"):
        oneshot.study(supernet, stripes, ARCHS, truth[:3])
    with pytest.raises(ValueError, match="no weights were kept after epoch 1"):
        oneshot.study(supernet, stripes, ARCHS, truth, epochs=(1,))


@pytest.mark.slow
def test_zero_shot_scores_see_the_trained_weights(
    supernet: oneshot.Supernet, stripes: Dataset
) -> None:
    images = normalise(stripes.train.x[:8], stripes)
    archs, key = jax.numpy.asarray(ARCHS[1:3]), jax.random.key(0)
    trained = zeroshot.naswot(oneshot.with_weights(supernet), images)
    untrained = zeroshot.naswot(supernet.network, images)
    found = jax.jit(trained)(key, archs)
    np.testing.assert_array_equal(found, jax.jit(trained)(jax.random.key(1), archs))
    assert not np.allclose(found, jax.jit(untrained)(key, archs))
