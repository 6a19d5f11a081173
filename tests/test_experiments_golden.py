"""Committed numbers of scores, fits and searches against this checkout, and how they compare."""

import subprocess
import sys

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


# With two devices trainings and seeds are shared out, and the last ones fill up; with one, searches
# run by `vmap` as well; eight are more than a chunk has rows. What is compared on one machine only
# is left out.
PLACES = {
    1: ("host search", "table", *CHEAP[1:], "reinforce", "bohb"),
    2: ("naswot", "GATES", "gates", "gates of nasbench101", "mlp", "lstm", "ensemble"),
    8: ("table",),
}
PROGRAM = """
import sys, numpy
from experiments import golden_quantities
# As in the process that is killed, whose program it is: the name is part of the job.
golden_quantities.evaluate.__module__ = "__main__"
numpy.savez(sys.argv[1], **golden_quantities.compute(tuple(sys.argv[2:])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("num_devices", PLACES)
def test_all_numbers_are_those_that_were_kept(num_devices, tmp_path) -> None:
    """As computed on a user's machine, without the flags of tests."""
    out, environment = tmp_path / "found.npz", golden._environment(golden.ROOT, num_devices, None)
    command = [sys.executable, "-c", PROGRAM, str(out), *PLACES[num_devices]]
    subprocess.run(command, env=environment, check=True)
    with np.load(out) as file:
        found = golden.thin(dict(file))
    assert {name.split("/")[0] for name in found} == set(PLACES[num_devices])
    assert golden.report(found, golden.kept(found), golden.TOLERANCE) == []


def test_each_part_is_compared_somewhere() -> None:
    parts = {part for places in PLACES.values() for part in places}
    assert parts == set(quantities.PARTS) - set(golden.OF_ONE_PROCESSOR)


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
