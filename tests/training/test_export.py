"""Exports of trained networks: what the files answer is what `predict` answers."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jnas import data, networks, training
from jnas.types import Dataset, Network

ARCHS = np.array([[3, 3, 3, 1, 3, 3], [2, 4, 1, 1, 0, 3]], np.int32)


@pytest.fixture(scope="module")
def trained(network: Network, stripes: Dataset, recipe: training.Recipe) -> training.Trained:
    """Two networks as a training leaves them, of drawn weights."""
    params = jax.jit(jax.vmap(network.init))(jax.random.split(jax.random.key(0), 2))
    one = networks.initial_statistics(jax.tree.map(lambda leaf: leaf[0], params))
    statistics = [
        networks.Statistics(jnp.stack([s.mean + 0.1, s.mean - 0.1]), jnp.stack([s.var, 2 * s.var]))
        for s in one
    ]
    none = np.full((2, 4), np.nan)
    return training.Trained(
        network,
        ARCHS,
        params,
        statistics,
        {"validation_accuracy": none},
        np.zeros(2),
        np.zeros(2, np.int32),
        recipe,
        data.without_images(stripes),
    )


def test_the_chosen_network_is_exported(
    trained: training.Trained, stripes: Dataset, tmp_path: Path
) -> None:
    about = training.export(trained, 1, tmp_path, formats=["stablehlo"], measure=False)
    program = export.deserialize(bytearray((tmp_path / "model.stablehlo").read_bytes()))
    logits = trained.predict(stripes.test.x)
    found = jax.jit(program.call)(stripes.test.x)
    np.testing.assert_allclose(found, logits[1], rtol=0, atol=1e-5)
    assert not np.allclose(found, logits[0], atol=1e-2)
    assert about["architecture"] == trained.network.space.to_string(ARCHS[1])
    assert about["classes"] == ["rows", "columns"]
    assert networks.by_name(about["space"], **about["network"]) is trained.network
    assert about["images"]["size"] == [8, 8]


def test_bad_input(trained: training.Trained, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        training.export(trained, 2, tmp_path)
    with pytest.raises(ValueError, match="weights=True"):
        training.export(trained._replace(params=None, statistics=None), 0, tmp_path)
    failed = trained._replace(failed_at=np.asarray([0, 3]))
    with pytest.raises(ValueError, match="network 1 failed in epoch 3"):
        training.export(failed, 1, tmp_path)
    assert not list(tmp_path.iterdir())
