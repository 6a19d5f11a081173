"""Folders of images as data sets: what is in them, what is left out and told, what is refused."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from jnas import data

EIGHT = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(8)]


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def contents(part) -> dict[bytes, int]:
    return {image.tobytes(): int(label) for image, label in zip(part.x, part.y, strict=True)}


def test_a_folder_of_colour_images(put) -> None:
    root = put(*EIGHT)
    found = data.load(root, validation=4, test=0.25, key=5)
    assert found.train.x.shape == (8, 8, 8, 3)
    assert found.train.x.dtype == np.uint8
    assert (found.classes, found.name, found.scale) == (("cat", "dog"), "pets", 255.0)
    parts = [contents(part) for part in (found.train, found.validation, found.test)]
    assert [len(part) for part in parts] == [8, 4, 4]
    assert all(sum(part.values()) == len(part) / 2 for part in parts)
    expected = {read(root / name).tobytes(): int(name[:3] == "dog") for name in EIGHT}
    assert parts[0] | parts[1] | parts[2] == expected
    again, other = (data.load(str(root), validation=4, test=0.25, key=key) for key in (5, 6))
    np.testing.assert_array_equal(found.train.x, again.train.x)
    assert contents(other.train) != parts[0]


def test_grey_images_have_one_channel(put) -> None:
    root = put(*EIGHT, shape=(8, 8))
    assert data.load(root).train.x.shape[1:] == (8, 8, 1)
    # As grey as that, in a file of colours.
    Image.open(root / EIGHT[0]).convert("RGB").save(root / EIGHT[0])
    assert data.load(root).train.x.shape[1:] == (8, 8, 1)
    put("cat/coloured.png")
    assert data.load(root).train.x.shape[1:] == (8, 8, 3)


def test_images_of_any_size_and_kind(put, rng) -> None:
    root = put("cat/a.png", "dog/b.jpg", "cat/c.webp", shape=(50, 70, 3))
    put("dog/d.gif", "dog/e.tif", shape=(33, 31))
    put("cat/f.png", shape=(40, 40, 4))
    assert data.load(root).train.x.shape[1:] == (32, 32, 3)
    assert data.load(root, 12).train.x.shape[1:] == (12, 12, 3)
    middle = data.load(root, 12, validation=0, test=0).train.x
    whole = data.load(root, 12, validation=0, test=0, stretch=True).train.x
    differs = (middle != whole).any(axis=(1, 2, 3))
    assert differs.tolist() == [True, True, False, True, True, True]  # f.png is square


def test_given_parts_keep_their_images_and_order(put) -> None:
    root = put("train/cat/a.png", "train/dog/b.png", "val/dog/c.png", "test/cat/d.png")
    put("test/dog/e.png")
    found = data.load(root)
    for part, folder in ((found.train, "train"), (found.validation, "val"), (found.test, "test")):
        files = sorted((root / folder).rglob("*.png"))
        np.testing.assert_array_equal(part.x, np.stack([read(file) for file in files]))
        assert part.y.tolist() == [("cat", "dog").index(file.parent.name) for file in files]


def test_parts_that_lack_are_drawn_from_training(put) -> None:
    root = put(*(f"train/{name}" for name in EIGHT), "test/cat/c.png")
    found = data.load(root, validation=0.25, test=0.5)
    assert "12 train, 4 validation, 1 test" in repr(found)
    assert set(contents(found.validation)) <= {read(root / "train" / n).tobytes() for n in EIGHT}


def test_files_without_an_image_are_skipped_and_told(put) -> None:
    root = put(*EIGHT)
    (root / "cat" / "broken.png").write_bytes(b"no image")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(root / "dog" / "moves.gif", save_all=True, append_images=frames[1:])
    told = (
        r"2 files skipped: cat/broken\.png \(unreadable\), "
        r"dog/moves\.gif \(animated\)"
    )
    for _ in range(2):  # the second time from the cache
        with pytest.warns(UserWarning, match=told) as seen:
            found = data.load(root, validation=0, test=0)
        assert seen[0].filename == __file__
        assert len(found.train.y) == 16
        with pytest.raises(ValueError, match=told):
            data.load(root, strict=True)


def test_a_class_of_damaged_files_is_refused(put) -> None:
    root = put(*EIGHT, "eel/a.png")
    (root / "eel" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"can be read of eel; .* eel/a\.png \(unreadable\)"):
        data.load(root)


def test_an_empty_class_is_told_or_refused(put) -> None:
    root = put(*EIGHT)
    (root / "eel").mkdir()
    with pytest.warns(UserWarning, match="1 class left out, without images: eel"):
        assert data.load(root).classes == ("cat", "dog")
    with pytest.raises(ValueError, match="1 class left out, without images: eel"):
        data.load(root, strict=True)


def test_the_same_image_in_two_given_parts_is_told(put) -> None:
    root = put("train/cat/a.png", "train/dog/b.png", "test/dog/c.png")
    shutil.copy(root / "train/dog/b.png", root / "test/dog/b.png")
    # Equal pixels in another file.
    Image.open(root / "train/cat/a.png").save(root / "test/dog/a.bmp")
    told = (
        r"2 images in two parts: train/cat/a\.png = test/dog/a\.bmp, "
        r"train/dog/b\.png = test/dog/b\.png"
    )
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        data.load(root, validation=0)
    notes = [str(warning.message) for warning in seen]
    assert notes[0] == "1 image in two classes: train/cat/a.png = test/dog/a.bmp"
    assert notes[1] == told.replace("\\", "")
    with pytest.raises(ValueError, match=told):
        data.load(root, strict=True)


def test_copies_go_to_one_part_of_a_drawn_split(put) -> None:
    root = put(*EIGHT)
    for name in EIGHT:
        shutil.copy(root / name, root / name.replace("/", "/copy"))
    for seed in range(4):
        found = data.load(root, validation=0.25, test=0.25, key=seed)
        parts = [contents(part) for part in (found.train, found.validation, found.test)]
        assert sum(map(len, parts)) == 16
        assert [len(part.y) for part in (found.validation, found.test)] == [8, 8]


def test_two_images_are_trained_on(put) -> None:
    root = put("cat/a.png", "dog/b.png")
    told = "validation and test without images: the images are too few"
    with pytest.warns(UserWarning, match=told):
        found = data.load(root)
    assert "2 train, 0 validation, 0 test" in repr(found)
    with pytest.raises(ValueError, match=told):
        data.load(root, strict=True)
    data.load(root, strict=True, validation=0, test=0)


def test_written_characters_are_not_flipped(put) -> None:
    root = put(*(name.replace("cat", "b").replace("dog", "d") for name in EIGHT))
    assert not data.load(root).is_flippable
    assert data.load(root, is_flippable=True).is_flippable
    put("dot/a.png")
    assert data.load(root).is_flippable


@pytest.mark.parametrize("size", [0, -4, 30, True, 32.0, "32"])
def test_sizes_that_networks_cannot_halve_twice_are_refused(put, size) -> None:
    with pytest.raises(ValueError, match="a positive multiple of 4, such as 28 or 32; got"):
        data.load(put("cat/a.png", "dog/b.png"), size)


def test_one_class_is_refused(put) -> None:
    with pytest.raises(ValueError, match=r"at least 2 folders of classes .* only 'cat' has any"):
        data.load(put("cat/a.png", "cat/b.png"))
