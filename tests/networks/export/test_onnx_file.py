"""ONNX graphs: the logits of the network in another runtime."""

import jax
import numpy as np
import pytest
from jax import export

from jnas.networks.export import onnx_file, stablehlo
from tests.oracles.exports import NAMES, check_logits, facts_of, images_and_logits, plain_of

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", NAMES)
def test_onnx_graphs_have_the_logits_of_the_network(name: str) -> None:
    net = onnxruntime.InferenceSession(onnx_file.serialised(plain_of(name), facts_of()))
    images, logits = images_and_logits(name)
    for num in (1, 3):
        (found,) = net.run(None, {"images": images[:num]})
        check_logits(found, logits[:num])


def test_float_pixels_are_read_as_they_are() -> None:
    plain, facts = plain_of("nasbench201"), facts_of()._replace(dtype="float32")
    images, logits = images_and_logits("nasbench201")
    net = onnxruntime.InferenceSession(onnx_file.serialised(plain, facts))
    (found,) = net.run(None, {"images": images.astype(np.float32)})
    check_logits(found, logits)
    program = export.deserialize(bytearray(stablehlo.serialised(plain, facts)))
    check_logits(jax.jit(program.call)(images.astype(np.float32)), logits)
