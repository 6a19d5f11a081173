"""Networks of one architecture (`Network.own`), each made once, so that programs are shared.

What runs them is a function that takes the choices as numbers of NumPy, which are known while a
program is traced: `control` then takes one branch and unrolls its loops, and the gradient is that
of an ordinary network.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine.messages import describe
from jnas.types import Arch, Hooks, Network, Params, Pass, Space

Run: TypeAlias = Callable[[Params, np.ndarray, jax.Array, Hooks, Any], Pass]
"""`Network.forward` of a known architecture, `[D]` int32 of NumPy."""

_Choices: TypeAlias = tuple[int, ...]
_Settings: TypeAlias = tuple[tuple[str, Any], ...]


def own(
    factory: Callable[..., Network], settings: _Settings, run: Run, arch: Arch | np.ndarray
) -> Network:
    """Network of one architecture `[D]`, the same object for equal ones (`Network.own`).

    Args:
        factory: what makes the general network.
        settings: its keyword arguments, as pairs.
        run: forward pass of a known architecture.
        arch: known, no argument of a function that is being traced.

    Raises:
        ValueError: no integers `[D]`, or no architecture of the space.
    """
    return _made(factory, settings, run, choices_of(factory(**dict(settings)).space, arch))


def choices_of(space: Space, arch: Arch | np.ndarray) -> _Choices:
    """Choices of a valid architecture, `D` ints; ValueError for anything else."""
    num, array = len(space.cardinalities), np.asarray(arch)
    if array.shape != (num,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"arch must be [{num}] integers; got {describe(array)}")
    # Within a function that is traced, too, this is asked now and not put into its program.
    with jax.ensure_compile_time_eval():
        is_valid = bool(space.is_valid(jnp.asarray(array, jnp.int32)))
    if not is_valid:
        raise ValueError(f"{array.tolist()} is no architecture of the space {space.name}")
    return tuple(array.tolist())


# A hundred bytes each: it is the programs that take memory, and JAX lets go of those.
@functools.cache
def _made(
    factory: Callable[..., Network], settings: _Settings, run: Run, choices: _Choices
) -> Network:
    """Network whose functions have their architecture in place of the one that they are given."""
    network = factory(**dict(settings))
    # Partials of functions of modules and no closures: networks go to other processes.
    return network._replace(
        apply=functools.partial(_apply, run, choices),
        forward=functools.partial(_forward, run, choices),
        present=functools.partial(_present, network.present, choices),
        instantiate=functools.partial(_instantiate, network.instantiate, choices),
        bucket=None,
        within=None,
    )


def _forward(
    run: Run,
    choices: _Choices,
    params: Params,
    arch: Arch,
    images: jax.Array,
    hooks: Hooks,
    state: Any,
) -> Pass:
    """Results of the network of `choices` (`Network.forward`)."""
    del arch
    return run(params, np.array(choices, np.int32), images, hooks, state)


def _apply(run: Run, choices: _Choices, params: Params, arch: Arch, images: jax.Array) -> jax.Array:
    """Logits `[N, num_classes]` of the network of `choices` (`Network.apply`)."""
    return _forward(run, choices, params, arch, images, Hooks(), ()).logits


def _present(
    present: Callable[[Arch], list[jax.Array]], choices: _Choices, arch: Arch
) -> list[jax.Array]:
    """Masks of the weights of `choices` (`Network.present`)."""
    del arch
    return present(jnp.asarray(choices, jnp.int32))


def _instantiate(
    instantiate: Callable[[Params, Arch], Params], choices: _Choices, params: Params, arch: Arch
) -> Params:
    """Weights of `choices` (`Network.instantiate`)."""
    del arch
    return instantiate(params, jnp.asarray(choices, jnp.int32))
