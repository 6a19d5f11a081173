"""Parts of the trainings of digits201: each training is in one of them, and they go on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from configs.digits201 import CONFIG, QUICK
from experiments import digits201, digits201_trainings
from jnas.benchmarks.trainings import functions

SMALL = dataclasses.replace(CONFIG, **QUICK)


def test_every_function_is_trained_once_with_the_first_seed() -> None:
    parts = digits201_trainings.parts(CONFIG)
    assert len({part.name for part in parts}) == len(parts)
    assert max(len(part.archs) for part in parts) == CONFIG.part
    for seed in CONFIG.seeds:
        archs = np.concatenate([part.archs for part in parts if part.seed == seed])
        codes = functions(digits201_trainings.SPACE, archs)
        assert len(np.unique(codes)) == len(codes)
        assert len(codes) == (5_390 if seed == CONFIG.seeds[0] else CONFIG.num_again)


def test_connected_cells_and_pairs_of_seeds() -> None:
    # An input that only reaches node 1, one that reaches the output by nodes 1 and 2.
    archs = np.array([[3, 0, 0, 0, 0, 3], [3, 0, 3, 0, 0, 1], [0, 0, 0, 4, 0, 0]])
    np.testing.assert_array_equal(digits201.is_connected(archs), [False, True, True])
    found = {
        "archs": np.concatenate([archs, archs[::-1]]),
        "seeds": np.array([0, 0, 0, 1, 1, 1]),
    }
    left, right = digits201.pairs(found, 0, 1)
    np.testing.assert_array_equal(found["archs"][left], found["archs"][right])
    assert (found["seeds"][left] == 0).all()
    assert (found["seeds"][right] == 1).all()
    assert len(left) == 3


def test_tau_between_seeds_is_that_of_plain_counting() -> None:
    random = np.random.default_rng(0)
    archs = digits201_trainings.cells(CONFIG)[:12]
    found = {name: random.random((24, 2)).astype(np.float32) for name in digits201.MEASURES}
    found |= {"archs": np.concatenate([archs, archs]), "seeds": np.repeat([4, 9], 12)}
    kept = digits201.between_seeds(found, (4, 9))
    one, other = found["test_accuracy"].reshape(2, 12, 2)
    for epoch in range(2):
        signs = [
            np.sign(values[:, None, epoch] - values[None, :, epoch]) for values in (one, other)
        ]
        tau = (signs[0] * signs[1]).sum() / (12 * 11)
        assert kept["test_accuracy"][epoch] == pytest.approx(tau, abs=1e-4)
    spread = np.sqrt(np.mean((one[:, 1] - other[:, 1]) ** 2) / 2)
    assert kept["deviation"] == pytest.approx(spread, abs=1e-5)


@pytest.mark.slow
def test_parts_go_on_and_do_not_mix(tmp_path: Path) -> None:
    digits201_trainings.train(SMALL, tmp_path, cores=1)
    names = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert names == sorted(part.name for part in digits201_trainings.parts(SMALL))
    whole = digits201_trainings.joined(SMALL, tmp_path)
    assert whole["test_accuracy"].shape == (10, SMALL.recipe["epochs"])
    (tmp_path / names[1]).unlink()
    kept = (tmp_path / names[0]).read_bytes()
    digits201_trainings.train(SMALL, tmp_path, cores=1)
    assert (tmp_path / names[0]).read_bytes() == kept
    again = digits201_trainings.joined(SMALL, tmp_path)
    for name in set(whole) - {"seconds"}:
        np.testing.assert_array_equal(whole[name], again[name])
    other = dataclasses.replace(SMALL, recipe={"epochs": 1, "batch_size": 32})
    with pytest.raises(ValueError, match="other settings"):
        digits201_trainings.joined(other, tmp_path)
