"""Training of supernets: seeds side by side, killed and gone on, kept on the way, refused."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jnas import networks, oneshot
from jnas.engine import trainings
from jnas.types import Dataset, Images, Network


def test_learns(supernet: oneshot.Supernet) -> None:
    loss = supernet.curves["loss"]
    assert loss.shape == (2, 4)
    assert (loss[:, -1] < loss[:, 0]).all()
    np.testing.assert_array_equal(supernet.failed_at, 0)
    np.testing.assert_array_equal(supernet.curves["rate"], 1)
    assert repr(supernet) == "Supernet of nasbench201, 2 after 4 epochs"


def test_the_published_supernet_has_as_many_weights() -> None:
    network = networks.nasbench201(affine=False, bias=False)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert count(shapes["stages"]) == 1_612_800
    assert count(shapes) == 1_686_106


def test_together_is_alone(
    supernet: oneshot.Supernet, network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    key = jax.random.split(jax.random.key(3), 2)[1]
    alone = oneshot.train(network, stripes, recipe, key, keep=(2, 3))
    chex.assert_trees_all_close(alone.params, supernet.select(1).params, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(alone.curves, supernet.select(1).curves, rtol=1e-4, atol=1e-5)


def test_images_spread_over_the_devices_train_the_same(
    supernet: oneshot.Supernet, network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    assert jax.local_device_count() == 2
    key = jax.random.split(jax.random.key(3), 2)[1]
    options: dict[str, Any] = {"keep": (2, 3), "until": 3}
    spread = oneshot.train(network, stripes, recipe, key, parallel=True, **options)
    wanted = supernet.select(1).at(3)
    chex.assert_trees_all_close(spread.params, wanted.params, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_goes_on_from_a_supernet(
    supernet: oneshot.Supernet, network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    key = jax.random.split(jax.random.key(3), 2)[1]
    supernet = supernet.select(1)
    half = oneshot.train(network, stripes, recipe, key, until=2)
    chex.assert_trees_all_close(half.params, supernet.at(2).params, rtol=1e-4, atol=1e-5)
    whole = oneshot.train(network, stripes, recipe, key, initial=half, keep=(3,))
    assert whole.num_epochs == 4
    chex.assert_trees_all_close(whole.params, supernet.params, rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(whole.at(3).params, supernet.at(3).params, rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(whole.curves, supernet.curves, rtol=1e-3, atol=1e-4)
    # The schedule is that of the epochs, whatever steps the supernet to go on from has counted.
    count = optax.tree.get(whole.state.optimizer, "count")
    moved = optax.tree.set(half.state.optimizer, count=np.array([70], np.int32))
    other = half._replace(state=half.state._replace(optimizer=moved))
    again = oneshot.train(network, stripes, recipe, key, initial=other, keep=(3,))
    np.testing.assert_array_equal(optax.tree.get(again.state.optimizer, "count"), count)
    np.testing.assert_array_equal(count, 4 * (48 // 16))
    with pytest.raises(ValueError, match="had 2"):
        oneshot.train(network, stripes, recipe, key, initial=half, until=2)
    with pytest.raises(ValueError, match="must be 2 of the same network"):
        oneshot.train(network, stripes, recipe, jax.random.split(key), initial=half)


def _kill_after(num: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings are killed after some blocks."""
    add, calls = trainings._Work.add, []

    def killed(work: Any, block: Any) -> None:
        if len(calls) == num:
            raise KeyboardInterrupt
        calls.append(block)
        add(work, block)

    monkeypatch.setattr(trainings._Work, "add", killed)


def test_a_killed_training_goes_on(
    network: Network,
    stripes: Dataset,
    recipe: oneshot.Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    supernet: oneshot.Supernet,
) -> None:
    keys = jax.random.split(jax.random.key(3), 2)
    _kill_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        oneshot.train(network, stripes, recipe, keys, keep=(2, 3), out=tmp_path / "run")
    monkeypatch.undo()
    again = oneshot.train(network, stripes, recipe, keys, keep=(2, 3), out=tmp_path / "run")
    chex.assert_trees_all_close(again.state, supernet.state)
    with pytest.raises(ValueError, match="another"):
        oneshot.train(network, stripes, recipe, jax.random.key(0), out=tmp_path / "run")


def test_an_earlier_supernet_knows_nothing_of_later_epochs(supernet: oneshot.Supernet) -> None:
    earlier = supernet.at(3)
    assert (earlier.num_epochs, earlier.epochs) == (3, (2,))
    chex.assert_trees_all_equal(earlier.at(2).params, supernet.at(2).params)
    with pytest.raises(ValueError, match=r"after epoch 3, but after 2$"):
        supernet.at(2).at(3)


def test_without_what_was_kept_the_last_epoch_stays(supernet: oneshot.Supernet) -> None:
    alone = supernet.without_kept()
    chex.assert_trees_all_equal(alone.params, supernet.params)
    assert sum(leaf.size for leaf in jax.tree.leaves(alone.state.kept)) == 0
    with pytest.raises(ValueError, match=r"after epoch 3, but after 4$"):
        alone.at(3)


def test_temporal_ensembles_are_means(supernet: oneshot.Supernet) -> None:
    chex.assert_trees_all_close(oneshot.averaged(supernet, (3, 3)).params, supernet.at(3).params)
    middle = oneshot.averaged(supernet, (2, 4)).params
    both = supernet.at(2).params, supernet.at(4).params
    chex.assert_trees_all_close(middle, jax.tree.map(lambda a, b: (a + b) / 2, *both), rtol=1e-6)
    with pytest.raises(ValueError, match="after epoch 1, but after 2, 3, 4"):
        supernet.at(1)
    with pytest.raises(ValueError, match="at least one epoch"):
        oneshot.averaged(supernet, ())


@pytest.fixture(scope="module")
def recipes(recipe: oneshot.Recipe) -> list[oneshot.Recipe]:
    """Two that differ in every number that they may differ in; no plateau cuts the first."""
    made = recipe.training._replace(
        learning_rate=0.02,
        final_learning_rate=0.0,
        weight_decay=0.0,
        momentum=0.5,
        clip_norm=0.5,
        label_smoothing=0.2,
        drop_path=0.2,
    )
    other = recipe._replace(training=made, plateau=oneshot.Plateau(0.5, 0, 0.9))
    return [recipe._replace(plateau=oneshot.Plateau()), other]


@pytest.fixture(scope="module")
def several(network: Network, stripes: Dataset, recipes: list[oneshot.Recipe]) -> oneshot.Supernet:
    return oneshot.train(network, stripes, recipes, jax.random.split(jax.random.key(3), 2))


def changed(made: oneshot.Recipe, **changes: Any) -> oneshot.Recipe:
    return made._replace(training=made.training._replace(**changes))


@pytest.mark.slow
def test_several_recipes_are_each_as_alone(
    several: oneshot.Supernet,
    supernet: oneshot.Supernet,
    network: Network,
    stripes: Dataset,
    recipes: list[oneshot.Recipe],
) -> None:
    key = jax.random.split(jax.random.key(3), 2)[1]
    alone = oneshot.train(network, stripes, recipes[1], key)
    assert alone.curves["rate"].min() < 1
    assert several.recipes == tuple(recipes)
    assert several.select(1).recipe == alone.recipe
    for one, other in ((several.select(0), supernet.select(0)), (several.select(1), alone)):
        chex.assert_trees_all_close(one.params, other.params, rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(one.curves, other.curves, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_program_serves_all_numbers(
    network: Network,
    stripes: Dataset,
    recipes: list[oneshot.Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, traced = importlib.import_module("jnas.oneshot.train"), []
    step = module.step
    monkeypatch.setattr(module, "step", lambda *args: traced.append(args) or step(*args))
    # Both recipes with one key.
    first = oneshot.train(network, stripes, recipes, 0)
    rates = changed(recipes[0], learning_rate=0.04), recipes[1]
    other = oneshot.train(network, stripes, rates, 0)
    # None where another test has already asked for the program.
    assert len(traced) <= 1
    loss = [one.curves["loss"] for one in (first, other)]
    assert (loss[0][0] != loss[1][0]).any()
    np.testing.assert_array_equal(loss[0][1], loss[1][1])


@pytest.mark.slow
def test_a_killed_training_of_several_recipes_goes_on(
    network: Network,
    stripes: Dataset,
    recipes: list[oneshot.Recipe],
    several: oneshot.Supernet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = jax.random.split(jax.random.key(3), 2)
    _kill_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        oneshot.train(network, stripes, recipes, keys, out=tmp_path / "run")
    monkeypatch.undo()
    again = oneshot.train(network, stripes, recipes, keys, out=tmp_path / "run")
    chex.assert_trees_all_close(again.state, several.state)
    other = [recipes[0], changed(recipes[1], momentum=0.6)]
    with pytest.raises(ValueError, match="another job"):
        oneshot.train(network, stripes, other, keys, out=tmp_path / "run")


@pytest.mark.slow
def test_several_recipes_go_on(
    network: Network, stripes: Dataset, recipes: list[oneshot.Recipe], several: oneshot.Supernet
) -> None:
    keys = jax.random.split(jax.random.key(3), 2)
    half = oneshot.train(network, stripes, recipes, keys, until=2)
    whole = oneshot.train(network, stripes, recipes, keys, initial=half)
    chex.assert_trees_all_close(whole.params, several.params, rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(whole.curves, several.curves, rtol=1e-3, atol=1e-4)


def test_several_recipes_differ_in_numbers_alone(
    network: Network, stripes: Dataset, recipes: list[oneshot.Recipe]
) -> None:
    one, other = recipes
    for wrong, message in (
        (changed(other, epochs=3), "differ in epochs: 4 and 3. They may differ in learning_rate,"),
        (changed(other, clip_norm=None), "differ in clip_norm: 5.0 and None"),
        (other._replace(sampler="uniform"), "differ in sampler: 'deiso' and 'uniform'"),
        (other._replace(plateau=None), "differ in factor: 0.5 and None"),
        (changed(other, momentum=1.0), "momentum must be in"),
    ):
        for pair in ([one, wrong], [wrong, one]):
            with pytest.raises(ValueError, match=r"differ in|must be"):
                oneshot.train(network, stripes, pair)
        with pytest.raises(ValueError, match=message):
            oneshot.train(network, stripes, [one, wrong])
    with pytest.raises(ValueError, match="got 2 recipes and 3 keys"):
        oneshot.train(network, stripes, recipes, jax.random.split(jax.random.key(0), 3))
    with pytest.raises(ValueError, match="at least one"):
        oneshot.train(network, stripes, [])


@pytest.mark.slow
def test_files_of_several_recipes(several: oneshot.Supernet, tmp_path: Path) -> None:
    oneshot.save(several, tmp_path / "several.npz")
    found = oneshot.load(tmp_path / "several.npz")
    chex.assert_trees_all_equal(found.state, jax.tree.map(np.asarray, several.state))
    assert found.recipes == several.recipes


def test_files(supernet: oneshot.Supernet, stripes: Dataset, tmp_path: Path) -> None:
    oneshot.save(supernet, tmp_path / "one.npz")
    found = oneshot.load(tmp_path / "one.npz")
    chex.assert_trees_all_equal(found.state, jax.tree.map(np.asarray, supernet.state))
    assert found.recipe == supernet.recipe
    assert found.network is supernet.network
    assert found.epochs == supernet.epochs
    one = oneshot.estimator(found, stripes)
    assert jax.tree.structure(one) == jax.tree.structure(oneshot.estimator(supernet, stripes))
    with pytest.raises(ValueError, match=r"as an \.npz file"):
        oneshot.save(supernet, tmp_path / "one")
    shared = oneshot.Sharing(supernet.network, restarts=(2,))
    oneshot.save(supernet._replace(sharing=shared), tmp_path / "two.npz")
    with pytest.raises(ValueError, match="not the plain one"):
        oneshot.load(tmp_path / "two.npz")
    assert oneshot.load(tmp_path / "two.npz", shared).sharing == shared
    wide = networks.nasbench201(channels=4, cells=2, stages=1, num_classes=2, in_channels=1)
    with pytest.raises(ValueError, match="another sharing"):
        oneshot.load(tmp_path / "two.npz", oneshot.Sharing(wide))


def test_a_diverged_training_is_told_and_is_no_estimator(
    network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    # Images of infinite pixels go through the program of `test_together_is_alone`.
    broken = dataclasses.replace(stripes, std=np.zeros_like(stripes.std))
    found = oneshot.train(network, broken, recipe, 0, keep=(2, 3))
    assert found.failed_at[0] in (1, 2)
    with pytest.raises(ValueError, match="diverged in epoch"):
        oneshot.estimator(found, stripes)


def test_what_cannot_be_trained_is_refused(
    network: Network, stripes: Dataset, recipe: oneshot.Recipe
) -> None:
    with pytest.raises(ValueError, match="epochs to keep must be in 1 … 4"):
        oneshot.train(network, stripes, recipe, keep=(5,))
    with pytest.raises(ValueError, match="has 2 classes, the network 10"):
        oneshot.train(networks.nasbench201(cells=1, in_channels=1), stripes, recipe)
    with pytest.raises(ValueError, match="epochs must be"):
        oneshot.train(
            network, stripes, recipe._replace(training=recipe.training._replace(epochs=0))
        )
    none = dataclasses.replace(stripes, train=Images(stripes.train.x[:0], stripes.train.y[:0]))
    with pytest.raises(ValueError, match="no training images"):
        oneshot.train(network, none, recipe)
    with pytest.raises(ValueError, match="a recipe has no 'sampl'"):
        oneshot.recipe(sampl="deiso")
    with pytest.raises(ValueError, match="factor of a plateau"):
        oneshot.recipe(plateau=oneshot.Plateau(factor=2.0))
    with pytest.raises(ValueError, match="num_samples"):
        oneshot.recipe(num_samples=0)
    with pytest.raises(ValueError, match="unknown recipe"):
        oneshot.recipe("nasbench")


def test_recipes_are_as_published() -> None:
    made = oneshot.recipe("nasbench201")
    assert (made.training.batch_size, made.training.learning_rate) == (512, 0.05)
    assert (made.training.epochs, made.training.clip_norm, made.training.dropout) == (
        1000,
        5.0,
        0.1,
    )
    assert made.plateau == oneshot.Plateau(0.5, 30, 1e-4)
    assert oneshot.recipe("nb1shot1").training.learning_rate == 0.025
    assert not made.is_masked
    assert not made.training.nesterov
    assert jnp.isclose(oneshot.recipe(learning_rate=0.1).training.learning_rate, 0.1)
