"""Image network of NAS-Bench-Macro with the operations of its eight blocks as an input.

Su et al., CVPR 2021, https://arxiv.org/abs/2103.11922, for CIFAR-10: a stem (3x3 convolution to 32
channels, batch norm, ReLU), eight blocks in stages of 2, 3 and 3, a 1x1 convolution to 1,280
channels (batch norm, ReLU), mean over pixels, dense layer. The first block of a stage has stride 2
and doubles the channels. A block is an identity, which there is a 1x1 convolution with batch norm,
or an inverted residual block of MobileNetV2,

    x + norm(conv1x1(relu(norm(depthwise(relu(norm(conv1x1(x))))))))

whose x is left out where shapes differ, and whose hidden channels are three times the input's with
a depthwise convolution of 3x3, six times with one of 5x5.

All blocks compute at six times their channels, of which those that an operation lacks are 0.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnas import spaces
from jnas.engine.inputs import check_at_least_one
from jnas.networks import control, layers, weights
from jnas.networks._factories import one_object
from jnas.networks.flow import Flow, check_images, dropped, enter, pooled, show
from jnas.networks.own import own
from jnas.spaces.nasbench_macro import HEAD, STEM, Block, blocks
from jnas.types import Arch, Hooks, Key, Network, Params, Pass, Relu

KINDS = {"mb3": (3, 3), "mb6": (6, 5)}  # expansion and size of the kernel, operations 1 and 2


def _init(key: Key, num_classes: int, in_channels: int) -> Params:
    """Weights of all operations of all blocks (`Network.init`)."""
    found = blocks()
    tree = {
        "stem": _conv_norm(3, in_channels, STEM),
        "blocks": [_block_weights(block) for block in found],
        "head": _conv_norm(1, found[-1].c_out, HEAD),
        "dense": layers.dense_weights(HEAD, num_classes),
    }
    return layers.draw(key, tree)


def _conv_norm(size: int, c_in: int, c_out: int) -> Params:
    """Convolution without bias and its batch norm."""
    return {
        "conv": layers.conv_weights(size, c_in, c_out),
        "norm": layers.norm_weights(c_out),
    }


def _block_weights(block: Block) -> Params:
    """Weights of the operations of a block; an identity has some where shapes differ."""
    tree = {
        name: {
            "widen": _conv_norm(1, block.c_in, times * block.c_in),
            "depthwise": _conv_norm(size, 1, times * block.c_in),
            "narrow": _conv_norm(1, times * block.c_in, block.c_out),
        }
        for name, (times, size) in KINDS.items()
    }
    return {**tree, "identity": _conv_norm(1, block.c_in, block.c_out)} if _moves(block) else tree


def _moves(block: Block) -> bool:
    """Whether a block changes the shape of what it reads."""
    return block.stride > 1


def _present(arch: Arch) -> list[jax.Array]:
    """Masks of the weights of `arch`, in the order of `weights.kernels` (`Network.present`)."""

    def masks(block: Block, op: jax.Array) -> Params:
        is_op = [(op == number).astype(jnp.float32).reshape(1, 1, 1, 1) for number in range(3)]
        layers_of = ("widen", "depthwise", "narrow")
        tree = {
            name: {layer: {"conv": is_op[number]} for layer in layers_of}
            for number, name in enumerate(KINDS, 1)
        }
        return {**tree, "identity": {"conv": is_op[0]}} if _moves(block) else tree

    found = [masks(block, op) for block, op in zip(blocks(), arch, strict=True)]
    one = jnp.ones((1, 1, 1, 1))
    tree = {"stem": {"conv": one}, "blocks": found, "head": {"conv": one}}
    return weights.kernels({**tree, "dense": {"kernel": jnp.ones((1, 1))}})


def _instantiate(params: Params, arch: Arch) -> Params:
    """Weights of all operations: nothing depends on the architecture (`Network.instantiate`)."""
    del arch
    return params


def _conv(
    x: jax.Array, layer: Params, hooks: Hooks, *, name: str, stride: int = 1
) -> tuple[jax.Array, jax.Array]:
    """Output of one convolution of a block and its batch norm, and the value of the norm."""
    if name in ("depthwise", "narrow"):
        # What is behind the channels of this operation is padding.
        x = jax.nn.relu(x[..., : layer["conv"].shape[-1 if name == "depthwise" else -2]])
    convolve = layers.depthwise_layer if name == "depthwise" else layers.conv_layer
    return layers.norm_layer(convolve(x, layer, stride), layer["norm"], hooks)


def _identity(
    hidden: jax.Array, x: jax.Array, chosen: Params, *, width: int, stride: int, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """What an identity has in place of a convolution: zeros, or the convolution of its own."""
    if "identity" in chosen:
        return _conv(x, chosen["identity"], hooks, name="identity", stride=stride)
    # Branches of a switch return one shape.
    shape = (len(x), *(side // stride for side in hidden.shape[1:3]), width)
    return jnp.zeros(shape, x.dtype), jnp.zeros(())


def _inverted(
    hidden: jax.Array, x: jax.Array, chosen: Params, *, kind: str, width: int | None, **how: Any
) -> tuple[jax.Array, jax.Array]:
    """Convolution of an inverted residual block, with zeros behind its channels up to `width`."""
    del x
    y, value = _conv(hidden, chosen[kind], **how)
    missing = 0 if width is None else width - y.shape[-1]
    return jnp.pad(y, ((0, 0),) * 3 + ((0, missing),)), value


def _switched(
    op: Any, hidden: jax.Array, x: jax.Array, chosen: Params, name: str, block: Block, hooks: Hooks
) -> tuple[jax.Array, jax.Array]:
    """Output of the convolution `name` of a block by its operation, and the value of its norm."""
    strides = {"widen": (1, 1), "depthwise": (block.stride,) * 2, "narrow": (block.stride, 1)}
    width, (of_identity, stride) = chosen["mb6"]["conv"].shape[-1], strides[name]
    # All operations return one shape, but where the operation is known.
    padded = None if control.is_known(op) else width
    branches = [
        functools.partial(_identity, width=width, stride=of_identity, hooks=hooks),
        *(
            functools.partial(
                _inverted, kind=kind, name=name, width=padded, stride=stride, hooks=hooks
            )
            for kind in KINDS
        ),
    ]
    result: tuple[jax.Array, jax.Array] = control.switch(op, branches, hidden, x, chosen)
    return result


def _block(flow: Flow, params: Params, op: Any, block: Block, hooks: Hooks) -> Flow:
    """Flow after one block, whose operation is `op`."""
    (x, state, norm_sum), params = enter(flow, params, hooks)
    norms, hidden = Hooks(norm=hooks.norm), x
    # Hooks must not count padding as channels.
    num = block.c_in * jnp.asarray([0, *(times for times, _ in KINDS.values())])[op]
    for name in ("widen", "depthwise"):
        chosen = {kind: params[kind][name] for kind in KINDS}
        hidden, value = _switched(op, hidden, x, chosen, name, block, norms)
        norm_sum += value
        state = _show(state, hidden, jnp.arange(hidden.shape[-1]) < num, op, hooks)
    chosen = {kind: params[kind]["narrow"] for kind in KINDS}
    if _moves(block):
        chosen["identity"] = params["identity"]
    hidden, value = _switched(op, hidden, x, chosen, "narrow", block, norms)
    # Without a shortcut a block that is dropped would leave nothing.
    if not _moves(block):
        state, hidden = dropped(state, hidden, op > 0, hooks)
        hidden = x + hidden
    return Flow(hidden, state, norm_sum + value)


def _show(state: Any, inputs: jax.Array, channels: jax.Array, op: Any, hooks: Hooks) -> Any:
    """State of the hooks after a tensor that a ReLU reads, if there is an operation at all."""
    # Every block has a path to the logits.
    num = jnp.asarray(op > 0).astype(jnp.int32)
    return show(state, Relu(inputs, channels, num, num), hooks)


def _run(
    params: Params, arch: Arch | np.ndarray, images: jax.Array, hooks: Hooks, state: Any
) -> Pass:
    """Results of the whole network, in the program of `arch` alone where that is of NumPy."""
    check_images(images, params["stem"]["conv"], 8)
    x, norm_sum = _conv(images, params["stem"], hooks, name="stem")
    state = _show(state, x, jnp.ones(STEM, bool), np.int32(1), hooks)
    flow = Flow(jax.nn.relu(x), state, norm_sum)
    for block, of_block, op in zip(blocks(), params["blocks"], arch, strict=True):
        flow = _block(flow, of_block, op, block, hooks)
    flow, last = enter(flow, {name: params[name] for name in ("head", "dense")}, hooks)
    x, value = _conv(flow.x, last["head"], hooks, name="head")
    state = _show(flow.state, x, jnp.ones(HEAD, bool), np.int32(1), hooks)
    features = jax.nn.relu(x)
    logits = layers.dense_layer(pooled(features, state, hooks), last["dense"])
    return Pass(logits, features, state, flow.norm_sum + value)


def _forward(params: Params, arch: Arch, images: jax.Array, hooks: Hooks, state: Any) -> Pass:
    """Results of the whole network (`Network.forward`)."""
    # Known to NumPy or not, an architecture is an input of one program.
    return _run(params, jnp.asarray(arch), images, hooks, state)


def _apply(params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` (`Network.apply`)."""
    return _forward(params, arch, images, Hooks(), ()).logits


@one_object
def nasbench_macro(*, num_classes: int = 10, in_channels: int = 3) -> Network:
    """Network of NAS-Bench-Macro (Su et al., CVPR 2021).

    Args:
        num_classes: width of the logits.
        in_channels: channels of the images.

    Returns:
        A `Network` for images `[N, H, W, in_channels]`, `H` and `W` multiples of 8. `init` draws
        PyTorch's default weights of both operations, and of the identities that have some. Hooks
        see hidden channels six times the input's; those of `own` see the true ones.

    Raises:
        ValueError: a size is less than 1.
    """
    sizes: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
    check_at_least_one(**sizes)
    return Network(
        spaces.nasbench_macro(),
        functools.partial(_init, **sizes),
        _apply,
        _forward,
        _present,
        _instantiate,
        functools.partial(own, nasbench_macro, tuple(sizes.items()), _run),
    )
