"""Environment of a result: versions and device."""

import platform
from typing import Any

import jax


def environment() -> dict[str, Any]:
    """Versions of jnas, jax and Python, and the devices, to stand beside every result."""
    import jnas

    device = jax.local_devices()[0]
    return {
        "jnas": jnas.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": f"{jax.local_device_count()} x {device.device_kind}",
    }
