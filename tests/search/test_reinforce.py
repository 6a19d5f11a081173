"""Policy gradients against NumPy: gradients by hand, Adam by hand, the LSTM gate by gate."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import jnas
from jnas.search import _baselines, policies
from jnas.types import Outcome, Query, Searcher, Space
from tests.oracles.searches import compiled, run

SPACE = jnas.spaces.nasbench201()
CARDINALITIES = (2, 3, 2)


def small_space(is_valid=lambda arch: jnp.asarray(True)) -> Space:
    """12 vectors; the stand-in for what the policy cannot draw is (1, 2, 1)."""
    return SPACE._replace(
        cardinalities=CARDINALITIES,
        sample=lambda key: jnp.asarray([1, 2, 1], jnp.int32),
        is_valid=is_valid,
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def play(searcher: Searcher, rewards, num_evaluations: int) -> tuple[list, list[np.ndarray]]:
    """States, the first one included, and the batches of architectures between them."""
    searcher = compiled(searcher)
    state = searcher.init(jax.random.key(0))
    states, batches = [state], []
    for i in range(num_evaluations):
        query, state = searcher.ask(jax.random.key(i + 1), state)
        scores = [rewards(arch.tolist()) for arch in np.asarray(query.archs)]
        outcome = Outcome(np.array(scores, np.float32), np.zeros(len(scores), np.float32))
        state = searcher.tell(state, query, outcome)
        states.append(state)
        batches.append(np.asarray(query.archs))
    return states, batches


def reward(arch: list[int]) -> float:
    """Percent, and now and then a failure."""
    return math.nan if arch == [1, 1, 1] else 50.0 + 10 * arch[0] + 7 * arch[1] - 3 * arch[2]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_factorised_policy_with_adam_by_hand(batch_size) -> None:
    rate, momentum, entropy_weight, failure = 0.05, 0.8, 2.0, 20.0
    searcher = jnas.search.reinforce(
        small_space(),
        optimiser=optax.adam(rate),
        momentum=momentum,
        entropy_weight=entropy_weight,
        failure_reward=failure,
        batch_size=batch_size,
    )
    states, batches = play(searcher, reward, 40)

    logits = [np.asarray(states[0].params[d, :k], np.float64) for d, k in enumerate(CARDINALITIES)]
    first = [np.zeros(k) for k in CARDINALITIES]
    second = [np.zeros(k) for k in CARDINALITIES]
    total = weight = 0.0
    for t, batch in enumerate(batches, start=1):
        rewards = [
            failure if math.isnan(reward(arch.tolist())) else reward(arch.tolist())
            for arch in batch
        ]
        total = momentum * total + (1 - momentum) * sum(rewards) / len(rewards)
        weight = momentum * weight + (1 - momentum)
        baseline = total / weight
        for d, k in enumerate(CARDINALITIES):
            p = softmax(logits[d])
            gradient = np.zeros(k)
            for arch, r in zip(batch, rewards, strict=True):
                onehot = np.zeros(k)
                onehot[arch[d]] = 1
                gradient += -(onehot - p) * (r - baseline) / len(batch)
            entropy = -np.sum(p * np.log(p))
            gradient -= entropy_weight * (-p * (np.log(p) + entropy))
            first[d] = 0.9 * first[d] + 0.1 * gradient
            second[d] = 0.999 * second[d] + 0.001 * gradient**2
            logits[d] = logits[d] - rate * (first[d] / (1 - 0.9**t)) / (
                np.sqrt(second[d] / (1 - 0.999**t)) + 1e-8
            )
        for d, k in enumerate(CARDINALITIES):
            np.testing.assert_allclose(states[t].params[d, :k], logits[d], atol=2e-4)
        assert states[t].baseline == pytest.approx(baseline, rel=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.97])
def test_the_first_baseline_is_the_reward_in_every_bit(momentum) -> None:
    after = functools.partial(_baselines.after, momentum, jnp.zeros(()), jnp.zeros(()))
    rewards = jnp.asarray(np.random.default_rng(0).normal(90, 5, 200), jnp.float32)
    for function in (after, jax.jit(after)):
        np.testing.assert_array_equal(jax.vmap(function)(rewards)[0], rewards)


def test_first_outcome_is_its_own_baseline() -> None:
    """As in the published script the baseline includes the reward: the first step goes nowhere."""
    states, _ = play(jnas.search.reinforce(small_space()), lambda arch: 80.0, 2)
    np.testing.assert_array_equal(states[0].params, states[1].params)
    np.testing.assert_array_equal(
        states[0].params, states[2].params
    )  # a constant reward teaches nothing


FAILING = jnas.search.reinforce(small_space(), failure_reward=-3.0)


@pytest.mark.parametrize("failed", [math.nan, -math.inf, math.inf])
def test_reward_of_failures(failed) -> None:
    states, _ = play(FAILING, lambda arch: failed, 3)
    assert states[-1].baseline == pytest.approx(-3.0)


# --------------------------------------------------------------------------------------------------
# Policies


def naive_lstm(
    params: policies.LstmParams, arch: list[int], cardinalities: tuple[int, ...]
) -> list[np.ndarray]:
    """Logits of every position, only those that exist, in float64."""
    embedding, kernels, biases, head, head_bias = (np.asarray(leaf, np.float64) for leaf in params)
    num_layers, hidden = kernels.shape[0], kernels.shape[2] // 4
    h = [np.zeros(hidden) for _ in range(num_layers)]
    c = [np.zeros(hidden) for _ in range(num_layers)]
    x, rows = np.zeros(hidden), []
    for d, k in enumerate(cardinalities):
        below = x
        for layer in range(num_layers):
            gates = np.concatenate([below, h[layer]]) @ kernels[layer] + biases[layer]
            i, f, o = (1 / (1 + np.exp(-gates[n * hidden : (n + 1) * hidden])) for n in (0, 1, 3))
            g = np.tanh(gates[2 * hidden : 3 * hidden])
            c[layer] = f * c[layer] + i * g
            h[layer] = o * np.tanh(c[layer])
            below = h[layer]
        rows.append((below @ head[d] + head_bias[d])[:k])
        x = embedding[d, arch[d]]
    return rows


def test_lstm_gate_by_gate() -> None:
    policy = policies.lstm(CARDINALITIES, hidden=4, num_layers=2, scale=1.0)
    params = jax.jit(policy.init)(jax.random.key(0))
    compiled_logits = jax.jit(policy.logits)
    for arch in itertools.product(*map(range, CARDINALITIES)):
        logits = np.asarray(compiled_logits(params, np.array(arch, np.int32)))
        for row, expected in zip(
            logits, naive_lstm(params, list(arch), CARDINALITIES), strict=True
        ):
            np.testing.assert_allclose(row[: len(expected)], expected, rtol=1e-4, atol=1e-5)
            assert (row[len(expected) :] == -1e9).all()


def test_lstm_of_the_paper() -> None:
    params = jax.jit(policies.lstm(SPACE.cardinalities).init)(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == (
        (6, 5, 35),
        (2, 70, 140),
        (2, 140),
        (6, 35, 5),
        (6, 5),
    )
    values = np.concatenate([np.ravel(leaf) for leaf in params])
    assert 0.0799 < np.abs(values).max() <= 0.08
    assert abs(values.mean()) < 0.001


@pytest.mark.parametrize("make", [policies.factorised, functools.partial(policies.lstm, hidden=4)])
def test_samples_follow_the_logits(make) -> None:
    policy = make(CARDINALITIES, scale=1.0)
    params = jax.jit(policy.init)(jax.random.key(1))
    compiled_logits = jax.jit(policy.logits)
    archs = np.asarray(
        jax.jit(jax.vmap(policy.sample, (0, None)))(
            jax.random.split(jax.random.key(2), 20_000), params
        )
    )
    total = 0.0
    for arch in itertools.product(*map(range, CARDINALITIES)):
        logits = np.asarray(compiled_logits(params, np.array(arch, np.int32)), np.float64)
        rows = zip(logits, arch, CARDINALITIES, strict=True)
        probability = math.prod(softmax(row[:k])[choice] for row, choice, k in rows)
        assert (archs == arch).all(axis=1).mean() == pytest.approx(probability, abs=0.012)
        total += probability
    assert total == pytest.approx(1, abs=1e-6)


def test_gradient_of_the_lstm_by_differences() -> None:
    """One step of plain gradient descent with rate 1 on the equation of the docstring."""
    policy = policies.lstm(CARDINALITIES, hidden=3, num_layers=2, scale=0.7)
    searcher = compiled(
        jnas.search.reinforce(
            small_space(), policy=policy, optimiser=optax.sgd(1.0), entropy_weight=0.3, batch_size=2
        )
    )
    state = searcher.init(jax.random.key(3))
    archs, rewards = [[0, 2, 1], [1, 0, 0]], [0.9, 0.4]
    query = Query(*(np.array(leaf, np.int32) for leaf in (range(2), archs, [0, 0])))
    outcome = Outcome(np.array(rewards, np.float32), np.zeros(2, np.float32))
    after = jax.tree.map(np.asarray, searcher.tell(state, query, outcome))
    state = jax.tree.map(np.asarray, state)

    def loss(leaves: list[np.ndarray]) -> float:
        total = 0.0
        for arch, r in zip(archs, rewards, strict=True):
            rows = [
                softmax(row)
                for row in naive_lstm(policies.LstmParams(*leaves), arch, CARDINALITIES)
            ]
            log_prob = sum(math.log(p[choice]) for p, choice in zip(rows, arch, strict=True))
            entropy = -sum(np.sum(p * np.log(p)) for p in rows)
            total += -log_prob * (r - np.mean(rewards)) - 0.3 * entropy
        return total / 2

    leaves = [np.array(leaf, np.float64) for leaf in state.params]
    for n, leaf in enumerate(leaves):
        for at in itertools.islice(np.ndindex(leaf.shape), 0, None, 7):
            value, difference = leaf[at], 0.0
            for side in (1, -1):
                leaf[at] = value + side * 1e-5
                difference += side * loss(leaves) / 2e-5
            leaf[at] = value
            assert state.params[n][at] - after.params[n][at] == pytest.approx(difference, abs=2e-5)


# --------------------------------------------------------------------------------------------------
# Vectors that may not be proposed


def test_invalid_draws_are_drawn_again() -> None:
    """What is left keeps its shares: the policy conditioned on validity."""
    space = small_space(lambda arch: arch[0] + arch[2] == 1)
    searcher = compiled(jnas.search.reinforce(space, batch_size=20_000))
    state = searcher.init(jax.random.key(0))
    state = state._replace(params=jnp.asarray([[0.5, 0, 0], [0.1, 0, -1], [0, 1, 0]], jnp.float32))
    archs = np.asarray(searcher.ask(jax.random.key(1), state)[0].archs)
    assert (archs[:, 0] + archs[:, 2] == 1).all()
    p = [softmax(np.array([0.5, 0])), softmax(np.array([0.1, 0, -1])), softmax(np.array([0, 1]))]
    left, right = p[0][0] * p[2][1], p[0][1] * p[2][0]
    assert (archs[:, 0] == 0).mean() == pytest.approx(left / (left + right), abs=0.012)
    np.testing.assert_allclose(np.bincount(archs[:, 1]) / len(archs), p[1], atol=0.012)


def test_the_space_steps_in_where_the_policy_finds_nothing() -> None:
    space = small_space(lambda arch: jnp.all(arch == jnp.asarray([1, 2, 1], jnp.int32)))
    searcher = compiled(jnas.search.reinforce(space, batch_size=8, max_draws=1))
    archs = searcher.ask(jax.random.key(1), searcher.init(jax.random.key(0)))[0].archs
    np.testing.assert_array_equal(archs, [[1, 2, 1]] * 8)


@pytest.mark.parametrize("policy", ["factorised", pytest.param("lstm", marks=pytest.mark.slow)])
def test_learns(key, policy) -> None:
    """Mean number of 3x3 convolutions proposed: at first 6/5, in the end more than 4."""
    score = Partial(lambda key, archs: jnp.sum(archs == 3, axis=1).astype(jnp.float32))
    searcher = jnas.search.reinforce(SPACE, policy=policy, optimiser=optax.adam(0.02), batch_size=8)
    history = run(searcher, jnas.search.objective(score), key, num_evaluations=2400)
    scores = np.asarray(history.scores)
    assert scores[:16].mean() < 2
    assert scores[-80:].mean() > 4


@pytest.mark.slow
def test_default_optimisers_are_the_papers() -> None:
    """The first step of Adam is the learning rate, whatever the gradient."""
    for policy, rate in (("factorised", 0.01), ("lstm", 6e-4)):
        searcher = compiled(jnas.search.reinforce(SPACE, policy=policy, batch_size=2))
        before = searcher.init(jax.random.key(0))
        query, _ = searcher.ask(jax.random.key(1), before)
        after = searcher.tell(before, query, Outcome(jnp.asarray([10.0, 90.0]), jnp.zeros(2)))
        moved = jax.tree.map(
            lambda a, b: np.abs(a - b).max(),
            *jax.tree.map(np.asarray, (before.params, after.params)),
        )
        np.testing.assert_allclose(jax.tree.leaves(moved)[-1], rate, rtol=1e-3)


def test_bad_arguments() -> None:
    make = jnas.search.reinforce
    for options, message in (
        ({"policy": "lsmt"}, r"unknown policy 'lsmt'\. Did you mean 'lstm'\? Valid names: fact"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\); got 1.0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"max_draws": 0}, "max_draws must be at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make(SPACE, **options)
