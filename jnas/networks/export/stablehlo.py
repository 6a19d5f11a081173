"""StableHLO of a plain network: one program for CPUs, GPUs and TPUs, with its weights inside."""

import jax
import jax.numpy as jnp
from jax import export

from jnas.networks.export import description
from jnas.networks.export.description import Plain
from jnas.networks.export.facts import Facts, normalised

PLATFORMS = ("cpu", "cuda", "tpu")


def logits(plain: Plain, facts: Facts, images: jax.Array) -> jax.Array:
    """Logits `[N, K]` of raw pixels `[N, H, W, C]`."""
    return description.apply(plain, normalised(images, facts))


def serialised(plain: Plain, facts: Facts) -> bytes:
    """Bytes for `jax.export.deserialize`: raw pixels `[batch, H, W, C]` to logits `[batch, K]`.

    The batch is free, height and width are not.
    """
    # Bytes where images were bytes: a program of floats would not notice pixels in 0 … 1.
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, *facts.size, len(facts.mean)), jnp.dtype(facts.dtype))
    program = jax.jit(lambda images: logits(plain, facts, images))
    return bytes(export.export(program, platforms=PLATFORMS)(shape).serialize())
