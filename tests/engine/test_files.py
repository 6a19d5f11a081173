"""Files appear whole or not at all, and never in place of what jnas did not write."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jnas.engine import files, messages
from jnas.engine.files import MANIFEST, replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)


def write(path: Path, content: bytes, kind: str = "file") -> None:
    with replacing(path, kind) as stream:
        stream.write(content)


def forget() -> None:
    """As a new process, which knows of files what their manifests say."""
    files._WRITTEN.clear()


def test_writes_whole_and_makes_folders(tmp_path) -> None:
    path = tmp_path / "a" / "b.bin"
    with replacing(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert names(path.parent) == ["b.bin"]


def test_an_error_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "b.bin"
    write(path, b"old")
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["b.bin"]


def test_a_folder_that_is_a_file(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), replacing(tmp_path / "file" / "x"):
        pass


@pytest.mark.parametrize("in_a_new_process", [False, True])
def test_own_files_are_replaced_and_removed(in_a_new_process, tmp_path) -> None:
    path = tmp_path / "b.bin"
    for content in (b"one", b"two", b"two", b"three"):
        write(path, content)
        if in_a_new_process:
            forget()
    files.check(path)
    assert path.read_bytes() == b"three"
    files.remove(path)
    assert not list(tmp_path.iterdir())


def test_files_of_others_stay(tmp_path) -> None:
    theirs, changed, empty = tmp_path / "theirs", tmp_path / "changed", tmp_path / "link"
    theirs.write_text("my data")
    write(changed, b"results")
    changed.write_text("results, with notes")
    empty.symlink_to(tmp_path / "nowhere")
    for path, message in (
        (theirs, "theirs was not written by jnas"),
        (changed, "changed was changed since jnas wrote it"),
        (empty, "link was not written by jnas"),
    ):
        with pytest.raises(FileExistsError, match=f"{message}.*choose another path="):
            write(path, b"new")
        with pytest.raises(FileExistsError, match=message):
            files.check(path)
        files.remove(path)
    assert theirs.read_text() == "my data"
    assert changed.read_text() == "results, with notes"
    assert empty.is_symlink()


def test_a_file_that_is_changed_while_it_is_written_anew_stays(tmp_path) -> None:
    path = tmp_path / "b.bin"
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(replacing(path))
        stream.write(b"results")
        path.write_bytes(b"my data")
        with pytest.raises(FileExistsError, match=r"b\.bin was changed while"):
            stack.close()
    assert path.read_bytes() == b"my data"


def test_kinds_do_not_replace_each_other(tmp_path) -> None:
    write(tmp_path / "x.npz", b"weights", "saved predictor")
    with pytest.raises(FileExistsError, match="holds a saved predictor, not a table"):
        write(tmp_path / "x.npz", b"rows", "table")


@pytest.mark.parametrize("in_a_new_process", [False, True])
def test_a_kill_between_manifest_and_file_locks_nobody_out(
    in_a_new_process, tmp_path, monkeypatch
) -> None:
    path, replace = tmp_path / "b.bin", Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).name == "b.bin":
            raise KeyboardInterrupt
        return replace(self, target)

    for before in (None, b"old"):
        if before is not None:
            write(path, before)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                write(path, b"lost")
        if in_a_new_process:
            forget()
        assert (path.read_bytes() if path.exists() else None) == before
        files.check(path)
    write(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_a_job_reads_is_never_written(tmp_path) -> None:
    table = tmp_path / "t.npz"
    write(table, b"rows")
    (tmp_path / "link").symlink_to(tmp_path)
    with files.job():
        files.reading(table, "the table")
        for path in (table, tmp_path / "link" / "t.npz"):
            with pytest.raises(FileExistsError, match=r"t\.npz is the table that the job reads"):
                write(path, b"scores")
    assert table.read_bytes() == b"rows"
    write(table, b"more rows")  # outside a job: a table that was read, and is saved again


def test_results_without_a_manifest_are_adopted_if_nothing_else_is_known(tmp_path) -> None:
    old, changed = tmp_path / "old", tmp_path / "changed"
    old.write_bytes(b"of an older version")
    write(changed, b"results")
    changed.write_bytes(b"changed")
    for path in (old, changed):
        files.adopt(path)
    write(old, b"new")
    with pytest.raises(FileExistsError, match="changed since"):
        write(changed, b"new")


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', '{"a": {"kind": "x"}}'])
def test_a_manifest_of_something_else_stays(text, tmp_path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ValueError, match="not a list of the files that jnas has written"):
        write(tmp_path / "x", b"")
    assert (tmp_path / MANIFEST).read_text() == text


_WRITE_MANY = """
import sys
from jnas.engine.files import replacing
for number in range(20):
    with replacing(sys.argv[1]) as stream:
        stream.write(str(number).encode())
"""


def test_processes_share_a_folder(tmp_path) -> None:
    command = [sys.executable, "-c", _WRITE_MANY]
    workers = [subprocess.Popen([*command, str(tmp_path / name)]) for name in "aabb"]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert names(tmp_path) == ["a", "b"]
    assert set(json.loads((tmp_path / MANIFEST).read_text())) == {"a", "b"}
    for name in "ab":
        assert (tmp_path / name).read_bytes() == b"19"
        write(tmp_path / name, b"new")


_WRITE_ON = """
import sys
from jnas.engine.files import replacing
number = 0
while True:
    number += 1
    with replacing(sys.argv[1]) as stream:
        stream.write(b"%d\\n" % number * 1000)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_kills_at_any_moment_leave_a_whole_file_that_is_known(tmp_path) -> None:
    path, random = tmp_path / "b.bin", np.random.default_rng(0)
    for _ in range(20):
        command = [sys.executable, "-c", _WRITE_ON, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.kill()
        lines = path.read_text().splitlines()
        assert len(lines) == 1000
        assert len(set(lines)) == 1
        forget()
        files.check(path)


def test_messages_speak_the_language_of_the_caller(tmp_path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(FileExistsError, match="choose another out="):
        files.check(tmp_path / "x", name="out")
    with (
        messages.on_command_line(),
        pytest.raises(FileExistsError, match="choose another --out"),
    ):
        files.check(tmp_path / "x", name="out")
