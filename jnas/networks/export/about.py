"""Facts of an exported network: counts, measured times, how its files are used."""

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from jnas.networks.export import description, stablehlo
from jnas.networks.export.description import Plain
from jnas.networks.export.facts import Facts

_BATCHES = (1, 64)  # an image that somebody waits for, and a folder of them
_CALLS = 20


def random_images(facts: Facts, num: int) -> np.ndarray:
    """Images `[num, H, W, C]` of random pixels: bytes in 0 … scale, or normal floats."""
    rng, shape = np.random.default_rng(0), (num, *facts.size, len(facts.mean))
    if facts.dtype == "uint8":
        return rng.integers(0, int(min(facts.scale, 255)) + 1, shape).astype(np.uint8)
    # As spread as the images that it was trained on: its batch norms fit no others.
    unit = np.asarray(facts.mean) + np.asarray(facts.std) * rng.standard_normal(shape)
    return (unit * facts.scale).astype(np.float32)


def milliseconds(program: Callable[[Any], Any], images: Any) -> float:
    """Milliseconds of a compiled program on images, the least of some calls."""
    # On the device before: the network is timed, and not the way there.
    images = jax.device_put(images)
    jax.block_until_ready(program(images))
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        jax.block_until_ready(program(images))
        seconds.append(time.perf_counter() - start)
    # The least: whatever else runs on the machine only adds to it.
    return float(f"{1e3 * min(seconds):.4g}")


def latency(plain: Plain, facts: Facts) -> dict[str, Any]:
    """Milliseconds an image for batches of 1 and 64, and the device."""
    program = jax.jit(lambda images: stablehlo.logits(plain, facts, images))
    found: dict[str, Any] = {"device": jax.devices()[0].device_kind}
    for batch in _BATCHES:
        found[f"batch_{batch}"] = milliseconds(program, random_images(facts, batch)) / batch
    return found


def summary(plain: Plain, facts: Facts, architecture: str, space: str) -> dict[str, Any]:
    """Facts of a network, ready for JSON."""
    return {
        "architecture": architecture,
        "space": space,
        "network": dict(plain.settings),
        "dataset": facts.name,
        "classes": list(facts.classes),
        "images": {
            "size": list(facts.size),
            "channels": len(facts.mean),
            "dtype": facts.dtype,
            "scale": float(facts.scale),
            "mean": [float(value) for value in facts.mean],
            "std": [float(value) for value in facts.std],
        },
        "params": description.num_params(plain),
        "macs": description.num_macs(plain, facts.size),
        "versions": {name: version(name) for name in ("jnas", "jax", "flax", "numpy")},
    }


def readme(title: str, about: dict[str, Any], formats: Sequence[str]) -> str:
    """Text that shows how the files are used."""
    images, times = about["images"], about["milliseconds_an_image"]
    height, width = images["size"]
    shape = f"[N, {height}, {width}, {images['channels']}]"
    head = [
        title,
        "",
        f"It reads images {shape} {images['dtype']}, pixels in 0 ... {images['scale']:g}, as they",
        f"are in a file, and gives logits [N, {len(about['classes'])}]; classes are in about.json.",
        f"{about['params']:,} parameters, {about['macs']:,} multiply-accumulates an image.",
    ]
    if times is not None:
        of_batches = ", ".join(f"{times[f'batch_{n}']} in a batch of {n}" for n in _BATCHES)
        head.append(f"Milliseconds an image on {times['device']}: {of_batches}.")
    return "\n\n".join(["\n".join(head), *(_USES[name] for name in formats)]) + "\n"


_USES = {
    "flax": """Flax (model.py, variables.npz): readable, to be changed and trained further.

    import model
    net = model.load()
    logits = net(model.preprocess(images))""",
    "stablehlo": """StableHLO (model.stablehlo): needs jax and flatbuffers alone; weights and
normalisation are inside; any batch, on CPU, CUDA or TPU. JAX reads its own files for at least
six months.

    import jax
    from jax import export
    with open("model.stablehlo", "rb") as file:
        net = export.deserialize(file.read())
    logits = jax.jit(net.call)(images)""",
    "onnx": """ONNX (model.onnx): weights and normalisation inside, any batch.

    import onnxruntime
    net = onnxruntime.InferenceSession("model.onnx")
    (logits,) = net.run(None, {"images": images})""",
}
