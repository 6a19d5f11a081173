"""The committed numbers of scores, fits and searches are those of this checkout; and how they are compared."""

import json

import jax
import numpy as np
import pytest

from experiments import golden
from experiments import golden_quantities as quantities

# Sums in floating point depend on how a program was optimised, which the suite's are not; these parts hold none.
CHEAP = ("table", "random search", "regularized evolution", "e2epp")


@pytest.mark.parametrize("part", CHEAP)
def test_numbers_are_those_that_were_kept(part) -> None:
    found = golden.thin(quantities.compute((part,)))
    where = f"{part}/{jax.local_device_count()} devices/"
    expected = {name: value for name, value in golden.kept().items() if name.startswith(where)}
    assert expected
    assert golden.report(found, expected, golden.TOLERANCE) == []


@pytest.mark.slow
def test_all_numbers_are_those_that_were_kept() -> None:
    found = golden.thin(golden.compute(golden.ROOT))
    assert golden.report(found, golden.kept(), golden.TOLERANCE) == []


def test_what_is_kept_covers_every_part_and_says_what_a_kill_left() -> None:
    kept = golden.kept()
    for num in golden.NUM_DEVICES:
        parts = {name.split("/")[0] for name in kept if f"/{num} devices/" in name}
        assert parts == set(quantities.parts_on(num))
    searches = {how: {} for how in ("whole", "killed")}
    for name, value in kept.items():
        part, _, how, field = name.split("/")
        if part == "host search":
            searches[how][field] = value.tolist()
    assert searches["killed"].pop("calls after the kill") == 20 - 7
    assert json.dumps(searches["killed"]) == json.dumps(searches["whole"])


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
