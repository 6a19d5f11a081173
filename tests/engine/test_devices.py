"""Functions of rows in equal parts: what a row comes to depends on nothing else."""

import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.engine import devices
from jnas.engine.devices import each, num_parts, spread


def walk(x: dict[str, Any], step: jax.Array) -> dict[str, Any]:
    """Of one row: two leaves, one of them a key."""
    noise = jax.random.uniform(x["key"])
    return {"place": x["place"] * step + noise, "key": jax.random.fold_in(x["key"], 1)}


def rows(num: int) -> dict[str, Any]:
    return {
        "key": jax.random.split(jax.random.key(1), num),
        "place": np.arange(3.0 * num, dtype=np.float32).reshape(num, 3),
    }


def expected(xs: dict[str, Any], step: jax.Array) -> dict[str, np.ndarray]:
    found = jax.jit(jax.vmap(walk, (0, None)))(xs, step)
    return {"place": np.asarray(found["place"]), "key": jax.random.key_data(found["key"])}


def plain(found: dict[str, Any]) -> dict[str, np.ndarray]:
    return {"place": np.asarray(found["place"]), "key": jax.random.key_data(found["key"])}


@pytest.mark.parametrize("batching", ["vmap", "map"])
@pytest.mark.parametrize("num", [1, 2, 5])
@pytest.mark.parametrize("num_devices", [None, 1])
def test_every_row_has_what_it_has_alone(num, batching, num_devices) -> None:
    """Also where rows do not fill the devices, of which there are two."""
    xs, step = rows(num), jnp.asarray(2.0)
    found = plain(spread(each(walk, batching), num_devices)(xs, step))
    for name, values in expected(xs, step).items():
        np.testing.assert_array_equal(found[name], values)


def test_the_parts_are_on_the_devices() -> None:
    assert num_parts() == jax.local_device_count() == 2
    assert [num_parts(num) for num in (1, 2, 5)] == [1, 2, 2]
    assert num_parts(5, 1) == 1
    ys = spread(lambda xs: 2 * xs)(np.arange(6.0, dtype=np.float32))
    assert ys.sharding.num_devices == 2
    assert {shard.data.shape for shard in ys.addressable_shards} == {(3,)}


def test_a_single_cpu_device_has_a_part_for_each_core(monkeypatch) -> None:
    only = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: only)
    for num_cores, num in ((1, 1), (3, 3), (64, 8)):
        monkeypatch.setattr(devices, "_num_cores", lambda cores=num_cores: cores)
        assert num_parts() == num
        assert num_parts(num_devices=1) == 1


@pytest.mark.parametrize("batching", ["vmap", "map"])
def test_threads_share_rows_as_devices_do(batching) -> None:
    xs, step, parts = rows(9), jnp.asarray(2.0), 3
    found = plain(devices._on_threads(each(walk, batching), parts)(xs, step))
    for name, values in expected(xs, step).items():
        np.testing.assert_array_equal(found[name], values)


def test_threads_run_at_the_same_time_and_compile_once() -> None:
    """Each part waits for the others: one after the other they would never end."""
    barrier, traces = threading.Barrier(2, timeout=60), []

    def meet(xs: np.ndarray) -> np.ndarray:
        barrier.wait()
        return xs

    def waiting(xs: jax.Array) -> jax.Array:
        traces.append(xs.shape)
        met = jax.pure_callback(meet, jax.ShapeDtypeStruct(xs.shape, xs.dtype), xs)
        return met + 1

    xs = np.arange(4.0, dtype=np.float32)
    run = devices._on_threads(waiting, 2)
    np.testing.assert_array_equal(run(xs), xs + 1)
    np.testing.assert_array_equal(run(xs), xs + 1)
    assert traces == [(2,)]
