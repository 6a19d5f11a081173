"""Texts and published records of NDS architectures.

A record is the `net` of a job in the files of NDS: lists `ds`, `ws`, `ss`, `bot_muls` and `num_gs`
whose index 0 is the stem, and the name of the block.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnas.engine.messages import nearest
from jnas.spaces import _common
from jnas.types import Arch

_NUM_STAGES = 3
# Index 0 of the lists of a record, and the numbers of all stages in those that are not choices.
_STEM: dict[str, float] = {"ds": 1, "ws": 16, "ss": 1, "bot_muls": 0, "num_gs": 1}
_STRIDES = [1, 1, 2, 2]
_CALLED = {"ds": "depth", "ws": "width", "bot_muls": "bottleneck ratio", "num_gs": "groups"}


class Family(NamedTuple):
    """Family of networks.

    Attributes:
        block: name of its block in records.
        choices: key in records → values that each stage chooses from.
    """

    block: str
    choices: tuple[tuple[str, tuple[float, ...]], ...]

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """`D` ints, stage by stage."""
        return tuple(len(values) for _, values in self.choices) * _NUM_STAGES


def to_text(arch: Arch | np.ndarray, *, family: Family) -> str:
    """Text `ds=12:12:12,ws=24:24:40`, a list of three stages a key; ValueError out of range."""
    sizes = family.cardinalities
    needs = f"{len(sizes)} integers from 0, below {', '.join(map(str, sizes))}"
    title = f"network of {family.block}s"
    chosen = _common.checked_vector(arch, sizes, title, needs).reshape(_NUM_STAGES, -1)
    return ",".join(
        f"{key}={':'.join(f'{values[one]:g}' for one in column)}"
        for (key, values), column in zip(family.choices, chosen.T, strict=True)
    )


def from_text(text: str, *, family: Family) -> Arch:
    """`[D]` int32 from that text, its keys in any order, or from the JSON of a record.

    Raises:
        ValueError: it is neither; the message names the number that is wrong.
    """
    # A record is JSON, and no text begins with a brace.
    if text.strip().startswith("{"):
        return _common.as_vector(from_record(parsed(text), family).tolist())
    known, found = dict(family.choices), {}
    for part in text.strip().split(","):
        key, _, numbers = (word.strip() for word in part.partition("="))
        if key not in known:
            example = ",".join(f"{name}={values[0]:g}:…" for name, values in family.choices)
            raise ValueError(
                f"not a network of NDS: {text!r}, for the unknown part {part!r}; the form is "
                f"{example}, three numbers each. {nearest(key, [*known])}"
            )
        if key in found:
            raise ValueError(f"not a network of NDS: {text!r} has {key!r} twice")
        found[key] = _numbers(key, numbers.split(":"), text)
    if missing := [key for key in known if key not in found]:
        raise ValueError(f"not a network of NDS: {text!r} lacks {', '.join(missing)}")
    return _common.as_vector(_vector(found, family).tolist())


def parsed(text: str) -> Any:
    """Value of a JSON text; ValueError where it is none."""
    try:
        return json.loads(text)
    # Deeply nested brackets end in an error of another type.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a record of NDS: {text[:200]!r} ({error})") from None


def _numbers(key: str, texts: Sequence[str], text: str) -> list[float]:
    """Three numbers of a list; ValueError where they are others or none."""
    try:
        numbers = [float(one) for one in texts]
    except ValueError:
        numbers = []
    if len(numbers) != _NUM_STAGES:
        raise ValueError(
            f"not a network of NDS: {text!r}; {key} needs {_NUM_STAGES} numbers, got "
            f"{':'.join(texts)!r}"
        )
    return numbers


def _vector(numbers: Mapping[str, Sequence[float]], family: Family) -> np.ndarray:
    """`[D]` int32 from the values of each stage; ValueError names one that is no choice."""
    if "num_gs" in numbers:
        # First: what is wrong then is told in channels and not as an unknown choice.
        _check_groups(numbers)
    columns = []
    for key, values in family.choices:
        for stage, number in enumerate(numbers[key], start=1):
            if number not in values:
                raise ValueError(
                    f"unknown {_CALLED[key]} {number:g} of stage {stage} ({key}); "
                    f"valid: {', '.join(f'{value:g}' for value in values)}"
                )
        columns.append([values.index(number) for number in numbers[key]])
    return np.array(columns, np.int32).T.ravel()


def _check_groups(numbers: Mapping[str, Sequence[float]]) -> None:
    """ValueError where a convolution of some stage cannot be split into its groups."""
    rows = zip(numbers["ws"], numbers["bot_muls"], numbers["num_gs"], strict=True)
    for stage, (width, ratio, groups) in enumerate(rows, start=1):
        if not groups >= 1 or (width * ratio) % groups:
            raise ValueError(
                f"invalid groups of stage {stage}: {groups:g} do not divide the {width * ratio:g} "
                f"channels of its 3x3 convolution (width {width:g} x ratio {ratio:g})"
            )


def from_record(net: Any, family: Family) -> np.ndarray:
    """`[D]` int32 from a record.

    Raises:
        ValueError: it is no record of that family, its index 0 is not the stem, or a number is none
            of the choices; the message says which.
    """
    if not isinstance(net, Mapping) or "block_type" not in net:
        raise ValueError(
            f"not a record of NDS: {str(net)[:200]!r}; it needs block_type, ds, ws and ss"
        )
    if net["block_type"] != family.block:
        raise ValueError(
            f"not a record of this family: its blocks are {str(net['block_type'])[:100]!r}, not "
            f"{family.block!r}"
        )
    lists = {key: _list(net, key) for key in ("ss", *(key for key, _ in family.choices))}
    stem = {key: numbers[0] for key, numbers in lists.items()}
    if any(number != _STEM[key] for key, number in stem.items()):
        shown = (", ".join(f"{key} {numbers[key]:g}" for key in lists) for numbers in (_STEM, stem))
        raise ValueError("invalid record of NDS: index 0 is the stem, {}; got {}".format(*shown))
    # No choice: with other strides it is another network.
    if lists["ss"] != _STRIDES:
        raise ValueError(f"invalid record of NDS: strides ss must be {_STRIDES}; got {lists['ss']}")
    return _vector({key: numbers[1:] for key, numbers in lists.items()}, family)


def _list(net: Mapping[str, Any], key: str) -> list[float]:
    """Numbers of a list of a record; ValueError where there are others than stem and stages."""
    numbers: Any = net.get(key)
    # Not a bool, and below what can be printed as a float.
    fits = isinstance(numbers, list) and all(
        type(one) in (int, float) and abs(one) < 2**31 for one in numbers
    )
    if not fits or len(numbers) != 1 + _NUM_STAGES:
        raise ValueError(
            f"invalid record of NDS: {key} needs {1 + _NUM_STAGES} numbers, of the stem and "
            f"{_NUM_STAGES} stages; got {str(numbers)[:100]}"
        )
    return list(numbers)


def to_record(arch: Arch | np.ndarray, family: Family) -> dict[str, Any]:
    """Record, with the stem, of an architecture `[D]`; ValueError out of range."""
    text = to_text(arch, family=family)
    stages = {
        key: [float(one) if key == "bot_muls" else int(one) for one in numbers.split(":")]
        for key, _, numbers in (part.partition("=") for part in text.split(","))
    }
    lists: dict[str, list[float]] = {key: [] for key in _STEM}
    lists |= {key: [_STEM[key], *numbers] for key, numbers in stages.items()}
    return {"block_type": family.block, **lists, "ss": list(_STRIDES)}
