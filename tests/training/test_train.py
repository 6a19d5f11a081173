"""Training of networks: together as alone, killed and gone on, what does not fit, what diverges."""

import dataclasses
import functools

import chex
import jax
import numpy as np
import pytest

from jnas import networks, training
from jnas.data import Augmentation, normalise
from jnas.engine import trainings
from jnas.networks.convolution import conv
from jnas.training import course as courses
from jnas.training.steps import setup, start
from jnas.training.train import train
from jnas.types import Dataset, Network
from tests.oracles.nasbench201 import TRAINED as ARCHS


def test_learns_what_can_be_learnt(together: training.Trained, stripes: Dataset) -> None:
    accuracy = together.curves["test_accuracy"]
    assert accuracy.shape == (4, 4)
    # A convolution tells directions apart, a cell without a path cannot.
    assert accuracy[0, -1] > 0.9
    assert accuracy[1, -1] < 0.7
    assert together.curves["train_loss"][0, -1] < together.curves["train_loss"][0, 0]
    np.testing.assert_array_equal(together.failed_at, 0)
    # What is measured at the end is what the networks answer.
    right = (together.predict(stripes.test.x).argmax(-1) == stripes.test.y).mean(axis=1)
    np.testing.assert_allclose(right, accuracy[:, -1], rtol=1e-6)


def test_an_image_alone_is_as_among_others(together: training.Trained, stripes: Dataset) -> None:
    logits = together.predict(stripes.test.x)
    alone = np.concatenate([together.predict(image[None]) for image in stripes.test.x[:4]], axis=1)
    np.testing.assert_allclose(alone, logits[:, :4], rtol=1e-4, atol=1e-5)
    assert together.predict(stripes.test.x[:0]).shape == (4, 0, 2)


def assert_close(one: training.Trained, other: training.Trained) -> None:
    """The same weights and curves, to rounding that training amplifies."""
    close = functools.partial(chex.assert_trees_all_close, rtol=1e-3, atol=1e-4)
    close(one.params, other.params)
    close(one.curves, other.curves)


def test_each_is_trained_as_in_other_company(
    together: training.Trained, network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    # With one key equal architectures are one training; with keys of their own they are not.
    chex.assert_trees_all_equal(together.select(1).params, together.select(3).params)
    keys = jax.random.split(jax.random.key(1), 3).at[1].set(jax.random.key(5))
    # As many different ones as before, and so the same program: the second in other company.
    apart = train(network, ARCHS[[0, 2, 0]], stripes, recipe, keys)
    assert_close(apart.select(1), together.select(2))
    kernels = apart.params["stem"]["conv"]
    assert not np.allclose(kernels[0], kernels[2])


@pytest.mark.slow
def test_alone_by_the_program_of_a_population(
    together: training.Trained, network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    alone = train(network, ARCHS[2:3], stripes, recipe, 5, own=False)
    assert_close(alone, together.select(2))
    keys = jax.random.split(jax.random.key(1), 2)
    apart = train(network, ARCHS[[0, 0]], stripes, recipe, keys)
    one = train(network, ARCHS[:1], stripes, recipe, keys[1], own=False)
    assert_close(one, apart.select(1))


@pytest.mark.parametrize("parallel", [None, pytest.param(True, marks=pytest.mark.slow)])
def test_a_program_of_its_own_trains_the_same(
    together: training.Trained,
    network: Network,
    stripes: Dataset,
    recipe: training.Recipe,
    parallel: bool | None,
) -> None:
    own = train(network, ARCHS[:1], stripes, recipe, 5, parallel=parallel)
    # Rounding differs, and training amplifies it.
    for name, curve in own.curves.items():
        np.testing.assert_allclose(curve[:, 0], together.curves[name][:1, 0], rtol=1e-3, atol=1e-6)
    assert own.curves["test_accuracy"][0, -1] > 0.9


def test_goes_on_after_a_kill(
    together: training.Trained,
    network: Network,
    stripes: Dataset,
    recipe: training.Recipe,
    tmp_path,
    monkeypatch,
) -> None:
    add, done = trainings._Work.add, []

    def failing(work: object, block: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        add(work, block)

    with monkeypatch.context() as patch:
        patch.setattr(trainings._Work, "add", failing)
        with pytest.raises(KeyboardInterrupt):
            train(network, ARCHS, stripes, recipe, 5, out=tmp_path / "run")
    assert len(done) == 2
    counted = []

    def counting(work: object, block: object) -> None:
        counted.append(1)
        add(work, block)

    with monkeypatch.context() as patch:
        patch.setattr(trainings._Work, "add", counting)
        again = train(network, ARCHS, stripes, recipe, 5, out=tmp_path / "run")
        # Only what was left: two epochs of four. Then all is there, and nothing is trained.
        assert len(counted) == 2
        kept = train(network, ARCHS, stripes, recipe, 5, out=tmp_path / "run")
        assert len(counted) == 2
    for found in (again, kept, training.load(tmp_path / "run" / "trained.npz")):
        chex.assert_trees_all_equal(found.params, together.params)
        chex.assert_trees_all_equal(found.curves, together.curves)
        assert found.network is network
        assert found.recipe == together.recipe
        assert found.dataset.classes == stripes.classes
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"trained.npz", ".jnas.json"}
    with pytest.raises(ValueError, match="holds another job"):
        train(network, ARCHS, stripes, recipe, 6, out=tmp_path / "run")


@pytest.mark.slow
def test_one_network_goes_on_after_a_kill(
    network: Network, stripes: Dataset, recipe: training.Recipe, tmp_path, monkeypatch
) -> None:
    whole = train(network, ARCHS[:1], stripes, recipe, 5)
    advance = courses.advance

    def stopped(*arguments: object, until: int, **options: object) -> object:
        advance(*arguments, until=2, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(courses, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(network, ARCHS[:1], stripes, recipe, 5, out=tmp_path)
    again = train(network, ARCHS[:1], stripes, recipe, 5, out=tmp_path)
    chex.assert_trees_all_equal(again.params, whole.params)
    chex.assert_trees_all_equal(again.curves, whole.curves)


def test_a_second_epoch_is_no_second_program(
    network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    """Weak types, as Python's numbers have, would be others than those that an epoch returns."""
    of = setup(network, recipe, stripes)
    state = jax.eval_shape(functools.partial(start, of), jax.random.key(0), ARCHS[0])
    assert not [leaf for leaf in jax.tree.leaves(state) if getattr(leaf, "weak_type", False)]


def test_a_diverged_training_is_told(
    network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    # Images of infinite pixels go through the program of the trainings above.
    broken = dataclasses.replace(stripes, std=np.zeros_like(stripes.std))
    found = train(network, ARCHS[:1], broken, recipe, 0)
    assert 1 <= found.failed_at[0] <= 4
    assert not np.isfinite(found.curves["train_loss"][0, found.failed_at[0] - 1])


@pytest.mark.slow
def test_without_weights(
    network: Network, stripes: Dataset, recipe: training.Recipe, tmp_path
) -> None:
    found = train(network, ARCHS, stripes, recipe, 5, weights=False, out=tmp_path)
    assert found.params is None
    assert training.load(tmp_path / "trained.npz").params is None
    with pytest.raises(ValueError, match="weights=True"):
        found.predict(stripes.test.x)


def test_what_does_not_fit(network: Network, stripes: Dataset, recipe: training.Recipe) -> None:
    more = networks.nasbench201(channels=2, cells=1, stages=1, num_classes=3, in_channels=1)
    with pytest.raises(ValueError, match="stripes has 2 classes, the network 3"):
        train(more, ARCHS, stripes, recipe)
    colour = networks.nasbench201(channels=2, cells=1, stages=1, num_classes=2)
    with pytest.raises(ValueError, match="the network takes images"):
        train(colour, ARCHS, stripes, recipe)
    with pytest.raises(ValueError, match="architecture 1 of 2 is not valid"):
        train(network, np.array([[0] * 6, [9] * 6]), stripes, recipe)
    with pytest.raises(ValueError, match="no architecture to train"):
        train(network, ARCHS[:0], stripes, recipe)
    with pytest.raises(ValueError, match="Did you mean 'quick'"):
        train(network, ARCHS, stripes, "quik")
    with pytest.raises(ValueError, match=r"key must be \[4\] keys"):
        train(network, ARCHS, stripes, recipe, jax.random.split(jax.random.key(0), 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"norm_momentum": 0.3, "is_precise": False, "dropout": 0.2, "drop_path": 0.2},
        pytest.param({"precision": "bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"dropout": 0.2, "drop_path": 0.2}, marks=pytest.mark.slow),
        pytest.param({"norm_momentum": 0.3, "is_precise": False}, marks=pytest.mark.slow),
        pytest.param(
            {"augmentation": Augmentation(crop=1, cutout=2, mixup=0.2, jitter=0.1)},
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_recipes_learn(
    network: Network, stripes: Dataset, recipe: training.Recipe, changes: dict[str, object]
) -> None:
    found = train(network, ARCHS[:1], stripes, recipe._replace(**changes), 5)
    assert found.curves["test_accuracy"][0, -1] > 0.8
    plain = train(network, ARCHS[:1], stripes, recipe, 5)
    assert found.curves["validation_loss"][0, -1] != plain.curves["validation_loss"][0, -1]
    assert found.params["stem"]["conv"].dtype == np.float32
    assert all(s.mean.dtype == np.float32 for s in found.statistics)


def test_precise_statistics_are_those_of_all_training_images(
    network: Network, stripes: Dataset, recipe: training.Recipe
) -> None:
    found = train(network, ARCHS[:1], stripes, recipe._replace(batch_size=256), 5)
    # One batch of all training images: the norm of the stem has its mean and variance.
    x = np.asarray(normalise(stripes.train.x, stripes))
    y = conv(jax.numpy.asarray(x), jax.numpy.asarray(found.params["stem"]["conv"][0]))
    order = [s.mean.shape[-1] for s in found.statistics]
    stem = found.statistics[len(order) - 1]
    np.testing.assert_allclose(stem.mean[0], np.mean(y, axis=(0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(stem.var[0], np.var(y, axis=(0, 1, 2)), rtol=1e-3)
