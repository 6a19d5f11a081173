"""Tests run stricter than users do: rank promotion raises, warnings are errors (pyproject.toml)."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

# Before JAX starts. Two host devices, so that every test sees a sharded program; hardly any
# optimisation by the compiler, because tests compile much and compute little.
FAST_COMPILATION = "--xla_backend_optimization_level=0"
if version("jaxlib").startswith("0.10."):  # XLA ends the process at a flag that it does not know
    FAST_COMPILATION += " --xla_cpu_use_fusion_emitters=false"  # a third of the time of compilation
    # A program is compiled in one piece: pieces cost more together, and workers share the cores.
    FAST_COMPILATION += " --xla_cpu_parallel_codegen_split_count=1"
_FLAGS = f"--xla_force_host_platform_device_count=2 {FAST_COMPILATION}"
# Once: a worker inherits them, and programs in the cache are those of the same flags.
if _FLAGS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}"
# Compiled programs, small ones too, are kept between runs and shared by the workers of one run.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Operations of a program do not carry the lines that they come from, a tenth of its compilation;
# errors in Python tell theirs all the same.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import jax
import pytest

# Tracing makes millions of small objects: to look for cycles among them after every 700 is a tenth
# of the time of a test, and what has been imported stays anyway.
gc.freeze()
gc.set_threshold(50_000, 20, 20)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real benchmark tables and images; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("JNAS_DATA", ""))
    if not os.environ.get("JNAS_DATA") or not folder.is_dir():
        pytest.skip("JNAS_DATA does not name a folder of benchmark tables")
    return folder


_MAX_MAPS = 25_000  # of this process; Linux allows 65,530, and XLA crashes where it gets no more
_MAX_BYTES = 1300 << 20  # resident, before the next module begins
_MAX_BYTES_WITHIN = 1600 << 20  # before the next test: what is forgotten is made again in a module
_MAPS, _PAGES = Path("/proc/self/maps"), Path("/proc/self/statm")


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    if not _PAGES.exists():
        return 0
    return int(_PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _has_many_maps() -> bool:
    return _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MAX_MAPS


def _give_back() -> None:
    """Free memory goes back to the system: glibc keeps hundreds of megabytes of a compilation."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _forget(most: int) -> None:
    """Let go of all programs where they are more than `most` bytes, or in too many maps."""
    if _resident() > most:
        _give_back()
    if _resident() > most or _has_many_maps():
        jax.clear_caches()
        gc.collect()
        _give_back()


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Programs hold memory once compiled: all are let go of before one process has too many."""
    yield
    _forget(_MAX_BYTES)


@pytest.fixture(autouse=True)
def _forget_programs_within_a_module() -> Iterator[None]:
    yield
    if _resident() > _MAX_BYTES_WITHIN:
        _forget(_MAX_BYTES_WITHIN)


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)
