"""What one NASWOT score costs, in units of one 4096x4096x4096 float32 matrix product.

python -m experiments.bench_naswot                          one device
JAX_NUM_CPU_DEVICES=2 python -m experiments.bench_naswot    one device a core, as the command line does

Batch of 128 images of 32x32x3, NAS-Bench-201 networks of 16 channels and 5 cells, random architectures. By hand: the
convolutions of a mean architecture are 128 images x 2 x 53 MMAC = 13.6 GFLOP, its Hamming products (int8, one for
each node that convolutions leave) about 7 GOP, the yardstick 137 GFLOP.
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common
from jnas.networks import layers

NUM_ARCHS, CHUNK = 40, 20


def main() -> None:
    """Compile, score two populations, and print the ratio with the yardstick of the same run."""
    space = jnas.spaces.nasbench201()
    images = jax.random.normal(jax.random.key(0), (128, 32, 32, 3))
    naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), images)
    first, second = (jax.vmap(space.sample)(jax.random.split(jax.random.key(seed), NUM_ARCHS)) for seed in (1, 2))

    def score(archs: jax.Array) -> float:
        start = time.perf_counter()
        jnas.population.score(naswot, archs, jax.random.key(3), CHUNK, progress=False)
        return time.perf_counter() - start

    with_compilation, without = score(first[:CHUNK]), score(first[:CHUNK])
    ratios, per_arch = [], []
    for archs in (first, second, first):
        unit = common.yardstick()
        per_arch.append(score(archs) / NUM_ARCHS)
        ratios.append(per_arch[-1] / min(unit, common.yardstick()))
    error = _determinant_error(jnas.networks.nasbench201(), images, first)
    macs = float(jnp.mean(jax.vmap(space.flops)(jnp.concatenate([first, second]))))
    result = {
        "num_archs": NUM_ARCHS,
        "compile_seconds": round(with_compilation - without, 2),
        "seconds_per_arch": [round(value, 4) for value in per_arch],
        "ratio_to_matmul_4096": [round(value, 3) for value in ratios],
        "median_ratio": round(float(np.median(ratios)), 3),
        "log_determinant_error": error,
        **_parts(),
        "gflop_of_convolutions": round(2 * 128 * macs / 1e9, 1),
    }
    for name, value in result.items():
        print(f"{name:24} {value}")
    name = f"bench_naswot_{jax.default_backend()}_{jax.local_device_count()}"
    print(f"written: {common.write_json(name, result)}")


def _parts() -> dict[str, float]:
    """Milliseconds of the choices behind the score: codes of 128 images x 16,384 units, and one pool."""
    x = jax.random.normal(jax.random.key(0), (128, 32, 32, 16))

    def product(x: jax.Array, dtype: jnp.dtype, result: jnp.dtype) -> jax.Array:
        signs = jnp.where(x.reshape(128, -1) > 0, 1, -1).astype(dtype)
        return jax.lax.dot_general(signs, signs, (((1,), (1,)), ((), ())), preferred_element_type=result)

    def window_pool(x: jax.Array) -> jax.Array:
        total: jax.Array = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
        return total

    functions: dict[str, Callable[[jax.Array], jax.Array]] = {
        "hamming_int8": functools.partial(product, dtype=jnp.dtype("int8"), result=jnp.dtype("int32")),
        "hamming_float32": functools.partial(product, dtype=jnp.dtype("float32"), result=jnp.dtype("float32")),
        "pool_shifted_sums": layers.avg_pool3x3,
        "pool_reduce_window": window_pool,
    }
    result = {}
    for name, function in functions.items():
        compiled = jax.jit(function)
        common.seconds(functools.partial(compiled, x), 1)
        result[f"{name}_ms"] = round(1e3 * min(common.seconds(functools.partial(compiled, x), 10)), 2)
    return result


def _determinant_error(network: jnas.types.Network, images: jax.Array, archs: jax.Array) -> float:
    """Largest difference from NumPy's float64 log-determinant of the same integer kernels."""
    params = network.init(jax.random.key(3))
    kernels = jax.jit(
        lambda archs: jax.lax.map(lambda a: jnas.zeroshot.hamming_kernel(network, params, a, images), archs)
    )
    matrices = kernels(archs)
    scores = np.asarray(jax.vmap(jnas.zeroshot.log_determinant)(matrices), np.float64)
    exact = np.linalg.slogdet(np.asarray(matrices, np.float64))[1]
    ranked = np.isfinite(scores)
    return float(np.max(np.abs(scores[ranked] - exact[ranked])))


if __name__ == "__main__":
    main()
