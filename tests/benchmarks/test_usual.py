"""Which table and which column are meant where nothing else is said."""

import numpy as np
import pytest

from jnas import benchmarks, spaces

SPACE = spaces.nasbench201()


def test_the_table_of_a_space_and_that_of_a_file(tmp_path) -> None:
    packaged = benchmarks.of_space(SPACE)
    np.testing.assert_array_equal(
        packaged.column("val_accuracy"), benchmarks.nasbench201("cifar10").column("val_accuracy")
    )
    benchmarks.save(
        benchmarks.make_table(SPACE, packaged.archs[:3], {"top": np.arange(3.0)}),
        tmp_path / "mine.npz",
    )
    assert list(benchmarks.of_space(SPACE, tmp_path / "mine.npz").columns) == ["top"]
    with pytest.raises(
        ValueError, match=r"is a table of nasbench201, not of nats_size|needs architectures"
    ):
        benchmarks.of_space(spaces.nats_size(), tmp_path / "mine.npz")


def test_no_table_at_hand(monkeypatch) -> None:
    monkeypatch.delenv("JNAS_DATA", raising=False)
    for space in (spaces.nats_size(), spaces.nasbench101()):
        with pytest.raises(FileNotFoundError, match=r"JNAS_DATA|--table"):
            benchmarks.of_space(space)


def test_usual_column() -> None:
    archs = SPACE.enumerate()[:3]
    columns = {"index": np.arange(3.0), "top": np.arange(3.0)}
    assert benchmarks.usual_column(benchmarks.make_table(SPACE, archs, columns)) == "top"
    assert (
        benchmarks.usual_column(benchmarks.make_table(SPACE, archs, {"index": np.arange(3.0)}))
        == "index"
    )
    assert benchmarks.usual_column(benchmarks.nasbench201("cifar10")) == "val_accuracy"


def test_no_column_is_guessed_where_one_could_not_be_read(tmp_path) -> None:
    """A mistake in one cell must not make another column the one that counts."""
    cells = [SPACE.to_string(arch) for arch in SPACE.enumerate()[:2]]
    path = tmp_path / "t.csv"
    path.write_text(f"arch,set,acc,seconds\n{cells[0]},c10,9O,1\n{cells[1]},c10,91,2\n")
    table = benchmarks.load(path)
    assert list(table.columns) == ["seconds"]
    with pytest.raises(ValueError, match=r"say which column .*'acc', row 0 \(line 2\).*'9O'"):
        benchmarks.usual_column(table)
    path.write_text(f"arch,set,none,acc\n{cells[0]},c10,,90\n{cells[1]},c10,,91\n")
    assert benchmarks.usual_column(benchmarks.load(path)) == "acc"
