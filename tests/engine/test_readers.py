"""Text files in several encodings, and archives that may be damaged."""

import codecs
from pathlib import Path

import numpy as np
import pytest

from jnas.engine.readers import arrays, naming, read_text

TEXT = "größer\r\n|none~0|\r\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("latin-1"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
)
def test_text_is_read_whatever_its_encoding(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert read_text(tmp_path / "a.txt") == TEXT


@pytest.mark.parametrize("content", [b"a\0b", codecs.BOM_UTF16_LE + b"a"])
def test_no_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.txt is not"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("too few rows"), r"^F/a\.npz: too few rows$"),
        (ValueError("row 3 of a.npz is wrong"), r"^row 3 of a\.npz is wrong$"),
        (KeyError("x"), r"^F/a\.npz cannot be read \('x'\)$"),
        (MemoryError(), r"^F/a\.npz cannot be read \(MemoryError\)$"),
    ],
)
def test_errors_of_any_type_name_the_file_once(error: Exception, message: str) -> None:
    with pytest.raises(ValueError, match=message), naming("F/a.npz"), naming("F/a.npz"):
        raise error
    with (
        pytest.raises(ValueError, match=r"^F/a\.npz is no table$"),
        naming("F/a.npz", "is no table"),
    ):
        raise error


def test_arrays_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3))
    with arrays(path) as found:
        assert found["x"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"a\.npz cannot be read \(.*y"), arrays(path) as found:
        found["y"]
    (tmp_path / "b.npz").write_text("no archive")
    with (
        pytest.raises(ValueError, match=r"b\.npz is not an \.npz file"),
        arrays(path.with_name("b.npz")),
    ):
        pass
    with pytest.raises(FileNotFoundError), arrays(tmp_path / "c.npz"):
        pass
