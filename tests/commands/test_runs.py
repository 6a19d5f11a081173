"""What a search leaves behind, in the cases the command line does not reach."""

import numpy as np
import pytest

import jnas
from jnas.commands import runs

SPACE = jnas.spaces.nasbench201()


def test_ranks_and_choice_by_hand() -> None:
    archs = np.array([[3, 3, 3, 1, 3, 2], [0, 0, 0, 0, 0, 0], [3, 3, 3, 1, 3, 3]], np.int32)
    result = runs.summarise(SPACE, archs, np.array([5.0, -np.inf, np.nan]), {}, 0.0)
    assert result.best == 0
    truth = result.truths[0]
    assert truth.dataset == "cifar10"
    assert truth.rank == 1  # the cell with the best CIFAR-10 validation accuracy of the benchmark
    assert truth.accuracy[0] == truth.table.max()


def test_other_spaces_have_no_truth_but_a_report(tmp_path) -> None:
    space = jnas.spaces.nats_size()
    archs = space.enumerate()[[0, 77, 32767]]
    result = runs.summarise(space, archs, np.array([1.0, 3.0, 2.0]), {"seed": 0}, 1.0)
    assert result.truths == ()
    runs.write(tmp_path, result)
    assert "8:8:16:16:48" in (tmp_path / "report.html").read_text()  # 77 is 00115 in base 8
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "architecture,score"


def test_nothing_to_choose_from() -> None:
    archs = np.zeros((2, 6), np.int32)
    with pytest.raises(ValueError, match="none of the 2 candidates can be ranked"):
        runs.summarise(SPACE, archs, np.array([-np.inf, np.nan]), {}, 0.0)


def test_csv_floats_read_back_the_same_and_file_is_replaced_whole(tmp_path) -> None:
    path = tmp_path / "new" / "x.csv"
    values = np.array([1 / 3, -np.inf, 1e-30], np.float32)
    runs.write_csv(path, ("a", "b"), zip("xyz", values, strict=True))
    lines = path.read_text().splitlines()
    assert lines[0] == "a,b"
    np.testing.assert_array_equal(
        np.array([line.split(",")[1] for line in lines[1:]], np.float32), values
    )

    def broken() -> object:
        yield ("x", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.write_csv(path, ("a", "b"), broken())  # type: ignore[arg-type]
    assert path.read_text().splitlines() == lines


def test_moments_of_what_is_known() -> None:
    assert runs.moments(np.array([1.0, np.nan, 3.0])) == {"mean": 2.0, "std": pytest.approx(2**0.5)}
    assert runs.moments(np.array([4])) == {"mean": 4.0, "std": None}
    assert runs.moments(np.array([np.nan])) == {"mean": None, "std": None}
