"""Networks to export, with random weights and statistics, and their logits in jnas."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks
from jnas.networks import export
from jnas.networks.buckets import of_all
from jnas.networks.export.facts import normalised
from jnas.spaces import _nasbench101_cells as cells
from jnas.types import Network

EVERY_OPERATION = (
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
)
# Node 1 is zeros, so that a convolution's norm is all that node 2 gets; nothing reads the pool.
OF_ZEROS = "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
DISCONNECTED = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
# Of five blocks the second has no way out; the third and fifth feed the output.
HALF_FED = "conv3x3:0|conv3x3:0|maxpool3x3:0|conv1x1:0,1|conv3x3:3,4|output:3,5"
INPUT_TO_OUTPUT = "conv1x1:0|conv3x3:0|maxpool3x3:1,2|conv3x3:0,1|output:0,1,3"
# Separable, dilated and pooled at both strides, a node of zeros, a skip that halves.
PAIRS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('none', 0), ('none', 2), "
    "('sep_conv_5x5', 2), ('dil_conv_5x5', 1), ('avg_pool_3x3', 2), ('skip_connect', 4)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('sep_conv_5x5', 0), ('skip_connect', 1), ('none', 0), "
    "('none', 1), ('dil_conv_3x3', 0), ('max_pool_3x3', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_5x5', 4)], reduce_concat=[2, 3, 4, 5])"
)
LOOSE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 2), "
    "('avg_pool_3x3', 2), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1), ('skip_connect', 3), "
    "('sep_conv_3x3', 0)], normal_concat=[4, 5], reduce=[('avg_pool_3x3', 0), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 1), ('sep_conv_5x5', 3), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('sep_conv_3x3', 0)], reduce_concat=[4, 5])"
)


def genotype(normal: str, reduce: str) -> str:
    """Text of two cells in short: operation and input of each slot, nodes apart."""
    pairs = [
        [(op, int(source)) for op, source in (slot.split() for slot in cell.split(","))]
        for cell in (normal, reduce)
    ]
    return f"Genotype(normal={pairs[0]}, reduce={pairs[1]})"


# What ENAS and DARTS have not: on nodes, with stride 2 on inputs, twice on one input.
NASNET = genotype(
    "conv_3x1_1x3 0, conv_7x1_1x7 1, conv_1x1 2, conv_3x3 1, max_pool_5x5 0, max_pool_7x7 2, "
    "sep_conv_7x7 3, sep_conv_7x7 3, dil_conv_3x3 0, skip_connect 4",
    "conv_3x1_1x3 0, conv_7x1_1x7 1, conv_1x1 0, conv_3x3 1, max_pool_5x5 0, max_pool_7x7 1, "
    "sep_conv_7x7 0, dil_conv_3x3 1, conv_7x1_1x7 2, max_pool_7x7 5",
)
AMOEBANET = genotype(
    "dil_sep_conv_3x3 0, conv_7x1_1x7 1, sep_conv_7x7 2, skip_connect 0, avg_pool_3x3 1, "
    "max_pool_3x3 3, sep_conv_3x3 0, sep_conv_3x3 0, sep_conv_5x5 5, dil_sep_conv_3x3 2",
    "dil_sep_conv_3x3 0, dil_sep_conv_3x3 1, conv_7x1_1x7 0, skip_connect 1, max_pool_3x3 2, "
    "sep_conv_7x7 1, avg_pool_3x3 0, sep_conv_5x5 0, dil_sep_conv_3x3 3, sep_conv_3x3 1",
)
PNAS = genotype(
    "sep_conv_5x5 0, max_pool_3x3 0, sep_conv_7x7 1, max_pool_3x3 1, sep_conv_5x5 1, "
    "sep_conv_3x3 1, sep_conv_3x3 4, max_pool_3x3 1, dil_conv_3x3 0, skip_connect 1",
    "conv_7x1_1x7 0, conv_7x1_1x7 0, skip_connect 1, dil_conv_3x3 1, avg_pool_3x3 0, "
    "sep_conv_7x7 3, conv_7x1_1x7 2, sep_conv_3x3 0, dil_conv_3x3 3, max_pool_3x3 1",
)
# Stages that widen, that do not, that have one block; ratios of 1/4, 1/2 and 1; as many groups as
# channels, and fewer.
RESNET = "ds=2:1:3,ws=16:24:24"
RESNEXT_A = "ds=2:1:2,ws=16:32:16,bot_muls=0.25:0.5:1,num_gs=4:2:4"
RESNEXT_B = "ds=1:2:1,ws=64:64:64,bot_muls=0.25:1:0.5,num_gs=16:2:1"
CASES: dict[str, tuple[Any, Any]] = {
    "nasbench201": (lambda: networks.nasbench201(channels=4, cells=2, stages=2), EVERY_OPERATION),
    "of zeros": (lambda: networks.nasbench201(channels=4, cells=1, stages=1), OF_ZEROS),
    "disconnected": (lambda: networks.nasbench201(channels=4, cells=1, stages=1), DISCONNECTED),
    "without scales": (
        lambda: networks.nasbench201(channels=4, cells=1, stages=1, affine=False),
        EVERY_OPERATION,
    ),
    "nasbench101": (lambda: networks.nasbench101(channels=10, cells=1, stacks=2), None),
    "nats_size": (networks.nats_size, "8:16:16:8:24"),
    "nb1shot1": (lambda: networks.nb1shot1(channels=3, cells=1, stacks=3), HALF_FED),
    "input to output": (
        lambda: networks.nb1shot1(subspace=2, channels=3, cells=3, stacks=1),
        INPUT_TO_OUTPUT,
    ),
    "darts": (lambda: networks.darts(channels=4, layers=3), PAIRS),
    "nasbench301": (
        lambda: networks.nasbench301(channels=4, layers=2, affine=False, pool_norm=True),
        PAIRS.replace("none", "skip_connect"),
    ),
    "enas": (lambda: networks.enas(nodes=4, channels=4, layers=4), LOOSE),
    "nasnet": (
        lambda: networks.nasnet(channels=(4, 6), layers=(2, 3)),
        NASNET.replace("])", "], width=4, depth=3)"),
    ),
    "amoebanet": (lambda: networks.amoebanet(channels=4, layers=3), AMOEBANET),
    "pnas": (lambda: networks.pnas(channels=4, layers=3, pool_norm=True), PNAS),
    "nasbench_macro": (networks.nasbench_macro, "02001020"),
    "nds_resnet": (networks.nds_resnet, RESNET),
    "nds_resnext_a": (networks.nds_resnext_a, RESNEXT_A),
    "nds_resnext_b": (networks.nds_resnext_b, RESNEXT_B),
    "nds_vanilla": (networks.nds_vanilla, "ds=1:2:1,ws=16:16:24"),
}
SLOW = {"nasnet", "amoebanet", "pnas", "nasbench_macro"}
SLOW |= {"nds_resnet", "nds_resnext_a", "nds_resnext_b", "nds_vanilla"}
DEAR = {"darts", "enas", "nb1shot1", "input to output"}  # `nasbench301` has pairs of cells, too
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW | DEAR else name for name in CASES
]


def facts_of(network_classes: int = 10, name: str = "squares") -> export.Facts:
    classes = [f'it\'s "{number}"' for number in range(network_classes)]
    return export.Facts(classes, [0.4, 0.5, 0.3], [0.2, 0.3, 0.25], 255.0, (8, 8), name=name)


def arch_of(network: Network, text: str | None) -> jax.Array:
    if text:
        return network.space.from_string(text)
    # Three vertices share the 10 channels of the output; of the first, the third reads a part.
    edges = [(0, 1), (0, 2), (1, 3), (1, 6), (2, 6), (3, 6), (0, 6)]
    bits = [int(edge in edges) for edge in cells.EDGES]
    return jnp.asarray([*bits, 0, 2, 1, 0, 0], jnp.int32)


def sized(network: Network, arch: jax.Array) -> Network:
    """Network whose weights are those of a training of `arch`."""
    return of_all(network, np.asarray(arch)[None])


@functools.cache
def case(name: str) -> tuple[Network, jax.Array, Any, list[networks.Statistics]]:
    """Network, architecture, random weights and statistics."""
    make, text = CASES[name]
    network = make()
    arch = arch_of(network, text)
    of = sized(network, arch)
    # Compiled: one by one, each of their operations is a program.
    params = jax.jit(of.instantiate)(jax.jit(of.init)(jax.random.key(0)), arch)
    # Norms that leave nothing as it is.
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.05, leaf.shape).astype("f4"), params)
    statistics = [
        networks.Statistics(
            jnp.asarray(rng.normal(0, 0.1, first.mean.shape), jnp.float32),
            jnp.asarray(rng.uniform(0.5, 1.5, first.var.shape), jnp.float32),
        )
        for first in networks.initial_statistics(params)
    ]
    return network, arch, params, statistics


@functools.cache
def plain_of(name: str) -> export.Plain:
    return export.describe(*case(name))


@functools.cache
def images_and_logits(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Raw images, and the logits of the general network of jnas."""
    network, arch, params, statistics = case(name)
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    weights = networks.with_statistics(params, statistics)
    logits = jax.jit(sized(network, arch).apply)(
        weights, arch, normalised(jnp.asarray(images), facts_of())
    )
    return images, np.asarray(logits)


def check_logits(found: Any, wanted: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(np.asarray(found) / scale, wanted / scale, rtol=0, atol=1e-5)
