"""A fit: which rows it takes, what it measures, when it goes on, and what it refuses."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import jnas
from jnas.commands import folder as folders
from jnas.commands.fit import fits
from jnas.commands.fit.settings import Settings, make_predictor
from jnas.commands.fit.summary import summarise

SPACE = jnas.spaces.nasbench201()
SHORT = Settings("nasbench201", predictor="mlp", num_train=30, num_test=50, seeds=2, epochs=6)


def table_of(values: np.ndarray) -> jnas.benchmarks.Table:
    return jnas.benchmarks.make_table(
        SPACE, SPACE.enumerate()[: len(values)], {"index": values, "top": values}
    )


def test_split_takes_front_and_end_of_what_was_measured() -> None:
    values = np.arange(40.0)
    values[[0, 39]] = np.nan
    data = fits.split(table_of(values), "top", 5, 12)
    np.testing.assert_array_equal(data.targets, np.arange(1, 6))
    np.testing.assert_array_equal(data.test_targets, np.arange(27, 39))
    np.testing.assert_array_equal(data.archs, SPACE.enumerate()[1:6])
    np.testing.assert_array_equal(data.test_archs, SPACE.enumerate()[27:39])
    assert len(fits.split(table_of(values), "top", 5).test_targets) == 33


def test_random_split_draws_disjoint_rows() -> None:
    table = table_of(np.arange(60.0))
    one, two = (fits.split(table, "top", 20, 40, jax.random.key(seed)) for seed in (0, 1))
    assert set(one.targets) | set(one.test_targets) == set(range(60))
    assert set(one.targets) != set(two.targets) != set(range(20))
    np.testing.assert_array_equal(one.archs, SPACE.enumerate()[one.targets.astype(int)])
    np.testing.assert_array_equal(
        fits.split(table, "top", 20, 40, jax.random.key(0)).targets, one.targets
    )


@pytest.mark.parametrize(("num_train", "num_test"), [(20, 21), (31, None), (41, 10)])
def test_more_rows_than_the_table_has(num_train, num_test) -> None:
    with pytest.raises(ValueError, match="has 40 rows of known top, too few for"):
        fits.split(table_of(np.arange(40.0)), "top", num_train, num_test)


def test_metrics_by_hand(tmp_path) -> None:
    result = fits.run(SHORT, tmp_path)
    table = jnas.benchmarks.nasbench201("cifar10")
    accuracy = table.column("val_accuracy")[-50:]
    np.testing.assert_array_equal(result.targets, accuracy)
    for seed in range(2):
        scores = result.predictor.predict(
            jnas.predictors.state(result.fitted.states, seed), table.archs[-50:]
        )
        np.testing.assert_array_equal(result.scores[seed], scores)
        best_first = np.argsort(-np.asarray(scores), kind="stable")
        assert result.metrics["best_of_top_10"][seed] == accuracy[best_first[:10]].max()
        for k in (5, 10):
            assert result.metrics[f"n_at_{k}"][seed] == 1 + np.sum(
                accuracy > accuracy[best_first[:k]].max()
            )
    assert result.fitted.epochs == (1, 2, 3, 4, 5, 6)
    np.testing.assert_allclose(
        result.metrics["kendall_tau"], result.fitted.metrics["kendall_tau"][:, 1:].mean(1)
    )
    # The states are of the last epoch. Training measures in float32, where some accuracies tie.
    last = [
        float(jnas.metrics.kendall_tau(row, accuracy.astype(np.float32))) for row in result.scores
    ]
    np.testing.assert_allclose(result.fitted.metrics["kendall_tau"][:, -1], last, atol=1e-6)


@pytest.mark.slow
def test_an_error_is_minimised(tmp_path) -> None:
    """What is learned is the negative error, so that the predictor's best is the smallest error."""
    table = jnas.benchmarks.nasbench201("cifar10")
    error, archs = 100 - table.column("val_accuracy")[:60], table.archs[:60]
    columns = {"valid_error": error, "negative": -error}
    jnas.benchmarks.save(jnas.benchmarks.make_table(SPACE, archs, columns), tmp_path / "t.npz")
    short = dataclasses.replace(SHORT, table=str(tmp_path / "t.npz"), num_test=20)
    by_error, by_negative = (
        fits.run(dataclasses.replace(short, column=column), tmp_path / column) for column in columns
    )
    np.testing.assert_array_equal(by_error.targets, by_negative.targets)
    np.testing.assert_array_equal(by_error.scores, by_negative.scores)
    assert (by_error.minimize, by_negative.minimize) == (True, False)
    for name, values in by_negative.metrics.items():
        sign = -1 if name == "best_of_top_10" else 1
        np.testing.assert_array_equal(by_error.metrics[name], sign * values)
    told = summarise(by_error)
    assert told.facts["best_of_test_set"] == error[-20:].min()
    assert "lower is better" in told.parts[0].text
    changed = dataclasses.replace(short, predictor="rnn_classifier", threshold=10.0)
    assert make_predictor(changed, minimize=True).settings["training"].threshold == -10


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (9.9, r"are at or above the threshold 9.9 of the classification \(they lie in 10 … 39\)"),
        (40.0, r"are below the threshold 40 of the classification \(they lie in 10 … 39\)"),
        (10.0, r"are at or above the threshold 10 of the classification"),
    ],
)
def test_a_threshold_is_told_in_the_unit_of_the_column(threshold, message, tmp_path) -> None:
    table = table_of(np.arange(10.0, 60.0)).directed("top", minimize=True)
    jnas.benchmarks.save(table, tmp_path / "t.npz")
    settings = dataclasses.replace(
        SHORT,
        predictor="rnn_classifier",
        table=str(tmp_path / "t.npz"),
        column="top",
        num_test=20,
        threshold=threshold,
    )
    with pytest.raises(ValueError, match=message):
        fits.run(settings, tmp_path / "run")


@pytest.mark.slow
def test_no_resume_starts_anew_and_one_seed_has_no_deviation(tmp_path) -> None:
    one = dataclasses.replace(SHORT, seeds=1, epochs=1)
    for settings, resume in ((one, True), (dataclasses.replace(one, seed=1), False)):
        result = fits.run(settings, tmp_path, resume=resume)
        told = summarise(result)
        folders.write_facts(tmp_path, told.facts)
    facts = json.loads((tmp_path / "result.json").read_text())
    assert facts["settings"]["seed"] == 1
    assert facts["metrics"]["kendall_tau"]["std"] is None
    assert not facts["resumed"]
    assert len(told.tables["metrics.csv"]) == 2  # a header and a seed
    with pytest.raises(ValueError, match="another job"):
        fits.run(one, tmp_path)
    (tmp_path / "result.json").unlink()  # as if it had been killed before the end
    with pytest.raises(ValueError, match="another job"):
        fits.run(one, tmp_path)
    assert fits.run(dataclasses.replace(one, seed=1), tmp_path).resumed


def test_training_follows_the_settings() -> None:
    def training(**changes):
        return make_predictor(dataclasses.replace(SHORT, **changes)).settings["training"]

    assert training() == jnas.predictors.Training(epochs=6)
    assert training(loss="mse") == jnas.predictors.Training(
        epochs=6, loss="mse", scaling="standard"
    )
    assert training(predictor="peephole", loss="hinge").scaling == "none"
    assert training(predictor="rnn_classifier", threshold=85.0).threshold == 85
    assert training(predictor="biflow").schedule == "cosine"
    gates = make_predictor(dataclasses.replace(SHORT, predictor="gates", loss="comparator"))
    assert gates.settings["pairing"] == "diff"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_train": 1}, "num_train must be at least 2; got 1"),
        ({"num_test": 9}, "num_test must be at least 10"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"members": 0}, "members must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"space": "nasbench20"}, "Did you mean 'nasbench201'"),
        ({"predictor": "mlpp"}, "Did you mean 'mlp'"),
        ({"loss": "hing"}, "Did you mean 'hinge'"),
        ({"loss": "comparator"}, "mlp cannot be trained as a comparator"),
        ({"predictor": "e2epp"}, "e2epp is not trained in epochs; it has no epochs"),
        ({"space": "nats_size"}, "no table of trained accuracies of nats_size"),
        ({"column": "val_acuracy"}, "Did you mean 'val_accuracy'"),
        (
            {"num_train": 15600},
            "15,625 rows of known val_accuracy, too few for 15,600 training and 50 test",
        ),
        ({"predictor": "rnn_classifier"}, "are above the threshold 0.9 of the classification"),
        (
            {"predictor": "rnn_classifier", "members": 2, "threshold": 99.0},
            "at or below the threshold 99",
        ),
    ],
)
def test_bad_settings(changes, message, tmp_path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        fits.run(dataclasses.replace(SHORT, **changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_folder_is_named_after_the_settings() -> None:
    assert Settings().folder_name == "fit-nasbench201-gates-381-5seeds-seed0"
    changed = dataclasses.replace(
        SHORT, table="a/mine.npz", column="top", loss="mse", members=3, random_split=True
    )
    name = "fit-nasbench201-mine-top-mlp-mse-epochs6-test50-members3-random-30-2seeds-seed0"
    assert changed.folder_name == name
