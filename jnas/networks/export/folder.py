"""Folder of one exported network: the files, and what is to be known of them."""

import io
import json
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jnas
from jnas.engine import files
from jnas.engine.messages import nearest
from jnas.networks.export import about, flax_file, onnx_file, stablehlo
from jnas.networks.export.description import Plain
from jnas.networks.export.facts import Facts

FORMATS = ("flax", "stablehlo", "onnx")
_KIND = "exported network"
_FILES = ("model.py", "variables.npz", "model.stablehlo", "model.onnx")
_NUM_EXAMPLES = 8


def write(
    plain: Plain,
    facts: Facts,
    folder: str | os.PathLike[str],
    *,
    architecture: str,
    space: str,
    formats: Sequence[str] | None = None,
    measure: bool = True,
) -> dict[str, Any]:
    """Files of a network that need no jnas, and what `about.json` says of them.

    `model.py` and `variables.npz` are the Flax module; `model.stablehlo` is for `jax.export`,
    `model.onnx` for ONNX; `example.npz` has images with their logits, `README.txt` shows how each
    is used.

    Args:
        plain: the network.
        facts: of the images.
        folder: that the files go to; made if need be.
        architecture: text form of it.
        space: its name.
        formats: some of `FORMATS`; None is all, ONNX where the package onnx is installed.
        measure: whether seconds an image are measured on this device.

    Raises:
        ValueError: facts that do not fit the network, unknown formats.
        FileExistsError: a file that jnas did not write is in the way.
        ImportError: ONNX is asked for, and the package onnx is not installed.
    """
    chosen = _formats(formats)
    _check(plain, facts)
    title = f"Network {architecture} of {space}, exported by jnas {jnas.__version__}."
    content = _content(plain, facts, title, chosen)
    known = about.summary(plain, facts, architecture, space) | {
        "bytes": {name: len(data) for name, data in content.items()},
        "milliseconds_an_image": about.latency(plain, facts) if measure else None,
    }
    # Last, for they tell the sizes of the others.
    content["about.json"] = (json.dumps(known, indent=1) + "\n").encode()
    content["README.txt"] = about.readme(title, known, chosen).encode()
    # All or nothing: a folder of half an export would not say so.
    for name in content:
        files.check(Path(folder) / name, _KIND, "folder")
    for name in _FILES:  # those of an earlier export, perhaps of another network
        if name not in content:
            files.remove(Path(folder) / name)
    for name, data in content.items():
        with files.replacing(Path(folder) / name, _KIND, "folder") as stream:
            stream.write(data)
    return known


def _formats(formats: Sequence[str] | None) -> tuple[str, ...]:
    """Formats that are asked for, checked."""
    if formats is None:
        return FORMATS if find_spec("onnx") else FORMATS[:-1]
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"unknown format {name!r}. {nearest(name, FORMATS)}")
    if "onnx" in formats and not find_spec("onnx"):
        raise ImportError("ONNX files are written with the package onnx: pip install 'jnas[onnx]'")
    return tuple(formats)


def _check(plain: Plain, facts: Facts) -> None:
    """ValueError where facts and network do not fit."""
    classes, channels = plain.settings["num_classes"], plain.settings["in_channels"]
    if len(facts.classes) != classes:
        raise ValueError(f"the network has {classes} classes; got names of {len(facts.classes)}")
    if len(facts.mean) != channels or len(facts.std) != channels:
        raise ValueError(
            f"the network reads {channels} channels; got {len(facts.mean)} means and "
            f"{len(facts.std)} deviations"
        )
    # Pools of 2x2 are reshapes in jnas, which odd sizes do not have.
    multiple = plain.multiple
    if any(length < multiple or length % multiple for length in facts.size):
        raise ValueError(f"size must be multiples of {multiple}; got {list(facts.size)}")


def _content(plain: Plain, facts: Facts, title: str, formats: Sequence[str]) -> dict[str, bytes]:
    """Bytes of the files in the given formats and of the example, by name."""
    content = {"example.npz": _example(plain, facts)}
    if "flax" in formats:
        content["model.py"] = flax_file.text(plain, facts, title).encode()
        content["variables.npz"] = _npz(flax_file.variables(plain))
    if "stablehlo" in formats:
        content["model.stablehlo"] = stablehlo.serialised(plain, facts)
    if "onnx" in formats:
        content["model.onnx"] = onnx_file.serialised(plain, facts)
    return content


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Bytes of an uncompressed .npz file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _example(plain: Plain, facts: Facts) -> bytes:
    """Bytes of images and the logits that every format must give for them."""
    # Of the plain layers, from which all formats are written: whoever opens one can compare.
    images = about.random_images(facts, _NUM_EXAMPLES)
    logits = jax.jit(lambda images: stablehlo.logits(plain, facts, images))(images)
    return _npz({"images": images, "logits": np.asarray(logits)})
