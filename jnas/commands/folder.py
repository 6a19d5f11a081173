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

from jnas.engine import files, fingerprints
from jnas.engine.fingerprints import Fingerprint, Resume

_BEGUN, _RESULT = "job.json", "result.json"
_JOB = "fingerprint"
_FACTS, ROWS = "file of facts", "table of results"  # kinds of the files


def check(folder: Path, patterns: Iterable[str], table: str | None) -> None:
    """Nothing where a run may write files of such names: before the work that they tell of.

    Args:
        folder: of the run.
        patterns: of the names.
        table: file that the run will read, if any.

    Raises:
        FileExistsError: the folder has such a file that is not replaced; see `files.check`.
    """
    if table is not None:
        files.reading(table, "the table")
    for pattern in (*patterns, "report.html"):
        for path in folder.glob(pattern):
            files.check(path, name="out")


def earlier_facts(folder: Path, job: Fingerprint, resume: Resume) -> dict[str, Any]:
    """Facts that are known of a job before it runs, or goes on.

    Returns:
        The facts in `result.json` of a folder where the job is finished, and always under
        "fingerprint" what is to be kept there.

    Raises:
        ValueError: the folder holds another job, or one that other code of jnas has begun.
    """
    # A folder has both where another job was begun after one was finished: the later one counts.
    path = next((folder / x for x in (_BEGUN, _RESULT) if (folder / x).exists()), None)
    if not resume or path is None:
        return {_JOB: job._asdict()}
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        found = dict(facts[_JOB])
    # Whatever else the file holds is another job, which `check` refuses in its own words.
    except (ValueError, TypeError, KeyError):
        facts, found = {}, {}
    kept = fingerprints.check(found, job, f"{folder}", resume)
    files.adopt(path, _FACTS)
    return facts | {_JOB: kept}


@contextmanager
def begun(folder: Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Mark on a folder that it is a job's, until `write_facts` or an error ends the block.

    So a job that was killed is told from another one, and the code that began it is not forgotten.
    """
    # What stands for the end, too: a run that cannot be kept need not begin.
    files.check(folder / _RESULT, _FACTS, "out")
    path = folder / _BEGUN
    _write_json(path, {_JOB: facts[_JOB]})
    try:
        yield
    except Exception:  # not an interrupt, after which the job is to go on
        files.remove(path)
        raise


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `result.json`, which stands for a finished folder, and so comes last."""
    # In this order: killed in between, the folder still holds the job.
    _write_json(folder / _RESULT, facts)
    files.remove(folder / _BEGUN)


def finished_settings(folder: Path) -> Mapping[str, Any]:
    """Settings of the job that is finished in a folder; none where another one has begun since."""
    if (folder / _BEGUN).exists():
        return {}
    try:
        return dict(json.loads((folder / _RESULT).read_text())["settings"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a JSON file, replaced atomically."""
    with files.replacing(path, _FACTS, "out") as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, replaced atomically if jnas has written it.

    Floats are in the shortest form that reads back the same.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([str(cell) for cell in row] for row in rows)
    with files.replacing(path, ROWS, "out") as file:
        file.write(text.getvalue().encode())
