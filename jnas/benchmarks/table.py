"""Benchmark table: measured columns of many architectures, looked up inside compiled programs.

`make_table` checks the arrays once on the host; afterwards `Table.rows`, and what `Table.estimator`
and `Table.objective` return, are pure functions that work under `jit`, `vmap` and `scan`. Rows are
found by `Space.code`, so in NAS-Bench-101 every relabelling of a cell finds the cell's row. An
architecture that the table lacks, or that is invalid, has row -1 and value NaN.
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

from jnas.engine.messages import nearest
from jnas.types import Arch, Estimator, Key, Objective, Outcome, Query, Space

NOT_STATED = "not stated"


# Compared by identity: `==` of arrays is an array, which dataclasses cannot take for a truth.
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
        ValueError: a row is invalid or occurs twice, a column has the wrong length, or there is no
            column or no row; the message names it.
    """

    space: Space
    archs: np.ndarray
    columns: Mapping[str, np.ndarray]
    conventions: Mapping[str, str]
    source: str
    # `[A, W]` uint32, ascending, and `[A]` int32, the row of each. Sorted once, for every look-up
    # is a binary search.
    _codes: jax.Array = dataclasses.field(init=False, repr=False)
    _order: np.ndarray = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Checks of the rows, and their sorted codes."""
        _check_shapes(self)
        codes, order = _sorted_codes(self.space, self.archs)
        object.__setattr__(self, "_codes", jnp.asarray(codes))
        object.__setattr__(self, "_order", order)

    def column(self, name: str) -> np.ndarray:
        """`[A]` float, one column; ValueError lists the valid names."""
        if name not in self.columns:
            raise ValueError(
                f"unknown column {name!r} of {self.source}. {nearest(name, tuple(self.columns))}"
            )
        return self.columns[name]

    def rows(self, archs: jax.Array) -> jax.Array:
        """Rows of architectures in the table.

        Args:
            archs: `[B, D]` int32.

        Returns:
            `[B]` int32, -1 for an architecture that is not in the table or not valid.
        """
        position = _find(*self._identify(), self._codes, archs)
        return jnp.where(position < 0, -1, jnp.asarray(self._order)[position])

    def estimator(self, column: str) -> Estimator:
        """`Estimator` that answers with one column, float32; a miss gives NaN.

        The arrays are leaves of the returned `Partial`, so two calls share one compiled program.

        Raises:
            ValueError: there is no such column.
        """
        return Partial(_estimate, *self._identify(), self._codes, self._sorted(column))

    def cost(self, column: str) -> Callable[[Arch], jax.Array]:
        """Cost for `search.nsga2`: one column as a function `[D] -> []` float32.

        A miss gives NaN.

        Raises:
            ValueError: there is no such column.
        """
        return Partial(_value, self.estimator(column))

    def objective(
        self,
        column: str | Mapping[int, str],
        *,
        seconds: str | None = None,
        epochs: int | None = None,
        cost_epochs: int | None = None,
    ) -> Objective:
        """`Objective`: scores from one column or a learning curve, at the cost of another column.

            # One fidelity; a learning curve; full scores at a partial cost.
            table.objective("val200_c10")
            table.objective({e: f"val{e}" for e in range(1, 101)}, cost_epochs=100)
            table.objective("val200_c10", cost_epochs=200)

        The last is how NAS-Bench-201 ran BOHB: the score is that of the whole training for any
        number of epochs.

        Args:
            column: the column of scores; or for each number of training epochs its column. A query
                for another number of epochs then fails, and one for 0 (the objective's own) gets
                the largest.
            seconds: the column of costs. By default the table's only column whose name starts with
                "seconds", or of several the one for the epochs and data set of `column`
                (`seconds12_c10` for `val12_c10`), of a learning curve for its last column; zero
                cost where the table has none.
            epochs: the training epochs that a single `column` stands for; a query for another
                number (0 asks for the objective's own) then fails. None answers every query alike.
            cost_epochs: the training epochs that the costs are of: a query for `e` epochs costs
                `e / cost_epochs` of them, and one for 0 as much as the largest number of epochs
                that is known. None charges them whole.

        Returns:
            `(key, Query) -> Outcome`, float32. A failure (a miss, the wrong epochs) has score NaN
            and cost 0; an unknown (NaN) cost counts as 0, so that it cannot poison a sum of costs.
            Its attribute `epochs` is a tuple of the numbers of epochs that it answers for, or None
            for every number.

        Raises:
            ValueError: there is no such column, several columns could be the cost, a number of
                epochs is less than 1, or with a learning curve `epochs` is given or `cost_epochs`
                is missing.
        """
        curve = _curve(column, epochs, cost_epochs)
        cost = seconds if seconds is not None else self.cost_column(curve[max(curve)])
        costs = jnp.zeros(len(self.archs), jnp.float32) if cost is None else self._sorted(cost)
        scores = jnp.stack([self._sorted(curve[number]) for number in sorted(curve)], axis=1)
        known = tuple(sorted(curve)) if epochs is not None or not isinstance(column, str) else None
        return LookUp(*self._identify(), self._codes, scores, costs, known, cost_epochs)

    def cost_column(self, column: str) -> str | None:
        """Name of the column that an evaluation of `column` costs; None where there is none.

        Raises:
            ValueError: several columns could be the cost.
        """
        names = [name for name in self.columns if name.startswith("seconds")]
        # Of "val200_seed1_c10" the epochs and the data set count, and the seed does not.
        parts = re.fullmatch(r"[a-z]+(\d*)(?:_.*)?_([a-z\d]+)", column)
        wanted = f"seconds{parts[1]}_{parts[2]}" if parts else ""
        if len(names) > 1 and wanted not in names:
            raise ValueError(
                f"name the cost of {column!r} with seconds=; it could be any of {', '.join(names)}"
            )
        return wanted if len(names) > 1 else next(iter(names), None)

    def learning_curve(self, column: str) -> dict[int, str]:
        """Columns by number of epochs, for `objective`: `column` and those that differ in it alone.

        `val100` of a table with `val1` … `val100` has 100 of them; a column without a number in its
        name has none.
        """
        parts = re.fullmatch(r"(\D+)(\d+)(.*)", column)
        if not parts:
            return {}
        form = re.compile(rf"{re.escape(parts[1])}([1-9]\d*){re.escape(parts[3])}")
        return {int(found[1]): name for name in self.columns if (found := form.fullmatch(name))}

    def _identify(self) -> tuple[Partial, Partial]:
        """`space.code` and `space.is_valid` as pytrees without leaves, equal if they are."""
        return Partial(self.space.code), Partial(self.space.is_valid)

    def _sorted(self, column: str) -> jax.Array:
        """`[A]` float32, a column in the order of the sorted codes."""
        return jnp.asarray(self.column(column)[self._order], jnp.float32)


def _curve(
    column: str | Mapping[int, str], epochs: int | None, cost_epochs: int | None
) -> Mapping[int, str]:
    """Columns by number of epochs; a single column stands for `epochs`, or as 0 for all of them.

    Raises:
        ValueError: a number is less than 1, or the options do not go with the kind of `column`.
    """
    for name, number in (("epochs", epochs), ("cost_epochs", cost_epochs)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
    if isinstance(column, str):
        return {epochs or 0: column}
    if not column or min(column) < 1:
        raise ValueError(
            "a learning curve needs a column for at least one number of epochs, from 1 on; "
            f"got {column}"
        )
    if epochs is not None:
        raise ValueError(
            f"epochs goes with a single column, for a learning curve says them itself; got {epochs}"
        )
    if cost_epochs is None:
        raise ValueError(
            "say with cost_epochs= of how many epochs the seconds are, for a part of them costs "
            "less"
        )
    return dict(column)


def make_table(
    space: Space,
    archs: np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    conventions: Mapping[str, str] | None = None,
    source: str = "arrays",
) -> Table:
    """`Table` from plain arrays, checked.

    Args:
        space: the space the rows belong to.
        archs: `[A, D]` integers.
        columns: name to `[A]` numbers; integers become float64.
        conventions: what each column holds; a column that is not named gets "not stated".
        source: where the numbers come from.

    Raises:
        ValueError: as for `Table`; or an array has no numbers, or a convention no column.
    """
    archs, texts = np.asarray(archs), dict(conventions or {})
    if archs.dtype.kind not in "iu":
        raise ValueError(f"architectures must be integers; got {archs.dtype}")
    for name in texts:
        if name not in columns:
            raise ValueError(
                f"a convention for the unknown column {name!r}. {nearest(name, tuple(columns))}"
            )
    return Table(
        space=space,
        archs=np.ascontiguousarray(archs, np.int32),
        columns={name: _floats(name, values) for name, values in columns.items()},
        conventions={name: texts.get(name, NOT_STATED) for name in columns},
        source=source,
    )


def _floats(name: str, values: np.ndarray) -> np.ndarray:
    """`[A]` float32 or float64; ValueError where a column does not hold numbers."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"column {name!r} must be numeric; got {values.dtype}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _check_shapes(table: Table) -> None:
    """ValueError where the arrays of a table do not fit its space or each other."""
    shape, num_choices = table.archs.shape, len(table.space.cardinalities)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != num_choices:
        raise ValueError(
            f"{table.space.name} needs architectures [A, {num_choices}], A > 0; got {list(shape)}"
        )
    if not table.columns:
        raise ValueError(f"a table needs at least one numeric column; {table.source} has none")
    for name, values in table.columns.items():
        if values.shape != shape[:1]:
            raise ValueError(
                f"column {name!r} must have shape [{shape[0]}]; got {list(values.shape)}"
            )


# The function is static, and a space's functions stay the same objects: two tables of one space and
# size share a program.
@functools.partial(jax.jit, static_argnums=0)
def _each(function: Callable[[jax.Array], jax.Array], archs: jax.Array) -> jax.Array:
    """`[A, ...]` values of a function of a space for each of `archs` `[A, D]`."""
    return jax.vmap(function)(archs)


def _sorted_codes(space: Space, archs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes `[A, W]` uint32, ascending, and the row `[A]` int32 of each.

    Raises:
        ValueError: a row is invalid, or two are the same architecture; the message names them.
    """
    invalid = np.flatnonzero(~np.asarray(_each(space.is_valid, archs)))
    if invalid.size:
        row = int(invalid[0])
        raise ValueError(
            f"row {row} is not a valid {space.name} architecture: {archs[row].tolist()}"
        )
    codes = np.asarray(_each(space.code, archs))
    # `lexsort` takes its last key first, and words are high word first. It is stable.
    order = np.lexsort(codes.T[::-1]).astype(np.int32)
    repeated = np.flatnonzero(np.all(codes[order[1:]] == codes[order[:-1]], axis=1))
    if repeated.size:
        # The repetition that a reader of the rows meets first.
        at = repeated[np.argmin(order[repeated + 1])]
        first, second = order[at], order[at + 1]
        text = space.to_string(archs[second])
        raise ValueError(
            f"rows {first} and {second} are the same {space.name} architecture: {text}"
        )
    return codes[order], order


# --------------------------------------------------------------------------------------------------
# Look-up, under jit.


@jax.jit
def _find(code: Partial, is_valid: Partial, codes: jax.Array, archs: jax.Array) -> jax.Array:
    """`[B]` int32, positions of `archs` `[B, D]` in the ascending `codes` `[A, W]`, or -1."""
    # `jnp.searchsorted` takes one word a key, and JAX has no 64-bit words in its 32-bit mode.
    chex.assert_rank(archs, 2)
    chex.assert_type(archs, int)
    wanted, size = jax.vmap(code)(archs), codes.shape[0]
    num_bits = size.bit_length()

    def step(bit: jax.Array, position: jax.Array) -> jax.Array:
        """`[B]` int32, numbers of codes known to be smaller, with one more bit settled."""
        probe = position + (1 << (num_bits - 1 - bit))
        smaller = _less(codes[jnp.minimum(probe, size) - 1], wanted)
        return jnp.where(smaller, probe, position)

    # `position` codes are known to be smaller; every step settles one bit of that number. Where it
    # runs past the end, the last code is smaller too, and the comparison below says that this is a
    # miss. It starts from `wanted`, for `shard_map` wants loops to begin and end sharded alike.
    start = (wanted[:, 0] * 0).astype(jnp.int32)
    position = jax.lax.fori_loop(0, num_bits, step, start)
    position = jnp.minimum(position, size - 1)
    # Codes of vectors with choices out of range may be codes of other architectures: validity
    # counts too.
    found = jnp.all(codes[position] == wanted, axis=1) & jax.vmap(is_valid)(archs)
    return jnp.where(found, position, -1)


def _less(a: jax.Array, b: jax.Array) -> jax.Array:
    """`[B]` bool, lexicographic comparison of `[B, W]` codes, high word first."""
    less = a[:, -1] < b[:, -1]
    for word in range(a.shape[1] - 2, -1, -1):
        less = (a[:, word] < b[:, word]) | ((a[:, word] == b[:, word]) & less)
    return less


# Of this module and not of `estimator`: a `Partial` of a local function would be another pytree at
# every call, and compile again.
def _estimate(
    code: Partial,
    is_valid: Partial,
    codes: jax.Array,
    values: jax.Array,
    key: Key,
    archs: jax.Array,
) -> jax.Array:
    """`[B]` float32, the values of `archs` `[B, D]`; NaN for a miss."""
    del key
    position = _find(code, is_valid, codes, archs)
    return jnp.where(position < 0, jnp.nan, values[position])


def _value(estimator: Estimator, arch: Arch) -> jax.Array:
    """`[]` float32, what a table's estimator says of one architecture."""
    # The estimator of a table looks at no key.
    return estimator(jax.random.key(0), arch[None])[0]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LookUp:
    """Objective of a table, a pytree: two of them share one compiled program.

    Attributes:
        code: `space.code`, a pytree without leaves.
        is_valid: `space.is_valid`, likewise.
        codes: `[A, W]` uint32, ascending.
        scores: `[A, E]` float32, of each number of epochs.
        costs: `[A]` float32, seconds.
        epochs: the `E` numbers of epochs, ascending; None for a single column that answers for
            every number.
        cost_epochs: the epochs that the costs are of; None charges them whole.
    """

    code: Partial
    is_valid: Partial
    codes: jax.Array
    scores: jax.Array
    costs: jax.Array
    epochs: tuple[int, ...] | None = dataclasses.field(metadata={"static": True})
    cost_epochs: int | None = dataclasses.field(metadata={"static": True})

    def __call__(self, key: Key, query: Query, /) -> Outcome:
        """`Outcome` of a query; see `Table.objective`."""
        del key
        position = _find(self.code, self.is_valid, self.codes, query.archs)
        full = self.epochs[-1] if self.epochs is not None else self.cost_epochs or 0
        asked = jnp.where(query.epochs == 0, full, query.epochs)
        # One column stands for every number of epochs, or `scores` has one column for each.
        known = jnp.asarray([full] if self.epochs is None else self.epochs, jnp.int32)
        alike = (
            asked[:, None] == known[None]
            if self.epochs is not None
            else jnp.ones((len(asked), 1), bool)
        )
        answered = (position >= 0) & jnp.any(alike, axis=1)
        scores = jnp.where(answered, self.scores[position, jnp.argmax(alike, axis=1)], jnp.nan)
        share = 1 if self.cost_epochs is None else asked.astype(jnp.float32) / self.cost_epochs
        return Outcome(scores, jnp.where(answered, jnp.nan_to_num(self.costs[position]) * share, 0))
