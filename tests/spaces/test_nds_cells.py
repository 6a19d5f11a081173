"""ENAS, NASNet, AmoebaNet and PNAS against published networks and counts, and relabelled cells."""

import functools
import itertools
import json
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import search, spaces
from jnas.spaces import _darts_codes, _darts_moves, nds_cells
from jnas.spaces._darts_cells import Family
from tests.oracles import darts as oracle

FACTORIES = {name: getattr(spaces, name) for name in ("enas", "nasnet", "amoebanet", "pnas")}
NAMES, CELLS = oracle.NAMES, oracle.CELLS
ALL = spaces.enas(output="all")


def text(name: str, loose: bool, more: str = "") -> str:
    cells = (oracle.short(cell, NAMES) for cell in CELLS[name])
    return oracle.text_of(*cells, loose=loose, more=more)


# --------------------------------------------------------------------------------------------------
# Costs


@pytest.mark.parametrize(
    ("space", "name", "more", "params", "macs"),
    [
        (spaces.nasnet(channels=36, layers=20), "NASNet", "", 3_830_950, 603_452_448),
        (spaces.amoebanet(channels=36, layers=20), "AmoebaNet", "", 3_145_078, 488_931_552),
        (spaces.amoebanet(), "record", ", width=32, depth=12", 4_190_314, 654_774_016),
    ],
)
def test_costs_of_published_networks(space, name, more, params, macs) -> None:
    """The number of nodes in the output of each cell follows from what its nodes read."""
    arch = space.from_string(text(name, True, more))
    found = jax.jit(lambda arch: (space.params(arch), space.flops(arch)))(arch)
    assert (int(found[0]), float(found[1])) == (params, np.float32(macs))


def test_parameters_of_published_cells_of_enas() -> None:
    rows = [("aw_nas", 4_207_654), ("all sep3", 5_871_718), ("all skip", 1_970_758)]
    rows += [("all max", 1_707_238)]
    archs = np.array([ALL.from_string(text(name, False)) for name, _ in rows])
    found = jax.jit(jax.vmap(ALL.params))(archs)
    assert found.tolist() == [params for _, params in rows]


def layers_by_hand(cells, width: int, depth: int) -> tuple[int, int]:
    """Parameters and multiply-accumulates, layer by layer, as the code of the study builds them."""
    joined = [len(oracle.outputs(cell, True)) for cell in cells]
    params, macs, side = 29 * 3 * width, 81 * width * 32**2, 32
    before = [3 * width, 3 * width]
    for layer in range(depth):
        kind = int(layer in (depth // 3, 2 * depth // 3))
        width *= 1 + kind
        for c_in in before:
            params += c_in * width + 2 * width
            macs += c_in * width * side**2
        old, side = side, side // (1 + kind)
        for node in cells[kind]:
            for op, source in node:
                stride = 2 if kind and source < 2 else 1
                for area, outputs, norm in convolutions(op, width, stride, old, side):
                    params += area * width + norm * 2 * width
                    macs += area * width * outputs
        before = [before[1], joined[kind] * width]
    return params + 10 * before[1] + 10, macs + 10 * before[1]


def convolutions(op: str, c: int, stride: int, old: int, side: int):
    """(weights of an output channel, pixels, batch norms) of the convolutions of an operation."""
    old = old if stride == 2 else side
    size = int(re.findall(r"\d", op)[0]) if re.search(r"\d", op) else 0
    if op == "skip_connect":
        return [(c, side**2, 1)] if stride == 2 else []
    if "pool" in op:
        return []
    if op in ("conv_3x1_1x3", "conv_7x1_1x7"):
        return [(size * c, old * side, 0), (size * c, side**2, 1)]
    if op.startswith("conv"):
        return [(size**2 * c, side**2, 1)]
    once = [(size**2, side**2, 0), (c, side**2, 1)]
    return once if op.startswith("dil_conv") else 2 * once


@pytest.mark.parametrize("name", ["nasnet", pytest.param("amoebanet", marks=pytest.mark.slow)])
def test_costs_are_those_of_layers_one_by_one(name) -> None:
    space = FACTORIES[name]()
    archs = jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(3), 40))
    found = jax.jit(jax.vmap(lambda arch: (space.params(arch), space.flops(arch))))(archs)
    for arch, params, flops in zip(archs, *map(np.asarray, found), strict=True):
        written = space.to_string(arch)
        width, depth = (int(n) for n in re.findall(r"(?:width|depth)=(\d+)", written))
        expected = layers_by_hand(oracle.cells_of(written), width, depth)
        assert (params, flops) == (expected[0], np.float32(expected[1]))


@pytest.mark.parametrize(
    "sizes", [[(16, 4), (32, 20)], pytest.param(None, marks=pytest.mark.slow)], ids=["two", "all"]
)
@pytest.mark.parametrize("name", ["nasnet", "enas"])
def test_costs_of_each_size_are_those_of_its_space(name, sizes) -> None:
    make, chosen = FACTORIES[name], (nds_cells.WIDTHS, nds_cells.DEPTHS)
    whole, every = make(channels=chosen[0], layers=chosen[1]), [*itertools.product(*chosen)]
    rows = np.random.default_rng(0).integers(0, whole.cardinalities, (15, 42))
    rows[:, 40:] = [*np.ndindex(3, 5)]

    def costs(space, archs):
        return jax.jit(jax.vmap(lambda arch: (space.params(arch), space.flops(arch))))(archs)

    found = costs(whole, rows)
    for size in sizes or every:
        row = every.index(size)
        expected = costs(make(channels=size[0], layers=size[1]), rows[row : row + 1, :40])
        assert [int(part[row]) for part in found] == [int(part[0]) for part in expected], size


# --------------------------------------------------------------------------------------------------
# Codes, identity and moves


def test_published_counts() -> None:
    """Ordered cells of each family, and up to the order of slots those of ENAS."""
    counts = {"enas": 5.0625e12, "nasnet": 7.1466e16, "amoebanet": 5.5663e14, "pnas": 5.5663e14}
    for name, count in counts.items():
        one = math.prod(FACTORIES[name]().cardinalities[:20])
        assert one == pytest.approx(count, rel=1e-4)
    assert math.prod(spaces.enas(nodes=4).cardinalities[:16]) == 5.625e9
    family = Family("enas", nds_cells.ENAS, 4, True, False, (36,), (20,))
    assert math.prod(_darts_codes._radices(family)) == 450_450_000
    assert math.prod(_darts_codes._radices(family._replace(num_nodes=5))) == 209_459_250_000


@functools.cache
def facts(name: str) -> tuple[np.ndarray, ...]:
    """Architectures, codes and identities."""
    space = FACTORIES[name]()
    archs = jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(5), 50))
    both = jax.jit(jax.vmap(lambda arch: (space.code(arch), space.identity(arch))))(archs)
    return tuple(np.asarray(part) for part in (archs, *both))


def number(cell, operations: tuple[str, ...]) -> int:
    """A cell as one number, from the highest node to the lowest."""
    radices = [math.comb(num * len(operations) + 1, 2) for num in range(2, 7)]
    total = 0
    for digit, radix in zip(oracle.number(cell, operations, repeats=True), radices, strict=True):
        assert digit < radix
        total = total * radix + digit
    return total


LOW = {"enas": 120 * 210 * 325 * 465, "nasnet": 2_145 * 3_081}  # what a low word counts to


@pytest.mark.parametrize("name", ["nasnet", pytest.param("enas", marks=pytest.mark.slow)])
def test_codes_and_identities_by_hand(name) -> None:
    """The identity is the smallest code of all orders of nodes, exactly."""
    space, operations = FACTORIES[name](), getattr(nds_cells, name.upper())
    for arch, code, identity in zip(*facts(name), strict=True):
        cells = oracle.cells_of(space.to_string(arch))
        read = [int(high) * LOW[name] + int(low) for high, low in code[:4].reshape(2, 2)]
        assert read == [number(cell, operations) for cell in cells]
        read = [int(high) * LOW[name] + int(low) for high, low in identity[:4].reshape(2, 2)]
        numbers = [[number(rows, operations) for rows in oracle.relabellings(c)] for c in cells]
        assert read == [min(each) for each in numbers]
        if name == "nasnet":
            assert code[4] == identity[4] == arch[40] * 5 + arch[41]


@pytest.mark.slow
def test_relabelled_cells_are_the_same() -> None:
    """In identity, costs and graph: the same edges between other nodes."""
    space, rng, rows = FACTORIES["amoebanet"](), np.random.default_rng(0), []
    archs = facts("amoebanet")[0]
    for arch in archs:
        written, cells = space.to_string(arch), []
        for cell in oracle.cells_of(written):
            others = oracle.relabellings(cell)
            nodes = others[rng.integers(len(others))]
            cells.append([node[:: rng.choice([1, -1])] for node in nodes])
        more = re.findall(r", width=.*(?=\))", written)[0]
        rows.append(np.asarray(space.from_string(oracle.text_of(*cells, loose=True, more=more))))
    assert (np.array(rows) != archs).any(1).all()
    seen = jax.jit(jax.vmap(lambda a: (space.identity(a), space.params(a), space.flops(a))))
    jax.tree.map(np.testing.assert_array_equal, seen(archs), seen(np.array(rows)))
    ops = [np.asarray(jax.jit(jax.vmap(space.graph))(a).edge_ops) for a in (archs, np.array(rows))]
    np.testing.assert_array_equal(*(np.sort(op.reshape(len(op), 2, -1)) for op in ops))


def test_mutants_differ_in_one_choice() -> None:
    """Of a cell as often as in width or in depth; inputs as often as operations."""
    space = FACTORIES["nasnet"]()
    parent = facts("nasnet")[0][0]
    keys = jax.random.split(jax.random.key(0), 8_000)
    children = np.asarray(jax.jit(jax.vmap(space.mutate, (0, None)))(keys, parent))
    changed = children != parent
    assert (changed.sum(1) == 1).all()
    shares = changed.mean(0)
    parts = shares[:20].sum(), shares[20:40].sum(), shares[40], shares[41]
    np.testing.assert_allclose(parts, [1 / 4] * 4, atol=0.025)
    # Ten slots of a cell, each with an input and an operation.
    np.testing.assert_allclose(shares[:40], 1 / 80, atol=0.006)
    for place, size in enumerate(space.cardinalities):
        others = set(range(size)) - {int(parent[place])}
        assert set(children[changed[:, place], place]) == others, place
    family = Family("n", nds_cells.NASNET, 5, True, True, (16, 24, 32), (4, 8, 12, 16, 20))
    changes = _darts_moves.neighbours(family).changes
    assert len(changes) == 2 * (10 * 12 + 2 * (1 + 2 + 3 + 4 + 5)) + 2 + 4


# --------------------------------------------------------------------------------------------------
# Texts and graphs


def test_published_genotypes_are_read() -> None:
    pnas = spaces.pnas(channels=36, layers=20)
    for space, name, loose in (
        (pnas, "PNASNet", False),
        (ALL, "aw_nas", False),
        (spaces.nasnet(channels=36, layers=20), "NASNet", True),
    ):
        arch = np.asarray(space.from_string(text(name, loose)))
        assert len(arch) == 40
        assert space.to_string(arch) == text(name, loose)
    assert pnas.name == "pnas_c36_l20"
    assert "reduce_concat=[4, 5, 6]" in text("NASNet", True)


def test_four_nodes_of_gates() -> None:
    space = spaces.enas(nodes=4, output="all", layers=8)
    assert (len(space.cardinalities), space.name) == (32, "enas_4_all")
    arch = jax.jit(space.sample)(jax.random.key(0))
    assert "normal_concat=[2, 3, 4, 5], reduce=" in space.to_string(arch)
    words = jax.eval_shape(space.identity, arch).shape
    assert words == jax.eval_shape(space.code, arch).shape == (2,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width=32", "width=20", "unknown width 20: this space has 16, 24, 32"),
        (", depth=12", "", "lacks depth=, one of 4, 8, 12, 16, 20"),
        ("depth", "length", "unknown field 'length' "),
        ("[3, 5, 6]", "[2, 3, 4, 5, 6]", "those that no other node reads, .3, 5, 6."),
        ("'sep_conv_7x7'", "'sep_conv_9x9'", "'sep_conv_9x9' of node 4 of reduce. Did you mean"),
        ("('avg_pool_3x3', 0)", "('avg_pool_3x3', 2)", "node 2 of normal does, which reads 0 to 1"),
    ],
)
def test_wrong_texts_are_told(old, new, message) -> None:
    good = text("record", True, ", width=32, depth=12")
    assert old in good
    with pytest.raises(ValueError, match=message):
        spaces.amoebanet().from_string(good.replace(old, new, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"nodes": 3}, "nodes must be 4 or 5; got 3"), ({"output": "al"}, "Did you mean 'all'")],
)
def test_other_cells_of_enas_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.enas(**options)


def short_record(**changes: Any) -> dict[str, Any]:
    """The published record of AmoebaNet: operations and inputs, in lists as JSON has them."""
    normal, reduce = (
        [[op, source] for node in oracle.short(cell, NAMES) for op, source in node]
        for cell in CELLS["record"]
    )
    lists = {"normal": normal, "normal_concat": [3, 5, 6]}
    lists |= {"reduce": reduce, "reduce_concat": [3, 6]}
    sizes = {"width": 32, "depth": 12, "aux": False, "drop_prob": 0.0}
    return {"genotype": lists, **sizes, **changes}


def test_published_records_are_read() -> None:
    space = spaces.amoebanet()
    arch = spaces.nds_from_record(short_record(), space)
    assert (arch.dtype, int(space.params(arch))) == (np.int32, 4_190_314)
    assert spaces.nds_to_record(arch, space) == short_record()
    text_of = space.from_string(json.dumps(short_record()))
    np.testing.assert_array_equal(text_of, arch)
    assert space.to_string(arch) == text("record", True, ", width=32, depth=12")
    # Of one size there are no positions for it, and others are told.
    alone = spaces.amoebanet(channels=32, layers=12)
    np.testing.assert_array_equal(spaces.nds_from_record(short_record(), alone), arch[:40])
    assert spaces.nds_to_record(arch[:40], alone) == short_record()


@pytest.mark.parametrize(
    ("space", "record", "message"),
    [
        (spaces.amoebanet(), short_record(width=20), "unknown width 20: this space has 16, 24, 32"),
        (spaces.amoebanet(layers=8), short_record(), "unknown depth 12: this space has 8"),
        (spaces.amoebanet(), {"genotype": {}}, "it needs genotype, width and depth"),
        (spaces.amoebanet(), {"block_type": "x"}, "not a record of cells of NDS"),
        (spaces.nasnet(), short_record(), "unknown operation 'dil_sep_conv_3x3'"),
        (spaces.nds_resnet(), short_record(), "it needs block_type"),
        (spaces.nasbench201(), short_record(), "no family of NDS: 'nasbench201'"),
    ],
)
def test_wrong_records_are_told(space, record, message) -> None:
    with pytest.raises(ValueError, match=message):
        spaces.nds_from_record(record, space)


@pytest.mark.parametrize("name", FACTORIES)
def test_texts_tell_their_space(name) -> None:
    """Of all spaces whose forms match, the last one in the list of names counts."""
    space = FACTORIES[name]()
    written = space.to_string(np.random.default_rng(0).integers(0, space.cardinalities))
    every = [spaces.by_name(other) for other in spaces.NAMES]
    found = [one.name for one in every if one.text_form and re.fullmatch(one.text_form, written)]
    assert found[-1] == name
    assert not {"nasbench301", "darts"} & set(found)


def test_loose_ends_of_the_graph() -> None:
    space = spaces.amoebanet()
    arch = space.from_string(text("record", True, ", width=16, depth=4"))
    graph = jax.tree.map(np.asarray, jax.jit(space.graph)(arch))
    assert graph.edge_ops.shape == (2, 2, 8, 8)
    last = len(space.edge_operations) - 1
    joined = [np.flatnonzero(graph.edge_ops[cell, 0, :, 7] == last).tolist() for cell in (0, 1)]
    assert joined == [[3, 5, 6], [3, 6]]
    # Of the normal cell, node 4 reads node 2 twice, by the same operation.
    names = np.array(space.edge_operations)[graph.edge_ops[0, :, 2, 4]]
    assert names.tolist() == ["dil_sep_conv_3x3"] * 2


# --------------------------------------------------------------------------------------------------
# Searches, whose memory has as many words as an identity


@pytest.mark.slow
def test_searches_know_architectures_again(key) -> None:
    space = spaces.nasnet()
    judge = search.objective(
        jax.tree_util.Partial(lambda key, archs: -jax.vmap(space.params)(archs).astype(float))
    )
    searcher = search.random_search(space, batch_size=4, with_replacement=False, capacity=20)
    evolution = search.regularized_evolution(space, population_size=4, sample_size=2)
    for each in (searcher, evolution):

        @jax.jit
        def run(key, each=each):
            found = search.run(each, judge, key, num_evaluations=20, identity=space.identity)
            return found, search.num_distinct(found, space.identity)

        history, num = run(key)
        assert int(num) == int(history.num_evaluations) == 20
    # The same cell in the other order of slots is one architecture.
    first = history.archs[0]
    swapped = first.reshape(1, 42)[:, :40].reshape(2, 5, 2, 2)[:, :, ::-1].ravel()
    again = history._replace(archs=history.archs.at[1].set(jnp.concatenate([swapped, first[40:]])))
    assert int(jax.jit(lambda h: search.num_distinct(h, space.identity))(again)) == 19
