"""Exports of one network: the same logits as in jnas, from files alone."""

import functools
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jnas import networks
from jnas.networks import export
from jnas.networks.export import description, flax_file, onnx_file, stablehlo
from jnas.networks.export.facts import normalised
from jnas.spaces import _nasbench101_cells as cells
from jnas.types import Network

EVERY_OPERATION = (
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
)
# Node 1 is zeros, so that a convolution's norm is all that node 2 gets; nothing reads the pool.
OF_ZEROS = "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
DISCONNECTED = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
CASES: dict[str, tuple[Any, Any]] = {
    "nasbench201": (lambda: networks.nasbench201(channels=4, cells=2, stages=2), EVERY_OPERATION),
    "of zeros": (lambda: networks.nasbench201(channels=4, cells=1, stages=2), OF_ZEROS),
    "disconnected": (lambda: networks.nasbench201(channels=4, cells=1, stages=1), DISCONNECTED),
    "without scales": (
        lambda: networks.nasbench201(channels=4, cells=1, stages=2, affine=False),
        EVERY_OPERATION,
    ),
    "nasbench101": (lambda: networks.nasbench101(channels=10, cells=2, stacks=2), None),
    "nats_size": (networks.nats_size, "8:16:16:8:24"),
}


def facts_of(network_classes: int = 10, name: str = "squares") -> export.Facts:
    classes = [f'it\'s "{number}"' for number in range(network_classes)]
    return export.Facts(classes, [0.4, 0.5, 0.3], [0.2, 0.3, 0.25], 255.0, (8, 8), name)


def arch_of(network: Network, text: str | None) -> jax.Array:
    if text:
        return network.space.from_string(text)
    # Three vertices share the 10 channels of the output; of the first, the third reads a part.
    edges = [(0, 1), (0, 2), (1, 3), (1, 6), (2, 6), (3, 6), (0, 6)]
    bits = [int(edge in edges) for edge in cells.EDGES]
    return jnp.asarray([*bits, 0, 2, 1, 0, 0], jnp.int32)


@functools.cache
def case(name: str) -> tuple[Network, jax.Array, Any, list[networks.Statistics]]:
    """Network, architecture, random weights and statistics."""
    make, text = CASES[name]
    network = make()
    arch = arch_of(network, text)
    params = network.instantiate(network.init(jax.random.key(0)), arch)
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
    logits = jax.jit(network.apply)(weights, arch, normalised(jnp.asarray(images), facts_of()))
    return images, np.asarray(logits)


def check_logits(found: Any, wanted: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(np.asarray(found) / scale, wanted / scale, rtol=0, atol=1e-5)


@pytest.fixture
def as_jax_comes() -> Iterator[None]:
    """Flax relies on the promotions that other tests forbid."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def module_of(name: str, folder: Path) -> ModuleType:
    """The written file `model.py`, imported."""
    (folder / "model.py").write_text(flax_file.text(plain_of(name), facts_of(), "A title."))
    np.savez(folder / "variables.npz", allow_pickle=False, **flax_file.variables(plain_of(name)))
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CASES)
def test_plain_layers_have_the_logits_of_the_network(name: str) -> None:
    images, logits = images_and_logits(name)
    plain = plain_of(name)
    program = jax.jit(lambda images: stablehlo.logits(plain, facts_of(), images))
    check_logits(program(images), logits)


@pytest.mark.usefixtures("as_jax_comes")
@pytest.mark.parametrize("name", CASES)
def test_flax_modules_have_the_logits_of_the_network(name: str, tmp_path: Path) -> None:
    module = module_of(name, tmp_path)
    images, logits = images_and_logits(name)
    check_logits(nnx.jit(module.load())(module.preprocess(images)), logits)
    assert facts_of().classes == list(module.CLASSES)
    lines = (tmp_path / "model.py").read_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if "import" in line and "jnas" in line]


@pytest.mark.usefixtures("as_jax_comes")
def test_flax_modules_are_trained_further(tmp_path: Path) -> None:
    module = module_of("nasbench201", tmp_path)
    images, _ = images_and_logits("nasbench201")
    net = module.load()
    net.head.dense = nnx.Linear(net.head.dense.in_features, 2, rngs=nnx.Rngs(0))
    net.head.dropout = nnx.Dropout(0.2, rngs=nnx.Rngs(1))
    optimizer = nnx.Optimizer(net, optax.sgd(0.05), wrt=nnx.Param)
    labels, x = jnp.asarray([0, 1, 0]), module.preprocess(images)

    @nnx.jit
    def step(net: Any, optimizer: Any) -> jax.Array:
        def loss(net: Any) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(net(x), labels).mean()

        value, gradient = nnx.value_and_grad(loss)(net)
        optimizer.update(net, gradient)
        return value

    before = np.asarray(net.stem.stem_norm.mean[...])
    stem = np.asarray(net.stem.stem_conv(x), np.float64)
    net.train()
    losses = [float(step(net, optimizer)) for _ in range(1)]
    # Batch norms average what they have with what the batch has.
    wanted = 0.9 * before + 0.1 * stem.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(net.stem.stem_norm.mean[...], wanted, rtol=1e-4, atol=1e-6)
    losses += [float(step(net, optimizer)) for _ in range(15)]
    assert min(losses[-3:]) < 0.7 * losses[0]
    # In evaluation mode an image answers for itself, and twice the same.
    net.eval()
    together = net(x)
    np.testing.assert_allclose(net(x[:1]), together[:1], rtol=1e-4, atol=1e-5)


def test_other_variables_are_refused(tmp_path: Path) -> None:
    module = module_of("nasbench201", tmp_path)
    arrays = flax_file.variables(plain_of("nasbench201"))
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, **{name: array for name, array in arrays.items() if "head" not in name})
    with pytest.raises(ValueError, match=r"head\.dense\.bias"):
        module.load(wrong)
    np.savez(wrong, **arrays | {"head.dense.bias": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"head\.dense\.bias: \(10,\) here, \(3,\)"):
        module.load(wrong)
    with pytest.raises(ValueError, match=r"\[N, 8, 8, 3\]"):
        module.preprocess(np.zeros((1, 8, 8, 1), np.uint8))


def test_counts_are_those_of_the_published_networks() -> None:
    # No weights are drawn: shapes are enough.
    for make, text, size in (
        (networks.nasbench201, "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+"
         "|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_3x3~2|", 32),
        (functools.partial(networks.nasbench101, channels=128), None, 32),
        (networks.nats_size, "8:64:24:48:40", 32),
    ):  # fmt: skip
        network = make()
        arch = arch_of(network, text)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        params = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
        plain = export.describe(network, arch, params, networks.initial_statistics(params))
        assert export.num_params(plain) == network.space.params(arch)
        assert export.num_macs(plain, (size, size)) == network.space.flops(arch)


def test_a_plain_network_makes_its_network_again() -> None:
    for name in ("nasbench201", "nasbench101", "nats_size", "without scales"):
        network = case(name)[0]
        again = networks.by_name(network.space.name, **plain_of(name).settings)
        shapes = [jax.eval_shape(one.init, jax.random.key(0)) for one in (network, again)]
        assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


def test_what_has_no_path_to_the_output_is_left_out() -> None:
    (_, cell, _) = plain_of("disconnected").blocks
    assert [step.operation for step in cell.steps] == ["zeros"]
    operations = [step.operation for step in plain_of("of zeros").blocks[1].steps]
    assert operations == ["zeros", "relu", "conv", "norm"]


@pytest.mark.parametrize("name", CASES)
def test_onnx_graphs_have_the_logits_of_the_network(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = onnxruntime.InferenceSession(onnx_file.serialised(plain_of(name), facts_of()))
    images, logits = images_and_logits(name)
    for num in (1, 3):
        (found,) = net.run(None, {"images": images[:num]})
        check_logits(found, logits[:num])


IN_A_FRESH_PROCESS = """
import sys
sys.modules["jnas"] = None
import jax, numpy as np, model
from flax import nnx
from jax import export
example = np.load("example.npz")
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


def write(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    network, arch, _, _ = case(name)
    return export.write(
        plain_of(name),
        facts_of(),
        folder,
        architecture=network.space.to_string(np.asarray(arch)),
        space=network.space.name,
        **settings,
    )


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("nasbench101", "nats_size")]


@pytest.mark.parametrize("name", ["nasbench201", *SLOW])
def test_exports_need_no_jnas(name: str, tmp_path: Path) -> None:
    about = write(name, tmp_path, measure=name == "nasbench201")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, "onnx" if find_spec("onnxruntime") else ""],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr
    example = np.load(tmp_path / "example.npz", allow_pickle=False)
    network, arch, params, statistics = case(name)
    weights = networks.with_statistics(params, statistics)
    images = normalised(jnp.asarray(example["images"][:3]), facts_of())
    check_logits(jax.jit(network.apply)(weights, arch, images), example["logits"][:3])
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
    for _ in range(2):  # its own are replaced
        write("disconnected", tmp_path, formats=["flax"], measure=False)


def test_bad_input(tmp_path: Path) -> None:
    network, arch, params, statistics = case("nasbench201")
    for wrong in (arch[:5], arch.astype(jnp.float32), arch.at[0].set(5)):
        with pytest.raises(ValueError, match="arch"):
            export.describe(network, wrong, params, statistics)
    with pytest.raises(ValueError, match="no export"):
        export.describe(network, arch, {"mine": jnp.zeros(3)}, [])
    plain, facts = plain_of("nasbench201"), facts_of()
    for wrong_facts, words in (
        (facts._replace(classes=["a"]), "10 classes; got names of 1"),
        (facts._replace(mean=[0.1]), "3 channels; got 1 means"),
        (facts._replace(size=(8, 9)), r"multiples of 2; got \[8, 9\]"),
    ):
        with pytest.raises(ValueError, match=words):
            export.write(plain, wrong_facts, tmp_path, architecture="", space="")
    with pytest.raises(ValueError, match="Did you mean 'stablehlo'"):
        write("nasbench201", tmp_path, formats=["stablehl"])
