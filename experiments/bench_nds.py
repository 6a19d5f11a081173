"""Seconds of NASWOT on the sizes of NDS, for a multiply-accumulate, beside NAS-Bench-201.

Command: python -m experiments.bench_nds

128 images of 32x32x3, a few random networks of the tables of NDS, one after the other, in seconds
of all cores together: compilation of the program of a network's bucket, and its second call. GMAC
are those of one image: the seconds for each are of 128 times as many. A mean over networks weighs
each by its multiply-accumulates. Needs the tables of NDS (JNAS_DATA).
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common, pages, program
from experiments.nds_zeroshot import FILES
from jnas.engine.estimators import in_bucket

NUM, NUM_IMAGES = 4, 128


def costs(estimator: Any, arch: jax.Array) -> tuple[float, float]:
    """CPU seconds of compiling an estimator for one architecture, and of a call."""
    key, archs = jax.random.key(0), arch[None]
    start = time.process_time()
    run = jax.jit(lambda estimator, key, archs: estimator(key, archs))
    compiled = run.lower(estimator, key, archs).compile()
    middle = time.process_time()
    # The first call also touches memory for the first time.
    jax.block_until_ready(compiled(estimator, key, archs))
    begin = time.process_time()
    jax.block_until_ready(compiled(estimator, key, archs))
    return middle - start, time.process_time() - begin


def of_space(name: str, num: int, images: jax.Array) -> dict[str, float]:
    """Costs of a space, means over `num` networks."""
    network, key = jnas.networks.by_name(name), jax.random.key(1)
    naswot = jnas.zeroshot.naswot(network, images)
    if name in FILES:
        table = getattr(jnas.benchmarks, name)(path=common.data_file(FILES[name]))
        rows = np.asarray(jax.random.permutation(key, len(table.archs)))
        archs = jnp.asarray(table.archs[rows[:num]])
    else:
        archs = jax.vmap(network.space.sample)(jax.random.split(key, num))
    found = []
    for arch in archs:
        bucket = None if network.bucket is None else network.bucket(arch)
        estimator = naswot if bucket is None else in_bucket(naswot, bucket)
        found.append(costs(estimator, arch))
    # A ratio of means: in a mean of ratios small networks would weigh as much as large ones.
    compilation, run = np.mean(found, axis=0)
    gmacs = 1e-9 * float(jnp.mean(jax.vmap(network.space.flops)(archs)))
    return {
        "gmacs": round(gmacs, 3),
        "compile_seconds": round(float(compilation), 2),
        "seconds": round(float(run), 3),
        "seconds_per_gmac": round(float(run) / gmacs, 2),
    }


def main(num: int = NUM, num_images: int = NUM_IMAGES) -> None:
    """Measure, print and keep the costs of each space."""
    images = jax.random.normal(jax.random.key(0), (num_images, 32, 32, 3))
    result: dict[str, Any] = {"num": num, "num_images": num_images}
    for name in ("nasbench201", *FILES):
        result[name] = of_space(name, num, images)
        print(f"{name:16} {result[name]}", flush=True)
    common.write_json(f"bench_nds_{jax.default_backend()}", result)
    pages.show("bench_nds", page())


def page() -> pages.Page:
    """Costs of each space on each kind of device."""
    found, tables = pages.of_devices("bench_nds"), []
    for name, kept in found.items():
        rows = [[name, "GMAC", "compilation", "a network", "a GMAC"]]
        for space in ("nasbench201", *FILES):
            cost = kept[space]
            rows.append(
                [space, f"{cost['gmacs']:.3f}"]
                + [
                    f"{cost[key]:.2f} s"
                    for key in ("compile_seconds", "seconds", "seconds_per_gmac")
                ]
            )
        tables.append(rows)
    note = "Seconds are those of all cores together."
    return pages.Page(tuple(found), tuple(tables), notes=(note,))


if __name__ == "__main__":
    program.run(main, {"num": 1, "num_images": 4}, spread=False)
