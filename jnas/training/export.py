"""Export of a trained network: a folder of files that need no jnas."""

import os
from collections.abc import Sequence
from typing import Any

import jax

from jnas.networks import export as exports
from jnas.training.trained import Trained


def export(
    trained: Trained,
    number: int,
    folder: str | os.PathLike[str],
    *,
    formats: Sequence[str] | None = None,
    measure: bool = True,
) -> dict[str, Any]:
    """Files of trained network `number`, with its weights, that need no jnas; what is said of them.

    All of them read raw images `[N, H, W, C]` and give logits `[N, K]`, equal to those of
    `Trained.predict` to 1e-5. `README.txt` in the folder shows how each is used:

    - `model.py` and `variables.npz`, a Flax module to be changed and trained further;
    - `model.stablehlo`, a program for `jax.export` on CPUs, GPUs and TPUs, any batch;
    - `model.onnx`, for ONNX runtimes, where the package onnx is installed (`jnas[onnx]`).

    `about.json` has what is returned: architecture, classes, the images, parameters,
    multiply-accumulates, bytes, milliseconds an image. `example.npz` has images and their logits.

    Args:
        trained: networks.
        number: of the one among them.
        folder: that the files go to; made if need be. A file that jnas did not write is not
            replaced.
        formats: some of "flax", "stablehlo", "onnx"; None is all that can be written here.
        measure: whether milliseconds an image are measured, alone and in a batch of 64.

    Raises:
        IndexError: there is no such network.
        ValueError: its weights were not kept or its training failed; unknown formats; a network
            that is not one of `jnas.networks`.
        FileExistsError: a file that jnas did not write is in the way.
        ImportError: ONNX is asked for, and the package onnx is not installed.
    """
    # All is checked before a file is written: a folder without weights would look like a network.
    one = trained.select(number)
    if one.params is None or one.statistics is None:
        raise ValueError("the weights of these networks were not kept: train with weights=True")
    if one.failed_at[0]:
        raise ValueError(
            f"the training of network {number} failed in epoch {one.failed_at[0]}: its weights are "
            "not those of a network that was trained to its end"
        )
    # Without the axis of networks, which a file that knows nothing of jnas has no use for.
    params, statistics = jax.tree.map(lambda leaf: leaf[0], (one.params, one.statistics))
    space, arch = one.network.space, one.archs[0]
    return exports.write(
        exports.describe(one.network, arch, params, statistics),
        exports.facts_of(one.dataset),
        folder,
        architecture=space.to_string(arch),
        space=space.name,
        formats=formats,
        measure=measure,
    )
