"""Families of NDS against layers counted one by one, published records and measured networks."""

import functools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import spaces
from jnas.spaces import nds
from jnas.types import Space
from tests.oracles.graphs import simple

NAMES = tuple(nds.FAMILIES)
NUM = 5_000  # one batch size, that of the files, so that costs of a family are compiled once

RESNET = {
    "block_type": "res_basic_block",
    "ds": [1, 12, 12, 12],
    "ws": [16, 24, 24, 40],
    "ss": [1, 1, 2, 2],
    "bot_muls": [],
    "num_gs": [],
}
RESNEXT = {
    "block_type": "res_bottleneck_block",
    "ds": [1, 16, 1, 4],
    "ws": [16, 64, 128, 16],
    "ss": [1, 1, 2, 2],
    "bot_muls": [0.0, 0.25, 0.25, 0.25],
    "num_gs": [1, 2, 1, 2],
}
VANILLA = {**RESNET, "block_type": "double_plain_block", "ws": [16, 24, 32, 40]}


# --------------------------------------------------------------------------------------------------
# Costs


def layers(block: str, sizes: dict[str, list[float]]) -> Iterator[tuple[int, int, int, int, int]]:
    """Convolutions, each with a norm: kernel size, channels in and out, groups, pixels a side."""
    yield 3, 3, 16, 1, 32
    c_in, side = 16, 32
    for stage, (depth, width) in enumerate(zip(sizes["ds"], sizes["ws"], strict=True)):
        for number in range(int(depth)):
            stride = 2 if stage and not number else 1
            before, side = side, side // stride
            if block == "res_bottleneck_block":
                inner = int(width * sizes["bot_muls"][stage])
                yield 1, c_in, inner, 1, before
                yield 3, inner, inner, int(sizes["num_gs"][stage]), side
                yield 1, inner, int(width), 1, side
            else:
                yield 3, c_in, int(width), 1, side
                yield 3, int(width), int(width), 1, side
            if block != "double_plain_block" and (stride > 1 or c_in != width):
                yield 1, c_in, int(width), 1, side
            c_in = int(width)


def counted(block: str, sizes: dict[str, list[float]]) -> tuple[int, int, int]:
    """Parameters, multiply-accumulates and published operations, in Python integers."""
    convolutions = [*layers(block, sizes)]
    weights = [k * k * c_in // groups * c_out for k, c_in, c_out, groups, _ in convolutions]
    pixels = [side * side for *_, side in convolutions]
    norms = [c_out for _, _, c_out, _, _ in convolutions]
    last = int(sizes["ws"][-1])
    macs = sum(w * p for w, p in zip(weights, pixels, strict=True)) + 10 * last
    normalised = sum(c * p for c, p in zip(norms, pixels, strict=True))
    return sum(weights) + 2 * sum(norms) + 10 * last + 10, macs, macs + 10 + 5 * normalised


def sizes_of(name: str, arch: np.ndarray) -> dict[str, list[float]]:
    choices = nds.FAMILIES[name].choices
    rows = arch.reshape(3, -1).T
    return {
        key: [values[at] for at in row] for (key, values), row in zip(choices, rows, strict=True)
    }


@functools.cache
def program(name: str):
    space = spaces.by_name(name)
    return jax.jit(jax.vmap(lambda arch: (space.params(arch), space.flops(arch))))


def costs(name: str, archs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact parameters and multiply-accumulates of at most `NUM` networks."""
    padded = np.resize(archs, (NUM, archs.shape[1])).astype(np.int32)
    with jax.enable_x64(True):
        params, flops = program(name)(padded)
    assert (params.dtype, flops.dtype) == (np.int32, np.float64)
    return np.asarray(params)[: len(archs)], np.asarray(flops)[: len(archs)]


@pytest.mark.parametrize(
    ("block", "depths", "widths", "params", "operations"),
    [
        ("res_basic_block", [9, 9, 9], [16, 32, 64], 855_770, 125_747_850 - 10),
        ("double_plain_block", [9, 9, 9], [16, 32, 64], 853_018, 125_485_706 - 10),
        ("res_basic_block", [1, 1, 1], [16, 16, 16], 15_226, None),
        ("res_basic_block", [24, 24, 24], [256, 256, 256], 84_595_162, None),
    ],
)
def test_the_count_by_layers_gives_published_networks(block, depths, widths, params, operations):
    """Also of depths that are no choice; the last two are sums by hand."""
    found, macs, _ = counted(block, {"ds": depths, "ws": widths})
    assert found == params
    assert operations in (None, macs)


@pytest.mark.parametrize(
    ("name", "record", "params", "macs", "operations"),
    [
        ("nds_resnet", RESNET, 594_138, 180_277_648, 184_519_578),
        ("nds_resnext_a", RESNEXT, 83_002, 61_044_896, 69_890_986),
        ("nds_vanilla", VANILLA, 689_770, 204_042_640, 208_363_930),
    ],
)
def test_published_records(name, record, params, macs, operations):
    space = spaces.by_name(name)
    arch = np.asarray(space.from_string(json.dumps(record)))
    assert [int(x[0]) for x in costs(name, arch[None])] == [params, macs]
    assert counted(record["block_type"], sizes_of(name, arch)) == (params, macs, operations)


@pytest.mark.parametrize("name", NAMES)
def test_costs_are_those_counted_by_layers(name):
    rng, sizes = np.random.default_rng(0), np.array(spaces.by_name(name).cardinalities)
    archs = np.concatenate([rng.integers(0, sizes, (200, len(sizes))), [0 * sizes, sizes - 1]])
    params, flops = costs(name, archs)
    block = nds.FAMILIES[name].block
    expected = [counted(block, sizes_of(name, arch))[:2] for arch in archs]
    np.testing.assert_array_equal(params, [one for one, _ in expected])
    np.testing.assert_array_equal(flops, [one for _, one in expected])


def test_flops_are_rounded_once():
    """Of the family with most, up to 2e11, to the nearest of 24 bits."""
    space = spaces.nds_resnext_b()
    rng, sizes = np.random.default_rng(1), np.array(space.cardinalities)
    archs = np.concatenate([rng.integers(0, sizes, (NUM - 1, len(sizes))), [sizes - 1]])
    exact = costs("nds_resnext_b", archs)[1]
    assert exact.max() > 1e11
    narrow = jax.jit(jax.vmap(space.flops))(archs.astype(np.int32))
    np.testing.assert_array_equal(narrow, exact.astype(np.float32))


def stored(file: Path, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Arrays of a file, and its networks `[5000, D]`."""
    arrays = dict(np.load(file))
    columns = {"ds": "depths", "ws": "widths", "bot_muls": "bottleneck_ratio", "num_gs": "groups"}
    choices = nds.FAMILIES[name].choices
    chosen = [np.searchsorted(values, arrays[columns[key]]) for key, values in choices]
    return arrays, np.stack(chosen, axis=2).reshape(NUM, -1)


@pytest.mark.parametrize(
    ("name", "file"), [("nds_resnet", "nds_resnet.npz"), ("nds_resnext_a", "nds_resnexta.npz")]
)
def test_costs_of_all_networks_that_were_trained(name, file, data_folder):
    if not (data_folder / file).is_file():
        pytest.skip(f"no {file}")
    arrays, archs = stored(data_folder / file, name)
    params, flops = costs(name, archs)
    np.testing.assert_array_equal(params, arrays["params"])
    # Of published operations, those of norms and of the bias are no multiply-accumulates.
    block = nds.FAMILIES[name].block
    sizes = (sizes_of(name, arch) for arch in archs)
    normalised = [
        sum(c_out * side * side for _, _, c_out, _, side in layers(block, one)) for one in sizes
    ]
    np.testing.assert_array_equal(flops + 10 + 5 * np.array(normalised), arrays["flops"])


# --------------------------------------------------------------------------------------------------
# Vectors, texts and records


@pytest.mark.parametrize(
    ("name", "num"),
    [
        ("nds_resnet", 1_259_712),
        ("nds_resnext_a", 11_390_625),
        ("nds_resnext_b", 52_734_375),
        ("nds_vanilla", 1_259_712),
    ],
)
def test_numbers_of_networks(name, num):
    assert math.prod(spaces.by_name(name).cardinalities) == num


def test_a_list_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match=r"5.27e\+07 architectures are too many to list"):
        spaces.nds_resnext_b().enumerate()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "nds_resnext_b")) for name in NAMES],
)
def test_moves_stay_in_the_family(name):
    space = spaces.by_name(name)

    @jax.jit
    @jax.vmap
    def walk(key):
        first, second = space.sample(key), space.sample(jax.random.fold_in(key, 1))
        child = space.mutate(key, space.crossover(key, first, second))
        return child, space.is_valid(child)

    archs, valid = walk(jax.random.split(jax.random.key(0), 500))
    assert valid.all()
    assert [len(set(column)) for column in np.asarray(archs).T.tolist()] == [*space.cardinalities]


@pytest.mark.parametrize(
    ("name", "text", "record"),
    [
        ("nds_resnet", "ds=12:12:12,ws=24:24:40", RESNET),
        ("nds_vanilla", "ds=12:12:12,ws=24:32:40", VANILLA),
        (
            "nds_resnext_a",
            "ds=16:1:4,ws=64:128:16,bot_muls=0.25:0.25:0.25,num_gs=2:1:2",
            RESNEXT,
        ),
    ],
)
def test_texts_and_records(name, text, record):
    space = spaces.by_name(name)
    arch = np.asarray(space.from_string(text))
    assert space.to_string(arch) == text
    assert sizes_of(name, arch) == {key: record[key][1:] for key, _ in nds.FAMILIES[name].choices}
    assert spaces.nds_to_record(arch, space) == record
    for same in (",".join(reversed(text.split(","))), json.dumps(record)):
        np.testing.assert_array_equal(space.from_string(same), arch)
    np.testing.assert_array_equal(spaces.nds_from_record(record, space), arch)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ds=1:1:1", r"not a network of NDS: 'ds=1:1:1' lacks ws"),
        ("ds=1:1:1,ds=1:1:1", "has 'ds' twice"),
        ("ds=1:1,ws=16:16:16", "ds needs 3 numbers, got '1:1'"),
        ("ds=1:1:x,ws=16:16:16", "ds needs 3 numbers, got '1:1:x'"),
        ("ds=1:5:1,ws=16:16:16", r"unknown depth 5 of stage 2 \(ds\); valid: 1, 2, 3, 4, 6, 8,"),
        ("ds=1:1:1,ws=16:16:nan", "unknown width nan of stage 3"),
        ("dss=1:1:1,ws=16:16:16", r"unknown part 'dss=1:1:1'.*Did you mean 'ds'\?"),
        ("{", r"not a record of NDS: '\{' \(Expecting property name"),
        ('{"a":' * 100_000, "not a record of NDS"),
        ("{}", "not a record of NDS: '{}'; it needs block_type, ds, ws and ss"),
    ],
)
def test_bad_texts_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        spaces.nds_resnet().from_string(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ds": [4, 16, 1, 4]}, r"index 0 is the stem, ss 1, ds 1, ws 16, .*; got ss 1, ds 4,"),
        ({"ws": [12, 64, 128, 16]}, "index 0 is the stem"),
        ({"ss": [2, 1, 2, 2]}, "index 0 is the stem"),
        ({"bot_muls": [0.25] * 4}, "index 0 is the stem"),
        ({"num_gs": [2, 2, 1, 2]}, "index 0 is the stem"),
        ({"ss": [1, 2, 2, 2]}, r"strides ss must be \[1, 1, 2, 2\]; got \[1, 2, 2, 2\]"),
        ({"ds": [16, 1, 4]}, "ds needs 4 numbers, of the stem and 3 stages; got .16, 1, 4."),
        ({"num_gs": []}, "num_gs needs 4 numbers"),
        ({"ds": [1, True, 1, 4]}, "ds needs 4 numbers"),
        ({"ws": [16, 10**400, 64, 16]}, "ws needs 4 numbers"),
        ({"ws": None}, "ws needs 4 numbers"),
        (
            {"num_gs": [1, 3, 1, 2]},
            r"groups of stage 1: 3 do not divide the 16 channels .*width 64 x ratio 0.25",
        ),
        ({"num_gs": [1, 0, 1, 2]}, "groups of stage 1: 0 do not divide"),
        ({"num_gs": [1, 8, 1, 2]}, r"unknown groups 8 of stage 1 \(num_gs\); valid: 1, 2, 4"),
        ({"block_type": "res_basic_block"}, "its blocks are 'res_basic_block', not 'res_bott"),
    ],
)
def test_bad_records_say_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        spaces.nds_from_record({**RESNEXT, **change}, spaces.nds_resnext_a())


def test_other_spaces_have_no_records():
    with pytest.raises(ValueError, match=r"no family of NDS: 'nats_size'.*nds_vanilla"):
        spaces.nds_from_record(RESNET, spaces.nats_size())


@pytest.mark.parametrize("name", ["nds_resnet", "nds_resnext_b"])
def test_graph_is_a_chain_of_choices(name):
    space: Space = spaces.by_name(name)
    arch = np.array(space.cardinalities) - np.arange(1, 1 + len(space.cardinalities)) % 2 - 1
    graph = simple(jax.tree.map(np.asarray, space.graph(jnp.asarray(arch))))
    called = {"ds": "depth", "ws": "width", "bot_muls": "ratio", "num_gs": "groups"}
    sizes = sizes_of(name, arch)
    inner = [f"{called[key]}_{sizes[key][stage]:g}" for stage in range(3) for key in sizes]
    assert [space.node_operations[op] for op in graph.node_ops] == ["input", *inner, "output"]
    np.testing.assert_array_equal(graph.adjacency, np.eye(len(inner) + 2, k=1, dtype=bool))
