"""The environment of a result."""

import jax

from jnas.engine.environment import environment


def test_tells_whether_numbers_have_64_bits() -> None:
    assert environment()["x64"] is False
    with jax.enable_x64(True):
        assert environment()["x64"] is True
