"""Tables of DARTS cells against genotypes, and against numbers that were published of them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jnas import benchmarks, spaces
from tests.oracles import nasbench301 as oracle

SPACE = spaces.nasbench301()
NAMES = (  # operations, as the files count them
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def random_cells(num: int, seed: int) -> dict[str, np.ndarray]:
    """`inputs` and `ops` `[num, 2, 8]`, the slots of a node in any order."""
    rng = np.random.default_rng(seed)
    both = [[rng.permutation(node)[:2] for node in (2, 3, 4, 5)] for _ in range(2 * num)]
    inputs = np.array(both, np.uint8).reshape(num, 2, 8)
    return {"inputs": inputs, "ops": rng.integers(0, 7, (num, 2, 8)).astype(np.uint8)}


def texts(cells: dict[str, np.ndarray]) -> list[str]:
    """Genotypes, the slots of each node by input."""
    found = []
    for sources, ops in zip(cells["inputs"].tolist(), cells["ops"].tolist(), strict=True):
        slots = [
            [(NAMES[op], source) for source, op in zip(*cell, strict=True)]
            for cell in zip(sources, ops, strict=True)
        ]
        kinds = (
            [
                slot
                for k in range(0, 8, 2)
                for slot in sorted(cell[k : k + 2], key=lambda slot: slot[1])
            ]
            for cell in slots
        )
        found.append(oracle.text(*kinds))
    return found


CELLS = random_cells(5, seed=0)


def load(folder: Path, **arrays: np.ndarray) -> benchmarks.Table:
    np.savez(folder / "cells.npz", **arrays)
    return benchmarks.load(folder / "cells.npz")


def test_cells_are_those_of_the_genotypes(tmp_path: Path) -> None:
    values = np.arange(5.0)
    table = load(tmp_path, **CELLS, val_accuracy=values, params_m=values / 2, flops_m=values * 2)
    assert table.space.name == "nasbench301"
    assert [SPACE.to_string(arch) for arch in table.archs] == texts(CELLS)
    assert list(table.columns) == ["val_accuracy", "params_m", "flops_m"]
    known = dict(zip(texts(CELLS), values.tolist(), strict=True))
    shuffled = np.stack([SPACE.from_string(text) for text in sorted(known)])
    found = table.look_up("val_accuracy", shuffled)
    np.testing.assert_array_equal(found, [known[text] for text in sorted(known)])


def test_curves_of_trainings_and_of_the_surrogate(tmp_path: Path) -> None:
    curves = np.random.default_rng(1).uniform(90, 97, (5, 3)).astype(np.float32)
    table = load(tmp_path, **CELLS, test_accuracy=curves, two_seeds=np.zeros((1, 2)))
    assert list(table.columns) == ["test_accuracy", "test3", "test2", "test1"]
    np.testing.assert_array_equal(table.column("test_accuracy"), curves.max(axis=1))
    np.testing.assert_array_equal(table.column("test2"), curves[:, 1])
    table = load(
        tmp_path, **CELLS, val_accuracy=curves, epochs=np.array([1, 50, 98]), seconds98=np.ones(5)
    )
    assert list(table.columns) == ["val98", "val50", "val1", "seconds"]
    np.testing.assert_array_equal(table.column("val50"), curves[:, 1])
    assert table.learning_curve("val98") == {1: "val1", 50: "val50", 98: "val98"}
    assert "no training" in table.conventions["val1"]
    assert "after epoch 50 of 98" in table.conventions["val50"]


def test_copies_are_one_row_with_the_scores_of_the_last(tmp_path: Path) -> None:
    row = np.array([0, 1, 0, 3, 0])
    scores = np.arange(2 * 2 * 5.0).reshape(2, 2, 5)
    table = load(
        tmp_path,
        **{name: values[row] for name, values in CELLS.items()},
        copy_of=row,
        accuracy=row.astype(float),
        params=row,
        flops=row,
        oneshot_epochs=np.array([100, 200]),
        oneshot_seeds=np.array([20, 2020]),
        oneshot_accuracy=scores,
        oneshot_loss=-scores,
    )
    np.testing.assert_array_equal(table.column("val_accuracy"), [0, 1, 3])
    cells = texts(CELLS)
    assert [SPACE.to_string(arch) for arch in table.archs] == [cells[0], cells[1], cells[3]]
    last = [4, 1, 3]
    for name, values in {
        "oneshot_accuracy200_seed20": scores[1, 0],
        "oneshot_loss100_seed2020": -scores[0, 1],
    }.items():
        np.testing.assert_array_equal(table.column(name), values[last])
    assert table.minimizes("oneshot_loss200_seed20")
    assert not table.minimizes("oneshot_accuracy200_seed20")


def test_tasks_of_the_same_cells(tmp_path: Path) -> None:
    tasks = {name: np.arange(5.0) + place for place, name in enumerate(("svhn", "ninapro"))}
    tasks["scifar100"] = np.ones(5)
    cells = {f"{task}_{name}": values for task in tasks for name, values in CELLS.items()}
    table = load(tmp_path, **tasks, **cells)
    assert list(table.columns) == ["svhn", "ninapro", "scifar100"]
    np.testing.assert_array_equal(table.column("ninapro"), tasks["ninapro"])
    with pytest.raises(ValueError, match=r"cells\.npz: ops differ from task to task"):
        load(tmp_path, **tasks, **(cells | {"ninapro_ops": CELLS["ops"][::-1]}))


def test_cells_of_other_spaces_are_refused(tmp_path: Path) -> None:
    values = np.arange(5.0)
    columns = {"val_accuracy": values, "params_m": values, "flops_m": values}
    equal, none = (dict(CELLS) | {name: CELLS[name].copy()} for name in ("inputs", "ops"))
    equal["inputs"][3, 1, 4:6] = 2
    none["ops"][2, 0, 7] = 7
    # What a file may have for "unknown": of node 2 no number of a pair would tell.
    unknown = dict(CELLS) | {"inputs": CELLS["inputs"].astype(np.int8)}
    unknown["inputs"][1, 0, 0] = -1
    for cells, row in ((equal, 3), (none, 2), (unknown, 1)):
        with pytest.raises(ValueError, match=rf"row {row} is no pair of cells of nasbench301: inp"):
            load(tmp_path, **cells, **columns)


# --------------------------------------------------------------------------------------------------
# The files themselves.


def test_published_numbers_of_the_one_shot_study(data_folder: Path) -> None:
    """Ranks by size are those of the study's authors, and so are sizes and one-shot scores."""
    table = benchmarks.nasbench301(data_folder / "nasbench301_ose.npz")
    assert len(table) == 5468
    assert benchmarks.usual_column(table) == "val_accuracy"
    truth = table.column("val_accuracy")
    for name, published in {"params": 0.508, "flops": 0.480}.items():
        tau = scipy.stats.kendalltau(table.column(name), truth).statistic
        assert tau == pytest.approx(published, abs=6e-4)
    taus = []
    for seed in (20, 2020, 202020):
        score = table.column(f"oneshot_accuracy1000_seed{seed}")
        known = np.isfinite(score)
        taus.append(scipy.stats.kendalltau(score[known], truth[known]).statistic)
    assert np.mean(taus) == pytest.approx(0.362, abs=0.02)
    some = table.archs[::100]
    params = jax.jit(jax.vmap(spaces.nasbench301(channels=36).params))(some)
    np.testing.assert_array_equal(params, table.column("params")[::100])


def test_the_surrogate_agrees_with_the_official_one_and_with_trainings(data_folder: Path) -> None:
    surrogate = benchmarks.nasbench301_surrogate(data_folder / "nasbench301_net.npz")
    official = benchmarks.load(data_folder / "nasbench301_xgb_1218.npz")
    trained = benchmarks.darts_214(data_folder / "darts_214.npz")
    # Together, for one program.
    archs = jnp.concatenate([official.archs, trained.archs])
    said = np.split(np.asarray(surrogate.predict(archs).accuracy), [len(official)])
    truths = official.column("val_accuracy"), trained.column("test_accuracy")
    for score, truth, published in zip(said, truths, (0.904, 0.519), strict=True):
        found = scipy.stats.spearmanr(score, truth).statistic
        assert found == pytest.approx(published, abs=6e-4)
    assert np.mean(said[0] - truths[0]) == pytest.approx(1.30, abs=6e-3)
