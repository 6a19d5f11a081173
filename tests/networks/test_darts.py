"""Networks of DARTS and NAS-Bench-301 against their rules in NumPy, and published counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import data, networks, oneshot, spaces, training, zeroshot
from jnas.networks import control, layers
from jnas.networks._darts_weights import Section, sections
from jnas.types import Hooks
from tests.oracles.cell_networks import num_params, reference
from tests.oracles.nasbench201 import random_params
from tests.oracles.trainings import stripes_of

SMALL = {"channels": 4, "num_classes": 3, "in_channels": 1}
SPACE = spaces.nasbench301()
IMAGES = np.random.default_rng(1).normal(size=(3, 8, 8, 1)).astype(np.float32)
NAMES = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
SHORT = dict(zip(("max", "avg", "skip", "sep3", "sep5", "dil3", "dil5"), NAMES, strict=True))
DARTS_V2 = (
    "sep3 0 sep3 1 sep3 0 sep3 1 sep3 1 skip 0 skip 0 dil3 2",
    "max 0 max 1 skip 2 max 1 max 0 skip 2 skip 2 max 1",
)
DARTS_V1 = (
    "sep3 1 sep3 0 skip 0 sep3 1 skip 0 sep3 1 sep3 0 skip 2",
    "max 0 max 1 skip 2 max 0 max 0 skip 2 skip 2 avg 0",
)
MIXED = (
    "skip 0 sep3 1 sep3 0 skip 1 dil3 0 dil5 2 sep3 1 skip 2",
    "max 0 avg 1 skip 0 dil5 1 sep3 1 sep5 2 sep3 2 dil3 3",
)
OTHER = (
    "sep5 0 max 1 avg 0 dil5 2 sep5 2 sep5 3 avg 3 max 4",
    "sep5 0 skip 1 sep3 0 dil3 1 avg 2 max 3 skip 3 dil5 0",
)


def everywhere(op):
    """Both cells in which every node reads the inputs 0 and 1 by one operation."""
    return (" ".join([f"{op} 0 {op} 1"] * 4),) * 2


def pairs_of(text):
    """Pairs (operation, input), two for each node."""
    words = text.split()
    return [(SHORT.get(op, op), int(k)) for op, k in zip(words[::2], words[1::2], strict=True)]


def arch_of(cells, space=SPACE):
    normal, reduce = map(pairs_of, cells)
    text = f"Genotype(normal={normal}, reduce={reduce})"
    return np.asarray(space.from_string(text), np.int32)


def check_logits(network, found, cells, num_cells):
    both = [pairs_of(cell) for cell in cells]
    expected = reference(random_params(network, 0), both, IMAGES, num_cells)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_one_program_has_the_logits_of_the_rules_of_a_reduction_cell():
    network = networks.nasbench301(layers=1, **SMALL)
    apply = jax.jit(network.apply)
    for cells in (MIXED, OTHER, DARTS_V2):
        found = apply(random_params(network, 0), arch_of(cells), IMAGES)
        check_logits(network, found, cells, 1)
    assert apply._cache_size() == 1


def test_the_network_of_one_architecture_has_the_logits_of_the_rules():
    """Three cells, of which two reduce."""
    network = networks.nasbench301(layers=3, **SMALL)
    own = network.own(arch_of(DARTS_V1))
    found = jax.jit(own.apply)(random_params(network, 0), None, IMAGES)
    check_logits(network, found, DARTS_V1, 3)


@pytest.mark.parametrize("affine", [True, False])
def test_pools_with_norms(affine):
    network = networks.nasbench301(layers=1, affine=affine, pool_norm=True, **SMALL)
    found = jax.jit(network.own(arch_of(OTHER)).apply)(random_params(network, 0), None, IMAGES)
    check_logits(network, found, OTHER, 1)
    plain = networks.nasbench301(layers=1, affine=affine, **SMALL)
    shapes = [
        [each.mean.shape for each in networks.statistics.initial_statistics(drawn)]
        for drawn in (jax.eval_shape(each.init, jax.random.key(0)) for each in (network, plain))
    ]
    # One more, of each of the fourteen edges.
    assert sorted(shapes[0]) == sorted([*shapes[1], (1, 14, 8)])


@functools.cache
def general():
    network = networks.darts(layers=3, **SMALL)
    return network, random_params(network, 0), jax.jit(network.apply)


WITH_NONE = (
    "none 0 none 1 none 0 sep3 2 sep5 2 max 3 dil3 1 skip 3",
    "skip 0 none 1 none 0 none 1 sep3 3 skip 2 dil5 0 avg 4",
)


@pytest.mark.slow
@pytest.mark.parametrize("cells", [MIXED, OTHER, WITH_NONE])
def test_logits_of_normal_and_reduction_cells(cells):
    network, params, apply = general()
    arch = arch_of(cells, network.space)
    found = apply(params, arch, IMAGES)
    check_logits(network, found, cells, 3)
    own = jax.jit(network.own(arch).apply)(params, None, IMAGES)
    np.testing.assert_allclose(own, found, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_population_is_a_loop():
    network, params, apply = general()
    archs = np.stack([arch_of(cells, network.space) for cells in (MIXED, OTHER, WITH_NONE)])
    of_all = jax.jit(jax.vmap(network.apply, (None, 0, None)))(params, archs, IMAGES)
    expected = [apply(params, arch, IMAGES) for arch in archs]
    np.testing.assert_allclose(of_all, np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_cells_in_a_loop_have_the_logits_of_the_rules():
    """Of ten cells the last two are one section."""
    network = networks.nasbench301(layers=10, **SMALL)
    assert [section.num for section in sections(4, 4, 10)] == [1] * 8 + [2]
    found = jax.jit(network.apply)(random_params(network, 0), arch_of(MIXED), IMAGES)
    check_logits(network, found, MIXED, 10)


@pytest.mark.slow
def test_gradients_are_those_of_the_network_of_one_architecture():
    network = networks.nasbench301(layers=1, **SMALL)
    params, arch = random_params(network, 0), arch_of(MIXED)

    def gradient_of(network):
        def loss(params, arch):
            return jnp.sum(jnp.sin(network.apply(params, arch, IMAGES)))

        return jax.jit(jax.grad(loss))(params, arch)

    found, expected = gradient_of(network), gradient_of(network.own(arch))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), found, expected
    )
    for gradient, mask in zip(networks.kernels(found), network.present(arch), strict=True):
        mask = np.broadcast_to(mask, gradient.shape) > 0
        assert np.isfinite(gradient).all()
        assert not np.asarray(gradient)[~mask].any()


def test_sections_are_the_cells_of_the_published_skeleton():
    found = sections(4, 36, 20)
    assert sum(section.num for section in found) == 20
    assert [section.num for section in found] == [1, 1, 4, 1, 1, 5, 1, 1, 5]
    assert found[3:5] == [
        Section(1, 1, False, (144, 144), 72),
        Section(0, 1, True, (144, 288), 72),
    ]


@pytest.mark.parametrize(
    ("cells", "channels", "num_layers", "num"),
    [
        (DARTS_V2, 36, 20, 3_349_342),
        (DARTS_V1, 36, 20, 3_169_414),
        (DARTS_V2, 16, 8, 246_106),
        (everywhere("skip"), 16, 8, 143_226),
        (everywhere("sep3"), 16, 8, 411_002),
        (everywhere("dil5"), 16, 8, 296_826),
        (everywhere("max"), 32, 8, 392_426),
        (MIXED, 50, 20, 5_864_260),
    ],
)
def test_numbers_of_parameters_are_the_published_ones(cells, channels, num_layers, num):
    network = networks.nasbench301(channels=channels, layers=num_layers)
    space = spaces.nasbench301(channels=channels, layers=num_layers)
    arch = arch_of(cells)
    assert num_params(network, arch) == int(space.params(arch)) == num


def test_without_operations_there_are_the_parameters_around_them():
    network = networks.darts(channels=16, layers=8)
    assert num_params(network, arch_of(everywhere("none"), network.space)) == 100_730


@functools.cache
def counting():
    """Function of an architecture: ReLU modules, live ones, and norms of a network of 8 cells."""
    network = networks.darts(layers=8, **SMALL)

    def on_relu(state, relu):
        return state + jnp.stack([relu.num_modules, relu.num_live])

    def norm(x, layer, channels):
        return layers.batch_norm(x, layer), jnp.ones(())

    def count(arch):
        hooks, zeros = Hooks(on_relu=on_relu, norm=norm), jnp.zeros(2, jnp.int32)
        seen = network.forward(random_params(network, 0), arch, IMAGES, hooks, zeros)
        return seen.state, seen.norm_sum

    return network.space, jax.jit(count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "modules", "live"),
    [
        (DARTS_V2, 82, 82),
        (everywhere("skip"), 32, 32),
        (everywhere("sep3"), 144, 144),
        (everywhere("dil5"), 80, 80),
        # Nothing but the last cell has a path to the logits, and that is not read.
        (everywhere("none"), 16, 0),
    ],
)
def test_numbers_of_relus_and_norms(cells, modules, live):
    space, count = counting()
    state, norm_sum = count(arch_of(cells, space))
    assert state.tolist() == [modules, live]
    assert int(norm_sum) == (1 + modules if live else 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "channels must be at least 1; got 0"),
        ({"channels": 5}, "channels must be even; got 5"),
        ({"layers": 0}, "layers must be at least 1; got 0"),
    ],
)
def test_refusals(settings, message):
    for factory in (networks.darts, networks.nasbench301):
        with pytest.raises(ValueError, match=message):
            factory(**settings)


def test_images_that_cannot_be_halved_are_refused():
    network = networks.nasbench301(layers=3, **SMALL)
    with pytest.raises(ValueError, match="multiples of 4"):
        network.apply(random_params(network, 0), arch_of(MIXED), IMAGES[:, :6])


@pytest.mark.slow
def test_networks_are_found_by_name():
    assert networks.by_name("nasbench301") is networks.nasbench301()
    assert networks.settings(networks.darts(layers=8)) == (
        "darts",
        {**networks.settings(networks.darts())[1], "layers": 8},
    )
    assert not control.is_known(networks.darts().space.sample(jax.random.key(0)))


@pytest.mark.slow
def test_what_takes_networks_takes_these():
    """A score without training, a training and a supernet."""
    network = networks.nasbench301(channels=2, layers=1, num_classes=2, in_channels=1)
    archs, stripes = (
        np.stack([arch_of(MIXED), arch_of(OTHER)]),
        stripes_of(48, validation=16, test=16),
    )
    images = jnp.asarray(IMAGES)
    scores = zeroshot.naswot(network, images)(jax.random.key(0), jnp.asarray(archs))
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    recipe = training.recipe("quick", epochs=1, batch_size=16)
    trained = training.train(network, archs, stripes, recipe, 0)
    assert np.isfinite(trained.curves["train_loss"]).all()
    recipe = oneshot.recipe(
        "quick", sampler="uniform", epochs=1, batch_size=16, augmentation=data.Augmentation()
    )
    supernet = oneshot.train(network, stripes, recipe, jax.random.key(0))
    assert np.isfinite(supernet.curves["loss"]).all()
    judged = oneshot.estimator(supernet, stripes)(jax.random.key(0), jnp.asarray(archs))
    assert np.isfinite(judged).all()
