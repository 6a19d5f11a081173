"""Depthwise convolution against loops over pixels and XLA's `feature_group_count`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from jnas.networks import control
from jnas.networks.depthwise import depthwise
from jnas.networks.layers import conv_weights
from jnas.networks.weights import kernels, layer_axes

# Size of the kernel, stride, dilation, height and width: each of them odd and even.
DEPTHWISE = [
    (3, 1, 1, 4, 5),
    (3, 1, 2, 5, 6),
    (3, 2, 1, 6, 5),
    (3, 2, 2, 5, 8),
    (5, 1, 1, 3, 2),
    (5, 2, 1, 7, 6),
    (5, 2, 2, 8, 7),
    (7, 2, 1, 5, 4),
]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def conv_by_loops(x, kernel, groups, stride=1, dilation=1):
    """Cross-correlation in float64, one output pixel and group at a time."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    size, c_in, c_out = kernel.shape[0], kernel.shape[2], kernel.shape[3] // groups
    num, height, width, _ = x.shape
    pad = dilation * (size - 1) // 2
    out = np.zeros((num, -(-height // stride), -(-width // stride), kernel.shape[3]))
    for row, column, group, i, j in np.ndindex(*out.shape[1:3], groups, size, size):
        y, z = row * stride + i * dilation - pad, column * stride + j * dilation - pad
        if 0 <= y < height and 0 <= z < width:
            own = slice(group * c_out, (group + 1) * c_out)
            pixel = x[:, y, z, group * c_in : (group + 1) * c_in]
            out[:, row, column, own] += pixel @ kernel[i, j, :, own]
    return out


def gradients_by_loops(x, kernel, grad, *rest):
    """Both gradients of <grad, conv>, by its values at unit images and kernels: it is bilinear."""
    of_x = [
        np.sum(conv_by_loops(unit.reshape(1, *x.shape[1:]), kernel, *rest) * grad, (1, 2, 3))
        for unit in np.eye(x[0].size)
    ]
    of_kernel = [
        np.sum(conv_by_loops(x, unit.reshape(kernel.shape), *rest) * grad)
        for unit in np.eye(kernel.size)
    ]
    return np.stack(of_x, 1).reshape(x.shape), np.reshape(of_kernel, kernel.shape)


def lax_conv(x, kernel, groups, stride=1, dilation=1):
    """The convolution of XLA, with its gradients."""
    pad = (dilation * (kernel.shape[0] - 1) // 2,) * 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        (pad, pad),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def cases():
    """Of each convolution: it, images, kernel, and its channels, stride and dilation."""
    for size, stride, dilation, height, width in DEPTHWISE:
        ours = functools.partial(depthwise, stride=stride, dilation=dilation)
        x, kernel = normal(6, height, width, 3), normal(size, size, 1, 3, seed=1)
        yield ours, x, kernel, (3, stride, dilation)


def named(case):
    """Kernel's shape, channels, stride and dilation."""
    return f"{case[2].shape}-{case[3]}" if isinstance(case, tuple) else str(case)


def pulled(function, x, kernel):
    """Value and both gradients, as of a loss whose gradient is no constant."""
    value, pull = jax.vjp(function, x, kernel)
    return value, *pull(jnp.sin(value))


def assert_close(found, expected, tolerance=1e-4):
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert got.shape == want.shape
        want = np.asarray(want, np.float64)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("case", list(cases()), ids=named)
def test_values_are_those_of_loops_and_gradients_those_of_xla(case):
    ours, x, kernel, rest = case
    found = jax.jit(functools.partial(pulled, ours))(x, kernel)
    assert_close(found[0], conv_by_loops(x, kernel, *rest))
    assert_close(
        found, jax.jit(functools.partial(pulled, lambda *a: lax_conv(*a, *rest)))(x, kernel)
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_loops(stride):
    x, kernel = normal(2, 5, 4, 4), normal(3, 3, 1, 4, seed=1)
    rest = 4, stride, 2
    function = functools.partial(depthwise, stride=stride, dilation=2)
    _, *found = jax.jit(functools.partial(pulled, function))(x, kernel)
    grad = np.sin(conv_by_loops(x, kernel, *rest))
    assert_close(found, gradients_by_loops(x, kernel, grad, *rest))


FEW = [case for k, case in enumerate(cases()) if k in (1, 3)]


@pytest.mark.parametrize("case", FEW, ids=named)
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_a_population_is_computed_as_its_members(case, backend, monkeypatch):
    """Kernels of their own and shared, images shared; the programs of accelerators, too."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    ours, x, kernel, _ = case
    function = functools.partial(pulled, ours)
    images, weights = np.stack([x, 2 - x]), np.stack([kernel, 1 + kernel])
    found = jax.jit(
        lambda images, weights: (
            jax.vmap(function)(images, weights),
            jax.vmap(function, (0, None))(images, weights[0]),
            jax.vmap(function, (None, 0))(images[0], weights),
        )
    )(images, weights)
    one = jax.jit(function)
    pairs = [[(0, 0), (1, 1)], [(0, 0), (1, 0)], [(0, 0), (0, 1)]]
    for got, members in zip(found, pairs, strict=True):
        rows = [one(images[i], weights[j]) for i, j in members]
        assert_close(got, jax.tree.map(lambda *leaves: np.stack(leaves), *rows))


@pytest.mark.parametrize("case", FEW, ids=named)
def test_hessian_vector_products_are_those_of_differences(case):
    """Forward over reverse; against gradients of float64."""
    ours, x, kernel, rest = case
    along = jax.tree.map(lambda leaf: normal(*leaf.shape, seed=5), (x, kernel))

    def product(function, *args):
        gradient = jax.grad(lambda *args: jnp.sum(jnp.sin(function(*args))), (0, 1))
        return jax.jvp(gradient, args, along)[1]

    found = jax.jit(functools.partial(product, ours))(x, kernel)

    def at(step):
        """Gradient of the sum of sines, a step along the direction."""
        moved = [
            leaf.astype(np.float64) + step * d for leaf, d in zip((x, kernel), along, strict=True)
        ]
        grad = np.cos(conv_by_loops(*moved, *rest))
        return jax.vjp(lambda *a: lax_conv(*a, *rest), *moved)[1](jnp.asarray(grad))

    with jax.enable_x64(True):
        ahead, behind = at(1e-5), at(-1e-5)
        assert_close(found, [(a - b) / 2e-5 for a, b in zip(ahead, behind, strict=True)], 1e-3)


@pytest.mark.parametrize("case", FEW[:1], ids=named)
def test_gradients_within_loops_and_switches(case):
    ours, x, kernel, _ = case

    def loss(x, stack, index):
        def step(x, kernel):
            value = control.switch(index, [lambda x, k: x, lambda x, k: ours(x, k)], x, kernel)
            return jnp.sin(value), None

        return jnp.sum(lax.scan(step, x, stack)[0])

    def plain(x, stack):
        for kernel in stack:
            x = jnp.sin(ours(x, kernel))
        return jnp.sum(x)

    stack = np.stack([kernel, -kernel])
    found = jax.jit(jax.grad(loss, (0, 1)))(x, stack, 1)
    assert_close(found, jax.jit(jax.grad(plain, (0, 1)))(x, stack))


@pytest.mark.parametrize("kind", [jnp.bfloat16, jnp.float16])
def test_numbers_of_16_bits_are_added_with_32(kind):
    """Each within one rounding of the sum in float64, of as many terms as would show."""
    x, kernel = jnp.asarray(normal(16, 16, 16, 4), kind), jnp.asarray(normal(3, 3, 1, 4), kind)
    # A gradient made within the program would not be rounded to 16 bits.
    grad = jnp.asarray(normal(*x.shape, seed=2), kind)

    def values(function, x, kernel, grad):
        value, pull = jax.vjp(function, x, kernel)
        return value, *pull(grad)

    found = jax.jit(functools.partial(values, depthwise))(x, kernel, grad)
    assert all(leaf.dtype == kind for leaf in found)
    half = float(jnp.finfo(kind).eps) / 2
    with jax.enable_x64(True):
        wide = [jnp.asarray(leaf, jnp.float64) for leaf in (x, kernel, grad)]
        expected = values(lambda *args: lax_conv(*args, 4), *wide)
    for got, want in zip(found, expected, strict=True):
        got = np.asarray(got, np.float64)
        np.testing.assert_allclose(got, want, rtol=1.01 * half, atol=1e-4)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_programs_of_accelerators_have_their_own_convolution(platform, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    x, kernel = normal(2, 9, 9, 4), normal(3, 3, 1, 4)

    def all_of(x, kernel):
        one = functools.partial(pulled, functools.partial(depthwise, stride=2, dilation=2))
        return one(x, kernel), jax.vmap(one, (None, 0))(x, kernel[None])

    exported = export.export(jax.jit(all_of), platforms=[platform])(x, kernel)
    assert "feature_group_count = 4" in exported.mlir_module()


def test_a_depthwise_layer_is_drawn_and_counted_as_others_are():
    weights = {"conv": np.zeros(conv_weights(5, 1, 8, batch=(3,)).shape)}
    assert conv_weights(5, 1, 8).bound == 1 / 5  # of PyTorch: a filter reads 25 numbers
    (kernel,) = kernels(weights)
    assert kernel.size == 3 * 25 * 8
    assert layer_axes(kernel) == (1, 2, 3, 4)
    assert depthwise(normal(1, 4, 4, 8), weights["conv"][0]).shape == (1, 4, 4, 8)


def test_what_does_not_fit_is_refused():
    x = normal(1, 4, 4, 6)
    for shape in [(3, 3, 1, 12), (3, 3, 2, 6), (2, 2, 1, 6), (3, 5, 1, 6), (3, 3, 6)]:
        with pytest.raises(ValueError, match=r"is \[k, k, 1, 6\] with odd k"):
            depthwise(x, normal(*shape))
