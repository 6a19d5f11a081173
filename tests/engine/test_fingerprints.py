"""Fingerprints of jobs: what they are made of, and the refusal of another job."""

import json

import jax
import numpy as np
import pytest
from jax.tree_util import Partial

import jnas
from jnas.engine import fingerprints
from jnas.engine.fingerprints import check, fingerprint

X = np.arange(6, dtype=np.float32)


def test_the_code_of_jnas_counts_apart(tmp_path, monkeypatch) -> None:
    """An edit of a layer or a score, and another version, are told from another job."""
    job = Partial(jnas.zeroshot.zen, X)
    before = fingerprint(job)
    copy = tmp_path / "jnas"
    (copy / "zeroshot").mkdir(parents=True)
    (copy / "zeroshot" / "zen.py").write_text("one = 1\n")
    one = fingerprints.sources(copy)
    fingerprints.sources.cache_clear()
    (copy / "zeroshot" / "zen.py").write_text("one = 2\n")
    assert fingerprints.sources(copy) != one
    fingerprints.sources.cache_clear()
    monkeypatch.setattr(fingerprints, "PACKAGE", copy)
    after = fingerprint(job)
    assert before.job == after.job
    assert {k for k in before.code if before.code[k] != after.code[k]} == {"sources"}
    monkeypatch.undo()
    monkeypatch.setattr(jnas, "__version__", "9.9")
    assert fingerprint(job).code == before.code | {"jnas": "9.9"}


def test_wide_numbers_are_another_job() -> None:
    with jax.enable_x64(True):
        wide = fingerprint(X)
    assert wide.job != fingerprint(X).job


def test_a_job_goes_on() -> None:
    mine = fingerprint(X)
    kept = json.loads(json.dumps(mine._asdict()))
    assert check(kept, mine, "file") == kept
    for other in (
        {},
        {"job": mine.job},
        fingerprint(X + 1)._asdict(),
        {"job": "0", "code": None, "x": 1},
    ):
        for resume in (True, "anyway"):
            with pytest.raises(ValueError, match=r"file holds another job .* out=, .*resume=False"):
                check(other, mine, "file", resume)


def test_other_functions_of_the_same_sources_are_another_job() -> None:
    mine = fingerprint(X)
    found = {"job": mine.job, "code": mine.code | {"functions": "0"}}
    with pytest.raises(ValueError, match="another job"):
        check(found, mine, "file", "anyway")


def test_other_code_is_refused_by_name_and_may_be_overruled() -> None:
    mine = fingerprint(X)
    first = mine.code | {"jax": "0.9.8", "functions": "0"}
    second = mine.code | {"sources": "ab" * 32}
    found = {"job": mine.job, "code": second, "earlier_code": [first]}
    with pytest.raises(ValueError, match=r"sources abababababab, now .*resume=.anyway"):
        check(found, mine, "file")
    with pytest.raises(ValueError, match=r"jax 0\.9\.8, now "):
        check({"job": mine.job, "code": first}, mine, "file")
    kept = check(found, mine, "file", "anyway")
    assert kept == {"job": mine.job, "code": mine.code, "earlier_code": [first, second]}
    assert check(kept, mine, "file") == kept
