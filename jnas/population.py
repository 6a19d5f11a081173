"""Scores of a population of any size: the public name of `engine.score`, and what goes with it."""

from jnas import _shown
from jnas.engine.devices import one_device_per_core
from jnas.engine.environment import environment
from jnas.engine.score import fingerprint, score

__all__ = ["environment", "fingerprint", "one_device_per_core", "score"]

# For completion.
__dir__ = _shown.public(__name__)
