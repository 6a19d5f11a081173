"""Damaged input of every kind ends in a result or in an error of one line, never in anything else.

Command lines, tables, strings of architectures, images and saved predictors that are right, and
then changed at random by hypothesis, always in the same way. 2,000 with `-m slow`.
"""

import contextlib
import functools
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import jnas
from jnas import commands
from jnas.types import Space
from tests.oracles.spaces import toy

TOY = toy()
ROWS = np.array([[3, 0, 1, 2, 0], [0, 0, 2, 0, 1], [1, 2, 3, 0, 2], [2, 2, 4, 1, 1]], np.int32)


def fuzzed(most: int) -> Callable:
    """A test of `most` examples, and of a 25th of them where nothing slow is asked for."""

    def decorate(test):
        @pytest.mark.parametrize("num", [most // 25, pytest.param(most, marks=pytest.mark.slow)])
        def run(num, listed, tmp_path):
            @settings(
                max_examples=num,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(data=st.data())
            def examples(data):
                test(tmp_path, data)

            with warnings.catch_warnings():
                # Notes on what is odd but can be read; a program may divide by zero as it likes.
                warnings.simplefilter("ignore")
                examples()

        return run

    return decorate


@pytest.fixture
def listed(monkeypatch) -> None:
    """The toy space among those of the command line."""
    monkeypatch.setitem(jnas.spaces._FACTORIES, TOY.name, lambda: TOY)
    monkeypatch.setattr(jnas.spaces, "NAMES", (*jnas.spaces.NAMES, TOY.name))


def result_or_one_line(function: Callable[[], object], named: Path | None = None) -> None:
    """Call a function, which returns, or says in a line what is wrong; `named`: with what file."""
    said = None
    try:
        function()
    except (ValueError, OSError) as error:
        said = str(error)
    if said is not None:
        assert said.strip()
        assert "\n" not in said.strip(), said
        assert len(said) < 1000, said
        assert named is None or named.name in said, said


# How they are changed


@st.composite
def changed_bytes(draw, content: bytes) -> bytes:
    """One to three places of a file: other bytes, fewer, more, or the end cut off."""
    mutable = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(mutable) - 1, 0)))
        match draw(st.sampled_from(["flip", "delete", "insert", "truncate", "swap"])):
            case "flip" if mutable:
                mutable[place] ^= draw(st.integers(1, 255))
            case "delete":
                del mutable[place : place + draw(st.integers(1, 20))]
            case "insert":
                mutable[place:place] = draw(st.binary(min_size=1, max_size=10))
            case "truncate":
                del mutable[place:]
            case "swap":
                other = draw(st.integers(0, max(len(mutable) - 1, 0)))
                mutable[place : place + 9] = mutable[other : other + 9]
    return bytes(mutable)


@st.composite
def changed_text(draw, text: str) -> str:
    """One to three places of a text: other characters, pieces of it twice, or gone."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        pieces = st.sampled_from(
            [*"0123456789|~+-,;:.\n\t \0é", "nan", "1e400", text[start:end] * 2]
        )
        text = text[:start] + draw(st.one_of(st.just(""), pieces)) + text[end:]
    return text


# Strings of architectures


@fuzzed(600)
def test_strings(folder: Path, data: st.DataObject) -> None:
    space = data.draw(st.sampled_from([jnas.spaces.by_name(name) for name in known_spaces()]))
    text = data.draw(changed_text(example_of(space)))

    def read() -> None:
        arch = space.from_string(text)
        assert bool(space.is_valid(arch))
        assert np.array_equal(space.from_string(space.to_string(arch)), arch)

    result_or_one_line(read)


def known_spaces() -> tuple[str, ...]:
    return tuple(name for name in jnas.spaces.NAMES if name != TOY.name)


@functools.cache
def example_of(space: Space) -> str:
    return space.to_string(np.asarray(space.sample(jax.random.key(1))))


# Tables


@functools.cache
def tables() -> dict[str, bytes]:
    """Name → content of a table in each of its forms."""
    columns = {"accuracy": np.array([0.9, 0.1, 0.5, np.nan]), "seconds": np.arange(4.0)}
    table = jnas.benchmarks.make_table(TOY, ROWS, columns, conventions={"accuracy": "in %"})
    with scratch() as folder:
        jnas.benchmarks.save(table, folder / "t.npz")
        binary = (folder / "t.npz").read_bytes()
    lines = ["arch,accuracy,seconds,note"]
    lines += [f'"{TOY.to_string(a)}",{n / 7},{n},"a, b"' for n, a in enumerate(ROWS)]
    text = "\n".join(lines) + "\n"
    return {
        "t.npz": binary,
        "t.csv": text.encode(),
        "u.csv": text.replace(",", ";").encode("utf-16"),
    }


@fuzzed(500)
def test_tables(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(tables())))
    content = tables()[name]
    path = folder / name
    if name == "t.csv" and data.draw(st.booleans()):
        path.write_bytes(data.draw(changed_text(content.decode())).encode())
    else:
        path.write_bytes(data.draw(changed_bytes(content)))
    result_or_one_line(lambda: jnas.benchmarks.load(path, TOY), path)
    jnas.benchmarks.available(folder)


# Images and predictors


@functools.cache
def archives() -> dict[str, bytes]:
    """Name → content of a file of images and of a saved predictor."""
    random = np.random.default_rng(0)
    with scratch() as folder:
        pixels = random.integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
        np.savez(folder / "images.npz", x=pixels, y=np.arange(6) % 3)
        training = jnas.predictors.Training(epochs=1, batch_size=4)
        predictor = jnas.predictors.mlp(TOY, hidden=(2,), training=training)
        state = predictor.fit(jax.random.key(0), ROWS, np.array([0.1, 0.4, 0.2, 0.3]))
        jnas.predictors.save(folder / "predictor.npz", predictor, state)
        return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


@fuzzed(400)
def test_images_and_predictors(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(archives())))
    path = folder / name
    path.write_bytes(data.draw(changed_bytes(archives()[name])))
    if name == "images.npz":
        result_or_one_line(lambda: jnas.images.load_labelled(path, num=3), path)
    else:
        result_or_one_line(lambda: jnas.predictors.load(path, TOY), path)


# Command lines

LINES = (
    "score --num 3 --space toy --estimator params",
    "score --all --space toy --estimator table --table t.csv --column accuracy",
    "score --file list.txt --space toy --estimator table --table t.npz --out listed.csv",
    "search --space toy --estimator table --table t.csv --strategy random --budget 6 --seeds 2",
    "search --space toy --estimator params --candidates 4 --table t.npz --out batch",
    "fit --space toy --table t.npz --column seconds --predictor mlp --epochs 1 --num-train 2",
    "data --folder .",
)
WORDS = (
    *("0", "-1", "3", "7", "2.5", "nan", "1e3", "", "é", "t.csv", "t.npz", "list.txt", ".", "/"),
    *("--seed", "--out", "--column", "accuracy", "note", "--table", "--minimize", "--no-resume"),
    *("--resume-anyway", "--within-table", "--budget", "--strategy", "nsga2", "bohb", "toy"),
    *("nasbench201", "--max-params", "--test-column", "--distinct", "--loss", "mse", "--help"),
)


@fuzzed(500)
def test_command_lines(folder: Path, data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(LINES)).split()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(1, len(words)))
        match data.draw(st.sampled_from(["replace", "delete", "insert", "twice", "damage"])):
            case "replace" if place < len(words):
                words[place] = data.draw(st.sampled_from(WORDS))
            case "delete" if place < len(words):
                del words[place]
            case "insert":
                words.insert(place, data.draw(st.sampled_from(WORDS)))
            case "twice" if place < len(words):
                words.insert(place, words[place])
            # Numbers are left alone: one more digit is a valid job that takes ten times as long.
            case "damage" if place < len(words) and not any(map(str.isdigit, words[place])):
                words[place] = data.draw(changed_text(words[place]))
    (folder / "list.txt").write_text(f"{TOY.to_string(ROWS[0])}\n")
    for name in ("t.csv", "t.npz"):
        (folder / name).write_bytes(tables()[name])
    result_or_one_line(lambda: run(folder, words))
    for name in ("t.csv", "t.npz"):  # what no command may write
        assert (folder / name).read_bytes() == tables()[name]


def run(folder: Path, words: list[str]) -> None:
    """A command in a folder; wrong usage ends a program, and says why."""
    printed, code = io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            commands.run([*words, *([] if words[0] == "data" else ["--no-progress"])])
        except SystemExit as end:
            code = end.code
    assert code in (0, 1, 2), words
    assert printed.getvalue().strip() or code == 0, words


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
