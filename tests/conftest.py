"""Tests run stricter than users do: rank promotion raises, warnings are errors (pyproject.toml)."""

import os
from pathlib import Path

# Two host devices, so that every test of the population engine sees a sharded program. Before JAX starts.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"

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


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)
