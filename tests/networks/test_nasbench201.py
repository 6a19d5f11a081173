"""The network against a float64 NumPy one that is written from the definition of the space."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import networks, spaces
from jnas.networks import layers
from jnas.types import Hooks
from tests.oracles.nasbench201 import (
    ARCHS,
    BAD_IMAGES,
    CELLS,
    IMAGES,
    NAMED,
    NETWORK,
    OPERATIONS,
    STAGES,
    as_readings,
    on_a_path,
    params_of_network,
    random_params,
    record,
    reference,
    references,
)

CHANNELS = 4 + 8  # of both stages
OTHER = networks.nasbench201(channels=2, cells=1, num_classes=7, in_channels=1)  # three stages
TINY = networks.nasbench201(channels=2, stages=1, cells=1, num_classes=7, in_channels=1)
TINY_IMAGES = np.random.default_rng(2).normal(size=(3, 4, 8, 1)).astype(np.float32)  # not square

apply = jax.jit(NETWORK.apply)
apply_tiny = jax.jit(TINY.apply)


@jax.jit
def look(params, arch, images, factor):
    """What the network shows to all hooks at once; inputs and weights of blocks times a factor."""

    def on_block(state, x, block):
        kernel = {"kernel": factor * block["kernel"]} if "kernel" in block else {}
        return state | {"blocks": state["blocks"] + 1}, factor * x, {**block, **kernel}

    def norm(x, norm, channels):
        return layers.batch_norm(x, norm), jnp.sum(channels.astype(jnp.float32))

    hooks = Hooks(lambda state, _: state | {"relus": state["relus"] + 1}, norm, on_block)
    return record(
        NETWORK, params, arch, images, hooks, dict.fromkeys(("relus", "blocks"), jnp.int32(0))
    )


@functools.cache
def looks():
    """`look` of each of `ARCHS`."""
    return [look(params_of_network(), arch, IMAGES, 1.0) for arch in ARCHS]


def test_logits_agree_with_the_definition():
    for arch, (expected, _) in zip(ARCHS, references(), strict=True):
        logits = apply(params_of_network(), arch, IMAGES)
        np.testing.assert_allclose(logits, expected, atol=2e-4, err_msg=str(arch))


def test_architectures_have_different_logits():
    """Otherwise the test above could pass with the architecture ignored."""
    logits = np.array([expected for expected, _ in references()]).reshape(len(ARCHS), -1)
    distances = np.abs(logits[:, None] - logits[None]).max(axis=-1) + np.eye(len(ARCHS))
    same = {tuple(sorted((int(i), int(j)))) for i, j in np.argwhere(distances < 1e-3)}
    names = list(NAMED)
    disconnected = [names.index(n) for n in ("all none", "never reaches the output")]
    skips = [names.index(n) for n in ("one skip", "dead end after node 0")]
    assert tuple(disconnected) in same
    assert tuple(skips) in same
    assert len(same) <= 6


def test_disconnected_cells_have_finite_logits_that_ignore_the_image():
    """Zeros come in and the batch norm's bias goes out, then the block and the classifier."""
    for name in ("all none", "never reaches the output"):
        logits = np.asarray(apply(params_of_network(), np.array(NAMED[name], np.int32), IMAGES))
        assert np.all(np.isfinite(logits))
        np.testing.assert_array_equal(logits, np.broadcast_to(logits[:1], logits.shape))


@pytest.mark.slow
def test_fold_shows_the_tensors_that_relus_read_and_counts_the_modules():
    for arch, (seen, buffers), (logits, expected) in zip(ARCHS, looks(), references(), strict=True):
        readings = as_readings(buffers)
        np.testing.assert_allclose(seen.logits, logits, atol=2e-4)
        assert int(seen.state["relus"]) < len(buffers[0])  # the buffer was large enough
        assert [r[1:] for r in readings] == [r[1:] for r in expected], arch
        for got, want in zip(readings, expected, strict=True):
            scale = max(1.0, np.abs(want.inputs).max())
            np.testing.assert_allclose(
                got.inputs / scale, want.inputs.reshape(6, -1) / scale, atol=1e-4
            )


def test_reference_counts_by_hand():
    """What the test above relies on: modules and live ones of each cell shape, found by hand."""
    counts = {
        name: [(r.num_modules, r.num_live) for r in readings]
        for name, (_, readings) in zip(NAMED, references(), strict=False)
    }
    skeleton = [(1, 1)] * 2 + [(1, 1)]
    assert counts["one skip"] == counts["all pool"] == counts["all skip"] == skeleton
    assert counts["all none"] == [(1, 0)] * 2 + [(1, 1)]
    cells = [(3, 3), (2, 2), (1, 1)] * CELLS
    assert counts["all 3x3"] == [*cells, (1, 1), (1, 1), *cells, (1, 1)]
    dead_end = [(2, 1), (2, 1)] * CELLS  # 0→1 and 1→3 live; 0→2 and 1→2 dead
    assert counts["dead end in node 2"][: 2 * CELLS] == dead_end
    assert counts["never leaves the input"][: 2 * CELLS] == [(2, 0), (1, 0)] * CELLS
    assert counts["never leaves the input"][-2 * CELLS - 1 :] == [
        (2, 0),
        (1, 0),
        (2, 2),
        (1, 1),
        (1, 1),
    ]


def test_apply_is_the_fold_without_looking():
    for arch, (seen, _) in zip(ARCHS, looks(), strict=True):
        np.testing.assert_allclose(
            apply(params_of_network(), arch, IMAGES), seen.logits, atol=1e-4, err_msg=str(arch)
        )


@pytest.mark.slow
def test_cells_of_one_function_have_equal_logits_where_edges_have_equal_weights():
    """As drawn, without biases: a convolution of nothing adds the bias of its batch norm."""
    space, drawn = spaces.nasbench201(identity="function"), NETWORK.init(jax.random.key(4))
    alike = drawn | {
        "stages": jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf[:, :1], leaf.shape), drawn["stages"]
        )
    }
    cells = space.enumerate()
    classes = np.asarray(jax.jit(jax.vmap(space.identity))(cells))[:, 1]
    rng, found = np.random.default_rng(3), []
    for arch in rng.permutation(cells)[:6]:
        same = cells[classes == classes[np.all(cells == arch, axis=1)]]
        several = [apply(alike, rng.choice(same), IMAGES) for _ in range(3)]
        expected = apply(alike, arch, IMAGES)
        np.testing.assert_allclose(
            several, np.broadcast_to(expected, (3, *expected.shape)), 1e-4, 1e-5
        )
        found.append(expected)
    assert len(np.unique(np.round(found, 3), axis=0)) == len(found)


def edge_leaves(params):
    """Of each stage and operation, the weights `[cells, 6, ...]` of all its edges."""
    return {
        (s, op): stage[op]
        for s, stage in enumerate(params["stages"])
        for op in ("conv1x1", "conv3x3")
    }


def test_weights_of_operations_that_were_not_chosen_change_nothing():
    """They may be NaN: bit for bit the same logits."""
    for arch in ARCHS:
        params = jax.tree.map(np.array, params_of_network())
        for (_, operation), weights in edge_leaves(params).items():
            for leaf in jax.tree.leaves(weights):
                leaf[:, arch != OPERATIONS.index(operation)] = np.nan
        np.testing.assert_array_equal(
            apply(params, arch, IMAGES), apply(params_of_network(), arch, IMAGES), err_msg=str(arch)
        )


def test_weights_of_dead_branches_change_nothing():
    """0→2 and 1→2 lead to a node that nothing leaves."""
    arch = np.array(NAMED["dead end in node 2"], np.int32)
    params = jax.tree.map(np.array, params_of_network())
    for weights in edge_leaves(params).values():
        for leaf in jax.tree.leaves(weights):
            leaf[:, [1, 2]] = np.nan
    np.testing.assert_array_equal(
        apply(params, arch, IMAGES), apply(params_of_network(), arch, IMAGES)
    )


@pytest.mark.parametrize("name", ["all 1x1", "all 3x3", "chain"])
def test_weights_of_each_chosen_operation_change_the_logits(name):
    """Every stage, cell and edge reads its own weights."""
    arch = np.array(NAMED[name], np.int32)
    base = np.asarray(apply(params_of_network(), arch, IMAGES))
    outcomes = []
    for stage, operation in edge_leaves(params_of_network()):
        for cell in range(CELLS):
            for edge in np.flatnonzero(arch == OPERATIONS.index(operation)):
                params = jax.tree.map(np.array, params_of_network())
                params["stages"][stage][operation]["conv"][cell, edge] *= -1
                outcomes.append(np.asarray(apply(params, arch, IMAGES)).ravel())
                assert np.abs(outcomes[-1] - base.ravel()).max() > 1e-3, (stage, cell, edge)
    assert len(outcomes) == STAGES * CELLS * np.sum(arch > 0)
    assert len(np.unique(np.round(outcomes, 4), axis=0)) == len(outcomes)


def count_weights(params, arch):
    """Weights of the skeleton and of the operations that `arch` chose."""
    total = sum(leaf.size for leaf in jax.tree.leaves({**params, "stages": []}))
    for (_, operation), weights in edge_leaves(params).items():
        chosen = int(np.sum(np.asarray(arch) == OPERATIONS.index(operation)))
        total += sum(leaf.size // leaf.shape[1] * chosen for leaf in jax.tree.leaves(weights))
    return total


def test_default_network_has_the_published_numbers_of_parameters(key):
    params = jax.eval_shape(networks.nasbench201().init, key)
    assert count_weights(params, NAMED["all 3x3"]) == 1_531_546
    assert count_weights(params, NAMED["all 1x1"]) == 241_306
    assert count_weights(params, NAMED["all pool"]) == 73_306
    for arch in np.random.default_rng(1).integers(0, 5, (40, 6)).astype(np.int32):
        assert count_weights(params, arch) == int(spaces.nasbench201().params(arch))


def test_init_draws_every_weight_apart_and_by_its_fan_in(key):
    params = jax.jit(NETWORK.init)(key)
    stem, blocks = params["stem"]["conv"], params["blocks"]
    drawn = [stem, *(b["a"]["conv"] for b in blocks), *(b["b"]["conv"] for b in blocks)]
    drawn += [b["shortcut"]["conv"] for b in blocks] + [
        w["conv"] for w in edge_leaves(params).values()
    ]
    for kernel in drawn:
        bound = np.prod(kernel.shape[-4:-1]) ** -0.5
        assert 0.8 * bound < np.abs(kernel).max() <= bound
    values = np.concatenate([np.ravel(kernel) for kernel in drawn])
    assert len(np.unique(values)) > 0.99 * len(values)  # float32 draws collide now and then
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if path[-1].key == "scale":
            assert np.all(np.asarray(leaf) == 1)
        if path[-1].key == "bias" and path[0].key != "dense":
            assert np.all(np.asarray(leaf) == 0)


def test_init_is_a_function_of_the_key(key):
    init = jax.jit(NETWORK.init)
    first, again, other = init(key), init(key), init(jax.random.key(7))
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(again)))
    assert not np.any(np.asarray(first["stem"]["conv"]) == np.asarray(other["stem"]["conv"]))


@pytest.mark.slow
def test_other_sizes_of_images_and_logits():
    """With three stages, as the benchmark has them."""
    params, apply_other = random_params(OTHER, 3), jax.jit(OTHER.apply)
    for arch in ARCHS[::3]:
        logits = apply_other(params, arch, TINY_IMAGES)
        assert logits.shape == (3, 7)
        np.testing.assert_allclose(logits, reference(params, arch, TINY_IMAGES)[0], atol=2e-4)


def test_jit_changes_nothing():
    params, arch = random_params(TINY, 3), jnp.asarray(NAMED["dead end in node 2"], jnp.int32)
    np.testing.assert_allclose(
        apply_tiny(params, arch, TINY_IMAGES), TINY.apply(params, arch, TINY_IMAGES), atol=1e-5
    )


def test_vmap_over_architectures_is_a_loop():
    params = random_params(TINY, 3)
    together = jax.jit(jax.vmap(TINY.apply, (None, 0, None)))(params, ARCHS, TINY_IMAGES)
    for arch, logits in zip(ARCHS, together, strict=True):
        np.testing.assert_allclose(logits, apply_tiny(params, arch, TINY_IMAGES), atol=1e-4)


def test_one_program_serves_all_architectures():
    traces = []

    @jax.jit
    def counted(params, arch, images):
        traces.append(None)
        return TINY.apply(params, arch, images)

    params = random_params(TINY, 3)
    for arch in ARCHS[:5]:
        counted(params, arch, TINY_IMAGES)
    assert len(traces) == 1


def convolutions_read_the_image(arch):
    """Whether every convolution reads the image, none of them zeros.

    Of zeros the output is the bias, and a norm divides rounding errors by the root of epsilon.
    """
    reached = {0}
    for target in (1, 2, 3):
        edges = [(source, arch[target * (target - 1) // 2 + source]) for source in range(target)]
        if any(operation in (2, 3) and source not in reached for source, operation in edges):
            return False
        if any(operation != 0 and source in reached for source, operation in edges):
            reached.add(target)
    return 3 in reached


@pytest.mark.slow
def test_network_without_affine_norms_has_biases_in_its_cells(key):
    """A norm takes away the mean, and so the bias: logits cannot tell, a hook in its place can."""
    network = networks.nasbench201(
        channels=2, stages=2, cells=1, num_classes=7, in_channels=1, affine=False
    )
    params = random_params(network, 4)
    assert all(leaf["norm"] == {} and "bias" in leaf for leaf in edge_leaves(params).values())
    assert all(
        block[name]["norm"] and "bias" not in block[name]
        for block in params["blocks"]
        for name in "ab"
    )
    assert params["stem"]["norm"]
    assert "bias" not in params["stem"]
    drawn = jax.jit(network.init)(key)["stages"][1]["conv3x3"]
    assert drawn["bias"].shape == (1, 6, 4)
    assert 0.5 * 36**-0.5 < np.abs(drawn["bias"]).max() <= 36**-0.5

    def norm(x, norm, channels):
        return layers.batch_norm(x, norm), jnp.sum(jnp.mean(x, axis=(0, 1, 2)))

    forward = jax.jit(
        lambda params, arch: network.forward(params, arch, TINY_IMAGES, Hooks(norm=norm), ())
    )
    for arch in filter(convolutions_read_the_image, ARCHS[::2]):
        logits = forward(params, arch).logits
        np.testing.assert_allclose(
            logits, reference(params, arch, TINY_IMAGES)[0], atol=5e-4, err_msg=str(arch)
        )
    seen, arch = [], np.array(NAMED["all 3x3"], np.int32)
    for shift in (0.0, 5.0):
        moved = jax.tree.map(np.array, params)
        for weights in edge_leaves(moved).values():
            weights["bias"] += np.float32(shift)
        seen.append(forward(moved, arch).norm_sum)
    # Six edges of both stages' 2 and 4 channels have a mean that is 5 larger.
    np.testing.assert_allclose(seen[1] - seen[0], 5 * 6 * (2 + 4), rtol=1e-4)


def test_present_weights_are_those_of_the_chosen_operations():
    """With the norms of the same layers, the number of parameters."""
    kernels = networks.kernels(params_of_network())
    norms, present = 2 * (4 + (8 + 8) + 8), jax.jit(NETWORK.present)  # stem, block, last
    for arch in ARCHS:
        masks = present(arch)
        for mask, kernel in zip(masks, kernels, strict=True):
            assert set(np.unique(mask)) <= {0, 1}
            assert np.broadcast_shapes(mask.shape, kernel.shape) == kernel.shape
        num = sum(np.broadcast_to(m, k.shape).sum() for m, k in zip(masks, kernels, strict=True))
        num_convs = int(np.sum((arch == 2) | (arch == 3)))
        of_cells = 2 * CELLS * num_convs * CHANNELS
        assert num + of_cells + norms + 10 == count_weights(params_of_network(), arch), arch


def test_weights_do_not_depend_on_the_architecture():
    params = random_params(TINY, 3)
    instance = TINY.instantiate(params, jnp.asarray(ARCHS[0]))
    assert jax.tree.structure(instance) == jax.tree.structure(params)
    assert all(map(np.array_equal, jax.tree.leaves(instance), jax.tree.leaves(params)))


def test_norm_hook_replaces_each_norm_and_its_values_are_summed():
    """Here each counts its channels; those that were not chosen or are off every path do not."""
    dense = params_of_network()["dense"]
    for arch, (seen, _) in zip(ARCHS, looks(), strict=True):
        num_convs = int(np.sum(((arch == 2) | (arch == 3)) & on_a_path(arch)))
        assert float(seen.norm_sum) == 4 + 2 * 8 + 8 + CELLS * num_convs * CHANNELS, arch
        assert seen.features.shape == (6, 4, 4, 8)
        features = np.asarray(seen.features)
        logits = features.mean(axis=(1, 2)) @ dense["kernel"] + dense["bias"][None]
        np.testing.assert_allclose(logits, seen.logits, atol=1e-4)


def test_norms_off_every_path_are_summed_where_a_hook_wants_them():
    def norm(x, norm, channels):
        return layers.batch_norm(x, norm), jnp.ones(())

    params = random_params(TINY, 3)
    for dead_norms in (True, False):
        hooks = Hooks(norm=norm, dead_norms=dead_norms)
        forward = jax.jit(
            lambda arch, hooks=hooks: TINY.forward(params, arch, TINY_IMAGES, hooks, ())
        )
        for arch in ARCHS:
            counts = ((arch == 2) | (arch == 3)) & (on_a_path(arch) | dead_norms)
            assert float(forward(arch).norm_sum) == 2 + counts.sum(), arch


def test_norm_hook_decides_what_comes_out():
    """A network without norms is positively homogeneous up to the classifier."""
    hooks, arch = (
        Hooks(norm=lambda x, norm, channels: (x, jnp.zeros(()))),
        jnp.asarray(NAMED["all 3x3"], jnp.int32),
    )
    params = random_params(TINY, 3)
    forward = jax.jit(lambda images: TINY.forward(params, arch, images, hooks, ()))
    one, two = forward(TINY_IMAGES), forward(2 * TINY_IMAGES)
    np.testing.assert_allclose(two.features, 2 * one.features, rtol=1e-3, atol=1e-4)
    assert np.abs(one.features).max() > 1e-2
    assert float(one.norm_sum) == 0


def test_block_hook_is_called_with_each_block_and_may_change_it():
    """Called with 2 x 2 cells, a block and the classifier; it may replace input and weights."""
    assert all(int(seen.state["blocks"]) == STAGES * CELLS + 1 + 1 for seen, _ in looks())
    arch = np.array(NAMED["chain"], np.int32)
    silent, _ = look(params_of_network(), arch, IMAGES, 0.0)
    assert int(silent.state["blocks"]) == STAGES * CELLS + 1 + 1
    bias = np.asarray(params_of_network()["dense"]["bias"])
    np.testing.assert_allclose(silent.logits, np.broadcast_to(bias, (6, 10)), atol=1e-6)


def test_network_is_made_once_for_each_setting():
    """Equal objects are what lets two estimators share a compiled program."""
    assert networks.nasbench201(channels=4, stages=STAGES, cells=CELLS) is NETWORK
    assert networks.nasbench201() is not NETWORK
    assert NETWORK.space is spaces.nasbench201()


@pytest.mark.parametrize("name", ["channels", "stages", "cells", "num_classes", "in_channels"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; got {value}"):
        networks.nasbench201(**{name: value})


def test_by_name():
    assert networks.by_name("nasbench201") is networks.nasbench201()
    with pytest.raises(ValueError, match=r"'nasbench_201'.*'nasbench201'"):
        networks.by_name("nasbench_201")


@pytest.mark.parametrize("images", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_images_that_do_not_fit(images, key):
    params = jax.eval_shape(networks.nasbench201().init, key)
    arch = jax.ShapeDtypeStruct((6,), jnp.int32)
    with pytest.raises(
        ValueError, match=r"takes images float32 \[N, H, W, 3\] with H and W multiples of 4"
    ):
        jax.eval_shape(networks.nasbench201().apply, params, arch, images)


@pytest.mark.slow
def test_images_of_fewer_stages_are_halved_less_often(key):
    params, arch = jax.eval_shape(NETWORK.init, key), jax.ShapeDtypeStruct((6,), jnp.int32)
    with pytest.raises(ValueError, match="multiples of 2"):
        jax.eval_shape(NETWORK.apply, params, arch, np.zeros((2, 6, 5, 3), np.float32))
