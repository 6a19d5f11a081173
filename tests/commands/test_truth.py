"""How good architectures are by tables of trained accuracies."""

import numpy as np
import pytest

import jnas
from jnas.commands import truth

SPACE = jnas.spaces.nasbench201()
TABLE = jnas.benchmarks.make_table(
    SPACE,
    SPACE.enumerate()[:5],
    {"top": np.array([1.0, 3.0, 3.0, np.nan, 5.0])},
    conventions={"top": "in %"},
)


def test_ranks_by_hand() -> None:
    """Four searches of two evaluations; the last row is the best, the fourth has no accuracy."""
    rows = np.array([[0, 1], [3, 4], [4, 3], [0, 6]])
    best = np.array([[0, 1], [0, 1], [0, 1], [0, 1]])
    known = np.array([[True, True], [False, True], [True, True], [True, True]])
    check = truth.look_up("top", TABLE, "top", SPACE.enumerate()[rows], best, known)
    np.testing.assert_array_equal(check.accuracy, [[1, 3], [np.nan, 5], [5, np.nan], [1, np.nan]])
    np.testing.assert_array_equal(check.ranks, [2, 1, np.nan, np.nan])
    assert (len(check.table), check.table_best, check.convention) == (4, 5.0, "in %")


def test_the_best_so_far_and_all_that_was_evaluated() -> None:
    best, known = np.array([[0, 0, 2]]), np.ones((1, 3), bool)
    check = truth.look_up("top", TABLE, "top", SPACE.enumerate()[[[1, 0, 4]]], best, known)
    np.testing.assert_array_equal(check.evaluated, [[3, 1, 5]])
    np.testing.assert_array_equal(check.accuracy, [[3, 3, 5]])


def test_columns_of_the_usual_table_and_of_a_file() -> None:
    packaged = jnas.benchmarks.nasbench201("cifar10")
    columns = truth.columns(packaged, ("val_accuracy", "val_accuracy_0"), True)
    assert list(columns) == [
        "val_accuracy cifar10",
        "val_accuracy_0 cifar10",
        "val_accuracy cifar100",
        "val_accuracy imagenet16",
    ]
    assert "imagenet" in columns["val_accuracy imagenet16"][0].source
    assert truth.columns(TABLE, ("top", None), False) == {"top": (TABLE, "top")}
    assert truth.columns(None, ("top", None), True) == {}
    with pytest.raises(ValueError, match=r"unknown column 'tops'.*Did you mean 'top'"):
        truth.columns(TABLE, ("top", "tops"), False)


def test_ranks_where_lower_is_better() -> None:
    table = TABLE.directed("top", minimize=True)
    rows = np.array([[0, 1], [3, 4], [1, 2]])
    best, known = np.array([[0, 0], [0, 1], [0, 0]]), np.ones((3, 2), bool)
    check = truth.look_up("top", table, "top", SPACE.enumerate()[rows], best, known)
    np.testing.assert_array_equal(check.accuracy, [[1, 1], [np.nan, 5], [3, 3]])
    np.testing.assert_array_equal(check.ranks, [1, 4, 2])
    assert (check.table_best, check.minimize) == (1.0, True)
