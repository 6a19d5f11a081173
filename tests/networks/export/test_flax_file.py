"""Flax modules as Python files: the logits of the network, and trainings that go on."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jnas.networks.export import flax_file
from tests.oracles.exports import NAMES, check_logits, facts_of, images_and_logits, plain_of


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


@pytest.mark.usefixtures("as_jax_comes")
@pytest.mark.parametrize("name", NAMES)
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
    module = module_of("without scales", tmp_path)
    images, _ = images_and_logits("without scales")
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
    losses = [float(step(net, optimizer))]
    # Batch norms average what they have with what the batch has.
    wanted = 0.9 * before + 0.1 * stem.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(net.stem.stem_norm.mean[...], wanted, rtol=1e-4, atol=1e-6)
    losses += [float(step(net, optimizer)) for _ in range(8)]
    assert losses[-1] < losses[0]
    # In evaluation mode an image answers for itself, and twice the same.
    net.eval()
    together = nnx.jit(net)(x)
    np.testing.assert_allclose(nnx.jit(net)(x[:1]), together[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("as_jax_comes")
def test_changed_variables_are_kept(tmp_path: Path) -> None:
    module = module_of("of zeros", tmp_path)
    net = module.load()
    net.stem.stem_norm.mean.set_value(net.stem.stem_norm.mean[...] + 1)
    module.save(net, tmp_path / "mine.npz")
    again = module.load(tmp_path / "mine.npz")
    states = [nnx.to_flat_state(nnx.state(one, nnx.Not(nnx.RngState))) for one in (net, again)]
    assert len(states[0]) == len(flax_file.variables(plain_of("of zeros")))
    for (path, value), (same, other) in zip(*states, strict=True):
        assert path == same
        np.testing.assert_array_equal(value[...], other[...])


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
