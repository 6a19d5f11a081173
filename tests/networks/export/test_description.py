"""Plain layers of an architecture: the logits and the costs of the whole network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import export
from jnas.networks.export import stablehlo
from tests.oracles.exports import (
    CASES,
    arch_of,
    case,
    check_logits,
    facts_of,
    images_and_logits,
    plain_of,
)


@pytest.mark.parametrize("name", CASES)
def test_plain_layers_have_the_logits_of_the_network(name: str) -> None:
    images, logits = images_and_logits(name)
    plain = plain_of(name)
    program = jax.jit(lambda images: stablehlo.logits(plain, facts_of(), images))
    check_logits(program(images), logits)


def test_counts_are_those_of_the_published_networks() -> None:
    # No weights are drawn: shapes are enough.
    for make, text, size in (
        (networks.nasbench201, "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+"
         "|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_3x3~2|", 32),
        (functools.partial(networks.nasbench101, channels=128), None, 32),
        (networks.nats_size, "8:64:24:48:40", 32),
    ):  # fmt: skip
        network = make()
        arch = arch_of(network, text)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        params = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
        plain = export.describe(network, arch, params, networks.initial_statistics(params))
        assert export.num_params(plain) == network.space.params(arch)
        assert export.num_macs(plain, (size, size)) == network.space.flops(arch)


def test_a_plain_network_makes_its_network_again() -> None:
    for name in ("nasbench201", "nasbench101", "nats_size", "without scales"):
        network = case(name)[0]
        again = networks.by_name(network.space.name, **plain_of(name).settings)
        shapes = [jax.eval_shape(one.init, jax.random.key(0)) for one in (network, again)]
        assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


def test_what_has_no_path_to_the_output_is_left_out() -> None:
    (_, cell, _) = plain_of("disconnected").blocks
    assert [step.operation for step in cell.steps] == ["zeros"]
    operations = [step.operation for step in plain_of("of zeros").blocks[1].steps]
    assert operations == ["zeros", "relu", "conv", "norm"]
