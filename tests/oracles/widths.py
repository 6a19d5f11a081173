"""Network that is not jnas' own, of a space of two widths; its programs are compiled soon."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.networks import layers
from jnas.types import Arch, Hooks, Key, Network, Params, Pass, Relu

WIDTHS = (2, 6)
ARCHS = np.array([[0], [1]], np.int32)


def init(key: Key) -> Params:
    conv = {"conv": layers.conv_weights(3, 1, WIDTHS[-1]), "norm": layers.norm_weights(WIDTHS[-1])}
    return layers.draw(key, {"first": conv, "dense": layers.dense_weights(WIDTHS[-1], 2)})


def mask(arch: Arch) -> jax.Array:
    return jnp.arange(WIDTHS[-1]) < jnp.asarray(WIDTHS)[arch[0]]


def run(params: Params, channels: jax.Array, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    first, dense = params["first"], params["dense"]
    x = layers.conv_layer(images, first)
    x, value = layers.norm_layer(x, first["norm"], hooks, channels)
    x = x * channels.astype(x.dtype)[None, None, None]
    if hooks.on_relu is not None:
        state = hooks.on_relu(state, Relu(x, channels, jnp.int32(1), jnp.int32(1)))
    features = jax.nn.relu(x)
    return Pass(layers.dense_layer(features.mean((1, 2)), dense), features, state, value)


def forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    return run(params, mask(arch), images, hooks, state)


def apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    return forward(params, arch, images, Hooks(), ()).logits


def present(arch: Arch) -> list[jax.Array]:
    there = mask(arch).astype(jnp.float32)
    # In the order of the names, as all trees are.
    return [there[:, None], there[None, None, None]]


def cut(params: Params, width: int) -> Params:
    first = jax.tree.map(lambda leaf: leaf[..., :width], params["first"])
    return {
        "first": first,
        "dense": {**params["dense"], "kernel": params["dense"]["kernel"][:width]},
    }


@functools.cache
def of_width(width: int) -> Network:
    def own_forward(
        params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any
    ) -> Pass:
        del arch
        return run(cut(params, width), jnp.ones(width, bool), images, hooks, state)

    return NETWORK._replace(
        forward=own_forward,
        apply=lambda params, arch, images: own_forward(params, arch, images, Hooks(), ()).logits,
    )


NETWORK = Network(
    spaces.product({"width": WIDTHS}, name="widths"),
    init,
    apply,
    forward,
    present,
    lambda params, arch: params,
    lambda arch: of_width(WIDTHS[int(arch[0])]),
)
