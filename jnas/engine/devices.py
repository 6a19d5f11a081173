"""Devices: how many there are, and how rows are shared among them."""

import os

import jax

_MAX_CPU_DEVICES = 8  # more would only make the chunks of a small population uneven


def one_device_per_core() -> None:
    """Let each CPU core be a device of its own, unless the user has said how many there are; call it before JAX starts.

    Scoring then runs one network a core; one device that splits every operation over the cores is slower
    (`experiments/bench_zeroshot.py`). Without effect where JAX finds an accelerator.
    """
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in os.environ.get(
        "XLA_FLAGS", ""
    )
    if not chosen:
        jax.config.update("jax_num_cpu_devices", min(os.cpu_count() or 1, _MAX_CPU_DEVICES))
