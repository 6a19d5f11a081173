"""Plain layers of a network of NDS, every layer at its true width and in its groups."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas.networks import _nds_weights as stored
from jnas.networks.export.description import INPUT, Block, Builder, Plain
from jnas.networks.export.nasbench101 import head, stem
from jnas.spaces import nds
from jnas.spaces._nds_records import Family
from jnas.types import Network, Params

# Compiled, for it takes many small operations.
_stages_of = jax.jit(nds.stages_of, static_argnums=1)


def describe(arch: np.ndarray, params: Params, network: Network) -> Plain:
    """Network of `arch` `[D]`, its weights, of any widths that hold it, with statistics."""
    family = nds.FAMILIES.get(network.space.name)
    if family is None:
        raise ValueError(f"the network of {network.space.name} has no export")
    sizes = jax.tree.map(np.asarray, _stages_of(jnp.asarray(arch), family))
    blocks = [stem(params["stem"])]
    for number, (weights, stride) in enumerate(zip(params["stages"], nds.STRIDES, strict=True)):
        stage = nds.Stages(*(leaf[number] for leaf in sizes))
        name, c_in = f"stage{number + 1}_block", int(stage.c_in)
        blocks.append(_block(f"{name}1", weights["first"], stage, c_in, stride, family))
        for place in range(int(stage.depth) - 1):
            layer = jax.tree.map(lambda leaf, place=place: leaf[place], weights["rest"])
            width = int(stage.width)
            blocks.append(_block(f"{name}{place + 2}", layer, stage, width, 1, family))
    blocks.append(head(params["dense"], int(sizes.width[-1])))
    settings = {
        "num_classes": params["dense"]["bias"].shape[0],
        "in_channels": blocks[0].channels,
        "affine": "scale" in params["stages"][0]["first"]["a"]["norm"],
    }
    return Plain(tuple(blocks), settings, 4)


def _block(
    name: str, weights: Params, stage: nds.Stages, c_in: int, stride: int, family: Family
) -> Block:
    """Block of a stage that reads `c_in` channels."""
    b, x, width = Builder(c_in), INPUT, int(stage.width)
    kinds = stored.block_layers(family)
    halving = stored.halving_layer(family)
    for layer, kind in kinds.items():
        how: dict[str, Any] = {"stride": stride if layer == halving else 1}
        how["groups"] = int(stage.groups) if kind.is_grouped else 1
        c_out = int(stage.inner) if kind.is_inner[1] else width
        x = b.conv_norm(layer, x, weights[layer], c_out, **how)
        if layer != stored.last_layer(family):
            x = b.add(f"{layer}_relu", "relu", x)
    if stored.has_shortcut(family):
        # Between equal sizes it is an identity.
        is_layer = stride > 1 or c_in != width
        bypass = INPUT
        if is_layer:
            bypass = b.conv_norm("shortcut", INPUT, weights["shortcut"], width, stride)
        x = b.sum("total", [bypass, x])
    return b.block(name, "Block", b.add("relu", "relu", x))
