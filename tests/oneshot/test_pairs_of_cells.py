"""Supernets of NAS-Bench-301: what a step with each operation of every edge trains."""

import jax
import numpy as np
import pytest

from jnas import data, networks, oneshot
from tests.oracles.trainings import stripes_of

NETWORK = networks.nasbench301(
    channels=2, layers=1, num_classes=2, in_channels=1, affine=False, pool_norm=True
)
NODES = [node for node in range(2, 6) for _ in range(node)]  # of the fourteen edges


@pytest.mark.slow
def test_a_fair_step_trains_each_operation_of_its_edges() -> None:
    recipe = oneshot.recipe(
        "quick",
        sampler="fairnas",
        epochs=1,
        batch_size=16,
        is_masked=True,
        augmentation=data.Augmentation(),
    )
    key = jax.random.key(5)
    supernet = oneshot.train(NETWORK, stripes_of(32, validation=16, test=0), recipe, key)
    before = NETWORK.init(jax.random.fold_in(key, 0))["sections"][0]
    after = jax.tree.map(lambda leaf: leaf[0], supernet.params)["sections"][0]

    def moved(name: str) -> set[int]:
        """Edges of which an operation has other weights than before."""
        layer = before["edges"][name], after["edges"][name]
        pairs = zip(*map(jax.tree.leaves, layer), strict=True)
        every = [np.asarray(x != y).reshape(14, -1).any(axis=1) for x, y in pairs]
        assert all((one == every[0]).all() for one in every)
        return set(np.flatnonzero(every[0]).tolist())

    edges = moved("sep_conv_3x3")
    for name in ("sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"):
        assert moved(name) == edges
    # Two of each node.
    assert sorted(NODES[edge] for edge in edges) == [2, 2, 3, 3, 4, 4, 5, 5]
