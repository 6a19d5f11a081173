"""What one NASWOT score costs, in units of one 4096x4096x4096 float32 matrix product.

python -m experiments.bench_naswot

Batch of 128 images of 32x32x3, NAS-Bench-201 networks of 16 channels and 5 cells, random architectures. By hand: the
convolutions of a mean architecture are 128 images x 2 x about 60 MMAC = 15 GFLOP, its Hamming products (int8) about 7
GOP, the yardstick 137 GFLOP.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common

NUM_ARCHS = 40


def main() -> None:
    """Compile, score two populations, and print the ratio with the yardstick of the same run."""
    space = jnas.spaces.nasbench201()
    images = jax.random.normal(jax.random.key(0), (128, 32, 32, 3))
    naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), images)
    first, second = (jax.vmap(space.sample)(jax.random.split(jax.random.key(seed), NUM_ARCHS)) for seed in (1, 2))
    program = jax.jit(lambda estimator, key, archs: estimator(key, archs))
    start = time.perf_counter()
    compiled = program.lower(naswot, jax.random.key(3), first).compile()
    compile_seconds = time.perf_counter() - start
    ratios, per_arch = [], []
    for archs in (first, second, first):
        unit = common.yardstick()
        spent = common.seconds(functools.partial(compiled, naswot, jax.random.key(3), archs), 1)[0]
        per_arch.append(spent / NUM_ARCHS)
        ratios.append(per_arch[-1] / min(unit, common.yardstick()))
    macs = float(jnp.mean(jax.vmap(space.flops)(jnp.concatenate([first, second]))))
    result = {
        "num_archs": NUM_ARCHS,
        "compile_seconds": round(compile_seconds, 2),
        "seconds_per_arch": [round(value, 4) for value in per_arch],
        "ratio_to_matmul_4096": [round(value, 3) for value in ratios],
        "median_ratio": round(float(np.median(ratios)), 3),
        "gflop_of_convolutions": round(2 * 128 * macs / 1e9, 1),
    }
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(f"written: {common.write_json('bench_naswot_' + jax.default_backend(), result)}")


if __name__ == "__main__":
    main()
