"""What values look like at a prompt: a few lines, whatever arrays they hold."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnas
import jnas.engine.fingerprints
from jnas.engine.estimators import Partial, estimator
from tests.oracles.two_kinds import two_kinds

SPACE = jnas.spaces.nasbench201()


@functools.cache
def history(seeds: int = 0):
    searcher = jnas.search.random_search(SPACE)
    objective = jnas.search.objective(jnas.zeroshot.params(SPACE))
    run = lambda key: jnas.search.run(searcher, objective, key, num_evaluations=8)  # noqa: E731
    key = jax.random.key(0)
    return jax.vmap(run)(jax.random.split(key, seeds)) if seeds else run(key)


def of_network():
    network = jnas.networks.nasbench201(channels=2, cells=1)
    return network, jnas.zeroshot.naswot(network, jnp.zeros((4, 8, 8, 3)))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: SPACE,
            "Space nasbench201\n  choices: 5, 5, 5, 5, 5, 5\n"
            "  operations: none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3",
        ),
        (lambda: two_kinds(), "Space two_kinds\n  choices: "),
        (lambda: of_network()[0], "Network of nasbench201"),
        (
            lambda: of_network()[1],
            "Estimator naswot of nasbench201\n  with float32[4, 8, 8, 3]",
        ),
        (lambda: jnas.zeroshot.params(SPACE), "Estimator params of nasbench201"),
        (
            lambda: jnas.benchmarks.nasbench201("cifar10").estimator("val_accuracy"),
            "Estimator val_accuracy of ",
        ),
        (
            lambda: jnas.benchmarks.nasbench201("cifar10").objective("val_accuracy"),
            "Objective of a table\n  with uint32[15625, 2], float32[15625, 1]",
        ),
        (
            lambda: jnas.predictors.mlp(SPACE, training=jnas.predictors.Training(epochs=3)),
            "Predictor mlp of nasbench201\n  ",
        ),
        (
            lambda: jnas.search.regularized_evolution(SPACE, population_size=10),
            "Searcher regularized_evolution\n  evaluations: at least 10",
        ),
        (
            lambda: jnas.search.objective(jnas.zeroshot.params(SPACE)),
            "Objective of an estimator\n  with float32[]",
        ),
        (
            lambda: jnas.data.load("digits", validation=0.1, test=180),
            "Dataset digits, 8 x 8 x 1 uint8\n"
            "  images: 1,437 train, 180 validation, 180 test\n  10 classes: 0 (",
        ),
        (
            lambda: jnas.data.without_images(jnas.data.load("digits")),
            "Dataset digits, 8 x 8 x 1 uint8\n"
            "  images: 0 train, 0 validation, 0 test\n  10 classes: 0 (",
        ),
        (
            lambda: history(),
            "History of one search, 8 evaluations at most\n  evaluations: 8\n  best score: ",
        ),
        (
            lambda: history(3),
            "History of 3 searches, 8 evaluations at most\n  evaluations: 24\n  best score: ",
        ),
    ],
)
def test_a_value_is_a_few_lines(make, expected) -> None:
    text = repr(make())
    assert text.startswith(expected)
    assert len(text) < 600
    assert all(len(line) <= 100 for line in text.splitlines())


def test_tuples_keep_their_length() -> None:
    assert len(SPACE) == len(SPACE._fields)
    assert len(history()) == len(history()._fields)


def test_an_estimator_is_a_pytree_like_any_partial(key) -> None:
    def weigh(weights, key, archs):
        return archs.astype(jnp.float32) @ weights

    one, two = (estimator("Estimator mine", weigh, w * jnp.ones(6)) for w in (1.0, 2.0))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    assert hash(jax.tree.structure(one)) == hash(jax.tree.structure(two))
    # A name is for people: programs are shared by estimators of several columns, say.
    assert jax.tree.structure(one) == jax.tree.structure(estimator("other", weigh, jnp.ones(6)))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, one)
    assert isinstance(doubled, Partial)
    assert repr(doubled) == repr(one)
    archs = jnp.ones((3, 6), jnp.int32)
    traces = []

    @jax.jit
    def scores(judge):
        traces.append(1)
        return judge(key, archs)

    assert scores(one).tolist() == [6.0] * 3
    assert scores(two).tolist() == scores(doubled).tolist() == [12.0] * 3
    assert len(traces) == 1
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, two)
    assert jax.vmap(lambda judge: judge(key, archs))(stacked)[:, 0].tolist() == [6.0, 12.0]


def test_the_fingerprint_of_a_job_does_not_know_the_name(key) -> None:
    def weigh(weights, key, archs):
        return archs @ weights

    named = estimator("Estimator mine", weigh, jnp.ones(6))
    plain = jax.tree_util.Partial(weigh, jnp.ones(6))
    fingerprint = jnas.engine.fingerprints.fingerprint
    assert fingerprint(named, key).job == fingerprint(plain, key).job


def test_a_history_within_a_program_has_a_text() -> None:
    texts = []
    jax.jit(lambda x: texts.append(repr(x)) or x.scores)(history())
    assert texts == ["History of one search, 8 evaluations at most"]


def test_best_so_far() -> None:
    found = history(3)
    expected = np.maximum.accumulate(np.asarray(found.scores), axis=1)
    np.testing.assert_array_equal(found.best_so_far, expected)
    failed = history()._replace(scores=jnp.full(8, jnp.nan), best=jnp.zeros(8, jnp.int32))
    assert np.isnan(failed.best_so_far).all()


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    found = history(3)._replace(num_evaluations=jnp.asarray([8, 5, 8], jnp.int32))
    frame = found.to_pandas(SPACE)
    assert list(frame.columns) == [
        *("search", "evaluation", "architecture", "score", "seconds", "epochs", "best_so_far")
    ]
    assert frame.groupby("search").size().tolist() == [8, 5, 8]
    row = frame[(frame.search == 1) & (frame.evaluation == 5)].iloc[0]
    assert row.architecture == SPACE.to_string(found.archs[1, 4])
    assert (row.score, row.best_so_far) == (found.scores[1, 4], found.best_so_far[1, 4])
    plain = history().to_pandas()
    assert plain[[f"arch{d}" for d in range(6)]].to_numpy().tolist() == history().archs.tolist()


def test_without_pandas_the_error_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match=r"to_pandas needs pandas: pip install 'jnas\[notebook\]'"
    ):
        history().to_pandas()
