"""Banks of NAS-Bench-301: those of edges with either stride, and what the gate's gradient is of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, oneshot
from jnas.oneshot.close import close, layouts
from jnas.oneshot.close import gate as gates
from jnas.oneshot.close.gate import num_open
from jnas.types import Hooks
from tests.oracles.trainings import stripes_of

SMALL = {"channels": 2, "num_classes": 3, "in_channels": 1}
IMAGES = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
# Sources and nodes of the fourteen edges, written down.
EDGES = [(k, node) for node in range(2, 6) for k in range(node)]
ARCH = np.array([2, 1, 5, 3, 4, 5, 6, 0, 2, 4, 3, 0, 4, 9, 3, 5, 2, 4, 6, 1, 2, 4], np.int32)


ENDS = (*EDGES, *((one + 7, two + 7) for one, two in EDGES))


def opened(sharing, embedding):
    """Weights with two open banks, whose gate tells edges apart, and its logits for `ARCH`."""
    params = jax.jit(sharing.network.init)(jax.random.key(0))
    params = jax.jit(sharing.grow)(jax.random.key(2), 2, params)
    gate = gates.Gate(9, ENDS, 2, embedding=embedding)
    logits = jax.jit(
        lambda params: gates.logits(gate, sharing.network.space, params, jnp.asarray(ARCH), None)
    )
    last = params["gate"]["last"]
    # As drawn, one bank is the likeliest on all edges: their mean logits are taken away.
    mean = jnp.mean(logits(params["gate"]), axis=0)
    last = {"bias": last["bias"] - mean, "kernel": last["kernel"]}
    params = params | {"gate": params["gate"] | {"last": last}}
    return params, logits(params["gate"])


def by_hand(params, choices):
    """Weights of the plain network whose edge `e` has bank `choices[e]`, normal cells first."""
    normal, reduction = choices[:14], choices[14:]
    strides = [int(source < 2) for source, _ in EDGES]
    halving = reduction[np.array(strides) == 1]
    sections = []
    for section, stage in zip(params["sections"], params["stages"], strict=True):
        if "skips" in stage:
            part = {
                "edges": jax.tree.map(lambda leaf: leaf[:, reduction, strides], stage["edges"]),
                "skips": jax.tree.map(lambda leaf: leaf[:, halving], stage["skips"]),
            }
        else:
            part = {"edges": jax.tree.map(lambda leaf: leaf[:, normal], stage["edges"])}
        sections.append(section | part)
    plain = {name: part for name, part in params.items() if name not in ("stages", "gate")}
    return plain | {"sections": sections}


@pytest.mark.slow
def test_weights_are_those_of_the_banks_that_edges_choose():
    base = networks.nasbench301(layers=3, affine=True, pool_norm=True, **SMALL)
    layout, sharing = layouts.of_network(base), close(base, schedule=(1, 2), gate_gradient=None)
    shapes = jax.eval_shape(sharing.network.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    choices = rng.integers(0, 2, 28)
    bare = {name: part for name, part in params.items() if name not in ("stages", "gate")}
    for mode in (None, *layout.gradients):
        one_hot = jax.nn.one_hot(choices, 2)
        chosen = (
            layout.chosen if mode is None else functools.partial(layout.prepared, gradient=mode)
        )
        jax.tree.map(
            np.testing.assert_array_equal,
            layout.joined(bare, chosen(params["stages"], one_hot)),
            by_hand(params, choices),
        )


@pytest.mark.slow
def test_scores_are_those_of_the_banks_that_the_gate_chooses():
    """Three cells: a normal one and two that halve the pixels."""
    base = networks.nasbench301(layers=3, affine=False, pool_norm=True, **SMALL)
    sharing = close(base, schedule=(1, 2), gate_gradient="selected", dropout=0.0)
    params, found = opened(sharing, layouts.of_network(base).embedding)
    choices = np.argmax(found, axis=1)
    assert found.shape == (28, 2)
    assert 0 < choices.sum() < 28
    expected = jax.jit(base.own(ARCH).apply)(by_hand(params, choices), None, IMAGES)
    logits = jax.jit(sharing.network.own(ARCH).apply)(params, None, IMAGES)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    other = jax.jit(base.own(ARCH).apply)(by_hand(params, 1 - choices), None, IMAGES)
    assert np.abs(other - logits).max() > 1e-3


def test_banks_are_fewer_weights_than_edges():
    base = networks.nasbench301(layers=3, affine=False, **SMALL)
    shapes = [
        jax.eval_shape(made.init, jax.random.key(0))
        for made in (base, close(base, schedule=(1,), gate_gradient=None).network)
    ]
    edges, banks = (
        sum(leaf.size for leaf in jax.tree.leaves([part["edges"] for part in parts]))
        for parts in (shapes[0]["sections"], shapes[1]["stages"])
    )
    widths = [section["input1"]["conv"].shape[-1] for section in shapes[0]["sections"]]
    # 9, 25, 9 and 25 weights a channel and 1x1 convolutions, of those that are separable twice.
    each = [2 * (9 + 25) * c + 9 * c + 25 * c + 6 * c**2 for c in widths]
    assert edges == 14 * sum(each)
    # One set in the normal cell, two in the others.
    assert banks == each[0] + 2 * sum(each[1:])


@pytest.mark.slow
def test_masks_tell_the_operations_of_an_architecture():
    base = networks.nasbench301(layers=3, affine=False, pool_norm=True, **SMALL)
    network = close(base, schedule=(1, 2), gate_gradient=None).network
    kernels = networks.kernels(jax.eval_shape(network.init, jax.random.key(0)))
    masks = network.present(jnp.asarray(ARCH))
    for kernel, mask in zip(kernels, masks, strict=True):
        np.broadcast_to(mask, kernel.shape)
    # The 5x5 separable convolution of the reduction cells reads nodes 0, 1 and 4.
    fives = [mask for kernel, mask in zip(kernels, masks, strict=True) if kernel.ndim == 7]
    assert {mask.shape[2] for mask in fives} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["selected", "weights"])
def test_gradients_of_choices(mode):
    """That of the output as if it were times the choice, or of the weights."""
    base = networks.nasbench301(layers=1, affine=True, **SMALL)
    layout, own = layouts.of_network(base), base.own(ARCH)
    sharing = close(base, schedule=(1, 2), gate_gradient=mode, dropout=0.0)
    params, _ = opened(sharing, layout.embedding)
    bare = {name: part for name, part in params.items() if name not in ("stages", "gate")}
    places = np.arange(28) % 2
    choices = jax.nn.one_hot(places, 2)

    @jax.jit
    def of_choices(stages, choices):
        def loss(stages, choices):
            plain = layout.joined(bare, layout.prepared(stages, choices, mode))
            logits = layout.logits(own, plain, None, IMAGES, Hooks(), (), mode)
            return jnp.sum(jnp.sin(logits))

        return jax.grad(loss, (0, 1))(stages, choices)

    @jax.jit
    def of_plain(plain):
        return jax.grad(lambda plain: jnp.sum(jnp.sin(own.apply(plain, None, IMAGES))))(plain)

    of_banks, found = of_choices(params["stages"], choices)
    plain = by_hand(params, places)
    moved = of_plain(plain)["sections"][0]["edges"]
    # A bank gets the gradients of the edges that have it, of their stride.
    kernel = moved["dil_conv_3x3"]["pointwise"]["conv"]
    for bank in (0, 1):
        for stride in (0, 1):
            edges = [k for k in range(14) if (k % 2, int(EDGES[k][0] < 2)) == (bank, stride)]
            expected = kernel[0, np.array(edges)].sum(axis=0)
            got = of_banks[0]["edges"]["dil_conv_3x3"]["pointwise"]["conv"][0, bank, stride]
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(found[:14], 0)  # there is no normal cell
    weights = plain["sections"][0]["edges"]
    names = ("dil_conv_3x3", "dil_conv_5x5")
    if mode == "selected":
        # Scale and bias of the last norm multiply what an operation puts out.
        lasts = [(weights[name]["pointwise"], moved[name]["pointwise"]) for name in names]
        lasts += [
            (weights[name]["second"]["pointwise"], moved[name]["second"]["pointwise"])
            for name in ("sep_conv_3x3", "sep_conv_5x5")
        ]
        pairs = [(one["norm"], other["norm"]) for one, other in lasts]
        skips = plain["sections"][0]["skips"], of_plain(plain)["sections"][0]["skips"]
    else:
        layers = (*names, "sep_conv_3x3", "sep_conv_5x5")
        pairs = [(weights[name], moved[name]) for name in layers]
        skips = plain["sections"][0]["skips"], of_plain(plain)["sections"][0]["skips"]

    def products(one, other):
        parts = [
            np.asarray(x * y, np.float64).reshape(len(x[0]), -1).sum(axis=1)
            for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        ]
        return np.sum(parts, axis=0)

    expected = np.sum([products(*pair) for pair in pairs], axis=0)
    of_skips = [part["norm"] if mode == "selected" else part for part in skips]
    is_halving = np.array([source < 2 for source, _ in EDGES])
    expected[is_halving] += products(*of_skips)
    got = np.asarray(found)[14:][np.arange(14), places[14:]]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(got).max() > 1e-3


@pytest.mark.slow
def test_banks_open_while_a_supernet_is_trained():
    base = networks.nasbench301(
        channels=2, layers=1, num_classes=2, in_channels=1, affine=False, pool_norm=True
    )
    sharing = close(base, schedule=(1, 2), restarts=(), gate_gradient="selected", dropout=0.0)
    recipe = oneshot.recipe("quick", sampler="uniform", epochs=2, batch_size=16)
    stripes = stripes_of(48, validation=16, test=0)
    supernet = oneshot.train(sharing, stripes, recipe, 0, keep=(1,))
    gate_of = lambda made: jax.tree.map(lambda leaf: leaf[0], made.params["gate"])  # noqa: E731
    assert [int(num_open(gate_of(made))) for made in (supernet.at(1), supernet)] == [1, 2]
    scores = oneshot.estimator(supernet, stripes, "loss")(jax.random.key(0), ARCH[None])
    assert np.isfinite(scores).all()


def test_what_is_refused():
    base = networks.nasbench301(layers=1, **SMALL)
    with pytest.raises(ValueError, match="'selected' or 'weights', or None, on nasbench301"):
        close(base)
    with pytest.raises(ValueError, match="a network of nasbench201 or nasbench301"):
        close(networks.nats_size())
