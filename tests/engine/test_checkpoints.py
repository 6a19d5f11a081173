"""Checkpoints come back as they were, and only to the job that wrote them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas.engine.checkpoints import Checkpoint, remove
from jnas.engine.files import MANIFEST
from jnas.engine.fingerprints import Fingerprint

MINE = Fingerprint("job", {"jnas": "1", "jax": "2", "sources": "3", "functions": "4"})


class State(NamedTuple):
    weights: Any
    step: Any


STATE = State(
    # An array without content is nothing that a file could hold.
    {"a": jnp.arange(3.0), "b": jnp.ones((2, 2), jnp.bfloat16), "none": jnp.zeros((0, 3))},
    jnp.asarray(7, jnp.int32),
)


def opened(folder: Path | None, fingerprint: Fingerprint = MINE, resume: Any = True) -> Checkpoint:
    return Checkpoint(folder, lambda: fingerprint, resume)


def like(about: dict[str, Any]) -> State:
    assert about == {"losses": [0.1, 0.2]}
    return jax.tree.map(jnp.zeros_like, STATE)


def test_comes_back_with_its_types(tmp_path) -> None:
    folder = tmp_path / "deep" / "er"
    opened(folder).save(1, jax.tree.map(jnp.zeros_like, STATE), {"losses": []})
    opened(folder).save(2, STATE, {"losses": [0.1, 0.2]})
    found = opened(folder).restore(like)
    assert found is not None
    tree, about = found
    assert about == {"losses": [0.1, 0.2]}
    assert isinstance(tree, State)
    for one, two in zip(jax.tree.leaves(tree), jax.tree.leaves(STATE), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def test_nothing_to_restore(tmp_path) -> None:
    assert opened(None).restore(like) is None
    assert opened(tmp_path / "none").restore(like) is None
    opened(None).save(1, STATE, {})
    assert not list(tmp_path.iterdir())


def test_another_job_is_refused_and_nothing_is_lost(tmp_path) -> None:
    opened(tmp_path).save(1, STATE, {"losses": [0.1, 0.2]})
    other = MINE._replace(job="other")
    with pytest.raises(ValueError, match="another job"):
        opened(tmp_path, other).restore(like)
    assert opened(tmp_path).restore(like) is not None
    assert opened(tmp_path, other, resume=False).restore(like) is None


def test_other_code_may_go_on_and_is_noted(tmp_path) -> None:
    opened(tmp_path).save(1, STATE, {"losses": [0.1, 0.2]})
    later = MINE._replace(code=MINE.code | {"sources": "5"})
    with pytest.raises(ValueError, match="sources 3, now 5"):
        opened(tmp_path, later).restore(like)
    second = opened(tmp_path, later, resume="anyway")
    assert second.restore(like) is not None
    assert second.kept == later._asdict() | {"earlier_code": [MINE.code]}
    second.save(2, STATE, {"losses": [0.1, 0.2]})
    third = opened(tmp_path, later)
    assert third.restore(like) is not None
    assert json.loads(json.dumps(third.kept)) == second.kept


def test_steps_of_somebody_else_stay(tmp_path) -> None:
    """Orbax would delete them, and so would a new start."""
    theirs = tmp_path / "7" / "notes.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    (tmp_path / "2024.csv").write_text("data")
    with pytest.raises(FileExistsError, match=r"7 was not written by jnas.* checkpoint="):
        opened(tmp_path, resume=False)
    with pytest.raises(FileExistsError, match="7 was not written by jnas"):
        opened(tmp_path).save(8, STATE, {"losses": []})
    with pytest.raises(FileExistsError, match="7 was not written by jnas"):
        opened(tmp_path).restore(like)
    remove(tmp_path)
    assert theirs.read_text() == "mine"
    assert (tmp_path / "2024.csv").exists()


def test_own_steps_are_removed_and_those_without_a_list_go_on(tmp_path) -> None:
    folder = tmp_path / "checkpoint"
    opened(folder).save(1, STATE, {"losses": [0.1, 0.2]})
    (folder / MANIFEST).unlink()
    with pytest.raises(FileExistsError, match="1 was not written by jnas"):
        opened(folder, resume=False)
    second = opened(folder)
    assert second.restore(like) is not None
    second.save(2, STATE, {"losses": [0.1, 0.2]})
    assert (folder / "2").is_dir()
    assert not (folder / "1").exists()
    remove(folder)
    assert not list(tmp_path.iterdir())
