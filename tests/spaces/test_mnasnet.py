"""MnasNet's space: costs by walking the layers, and as published for 5,138 trained networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import spaces
from jnas.spaces.mnasnet import CHOICES

SPACE = spaces.mnasnet()
C_IN, C_OUT = (32, 16, 24, 40, 80, 112, 192), (16, 24, 40, 80, 112, 192, 320)


def walk(blocks: np.ndarray) -> tuple[int, int, int]:
    """Parameters and multiply-accumulates of values `[7, 4]`, and what the published count adds.

    It adds 4 for each number that a norm returns, and one for each that a mean over pixels reads or
    returns.
    """
    side = 112
    params, macs, more = 27 * 32 + 64, 27 * 32 * side**2, 4 * 32 * side**2
    for (e, k, layers, se), c_in, c_out, stride in zip(
        blocks.tolist(), C_IN, C_OUT, (1, 2, 2, 2, 1, 2, 1), strict=True
    ):
        c, step = c_in, stride
        for _ in range(layers):
            hidden = c * e
            convs = []  # channels in a kernel's window, outputs, pixels
            if e > 1:
                convs.append((c, hidden, side**2))
            side //= step
            convs += [(k * k, hidden, side**2), (hidden, c_out, side**2)]
            for window, out, pixels in convs:
                params += window * out + 2 * out
                macs += window * out * pixels
                more += 4 * out * pixels
            if se:
                params += 2 * hidden * (c // 4) + hidden + c // 4
                macs += 2 * hidden * (c // 4)
                more += hidden * (side**2 + 1)
            c, step = c_out, 1
    params += 320 * 1280 + 2 * 1280 + 1281 * 1000
    macs += 320 * 1280 * 49 + 1280 * 1000
    return params, macs, more + 4 * 1280 * 49 + 1280 * 50


def values_of(archs: np.ndarray) -> np.ndarray:
    """`[A, 7, 4]` values of vectors `[A, 28]`."""
    lists = [np.array(values, int) for values in CHOICES.values()]
    columns = [values[archs[:, place]] for place, values in enumerate(lists)]
    return np.stack(columns, axis=1).reshape(len(archs), 7, 4)


def test_costs_are_those_of_the_layers(key):
    archs = jax.vmap(SPACE.sample)(jax.random.split(key, 200))
    archs = jnp.concatenate([archs, jnp.array([[0] * 28, [s - 1 for s in SPACE.cardinalities]])])
    params, flops = (jax.jit(jax.vmap(cost))(archs) for cost in (SPACE.params, SPACE.flops))
    expected = np.array([walk(blocks) for blocks in values_of(np.asarray(archs))])
    np.testing.assert_array_equal(params, expected[:, 0])
    np.testing.assert_array_equal(flops, expected[:, 1].astype(np.float32))


def test_costs_are_those_of_the_published_networks(data_folder):
    with np.load(data_folder / "accel_mnasnet.npz") as file:
        blocks, params, macs = (file[name] for name in ("arch", "params_m", "macs_m"))
    expected = np.array([walk(one) for one in blocks])
    np.testing.assert_array_equal((expected[:, 0] / 1e6).astype(np.float32), params)
    np.testing.assert_array_equal((expected[:, 1:].sum(axis=1) / 1e6).astype(np.float32), macs)


def test_texts_are_published_configurations():
    text = SPACE.to_string(np.zeros(28, np.int32))
    assert text.startswith("block0_e=1,block0_k=3,block0_l=1,block0_se=False,block1_e=1")
    arch = SPACE.from_string(text.replace("block5_l=1", "block5_l=4"))
    assert np.flatnonzero(arch).tolist() == [22]
    assert arch[22] == 3
    with pytest.raises(ValueError, match="unknown value '4' of 'block4_l'"):
        SPACE.from_string(text.replace("block4_l=1", "block4_l=4"))
