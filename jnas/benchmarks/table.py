"""A benchmark table: measured columns of many architectures, looked up inside compiled programs.

`make_table` checks the arrays once on the host; afterwards `Table.rows`, and what `Table.estimator` and
`Table.objective` return, are pure functions that work under `jit`, `vmap` and `scan`. Rows are found by
`Space.code`, so in NAS-Bench-101 every relabelling of a cell finds the cell's row. An architecture that the
table lacks, or that is invalid, has row -1 and value NaN.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jnas.messages import nearest
from jnas.types import Arch, Estimator, Key, Objective, Outcome, Query, Space

NOT_STATED = "not stated"


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Measured results of the architectures of one space; build it with `make_table`.

    Attributes:
        space: the space the rows belong to.
        archs: `[A, D]` int32, no two rows with the same `space.code`.
        columns: name to `[A]` float32 or float64; NaN where there is no measurement.
        conventions: for each column what it holds: split, epochs, mean or single run, unit.
        source: where the numbers come from, for people.

    Raises:
        ValueError: a row is invalid or occurs twice, a column has the wrong length, or there is no column
            or no row; the message names it.
    """

    space: Space
    archs: np.ndarray
    columns: Mapping[str, np.ndarray]
    conventions: Mapping[str, str]
    source: str
    _codes: jax.Array = dataclasses.field(init=False, repr=False)  # [A, 2] uint32, ascending
    _order: np.ndarray = dataclasses.field(init=False, repr=False)  # [A] int32, row of each sorted code

    def __post_init__(self) -> None:
        _check_shapes(self)
        codes, order = _sorted_codes(self.space, self.archs)
        object.__setattr__(self, "_codes", jnp.asarray(codes))
        object.__setattr__(self, "_order", order)

    def column(self, name: str) -> np.ndarray:
        """`[A]` float, one column; ValueError lists the valid names."""
        if name not in self.columns:
            raise ValueError(f"unknown column {name!r} of {self.source}. {nearest(name, tuple(self.columns))}")
        return self.columns[name]

    def rows(self, archs: jax.Array) -> jax.Array:
        """The row of each architecture.

        Args:
            archs: `[B, D]` int32.

        Returns:
            `[B]` int32, -1 for an architecture that is not in the table or not valid.
        """
        position = _find(*self._identify(), self._codes, archs)
        return jnp.where(position < 0, -1, jnp.asarray(self._order)[position])

    def estimator(self, column: str) -> Estimator:
        """An estimator that answers with one column, float32; a miss gives NaN.

        The arrays are leaves of the returned `Partial`, so two calls share one compiled program.

        Raises:
            ValueError: there is no such column.
        """
        return Partial(_estimate, *self._identify(), self._codes, self._sorted(column))

    def cost(self, column: str) -> Callable[[Arch], jax.Array]:
        """One column as a function of one architecture, `[D] -> []` float32: a cost for `search.nsga2`.

        A miss gives NaN.

        Raises:
            ValueError: there is no such column.
        """
        return Partial(_value, self.estimator(column))

    def objective(self, column: str, *, seconds: str | None = None, epochs: int | None = None) -> Objective:
        """An objective for a search: scores from one column, simulated cost from another.

        Args:
            column: the column of scores.
            seconds: the column of costs. By default the table's only column whose name starts with
                "seconds", or of several the one for the epochs and data set of `column` (`seconds12_c10`
                for `val12_c10`); zero cost where the table has none.
            epochs: the training epochs that `column` stands for; a query for another number (0 asks for
                the objective's own) then fails. None answers every query alike.

        Returns:
            `(key, Query) -> Outcome`, float32. A failure (a miss, the wrong epochs) has score NaN and cost
            0; an unknown (NaN) cost counts as 0, so that it cannot poison a sum of costs.

        Raises:
            ValueError: there is no such column, or several columns could be the cost.
        """
        cost = seconds if seconds is not None else self._cost_column(column)
        costs = jnp.zeros(len(self.archs), jnp.float32) if cost is None else self._sorted(cost)
        own = jnp.asarray(epochs or 0, jnp.int32)
        return Partial(_answer, *self._identify(), self._codes, self._sorted(column), costs, own)

    def _identify(self) -> tuple[Partial, Partial]:
        """`space.code` and `space.is_valid` as pytrees without leaves: they compare by the function."""
        return Partial(self.space.code), Partial(self.space.is_valid)

    def _sorted(self, column: str) -> jax.Array:
        """`[A]` float32, a column in the order of the sorted codes."""
        return jnp.asarray(self.column(column)[self._order], jnp.float32)

    def _cost_column(self, column: str) -> str | None:
        names = [name for name in self.columns if name.startswith("seconds")]
        parts = re.fullmatch(r"[a-z]+(\d*)(?:_.*)?_([a-z\d]+)", column)
        wanted = f"seconds{parts[1]}_{parts[2]}" if parts else ""
        if len(names) > 1 and wanted not in names:
            raise ValueError(f"name the cost of {column!r} with seconds=; it could be any of {', '.join(names)}")
        return wanted if len(names) > 1 else next(iter(names), None)


def make_table(
    space: Space,
    archs: np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    conventions: Mapping[str, str] | None = None,
    source: str = "arrays",
) -> Table:
    """A checked `Table` from plain arrays.

    Args:
        space: the space the rows belong to.
        archs: `[A, D]` integers.
        columns: name to `[A]` numbers; integers become float64.
        conventions: what each column holds; a column that is not named gets "not stated".
        source: where the numbers come from.

    Raises:
        ValueError: as for `Table`; or an array does not hold numbers, or a convention has no column.
    """
    archs, texts = np.asarray(archs), dict(conventions or {})
    if archs.dtype.kind not in "iu":
        raise ValueError(f"architectures must be integers; got {archs.dtype}")
    for name in texts:
        if name not in columns:
            raise ValueError(f"a convention for the unknown column {name!r}. {nearest(name, tuple(columns))}")
    return Table(
        space=space,
        archs=np.ascontiguousarray(archs, np.int32),
        columns={name: _floats(name, values) for name, values in columns.items()},
        conventions={name: texts.get(name, NOT_STATED) for name in columns},
        source=source,
    )


def _floats(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"column {name!r} must be numeric; got {values.dtype}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _check_shapes(table: Table) -> None:
    shape, num_choices = table.archs.shape, len(table.space.cardinalities)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != num_choices:
        raise ValueError(f"{table.space.name} needs architectures [A, {num_choices}], A > 0; got {list(shape)}")
    if not table.columns:
        raise ValueError(f"a table needs at least one numeric column; {table.source} has none")
    for name, values in table.columns.items():
        if values.shape != shape[:1]:
            raise ValueError(f"column {name!r} must have shape [{shape[0]}]; got {list(values.shape)}")


@functools.partial(jax.jit, static_argnums=0)
def _each(function: Callable[[jax.Array], jax.Array], archs: jax.Array) -> jax.Array:
    return jax.vmap(function)(archs)


def _sorted_codes(space: Space, archs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending codes `[A, 2]` uint32 and the row `[A]` int32 of each; checks validity and duplicates."""
    invalid = np.flatnonzero(~np.asarray(_each(space.is_valid, archs)))
    if invalid.size:
        row = int(invalid[0])
        raise ValueError(f"row {row} is not a valid {space.name} architecture: {archs[row].tolist()}")
    codes = np.asarray(_each(space.code, archs))
    numbers = codes[:, 0].astype(np.uint64) << np.uint64(32) | codes[:, 1].astype(np.uint64)
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    repeated = np.flatnonzero(numbers[order[1:]] == numbers[order[:-1]])
    if repeated.size:
        at = repeated[np.argmin(order[repeated + 1])]  # the repetition that a reader of the rows meets first
        first, second = order[at], order[at + 1]
        text = space.to_string(archs[second])
        raise ValueError(f"rows {first} and {second} are the same {space.name} architecture: {text}")
    return codes[order], order


# ------------------------------------------------------------------------------------------------------
# Look-up, under jit.


@jax.jit
def _find(code: Partial, is_valid: Partial, codes: jax.Array, archs: jax.Array) -> jax.Array:
    """Position `[B]` int32 of `archs` `[B, D]` in the ascending `codes` `[A, 2]`, or -1; binary search."""
    chex.assert_rank(archs, 2)
    chex.assert_type(archs, int)
    wanted, size = jax.vmap(code)(archs), codes.shape[0]
    num_bits = size.bit_length()

    def step(bit: jax.Array, position: jax.Array) -> jax.Array:
        probe = position + (1 << (num_bits - 1 - bit))
        smaller = _less(codes[jnp.minimum(probe, size) - 1], wanted)
        return jnp.where(smaller, probe, position)

    # `position` codes are known to be smaller; every step settles one bit of that number. Where it runs past
    # the end, the last code is smaller too, and the comparison below says that this is a miss.
    # The start comes from `wanted`, for `shard_map` asks that a loop start as sharded as it ends.
    start = (wanted[:, 0] * 0).astype(jnp.int32)
    position = jax.lax.fori_loop(0, num_bits, step, start)
    position = jnp.minimum(position, size - 1)
    # Codes of vectors with choices out of range may be codes of other architectures: validity counts too.
    found = jnp.all(codes[position] == wanted, axis=1) & jax.vmap(is_valid)(archs)
    return jnp.where(found, position, -1)


def _less(a: jax.Array, b: jax.Array) -> jax.Array:
    """`[B]` bool, lexicographic comparison of `[B, 2]` codes, high word first."""
    return (a[:, 0] < b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] < b[:, 1]))


def _estimate(
    code: Partial, is_valid: Partial, codes: jax.Array, values: jax.Array, key: Key, archs: jax.Array
) -> jax.Array:
    del key
    position = _find(code, is_valid, codes, archs)
    return jnp.where(position < 0, jnp.nan, values[position])


def _value(estimator: Estimator, arch: Arch) -> jax.Array:
    # The estimator of a table looks at no key.
    return estimator(jax.random.key(0), arch[None])[0]


def _answer(
    code: Partial,
    is_valid: Partial,
    codes: jax.Array,
    values: jax.Array,
    costs: jax.Array,
    epochs: jax.Array,
    key: Key,
    query: Query,
) -> Outcome:
    del key
    position = _find(code, is_valid, codes, query.archs)
    alike = (epochs == 0) | (query.epochs == 0) | (query.epochs == epochs)
    answered = (position >= 0) & alike
    scores = jnp.where(answered, values[position], jnp.nan)
    return Outcome(scores, jnp.where(answered, jnp.nan_to_num(costs[position]), 0))
