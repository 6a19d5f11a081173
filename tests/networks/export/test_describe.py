"""What is described: weights of one network that was trained to its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import export
from tests.oracles.exports import case


def test_bad_input() -> None:
    network, arch, params, statistics = case("nasbench201")
    for wrong in (arch[:5], arch.astype(jnp.float32), arch.at[0].set(5)):
        with pytest.raises(ValueError, match="arch"):
            export.describe(network, wrong, params, statistics)
    with pytest.raises(ValueError, match="no export"):
        export.describe(network, arch, {"mine": jnp.zeros(3)}, [])
    several = jax.tree.map(lambda leaf: leaf[None], params)
    with pytest.raises(ValueError, match=r"one network.*\[1, 3, 3, 3, 4\]"):
        export.describe(network, arch, several, statistics)
    for wrong_statistics in (statistics[1:], statistics[::-1]):
        with pytest.raises(ValueError, match=f"those of the {len(statistics)} batch norms"):
            export.describe(network, arch, params, wrong_statistics)
    diverged = {**params, "dense": {**params["dense"], "bias": jnp.full(10, jnp.nan)}}
    with pytest.raises(ValueError, match="dense in head are not finite"):
        export.describe(network, arch, diverged, statistics)


@pytest.mark.slow
def test_weights_that_the_architecture_lacks_may_be_anything() -> None:
    network, arch, params, statistics = case("nats_size")
    masks = iter(network.present(arch))
    spoiled = networks.weights.with_kernels(
        params,
        [jnp.where(next(masks) > 0, kernel, jnp.nan) for kernel in networks.kernels(params)],
    )
    one, other = (export.describe(network, arch, p, statistics) for p in (params, spoiled))
    for block, same in zip(one.blocks, other.blocks, strict=True):
        for step, again in zip(block.steps, same.steps, strict=True):
            for name, array in step.weights.items():
                np.testing.assert_array_equal(array, again.weights[name])
