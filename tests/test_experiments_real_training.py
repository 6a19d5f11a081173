"""Searches on real trainings: what was best when, and short ones."""

import dataclasses

import numpy as np
import pytest

from configs.real_training import QUICK
from experiments import real_training


def test_best_test_accuracy_at_a_second() -> None:
    found = {"steps": [[2.0, 0.5, 0.4], [5.0, 0.7, 0.3]]}
    values = real_training.curve(found, np.array([1.0, 2.0, 4.9, 9.0]))
    np.testing.assert_array_equal(values, [np.nan, 0.4, 0.4, 0.3])


@pytest.mark.slow
def test_a_short_search_on_real_trainings() -> None:
    config = dataclasses.replace(real_training.CONFIG, **QUICK)
    for label in ("BOHB", "random search"):
        found = real_training.search(config, label, 0)
        assert found["evaluations"] >= found["full"] >= 1
        validation = [step[1] for step in found["steps"]]
        assert validation == sorted(validation)
        assert all(0 <= step[2] <= 1 and step[0] <= config.seconds for step in found["steps"])
