"""Scoring jobs of any length: chunks, devices, progress, resume, one result file.

Any number of architectures goes through one compiled program in chunks of a fixed size, each chunk
split over all local devices. Scores do not depend on the chunk size or the number of devices,
because an estimator judges each row on its own: bit for bit if it maps over rows (estimators on
networks do with the plan "switch", the default on CPUs), to rounding if it is vectorised over them
(the plan "grouped").

An estimator on a network whose sizes differ much has buckets of architectures (`Network.bucket`),
and a program for each. The rows of one are scored before those of the next.

The result file (`.npz`, replaced atomically as the job goes) holds `archs` `[B, D]`, `scores` `[B]`
(or, of several scores, `scores/<name>` `[B]` each), `num_done` (rows scored so far), `done` `[B]`
bool (which ones, where they are not the first), `fingerprint` (of estimator, architectures and key)
and `about` (JSON: versions, device, counts, `code` that computed them).
"""

import functools
import json
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jnas.engine import files, fingerprints, readers
from jnas.engine.devices import forget_programs, num_parts, spread
from jnas.engine.environment import environment
from jnas.engine.estimators import buckets, in_bucket
from jnas.engine.fingerprints import Fingerprint, Resume
from jnas.engine.inputs import as_estimator, as_key
from jnas.engine.messages import argument
from jnas.engine.progress import reporting
from jnas.types import Estimator, Key, Suite

KIND = "result of scoring"  # of the file, among others that jnas writes
_SINGLE, _OF_SUITE = "scores", "scores/"  # members of the result file
_SAVE_SHARE = 0.05  # at most this share of the time goes into writing the result file


Scores = TypeVar("Scores", jax.Array, dict[str, jax.Array])


def score(
    estimator: Callable[[Key, jax.Array], Scores],
    archs: jax.Array | np.ndarray,
    key: Key,
    chunk_size: int | None = None,
    out: str | Path | None = None,
    resume: Resume = True,
    progress: bool = True,
) -> Scores:
    """Scores of a population of any size.

    Args:
        estimator: `(key, archs [B, D]) -> scores [B]`, or `-> {name: scores [B]}` as
            `zeroshot.suite` gives.
        archs: `[B, D]` integers.
        key: the one key of the job, given to every chunk.
        chunk_size: rows of the compiled program, rounded up to a multiple of the number of devices,
            which share them; where a CPU is the only device, each of its threads has so many. The
            last chunk is padded. By default 20 rows are scored at a time of up to 5,120, and 256
            chunks are made of more, up to 4,096 rows each. A vectorised estimator needs memory for
            all rows of a chunk at once. Programs of buckets have no more rows than their bucket.
        out: result file, `.npz`. Written whenever a chunk is done and writing costs little, and
            when the job is interrupted. The scores of a population that this one begins with are
            taken over: a finished job can be extended.
        resume: True continues from `out` where it exists; False overwrites scores that jnas has
            written there; "anyway" also continues a job that was begun by other code of jnas or
            jax, and notes in `about` which.
        progress: show a bar on standard error, and how many scores are not finite.

    Returns:
        `[B]` float scores, in the order of `archs`; by name where the estimator gives several.

    Raises:
        ValueError: wrong shapes, or `out` belongs to another job or was begun by other code.
        OSError: `out` cannot be written, or is a file that jnas did not write; raised before
            anything is scored.
    """
    rows, key, estimator = np.asarray(archs), as_key(key), as_estimator(estimator)
    if rows.ndim != 2 or rows.shape[0] < 1 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"archs must be [B, D] integers with B >= 1; got {rows.dtype} of shape {rows.shape}"
        )
    size = _chunk_size(len(rows), chunk_size)
    job = _open_job(estimator, rows, key, out, resume)
    options: dict[str, Any] = {"done": job.num_done, "shown": progress, "kept": job.out}
    with reporting("scoring", len(rows), unit="architectures", **options) as report:
        try:
            for part in _parts(estimator, rows, np.flatnonzero(~job.done), size):
                chunk = rows[part.places]
                # The last chunk has the shape of the others, or it would be a program to compile.
                padding = np.repeat(chunk[-1:], part.size - len(chunk), axis=0)
                padded = jnp.asarray(np.concatenate([chunk, padding]), jnp.int32)
                scores = _by_member(_program()(padded, part.estimator, key))
                found = {name: np.asarray(x)[: len(chunk)] for name, x in scores.items()}
                job.add(part.places, found)
                report(job.num_done)
        finally:  # after an error, too: rows since the last save would be lost
            job.save()
    if progress and job.num_unranked:
        told = f"{job.num_unranked:,} of {len(rows):,} architectures cannot be ranked"
        print(f"{told} (their score is not finite).", file=sys.stderr)
    result = {name.removeprefix(_OF_SUITE): jnp.asarray(x) for name, x in job.scores.items()}
    return cast(Scores, result[_SINGLE] if _SINGLE in job.scores else result)


def _by_member(scores: jax.Array | dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Scores by the name of their member of the result file."""
    if isinstance(scores, dict):
        return {f"{_OF_SUITE}{name}": values for name, values in scores.items()}
    return {_SINGLE: scores}


def _chunk_size(num_rows: int, chunk_size: int | None) -> int:
    """Number of rows that are scored at a time, a multiple of the parts; ValueError if below 1."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1; got {chunk_size}")
    parts = num_parts()
    if chunk_size is None:
        chunk_size = min(max(-(-num_rows // 256), 20), 4096)
    elif parts > jax.local_device_count():
        # Threads of one device: a program has as many rows as without them, and the same rounding.
        return chunk_size * parts
    return -(-chunk_size // parts) * parts


class _Part(NamedTuple):
    """Part of a job: an estimator, the places `[M]` of its rows, and the rows of its program."""

    estimator: Any
    places: np.ndarray
    size: int


def _parts(estimator: Any, rows: np.ndarray, left: np.ndarray, size: int) -> Iterator[_Part]:
    """Parts of at most `size` rows of the rows that are `left`, bucket by bucket."""
    found = buckets(estimator)
    if found is None:
        for start in range(0, len(left), size):
            yield _Part(estimator, left[start : start + size], size)
        return
    groups: dict[Hashable, list[int]] = {}
    for place in left.tolist():
        groups.setdefault(found.of(rows[place]), []).append(place)
    for sizes, places in groups.items():
        forget_programs()
        # A bucket has a program of its own anyway: of few rows, it is of no more.
        most = min(size, len(places))
        for start in range(0, len(places), most):
            yield _Part(in_bucket(estimator, sizes), np.array(places[start : start + most]), most)


@functools.cache
def _program() -> Callable[..., jax.Array | dict[str, jax.Array]]:
    """Program `(archs [chunk, D], estimator, key) -> scores`; each part scores its own rows."""
    # One for all calls. The estimator is an argument: those of one structure share a compilation.
    return spread(lambda archs, estimator, key: estimator(key, archs))


class _Job:
    """Scoring job: the scores so far, and the file they are kept in.

    Its `scores`, by their member of the file, are none before the first rows are done.
    """

    def __init__(
        self,
        archs: np.ndarray,
        out: Path | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        self.archs, self.out = archs, out
        self.kept: dict[str, Any] = fingerprint._asdict() if fingerprint else {}
        self.scores: dict[str, np.ndarray] = {}
        self.done = np.zeros(len(archs), bool)
        self._saved_at, self._save_seconds = -np.inf, 0.0

    @property
    def num_done(self) -> int:
        """Number of rows scored so far."""
        return int(np.sum(self.done))

    def add(self, places: np.ndarray, scores: dict[str, np.ndarray]) -> None:
        """Put in the scores of the rows `places`, and save if that is cheap by now."""
        for name, values in scores.items():
            self.scores.setdefault(name, np.zeros(len(self.archs), values.dtype))[places] = values
        self.done[places] = True
        if (time.monotonic() - self._saved_at) * _SAVE_SHARE >= self._save_seconds:
            self.save()

    @property
    def num_unranked(self) -> int:
        """Number of architectures so far with a score that is not finite."""
        finite = [np.isfinite(scores[self.done]) for scores in self.scores.values()]
        return int(np.sum(~np.all(finite, axis=0))) if finite else 0

    def save(self) -> None:
        """Replace the result file."""
        if self.out is None:
            return
        start = time.monotonic()
        # Choices are small numbers: a byte each, not four, in a file that is written many times.
        narrow = np.min_scalar_type(int(self.archs.max())) if self.archs.min() >= 0 else np.int32
        code = {name: value for name, value in self.kept.items() if name != "job"}
        # Not where they are the first, as in all files that one program has written.
        is_prefix = bool(np.all(self.done[: self.num_done]))
        members: dict[str, Any] = {} if is_prefix else {"done": self.done}
        with files.replacing(self.out, KIND, "out") as file:
            np.savez(
                file,
                archs=self.archs.astype(narrow),
                num_done=self.num_done,
                fingerprint=self.kept["job"],
                about=json.dumps(environment() | code | {"num_unranked": self.num_unranked}),
                **members,
                **self.scores,  # type: ignore[arg-type]
            )
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - start

    def load(self, fingerprint_of: Callable[[np.ndarray], Fingerprint], resume: Resume) -> None:
        """Take over the scores of an earlier run; ValueError if it is another job's."""
        assert self.out is not None
        wrong = f"is not a jnas result file; choose another {argument('out')}"
        with readers.arrays(self.out, wrong) as file:
            num = len(file["archs"])
            about = json.loads(str(file["about"]))
            done = file["done"] if "done" in file.files else np.arange(num) < file["num_done"]
            found = {"job": str(file["fingerprint"])}
            names = [x for x in file.files if x == _SINGLE or x.startswith(_OF_SUITE)]
            scores = {name: file[name] for name in names}
        own = Fingerprint(**self.kept)
        # The job of a population that this one begins with is the same one, not as far on.
        expected = fingerprint_of(self.archs[:num]) if num < len(self.archs) else own
        self.kept = fingerprints.check(about | found, expected, str(self.out), resume)
        self.kept["job"] = own.job
        files.adopt(self.out, KIND)
        left = (0, len(self.archs) - num)
        self.scores = {name: np.pad(x, left) for name, x in scores.items()} if done.any() else {}
        self.done = np.pad(done, left)


def _open_job(
    estimator: Estimator | Suite,
    archs: np.ndarray,
    key: Key,
    out: str | Path | None,
    resume: Resume,
) -> _Job:
    """Job with the rows that `out` holds; ValueError if that is no file of this job."""
    if out is None:
        return _Job(archs)
    path = Path(out)
    if path.suffix != ".npz":
        raise ValueError(f"the result file must end in .npz; got {path}")
    files.check_not_read(path, "out")

    def fingerprint_of(rows: np.ndarray) -> Fingerprint:
        return _fingerprint(estimator, rows, key)

    job = _Job(archs, path, fingerprint_of(archs))
    if resume and path.exists():
        job.load(fingerprint_of, resume)
    # Before the first chunk, which may take long: a file that cannot be written.
    job.save()
    return job


def fingerprint(estimator: Estimator | Suite, archs: np.ndarray, key: Key) -> str:
    """Fingerprint of a scoring job, a hexadecimal hash that is equal in another process.

    It covers the estimator (its arrays, its settings and what it closes over), the architectures
    and the key.
    """
    return _fingerprint(as_estimator(estimator), archs, as_key(key)).job


def _fingerprint(estimator: Estimator | Suite, archs: np.ndarray, key: Key) -> Fingerprint:
    """Fingerprint of a scoring job and of the code that runs it."""
    # Of one type, for the type that architectures come in does not change a score.
    return fingerprints.fingerprint(key, np.asarray(archs, np.int32), estimator)
