"""Folders of images: which files count, of which class and part, and what is told."""

import re

import numpy as np
import pytest

from jnas.data.folders import listing


def listed(root) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Name of each file → class and part, and the notes."""
    notes: list[str] = []
    found = listing(root, notes)
    told = {
        str(file.relative_to(root)): (found.classes[label], int(part))
        for file, label, part in zip(found.files, found.labels, found.parts, strict=True)
    }
    return told, notes


def test_files_below_a_class_at_any_depth_belong_to_it(put) -> None:
    root = put("dog/a.png", "dog/old/b.JPG", "dog/old/cat/c.bmp", "cat/d.gif", "cat/e.webp")
    told, notes = listed(root)
    assert notes == []
    assert told == {
        "cat/d.gif": ("cat", 0),
        "cat/e.webp": ("cat", 0),
        "dog/a.png": ("dog", 0),
        "dog/old/b.JPG": ("dog", 0),
        "dog/old/cat/c.bmp": ("dog", 0),
    }


def test_what_no_user_has_put_there_does_not_count(put) -> None:
    root = put("dog/a.png", "cat/b.png", ".trash/c.png", "__MACOSX/d.png", "dog/._a.png")
    put("cat/.hidden/e.png")
    for name in ("cat/Thumbs.db", "dog/.DS_Store", "cat/desktop.ini", "cat/labels.txt"):
        (root / name).write_text("no image")
    told, notes = listed(root)
    assert (set(told), notes) == ({"dog/a.png", "cat/b.png"}, [])


def test_other_types_are_told(put) -> None:
    root = put("dog/a.png", "cat/b.png", "top.png")
    for number in range(7):
        (root / "cat" / f"{number}.heic").write_text("a format that is not read")
    _, notes = listed(root)
    assert notes == [
        f"1 image in {root} and in no class: top.png",
        "7 files of no type that can be read: "
        "cat/0.heic, cat/1.heic, cat/2.heic, cat/3.heic, cat/4.heic and 2 more",
    ]


def test_an_empty_class_is_left_out(put) -> None:
    root = put("dog/a.png", "cat/b.png")
    (root / "bird").mkdir()
    (root / "fish" / "deep").mkdir(parents=True)
    told, notes = listed(root)
    assert {name for name, _ in told.values()} == {"cat", "dog"}
    assert notes == ["2 classes left out, without images: bird, fish"]


@pytest.mark.parametrize("spelling", ["val", "valid", "validation", "Val"])
def test_folders_of_parts(put, spelling) -> None:
    root = put("train/dog/a.png", "train/cat/b.png", f"{spelling}/cat/c.png", "test/dog/d.png")
    assert listed(root) == (
        {
            "train/cat/b.png": ("cat", 0),
            "train/dog/a.png": ("dog", 0),
            f"{spelling}/cat/c.png": ("cat", 1),
            "test/dog/d.png": ("dog", 2),
        },
        [],
    )
    assert listing(root, []).is_given == (True, True, True)


def test_parts_that_lack_are_not_given(put) -> None:
    root = put("train/dog/a.png", "train/cat/b.png")
    assert listing(root, []).is_given == (True, False, False)
    assert listing(root, []).classes == ("cat", "dog")


def test_a_class_may_be_called_train(put) -> None:
    told, notes = listed(put("train/a.png", "car/b.png", "bus/c.png"))
    assert ({name for name, _ in told.values()}, notes) == ({"bus", "car", "train"}, [])
    told, _ = listed(put("train/steam/d.png"))
    assert told["train/steam/d.png"] == ("train", 0)


def test_folders_beside_those_of_parts_are_told(put) -> None:
    root = put("train/dog/a.png", "train/cat/b.png", "test/cat/c.png", "annotations/d.png")
    told, notes = listed(root)
    assert len(told) == 3
    assert notes == ["1 folder beside those of train, validation and test left out: annotations"]


def test_a_test_part_without_classes_is_passed_over(put) -> None:
    root = put("train/dog/a.png", "train/cat/b.png", "test/c.png")
    told, notes = listed(root)
    assert len(told) == 2
    assert notes == [
        f"1 image in {root / 'test'} and in no class: c.png",
        f"{root / 'test'} has no folders of classes, and is passed over",
    ]
    assert listing(root, []).is_given == (True, False, False)


def test_links_are_followed_but_not_in_a_cycle(put, tmp_path) -> None:
    root = put("dog/a.png", "cat/b.png")
    (root / "dog" / "again").symlink_to(root / "dog")
    (root / "bird").symlink_to(root / "cat")
    told, _ = listed(root)
    assert told == {
        "bird/b.png": ("bird", 0),
        "cat/b.png": ("cat", 0),
        "dog/a.png": ("dog", 0),
    }


def test_a_class_that_training_lacks_is_refused(put) -> None:
    root = put("train/dog/a.png", "train/cat/b.png", "val/cats/c.png")
    with pytest.raises(
        ValueError, match=r"validation has the class 'cats', which train lacks. Did you mean 'cat'"
    ):
        listing(root, [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat/a.png", "cat/b.png"), "only 'cat' has any"),
        (("a.png", "b.png"), "none has any"),
        (("train/cat/a.png", "test/dog/b.png"), "only 'cat' has any"),
    ],
)
def test_two_classes_are_needed(put, names, message) -> None:
    root = put(*names)
    with pytest.raises(ValueError, match=re.escape(f"{root} needs at least 2 folders") + ".*"):
        listing(root, [])
    with pytest.raises(ValueError, match=message):
        listing(root, [])


def test_the_order_is_that_of_names(put) -> None:
    root = put("b/2.png", "b/10.png", "a/z.png", "a/c/y.png")
    found = listing(root, [])
    names = [str(file.relative_to(root)) for file in found.files]
    assert names == ["a/c/y.png", "a/z.png", "b/10.png", "b/2.png"]
    assert found.labels.dtype == np.int32
