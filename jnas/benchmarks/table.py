"""Benchmark table: measured columns of many architectures, looked up inside compiled programs.

`make_table` checks the arrays once on the host; afterwards `Table.rows`, and what
`Table.estimator` and `Table.objective` return, are pure functions that work under `jit`, `vmap` and
`scan`. Rows are found by `Space.code`, so in NAS-Bench-101 every relabelling of a cell finds the
cell's row. An architecture that the table lacks, or that is invalid, has row -1 and value NaN.

A score is better when it is larger. So the estimator and the objective of a column that is better
when smaller, such as an error, have its values with the sign changed; see `Table.minimizes`.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jnas import _shown
from jnas.benchmarks import _columns, _lookup, _rows
from jnas.benchmarks._columns import LeftOut
from jnas.engine.estimators import estimator
from jnas.engine.inputs import check_at_least_one
from jnas.engine.messages import nearest
from jnas.types import Arch, Estimator, Objective, Space

if TYPE_CHECKING:
    import pandas as pd

_NUM_SHOWN = 8  # columns that a `repr` describes


# Compared by identity: `==` of arrays is an array, which dataclasses cannot take for a truth.
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Measured results of the architectures of one space; build it with `make_table`.

    Its length is the number of architectures.

    Attributes:
        space: the space the rows belong to.
        archs: `[A, D]` int32, no two rows with the same `space.code`.
        columns: name to `[A]` float32 or float64; NaN where there is no measurement.
        conventions: for each column what it holds: split, epochs, mean or single run, unit; and
            with the words "lower is better" or "higher is better" which way is better.
        source: where the numbers come from, for people.
        left_out: columns of the file that do not hold numbers, and why.

    Raises:
        ValueError: a row is invalid or occurs twice, a column has the wrong length, or there is no
            column or no row; the message names it.
    """

    space: Space
    archs: np.ndarray
    columns: Mapping[str, np.ndarray]
    conventions: Mapping[str, str]
    source: str
    left_out: Mapping[str, LeftOut] = dataclasses.field(default_factory=dict)
    # Where they are known, of a table that has these rows: to compile and sort anew takes seconds.
    _sorted: dataclasses.InitVar[_rows.SortedCodes | None] = None
    # `[A, W]` uint32, ascending, and `[A]` int32, the row of each. Sorted once, for every look-up
    # is a binary search.
    _codes: jax.Array = dataclasses.field(init=False, repr=False)
    _order: np.ndarray = dataclasses.field(init=False, repr=False)

    def __post_init__(self, _sorted: _rows.SortedCodes | None) -> None:
        """Checks of the rows, and their sorted codes."""
        _rows.check_shape(self.space, self.archs, self.columns, self.source)
        for name, values in self.columns.items():
            _columns.floats(name, values, len(self.archs))
        if _sorted is None:
            codes = _rows.codes_of(self.space, self.archs)
            _sorted = _rows.sorted_codes(self.space, self.archs, codes)
        object.__setattr__(self, "_codes", jnp.asarray(_sorted.codes))
        object.__setattr__(self, "_order", _sorted.rows)

    def __len__(self) -> int:
        """Number of architectures."""
        return len(self.archs)

    def __repr__(self) -> str:
        shown = list(self.columns)[:_NUM_SHOWN]
        more = len(self.columns) - len(shown)
        width = max(map(len, shown))
        lines = [f"Table of {self.space.name}: {len(self):,} architectures, {self.source}"]
        lines += [
            f"  {name:{width}}  {_columns.described(self.columns[name], self.conventions[name])}"
            for name in shown
        ]
        return "\n".join([*lines, *([f"  and {more} more columns"] if more else [])])

    def column(self, name: str) -> np.ndarray:
        """`[A]` float, one column; ValueError says why it is not there."""
        if name in self.left_out:
            raise ValueError(self.left_out[name].reason)
        if name not in self.columns:
            raise ValueError(
                f"unknown column {name!r} of {self.source}. {nearest(name, tuple(self.columns))}"
            )
        return self.columns[name]

    def minimizes(self, column: str) -> bool:
        """Whether a column is better when smaller, by its convention, or else by its name.

        A convention says so with the words "lower is better", and the opposite with "higher is
        better"; see `directed`. Where it says nothing, a word of the name decides: error, loss,
        perplexity, latency, seconds and the like are better when smaller.

        Raises:
            ValueError: there is no such column.
        """
        self.column(column)
        return _columns.is_minimized(column, self.conventions[column])

    def directed(self, column: str, *, minimize: bool) -> "Table":
        """`Table` with a convention that states whether a column is better when smaller.

        Raises:
            ValueError: there is no such column.
        """
        self.column(column)
        stated = _columns.directed(self.conventions[column], minimize)
        return dataclasses.replace(
            self,
            conventions={**self.conventions, column: stated},
            _sorted=_rows.SortedCodes(self._codes, self._order),
        )

    def best(self, num: int, column: str | None = None) -> "Table":
        """`Table` of the `num` best rows by a column, the best first; equal ones as in the table.

        Rows without a measurement are left out, so that there may be fewer.

        Args:
            num: rows to keep, at least 1.
            column: by default `benchmarks.usual_column`.

        Raises:
            ValueError: there is no such column or nothing in it, or `num` is less than 1.
        """
        check_at_least_one(num=num)
        name = _columns.usual(self.space, self.columns, self.left_out) if column is None else column
        values = self.column(name)
        # Stable, and NaN last whichever way is better.
        order = np.argsort(values if self.minimizes(name) else -values, kind="stable")
        rows = order[~np.isnan(values[order])][:num]
        if not len(rows):
            raise ValueError(f"column {name!r} of {self.source} has no value")
        return dataclasses.replace(
            self,
            archs=self.archs[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
            _sorted=_rows.SortedCodes(self._codes, self._order).of(rows),
        )

    def of(self, space: Space) -> "Table":
        """`Table` of the architectures of another space whose codes are those of this one's.

            benchmarks.nasbench101().of(spaces.nb1shot1())

        Its rows are those of `space.enumerate()` that this table has, with the same measurements;
        a look-up of any other vector of the same code finds them.

        Raises:
            ValueError: codes of that space are of another (`Space.coded_as`), or none is here.
        """
        if self.space.name not in (space.coded_as, space.name):
            raise ValueError(
                f"a table of {self.space.name} has no rows for codes of "
                f"{space.coded_as or space.name}"
            )
        archs, codes, place = _rows.shared(space, self._codes)
        if not len(archs):
            raise ValueError(f"{self.source} has no architecture of {space.name}")
        rows = self._order[place]
        return dataclasses.replace(
            self,
            space=space,
            archs=archs,
            columns={name: values[rows] for name, values in self.columns.items()},
            _sorted=_rows.sorted_codes(space, archs, codes),
        )

    def to_pandas(self) -> "pd.DataFrame":
        """`DataFrame` with the architectures as strings, column "architecture", and all columns.

        Raises:
            ImportError: pandas is not installed.
        """
        texts = [self.space.to_string(arch) for arch in self.archs]
        return _shown.data_frame({"architecture": texts, **self.columns})

    def look_up(self, column: str, archs: ArrayLike) -> np.ndarray:
        """Values `[...]` of a column as they are, of `archs` `[..., D]`; NaN for a miss. Host only.

        Raises:
            ValueError: there is no such column.
        """
        archs = np.asarray(archs)
        flat = archs.reshape(-1, archs.shape[-1])
        # Filled up to a power of two: populations of all sizes share few compiled programs.
        filled = np.resize(flat, (1 << max(len(flat) - 1, 7).bit_length(), flat.shape[1]))
        rows = np.asarray(self.rows(jnp.asarray(filled)))[: len(flat)]
        # -1 for what the table lacks would look up its last row.
        values = np.where(rows >= 0, self.column(column)[rows], np.nan)
        return values.reshape(archs.shape[:-1])

    def rows(self, archs: jax.Array) -> jax.Array:
        """Rows of architectures in the table.

        Args:
            archs: `[B, D]` int32.

        Returns:
            `[B]` int32, -1 for an architecture that is not in the table or not valid.
        """
        rows: jax.Array = _lookup.rows(*self._identify(), self._codes, self._order, archs)
        return rows

    def estimator(self, column: str) -> Estimator:
        """`Estimator` that answers with one column, float32; a miss gives NaN.

        Of a column that is better when smaller it has the negative values. A column whose values
        are beyond float32 is divided by a power of two, which a warning tells. Values that float32
        hardly tells apart keep their order.

        The arrays are leaves of the returned `Partial`, so two calls share one compiled program.

        Raises:
            ValueError: there is no such column.
        """
        scores = self._scores([column])[:, 0]
        shown = f"Estimator {column} of {self.source}"
        return estimator(shown, _lookup.estimate, *self._identify(), self._codes, scores)

    def cost(self, column: str) -> Callable[[Arch], jax.Array]:
        """Cost for `search.nsga2`: one column as a function `[D] -> []` float32, lower is better.

        The values are as they are, whichever way is better. A miss gives NaN.

        Raises:
            ValueError: there is no such column, or it is beyond float32.
        """
        values = Partial(_lookup.estimate, *self._identify(), self._codes, self._costs(column))
        return Partial(_lookup.value, values)

    def objective(
        self,
        column: str | Mapping[int, str],
        *,
        seconds: str | None = None,
        epochs: int | None = None,
        cost_epochs: int | None = None,
        nearest: bool = False,
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
            nearest: whether a query for a number of epochs that a learning curve lacks is answered,
                and charged, as the nearest that it has; of two the smaller.

        Returns:
            `(key, Query) -> Outcome`, float32, with scores as those of `estimator`. A failure (a
            miss, the wrong epochs) has score NaN and cost 0; an unknown (NaN) cost counts as 0, so
            that it cannot poison a sum of costs.
            Its attribute `epochs` is a tuple of the numbers of epochs that it answers for, or None
            for every number.

        Raises:
            ValueError: there is no such column, several columns could be the cost, a number of
                epochs is less than 1, or with a learning curve `epochs` is given or `cost_epochs`
                is missing.
        """
        curve = _lookup.curve(column, epochs, cost_epochs)
        cost = seconds if seconds is not None else self.cost_column(curve[max(curve)])
        costs = jnp.zeros(len(self), jnp.float32) if cost is None else self._costs(cost)
        scores = self._scores([curve[number] for number in sorted(curve)])
        # A single column answers for every number of epochs, unless `epochs` says which it is of.
        known = tuple(sorted(curve)) if epochs is not None or not isinstance(column, str) else None
        return _lookup.LookUp(
            *self._identify(), self._codes, scores, costs, known, cost_epochs, nearest
        )

    def cost_column(self, column: str) -> str | None:
        """Name of the column that an evaluation of `column` costs; None where there is none.

        Raises:
            ValueError: several columns could be the cost.
        """
        return _columns.cost_of(column, tuple(self.columns))

    def learning_curve(self, column: str) -> dict[int, str]:
        """Columns by number of epochs, for `objective`: `column` and those that differ in it alone.

        `val100` of a table with `val1` … `val100` has 100 of them; a column without a number in its
        name, or with a colon, has none.
        """
        return _columns.curve_of(column, tuple(self.columns))

    def _identify(self) -> tuple[Partial, Partial]:
        """`space.code` and `space.is_valid` as pytrees without leaves, equal if they are."""
        return Partial(self.space.code), Partial(self.space.is_valid)

    def _costs(self, column: str) -> jax.Array:
        """`[A]` float32, a column in the order of the sorted codes."""
        return jnp.asarray(_columns.as_cost(column, self.column(column))[self._order])

    def _scores(self, columns: Sequence[str]) -> jax.Array:
        """`[A, E]` float32, columns in the order of the sorted codes, larger is better."""
        # Negated before they are narrowed, for which the order counts.
        signed = [(-1 if self.minimizes(name) else 1) * self.column(name) for name in columns]
        # Together, so that all columns of a learning curve have one unit.
        scores, exponent = _columns.as_float32(np.stack(signed, axis=1))
        if exponent:
            warnings.warn(
                f"column {columns[-1]!r} of {self.source} is beyond float32, so that programs have "
                f"its values times 2^{-exponent}; their order is the same",
                stacklevel=3,
            )
        return jnp.asarray(scores[self._order])
