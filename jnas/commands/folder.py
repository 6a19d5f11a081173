"""Run folders: which job they hold, and their files.

`job.json` stands for a job that has begun, and `result.json` for one that is finished.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jnas.engine import fingerprints
from jnas.engine.files import replacing
from jnas.engine.fingerprints import Fingerprint, Resume

_BEGUN, _RESULT = "job.json", "result.json"
_JOB = "fingerprint"


def earlier_facts(folder: Path, job: Fingerprint, resume: Resume) -> dict[str, Any]:
    """What is known of a job before it runs, or goes on.

    Returns:
        The facts in `result.json` of a folder where the job is finished, and always under
        "fingerprint" what is to be kept there.

    Raises:
        ValueError: the folder holds another job, or one that other code of jnas has begun.
    """
    path = next((folder / x for x in (_BEGUN, _RESULT) if (folder / x).exists()), None)
    if not resume or path is None:
        return {_JOB: job._asdict()}
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        found = dict(facts[_JOB])
    except (ValueError, TypeError, KeyError):
        facts, found = {}, {}
    return facts | {_JOB: fingerprints.check(found, job, f"{folder}", resume)}


@contextmanager
def begun(folder: Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Mark a folder as that of a job until `write_facts`; not if the block ends with an error.

    So a job that was killed is told from another one, and what it was begun by is not forgotten.
    """
    path = folder / _BEGUN
    _write_json(path, {_JOB: facts[_JOB]})
    try:
        yield
    except Exception:
        path.unlink()
        raise


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `result.json`, which stands for a finished folder, and so comes last."""
    _write_json(folder / _RESULT, facts)
    (folder / _BEGUN).unlink(missing_ok=True)


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, replaced atomically; floats in the shortest form that reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([str(cell) for cell in row] for row in rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
