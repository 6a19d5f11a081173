"""Weights of the NAS-Bench-201 network: those of every operation on every edge of every cell."""

import jax
import jax.numpy as jnp

from jnas.networks import layers, weights
from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES
from jnas.types import Arch, Key, Params


def init(
    key: Key,
    affine: bool,
    bias: bool,
    channels: int,
    stages: int,
    cells: int,
    num_classes: int,
    in_channels: int,
) -> Params:
    """Weights of every operation on every edge of every cell (`Network.init`)."""
    widths = [channels * 2**stage for stage in range(stages)]
    weights = {
        "stem": _conv_norm(3, in_channels, channels),
        "stages": [_stage_weights(width, cells, affine, bias) for width in widths],
        "blocks": [_block_weights(width) for width in widths[:-1]],
        "norm": layers.norm_weights(widths[-1]),
        "dense": layers.dense_weights(widths[-1], num_classes),
    }
    return layers.draw(key, weights)


def _conv_norm(
    size: int,
    c_in: int,
    c_out: int,
    batch: tuple[int, ...] = (),
    affine: bool = True,
    bias: bool = False,
) -> Params:
    """Convolution, perhaps with a bias, and batch norm, perhaps with scale and bias."""
    kernel = layers.conv_weights(size, c_in, c_out, batch)
    norm = layers.norm_weights(c_out, batch) if affine else {}
    # A norm takes this bias away again; it matters to SynFlow, which leaves norms out.
    more = {"bias": layers.Uniform((*batch, c_out), kernel.bound)} if bias else {}
    return {"conv": kernel, **more, "norm": norm}


def _stage_weights(width: int, cells: int, affine: bool, bias: bool) -> Params:
    """Weights of both convolutions of all edges of all cells, stacked `[cells, 6, ...]`."""
    batch = (cells, len(EDGES))
    return {
        name: _conv_norm(size, width, width, batch, affine, bias)
        for name, size in (("conv1x1", 1), ("conv3x3", 3))
    }


def _block_weights(width: int) -> Params:
    """Weights of the residual block that doubles `width`."""
    return {
        "a": _conv_norm(3, width, 2 * width),
        "b": _conv_norm(3, 2 * width, 2 * width),
        "shortcut": {"conv": layers.conv_weights(1, width, 2 * width)},
    }


def present(arch: Arch, stages: int) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""
    of_edge = {
        name: (arch == op).astype(jnp.float32)[None, :, None, None, None, None]
        for name, op in (("conv1x1", CONV1X1), ("conv3x3", CONV3X3))
    }
    always = {"conv": jnp.ones(())}  # broadcasts to the kernel of a layer that all have
    tree = {
        "stem": always,
        "stages": [{name: {"conv": value} for name, value in of_edge.items()}] * stages,
        "blocks": [{"a": always, "b": always, "shortcut": always}] * (stages - 1),
        "dense": {"kernel": jnp.ones(())},
    }
    return weights.kernels(tree)
