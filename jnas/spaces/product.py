"""Spaces of named choices: every combination of their values is an architecture.

An architecture is `[D]` int32; entry `d` counts in the values of choice `d`. Its text is
`kernel=3,width=64`, and its graph a chain of `D` nodes, so that strategies and predictors take it;
`renas` and `e2epp` do not, whose encodings are of published cells.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jnas.engine.messages import nearest
from jnas.engine.pickles import pickled_by_call
from jnas.spaces import _common
from jnas.types import Arch, Graph, Space

Choices: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of the choices with the texts of their values."""

_SIGNS = (",", "=", "\n")  # of the text form, and of files with an architecture a line


def product(
    choices: Mapping[str, Sequence[object]],
    *,
    name: str = "product",
    params: Callable[[Arch], jax.Array] | None = None,
    flops: Callable[[Arch], jax.Array] | None = None,
) -> Space:
    """Space of all combinations of named choices, a `Space`.

        space = product({"kernel": (3, 5, 7), "width": (16, 32, 64)})
        space.to_string(np.array([1, 2]))  # kernel=5,width=64

    Args:
        choices: name → its values, in the order of the vector. Texts show values as `str` does,
            which must tell those of one choice apart.
        name: of the space, which saved predictors are known by.
        params: `[D] -> []` int32, trainable parameters; by default 0 for every architecture.
        flops: `[D] -> []` float, multiply-accumulates, likewise.

    Returns:
        A `Space`. `sample` is uniform; `mutate` gives one choice, each with the same probability,
        another of its values, so that a child differs from its parent. Different vectors are
        different architectures: `identity` is `code`.

    Raises:
        ValueError: no choice has two values; a name is no text; a name or a value is empty, begins
            or ends with a space, has a comma, an equals sign or a line break, or stands twice; or
            the combinations are too many for a code of 64 bits.
    """
    if wrong := [key for key in choices if not isinstance(key, str)]:
        raise ValueError(f"names of choices must be texts; got {wrong[0]!r}")
    # Texts alone from here on: values may be anything, and a cache needs what can be hashed.
    texts = tuple((key, tuple(map(str, values))) for key, values in choices.items())
    _check(texts)
    return _space(texts, name, params, flops)


# Cached, for functions of a space are static arguments of compiled programs, and `partial` objects
# equal only themselves: another space of the same choices would compile everything again.
@functools.cache
@pickled_by_call
def _space(
    choices: Choices,
    name: str,
    params: Callable[[Arch], jax.Array] | None,
    flops: Callable[[Arch], jax.Array] | None,
) -> Space:
    """Space of checked choices."""
    sizes = tuple(len(values) for _, values in choices)
    code = functools.partial(_code, sizes)
    words = (f"{key}={value}" for key, values in choices for value in values)
    return Space(
        name=name,
        cardinalities=sizes,
        node_operations=("input", *words, "output"),
        edge_operations=("none", "identity"),
        **_common.uniform_moves(sizes),
        identity=code,
        code=code,
        graph=functools.partial(_graph, sizes),
        params=params or functools.partial(_zero, sizes, jnp.int32),
        flops=flops or functools.partial(_zero, sizes, float),
        to_string=functools.partial(_to_string, choices),
        from_string=functools.partial(_from_string, choices),
        enumerate=functools.partial(_common.listed_vectors, sizes),
    )


def _check(choices: Choices) -> None:
    """Check of the choices; ValueError says what is wrong and what is allowed."""
    for key, values in choices:
        for text in (key, *values):
            if not text.strip() or text != text.strip() or any(sign in text for sign in _SIGNS):
                raise ValueError(
                    f"{text!r} of choice {key!r} cannot be read back from a text: names and values "
                    "must not be empty, begin or end with a space, or have ',', '=' or line breaks"
                )
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"choice {key!r} needs one value or more, each once; got {', '.join(values)}"
            )
    sizes = [len(values) for _, values in choices]
    if max(sizes, default=0) < 2:
        raise ValueError("a space needs a choice with two values or more")
    if len(_common.word_bounds(sizes)) > 2:
        raise ValueError(
            f"{math.prod(sizes):.3g} combinations are too many: their codes have 64 bits"
        )


def _zero(sizes: tuple[int, ...], dtype: DTypeLike, arch: Arch) -> jax.Array:
    """`[]` of a type, 0: the cost of an architecture of which none is known."""
    _common.check_arch(arch, sizes)
    return jnp.zeros((), dtype)


def _code(sizes: tuple[int, ...], arch: Arch) -> jax.Array:
    """`[2]` uint32, mixed-radix numbers of the first choices and of the last ones."""
    _common.check_arch(arch, sizes)
    words = _common.mixed_radix_words(arch, sizes)
    return jnp.pad(words, (2 - len(words), 0))


def _graph(sizes: tuple[int, ...], arch: Arch) -> Graph:
    """`Graph` of a chain input → `D` choices → output; the operation of a node is its value."""
    _common.check_arch(arch, sizes)
    # Values of different choices are different operations.
    first = 1 + np.cumsum([0, *sizes[:-1]])
    return _common.chain_graph(
        arch.astype(jnp.int32) + jnp.asarray(first, jnp.int32), 2 + sum(sizes)
    )


def _to_string(choices: Choices, arch: Arch | np.ndarray) -> str:
    """Text `kernel=3,width=64`; ValueError for an invalid vector."""
    sizes = [len(values) for _, values in choices]
    needs = f"{len(sizes)} integers from 0, below {', '.join(map(str, sizes))}"
    numbers = _common.checked_vector(arch, sizes, "combination of the choices", needs)
    pairs = zip(choices, numbers, strict=True)
    return ",".join(f"{key}={values[number]}" for (key, values), number in pairs)


def _from_string(choices: Choices, text: str) -> Arch:
    """`[D]` int32 from `kernel=3,width=64`, in any order; ValueError names the part that is wrong.

    Spaces around names and values do not count.
    """
    found: dict[str, int] = {}
    known = dict(choices)
    for part in text.split(","):
        # In any order, as people type them; `to_string` has that of the vector.
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in known:
            raise ValueError(f"unknown choice {key!r} in {text!r}. {nearest(key, [*known])}")
        if key in found:
            raise ValueError(f"choice {key!r} stands twice in {text!r}")
        if value not in known[key]:
            raise ValueError(
                f"unknown value {value!r} of {key!r} in {text!r}. {nearest(value, known[key])}"
            )
        found[key] = known[key].index(value)
    if missing := [key for key in known if key not in found]:
        raise ValueError(f"{text!r} lacks {', '.join(missing)}")
    return _common.as_vector([found[key] for key in known])
