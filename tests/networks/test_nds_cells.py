"""Networks of ENAS, NASNet, AmoebaNet and PNAS against their rules in NumPy, published counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import data, networks, oneshot, spaces, training, zeroshot
from jnas.networks._darts_weights import Edge, edges, halving
from jnas.spaces import nds_cells
from jnas.spaces.darts import OPERATIONS as DARTS
from jnas.types import Hooks
from tests.oracles import darts as oracle
from tests.oracles.cell_networks import Rules, num_params, reference
from tests.oracles.layers import assert_uniform
from tests.oracles.nasbench201 import random_params
from tests.oracles.trainings import stripes_of

SMALL = {"channels": 4, "num_classes": 3, "in_channels": 1}
IMAGES = np.random.default_rng(1).normal(size=(3, 8, 8, 1)).astype(np.float32)
NAMES = oracle.NAMES | {f"conv{k}": f"conv_{k}x{k}" for k in (1, 3)}
NAMES |= {f"max{k}": f"max_pool_{k}x{k}" for k in (5, 7)}
NAMES |= {"none": "none", "dil5": "dil_conv_5x5", "c3x1": "conv_3x1_1x3", "dil3": "dil_conv_3x3"}
CELLS = oracle.CELLS | {
    "DARTS": (
        "sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2",
        "max 0, max 1 | skip 2, max 1 | max 0, skip 2 | skip 2, max 1",
    ),
    "twice": (
        "none 1, sep3 1 | sep5 0, sep5 0 | dil5 3, avg 3 | skip 1, skip 1",
        "skip 0, skip 0 | sep3 2, dil3 2 | none 0, max 0 | sep5 4, sep5 4",
    ),
}
RULES = {
    "enas": Rules(nds_cells.ENAS, 5, True, True),
    "enas_4": Rules(nds_cells.ENAS, 4, True, True),
    "nasnet": Rules(nds_cells.NASNET, 5, True, True),
    "amoebanet": Rules(nds_cells.AMOEBANET, 5, True, True),
    "pnas": Rules(nds_cells.PNAS, 5, True, False),
    "darts_repeats": Rules(DARTS, 4, True, False),
}
# All operations of NASNet, on inputs and on nodes; a node that reads one input twice by one
# operation, by two in either order, and outputs of one to five nodes.
DEEP = "c3x1 0, c7x1 0 | conv1 2, conv3 1 | dil3 2, max5 3 | max7 4, sep7 0 | avg 5, sep3 5"
WIDE = "skip 0, c3x1 1 | conv1 1, conv3 1 | max7 0, max5 1 | sep3 0, sep3 0 | dil3 1, sep7 0"
TWICE = "sep5 1, avg 1 | c7x1 2, c7x1 2 | skip 2, max 2 | c3x1 3, skip 1 | conv3 1, max 0"
ENAS = (
    "sep5 1, sep3 1 | skip 0, avg 2 | sep3 2, sep3 2 | max 0, sep5 3",
    "sep3 0, sep3 0 | skip 1, skip 1 | avg 3, max 0 | sep5 4, skip 2",
)


def pairs_of(cell):
    return [slot for node in oracle.short(cell, NAMES) for slot in node]


def arch_of(cells, space):
    normal, reduce = map(pairs_of, cells)
    return np.asarray(space.from_string(f"Genotype({normal=}, {reduce=})"), np.int32)


def swapped(cells):
    """The same cells with the two slots of each node in the other order."""
    return [" | ".join(",".join(n.split(",")[::-1]) for n in cell.split("|")) for cell in cells]


def check_logits(found, network, cells, num_cells):
    rules = RULES[network.space.name.split("_c")[0]]
    both = [pairs_of(cell) for cell in cells]
    expected = reference(random_params(network, 0), both, IMAGES, num_cells, rules)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_one_program_has_the_logits_of_the_rules_of_a_reduction_cell():
    """Whatever the order of the slots; outputs are of one, four and five nodes."""
    network = networks.nasnet(layers=1, **SMALL)
    apply, params = jax.jit(network.apply), random_params(network, 0)
    for cell in (DEEP, WIDE, TWICE):
        found = apply(params, arch_of((WIDE, cell), network.space), IMAGES)
        check_logits(found, network, (WIDE, cell), 1)
        again = apply(params, arch_of(swapped((WIDE, cell)), network.space), IMAGES)
        np.testing.assert_array_equal(found, again)
    assert apply._cache_size() == 1


@pytest.mark.slow
def test_the_network_of_one_architecture_has_the_logits_of_the_rules():
    """Three cells, of which two reduce."""
    network = networks.enas(nodes=4, layers=3, **SMALL)
    own = network.own(arch_of(ENAS, network.space))
    found = jax.jit(own.apply)(random_params(network, 0), None, IMAGES)
    check_logits(found, network, ENAS, 3)


@pytest.mark.slow
def test_cells_of_darts_that_read_an_input_twice():
    network = networks.darts(repeats=True, layers=3, **SMALL)
    own = network.own(arch_of(CELLS["twice"], network.space))
    found = jax.jit(own.apply)(random_params(network, 0), None, IMAGES)
    check_logits(found, network, CELLS["twice"], 3)


LONG = {
    "enas": [CELLS["aw_nas"]],
    "nasnet": [CELLS["NASNet"], (DEEP, TWICE), (TWICE, WIDE)],
    "amoebanet": [CELLS["AmoebaNet"], CELLS["record"]],
    "pnas": [CELLS["PNASNet"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_logits_of_normal_and_reduction_cells(name):
    """Of five cells: what reads a reduction cell, and the normal cell after that."""
    network = getattr(networks, name)(layers=5, **SMALL)
    apply, params = jax.jit(network.apply), random_params(network, 0)
    for cells in LONG[name]:
        arch = arch_of(cells, network.space)
        found = apply(params, arch, IMAGES)
        check_logits(found, network, cells, 5)
        own = jax.jit(network.own(arch).apply)(params, None, IMAGES)
        np.testing.assert_allclose(own, found, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_cells_in_a_loop_have_the_logits_of_the_rules():
    """Of ten cells the last two are one section, though the nodes that they read differ."""
    network = networks.enas(layers=10, **SMALL)
    cells = CELLS["aw_nas"]
    found = jax.jit(network.apply)(random_params(network, 0), arch_of(cells, network.space), IMAGES)
    check_logits(found, network, cells, 10)


def relabelled(params, family, order):
    """Weights for cells whose node `order[k]` is node `k` now, of the same networks."""
    place = [0, 1, *(number + 2 for number in order)]
    every = edges(family)
    old = [Edge(place[edge.source], place[edge.node], edge.copy) for edge in every]
    # What would go backwards is no edge of the cells.
    moved = [every.index(edge) if edge in every else 0 for edge in old]
    moved_halving = [halving(family).index(moved[number]) for number in halving(family)]

    def rows(layer, name):
        kernel, num = layer[name], family.num_nodes
        if kernel.shape[-2] == 3 * SMALL["channels"]:  # it reads the stem
            return layer
        parts = jnp.split(kernel, num, axis=-2)
        return {**layer, name: jnp.concatenate([parts[k] for k in order], axis=-2)}

    found = []
    for group in params["sections"]:
        group = {**group, "edges": jax.tree.map(lambda x: x[:, np.array(moved)], group["edges"])}
        if "skips" in group:
            group["skips"] = jax.tree.map(lambda x: x[:, np.array(moved_halving)], group["skips"])
        found.append(group | {k: rows(group[k], "conv") for k in ("input0", "input1")})
    return {**params, "sections": found, "dense": rows(params["dense"], "kernel")}


@pytest.mark.slow
def test_nodes_in_another_order_are_the_same_network():
    """With weights that go with them."""
    network = networks.enas(layers=4, **SMALL)
    cells = (
        "sep5 1, sep3 1 | skip 0, avg 1 | sep3 2, sep3 2 | max 0, sep5 3 | sep3 4, skip 2",
        "sep3 0, sep3 0 | skip 1, skip 1 | avg 3, max 0 | sep5 4, skip 2 | sep5 0, sep5 0",
    )
    # Nodes 2 and 3 change places, and so do the last two of the normal cell in effect.
    moved = (
        "skip 0, avg 1 | sep3 1, sep5 1 | sep3 3, sep3 3 | sep5 2, max 0 | sep3 4, skip 3",
        "skip 1, skip 1 | sep3 0, sep3 0 | avg 2, max 0 | sep5 4, skip 3 | sep5 0, sep5 0",
    )
    family, params = nds_cells.enas_family(5, "loose"), random_params(network, 0)
    one, other = (arch_of(both, network.space) for both in (cells, moved))
    np.testing.assert_array_equal(*map(network.space.identity, map(jnp.asarray, (one, other))))
    apply = jax.jit(network.apply)
    found = apply(relabelled(params, family, [1, 0, 2, 3, 4]), other, IMAGES)
    np.testing.assert_allclose(found, apply(params, one, IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "cells", "num"),
    [
        ("enas", {"output": "all"}, "aw_nas", 4_207_654),
        ("nasnet", {"channels": 36, "layers": 20}, "NASNet", 3_830_950),
        ("amoebanet", {"channels": 36, "layers": 20}, "AmoebaNet", 3_145_078),
        ("amoebanet", {"channels": 32, "layers": 12}, "record", 4_190_314),
        ("darts", {"repeats": True}, "DARTS", 3_349_342),
        ("pnas", {"channels": 36, "layers": 20}, "PNASNet", None),
    ],
)
def test_numbers_of_parameters_are_the_published_ones(name, settings, cells, num):
    network = getattr(networks, name)(**settings)
    arch = arch_of(CELLS[cells], network.space)
    expected = int(network.space.params(arch))
    assert num_params(network, arch) == expected
    assert num in (None, expected)


@pytest.mark.parametrize("name", ["NASNet", "AmoebaNet"])
def test_parameters_of_the_auxiliary_head_are_the_published_ones(name):
    """It reads three nodes of the last reduction cell."""
    network = getattr(networks, name.lower())(channels=36, layers=20, auxiliary=True)
    arch = arch_of(CELLS[name], network.space)
    assert num_params(network, arch) == int(network.space.params(arch)) + 457_994


@pytest.mark.slow
def test_the_auxiliary_head_reads_the_nodes_that_are_in_the_output():
    """Logits of both heads, alone and instantiated."""
    network = networks.enas(nodes=4, layers=2, auxiliary=True, **SMALL)
    arch, images = arch_of(ENAS, network.space), np.resize(IMAGES, (2, 32, 32, 1))
    params = network.instantiate(random_params(network, 0), arch)
    assert [bool(row.any()) for row in params["auxiliary"]["first"]["conv"][0, 0, ::16]] == [
        node in RULES["enas_4"].outputs(pairs_of(ENAS[1])) for node in range(2, 6)
    ]

    def both(network, arch):
        seen = network.forward(params, arch, images, Hooks(), ())
        return seen.logits, seen.auxiliary

    general, own = (jax.jit(lambda a, n=n: both(n, a))(arch) for n in (network, network.own(arch)))
    for one, other in zip(general, own, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_weights_of_one_architecture_are_as_many_and_drawn_at_its_width():
    network = networks.nasnet(channels=4, layers=3)
    arch = arch_of((TWICE, DEEP), network.space)
    draw = jax.jit(lambda key, arch: network.instantiate(network.init(key), arch))
    params = jax.tree.map(np.asarray, draw(jax.random.key(0), arch))
    # Those that are not there are 0; the others are all parameters but those of norms.
    kernels, num = networks.kernels(params), num_params(network, arch)
    assert num == int(network.space.params(arch))
    # Two a channel in norms: of the stem, of two inputs a cell, of operations.
    norms = 2 * (12 + 2 * (4 + 8 + 16) + 4 * 6 + (8 + 16) * 9)
    assert sum(np.count_nonzero(kernel) for kernel in kernels) + 10 == num - norms
    # One node of the last cell is read, of 16 channels then.
    rows = params["dense"]["kernel"]
    assert not rows[:-16].any()
    assert_uniform(rows[-16:], 0.25)
    # And three of the first, of 4 channels, by the second.
    rows = params["sections"][1]["input1"]["conv"][0, 0, 0]
    assert rows.any(1).tolist() == [False] * 8 + [True] * 12
    assert 0.9 < np.abs(rows).max() * 12**0.5 <= 1


def seen_by(network, arch):
    """ReLU modules, live ones, channels that they read, and the largest absent value."""

    def on_relu(state, relu):
        read = jnp.sum(relu.channels) * relu.num_modules
        absent = jnp.max(jnp.where(relu.channels, 0, jnp.abs(relu.inputs)))
        counts = jnp.stack([relu.num_modules, relu.num_live, read])
        return state[0] + counts, jnp.maximum(state[1], absent)

    start = jnp.zeros(3, jnp.int32), jnp.zeros(())
    params, hooks = random_params(network, 0), Hooks(on_relu=on_relu)
    counts, absent = jax.jit(
        lambda arch: network.forward(params, arch, IMAGES, hooks, start).state
    )(arch)
    return counts.tolist(), float(absent)


@pytest.mark.slow
def test_channels_of_relus_are_those_that_exist():
    network = networks.enas(nodes=4, layers=3, **SMALL)
    arch = arch_of(ENAS, network.space)
    counts, absent = seen_by(network, arch)
    assert absent == 0
    assert counts[0] == counts[1]
    assert seen_by(network.own(arch), arch) == (counts, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cells", "num"), [("nasnet", "NASNet", 240), ("amoebanet", "AmoebaNet", 202)]
)
def test_numbers_of_relus_are_those_of_published_cells(name, cells, num):
    network = getattr(networks, name)(layers=20, **SMALL)
    arch = arch_of(CELLS[cells], network.space)
    assert seen_by(network, arch)[0][:2] == [num, num]


@pytest.mark.slow
def test_what_takes_networks_takes_these():
    """Gradients, a score without training, a training and a supernet."""
    network = networks.amoebanet(channels=2, layers=2, num_classes=2, in_channels=1)
    archs = np.stack([arch_of(CELLS[name], network.space) for name in ("AmoebaNet", "record")])
    stripes = stripes_of(48, validation=16, test=16)
    key, images = jax.random.key(0), jnp.asarray(IMAGES)
    scores = zeroshot.naswot(network, images)(key, jnp.asarray(archs))
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    recipe = training.recipe("quick", epochs=1, batch_size=16)
    trained = training.train(network, archs, stripes, recipe, 0)
    assert np.isfinite(trained.curves["train_loss"]).all()
    recipe = oneshot.recipe(
        "quick", sampler="uniform", epochs=1, batch_size=16, augmentation=data.Augmentation()
    )
    supernet = oneshot.train(network, stripes, recipe, key)
    assert np.isfinite(supernet.curves["loss"]).all()
    assert np.isfinite(oneshot.estimator(supernet, stripes)(key, jnp.asarray(archs))).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nodes": 6}, "nodes must be 4 or 5; got 6"),
        ({"output": "lose"}, "unknown output 'lose'. Did you mean 'loose'"),
        ({"channels": 5}, "channels must be even; got 5"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        networks.enas(**settings)


@pytest.mark.slow
def test_networks_are_found_by_name():
    assert networks.by_name("pnas") is networks.pnas()
    made = networks.enas(nodes=4, output="all", channels=8)
    name, settings = networks.settings(made)
    assert networks.by_name(name, **settings) is made
    assert made.space is spaces.enas(nodes=4, output="all")
