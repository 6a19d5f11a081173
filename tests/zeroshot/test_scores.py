"""Zero-shot scores of a network against the published formulas in float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import weights
from jnas.zeroshot.passes import Candidate, Seen, observe
from jnas.zeroshot.suite import SCORES
from tests.oracles.nasbench201 import NAMED
from tests.oracles.zeroshot import (
    ARCHS,
    IMAGES,
    KEY,
    LABELS,
    NETWORK,
    NUM,
    NUM_CLASSES,
    PASSES,
    SIZES,
    Run,
    instantiate,
    loss_gradients,
    mapped,
    moved,
    scores_of,
)

DEEP = networks.nasbench201(stages=2, **SIZES)
"""For the passes that most scores share and zico, in the slow suite: one cell shows their formulas,
and its programs are those of `test_suite.py` as well."""
BIASED = networks.nasbench201(stages=1, affine=False, **SIZES)


def scores(name, network=NETWORK):
    """The score `[31]` of that name of `ARCHS`."""
    names = next(names for names in PASSES if name in names)
    return scores_of(network, names)[name]


def on_networks(names):
    """Each score of one cell, and some also of two stages of two."""
    deep = [name for name in names if name in (*PASSES[0], "zico")]
    return pytest.mark.parametrize(
        ("name", "network"),
        [
            *(pytest.param(name, NETWORK, id=name) for name in names),
            *(pytest.param(x, DEEP, id=f"{x}-deep", marks=pytest.mark.slow) for x in deep),
        ],
    )


@functools.cache
def nets_params(network):
    return jax.tree.map(np.asarray, jax.jit(network.init)(KEY))


@functools.cache
def nets(network):
    return [instantiate(nets_params(network), arch) for arch in ARCHS]


@functools.cache
def loss_runs(network):
    return [loss_gradients(net, IMAGES, LABELS) for net in nets(network)]


def total(run, term):
    return sum(term(layer.weight.value, layer.weight.grad) for layer in run.layers)


# The formulas: of the pass after the reverse pass of the loss


def fisher(run):
    value = 0.0
    for layer in run.layers:
        product = layer.output.value * layer.output.grad
        of_images = product.reshape(NUM, -1, product.shape[-1]).sum(axis=1)
        weights_a_channel = layer.weight.value.size / product.shape[-1]  # C·k²
        value += weights_a_channel * (of_images**2).mean(axis=0).sum() / 2
    return value


def grasp(run, step=1e-7):
    """Central differences of the gradient, within one linear region of the ReLUs.

    `step` is relative to the weights.
    """
    masks = [relu.parents[0].value > 0 for relu in run.relus]
    grads = [layer.weight.grad for layer in run.layers]
    norms = [
        np.sqrt(sum((w**2).sum() for w in ws))
        for ws in ([x.weight.value for x in run.layers], grads)
    ]
    if norms[1] == 0:
        return 0.0
    step *= norms[0] / norms[1]
    ahead, behind = (
        loss_gradients(moved(run.net, run, grads, s), IMAGES, LABELS, masks) for s in (step, -step)
    )
    slopes = [
        (a.weight.grad - b.weight.grad) / (2 * step)
        for a, b in zip(ahead.layers, behind.layers, strict=True)
    ]
    return -sum(
        (layer.weight.value * slope).sum() for layer, slope in zip(run.layers, slopes, strict=True)
    )


def zico(run):
    halves = [
        loss_gradients(run.net, IMAGES[part], LABELS[part]) for part in (np.s_[:5], np.s_[5:])
    ]
    value = 0.0
    for layers in zip(*(half.layers for half in halves), strict=True):
        grads = np.array([layer.weight.grad for layer in layers])
        size, deviation = np.abs(grads).mean(axis=0), grads.std(axis=0)
        ratios = (size[deviation > 0] / deviation[deviation > 0]).sum()
        value += np.log(ratios) if ratios > 0 else 0.0
    return value


OF_LOSS = {
    "grad_norm": lambda run: total(run, lambda _, g: np.linalg.norm(g)),
    "snip": lambda run: total(run, lambda w, g: np.abs(w * g).sum()),
    "plain": lambda run: total(run, lambda w, g: (w * g).sum()),
    "l2_norm": lambda run: total(run, lambda w, _: np.linalg.norm(w)),
    "fisher": fisher,
    "grasp": grasp,
    "zico": zico,
    "relu_count": lambda run: len(run.relus),
}


# Of the Jacobian of all logits


def jacobian(run):
    run.backward(run.logits, np.ones_like(run.logits.value))
    rows = run.images.grad.reshape(NUM, -1)
    return rows if np.any(rows) else None


def jacob_cov(run):
    rows = jacobian(run)
    if rows is None:
        return -np.inf
    values = np.linalg.eig(np.corrcoef(rows))[0].real + 1e-5
    return -np.sum(np.log(values) + 1 / values)


def epe_nas(run):
    rows = jacobian(run)
    if rows is None:
        return -np.inf
    within = [np.corrcoef(rows[label == LABELS]) for label in range(NUM_CLASSES)]
    return sum(abs(np.log(np.abs(matrix) + 1e-5).sum()) for matrix in within)


def ntk_condition(run):
    rows = []
    for image in range(NUM):
        run.backward(run.logits, np.eye(NUM)[image][:, None] * np.ones(NUM_CLASSES))
        rows.append(np.concatenate([layer.weight.grad.ravel() for layer in run.layers]))
    values = np.linalg.eigvalsh(np.array(rows) @ np.array(rows).T)
    return -values[-1] / values[0] if values[0] > 1e-6 * values[-1] else -np.inf


# Of the codes of ReLUs


def codes(relus):
    return np.concatenate([relu.parents[0].value.reshape(NUM, -1) > 0 for relu in relus], axis=1)


def logdet(relus):
    signs = np.where(codes(relus), 1.0, -1.0)
    kernel = (signs.shape[1] + signs @ signs.T) / 2
    return np.linalg.slogdet(kernel)[1] if np.linalg.matrix_rank(kernel) == NUM else -np.inf


OF_CODES = {
    "naswot": lambda run: logdet(run.live_relus()),
    "relu_logdet": lambda run: logdet(run.relus),
    "linear_regions": lambda run: len(np.unique(codes(run.live_relus()), axis=0)),
    "swap": lambda run: len(np.unique(codes(run.live_relus()), axis=1).T),
    "swap_published": lambda run: len(np.unique(codes(run.relus), axis=1).T),
}


# Of other weights or images


def synflow(net, batch_norm=False):
    run = Run(
        net._replace(layers=mapped(np.abs, net.layers)), np.ones((1, *IMAGES.shape[1:])), batch_norm
    )
    run.backward(run.logits, np.ones_like(run.logits.value))
    flow = total(run, lambda w, g: np.abs(w * g).sum())
    return np.log(flow) if flow > 0 else -np.inf


def live_variances(run, _):
    return [x.value.var(axis=(0, 1, 2)) + 1e-5 for x in run.live_norms()]


def running_variances(run, shifted):
    """Of PyTorch, which starts at 1 and keeps nine tenths of it at each pass."""
    found = []
    for x, y in zip(run.norms, shifted.norms, strict=True):
        one, other = (node.value.var(axis=(0, 1, 2), ddof=1) for node in (x, y))
        found.append(0.9 * (0.9 * 1 + 0.1 * one) + 0.1 * other)
    return found


def zen(params, arch, variances):
    kernels = weights.kernels(params)
    weight_key, image_key, shift_key = jax.random.split(KEY, 3)
    flat = np.asarray(jax.random.normal(weight_key, (sum(kernel.size for kernel in kernels),)))
    parts = np.split(flat, np.cumsum([kernel.size for kernel in kernels])[:-1])
    drawn = [part.reshape(kernel.shape) for part, kernel in zip(parts, kernels, strict=True)]
    net = instantiate(jax.tree.map(np.asarray, weights.with_kernels(params, drawn)), arch)
    images = np.asarray(jax.random.normal(image_key, IMAGES.shape), np.float64)
    shift = 0.01 * np.asarray(jax.random.normal(shift_key, IMAGES.shape), np.float64)
    run, shifted = Run(net, images), Run(net, images + shift)
    distance = np.abs(run.features.value - shifted.features.value).sum() / NUM
    norms = sum(np.log(variance.mean()) / 2 for variance in variances(run, shifted))
    return np.log(distance) + norms if distance > 0 else -np.inf


def assert_near(got, expected, rtol, atol=0.0):
    """Equal where not finite; each message names the architectures."""
    expected = np.array(expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    np.testing.assert_allclose(got[finite], expected[finite], rtol, atol)


# The reference itself


@pytest.mark.parametrize(
    "name", ["all 3x3", "all pool", "dead end in node 2", "never leaves the input"]
)
def test_reverse_pass_of_the_reference_is_the_slope_of_its_forward_pass(name):
    run = loss_runs(DEEP)[list(NAMED).index(name)]
    rng, step = np.random.default_rng(0), 1e-6
    masks = [relu.parents[0].value > 0 for relu in run.relus]
    along = [rng.normal(size=layer.weight.value.shape) for layer in run.layers]
    shift = rng.normal(size=IMAGES.shape)
    run.backward(run.nodes[-1], 1.0)

    def loss(sign):
        """Within one linear region of the ReLUs."""
        net = moved(run.net, run, along, sign * step)
        return Run(net, IMAGES + sign * step * shift, masks=masks).cross_entropy(LABELS).value

    slope = sum((a * layer.weight.grad).sum() for a, layer in zip(along, run.layers, strict=True))
    slope += (shift * run.images.grad).sum()
    np.testing.assert_allclose((loss(1) - loss(-1)) / (2 * step), slope, rtol=1e-5, atol=1e-8)
    for layer in run.layers[:-1]:  # no bias: a factor of the output is one of the weights
        products = (
            (layer.output.value * layer.output.grad).sum(),
            (layer.weight.value * layer.weight.grad).sum(),
        )
        np.testing.assert_allclose(*products, atol=1e-9)


@pytest.mark.slow
def test_differences_of_the_gradient_have_converged():
    for run in loss_runs(DEEP):
        np.testing.assert_allclose(grasp(run), grasp(run, step=1e-6), rtol=3e-5)


# The scores

ILL_CONDITIONED = ("grasp", "zico")
"""Hessians of batch norms over nearly constant units, and gradients of single weights that hardly
differ between the halves of the batch, can lose all their digits in float32: most architectures
agree, all do in float64 (see below)."""


@on_networks(OF_LOSS)
def test_scores_of_the_loss(name, network):
    expected = []
    for run in loss_runs(network):
        run.backward(run.nodes[-1], 1.0)
        expected.append(OF_LOSS[name](run))
    found = scores(name, network)
    errors = np.abs(found - expected)
    assert np.median(errors) <= 1e-4 * np.median(np.abs(expected))
    if name in ILL_CONDITIONED:
        assert np.all(np.isfinite(found))
        assert np.mean(errors <= 1e-3 * np.abs(expected)) >= 0.75
    else:
        scale = np.abs(expected).max() if name == "plain" else 0  # terms of both signs
        assert_near(found, expected, 1e-4, 1e-4 * scale)


@pytest.mark.slow
def test_ill_conditioned_scores_in_float64():
    """What float32 costs above is rounding."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nets_params(NETWORK))
        images, labels = jnp.asarray(IMAGES, jnp.float64), jnp.asarray(LABELS, jnp.int32)

        def of_one(arch):
            candidate = Candidate(NETWORK, params, arch, images, labels, KEY)
            seen = observe(candidate, frozenset({"gradients", "hessian"}))
            return {name: SCORES[name].compute(candidate, seen) for name in ILL_CONDITIONED}

        found = jax.jit(lambda archs: jax.lax.map(of_one, archs))(ARCHS)
    for name, values in found.items():
        expected = [OF_LOSS[name](run) for run in loss_runs(NETWORK)]
        assert_near(np.asarray(values), expected, 1e-6)


@functools.cache
def plain_runs(network):
    """Other passes than those of the loss, whose gradients are kept."""
    return [Run(net, IMAGES) for net in nets(network)]


shallow_and_deep = pytest.mark.parametrize(
    "network", [NETWORK, pytest.param(DEEP, marks=pytest.mark.slow)], ids=["shallow", "deep"]
)


@shallow_and_deep
@pytest.mark.parametrize(("name", "formula"), [("jacob_cov", jacob_cov), ("epe_nas", epe_nas)])
def test_scores_of_the_jacobian(name, formula, network):
    assert_near(scores(name, network), [formula(run) for run in plain_runs(network)], 1e-4)


@shallow_and_deep
def test_condition_of_the_tangent_kernel(network):
    """A third of the architectures: one reverse pass an image."""
    expected = [ntk_condition(run) for run in plain_runs(network)[::3]]
    assert_near(scores("ntk_condition", network)[::3], expected, 1e-4)


@on_networks(OF_CODES)
def test_scores_of_the_codes(name, network):
    expected = [OF_CODES[name](run) for run in plain_runs(network)]
    assert_near(scores(name, network), expected, 1e-4)


@pytest.mark.parametrize("name", ["synflow", "synflow_bn"])
def test_synflow(name):
    expected = [synflow(net, name == "synflow_bn") for net in nets(NETWORK)]
    assert_near(scores(name), expected, 1e-4)


@pytest.mark.parametrize(
    ("name", "variances"), [("zen", live_variances), ("zen_published", running_variances)]
)
def test_zen(name, variances):
    params = nets_params(NETWORK)
    assert_near(scores(name), [zen(params, arch, variances) for arch in ARCHS], 1e-4)


@functools.cache
def synflow_of_params():
    """`(params, archs) -> [B]` for the network whose convolutions have biases."""

    def of_one(params, arch):
        candidate = Candidate(BIASED, params, arch, jnp.asarray(IMAGES), jnp.asarray(LABELS), KEY)
        return SCORES["synflow"].compute(candidate, Seen())

    return jax.jit(lambda params, archs: jax.lax.map(lambda arch: of_one(params, arch), archs))


@pytest.mark.parametrize("factor", [1, 1_000_000])
def test_synflow_with_biases_and_beyond_float32(factor):
    """Biases matter where weights are of usual size; large weights give sums beyond float32."""
    params = jax.tree.map(lambda leaf: factor * leaf, nets_params(BIASED))
    expected = np.array([synflow(instantiate(params, arch)) for arch in ARCHS])
    assert_near(synflow_of_params()(params, ARCHS), expected, 1e-4)
    if factor > 1:
        assert expected.max() > np.log(np.finfo(np.float32).max)


@pytest.mark.slow
def test_biases_change_synflow():
    """Otherwise the test above could pass without them."""
    params = nets_params(BIASED)
    without = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * (path[-1].key != "bias"), params
    )
    net = [synflow(instantiate(tree, NAMED["all 3x3"])) for tree in (params, without)]
    assert abs(net[0] - net[1]) > 1e-3
