"""Networks of NDS against their definition in float64 NumPy, with arrays of the true sizes."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, oneshot, population, spaces, training, zeroshot
from jnas.networks import layers
from jnas.spaces import nds
from jnas.types import Hooks
from tests.oracles.layers import assert_normal, conv_by_loops, norm_by_loops
from tests.oracles.nasbench201 import BAD_IMAGES, random_params
from tests.oracles.trainings import stripes_of

# Sizes of programs that are compiled in seconds; widths of 24 are padded to 32.
RESNET = networks.nds_resnet().within((32, 16, 32))
VANILLA = networks.nds_vanilla().within((16, 32, 32))
RESNEXT = networks.nds_resnext_a().within((16, 64, 32))
NETWORKS = {"nds_resnet": RESNET, "nds_vanilla": VANILLA, "nds_resnext_a": RESNEXT}
TEXTS = {
    "nds_resnet": ("ds=1:3:2,ws=24:16:32", "ds=2:1:1,ws=16:16:24", "ds=1:2:1,ws=32:16:16"),
    "nds_vanilla": ("ds=1:2:3,ws=16:24:32",),
    "nds_resnext_a": (
        "ds=2:1:2,ws=16:64:32,bot_muls=0.5:0.25:1,num_gs=4:2:4",
        "ds=1:2:1,ws=16:32:16,bot_muls=1:0.5:0.25,num_gs=1:4:2",
    ),
}
# Those of groups are the dearest; `the_network_of_one_architecture` has them in the quick suite.
CASES = [
    pytest.param(name, text, marks=[pytest.mark.slow] * (name == "nds_resnext_a"))
    for name, texts in TEXTS.items()
    for text in texts
]
IMAGES = np.random.default_rng(1).normal(size=(4, 4, 8, 3)).astype(np.float32)  # not square


def arch_of(name, text):
    return np.asarray(NETWORKS[name].space.from_string(text))


# --------------------------------------------------------------------------------------------------
# The definition.


def convolve(x, layer, c_out, stride=1, groups=1, size=None):
    """Convolution by groups of the first channels of a layer, and batch norm."""
    c_in = x.shape[-1]
    if stride > 1 and layer["conv"].shape[0] == 1:
        x, stride = x[:, ::stride, ::stride], 1
    i, o = c_in // groups, c_out // groups
    parts = [
        conv_by_loops(
            x[..., g * i : (g + 1) * i],
            layer["conv"][..., g * i : (g + 1) * i, g * o : (g + 1) * o],
            stride,
        )
        for g in range(groups)
    ]
    norm = {name: leaf[:c_out] for name, leaf in layer["norm"].items()}
    return norm_by_loops(np.concatenate(parts, axis=-1), norm)


def reference(params, record, images):
    """Logits, features, and what each ReLU reads."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    readings = [convolve(images, params["stem"], 16)]

    def relu(x):
        readings.append(x)
        return np.maximum(x, 0)

    x = np.maximum(readings[0], 0)
    lists = [record[key][1:] for key in ("ds", "ws", "ss")]
    for number, (depth, width, stride) in enumerate(zip(*lists, strict=True)):
        stage = params["stages"][number]
        for place in range(depth):
            block = stage["first"]
            if place:
                block = jax.tree.map(lambda leaf, place=place: leaf[place - 1], stage["rest"])
            s = 1 if place else stride
            if "bottleneck" in record["block_type"]:
                inner = round(width * record["bot_muls"][number + 1])
                groups = record["num_gs"][number + 1]
                y = relu(convolve(x, block["a"], inner))
                y = relu(convolve(y, block["b"], inner, s, groups))
                y = convolve(y, block["c"], width)
            else:
                y = convolve(relu(convolve(x, block["a"], width, s)), block["b"], width)
            if "plain" not in record["block_type"]:
                is_same = s == 1 and x.shape[-1] == width
                y = y + (x if is_same else convolve(x, block["shortcut"], width, s))
            x = relu(y)
    kernel = params["dense"]["kernel"][: x.shape[-1]]
    return x.mean(axis=(1, 2)) @ kernel + params["dense"]["bias"], x, readings


@functools.cache
def params_of(name):
    return random_params(NETWORKS[name], 0)


@functools.cache
def expected(name, text):
    return reference(params_of(name), record_of(name, text), IMAGES)


def record_of(name, text):
    return nds.to_record(arch_of(name, text), spaces.by_name(name))


def count(x, norm, channels):
    """Usual batch norm; its value is how many channels it normalises."""
    return layers.batch_norm(x, norm), jnp.sum(channels.astype(jnp.float32))


HOOKS = Hooks(on_relu=lambda state, relu: (*state, relu), norm=count)


def on_relu(state, relu):
    """Number of modules, units in use, and the sum of what they read."""
    exists = relu.channels.astype(jnp.float32) * relu.num_live.astype(jnp.float32)
    units = relu.inputs[..., 0].size / len(relu.inputs) * jnp.sum(exists)
    read = jnp.sum(jnp.abs(relu.inputs) * exists[None, None, None])
    return state + jnp.stack([relu.num_modules.astype(jnp.float32), units, read])


@functools.cache
def look(name):
    hooks = Hooks(on_relu=on_relu, norm=count)

    def run(params, arch, images):
        return NETWORKS[name].forward(params, arch, images, hooks, jnp.zeros(3))

    return jax.jit(run)


@pytest.mark.parametrize(("name", "text"), CASES)
def test_logits_features_and_readings_agree_with_the_definition(name, text):
    arch = arch_of(name, text)
    seen = look(name)(params_of(name), arch, IMAGES)
    logits, features, readings = expected(name, text)
    np.testing.assert_allclose(seen.logits, logits, atol=2e-3)
    np.testing.assert_allclose(seen.features[..., : features.shape[-1]], features, atol=5e-3)
    assert not np.any(seen.features[..., features.shape[-1] :])
    found = [
        len(readings),
        sum(x[0].size for x in readings),
        sum(np.abs(x).sum() for x in readings),
    ]
    np.testing.assert_allclose(seen.state, found, rtol=1e-4)
    # Batch norms and the weights that there are, as the space counts them.
    masks = NETWORKS[name].present(jnp.asarray(arch))
    pairs = zip(masks, networks.kernels(params_of(name)), strict=True)
    num = sum(np.broadcast_to(mask, kernel.shape).sum(dtype=int) for mask, kernel in pairs)
    num_params = num + 2 * int(seen.norm_sum) + 10
    assert num_params == int(NETWORKS[name].space.params(jnp.asarray(arch)))


@pytest.mark.parametrize(
    ("name", "text", "num_params"),
    [
        ("nds_resnet", "ds=12:12:12,ws=24:24:40", 594_138),
        ("nds_vanilla", "ds=12:12:12,ws=24:32:40", 689_770),
        (
            "nds_resnext_a",
            "ds=16:1:4,ws=64:128:16,bot_muls=0.25:0.25:0.25,num_gs=2:1:2",
            83_002,
        ),
    ],
)
def test_published_records_have_their_numbers_of_parameters(name, text, num_params):
    network = networks.by_name(name)
    arch = network.space.from_string(text)
    network = network.within(network.bucket(arch))
    shapes = networks.kernels(jax.eval_shape(network.init, jax.random.key(0)))
    masks = jax.jit(network.present)(arch)
    num = sum(
        np.broadcast_to(mask, shape.shape).sum(dtype=int)
        for mask, shape in zip(masks, shapes, strict=True)
    )
    assert num + 2 * num_norms(nds.to_record(arch, network.space)) + 10 == num_params


def num_norms(record):
    """Channels that are normalised."""
    total = c_in = 16
    for number, (depth, width) in enumerate(zip(record["ds"][1:], record["ws"][1:], strict=True)):
        inner = [width] if record["block_type"] != "res_bottleneck_block" else None
        inner = inner or [round(width * record["bot_muls"][number + 1])] * 2
        total += depth * (sum(inner) + width)
        if record["block_type"] != "double_plain_block" and (number or c_in != width):
            total += width
        c_in = width
    return total


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(name, texts[0], marks=[pytest.mark.slow] * (name == "nds_vanilla"))
        for name, texts in TEXTS.items()
    ],
)
def test_the_network_of_one_architecture_has_the_same_logits(name, text):
    """Hooks see the channels that there are."""
    own = NETWORKS[name].own(arch_of(name, text))
    logits, _, readings = expected(name, text)

    def run(params):
        return own.forward(params, None, IMAGES, HOOKS, ())

    seen = jax.jit(run)(params_of(name))
    np.testing.assert_allclose(seen.logits, logits, atol=2e-3)
    assert [relu.inputs.shape for relu in seen.state] == [x.shape for x in readings]
    assert all(relu.channels.all() and int(relu.num_live) == 1 for relu in seen.state)


# --------------------------------------------------------------------------------------------------
# Buckets.


def test_buckets_are_widths_rounded_up():
    network = networks.nds_resnet()
    for text, widths in (
        ("ds=1:3:2,ws=24:16:40", (32, 16, 64)),
        ("ds=24:1:1,ws=192:256:128", (256, 256, 128)),
    ):
        arch = network.space.from_string(text)
        assert network.bucket(arch) == network.bucket(np.asarray(arch)) == widths
    with pytest.raises(ValueError, match="is no architecture of 6 choices"):
        network.bucket(np.array([0, 0, 9, 0, 0, 0]))
    assert network.within((32, 16, 64)) is RESNET.within((32, 16, 64))
    assert network.within((256, 256, 256)).init is network.init
    assert {len(set(map(networks.by_name(n).bucket, s))) for n, s in all_widths().items()} == {5}


def all_widths():
    """Architectures of all widths of each family, the same in all stages."""
    found = {}
    for name, family in nds.FAMILIES.items():
        keys = [key for key, _ in family.choices]
        num = len(dict(family.choices)["ws"])
        archs = np.zeros((num, 3, len(keys)), np.int32)
        archs[:, :, keys.index("ws")] = np.arange(num)[:, None]
        found[name] = archs.reshape(num, -1)
    return found


def test_norms_without_scales_are_those_of_ones(key):
    """And only those of the blocks have none, as in supernets."""
    plain, whole = (networks.nds_vanilla(affine=a).within((16, 16, 16)) for a in (False, True))
    assert networks.settings(networks.nds_vanilla(affine=False))[1]["affine"] is False
    arch = arch_of("nds_vanilla", "ds=1:1:1,ws=16:16:16")
    params = jax.jit(plain.init)(key)

    def with_norms(tree):
        if isinstance(tree, list):
            return [with_norms(one) for one in tree]
        if "conv" not in tree:
            return {name: with_norms(one) for name, one in tree.items()}
        shape = (*tree["conv"].shape[:-4], tree["conv"].shape[-1])
        return {**tree, "norm": {"scale": jnp.ones(shape), "bias": jnp.zeros(shape)}}

    assert [*params["stem"]["norm"]] == ["bias", "scale"]
    assert "'scale'" not in str(jax.tree.structure(params["stages"]))
    logits = [
        jax.jit(network.own(arch).apply)(weights, (), IMAGES)
        for network, weights in (
            (plain, params),
            (whole, {**params, "stages": with_norms(params["stages"])}),
        )
    ]
    np.testing.assert_allclose(*logits, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nds_resnet", "nds_resnext_a"])
def test_weights_are_the_first_of_those_of_wider_networks(name, key):
    """With the deviations of an architecture they are the same numbers, whatever is stored."""
    arch = arch_of(name, TEXTS[name][1])
    whole = networks.by_name(name)
    narrow, wide = (whole.within(widths) for widths in (whole.bucket(arch), (64, 64, 64)))
    instances = [
        jax.jit(lambda key, arch, n=n: n.instantiate(n.init(key), arch))(key, arch)
        for n in (narrow, wide)
    ]
    assert narrow.bucket(arch) != (64, 64, 64)
    for one, other in zip(*map(jax.tree.leaves, instances), strict=True):
        cut = np.asarray(other)[tuple(map(slice, one.shape))]
        np.testing.assert_allclose(one, cut, rtol=1e-5)
    for one, other in zip(*map(networks.kernels, instances), strict=True):
        assert np.count_nonzero(one) == np.count_nonzero(other)


def test_weights_are_normal(key):
    params = jax.jit(networks.nds_resnet().within((32, 64, 64)).init)(key)
    for layer in (params["stages"][1]["rest"]["a"], params["stages"][1]["first"]["shortcut"]):
        size = layer["conv"].shape[-3]
        assert_normal(layer["conv"], (2 / (size * size * 64)) ** 0.5)
    assert_normal(params["dense"]["kernel"], 0.01)
    assert not np.any(params["dense"]["bias"])
    # No two layers, blocks or pieces have the same: of 24 bits some are equal by chance.
    drawn = np.concatenate([params["stages"][1]["rest"][name]["conv"][:2] for name in "ab"])
    assert len(np.unique(drawn)) > 0.98 * drawn.size


# Networks of larger sizes, which take those of buckets within them.
WIDE = networks.nds_resnet(num_classes=3).within((32, 32, 32))
ARCHS = np.array([[1, 0, 0, 2, 2, 0], [0, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]], np.int32)
WIDE_RESNEXT = networks.nds_resnext_a(num_classes=3).within((32, 32, 32))
RESNEXT_ARCHS = np.array(
    [[0, 0, 1, 0, 1, 1, 0, 2, 0, 1, 2, 1], [1, 1, 2, 1, 0, 0, 1, 0, 0, 1, 0, 2]], np.int32
)
LABELS = np.array([0, 2, 1, 1])


@pytest.mark.slow
def test_scores_in_buckets_are_those_of_the_full_sizes(key):
    scores = zeroshot.suite(WIDE, IMAGES, names=("naswot", "relu_count", "l2_norm"))
    assert len(set(map(WIDE.bucket, ARCHS))) == 3
    full = jax.jit(lambda estimator, key, archs: estimator(key, archs))(scores, key, ARCHS)
    found = population.score(scores, ARCHS, key, progress=False)
    for name, values in full.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    assert len(set(np.asarray(found["naswot"]))) == 3
    # In another order, and one score of several has the same buckets.
    alone = population.score(zeroshot.naswot(WIDE, IMAGES), ARCHS[::-1], key, progress=False)
    np.testing.assert_allclose(alone[::-1], found["naswot"], rtol=1e-6)


@pytest.mark.slow
def test_gradient_scores_are_those_of_the_own_network(key):
    names, archs = ("grad_norm", "snip", "fisher"), RESNEXT_ARCHS[:1]
    scores = zeroshot.suite(WIDE_RESNEXT, IMAGES, LABELS, names)
    found = population.score(scores, archs, key, progress=False)
    own = jax.jit(zeroshot.suite(WIDE_RESNEXT.own(archs[0]), IMAGES, LABELS, names))(key, archs)
    for name in names:
        np.testing.assert_allclose(found[name], own[name], rtol=2e-3, err_msg=name)


@pytest.mark.slow
def test_all_scores_are_finite(key):
    scores = zeroshot.suite(WIDE, IMAGES, LABELS, zeroshot.NAMES)
    found = population.score(scores, ARCHS[1:2], key, progress=False)
    finite = {name: bool(np.isfinite(found[name][0])) for name in zeroshot.NAMES}
    assert finite == dict.fromkeys(zeroshot.NAMES, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_is_that_of_the_network_of_one_architecture(name):
    network, text = NETWORKS[name], TEXTS[name][0]
    arch = arch_of(name, text)

    def gradient(network):
        def loss(params):
            return jnp.sum(jnp.sin(network.apply(params, arch, IMAGES)))

        return jax.jit(jax.grad(loss))

    found, own = gradient(network)(params_of(name)), gradient(network.own(arch))(params_of(name))
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(own), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-3 * max(1, np.abs(want).max()))
    # And of the weights that the architecture does not have there is none.
    for got, mask in zip(networks.kernels(found), network.present(jnp.asarray(arch)), strict=True):
        assert not np.any(np.asarray(got)[np.broadcast_to(mask, got.shape) == 0])


@pytest.mark.slow
def test_a_population_of_several_buckets_is_trained_as_each_alone():
    data = stripes_of(96, validation=16, test=16)
    network = networks.nds_resnet(num_classes=2, in_channels=1)
    recipe = training.recipe("quick", epochs=2, batch_size=16)
    trained = training.train(network, ARCHS[:2], data, recipe, 1)
    # As wide as the widest of both.
    assert [s["rest"]["a"]["conv"].shape[-1] for s in trained.params["stages"]] == [16, 32, 16]
    alone = training.train(network, ARCHS[1:2], data, recipe, 1, own=True)
    for name in ("train_loss", "test_accuracy"):
        np.testing.assert_allclose(trained.curves[name][1], alone.curves[name][0], rtol=2e-2)
    logits = trained.predict(data.test.x)
    np.testing.assert_allclose(logits[1], alone.predict(data.test.x)[0], atol=0.05)


@pytest.mark.slow
def test_a_supernet_moves_the_slices_of_what_it_samples():
    network = networks.nds_resnet(num_classes=2, in_channels=1).within((32, 32, 16))
    data = stripes_of(96, validation=16, test=16)
    # Decay alone would move the weights that neither has.
    recipe = oneshot.recipe(epochs=1, batch_size=16, num_samples=1, weight_decay=0.0)
    archs = ARCHS[1:]
    supernets = [
        oneshot.train(
            network, data, recipe, 0, sampler=oneshot.samplers.listed(arch[None], network.space)
        )
        for arch in archs
    ]
    assert [found.failed_at.tolist() for found in supernets] == [[0], [0]]
    kernels = [networks.kernels(found.params) for found in supernets]
    masks = [network.present(jnp.asarray(arch)) for arch in archs]
    for one, other, mask, mask_other in zip(*kernels, *masks, strict=True):
        moved, moved_other = (np.broadcast_to(m, one.shape[1:]) > 0 for m in (mask, mask_other))
        # What neither has is as it was drawn, and what one of them has is not.
        neither, just_one = ~(moved | moved_other), moved ^ moved_other
        np.testing.assert_array_equal(one[0][neither], other[0][neither])
        assert np.sum(one[0][just_one] != other[0][just_one]) >= 0.9 * just_one.sum()
    # Buckets are of slices of the same weights.
    loss = oneshot.estimator(supernets[0], data, "loss", batch_size=16)
    full = loss(jax.random.key(0), jnp.asarray(archs[:1]))
    np.testing.assert_allclose(
        population.score(loss, archs[:1], 0, progress=False), full, rtol=1e-3
    )


@pytest.mark.parametrize("images", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_images_that_do_not_fit(images, key):
    params = jax.eval_shape(RESNET.init, key)
    arch = jax.ShapeDtypeStruct((6,), jnp.int32)
    with pytest.raises(
        ValueError, match=r"takes images float32 \[N, H, W, 3\] with H and W multiples of 4"
    ):
        jax.eval_shape(RESNET.apply, params, arch, images)


def test_networks_are_made_once_and_by_name():
    for name in nds.FAMILIES:
        network = networks.by_name(name)
        assert network is networks.by_name(name, num_classes=10)
        assert network.space is spaces.by_name(name)
        assert json.dumps(networks.settings(network))
    with pytest.raises(ValueError, match="num_classes must be at least 1; got 0"):
        networks.nds_resnet(num_classes=0)
