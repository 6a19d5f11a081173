"""CLOSE as a supernet: trained, kept, stored and asked for scores."""

import jax
import numpy as np
import pytest

from jnas import oneshot
from jnas.oneshot.close.gate import num_open


@pytest.mark.slow
def test_banks_open_while_a_supernet_is_trained(network, stripes, recipe, tmp_path):
    sharing = oneshot.close.close(network, schedule=(1, 2, 4), restarts=(3,), dropout=0.0)
    supernet = oneshot.train(sharing, stripes, recipe, 0, keep=(1, 2, 3))
    opened = [
        int(num_open(jax.tree.map(lambda leaf: leaf[0], supernet.at(epoch).params["gate"])))
        for epoch in (1, 2, 3, 4)
    ]
    assert opened == [1, 2, 2, 3]
    # A bank that is opened goes its own way from the first step on.
    first, second = np.moveaxis(supernet.at(2).params["stages"][0]["conv3x3"]["conv"][0], 1, 0)[:2]
    assert np.abs(first - second).max() > 0.01

    oneshot.save(supernet, tmp_path / "close.npz")
    found = oneshot.load(tmp_path / "close.npz", sharing)
    archs = network.space.enumerate()[3000:3006]
    before, after = (
        oneshot.estimator(one, stripes, "loss")(jax.random.key(0), archs)
        for one in (supernet, found)
    )
    np.testing.assert_array_equal(before, after)
    assert np.all(np.isfinite(before))
    assert len(np.unique(before)) > 1
