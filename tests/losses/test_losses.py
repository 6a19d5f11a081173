import itertools
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jnas import losses
from jnas.losses import sampling

PHIS = {
    "hinge": (losses.hinge(), lambda a: max(0.0, 0.1 - a)),
    "wide hinge": (losses.hinge(margin=1.5), lambda a: max(0.0, 1.5 - a)),
    "logistic": (losses.logistic(), lambda a: math.log(1.0 + math.exp(-a))),
    "exponential": (losses.exponential(), lambda a: math.exp(-a)),
}
every_phi = pytest.mark.parametrize(("phi", "scalar_phi"), PHIS.values(), ids=PHIS.keys())

PAIRS = np.array([[0, 3], [4, 1], [2, 5], [5, 0], [1, 1]])
TRIPLETS = np.array([[0, 1, 2], [3, 1, 5], [4, 5, 0], [2, 3, 4]])
OUTPUTS = np.array([0.05, -1.0, 2.0, 0.3, 0.7], np.float32)

# Every loss as a function of (scores, targets, where, reduce_fn). Features and outputs of
# comparators are made of the scores.
LOSSES: dict[str, Callable] = {
    "mean_squared_error": losses.mean_squared_error,
    "mean_absolute_error": losses.mean_absolute_error,
    "binary_classification": losses.binary_classification,
    "pairwise": losses.pairwise,
    "pairwise on pairs": lambda s, y, **options: losses.pairwise(
        s, y, PAIRS, phi=losses.logistic(), **options
    ),
    "comparator": lambda s, y, **options: losses.comparator(
        s[..., PAIRS[:, 0]] * 2, s[..., PAIRS[:, 1]], y, PAIRS, **options
    ),
    "list_mle": losses.list_mle,
    "triplet_continuity": lambda s, y, **options: losses.triplet_continuity(
        features_of(s), y, **options
    ),
    "triplets": lambda s, y, **options: losses.triplet_continuity(
        features_of(s), y, TRIPLETS, **options
    ),
}
JITTED = {name: jax.jit(loss, static_argnames="reduce_fn") for name, loss in LOSSES.items()}
GRADIENTS = {name: jax.jit(jax.value_and_grad(loss)) for name, loss in LOSSES.items()}
# One of each kind is quick: of elements, of all pairs, of listed ones, of a list, of triplets.
QUICK = ("mean_squared_error", "pairwise", "comparator", "list_mle", "triplets")


def of_each(functions: dict[str, Callable]) -> list:
    """Functions of each loss, those that are not quick in the slow suite only."""
    return [
        pytest.param(function, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, function in functions.items()
    ]


every_loss = pytest.mark.parametrize("loss", of_each(JITTED))
every_gradient = pytest.mark.parametrize("gradient", of_each(GRADIENTS))
pairwise, comparator, triplet_continuity = (
    jax.jit(loss, static_argnames="reduce_fn")
    for loss in (losses.pairwise, losses.comparator, losses.triplet_continuity)
)
list_mle = jax.jit(losses.list_mle, static_argnames=("list_length", "reduce_fn"))
renas = jax.jit(losses.renas, static_argnames="reduce_fn")
sample_pairs = jax.jit(losses.sample_pairs, static_argnames=("num_pairs", "max_ratio"))


def features_of(scores: jax.Array) -> jax.Array:
    return jnp.stack([scores, jnp.square(scores), scores**3], axis=-1)


def make_lists(seed: int, *shape: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and targets around 0.9; float32, so that references see the very same numbers."""
    rng = np.random.default_rng(seed)
    scores, targets = rng.normal(size=shape), rng.normal(0.9, 0.05, shape)
    if ties:
        scores, targets = np.round(scores), np.round(targets * 25) / 25
    return scores.astype(np.float32), targets.astype(np.float32)


def sign(number: float) -> int:
    return int(number > 0) - int(number < 0)


def equation_3(
    scores: np.ndarray, targets: np.ndarray, phi: Callable, pairs: list, threshold: float = 0.0
) -> list:
    """The terms of pairs that are no ties."""
    used = [(i, j) for i, j in pairs if abs(targets[i] - targets[j]) > threshold]
    return [
        phi((float(scores[i]) - float(scores[j])) * sign(targets[i] - targets[j])) for i, j in used
    ]


def equation_4(features: np.ndarray, targets: np.ndarray, phi: Callable, triplets: list) -> list:
    terms = []
    for i, j, k in triplets:
        distances = math.dist(features[i], features[j]) - math.dist(features[i], features[k])
        change = sign(abs(targets[i] - targets[j]) - abs(targets[i] - targets[k]))
        if change:
            terms.append(phi(distances * change))
    return terms


def plackett_luce(
    scores: np.ndarray, order: tuple[int, ...], num_places: int | None = None
) -> float:
    """Probability of drawing `order` (its first places) one by one, in proportion to e^score."""
    probability, left = 1.0, list(order)
    for chosen in order[:num_places]:
        probability *= math.exp(scores[chosen]) / sum(math.exp(scores[other]) for other in left)
        left.remove(chosen)
    return probability


def all_tuples(length: int, size: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(length), size))


# Element by element


def test_mean_errors_are_equations_1_and_2() -> None:
    scores, targets = make_lists(0, 3, 7)
    errors = [float(z) - float(y) for z, y in zip(scores.ravel(), targets.ravel(), strict=True)]
    np.testing.assert_allclose(
        losses.mean_squared_error(scores, targets), sum(e * e for e in errors) / 21, rtol=1e-5
    )
    np.testing.assert_allclose(
        losses.mean_absolute_error(scores, targets), sum(map(abs, errors)) / 21, rtol=1e-5
    )


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_binary_classification_is_the_log_likelihood(weight: float) -> None:
    logits, targets = make_lists(1, 40)
    targets[:3] = 0.9  # exactly at the threshold is not above it
    terms = []
    for logit, target in zip(logits.tolist(), targets, strict=True):
        good = 1.0 / (1.0 + math.exp(-logit))
        terms.append(
            -weight * math.log(good) if target > np.float32(0.9) else -math.log(1.0 - good)
        )
    assert 5 < np.sum(targets > np.float32(0.9)) < 35
    loss = losses.binary_classification(logits, targets, positive_weight=weight)
    np.testing.assert_allclose(loss, np.mean(terms), rtol=1e-5)


def test_binary_classification_survives_large_logits() -> None:
    logits, targets = jnp.array([1e4, -1e4, 1e4]), jnp.array([95.0, 80.0, 80.0])
    terms = losses.binary_classification(logits, targets, threshold=90.0, reduce_fn=None)
    np.testing.assert_array_equal(terms, [0.0, 0.0, 1e4])


# Pairs


@every_phi
@pytest.mark.parametrize("ties", [False, True])
def test_pairwise_is_equation_3(phi: losses.Phi, scalar_phi: Callable, ties: bool) -> None:
    scores, targets = make_lists(2, 9, ties=ties)
    terms = equation_3(scores, targets, scalar_phi, all_tuples(9, 2))
    assert (len(terms) < 36) == ties
    np.testing.assert_allclose(pairwise(scores, targets, phi=phi), np.mean(terms), rtol=1e-5)
    total = pairwise(scores, targets, phi=phi, reduce_fn=jnp.sum)
    np.testing.assert_allclose(total, sum(terms), rtol=1e-5)


@every_phi
def test_pairwise_on_pairs_is_equation_3(phi: losses.Phi, scalar_phi: Callable) -> None:
    scores, targets = make_lists(3, 6)
    terms = equation_3(scores, targets, scalar_phi, PAIRS.tolist())
    assert len(terms) == 4  # an architecture ties with itself
    np.testing.assert_allclose(pairwise(scores, targets, PAIRS, phi=phi), np.mean(terms), rtol=1e-5)
    pair_mask = np.array([True, False, True, False, True])
    masked = pairwise(scores, targets, PAIRS, phi=phi, pair_mask=pair_mask)
    np.testing.assert_allclose(masked, (terms[0] + terms[2]) / 2, rtol=1e-5)


def test_all_pairs_are_the_explicit_ones() -> None:
    scores, targets = make_lists(4, 2, 6)
    upper = np.triu_indices(6, 1)
    dense = pairwise(scores, targets, reduce_fn=None)
    listed = pairwise(scores, targets, np.stack(upper, axis=-1), reduce_fn=None)
    assert dense.shape == (2, 6, 6)
    np.testing.assert_array_equal(dense[:, *upper], listed)
    assert np.all(dense[:, *np.tril_indices(6)] == 0)


def test_threshold_widens_ties() -> None:
    scores, targets = make_lists(5, 12)
    hinge = PHIS["hinge"][1]
    terms = equation_3(scores, targets, hinge, all_tuples(12, 2), threshold=0.05)
    assert 10 < len(terms) < 60
    np.testing.assert_allclose(pairwise(scores, targets, threshold=0.05), np.mean(terms), rtol=1e-5)


def test_ties_below_threshold_zero_cost_phi_of_zero() -> None:
    tied = pairwise(jnp.array([3.0, -4.0]), jnp.ones(2), phi=losses.logistic(), threshold=-1.0)
    np.testing.assert_allclose(tied, math.log(2.0), rtol=1e-6)


def test_hinge_is_zero_exactly_where_margins_are_kept() -> None:
    targets = jnp.array([0.5, 0.7, 0.6, 0.9])
    kept = jnp.array([0.0, 0.5, 0.25, 0.75])
    assert pairwise(kept, targets, phi=losses.hinge(margin=0.25)) == 0
    assert pairwise(kept, targets, phi=losses.hinge(margin=0.26)) > 0
    slopes = jax.jit(jax.grad(losses.pairwise))(kept, targets, phi=losses.hinge(margin=0.25))
    assert not np.any(slopes)
    # Order reversed, differences −.25 thrice, −.5 twice, −.75 once: 6 margins and 2.5.
    total = pairwise(-kept, targets, phi=losses.hinge(margin=0.1), reduce_fn=jnp.sum)
    np.testing.assert_allclose(total, 6 * 0.1 + 2.5, rtol=1e-6)


def test_logistic_is_binary_cross_entropy_of_the_second_being_better() -> None:
    scores, targets = make_lists(6, 6)
    terms = []
    for first, second in PAIRS[:4]:
        probability = 1.0 / (1.0 + math.exp(scores[first] - scores[second]))
        terms.append(
            -math.log(probability if targets[second] > targets[first] else 1.0 - probability)
        )
    loss = pairwise(scores, targets, PAIRS[:4], phi=losses.logistic(), reduce_fn=None)
    np.testing.assert_allclose(loss, terms, rtol=1e-5)


@pytest.mark.parametrize("phi", [losses.hinge(), losses.logistic()])
def test_pairs_may_be_turned_around(phi: losses.Phi) -> None:
    scores, targets = make_lists(7, 6)
    np.testing.assert_array_equal(
        pairwise(scores, targets, PAIRS, phi=phi, reduce_fn=None),
        pairwise(scores, targets, PAIRS[:, ::-1], phi=phi, reduce_fn=None),
    )


@pytest.mark.parametrize("loss", [JITTED["pairwise"], JITTED["list_mle"]])
def test_ranking_losses_ignore_shift_and_order(loss: Callable) -> None:
    scores, targets = make_lists(8, 10)
    order = np.random.default_rng(0).permutation(10)
    np.testing.assert_allclose(loss(scores + 8, targets), loss(scores, targets), rtol=1e-5)
    np.testing.assert_allclose(
        loss(scores[order], targets[order]), loss(scores, targets), rtol=1e-5
    )
    np.testing.assert_allclose(loss(scores, targets * 100 - 3), loss(scores, targets), rtol=1e-5)
    assert loss(targets, targets) < loss(-targets, targets)


# Comparator


@every_phi
def test_comparator_sums_both_directions(phi: losses.Phi, scalar_phi: Callable) -> None:
    _, targets = make_lists(9, 6)
    swapped = OUTPUTS[::-1] * 0.5
    terms = []
    for (i, j), forward, backward in zip(PAIRS[:4], OUTPUTS, swapped, strict=False):
        label = 1 if targets[j] > targets[i] else -1
        terms.append(scalar_phi(label * forward) + scalar_phi(-label * backward))
    loss = comparator(OUTPUTS, swapped, targets, PAIRS, phi=phi, reduce_fn=None)
    np.testing.assert_allclose(loss, [*terms, 0.0], rtol=1e-5)
    np.testing.assert_allclose(
        comparator(OUTPUTS, swapped, targets, PAIRS, phi=phi), np.mean(terms), rtol=1e-5
    )


def test_comparator_of_score_differences_is_twice_pairwise() -> None:
    scores, targets = make_lists(10, 2, 6)
    outputs = scores[:, PAIRS[:, 1]] - scores[:, PAIRS[:, 0]]
    options = {"phi": losses.logistic(), "pair_mask": np.array([True, True, True, False, True])}
    twice = comparator(outputs, -outputs, targets, PAIRS, **options)
    np.testing.assert_allclose(twice, 2 * pairwise(scores, targets, PAIRS, **options), rtol=1e-6)


# ListMLE


@pytest.mark.parametrize("num_places", [None, 1, 3, 5, 99])
def test_list_mle_is_the_plackett_luce_likelihood(num_places: int | None) -> None:
    scores, targets = make_lists(11, 5)
    order = tuple(sorted(range(5), key=lambda i: -targets[i]))
    expected = -math.log(plackett_luce(scores, order, num_places)) / min(num_places or 5, 5)
    np.testing.assert_allclose(
        list_mle(scores, targets, list_length=num_places), expected, rtol=1e-5
    )


def test_list_mle_likelihoods_of_all_orders_add_up_to_one() -> None:
    scores, _ = make_lists(12, 4)
    orders = np.array(list(itertools.permutations(range(4))), np.float32)
    terms = list_mle(np.broadcast_to(scores, orders.shape), orders, reduce_fn=None)
    np.testing.assert_allclose(np.exp(-np.sum(terms, axis=-1)).sum(), 1.0, rtol=1e-5)


def test_list_mle_places_ties_in_order_of_appearance() -> None:
    scores, _ = make_lists(13, 4)
    targets = np.array([0.5, 0.8, 0.5, 0.8], np.float32)
    expected = -math.log(plackett_luce(scores, (1, 3, 0, 2))) / 4
    np.testing.assert_allclose(list_mle(scores, targets), expected, rtol=1e-5)


def test_list_mle_vanishes_for_separated_lists_and_is_stable() -> None:
    targets = jnp.array([0.9, 0.5, 0.7])
    assert list_mle(jnp.array([40.0, 0.0, 20.0]), targets) < 1e-8
    # Far below where clamping would begin there is still a slope; far above there is no overflow.
    scores = jnp.array([-100.0, 200.0, 0.0])
    loss, slope = GRADIENTS["list_mle"](scores, targets)
    np.testing.assert_allclose(loss, (300 + 200 + 0) / 3, rtol=1e-6)
    np.testing.assert_allclose(slope, [-1 / 3, 2 / 3, -1 / 3], rtol=1e-5)


# Triplets and ReNAS


@every_phi
def test_triplet_continuity_is_equation_4(phi: losses.Phi, scalar_phi: Callable) -> None:
    features = np.random.default_rng(14).normal(size=(6, 4)).astype(np.float32)
    _, targets = make_lists(14, 6)
    terms = equation_4(features, targets, scalar_phi, all_tuples(6, 3))
    assert len(terms) == 20
    np.testing.assert_allclose(
        triplet_continuity(features, targets, phi=phi), np.mean(terms), rtol=1e-4
    )
    listed = triplet_continuity(features, targets, TRIPLETS, phi=phi, reduce_fn=jnp.sum)
    np.testing.assert_allclose(
        listed, sum(equation_4(features, targets, scalar_phi, TRIPLETS.tolist())), rtol=1e-4
    )
    mask = np.array([True, False, True, True])
    masked = triplet_continuity(
        features, targets, TRIPLETS, phi=phi, triplet_mask=mask, reduce_fn=jnp.sum
    )
    expected = sum(equation_4(features, targets, scalar_phi, TRIPLETS[mask].tolist()))
    np.testing.assert_allclose(masked, expected, rtol=1e-4)


def test_all_triplets_are_the_explicit_ones() -> None:
    scores, targets = make_lists(15, 2, 6)
    features, triplets = features_of(jnp.asarray(scores)), np.array(all_tuples(6, 3))
    dense = triplet_continuity(features, targets, reduce_fn=None)
    listed = triplet_continuity(features, targets, triplets, reduce_fn=None)
    assert dense.shape == (2, 6, 6, 6)
    np.testing.assert_allclose(dense[:, *triplets.T], listed, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.sum(dense), np.sum(listed), rtol=1e-5)


def test_triplets_with_equal_changes_are_ties() -> None:
    features = jnp.array([[0.0], [1.0], [5.0]])
    assert triplet_continuity(features, jnp.array([0.5, 0.25, 0.75]), phi=losses.exponential()) == 0
    continuous = triplet_continuity(features, jnp.array([0.0, 0.1, 0.5]))
    reverse = triplet_continuity(features, jnp.array([0.0, 0.5, 0.1]))
    np.testing.assert_allclose([continuous, reverse], [0.0, 4.1], rtol=1e-6)


def test_renas_is_equation_5() -> None:
    scores, targets = make_lists(16, 6)
    features = np.random.default_rng(16).normal(size=(6, 4)).astype(np.float32)
    ranking = sum(equation_3(scores, targets, PHIS["logistic"][1], all_tuples(6, 2)))
    continuity = sum(equation_4(features, targets, PHIS["wide hinge"][1], all_tuples(6, 3)))
    phis = {"phi": losses.logistic(), "continuity_phi": losses.hinge(margin=1.5)}
    loss = renas(scores, features, targets, weight=0.3, reduce_fn=jnp.sum, **phis)
    np.testing.assert_allclose(loss, ranking + 0.3 * continuity, rtol=1e-5)
    ranking = np.mean(equation_3(scores[:5], targets[:5], PHIS["hinge"][1], all_tuples(5, 2)))
    continuity = np.mean(equation_4(features, targets, PHIS["hinge"][1], TRIPLETS[:1].tolist()))
    loss = renas(scores, features, targets, TRIPLETS[:2], weight=2.0, where=np.arange(6) < 5)
    np.testing.assert_allclose(loss, ranking + 2.0 * continuity, rtol=1e-5)


# What all losses share


@every_gradient
def test_masked_elements_are_as_if_left_out(gradient: Callable) -> None:
    scores, targets = make_lists(17, 2, 6)
    # Features and outputs are made of all scores, without a mask: scores of padding are finite.
    padded_scores = np.pad(scores, ((0, 0), (0, 3)), constant_values=7.0)
    padded_targets = np.pad(targets, ((0, 0), (0, 3)), constant_values=np.nan)
    where = np.broadcast_to(np.arange(9) < 6, (2, 9))
    value, slopes = gradient(scores, targets)
    padded_value, padded_slopes = gradient(padded_scores, padded_targets, where=where)
    np.testing.assert_allclose(padded_value, value, rtol=1e-5)
    np.testing.assert_allclose(padded_slopes[:, :6], slopes, rtol=1e-4, atol=1e-6)
    assert not np.any(padded_slopes[:, 6:])


@pytest.mark.parametrize(
    "name", ["mean_squared_error", "mean_absolute_error", "binary_classification", "list_mle"]
)
def test_padding_may_lie_anywhere_and_hold_anything(name: str) -> None:
    scores, targets = make_lists(18, 6)
    where = np.array([False, True, True, False, True, False])
    junk = np.where(where, scores, np.array([np.nan, 0, 0, np.inf, 0, -np.inf], np.float32))
    value, slopes = GRADIENTS[name](junk, np.where(where, targets, np.nan), where=where)
    np.testing.assert_allclose(value, JITTED[name](scores[where], targets[where]), rtol=1e-5)
    assert np.all(np.isfinite(slopes))
    assert np.any(np.asarray(slopes)[where])


def test_pairs_and_triplets_with_padding_do_not_count() -> None:
    scores, targets = make_lists(19, 6)
    where = np.arange(6) != 5
    np.testing.assert_allclose(
        pairwise(np.where(where, scores, np.nan), targets, PAIRS, where=where),
        pairwise(scores, targets, PAIRS[:2]),
    )
    value, slopes = jax.jit(jax.value_and_grad(losses.comparator, argnums=(0, 2)))(
        np.where(np.any(PAIRS == 5, axis=1), np.nan, OUTPUTS), OUTPUTS, targets, PAIRS, where=where
    )
    np.testing.assert_allclose(value, comparator(OUTPUTS[:2], OUTPUTS[:2], targets, PAIRS[:2]))
    assert all(np.all(np.isfinite(slope)) for slope in slopes)


@every_gradient
def test_nothing_valid_costs_nothing(gradient: Callable) -> None:
    scores, targets = make_lists(20, 6)
    value, slopes = gradient(scores, targets, where=np.zeros(6, bool))
    assert value == 0
    np.testing.assert_array_equal(slopes, np.zeros(6))


def test_only_ties_cost_nothing() -> None:
    for name in ("pairwise", "triplet_continuity", "comparator"):
        value, slopes = GRADIENTS[name](np.arange(6, dtype=np.float32), np.ones(6, np.float32))
        assert value == 0
        np.testing.assert_array_equal(slopes, np.zeros(6))


@every_loss
def test_terms_without_reduction_add_up(loss: Callable) -> None:
    scores, targets = make_lists(21, 3, 6, ties=True)
    where = np.random.default_rng(21).random((3, 6)) < 0.8
    terms = loss(scores, targets, where=where, reduce_fn=None)
    assert terms.shape[0] == 3
    np.testing.assert_allclose(
        np.sum(terms), loss(scores, targets, where=where, reduce_fn=jnp.sum), rtol=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_batches_are_loops(name: str) -> None:
    scores, targets = make_lists(22, 2, 3, 6)
    where = np.random.default_rng(22).random((2, 3, 6)) < 0.8
    loss = partial(JITTED[name], reduce_fn=None)
    terms = loss(scores, targets, where=where)
    mapped = jax.jit(jax.vmap(jax.vmap(lambda s, y, w: loss(s, y, where=w))))(
        scores, targets, where
    )
    np.testing.assert_allclose(mapped, terms, rtol=1e-5, atol=1e-6)
    for index in np.ndindex(2, 3):
        one = loss(scores[index], targets[index], where=where[index])
        np.testing.assert_allclose(one, np.asarray(terms)[index], rtol=1e-5, atol=1e-6)


CHEAP = "mean_absolute_error", "binary_classification", "pairwise"  # of few operations


@pytest.mark.parametrize(
    "name",
    [pytest.param(it, marks=[] if it in CHEAP else [pytest.mark.slow]) for it in LOSSES],
)
def test_jit_changes_nothing(name: str) -> None:
    scores, targets = make_lists(22, 6)
    where = np.array([True, True, False, True, True, True])
    options = {"where": where, "reduce_fn": None}
    eager, terms = (loss[name](scores, targets, **options) for loss in (LOSSES, JITTED))
    np.testing.assert_allclose(eager, terms, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_differences(name: str) -> None:
    _, targets = make_lists(23, 6)
    scores = np.array([0.31, -0.84, 1.52, 0.03, -0.27, 0.95], np.float32)  # no kink is near
    step = np.float32(1e-2)
    differences = [
        float(JITTED[name](scores + move, targets) - JITTED[name](scores - move, targets)) / 2e-2
        for move in step * np.eye(6, dtype=np.float32)
    ]
    _, slopes = GRADIENTS[name](scores, targets)
    np.testing.assert_allclose(slopes, differences, rtol=2e-3, atol=2e-3)


@every_gradient
def test_gradients_are_finite_at_ties_and_zeros(gradient: Callable) -> None:
    zeros = np.zeros(6, np.float32)
    for scores in (zeros, np.array([1.0, 1.0, 2.0, 2.0, 1.0, 0.0], np.float32)):
        for targets in (zeros, np.array([0.5, 0.5, 1.0, 0.2, 1.0, 0.2], np.float32)):
            assert np.all(np.isfinite(gradient(scores, targets)[1]))


def test_at_its_kink_the_absolute_error_has_slope_zero() -> None:
    ones = np.ones(6, np.float32)
    assert not np.any(GRADIENTS["mean_absolute_error"](ones, ones)[1])


@every_loss
def test_bad_numbers_show(loss: Callable) -> None:
    scores, targets = make_lists(24, 6)
    bad = np.where(np.arange(6) == 3, np.nan, 0).astype(np.float32)
    assert np.isnan(loss(scores + bad, targets))
    assert np.isnan(loss(scores, targets + bad))


@every_loss
def test_numbers_of_any_width_give_floats(loss: Callable) -> None:
    scores, targets = make_lists(25, 6, ties=True)
    targets = np.round(targets * 25)
    expected = loss(scores, targets)
    assert expected != 0
    for dtype in (np.float64, np.int32, jnp.bfloat16):
        value = loss(scores.astype(dtype), targets.astype(dtype))
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=1e-2)


@pytest.mark.slow
def test_a_margin_may_be_traced() -> None:
    scores, targets = make_lists(26, 6)
    sweep = jax.jit(
        jax.vmap(lambda margin: losses.pairwise(scores, targets, phi=losses.hinge(margin=margin)))
    )
    expected = [pairwise(scores, targets, phi=losses.hinge(margin=margin)) for margin in (0.1, 2.0)]
    np.testing.assert_allclose(sweep(jnp.array([0.1, 2.0])), expected, rtol=1e-5)
    as_argument = jax.jit(losses.pairwise)(scores, targets, phi=losses.hinge(margin=2.0))
    np.testing.assert_allclose(as_argument, expected[1], rtol=1e-5)


# Sampling


def sampled(key: jax.Array, targets: np.ndarray, **options: object) -> list[tuple[int, int]]:
    """The valid pairs; checks what holds for all samples.

    A mask and a threshold are always given, so that each length is compiled once.
    """
    always = {"where": np.ones(len(targets), bool), "threshold": 0.0}
    pairs, valid = sample_pairs(key, targets, **always | options)
    assert pairs.dtype == jnp.int32
    assert valid.shape == pairs.shape[:1]
    used = [tuple(pair) for pair in np.asarray(pairs)[np.asarray(valid)].tolist()]
    assert not np.any(pairs[len(used) :])  # valid ones first, then (0, 0)
    assert len(set(used)) == len(used)
    assert all(i < j and targets[i] != targets[j] for i, j in used)
    return used


@pytest.mark.parametrize(("length", "expected"), [(2, 1), (9, 36), (10, 40), (16, 64)])
def test_sampled_pairs_are_as_many_as_published(key: jax.Array, length: int, expected: int) -> None:
    targets = make_lists(27, length)[1]
    used = sampled(key, targets)
    assert len(used) == expected
    assert jax.eval_shape(losses.sample_pairs, key, targets)[0].shape == (expected, 2)
    if expected == length * (length - 1) // 2:
        assert set(used) == set(all_tuples(length, 2))


def test_sampled_pairs_are_all_if_they_are_few(key: jax.Array) -> None:
    targets = np.array([0.5] * 14 + [0.7, 0.6], np.float32)
    assert jax.eval_shape(losses.sample_pairs, key, targets)[0].shape == (64, 2)
    everything = {(i, j) for i, j in all_tuples(16, 2) if targets[i] != targets[j]}
    assert set(sampled(key, targets)) == everything
    assert set(sampled(key, targets, threshold=0.15)) == {(i, 14) for i in range(14)}
    assert len(sampled(key, targets, num_pairs=5)) == 5
    assert sampled(key, np.ones(16, np.float32)) == []


@pytest.mark.slow
def test_sampled_pairs_count_only_what_is_no_padding(key: jax.Array) -> None:
    targets = np.where(np.arange(40) % 2 == 0, make_lists(28, 40)[1], np.nan)
    where = np.arange(40) % 2 == 0
    used = sampled(key, targets, where=where)
    assert len(used) == 80  # 4 · 20
    assert all(i % 2 == 0 and j % 2 == 0 for i, j in used)
    assert len(sampled(key, targets, where=where, num_pairs=100)) == 100
    assert len(sampled(key, targets, where=where, max_ratio=0.29)) == 5  # int(0.29 · 20)
    assert sampled(key, targets, where=np.zeros(40, bool)) == []


def test_sampled_pairs_are_uniform(key: jax.Array) -> None:
    targets = jnp.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])  # 14 pairs, of which 5 are drawn
    pairs, valid = jax.vmap(lambda key: sample_pairs(key, targets, num_pairs=5))(
        jax.random.split(key, 4000)
    )
    assert np.all(valid)
    counts = Counter(map(tuple, np.asarray(pairs).reshape(-1, 2).tolist()))
    assert set(counts) == set(all_tuples(6, 2)) - {(4, 5)}
    # Without replacement counts vary less than multinomial ones do, so only a bias can fail this.
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
    both = sum({(0, 1), (2, 3)} <= set(map(tuple, draw)) for draw in np.asarray(pairs).tolist())
    np.testing.assert_allclose(both / 4000, 5 / 14 * 4 / 13, atol=0.02)


# Long lists, of whose pairs few are drawn, by lot and not among all


def lists_of(seed: int, length: int, num_tied: int = 0) -> np.ndarray:
    """Distinct targets in random order, but for the first ones, which are equal."""
    targets = np.random.default_rng(seed).permutation(length).astype(np.float32) / length
    targets[:num_tied] = targets[0]
    return targets


def by_lot(key: jax.Array, targets: np.ndarray, limit: int, where: np.ndarray | None = None) -> int:
    """How many pairs the fast path finds; with fewer than `limit` all pairs are looked at."""
    exists = np.ones(targets.shape, bool) if where is None else where
    targets = np.where(exists, targets, 0)
    assert sampling._NUM_LOTS * limit < len(targets) * (len(targets) - 1) // 2
    return int(_by_lot(key, targets, exists, 0.0, jnp.int32(limit), limit)[1])


_by_lot = jax.jit(sampling._by_lot, static_argnums=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_long_lists_are_as_many_as_published(seed: int) -> None:
    key = jax.random.key(seed)
    for num_tied in (0, 80):
        targets = lists_of(seed, 200, num_tied)
        assert by_lot(key, targets, 400) == 400
        assert len(sampled(key, targets, max_ratio=2.0)) == 400
    where = np.random.default_rng(seed).random(200) < 0.4
    targets = np.where(where, lists_of(seed, 200), np.nan)
    used = sampled(key, targets, max_ratio=2.0, where=where)
    assert len(used) == 2 * where.sum() < 400
    assert where[np.array(used)].all()
    everything = {
        pair for pair in all_tuples(200, 2) if abs(targets[pair[0]] - targets[pair[1]]) > 0.1
    }
    wide = sampled(key, targets, max_ratio=2.0, where=where, threshold=0.1)
    assert len(wide) == 2 * where.sum()
    assert everything.issuperset(wide)


@pytest.mark.slow
def test_pairs_of_long_lists_are_uniform(key: jax.Array) -> None:
    where = np.arange(24) % 8 != 5
    targets = np.where(where, lists_of(5, 24, 4), np.nan)
    candidates = {
        (i, j) for i, j in all_tuples(24, 2) if where[i] and where[j] and targets[i] != targets[j]
    }
    assert len(candidates) == 21 * 20 // 2 - 6
    assert by_lot(key, targets, 20, where) == 20
    draws, valid = jax.jit(
        jax.vmap(lambda key: losses.sample_pairs(key, targets, num_pairs=20, where=where))
    )(jax.random.split(key, 4000))
    assert np.all(valid)
    draws = [set(map(tuple, draw)) for draw in np.asarray(draws).tolist()]
    assert {len(draw) for draw in draws} == {20}
    counts = Counter(itertools.chain.from_iterable(draws))
    assert set(counts) == candidates
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
    # Drawn independently of each other: two given pairs as often as without replacement.
    for pair, other in (((0, 8), (0, 9)), ((0, 8), (10, 23)), ((1, 8), (2, 9))):
        both = np.mean([{pair, other} <= draw for draw in draws])
        np.testing.assert_allclose(both, 20 / 204 * 19 / 203, atol=0.005)


@pytest.mark.slow
def test_pairs_of_long_lists_with_many_ties(key: jax.Array) -> None:
    """Where too few drawn pairs differ, all are looked at: as many come as exist or are wanted."""
    for num_tied, expected in ((197, 400), (198, 198 * 2 + 1), (199, 199), (200, 0)):
        targets = lists_of(6, 200, num_tied)
        assert by_lot(key, targets, 400) < min(expected + 1, 400)
        candidates = {(i, j) for i, j in all_tuples(200, 2) if targets[i] != targets[j]}
        used = sampled(key, targets, max_ratio=2.0)
        assert len(used) == expected == min(len(candidates), 400)
        assert candidates.issuperset(used)
    few = np.zeros(200, bool)
    for num in range(3):
        few[:num] = True
        assert len(sampled(key, lists_of(6, 200), max_ratio=2.0, where=few)) == (num == 2)


@pytest.mark.slow
def test_pairs_are_uniform_whichever_way_they_are_drawn(key: jax.Array) -> None:
    targets, exists = (
        jnp.asarray(lists_of(7, 24, 22)),
        jnp.ones(24, bool),
    )  # 45 pairs; of 20 lots, 3 or so
    keys = jax.random.split(key, 4000)
    found = jax.jit(
        jax.vmap(lambda key: sampling._by_lot(key, targets, exists, 0.0, jnp.int32(5), 5))
    )
    fast = np.asarray(found(keys)[1]) == 5
    assert 0.1 < fast.mean() < 0.9
    draws, valid = jax.jit(jax.vmap(lambda key: losses.sample_pairs(key, targets, num_pairs=5)))(
        keys
    )
    assert np.all(valid)
    for part in (fast, ~fast):
        counts = Counter(map(tuple, np.asarray(draws)[part].reshape(-1, 2).tolist()))
        assert len(counts) == 45
        assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.slow
def test_pairs_of_long_lists_compiled_and_mapped() -> None:
    keys = jax.random.split(jax.random.key(8), 4)
    targets = np.stack(
        [lists_of(8, 200), lists_of(9, 200, 60), lists_of(10, 200, 197), lists_of(11, 200, 199)]
    )
    where = np.random.default_rng(8).random((4, 200)) < np.array([[1], [0.5], [1], [0.9]])
    draw = partial(sample_pairs, max_ratio=2.0, threshold=0.0)
    mapped = jax.jit(jax.vmap(lambda key, y, w: draw(key, y, where=w)))(keys, targets, where)
    for row in range(4):
        compiled = draw(keys[row], targets[row], where=where[row])
        for one, two in zip(mapped, compiled, strict=True):
            np.testing.assert_array_equal(np.asarray(one)[row], two)


@pytest.mark.parametrize("length", [16, pytest.param(200, marks=pytest.mark.slow)])
def test_pairs_compiled_and_eager(key: jax.Array, length: int) -> None:
    where = np.random.default_rng(8).random(length) < 0.5
    options = {"max_ratio": 4.0 if length == 16 else 2.0, "where": where, "threshold": 0.0}
    one, two = (
        f(key, lists_of(9, length, 6), **options) for f in (sample_pairs, losses.sample_pairs)
    )
    jax.tree.map(np.testing.assert_array_equal, one, two)


# What they are for


def test_sampled_pairs_train_like_all_pairs_of_them(key: jax.Array) -> None:
    scores, targets = make_lists(29, 16, ties=True)
    pairs, valid = sample_pairs(key, targets, where=np.ones(16, bool), threshold=0.0)
    expected = np.mean(equation_3(scores, targets, PHIS["hinge"][1], sampled(key, targets)))
    np.testing.assert_allclose(
        pairwise(scores, targets, pairs, pair_mask=valid), expected, rtol=1e-5
    )


@pytest.mark.slow
def test_sampled_triplets_are_uniform(key: jax.Array) -> None:
    sample_triplets = jax.jit(losses.sample_triplets, static_argnums=(1, 2))
    triplets = sample_triplets(key, 6, 20_000)
    assert triplets.dtype == jnp.int32
    counts = Counter(map(tuple, np.asarray(triplets).tolist()))
    assert set(counts) == set(all_tuples(6, 3))
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
    np.testing.assert_array_equal(sample_triplets(key, 3, 2), [[0, 1, 2]] * 2)


# Errors


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("equal shapes", lambda s: losses.mean_squared_error(s, s[:3])),
        ("equal shapes", lambda s: losses.pairwise(s[0], s[0])),
        ("equal shapes", lambda s: losses.list_mle(s[:0], s[:0])),
        ("real numbers", lambda s: losses.mean_absolute_error(s * 1j, s)),
        ("where must be bool of shape", lambda s: losses.list_mle(s, s, where=np.ones(4))),
        ("where must be bool of shape", lambda s: losses.pairwise(s, s, where=np.ones(3, bool))),
        (r"indices \[M, 2\]", lambda s: losses.pairwise(s, s, np.array([0, 1]))),
        (r"indices \[M, 2\]", lambda s: losses.pairwise(s, s, np.array([[0.0, 1.0]]))),
        (r"indices \[M, 2\]", lambda s: losses.pairwise(s, s, np.zeros((0, 2), int))),
        (
            r"indices \[M, 3\]",
            lambda s: losses.triplet_continuity(s[:, None], s, np.array([[0, 1]])),
        ),
        (
            "mask of indices must be",
            lambda s: losses.pairwise(s, s, np.array([[0, 1]]), pair_mask=np.ones(2, bool)),
        ),
        ("mask of indices needs", lambda s: losses.pairwise(s, s, pair_mask=np.ones(1, bool))),
        ("elementwise", lambda s: losses.pairwise(s, s, phi=jnp.sum)),
        (
            "elementwise",
            lambda s: losses.comparator(s[:1], s[:1], s, np.array([[0, 1]]), phi=jnp.sum),
        ),
        ("outputs must be", lambda s: losses.comparator(s, s, s, np.array([[0, 1]]))),
        ("equal shapes", lambda s: losses.comparator(s[:1], s, s, np.array([[0, 1]]))),
        ("features must be", lambda s: losses.triplet_continuity(s, s)),
        ("list_length", lambda s: losses.list_mle(s, s, list_length=0)),
        ("pairs need", lambda s: losses.sample_pairs(jax.random.key(0), s[None])),
        ("pairs need", lambda s: losses.sample_pairs(jax.random.key(0), s[:1])),
        ("pairs need", lambda s: losses.sample_pairs(jax.random.key(0), s, max_ratio=0.1)),
        ("pairs need", lambda s: losses.sample_pairs(jax.random.key(0), s, num_pairs=0)),
        ("triplets need", lambda s: losses.sample_triplets(jax.random.key(0), 2, 1)),
        ("triplets need", lambda s: losses.sample_triplets(jax.random.key(0), 3, 0)),
    ],
)
def test_errors_say_what_is_wrong(message: str, call: Callable) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.arange(4, dtype=np.float32))


def test_indices_out_of_range_show() -> None:
    numbers = np.arange(4, dtype=np.float32)
    assert np.isnan(pairwise(numbers, numbers, np.array([[0, 1], [2, 4]])))
    assert np.isnan(triplet_continuity(numbers[:, None], numbers, np.array([[0, 1, 4]])))
    assert np.isnan(comparator(numbers[:1], numbers[:1], numbers, np.array([[0, 4]])))


def test_phis_take_no_scores_by_mistake() -> None:
    with pytest.raises(TypeError):
        losses.pairwise(jnp.arange(4.0), jnp.arange(4.0), phi=losses.hinge)
