"""NAS-Bench-Macro against published costs, layers counted one by one, and its classes."""

import functools
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from jnas import spaces

SPACE = spaces.nasbench_macro()


@functools.cache
def of_all(name: str) -> np.ndarray:
    """Values of a function of the space for all networks."""
    return np.asarray(jax.jit(jax.vmap(getattr(SPACE, name)))(SPACE.enumerate()))


def words(name: str) -> np.ndarray:
    assert not of_all(name)[:, 0].any()
    return of_all(name)[:, 1]


def layers(text: str) -> Iterator[tuple[int, int, int, int, int]]:
    """Convolutions, each with a norm: kernel, channels in (of a group) and out, pixels a side."""
    yield 3, 3, 32, 32, 1
    c, side = 32, 32
    for number, op in enumerate(text):
        stride = 2 if number in (0, 2, 5) else 1
        before, side, c_out = side, side // stride, c * stride
        if op == "0":
            if stride == 2:
                yield 1, c, c_out, side, 1
        else:
            kernel, hidden = (3, 3 * c) if op == "1" else (5, 6 * c)
            yield 1, c, hidden, before, 1
            yield kernel, hidden, hidden, side, hidden
            yield 1, hidden, c_out, side, 1
        c = c_out
    yield 1, c, 1280, side, 1


def counted(text: str) -> tuple[int, int]:
    """Parameters and multiply-accumulates in Python integers."""
    params, macs = 1280 * 10 + 10, 1280 * 10
    for kernel, c_in, c_out, side, groups in layers(text):
        weights = kernel * kernel * c_in // groups * c_out
        params, macs = params + weights + 2 * c_out, macs + weights * side * side
    return params, macs


@pytest.mark.parametrize(
    ("text", "params", "macs"),
    [
        ("00000000", 387_882, 7_713_280),
        ("11111111", 1_588_874, 53_246_464),
        ("22222222", 2_932_586, 105_660_928),
        ("22212220", 1_985_514, 85_164_544),
        ("22212202", 1_985_514, 85_164_544),
    ],
)
def test_published_costs(text, params, macs):
    row = int(text, 3)
    assert SPACE.to_string(SPACE.enumerate()[row]) == text
    assert (int(of_all("params")[row]), int(of_all("flops")[row])) == (params, macs)
    assert counted(text) == (params, macs)


def test_costs_are_those_counted_by_layers():
    rows = np.random.default_rng(0).integers(0, 3**8, 300)
    expected = np.array([counted(np.base_repr(row, 3).zfill(8)) for row in rows])
    np.testing.assert_array_equal(of_all("params")[rows], expected[:, 0])
    np.testing.assert_array_equal(of_all("flops")[rows], expected[:, 1].astype(np.float32))


def test_identity_is_the_network():
    """The first block of a stage, and the operations after it that are something, in order."""
    rest = [
        tuple((stage[0], stage[1:].replace("0", "")) for stage in (text[:2], text[2:5], text[5:]))
        for text in map(SPACE.to_string, SPACE.enumerate())
    ]
    assert len(set(rest)) == 3_969
    identities = words("identity")
    assert len(set(zip(rest, identities.tolist(), strict=True))) == len(set(identities)) == 3_969
    for name in ("params", "flops"):
        of_identity = dict(zip(identities.tolist(), of_all(name).tolist(), strict=True))
        np.testing.assert_array_equal(of_all(name), [of_identity[one] for one in identities])
    np.testing.assert_array_equal(words("code"), np.arange(6_561))


@pytest.mark.parametrize(("text", "same"), [("00200102", "00200120"), ("01012001", "01012010")])
def test_identities_move_to_the_end_of_their_stage(text, same):
    assert words("identity")[int(text, 3)] == int(same, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2221222", "not a NAS-Bench-Macro architecture: '2221222'; the form is eight digits"),
        ("22212223", r"unknown operation '3' at place 8 in '22212223'; valid: 0 identity, 1 mb3"),
        ("2221 222", "unknown operation ' ' at place 5"),
        ("2221²222", "unknown operation '²' at place 5"),
    ],
)
def test_bad_texts_say_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_string(text)
