"""Networks of cells whose architectures choose width and depth, against those of one size."""

import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jnas import networks, oneshot, population, spaces, training, zeroshot
from jnas.networks import buckets
from tests.oracles.trainings import stripes_of

OF_ALL = {"nodes": 4, "num_classes": 2, "in_channels": 1}
NETWORK = networks.enas(channels=(2, 4), layers=(2, 3), **OF_ALL)
SIZES = [*itertools.product((2, 4), (2, 3))]
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)


def fixed(size):
    return networks.enas(channels=size[0], layers=size[1], **OF_ALL)


def archs_of(num):
    """Different cells of each of the sizes, `[4 num, 34]`, one size after the other."""
    cells = np.random.default_rng(1).integers(0, NETWORK.space.cardinalities, (4 * num, 34))
    cells[:, 32:] = np.repeat([*itertools.product((0, 1), (0, 1))], num, axis=0)
    return cells.astype(np.int32)


ARCHS = archs_of(1)
DATA = stripes_of(48, validation=16, test=16)
RECIPE = training.recipe("quick", epochs=2, batch_size=16)


def test_a_bucket_is_the_channels_and_the_layers():
    assert [NETWORK.bucket(arch) for arch in ARCHS] == SIZES
    assert NETWORK.bucket(jnp.asarray(ARCHS[2])) == (4, 2)
    with pytest.raises(ValueError, match="not a enas_4_c2-4_l2-3 vector"):
        NETWORK.bucket(ARCHS[0] + 5)
    whole = networks.nasnet()
    assert whole.space is spaces.nasnet()
    assert whole.bucket(np.zeros(42, int)) == (16, 4)
    assert whole.bucket(np.r_[np.zeros(40, int), 2, 4]) == (32, 20)


def test_one_of_them_may_be_fixed():
    for settings, name in (
        ({"channels": (2, 4), "layers": 2}, "enas_4_c2-4"),
        ({"channels": 4, "layers": (1, 2)}, "enas_4_l1-2"),
        ({"channels": (4,), "layers": 2}, "enas_4"),
    ):
        network = networks.enas(**settings, **OF_ALL)
        assert network.space.name == name
    assert network.bucket is None
    assert networks.darts(channels=(2, 4), layers=3).space.name == "darts_c2-4"
    assert networks.nasbench301(layers=(2, 3)).bucket(np.zeros(23, int)) == (32, 2)


def test_weights_of_a_bucket_are_drawn_by_the_program_of_its_size(key):
    """To the letter; and of the same weights both make logits."""
    images, programs = jax.ShapeDtypeStruct(IMAGES.shape, IMAGES.dtype), []
    for network in (NETWORK.within(SIZES[2]), fixed(SIZES[2])):
        program, params = jax.make_jaxpr(network.init, return_shape=True)(key)
        arch = jax.ShapeDtypeStruct((len(network.space.cardinalities),), np.int32)
        logits = jax.eval_shape(network.apply, params, arch, images)
        programs.append((str(program), params, logits.shape))
    assert programs[0] == programs[1]
    assert programs[0][2] == (4, 2)


@pytest.mark.slow
def test_weights_and_logits_of_a_bucket_are_those_of_its_size(key):
    for arch, size in zip(ARCHS, SIZES, strict=True):
        network, alone = NETWORK.within(size), fixed(size)
        params = network.init(key)
        jax.tree.map(np.testing.assert_array_equal, params, alone.init(key))
        masks = (one.present(jnp.asarray(a)) for one, a in ((network, arch), (alone, arch[:32])))
        jax.tree.map(np.testing.assert_array_equal, *masks)
        found = jax.jit(network.apply)(params, arch, IMAGES)
        np.testing.assert_array_equal(found, jax.jit(alone.apply)(params, arch[:32], IMAGES))
        own = jax.jit(NETWORK.own(arch).apply)(params, None, IMAGES)
        np.testing.assert_allclose(own, found, rtol=1e-4, atol=1e-5)


def test_equal_sizes_are_one_network():
    within = NETWORK.within(SIZES[1])
    assert within is NETWORK.within([*SIZES[1]]) is within.within(SIZES[1])
    assert within is buckets.of_all(NETWORK, archs_of(3)[3:6])
    assert buckets.of_all(NETWORK, ARCHS) is NETWORK
    assert buckets.of_some(NETWORK) is NETWORK.within(SIZES[0])
    assert buckets.of_all(fixed(SIZES[0]), ARCHS[:, :32]) is fixed(SIZES[0])
    assert NETWORK.own(ARCHS[1]) is within.own(jnp.asarray(ARCHS[1]))
    # Lists are what a file of JSON has.
    name, settings = networks.settings(NETWORK)
    assert networks.by_name(name, **(settings | {"layers": [2, 3]})) is NETWORK
    assert pickle.loads(pickle.dumps(NETWORK)) is NETWORK


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NETWORK.init(jax.random.key(0)), r"4 sizes, .* such as within\(\(2, 2\)\)"),
        (lambda: NETWORK.apply({}, ARCHS[0], IMAGES), "population.score takes them size by size"),
        (lambda: NETWORK.present(ARCHS[0]), "network of one number of channels="),
        (lambda: NETWORK.within((2, 4)), r"has \(2, 4\) channels and layers here, but \(2, 2\), "),
        # What another size computes has nothing to do with an architecture.
        (
            lambda: population.score(
                zeroshot.naswot(NETWORK.within((2, 2)), IMAGES), ARCHS[1:2], 0, progress=False
            ),
            r"no network has \(2, 3\) channels and layers here, but \(2, 2\)",
        ),
        (
            lambda: zeroshot.naswot(NETWORK, IMAGES)(jax.random.key(0), jnp.asarray(ARCHS)),
            "4 sizes, whose weights have nothing in common",
        ),
        (lambda: networks.pnas(channels=(4, 5)), "channels must be even; got 5"),
        (lambda: networks.pnas(channels=()), "channels and layers must be 1 or more"),
        (lambda: networks.enas(layers=(0, 4)), "channels and layers must be 1 or more"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_supernets_and_several_sizes_with_weights_are_refused():
    with pytest.raises(ValueError, match=r"Supernets .* take a network of one number of channels="):
        oneshot.train(NETWORK, DATA, oneshot.recipe("quick", sampler="uniform", epochs=1), 0)
    with pytest.raises(ValueError, match="several at once need weights=False"):
        training.train(NETWORK, ARCHS, DATA, RECIPE, 0)


@pytest.mark.slow
def test_scores_of_each_size_are_those_of_its_network(key):
    """In one call, in any order, of networks and of several scores from one pass."""
    archs, names = archs_of(2), ("naswot", "relu_count", "l2_norm", "synflow")
    order = np.random.default_rng(3).permutation(len(archs))
    scores = zeroshot.suite(NETWORK, IMAGES, names=names)
    found = population.score(scores, archs[order], key, progress=False)
    for number, size in enumerate(SIZES):
        suite, rows = zeroshot.suite(fixed(size), IMAGES, names=names), slice(2 * number, None)
        alone = population.score(suite, archs[rows][:2, :32], key, progress=False)
        for name in names:
            together = np.asarray(found[name])[np.argsort(order)][rows][:2]
            np.testing.assert_array_equal(together, alone[name], err_msg=f"{name} {size}")


@pytest.mark.slow
def test_sizes_are_trained_as_each_alone():
    archs = ARCHS[[1, 0]]
    trained = training.train(NETWORK, archs, DATA, RECIPE, 1, weights=False)
    for number, arch in enumerate(archs):
        alone = training.train(fixed(NETWORK.bucket(arch)), arch[None, :32], DATA, RECIPE, 1)
        for name in ("train_loss", "test_loss"):
            curve = trained.curves[name][number]
            np.testing.assert_allclose(curve, alone.curves[name][0], rtol=1e-3, err_msg=name)


@pytest.mark.slow
def test_one_size_has_weights_answers_files_and_scores(tmp_path):
    archs = ARCHS[:1]
    trained = training.train(NETWORK, archs, DATA, RECIPE, 1, own=False)
    loss = trained.curves["test_loss"][0, -1]
    training.save(trained, tmp_path / "trained.npz")
    again = training.load(tmp_path / "trained.npz")
    assert again.network is NETWORK
    logits = again.predict(DATA.test.x)
    found = optax.softmax_cross_entropy_with_integer_labels(logits[0], DATA.test.y).mean()
    np.testing.assert_allclose(found, loss, rtol=1e-3)
    judge = training.estimator(NETWORK, DATA, RECIPE, measure="test_loss")
    scores = population.score(judge, archs, 1, progress=False)
    answer = training.objective(NETWORK, DATA, RECIPE, 1, measure="test_loss")(archs[0])[0]
    np.testing.assert_allclose([scores[0], answer], -loss, rtol=1e-3)
    training.export(again, 0, tmp_path / "network", formats=["flax"], measure=False)
    example = np.load(tmp_path / "network" / "example.npz")
    np.testing.assert_allclose(
        again.predict(example["images"])[0], example["logits"], rtol=1e-4, atol=1e-4
    )
