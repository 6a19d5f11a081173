"""Spaces of a normal and a reduction cell: what makes a `Space` of a `Family`."""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import TypeAlias, get_args

from jnas.engine.messages import nearest
from jnas.engine.pickles import call_of, pickled_by_call
from jnas.spaces import _common
from jnas.spaces import _darts_cells as cells
from jnas.spaces import _darts_codes as codes
from jnas.spaces import _darts_costs as costs
from jnas.spaces import _darts_genotypes as genotypes
from jnas.spaces import _darts_moves as moves
from jnas.spaces._darts_cells import Family
from jnas.spaces._darts_moves import Mutation
from jnas.types import Space

Sizes: TypeAlias = int | Sequence[int]
"""Channels or layers of a network: one number, or several that an architecture chooses from."""


def named(family: Family, channels: Sizes, layers: Sizes) -> Family:
    """`Family` of networks of other sizes.

    Its name tells choices apart: vectors are others where there are other choices, and the same
    where one number takes the place of another.

    Raises:
        ValueError: channels or layers are no integers, or one is there twice.
    """
    name, sizes = family.name, []
    both = (("channels", channels, family.channels), ("layers", layers, family.layers))
    for word, given, usual in both:
        values = _values(word, given)
        if values != usual and max(len(values), len(usual)) > 1:
            name += f"_{word[0]}{'-'.join(map(str, values))}"
        sizes.append(values)
    return family._replace(name=name, channels=sizes[0], layers=sizes[1])


def _values(name: str, given: Sizes) -> tuple[int, ...]:
    """Numbers to choose from; ValueError where they are none, or one is there twice."""
    try:
        values = tuple(map(operator.index, given if isinstance(given, Iterable) else (given,)))
    except TypeError:
        raise ValueError(f"{name} must be an integer or several; got {given!r}") from None
    # One network would have several vectors, and a code for each.
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must be different ones; got {given!r}")
    return values


# Cached by position, for the same space with and without its defaults spelled out.
@functools.cache
@pickled_by_call
def space(family: Family, mutation: Mutation, is_guessed: bool = True) -> Space:
    """`Space` of a family, one object for each.

    Raises:
        ValueError: an unknown mutation, or sizes of which the costs cannot be counted.
    """
    if mutation not in get_args(Mutation):
        raise ValueError(
            f"unknown mutate {mutation!r}. {nearest(str(mutation), get_args(Mutation))}"
        )
    costs.check(family)
    sizes = cells.cardinalities(family)
    return Space(
        name=family.name,
        cardinalities=sizes,
        node_operations=("input", "sum", "output"),
        edge_operations=cells.edge_operations(family),
        sample=functools.partial(_common.uniform_sample, sizes),
        mutate=functools.partial(moves.mutate, family=family, mutation=mutation),
        crossover=_common.uniform_crossover,
        is_valid=functools.partial(_common.in_range, cardinalities=sizes),
        identity=functools.partial(codes.identity, family=family),
        code=functools.partial(codes.code, family=family),
        graph=functools.partial(cells.graph, family=family),
        params=functools.partial(costs.params, family=family),
        flops=functools.partial(costs.flops, family=family),
        to_string=functools.partial(genotypes.to_string, family=family),
        from_string=functools.partial(genotypes.from_string, family=family),
        enumerate=functools.partial(_common.listed_vectors, sizes),
        cells=cells.KINDS,
        num_inputs=2,
        sizes=tuple(range(len(sizes) - len(family.free), len(sizes))),
        text_form=genotypes.form(family) if is_guessed else "",
        # Where inputs may repeat, a code has one vector or several.
        sample_code=functools.partial(codes.sample, family=family) if family.repeats else None,
    )


def family_of(made: Space) -> Family | None:
    """`Family` of a space that `space` has made; None of another one."""
    call = call_of(made)
    is_ours = call is not None and (call.module, call.name) == (__name__, "space")
    return call.args[0] if call is not None and is_ours else None
