"""Seconds of each score of an untrained network.

Command: JAX_NUM_CPU_DEVICES=2 python -m experiments.bench_zeroshot

Images of 32x32x3, NAS-Bench-201 networks of 16 channels and 5 cells, random architectures;
yardsticks are 4096x4096x4096 float32 matrix products of the same run, 137 GFLOP each. By hand: the
convolutions of a mean architecture forward are 128 images x 2 x 53 MMAC = 13.6 GFLOP, three times
as many for 64 images forward and backward; its Hamming products (int8, one for each node that
convolutions leave) about 7 GOP. Without JAX_NUM_CPU_DEVICES there is one device; the command line
has one a core.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from experiments import common, pages, program
from jnas.networks import layers
from jnas.networks.convolution import conv
from jnas.zeroshot import PROXIES, hamming, suite


class Case(NamedTuple):
    """A case: its scores, images of a batch, and multiples of a forward pass that it computes."""

    names: tuple[str, ...]
    num_images: int
    num_forwards: int


CASES = {
    "naswot": Case(("naswot",), 128, 1),
    "first_order": Case(("grad_norm", "snip", "plain", "fisher"), 64, 3),
    "grasp": Case(("grasp",), 64, 6),
    "synflow": Case(("synflow",), 64, 0),  # of one image
    "jacob_cov": Case(("jacob_cov",), 64, 2),
    "seven_together": Case(PROXIES, 64, 8),
    "swap": Case(("swap",), 64, 1),
    "zico": Case(("zico",), 64, 3),
    "ntk_condition": Case(("ntk_condition",), 16, 2 + 2 * 16),  # one reverse pass an image
    "zen": Case(("zen",), 16, 2),
    "synflow_bn": Case(("synflow_bn",), 64, 0),
    "l2_norm": Case(("l2_norm",), 64, 0),
}


def main(batching: str = "", archs: int = 0, channels: int = 16, cases: Sequence[str] = ()) -> None:
    """Measure each case, the parts and the error of the determinant; keep and print them."""
    batching = batching or ("map" if jax.default_backend() == "cpu" else "vmap")
    num = archs or (20 if batching == "map" else 256)
    result: dict[str, Any] = {"batching": batching, "num_archs": num, "channels": channels}
    network = jnas.networks.nasbench201(channels=channels)
    drawn = jax.vmap(network.space.sample)(jax.random.split(jax.random.key(1), num))
    macs = float(jnp.mean(jax.vmap(network.space.flops)(drawn))) * (channels / 16) ** 2
    for name in cases or CASES:
        result[name] = _measure(network, CASES[name], drawn, macs, batching)
        print(f"{name:24} {result[name]}", flush=True)
    parts = _parts() | {"log_determinant_error": _determinant_error(network, drawn[:8])}
    name = f"bench_zeroshot_{jax.default_backend()}_{jax.local_device_count()}"
    common.write_json(name, result | parts)
    pages.show("bench_zeroshot", page())


def page() -> pages.Page:
    """Costs of each case and of the parts on each kind of device."""
    found, tables = pages.of_devices("bench_zeroshot"), []
    for name, kept in found.items():
        rows = [[name, "scores", "images", "compilation", "seconds an architecture", "yardsticks"]]
        for label, case in CASES.items():
            if label in kept:
                costs = (
                    f"{kept[label][key]:.3f}"
                    for key in ("seconds_per_arch", "ratio_to_matmul_4096")
                )
                scores = ", ".join(case.names)
                compilation = f"{kept[label]['compile_seconds']:.1f} s"
                rows.append([label, scores, str(case.num_images), compilation, *costs])
        tables += [rows, pages.values("parts", kept)]
    return pages.Page(tuple(found), tuple(tables))


def _measure(
    network: jnas.types.Network, case: Case, archs: jax.Array, macs: float, batching: Any
) -> dict[str, float]:
    """Costs of one case; one chunk is scored four times, the first of them to compile."""
    images = jax.random.normal(jax.random.key(0), (case.num_images, 32, 32, 3))
    scores = suite(network, images, jnp.arange(case.num_images) % 10, case.names, batching=batching)

    def score() -> float:
        start = time.perf_counter()
        jnas.population.score(scores, archs, jax.random.key(3), len(archs), progress=False)
        return time.perf_counter() - start

    first = score()
    seconds, ratios = [], []
    for _ in range(3):
        # Right before, for what else the machine does changes within a minute.
        unit = common.yardstick()
        seconds.append(score() / len(archs))
        ratios.append(seconds[-1] / unit)
    middle = float(np.median(seconds))
    result = {
        "compile_seconds": round(first - middle * len(archs), 2),
        "seconds_per_arch": round(middle, 5),
        "ratio_to_matmul_4096": round(float(np.median(ratios)), 3),
        "gflop_of_convolutions": round(2e-9 * macs * case.num_images * case.num_forwards, 1),
    }
    if jax.default_backend() != "cpu":
        result["tflop_per_second"] = round(result["gflop_of_convolutions"] / middle / 1e3, 2)
    return result


def _parts() -> dict[str, float]:
    """Milliseconds of the choices behind the scores.

    Codes of 128 images x 16,384 units, one pool, and the weight gradients of two 3x3 convolutions
    within a scan.
    """
    x = jax.random.normal(jax.random.key(0), (128, 32, 32, 16))
    functions: dict[str, Callable[[jax.Array], jax.Array]] = {
        "hamming_packed": _packed_distances,
        "hamming_int8": functools.partial(
            _product, dtype=jnp.dtype("int8"), result=jnp.dtype("int32")
        ),
        "hamming_float32": functools.partial(
            _product, dtype=jnp.dtype("float32"), result=jnp.dtype("float32")
        ),
        "pool_shifted_sums": layers.avg_pool3x3,
        "pool_reduce_window": _window_pool,
        "weight_gradient_xla": functools.partial(_weight_gradient, _xla_conv),
        "weight_gradient_jnas": functools.partial(_weight_gradient, conv),
    }
    result = {}
    for name, function in functions.items():
        compiled = jax.jit(function)
        # XLA's takes far longer than all the others.
        repeats = 1 if name == "weight_gradient_xla" else 5
        common.seconds(functools.partial(compiled, x), 1)
        result[f"{name}_ms"] = round(
            1e3 * min(common.seconds(functools.partial(compiled, x), repeats)), 2
        )
    return result


def _packed_distances(x: jax.Array) -> jax.Array:
    words = hamming.packed(x.reshape(len(x), -1) > 0)
    differing: jax.Array = jax.lax.map(
        lambda row: jnp.sum(jax.lax.population_count(row[None] ^ words), axis=1), words
    )
    return differing


def _product(x: jax.Array, dtype: jnp.dtype, result: jnp.dtype) -> jax.Array:
    signs = jnp.where(x.reshape(len(x), -1) > 0, 1, -1).astype(dtype)
    return jax.lax.dot_general(
        signs, signs, (((1,), (1,)), ((), ())), preferred_element_type=result
    )


def _window_pool(x: jax.Array) -> jax.Array:
    total: jax.Array = jax.lax.reduce_window(
        x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
    )
    return total


def _xla_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _weight_gradient(conv: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """`[2, 3, 3, 16, 16]`, gradients of Σ conv(x, w)² for two kernels and half of the images."""
    kernels = jax.random.normal(jax.random.key(1), (2, 3, 3, x.shape[-1], x.shape[-1]))
    images = x[: len(x) // 2]
    result: jax.Array = jax.lax.map(
        jax.grad(lambda kernel: jnp.sum(conv(images, kernel) ** 2)), kernels
    )
    return result


def _determinant_error(network: jnas.types.Network, archs: jax.Array) -> float:
    """Largest difference from NumPy's float64 log-determinant of the same integer kernels."""
    images = jax.random.normal(jax.random.key(0), (128, 32, 32, 3))
    params = network.init(jax.random.key(3))
    kernels = jax.jit(
        lambda archs: jax.lax.map(
            lambda a: jnas.zeroshot.hamming_kernel(network, params, a, images), archs
        )
    )
    matrices = kernels(archs)
    scores = np.asarray(jax.vmap(jnas.zeroshot.log_determinant)(matrices), np.float64)
    exact = np.linalg.slogdet(np.asarray(matrices, np.float64))[1]
    ranked = np.isfinite(scores)
    return float(np.max(np.abs(scores[ranked] - exact[ranked]), initial=0))


OPTIONS: program.Options = {
    "--batching": {"choices": ("map", "vmap"), "help": "of architectures; map on a CPU"},
    "--archs": {"type": int, "help": "architectures a case"},
    "--channels": {"type": int, "help": "of the first stage; 16"},
    "--cases": {"nargs": "+", "choices": tuple(CASES), "help": "all by default"},
}

if __name__ == "__main__":
    small = {"archs": 8, "channels": 4, "cases": tuple(CASES)[:1]}
    program.run(main, small, OPTIONS, spread=False)
