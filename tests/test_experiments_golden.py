"""How the numbers of two checkouts are compared."""

import numpy as np
import pytest

from experiments import golden

NUMBERS = np.array([-4.0, 2.0, np.nan, -np.inf])


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (NUMBERS, 0.0),
        (NUMBERS + [0, 1e-3, 0, 0], 1e-3 / 4),
        (NUMBERS * [1, np.inf, 1, 1], np.inf),
        (-NUMBERS, np.inf),
        (NUMBERS.astype(np.float32), np.inf),
        (NUMBERS[:3], np.inf),
    ],
)
def test_difference_of_numbers(other, difference) -> None:
    assert golden.difference(other, NUMBERS) == pytest.approx(difference)


@pytest.mark.parametrize("value", [3, "float32(3,)"])
def test_integers_and_texts_are_compared_exactly(value) -> None:
    assert golden.difference(np.array(value), np.array(value)) == 0
    assert golden.difference(np.array(value), np.array(value * 2)) == np.inf


def test_report_names_what_differs(capsys) -> None:
    here = {"a": NUMBERS, "b": NUMBERS, "c": NUMBERS, "d": np.zeros(2)}
    there = {"a": NUMBERS, "b": NUMBERS + 1e-7, "e": NUMBERS, "d": -np.zeros(2)}
    assert golden.report(here, there, 1e-6) == ["c", "e"]
    assert golden.report(here, there, 0.0) == ["b", "c", "d", "e"]
    printed = capsys.readouterr().out
    assert "a: equal" in printed
    assert "DIFFERS  c: only here" in printed


def test_thinning_keeps_small_arrays_whole() -> None:
    arrays = {"small": np.arange(300).reshape(3, 100), "large": np.arange(301)}
    thinned = golden.thin(arrays)
    np.testing.assert_array_equal(thinned["small"], arrays["small"])
    np.testing.assert_array_equal(thinned["large"], np.arange(0, 301, 2))
