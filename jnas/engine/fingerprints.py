"""Fingerprints of jobs: hashes of what a result depends on, and the refusal of another job.

A fingerprint has two parts. `job` covers what was asked for: arrays, keys, settings, functions with
what they close over, and the code of the user's own functions with all that they call in the user's
own modules. `code` covers what computes it: the sources of jnas and the versions of jnas and jax.
So a file of another job is told from a file of the same job that was begun by other code, and
`resume="anyway"` can overrule the latter alone.

Functions of jnas and of libraries count in `job` by their names and by what they close over.
"""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import jax

from jnas.engine.digests import PACKAGE, Walk
from jnas.engine.messages import argument

Resume: TypeAlias = bool | Literal["anyway"]
"""Whether to go on with a job that is kept; "anyway": even if jnas or jax have changed."""


class Fingerprint(NamedTuple):
    """Fingerprint of a job, equal in another process; never of an address.

    Attributes:
        job: hexadecimal hash of what was asked for.
        code: name → version or hexadecimal hash: "jnas", "jax", "sources" of jnas, and "functions",
            those of jnas and of libraries that the job consists of.
    """

    job: str
    code: dict[str, str]


def fingerprint(*parts: Any) -> Fingerprint:
    """Fingerprint of a job that consists of `parts`: arrays, keys, settings, functions."""
    # Both settings change the numbers that the same functions give.
    mode = precision()
    functions = Walk(of_libraries=True).whole(parts)
    job = Walk(of_libraries=False).whole((*parts, mode))
    return Fingerprint(job, code() | {"functions": functions})


def precision() -> tuple[bool, str]:
    """Settings of JAX that change the numbers of a program: 64 bits, and of matrix products."""
    config: Any = jax.config
    return bool(config.jax_enable_x64), str(config.jax_default_matmul_precision)


def code() -> dict[str, str]:
    """Versions of jnas and jax, and the hash of jnas' sources: what computes results here."""
    import jnas

    return {"jnas": jnas.__version__, "jax": jax.__version__, "sources": sources(PACKAGE)}


def check(
    found: Mapping[str, Any],
    expected: Fingerprint,
    what: str,
    resume: Resume = True,
    name: str = "out",
) -> dict[str, Any]:
    """Fingerprint to keep beside a job that goes on, with the code that began it if it changed.

    Args:
        found: what an earlier call has kept; anything else is another job.
        expected: of the job that is to go on.
        what: file or folder, as messages call it.
        resume: "anyway" goes on although jnas or jax have changed.
        name: argument that chose `what`, as messages call it.

    Returns:
        `job` and `code` of `expected`, and where other code did a part its list `earlier_code`.

    Raises:
        ValueError: another job, or the same job of other code.
    """
    theirs: Mapping[str, str] = found.get("code") or {}
    known = set(theirs) == set(expected.code)
    # No source or version explains a change of "functions" alone: the job has other functions.
    changed = [name for name in theirs if known and theirs[name] != expected.code[name]]
    anew = f"start anew with {argument('resume', False)}"
    if found.get("job") != expected.job or not known or changed == ["functions"]:
        raise ValueError(
            f"{what} holds another job (other settings, data, key or functions); choose another "
            f"{argument(name)}, or {anew}"
        )
    # Of a job that went on several times, each code has done a part.
    earlier = list(found.get("earlier_code", ()))
    if changed and resume != "anyway":
        raise ValueError(
            f"{what} was begun by other code: {_changes(theirs, expected.code, changed)}. Go on "
            f"all the same with {argument('resume', 'anyway')}, or {anew}"
        )
    earlier += [dict(theirs)] if changed else []
    return expected._asdict() | ({"earlier_code": earlier} if earlier else {})


def _changes(found: Mapping[str, str], expected: Mapping[str, str], names: list[str]) -> str:
    """Differences in words, as in "jax 0.10.1, now 0.10.2"."""
    # The hash of functions is left out: it tells a reader nothing.
    told = [name for name in names if name != "functions"]
    return "; ".join(f"{name} {found[name][:12]}, now {expected[name][:12]}" for name in told)


# Cached, for every fingerprint has it, and what runs are the sources as they were at its start.
@functools.cache
def sources(package: Path) -> str:
    """Hexadecimal hash of the Python files of a package, by their places and contents."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
