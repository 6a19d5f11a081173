"""Weight-sharing searches as whole programs: what they return, and that nothing else counts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, oneshot
from jnas.data import augment
from jnas.engine.checkpoints import Checkpoint
from jnas.oneshot.alternating import halves, start, step
from jnas.oneshot.choosing import best_on_a_batch
from tests.oracles.weight_sharing import method_of, setup_of

KEYS = jax.random.split(jax.random.key(5), 3)


def counted(*arguments):
    """Forward pass of GDAS, which remembers that it was traced."""
    TRACES.append(1)
    return method_of("gdas").fit(*arguments)


# One program, which is compiled once, for all tests that search.
TRACES = []
GDAS = method_of("gdas")._replace(fit=counted)


@pytest.fixture(scope="module")
def searched(network, stripes):
    return oneshot.search(network, stripes, GDAS, KEYS[:2])


def test_results_are_architectures_distributions_and_weights(searched, network, stripes):
    assert searched.probabilities.shape == (2, 3, 6, 5)
    np.testing.assert_allclose(searched.probabilities.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(searched.archs, searched.probabilities[:, -1].argmax(axis=-1))
    assert np.isfinite(searched.curves["loss"]).all()
    assert np.isfinite(searched.curves["choose_loss"]).all()
    # Both have moved, of the network from where it began.
    of = setup_of(network, stripes, "gdas")
    begin = start(of, jax.random.fold_in(KEYS[0], 0))
    moved = jax.tree.map(lambda x, y: bool(np.any(x[0] != y)), searched.params, begin.params)
    assert all(jax.tree.leaves(moved["stem"]))
    assert np.any(searched.state.alpha[0] != begin.alpha)
    assert len(repr(searched).split("|+|")) == 5  # two cells as text


def test_a_search_does_not_depend_on_those_beside_it(searched, network, stripes):
    again = oneshot.search(network, stripes, GDAS, KEYS[jnp.array([2, 1])])
    np.testing.assert_array_equal(again.probabilities[1], searched.probabilities[1])
    assert np.any(again.probabilities[0] != searched.probabilities[0])


@pytest.mark.slow
def test_a_killed_search_goes_on(searched, network, stripes, tmp_path, monkeypatch):
    save = Checkpoint.save

    def killed(self, step, state, about):
        save(self, step, state, about)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        oneshot.search(network, stripes, GDAS, KEYS[:2], out=tmp_path / "a")
    monkeypatch.setattr(Checkpoint, "save", save)
    found = oneshot.search(network, stripes, GDAS, KEYS[:2], out=tmp_path / "a")
    np.testing.assert_array_equal(found.probabilities, searched.probabilities)
    jax.tree.map(np.testing.assert_array_equal, found.params, searched.params)
    with pytest.raises(ValueError, match="another job"):
        oneshot.search(network, stripes, GDAS, KEYS[1:], out=tmp_path / "a")


def test_programs_are_traced_once(network, stripes):
    first = oneshot.search(network, stripes, GDAS, KEYS[:2])
    num = len(TRACES)
    second = oneshot.search(network, stripes, GDAS, KEYS[1:])
    assert 0 < num == len(TRACES) <= 3  # shapes, values, gradients
    assert np.any(first.curves["loss"] != second.curves["loss"])
    np.testing.assert_array_equal(first.curves["loss"][1], second.curves["loss"][0])


@pytest.mark.slow
def test_random_search_takes_the_best_of_its_candidates(network, stripes):
    of, shared = setup_of(network, stripes, "rsps"), halves(stripes)
    state = start(of, jax.random.key(0))
    found = of.method.derive(of, state, jax.random.key(1), shared)
    assert found.archs.shape == (4, 6)
    np.testing.assert_array_equal(found.arch, found.archs[np.argmax(found.scores)])
    # A batch of all images: what an architecture is judged by is its accuracy on the second half.
    images = stripes.train.x[np.asarray(shared.choose)]
    labels = stripes.train.y[np.asarray(shared.choose)]
    unit = (images / stripes.scale - stripes.mean) / stripes.std
    apply = jax.jit(network.apply)
    for arch, score in zip(found.archs, found.scores, strict=True):
        right = np.argmax(apply(state.params, arch, unit.astype(np.float32)), axis=1) == labels
        assert abs(score - right.mean()) < 1e-6
    # Of smaller ones, each sees another.
    same = jnp.tile(found.archs[:1], (4, 1))
    scores = best_on_a_batch(of, state, same, jax.random.key(2), shared, batch_size=6).scores
    assert abs(scores.mean() - found.scores[0]) < 1e-6


@pytest.mark.slow
def test_first_order_is_the_gradient_of_the_mixed_loss(network, stripes):
    of, shared = setup_of(network, stripes, "darts"), halves(stripes)
    before, key, rows = start(of, jax.random.key(0)), jax.random.key(1), shared.fit[:8]
    run = jax.jit(lambda state, shared: step(of, state, key, jnp.int32(1), rows, shared))
    after, seen = run(before, shared)
    _, _, draw_key, _ = jax.random.split(key, 4)
    row_key, image_key = jax.random.split(draw_key)
    chosen = shared.choose[jax.random.randint(row_key, (8,), 0, len(shared.choose))]
    one_hot = jax.nn.one_hot(stripes.train.y[chosen], 2)
    images, targets = augment(
        image_key, stripes.train.x[chosen], one_hot, of.recipe.augmentation, stripes
    )

    def loss(alpha):
        logits = network.mix(after.params, jax.nn.softmax(alpha), images)
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), axis=1))

    value, gradient = jax.jit(jax.value_and_grad(loss))(before.alpha)
    assert abs(value - seen.choose_loss) < 1e-5
    # Adam's first average is half of the gradient with its weight decay.
    average = after.architecture[1].mu
    np.testing.assert_allclose(average, (gradient + 1e-3 * before.alpha) / 2, atol=1e-6)
    # And its first step is the rate in the direction of the gradient.
    np.testing.assert_allclose(after.alpha, before.alpha - 3e-4 * np.sign(average), atol=2e-6)


@pytest.mark.slow
def test_a_search_that_diverges_is_told(network, stripes):
    broken = dataclasses.replace(stripes, std=np.zeros_like(stripes.std))
    found = oneshot.search(network, broken, GDAS, KEYS[:2])
    np.testing.assert_array_equal(found.failed_at, [1, 1])
    assert (found.archs == -1).all()
    assert found.choices == (None, None)
    assert "diverged" in repr(found)


def test_halves_are_fixed_and_part_the_images(stripes):
    shared = halves(stripes)
    both = np.concatenate([shared.fit, shared.choose])
    np.testing.assert_array_equal(np.sort(both), np.arange(len(stripes.train.y)))
    assert len(shared.fit) == len(shared.choose)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dart", {}, "unknown method 'dart'. Did you mean 'darts'"),
        ("darts", {"order": 3}, "order must be 1 or 2; got 3"),
        ("darts", {"epoch": 3}, "no 'epoch'. Did you mean 'epochs'"),
        ("gdas", {"epochs": 0}, "epochs must be a whole number"),
        ("rsps", {"num_archs": 0}, "num_archs must be at least 1"),
        ("setn", {"num_archs": 0}, "num_archs must be at least 1"),
        ("enas", {"num_updates": 0}, "num_updates must be at least 1"),
        ("pc_darts", {"proportion": 0}, "proportion must be at least 1"),
    ],
)
def test_bad_methods_are_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        oneshot.method(name, **changes)


def test_what_cannot_be_searched_is_named(stripes):
    sizes = networks.nats_size(num_classes=2, in_channels=1)
    with pytest.raises(ValueError, match="no mixed operations"):
        oneshot.search(sizes, stripes, "gdas")


def test_equal_methods_are_one_object():
    assert oneshot.method("gdas", epochs=7) is oneshot.method("gdas", epochs=7)
    assert oneshot.method("darts") is oneshot.darts()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("darts", {"order": 2}),
        ("rsps", {}),
        ("setn", {}),
        ("enas", {"num_updates": 2, "num_samples": 3, "num_archs": 4}),
        ("drnas", {}),
        ("pc_darts", {"proportion": 2, "begin": 1}),
    ],
)
def test_every_method_learns(name, changes, network, stripes):
    made = method_of(name, epochs=6, **changes)
    found = oneshot.search(network, stripes, made, KEYS[:2])
    assert np.all(found.curves["loss"][:, -1] < found.curves["loss"][:, 0])
    # Random search draws from all alike to the end.
    has_moved = np.any(found.probabilities[:, -1] != found.probabilities[:, 0])
    assert has_moved == (name != "rsps")
    assert np.asarray(jax.vmap(network.space.is_valid)(found.archs)).all()
    if name == "pc_darts":
        # At rest for the first epoch.
        begin = jax.nn.softmax(
            jax.vmap(lambda key: start(found.setup, jax.random.fold_in(key, 0)))(KEYS[:2]).alpha[
                "operations"
            ]
        )
        np.testing.assert_allclose(found.probabilities[:, 0], begin, rtol=1e-6)
