"""Many seeds as one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.engine import seeds


def draw(key: jax.Array, low: jax.Array) -> dict[str, jax.Array]:
    """Something random, of two shapes; a function of nothing but its arguments."""
    return {"row": low + jax.random.uniform(key, (3,)), "number": jax.random.bits(key)}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("num", [1, 2, 5])
def test_every_key_has_what_it_has_alone(num, together) -> None:
    """Also where keys do not fill the devices, of which there are two."""
    keys, low = jax.random.split(jax.random.key(3), num), jnp.asarray(4.0)
    found = seeds.run(draw, keys, low, together=together)
    assert {name: leaf.shape for name, leaf in found.items()} == {"row": (num, 3), "number": (num,)}
    for place, key in enumerate(keys):
        alone = draw(key, low)
        np.testing.assert_array_equal(found["number"][place], alone["number"])
        np.testing.assert_allclose(found["row"][place], alone["row"], rtol=1e-6)


def test_one_trace_and_branches_that_stay_branches() -> None:
    traces = []

    def branch(key: jax.Array, unused: None) -> jax.Array:
        traces.append(unused)
        return jax.lax.cond(jax.random.bernoulli(key), lambda: 1, lambda: 0)

    found = seeds.run(branch, jax.random.split(jax.random.key(0), 9), None, together=False)
    assert traces == [None]
    assert 0 < found.sum() < 9


def test_a_bar_is_shown_if_asked_for(capsys) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    seeds.run(draw, keys, jnp.asarray(0.0))
    assert capsys.readouterr().err == ""
    seeds.run(draw, keys, jnp.asarray(0.0), progress=True, label="drawing")
    assert "drawing" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        seeds.run(lambda key: 1 / 0, keys, progress=True)
    assert capsys.readouterr().err == ""
