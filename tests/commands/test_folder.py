"""Run folders: which job they hold, and their files."""

import numpy as np
import pytest

from jnas.commands import folder
from jnas.engine.fingerprints import fingerprint


def test_a_finished_folder_is_taken_over_by_the_same_job_alone(tmp_path) -> None:
    table, job = np.arange(3.0), fingerprint({"seed": 0}, np.arange(3.0))
    facts = folder.earlier_facts(tmp_path, job, True)
    assert facts == {"fingerprint": job._asdict()}
    folder.write_facts(tmp_path, facts | {"seconds": 1.5})
    assert folder.earlier_facts(tmp_path, job, True)["seconds"] == 1.5
    assert "seconds" not in folder.earlier_facts(tmp_path, job, False)
    for other in (({"seed": 1}, table), ({"seed": 0}, table + 1)):
        with pytest.raises(ValueError, match="another job"):
            folder.earlier_facts(tmp_path, fingerprint(*other), True)
    with folder.begun(tmp_path, facts):
        assert "seconds" not in folder.earlier_facts(tmp_path, job, True)


def test_a_job_that_was_killed(tmp_path) -> None:
    """It is told from another one, and the code that began it is not forgotten."""
    job, other = fingerprint("a job"), fingerprint("another")
    old = job._replace(code=job.code | {"jax": "0.0.1"})
    folder.write_facts(tmp_path, {"fingerprint": other._asdict(), "seconds": 2.0})
    with pytest.raises(KeyboardInterrupt), folder.begun(tmp_path, {"fingerprint": old._asdict()}):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="another job"):
        folder.earlier_facts(tmp_path, other, True)
    facts = folder.earlier_facts(tmp_path, job, "anyway")
    assert facts == {"fingerprint": job._asdict() | {"earlier_code": [old.code]}}
    folder.write_facts(tmp_path, facts)
    assert {path.name for path in tmp_path.iterdir()} == {".jnas.json", "result.json"}


def test_an_error_leaves_no_job(tmp_path) -> None:
    facts = {"fingerprint": fingerprint("a job")._asdict()}
    with pytest.raises(ValueError, match="wrong"), folder.begun(tmp_path, facts):
        raise ValueError("wrong")
    assert not list(tmp_path.iterdir())


def test_other_code_is_named_and_can_be_overruled(tmp_path) -> None:
    job = fingerprint("a job")
    old = job._replace(code=job.code | {"jax": "0.0.1"})
    folder.write_facts(tmp_path, {"fingerprint": old._asdict(), "seconds": 2.0})
    with pytest.raises(ValueError, match=r'begun by other code: jax 0\.0\.1.*resume="anyway"'):
        folder.earlier_facts(tmp_path, job, True)
    facts = folder.earlier_facts(tmp_path, job, "anyway")
    assert facts["seconds"] == 2.0
    assert facts["fingerprint"] == job._asdict() | {"earlier_code": [old.code]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprint": 3}'])
def test_a_folder_of_something_else(text, tmp_path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match="another job"):
        folder.earlier_facts(tmp_path, fingerprint("a job"), True)


def test_csv_floats_read_back_the_same_and_file_is_replaced_whole(tmp_path) -> None:
    path = tmp_path / "new" / "x.csv"
    values = np.array([1 / 3, -np.inf, 1e-30], np.float32)
    folder.write_csv(path, ("a", "b"), zip("xyz", values, strict=True))
    lines = path.read_text().splitlines()
    assert lines[0] == "a,b"
    np.testing.assert_array_equal(
        np.array([line.split(",")[1] for line in lines[1:]], np.float32), values
    )

    def broken() -> object:
        yield ("x", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write_csv(path, ("a", "b"), broken())  # type: ignore[arg-type]
    assert path.read_text().splitlines() == lines
