"""Tables of trainings of all different cells, on invented trainings of three epochs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, metrics, search, spaces
from jnas.benchmarks.trainings import ARRAYS, contents, functions
from tests.oracles.nasbench201 import on_a_path

SPACE = spaces.nasbench201(identity="function")
CELLS = SPACE.enumerate()
_, FIRST = np.unique(functions(SPACE, CELLS), return_index=True)
EPOCHS, NUM_AGAIN = 3, 7


@pytest.fixture(scope="module")
def trainings() -> dict[str, np.ndarray]:
    """One of each function with seed 0, and of the first few with seed 5."""
    rows = np.concatenate([FIRST, FIRST[:NUM_AGAIN]])
    random = np.random.default_rng(0)
    order = random.permutation(len(rows))
    seeds = np.repeat([0, 5], [len(FIRST), NUM_AGAIN])[order]
    found = {name: random.random((len(rows), EPOCHS)).astype(np.float32) for name in ARRAYS[4:]}
    return {
        "archs": CELLS[rows][order].astype(np.int8),
        "seeds": seeds,
        "seconds": random.random(len(rows)),
        "failed_at": np.zeros(len(rows), np.int32),
        "data": np.array("invented"),
        **found,
    }


@pytest.fixture(scope="module")
def table(trainings: dict[str, np.ndarray], tmp_path_factory) -> benchmarks.Table:
    path = tmp_path_factory.mktemp("digits201") / "all.npz"
    np.savez_compressed(path, **trainings)
    return benchmarks.digits201(path)


def changed(trainings: dict[str, np.ndarray], rows: np.ndarray | slice) -> dict[str, np.ndarray]:
    """Some of the trainings."""
    return {name: values if name == "data" else values[rows] for name, values in trainings.items()}


def value(trainings: dict[str, np.ndarray], arch: np.ndarray, name: str, seed: int = 0):
    """Array of a training of an architecture, one that computes the same."""
    same = functions(SPACE, trainings["archs"]) == functions(SPACE, arch[None])
    (row,) = np.flatnonzero(same & (trainings["seeds"] == seed))
    return trainings[name][row]


def test_a_cell_has_the_curve_of_its_function(trainings, table) -> None:
    assert len(table) == 15_625
    for arch in np.random.default_rng(1).permutation(CELLS)[:5]:
        for epoch in range(EPOCHS):
            wanted = value(trainings, arch, "validation_accuracy")[epoch] * 100
            assert table.look_up(f"val{epoch + 1}", arch) == pytest.approx(wanted, rel=1e-6)
            wanted = value(trainings, arch, "test_loss")[epoch]
            assert table.look_up(f"test_loss{epoch + 1}", arch) == pytest.approx(wanted, rel=1e-6)
        assert table.look_up("seconds", arch) == value(trainings, arch, "seconds")


def test_copies_are_those_of_an_independent_rule(table) -> None:
    """No path of operations from the input to the output: all such cells have one row."""
    is_cut = np.array([not on_a_path(cell).any() for cell in CELLS])
    assert is_cut.sum() > 1
    for column in ("val1", "train_loss3", "seconds", "test3_seed0"):
        values = table.column(column)
        assert len(np.unique(values[is_cut])) == 1
        assert not np.isin(values[~is_cut], values[is_cut]).any()
    assert len(np.unique(table.column("seconds"))) == 5_390


def test_columns_of_seeds_and_means(trainings, table) -> None:
    again = value(trainings, CELLS[FIRST[0]], "test_accuracy", seed=5)[-1] * 100
    assert table.look_up("test3_seed5", CELLS[FIRST[0]]) == pytest.approx(again, rel=1e-6)
    known = np.isfinite(table.column("val3_seed5"))
    np.testing.assert_array_equal(known, table.column("seeds") == 2)
    assert len(np.unique(functions(SPACE, CELLS[known]))) == NUM_AGAIN
    assert "one run (invented)" in table.conventions["val3"]
    both = changed(trainings, np.tile(np.flatnonzero(trainings["seeds"] == 0), 2))
    both["seeds"] = np.repeat([0, 1], len(FIRST))
    both["validation_accuracy"] = both["validation_accuracy"] * both["seeds"][:, None]
    mean = contents(both, "both")
    np.testing.assert_allclose(mean.columns["val2"], table.column("val2") / 2, rtol=1e-6)
    assert "mean of 2 runs" in mean.conventions["val2"]


@pytest.mark.slow
def test_searches_of_several_fidelities(trainings, table) -> None:
    usual = benchmarks.usual_column(table)
    assert usual == "val3"
    curve = table.learning_curve(usual)
    assert curve == {1: "val1", 2: "val2", 3: "val3"}
    objective = table.objective(curve, cost_epochs=EPOCHS)
    searcher = search.successive_halving(table.space, min_epochs=1, max_epochs=EPOCHS)
    found = search.run(searcher, objective, jax.random.key(0), num_evaluations=12)
    epochs, archs = np.asarray(found.epochs), np.asarray(found.archs)
    assert set(epochs) == {1, 3}
    for arch, epoch, score, cost in zip(archs, epochs, found.scores, found.seconds, strict=True):
        wanted = value(trainings, arch, "validation_accuracy")[epoch - 1] * 100
        assert score == pytest.approx(wanted, rel=1e-5)
        whole = value(trainings, arch, "seconds")
        assert cost == pytest.approx(whole * epoch / EPOCHS, rel=1e-5)


def test_losses_are_better_when_smaller(table) -> None:
    archs = jnp.asarray(CELLS[:4])
    scores = table.estimator("val_loss3")(jax.random.key(0), archs)
    np.testing.assert_allclose(scores, -table.look_up("val_loss3", archs), rtol=1e-6)
    assert table.minimizes("train_loss1")
    assert not table.minimizes("val1")


def test_a_training_that_failed_has_no_values_from_then_on(trainings) -> None:
    failed = np.where(trainings["seeds"] == 0, trainings["failed_at"], 0)
    failed[0] = 2
    assert trainings["seeds"][0] == 0
    found = contents({**trainings, "failed_at": failed}, "one")
    is_copy = functions(SPACE, CELLS) == functions(SPACE, trainings["archs"][:1])
    assert np.isfinite(found.columns["val1"]).all()
    for column in ("val2", "train_loss3", "test3_seed0"):
        np.testing.assert_array_equal(np.isnan(found.columns[column]), is_copy)


def test_what_is_lacking_or_repeated(trainings, tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", **changed(trainings, slice(100)))
    with pytest.raises(ValueError, match=r"some\.npz.* of 5,390 different cells have a training"):
        benchmarks.digits201(tmp_path / "some.npz")
    with pytest.raises(ValueError, match="twice with the same seed"):
        contents(changed(trainings, np.append(np.arange(len(trainings["seeds"])), 0)), "twice")
    with pytest.raises(FileNotFoundError, match=r"experiments\.digits201"):
        benchmarks.digits201(tmp_path / "none.npz")


def test_a_file_is_told_by_its_arrays(trainings, table, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "mine.npz", **trainings)
    again = benchmarks.load(tmp_path / "mine.npz")
    assert list(again.columns) == list(table.columns)
    assert again.space.name == "nasbench201"
    assert benchmarks.usual_column(again) == "val3"


def test_the_packaged_table() -> None:
    """Real trainings: all functions with one seed, 512 with three, which rank them alike."""
    found = benchmarks.digits201()
    assert len(found) == 15_625
    assert benchmarks.usual_column(found) == "val9"
    assert set(found.learning_curve("val9")) == set(range(1, 10))
    seeds = found.column("seeds")
    known = [np.isfinite(found.column(f"test9_seed{seed}")) for seed in range(3)]
    np.testing.assert_array_equal(known, [seeds >= 1, seeds == 3, seeds == 3])
    functions_of = functions(SPACE, np.asarray(found.archs))
    rows = np.flatnonzero(seeds == 3)
    _, first = np.unique(functions_of[rows], return_index=True)
    assert len(first) == 512
    one, other = (found.column(f"test9_seed{seed}")[rows[first]] for seed in (1, 2))
    assert metrics.kendall_tau(one, other) > 0.6
    # All but noise is what the network is trained for: without a path there is nothing to see.
    cut = np.array([not on_a_path(cell).any() for cell in np.asarray(found.archs)])
    assert found.column("val9")[cut].max() < 20 < np.median(found.column("val9")[~cut])
