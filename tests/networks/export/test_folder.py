"""Folders of exports: files that need no jnas and agree, and what is said of them."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import data, networks
from jnas.networks import export
from jnas.networks.export import description
from jnas.networks.export.facts import normalised
from tests.oracles.exports import case, check_logits, facts_of, plain_of, sized

IN_A_FRESH_PROCESS = """
import sys
sys.modules["jnas"] = None
import jax, numpy as np, model
from flax import nnx
from jax import export
with np.load("example.npz") as example:
    images, wanted = example["images"], example["logits"]
found = {"flax": nnx.jit(model.load())(model.preprocess(images))}
with open("model.stablehlo", "rb") as file:
    net = export.deserialize(file.read())
assert net.platforms == ("cpu", "cuda", "tpu")
found["stablehlo"] = jax.jit(net.call)(images)
if "onnx" in sys.argv:
    import onnxruntime
    found["onnx"] = onnxruntime.InferenceSession("model.onnx").run(None, {"images": images})[0]
found["alone"] = np.concatenate([jax.jit(net.call)(images[:1]), found["stablehlo"][1:]])
for name, logits in found.items():
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=1e-5, err_msg=name)
print("the same")
"""


def facts_for(name: str) -> export.Facts:
    """Facts of images of any size where the network takes any."""
    return facts_of()._replace(size=(9, 7)) if plain_of(name).multiple == 1 else facts_of()


def write(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    network, arch, _, _ = case(name)
    return export.write(
        plain_of(name),
        facts_for(name),
        folder,
        architecture=network.space.to_string(np.asarray(arch)),
        space=network.space.name,
        **settings,
    )


SLOW = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in (
        *("nasbench101", "nats_size", "nb1shot1", "input to output", "darts", "enas"),
        *("nasnet", "nasbench_macro", "nds_resnext_a", "nds_vanilla"),
    )
]


@pytest.mark.parametrize("name", ["nasbench201", *SLOW])
def test_exports_need_no_jnas(name: str, tmp_path: Path) -> None:
    about = write(name, tmp_path, measure=name == "nasbench201")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, "onnx" if find_spec("onnxruntime") else ""],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr
    with np.load(tmp_path / "example.npz", allow_pickle=False) as file:
        example = {name: file[name] for name in ("images", "logits")}
    network, arch, params, statistics = case(name)
    weights = networks.with_statistics(params, statistics)
    images = normalised(jnp.asarray(example["images"][:3]), facts_of())
    apply = jax.jit(sized(network, arch).apply)
    check_logits(apply(weights, arch, images), example["logits"][:3])
    # What is said of the files is what is there.
    said = json.loads((tmp_path / "about.json").read_text())
    assert said == about
    assert said["architecture"] == network.space.to_string(np.asarray(arch))
    assert said["params"] == description.num_params(plain_of(name))
    for file, num in said["bytes"].items():
        assert (tmp_path / file).stat().st_size == num
    if name == "nasbench201":
        assert said["milliseconds_an_image"]["batch_64"] > 0
        assert "Milliseconds an image" in (tmp_path / "README.txt").read_text()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("mine")
    with pytest.raises(FileExistsError, match="was not written by jnas"):
        write("disconnected", tmp_path, measure=False)
    assert [file.name for file in tmp_path.iterdir()] == ["model.py"]
    (tmp_path / "model.py").unlink()
    for formats in (["flax"], ["stablehlo"]):  # its own are replaced
        write("disconnected", tmp_path, formats=formats, measure=False)
    names = {file.name for file in tmp_path.iterdir() if file.suffix != ".json"}
    assert names == {"model.stablehlo", "example.npz", "README.txt"}


def test_facts_are_those_of_the_data_set() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 4, 6, 3)).astype(np.uint8), np.arange(40) % 2
    for images, dtype in ((x, "uint8"), (x.astype(np.float32), "float32")):
        dataset = data.make_dataset(images, y, key=jax.random.key(0), classes=["a", "b"])
        facts = export.facts_of(dataset)
        assert (facts.size, facts.dtype, tuple(facts.classes)) == ((4, 6), dtype, ("a", "b"))
        found, wanted = normalised(jnp.asarray(images), facts), data.normalise(images, dataset)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_bad_input(tmp_path: Path) -> None:
    plain, facts = plain_of("nasbench201"), facts_of()
    for wrong, words in (
        (facts._replace(classes=["a"]), "10 classes; got names of 1"),
        (facts._replace(mean=[0.1]), "3 channels; got 1 means"),
        (facts._replace(size=(8, 9)), r"multiples of 2; got \[8, 9\]"),
    ):
        with pytest.raises(ValueError, match=words):
            export.write(plain, wrong, tmp_path, architecture="", space="")
    with pytest.raises(ValueError, match="Did you mean 'stablehlo'"):
        write("nasbench201", tmp_path, formats=["stablehl"])
