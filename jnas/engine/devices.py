"""Functions of many rows, in equal parts on all devices.

`each` makes a function of rows out of a function of one row. `spread` runs a function of rows on
all that this process has: its devices, or the cores of a machine whose only device is a CPU. What
a row comes to depends neither on the other rows nor on how many parts there are: bit for bit where
rows are mapped one after the other, to rounding where they are vectorised.
"""

import gc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from jnas.engine.fingerprints import precision
from jnas.engine.inputs import is_key

Batching: TypeAlias = Literal["vmap", "map"]
"""Rows side by side ("vmap"), or one after the other on each device ("map")."""

_MAX_CPU_PARTS = 8  # more would only make the chunks of a small population uneven
_MAX_PROGRAMS = 32  # of one function, for arguments of different shapes, that are kept compiled
_MAX_MAPS = 30_000  # of this process; Linux allows 65,530, and XLA ends it where it gets no more
_MAPS = Path("/proc/self/maps")


def each(function: Callable[..., Any], batching: Batching = "vmap") -> Callable[..., Any]:
    """Function of rows `(xs [R, ...], *shared) -> ys [R, ...]` of one `(x, *shared) -> y`.

    "map" suits functions whose branches (`switch`, `cond`) are costly: under `vmap` every branch is
    computed for every row.
    """

    def rows(xs: Any, *shared: Any) -> Any:
        def one(x: Any) -> Any:
            return function(x, *shared)

        return jax.vmap(one)(xs) if batching == "vmap" else lax.map(one, xs)

    return rows


def num_parts(num_rows: int | None = None, num_devices: int | None = None) -> int:
    """Number of rows computed at a time: one a device, or a core where a CPU is the only device.

    Args:
        num_rows: at most so many; None for any number.
        num_devices: use the first so many local devices; None for all of them.
    """
    devices = jax.local_devices()[:num_devices]
    num = len(devices)
    if num == 1 and num_devices is None and devices[0].platform == "cpu":
        num = min(_num_cores(), _MAX_CPU_PARTS)
    return num if num_rows is None else max(min(num, num_rows), 1)


def spread(rows: Callable[..., Any], num_devices: int | None = None) -> Callable[..., Any]:
    """Function `(xs [R, ...], *shared) -> ys [R, ...]`, compiled, in equal parts on the devices.

    Several devices run one program together. A single CPU device, which would give all its cores to
    one operation after the other, runs the program of a part on a thread for each core instead:
    the operations of small networks are too short to be shared (`experiments/bench_zeroshot.py`).

    Args:
        rows: pure, a function of rows such as `each` makes; it is traced for each new shape.
        num_devices: the first so many local devices; None for all that there are.

    Returns:
        A function of any number of rows: where they do not fill the parts, the last row is repeated
        and what it gives is dropped. `shared` are pytrees of arrays, one copy a device. Results are
        JAX or NumPy arrays.
    """
    programs: dict[int, Callable[..., Any]] = {}

    def run(xs: Any, *shared: Any) -> Any:
        num = _num_rows(xs)
        parts = num_parts(num, num_devices)
        # Few rows make fewer parts than there are devices, and so a program of their own.
        if parts not in programs:
            programs[parts] = _program(rows, parts)
        ys = programs[parts](_filled_up(xs, -num % parts), *shared)
        return jax.tree.map(lambda leaf: leaf[:num], ys) if num % parts else ys

    return run


def _program(rows: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """Program of `rows` for a number of them that is a multiple of `parts`."""
    if parts == 1:
        return jax.jit(rows)
    # More parts than devices: `num_parts` has counted the cores of a single CPU device.
    if parts > jax.local_device_count():
        return _on_threads(rows, parts)

    def sharded(xs: Any, *shared: Any) -> Any:
        mesh = Mesh(np.array(jax.local_devices()[:parts]), ("rows",))
        by_row, same = PartitionSpec("rows"), PartitionSpec()
        specs = (by_row, *[same] * len(shared))
        run = jax.shard_map(rows, mesh=mesh, in_specs=specs, out_specs=by_row, check_vma=False)
        return run(xs, *shared)

    return jax.jit(sharded)


def _on_threads(rows: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """Program of `rows` that computes each part of them on a thread of its own."""

    @jax.jit
    def of_part(part: jax.Array, xs: Any, *shared: Any) -> Any:
        size = _num_rows(xs) // parts
        # The part is an argument, or each would be a program to compile.
        own = jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, part * size, size), xs)
        return rows(own, *shared)

    compiled: dict[Any, Any] = {}

    def run(xs: Any, *shared: Any) -> Any:
        numbers = [np.int32(part) for part in range(parts)]
        leaves, tree = jax.tree.flatten((xs, shared))
        kind = tree, tuple(map(jax.typeof, leaves)), precision()
        if kind not in compiled:
            # Here, for a thread does not see the settings of a `with` block around this call.
            compiled[kind] = of_part.lower(numbers[0], xs, *shared).compile()
            # The oldest goes, for a dictionary keeps the order of insertion.
            if len(compiled) > _MAX_PROGRAMS:
                compiled.pop(next(iter(compiled)))
        program = compiled[kind]
        # XLA runs what one thread asks for one after the other, hence a thread for each part.
        with ThreadPoolExecutor(parts) as pool:
            ys = list(
                pool.map(lambda part: jax.block_until_ready(program(part, xs, *shared)), numbers)
            )
        return jax.tree.map(lambda *parts: _joined(parts), *ys)

    return run


def _num_rows(xs: Any) -> int:
    """Length of the leading axis, which all leaves share."""
    return int(jax.tree.leaves(xs)[0].shape[0])


def _filled_up(xs: Any, num: int) -> Any:
    """Rows `xs` with `num` more of them, all equal to the last one."""
    # Of a row that is there already: zeros may be no valid input.
    if num == 0:
        return xs
    return jax.tree.map(lambda leaf: _joined([leaf, *[leaf[-1:]] * num]), xs)


def _joined(leaves: Any) -> Any:
    """Concatenation of arrays, on the host, where joining needs no program."""
    # NumPy has no arrays of typed keys.
    if is_key(leaves[0]):
        return jnp.concatenate(leaves)
    return np.concatenate([np.asarray(leaf) for leaf in leaves])


def _num_cores() -> int:
    """Number of cores that this process may use."""
    # Often fewer than the machine has, in containers and jobs of a cluster. macOS does not tell.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_device_per_core() -> None:
    """Setting of JAX that makes each CPU core a device, unless the user has set a number of them.

    Call it before JAX starts. Programs that are spread over the devices then have no threads to
    share. Without effect where JAX finds an accelerator.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" not in os.environ and "host_platform_device_count" not in flags:
        jax.config.update("jax_num_cpu_devices", min(_num_cores(), _MAX_CPU_PARTS))


def forget_programs() -> None:
    """Let go of all compiled programs where they hold much of the memory maps of this process.

    Between programs of which each is used once, such as those of buckets: a hundred of them are
    more than Linux allows. What is used again is compiled again.
    """
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MAX_MAPS:
        jax.clear_caches()
        gc.collect()
