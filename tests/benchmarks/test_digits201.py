"""Tables of trainings of all different cells, on invented trainings of three epochs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import benchmarks, search, spaces
from jnas.benchmarks.digits201 import ARRAYS, functions, table_of

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
        **found,
    }


@pytest.fixture(scope="module")
def table(trainings: dict[str, np.ndarray]) -> benchmarks.Table:
    return table_of(trainings, "invented")


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
    paths = ((3,), (0, 4), (1, 5), (0, 2, 5))  # edges 0→3, 0→1→3, 0→2→3, 0→1→2→3
    is_cut = np.array([all((cell[list(path)] == 0).any() for path in paths) for cell in CELLS])
    assert is_cut.sum() > 1
    for column in ("val1", "train_loss3", "seconds", "test3_seed0"):
        values = table.column(column)
        assert len(np.unique(values[is_cut])) == 1
        assert not np.isin(values[~is_cut], values[is_cut]).any()
    assert len(np.unique(table.column("val1"))) == 5_390


def test_columns_of_seeds_and_means(trainings, table) -> None:
    again = value(trainings, CELLS[FIRST[0]], "test_accuracy", seed=5)[-1] * 100
    assert table.look_up("test3_seed5", CELLS[FIRST[0]]) == pytest.approx(again, rel=1e-6)
    known = np.isfinite(table.column("val3_seed5"))
    np.testing.assert_array_equal(known, table.column("seeds") == 2)
    assert len(np.unique(functions(SPACE, CELLS[known]))) == NUM_AGAIN
    assert "one run (invented)" in table.conventions["val3"]
    both = {
        name: np.concatenate([values[trainings["seeds"] == 0]] * 2)
        for name, values in trainings.items()
    }
    both["seeds"] = np.repeat([0, 1], len(FIRST))
    both["validation_accuracy"] = both["validation_accuracy"] * both["seeds"][:, None]
    mean = table_of(both, "invented")
    np.testing.assert_allclose(mean.column("val2"), table.column("val2") / 2, rtol=1e-6)
    assert "mean of 2 runs" in mean.conventions["val2"]


def test_searches_of_several_fidelities(trainings, table) -> None:
    usual = benchmarks.usual_column(table)
    assert usual == "val3"
    curve = table.learning_curve(usual)
    assert curve == {1: "val1", 2: "val2", 3: "val3"}
    objective = table.objective(curve, cost_epochs=EPOCHS)
    searcher = search.bohb(table.space, min_epochs=1, max_epochs=EPOCHS)
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
    table = table_of({**trainings, "failed_at": failed}, "invented")
    arch, seed = trainings["archs"][0], trainings["seeds"][0]
    assert seed == 0
    assert np.isfinite(table.look_up("val1", arch))
    assert np.isnan(table.look_up("val2", arch))
    assert np.isnan(table.look_up("test3_seed0", arch))


def test_what_is_lacking_or_repeated(trainings) -> None:
    some = {name: values[:100] for name, values in trainings.items()}
    with pytest.raises(ValueError, match=r"of 5,390 different cells have a training"):
        table_of(some, "invented")
    twice = {name: np.concatenate([values, values[:1]]) for name, values in trainings.items()}
    with pytest.raises(ValueError, match="twice with the same seed"):
        table_of(twice, "invented")


def test_files(trainings, table, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "all.npz", data=np.array("invented"), **trainings)
    again = benchmarks.digits201(tmp_path / "all.npz")
    assert list(again.columns) == list(table.columns)
    np.testing.assert_array_equal(again.column("val2"), table.column("val2"))
    with pytest.raises(FileNotFoundError, match=r"experiments\.digits201"):
        benchmarks.digits201(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", data=np.array("invented"), archs=trainings["archs"])
    with pytest.raises(ValueError, match=r"other\.npz is not a file of trainings"):
        benchmarks.digits201(tmp_path / "other.npz")
