"""Decoded images are kept: decoded once, whole or not at all, and done without where it must be."""

import errno
import os

import numpy as np
import pytest

from jnas import data
from jnas.data import cache as caching
from jnas.data import decoding

NAMES = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(6)]


@pytest.fixture
def num_decoded(monkeypatch) -> list[int]:
    """Numbers of files that were decoded, one for each time."""
    numbers: list[int] = []
    original = decoding.blocks

    def counted(files, *arguments, **options):
        numbers.append(len(files))
        return original(files, *arguments, **options)

    monkeypatch.setattr(caching, "blocks", counted)
    return numbers


def same(one, other) -> None:
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(one, part).x, getattr(other, part).x)
        np.testing.assert_array_equal(getattr(one, part).y, getattr(other, part).y)


def test_images_are_decoded_once(put, num_decoded, cache) -> None:
    root = put(*NAMES)
    first, again = data.load(root), data.load(root)
    same(first, again)
    data.load(root, key=3, validation=1)
    assert num_decoded == [12]
    assert list(cache.iterdir()) == [cache / "images"]
    assert sorted(path.name for path in root.iterdir()) == ["cat", "dog"]
    assert sorted(path.name for path in (root / "cat").iterdir()) == [f"{i}.png" for i in range(6)]


def test_what_changes_the_images_decodes_them_anew(put, num_decoded) -> None:
    root = put(*NAMES)
    data.load(root)
    data.load(root, 4)
    data.load(root, stretch=True)
    os.utime(root / "cat" / "3.png", (1, 1))
    data.load(root)
    put("dog/new.png")
    data.load(root)
    assert num_decoded == [12, 12, 12, 12, 13]


def test_another_folder_or_none(put, num_decoded, cache, tmp_path) -> None:
    root = put(*NAMES)
    one = data.load(root, cache=None)
    same(one, data.load(root, cache=None))
    assert not cache.exists()
    same(one, data.load(root, cache=tmp_path / "own"))
    same(one, data.load(root, cache=str(tmp_path / "own")))
    assert num_decoded == [12, 12, 12]


@pytest.mark.parametrize("is_grey", [False, True])
def test_many_images_are_mapped_from_files(put, num_decoded, cache, monkeypatch, is_grey) -> None:
    root = put(*NAMES, shape=(8, 8) if is_grey else (8, 8, 3))
    small = data.load(root, cache=None)
    monkeypatch.setattr(caching, "LARGE", 100)
    monkeypatch.setattr(decoding, "BLOCK", 5)
    large = data.load(root)
    assert isinstance(large.train.x, np.memmap)
    assert large.train.x.shape[-1] == (1 if is_grey else 3)
    same(small, large)
    np.testing.assert_array_equal(small.mean, large.mean)
    again = data.load(root)
    same(small, again)
    assert num_decoded == [12, 12]
    whole = data.load(root, validation=0, test=0)
    assert isinstance(whole.train.x, np.memmap)
    np.testing.assert_array_equal(
        whole.train.x, data.load(root, validation=0, test=0, cache=None).train.x
    )


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("is_large", [False, True])
def test_a_full_disk_is_done_without(put, num_decoded, cache, monkeypatch, is_large) -> None:
    root = put(*NAMES)
    expected = data.load(root, cache=None)
    if is_large:
        monkeypatch.setattr(caching, "LARGE", 100)
    monkeypatch.setattr("jnas.engine.files.os.fsync", full)
    with pytest.warns(UserWarning, match=r"cannot be kept in .*No space left"):
        found = data.load(root)
    same(found, expected)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_is_done_without(put, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    root = put(*NAMES)
    with pytest.warns(UserWarning, match="cannot be kept"):
        found = data.load(root, cache=tmp_path / "file")
    same(found, data.load(root, cache=None))
    assert (tmp_path / "file").read_text() == "mine"


def test_damaged_files_of_the_cache_are_not_trusted(put, num_decoded, cache) -> None:
    root = put(*NAMES)
    expected = data.load(root)
    (reasons,) = cache.rglob("reasons.json")
    (pixels,) = cache.rglob("pixels.npy")
    content = pixels.read_bytes()
    pixels.write_bytes(content[:-1])
    # jnas has not written that, and leaves it.
    with pytest.warns(UserWarning, match="was changed since jnas wrote it"):
        same(expected, data.load(root))
    pixels.unlink()
    same(expected, data.load(root))
    reasons.write_text("[")
    with pytest.warns(UserWarning, match="was changed since jnas wrote it"):
        same(expected, data.load(root))
    assert num_decoded == [12] * 4


def test_a_job_that_ends_early_leaves_nothing(put, cache, monkeypatch) -> None:
    root = put(*NAMES)
    original = decoding.blocks

    def stopped(*arguments, **options):
        yield next(original(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(caching, "LARGE", 100)
    monkeypatch.setattr(decoding, "BLOCK", 5)
    monkeypatch.setattr(caching, "blocks", stopped)
    with pytest.raises(KeyboardInterrupt):
        data.load(root)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_bar_is_shown_where_it_is_asked_for(put, capfd) -> None:
    root = put(*NAMES)
    data.load(root, cache=None)
    assert capfd.readouterr().err == ""
    data.load(root, cache=None, progress=True)
    assert "decoding" in capfd.readouterr().err
