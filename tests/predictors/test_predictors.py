"""One protocol for all predictors and spaces; fitting: seeds, padding, checkpoints, errors."""

import dataclasses
import functools
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
from jnas.engine import trainings
from jnas.predictors import Evaluation, Fitted, Training
from jnas.predictors.prediction import State
from jnas.types import Predictor
from tests.predictors.helpers import (
    NB101,
    NB201,
    SHORT,
    SLOW,
    SMALL,
    P,
    assert_equal,
    drawn,
    keys,
    make,
)

# Fits see of a space its features alone: their laws have one predictor on the other space.
PAIRS = [(name, NB201) for name in P.NAMES] + [("gcn", NB101)]
OTHERS = [(name, NB101) for name in P.NAMES if name != "gcn"]


def fast_or_slow(pairs, *fast: str) -> pytest.MarkDecorator:
    """Pairs of predictor and space: these on NAS-Bench-201 always, others, dear to compile, slow.

    Tests of a pair follow each other, and share its programs.
    """
    marks = [[] if space is NB201 and name in fast else [SLOW] for name, space in pairs]
    return pytest.mark.parametrize(
        ("name", "space"),
        [pytest.param(*pair, marks=mark) for pair, mark in zip(pairs, marks, strict=True)],
        ids=lambda x: getattr(x, "name", x),
        scope="module",
    )


@functools.lru_cache(maxsize=1)
def of_two_seeds(name: str, space) -> tuple[Predictor, Fitted]:
    """A predictor and its fits to twelve architectures."""
    predictor, data = make(name, space), drawn(space, 12)
    return predictor, predictor.fit_many(keys(2), *(np.stack([array] * 2) for array in data))


@functools.lru_cache(maxsize=1)
def of_the_second(name: str, space) -> tuple[Predictor, State]:
    """The same with the second seed alone."""
    predictor = make(name, space)
    return predictor, predictor.fit(keys(2)[1], *drawn(space, 12))


@fast_or_slow([*PAIRS, *OTHERS], "mlp", "e2epp")
def test_protocol(name: str, space, tmp_path: Path) -> None:
    predictor, fitted = of_two_seeds(name, space)
    others = drawn(space, 7, 1)[0]
    state = P.state(fitted.states, 1)
    scores = predictor.predict(state, others)
    assert scores.shape == (7,)
    assert scores.dtype == jnp.float32
    assert np.isfinite(scores).all()
    both = predictor.predict_many(fitted.states, others)
    assert both.shape == (2, 7)
    np.testing.assert_allclose(both[1], scores, rtol=1e-5, atol=1e-6)
    # A score is of its architecture alone, whatever stands beside it.
    np.testing.assert_allclose(
        predictor.predict(state, others[::-1])[::-1], scores, rtol=1e-5, atol=1e-6
    )
    copies = np.repeat(others[:1], 7, axis=0)
    np.testing.assert_allclose(
        predictor.predict(state, copies), [scores[0]] * 7, rtol=1e-5, atol=1e-6
    )
    # Vectors as files store them, none, and one that is no batch.
    assert_equal(predictor.predict(state, others.astype(np.uint8)), scores)
    assert predictor.predict(state, others[:0]).shape == (0,)
    assert predictor.predict_many(fitted.states, others[:0]).shape == (2, 0)
    with pytest.raises(ValueError, match=r"got int32 \[6\]; .* archs\[None\]|\[26\]"):
        predictor.predict(state, others[0])
    with pytest.raises(ValueError, match=r"has (6|26) integers; got int32 of shape \((5|25),\)"):
        predictor.predict(state, others[:, :-1])
    # Saved, and as an estimator.
    P.save(tmp_path / "x.npz", predictor, state)
    again, kept = P.load(tmp_path / "x.npz", space)
    assert_equal(again.predict(kept, others), scores)
    assert_equal(P.estimator(again, kept)(keys(1)[0], others), scores)


@fast_or_slow(PAIRS, "mlp", "e2epp")
def test_seeds_together_or_alone(name: str, space) -> None:
    others = drawn(space, 7, 1)[0]
    _, both = of_two_seeds(name, space)
    predictor, alone = of_the_second(name, space)
    # Adam's first steps have the size of the learning rate however small a gradient is, so that
    # weights may differ where gradients do by rounding.
    np.testing.assert_allclose(
        predictor.predict(alone, others),
        predictor.predict(P.state(both.states, 1), others),
        rtol=1e-3,
        atol=2e-3,
    )


@fast_or_slow(PAIRS, "mlp")
def test_scores_compiled_eager_and_of_a_population(name: str, space) -> None:
    predictor, state = of_the_second(name, space)
    others = jnp.asarray(drawn(space, 7, 1)[0])
    scores = predictor.predict(state, others)
    with jax.disable_jit():
        eager = predictor.predict(state, others[:1])
    np.testing.assert_allclose(eager, scores[:1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        predictor.predict(state, others[:1]), scores[:1], rtol=1e-5, atol=1e-6
    )
    chunks = jnas.population.score(
        P.estimator(predictor, state), others, keys(1)[0], progress=False
    )
    np.testing.assert_allclose(chunks, scores, rtol=1e-5, atol=1e-6)


# All predictors are fitted by one program around a module; vectors, and graphs.
@pytest.mark.parametrize("name", ["mlp", pytest.param("gates", marks=SLOW)])
def test_one_trace_for_all_seeds_and_sizes_of_a_padding(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces, run_block = [], trainings.run_block

    def counted(*args):
        traces.append(1)
        return run_block(*args)

    monkeypatch.setattr(trainings, "run_block", counted)
    predictor = make(name, NB201, learning_rate=1.23e-3)
    archs, targets = drawn(NB201, 12)
    where = np.arange(12) < 9
    predictor.fit_many(keys(1), archs[None], targets[None], where=np.ones((1, 12), bool))
    predictor.fit_many(keys(2)[1:], archs[None], targets[None], where=where[None])
    assert len(traces) == 1


@pytest.mark.parametrize(
    "name", ["gates", pytest.param("renas", marks=SLOW), pytest.param("lstm", marks=SLOW)]
)
def test_padding_has_no_influence(name: str) -> None:
    predictor = make(name, NB201, batch_size=16)
    archs, targets = drawn(NB201, 12)
    where = np.arange(12) < 9
    garbage = np.where(where[:, None], archs, 4), np.where(where, targets, np.nan)
    one, two = (
        predictor.fit_many(keys(1), a[None], t[None], where=where[None]).states
        for a, t in ((archs, targets), garbage)
    )
    chex.assert_trees_all_close(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_padding_is_no_reference_of_a_comparator() -> None:
    training = Training(loss="comparator", epochs=2, batch_size=16)
    predictor = P.gates(NB201, layers=(8,), hidden=(8,), pairing="diff", training=training)
    archs, targets = drawn(NB201, 12)
    where = np.arange(12) % 4 < 3
    others = np.where(where[:, None], archs, 4)
    one, two = (
        P.state(predictor.fit_many(keys(1), a[None], targets[None], where=where[None]).states, 0)
        for a in (archs, others)
    )
    assert_equal(one.references[one.is_reference], archs[where])
    np.testing.assert_allclose(
        predictor.predict(one, archs), predictor.predict(two, archs), rtol=1e-5
    )
    # As if there were no padding: the mean over the real ones.
    alone = one._replace(references=archs[where], is_reference=None)
    np.testing.assert_allclose(
        predictor.predict(one, archs), predictor.predict(alone, archs), rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scaling", "num_members"),
    [("standard", 1), ("minmax", 1), pytest.param("standard", 2, marks=SLOW)],
)
def test_the_unit_of_the_targets_does_not_matter(scaling: str, num_members: int) -> None:
    """Squares of 1e20 are no float32; powers of two round nothing."""
    predictor = make("mlp", NB201, loss="mse", scaling=scaling)
    if num_members > 1:  # whose scores are standardised
        predictor = P.ensemble(predictor, num_members)
    archs, targets = drawn(NB201, 12)
    factor = np.float32(2.0**66)
    small, large = (predictor.fit(keys(1)[0], archs, t) for t in (targets, targets * factor))
    expected = predictor.predict(small, archs) * (factor if num_members == 1 else 1)
    np.testing.assert_allclose(predictor.predict(large, archs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "space"),
    [("mlp", NB201), pytest.param("gates", NB201, marks=SLOW)],
    ids=lambda x: getattr(x, "name", x),
)
def test_side_by_side_is_one_after_the_other(name: str, space) -> None:
    predictor = make(name, space)
    archs, targets = drawn(space, 12)
    data = keys(2), np.stack([archs] * 2), np.stack([targets] * 2)
    evaluation = Evaluation(*data[1:], epochs=(1, 2))
    mapped, vectorised = (
        predictor.fit_many(*data, evaluation=evaluation, batching=b) for b in ("map", "vmap")
    )
    chex.assert_trees_all_close(mapped.states, vectorised.states, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mapped.losses, vectorised.losses, rtol=1e-3)
    assert mapped.metrics["kendall_tau"].shape == (2, 2)


def test_seeds_may_have_training_and_test_sets_of_their_own() -> None:
    predictor = make("mlp", NB201)
    archs, targets = (
        np.stack(x) for x in zip(drawn(NB201, 12, 0), drawn(NB201, 12, 1), strict=True)
    )
    evaluation = Evaluation(archs, targets, epochs=(2,))
    both = predictor.fit_many(keys(2), archs, targets, evaluation=evaluation)
    for seed in range(2):
        tau = jnas.metrics.kendall_tau(
            predictor.predict(P.state(both.states, seed), archs[seed]), targets[seed]
        )
        np.testing.assert_allclose(both.metrics["kendall_tau"][seed], [tau], atol=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "space", "loss", "options"),
    [
        ("mlp", NB201, "mse", {"hidden": (64, 64)}),
        pytest.param("mlp", NB101, "list_mle", {"hidden": (64, 64)}, marks=SLOW),
        pytest.param("gates", NB101, "hinge", {"layers": (32, 32), "hidden": (32,)}, marks=SLOW),
        pytest.param("gates", NB101, "hinge", {"hidden": (64, 64)}, marks=SLOW),
        pytest.param("biflow", NB201, "list_mle", {"layers": (32, 32)}, marks=SLOW),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_training_fits_the_training_set(name: str, space, loss: str, options) -> None:
    archs, targets = drawn(space, 40)
    training = Training(
        loss=loss,
        epochs=150,
        learning_rate=5e-3,
        scaling="standard" if loss == "mse" else "none",
    )
    predictor = P.by_name(name, space, training=training, dropout=0.0, **options)
    fitted = predictor.fit_many(keys(1), archs[None], targets[None])
    scores = predictor.predict(P.state(fitted.states, 0), archs)
    assert jnas.metrics.kendall_tau(scores, targets) > 0.8
    assert fitted.losses[0, -1] < fitted.losses[0, 0]
    if loss == "mse":
        assert np.abs(scores - targets).mean() < 0.02  # back in the unit of the targets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "options"),
    [(NB201, {"layers": (32, 32), "hidden": (32,)}), pytest.param(NB101, {}, marks=SLOW)],
    ids=["small", "published"],
)
def test_comparator_ranks_and_scores(space, options) -> None:
    training = Training(loss="comparator", epochs=200, learning_rate=3e-3)
    predictor = P.gates(space, pairing="diff", training=training, dropout=0.0, **options)
    archs, targets = drawn(space, 40)
    evaluation = Evaluation(archs, targets)
    fitted = predictor.fit_many(keys(1), archs[None], targets[None], evaluation=evaluation)
    assert fitted.metrics["kendall_tau"].mean() > 0.7
    scores = predictor.predict(P.state(fitted.states, 0), archs)
    assert ((scores >= 0) & (scores <= 1)).all()  # shares of the reference architectures
    assert jnas.metrics.kendall_tau(scores, targets) > 0.7


@pytest.mark.slow
def test_average_of_weights_is_the_mean_over_epochs() -> None:
    archs, targets = drawn(NB201, 12)

    def params(epochs: int, average_from: float):
        training = Training(**SHORT | {"epochs": epochs}, average_from=average_from)
        return (
            P.mlp(NB201, hidden=(8,), training=training).fit(keys(1)[0], archs, targets).variables
        )

    expected = jax.tree.map(lambda *x: sum(x) / 2, *(params(epochs, 1.0) for epochs in (3, 4)))
    chex.assert_trees_all_close(params(4, 0.5), expected, rtol=1e-5, atol=1e-6)


def test_weight_decay_and_adam_are_those_of_torch() -> None:
    """Three steps of Adam with L2 in the gradient, written out; the loss has a known gradient."""
    from jnas.predictors import fit

    training = Training(weight_decay=0.1)
    optimiser = fit._optimiser(training)
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    params, state = jnp.asarray(w, jnp.float32), optimiser.init(jnp.asarray(w, jnp.float32))
    for step in range(1, 4):
        gradient = 3 * w + 0.1 * w
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        w = w - 1e-3 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        with jax.numpy_dtype_promotion("standard"):
            update, state = optimiser.update(3 * params, state, params)
        params = params - 1e-3 * update
    np.testing.assert_allclose(params, w, rtol=1e-5)


def test_a_killed_job_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = make("mlp", NB201, epochs=20)
    archs, targets = drawn(NB201, 12)
    data = keys(2), np.stack([archs] * 2), np.stack([targets] * 2)
    evaluation = Evaluation(archs, targets, epochs=(1, 20))
    whole = predictor.fit_many(*data, evaluation=evaluation)
    add, calls = trainings._Work.add, []

    def killed(work, block):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        add(work, block)

    monkeypatch.setattr(trainings._Work, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        predictor.fit_many(*data, evaluation=evaluation, checkpoint=tmp_path / "job")
    resumed = predictor.fit_many(*data, evaluation=evaluation, checkpoint=tmp_path / "job")
    assert len(calls) == 4 + 7  # ten blocks, three of them done before
    assert_equal(resumed.states, whole.states)
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    np.testing.assert_array_equal(resumed.metrics["kendall_tau"], whole.metrics["kendall_tau"])
    others = evaluation._replace(metrics={"spearman": jnas.metrics.spearman})
    for other_keys, measured in ((keys(2)[::-1], evaluation), (keys(2), others)):
        with pytest.raises(ValueError, match="another job"):
            predictor.fit_many(
                other_keys, *data[1:], evaluation=measured, checkpoint=tmp_path / "job"
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    "num", [pytest.param(1, marks=SLOW), 2500]
)  # 2,500: three chunks, the last one padded
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mlp", {"training": Training(loss="mse", scaling="standard", **SHORT)}),
        pytest.param(
            "gates",
            {
                "layers": (8,),
                "training": Training(loss="comparator", **SHORT),
                "pairing": "diff",
            },
            marks=SLOW,
        ),
    ],
    ids=["regression", "comparator"],
)
def test_many_states_predict_as_each_does(name: str, settings, num: int) -> None:
    predictor = P.by_name(name, NB201, hidden=(8,), **settings)
    archs, targets = (
        np.stack(x) for x in zip(*(drawn(NB201, 12, seed) for seed in range(3)), strict=True)
    )
    states = predictor.fit_many(keys(3), archs, targets).states
    rows = NB201.enumerate()[:num]
    each = [predictor.predict(P.state(states, seed), rows) for seed in range(3)]
    np.testing.assert_allclose(predictor.predict_many(states, rows), each, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_ensembles() -> None:
    one = make("mlp", NB201)
    ensemble = P.ensemble(one, 3)
    archs, targets = drawn(NB201, 12)
    state = ensemble.fit(keys(1)[0], archs, targets)
    members = P.member_scores(ensemble, state, archs)
    assert members.shape == (3, 12)
    np.testing.assert_allclose(members.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(members.std(axis=1), 1, rtol=1e-3)
    np.testing.assert_allclose(
        ensemble.predict(state, archs), members.mean(axis=0), rtol=1e-4, atol=1e-5
    )
    states = jax.tree.map(lambda x: x[None], state)
    np.testing.assert_allclose(
        ensemble.predict_many(states, archs)[0], members.mean(axis=0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        P.spread(ensemble, state, archs), members.std(axis=0), rtol=1e-3, atol=1e-5
    )
    order = np.argsort(np.argsort(-np.asarray(members), axis=1), axis=1)
    np.testing.assert_allclose(P.mean_ranks(ensemble, state, archs), order.mean(axis=0), rtol=1e-5)
    first = one.fit(jax.random.split(keys(1)[0], 3)[0], archs, targets)
    raw = one.predict(first, archs)
    np.testing.assert_allclose((raw - raw.mean()) / raw.std(), members[0], rtol=1e-2, atol=1e-3)


def test_other_bad_input() -> None:
    predictor = make("mlp", NB201)
    archs, targets = drawn(NB201, 12)
    with pytest.raises(ValueError, match="keys must be"):
        predictor.fit_many(keys(2), archs[None], targets[None])
    with pytest.raises(ValueError, match="where must be bool"):
        predictor.fit_many(keys(1), archs[None], targets[None], where=np.ones((1, 12)))
    with pytest.raises(ValueError, match="epochs must be in 1 … 2"):
        predictor.fit_many(
            keys(1), archs[None], targets[None], evaluation=Evaluation(archs, targets, epochs=(3,))
        )
    with pytest.raises(ValueError, match="Did you mean 'gates'"):
        P.by_name("gate", NB201)
    with pytest.raises(ValueError, match="a comparator needs"):
        P.gates(NB201, pairing="diff", training=Training(loss="hinge"))
    with pytest.raises(ValueError, match="at least 2"):
        P.ensemble(predictor, 1)


def test_keys_of_any_spelling_fit() -> None:
    archs, targets = drawn(NB201, 12)
    for name in ("mlp", "e2epp"):
        predictor = make(name, NB201)
        expected = predictor.fit(jax.random.key(5), archs, targets)
        for key in (5, jax.random.PRNGKey(5)):
            assert_equal(predictor.fit(key, archs, targets), expected)


def test_settings_are_enough_to_make_a_predictor_again() -> None:
    from jnas.predictors import recipes

    for name in SMALL:
        predictor = make(name, NB201)
        plain = recipes.as_plain(dict(predictor.settings))
        again = P.by_name(name, NB201, **recipes.from_plain(plain))
        assert dict(again.settings) == dict(predictor.settings)


def test_training_is_frozen_and_hashable() -> None:
    assert hash(Training()) == hash(Training())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Training().epochs = 3
