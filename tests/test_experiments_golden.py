"""Committed numbers of scores, fits and searches against this checkout, and how they compare."""

import numpy as np
import pytest

from experiments import golden
from experiments import golden_quantities as quantities

# Sums in floating point depend on how a program was optimised, which those of the suite are not:
# these parts hold none.
CHEAP = ("table", "random search", "regularized evolution", "e2epp")


@pytest.mark.parametrize("part", CHEAP)
def test_numbers_are_those_that_were_kept(part) -> None:
    found = golden.thin(quantities.compute((part,)))
    assert golden.report(found, golden.kept(found), golden.TOLERANCE) == []


@pytest.mark.slow
def test_all_numbers_are_those_that_were_kept() -> None:
    found = golden.thin(golden.compute(golden.ROOT))
    assert {name.split("/")[0] for name in found} == set(quantities.PARTS)
    found = golden.portable(found)
    assert golden.report(found, golden.kept(found), golden.TOLERANCE) == []


def test_a_killed_search_was_kept_as_it_is_without_a_kill() -> None:
    fields = ("archs", "scores", "seconds", "epochs", "best", "num_evaluations", "truncated")
    names = [
        f"host search/1 devices/{how}/{field}" for how in ("whole", "killed") for field in fields
    ]
    calls = "host search/1 devices/killed/calls after the kill"
    found = golden.kept([*names, calls])
    assert found[calls] == 20 - 7
    for whole, killed in zip(names[: len(fields)], names[len(fields) :], strict=True):
        assert golden.is_equal(found[whole], found[killed])


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
