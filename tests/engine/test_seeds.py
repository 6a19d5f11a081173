"""Many seeds as one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.engine import seeds


def draw(key: jax.Array, low: jax.Array) -> dict[str, jax.Array]:
    """Something random, of two shapes; a function of nothing but its arguments."""
    return {"row": low + jax.random.uniform(key, (3,)), "number": jax.random.bits(key)}


@pytest.mark.parametrize("batching", ["vmap", "map"])
@pytest.mark.parametrize("num", [1, 2, 5])
def test_every_key_has_what_it_has_alone(num, batching) -> None:
    """Also where keys do not fill the devices, of which there are two."""
    keys, low = jax.random.split(jax.random.key(3), num), jnp.asarray(4.0)
    found = seeds.run(draw, keys, low, batching=batching)
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

    found = seeds.run(branch, jax.random.split(jax.random.key(0), 9), None, batching="map")
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
    assert capsys.readouterr().err.strip() == ""


SCALE = 1


def scaled(key: jax.Array, low: jax.Array) -> dict[str, jax.Array]:
    found = draw(key, low)
    return found | {"row": SCALE * found["row"]}


@pytest.mark.parametrize("batching", [pytest.param("vmap", marks=pytest.mark.slow), "map"])
def test_a_killed_job_goes_on_from_the_seeds_that_are_finished(
    batching, tmp_path, monkeypatch, capsys
) -> None:
    keys, low = jax.random.split(jax.random.key(3), 21), jnp.asarray(4.0)
    whole = seeds.run(scaled, keys, low, batching=batching)
    monkeypatch.setattr(seeds, "_QUICK", 0.0)
    add, sizes = seeds._Job.add, []

    def killed(job: seeds._Job, block: dict[str, np.ndarray]) -> None:
        if len(sizes) == 3:
            raise KeyboardInterrupt
        sizes.append(len(block["row"]))
        add(job, block)

    job = {"batching": batching, "checkpoint": tmp_path / "seeds"}
    with monkeypatch.context() as patch:
        patch.setattr(seeds._Job, "add", killed)
        with pytest.raises(KeyboardInterrupt) as caught:
            seeds.run(scaled, keys, low, **job)
    done = sum(sizes)
    assert 0 < done < 21
    assert f"Stopped at {done} of 21" in caught.value.__notes__[0]
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "SCALE", 2)
        with pytest.raises(ValueError, match="another job"):
            seeds.run(scaled, keys, low, **job)
    found = seeds.run(scaled, keys, low, progress=True, **job)
    assert f"Resumed at {done} of 21" in capsys.readouterr().err
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name], values)
    seeds.run(scaled, keys, low, resume=False, progress=True, **job)
    assert "Resumed" not in capsys.readouterr().err


def test_a_quick_job_keeps_nothing(tmp_path) -> None:
    seeds.run(draw, jax.random.split(jax.random.key(0), 3), jnp.asarray(0.0), checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())
