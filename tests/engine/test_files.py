"""Files appear whole or not at all."""

import contextlib

import pytest

from jnas.engine.files import replacing


def test_writes_whole_and_makes_folders(tmp_path) -> None:
    path = tmp_path / "a" / "b.bin"
    with replacing(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert [file.name for file in path.parent.iterdir()] == ["b.bin"]


def test_an_error_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["b.bin"]


def test_a_folder_that_is_a_file(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), replacing(tmp_path / "file" / "x"):
        pass
