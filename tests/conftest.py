"""Tests run stricter than users do: rank promotion raises, warnings are errors (pyproject.toml)."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Before JAX starts. Two host devices, so that every test sees a sharded program; hardly any optimisation by the
# compiler, because tests compile much and compute little; compiled programs are kept between runs.
FAST_COMPILATION = "--xla_backend_optimization_level=0"
_FLAGS = ("--xla_force_host_platform_device_count=2", FAST_COMPILATION)
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_FLAGS])
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax")
)

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real benchmark tables and images; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("JNAS_DATA", ""))
    if not os.environ.get("JNAS_DATA") or not folder.is_dir():
        pytest.skip("JNAS_DATA does not name a folder of benchmark tables")
    return folder


_MAX_MAPS = 25_000  # memory maps of this process; Linux allows 65,530, and XLA crashes where it gets no more
_MAPS = Path("/proc/self/maps")


@pytest.fixture(autouse=True)
def _forget_programs() -> Iterator[None]:
    """Every compiled program holds memory maps: let go of them before there are too many for one process."""
    yield
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MAX_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)
