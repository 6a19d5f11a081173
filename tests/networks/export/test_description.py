"""Plain layers of an architecture: the logits and the costs of the whole network."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import export, layers
from jnas.networks.export import stablehlo
from jnas.networks.export.description import INPUT, Builder, apply
from jnas.types import Network
from tests.oracles.exports import (
    CASES,
    HALF_FED,
    NAMES,
    PAIRS,
    SLOW,
    arch_of,
    case,
    check_logits,
    facts_of,
    images_and_logits,
    plain_of,
    sized,
)

REST = [pytest.param(name, marks=pytest.mark.slow) for name in sorted(SLOW - {"nds_resnext_a"})]


# Flax modules of the others are compared with them, too (`test_flax_file`).
SOME = ("nasbench201", "nats_size", "of zeros")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in SOME)) for n in CASES]
)
def test_plain_layers_have_the_logits_of_the_network(name: str) -> None:
    images, logits = images_and_logits(name)
    plain = plain_of(name)
    program = jax.jit(lambda images: stablehlo.logits(plain, facts_of(), images))
    check_logits(program(images), logits)


@pytest.mark.slow
def test_counts_are_those_of_the_published_networks() -> None:
    # No weights are drawn: shapes are enough.
    for make, text, size in (
        (networks.nasbench201, "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+"
         "|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_3x3~2|", 32),
        (functools.partial(networks.nasbench101, channels=128), None, 32),
        (networks.nats_size, "8:64:24:48:40", 32),
        (networks.darts, PAIRS, 32),
        (networks.nasbench301, PAIRS.replace("none", "max_pool_3x3"), 32),
    ):  # fmt: skip
        network = make()
        check_counts(network, arch_of(network, text), size)


def check_counts(network: Network, arch: jax.Array, size: int) -> None:
    shapes = jax.eval_shape(sized(network, arch).init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    plain = export.describe(network, arch, params, networks.initial_statistics(params))
    assert export.num_params(plain) == network.space.params(arch)
    assert export.num_macs(plain, (size, size)) == network.space.flops(arch)


@pytest.mark.parametrize("name", ["nds_resnext_a", *REST])
def test_counts_are_those_of_the_spaces(name: str) -> None:
    """Of networks of their usual sizes, at the images of CIFAR-10."""
    network = networks.by_name(name)
    text = CASES[name][1]
    if text.startswith("Genotype"):
        text = re.sub(r"\](, width=4, depth=3)?\)$", "], width=24, depth=8)", text)
    check_counts(network, network.space.from_string(text), 32)


@pytest.mark.slow
def test_counts_are_those_of_the_weights_that_an_architecture_has() -> None:
    """Of the one-shot network, by its masks and the pixels of each of its stacks."""
    network = networks.nb1shot1(channels=4, cells=2, stacks=3)
    arch = arch_of(network, HALF_FED)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    plain = export.describe(network, arch, params, networks.initial_statistics(params))
    kernels = networks.kernels(shapes)
    masks = networks.weights.with_kernels(
        shapes,
        [
            np.broadcast_to(mask, kernel.shape)
            for mask, kernel in zip(network.present(arch), kernels, strict=True)
        ],
    )
    *_, (last, of_last) = pixels = [(32, 20), (17, 11), (9, 6)]
    convs = [np.sum([np.sum(layer["conv"]) for layer in g.values()]) for g in masks["groups"]]
    macs = sum(num * np.prod(pixels[group // 2]) for group, num in enumerate(convs))
    macs += masks["stem"]["conv"].sum() * 32 * 20 + masks["last"]["conv"].sum() * last * of_last
    assert export.num_macs(plain, (32, 20)) == macs + masks["dense"]["kernel"].sum()
    # Every convolution but the last has a scale and a bias for each of its channels.
    num = sum(mask.sum() for mask in networks.kernels(masks)) + 10
    normed = [masks["stem"], *(layer for group in masks["groups"] for layer in group.values())]
    num += 2 * sum(layer["conv"].any(axis=(-4, -3, -2)).sum() for layer in normed)
    assert export.num_params(plain) == num


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_network_makes_its_network_again(name: str) -> None:
    whole, arch = case(name)[:2]
    network = sized(whole, arch)
    again = networks.by_name(networks.settings(whole)[0], **plain_of(name).settings)
    if again.space == whole.space:  # whose architectures choose their sizes
        again = sized(again, arch)
    shapes = [jax.eval_shape(one.init, jax.random.key(0)) for one in (network, again)]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


def test_groups_have_the_values_of_a_masked_convolution() -> None:
    rng = np.random.default_rng(0)
    kernel, images = (rng.normal(size=s).astype("f4") for s in ((3, 3, 8, 12), (2, 6, 4, 8)))
    b = Builder(8)
    value = b.conv("conv", INPUT, {"conv": kernel}, 12, stride=2, groups=4)
    plain = export.Plain((b.block("one", "Block", value),), {}, 2)
    mask = np.kron(np.eye(4, dtype="f4"), np.ones((2, 3), "f4"))
    wanted = layers.conv_layer(images, {"conv": kernel * mask}, 2)
    np.testing.assert_allclose(apply(plain, images), wanted, rtol=1e-5, atol=1e-5)
    assert plain.blocks[0].steps[0].weights["conv"].shape == (3, 3, 2, 12)
    assert export.num_macs(plain, (6, 4)) == 9 * 2 * 12 * 3 * 2


@pytest.mark.slow
def test_what_has_no_path_to_the_output_is_left_out() -> None:
    (_, cell, _) = plain_of("disconnected").blocks
    assert [step.operation for step in cell.steps] == ["zeros"]
    operations = [step.operation for step in plain_of("of zeros").blocks[1].steps]
    assert operations == ["zeros", "relu", "conv", "norm"]
    # Of five blocks of three channels two feed the output, and one nothing at all.
    _, first, _, second, *_ = plain_of("nb1shot1").blocks
    assert (first.channels, second.channels) == (3, 6)
    assert not [step.name for step in first.steps if step.name.startswith("vertex2")]


@pytest.mark.slow
def test_nodes_of_darts_that_read_an_input_twice() -> None:
    """Both edges are there, each with its weights."""
    network = networks.darts(repeats=True, channels=4, layers=3)
    cell = [("sep_conv_3x3", 0), ("sep_conv_3x3", 0), ("dil_conv_5x5", 1), ("skip_connect", 1)]
    cell += [("sep_conv_5x5", 3), ("sep_conv_5x5", 3), ("none", 2), ("max_pool_3x3", 0)]
    arch = network.space.from_string(f"Genotype(normal={cell}, reduce={cell})")
    params = jax.jit(network.init)(jax.random.key(0))
    plain = export.describe(network, arch, params, networks.initial_statistics(params))
    costs = spaces.darts(repeats=True, channels=4, layers=3)
    assert export.num_params(plain) == int(costs.params(arch))
