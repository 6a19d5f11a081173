"""Checkpoints of searches on the host: one file of plain arrays, from which a search goes on."""

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine import readers
from jnas.engine.files import adopt, replacing
from jnas.engine.fingerprints import Fingerprint, Resume, check
from jnas.engine.inputs import is_key
from jnas.engine.messages import argument
from jnas.types import Query

_FILE, _KIND = "search.npz", "search"


class Evaluation(NamedTuple):
    """Evaluation of one architecture: its score and cost, or the reason of its failure.

    Attributes:
        arch: `[D]` int32.
        epochs: that were asked for.
        score: NaN where it failed.
        seconds: its cost.
        failure: why it failed, or an empty text.
    """

    arch: np.ndarray
    epochs: int
    score: float
    seconds: float
    failure: str


class Pending(NamedTuple):
    """Query that has not been told yet, with the rows that have been evaluated.

    Attributes:
        query: what was asked.
        done: number of the row → its evaluation, of the rows that have come back.
        codes: for each row, what makes two evaluations one; not kept in the file.
    """

    query: Query
    done: dict[int, Evaluation]
    codes: Sequence[Hashable] = ()


class Progress(NamedTuple):
    """State of a search on the host, complete enough for another process to go on from it.

    Attributes:
        state: of the searcher.
        num_asks: queries asked so far.
        evaluations: that count, in the order in which they came back.
        pending: queries that are out.
        is_over: whether the budget in seconds is spent.
        num_repeats: proposals that were answered from memory.
    """

    state: Any
    num_asks: int
    evaluations: tuple[Evaluation, ...]
    pending: tuple[Pending, ...]
    is_over: bool
    num_repeats: int


def save(folder: Path, kept: Mapping[str, Any], progress: Progress) -> None:
    """Replace the file of a search, with what `fingerprints.check` keeps beside it.

    Raises:
        OSError: it cannot be written.
    """
    # Typed keys have no form in a file; `_like` makes them of their words again.
    leaves = [
        jax.random.key_data(leaf) if is_key(leaf) else leaf
        for leaf in jax.tree.leaves(progress.state)
    ]
    arrays: dict[str, Any] = {
        f"state_{number}": np.asarray(leaf) for number, leaf in enumerate(leaves)
    }
    queries = [
        {name: np.asarray(x).tolist() for name, x in p.query._asdict().items()}
        for p in progress.pending
    ]
    about = {
        **{name: value for name, value in kept.items() if name != "job"},
        "num_asks": progress.num_asks,
        "is_over": progress.is_over,
        "num_repeats": progress.num_repeats,
        # Scores may be NaN, which `json` writes and reads though standard JSON has no such number.
        "evaluations": [_plain(evaluation) for evaluation in progress.evaluations],
        "pending": [
            {
                "query": query,
                "done": {row: _plain(evaluation) for row, evaluation in p.done.items()},
            }
            for query, p in zip(queries, progress.pending, strict=True)
        ],
    }
    with replacing(folder / _FILE, _KIND, "out") as file:
        np.savez(file, fingerprint=kept["job"], about=json.dumps(about), **arrays)


def load(
    folder: Path, fingerprint: Fingerprint, start: Any, resume: Resume
) -> tuple[Progress, dict[str, Any]] | None:
    """Progress of the search in a folder and what to keep beside it, or None without a file.

    Args:
        folder: of the search.
        fingerprint: of the search.
        start: an initial state of the searcher, for its structure and types.
        resume: "anyway" goes on although jnas or jax have changed.

    Raises:
        ValueError: the file is another search's, or no such file, or other code has begun it.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    wrong = f"is not the file of a search; choose another {argument('out')}"
    with readers.arrays(path, wrong) as file:
        found, about = str(file["fingerprint"]), json.loads(str(file["about"]))
        # Two of the members, `fingerprint` and `about`, are not leaves of the state.
        arrays = [file[f"state_{number}"] for number in range(len(file.files) - 2)]
    # Before the state is put together, which that of another strategy does not fit.
    kept = check(about | {"job": found}, fingerprint, str(path), resume)
    # It is this very search, so jnas wrote it, even if the list of the folder's files was lost.
    adopt(path, _KIND)
    pairs = zip(arrays, jax.tree.leaves(start), strict=True)
    progress = Progress(
        state=jax.tree.unflatten(jax.tree.structure(start), [_like(*pair) for pair in pairs]),
        num_asks=about["num_asks"],
        evaluations=tuple(_evaluation(plain) for plain in about["evaluations"]),
        pending=tuple(_pending(plain) for plain in about["pending"]),
        is_over=about["is_over"],
        num_repeats=about["num_repeats"],
    )
    return progress, kept


def _pending(plain: dict[str, Any]) -> Pending:
    """Query that is out, from its JSON form."""
    query = {name: jnp.asarray(x, jnp.int32) for name, x in plain["query"].items()}
    # JSON has only texts for keys.
    done = {int(row): _evaluation(evaluation) for row, evaluation in plain["done"].items()}
    return Pending(Query(**query), done)


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """JSON form of an evaluation."""
    return evaluation._asdict() | {"arch": evaluation.arch.tolist()}


def _evaluation(plain: dict[str, Any]) -> Evaluation:
    """Evaluation from its JSON form."""
    return Evaluation(**plain | {"arch": np.array(plain["arch"], np.int32)})


def _like(array: np.ndarray, leaf: Any) -> Any:
    """Leaf of the state from its array: a key again, or of a type that files do not know."""
    if is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
    # NumPy's files hold bfloat16 and its kin as nameless bytes, of the same size.
    return array.view(leaf.dtype)
