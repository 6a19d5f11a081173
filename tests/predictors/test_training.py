"""The settings of a training, and its named losses against `jnas.losses` and against loops."""

import dataclasses
import functools
import itertools
import math
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import losses
from jnas.predictors import Training
from jnas.predictors.layers import Output
from jnas.predictors.training import Batch, LossName, loss_of

NUM = 8
RNG = np.random.default_rng(0)
SCORES, TARGETS = (
    RNG.normal(size=NUM).astype(np.float32),
    RNG.normal(0.9, 0.05, NUM).astype(np.float32),
)
FEATURES = RNG.normal(size=(NUM, 3)).astype(np.float32)
WHERE = np.array([True, True, False, True, True, True, False, True])
TARGETS[5] = TARGETS[1]  # a tie
TARGETS[2] = np.nan  # behind the mask
VALID = np.flatnonzero(WHERE)
PAIRS = [(i, j) for i, j in itertools.combinations(VALID, 2) if TARGETS[i] != TARGETS[j]]
PHIS = {
    "hinge": lambda a: max(0.0, 0.1 - a),
    "logistic": lambda a: math.log1p(math.exp(-a)),
    "exponential": lambda a: math.exp(-a),
}


def project(features):
    """Two different views of an embedding."""
    return features * 2.0, jnp.tanh(features)


def compare(first, second):
    return jnp.sum(first * second - second, axis=-1)


def compared(i: int, j: int) -> float:
    """`compare` of one pair."""
    first, second = 2.0 * FEATURES[i].astype(float), np.tanh(FEATURES[j].astype(float))
    return float(np.sum(first * second - second))


@functools.partial(jax.jit, static_argnums=0)
def loss_and_slopes(training: Training, key: jax.Array):
    def loss(scores, features):
        return loss_of(
            training, key, Batch(Output(scores, features), TARGETS, WHERE, project, compare)
        )

    return jax.value_and_grad(loss, (0, 1))(SCORES, FEATURES)


@jax.jit
def one_pair_each(key: jax.Array):
    return losses.sample_pairs(key, TARGETS, max_ratio=1.0, where=WHERE)


def loss(key: jax.Array, **settings) -> float:
    """The loss of the batch; slopes must be finite, and nothing may flow to what is masked."""
    value, slopes = loss_and_slopes(Training(**settings), key)
    for slope in slopes:
        assert np.isfinite(slope).all()
        np.testing.assert_array_equal(np.asarray(slope)[~WHERE], 0)
    return float(value)


def signed(i: int, j: int) -> float:
    return float(SCORES[i] - SCORES[j]) * math.copysign(1, TARGETS[i] - TARGETS[j])


def test_regressions(key) -> None:
    differences = SCORES[WHERE].astype(float) - TARGETS[WHERE]
    assert loss(key, loss="mse") == pytest.approx(np.mean(differences**2), rel=1e-5)
    assert loss(key, loss="l1") == pytest.approx(np.mean(np.abs(differences)), rel=1e-5)
    assert np.abs(differences).max() > 1 > np.abs(differences).min()
    smooth = [d**2 / 2 if abs(d) < 1 else abs(d) - 0.5 for d in differences]
    assert loss(key, loss="smooth_l1") == pytest.approx(np.mean(smooth), rel=1e-5)
    for name, function in (("mse", losses.mean_squared_error), ("l1", losses.mean_absolute_error)):
        assert loss(key, loss=name) == pytest.approx(
            float(function(SCORES, TARGETS, where=WHERE)), rel=1e-6
        )


def test_classification(key) -> None:
    for threshold in (0.9, 0.95):
        good = TARGETS[WHERE] > threshold
        terms = np.log1p(np.exp(np.where(good, -SCORES[WHERE], SCORES[WHERE])))
        value = loss(key, loss="classification", threshold=threshold)
        assert value == pytest.approx(terms.mean(), rel=1e-5)
        expected = losses.binary_classification(SCORES, TARGETS, threshold=threshold, where=WHERE)
        assert value == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", list(PHIS))
def test_pairs(key, name) -> None:
    terms = [PHIS[name](signed(i, j)) for i, j in PAIRS]
    assert loss(key, loss=name, max_ratio=None) == pytest.approx(np.mean(terms), rel=1e-5)
    phi = {
        "hinge": losses.hinge(),
        "logistic": losses.logistic(),
        "exponential": losses.exponential(),
    }[name]
    pairs, mask = one_pair_each(key)
    assert int(mask.sum()) == 6, "int(max_ratio · n) of the architectures that exist"
    expected = jax.jit(losses.pairwise)(
        SCORES, TARGETS, pairs, phi=phi, pair_mask=mask, where=WHERE
    )
    assert loss(key, loss=name, max_ratio=1.0) == pytest.approx(float(expected), rel=1e-5)


def test_margin(key) -> None:
    terms = [max(0.0, 1.5 - signed(i, j)) for i, j in PAIRS]
    assert loss(key, loss="hinge", margin=1.5, max_ratio=None) == pytest.approx(
        np.mean(terms), rel=1e-5
    )


@pytest.mark.parametrize("length", [2, 3, 100])
def test_lists(key, length) -> None:
    """Lists of the batch in its order, the last one shorter; a mean over places of all lists."""
    terms = []
    for start in range(0, NUM, length):
        members = sorted(
            (i for i in range(start, min(start + length, NUM)) if WHERE[i]),
            key=lambda i: -TARGETS[i],
        )
        for place, i in enumerate(members):
            terms.append(math.log(sum(math.exp(SCORES[k]) for k in members[place:])) - SCORES[i])
    assert len(terms) == 6
    assert loss(key, loss="list_mle", list_length=length) == pytest.approx(np.mean(terms), rel=1e-5)
    if length >= NUM:
        expected = losses.list_mle(SCORES, TARGETS, where=WHERE)
        assert loss(key, loss="list_mle", list_length=length) == pytest.approx(
            float(expected), rel=1e-6
        )


@pytest.mark.parametrize("phi", list(PHIS))
def test_comparator(key, phi) -> None:
    """f(i, j) should be positive where j is better, f(j, i) where i is; None takes all pairs."""
    terms = []
    for i, j in PAIRS:
        sign = math.copysign(1, TARGETS[j] - TARGETS[i])
        terms.append(PHIS[phi](compared(i, j) * sign) + PHIS[phi](-compared(j, i) * sign))
    assert loss(key, loss="comparator", phi=phi, max_ratio=None) == pytest.approx(
        np.mean(terms), rel=1e-4
    )


def test_comparator_of_some_pairs(key) -> None:
    pairs, mask = one_pair_each(key)
    drawn = np.asarray(pairs)[np.asarray(mask)]
    outputs, swapped = (
        np.array([compared(*pair) for pair in order], np.float32)
        for order in (drawn, drawn[:, ::-1])
    )
    expected = jax.jit(losses.comparator)(outputs, swapped, TARGETS, drawn, where=WHERE)
    assert loss(key, loss="comparator", max_ratio=1.0) == pytest.approx(float(expected), rel=1e-4)


def test_comparator_takes_all_pairs_of_a_larger_batch(key) -> None:
    """More than four pairs an architecture."""
    num = 16
    rng = np.random.default_rng(1)
    features, targets = (
        rng.normal(size=(num, 3)).astype(np.float32),
        rng.permutation(num).astype(np.float32),
    )
    batch = Batch(
        Output(jnp.zeros(num), jnp.asarray(features)), targets, np.ones(num, bool), project, compare
    )
    first, second = 2.0 * features.astype(float), np.tanh(features.astype(float))
    outputs = first @ second.T - second.sum(1)
    terms = []
    for i, j in itertools.combinations(range(num), 2):
        sign = math.copysign(1, targets[j] - targets[i])
        terms.append(max(0.0, 0.1 - outputs[i, j] * sign) + max(0.0, 0.1 + outputs[j, i] * sign))
    value = jax.jit(lambda key: loss_of(Training(loss="comparator", max_ratio=None), key, batch))(
        key
    )
    assert float(value) == pytest.approx(np.mean(terms), rel=1e-4)


@pytest.mark.parametrize("phi", list(PHIS))
def test_renas(key, phi) -> None:
    ranking = np.mean([PHIS[phi](signed(i, j)) for i, j in PAIRS])
    triplets = np.asarray(
        jax.jit(lambda key: losses.sample_triplets(jax.random.split(key)[1], NUM, 50))(key)
    )
    terms = []
    for i, j, k in triplets:
        far_j, far_k = (abs(float(TARGETS[i] - TARGETS[other])) for other in (j, k))
        if WHERE[[i, j, k]].all() and abs(far_j - far_k) > 1e-6:
            d_j, d_k = (float(np.linalg.norm(FEATURES[i] - FEATURES[other])) for other in (j, k))
            terms.append(PHIS[phi]((d_j - d_k) * math.copysign(1, far_j - far_k)))
    assert 5 < len(terms) < 50
    settings = {
        "loss": "renas",
        "phi": phi,
        "max_ratio": None,
        "continuity": 0.5,
        "num_triplets": 50,
    }
    assert loss(key, **settings) == pytest.approx(ranking + 0.5 * np.mean(terms), rel=1e-4)
    if phi == "logistic":
        assert loss(key, **settings | {"continuity": 0.0}) == pytest.approx(ranking, rel=1e-5)


@pytest.mark.parametrize("name", get_args(LossName))
def test_every_loss_of_nothing_is_zero(key, name) -> None:
    """A minibatch of padding has no loss and no slope, and one of NaN targets shows it."""
    training = Training(loss=name, num_triplets=5)

    def function(scores, targets, where):
        return loss_of(
            training, key, Batch(Output(scores, scores[:, None]), targets, where, project, compare)
        )

    compiled = jax.jit(jax.value_and_grad(function))
    value, slope = compiled(SCORES, TARGETS, np.zeros(NUM, bool))
    assert float(value) == 0
    np.testing.assert_array_equal(slope, 0)
    assert np.isnan(compiled(SCORES, TARGETS, np.ones(NUM, bool))[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"loss": "hing"},
            r"unknown loss 'hing'\. Did you mean 'hinge'\? Valid names: hinge, logistic, .*renas",
        ),
        ({"loss": "listmle"}, "Did you mean 'list_mle'"),
        (
            {"phi": "logistics"},
            r"unknown phi 'logistics'\. Did you mean 'logistic'\? .*exponential",
        ),
        ({"scaling": "min_max"}, r"unknown scaling 'min_max'\. Did you mean 'minmax'"),
        (
            {"schedule": "cosin"},
            r"unknown schedule 'cosin'\. Did you mean 'cosine'\? Valid names: constant, cosine",
        ),
        ({"loss": None}, "unknown loss None"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2; got 1"),
        ({"list_length": 1}, "list_length must be at least 2; got 1"),
        ({"num_triplets": 0}, "num_triplets must be at least 1; got 0"),
        ({"warmup": -1}, "warmup must be at least 0; got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive.*got 0.0, 0.0 and 1.0"),
        ({"weight_decay": -0.1}, "weight_decay not negative.*got 0.001, -0.1 and 1.0"),
        ({"average_from": 1.5}, "average_from in 0 … 1; got 0.001, 0.0 and 1.5"),
    ],
)
def test_wrong_settings(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Training(**settings)


def test_settings_are_values() -> None:
    assert Training() == Training(loss="hinge", margin=0.1)
    assert hash(Training()) == hash(Training())
    assert Training(epochs=3) != Training()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Training().epochs = 3  # type: ignore[misc]


def test_which_losses_regress() -> None:
    assert {name for name in get_args(LossName) if Training(loss=name).regresses} == {
        "mse",
        "l1",
        "smooth_l1",
    }
