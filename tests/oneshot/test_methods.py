"""Parts of weight-sharing searches by their laws: gradients, samples, controllers, choices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jnas import oneshot, spaces
from jnas.oneshot.alternating import unrolled
from jnas.oneshot.darts import divergence, edge_weights
from jnas.oneshot.enas import draw, init, next_baseline
from jnas.oneshot.gdas import sampled, temperature
from jnas.oneshot.setn import by_probability
from jnas.spaces.nasbench201 import EDGES
from tests.oracles.weight_sharing import setup_of

SPACE = spaces.nasbench201()
ALPHA = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def test_second_order_is_exact_on_a_quadratic():
    rng = np.random.default_rng(1)
    w, alpha, momentum = (rng.normal(size=4).astype(np.float32) for _ in range(3))
    rate, decay, radii = np.float32(0.025), 0.1, []

    def fit(params, alpha):
        return jnp.sum((params - alpha) ** 2) / 2

    def choose(params, alpha):
        del alpha
        return jnp.sum(params**2) / 2

    value, gradient = unrolled(fit, choose, w, alpha, rate, momentum, decay)
    ahead = w - rate * (momentum + (w - alpha) + decay * w)  # heavy ball
    np.testing.assert_allclose(value, np.sum(ahead**2) / 2, rtol=1e-5)
    np.testing.assert_allclose(gradient, rate * ahead, atol=1e-6)

    def seen(params, alpha):
        jax.debug.callback(lambda p: radii.append(np.linalg.norm(p - w)), params)
        return fit(params, alpha)

    unrolled(seen, choose, w, alpha, rate, momentum, decay)
    jax.effects_barrier()
    # The weights are moved by .01 to either side, whatever the gradient.
    assert sum(abs(radius - 0.01) < 1e-5 for radius in radii) >= 2


def test_sampled_gates_are_one_hot_and_their_gradients_sum_to_nothing():
    out = np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)

    def value(alpha, key):
        gates, arch = sampled(key, alpha, 2.0)
        return jnp.sum(out * gates), (gates, arch)

    run = jax.jit(jax.grad(value, has_aux=True))
    for key in jax.random.split(jax.random.key(0), 5):
        gradient, (gates, arch) = run(ALPHA, key)
        np.testing.assert_array_equal(gates, np.eye(5)[np.asarray(arch)])
        np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-6)
        assert np.all(np.abs(gradient) > 0)  # those that were not sampled learn, too


def test_samples_follow_the_distribution():
    keys = jax.random.split(jax.random.key(0), 20_000)
    archs = jax.vmap(lambda key: sampled(key, ALPHA, 0.5)[1])(keys)
    shares = jax.nn.one_hot(archs, 5).mean(axis=0)
    np.testing.assert_allclose(shares, jax.nn.softmax(ALPHA), atol=0.02)


def test_temperature_falls_from_ten_to_a_tenth():
    assert temperature(jnp.float32(0)) == 10
    assert abs(temperature(jnp.float32(1)) - 0.1) < 1e-6
    assert abs(temperature(jnp.float32(0.5)) - 5.05) < 1e-6


def test_an_indifferent_controller_is_uniform():
    controller = jax.tree.map(jnp.zeros_like, init(jax.random.key(0), SPACE))
    found = draw(jax.random.key(1), controller, 6)
    assert abs(found.log_prob - 6 * np.log(1 / 5)) < 1e-5
    assert abs(found.entropy - 9.657) < 1e-3


def test_logits_of_a_controller_are_bounded():
    controller = jax.tree.map(lambda x: 100 * x, init(jax.random.key(0), SPACE))
    run = jax.jit(jax.vmap(lambda key: draw(key, controller, 6)))
    found = run(jax.random.split(jax.random.key(1), 50))
    # Of logits within 2.5 of 0 no choice is less likely than this.
    least = 6 * np.log(1 / (1 + 4 * np.exp(5)))
    assert np.all(np.asarray(found.log_prob) >= least - 1e-4)
    assert np.asarray(found.log_prob).min() < 6 * np.log(1 / 5)


def test_controllers_log_probabilities_are_those_of_what_they_draw():
    """The frequency of the first choice, which no other one precedes."""
    controller = jax.tree.map(lambda x: 3 * x, init(jax.random.key(2), SPACE))
    found = jax.vmap(lambda key: draw(key, controller, 1))(
        jax.random.split(jax.random.key(3), 20_000)
    )
    first, log_probs = np.asarray(found.arch)[:, 0], np.asarray(found.log_prob)
    for op in range(5):
        share = np.mean(first == op)
        assert abs(share - np.exp(log_probs[first == op][0])) < 0.02


def test_baselines_move_by_a_hundredth_and_begin_with_the_accuracy():
    reward, accuracy = jnp.float32(0.8), jnp.float32(0.7)
    assert abs(next_baseline(jnp.float32(0.5), reward, accuracy) - 0.503) < 1e-6
    assert next_baseline(jnp.float32(np.nan), reward, accuracy) == accuracy
    slope = jax.grad(lambda r: next_baseline(jnp.float32(np.nan), r, accuracy))(reward)
    assert slope == 0


def test_the_controllers_wave_turns_every_ten_epochs(network, stripes):
    of = setup_of(network, stripes, "enas")
    at = [float(of.rate(jnp.int32(epoch * of.steps))) for epoch in (0, 5, 10, 20, 25)]
    np.testing.assert_allclose(at, [0.05, 0.02525, 0.0005, 0.05, 0.02525], rtol=1e-4)


def test_ties_keep_their_order():
    archs = SPACE.enumerate()
    np.testing.assert_array_equal(by_probability(np.zeros((6, 5)), archs), archs)
    ranked = by_probability(ALPHA, archs)
    np.testing.assert_array_equal(ranked[0], ALPHA.argmax(axis=1))
    totals = ALPHA[np.arange(6), ranked].sum(axis=1)
    assert np.all(np.diff(totals) < 1e-4)


def test_divergence_is_that_of_dirichlet_distributions():
    concentrations = np.where(ALPHA > 0, ALPHA, np.expm1(ALPHA)) + 1
    uniform = special.gammaln(5)  # logarithm of the density
    expected = sum(-stats.dirichlet.entropy(row) - uniform for row in concentrations)
    np.testing.assert_allclose(divergence(ALPHA), 1e-3 * expected, rtol=1e-3)
    assert abs(divergence(jnp.zeros((6, 5)))) < 1e-7


def test_edges_into_a_node_share_its_weight():
    weights = np.asarray(edge_weights(ALPHA[:, 0]))
    for node in (1, 2, 3):
        into = [edge for edge, (_, end) in enumerate(EDGES) if end == node]
        np.testing.assert_allclose(weights[into], special.softmax(ALPHA[into, 0]), rtol=1e-5)


def test_a_search_stops_before_skips_take_over():
    archs = np.array([[3] * 6, [1, 3, 3, 3, 3, 3], [1, 1, 3, 3, 3, 3], [3] * 6])
    probabilities = np.eye(5)[archs]
    assert oneshot.before_skips(probabilities, 1)[0] == 2
    np.testing.assert_array_equal(oneshot.before_skips(probabilities, 1)[1], archs[1])
    assert oneshot.before_skips(probabilities, 1, 3)[0] == 4  # they never do
    assert oneshot.before_skips(probabilities[2:], 1)[0] == 1  # from the beginning
    for bad, num, message in ((probabilities[0], 2, "of T epochs"), (probabilities, 0, "at least")):
        with pytest.raises(ValueError, match=message):
            oneshot.before_skips(bad, 1, num)
