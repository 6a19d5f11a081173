"""Exports of trained networks: what the files answer is what `predict` answers."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jnas import data, networks, training
from jnas.training.trained import joined
from jnas.types import Dataset, Network

ARCHS = np.array([[3, 3, 3, 1, 3, 3], [2, 4, 1, 1, 0, 3]], np.int32)


@pytest.fixture(scope="module")
def trained(network: Network, stripes: Dataset, recipe: training.Recipe) -> training.Trained:
    """Two networks as a training leaves them, of drawn weights."""
    return drawn(network, network, ARCHS, stripes, recipe)


def drawn(
    network: Network, of: Network, archs: np.ndarray, stripes: Dataset, recipe: training.Recipe
) -> training.Trained:
    """Networks as a training leaves them, of weights that `of` draws."""
    num = len(archs)
    params = jax.jit(jax.vmap(of.init))(jax.random.split(jax.random.key(0), num))
    one = networks.initial_statistics(jax.tree.map(lambda leaf: leaf[0], params))
    signs = (-1.0) ** np.arange(num)
    statistics = [
        networks.Statistics(
            jnp.stack([s.mean + 0.1 * sign for sign in signs]),
            jnp.stack([s.var * (1.5 - 0.5 * sign) for sign in signs]),
        )
        for s in one
    ]
    return training.Trained(
        network,
        archs,
        params,
        statistics,
        {"validation_accuracy": np.full((num, 4), np.nan)},
        np.zeros(num),
        np.zeros(num, np.int32),
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


@pytest.mark.slow
def test_networks_of_several_buckets_are_exported(
    stripes: Dataset, recipe: training.Recipe, tmp_path: Path
) -> None:
    """Together they are stored at the widths of the larger one."""
    network, parts = networks.nds_resnext_a(num_classes=2, in_channels=1), []
    for widths in ("64:16:16", "16:16:32"):
        text = f"ds=1:1:2,ws={widths},bot_muls=0.5:1:0.25,num_gs=4:2:1"
        arch = np.asarray(network.space.from_string(text))
        of = network.within(network.bucket(arch))
        parts.append(drawn(network, of, arch[None], stripes, recipe))
    trained = joined(parts)
    logits = trained.predict(stripes.test.x)
    for number in range(2):
        training.export(trained, number, tmp_path, formats=["stablehlo"], measure=False)
        program = export.deserialize(bytearray((tmp_path / "model.stablehlo").read_bytes()))
        found = jax.jit(program.call)(stripes.test.x)
        np.testing.assert_allclose(found, logits[number], rtol=0, atol=1e-5)


def test_bad_input(trained: training.Trained, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        training.export(trained, 2, tmp_path)
    with pytest.raises(ValueError, match="weights=True"):
        training.export(trained._replace(params=None, statistics=None), 0, tmp_path)
    failed = trained._replace(failed_at=np.asarray([0, 3]))
    with pytest.raises(ValueError, match="network 1 failed in epoch 3"):
        training.export(failed, 1, tmp_path)
    assert not list(tmp_path.iterdir())
