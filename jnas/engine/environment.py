"""Environment of a result: versions, device and mode."""

import platform
from typing import Any

import jax


def environment() -> dict[str, Any]:
    """Versions of jnas, jax and Python, the devices, and whether JAX uses 64 bits (`x64`)."""
    import jnas

    device = jax.local_devices()[0]
    return {
        "jnas": jnas.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": f"{jax.local_device_count()} x {device.device_kind}",
        "x64": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
    }
