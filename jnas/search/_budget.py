"""Budgets in seconds, and when they are spent."""

import math
import numbers
from typing import Any, Literal, NamedTuple, TypeAlias

from jnas.engine.inputs import check_choice

Overrun: TypeAlias = Literal["discarded", "counted"]
"""Fate of the evaluation that a budget in seconds ends in; see `run`."""


class Budget(NamedTuple):
    """Budget in seconds.

    Attributes:
        limit: what may be spent, `[]` float or a number; infinity for no budget.
        overrun: what becomes of the evaluation that crosses the limit.
    """

    limit: Any
    overrun: Overrun


def make_budget(max_seconds: Any, overrun: Overrun) -> Budget:
    """Budget of `max_seconds`, None for no budget; ValueError for what is none."""
    check_choice("overrun", overrun, Overrun)
    # Not `<= 0`, which NaN would pass. NumPy's numbers are `Real`, though not all of them `float`;
    # of an array under `jit` there is no value to look at.
    if isinstance(max_seconds, numbers.Real) and not float(max_seconds) > 0:
        raise ValueError(f"max_seconds must be above 0; got {max_seconds}")
    return Budget(math.inf if max_seconds is None else max_seconds, overrun)


def is_within(budget: Budget, begins: Any, ends: Any) -> Any:
    """Whether evaluations count, bool; a search is over with the first that does not.

    Args:
        budget: what may be spent.
        begins: seconds spent before each evaluation, floats or arrays.
        ends: seconds spent after it.
    """
    # The scripts of NAS-Bench-201 ask whether an evaluation ends in time, NATS-Bench's whether it
    # begins in time.
    return ends <= budget.limit if budget.overrun == "discarded" else begins < budget.limit


def is_left(budget: Budget, spent: Any) -> Any:
    """Whether another evaluation might count, bool.

    An upper bound, for its cost is not known yet: under "discarded" it may still turn out too long.
    """
    # `<=` in one case, for an evaluation may cost nothing and then ends within a spent budget.
    return spent <= budget.limit if budget.overrun == "discarded" else spent < budget.limit
