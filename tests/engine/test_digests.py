"""Fingerprints are of content alone: equal in another process, different if anything counts."""

import dataclasses
import functools
import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import FrozenDict
from jax.tree_util import Partial

import jnas
from jnas.engine import digests
from jnas.engine.fingerprints import fingerprint


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    layers: tuple[int, ...] = (1, 12)
    loss: Any = None

    def scaled(self, x: float) -> float:
        return self.rate * x


@dataclasses.dataclass(frozen=True)
class OtherSettings:
    rate: float = 0.1
    layers: tuple[int, ...] = (1, 12)
    loss: Any = None


def scale(weight: Any, x: Any, *, offset: float = 0.0) -> Any:
    return weight * x + offset


def closing_over(value: Any) -> Callable[[Any], Any]:
    return lambda x: (value, x)


def nested(value: Any) -> Callable[[Any], Any]:
    inner = closing_over(value)
    return lambda x: inner(x)


def with_default(value: Any) -> Callable[..., Any]:
    def function(x: Any, y: Any = value, *, z: Any = None) -> Any:
        return x, y, z

    return function


def with_keyword_default(value: Any) -> Callable[..., Any]:
    def function(x: Any, y: Any = None, *, z: Any = value) -> Any:
        return x, y, z

    return function


def whole(*parts: Any) -> str:
    """Both hashes of a fingerprint that depend on the parts."""
    found = fingerprint(*parts)
    return found.job + found.code["functions"]


def in_letters(text: str) -> bool:
    return text in {"a", "b", "c"}


X = np.arange(6, dtype=np.float32)
KEY = jax.random.key(3)

# Each group: jobs that all differ from each other.
DIFFERENT: dict[str, list[tuple]] = {
    "values": [(X,), (X + 1,), (X[::-1],), (np.where(X == 5, np.nan, X),)],
    "shapes": [
        (X,),
        (X.reshape(2, 3),),
        (X.reshape(3, 2),),
        (X[None],),
        (X[:5],),
        (X, X),
        (X, X, X),
    ],
    "dtypes": [
        (X.astype(dtype),)
        for dtype in (np.float32, np.float64, np.float16, np.int32, np.uint32, jnp.bfloat16)
    ],
    "scalars of NumPy": [
        (dtype(value),) for dtype in (np.float32, np.int32, np.int64) for value in (1, 2)
    ],
    "scalars": [
        (1,),
        (2,),
        (1.0,),
        (True,),
        ("1",),
        (b"1",),
        (None,),
        ("None",),
        (1j,),
        (-1,),
        ("",),
        (0.0,),
        (-0.0,),
    ],
    "keys": [(jax.random.key(0),), (KEY,), (jax.random.split(KEY),), (jax.random.key_data(KEY),)],
    "implementations of keys": [
        (jax.random.key(3, impl=impl),) for impl in ("threefry2x32", "rbg", "unsafe_rbg")
    ],
    "borders of numbers": [((1, 12),), ((11, 2),), ((112,),), (1, 12), (11, 2), (112,), ([1, 12],)],
    "borders of texts": [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("a", "b", "c"),
        (("a", "b"), "c"),
        ("a", ("b", "c")),
    ],
    "nesting": [
        ([1, [2]], 3),
        ([1, [2, 3]],),
        ([[1], [2, 3]],),
        ([1, 2, 3],),
        ([1, 2], 3),
        ([], 1, 2, 3),
        (),
    ],
    "repetition": [(list_,) for n in range(1, 4) for list_ in ([[7]] * n,)],
    "dictionaries": [
        ({"a": 1, "b": 2},),
        ({"b": 2, "a": 1},),
        ({"a": 2, "b": 1},),
        ({"a": 1},),
        ({},),
        (("a", 1),),
    ],
    "other mappings": [(FrozenDict(a=X),), (FrozenDict(a=X + 1),), (FrozenDict(b=X),), ({"a": X},)],
    "sets": [({1, 2},), ({1, 3},), ({1},), (frozenset({1, 2}),), ({(1, 2)},), (set(),)],
    "closures": [
        (make(value),)
        for make in (closing_over, nested)
        for value in (1, 2, X, X + 1, KEY, "a", (1, 2))
    ],
    "defaults": [
        (make(value),) for make in (with_default, with_keyword_default) for value in (1, 2, X)
    ],
    "code": [
        (lambda x: x + 1,),
        (lambda x: x + 2,),
        (lambda x: x - 1,),
        (lambda x: x.a,),
        (lambda x: x.b,),
    ],
    "sets in code": [
        (eval(text),) for text in ("lambda x: x in {'a', 'b'}", "lambda x: x in {'a', 'c'}")
    ],
    "names": [
        (scale,),
        (closing_over,),
        (jax.jit(scale),),
        (jnp.sin,),
        (jnp.cos,),
        (jnp.float32,),
        (jnp.int32,),
    ],
    "dataclasses": [
        *[
            (Settings(**change),)
            for change in ({}, {"rate": 0.2}, {"layers": (11, 2)}, {"layers": (1, 12, 0)})
        ],
        *[(Settings(loss=loss),) for loss in (closing_over(1), closing_over(2), Settings(), X)],
        *[(OtherSettings(),), (Settings,), (OtherSettings,), (dataclasses.asdict(Settings()),)],
    ],
    "methods": [(Settings(0.1).scaled,), (Settings(0.2).scaled,), (Settings.scaled,)],
    "partial functions": [
        (scale,),
        *[
            (wrap(scale, value),)
            for wrap in (functools.partial, Partial)
            for value in (1, 2, X, X + 1)
        ],
        *[(functools.partial(scale, 1, offset=offset),) for offset in (0.0, 1.0)],
        *[(functools.partial(scale, *args),) for args in ((1, 12), (11, 2), ((1, 12),))],
        *[
            (functools.partial(scale, weight=1),),
            (functools.partial(scale, x=1),),
            (functools.partial(nested, 1),),
        ],
    ],
    "predictors": [
        (predictor.predict,)
        for space in (jnas.spaces.nasbench101(), jnas.spaces.nasbench201())
        for predictor in (
            jnas.predictors.gates(space),
            jnas.predictors.gates(space, layers=(8, 8)),
            jnas.predictors.gates(space, dropout=0.2),
            jnas.predictors.gates(space, training=jnas.predictors.Training(epochs=7)),
            jnas.predictors.biflow(space),
            jnas.predictors.biflow(space, both=False),
            jnas.predictors.biflow(space, weight=0.2),
        )
    ],
}


@pytest.mark.parametrize("group", DIFFERENT)
def test_jobs_that_differ(group: str) -> None:
    prints = [whole(*parts) for parts in DIFFERENT[group]]
    same = [
        pair
        for pair in itertools.combinations(range(len(prints)), 2)
        if len({prints[i] for i in pair}) == 1
    ]
    assert same == []
    assert prints == [whole(*parts) for parts in DIFFERENT[group]]


def test_equal_content_in_other_objects() -> None:
    shared = [1, 2]
    pairs = [
        (X, X.copy()),
        (X, jnp.asarray(X)),
        (X.reshape(2, 3).T, np.ascontiguousarray(X.reshape(2, 3).T)),
        (np.float32(2), np.asarray(2, np.float32)),
        (KEY, jax.random.wrap_key_data(jax.random.key_data(KEY))),
        (Settings(), Settings(0.1, (1, 12))),
        (closing_over(X), closing_over(jnp.asarray(X))),
        (closing_over(Settings()), closing_over(Settings())),
        (Settings(0.2).scaled, Settings(0.2).scaled),
        (functools.partial(scale, X, offset=1.0), functools.partial(scale, X.copy(), offset=1.0)),
        ([shared, shared], [[1, 2], [1, 2]]),  # the same object twice, and two objects
        ({"b": 1, "a": [2]}, {"b": 1, "a": [2]}),
        (set("abcdef"), set("fedcba")),
    ]
    for one, two in pairs:
        assert fingerprint(one) == fingerprint(two), (one, two)


def test_cycles_end() -> None:
    def ring(length: int) -> list:
        lists: list[list] = [[] for _ in range(length)]
        for place, one in enumerate(lists):
            one.append(lists[(place + 1) % length])
        return lists[0]

    def recursive(number: int) -> int:
        return 0 if number == 0 else recursive(number - 1)

    assert fingerprint(ring(2)) == fingerprint(ring(2)) != fingerprint(ring(3))
    assert fingerprint(recursive) == fingerprint(recursive)


PROGRAM = """
import importlib, sys
module = importlib.import_module(sys.argv[1])
for group, jobs in module.DIFFERENT.items():
    for parts in jobs:
        print(module.whole(*parts))
print(module.whole(module.in_letters))
"""


@pytest.mark.slow
def test_equal_in_another_process() -> None:
    """With other hashes of strings, hence other orders of sets; addresses differ anyway."""
    here = [whole(*parts) for jobs in DIFFERENT.values() for parts in jobs] + [whole(in_letters)]
    folder = str(
        Path(__file__).parents[__name__.count(".")]
    )  # functions know the name of their module
    other = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": folder}
    command = [sys.executable, "-c", PROGRAM, __name__]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=other)
    assert done.stdout.split() == here


# -- What the user's own functions call ------------------------------------------------------------


HELPERS = """
SCALE = {scale}
def rescale(x):
    return x * {factor}
def ping(n):
    return 0 if n == 0 else pong(n - 1)
def pong(n):
    return {start} if n == 0 else ping(n - 1)
class Model:
    rate = {rate}
    def __call__(self, x):
        return x + {offset}
"""
JOBS = """
import jax
import helpers
from helpers import rescale
def by_name(x):
    return rescale(x)
def by_module(x):
    return helpers.rescale(x) + helpers.SCALE
def through(x):
    return by_name(x)
@jax.jit
def compiled(x):
    return helpers.ping(x)
def nested(x):
    return [helpers.SCALE * y for y in (lambda: rescale(x))()]
def with_model(x):
    return helpers.Model()(x)
unused = 3
"""
JOB_NAMES = ("by_name", "by_module", "through", "compiled", "nested", "with_model")


def fingerprints_of(folder: Path, monkeypatch, **changes: int) -> dict[str, Any]:
    """Fingerprints of every job, loaded anew with helpers whose numbers are 1 but for `changes`."""
    numbers = {"scale": 1, "factor": 1, "start": 1, "offset": 1, "rate": 1} | changes
    (folder / "helpers.py").write_text(HELPERS.format(**numbers))
    (folder / "jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("helpers", "jobs"):
        sys.modules.pop(name, None)
    jobs = importlib.import_module("jobs")
    found = {name: fingerprint(getattr(jobs, name)) for name in JOB_NAMES}
    return found | {"an instance": fingerprint(jobs.helpers.Model())}


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({"scale": 2}, {"by_module", "nested"}),
        ({"factor": 2}, {"by_name", "by_module", "through", "nested"}),
        ({"start": 2}, {"compiled"}),
        ({"offset": 2}, {"with_model", "an instance"}),
        ({"rate": 2}, {"with_model", "an instance"}),
    ],
)
def test_an_edit_of_what_a_function_calls_is_seen(change, others, tmp_path, monkeypatch) -> None:
    before = fingerprints_of(tmp_path, monkeypatch)
    assert before == fingerprints_of(tmp_path, monkeypatch)
    after = fingerprints_of(tmp_path, monkeypatch, **change)
    assert {name for name in before if before[name] != after[name]} == others
    assert all(before[n].code["sources"] == after[n].code["sources"] for n in before)


def test_a_global_that_is_set_is_seen(tmp_path, monkeypatch) -> None:
    before = fingerprints_of(tmp_path, monkeypatch)["by_module"]
    monkeypatch.setattr(sys.modules["helpers"], "SCALE", np.float32(-1))
    assert fingerprint(sys.modules["jobs"].by_module).job != before.job


NOTES = """
SETTINGS = {{"rate": {rate}}}
CALLS = []
class Log:
    def __init__(self):
        self.lines = []
LOG = Log()
def train(x):
    CALLS.append(x)
    LOG.lines.append(x)
    return SETTINGS["rate"] * x
"""


def test_notes_do_not_count_but_settings_do(tmp_path, monkeypatch) -> None:
    """A list that a function appends to is not another job; a dictionary that was edited is."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def loaded(rate: int) -> Any:
        (tmp_path / "notes.py").write_text(NOTES.format(rate=rate))
        sys.modules.pop("notes", None)
        return importlib.import_module("notes")

    module = loaded(1)
    before = fingerprint(module.train)
    module.train(3)
    assert fingerprint(module.train) == before
    assert fingerprint(loaded(2).train).job != before.job


def test_an_object_may_keep_notes_and_count() -> None:
    calls: list[int] = []

    class Evaluate:
        def __init__(self, rate: float) -> None:
            self.rate, self.seen = rate, [0.0]

        def __call__(self, x: float) -> float:
            calls.append(1)
            self.seen.append(x)
            return self.rate * x

    one = Evaluate(1.0)
    before = fingerprint(one)
    one(3.0)
    assert fingerprint(one) == before
    assert fingerprint(Evaluate(2.0)).job != before.job


def test_many_functions_that_call_each_other() -> None:
    """Every one of 40 functions calls all: there are far too many paths to walk along each."""
    scope: dict[str, Any] = {"__name__": "mine"}
    calls = " + ".join(f"f{number}(x)" for number in range(40))
    for number in range(40):
        exec(f"def f{number}(x): return {calls}", scope)
    assert fingerprint(scope["f0"]) == fingerprint(scope["f0"]) != fingerprint(scope["f1"])


def test_a_project_beside_the_package_is_the_users_own() -> None:
    package = digests.PACKAGE
    assert digests._is_library(str(package / "types" / "network.py"))
    assert not digests._is_library(f"{package}-project/train.py")
