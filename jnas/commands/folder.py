"""Run folders: which job they hold, and their files."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jnas.engine import fingerprints
from jnas.engine.files import replacing
from jnas.engine.fingerprints import Fingerprint, Resume

_RESULT = "result.json"
_JOB = "fingerprint"


def earlier_facts(folder: Path, job: Fingerprint, resume: Resume) -> dict[str, Any]:
    """What is known of a job before it runs, or goes on.

    Returns:
        The facts in `result.json` of a folder where the job is finished, and always under
        "fingerprint" what is to be kept there.

    Raises:
        ValueError: the folder holds another job, or one that other code of jnas has begun.
    """
    path = folder / _RESULT
    if not resume or not path.exists():
        return {_JOB: job._asdict()}
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        found = dict(facts[_JOB])
    except (ValueError, TypeError, KeyError):
        facts, found = {}, {}
    return facts | {_JOB: fingerprints.check(found, job, f"{folder}", resume)}


def reopen(folder: Path) -> None:
    """Make the folder, and mark it as unfinished until `write_facts`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _RESULT).unlink(missing_ok=True)


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `result.json`, which stands for a finished folder, and so comes last."""
    with replacing(folder / _RESULT) as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, replaced atomically; floats in the shortest form that reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([str(cell) for cell in row] for row in rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
