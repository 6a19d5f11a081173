"""The driver of many seeds: one compiled program for all of them, spread over the local devices."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from jnas.engine.progress import progress_bar
from jnas.types import Key


def run(
    function: Callable[..., Any],
    keys: Key,
    *arguments: Any,
    together: bool = True,
    progress: bool = False,
    label: str = "running",
) -> Any:
    """`function(key, *arguments)` for every key; results do not depend on the other keys or on the devices.

    Args:
        function: pure; called once, to be compiled.
        keys: `[S]`.
        arguments: pytrees of arrays, the same for every key.
        together: True computes all keys at once, by `vmap`. False computes one key a device after the other, which
            suits functions whose branches (`switch`, `cond`) are costly: under `vmap` every branch is computed.
        progress: show a bar on standard error.
        label: what the bar is of.

    Returns:
        What the function returns, as NumPy arrays with a leading axis `S`.
    """
    num = len(keys)
    devices = np.array(jax.local_devices()[:num])
    size = len(devices) * (-(-num // len(devices)) if together else 1)
    # What is wrong with the function is said before a bar is drawn.
    lowered = program(function, devices, together, len(arguments)).lower(
        keys[np.arange(size) % num], *arguments
    )
    parts = []
    bar = progress_bar(label)
    bar.disable = not progress
    with bar:
        task = bar.add_task(label, total=num)
        compiled = lowered.compile()
        for first in range(0, num, size):
            # The last part is filled up with a key that was there before.
            rows = np.minimum(np.arange(first, first + size), num - 1)
            parts.append(jax.tree.map(np.asarray, compiled(keys[rows], *arguments)))
            bar.update(task, completed=min(first + size, num))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *parts)


def program(
    function: Callable[..., Any], devices: np.ndarray, together: bool, num_arguments: int
) -> Any:
    """`(keys [S], *arguments) -> results [S, ...]`, jitted: each of the devices has its share of the keys."""

    def rows(keys: Key, *arguments: Any) -> Any:
        def one(key: Key) -> Any:
            return function(key, *arguments)

        return jax.vmap(one)(keys) if together else lax.map(one, keys)

    by_row = PartitionSpec("seeds")
    specs = (by_row, *[PartitionSpec()] * num_arguments)
    mesh = Mesh(devices, ("seeds",))
    return jax.jit(
        jax.shard_map(rows, mesh=mesh, in_specs=specs, out_specs=by_row, check_vma=False)
    )
